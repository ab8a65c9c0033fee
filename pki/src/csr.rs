//! Certificate signing requests (RFC 2986): built, and read with their signature verified.

use std::net::IpAddr;

use thiserror::Error;

use crate::algorithm::{SignatureAlgorithm, Signed, VerifyError};
use crate::alt_names::{AltNames, NotEncodable, OtherName};
use crate::constraints::{self, NameConstraints};
use crate::extension::{self, Extension};
use crate::key::{KeyError, PrivateKey};
use crate::name::{self, Name};
use crate::oid::{Oid, id};
use crate::pem::{self, Limits, PemError};
use crate::public_key::PublicKey;
use crate::tlv::{self, Elements, Malformed, tag};
use crate::usage::{Usage, Usages};

/// Why a request could not be built or was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CsrError {
    /// The PEM around it cannot be read.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// It is not the DER of a request.
    #[error("certificate signing request: {0}")]
    Malformed(#[from] Malformed),
    /// Its signature is not accepted, so nothing shows that the requester holds the key.
    #[error("certificate signing request: {0}")]
    Signature(#[from] VerifyError),
    /// A name X.509 cannot hold.
    #[error(transparent)]
    NotEncodable(#[from] NotEncodable),
    /// The key cannot sign it.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct CsrSpec {
    /// The subject; may be empty.
    pub subject: Name,
    /// DNS names, in order.
    pub dns_names: Vec<String>,
    /// IP addresses, in order.
    pub ip_addresses: Vec<IpAddr>,
    /// URIs, in order.
    pub uris: Vec<String>,
    /// Mail addresses, in order.
    pub email_addresses: Vec<String>,
    /// otherNames, in order.
    pub other_names: Vec<OtherName>,
    /// Usages; none stand for `digital signature` and `key encipherment`.
    pub usages: Vec<Usage>,
    /// A CA's request: adds `cert sign` to the usages.
    pub is_ca: bool,
    /// Whether the usage extensions are asked for at all.
    pub encode_usages: bool,
    /// Whether basic constraints are asked for.
    pub encode_basic_constraints: bool,
    /// Name constraints; without any subtree they are left out.
    pub name_constraints: Option<NameConstraints>,
    /// The algorithm to sign with; `None` for the default of the key's kind.
    pub signature_algorithm: Option<SignatureAlgorithm>,
}

impl Default for CsrSpec {
    /// No names, default usages, not a CA.
    fn default() -> Self {
        CsrSpec {
            subject: Name::empty(),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            uris: Vec::new(),
            email_addresses: Vec::new(),
            other_names: Vec::new(),
            usages: Vec::new(),
            is_ca: false,
            encode_usages: true,
            encode_basic_constraints: false,
            name_constraints: None,
            signature_algorithm: None,
        }
    }
}

impl CsrSpec {
    /// Builds and signs the request, as DER. Everything but ECDSA's signature is a function of the
    /// specification and the key.
    pub fn build(&self, key: &PrivateKey) -> Result<Vec<u8>, CsrError> {
        let algorithm =
            self.signature_algorithm.unwrap_or_else(|| key.kind().default_signature_algorithm());
        let version = tlv::unsigned_integer(&[0]);
        let attributes = attributes(&self.extensions()?);
        let info =
            tlv::sequence(&[&version, self.subject.as_der(), key.public_key_der(), &attributes]);
        let signature = tlv::bit_string(&key.sign(algorithm, &info)?);
        Ok(tlv::sequence(&[&info, &algorithm.to_der(), &signature]))
    }

    /// Builds and signs the request, as one `CERTIFICATE REQUEST` PEM block.
    pub fn build_pem(&self, key: &PrivateKey) -> Result<String, CsrError> {
        Ok(pem::encode("CERTIFICATE REQUEST", &self.build(key)?))
    }

    fn alt_names(&self) -> AltNames {
        AltNames {
            dns_names: self.dns_names.clone(),
            ip_addresses: self.ip_addresses.clone(),
            uris: self.uris.clone(),
            email_addresses: self.email_addresses.clone(),
            other_names: self.other_names.clone(),
            unread: Vec::new(),
        }
    }

    /// In cert-manager's order, which comparisons of whole requests see.
    fn extensions(&self) -> Result<Vec<Vec<u8>>, CsrError> {
        let mut extensions = Vec::new();
        let names = self.alt_names();
        if !names.is_empty() {
            // RFC 5280 section 4.2.1.6: critical where the subject names nobody.
            let critical = self.subject.is_empty();
            extensions.push(extension::encode(id::SUBJECT_ALT_NAME, critical, &names.encode()?));
        }
        if self.encode_usages {
            extensions.extend(Usages::from_api(&self.usages, self.is_ca).encode());
        }
        if self.encode_basic_constraints {
            extensions.push(basic_constraints(self.is_ca));
        }
        if let Some(constraints) = &self.name_constraints {
            extensions.extend(constraints.encode()?);
        }
        Ok(extensions)
    }
}

/// `[0] IMPLICIT SET OF Attribute`: one extensionRequest, or empty.
fn attributes(extensions: &[Vec<u8>]) -> Vec<u8> {
    let request = match extensions.is_empty() {
        true => Vec::new(),
        false => {
            let values = tlv::set_of(vec![tlv::sequence_of(extensions)]);
            tlv::sequence(&[&Oid::known(id::EXTENSION_REQUEST).to_der(), &values])
        }
    };
    tlv::element(tag::context_constructed(0), &[&request])
}

/// Basic constraints (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether the subject is a CA.
    pub is_ca: bool,
    /// How many intermediate CAs may follow it; `None` for any number.
    pub path_length: Option<u32>,
}

/// The extension, critical; without a path length, for which the API has no field.
pub(crate) fn basic_constraints(is_ca: bool) -> Vec<u8> {
    let flag = match is_ca {
        true => tlv::element(tag::BOOLEAN, &[&[0xff]]),
        false => Vec::new(),
    };
    extension::encode(id::BASIC_CONSTRAINTS, true, &tlv::sequence(&[&flag]))
}

impl BasicConstraints {
    pub(crate) fn parse(extensions: &[Extension]) -> Result<Option<Self>, Malformed> {
        const FIELD: &str = "BasicConstraints";
        let Some(found) = extension::find(extensions, id::BASIC_CONSTRAINTS) else {
            return Ok(None);
        };
        let mut fields = tlv::only(&found.value, tag::SEQUENCE, FIELD)?.children(FIELD);
        let is_ca = match fields.optional(tag::BOOLEAN)? {
            Some(flag) => flag.boolean(FIELD)?,
            None => false,
        };
        let path_length = match fields.optional(tag::INTEGER)? {
            Some(length) => Some(length.small_integer(FIELD)?),
            None => None,
        };
        fields.finish()?;
        Ok(Some(BasicConstraints { is_ca, path_length }))
    }
}

/// Name constraints as a request has them, to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedConstraints {
    /// Whether the extension is critical.
    pub critical: bool,
    /// The DER of `NameConstraints`.
    pub der: Vec<u8>,
}

