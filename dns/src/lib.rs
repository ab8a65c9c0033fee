//! DNS-01 (RFC 8555, section 8.4): looking records up, and writing them.
//!
//! [`Resolver`] finds zones, follows CNAMEs, asks whether a record has reached every server and
//! reads CAA. [`provider`] makes a [`Provider`] of a solver's configuration and of credentials that
//! the caller has read: this crate never talks to Kubernetes. Nothing here waits or repeats over
//! time, reads a clock or the environment: who calls decides when to ask again.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod acme_dns;
mod akamai;
mod aws;
mod azure;
mod build;
mod cloud_dns;
mod cloudflare;
mod context;
mod digital_ocean;
mod error;
mod google;
mod http;
mod record;
pub mod resolver;
mod rfc2136;
mod route53;
mod scrub;
mod secret;
#[cfg(test)]
mod testing;
pub mod webhook;

pub use build::{Needs, Setting, TokenNeed, needs, provider, ttl};
pub use context::{Clock, Context, Endpoints};
pub use error::{Error, Mend};
pub use http::Http;
pub use record::{Presented, Provider, Record};
pub use resolver::Resolver;
pub use secret::{Secret, Secrets};
