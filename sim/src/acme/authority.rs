//! Real certificates for the CA's records: roots, intermediates, and leaves on request.

use std::fmt;

use everleaf_pki::{
    CaSigner, CertInfo, CsrError, CsrInfo, CsrSpec, Curve, Encoding, Issue, KeyError, KeyKind,
    Limits, Malformed, Name, PrivateKey, PublicKey, SignError, SubjectFields, Usage, self_sign,
};
use serde_json::{Value, json};

use super::identifier::{Identifier, Identifiers};
use super::issue::Leaf;

/// The validity of roots and intermediates, in seconds since 1970: always, for a simulation.
const ALWAYS: (i64, i64) = (0, 253_402_300_799);
/// Intermediates of one chain at most.
const MAX_INTERMEDIATES: usize = 8;
/// Roots at most.
const MAX_ROOTS: usize = 8;

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// A key could not be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A request could not be made.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// A certificate could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The public key cannot be read.
    #[error(transparent)]
    PublicKey(#[from] Malformed),
    /// The order was finalized without a public key, in a run of records only.
    #[error("the request that this certificate was issued for had no public key")]
    NoKey,
    /// There is no such chain.
    #[error("there is no chain {0}")]
    NoChain(usize),
}

/// Keys and certificates of the CA itself: one issuing intermediate, those above it, and roots
/// that each sign the topmost one, so that every leaf has as many chains as there are roots. Its
/// keys are P-256 and come from the operating system, so they differ from run to run.
pub struct Authority {
    signer: CaSigner,
    /// Below the topmost: the issuing intermediate first.
    lower: Vec<CertInfo>,
    /// The topmost intermediate, by root.
    top: Vec<CertInfo>,
    roots: Vec<CertInfo>,
    /// The issuing intermediate's.
    key: PrivateKey,
    /// Signs the requests that the certificates are written from, and is the wrong key.
    scratch: PrivateKey,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({} intermediates, {} roots)", self.lower.len() + 1, self.roots.len())
    }
}

impl Authority {
    /// One whose chains have so many intermediates (1 to 8), with so many roots (1 to 8).
    pub fn generate(intermediates: usize, roots: usize) -> Result<Self, AuthorityError> {
        let top_key = new_key()?;
        let mut above = Vec::new();
        let (mut top, mut root_certificates) = (Vec::new(), Vec::new());
        for at in 1..=roots.clamp(1, MAX_ROOTS) {
            let (key, name) = (new_key()?, format!("Simulated Root X{at}"));
            let root = self_sign(&key, &ca_request(&key, &name)?, &ca_issue())?.leaf;
            let signer = signer(&root, &key)?;
            let request = ca_request(&top_key, "Simulated Intermediate 1")?;
            top.push(signer.issue(&request, &ca_issue())?.leaf);
            root_certificates.push(root);
        }
        let (mut key, mut certificate) = (top_key, top[0].clone());
        for at in 2..=intermediates.clamp(1, MAX_INTERMEDIATES) {
            let next = new_key()?;
            let request = ca_request(&next, &format!("Simulated Intermediate {at}"))?;
            let issued = signer(&certificate, &key)?.issue(&request, &ca_issue())?.leaf;
            (key, certificate) = (next, issued.clone());
            above.insert(0, issued);
        }
        Ok(Authority {
            signer: signer(&certificate, &key)?,
            lower: above,
            top,
            roots: root_certificates,
            key,
            scratch: new_key()?,
        })
    }

    /// Its certificates and the key that it issues with, for [`Authority::restore`]. Whoever has
    /// them is this CA.
    pub fn save(&self) -> Result<Value, AuthorityError> {
        let pem = |all: &[CertInfo]| all.iter().map(CertInfo::to_pem).collect::<Vec<_>>();
        let key = self.key.to_pem(Encoding::Pkcs8)?;
        Ok(json!({"key": *key, "lower": pem(&self.lower), "top": pem(&self.top),
            "roots": pem(&self.roots)}))
    }

    /// The CA that was saved.
    ///
    /// # Errors
    /// If something is missing or does not belong together.
    pub fn restore(saved: &Value) -> Result<Self, AuthorityError> {
        let (limits, read) = (Limits::default(), |name: &str| certificates(&saved[name]));
        let (lower, top, roots) = (read("lower")?, read("top")?, read("roots")?);
        let issuing = lower.first().or(top.first()).ok_or(AuthorityError::NoChain(0))?;
        if top.len() != roots.len() {
            return Err(AuthorityError::NoChain(roots.len()));
        }
        let key = saved["key"].as_str().unwrap_or_default();
        let key = PrivateKey::from_pem(key.as_bytes(), &limits)?;
        let signer = signer(issuing, &key)?;
        Ok(Authority { signer, lower, top, roots, key, scratch: new_key()? })
    }

