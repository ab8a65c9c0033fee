//! What the ACME machines ask for.
//!
//! Each of these does its requests *and* writes what was learned into the object, so that the
//! watch shows it. A request that was not answered as hoped is written too: as the annotation
//! `everleaf.dev/acme-attempt` ([`Attempt`](crate::facts::Attempt), by
//! [`attempt_text`](crate::acme::notes::attempt_text)), with the [`Trial`]'s step and number, and
//! as `not_before` the later of now plus the trial's rest and Retry-After; for a class that only a
//! person can mend there is none. The effect is then `Done`: the failure is told. Only a write
//! that failed is a failure of the effect; and so is a clean-up that failed, which has no trial.

use super::{Base, Event, Strings};
use crate::acme::ari::{Bounds, Pauses};
use crate::budget::{Charge, Limit};
use crate::facts::{AcmeState, AriStatus, Class, Kind, Method, Verified};
use everleaf_engine::{Digest, ObjectKey, Timestamp, Uid};
use serde::{Deserialize, Serialize};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret.
    pub secret: ObjectKey<Kind>,
    /// The key in it.
    pub key: Arc<str>,
}

/// The account that a request is made for. Its key is used with this directory only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The Issuer or ClusterIssuer.
    pub issuer: ObjectKey<Kind>,
    /// As it was decided on; its spec holds `caBundle`.
    pub base: Base,
    /// The URL of the directory.
    pub directory: Arc<str>,
    /// The URL of the account; empty before it is registered.
    pub uri: Arc<str>,
    /// Where the account key lies.
    pub key: SecretKey,
    /// Whether any server certificate is trusted.
    pub skip_tls_verify: bool,
    /// The digest of the issuer's `caBundle`, if it has one: a client made for another is stale.
    pub ca_bundle: Option<Digest>,
}

/// How the request of a step is counted, and how long it rests if it fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// The step, as the plan names the effect.
    pub step: Arc<str>,
    /// The number to write if this one fails.
    pub number: i64,
    /// How long it rests then at least, in milliseconds.
    pub rest_ms: i64,
}

/// The same request, whatever its number: what differs in it alone is the same effect.
impl Hash for Trial {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.step.hash(state);
    }
}

/// An external account binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Eab {
    /// The identifier of the MAC key.
    pub key_id: Arc<str>,
    /// Where the MAC key lies, base64url.
    pub key: SecretKey,
}

/// An account to be registered, updated or verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Register {
    /// The account; with an empty `uri` it is registered anew, or found by its key.
    pub account: Account,
    /// The contact address, as written; empty for none.
    pub email: Arc<str>,
    /// The external account binding.
    pub eab: Option<Eab>,
    /// Whether a missing key is made: RSA of 2048 bits, PKCS#1.
    pub generate: bool,
    /// The status as it stands, if address and host agree with the spec: with the same hash of the
    /// key nothing is asked of the CA.
    pub trusted_hash: Option<Arc<str>>,
    /// What to write into `everleaf.dev/acme-account` ([`verified_text`]).
    ///
    /// [`verified_text`]: crate::acme::notes::verified_text
    pub verified: Verified,
    /// What to write into a failed attempt as its inputs.
    pub inputs: Digest,
    /// How it is counted.
    pub trial: Trial,
    /// The issuer's conditions to be written beside the account, as JSON.
    pub conditions: Arc<str>,
}

/// An Order to be created.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// Its name.
    pub name: Arc<str>,
    /// Its spec as JSON, without `request`.
    pub spec: Arc<str>,
}

/// How a name of an order will be proved, as far as that is known before the CA was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The name without `*.`, or the address.
    pub name: Arc<str>,
    /// Whether it is for the wildcard of the name.
    pub wildcard: bool,
    /// By which kind of challenge; none if no solver fits.
    pub method: Option<Method>,
    /// Whether the name must answer at port 80 first.
    pub reach: bool,
}

/// What is looked at before a token is spent: what fails here would fail at the CA.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ahead {
    /// For which account: CAA records may name it, and its CA.
    pub account: Account,
    /// The CA's names in CAA records, where the issuer tells them; else its directory's.
    pub caa_identities: Vec<Arc<str>>,
    /// Every name.
    pub proofs: Vec<Proof>,
    /// How a name that fails is counted.
    pub trial: Trial,
}

/// What the claim of an Order takes and writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimOrder {
    /// The URL of the account that the claim names.
    pub account: Arc<str>,
    /// The set of names, which no two Orders of an account may be under way with.
    pub set: Digest,
    /// Orders of the same names that are known to be under way, and do not matter: they are of
    /// other accounts, or nobody serves them.
    pub beside: Vec<Uid>,
    /// What is looked at first.
    pub ahead: Ahead,
    /// The namespace of the ConfigMaps.
    pub namespace: Arc<str>,
    /// What is taken; empty if no limit is known.
    pub charges: Vec<Charge>,
}

