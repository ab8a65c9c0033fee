//! What machines ask for, as data. Ports perform it and report.

mod acme;

pub use acme::*;

use crate::facts::{Fingerprint, IssuerRef, KeyKind, KeyWish, Kind, Outputs, Wish};
use everleaf_engine::{ObjectKey, Timestamp, Uid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The version of an object that an effect rests on. Two effects that differ in it alone are the
/// same effect, so it does not count in digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The object's UID.
    pub uid: Uid,
    /// Its resourceVersion.
    pub rv: u64,
}

impl Hash for Base {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uid.hash(state);
    }
}

/// Labels or annotations.
pub type Strings = BTreeMap<Arc<str>, Arc<str>>;

/// A Kubernetes Event, to be written beside the effect once that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// Whether it is a `Warning`.
    pub warning: bool,
    /// One word, in CamelCase.
    pub reason: Arc<str>,
    /// For people.
    pub message: Arc<str>,
}

impl Event {
    /// A `Normal` Event.
    pub fn normal(reason: &str, message: impl Into<Arc<str>>) -> Self {
        Self { warning: false, reason: reason.into(), message: message.into() }
    }

    /// A `Warning` Event.
    pub fn warning(reason: &str, message: impl Into<Arc<str>>) -> Self {
        Self { warning: true, reason: reason.into(), message: message.into() }
    }
}

/// Where the next private key comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// A new key of that kind.
    Generate(KeyKind),
    /// The key of that Secret, if it is the one with that fingerprint.
    Reuse {
        /// The Secret's name.
        secret: Arc<str>,
        /// The key's fingerprint.
        fingerprint: Fingerprint,
    },
}

/// Where the next private key is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyPlace {
    /// In the memory of this process, under the Certificate's UID.
    Memory,
    /// In a Secret of that name.
    Secret(Arc<str>),
}

/// A CertificateRequest to be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewRequest {
    /// Its name.
    pub name: Arc<str>,
    /// Its labels.
    pub labels: Strings,
    /// Its annotations.
    pub annotations: Strings,
    /// What is to be certified.
    pub wish: Wish,
    /// Whose issuer is asked.
    pub issuer: IssuerRef,
    /// spec.duration, as text.
    pub duration: Option<Arc<str>>,
    /// Where the private key is.
    pub key: KeyPlace,
    /// The key's fingerprint.
    pub fingerprint: Fingerprint,
    /// The Secret whose absence is the reason, where it was there before: it is looked for once
    /// more, for a list may come from a cache that is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Arc<str>>,
}

/// The Secret of a keystore's password, as it was seen. It counts in digests: what failed for want of
/// a password is another effect once that changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordSecret {
    /// Its name.
    pub name: Arc<str>,
    /// Its UID and resourceVersion; `None` if there was none.
    pub seen: Option<(Uid, u64)>,
}

/// What is to be written beside the pair.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beside {
    /// The entries.
    pub outputs: Outputs,
    /// Where their passwords are, if in Secrets.
    pub passwords: Vec<PasswordSecret>,
}

/// A certificate that nobody vouches for, made of a request while its issuer does not answer: signed
/// by a CA that is thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Temporary {
    /// The lifetime, in milliseconds.
    pub duration_ms: i64,
    /// Whether a CA's certificate is asked for.
    pub is_ca: bool,
    /// Usages; empty for the default.
    pub usages: Vec<Arc<str>>,
}

/// Material to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// The Secret's name.
    pub secret: Arc<str>,
    /// The Secret as it was decided on; `None` if there was none.
    pub secret_base: Option<Base>,
    /// The request that holds the certificate, or of which a temporary one is made.
    pub request: Arc<str>,
    /// The request as it was decided on.
    pub request_base: Base,
    /// What is stored in place of the request's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporary: Option<Temporary>,
    /// Where the private key is.
    pub key: KeyPlace,
    /// The key's fingerprint.
    pub fingerprint: Fingerprint,
    /// How the key is written.
    pub wish: KeyWish,
    /// The Secret's annotations of ours, with those of the template.
    pub annotations: Strings,
    /// The labels of the template.
    #[serde(default, skip_serializing_if = "Strings::is_empty")]
    pub labels: Strings,
    /// What is to be written beside the pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Box<Beside>>,
    /// Whether the Certificate is to own the Secret.
    pub owned: bool,
}

