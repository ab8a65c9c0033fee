//! Everleaf as users meet it: real processes against a real kube-apiserver. See the README beside
//! this package's manifest for what each scenario needs.

// A test may expect what it asks for.
#![allow(clippy::unwrap_used)]

mod acme;
mod acme_accounts;
mod acme_ahead;
mod acme_ari;
mod acme_choices;
mod acme_crash;
mod acme_dns;
mod acme_fallback;
mod acme_faults;
mod acme_http01;
mod acme_route53;
mod acme_webhook;
mod ageing;
mod approval;
mod bad_input;
mod crash;
mod dev;
mod election;
mod fields;
mod foreign_issuer;
mod keys_and_names;
mod limits;
mod one_namespace;
mod outputs;
mod recorded_requests;
mod recording;
mod renewal;
mod takeover;
mod whole_cluster;
