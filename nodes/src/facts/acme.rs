//! What decisions read of ACME: the issuer's account and solvers, Orders, Challenges, budgets.

use super::{Controller, IssuerRef, Leaf, Parsed};
use crate::budget::Limits;
use everleaf_engine::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The class of an answer that was not the one hoped for; the next attempt depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// No failure: the other side is at work, and told when to look again.
    Wait,
    /// The other side is not there, or not well.
    Transient,
    /// Asked too often: not before the instant that was named.
    RateLimited,
    /// Somebody has to mend something.
    User,
    /// The CA paused the account or a name: no retry before somebody unpauses it there.
    Paused,
}

/// The state of an order, an authorization or a challenge (RFC 8555, section 7.1.6).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum AcmeState {
    /// Not told yet.
    #[default]
    Unknown,
    /// Waits for its challenges.
    Pending,
    /// An order that may be finalized.
    Ready,
    /// In the hands of the CA.
    Processing,
    /// Done, with success.
    Valid,
    /// Failed; the CA's last word.
    Invalid,
    /// Too old; the CA dropped it.
    Expired,
    /// Failed in a way that no retry mends.
    Errored,
}

impl AcmeState {
    /// Whether nothing will ever come of it.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Invalid | Self::Expired | Self::Errored)
    }

    /// Whether it is the last state.
    pub fn is_final(self) -> bool {
        self.is_failure() || self == Self::Valid
    }

    /// As the API spells it; empty if it was not told yet.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Errored => "errored",
        }
    }

    /// The state of that name; one that nobody knows counts as not told.
    pub fn of_text(text: &str) -> Self {
        let all = [
            Self::Pending,
            Self::Ready,
            Self::Processing,
            Self::Valid,
            Self::Invalid,
            Self::Expired,
            Self::Errored,
        ];
        all.into_iter().find(|state| state.text() == text).unwrap_or_default()
    }
}

/// How a challenge is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// By a file over HTTP (RFC 8555, section 8.3).
    Http01,
    /// By a TXT record (RFC 8555, section 8.4).
    Dns01,
    /// By a handshake (RFC 8737).
    TlsAlpn01,
}

impl Method {
    /// As ACME spells it.
    pub fn offer(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }

    /// As Challenges spell it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Http01 => "HTTP-01",
            Self::Dns01 => "DNS-01",
            Self::TlsAlpn01 => "TLS-ALPN-01",
        }
    }
}

/// Which names a solver is for. All parts that are not empty must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Orders with these labels.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// These names exactly.
    pub names: Vec<Arc<str>>,
    /// Names in these zones.
    pub zones: Vec<Arc<str>>,
}

/// A solver of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SolverFacts {
    /// Which names it is for; all where absent.
    pub selector: Option<Selector>,
    /// How it meets challenges.
    pub method: Method,
    /// The whole solver, as JSON with sorted keys.
    pub json: Arc<str>,
    /// The Secrets that it refers to.
    pub secrets: Vec<Arc<str>>,
}

/// A key of a Secret; the namespace follows from whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretEntry {
    /// The Secret.
    pub secret: Arc<str>,
    /// The key in it.
    pub key: Arc<str>,
}

/// An external account binding (RFC 8555, section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The identifier of the MAC key.
    pub key_id: Arc<str>,
    /// Where the MAC key lies.
    pub key: SecretEntry,
}

/// spec.acme of an issuer.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeFacts {
    /// The URL of the directory.
    pub server: Arc<str>,
    /// The contact address; empty for none.
    pub email: Arc<str>,
    /// Where the account key lies.
    pub key: SecretEntry,
    /// Whether a missing account key is an error.
    pub keep_key: bool,
    /// The external account binding.
    pub binding: Option<Binding>,
    /// The issuer common name of the topmost certificate of the chain to choose; empty for none.
    pub preferred_chain: Arc<str>,
    /// The certificate profile to ask for; empty for none.
    pub profile: Arc<str>,
    /// Whether the CA is asked for the Certificate's duration.
    pub sends_duration: bool,
    /// Whether renewal times come from the CA where it offers that.
    pub ari: bool,
    /// Whether any server certificate is trusted.
    pub skip_tls_verify: bool,
    /// The digest of the certificates that are trusted, if any are named.
    pub ca_bundle: Option<Digest>,
    /// The solvers, in the order written.
    pub solvers: Vec<SolverFacts>,
    /// The limits that our annotation names, instead of those that the directory is known for.
    pub limits: Option<Limits>,
    /// The CA's names in CAA records, as our annotation tells them.
    pub caa_identities: Vec<Arc<str>>,
}

