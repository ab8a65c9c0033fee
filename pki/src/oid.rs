//! Object identifiers of any length: those made of a UUID do not fit fixed-size types.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::tlv::{self, Malformed, tag};

/// Content octets of the identifiers this crate knows.
pub(crate) mod id {
    pub const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    pub const SERIAL_NUMBER: &[u8] = &[0x55, 4, 5];
    pub const COUNTRY: &[u8] = &[0x55, 4, 6];
    pub const LOCALITY: &[u8] = &[0x55, 4, 7];
    pub const PROVINCE: &[u8] = &[0x55, 4, 8];
    pub const STREET_ADDRESS: &[u8] = &[0x55, 4, 9];
    pub const ORGANIZATION: &[u8] = &[0x55, 4, 10];
    pub const ORGANIZATIONAL_UNIT: &[u8] = &[0x55, 4, 11];
    pub const POSTAL_CODE: &[u8] = &[0x55, 4, 17];
    pub const DOMAIN_COMPONENT: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25];
    pub const USER_ID: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1];

    pub const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
    pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    pub const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
    pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
    pub const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
    pub const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
    pub const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
    pub const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
    pub const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
    pub const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];
    /// PKCS #9 extensionRequest (RFC 2985 section 5.4.2).
    pub const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];

    pub const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    pub const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    pub const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
}

/// A text that is not a dotted object identifier.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a dotted object identifier")]
pub struct OidError(pub String);

/// An object identifier: its DER content octets, valid and with arcs of at most 128 bits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Cow<'static, [u8]>);

impl Oid {
    pub(crate) const fn known(content: &'static [u8]) -> Self {
        Oid(Cow::Borrowed(content))
    }

    /// Reads the content octets of an OBJECT IDENTIFIER.
    pub fn from_content(content: &[u8]) -> Result<Self, Malformed> {
        let oid = Oid(Cow::Owned(content.to_vec()));
        match oid.arcs() {
            Some(_) => Ok(oid),
            None => Err(Malformed::new("OBJECT IDENTIFIER", "not a sequence of arcs")),
        }
    }

    /// The DER content octets, without tag and length.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn to_der(&self) -> Vec<u8> {
        tlv::element(tag::OID, &[&self.0])
    }

    /// The arcs, or `None` where the octets are no identifier (X.690 8.19).
    fn arcs(&self) -> Option<Vec<u128>> {
        let mut numbers = Vec::new();
        let mut octets = self.0.iter();
        while let Some(first) = octets.next() {
            let mut octet = *first;
            if octet == 0x80 {
                return None;
            }
            let mut number = u128::from(octet & 0x7f);
            while octet & 0x80 != 0 {
                octet = *octets.next()?;
                number = number.checked_mul(128)? | u128::from(octet & 0x7f);
            }
            numbers.push(number);
        }
        let first = *numbers.first()?;
        let root = (first / 40).min(2);
        numbers[0] = first - root * 40;
        numbers.insert(0, root);
        Some(numbers)
    }
}

impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, OidError> {
        let content = arcs_of(text).as_deref().and_then(content_of);
        content.map(|content| Oid(Cow::Owned(content))).ok_or_else(|| OidError(text.to_owned()))
    }
}

fn arcs_of(text: &str) -> Option<Vec<u128>> {
    let arc = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => part.parse::<u128>().ok(),
        false => None,
    };
    text.split('.').map(arc).collect()
}

fn content_of(arcs: &[u128]) -> Option<Vec<u8>> {
    let (&[root, second], rest) = arcs.split_first_chunk::<2>()?;
    if root > 2 || (root < 2 && second >= 40) {
        return None;
    }
    let mut content = base_128(second.checked_add(root * 40)?);
    rest.iter().for_each(|&arc| content.extend(base_128(arc)));
    Some(content)
}

fn base_128(mut number: u128) -> Vec<u8> {
    let mut octets = vec![(number & 0x7f) as u8];
    number >>= 7;
    while number > 0 {
        octets.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    octets.reverse();
    octets
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, arc) in self.arcs().unwrap_or_default().iter().enumerate() {
            let dot = if position == 0 { "" } else { "." };
            write!(f, "{dot}{arc}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_text_round_trips_including_arcs_made_of_a_uuid() {
        for text in ["2.5.4.3", "1.3.6.1.4.1.311.20.2.3", "0.39", "2.999.1", "1.2.840.113549"] {
            assert_eq!(text.parse::<Oid>().unwrap().to_string(), text);
        }
        let uuid = "2.25.329800735698586629295641978511506172918";
        let oid: Oid = uuid.parse().unwrap();
        assert_eq!(Oid::from_content(oid.as_bytes()).unwrap().to_string(), uuid);
    }

    #[test]
    fn texts_and_octets_that_are_no_identifier_are_refused() {
        for text in ["", "1", "3.1", "1.40", "1..2", "1.+2", "a.b", "1.2."] {
            assert!(text.parse::<Oid>().is_err(), "{text}");
        }
        for octets in [&[][..], &[0x80, 1], &[0x2b, 0x86], &[0xff; 40]] {
            assert!(Oid::from_content(octets).is_err(), "{octets:x?}");
        }
    }
}