/// What a request is signed with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SignWith {
    /// A CA's key pair.
    Ca {
        /// The Secret.
        secret: ObjectKey<Kind>,
        /// The Secret as it was decided on.
        base: Base,
    },
    /// The request's own key.
    Own {
        /// Where it is: in memory under the owner's UID, or in a Secret of the namespace.
        key: KeyPlace,
        /// The UID of the Certificate that owns the request, if one does.
        owner: Option<Uid>,
    },
}

/// A signature to be made and written into the request's status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sign {
    /// With what.
    pub with: SignWith,
    /// The lifetime, in milliseconds.
    pub duration_ms: i64,
    /// Whether a CA's certificate is asked for.
    pub is_ca: bool,
    /// Usages; empty for the default.
    pub usages: Vec<Arc<str>>,
    /// Where to find revocation lists.
    pub crl: Vec<Arc<str>>,
    /// Where to ask for a certificate's status.
    pub ocsp: Vec<Arc<str>>,
    /// Where to find the issuer's certificate.
    pub urls: Vec<Arc<str>>,
    /// The request's conditions to be written beside `Ready=True`, as JSON.
    pub conditions: Arc<str>,
}

/// Something to be done for an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Do {
    /// Read a Secret whole and observe it.
    ReadSecret {
        /// Which.
        secret: ObjectKey<Kind>,
    },
    /// Patch the object's own status.
    PatchStatus {
        /// A JSON merge patch (RFC 7396) of the object, without resourceVersion.
        patch: Arc<str>,
    },
    /// Write annotations of ours on the object, then patch its status.
    Settle {
        /// The annotations.
        annotations: Strings,
        /// A JSON merge patch (RFC 7396) of the object's status, without resourceVersion.
        patch: Arc<str>,
    },
    /// Delete an object with UID and resourceVersion as preconditions.
    Delete {
        /// Which.
        key: ObjectKey<Kind>,
        /// As it was decided on.
        base: Base,
    },
    /// Write everything of a Secret that is ours again, around the pair that is in it.
    TendSecret {
        /// The Secret's name.
        secret: Arc<str>,
        /// As it was decided on.
        base: Base,
        /// The annotations that it should carry, with those of the template.
        annotations: Strings,
        /// The labels of the template.
        #[serde(default, skip_serializing_if = "Strings::is_empty")]
        labels: Strings,
        /// What is to be written beside the pair.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beside: Option<Box<Beside>>,
        /// Whether the Certificate is to own the Secret.
        owned: bool,
    },
    /// Bring the next private key about.
    EnsureKey {
        /// From where.
        source: KeySource,
        /// Where to.
        place: KeyPlace,
    },
    /// Create a CertificateRequest.
    CreateRequest(Box<NewRequest>),
    /// Write key and chain into the Secret.
    Store(Box<Store>),
    /// Sign a CertificateRequest.
    Sign(Box<Sign>),
    /// Something of ACME.
    Acme(Acme),
    /// Nothing but the Events.
    Say,
    /// Create a Certificate.
    CreateCertificate {
        /// The whole object as JSON, without owner.
        object: Arc<str>,
    },
    /// Replace labels, annotations of ours and spec of a Certificate.
    UpdateCertificate {
        /// Its name.
        name: Arc<str>,
        /// As it was decided on.
        base: Base,
        /// The whole object as JSON, without owner.
        object: Arc<str>,
    },
}

/// An effect: what to do, for which object, and what to say when it is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// The object whose machine asks.
    pub subject: ObjectKey<Kind>,
    /// As it was decided on.
    pub base: Base,
    /// What to do.
    #[serde(rename = "do")]
    pub action: Do,
    /// Events on `subject`, once it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

/// The instant as Kubernetes writes it: RFC 3339 in whole seconds, UTC.
pub fn rfc3339(at: Timestamp) -> String {
    everleaf_api::Time::clamped(at.as_seconds()).to_string()
}