/// status.acme of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountStatus {
    /// The URL of the account; empty if there is none.
    pub uri: Arc<str>,
    /// The address at the last registration.
    pub email: Arc<str>,
    /// The hash of the account key at the last registration, as cert-manager makes it.
    pub key_hash: Arc<str>,
}

/// What an account was verified under: two digests, for an account whose spec is the same needs no
/// request if the key is the same too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verified {
    /// Of directory, address, key reference and binding.
    pub spec: Digest,
    /// Of UID and resourceVersion of the Secrets that they refer to.
    pub secrets: Digest,
}

/// What an issuer remembers of its account beyond its status; our annotation.
#[derive(Clone, Debug, Default, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountMemory {
    /// The account.
    pub status: AccountStatus,
    /// What the account was last verified under.
    pub verified: Option<Verified>,
    /// The last registration that failed.
    pub attempt: Option<Attempt>,
}

/// The last request of an object that was not answered as hoped; the annotation
/// `everleaf.dev/acme-attempt`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Which request: the effect's name in the plan.
    pub step: Arc<str>,
    /// How often in a row it failed, from 1.
    pub number: i64,
    /// The class.
    pub class: Class,
    /// One word, in CamelCase; an Issuer's condition has it as its reason.
    pub reason: Arc<str>,
    /// The problem's type (RFC 8555, section 6.7), or empty.
    pub problem: Arc<str>,
    /// For people, without secrets.
    pub detail: Arc<str>,
    /// When it failed.
    pub at: Timestamp,
    /// When it may be sent again; `None` if only a change can help.
    pub not_before: Option<Timestamp>,
    /// The digest of what the request was made from, where that decides on a retry.
    pub inputs: Option<Digest>,
}

/// The note that a newOrder is about to be sent; the annotation `everleaf.dev/acme-claim`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The account's URL.
    pub account: Arc<str>,
    /// When it was written.
    pub at: Timestamp,
}

/// A challenge on offer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// Its type, such as `http-01`.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// Its URL.
    pub url: Arc<str>,
    /// Its token.
    pub token: Arc<str>,
}

/// An authorization of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authorization {
    /// Its URL.
    pub url: Arc<str>,
    /// The name to prove, without `*.`; empty if it was not read yet.
    pub identifier: Arc<str>,
    /// Whether it is for the wildcard of its name.
    pub wildcard: bool,
    /// Its state when it was first read.
    pub initial: AcmeState,
    /// The challenges on offer.
    pub offers: Vec<Offer>,
}

/// What decisions read of an Order.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderFacts {
    /// creationTimestamp.
    pub created: Timestamp,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Who controls it.
    pub controller: Option<Controller>,
    /// Its labels; solvers select by them.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Its annotations under `acme.cert-manager.io/`.
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// Whether it renews a certificate of the same names.
    pub renews: bool,
    /// The certificate that it renews; our annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<RenewalNote>,
    /// spec.issuerRef.
    pub issuer: IssuerRef,
    /// spec.commonName; empty for none.
    pub common_name: Arc<str>,
    /// spec.dnsNames.
    pub dns_names: Vec<Arc<str>>,
    /// spec.ipAddresses, in canonical form.
    pub ip_addresses: Vec<Arc<str>>,
    /// spec.duration in milliseconds.
    pub duration_ms: Option<i64>,
    /// spec.profile; empty for none.
    pub profile: Arc<str>,
    /// spec.replaces; empty for none.
    pub replaces: Arc<str>,
    /// Our claim.
    pub claim: Option<Claim>,
    /// The last request that was not answered as hoped.
    pub attempt: Option<Attempt>,
    /// status.url; empty for none.
    pub url: Arc<str>,
    /// status.finalizeURL; empty for none.
    pub finalize_url: Arc<str>,
    /// status.authorizations.
    pub authorizations: Vec<Authorization>,
    /// status.certificate.
    pub certificate: Parsed<Leaf>,
    /// status.state.
    pub state: AcmeState,
    /// status.reason; empty for none.
    pub reason: Arc<str>,
    /// status.failureTime.
    pub failure: Option<Timestamp>,
}

