//! cert-manager's API, wire-compatible, and the rules of the API.
//!
//! What is here:
//!
//! - the six kinds ([`Certificate`], [`CertificateRequest`], [`Issuer`], [`ClusterIssuer`],
//!   [`Order`], [`Challenge`]) with every field of spec and status ([`types`]), the metadata they
//!   share ([`ObjectMeta`]) and what each kind knows of itself ([`Object`]);
//! - their custom resource definitions, as YAML ([`crds`]);
//! - the keys of annotations, labels and finalizers, and the names of child objects ([`names`]);
//! - the webhook's rules ([`validate`]), and feature gates ([`gates`]);
//! - the arithmetic of the API: conditions ([`condition`]), Go's durations ([`GoDuration`]), times
//!   ([`Time`]), renewal times ([`renewal`]), cron expressions ([`cron`]), waits after failures
//!   ([`backoff`]) and subjects as strings ([`subject`]);
//! - the issuers that stand in for a Certificate's first one ([`fallback`]).
//!
//! What it knows nothing about: graphs, engines, clocks, networks, keys, certificates. It holds no
//! state, reads no clock and draws no random number; the time zone database is compiled in. Bytes
//! of signing requests and certificates pass through unread.
//!
//! Unknown fields are ignored when reading. Unknown values are kept in a status and refused in a
//! spec; so a caller must read objects one by one, lest one bad object hide the others of a list.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod backoff;
pub mod condition;
pub mod cron;
pub mod fallback;
pub mod gates;
pub mod names;
pub mod renewal;
pub mod subject;
pub mod types;
pub mod validate;

mod duration;
mod kinds;
mod meta;
mod time;
mod wire;

pub use condition::{Condition, ConditionStatus};
pub use duration::{DurationError, GoDuration};
pub use kinds::{
    ACME_GROUP, Certificate, CertificateRequest, Challenge, ClusterIssuer, GROUP, Issuer, Order,
    VERSION,
};
pub use meta::{Object, ObjectMeta, OwnerReference};
pub use time::{Time, TimeError};
pub use types::reference::{IssuerRef, SecretKeySelector};
pub use wire::{Bytes, Quantity, UnknownValue};

macro_rules! crd {
    ($name:literal) => {
        ($name, include_str!(concat!("../../deploy/crds/crd-", $name, ".yaml")))
    };
}

/// The custom resource definitions: `<group>_<plural>` and YAML, in an order that can be applied.
#[must_use]
pub const fn crds() -> [(&'static str, &'static str); 6] {
    [
        crd!("cert-manager.io_certificates"),
        crd!("cert-manager.io_certificaterequests"),
        crd!("cert-manager.io_issuers"),
        crd!("cert-manager.io_clusterissuers"),
        crd!("acme.cert-manager.io_orders"),
        crd!("acme.cert-manager.io_challenges"),
    ]
}
