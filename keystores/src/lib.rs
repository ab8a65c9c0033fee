//! PKCS#12 and Java keystores, and the other forms in which a certificate and its key are kept.
//!
//! Pure functions from keys, certificates and passwords to bytes: no I/O, no clock and no
//! randomness. What has to be random is a [`Salts`] that the caller drew, so the same input gives
//! the same bytes. Files are written and never read.
//!
//! The legacy profiles encrypt with RC2 and DES and hash with SHA-1, because the clients that ask
//! for them know nothing else. What protects such a file is who may read the Secret it lies in.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod asn1;
mod encryption;
mod entries;
mod error;
mod formats;
mod friendly_name;
mod identity;
pub mod jks;
mod kdf;
mod password;
pub mod pkcs12;
mod salts;

pub use entries::{Entries, Material, Wanted};
pub use error::StoreError;
pub use formats::{combined_pem, key_der};
pub use identity::{Identity, MAX_CONTENT};
pub use password::{MAX_PASSWORD, Password};
pub use salts::Salts;
