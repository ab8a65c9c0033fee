//! Looking again within one effect, for a few seconds: most of what is waited for comes by then,
//! and a wait that is written down costs two writes. Nothing is held meanwhile but the effect.

use everleaf_acme::RetryAfter;
use std::time::Duration;
use tokio::time::Instant;

/// For how long it is looked again, and how often.
pub(super) struct Patience {
    end: Instant,
    pause: Duration,
    longest: Duration,
}

impl Patience {
    /// For an answer of a CA: most validate and issue within seconds.
    pub fn with_a_ca() -> Self {
        Self::new(Duration::from_secs(10), Duration::from_millis(500), Duration::from_secs(2))
    }

    /// For what was presented to be seen: a proxy that watches has it in less than a second, one
    /// that collects changes in two.
    pub fn with_a_solver() -> Self {
        Self::new(Duration::from_secs(3), Duration::from_millis(150), Duration::from_millis(600))
    }

    /// For one look only.
    pub fn spent() -> Self {
        Self::new(Duration::ZERO, Duration::from_secs(1), Duration::from_secs(1))
    }

    fn new(limit: Duration, pause: Duration, longest: Duration) -> Self {
        Self { end: Instant::now() + limit, pause, longest }
    }

    /// Rests until it may be looked again: the next pause, or as long as the other side wants, if
    /// that is more. False, at once, if the time would be over by then.
    pub async fn rest(&mut self, after: Option<RetryAfter>) -> bool {
        let asked = after.map_or(Duration::ZERO, |after| after.delay(jiff::Timestamp::now()));
        let pause = self.pause.max(asked);
        self.pause = (self.pause * 2).min(self.longest);
        let within = self.end.saturating_duration_since(Instant::now()) >= pause;
        if within {
            tokio::time::sleep(pause).await;
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_in_time_and_never_looks_before_it_may() {
        let (begun, mut patience) = (Instant::now(), Patience::with_a_ca());
        let mut looks = 0;
        while patience.rest(Some(RetryAfter::Seconds(1))).await {
            looks += 1;
            assert!(begun.elapsed() >= Duration::from_secs(looks));
        }
        assert!(begun.elapsed() <= Duration::from_secs(10));
        assert!(looks >= 4);
        assert!(!Patience::with_a_ca().rest(Some(RetryAfter::Seconds(60))).await);
        assert!(!Patience::spent().rest(None).await);
    }
}
