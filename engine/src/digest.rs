//! Digests that are the same on every platform and in every run.
//!
//! They find differences; they are no defence against somebody who makes them collide.

use rustc_stable_hash::FromStableHash;
use rustc_stable_hash::hashers::{SipHasher128Hash, StableSipHasher128};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::hash::Hash;

/// 64 bits of SipHash-1-3 over a value's [`Hash`], integers in little-endian order.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u64);

struct Folded(u64);

impl FromStableHash for Folded {
    type Hash = SipHasher128Hash;

    fn from(SipHasher128Hash([low, high]): SipHasher128Hash) -> Self {
        Self(low ^ high.rotate_left(32))
    }
}

/// The digest of one value.
pub fn digest_of<T: Hash + ?Sized>(value: &T) -> Digest {
    let mut hasher = StableSipHasher128::new();
    value.hash(&mut hasher);
    Digest(hasher.finish::<Folded>().0)
}

impl Digest {
    /// Adds `other` to a sum of digests, in which order does not matter.
    pub fn add(&mut self, other: Digest) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// Takes `other` out of a sum of digests.
    pub fn remove(&mut self, other: Digest) {
        self.0 = self.0.wrapping_sub(other.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 16 lowercase hexadecimal digits")]
pub struct NoDigest;

impl std::str::FromStr for Digest {
    type Err = NoDigest;

    /// The only text of a digest is the one that it is written as.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.as_bytes().iter().all(digit) {
            return Err(NoDigest);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| NoDigest)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_same_on_every_platform_and_release() {
        assert_eq!(digest_of("everleaf").to_string(), "126bbb7164f0eeb9");
        assert_eq!(digest_of(&(1_u8, 2_u64, "a")).to_string(), "24f975e89065e187");
    }

    #[test]
    fn a_sum_of_digests_forgets_what_is_removed() {
        let mut sum = digest_of("a");
        sum.add(digest_of("b"));
        sum.remove(digest_of("a"));
        assert_eq!(sum, digest_of("b"));
    }
}
