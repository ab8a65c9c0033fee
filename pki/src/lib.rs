//! Keys, certificate signing requests and certificates.
//!
//! Pure functions over bytes: no I/O, no clock (times are parameters, in seconds since the Unix
//! epoch). Randomness is aws-lc-rs's, and only where a key, a serial number or a signature needs
//! it. Names, alternative names and public keys of other people's requests are carried as the very
//! bytes they came in, because decoding and encoding again is not the identity on X.509 as found.
//!
//! Everything read from outside is bounded by [`Limits`], and nothing read from outside panics.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod algorithm;
mod alt_names;
mod annotations;
mod cert;
mod chain;
mod constraints;
mod csr;
mod extension;
mod key;
mod name;
mod oid;
mod pair;
pub mod pem;
mod public_key;
mod sign;
mod time;
mod tlv;
mod usage;

pub use algorithm::{SignatureAlgorithm, UnknownSignatureAlgorithm, VerifyError};
pub use alt_names::{AltNames, NotEncodable, OtherName};
pub use annotations::secret_annotations;
pub use cert::{CertError, CertInfo};
pub use chain::{Chain, ChainError, MAX_CHAIN_LENGTH, arrange_chain};
pub use constraints::{IpRange, IpRangeError, NameConstraints, Subtrees};
pub use csr::{BasicConstraints, CsrError, CsrInfo, CsrSpec, RequestedConstraints};
pub use key::{Curve, Encoding, KeyError, KeyKind, PrivateKey};
pub use name::{Attribute, Name, SubjectFields};
pub use oid::{Oid, OidError};
pub use pair::{ChainHint, Pair, PairPart, PairReport, inspect_pair};
pub use pem::{Limits, PemError};
pub use public_key::PublicKey;
pub use sign::{CaSigner, Issue, Issued, SignError, self_sign};
pub use time::OutOfRange;
pub use tlv::Malformed;
pub use usage::{UnknownUsage, Usage, Usages};
pub use zeroize::Zeroizing;
