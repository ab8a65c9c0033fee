//! The only source of chance in a simulation: SplitMix64, drawn from a seed.

/// A stream of pseudo-random numbers. Streams of one seed with different labels are independent,
/// so that drawing more of one thing does not shift all others.
#[derive(Clone, Debug)]
pub struct Rng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream of a seed that is named `label`.
    pub fn new(seed: u64, label: &str) -> Self {
        let fold = |hash: u64, byte: u8| mix(hash ^ u64::from(byte)).wrapping_add(GOLDEN);
        Self(label.bytes().fold(mix(seed.wrapping_add(GOLDEN)), fold))
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.draw() % n }
    }

    /// A number from `low` to `high`, both included; `low` if the range is empty.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high.saturating_sub(low)).unwrap_or(0);
        low + i64::try_from(self.below(span.saturating_add(1))).unwrap_or(0)
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of them; `None` if there is none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = self.below(all.len() as u64);
        all.get(usize::try_from(at).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_stream_and_labels_part_them() {
        let draw = |seed, label| Rng::new(seed, label).draw();
        assert_eq!(draw(7, "a"), draw(7, "a"));
        assert_ne!(draw(7, "a"), draw(8, "a"));
        assert_ne!(draw(7, "a"), draw(7, "b"));
    }

    #[test]
    fn ranges_hold_at_their_ends() {
        let mut rng = Rng::new(1, "ranges");
        assert_eq!(rng.between(5, 5), 5);
        assert_eq!(rng.between(5, 1), 5);
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| (-2..=2).contains(&rng.between(-2, 2))));
        assert!((0..1000).all(|_| !rng.chance(0) && rng.chance(1000)));
    }
}