/// What decisions read of a Challenge.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeFacts {
    /// creationTimestamp.
    pub created: Timestamp,
    /// deletionTimestamp.
    pub deleted: Option<Timestamp>,
    /// Who controls it.
    pub controller: Option<Controller>,
    /// Whether our finalizer, in its present or its older spelling, is set.
    pub guarded: bool,
    /// spec.issuerRef.
    pub issuer: IssuerRef,
    /// spec.type.
    pub method: Method,
    /// spec.url.
    pub url: Arc<str>,
    /// spec.authorizationURL.
    pub authorization_url: Arc<str>,
    /// spec.dnsName.
    pub dns_name: Arc<str>,
    /// spec.wildcard.
    pub wildcard: bool,
    /// spec.token.
    pub token: Arc<str>,
    /// spec.key: what is presented, in public.
    pub key: Arc<str>,
    /// spec.solver, as JSON with sorted keys.
    pub solver: Arc<str>,
    /// spec.solver.waitInsteadOfSelfCheck in milliseconds.
    pub wait_ms: Option<i64>,
    /// The last request that was not answered as hoped.
    pub attempt: Option<Attempt>,
    /// When it was seen from outside; our annotation.
    pub seen: Option<Timestamp>,
    /// status.state.
    pub state: AcmeState,
    /// status.reason; empty for none.
    pub reason: Arc<str>,
    /// status.processing.
    pub processing: bool,
    /// status.presented.
    pub presented: bool,
    /// status.presentedAt.
    pub presented_at: Option<Timestamp>,
}

impl ChallengeFacts {
    /// Whether its turn has come: something was presented, or is about to be.
    pub fn at_work(&self) -> bool {
        self.presented || self.processing || self.seen.is_some()
    }

    /// Whether it is being deleted.
    pub fn deleting(&self) -> bool {
        self.deleted.is_some()
    }
}

/// Buckets of one ConfigMap: the theoretical arrival time of each that is not full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BudgetFacts {
    /// By the bucket's name.
    pub buckets: BTreeMap<Arc<str>, Timestamp>,
}

/// Why a request failed, for its Certificate's back-off; the annotation `everleaf.dev/failure`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureNote {
    /// The class.
    pub class: Class,
    /// When it may be tried again, where the CA said so.
    pub not_before: Option<Timestamp>,
}

/// What the CA says of the renewal of a stored certificate (RFC 9773), as its status holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AriStatus {
    /// The window, if the CA suggested one.
    pub window: Option<(Timestamp, Timestamp)>,
    /// A page that tells why, if the CA named one.
    pub explanation: Option<Arc<str>>,
    /// When the CA was asked, and what it said was written.
    pub checked: Option<Timestamp>,
    /// When it is asked again; and from then on in steps of the time between the two.
    pub next: Option<Timestamp>,
    /// Why the last question had no answer.
    pub error: Option<Arc<str>>,
}

/// The certificate that a request is to replace; the annotation `everleaf.dev/renewal` of
/// CertificateRequests and their Orders.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalNote {
    /// Its identifier (RFC 9773, section 4.1), if the CA may be told; else empty.
    pub replaces: Arc<str>,
    /// The window in which the CA counts an order that replaces it as no new one.
    pub window: Option<(Timestamp, Timestamp)>,
    /// When it was stored.
    pub stored: Option<Timestamp>,
    /// When it expires.
    pub expires: Option<Timestamp>,
}