/// An order to be placed (RFC 8555, section 7.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceOrder {
    /// For which account.
    pub account: Account,
    /// DNS names, sorted, each once.
    pub dns: Vec<Arc<str>>,
    /// IP addresses, sorted, each once.
    pub ips: Vec<Arc<str>>,
    /// The validity to ask for, in milliseconds; none for the CA's own.
    pub duration_ms: Option<i64>,
    /// The profile; empty for none.
    pub profile: Arc<str>,
    /// The identifier of the certificate that is replaced; empty for none.
    pub replaces: Arc<str>,
    /// When the claim was written. One written by this process a moment ago was not sent yet; an
    /// older one may have been, so the order is looked for first.
    pub claimed: Timestamp,
    /// What the claim took: given back if the CA refuses the order, corrected by a 429.
    pub charges: Vec<Charge>,
    /// The namespace of the ConfigMaps.
    pub namespace: Arc<str>,
    /// How it is counted.
    pub trial: Trial,
}

/// Authorizations to be read into an Order's status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadAuthorizations {
    /// For which account.
    pub account: Account,
    /// The order's URL; it is read for its authorizations if there are none yet.
    pub order: Arc<str>,
    /// The URLs of those that were not read yet, in the order of the status.
    pub urls: Vec<Arc<str>>,
    /// How it is counted.
    pub trial: Trial,
}

/// A Challenge to be created.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewChallenge {
    /// For which account.
    pub account: Account,
    /// Its name.
    pub name: Arc<str>,
    /// Its spec as JSON, without `key`.
    pub spec: Arc<str>,
    /// How it is met, which decides on what `key` is made of.
    pub method: Method,
    /// The challenge's token.
    pub token: Arc<str>,
}

/// What is written into an Order that the CA still calls pending.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The state.
    pub state: AcmeState,
    /// The reason.
    pub reason: Arc<str>,
    /// The class.
    pub class: Class,
}

/// A look at an order of which a challenge was lost.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowOrder {
    /// For which account.
    pub account: Account,
    /// The order's URL.
    pub url: Arc<str>,
    /// What to write if it is still pending; with none, it is looked at again later.
    pub if_pending: Option<Verdict>,
    /// The issuer common name of the topmost certificate of the chain to choose; empty for none.
    pub preferred_chain: Arc<str>,
    /// The Event that goes with the chain.
    pub complete: Event,
    /// How it is counted.
    pub trial: Trial,
}

/// An order to be brought to its end: looked at, finalized if it is ready, looked at for a few
/// seconds as often as the CA allows, and its chain stored. What takes longer is written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinalizeOrder {
    /// For which account.
    pub account: Account,
    /// The order's URL.
    pub url: Arc<str>,
    /// Where the request is sent.
    pub finalize_url: Arc<str>,
    /// The issuer common name of the topmost certificate of the chain to choose; empty for none.
    pub preferred_chain: Arc<str>,
    /// The Event that goes with the chain.
    pub complete: Event,
    /// How it is counted.
    pub trial: Trial,
}

/// What is presented of a challenge, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// How.
    pub solver: Solver,
    /// The name to prove, without `*.`.
    pub dns_name: Arc<str>,
    /// Where the solver's Secrets and service accounts are.
    pub namespace: Arc<str>,
    /// Whether credentials of the surroundings may be used.
    pub ambient: bool,
}

/// How a challenge is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Solver {
    /// A file over HTTP.
    Http01 {
        /// The token, the last segment of its path.
        token: Arc<str>,
        /// The key authorization, its content.
        key: Arc<str>,
        /// `spec.solver` as JSON.
        config: Arc<str>,
        /// Whether a Pod answers if nobody sees the operator's own answer: it was presented long
        /// enough ago.
        fall_back: bool,
    },
    /// A handshake (RFC 8737).
    TlsAlpn01 {
        /// The token.
        token: Arc<str>,
        /// The key authorization, whose digest the certificate carries.
        key: Arc<str>,
    },
    /// A TXT record at `_acme-challenge.<name>`.
    Dns01 {
        /// Its value.
        value: Arc<str>,
        /// `spec.solver` as JSON.
        config: Arc<str>,
    },
}

