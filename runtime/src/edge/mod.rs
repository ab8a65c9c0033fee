//! The edge: where PEM and DER are read, bounded, and only facts go on.

mod beside;
mod recent;
mod wish;

pub use wish::{csr_spec, key_kind, pki_key_kind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_api::gates::{FeatureGates, Gate};
use everleaf_api::names::{self, CopiedAnnotations};
use everleaf_api::types::certificate::CertificateSpec;
use everleaf_api::types::certificate_request::CertificateRequestSpec;
use everleaf_api::{
    Certificate, CertificateRequest, Challenge, Issuer, ObjectMeta, Order, subject, validate,
};
use everleaf_engine::{Delta, Digest, ObjectKey, Timestamp, digest_of};
use everleaf_nodes::acme::ari;
use everleaf_nodes::facts::{
    Content, Csr, Facts, KeyFacts, Leaf, Material, Names, Parsed, Problem, SecretFacts, Subject,
};
use everleaf_nodes::{Kind, budget, feed, project};
use everleaf_pki::{
    CertInfo, ChainHint, CsrInfo, Limits, Name, Oid, PairPart, PairReport, PrivateKey,
    SubjectFields, inspect_pair,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// An object that cannot be told in facts. It is left out of the world and said aloud.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {message}")]
pub struct Unreadable {
    /// Which.
    pub object: String,
    /// What is wrong, and in which field.
    pub message: String,
}

/// Turns objects into facts.
#[derive(Clone, Debug)]
pub struct Projector {
    copied: Arc<CopiedAnnotations>,
    recent: recent::Recent,
    gates: Option<Arc<FeatureGates>>,
    /// Bounds of every PEM text.
    pub limits: Limits,
}

/// An object, read.
#[derive(Clone, Debug)]
pub struct Read {
    /// The feed that shows such an object.
    pub feed: u8,
    /// Where it is.
    pub key: ObjectKey<Kind>,
    /// Its UID.
    pub uid: Arc<str>,
    /// Its resourceVersion.
    pub rv: u64,
    /// What decisions read of it.
    pub facts: Facts,
}

impl Read {
    /// As a feed shows it.
    pub fn watched(self) -> Delta<Kind, Facts> {
        let Self { feed, key, uid, rv, facts } = self;
        Delta::Applied { feed, key, uid, rv, live: false, facts }
    }

    /// As a live read, or the answer to a write, shows it.
    pub fn live(self) -> Delta<Kind, Facts> {
        let Self { feed, key, uid, rv, facts } = self;
        Delta::Applied { feed, key, uid, rv, live: true, facts }
    }
}

/// The metadata of an object, whatever it is.
pub fn meta_of(object: &Value) -> ObjectMeta {
    let meta = object.get("metadata").cloned().unwrap_or_default();
    serde_json::from_value(meta).unwrap_or_default()
}

/// The resourceVersion as a number; 0 if it is none. API servers over etcd count in integers.
pub fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.parse().unwrap_or(0)
}

impl Projector {
    /// A projector that copies these annotations to requests and keeps within those limits.
    pub fn new(copied: CopiedAnnotations, limits: Limits) -> Self {
        let recent = recent::Recent::default();
        Self { copied: Arc::new(copied), recent, gates: None, limits }
    }

    /// The same, under other feature gates than the defaults.
    #[must_use]
    pub fn gated(self, gates: FeatureGates) -> Self {
        let set = gates != FeatureGates::defaults(gates.component());
        Self { gates: set.then(|| Arc::new(gates)), ..self }
    }

    /// Whether requests say in their basic constraints whether they are for a CA.
    pub fn encodes_basic_constraints(&self) -> bool {
        let gates = self.gates.as_ref();
        gates.is_some_and(|gates| gates.enabled(Gate::UseCertificateRequestBasicConstraints))
    }

    /// What breaks the API's rules only because a feature gate is off.
    fn shut(&self, spec: &CertificateSpec) -> Vec<Problem> {
        let Some(gates) = &self.gates else { return Vec::new() };
        let anyway = validate::certificate(spec);
        let found = validate::certificate_gated(spec, gates);
        let shut = found.into_iter().filter(|violation| !anyway.contains(violation));
        shut.map(|violation| Problem {
            path: violation.path.as_str().into(),
            message: violation.message.as_str().into(),
        })
        .collect()
    }

    /// Reads an object of a kind; a Secret of which only metadata is given is unread.
    ///
    /// # Errors
    /// If it is not of the kind's form.
    pub fn read(&self, kind: Kind, object: &Value) -> Result<Read, Unreadable> {
        let meta = meta_of(object);
        let key = ObjectKey::new(kind, meta.namespace.as_str(), meta.name.as_str());
        let facts = self
            .facts(kind, &meta, object)
            .map_err(|error| Unreadable { object: key.to_string(), message: error.to_string() })?;
        let (uid, rv) = (meta.uid.as_str().into(), version(&meta));
        Ok(Read { feed: feed_of(kind, &meta), key, uid, rv, facts })
    }

    /// Reads an object that we just wrote, whole, as the API server answered; its watch will show
    /// the same.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_own(&self, kind: Kind, object: &Value) -> Result<Read, Unreadable> {
        let read = self.read(kind, object)?;
        self.recent.put(kind, &read);
        Ok(read)
    }

    /// Reads an object that a watch shows, unless it is what we wrote and read before.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_shown(&self, kind: Kind, object: &Value) -> Result<Read, Unreadable> {
        let text = |field| object.pointer(field).and_then(Value::as_str).unwrap_or_default();
        let rv = text("/metadata/resourceVersion").parse().unwrap_or(0);
        match self.recent.take(kind, text("/metadata/uid"), rv) {
            Some(read) => Ok(read),
            None => self.read(kind, object),
        }
    }

    fn facts(
        &self,
        kind: Kind,
        meta: &ObjectMeta,
        object: &Value,
    ) -> Result<Facts, serde_json::Error> {
        Ok(match kind {
            Kind::Certificate => {
                let certificate: Certificate = parse(object)?;
                let literal = certificate.spec.literal_subject.as_deref().and_then(subject_digest);
                let mut facts = project::certificate(&certificate, &self.copied, literal);
                facts.problems.extend(self.shut(&certificate.spec));
                Facts::Certificate(Box::new(facts))
            }
            Kind::CertificateRequest => {
                let request: CertificateRequest = parse(object)?;
                let (csr, broken) = self.csr(&request.spec);
                let leaf = self.chain(request.status.certificate.as_ref().map(|b| &b.0[..])).0;
                let mut facts = project::request(&request, csr, leaf);
                facts.problems.extend(broken.into_iter().map(project::problem));
                Facts::Request(Box::new(facts))
            }
            Kind::Issuer => {
                let issuer: Issuer = parse(object)?;
                let facts = project::issuer(&issuer.metadata, &issuer.spec, &issuer.status);
                Facts::Issuer(Box::new(facts))
            }
            Kind::ClusterIssuer => {
                let issuer: everleaf_api::ClusterIssuer = parse(object)?;
                let facts = project::issuer(&issuer.metadata, &issuer.spec, &issuer.status);
                Facts::Issuer(Box::new(facts))
            }
            Kind::Secret => Facts::Secret(Box::new(self.secret(meta, object))),
            Kind::Ingress => Facts::Ingress(Box::new(project::ingress(meta, object))),
            Kind::Order => {
                let order: Order = parse(object)?;
                let leaf = self.chain(order.status.certificate.as_ref().map(|b| &b.0[..])).0;
                Facts::Order(Box::new(project::order(&order, leaf)))
            }
            Kind::Challenge => {
                let challenge: Challenge = parse(object)?;
                Facts::Challenge(Box::new(project::challenge(&challenge)))
            }
            Kind::ConfigMap => {
                let data = object.get("data").and_then(|data| data.get(budget::DATA_KEY));
                Facts::Budget(project::budget(data.and_then(Value::as_str)))
            }
            Kind::Key => return Err(serde::de::Error::custom("no kind of the API")),
        })
    }

    fn secret(&self, meta: &ObjectMeta, object: &Value) -> SecretFacts {
        let whole = object.get("data").is_some() || object.get("type").is_some();
        let content =
            if whole { Content::Read(Box::new(self.material(object))) } else { Content::Unread };
        let label = |key: &str| meta.labels.get(key).map(|value| value.as_str());
        let own = meta.annotations.iter().filter(|(key, _)| key.starts_with(names::PREFIX));
        SecretFacts {
            controller: project::controller(meta),
            label: label(names::FILTERED_CACHING).map(Into::into),
            next_key: label(names::NEXT_PRIVATE_KEY) == Some("true"),
            deleting: meta.is_deleting(),
            annotations: own.map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
            managed: project::managed(object),
            content,
        }
    }

    fn material(&self, object: &Value) -> Material {
        let data = |name: &str| decoded(object, name);
        let (crt, key) = (data("tls.crt"), data("tls.key"));
        let key_facts = match key.as_deref() {
            None | Some([]) => Parsed::Missing,
            Some(pem) => match PrivateKey::from_pem(pem, &self.limits) {
                Ok(key) => Parsed::Good(key_facts(&key)),
                Err(error) => Parsed::Broken(error.to_string().into()),
            },
        };
        let (leaf, mut chain_fault) = self.chain(crt.as_deref());
        if let (Some(crt), Some(key), None) = (&crt, &key, &chain_fault) {
            chain_fault = chain_hint(crt, key, &self.limits);
        }
        let has_ca = data("ca.crt").is_some_and(|ca| !ca.is_empty());
        let beside = beside::beside(object, crt.as_deref(), key.as_deref());
        Material { key: key_facts, leaf, chain_fault, has_ca, beside }
    }

    /// The leaf of a chain, and what is wrong with the rest.
    fn chain(&self, pem: Option<&[u8]>) -> (Parsed<Leaf>, Option<Arc<str>>) {
        let Some(pem) = pem.filter(|pem| !pem.is_empty()) else {
            return (Parsed::Missing, None);
        };
        match CertInfo::parse_chain(pem, &self.limits) {
            Ok(chain) => match chain.first() {
                Some(first) => (Parsed::Good(leaf(first, chain.len())), None),
                None => (Parsed::Broken("it holds no certificate".into()), None),
            },
            Err(error) => match first_of_torn(pem, &self.limits) {
                Some(first) => (Parsed::Good(leaf(&first, 1)), Some(error.to_string().into())),
                None => (Parsed::Broken(error.to_string().into()), None),
            },
        }
    }

    /// The signing request in a CertificateRequest, and where the spec says something else.
    fn csr(&self, spec: &CertificateRequestSpec) -> (Parsed<Csr>, Vec<validate::Violation>) {
        match CsrInfo::parse(&spec.request.0, &self.limits) {
            Ok(csr) => {
                let broken = validate::certificate_request_csr(spec, &asked_for(&csr));
                (Parsed::Good(csr_facts(&csr)), broken)
            }
            Err(error) => (Parsed::Broken(error.to_string().into()), Vec::new()),
        }
    }
}

