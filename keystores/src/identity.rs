//! What a keystore holds.

use std::fmt;

use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Reader, Tag};
use everleaf_pki::CertInfo;

use crate::StoreError;

/// The most that key and certificates of one store may have together, in bytes: what the API server
/// lets a Secret hold.
pub const MAX_CONTENT: usize = 1 << 20;

/// A private key and the certificates that belong to it. Whether the leaf is the key's is for the
/// caller to know.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    key: &'a [u8],
    chain: &'a [CertInfo],
}

impl<'a> Identity<'a> {
    /// `key` is a PKCS #8 structure in its first version (RFC 5208), the only one that Java and
    /// Windows read; `chain` is the leaf, followed by its intermediates.
    pub fn new(key: &'a [u8], chain: &'a [CertInfo]) -> Result<Self, StoreError> {
        if chain.is_empty() {
            return Err(StoreError::EmptyChain);
        }
        check_key(key)?;
        Ok(Identity { key, chain })
    }

    pub(crate) fn key(&self) -> &'a [u8] {
        self.key
    }

    pub(crate) fn leaf(&self) -> &'a CertInfo {
        &self.chain[0]
    }

    pub(crate) fn chain(&self) -> &'a [CertInfo] {
        self.chain
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?}, {} certificates)", self.leaf().subject, self.chain.len())
    }
}

fn check_key(key: &[u8]) -> Result<(), StoreError> {
    let malformed = |_: der::Error| StoreError::BadKey("it is not PKCS #8");
    let outer = AnyRef::from_der(key).map_err(malformed)?;
    if outer.header().tag() != Tag::Sequence {
        return Err(StoreError::BadKey("it is not PKCS #8"));
    }
    let version = outer.sequence(|fields| {
        let version = u8::decode(fields)?;
        let algorithm = AnyRef::decode(fields)?;
        algorithm.header().tag().assert_eq(Tag::Sequence)?;
        <&OctetStringRef>::decode(fields)?;
        // Attributes may follow.
        fields.read_slice(fields.remaining_len())?;
        Ok(version)
    });
    match version.map_err(malformed)? {
        0 => Ok(()),
        _ => Err(StoreError::BadKey("it is a later version of PKCS #8 than the first")),
    }
}

/// Refuses more than [`MAX_CONTENT`].
pub(crate) fn check_size(
    identity: Option<&Identity<'_>>,
    authorities: &[CertInfo],
) -> Result<(), StoreError> {
    let size = |certificates: &[CertInfo]| certificates.iter().map(|c| c.der.len()).sum::<usize>();
    let own = identity.map_or(0, |identity| identity.key.len() + size(identity.chain));
    match own + size(authorities) {
        length if length > MAX_CONTENT => Err(StoreError::TooLarge { length }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_other_forms_than_the_first_version_of_pkcs_8_are_refused() {
        let sec1_or_pkcs1 = [0x30, 6, 2, 1, 0, 2, 1, 7];
        let second_version = [0x30, 9, 2, 1, 1, 0x30, 0, 4, 2, 4, 0];
        for bytes in [&b""[..], b"-----BEGIN", &sec1_or_pkcs1, &[4, 1, 0], &second_version] {
            assert!(matches!(check_key(bytes), Err(StoreError::BadKey(_))), "{bytes:x?}");
        }
    }

    #[test]
    fn attributes_of_a_key_are_let_through_and_trailing_bytes_are_not() {
        let plain = [0x30, 7, 2, 1, 0, 0x30, 0, 4, 0];
        assert_eq!(check_key(&plain), Ok(()));
        assert_eq!(check_key(&[0x30, 9, 2, 1, 0, 0x30, 0, 4, 0, 0xa0, 0]), Ok(()));
        assert!(check_key(&[&plain[..], &[0]].concat()).is_err());
    }
}
