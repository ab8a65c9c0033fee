//! Let's Encrypt's limits, from its published rules (<https://letsencrypt.org/docs/rate-limits/>)
//! and nothing else: token buckets that refill evenly.

use std::collections::BTreeMap;

use super::call::CallKind;
use crate::apiserver::rfc3339;

/// A minute, an hour and a day, in microseconds.
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Buckets held at most; the full ones, which are like none, are dropped first.
const MAX_BUCKETS: usize = 1 << 20;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// New accounts of one source address.
    NewAccounts,
    /// New orders of one account.
    NewOrders,
    /// Certificates for one registered domain, of all accounts together.
    PerDomain,
    /// Certificates for exactly the same identifiers, of all accounts together.
    PerSet,
    /// Failed authorizations for one identifier of one account.
    FailedAuthorizations,
    /// Failures for one identifier of one account with no success between them; when they run
    /// out, the identifier is paused for the account.
    ConsecutiveFailures,
    /// Requests of one source address, before the CA itself sees them. A breach is 503.
    Edge(Endpoint),
}

/// The classes of URLs that are limited each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// The directory.
    Directory,
    /// `newNonce`.
    NewNonce,
    /// `newAccount`.
    NewAccount,
    /// `newOrder`.
    NewOrder,
    /// `revokeCert`.
    Revoke,
    /// `renewalInfo`.
    RenewalInfo,
    /// All others.
    Other,
}

impl From<CallKind> for Endpoint {
    fn from(kind: CallKind) -> Self {
        match kind {
            CallKind::Directory => Endpoint::Directory,
            CallKind::NewNonce => Endpoint::NewNonce,
            CallKind::NewAccount => Endpoint::NewAccount,
            CallKind::NewOrder => Endpoint::NewOrder,
            CallKind::Revoke => Endpoint::Revoke,
            CallKind::RenewalInfo => Endpoint::RenewalInfo,
            _ => Endpoint::Other,
        }
    }
}

/// A bucket: so many tokens, and one more each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Tokens in a full bucket.
    pub capacity: u32,
    /// Time to the next token, in microseconds.
    pub interval: i64,
}

impl Bucket {
    /// A bucket that is refilled within `period` microseconds.
    pub fn per(capacity: u32, period: i64) -> Self {
        Bucket { capacity, interval: period / i64::from(capacity.max(1)) }
    }

    /// The time to refill it whole, in microseconds.
    pub fn period(self) -> i64 {
        self.interval.saturating_mul(i64::from(self.capacity))
    }
}

/// Limits and their exceptions. What is not in the map is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The limits.
    pub buckets: BTreeMap<Limit, Bucket>,
    /// Another bucket for one key: an account's number, a registered domain.
    pub overrides: BTreeMap<(Limit, String), Bucket>,
    /// Whether a certificate renewed by ARI, which is refused by no limit, still takes a token
    /// from [`Limit::PerSet`]. The published rules leave it open; Boulder's code takes one.
    pub ari_counts: bool,
}

impl Limits {
    /// No limits at all.
    pub fn none() -> Self {
        Limits::default()
    }

    /// Those of Let's Encrypt's production environment, as published on 2026-08-05.
    pub fn lets_encrypt() -> Self {
        let mut buckets = BTreeMap::from([
            (Limit::NewAccounts, Bucket::per(10, 3 * HOUR)),
            (Limit::NewOrders, Bucket::per(300, 3 * HOUR)),
            (Limit::PerDomain, Bucket::per(50, 7 * DAY)),
            (Limit::PerSet, Bucket::per(5, 7 * DAY)),
            (Limit::FailedAuthorizations, Bucket::per(5, HOUR)),
            (Limit::ConsecutiveFailures, Bucket { capacity: 1152, interval: DAY }),
        ]);
        buckets.extend(edge([(40, 40), (20, 10), (5, 15), (300, 200), (10, 100), (1000, 100)]));
        buckets.insert(Limit::Edge(Endpoint::Other), per_second(250, 125));
        Limits { buckets, overrides: BTreeMap::new(), ari_counts: true }
    }

    /// Those of Let's Encrypt's staging environment, where they differ from production.
    pub fn lets_encrypt_staging() -> Self {
        let mut out = Limits::lets_encrypt();
        out.buckets.extend([
            (Limit::NewOrders, Bucket::per(1500, 3 * HOUR)),
            (Limit::PerSet, Bucket::per(30_000, 7 * DAY)),
            (Limit::FailedAuthorizations, Bucket::per(200, HOUR)),
            (Limit::ConsecutiveFailures, Bucket::per(3600, 6 * HOUR)),
            (Limit::Edge(Endpoint::NewOrder), per_second(20, 40)),
            (Limit::Edge(Endpoint::Other), per_second(20, 20)),
        ]);
        out.buckets.remove(&Limit::PerDomain);
        out
    }
}

/// Requests a second and the burst, in the order of [`Endpoint`].
fn edge(rates: [(i64, u32); 6]) -> impl Iterator<Item = (Limit, Bucket)> {
    let endpoints = [
        Endpoint::Directory,
        Endpoint::NewNonce,
        Endpoint::NewAccount,
        Endpoint::NewOrder,
        Endpoint::Revoke,
        Endpoint::RenewalInfo,
    ];
    let bucket = |(endpoint, (rate, burst))| (Limit::Edge(endpoint), per_second(rate, burst));
    endpoints.into_iter().zip(rates).map(bucket)
}

