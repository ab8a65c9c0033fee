//! Public keys as SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).

use std::fmt;

use aws_lc_rs::digest;
use rustls_pki_types::alg_id;

use crate::key::{Curve, KeyKind};
use crate::tlv::{self, Elements, Malformed, tag};

/// Somebody's public key: its SubjectPublicKeyInfo, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
    kind: Option<KeyKind>,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo. A key of an unknown algorithm is read, with no kind.
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        let (algorithm, key) = parts(der)?;
        Ok(PublicKey { der: der.to_vec(), kind: kind_of(algorithm, key) })
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 over the SubjectPublicKeyInfo, in lowercase hex.
    pub fn fingerprint(&self) -> String {
        sha256_hex(&self.der)
    }

    /// Algorithm and size, or `None` where this crate cannot use such a key.
    pub fn kind(&self) -> Option<KeyKind> {
        self.kind
    }

    /// Content of the AlgorithmIdentifier, and the key's own octets.
    pub(crate) fn parts(&self) -> (&[u8], &[u8]) {
        parts(&self.der).expect("from_der accepted the same bytes")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.kind, self.fingerprint())
    }
}

fn parts(der: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    const FIELD: &str = "SubjectPublicKeyInfo";
    let mut fields = tlv::only(der, tag::SEQUENCE, FIELD)?.children(FIELD);
    let algorithm = fields.expect(tag::SEQUENCE)?.value;
    let key = fields.expect(tag::BIT_STRING)?.octets_of_bit_string(FIELD)?;
    fields.finish()?;
    Ok((algorithm, key))
}

fn kind_of(algorithm: &[u8], key: &[u8]) -> Option<KeyKind> {
    let is = |known: rustls_pki_types::AlgorithmIdentifier| algorithm == known.as_ref();
    if is(alg_id::RSA_ENCRYPTION) {
        modulus_bits(key).map(|bits| KeyKind::Rsa { bits })
    } else if is(alg_id::ECDSA_P256) {
        Some(KeyKind::Ecdsa(Curve::P256))
    } else if is(alg_id::ECDSA_P384) {
        Some(KeyKind::Ecdsa(Curve::P384))
    } else if is(alg_id::ECDSA_P521) {
        Some(KeyKind::Ecdsa(Curve::P521))
    } else if is(alg_id::ED25519) {
        Some(KeyKind::Ed25519)
    } else {
        None
    }
}

/// Bit length of the modulus of an RSAPublicKey (RFC 8017 A.1.1).
fn modulus_bits(key: &[u8]) -> Option<u32> {
    let sequence = Elements::new(key, "RSAPublicKey").expect(tag::SEQUENCE).ok()?;
    let modulus = sequence.children("RSAPublicKey").expect(tag::INTEGER).ok()?.value;
    let first = modulus.iter().position(|&octet| octet != 0)?;
    let octets = u32::try_from(modulus.len() - first).ok()?;
    octets.checked_mul(8)?.checked_sub(modulus[first].leading_zeros())
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
