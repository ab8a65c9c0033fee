//! What is left of an ACME CA's rate limits: token buckets by the generic cell rate algorithm, one
//! timestamp each.
//!
//! A bucket's timestamp, its *theoretical arrival time* (TAT), is when it would be full again.
//! Taking a token moves it one interval on; a token is there as long as it lies no more than
//! `capacity` intervals ahead. A bucket whose TAT has passed is full and need not be kept.
//!
//! We take a token when an order is claimed. The CA counts it later: of the account when the order
//! arrives, of the registered domains and of the set when it issues. Were ours to count from the
//! claim, it would have a token again before the CA has one. So a token counts as taken an
//! [allowance](Charge::allowance_ms) later: a minute for an account, ten for domain and set, and at
//! most the time in which one token comes back. If the CA counts within it, in whatever order, its
//! bucket is never emptier than ours, and a burst of ours is one token smaller at most. An order
//! that takes longer may meet a 429, which corrects the bucket.
//!
//! The buckets live in ConfigMaps of the operator's namespace, [`SHARDS`] of them, by the hash of
//! the bucket's name. A [`Ledger`] is the content of one: text in, text out. The port that spends
//! reads a ledger, takes the tokens, and writes it back with its resourceVersion, before it sends.

mod charges;
mod ledger;
pub mod standing;

pub use charges::{Purpose, Spend, charges, failure_charge, registered_domain, same_set};
pub(crate) use charges::{account_bucket, domain_bucket};
pub use ledger::{Ledger, LedgerError, MAX_BUCKETS, MAX_LEDGER};

use everleaf_engine::{Timestamp, digest_of};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Let's Encrypt's directory.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Let's Encrypt's staging directory.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// How many ConfigMaps there are.
pub const SHARDS: u64 = 16;
/// The key of a ConfigMap's data that holds a ledger.
pub const DATA_KEY: &str = "buckets";
/// The label of these ConfigMaps; its value is `acme-budget`.
pub const LABEL: &str = "everleaf.dev/component";

/// A limit: a bucket's size, and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// How many tokens it holds, at least 1.
    pub capacity: i64,
    /// How long one token takes to come back, in milliseconds, at least 1.
    pub interval_ms: i64,
}

impl Limit {
    /// `count` in every `period_ms` milliseconds; both count as at least 1.
    pub const fn per(count: i64, period_ms: i64) -> Self {
        let count = if count < 1 { 1 } else { count };
        let interval = period_ms / count;
        Self { capacity: count, interval_ms: if interval < 1 { 1 } else { interval } }
    }

    /// How far ahead of now the TAT may lie.
    fn tolerance(self) -> i64 {
        self.capacity.saturating_mul(self.interval_ms)
    }

    /// When a bucket with that TAT has `cost` tokens; in the past if it has them now.
    pub fn free_at(self, tat: Timestamp, cost: i64) -> Timestamp {
        let needed = cost.max(1).saturating_mul(self.interval_ms);
        tat.plus_millis(needed.saturating_sub(self.tolerance()))
    }

    /// How many tokens a bucket with that TAT has.
    pub fn left(self, tat: Timestamp, now: Timestamp) -> i64 {
        let debt = tat.since(now).clamp(0, self.tolerance());
        (self.tolerance() - debt) / self.interval_ms
    }
}

/// The limits of a directory; those that are `None` are not known and not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// New orders of an account.
    pub orders: Option<Limit>,
    /// Certificates of a registered domain, over all accounts.
    pub domain: Option<Limit>,
    /// Certificates of exactly one set of names, over all accounts.
    pub set: Option<Limit>,
    /// Failed authorizations of an account and name.
    pub failures: Option<Limit>,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const WEEK: i64 = 7 * 24 * HOUR;

/// Whether the CA of a directory is one that publishes its limits: then it issues for public names
/// only.
pub(crate) fn is_public(directory: &str) -> bool {
    published(directory) != Limits::default()
}

