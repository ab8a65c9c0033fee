//! Waiting: always for a condition, always bounded.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two looks.
const EVERY: Duration = Duration::from_millis(50);

/// Looks until `probe` answers, and hands its answer on; panics after `seconds` with what was
/// awaited and the probe's last reason why not.
pub async fn eventually<T>(
    what: &str,
    seconds: u64,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        match probe().await {
            Ok(answer) => return answer,
            Err(why) if Instant::now() >= end => {
                panic!("not within {seconds} s: {what}\n  last seen: {why}")
            }
            Err(_) => sleep(EVERY).await,
        }
    }
}
