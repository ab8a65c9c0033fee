//! A quick hash: of names for look-up tables, and of the engine's state for its records.
//!
//! It is the same on every platform. Like [`digest`](crate::digest) it is no defence against
//! somebody who makes values collide: what decides compares values, and what is written down to
//! be compared by others (contents of effects, lines of journals) has the slower digest.

use crate::digest::Digest;
use std::hash::{Hash, Hasher};

const SEED: u64 = 0x243f_6a88_85a3_08d3;
const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;

/// Folds words into 64 bits by wide multiplication.
#[derive(Clone, Copy)]
pub(crate) struct Folding(u64);

/// The digest of a value, for sums over the engine's state.
pub(crate) fn folded<T: Hash + ?Sized>(value: &T) -> Digest {
    Folding::begin().and(value).digest()
}

impl Folding {
    pub(crate) const fn begin() -> Self {
        Self(SEED)
    }

    /// The same with a value more.
    pub(crate) fn and<T: Hash + ?Sized>(mut self, value: &T) -> Self {
        value.hash(&mut self);
        self
    }

    pub(crate) fn digest(self) -> Digest {
        Digest(self.finish())
    }

    #[inline]
    fn fold(&mut self, low: u64, high: u64) {
        let wide = u128::from(self.0 ^ low ^ FIRST) * u128::from(high ^ SECOND);
        // A factor of 0 takes the other with it, but not what came before.
        self.0 = ((wide >> 64) as u64 ^ wide as u64).wrapping_add(self.0.rotate_left(29));
    }

    #[inline]
    fn word(&mut self, word: u64) {
        self.fold(word, 0);
    }
}

fn word_at<const N: usize>(bytes: Option<&[u8; N]>) -> u64 {
    let mut word = [0; 8];
    if let Some(bytes) = bytes {
        word[..N].copy_from_slice(bytes);
    }
    u64::from_le_bytes(word)
}

impl Hasher for Folding {
    /// The length counts, so that two texts in a row are not two others in a row.
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        if bytes.len() > 16 {
            let (pairs, _) = bytes[..bytes.len() - 1].as_chunks::<16>();
            for pair in pairs {
                self.fold(word_at(pair.first_chunk::<8>()), word_at(pair.last_chunk::<8>()));
            }
        }
        let (low, high) = match bytes.len() {
            8.. => {
                let last = bytes.len().min(16);
                let tail = &bytes[bytes.len() - last..];
                (word_at(tail.first_chunk::<8>()), word_at(tail.last_chunk::<8>()))
            }
            4.. => (word_at(bytes.first_chunk::<4>()), word_at(bytes.last_chunk::<4>())),
            2.. => (word_at(bytes.first_chunk::<2>()), word_at(bytes.last_chunk::<2>())),
            1 => (u64::from(bytes[0]), 0),
            _ => (0, 0),
        };
        self.fold(low, high ^ (length << 56) ^ length);
    }

    /// Marks the ends of texts, mostly, so it is cheap.
    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.0 = self.0.rotate_left(9).wrapping_mul(5).wrapping_add(u64::from(byte));
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.word(u64::from(number));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.word(u64::from(number));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        self.fold(number as u64, (number >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }

    #[inline]
    fn write_i8(&mut self, number: i8) {
        self.word(number as u64);
    }

    #[inline]
    fn write_i16(&mut self, number: i16) {
        self.word(number as u64);
    }

    #[inline]
    fn write_i32(&mut self, number: i32) {
        self.word(number as u64);
    }

    #[inline]
    fn write_i64(&mut self, number: i64) {
        self.word(number as u64);
    }

    #[inline]
    fn write_i128(&mut self, number: i128) {
        self.write_u128(number as u128);
    }

    #[inline]
    fn write_isize(&mut self, number: isize) {
        self.word(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        let mut last = *self;
        last.fold(0, FIRST);
        last.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_the_same_on_every_platform_and_release() {
        assert_eq!(folded("everleaf").to_string(), "1a9b09cab1ebdeca");
        assert_eq!(folded(&(1_u8, 2_usize, -3_isize, "a")).to_string(), "40271588b70e6feb");
    }

    #[test]
    fn every_byte_and_every_end_of_a_text_counts() {
        let mut seen = BTreeSet::new();
        for length in 0..70 {
            let text = vec![0_u8; length];
            assert!(seen.insert(folded(text.as_slice()).0), "length {length}");
            for at in 0..length {
                for bit in 0..8 {
                    let mut other = text.clone();
                    other[at] ^= 1 << bit;
                    assert!(seen.insert(folded(other.as_slice()).0), "{length} {at} {bit}");
                }
            }
        }
        assert_ne!(folded(&("ab", "c")), folded(&("a", "bc")));
        assert_ne!(folded(&("", "abcdefgh")), folded(&("abcdefgh", "")));
        assert_ne!(folded(&(1_u64, 2_u64)), folded(&(2_u64, 1_u64)));
    }

    #[test]
    fn low_and_high_bits_of_like_names_spread() {
        let names = (0..1 << 14).map(|n| folded(&format!("certificate-{n}")).0);
        let names: Vec<_> = names.collect();
        for shift in [0, 25, 50] {
            let used: BTreeSet<_> = names.iter().map(|name| name >> shift & 0x3fff).collect();
            assert!(used.len() > 9_500, "{} of 16384 at {shift}", used.len());
        }
    }
}
