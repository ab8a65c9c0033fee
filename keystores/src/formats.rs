//! The additional output formats: what else a Secret may hold of `tls.key` and `tls.crt`.

use rustls_pemfile::Item;
use zeroize::{Zeroize, Zeroizing};

use crate::{MAX_CONTENT, StoreError};

/// `tls-combined.pem`: the key, a line feed, the certificates. Key and certificates are the PEM of
/// `tls.key` and `tls.crt`, unchanged, so that an empty line stands between them.
pub fn combined_pem(key: &[u8], certificates: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut combined = Zeroizing::new(Vec::with_capacity(key.len() + 1 + certificates.len()));
    for part in [key, b"\n", certificates] {
        combined.extend_from_slice(part);
    }
    combined
}

/// `key.der`: the content of the first private key block in `tls.key`, in whichever encoding that
/// has: PKCS #1, SEC 1 or PKCS #8.
pub fn key_der(key: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let length = key.len();
    if length > MAX_CONTENT {
        return Err(StoreError::TooLarge { length });
    }
    let mut rest = key;
    loop {
        let read = rustls_pemfile::read_one_from_slice(rest);
        match read.map_err(|_| StoreError::BadKey("its PEM cannot be read"))? {
            None => return Err(StoreError::BadKey("there is no private key in the PEM")),
            Some((Item::Pkcs1Key(key), _)) => return Ok(wiped(key, |key| key.secret_pkcs1_der())),
            Some((Item::Sec1Key(key), _)) => return Ok(wiped(key, |key| key.secret_sec1_der())),
            Some((Item::Pkcs8Key(key), _)) => return Ok(wiped(key, |key| key.secret_pkcs8_der())),
            Some((_, behind)) => rest = behind,
        }
    }
}

fn wiped<K: Zeroize>(mut key: K, der: impl FnOnce(&K) -> &[u8]) -> Zeroizing<Vec<u8>> {
    let copy = Zeroizing::new(der(&key).to_vec());
    key.zeroize();
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use everleaf_pki::{Curve, Encoding, KeyKind, PrivateKey};

    #[test]
    fn the_key_comes_first_and_an_empty_line_behind_it() {
        let combined = combined_pem(b"KEY\n", b"CERTIFICATE\nCA\n");
        assert_eq!(*combined, b"KEY\n\nCERTIFICATE\nCA\n");
    }

    #[test]
    fn a_key_keeps_its_encoding() {
        for kind in [KeyKind::Rsa { bits: 2048 }, KeyKind::Ecdsa(Curve::P256), KeyKind::Ed25519] {
            let key = PrivateKey::generate(kind).unwrap();
            for encoding in [Encoding::Pkcs1, Encoding::Pkcs8] {
                let pem = key.to_pem(encoding).unwrap();
                assert_eq!(key_der(pem.as_bytes()).unwrap(), key.to_der(encoding).unwrap());
            }
        }
    }

    #[test]
    fn blocks_before_the_key_are_skipped_and_no_key_is_an_error() {
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let parameters = everleaf_pki::pem::encode("CERTIFICATE", &[0x30, 0]);
        let pem = parameters.clone() + &key.to_pem(Encoding::Pkcs8).unwrap();
        assert_eq!(key_der(pem.as_bytes()).unwrap(), key.to_der(Encoding::Pkcs8).unwrap());
        for bad in [&b""[..], parameters.as_bytes(), b"-----BEGIN PRIVATE KEY-----\n!"] {
            assert!(matches!(key_der(bad), Err(StoreError::BadKey(_))));
        }
        let length = MAX_CONTENT + 1;
        assert_eq!(key_der(&vec![b'-'; length]).err(), Some(StoreError::TooLarge { length }));
    }
}
