//! The fields of the six kinds, one module for each subject.
//!
//! Names on the wire are cert-manager's. An optional text that is empty reads as absent, as Go's
//! `omitempty` has it, except where cert-manager itself tells the two apart (passwords, Ingress
//! classes, Gateway references). `null` reads as absent in optional fields, lists and maps. A
//! missing required field reads as its empty value, so that [`validate`](crate::validate) can name
//! it; a missing or unknown value of a required enum is an error.

pub mod acme;
pub mod certificate;
pub mod certificate_request;
pub mod challenge;
pub mod dns01;
pub mod http01;
pub mod issuer;
pub mod order;
pub mod pod;
pub mod reference;
pub mod vault;
pub mod venafi;

mod defaults;
mod usage;

pub use defaults::{DEFAULT_DURATION, IssuerType, MINIMUM_DURATION, MINIMUM_RENEW_BEFORE};
pub use usage::effective_usages;
