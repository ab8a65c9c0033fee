//! JSON Web Signatures as ACME uses them (RFC 8555 section 6.2): read, bounded, and verified.

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use everleaf_pki::{KeyKind, PublicKey};
use serde_json::Value;

use crate::acme::{ErrorKind, ExternalKey, Problem};

/// The algorithms that requests may be signed with.
pub(super) const ALGORITHMS: [&str; 5] = ["RS256", "ES256", "ES384", "ES512", "EdDSA"];

/// A flattened JWS, not verified yet.
pub(super) struct Jws {
    header: Value,
    payload: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

/// Who signed.
pub(super) enum Signer {
    /// An account, by its URL.
    Account(String),
    /// A key that may have no account yet.
    Key(Box<Jwk>),
}

fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    let malformed = |_| Problem::malformed("not base64url without padding");
    URL_SAFE_NO_PAD.decode(text).map_err(malformed)
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Problem> {
    let missing = || Problem::malformed(format!("the JWS has no {field:?}"));
    value[field].as_str().ok_or_else(missing)
}

impl Jws {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let malformed = |_| Problem::malformed("Parse error reading JWS");
        let value: Value = serde_json::from_slice(body).map_err(malformed)?;
        Jws::of(&value)
    }

    fn of(value: &Value) -> Result<Self, Problem> {
        if value.get("signatures").is_some() || value.get("header").is_some() {
            return Err(Problem::malformed("only flattened JWS without unprotected headers"));
        }
        let (protected, payload) = (text(value, "protected")?, text(value, "payload")?);
        let malformed = |_| Problem::malformed("the protected header is no JSON");
        Ok(Jws {
            header: serde_json::from_slice(&decode(protected)?).map_err(malformed)?,
            payload: decode(payload)?,
            signed: format!("{protected}.{payload}").into_bytes(),
            signature: decode(text(value, "signature")?)?,
        })
    }

    pub(super) fn algorithm(&self) -> Result<&str, Problem> {
        let algorithm = text(&self.header, "alg")?;
        if ALGORITHMS.contains(&algorithm) {
            return Ok(algorithm);
        }
        let detail = format!("JWS signature header contains unsupported algorithm {algorithm:?}");
        Err(Problem::new(ErrorKind::BadSignatureAlgorithm, detail))
    }

    pub(super) fn nonce(&self) -> Result<&str, Problem> {
        let none = |_| Problem::new(ErrorKind::BadNonce, "JWS has no anti-replay nonce");
        text(&self.header, "nonce").map_err(none)
    }

    pub(super) fn url(&self) -> Result<&str, Problem> {
        text(&self.header, "url")
    }

    pub(super) fn signer(&self) -> Result<Signer, Problem> {
        match (self.header.get("kid"), self.header.get("jwk")) {
            (Some(Value::String(kid)), None) => Ok(Signer::Account(kid.clone())),
            (None, Some(jwk)) => Ok(Signer::Key(Box::new(Jwk::read(jwk)?))),
            _ => Err(Problem::malformed("exactly one of \"jwk\" and \"kid\" must be there")),
        }
    }

    pub(super) fn verify(&self, key: &Jwk) -> Result<(), Problem> {
        let algorithm = self.algorithm()?;
        if algorithm != key.algorithm() {
            let detail = format!("{algorithm} does not fit the key, which needs another algorithm");
            return Err(Problem::new(ErrorKind::BadSignatureAlgorithm, detail));
        }
        key.verify(&self.signed, &self.signature)
    }

    /// The payload; none where it is empty (POST-as-GET).
    pub(super) fn payload(&self) -> Result<Option<Value>, Problem> {
        if self.payload.is_empty() {
            return Ok(None);
        }
        let malformed = |_| Problem::malformed("Request payload did not parse as JSON");
        Ok(Some(serde_json::from_slice(&self.payload).map_err(malformed)?))
    }

    /// The key of the outer JWS, as it stands there.
    pub(super) fn jwk(&self) -> &Value {
        &self.header["jwk"]
    }
}

