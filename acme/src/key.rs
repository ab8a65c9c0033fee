//! Account keys: JSON Web Keys (RFC 7517), thumbprints (RFC 7638), JWS signatures (RFC 7518).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode, Sequence};
use everleaf_pki::{Curve, KeyError, KeyKind, Limits, PrivateKey, SignatureAlgorithm};
use serde::Serialize;
use thiserror::Error;

use crate::token::{KeyAuthorization, Token};

/// Why an account key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccountKeyError {
    /// The private key cannot be read, or is of a kind or size that is not accepted.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The cryptographic library wrote a public key or signature that cannot be read back.
    #[error("the account key's {0} has an unexpected form")]
    Form(&'static str),
}

/// A public key as a JSON Web Key with nothing but the members of RFC 7638 section 3.2. They are
/// declared, and so written, in the order of that section: what a thumbprint is taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Jwk {
    /// An elliptic curve's point (RFC 7518 section 6.2).
    Ec {
        /// `P-256`, `P-384` or `P-521`.
        crv: &'static str,
        /// `EC`.
        kty: &'static str,
        /// Base64url of the coordinate, in the field's full length.
        x: String,
        /// As `x`.
        y: String,
    },
    /// An RSA key (RFC 7518 section 6.3).
    Rsa {
        /// Base64url of the public exponent.
        e: String,
        /// `RSA`.
        kty: &'static str,
        /// Base64url of the modulus.
        n: String,
    },
    /// An Ed25519 key (RFC 8037).
    Okp {
        /// `Ed25519`.
        crv: &'static str,
        /// `OKP`.
        kty: &'static str,
        /// Base64url of the key.
        x: String,
    },
}

#[derive(Sequence)]
struct SubjectPublicKeyInfo<'a> {
    algorithm: AnyRef<'a>,
    key: BitStringRef<'a>,
}

/// RSAPublicKey (RFC 8017 A.1.1).
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// ECDSA-Sig-Value (RFC 3279 section 2.2.3).
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl Jwk {
    fn of(kind: KeyKind, spki: &[u8]) -> Result<Self, AccountKeyError> {
        let form = AccountKeyError::Form("public key");
        let info = SubjectPublicKeyInfo::from_der(spki).map_err(|_| form.clone())?;
        let octets = info.key.as_bytes().ok_or(form.clone())?;
        match kind {
            KeyKind::Rsa { .. } => {
                let key = RsaPublicKey::from_der(octets).map_err(|_| form)?;
                let (e, n) =
                    (base64url(key.exponent.as_bytes()), base64url(key.modulus.as_bytes()));
                Ok(Jwk::Rsa { e, kty: "RSA", n })
            }
            KeyKind::Ecdsa(curve) => Self::point(curve, octets).ok_or(form),
            KeyKind::Ed25519 => Ok(Jwk::Okp { crv: "Ed25519", kty: "OKP", x: base64url(octets) }),
        }
    }

    /// The coordinates of an uncompressed point (SEC 1 section 2.3.3).
    fn point(curve: Curve, octets: &[u8]) -> Option<Self> {
        let (&4, coordinates) = octets.split_first()? else { return None };
        let length = field_length(curve);
        if coordinates.len() != 2 * length {
            return None;
        }
        let (x, y) = coordinates.split_at(length);
        let crv = match curve {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
            Curve::P521 => "P-521",
        };
        Some(Jwk::Ec { crv, kty: "EC", x: base64url(x), y: base64url(y) })
    }

    /// Base64url of the SHA-256 over the canonical form (RFC 7638 section 3).
    pub fn thumbprint(&self) -> String {
        let canonical = serde_json::to_vec(self).expect("strings alone are always JSON");
        base64url(digest(&SHA256, &canonical).as_ref())
    }
}

fn field_length(curve: Curve) -> usize {
    curve.bits().div_ceil(8) as usize
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The private key of an ACME account: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519.
///
/// An account's key should be used with one directory only; whoever holds it sees to that.
pub struct AccountKey {
    key: PrivateKey,
    jwk: Jwk,
    thumbprint: String,
}

impl AccountKey {
    /// Takes a key for an account.
    pub fn new(key: PrivateKey) -> Result<Self, AccountKeyError> {
        let jwk = Jwk::of(key.kind(), key.public_key_der())?;
        Ok(AccountKey { thumbprint: jwk.thumbprint(), jwk, key })
    }

    /// Reads the first private key in `pem`: PKCS #1, SEC 1 or PKCS #8, of at most 13,000 bytes.
    pub fn from_pem(pem: &[u8]) -> Result<Self, AccountKeyError> {
        Self::new(PrivateKey::from_pem(pem, &Limits::default())?)
    }

    /// The key itself, for writing it down.
    pub fn private_key(&self) -> &PrivateKey {
        &self.key
    }

    /// Algorithm and size.
    pub fn kind(&self) -> KeyKind {
        self.key.kind()
    }

    /// The public half as a JSON Web Key.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The public half's RFC 7638 thumbprint, in base64url.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// `alg` of its signatures (RFC 7518 section 3.1, RFC 8037 section 3.1): RS256 for every size
    /// of RSA, for that is the one algorithm all CAs take.
    pub fn algorithm(&self) -> &'static str {
        match self.kind() {
            KeyKind::Rsa { .. } => "RS256",
            KeyKind::Ecdsa(Curve::P256) => "ES256",
            KeyKind::Ecdsa(Curve::P384) => "ES384",
            KeyKind::Ecdsa(Curve::P521) => "ES512",
            KeyKind::Ed25519 => "EdDSA",
        }
    }

    /// What proves to the CA that the holder of `token`'s answer holds this key too (RFC 8555
    /// section 8.1).
    pub fn key_authorization(&self, token: &Token) -> KeyAuthorization {
        KeyAuthorization::new(token, &self.thumbprint)
    }

    /// Signs as JWS wants it: ECDSA as r and s side by side, each of the field's length.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AccountKeyError> {
        let algorithm = match self.kind() {
            KeyKind::Rsa { .. } => SignatureAlgorithm::Sha256WithRsa,
            other => other.default_signature_algorithm(),
        };
        let signature = self.key.sign(algorithm, message)?;
        match self.kind() {
            KeyKind::Ecdsa(curve) => side_by_side(&signature, field_length(curve)),
            _ => Ok(signature),
        }
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({}, {})", self.kind(), self.thumbprint)
    }
}

fn side_by_side(signature: &[u8], length: usize) -> Result<Vec<u8>, AccountKeyError> {
    let form = |_| AccountKeyError::Form("signature");
    let parts = EcdsaSignature::from_der(signature).map_err(form)?;
    let mut out = vec![0; 2 * length];
    for (number, end) in [(parts.r, length), (parts.s, 2 * length)] {
        let bytes = number.as_bytes();
        if bytes.len() > length {
            return Err(AccountKeyError::Form("signature"));
        }
        out[end - bytes.len()..end].copy_from_slice(bytes);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