fn csr_facts(csr: &CsrInfo) -> Csr {
    Csr {
        fingerprint: csr.public_key.fingerprint().into(),
        common_name: csr.subject.common_name().into(),
        subject: subject_facts(&csr.subject.fields()),
        subject_der: digest_of(csr.subject.as_der()),
        names: names_facts(&csr.alt_names),
    }
}

fn asked_for(csr: &CsrInfo) -> validate::CsrFacts {
    let purposes = csr.usages.purposes();
    let purposes = (!purposes.is_empty()).then(|| purposes.iter().map(Oid::to_string).collect());
    validate::CsrFacts {
        is_ca: csr.is_ca(),
        key_usage: csr.usages.key_usage(),
        extended_key_usage: purposes,
    }
}

fn parse<T: DeserializeOwned>(object: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(object)
}

/// The first certificate of a chain whose rest is cut off: it can still be judged.
fn first_of_torn(pem: &[u8], limits: &Limits) -> Option<CertInfo> {
    const END: &[u8] = b"-----END CERTIFICATE-----";
    let end = pem.windows(END.len()).position(|window| window == END)? + END.len();
    CertInfo::parse_chain(&pem[..end], limits).ok()?.into_iter().next()
}

fn chain_hint(crt: &[u8], key: &[u8], limits: &Limits) -> Option<Arc<str>> {
    match inspect_pair(crt, key, limits) {
        PairReport::Ok(pair) => pair.hints.first().map(|hint| match hint {
            ChainHint::CutOff(error) => format!("it is cut off: {error}").into(),
            ChainHint::NotIssuedByNext(at) => {
                format!("certificate {at} was not issued by the next").into()
            }
            ChainHint::TooLong(length) => format!("{length} certificates are too many").into(),
        }),
        PairReport::Undecodable { part: PairPart::Certificate, why } => Some(why.into()),
        PairReport::Missing { .. }
        | PairReport::Undecodable { .. }
        | PairReport::Mismatch { .. } => None,
    }
}