fn per_second(rate: i64, burst: u32) -> Bucket {
    Bucket { capacity: burst, interval: 1_000_000 / rate }
}

/// The buckets and what is in them. Times are in milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Limiter {
    limits: Limits,
    /// When each bucket will be full again, in microseconds since 1970; none is full.
    full_at: BTreeMap<(Limit, String), i64>,
}

impl Limiter {
    /// A limiter whose buckets are all full.
    pub fn new(limits: Limits) -> Self {
        Limiter { limits, full_at: BTreeMap::new() }
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bucket of a key, if there is a limit on it.
    pub fn bucket(&self, limit: Limit, key: &str) -> Option<Bucket> {
        let exception = match self.limits.overrides.is_empty() {
            true => None,
            false => self.limits.overrides.get(&(limit, key.to_owned())),
        };
        exception.or_else(|| self.limits.buckets.get(&limit)).copied()
    }

    /// Whether there is a token; if not, when there will be one.
    pub fn check(&self, now: i64, limit: Limit, key: &str) -> Result<(), i64> {
        let Some(bucket) = self.bucket(limit, key) else { return Ok(()) };
        let free_at = self.full_at(now, limit, key) + bucket.interval - bucket.period();
        // Rounded up: a token that is there in the course of a millisecond is not there yet.
        if free_at <= now * 1000 { Ok(()) } else { Err(ceil(free_at, 1000)) }
    }

    /// Takes a token if there is one; if not, says when there will be one, and takes none.
    pub fn spend(&mut self, now: i64, limit: Limit, key: &str) -> Result<(), i64> {
        self.check(now, limit, key)?;
        let Some(bucket) = self.bucket(limit, key) else { return Ok(()) };
        let full_at = self.full_at(now, limit, key) + bucket.interval;
        self.make_room(now);
        self.full_at.insert((limit, key.to_owned()), full_at);
        Ok(())
    }

    /// Gives a token back; a full bucket stays full.
    pub fn refund(&mut self, limit: Limit, key: &str) {
        let Some(bucket) = self.bucket(limit, key) else { return };
        if let Some(full_at) = self.full_at.get_mut(&(limit, key.to_owned())) {
            *full_at -= bucket.interval;
        }
    }

    /// Fills a bucket.
    pub fn reset(&mut self, limit: Limit, key: &str) {
        self.full_at.remove(&(limit, key.to_owned()));
    }

    /// Tokens that are there; `None` where there is no limit.
    pub fn remaining(&self, now: i64, limit: Limit, key: &str) -> Option<u32> {
        let bucket = self.bucket(limit, key)?;
        let missing = self.full_at(now, limit, key) - now * 1000;
        let spent = u32::try_from(ceil(missing, bucket.interval.max(1))).unwrap_or(u32::MAX);
        Some(bucket.capacity.saturating_sub(spent))
    }

    fn full_at(&self, now: i64, limit: Limit, key: &str) -> i64 {
        let now = now * 1000;
        self.full_at.get(&(limit, key.to_owned())).map_or(now, |full_at| now.max(*full_at))
    }

    fn make_room(&mut self, now: i64) {
        if self.full_at.len() >= MAX_BUCKETS {
            self.full_at.retain(|_, full_at| *full_at > now * 1000);
        }
        if self.full_at.len() >= MAX_BUCKETS {
            self.full_at.pop_first();
        }
    }

    /// The text of a refusal, which names the limit and ends with the time to try again.
    pub fn refusal(&self, limit: Limit, key: &str, shown: &str, retry_at: i64) -> String {
        let bucket = self.bucket(limit, key);
        let (count, period) = bucket.map_or((0, 0), |it| (it.capacity, it.period() / 1_000_000));
        let (hours, minutes, seconds) = (period / 3600, period / 60 % 60, period % 60);
        let what = match limit {
            Limit::NewAccounts => format!("too many new registrations ({count}) from this IP"),
            Limit::NewOrders => format!("too many new orders ({count}) from this account"),
            Limit::PerDomain => {
                format!("too many certificates ({count}) already issued for {shown:?}")
            }
            Limit::PerSet => format!(
                "too many certificates ({count}) already issued for this exact set of identifiers"
            ),
            Limit::FailedAuthorizations | Limit::ConsecutiveFailures => {
                format!("too many failed authorizations ({count}) for {shown:?}")
            }
            Limit::Edge(_) => return "Service busy; retry later.".into(),
        };
        let until = rfc3339(ceil(retry_at, 1000) * 1000).replace('T', " ").replace('Z', " UTC");
        let within = format!("in the last {hours}h{minutes}m{seconds}s");
        format!("{what} {within}, retry after {until}: see {DOCUMENTATION}")
    }
}

const DOCUMENTATION: &str = "https://letsencrypt.org/docs/rate-limits/";

fn ceil(a: i64, b: i64) -> i64 {
    a.div_euclid(b) + i64::from(a.rem_euclid(b) != 0)
}
