//! PEM (RFC 7468), bounded. The only place that knows which PEM reader is used.

use der::pem::LineEnding;
use rustls_pemfile::Item;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Largest PEM inputs accepted, in bytes. A larger input is refused before any of it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One certificate, or one certificate signing request.
    pub certificate: usize,
    /// One private key.
    pub key: usize,
    /// A leaf and its intermediates.
    pub chain: usize,
    /// A set of trusted certificates.
    pub bundle: usize,
}

impl Default for Limits {
    /// cert-manager's defaults (`--max-certificate-size` and its siblings).
    fn default() -> Self {
        Limits { certificate: 36_500, key: 13_000, chain: 95_000, bundle: 330_000 }
    }
}

/// Why PEM could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PemError {
    /// The input is larger than its limit.
    #[error("{what}: {length} bytes of PEM, more than the limit of {limit}")]
    TooLarge {
        /// What was to be read.
        what: &'static str,
        /// Its size in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// No block of the wanted kind is there.
    #[error("{what}: no PEM block of that kind in {length} bytes")]
    NotFound {
        /// What was to be read.
        what: &'static str,
        /// Size of the input in bytes.
        length: usize,
    },
    /// A block is cut off or not PEM.
    #[error("{what}: PEM block {block} cannot be read: {why}")]
    Malformed {
        /// What was to be read.
        what: &'static str,
        /// The block's position, counting from 1 the blocks of the wanted kind.
        block: usize,
        /// What is wrong.
        why: String,
    },
    /// The private key is encrypted; there is no passphrase to open it with.
    #[error("{what}: the key is encrypted with a passphrase")]
    Encrypted {
        /// What was to be read.
        what: &'static str,
    },
}

/// The DER inside a private key block, by the structure its label announces.
pub(crate) enum KeyDer {
    /// `RSA PRIVATE KEY` (RFC 8017).
    Pkcs1(Zeroizing<Vec<u8>>),
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1(Zeroizing<Vec<u8>>),
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8(Zeroizing<Vec<u8>>),
}

/// Every `CERTIFICATE` block, at least one, as DER. Blocks with other labels are skipped.
pub fn certificates(
    pem: &[u8],
    what: &'static str,
    limit: usize,
) -> Result<Vec<Vec<u8>>, PemError> {
    check_size(pem, what, limit)?;
    match readable_certificates(pem, what) {
        (_, Some(error)) => Err(error),
        (found, None) if found.is_empty() => Err(PemError::NotFound { what, length: pem.len() }),
        (found, None) => Ok(found),
    }
}

/// The `CERTIFICATE` blocks up to the first that cannot be read, and why it cannot.
pub(crate) fn readable_certificates(
    pem: &[u8],
    what: &'static str,
) -> (Vec<Vec<u8>>, Option<PemError>) {
    blocks(pem, what, |item| match item {
        Item::X509Certificate(der) => Some(der.to_vec()),
        _ => None,
    })
}

/// The first `CERTIFICATE REQUEST` (or `NEW CERTIFICATE REQUEST`) block as DER.
pub fn request(pem: &[u8], limit: usize) -> Result<Vec<u8>, PemError> {
    let what = "certificate signing request";
    check_size(pem, what, limit)?;
    let pem = without_new(pem);
    let found = blocks(&pem, what, |item| match item {
        Item::Csr(der) => Some(der.to_vec()),
        _ => None,
    });
    first(found, what, pem.len())
}

/// The first private key block. Blocks before it, such as `EC PARAMETERS`, are skipped.
pub(crate) fn private_key(pem: &[u8], limit: usize) -> Result<KeyDer, PemError> {
    let what = "private key";
    check_size(pem, what, limit)?;
    if contains(pem, b"BEGIN ENCRYPTED PRIVATE KEY") || contains(pem, b"Proc-Type: 4,ENCRYPTED") {
        return Err(PemError::Encrypted { what });
    }
    first(blocks(pem, what, key_of), what, pem.len())
}

fn key_of(item: Item) -> Option<KeyDer> {
    match item {
        Item::Pkcs1Key(mut key) => {
            let copy = Zeroizing::new(key.secret_pkcs1_der().to_vec());
            key.zeroize();
            Some(KeyDer::Pkcs1(copy))
        }
        Item::Sec1Key(mut key) => {
            let copy = Zeroizing::new(key.secret_sec1_der().to_vec());
            key.zeroize();
            Some(KeyDer::Sec1(copy))
        }
        Item::Pkcs8Key(mut key) => {
            let copy = Zeroizing::new(key.secret_pkcs8_der().to_vec());
            key.zeroize();
            Some(KeyDer::Pkcs8(copy))
        }
        _ => None,
    }
}

