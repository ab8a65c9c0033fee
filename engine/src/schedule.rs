//! What falls due when: one ordered set of instants.

use crate::ids::Uid;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Why an object is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Due {
    /// A wait of the plan, by number.
    Wait(u8),
    /// An effect's next attempt.
    Retry,
    /// The deadline of an effect in flight.
    Deadline,
}

/// Waits in total order: by time, then UID, then wait.
#[derive(Default)]
pub(crate) struct Schedule {
    entries: BTreeSet<(Timestamp, Uid, Due)>,
}

impl Schedule {
    pub(crate) fn arm(&mut self, at: Timestamp, uid: &Uid, due: Due) {
        self.entries.insert((at, uid.clone(), due));
    }

    pub(crate) fn disarm(&mut self, at: Timestamp, uid: &Uid, due: Due) {
        self.entries.remove(&(at, uid.clone(), due));
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.entries.first().map(|(at, ..)| *at)
    }

    /// Takes out the first entry that is due.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<(Uid, Due)> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop_first().map(|(_, uid, due)| (uid, due))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
