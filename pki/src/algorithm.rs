//! Signature algorithms: their API names, their identifiers, and verification.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};
use thiserror::Error;
use webpki::ALL_VERIFICATION_ALGS;

use crate::oid::Oid;
use crate::public_key::PublicKey;
use crate::tlv::{self, Elements, Malformed, tag};

/// The algorithms that sign here: the values of `spec.signatureAlgorithm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureAlgorithm {
    /// RSA PKCS #1 v1.5 with SHA-256.
    Sha256WithRsa,
    /// RSA PKCS #1 v1.5 with SHA-384.
    Sha384WithRsa,
    /// RSA PKCS #1 v1.5 with SHA-512.
    Sha512WithRsa,
    /// ECDSA with SHA-256, on any curve.
    EcdsaWithSha256,
    /// ECDSA with SHA-384, on any curve.
    EcdsaWithSha384,
    /// ECDSA with SHA-512, on any curve.
    EcdsaWithSha512,
    /// Ed25519 (RFC 8410).
    PureEd25519,
}

/// A text that is none of the API's signature algorithms.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a signature algorithm")]
pub struct UnknownSignatureAlgorithm(pub String);

/// Why a signature was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The algorithm is too weak or unknown, alone or with this key. RSA keys have 2048 to 8192
    /// bits; SHA-1 is not accepted.
    #[error("signature algorithm {0} is not accepted with this public key")]
    Unsupported(String),
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Invalid,
    /// The issuer's name is not the one the certificate gives.
    #[error("the certificate names another issuer")]
    OtherIssuer,
    /// The issuer's certificate does not allow it to sign certificates.
    #[error("the issuer's certificate is not allowed to sign certificates")]
    NotCa,
}

impl SignatureAlgorithm {
    /// Every algorithm, in the API's order.
    pub const ALL: [SignatureAlgorithm; 7] = [
        SignatureAlgorithm::Sha256WithRsa,
        SignatureAlgorithm::Sha384WithRsa,
        SignatureAlgorithm::Sha512WithRsa,
        SignatureAlgorithm::EcdsaWithSha256,
        SignatureAlgorithm::EcdsaWithSha384,
        SignatureAlgorithm::EcdsaWithSha512,
        SignatureAlgorithm::PureEd25519,
    ];

    /// The API's name.
    pub fn as_str(self) -> &'static str {
        match self {
            SignatureAlgorithm::Sha256WithRsa => "SHA256WithRSA",
            SignatureAlgorithm::Sha384WithRsa => "SHA384WithRSA",
            SignatureAlgorithm::Sha512WithRsa => "SHA512WithRSA",
            SignatureAlgorithm::EcdsaWithSha256 => "ECDSAWithSHA256",
            SignatureAlgorithm::EcdsaWithSha384 => "ECDSAWithSHA384",
            SignatureAlgorithm::EcdsaWithSha512 => "ECDSAWithSHA512",
            SignatureAlgorithm::PureEd25519 => "PureEd25519",
        }
    }

    fn identifier(self) -> AlgorithmIdentifier {
        match self {
            SignatureAlgorithm::Sha256WithRsa => alg_id::RSA_PKCS1_SHA256,
            SignatureAlgorithm::Sha384WithRsa => alg_id::RSA_PKCS1_SHA384,
            SignatureAlgorithm::Sha512WithRsa => alg_id::RSA_PKCS1_SHA512,
            SignatureAlgorithm::EcdsaWithSha256 => alg_id::ECDSA_SHA256,
            SignatureAlgorithm::EcdsaWithSha384 => alg_id::ECDSA_SHA384,
            SignatureAlgorithm::EcdsaWithSha512 => alg_id::ECDSA_SHA512,
            SignatureAlgorithm::PureEd25519 => alg_id::ED25519,
        }
    }

    /// The DER AlgorithmIdentifier.
    pub(crate) fn to_der(self) -> Vec<u8> {
        tlv::sequence(&[self.identifier().as_ref()])
    }

    /// The algorithm whose AlgorithmIdentifier has this content.
    pub(crate) fn from_content(content: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.identifier().as_ref() == content)
    }
}

impl FromStr for SignatureAlgorithm {
    type Err = UnknownSignatureAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownSignatureAlgorithm> {
        let mut all = Self::ALL.into_iter();
        all.find(|known| known.as_str() == text)
            .ok_or_else(|| UnknownSignatureAlgorithm(text.to_owned()))
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A signed structure: certificates and requests share this shape.
pub(crate) struct Signed<'a> {
    /// The to-be-signed part, byte for byte.
    pub body: tlv::Element<'a>,
    /// Content of the outer AlgorithmIdentifier.
    pub algorithm: &'a [u8],
    pub signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub fn parse(der: &'a [u8], field: &'static str) -> Result<Self, Malformed> {
        let mut fields = tlv::only(der, tag::SEQUENCE, field)?.children(field);
        let body = fields.expect(tag::SEQUENCE)?;
        let algorithm = fields.expect(tag::SEQUENCE)?.value;
        let signature = fields.expect(tag::BIT_STRING)?.octets_of_bit_string(field)?;
        fields.finish()?;
        Ok(Signed { body, algorithm, signature })
    }

    /// Verifies the signature over the original bytes.
    pub fn verify(&self, signer: &PublicKey) -> Result<(), VerifyError> {
        let (key_algorithm, key) = signer.parts();
        let fits = |candidate: &&&dyn SignatureVerificationAlgorithm| {
            candidate.signature_alg_id().as_ref() == self.algorithm
                && candidate.public_key_alg_id().as_ref() == key_algorithm
        };
        let unsupported = || VerifyError::Unsupported(name_of(self.algorithm));
        if matches!(signer.kind(), Some(kind) if !kind.is_usable()) {
            return Err(unsupported());
        }
        let algorithm = ALL_VERIFICATION_ALGS.iter().find(fits).ok_or_else(unsupported)?;
        algorithm
            .verify_signature(key, self.body.raw, self.signature)
            .map_err(|_| VerifyError::Invalid)
    }
}

fn name_of(algorithm: &[u8]) -> String {
    match SignatureAlgorithm::from_content(algorithm) {
        Some(known) => known.to_string(),
        None => Elements::new(algorithm, "AlgorithmIdentifier")
            .expect(tag::OID)
            .and_then(|element| Oid::from_content(element.value))
            .map_or_else(|_| "without an identifier".to_owned(), |oid| oid.to_string()),
    }
}
