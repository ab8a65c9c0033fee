//! One claim at a time for each account and set of names.
//!
//! The graph lets an Order yield to every other whose claim it has seen, but a claim that is on its
//! way is seen by nobody: of two Orders both may be told to claim. Once both have, none can be
//! called back. An order of claims would not help: whoever is second may be seen, and place, while
//! the first one's answer is lost. So the port that writes claims remembers who claimed last, and
//! looks at that Order, live, before it writes another's.
//!
//! The memory of one process is enough. Only the leader writes claims, and after a restart every
//! claim stands on its Order and was listed before anything is decided. What is left is a claim
//! that was on its way as a leader fell: one more order for that fall, at most.

use crate::effect::ClaimOrder;
use crate::facts::{Kind, OrderFacts};
use everleaf_engine::{Digest, ObjectKey, Timestamp, Uid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many sets of names are remembered: many times what is claimed at once.
pub const KEPT: usize = 4096;
/// After this time a claim that was begun cannot be written any more, in milliseconds: longer than
/// its effect may take.
const WRITING: i64 = 11 * 60_000;
/// After this time a claim without an answer has been written or will never be, in milliseconds: an
/// API server gives a request up after one minute, if nothing else is told to it.
const LANDING: i64 = 2 * 60_000;

/// An Order that wants to claim, or claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Where it is.
    pub key: ObjectKey<Kind>,
    /// Which it is.
    pub uid: Uid,
}

/// How the writing of a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It stands.
    Written,
    /// It surely does not.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// Who claimed last for a set.
#[derive(Clone, Debug)]
struct Last {
    who: Claimant,
    /// Until when its claim may still be written, unseen.
    lands_until: Timestamp,
    number: u64,
}

/// Who claimed last, by account and set of names; at most [`KEPT`] of them, and those that are
/// being written. The oldest go first: what was claimed long ago was seen.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    last: BTreeMap<(Arc<str>, Digest), Last>,
    number: u64,
}

/// Whether an Order is under way: it is not final, and carries a claim or is placed.
pub fn is_under_way(order: &OrderFacts) -> bool {
    !order.deleting && !order.state.is_final() && (order.claim.is_some() || !order.url.is_empty())
}

impl Turns {
    /// Asks for the turn, and takes it if nobody else claimed last, or one that the decision
    /// already knew of. Else says who did: that Order has to be looked at, and if it is not under
    /// way, [`pass`](Self::pass) takes the turn.
    pub fn ask(&mut self, it: &ClaimOrder, who: &Claimant, now: Timestamp) -> Option<Claimant> {
        let last = self.last.get(&set_of(it)).map(|last| last.who.clone());
        let other = last.filter(|last| last.uid != who.uid && !it.beside.contains(&last.uid));
        if other.is_none() {
            self.take(it, who, now);
        }
        other
    }

    /// Takes the turn after `seen`, which was looked at and is not under way. False if its claim
    /// may still come, or somebody else was first.
    pub fn pass(
        &mut self,
        it: &ClaimOrder,
        seen: &Claimant,
        who: &Claimant,
        now: Timestamp,
    ) -> bool {
        let last = self.last.get(&set_of(it));
        let free = last.is_none_or(|last| last.who.uid == seen.uid && last.lands_until <= now);
        if free {
            self.take(it, who, now);
        }
        free
    }

    /// Notes how the writing ended.
    pub fn end(&mut self, it: &ClaimOrder, who: &Claimant, end: End, now: Timestamp) {
        let set = set_of(it);
        let Some(last) = self.last.get_mut(&set).filter(|last| last.who.uid == who.uid) else {
            return;
        };
        match end {
            End::Written => last.lands_until = now,
            End::Unknown => last.lands_until = now.plus_millis(LANDING),
            End::Failed => {
                self.last.remove(&set);
            }
        }
    }

    fn take(&mut self, it: &ClaimOrder, who: &Claimant, now: Timestamp) {
        let set = set_of(it);
        if self.last.len() >= KEPT && !self.last.contains_key(&set) {
            let settled = self.last.iter().filter(|(_, last)| last.lands_until <= now);
            let oldest = settled.min_by_key(|(_, last)| last.number).map(|(set, _)| set.clone());
            oldest.map(|set| self.last.remove(&set));
        }
        self.number += 1;
        let lands_until = now.plus_millis(WRITING);
        self.last.insert(set, Last { who: who.clone(), lands_until, number: self.number });
    }
}

fn set_of(it: &ClaimOrder) -> (Arc<str>, Digest) {
    (it.account.clone(), it.set)
}

#[cfg(test)]
mod tests;
