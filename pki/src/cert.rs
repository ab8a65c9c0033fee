//! Certificates, read (RFC 5280 section 4).

use thiserror::Error;

use crate::algorithm::{Signed, VerifyError};
use crate::alt_names::AltNames;
use crate::csr::BasicConstraints;
use crate::extension::{self, Extension};
use crate::name::{self, Name};
use crate::oid::id;
use crate::pem::{self, Limits, PemError};
use crate::public_key::{PublicKey, hex, sha256_hex};
use crate::time;
use crate::tlv::{self, Elements, Malformed, tag};
use crate::usage::Usages;

/// Why certificates could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertError {
    /// The PEM around them cannot be read.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// One of them is not the DER of a certificate.
    #[error("certificate {position}: {source}")]
    Malformed {
        /// Its position among the certificates, counting from 1.
        position: usize,
        /// What is wrong with it.
        source: Malformed,
    },
}

/// A certificate that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertInfo {
    /// The whole certificate.
    pub der: Vec<u8>,
    /// Content octets of the serial number, as encoded: a leading zero octet is part of it.
    pub serial: Vec<u8>,
    /// The subject, byte for byte.
    pub subject: Name,
    /// The issuer, byte for byte.
    pub issuer: Name,
    /// First second of validity, since the Unix epoch.
    pub not_before: i64,
    /// Last second of validity, since the Unix epoch.
    pub not_after: i64,
    /// The public key.
    pub public_key: PublicKey,
    /// Alternative names by kind.
    pub alt_names: AltNames,
    /// Usages; empty where there is no usage extension.
    pub usages: Usages,
    /// Whether basic constraints say it is a CA.
    pub is_ca: bool,
    /// How many intermediate CAs may follow it; `None` for any number.
    pub path_length: Option<u32>,
    /// Subject key identifier.
    pub subject_key_id: Option<Vec<u8>>,
    /// Key identifier of the authority key identifier.
    pub authority_key_id: Option<Vec<u8>>,
    /// Whether it is its own issuer: a root.
    pub self_signed: bool,
}

impl CertInfo {
    /// Reads every certificate in `pem`, at least one, in order; the limit is `limits.chain`.
    pub fn parse_chain(pem: &[u8], limits: &Limits) -> Result<Vec<Self>, CertError> {
        Self::parse_all(&pem::certificates(pem, "certificate chain", limits.chain)?)
    }

    /// Reads every certificate in `pem`, at least one, in order; the limit is `limits.bundle`.
    pub fn parse_bundle(pem: &[u8], limits: &Limits) -> Result<Vec<Self>, CertError> {
        Self::parse_all(&pem::certificates(pem, "certificate bundle", limits.bundle)?)
    }

    pub(crate) fn parse_all(ders: &[Vec<u8>]) -> Result<Vec<Self>, CertError> {
        let numbered = ders.iter().zip(1..);
        let parse = |(der, position): (&Vec<u8>, usize)| {
            Self::from_der(der).map_err(|source| CertError::Malformed { position, source })
        };
        numbered.map(parse).collect()
    }

