//! Waiting: always for a condition, always bounded.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two looks.
const EVERY: Duration = Duration::from_millis(50);

/// Looks until `probe` answers, and hands its answer on; panics after `seconds` with what was
/// awaited and the probe's last reason why not.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    seconds: u64,
    probe: impl AsyncFnMut() -> Result<T, String>,
) -> impl Future<Output = T> {
    let asked_at = std::panic::Location::caller();
    async move {
        let mut probe = probe;
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            match probe().await {
                Ok(answer) => return answer,
                Err(why) if Instant::now() >= end => {
                    panic!("{asked_at}: not within {seconds} s: {what}\n  last seen: {why}")
                }
                Err(_) => sleep(EVERY).await,
            }
        }
    }
}
