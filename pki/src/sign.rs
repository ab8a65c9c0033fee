//! Issuing certificates: by a CA, or self-signed.

use aws_lc_rs::{digest, rand};
use thiserror::Error;

use crate::algorithm::SignatureAlgorithm;
use crate::alt_names::{self, NotEncodable};
use crate::cert::{CertError, CertInfo};
use crate::chain::{Chain, chain_from};
use crate::csr::{CsrInfo, basic_constraints};
use crate::extension;
use crate::key::{KeyError, PrivateKey};
use crate::name::Name;
use crate::oid::{Oid, id};
use crate::pem::Limits;
use crate::public_key::PublicKey;
use crate::time::{self, OutOfRange};
use crate::tlv::{self, Malformed, tag};
use crate::usage::{Usage, Usages};

/// Why a CA is not usable or a certificate was not issued.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignError {
    /// The CA's certificates cannot be read.
    #[error("the CA's certificate: {0}")]
    Certificate(#[from] CertError),
    /// The CA's key cannot be read, or does not sign.
    #[error("the signing key: {0}")]
    Key(#[from] KeyError),
    /// The CA's key is not that of its first certificate.
    #[error("the CA's key does not match its first certificate, {0:?}")]
    KeyMismatch(String),
    /// The first certificate is not that of a CA, or may not sign certificates.
    #[error("{0:?} is not a CA that may sign certificates")]
    NotCa(String),
    /// The CA's certificate has expired at the start of the validity asked for.
    #[error("the CA's certificate has expired: its notAfter is {not_after}")]
    CaExpired {
        /// Its end, in seconds since the Unix epoch.
        not_after: i64,
    },
    /// The CA's certificate is not valid yet at the start of the validity asked for.
    #[error("the CA's certificate is not valid yet: its notBefore is {not_before}")]
    CaNotYetValid {
        /// Its start, in seconds since the Unix epoch.
        not_before: i64,
    },
    /// The validity asked for ends before it has begun.
    #[error("the certificate would have no lifetime: from {not_before} to {not_after}")]
    NoLifetime {
        /// Start asked for.
        not_before: i64,
        /// End asked for.
        not_after: i64,
    },
    /// The request is for another key than the one that is to sign itself.
    #[error("the request is not for the key that is to sign it")]
    OtherKey,
    /// A URL that X.509 cannot hold.
    #[error(transparent)]
    NotEncodable(#[from] NotEncodable),
    /// A time that X.509 cannot express.
    #[error(transparent)]
    Time(#[from] OutOfRange),
    /// The serial number given is zero or too long.
    #[error("the serial number is not between 1 and 20 octets of a positive number")]
    Serial,
    /// The operating system gave no randomness.
    #[error("no random serial number could be made")]
    Random,
    /// What was issued cannot be read back, so it is not handed out.
    #[error("the certificate that was issued is not valid: {0}")]
    NotReadable(Malformed),
}

/// What to put into a certificate beside what the request says.
#[derive(Clone, Debug, Default)]
pub struct Issue {
    /// First second of validity, since the Unix epoch: now, by the caller's clock.
    pub not_before: i64,
    /// Last second of validity, since the Unix epoch; a CA's own end comes first.
    pub not_after: i64,
    /// Whether the certificate is a CA's. What the request says about it does not count, nor does a
    /// path length it asks for.
    pub is_ca: bool,
    /// Usages; none stand for `digital signature` and `key encipherment`. What the request says
    /// about them does not count.
    pub usages: Vec<Usage>,
    /// URLs of revocation lists, each its own distribution point.
    pub crl_distribution_points: Vec<String>,
    /// URLs of OCSP responders.
    pub ocsp_servers: Vec<String>,
    /// URLs of the issuer's certificate.
    pub issuing_certificate_urls: Vec<String>,
    /// The serial number, big-endian, positive and of at most 20 octets as encoded (RFC 5280
    /// section 4.1.2.2); `None` for a random one of 16.
    pub serial: Option<Vec<u8>>,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub leaf: CertInfo,
    /// The certificate as PEM.
    pub leaf_pem: String,
    /// The certificate and its issuers as PEM, leaf first, without the root.
    pub chain_pem: String,
    /// The root as PEM, or without one the topmost issuer.
    pub ca_pem: String,
    /// Whether the certificate ends earlier than asked for, because its CA does.
    pub clamped: bool,
}

/// A CA that can sign: its key, its certificate, and the certificates above it.
#[derive(Debug)]
pub struct CaSigner {
    key: PrivateKey,
    /// The CA first; the last is the root or the topmost that is known.
    chain: Chain,
}

impl CaSigner {
    /// Reads a CA: its certificate first in `certificates`, those above it in any order behind, and
    /// its key. Certificates that are not above it are ignored. The key must be that certificate's,
    /// and the certificate that of a CA that may sign; its validity is looked at when issuing.
    pub fn from_pem(certificates: &[u8], key: &[u8], limits: &Limits) -> Result<Self, SignError> {
        let certificates = CertInfo::parse_chain(certificates, limits)?;
        let key = PrivateKey::from_pem(key, limits)?;
        let ca = certificates.first().expect("parse_chain returns at least one");
        if &ca.public_key != key.public_key() {
            return Err(SignError::KeyMismatch(ca.subject.to_string()));
        }
        if !ca.may_sign_certificates() {
            return Err(SignError::NotCa(ca.subject.to_string()));
        }
        let chain = chain_from(&ca.clone(), certificates);
        Ok(CaSigner { key, chain })
    }

    /// The CA's own certificate.
    pub fn certificate(&self) -> &CertInfo {
        self.chain.certificates.first().expect("from_pem put it there")
    }

    /// Issues a certificate for a request. Subject, alternative names, public key and name
    /// constraints are the request's, byte for byte; the issuer is the CA's subject, byte for byte.
    /// The certificate never outlives the CA's.
    pub fn issue(&self, request: &CsrInfo, issue: &Issue) -> Result<Issued, SignError> {
        let ca = self.certificate();
        if issue.not_before < ca.not_before {
            return Err(SignError::CaNotYetValid { not_before: ca.not_before });
        }
        if issue.not_before >= ca.not_after {
            return Err(SignError::CaExpired { not_after: ca.not_after });
        }
        let template = Template {
            issuer: &ca.subject,
            authority_key_id: ca.subject_key_id.as_deref(),
            not_after: issue.not_after.min(ca.not_after),
            algorithm: self.key.kind().default_signature_algorithm(),
            request,
            issue,
        };
        let leaf = template.sign(&self.key)?;
        let above = self.chain.certificates.iter().filter(|above| !above.self_signed);
        let chain_pem = std::iter::once(&leaf).chain(above).map(CertInfo::to_pem).collect();
        Ok(Issued {
            leaf_pem: leaf.to_pem(),
            chain_pem,
            ca_pem: self.chain.ca().unwrap_or(ca).to_pem(),
            clamped: template.not_after < issue.not_after,
            leaf,
        })
    }
}

/// Issues a certificate whose issuer is its own subject. The request must be for `key`; the
/// certificate is signed with the request's algorithm where the key can, and is its own chain and
/// CA.
pub fn self_sign(key: &PrivateKey, request: &CsrInfo, issue: &Issue) -> Result<Issued, SignError> {
    if &request.public_key != key.public_key() {
        return Err(SignError::OtherKey);
    }
    let requested = request.signature_algorithm.filter(|a| key.kind().supports(*a));
    let template = Template {
        issuer: &request.subject,
        authority_key_id: None,
        not_after: issue.not_after,
        algorithm: requested.unwrap_or_else(|| key.kind().default_signature_algorithm()),
        request,
        issue,
    };
    let leaf = template.sign(key)?;
    let pem = leaf.to_pem();
    Ok(Issued { leaf_pem: pem.clone(), chain_pem: pem.clone(), ca_pem: pem, clamped: false, leaf })
}

struct Template<'a> {
    issuer: &'a Name,
    authority_key_id: Option<&'a [u8]>,
    not_after: i64,
    algorithm: SignatureAlgorithm,
    request: &'a CsrInfo,
    issue: &'a Issue,
}

impl Template<'_> {
    /// Signs, and reads back what was signed.
    fn sign(&self, key: &PrivateKey) -> Result<CertInfo, SignError> {
        let algorithm = self.algorithm.to_der();
        let body = self.body(&algorithm)?;
        let signature = tlv::bit_string(&key.sign(self.algorithm, &body)?);
        let der = tlv::sequence(&[&body, &algorithm, &signature]);
        CertInfo::from_der(&der).map_err(SignError::NotReadable)
    }

    /// TBSCertificate, version 3.
    fn body(&self, algorithm: &[u8]) -> Result<Vec<u8>, SignError> {
        let (not_before, not_after) = (self.issue.not_before, self.not_after);
        if not_after <= not_before {
            return Err(SignError::NoLifetime { not_before, not_after });
        }
        let version = tlv::element(tag::context_constructed(0), &[&tlv::unsigned_integer(&[2])]);
        let serial = match &self.issue.serial {
            Some(serial) => given_serial(serial)?,
            None => tlv::unsigned_integer(&random_serial()?),
        };
        let validity = tlv::sequence(&[&time::encode(not_before)?, &time::encode(not_after)?]);
        let extensions = tlv::sequence_of(&self.extensions()?);
        Ok(tlv::sequence(&[
            &version,
            &serial,
            algorithm,
            self.issuer.as_der(),
            &validity,
            self.request.subject.as_der(),
            self.request.public_key.der(),
            &tlv::element(tag::context_constructed(3), &[&extensions]),
        ]))
    }

    /// In cert-manager's order: that of Go's `crypto/x509`, and the copied names behind.
    fn extensions(&self) -> Result<Vec<Vec<u8>>, SignError> {
        let Template { request, issue, .. } = self;
        let mut extensions = Usages::from_api(&issue.usages, issue.is_ca).encode();
        extensions.push(basic_constraints(issue.is_ca));
        if issue.is_ca {
            let key_id = tlv::element(tag::OCTET_STRING, &[&key_id(&request.public_key)]);
            extensions.push(extension::encode(id::SUBJECT_KEY_ID, false, &key_id));
        }
        if let Some(key_id) = self.authority_key_id {
            let value = tlv::sequence(&[&tlv::element(tag::context(0), &[key_id])]);
            extensions.push(extension::encode(id::AUTHORITY_KEY_ID, false, &value));
        }
        extensions.extend(authority_info_access(issue)?);
        if let Some(asked) = &request.name_constraints {
            extensions.push(extension::encode(id::NAME_CONSTRAINTS, asked.critical, &asked.der));
        }
        extensions.extend(distribution_points(&issue.crl_distribution_points)?);
        if let Some(names) = &request.alt_names_der {
            let critical = request.subject.is_empty();
            extensions.push(extension::encode(id::SUBJECT_ALT_NAME, critical, names));
        }
        Ok(extensions)
    }
}

fn given_serial(octets: &[u8]) -> Result<Vec<u8>, SignError> {
    const HEADER: usize = 2;
    let serial = tlv::unsigned_integer(octets);
    let positive = octets.iter().any(|octet| *octet != 0);
    if positive && serial.len() <= HEADER + 20 { Ok(serial) } else { Err(SignError::Serial) }
}

/// 126 random bits in a number of always 16 octets: positive, and never shortened.
fn random_serial() -> Result<[u8; 16], SignError> {
    let mut serial = [0; 16];
    rand::fill(&mut serial).map_err(|_| SignError::Random)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

/// RFC 7093 section 2, method 1: the leftmost 160 bits of the SHA-256 of the key's octets.
fn key_id(key: &PublicKey) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, key.parts().1);
    digest.as_ref()[..20].to_vec()
}

