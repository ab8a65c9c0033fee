//! Keys of annotations, labels and finalizers; names of child objects; what is copied to children.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

mod keys;

pub mod csv;
pub mod everleaf;

pub use keys::*;

/// The longest name of an object (RFC 1123 subdomain).
pub const MAX_NAME: usize = 253;

/// The longest Certificate name that is used whole: room for a hyphen and 19 digits is kept.
const MAX_REQUEST_STEM: usize = 233;
const HASH_DIGITS: usize = 64;

/// The name of the CertificateRequest of a Certificate's revision: `<certificate>-<revision>`.
///
/// A Certificate name longer than 233 bytes is cut to at most 168, after a letter or digit, and its
/// SHA-256 follows in hexadecimal, so that the name is valid and still the Certificate's own.
#[must_use]
pub fn certificate_request(certificate: &str, revision: i64) -> String {
    if certificate.len() <= MAX_REQUEST_STEM {
        return format!("{certificate}-{revision}");
    }
    let stem = shorten(certificate, MAX_REQUEST_STEM - HASH_DIGITS - 1);
    let hash = hex(&Sha256::digest(certificate.as_bytes()));
    if stem.is_empty() { format!("{hash}-{revision}") } else { format!("{stem}-{hash}-{revision}") }
}

/// The name of the Secret with the key of an issuance under way: `<certificate>-` and five letters.
///
/// It looks as the API server's `generateName` would have it (the stem cut to 58 bytes), but the
/// letters come from the Certificate's UID and the revision, so a retry finds what it made before.
#[must_use]
pub fn next_private_key_secret(certificate: &str, uid: &str, revision: i64) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    const STEM: usize = 58;
    let hash = Sha256::digest(format!("next-private-key/{uid}/{revision}").as_bytes());
    let mut name = cut(&format!("{certificate}-"), STEM).to_owned();
    name.extend(hash.iter().take(5).map(|b| char::from(ALPHABET[usize::from(*b) % 27])));
    name
}

/// The first `max` bytes of a name, cut back to its last ASCII letter or digit; a shorter name
/// whole.
#[must_use]
pub fn shorten(name: &str, max: usize) -> &str {
    if name.len() < max {
        return name;
    }
    cut(name, max).trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

fn cut(name: &str, max: usize) -> &str {
    &name[..name.floor_char_boundary(max)]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Which annotations are copied from a Certificate to its CertificateRequests, and from there to
/// Orders: the flag `--copied-annotation-prefixes`.
///
/// The entries are applied in order: `*` adds every annotation, a prefix adds those whose keys
/// start with it, a prefix after `-` removes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedAnnotations(Vec<String>);

impl Default for CopiedAnnotations {
    fn default() -> Self {
        let prefixes = ["*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"];
        Self(prefixes.map(String::from).to_vec())
    }
}

impl CopiedAnnotations {
    /// The filter of these entries.
    #[must_use]
    pub fn new(prefixes: Vec<String>) -> Self {
        Self(prefixes)
    }

    /// Whether the annotation of this key is copied.
    #[must_use]
    pub fn copies(&self, key: &str) -> bool {
        self.0.iter().fold(false, |copied, entry| match entry.strip_prefix('-') {
            Some(prefix) => copied && !key.starts_with(prefix),
            None => copied || entry == "*" || key.starts_with(entry.as_str()),
        })
    }

    /// The annotations that are copied.
    #[must_use]
    pub fn filter(&self, all: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let copied = all.iter().filter(|(key, _)| self.copies(key));
        copied.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_inventory_is_complete() {
        assert_eq!(ALL.len(), 62);
        let distinct: std::collections::BTreeSet<_> = ALL.iter().collect();
        assert_eq!(distinct.len(), 62);
    }

    #[test]
    fn requests_are_named_after_certificate_and_revision() {
        assert_eq!(certificate_request("shop", 3), "shop-3");
        let longest = "a".repeat(233);
        assert_eq!(certificate_request(&longest, 1), format!("{longest}-1"));
    }

    #[test]
    fn a_long_name_is_cut_after_a_letter_and_told_apart_by_its_hash() {
        let long = format!("{}.{}", "a".repeat(167), "b".repeat(80));
        let name = certificate_request(&long, 12);
        let hash = hex(&Sha256::digest(long.as_bytes()));
        assert_eq!(name, format!("{}-{hash}-12", "a".repeat(167)));
        assert!(certificate_request(&long, i64::MAX).len() <= MAX_NAME);
    }

    #[test]
    fn the_next_key_has_one_name_for_each_revision() {
        let name = next_private_key_secret("shop", "uid-1", 2);
        assert_eq!(name, next_private_key_secret("shop", "uid-1", 2));
        assert_ne!(name, next_private_key_secret("shop", "uid-1", 3));
        assert_ne!(name, next_private_key_secret("shop", "uid-2", 2));
        assert!(name.starts_with("shop-") && name.len() == 10, "{name}");
        assert_eq!(next_private_key_secret(&"a".repeat(253), "u", 1).len(), 63);
    }

    #[test]
    fn the_default_filter_leaves_out_what_other_tools_own() {
        let filter = CopiedAnnotations::default();
        assert!(filter.copies("team"));
        assert!(!filter.copies(LAST_APPLIED_CONFIGURATION));
        assert!(!filter.copies("fluxcd.io/sync"));
        let later = CopiedAnnotations::new(vec!["-a/".into(), "a/".into(), "-a/b".into()]);
        assert!(later.copies("a/c") && !later.copies("a/b") && !later.copies("x"));
        let all = BTreeMap::from([("a/c".into(), "1".into()), ("x".into(), "2".into())]);
        assert_eq!(later.filter(&all), BTreeMap::from([("a/c".into(), "1".into())]));
    }

    proptest! {
        #[test]
        fn no_name_makes_the_naming_panic(name in ".{0,300}", revision: i64) {
            let _ = certificate_request(&name, revision);
            let _ = next_private_key_secret(&name, "u", revision);
        }
    }
}
