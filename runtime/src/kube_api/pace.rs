//! A bound on requests to the API server: `--kube-api-qps` and `--kube-api-burst`.
//!
//! The generic cell rate algorithm: one instant says when the bucket is full again. Requests take
//! their turn in the order in which they ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The bound, shared by every user of one client.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    tolerance: Duration,
    full_at: Arc<Mutex<Option<Instant>>>,
}

impl Pace {
    /// So many requests a second in the long run, and up to `burst` at once; both are taken for 1
    /// where they are less.
    pub fn new(per_second: f32, burst: u32) -> Self {
        let interval = Duration::from_secs(1).div_f32(per_second.max(f32::MIN_POSITIVE));
        let tolerance = interval.saturating_mul(burst.max(1) - 1);
        Self { interval, tolerance, full_at: Arc::default() }
    }

    /// Returns when a request may be sent.
    pub async fn turn(&self) {
        if let Some(at) = self.take(Instant::now()) {
            tokio::time::sleep_until(at).await;
        }
    }

    /// Takes a turn, and says when it comes if that is not at once.
    fn take(&self, now: Instant) -> Option<Instant> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.unwrap_or(now).max(now);
        *full_at = full.checked_add(self.interval).or(Some(full));
        full.checked_sub(self.tolerance).filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (pace, now) = (Pace::new(10.0, 3), Instant::now());
        let waits: Vec<_> =
            (0..5).map(|_| pace.take(now).map(|at| (at - now).as_millis())).collect();
        assert_eq!(waits, [None, None, None, Some(100), Some(200)]);
    }

    #[test]
    fn what_was_not_used_is_kept_up_to_the_burst() {
        let (pace, now) = (Pace::new(10.0, 2), Instant::now());
        for _ in 0..2 {
            assert_eq!(pace.take(now), None);
        }
        let later = now + Duration::from_secs(60);
        let waits: Vec<_> = (0..3).map(|_| pace.take(later).is_some()).collect();
        assert_eq!(waits, [false, false, true]);
    }
}
