//! The content of one ConfigMap of buckets.

use super::{Charge, Limit};
use everleaf_engine::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// The most bytes of a ledger that are read.
pub const MAX_LEDGER: usize = 900_000;
/// The most buckets that are kept; beyond, those go that would be full first.
pub const MAX_BUCKETS: usize = 8192;

/// A ledger that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Too long.
    #[error("a ledger of {0} bytes is longer than {MAX_LEDGER}")]
    TooLong(usize),
    /// A line that is none of ours; the line's number, from 1.
    #[error("line {0} is not a bucket and a time")]
    Line(usize),
}

/// Buckets that are not full, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    buckets: BTreeMap<Arc<str>, Timestamp>,
}

impl Ledger {
    /// A ledger of these buckets.
    pub fn new(buckets: BTreeMap<Arc<str>, Timestamp>) -> Self {
        Self { buckets }
    }

    /// Reads a ledger: a line a bucket, its name and its TAT in milliseconds since 1970.
    ///
    /// # Errors
    /// If it is too long or holds another line.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        if text.len() > MAX_LEDGER {
            return Err(LedgerError::TooLong(text.len()));
        }
        let mut buckets = BTreeMap::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let parsed = line.rsplit_once(' ').and_then(|(name, tat)| {
                let tat = tat.parse().ok().filter(|tat| *tat >= 0)?;
                (!name.is_empty()).then_some((name, Timestamp::from_millis(tat)))
            });
            let (name, tat) = parsed.ok_or(LedgerError::Line(index + 1))?;
            buckets.insert(Arc::from(name), tat);
        }
        Ok(Self { buckets })
    }

    /// Writes a ledger, without the buckets that are full by now.
    pub fn to_text(&self, now: Timestamp) -> String {
        let mut kept: Vec<_> = self.buckets.iter().filter(|(_, tat)| **tat > now).collect();
        if kept.len() > MAX_BUCKETS {
            kept.sort_by_key(|(name, tat)| (std::cmp::Reverse(**tat), *name));
            kept.truncate(MAX_BUCKETS);
            kept.sort();
        }
        let mut out = String::new();
        for (name, tat) in kept {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name} {}", tat.as_millis());
        }
        out
    }

    /// The buckets.
    pub fn buckets(&self) -> &BTreeMap<Arc<str>, Timestamp> {
        &self.buckets
    }

    fn tat(&self, bucket: &str) -> Timestamp {
        self.buckets.get(bucket).copied().unwrap_or_default()
    }

    /// When every charge can be met: the latest of the instants at which each can.
    pub fn free_at(&self, charges: &[Charge]) -> Timestamp {
        let free = charges.iter().map(|c| c.limit.free_at(self.tat(&c.bucket), c.cost));
        free.max().unwrap_or_default()
    }

    /// The charge that has to wait longest, and until when; `None` if all can be met now.
    pub fn short_of<'a>(
        &self,
        charges: &'a [Charge],
        now: Timestamp,
    ) -> Option<(&'a Charge, Timestamp)> {
        let waits = charges.iter().map(|c| (c, c.limit.free_at(self.tat(&c.bucket), c.cost)));
        waits.filter(|(_, at)| *at > now).max_by_key(|(_, at)| *at)
    }

    /// Takes every charge, or none. The tokens count as taken when the CA will have counted them.
    ///
    /// # Errors
    /// When all can be met, if that is not now.
    pub fn consume(&mut self, charges: &[Charge], now: Timestamp) -> Result<(), Timestamp> {
        if let Some((_, at)) = self.short_of(charges, now) {
            return Err(at);
        }
        for charge in charges.iter().filter(|charge| charge.cost > 0) {
            let Charge { bucket, limit, cost } = charge;
            let tat = self.tat(bucket).max(now.plus_millis(charge.allowance_ms()));
            let moved = tat.plus_millis(cost.saturating_mul(limit.interval_ms));
            self.buckets.insert(bucket.clone(), moved);
        }
        Ok(())
    }

    /// Takes a token that the CA has taken already, whether or not one is there; a bucket never
    /// owes more than it holds.
    pub fn force(&mut self, charge: &Charge, now: Timestamp) {
        let Charge { bucket, limit, cost } = charge;
        let most = now.plus_millis(limit.tolerance());
        let moved = self.tat(bucket).max(now).plus_millis(cost.saturating_mul(limit.interval_ms));
        self.buckets.insert(bucket.clone(), moved.min(most));
    }

    /// Gives back what was taken, for a request that the CA refunds; the allowance of its counting
    /// passes by itself.
    pub fn refund(&mut self, charges: &[Charge]) {
        for Charge { bucket, limit, cost } in charges.iter().filter(|charge| charge.cost > 0) {
            if let Some(tat) = self.buckets.get_mut(bucket) {
                *tat = tat.plus_millis(-cost.saturating_mul(limit.interval_ms));
            }
        }
    }

    /// Takes over what the CA said: the bucket has no token before that instant.
    pub fn correct(&mut self, bucket: &Arc<str>, limit: Limit, not_before: Timestamp) {
        let least = not_before.plus_millis(limit.tolerance() - limit.interval_ms);
        let tat = self.tat(bucket).max(least);
        self.buckets.insert(bucket.clone(), tat);
    }

    /// Takes over a `rateLimited` answer: of the charges, those of the limit that its text names
    /// are corrected; if it names none that is known, that of the account is.
    pub fn correct_by_answer(&mut self, charges: &[Charge], detail: &str, not_before: Timestamp) {
        let detail = detail.to_ascii_lowercase();
        let kind = if detail.contains("exact set") {
            "s:"
        } else if detail.contains("failed authorization") {
            "f:"
        } else if detail.contains("certificates") {
            "d:"
        } else {
            "o:"
        };
        let named = |charge: &&Charge| {
            let Some(rest) = charge.bucket.strip_prefix(kind) else { return false };
            let domain = rest.split_once(':').map_or("", |(_, name)| name);
            // Where a text names the domain, other domains of the order are left alone.
            kind != "d:" || detail.contains(domain)
        };
        for charge in charges.iter().filter(named) {
            self.correct(&charge.bucket, charge.limit, not_before);
        }
    }
}
