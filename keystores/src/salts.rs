//! What has to be random in a keystore.

/// The random bytes of one store: salts and initialization vectors.
///
/// It is moved into the store it was drawn for, because a vector that is used twice under one
/// password shows which contents begin alike.
pub struct Salts {
    bytes: [u8; Salts::LENGTH],
    taken: usize,
}

impl Salts {
    /// How many bytes the neediest store takes.
    pub const LENGTH: usize = 80;

    /// The salts that `bytes` are; they should come from a cryptographic generator.
    pub fn new(bytes: [u8; Salts::LENGTH]) -> Self {
        Salts { bytes, taken: 0 }
    }

    /// The next `N` bytes.
    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        let next = self.bytes[self.taken..].first_chunk().copied();
        self.taken += N;
        next.expect("no store takes more than LENGTH bytes")
    }
}
