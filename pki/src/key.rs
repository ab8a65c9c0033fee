//! Private keys: generated, read, written, and signing.

use std::fmt;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::algorithm::SignatureAlgorithm;
use crate::oid::{Oid, id};
use crate::pem::{self, KeyDer, Limits, PemError};
use crate::public_key::PublicKey;
use crate::tlv::{self, Malformed, tag};

/// The NIST curves keys may be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Curve {
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

/// Algorithm and size of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa {
        /// Bit length of the modulus.
        bits: u32,
    },
    /// ECDSA on a curve.
    Ecdsa(Curve),
    /// Ed25519.
    Ed25519,
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The algorithm's own structure: PKCS #1 for RSA, SEC 1 for ECDSA; PKCS #8 for Ed25519, which
    /// has none.
    Pkcs1,
    /// PKCS #8 for every algorithm.
    Pkcs8,
}

/// Why a key could not be made, read, written or used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The PEM around it cannot be read.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Its structure cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// No such key can be generated here.
    #[error("RSA keys are generated with 2048, 3072, 4096 or 8192 bits, not with {bits}")]
    CannotGenerate {
        /// The size asked for.
        bits: u32,
    },
    /// An algorithm or size outside of what the API knows.
    #[error("{0} keys are not supported")]
    Unsupported(String),
    /// The key is inconsistent, or of a size that is not accepted (RSA: 2048 to 8192 bits).
    #[error("the {algorithm} key is not acceptable: {why}")]
    Rejected {
        /// `RSA`, `ECDSA` or `Ed25519`.
        algorithm: &'static str,
        /// The cryptographic library's reason.
        why: String,
    },
    /// This kind of key does not sign with that algorithm.
    #[error("a key of kind {key} does not sign with {algorithm}")]
    AlgorithmMismatch {
        /// The algorithm asked for.
        algorithm: SignatureAlgorithm,
        /// The key's kind.
        key: KeyKind,
    },
    /// The cryptographic library failed without giving a reason.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
}

impl Curve {
    /// Size of the field in bits.
    pub fn bits(self) -> u32 {
        match self {
            Curve::P256 => 256,
            Curve::P384 => 384,
            Curve::P521 => 521,
        }
    }

    fn signing(self) -> &'static signature::EcdsaSigningAlgorithm {
        match self {
            Curve::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Curve::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            Curve::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    /// The digest aws-lc-rs ties to the curve.
    fn own_digest(self) -> &'static digest::Algorithm {
        match self {
            Curve::P256 => &digest::SHA256,
            Curve::P384 => &digest::SHA384,
            Curve::P521 => &digest::SHA512,
        }
    }
}

impl KeyKind {
    /// The kind that `spec.privateKey.algorithm` and `.size` mean; `None` and 0 stand for the
    /// defaults RSA, 2048 and P-256. A size given with Ed25519 is ignored.
    pub fn from_api(algorithm: Option<&str>, size: u32) -> Result<Self, KeyError> {
        match (algorithm.unwrap_or("RSA"), size) {
            ("RSA", 0) => Ok(KeyKind::Rsa { bits: 2048 }),
            ("RSA", bits @ 2048..=8192) => Ok(KeyKind::Rsa { bits }),
            ("ECDSA", 0 | 256) => Ok(KeyKind::Ecdsa(Curve::P256)),
            ("ECDSA", 384) => Ok(KeyKind::Ecdsa(Curve::P384)),
            ("ECDSA", 521) => Ok(KeyKind::Ecdsa(Curve::P521)),
            ("Ed25519", _) => Ok(KeyKind::Ed25519),
            (other, size) => Err(KeyError::Unsupported(format!("{other} {size}"))),
        }
    }