/// Verifies a binding to an external account (RFC 8555 section 7.3.4) and gives its key
/// identifier.
pub(super) fn external(
    binding: &Value,
    outer: &Jws,
    keys: impl Fn(&str) -> Option<ExternalKey>,
) -> Result<String, Problem> {
    let refused = |detail: &str| Problem::new(ErrorKind::Unauthorized, detail);
    let inner = Jws::of(binding)?;
    if text(&inner.header, "alg")? != "HS256" {
        return Err(Problem::malformed("the external account binding is not signed with HS256"));
    }
    if inner.url()? != outer.url()? || inner.header.get("nonce").is_some() {
        return Err(Problem::malformed("the external account binding is for another request"));
    }
    if inner.payload()?.as_ref() != Some(outer.jwk()) {
        return Err(Problem::malformed("the external account binding is for another key"));
    }
    let kid = text(&inner.header, "kid")?;
    let key = keys(kid).ok_or_else(|| refused("The external account is not known"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
    let verified = hmac::verify(&key, &inner.signed, &inner.signature);
    verified.map_err(|_| refused("The external account binding is not signed as it should be"))?;
    Ok(kid.to_owned())
}

/// A public key (RFC 7517, 7518, 8037).
#[derive(Clone, Debug)]
pub(super) enum Jwk {
    Rsa { n: Vec<u8>, e: Vec<u8>, public: PublicKey },
    Ec { curve: &'static Curve, point: Vec<u8>, public: PublicKey },
    Ed25519 { x: Vec<u8>, public: PublicKey },
}

#[derive(Debug)]
pub(super) struct Curve {
    name: &'static str,
    algorithm: &'static str,
    octets: usize,
    verification: &'static signature::EcdsaVerificationAlgorithm,
    /// SubjectPublicKeyInfo up to the point.
    prefix: &'static [u8],
}

static CURVES: [Curve; 3] = [
    Curve {
        name: "P-256",
        algorithm: "ES256",
        octets: 32,
        verification: &signature::ECDSA_P256_SHA256_FIXED,
        prefix: b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\
            \x3d\x03\x01\x07\x03\x42\x00",
    },
    Curve {
        name: "P-384",
        algorithm: "ES384",
        octets: 48,
        verification: &signature::ECDSA_P384_SHA384_FIXED,
        prefix: b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\
            \x22\x03\x62\x00",
    },
    Curve {
        name: "P-521",
        algorithm: "ES512",
        octets: 66,
        verification: &signature::ECDSA_P521_SHA512_FIXED,
        prefix: b"\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\
            \x00\x23\x03\x81\x86\x00",
    },
];

const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// The AlgorithmIdentifier of rsaEncryption.
const RSA_ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

fn bad_key(why: &str) -> Problem {
    Problem::new(ErrorKind::BadPublicKey, why)
}

impl Jwk {
    fn read(jwk: &Value) -> Result<Self, Problem> {
        let octets = |field: &str| decode(text(jwk, field)?);
        match text(jwk, "kty")? {
            "RSA" => Jwk::rsa(octets("n")?, octets("e")?),
            "EC" => Jwk::ec(text(jwk, "crv")?, octets("x")?, octets("y")?),
            "OKP" if text(jwk, "crv")? == "Ed25519" => {
                let x = octets("x")?;
                let public = public(&[ED25519_PREFIX, &x].concat())?;
                Ok(Jwk::Ed25519 { x, public })
            }
            other => Err(bad_key(&format!("keys of type {other:?} are not supported"))),
        }
    }

    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self, Problem> {
        let key = der(0x30, &[unsigned(&n), unsigned(&e)].concat());
        let bits = der(0x03, &[&[0], key.as_slice()].concat());
        let public = public(&der(0x30, &[RSA_ALGORITHM, &bits].concat()))?;
        match public.kind() {
            Some(KeyKind::Rsa { bits: 2048 | 3072 | 4096 }) => Ok(Jwk::Rsa { n, e, public }),
            _ => Err(bad_key("key size not supported: 2048, 3072 and 4096 are")),
        }
    }

    fn ec(name: &str, x: Vec<u8>, y: Vec<u8>) -> Result<Self, Problem> {
        let curve = CURVES.iter().find(|curve| curve.name == name);
        let curve = curve.ok_or_else(|| bad_key("the curve is not supported"))?;
        if x.len() != curve.octets || y.len() != curve.octets {
            return Err(bad_key("a coordinate is not of the curve's length"));
        }
        let point = [&[4], x.as_slice(), &y].concat();
        let public = public(&[curve.prefix, &point].concat())?;
        Ok(Jwk::Ec { curve, point, public })
    }

    fn public(&self) -> &PublicKey {
        match self {
            Jwk::Rsa { public, .. } | Jwk::Ec { public, .. } | Jwk::Ed25519 { public, .. } => {
                public
            }
        }
    }

    /// SHA-256 over the SubjectPublicKeyInfo, in lowercase hex.
    pub(super) fn fingerprint(&self) -> String {
        self.public().fingerprint()
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Jwk::Rsa { .. } => "RS256",
            Jwk::Ec { curve, .. } => curve.algorithm,
            Jwk::Ed25519 { .. } => "EdDSA",
        }
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), Problem> {
        let verified = match self {
            Jwk::Rsa { n, e, .. } => RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                signed,
                signature,
            ),
            Jwk::Ec { curve, point, .. } => {
                UnparsedPublicKey::new(curve.verification, point).verify(signed, signature)
            }
            Jwk::Ed25519 { x, .. } => {
                UnparsedPublicKey::new(&signature::ED25519, x).verify(signed, signature)
            }
        };
        verified.map_err(|_| Problem::malformed("JWS verification error"))
    }

    /// The thumbprint (RFC 7638): members in the order of their names, no white space.
    pub(super) fn thumbprint(&self) -> String {
        let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        let canonical = match self {
            Jwk::Rsa { n, e, .. } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n))
            }
            Jwk::Ec { curve, point, .. } => {
                let (x, y) = point[1..].split_at(curve.octets);
                let (x, y) = (encode(x), encode(y));
                format!(r#"{{"crv":"{}","kty":"EC","x":"{x}","y":"{y}"}}"#, curve.name)
            }
            Jwk::Ed25519 { x, .. } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(x))
            }
        };
        encode(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    }
}

fn public(spki: &[u8]) -> Result<PublicKey, Problem> {
    PublicKey::from_der(spki).map_err(|_| bad_key("the key is not well-formed"))
}

/// A DER element of up to 64 KiB.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header: &[u8] = match (high, low) {
        (0, 0..0x80) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [header, content].concat()
}

/// A DER INTEGER that is not negative.
fn unsigned(octets: &[u8]) -> Vec<u8> {
    let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    let digits = &octets[first..];
    let sign: &[u8] = if digits.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    der(0x02, &[sign, digits].concat())
}
