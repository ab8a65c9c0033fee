//! Why a keystore is not written.

use thiserror::Error;

use crate::{MAX_CONTENT, MAX_PASSWORD};

/// Why a keystore is not written. Nothing in it quotes a key or a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// A password of no characters, which readers disagree about (RFC 7292 appendix B.1).
    #[error("the password is empty")]
    EmptyPassword,
    /// A password above the bound.
    #[error("the password has {length} bytes, more than {MAX_PASSWORD}")]
    LongPassword {
        /// Its length in bytes.
        length: usize,
    },
    /// A password that is not text.
    #[error("the password is not UTF-8 text")]
    PasswordNotText,
    /// A password that PKCS#12 has no encoding for: it takes a BMPString (RFC 7292 appendix B.1).
    #[error("the password has a character above U+FFFF, which PKCS#12 cannot encode")]
    PasswordNotBmp,
    /// No certificate belongs to the key.
    #[error("there is no certificate for the key")]
    EmptyChain,
    /// A truststore that would trust nobody.
    #[error("there is no CA certificate to trust")]
    NothingToTrust,
    /// The key is not a PKCS #8 structure that clients read.
    #[error("the private key cannot be stored: {0}")]
    BadKey(&'static str),
    /// An alias that does not fit its field.
    #[error("the alias has {length} bytes, more than 65535")]
    LongAlias {
        /// Its length in bytes, as Java encodes it.
        length: usize,
    },
    /// More than a Secret can hold.
    #[error("key and certificates have {length} bytes, more than {MAX_CONTENT}")]
    TooLarge {
        /// The size of key and certificates together, in bytes.
        length: usize,
    },
    /// The cryptographic library failed without giving a reason.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
}
