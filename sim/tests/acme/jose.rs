//! JSON Web Signatures of this test's own, so that the CA's reading of them is checked by a second
//! writer.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// The SHA-256 of octets, in base64url.
pub fn sha256(octets: &[u8]) -> String {
    encode(digest::digest(&digest::SHA256, octets))
}

/// A key that signs requests.
pub enum Key {
    Rsa(RsaKeyPair),
    Ec(&'static str, &'static str, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub fn new(algorithm: &str) -> Self {
        let ec = |curve, name, kind| Key::Ec(curve, name, EcdsaKeyPair::generate(kind).unwrap());
        match algorithm {
            "RS256" => Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            "ES256" => ec("P-256", "ES256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec("P-384", "ES384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            "ES512" => ec("P-521", "ES512", &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            _ => Key::Ed25519(Ed25519KeyPair::generate().unwrap()),
        }
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Key::Rsa(_) => "RS256",
            Key::Ec(_, algorithm, _) => algorithm,
            Key::Ed25519(_) => "EdDSA",
        }
    }

    /// Members in the order of their names, as the thumbprint wants them; `Value` sorts them.
    pub fn jwk(&self) -> Value {
        match self {
            Key::Rsa(pair) => {
                // RSAPublicKey of 2048 bits: two headers of four octets, and a zero for the sign.
                let der = pair.public_key().as_ref();
                let (n, e) = (&der[9..9 + 256], &der[der.len() - 3..]);
                json!({"e": encode(e), "kty": "RSA", "n": encode(n)})
            }
            Key::Ec(curve, _, pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"crv": curve, "kty": "EC", "x": encode(x), "y": encode(y)})
            }
            Key::Ed25519(pair) => {
                json!({"crv": "Ed25519", "kty": "OKP", "x": encode(pair.public_key())})
            }
        }
    }

    pub fn thumbprint(&self) -> String {
        sha256(self.jwk().to_string().as_bytes())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Key::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out).unwrap();
                out
            }
            Key::Ec(_, _, pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A flattened JWS.
    pub fn jws(&self, header: &Value, payload: Option<&Value>) -> Value {
        flattened(header, payload, |message| self.sign(message))
    }
}

/// A binding to an external account.
pub fn external(kid: &str, secret: &[u8], url: &str, jwk: &Value) -> Value {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let header = json!({"alg": "HS256", "kid": kid, "url": url});
    flattened(&header, Some(jwk), |message| hmac::sign(&key, message).as_ref().to_vec())
}

fn flattened(header: &Value, payload: Option<&Value>, sign: impl Fn(&[u8]) -> Vec<u8>) -> Value {
    let protected = encode(header.to_string());
    let payload = payload.map_or_else(String::new, |payload| encode(payload.to_string()));
    let signature = encode(sign(format!("{protected}.{payload}").as_bytes()));
    json!({"protected": protected, "payload": payload, "signature": signature})
}
