//! How often a request failed, and how long a further failure lets it rest.

use crate::effect::Trial;
use crate::facts::{Attempt, Class};
use everleaf_engine::{Timestamp, Uid, digest_of};

/// The pace of retries, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub first: i64,
    pub factor: i64,
    pub ceiling: i64,
}

impl Pace {
    /// How long the `number`th failure in a row rests; a tenth less at most, by uid and number.
    fn rest(self, number: i64, uid: &Uid) -> i64 {
        let steps = u32::try_from(number.clamp(1, 64) - 1).unwrap_or(0);
        let grown = self.factor.max(1).saturating_pow(steps).saturating_mul(self.first);
        let rest = grown.min(self.ceiling);
        let seed = i64::try_from(digest_of(&(uid, number)).0 % 1000).unwrap_or(0);
        rest - rest / 10 * seed / 1000
    }

    /// The trial of a step after what was written of it.
    pub(crate) fn trial(self, step: &str, past: Option<&Attempt>, uid: &Uid) -> Trial {
        let past = past.filter(|attempt| &*attempt.step == step && attempt.class != Class::Wait);
        let number = past.map_or(0, |attempt| attempt.number).saturating_add(1);
        Trial { step: step.into(), number, rest_ms: self.rest(number, uid) }
    }
}

/// The instant before which a step may not be tried again, for what was written of it.
pub(crate) fn rests_until(attempt: Option<&Attempt>, step: &str) -> Option<Timestamp> {
    attempt.filter(|attempt| &*attempt.step == step)?.not_before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_the_ceiling_and_never_overflow() {
        let pace = Pace { first: 5_000, factor: 4, ceiling: 1_800_000 };
        let uid: Uid = "u".into();
        let rests: Vec<i64> = (1..=8).map(|number| pace.rest(number, &uid)).collect();
        let whole = [5_000, 20_000, 80_000, 320_000, 1_280_000, 1_800_000, 1_800_000, 1_800_000];
        for (rest, whole) in rests.iter().zip(whole) {
            assert!(whole * 9 / 10 <= *rest && *rest <= whole, "{rest} of {whole}");
        }
        assert!(pace.rest(i64::MAX, &uid) <= 1_800_000);
    }
}
