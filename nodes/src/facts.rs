//! What decisions read of each object: names, digests, times and conditions; never key material,
//! never certificates.

mod acme;
mod outputs;

pub use acme::*;
pub use outputs::*;

use everleaf_engine::{Digest, Timestamp, Uid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kinds of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `cert-manager.io/v1` Certificate.
    Certificate,
    /// `cert-manager.io/v1` CertificateRequest.
    CertificateRequest,
    /// `cert-manager.io/v1` Issuer.
    Issuer,
    /// `cert-manager.io/v1` ClusterIssuer.
    ClusterIssuer,
    /// `v1` Secret.
    Secret,
    /// `networking.k8s.io/v1` Ingress.
    Ingress,
    /// A private key that this process holds in memory, named by its Certificate's UID.
    Key,
    /// `acme.cert-manager.io/v1` Order.
    Order,
    /// `acme.cert-manager.io/v1` Challenge.
    Challenge,
    /// `v1` ConfigMap; only those of ours that hold budgets.
    ConfigMap,
}

impl Kind {
    /// The kind as the plan and the API spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "Certificate",
            Self::CertificateRequest => "CertificateRequest",
            Self::Issuer => "Issuer",
            Self::ClusterIssuer => "ClusterIssuer",
            Self::Secret => "Secret",
            Self::Ingress => "Ingress",
            Self::Key => "Key",
            Self::Order => "Order",
            Self::Challenge => "Challenge",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Certificate,
        Self::CertificateRequest,
        Self::Issuer,
        Self::ClusterIssuer,
        Self::Secret,
        Self::Ingress,
        Self::Key,
        Self::Order,
        Self::Challenge,
        Self::ConfigMap,
    ];
}

/// What decisions read of one object.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Facts {
    /// Of a Certificate.
    Certificate(Box<CertificateFacts>),
    /// Of a CertificateRequest.
    Request(Box<RequestFacts>),
    /// Of an Issuer or ClusterIssuer.
    Issuer(Box<IssuerFacts>),
    /// Of a Secret.
    Secret(Box<SecretFacts>),
    /// Of an Ingress.
    Ingress(Box<IngressFacts>),
    /// Of a private key in memory.
    Key(KeyFacts),
    /// Of an Order.
    Order(Box<OrderFacts>),
    /// Of a Challenge.
    Challenge(Box<ChallengeFacts>),
    /// Of a ConfigMap that holds budgets.
    Budget(BudgetFacts),
}

impl Facts {
    /// The Certificate's facts, if they are such.
    pub fn certificate(&self) -> Option<&CertificateFacts> {
        if let Self::Certificate(facts) = self { Some(facts) } else { None }
    }

    /// The CertificateRequest's facts, if they are such.
    pub fn request(&self) -> Option<&RequestFacts> {
        if let Self::Request(facts) = self { Some(facts) } else { None }
    }

    /// The issuer's facts, if they are such.
    pub fn issuer(&self) -> Option<&IssuerFacts> {
        if let Self::Issuer(facts) = self { Some(facts) } else { None }
    }

    /// The Secret's facts, if they are such.
    pub fn secret(&self) -> Option<&SecretFacts> {
        if let Self::Secret(facts) = self { Some(facts) } else { None }
    }

    /// The Ingress' facts, if they are such.
    pub fn ingress(&self) -> Option<&IngressFacts> {
        if let Self::Ingress(facts) = self { Some(facts) } else { None }
    }

    /// The key's facts, if they are such.
    pub fn key(&self) -> Option<&KeyFacts> {
        if let Self::Key(facts) = self { Some(facts) } else { None }
    }

    /// The Order's facts, if they are such.
    pub fn order(&self) -> Option<&OrderFacts> {
        if let Self::Order(facts) = self { Some(facts) } else { None }
    }

    /// The Challenge's facts, if they are such.
    pub fn challenge(&self) -> Option<&ChallengeFacts> {
        if let Self::Challenge(facts) = self { Some(facts) } else { None }
    }