/// The feed that shows such an object.
pub fn feed_of(kind: Kind, meta: &ObjectMeta) -> u8 {
    match kind {
        Kind::Certificate => feed::CERTIFICATES,
        Kind::CertificateRequest => feed::REQUESTS,
        Kind::Issuer => feed::ISSUERS,
        Kind::ClusterIssuer => feed::CLUSTER_ISSUERS,
        Kind::Ingress => feed::INGRESSES,
        Kind::Key => feed::KEYS,
        Kind::Order => feed::ORDERS,
        Kind::Challenge => feed::CHALLENGES,
        Kind::ConfigMap => feed::BUDGETS,
        Kind::Secret => {
            let label = meta.labels.get(names::FILTERED_CACHING).map(String::as_str);
            if label == Some("true") { feed::LABELLED_SECRETS } else { feed::OTHER_SECRETS }
        }
    }
}

/// A value of a Secret's data; absent if it is no base64.
pub fn decoded(object: &Value, name: &str) -> Option<Vec<u8>> {
    let text = object.get("data")?.get(name)?.as_str()?;
    STANDARD.decode(text).ok()
}

/// What may be told of a private key.
pub fn key_facts(key: &PrivateKey) -> KeyFacts {
    KeyFacts { fingerprint: key.fingerprint().into(), kind: key_kind(key.kind()) }
}

