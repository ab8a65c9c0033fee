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
    /// The version up to which a sight of it is an echo. A later one is no echo: an object that
    /// leaves the selection of one feed may enter that of another.
    rv: u64,
}

/// Deleted objects, in the order in which they are forgotten.
#[derive(Default)]
pub(crate) struct Tombs {
    by_uid: BTreeMap<Uid, (Timestamp, u64)>,
    queue: VecDeque<(Timestamp, Uid)>,
}

impl Tombs {
    pub(crate) fn of(list: Vec<Tomb>) -> Self {
        let mut tombs = Self::default();
        for Tomb { uid, at, rv } in list {
            tombs.queue.push_back((at, uid.clone()));
            tombs.by_uid.insert(uid, (at, rv));
        }
        tombs
    }

    pub(crate) fn list(&self) -> Vec<Tomb> {
        let current = self.queue.iter().filter_map(|(at, uid)| {
            let (buried, rv) = self.by_uid.get(uid)?;
            (buried == at).then(|| Tomb { uid: uid.clone(), at: *at, rv: *rv })
        });
        current.collect()
    }

    pub(crate) fn is_echo(&self, now: Timestamp, uid: &Uid, rv: u64) -> bool {
        !self.by_uid.is_empty()
            && self
                .by_uid
                .get(uid)
                .is_some_and(|(at, upto)| rv <= *upto && now.since(*at) <= REMEMBERED_MS)
    }

    pub(crate) fn bury(&mut self, now: Timestamp, uid: Uid, rv: u64) {
        self.forget(now);
        self.by_uid.insert(uid.clone(), (now, rv));
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
