//! What was asked, counted and, for a while, remembered.

use std::collections::{BTreeMap, VecDeque};

use super::call::{AccountId, Answer, Call, CallKind, Delivery};
use super::problem::ErrorKind;

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Its kind.
    pub kind: CallKind,
    /// Whose it was.
    pub account: Option<AccountId>,
    /// The problem it was answered with.
    pub error: Option<ErrorKind>,
    /// The HTTP status of that problem.
    pub status: u16,
    /// How the answer got to the client.
    pub delivery: Delivery,
}

/// The requests of a CA.
#[derive(Clone, Debug)]
pub struct Audit {
    capacity: usize,
    records: VecDeque<AuditRecord>,
    counts: BTreeMap<(CallKind, Option<ErrorKind>), u64>,
}

impl Audit {
    pub(super) fn new(capacity: usize) -> Self {
        Audit { capacity, records: VecDeque::new(), counts: BTreeMap::new() }
    }

    pub(super) fn record(&mut self, now: i64, call: &Call, answer: &Answer) {
        let problem = answer.result.as_ref().err();
        let (kind, error) = (call.kind(), problem.map(|problem| problem.kind));
        self.count(kind, error);
        if self.records.len() >= self.capacity {
            self.records.pop_front();
        }
        self.records.push_back(AuditRecord {
            at: now,
            kind,
            account: call.account(),
            error,
            status: problem.map_or(200, |problem| problem.status),
            delivery: answer.delivery,
        });
    }

    fn count(&mut self, kind: CallKind, error: Option<ErrorKind>) {
        *self.counts.entry((kind, error)).or_default() += 1;
    }

    /// The last requests, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &AuditRecord> {
        self.records.iter()
    }

    /// Requests of a kind, whatever the answer.
    pub fn total(&self, kind: CallKind) -> u64 {
        self.counts.iter().filter(|((it, _), _)| *it == kind).map(|(_, count)| count).sum()
    }

    /// Requests answered with a problem of that type.
    pub fn errors(&self, error: ErrorKind) -> u64 {
        let with = self.counts.iter().filter(|((_, it), _)| *it == Some(error));
        with.map(|(_, count)| count).sum()
    }

    /// All requests.
    pub fn requests(&self) -> u64 {
        self.counts.values().sum()
    }
}