fn subject_digest(literal: &str) -> Option<Digest> {
    Some(digest_of(literal_name(literal)?.as_der()))
}

/// A literal subject as a name; `None` if it is malformed, which the API's rules report.
pub fn literal_name(literal: &str) -> Option<Name> {
    let rdns = subject::parse(literal).ok()?;
    let rdns: Option<Vec<Vec<(Oid, String)>>> = rdns
        .into_iter()
        .map(|rdn| {
            let pair = |(oid, value): (String, String)| Some((oid.parse().ok()?, value));
            rdn.into_iter().map(pair).collect()
        })
        .collect();
    Some(Name::from_rdns(&rdns?))
}

fn leaf(certificate: &CertInfo, chain: usize) -> Leaf {
    let sha256 = certificate.sha256();
    Leaf {
        digest: digest_of(sha256.as_str()),
        fingerprint: certificate.public_key.fingerprint().into(),
        not_before: Timestamp::from_seconds(certificate.not_before),
        not_after: Timestamp::from_seconds(certificate.not_after),
        common_name: certificate.subject.common_name().into(),
        subject: subject_facts(&certificate.subject.fields()),
        names: names_facts(&certificate.alt_names),
        can_sign: certificate.may_sign_certificates(),
        chain: u8::try_from(chain).unwrap_or(u8::MAX),
        ari_id: ari_id(certificate),
    }
}

/// Longer key identifiers and serial numbers than this, in bytes, are no CA's.
const LONGEST_ID: usize = 64;

fn ari_id(certificate: &CertInfo) -> Option<Arc<str>> {
    let key_id = certificate.authority_key_id.as_ref()?;
    let short = key_id.len().max(certificate.serial.len()) <= LONGEST_ID;
    short.then(|| ari::certificate_id(key_id, &certificate.serial).into())
}

fn arcs(values: &[String]) -> Vec<Arc<str>> {
    values.iter().map(|value| value.as_str().into()).collect()
}

fn subject_facts(fields: &SubjectFields) -> Subject {
    Subject {
        organizations: arcs(&fields.organizations),
        organizational_units: arcs(&fields.organizational_units),
        countries: arcs(&fields.countries),
        provinces: arcs(&fields.provinces),
        localities: arcs(&fields.localities),
        street_addresses: arcs(&fields.street_addresses),
        postal_codes: arcs(&fields.postal_codes),
        serial_number: fields.serial_number.as_str().into(),
    }
}

fn names_facts(names: &everleaf_pki::AltNames) -> Names {
    let ip = |address: &std::net::IpAddr| address.to_canonical().to_string().into();
    Names {
        dns: arcs(&names.dns_names),
        ips: names.ip_addresses.iter().map(ip).collect(),
        uris: arcs(&names.uris),
        emails: arcs(&names.email_addresses),
        others: names
            .other_names
            .iter()
            .map(|other| (other.oid.to_string().into(), other.utf8_value.as_str().into()))
            .collect(),
    }
}