/// RFC 5280 section 4.2.2.1.
fn authority_info_access(issue: &Issue) -> Result<Option<Vec<u8>>, NotEncodable> {
    let ocsp = issue.ocsp_servers.iter().map(|url| (id::OCSP, url));
    let issuers = issue.issuing_certificate_urls.iter().map(|url| (id::CA_ISSUERS, url));
    let describe = |(method, url): (&'static [u8], &String)| {
        Ok(tlv::sequence(&[&Oid::known(method).to_der(), &alt_names::uri(url)?]))
    };
    let descriptions: Vec<_> = ocsp.chain(issuers).map(describe).collect::<Result<_, _>>()?;
    let extension =
        || extension::encode(id::AUTHORITY_INFO_ACCESS, false, &tlv::sequence_of(&descriptions));
    Ok((!descriptions.is_empty()).then(extension))
}

/// RFC 5280 section 4.2.1.13: one point of one full name per URL.
fn distribution_points(urls: &[String]) -> Result<Option<Vec<u8>>, NotEncodable> {
    let point = |url: &String| {
        let full_name = tlv::element(tag::context_constructed(0), &[&alt_names::uri(url)?]);
        let name = tlv::element(tag::context_constructed(0), &[&full_name]);
        Ok(tlv::sequence(&[&name]))
    };
    let points: Vec<_> = urls.iter().map(point).collect::<Result<_, _>>()?;
    let extension =
        || extension::encode(id::CRL_DISTRIBUTION_POINTS, false, &tlv::sequence_of(&points));
    Ok((!points.is_empty()).then(extension))
}
