//! Challenge tokens and what answers them (RFC 8555 section 8, RFC 8737).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::key::base64url;

/// Longest token that is accepted, in octets; it becomes a path segment.
pub const MAX_TOKEN: usize = 256;

/// A challenge's token: base64url characters only, as RFC 8555 section 8.3 demands, because it ends
/// up in a path. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(String);

impl Token {
    /// Takes a token of 1 to [`MAX_TOKEN`] base64url characters; `None` for any other.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let fits = (1..=MAX_TOKEN).contains(&text.len());
        (fits && is_base64url(&text)).then_some(Token(text))
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text has characters of RFC 4648 section 5 only.
pub(crate) fn is_base64url(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Token::new(text).ok_or_else(|| serde::de::Error::custom("the token is not base64url"))
    }
}

/// Token and account key thumbprint, joined (RFC 8555 section 8.1). Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyAuthorization(String);

impl KeyAuthorization {
    pub(crate) fn new(token: &Token, thumbprint: &str) -> Self {
        KeyAuthorization(format!("{}.{thumbprint}", token.as_str()))
    }

    /// What http-01 serves (RFC 8555 section 8.3).
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Text of dns-01's TXT record (RFC 8555 section 8.4).
    pub fn dns_value(&self) -> String {
        base64url(&self.tls_alpn_digest())
    }

    /// Content of the OCTET STRING in tls-alpn-01's `id-pe-acmeIdentifier` extension, whose own
    /// DER is `04 20` and then these octets (RFC 8737 section 3).
    pub fn tls_alpn_digest(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        out
    }
}

impl fmt::Debug for KeyAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyAuthorization(..)")
    }
}
