//! PKCS#12's own derivation of keys from passwords (RFC 7292 appendix B.2).

use aws_lc_rs::digest::{self, Algorithm, Digest};
use zeroize::Zeroizing;

/// What the derived bytes are for; the number is the diversifier's (appendix B.3).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// Password (a terminated BMPString) and salt, hashed so many times over.
pub(crate) struct Derivation<'a> {
    pub hash: &'static Algorithm,
    pub password: &'a [u8],
    pub salt: &'a [u8],
    pub iterations: u32,
}

impl Derivation<'_> {
    /// The first `N` bytes derived for `purpose`.
    pub fn derive<const N: usize>(&self, purpose: Purpose) -> Zeroizing<[u8; N]> {
        let width = self.hash.block_len();
        let diversifier = vec![purpose as u8; width];
        let mut input = self.input(width);
        let mut out = Zeroizing::new([0; N]);
        for part in out.chunks_mut(self.hash.output_len()) {
            let digest = self.hash_often(&diversifier, &input);
            part.copy_from_slice(&digest.as_ref()[..part.len()]);
            let addend = repeated(digest.as_ref(), width);
            input.chunks_mut(width).for_each(|block| add_and_one(block, &addend));
        }
        out
    }

    /// Salt, then password, each repeated to whole blocks.
    fn input(&self, width: usize) -> Zeroizing<Vec<u8>> {
        let filled = |bytes: &[u8]| bytes.len().next_multiple_of(width);
        let (salt, password) = (filled(self.salt), filled(self.password));
        let mut input = Zeroizing::new(Vec::with_capacity(salt + password));
        input.extend(self.salt.iter().cycle().take(salt));
        input.extend(self.password.iter().cycle().take(password));
        input
    }

    fn hash_often(&self, diversifier: &[u8], input: &[u8]) -> Digest {
        let mut context = digest::Context::new(self.hash);
        context.update(diversifier);
        context.update(input);
        let first = context.finish();
        (1..self.iterations).fold(first, |last, _| digest::digest(self.hash, last.as_ref()))
    }
}

fn repeated(bytes: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.iter().copied().cycle().take(length).collect())
}

/// `block + addend + 1`, big-endian, without what overflows.
fn add_and_one(block: &mut [u8], addend: &[u8]) {
    let mut carry = 1;
    for (byte, add) in block.iter_mut().zip(addend).rev() {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addition_carries_through_the_block_and_drops_the_last_carry() {
        let mut block = [0xff, 0xff, 0xff];
        add_and_one(&mut block, &[0, 0, 0]);
        assert_eq!(block, [0, 0, 0]);
        let mut block = [0x01, 0x7f, 0x80];
        add_and_one(&mut block, &[0x10, 0x80, 0x80]);
        assert_eq!(block, [0x12, 0x00, 0x01]);
    }

    /// Values that the oldest implementations exchanged to agree on the derivation.
    #[test]
    fn known_values_come_out() {
        let derivation = |password, salt, iterations| Derivation {
            hash: &digest::SHA1_FOR_LEGACY_USE_ONLY,
            password,
            salt,
            iterations,
        };
        let smeg = b"\0s\0m\0e\0g\0\0";
        let salt = [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f];
        let key = derivation(smeg, &salt, 1).derive::<24>(Purpose::Key);
        let expected = [
            0x8a, 0xaa, 0xe6, 0x29, 0x7b, 0x6c, 0xb0, 0x46, 0x42, 0xab, 0x5b, 0x07, 0x78, 0x51,
            0x28, 0x4e, 0xb7, 0x12, 0x8f, 0x1a, 0x2a, 0x7f, 0xbc, 0xa3,
        ];
        assert_eq!(*key, expected);
        let iv = derivation(smeg, &salt, 1).derive::<8>(Purpose::Iv);
        assert_eq!(*iv, [0x79, 0x99, 0x3d, 0xfe, 0x04, 0x8d, 0x3b, 0x76]);
    }
}