    /// The budgets, if they are such.
    pub fn budget(&self) -> Option<&BudgetFacts> {
        if let Self::Budget(facts) = self { Some(facts) } else { None }
    }
}

/// SHA-256 of a SubjectPublicKeyInfo, in lowercase hexadecimal digits.
pub type Fingerprint = Arc<str>;

/// A condition, verbatim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Condition {
    /// Its type, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// `True`, `False` or `Unknown`.
    pub status: Arc<str>,
    /// One word.
    #[serde(default)]
    pub reason: Arc<str>,
    /// For people.
    #[serde(default)]
    pub message: Arc<str>,
    /// When `status` turned last.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// The generation that it speaks of.
    #[serde(default)]
    pub generation: Option<i64>,
}

impl Condition {
    /// Whether its status is `True`.
    pub fn is_true(&self) -> bool {
        &*self.status == "True"
    }
}

/// Finds a condition by type.
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| *condition.kind == *kind)
}

/// The object that controls another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Controller {
    /// Its kind.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its UID.
    pub uid: Uid,
}

/// A reference to an issuer, as it was written; empty kind and group stand for their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IssuerRef {
    /// The name.
    pub name: Arc<str>,
    /// The kind, or empty.
    pub kind: Arc<str>,
    /// The group, or empty.
    pub group: Arc<str>,
}

impl IssuerRef {
    /// The kind; `Issuer` if none was written.
    pub fn kind_or_default(&self) -> &str {
        if self.kind.is_empty() { "Issuer" } else { &self.kind }
    }

    /// The group; cert-manager's if none was written.
    pub fn group_or_default(&self) -> &str {
        if self.group.is_empty() { "cert-manager.io" } else { &self.group }
    }

    /// Whether the issuer is one of cert-manager's own kinds.
    pub fn is_ours(&self) -> bool {
        self.group_or_default() == "cert-manager.io"
            && matches!(self.kind_or_default(), "Issuer" | "ClusterIssuer")
    }

    /// Whether both point at the same issuer.
    pub fn same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.kind_or_default() == other.kind_or_default()
            && self.group_or_default() == other.group_or_default()
    }
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyKind {
    /// RSA of so many bits.
    Rsa(u32),
    /// ECDSA on the curve of so many bits: 256, 384 or 521.
    Ecdsa(u32),
    /// Ed25519.
    Ed25519,
}

/// What a Certificate wants of its private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyWish {
    /// The kind, defaults applied.
    pub kind: KeyKind,
    /// Whether it is written as PKCS#8.
    pub pkcs8: bool,
    /// Whether each revision gets a new key.
    pub rotate: bool,
}

/// The names in a subject, in the order written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subject {
    /// organizationName.
    pub organizations: Vec<Arc<str>>,
    /// organizationalUnitName.
    pub organizational_units: Vec<Arc<str>>,
    /// countryName.
    pub countries: Vec<Arc<str>>,
    /// stateOrProvinceName.
    pub provinces: Vec<Arc<str>>,
    /// localityName.
    pub localities: Vec<Arc<str>>,
    /// streetAddress.
    pub street_addresses: Vec<Arc<str>>,
    /// postalCode.
    pub postal_codes: Vec<Arc<str>>,
    /// serialNumber.
    pub serial_number: Arc<str>,
}

/// Subject alternative names. Addresses are in canonical form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Names {
    /// dNSName.
    pub dns: Vec<Arc<str>>,
    /// iPAddress.
    pub ips: Vec<Arc<str>>,
    /// uniformResourceIdentifier.
    pub uris: Vec<Arc<str>>,
    /// rfc822Name.
    pub emails: Vec<Arc<str>>,
    /// otherName: an object identifier and a UTF-8 string.
    pub others: Vec<(Arc<str>, Arc<str>)>,
}

/// One side of a CA's name constraints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConstraintNames {
    /// DNS domains.
    pub dns_domains: Vec<Arc<str>>,
    /// Address ranges in CIDR notation.
    pub ip_ranges: Vec<Arc<str>>,
    /// Mail addresses and domains.
    pub emails: Vec<Arc<str>>,
    /// URI domains.
    pub uri_domains: Vec<Arc<str>>,
}