/// The limits that a directory publishes; none are assumed of one that is not known.
///
/// Let's Encrypt: <https://letsencrypt.org/docs/rate-limits/> and
/// <https://letsencrypt.org/docs/staging-environment/>, as of August 2026.
pub fn published(directory: &str) -> Limits {
    match directory {
        LETS_ENCRYPT => Limits {
            orders: Some(Limit::per(300, 3 * HOUR)),
            domain: Some(Limit::per(50, WEEK)),
            set: Some(Limit::per(5, WEEK)),
            failures: Some(Limit::per(5, HOUR)),
        },
        LETS_ENCRYPT_STAGING => Limits {
            orders: Some(Limit::per(1500, 3 * HOUR)),
            domain: None,
            set: Some(Limit::per(30_000, WEEK)),
            failures: Some(Limit::per(200, HOUR)),
        },
        _ => Limits::default(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LimitText {
    count: i64,
    per: everleaf_api::GoDuration,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct LimitsText {
    new_orders: Option<LimitText>,
    registered_domain: Option<LimitText>,
    identifier_set: Option<LimitText>,
    failed_authorizations: Option<LimitText>,
}

/// Reads the annotation `everleaf.dev/acme-limits` of an issuer, which replaces what is published:
/// `none`, or JSON with any of `newOrders`, `registeredDomain`, `identifierSet` and
/// `failedAuthorizations`, each `{"count": 300, "per": "3h"}`.
///
/// # Errors
/// Why it cannot be read.
pub fn configured(text: &str) -> Result<Limits, String> {
    if text.trim() == "none" {
        return Ok(Limits::default());
    }
    // Through a map, for serde takes a list for a struct too.
    let text: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let text: LimitsText =
        serde_json::from_value(text.into()).map_err(|error| error.to_string())?;
    let limit = |told: Option<LimitText>| match told {
        None => Ok(None),
        Some(LimitText { count, per }) => {
            let ms = per.nanos() / 1_000_000;
            let sound = 0 < count && count <= 1_000_000 && 0 < ms && ms <= 52 * WEEK;
            let broken = || format!("{count} per {per}: at least 1, at most 1000000 a year");
            if sound { Ok(Some(Limit::per(count, ms))) } else { Err(broken()) }
        }
    };
    Ok(Limits {
        orders: limit(text.new_orders)?,
        domain: limit(text.registered_domain)?,
        set: limit(text.identifier_set)?,
        failures: limit(text.failed_authorizations)?,
    })
}

/// Something that a request takes of a bucket, or needs to be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charge {
    /// The bucket.
    pub bucket: Arc<str>,
    /// Its limit.
    pub limit: Limit,
    /// How many tokens are taken; with 0, one has to be there and stays.
    pub cost: i64,
}

impl Charge {
    /// How long after it is taken the CA may count a token, in milliseconds: it counts as taken at
    /// the end of that time. No longer than one interval, so that no more than one token lies idle.
    pub fn allowance_ms(&self) -> i64 {
        let most = match self.bucket.split_once(':') {
            Some(("o", _)) => MINUTE,
            Some(("d" | "s", _)) => 10 * MINUTE,
            // What failed has been counted.
            _ => 0,
        };
        most.min(self.limit.interval_ms)
    }

    /// The ConfigMap that holds the bucket.
    pub fn shard(&self) -> Arc<str> {
        shard(&self.bucket)
    }
}

/// The name of the ConfigMap that holds a bucket.
pub fn shard(bucket: &str) -> Arc<str> {
    shard_name(digest_of(bucket).0 % SHARDS)
}

/// The names of all the ConfigMaps.
pub fn shards() -> impl Iterator<Item = Arc<str>> {
    (0..SHARDS).map(shard_name)
}

fn shard_name(number: u64) -> Arc<str> {
    format!("everleaf-acme-budget-{number:x}").into()
}

#[cfg(test)]
mod tests;
