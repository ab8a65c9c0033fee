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

/// What was written of a step, unless its time lies further ahead than clocks may differ, in
/// milliseconds: then a clock was wrong that is right now, or somebody else's, and nobody knows
/// until when the step was to rest. To heed it could mean to rest for as long as that clock was
/// ahead.
pub(crate) fn heeded(attempt: Option<&Attempt>, now: Timestamp, skew: i64) -> Option<&Attempt> {
    attempt.filter(|attempt| attempt.at <= now.plus_millis(skew))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_that_a_clock_ran_ahead_to_write_is_not_sat_out() {
        let now = Timestamp::from_seconds(1_000_000);
        let written = |ahead_ms: i64| Attempt {
            step: "register".into(),
            number: 13,
            class: Class::Transient,
            reason: "".into(),
            problem: "".into(),
            detail: "".into(),
            at: now.plus_millis(ahead_ms),
            not_before: Some(now.plus_millis(ahead_ms + 1_800_000)),
            inputs: None,
        };
        let skew = 300_000;
        let is_heeded = |ahead_ms| heeded(Some(&written(ahead_ms)), now, skew).is_some();
        assert!(is_heeded(-3_600_000), "a rest of the past is judged by its end");
        assert!(is_heeded(skew), "clocks differ by that much");
        assert!(!is_heeded(5 * 86_400_000), "five days ahead");
        assert!(heeded(None, now, skew).is_none());
    }

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