/// A CA's name constraints (RFC 5280, section 4.2.1.10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Constraints {
    /// Whether they are marked critical.
    pub critical: bool,
    /// What names must lie in.
    pub permitted: ConstraintNames,
    /// What names must not lie in.
    pub excluded: ConstraintNames,
}

/// What a Certificate wants certified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wish {
    /// commonName; empty for none.
    pub common_name: Arc<str>,
    /// The rest of the subject.
    pub subject: Subject,
    /// The whole subject as RFC 4514 text, instead of the two above; empty for none.
    pub literal_subject: Arc<str>,
    /// The digest of `literal_subject` in DER; only where there is one.
    pub literal_subject_der: Option<Digest>,
    /// Subject alternative names.
    pub names: Names,
    /// Whether a CA's certificate is wanted.
    pub is_ca: bool,
    /// Usages as written; empty for the default.
    pub usages: Vec<Arc<str>>,
    /// Whether usages are written into the request.
    pub encode_usages: bool,
    /// Name constraints.
    pub constraints: Option<Constraints>,
    /// The signature algorithm of the request; empty for the key's own.
    pub signature_algorithm: Arc<str>,
}

/// When a certificate is to be renewed, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RenewalWish {
    /// `renewBefore` in milliseconds.
    pub renew_before_ms: Option<i64>,
    /// `renewBeforePercentage`.
    pub percentage: Option<i32>,
    /// `renewal.policy` is `Disabled`.
    pub disabled: bool,
    /// `renewal.windows`: cron expression, time zone and duration in milliseconds.
    pub windows: Vec<(Arc<str>, Arc<str>, i64)>,
}

/// The status of a Certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateStatus {
    /// Every condition, verbatim.
    pub conditions: Vec<Condition>,
    /// When the last attempt failed.
    pub last_failure: Option<Timestamp>,
    /// How often in a row attempts failed.
    pub failed_attempts: Option<i64>,
    /// The Secret that holds the next private key.
    pub next_key_secret: Option<Arc<str>>,
    /// The leaf's notBefore.
    pub not_before: Option<Timestamp>,
    /// The leaf's notAfter.
    pub not_after: Option<Timestamp>,
    /// When it is to be renewed.
    pub renewal: Option<Timestamp>,
    /// The revision that the Secret holds.
    pub revision: Option<i64>,
    /// The suggested renewal window.
    pub ari: AriStatus,
}

/// Something about an object that a person has to mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// The field's path, or the annotation's key.
    pub path: Arc<str>,
    /// What is wrong, and what to do.
    pub message: Arc<str>,
}

/// What decisions read of a Certificate.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// creationTimestamp.
    pub created: Timestamp,
    /// metadata.generation.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Who controls it.
    pub controller: Option<Controller>,
    /// Its labels; they are copied to requests.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Those annotations that are copied to requests.
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// spec.secretName.
    pub secret_name: Arc<str>,
    /// spec.issuerRef.
    pub issuer: IssuerRef,
    /// The issuers that are asked when those before cannot issue, in order, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<IssuerRef>,
    /// What failed last at each issuer, where our annotation tells it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuer_failures: Vec<IssuerFailure>,
    /// spec.duration: the text and milliseconds.
    pub duration: Option<(Arc<str>, i64)>,
    /// What is wanted of the key.
    pub key: KeyWish,
    /// What is wanted certified.
    pub wish: Wish,
    /// When it is to be renewed.
    pub renewal: RenewalWish,
    /// How many requests are kept.
    pub history: Option<i32>,
    /// The entries wanted in the Secret beside the pair; see [`CertificateFacts::outputs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Box<Outputs>>,
    /// The labels and annotations wanted on the Secret; see [`CertificateFacts::template`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Box<Template>>,
    /// The digest of the whole spec, defaults applied, passwords left out.
    pub spec: Digest,
    /// What breaks the API's rules, or cannot be honoured by this build.
    pub problems: Vec<Problem>,
    /// Whether a temporary certificate is asked for until the first is issued.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub temporary: bool,
    /// The class of the last failure, where our annotation tells it: it outlives the request.
    #[serde(default)]
    pub failure_note: Option<FailureNote>,
    /// The status.
    pub status: CertificateStatus,
}

