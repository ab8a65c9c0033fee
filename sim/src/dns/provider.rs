//! The API through which a zone's owner changes it: with a limit on requests.

use super::{Change, ChangeError, Dns};

/// Why a provider did not make a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many requests.
    #[error("rate exceeded, retry after {retry_after} ms")]
    Throttled {
        /// When the next request will be let through, in milliseconds from now.
        retry_after: i64,
    },
    /// The change makes no sense.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// A provider's API for one customer: a bucket of requests that refills evenly.
#[derive(Clone, Debug)]
pub struct Provider {
    capacity: i64,
    interval: i64,
    /// When the bucket will be full again, in milliseconds since 1970.
    full_at: i64,
    requests: u64,
    throttled: u64,
}

impl Provider {
    /// One that lets `capacity` requests through at once and one more each `interval`
    /// milliseconds. A capacity of 0 lets nothing through.
    pub fn new(capacity: u32, interval: i64) -> Self {
        Provider {
            capacity: i64::from(capacity),
            interval: interval.max(0),
            full_at: i64::MIN,
            requests: 0,
            throttled: 0,
        }
    }

    /// Makes a change at `now`; a refused request costs nothing.
    pub fn change(&mut self, dns: &mut Dns, now: i64, change: &Change) -> Result<(), Refused> {
        self.spend(now)?;
        Ok(dns.apply(now, change)?)
    }

    /// Spends a request that changes nothing, such as a look at the zone.
    pub fn spend(&mut self, now: i64) -> Result<(), Refused> {
        self.requests += 1;
        let full_at = self.full_at.max(now) + self.interval;
        let early = full_at - now - self.interval.saturating_mul(self.capacity);
        if self.capacity == 0 || early > 0 {
            self.throttled += 1;
            return Err(Refused::Throttled { retry_after: early.max(1) });
        }
        self.full_at = full_at;
        Ok(())
    }

    /// Requests so far, and how many of them were throttled.
    pub fn requests(&self) -> (u64, u64) {
        (self.requests, self.throttled)
    }
}