/// One PEM block: 64 columns, line feeds, as Go's `encoding/pem` writes it.
///
/// `label` is one of RFC 7468's, such as `CERTIFICATE`.
pub fn encode(label: &'static str, der: &[u8]) -> String {
    der::pem::encode_string(label, LineEnding::LF, der)
        .expect("the labels are RFC 7468's and the length is computed by the encoder itself")
}

pub(crate) fn check_size(pem: &[u8], what: &'static str, limit: usize) -> Result<(), PemError> {
    match pem.len() {
        length if length > limit => Err(PemError::TooLarge { what, length, limit }),
        _ => Ok(()),
    }
}

fn blocks<T>(
    pem: &[u8],
    what: &'static str,
    mut wanted: impl FnMut(Item) -> Option<T>,
) -> (Vec<T>, Option<PemError>) {
    let mut found = Vec::new();
    let mut rest = pem;
    loop {
        match rustls_pemfile::read_one_from_slice(rest) {
            Ok(Some((item, remainder))) => {
                found.extend(wanted(item));
                rest = remainder;
            }
            Ok(None) => return (found, None),
            Err(error) => {
                let block = found.len() + 1;
                return (found, Some(PemError::Malformed { what, block, why: explain(&error) }));
            }
        }
    }
}

fn first<T>(
    (found, error): (Vec<T>, Option<PemError>),
    what: &'static str,
    length: usize,
) -> Result<T, PemError> {
    let missing = error.unwrap_or(PemError::NotFound { what, length });
    found.into_iter().next().ok_or(missing)
}

/// Never quotes the input: it may be a private key.
fn explain(error: &rustls_pemfile::Error) -> String {
    match error {
        rustls_pemfile::Error::MissingSectionEnd { .. } => "its END line is missing".to_owned(),
        rustls_pemfile::Error::IllegalSectionStart { .. } => {
            "its BEGIN line does not end in five dashes".to_owned()
        }
        rustls_pemfile::Error::Base64Decode(_) => "it is not Base64".to_owned(),
    }
}

/// OpenSSL before 1.0 wrote requests with a label of its own.
fn without_new(pem: &[u8]) -> Vec<u8> {
    const NEW: &[u8] = b" NEW CERTIFICATE REQUEST-----";
    let mut out = Vec::with_capacity(pem.len());
    let mut rest = pem;
    while let Some(at) = find(rest, NEW) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&NEW[4..]);
        rest = &rest[at + NEW.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    find(haystack, needle).is_some()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_blocks_have_64_columns_and_are_read_back() {
        let der: Vec<u8> = (0..100).collect();
        let pem = encode("CERTIFICATE", &der);
        let widest = pem.lines().map(str::len).max();
        assert_eq!(widest, Some(64));
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && pem.ends_with("-----\n"));
        assert_eq!(certificates(pem.as_bytes(), "test", 1000).unwrap(), [der]);
    }

    #[test]
    fn the_limit_is_inclusive_and_checked_before_decoding() {
        let pem = vec![b'x'; 101];
        assert_eq!(
            certificates(&pem, "test", 100),
            Err(PemError::TooLarge { what: "test", length: 101, limit: 100 })
        );
        assert!(matches!(certificates(&pem, "test", 101), Err(PemError::NotFound { .. })));
    }

    #[test]
    fn errors_name_the_block_and_never_quote_it() {
        let good = encode("CERTIFICATE", b"abc");
        let pem =
            format!("{good}-----BEGIN CERTIFICATE-----\nsecret!\n-----END CERTIFICATE-----\n");
        let error = certificates(pem.as_bytes(), "test", 1000).unwrap_err().to_string();
        assert_eq!(error, "test: PEM block 2 cannot be read: it is not Base64");
    }

    #[test]
    fn encrypted_keys_are_said_to_be_encrypted() {
        let pem =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
        let found = private_key(pem.as_bytes(), 1000);
        assert!(matches!(found, Err(PemError::Encrypted { .. })));
    }

    #[test]
    fn requests_with_the_old_label_are_found() {
        let pem = encode("NEW CERTIFICATE REQUEST", b"abc");
        assert_eq!(request(pem.as_bytes(), 1000).unwrap(), b"abc");
    }

    #[test]
    fn blocks_before_the_key_are_skipped() {
        let pem = encode("EC PARAMETERS", b"a") + &encode("EC PRIVATE KEY", b"b");
        let found = private_key(pem.as_bytes(), 1000);
        assert!(matches!(found, Ok(KeyDer::Sec1(der)) if *der == b"b"));
    }
}