    /// The API's name of the algorithm: `RSA`, `ECDSA` or `Ed25519`.
    pub fn algorithm(self) -> &'static str {
        match self {
            KeyKind::Rsa { .. } => "RSA",
            KeyKind::Ecdsa(_) => "ECDSA",
            KeyKind::Ed25519 => "Ed25519",
        }
    }

    /// Size in bits, as the API counts it; 256 for Ed25519.
    pub fn size(self) -> u32 {
        match self {
            KeyKind::Rsa { bits } => bits,
            KeyKind::Ecdsa(curve) => curve.bits(),
            KeyKind::Ed25519 => 256,
        }
    }

    /// What such a key signs with unless told otherwise: larger keys take longer hashes.
    pub fn default_signature_algorithm(self) -> SignatureAlgorithm {
        match self {
            KeyKind::Rsa { bits: 4096.. } => SignatureAlgorithm::Sha512WithRsa,
            KeyKind::Rsa { bits: 3072.. } => SignatureAlgorithm::Sha384WithRsa,
            KeyKind::Rsa { .. } => SignatureAlgorithm::Sha256WithRsa,
            KeyKind::Ecdsa(Curve::P256) => SignatureAlgorithm::EcdsaWithSha256,
            KeyKind::Ecdsa(Curve::P384) => SignatureAlgorithm::EcdsaWithSha384,
            KeyKind::Ecdsa(Curve::P521) => SignatureAlgorithm::EcdsaWithSha512,
            KeyKind::Ed25519 => SignatureAlgorithm::PureEd25519,
        }
    }

    /// Whether such a key can sign with this algorithm.
    pub fn supports(self, algorithm: SignatureAlgorithm) -> bool {
        use SignatureAlgorithm::*;
        match self {
            KeyKind::Rsa { .. } => {
                matches!(algorithm, Sha256WithRsa | Sha384WithRsa | Sha512WithRsa)
            }
            KeyKind::Ecdsa(_) => {
                matches!(algorithm, EcdsaWithSha256 | EcdsaWithSha384 | EcdsaWithSha512)
            }
            KeyKind::Ed25519 => algorithm == PureEd25519,
        }
    }

    /// RSA keys below 2048 bits are too weak, and above 8192 bits a burden on every verifier.
    pub(crate) fn is_usable(self) -> bool {
        !matches!(self, KeyKind::Rsa { bits } if !(2048..=8192).contains(&bits))
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Ed25519 => f.write_str("Ed25519"),
            kind => write!(f, "{} {}", kind.algorithm(), kind.size()),
        }
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key. Its `Debug` shows the public key's fingerprint only; aws-lc wipes the memory.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

impl PrivateKey {
    /// Generates a key with the operating system's randomness. RSA keys take 2048, 3072, 4096 or
    /// 8192 bits (aws-lc-rs generates no others), and between tens of milliseconds and minutes.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let failed = |_: Unspecified| KeyError::Crypto("generate a key");
        Self::of(match kind {
            KeyKind::Rsa { bits } => {
                Pair::Rsa(RsaKeyPair::generate(size_of(bits)?).map_err(failed)?)
            }
            KeyKind::Ecdsa(curve) => {
                Pair::Ecdsa(curve, EcdsaKeyPair::generate(curve.signing()).map_err(failed)?)
            }
            KeyKind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        })
    }

    /// Reads the first private key in `pem`: PKCS #1, SEC 1 or PKCS #8; RSA of 2048 to 8192 bits,
    /// P-256, P-384, P-521 or Ed25519.
    pub fn from_pem(pem: &[u8], limits: &Limits) -> Result<Self, KeyError> {
        Self::of(match pem::private_key(pem, limits.key)? {
            KeyDer::Pkcs1(der) => Pair::Rsa(RsaKeyPair::from_der(&der).map_err(rejected("RSA"))?),
            KeyDer::Sec1(der) => ecdsa_pair(&der)?,
            KeyDer::Pkcs8(der) => pkcs8_pair(&der)?,
        })
    }

    fn of(pair: Pair) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Crypto("encode the public key");
        let der: PublicKeyX509Der<'_> = match &pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ecdsa(_, pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
        }
        .map_err(failed)?;
        Ok(PrivateKey { public: PublicKey::from_der(der.as_ref())?, pair })
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The public half as DER SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> &[u8] {
        self.public.der()
    }

    /// SHA-256 over the SubjectPublicKeyInfo, in lowercase hex.
    pub fn fingerprint(&self) -> String {
        self.public.fingerprint()
    }

    /// Algorithm and size.
    pub fn kind(&self) -> KeyKind {
        self.public.kind().expect("every pair this type holds is of a known kind")
    }

    /// The key as DER; wiped when dropped.
    pub fn to_der(&self, encoding: Encoding) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |_: Unspecified| KeyError::Crypto("encode the private key");
        let bytes = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        match (&self.pair, encoding) {
            (Pair::Rsa(pair), encoding) => {
                let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                match encoding {
                    Encoding::Pkcs8 => Ok(bytes(pkcs8.as_ref())),
                    Encoding::Pkcs1 => Ok(bytes(pkcs8_parts(pkcs8.as_ref())?.key)),
                }
            }
            (Pair::Ecdsa(_, pair), Encoding::Pkcs1) => {
                Ok(bytes(pair.private_key().as_der().map_err(failed)?.as_ref()))
            }
            (Pair::Ecdsa(_, pair), Encoding::Pkcs8) => {
                Ok(bytes(pair.to_pkcs8v1().map_err(failed)?.as_ref()))
            }
            // Version 2, which carries the public key too, is unknown to many readers.
            (Pair::Ed25519(pair), _) => Ok(bytes(pair.to_pkcs8v1().map_err(failed)?.as_ref())),
        }
    }

    /// The key as one PEM block; wiped when dropped.
    pub fn to_pem(&self, encoding: Encoding) -> Result<Zeroizing<String>, KeyError> {
        let label = match (&self.pair, encoding) {
            (Pair::Rsa(_), Encoding::Pkcs1) => "RSA PRIVATE KEY",
            (Pair::Ecdsa(..), Encoding::Pkcs1) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        Ok(Zeroizing::new(pem::encode(label, &self.to_der(encoding)?)))
    }

    /// Signs `message`; the result is the content of the BIT STRING in certificates and requests.
    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_: Unspecified| KeyError::Crypto("sign");
        if !self.kind().supports(algorithm) {
            return Err(KeyError::AlgorithmMismatch { algorithm, key: self.kind() });
        }
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding(algorithm), &SystemRandom::new(), message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::Ecdsa(curve, pair) => {
                let digest = fitted(digest::digest(hash(algorithm), message), *curve);
                Ok(pair.sign_digest(&digest).map_err(failed)?.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, public {})", self.kind(), self.fingerprint())
    }
}

