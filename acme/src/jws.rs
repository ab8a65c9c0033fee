//! JSON Web Signatures as RFC 8555 section 6.2 wants them, and external account bindings.

use std::convert::Infallible;
use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use everleaf_pki::Zeroizing;
use serde::Serialize;
use thiserror::Error;

use crate::key::{AccountKey, AccountKeyError, Jwk, base64url};

/// How a request names the key that signs it.
#[derive(Clone, Copy)]
pub(crate) enum KeyId<'a> {
    /// By itself.
    Jwk,
    /// By the account's URL.
    Account(&'a str),
}

#[derive(Serialize)]
struct Protected<'a> {
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Jwk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    url: &'a str,
}

/// A JWS in flattened JSON serialization (RFC 7515 section 7.2.2).
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Jws {
    pub(crate) protected: String,
    pub(crate) payload: String,
    pub(crate) signature: String,
}

impl Jws {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings alone are always JSON")
    }
}

/// Signs `payload` for `url`. An empty payload makes a POST-as-GET (RFC 8555 section 6.3).
pub(crate) fn sign(
    key: &AccountKey,
    by: KeyId<'_>,
    nonce: Option<&str>,
    url: &str,
    payload: &[u8],
) -> Result<Jws, AccountKeyError> {
    let (jwk, kid) = match by {
        KeyId::Jwk => (Some(key.jwk()), None),
        KeyId::Account(url) => (None, Some(url)),
    };
    let protected = Protected { alg: key.algorithm(), jwk, kid, nonce, url };
    sealed(&protected, payload, |input| key.sign(input))
}

fn sealed<E>(
    protected: &Protected<'_>,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Jws, E> {
    let protected = serde_json::to_vec(protected).expect("strings alone are always JSON");
    let (protected, payload) = (base64url(&protected), base64url(payload));
    let signature = base64url(&sign(format!("{protected}.{payload}").as_bytes())?);
    Ok(Jws { protected, payload, signature })
}

/// Why the key of an external account cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ExternalAccountError {
    /// There is no key identifier.
    #[error("the external account's key identifier is empty")]
    NoKeyId,
    /// The key is empty or not base64url.
    #[error("the external account's key is empty or not base64url")]
    BadKey,
}

/// What ties an account to one that the CA knows by other means (RFC 8555 section 7.3.4). Its
/// `Debug` shows the key's identifier only.
pub struct ExternalAccount {
    key_id: String,
    key: Zeroizing<Vec<u8>>,
}

impl ExternalAccount {
    /// Takes the key as CAs hand it out: in base64url. The standard alphabet, padding and white
    /// space around it are accepted too.
    pub fn new(key_id: &str, key: &[u8]) -> Result<Self, ExternalAccountError> {
        let key_id = key_id.trim();
        if key_id.is_empty() {
            return Err(ExternalAccountError::NoKeyId);
        }
        let url_safe = |&byte: &u8| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        };
        let text = Zeroizing::new(key.trim_ascii().iter().map(url_safe).collect::<Vec<u8>>());
        let end = text.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
        match BASE64_URL_SAFE_NO_PAD.decode(&text[..end]) {
            Ok(key) if !key.is_empty() => {
                Ok(ExternalAccount { key_id: key_id.to_owned(), key: Zeroizing::new(key) })
            }
            _ => Err(ExternalAccountError::BadKey),
        }
    }

    /// The CA's name of the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Signs the account's public key with HMAC-SHA-256, for the URL of the newAccount resource.
    pub(crate) fn bind(&self, account: &Jwk, url: &str) -> Jws {
        let payload = serde_json::to_vec(account).expect("strings alone are always JSON");
        let kid = Some(self.key_id.as_str());
        let protected = Protected { alg: "HS256", jwk: None, kid, nonce: None, url };
        let signed = sealed::<Infallible>(&protected, &payload, |input| Ok(self.mac(input)));
        match signed {
            Ok(jws) => jws,
        }
    }

    fn mac(&self, input: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        hmac::sign(&key, input).as_ref().to_vec()
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