    /// Reads one DER certificate. Its signature is verified only to see whether it is a root.
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        const FIELD: &str = "TBSCertificate";
        let signed = Signed::parse(der, "Certificate")?;
        let mut fields = signed.body.children(FIELD);
        fields.optional(tag::context_constructed(0))?;
        let serial = fields.expect(tag::INTEGER)?.value.to_vec();
        if fields.expect(tag::SEQUENCE)?.value != signed.algorithm {
            return Err(Malformed::new(FIELD, "two different signature algorithms"));
        }
        let issuer = name::next_name(&mut fields)?;
        let (not_before, not_after) = validity(&mut fields)?;
        let subject = name::next_name(&mut fields)?;
        let public_key = PublicKey::from_der(fields.expect(tag::SEQUENCE)?.raw)?;
        let extensions = extensions(fields)?;
        let basic = BasicConstraints::parse(&extensions)?.unwrap_or_default();
        let mut certificate = CertInfo {
            der: der.to_vec(),
            serial,
            not_before,
            not_after,
            public_key,
            alt_names: AltNames::parse(&extensions)?,
            usages: Usages::parse(&extensions)?,
            is_ca: basic.is_ca,
            path_length: basic.path_length,
            subject_key_id: subject_key_id(&extensions)?,
            authority_key_id: authority_key_id(&extensions)?,
            self_signed: false,
            subject,
            issuer,
        };
        certificate.self_signed = certificate.is_own_issuer(&signed);
        Ok(certificate)
    }

    /// A root's own signature proves nothing, so one made with a forgotten algorithm (mostly SHA-1)
    /// does not stop it from being a root; one that fails does.
    fn is_own_issuer(&self, signed: &Signed<'_>) -> bool {
        self.subject.matches(&self.issuer)
            && match signed.verify(&self.public_key) {
                Ok(()) => true,
                Err(VerifyError::Unsupported(_)) => {
                    self.authority_key_id.is_none() || self.authority_key_id == self.subject_key_id
                }
                Err(_) => false,
            }
    }

    /// The certificate as one PEM block.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.der)
    }

    /// SHA-256 over the whole certificate, in lowercase hex.
    pub fn sha256(&self) -> String {
        sha256_hex(&self.der)
    }

    /// The serial number in lowercase hex, without leading zeros.
    pub fn serial_hex(&self) -> String {
        let hex = hex(&self.serial);
        let digits = hex.trim_start_matches('0');
        if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
    }

    /// Whether it may sign certificates: a CA whose usages, if any, include `cert sign`.
    pub fn may_sign_certificates(&self) -> bool {
        self.is_ca && self.usages.allows_cert_sign()
    }

    /// Whether `issuer` signed this certificate: it may sign certificates, bears the name this one
    /// gives, and the signature verifies. Validity periods are not looked at.
    pub fn verify_issued_by(&self, issuer: &CertInfo) -> Result<(), VerifyError> {
        if !self.issuer.matches(&issuer.subject) {
            return Err(VerifyError::OtherIssuer);
        }
        if !issuer.may_sign_certificates() {
            return Err(VerifyError::NotCa);
        }
        let signed = Signed::parse(&self.der, "Certificate").map_err(|_| VerifyError::Invalid)?;
        signed.verify(&issuer.public_key)
    }
}

fn validity(fields: &mut Elements<'_>) -> Result<(i64, i64), Malformed> {
    let mut times = fields.expect(tag::SEQUENCE)?.children("Validity");
    let mut next = || match times.next()? {
        Some(element) => time::parse(element),
        None => Err(Malformed::new("Validity", "a time is missing")),
    };
    let bounds = (next()?, next()?);
    times.finish()?;
    Ok(bounds)
}

/// What follows the public key: two obsolete unique identifiers, and the extensions.
fn extensions(mut fields: Elements<'_>) -> Result<Vec<Extension>, Malformed> {
    fields.optional(tag::context(1))?;
    fields.optional(tag::context(2))?;
    let found = match fields.optional(tag::context_constructed(3))? {
        Some(wrapped) => extension::parse(tlv::only(wrapped.value, tag::SEQUENCE, "Extensions")?)?,
        None => Vec::new(),
    };
    fields.finish()?;
    Ok(found)
}

fn subject_key_id(extensions: &[Extension]) -> Result<Option<Vec<u8>>, Malformed> {
    let Some(found) = extension::find(extensions, id::SUBJECT_KEY_ID) else { return Ok(None) };
    let key_id = tlv::only(&found.value, tag::OCTET_STRING, "SubjectKeyIdentifier")?;
    Ok(Some(key_id.value.to_vec()))
}

fn authority_key_id(extensions: &[Extension]) -> Result<Option<Vec<u8>>, Malformed> {
    const FIELD: &str = "AuthorityKeyIdentifier";
    let Some(found) = extension::find(extensions, id::AUTHORITY_KEY_ID) else { return Ok(None) };
    let mut fields = tlv::only(&found.value, tag::SEQUENCE, FIELD)?.children(FIELD);
    Ok(fields.optional(tag::context(0))?.map(|key_id| key_id.value.to_vec()))
}