fn size_of(bits: u32) -> Result<KeySize, KeyError> {
    match bits {
        2048 => Ok(KeySize::Rsa2048),
        3072 => Ok(KeySize::Rsa3072),
        4096 => Ok(KeySize::Rsa4096),
        8192 => Ok(KeySize::Rsa8192),
        _ => Err(KeyError::CannotGenerate { bits }),
    }
}

fn rejected(algorithm: &'static str) -> impl Fn(KeyRejected) -> KeyError {
    move |reason| KeyError::Rejected { algorithm, why: reason.to_string() }
}

struct Pkcs8<'a> {
    algorithm: Oid,
    key: &'a [u8],
}

/// PrivateKeyInfo (RFC 5958): version, algorithm, key; what may follow is optional.
fn pkcs8_parts(der: &[u8]) -> Result<Pkcs8<'_>, Malformed> {
    const FIELD: &str = "PrivateKeyInfo";
    let mut fields = tlv::only(der, tag::SEQUENCE, FIELD)?.children(FIELD);
    fields.expect(tag::INTEGER)?;
    let algorithm = fields.expect(tag::SEQUENCE)?.children(FIELD).expect(tag::OID)?;
    let key = fields.expect(tag::OCTET_STRING)?.value;
    Ok(Pkcs8 { algorithm: Oid::from_content(algorithm.value)?, key })
}

fn pkcs8_pair(der: &[u8]) -> Result<Pair, KeyError> {
    let algorithm = pkcs8_parts(der)?.algorithm;
    match algorithm.as_bytes() {
        id::RSA_ENCRYPTION => Ok(Pair::Rsa(RsaKeyPair::from_pkcs8(der).map_err(rejected("RSA"))?)),
        id::EC_PUBLIC_KEY => ecdsa_pair(der),
        id::ED25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(der);
            Ok(Pair::Ed25519(pair.map_err(rejected("Ed25519"))?))
        }
        _ => Err(KeyError::Unsupported(algorithm.to_string())),
    }
}

/// SEC 1 or PKCS #8. The curve is tried rather than read, because SEC 1 may leave it out.
fn ecdsa_pair(der: &[u8]) -> Result<Pair, KeyError> {
    let mut last = None;
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        match EcdsaKeyPair::from_private_key_der(curve.signing(), der) {
            Ok(pair) => return Ok(Pair::Ecdsa(curve, pair)),
            Err(reason) => last = Some(reason),
        }
    }
    let why = last.map_or_else(String::new, |reason| reason.to_string());
    let why = format!("not a consistent key on P-256, P-384 or P-521 ({why})");
    Err(KeyError::Rejected { algorithm: "ECDSA", why })
}

fn padding(algorithm: SignatureAlgorithm) -> &'static signature::RsaSignatureEncoding {
    match algorithm {
        SignatureAlgorithm::Sha512WithRsa => &signature::RSA_PKCS1_SHA512,
        SignatureAlgorithm::Sha384WithRsa => &signature::RSA_PKCS1_SHA384,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

fn hash(algorithm: SignatureAlgorithm) -> &'static digest::Algorithm {
    use SignatureAlgorithm::*;
    match algorithm {
        Sha256WithRsa | EcdsaWithSha256 => &digest::SHA256,
        Sha384WithRsa | EcdsaWithSha384 => &digest::SHA384,
        Sha512WithRsa | EcdsaWithSha512 | PureEd25519 => &digest::SHA512,
    }
}

/// The digest in the length aws-lc-rs ties to the curve. ECDSA takes the leftmost bits of a longer
/// digest and the number a shorter one stands for (FIPS 186-5 section 6.4), so truncating and
/// padding with zeros on the left sign the same number under every pair of curve and hash.
fn fitted(digest: Digest, curve: Curve) -> Digest {
    let own = curve.own_digest();
    let bytes = digest.as_ref();
    let kept = &bytes[..bytes.len().min(own.output_len())];
    let mut fitted = vec![0; own.output_len() - kept.len()];
    fitted.extend_from_slice(kept);
    Digest::import_less_safe(&fitted, own).expect("the length is the algorithm's own")
}

#[cfg(test)]
mod tests;