impl CertificateFacts {
    /// Every issuer that may be asked, the first first.
    pub fn issuers(&self) -> impl DoubleEndedIterator<Item = &IssuerRef> {
        std::iter::once(&self.issuer).chain(&self.fallbacks)
    }

    /// The listed issuer that a reference names.
    pub fn listed(&self, issuer: &IssuerRef) -> Option<&IssuerRef> {
        self.issuers().find(|listed| listed.same(issuer))
    }
}

/// The last failure of one issuer of a Certificate that lists several; an entry of the annotation
/// `everleaf.dev/issuer-failures`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerFailure {
    /// The issuer, defaults applied.
    pub issuer: IssuerRef,
    /// The revision that was worked towards.
    pub revision: i64,
    /// The attempt that failed, counted over all issuers.
    pub attempt: i64,
    /// How often in a row this issuer failed, in attempts at that revision.
    pub failures: i64,
    /// The class; [`Class::Wait`] of an issuer that was missing or not Ready.
    pub class: Class,
    /// When it failed.
    pub at: Timestamp,
    /// When it may be tried again, where the CA said so.
    pub not_before: Option<Timestamp>,
    /// For people, at most 256 bytes.
    pub detail: Arc<str>,
}

/// A leaf certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaf {
    /// Of its DER.
    pub digest: Digest,
    /// Of its public key.
    pub fingerprint: Fingerprint,
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it ceases to be valid.
    pub not_after: Timestamp,
    /// commonName.
    pub common_name: Arc<str>,
    /// The rest of the subject.
    pub subject: Subject,
    /// Subject alternative names.
    pub names: Names,
    /// Whether it is a CA's, and its keyUsage, if it has one, allows signing certificates.
    pub can_sign: bool,
    /// Certificates in the chain, this one included.
    pub chain: u8,
    /// Its identifier in renewal information (RFC 9773, section 4.1); none if it has no authority
    /// key identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari_id: Option<Arc<str>>,
}

/// Something that was parsed: absent, broken, or good.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Parsed<T> {
    /// It is not there.
    Missing,
    /// It cannot be read; why.
    Broken(Arc<str>),
    /// It was read.
    Good(T),
}

impl<T> Parsed<T> {
    /// The good one.
    pub fn good(&self) -> Option<&T> {
        if let Self::Good(good) = self { Some(good) } else { None }
    }
}

/// A private key, by what may be told of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFacts {
    /// Of its public key.
    pub fingerprint: Fingerprint,
    /// Its kind.
    pub kind: KeyKind,
}

/// What of a Secret was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// Only metadata was watched.
    Unread,
    /// It was read at this resourceVersion.
    Read(Box<Material>),
}

/// Certificate and key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// `tls.key`.
    pub key: Parsed<KeyFacts>,
    /// `tls.crt`.
    pub leaf: Parsed<Leaf>,
    /// Whether the chain of `tls.crt` holds together, leaf first; if not, why.
    pub chain_fault: Option<Arc<str>>,
    /// Whether there is a `ca.crt`.
    pub has_ca: bool,
    /// Which of [`ENTRIES`] are there, and whether they are what the pair gives; of keystores, which
    /// nobody opens, that is taken for granted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<Arc<str>, bool>,
}

/// What decisions read of a Secret.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretFacts {
    /// Who controls it.
    pub controller: Option<Controller>,
    /// cert-manager's label `controller.cert-manager.io/fao`, if there is one.
    pub label: Option<Arc<str>>,
    /// Whether it holds a next private key.
    pub next_key: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its annotations under `cert-manager.io/`.
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// What else of it is ours; see [`SecretFacts::managed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Box<Managed>>,
    /// Certificate and key.
    pub content: Content,
}

