//! What was deleted a short while ago, so that a late echo does not revive it.

use crate::ids::Uid;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How long a deleted object is remembered.
const REMEMBERED_MS: i64 = 120_000;

/// A deleted object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tomb {
    uid: Uid,
    at: Timestamp,
    #[serde(flatten)]
    end: End,
}

/// How an object came to its end. One that leaves the selection of a feed may enter that of
/// another, or come back, so that not every later sight of it is an echo.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    /// The version up to which a sight of it is an echo.
    pub rv: u64,
    /// The feed that told; another feed's sight is no echo. `None` if a live read told, or the
    /// name was taken by another object.
    pub feed: Option<u8>,
}

impl End {
    /// It is gone for good.
    pub(crate) const FINAL: Self = Self { rv: u64::MAX, feed: None };
}

/// Deleted objects, in the order in which they are forgotten.
#[derive(Default)]
pub(crate) struct Tombs {
    by_uid: BTreeMap<Uid, (Timestamp, End)>,
    queue: VecDeque<(Timestamp, Uid)>,
}

impl Tombs {
    pub(crate) fn of(list: Vec<Tomb>) -> Self {
        let mut tombs = Self::default();
        for Tomb { uid, at, end } in list {
            tombs.queue.push_back((at, uid.clone()));
            tombs.by_uid.insert(uid, (at, end));
        }
        tombs
    }

    pub(crate) fn list(&self) -> Vec<Tomb> {
        let current = self.queue.iter().filter_map(|(at, uid)| {
            let (buried, end) = self.by_uid.get(uid)?;
            (buried == at).then(|| Tomb { uid: uid.clone(), at: *at, end: *end })
        });
        current.collect()
    }

    /// Whether a sight of that version, by a feed or by a live read, is one of the past.
    pub(crate) fn is_echo(&self, now: Timestamp, uid: &Uid, rv: u64, feed: Option<u8>) -> bool {
        if self.by_uid.is_empty() {
            return false;
        }
        let Some((at, end)) = self.by_uid.get(uid) else { return false };
        let others = end.feed.is_some() && feed.is_some() && feed != end.feed;
        rv <= end.rv && !others && now.since(*at) <= REMEMBERED_MS
    }

    pub(crate) fn bury(&mut self, now: Timestamp, uid: Uid, end: End) {
        self.forget(now);
        self.by_uid.insert(uid.clone(), (now, end));
        self.queue.push_back((now, uid));
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.queue.front()
            && now.since(*at) > REMEMBERED_MS
            && let Some((at, uid)) = self.queue.pop_front()
        {
            if self.by_uid.get(&uid).is_some_and(|(buried, _)| *buried == at) {
                self.by_uid.remove(&uid);
            }
        }
    }
}