/// A request that was read, its signature verified.
#[derive(Clone, Debug)]
pub struct CsrInfo {
    /// The whole request.
    pub der: Vec<u8>,
    /// The subject, byte for byte.
    pub subject: Name,
    /// The public key, byte for byte.
    pub public_key: PublicKey,
    /// The algorithm the request is signed with, if it is one the API names.
    pub signature_algorithm: Option<SignatureAlgorithm>,
    /// Alternative names by kind.
    pub alt_names: AltNames,
    /// The DER of `SubjectAltName` as found; `None` without that extension.
    pub alt_names_der: Option<Vec<u8>>,
    /// The usages asked for; empty where the request has no usage extension.
    pub usages: Usages,
    /// Basic constraints, if asked for.
    pub basic_constraints: Option<BasicConstraints>,
    /// Name constraints, if asked for.
    pub name_constraints: Option<RequestedConstraints>,
    /// Every extension asked for, known or not, in order.
    pub extensions: Vec<Oid>,
}

impl CsrInfo {
    /// Reads the first request in `pem` and verifies its signature over the original bytes.
    pub fn parse(pem: &[u8], limits: &Limits) -> Result<Self, CsrError> {
        Self::from_der(&pem::request(pem, limits.certificate)?)
    }

    /// Reads a DER request and verifies its signature over the original bytes. Accepted are RSA
    /// (PKCS #1 v1.5 and PSS) and ECDSA with SHA-256, -384 and -512, and Ed25519.
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        const FIELD: &str = "CertificationRequestInfo";
        let signed = Signed::parse(der, "CertificationRequest")?;
        let mut fields = signed.body.children(FIELD);
        fields.expect(tag::INTEGER)?;
        let subject = name::next_name(&mut fields)?;
        let public_key = PublicKey::from_der(fields.expect(tag::SEQUENCE)?.raw)?;
        signed.verify(&public_key)?;
        let extensions = match fields.optional(tag::context_constructed(0))? {
            Some(attributes) => requested(attributes.children("Attributes"))?,
            None => Vec::new(),
        };
        fields.finish()?;
        let raw = |oid| extension::find(&extensions, oid);
        let constraints = raw(id::NAME_CONSTRAINTS);
        if let Some(found) = constraints {
            constraints::check(&found.value)?;
        }
        Ok(CsrInfo {
            der: der.to_vec(),
            subject,
            public_key,
            signature_algorithm: SignatureAlgorithm::from_content(signed.algorithm),
            alt_names: AltNames::parse(&extensions)?,
            alt_names_der: raw(id::SUBJECT_ALT_NAME).map(|found| found.value.clone()),
            usages: Usages::parse(&extensions)?,
            basic_constraints: BasicConstraints::parse(&extensions)?,
            name_constraints: constraints.map(|found| RequestedConstraints {
                critical: found.critical,
                der: found.value.clone(),
            }),
            extensions: extensions.into_iter().map(|found| found.oid).collect(),
        })
    }

    /// The request as one `CERTIFICATE REQUEST` PEM block.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", &self.der)
    }

    /// Whether the request asks to be a CA; `None` where it does not say.
    pub fn is_ca(&self) -> Option<bool> {
        self.basic_constraints.map(|constraints| constraints.is_ca)
    }
}

/// The extensions of the extensionRequest attribute. Other attributes, such as a challenge
/// password, are passed over.
fn requested(mut attributes: Elements<'_>) -> Result<Vec<Extension>, Malformed> {
    const FIELD: &str = "Attribute";
    let mut found = None;
    while let Some(attribute) = attributes.optional(tag::SEQUENCE)? {
        let mut fields = attribute.children(FIELD);
        let oid = fields.expect(tag::OID)?.value;
        let values = fields.expect(tag::SET)?;
        fields.finish()?;
        if oid != id::EXTENSION_REQUEST {
            continue;
        }
        let extensions = extension::parse(tlv::only(values.value, tag::SEQUENCE, FIELD)?)?;
        if found.replace(extensions).is_some() {
            return Err(Malformed::new(FIELD, "two extension requests"));
        }
    }
    attributes.finish()?;
    Ok(found.unwrap_or_default())
}