/// A challenge to be presented. If a check is wanted, it is looked for from outside for a few
/// seconds: what was seen is written as seen (`everleaf.dev/acme-seen`), which tells of the
/// presentation too; else the status says that it was presented.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Present {
    /// What.
    pub answer: Answer,
    /// Whether it is looked for; no if a wait stands for that.
    pub check: bool,
    /// How it is counted.
    pub trial: Trial,
}

/// A look from outside at what was presented.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelfCheck {
    /// What.
    pub answer: Answer,
    /// When it was presented.
    pub presented_at: Timestamp,
    /// How it is counted.
    pub trial: Trial,
}

/// A challenge that the CA is told to validate, or whose authorization is looked at, for a few
/// seconds as often as the CA allows. What takes longer is written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validate {
    /// For which account.
    pub account: Account,
    /// The authorization's URL.
    pub authorization_url: Arc<str>,
    /// The challenge's URL.
    pub url: Arc<str>,
    /// What a failed authorization takes, if such a limit is known.
    pub failure: Option<Charge>,
    /// The namespace of the ConfigMaps.
    pub namespace: Arc<str>,
    /// The Event that goes with success.
    pub verified: Event,
    /// How it is counted.
    pub trial: Trial,
}

/// What was presented is to be removed, and our finalizer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanUp {
    /// What was presented; `None` if nothing was, or another open Challenge needs the very same:
    /// then only the finalizer goes.
    pub answer: Option<Answer>,
    /// Whether the finalizer goes even if the removal fails, for it failed long enough.
    pub give_up: bool,
}

/// A question to a CA when it would like a certificate to be renewed (RFC 9773). What it says is
/// written into the Certificate's status, by [`learned`](crate::acme::ari::learned) and
/// [`status`](crate::acme::ari::status), if it is news.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskWindow {
    /// The account, for the way to its CA; nothing is signed.
    pub account: Account,
    /// The certificate's identifier (RFC 9773, section 4.1).
    pub certificate: Arc<str>,
    /// What is written of it already.
    pub known: AriStatus,
    /// When it was stored.
    pub stored: Timestamp,
    /// How long to wait before the next question.
    pub pauses: Pauses,
    /// What its renewal keeps to; none if renewal windows of the user's own decide too.
    pub bounds: Option<Bounds>,
}

/// Something to be done for ACME.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Acme {
    /// See to an issuer's account.
    Register(Box<Register>),
    /// Create the Order of a CertificateRequest.
    CreateOrder(Box<NewOrder>),
    /// Take an Order's certificate over into the CertificateRequest.
    TakeCertificate {
        /// The Order.
        order: ObjectKey<Kind>,
        /// As it was decided on.
        base: Base,
        /// The digest of the leaf.
        leaf: Digest,
        /// The request's conditions to be written beside `Ready=True`, as JSON.
        conditions: Arc<str>,
    },
    /// Take the tokens, then write the claim.
    Claim(Box<ClaimOrder>),
    /// Find or place the order.
    Place(Box<PlaceOrder>),
    /// Read authorizations.
    ReadAuthorizations(Box<ReadAuthorizations>),
    /// Create a Challenge.
    CreateChallenge(Box<NewChallenge>),
    /// Look at an order.
    Follow(Box<FollowOrder>),
    /// Finalize an order.
    Finalize(Box<FinalizeOrder>),
    /// Set the finalizer of a Challenge, and take the older spelling away.
    Guard,
    /// Present a challenge.
    Present(Box<Present>),
    /// Look for it from outside.
    SelfCheck(Box<SelfCheck>),
    /// Tell the CA to validate.
    Accept(Box<Validate>),
    /// Look at the authorization.
    Poll(Box<Validate>),
    /// Remove what was presented.
    CleanUp(Box<CleanUp>),
    /// Ask when a certificate should be renewed.
    AskWindow(Box<AskWindow>),
}

/// A limit by its bucket, for texts.
pub fn limit_name(bucket: &str) -> &'static str {
    match bucket.split_once(':').map(|(kind, _)| kind) {
        Some("o") => "new orders of the account",
        Some("d") => "certificates of the registered domain",
        Some("s") => "certificates of this exact set of names",
        Some("f") => "failed authorizations of the name",
        _ => "a limit of the CA",
    }
}

/// A limit, as people say it.
pub fn limit_text(limit: Limit) -> String {
    let seconds = limit.capacity.saturating_mul(limit.interval_ms) / 1000;
    let (period, unit) = match seconds {
        s if s % 86_400 == 0 && s > 0 => (s / 86_400, "days"),
        s if s % 3600 == 0 && s > 0 => (s / 3600, "hours"),
        s => (s, "seconds"),
    };
    format!("{} in {period} {unit}", limit.capacity)
}

/// Annotations to be written on the object itself before its status.
pub type Annotations = Strings;