    /// The key identifier that leaves name their issuer by.
    pub fn key_id(&self) -> &[u8] {
        self.signer.certificate().subject_key_id.as_deref().unwrap_or_default()
    }

    /// How many chains a leaf has.
    pub fn chains(&self) -> usize {
        self.top.len()
    }

    /// The roots as PEM, in the order of the chains.
    pub fn roots(&self) -> Vec<String> {
        self.roots.iter().map(CertInfo::to_pem).collect()
    }

    /// Writes a leaf and its intermediates as PEM, as a download gives them. The leaf is signed
    /// anew each time; all but its signature is the same.
    pub fn chain_pem(&self, leaf: &Leaf, chain: usize) -> Result<String, AuthorityError> {
        let top = self.top.get(chain).ok_or(AuthorityError::NoChain(chain))?;
        let mut out = self.leaf(leaf)?.to_pem();
        out.extend(self.lower.iter().chain([top]).map(CertInfo::to_pem));
        Ok(out)
    }

    /// Writes a leaf.
    pub fn leaf(&self, leaf: &Leaf) -> Result<CertInfo, AuthorityError> {
        let mut request = request_for(&self.scratch, leaf)?;
        if !leaf.key.is_empty() {
            let spki = leaf.spki.as_deref().ok_or(AuthorityError::NoKey)?;
            request.public_key = PublicKey::from_der(spki)?;
        }
        let issue = Issue {
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            usages: vec![Usage::DigitalSignature, Usage::KeyEncipherment, Usage::ServerAuth],
            serial: Some(leaf.serial_octets().to_vec()),
            ..Issue::default()
        };
        Ok(self.signer.issue(&request, &issue)?.leaf)
    }
}

fn certificates(saved: &Value) -> Result<Vec<CertInfo>, AuthorityError> {
    let all = saved.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut out = Vec::new();
    for pem in all.iter().take(MAX_INTERMEDIATES).filter_map(Value::as_str) {
        let chain = CertInfo::parse_chain(pem.as_bytes(), &Limits::default());
        out.extend(chain.map_err(SignError::from)?);
    }
    Ok(out)
}

fn new_key() -> Result<PrivateKey, KeyError> {
    PrivateKey::generate(KeyKind::Ecdsa(Curve::P256))
}

fn common_name(name: &str) -> Name {
    Name::from_fields(&SubjectFields { common_name: name.into(), ..SubjectFields::default() })
}

fn ca_request(key: &PrivateKey, name: &str) -> Result<CsrInfo, AuthorityError> {
    let spec = CsrSpec { subject: common_name(name), is_ca: true, ..CsrSpec::default() };
    Ok(CsrInfo::from_der(&spec.build(key)?)?)
}

fn ca_issue() -> Issue {
    let (not_before, not_after) = ALWAYS;
    let usages = vec![Usage::CertSign, Usage::CrlSign];
    Issue { not_before, not_after, is_ca: true, usages, ..Issue::default() }
}

fn signer(certificate: &CertInfo, key: &PrivateKey) -> Result<CaSigner, AuthorityError> {
    let key = key.to_pem(Encoding::Pkcs8)?;
    let pem = certificate.to_pem();
    Ok(CaSigner::from_pem(pem.as_bytes(), key.as_bytes(), &Limits::default())?)
}

fn request_for(key: &PrivateKey, leaf: &Leaf) -> Result<CsrInfo, AuthorityError> {
    let (dns_names, ip_addresses) = split(&leaf.identifiers);
    let subject = leaf.common_name.as_deref().map_or_else(Name::empty, common_name);
    let spec = CsrSpec { subject, dns_names, ip_addresses, ..CsrSpec::default() };
    Ok(CsrInfo::from_der(&spec.build(key)?)?)
}

fn split(identifiers: &Identifiers) -> (Vec<String>, Vec<std::net::IpAddr>) {
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for identifier in identifiers {
        match identifier {
            Identifier::Dns(name) => names.push(name.clone()),
            Identifier::Ip(address) => addresses.push(*address),
        }
    }
    (names, addresses)
}
