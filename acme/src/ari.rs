//! ACME Renewal Information (RFC 9773).

use std::fmt;

use everleaf_pki::CertInfo;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::base64url;

/// A certificate's name in renewal information and in `replaces` (RFC 9773 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertId(String);

impl CertId {
    /// The identifier of a certificate, or `None` if it has no authority key identifier.
    pub fn of(certificate: &CertInfo) -> Option<Self> {
        let key_id = certificate.authority_key_id.as_ref()?;
        Some(Self::from_parts(key_id, &certificate.serial))
    }

    /// From the key identifier's octets and the content octets of the serial number, both as they
    /// stand in the certificate.
    pub fn from_parts(authority_key_id: &[u8], serial: &[u8]) -> Self {
        CertId(format!("{}.{}", base64url(authority_key_id), base64url(serial)))
    }

    /// From both parts in base64url without padding, joined by a dot; `None` if it is something
    /// else, or longer than 256 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let part = |part: &str| {
            let of_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !part.is_empty() && part.bytes().all(of_base64url)
        };
        let (key_id, serial) = text.split_once('.')?;
        let well = text.len() <= 256 && part(key_id) && part(serial);
        well.then(|| CertId(text.to_owned()))
    }

    /// Both parts in base64url, joined by a dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When the CA would like a certificate to be renewed (RFC 9773 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalInfo {
    /// The window; its start is before its end.
    pub suggested_window: Window,
    /// A page that tells why, for a human.
    #[serde(rename = "explanationURL", default)]
    pub explanation_url: Option<String>,
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use everleaf_pki::Limits;

    const ID: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

    #[test]
    fn the_identifier_is_that_of_rfc_9773() {
        let key_id = [
            0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0,
            0xae, 0x2c, 0xde, 0x01, 0xc8, 0xd4,
        ];
        assert_eq!(CertId::from_parts(&key_id, &[0, 0x87, 0x65, 0x43, 0x21]).as_str(), ID);
    }

    #[test]
    fn what_could_lead_to_another_path_is_no_identifier() {
        assert_eq!(CertId::parse(ID).unwrap().as_str(), ID);
        let long = "a".repeat(300) + ".a";
        for wrong in ["", ".", "a", "a.", ".a", "a.b.c", "../a.b", "a/b.c", "a=.b", &long] {
            assert_eq!(CertId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_certificate_of_rfc_9773_appendix_a_has_that_identifier() {
        let pem = include_bytes!("../tests/data/rfc9773-a.pem");
        let certificates = CertInfo::parse_chain(pem, &Limits::default()).unwrap();
        assert_eq!(CertId::of(&certificates[0]).unwrap().to_string(), ID);
    }
}
