//! How long to wait after a failed issuance.

use crate::duration::GoDuration;
use crate::time::Time;

/// The waits between failed issuances: doubled from `minimum` to `maximum` (flags
/// `--certificate-request-minimum-backoff-duration` and `-maximum-`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure, and the shortest.
    pub minimum: GoDuration,
    /// The longest wait.
    pub maximum: GoDuration,
}

impl Default for Backoff {
    /// 1 h and 32 h.
    fn default() -> Self {
        Self { minimum: GoDuration::from_hours(1), maximum: GoDuration::from_hours(32) }
    }
}

impl Backoff {
    /// The wait after so many failures in a row: minimum times 2^(failures - 1), at most the
    /// maximum, never less than the minimum. No or an absurd number of failures counts as one.
    #[must_use]
    pub fn delay(&self, failures: Option<i64>) -> GoDuration {
        let doublings = failures.unwrap_or(1).max(1) - 1;
        let factor = u32::try_from(doublings).ok().and_then(|n| 1i64.checked_shl(n));
        let grown = factor
            .filter(|factor| *factor > 0)
            .and_then(|factor| self.minimum.nanos().checked_mul(factor))
            .unwrap_or(i64::MAX);
        GoDuration::from_nanos(grown.min(self.maximum.nanos()).max(self.minimum.nanos()))
    }

    /// When to try again after a failure at this time.
    #[must_use]
    pub fn next_attempt(&self, last_failure: Time, failures: Option<i64>) -> Time {
        last_failure.plus_seconds(self.delay(failures).seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_an_hour_to_thirty_two() {
        let hours = |n| Backoff::default().delay(n).seconds() / 3600;
        let ladder: Vec<i64> = (1..=8).map(|n| hours(Some(n))).collect();
        assert_eq!(ladder, [1, 2, 4, 8, 16, 32, 32, 32]);
        for odd in [None, Some(0), Some(-5), Some(i64::MIN)] {
            assert_eq!(hours(odd), 1, "{odd:?}");
        }
        for many in [62, 63, 64, 65, 1 << 40, i64::MAX] {
            assert_eq!(hours(Some(many)), 32, "{many}");
        }
    }

    #[test]
    fn never_waits_less_than_the_minimum_even_if_the_maximum_says_so() {
        let odd =
            Backoff { minimum: GoDuration::from_hours(2), maximum: GoDuration::from_hours(1) };
        assert_eq!(odd.delay(Some(9)), GoDuration::from_hours(2));
        let at = Time::clamped(0);
        assert_eq!(odd.next_attempt(at, None).unix(), 7200);
    }
}