impl SecretFacts {
    /// Certificate and key, if they were read.
    pub fn material(&self) -> Option<&Material> {
        if let Content::Read(material) = &self.content { Some(material) } else { None }
    }

    /// The annotation `cert-manager.io/<name>`.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        let own = |key: &str| key.strip_prefix("cert-manager.io/") == Some(name);
        self.annotations.iter().find(|(key, _)| own(key)).map(|(_, value)| &**value)
    }
}

/// A certificate signing request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Csr {
    /// Of its public key.
    pub fingerprint: Fingerprint,
    /// commonName.
    pub common_name: Arc<str>,
    /// The rest of the subject.
    pub subject: Subject,
    /// The digest of the subject's DER.
    pub subject_der: Digest,
    /// Subject alternative names.
    pub names: Names,
}

/// What decisions read of a CertificateRequest.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestFacts {
    /// creationTimestamp.
    pub created: Timestamp,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Who controls it.
    pub controller: Option<Controller>,
    /// The revision that its annotation names, if it names one.
    pub revision: Option<i64>,
    /// The attempt that our annotation names.
    pub attempt: Option<i64>,
    /// The UID of the Certificate that our annotation names.
    pub owner_uid: Option<Uid>,
    /// The Secret that its annotation names as holding the private key.
    pub key_secret: Option<Arc<str>>,
    /// spec.issuerRef.
    pub issuer: IssuerRef,
    /// spec.duration in milliseconds.
    pub duration_ms: Option<i64>,
    /// spec.isCA.
    pub is_ca: bool,
    /// spec.usages.
    pub usages: Vec<Arc<str>>,
    /// spec.request.
    pub csr: Parsed<Csr>,
    /// status.certificate.
    pub certificate: Parsed<Leaf>,
    /// Every condition, verbatim.
    pub conditions: Vec<Condition>,
    /// status.failureTime.
    pub failure: Option<Timestamp>,
    /// What breaks the API's rules, which an admission webhook would have refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The class of the failure, where our annotation tells it.
    #[serde(default)]
    pub failure_note: Option<FailureNote>,
    /// Whether it renews a certificate of the same names by the same issuer; our annotation.
    #[serde(default)]
    pub renews: bool,
    /// The URL of the ACME account that it was made for; our annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme_account: Option<Arc<str>>,
    /// What it renews at an ACME CA; our annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<RenewalNote>,
    /// Whether its Certificate lists other issuers, and so wants to know early what holds it up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_fallback: bool,
}

/// What an issuer signs with.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Signer {
    /// A key pair in a Secret.
    Ca {
        /// The Secret.
        secret: Arc<str>,
        /// Where to find revocation lists.
        crl: Vec<Arc<str>>,
        /// Where to ask for a certificate's status.
        ocsp: Vec<Arc<str>>,
        /// Where to find the issuer's certificate.
        urls: Vec<Arc<str>>,
    },
    /// The request's own key.
    SelfSigned {
        /// Where to find revocation lists.
        crl: Vec<Arc<str>>,
    },
    /// An account at an ACME CA.
    Acme(Box<AcmeFacts>),
    /// Something that this build cannot sign with yet; its name in the spec.
    Other(Arc<str>),
    /// Nothing, or more than one thing.
    None,
}

/// What decisions read of an Issuer or ClusterIssuer.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerFacts {
    /// metadata.generation.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What it signs with.
    pub signer: Signer,
    /// What breaks the API's rules.
    pub problems: Vec<Problem>,
    /// Every condition, verbatim.
    pub conditions: Vec<Condition>,
    /// The ACME account, and what is remembered of it.
    #[serde(default)]
    pub account: AccountMemory,
}

/// What decisions read of an Ingress.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressFacts {
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its labels; they are copied to Certificates.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Its annotations.
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// Its TLS blocks: the Secret's name and the hosts.
    pub tls: Vec<(Arc<str>, Vec<Arc<str>>)>,
}
