//! Fair queues: effects wait in lanes and the lanes are served in turn, each up to its cap.

use crate::ids::{Lane, Uid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// Whose effect is queued: the object's UID, its step, its item. The effect itself stays with the
/// object, so that it can still be changed.
pub(crate) type Owner = (Uid, u8, Arc<str>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Queue {
    /// By ticket, which is the order of arrival.
    waiting: BTreeMap<u64, Owner>,
    in_flight: u32,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }
}

/// All lanes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lanes {
    queues: BTreeMap<Lane, Queue>,
    last: Lane,
    next_ticket: u64,
    in_flight: u32,
    waiting: usize,
    #[serde(skip)]
    cap: u32,
    #[serde(skip)]
    lane_cap: u32,
}

impl Lanes {
    pub(crate) fn new(cap: u32, lane_cap: u32) -> Self {
        Self {
            queues: BTreeMap::new(),
            last: "".into(),
            next_ticket: 0,
            in_flight: 0,
            waiting: 0,
            cap,
            lane_cap,
        }
    }

    /// The same lanes under these caps; the counts are taken anew.
    pub(crate) fn with_caps(mut self, cap: u32, lane_cap: u32) -> Self {
        (self.cap, self.lane_cap) = (cap, lane_cap);
        self.in_flight = self.queues.values().fold(0, |sum, q| q.in_flight.saturating_add(sum));
        self.waiting = self.queues.values().map(|q| q.waiting.len()).sum();
        self
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds an effect at the end of a lane; the ticket takes it out again.
    pub(crate) fn push(&mut self, lane: &Lane, owner: Owner) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        self.queues.entry(lane.clone()).or_default().waiting.insert(ticket, owner);
        self.waiting += 1;
        ticket
    }

    /// Takes an effect out of its lane.
    pub(crate) fn withdraw(&mut self, lane: &Lane, ticket: u64) {
        let Some(queue) = self.queues.get_mut(lane) else { return };
        self.waiting -= usize::from(queue.waiting.remove(&ticket).is_some());
        if queue.is_empty() {
            self.queues.remove(lane);
        }
    }

    /// The next in turn, if there is a slot for it; it counts as in flight until
    /// [`done`](Self::done).
    pub(crate) fn pop(&mut self) -> Option<(Lane, Owner)> {
        if self.waiting == 0 || self.in_flight >= self.cap {
            return None;
        }
        let lane = self.next_lane()?;
        let queue = self.queues.get_mut(&lane)?;
        let (_, owner) = queue.waiting.pop_first()?;
        queue.in_flight += 1;
        self.in_flight += 1;
        self.waiting -= 1;
        self.last = lane.clone();
        Some((lane, owner))
    }

    /// Gives a slot back.
    pub(crate) fn done(&mut self, lane: &Lane) {
        let Some(queue) = self.queues.get_mut(lane) else { return };
        if queue.in_flight > 0 {
            queue.in_flight -= 1;
            self.in_flight -= 1;
        }
        if queue.is_empty() {
            self.queues.remove(lane);
        }
    }

    fn next_lane(&self) -> Option<Lane> {
        let free = |(_, q): &(&Lane, &Queue)| !q.waiting.is_empty() && q.in_flight < self.lane_cap;
        let after = self.queues.range::<Lane, _>((Excluded(&self.last), Unbounded));
        let before = self.queues.range::<Lane, _>(..=&self.last);
        after.chain(before).find(free).map(|(lane, _)| lane.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(n: u8) -> Owner {
        (n.to_string().into(), 0, "".into())
    }

    #[test]
    fn a_long_lane_does_not_hold_the_others_up() {
        let mut lanes = Lanes::new(4, 2);
        let (big, small): (Lane, Lane) = ("big".into(), "small".into());
        for n in 0..10 {
            lanes.push(&big, owner(n));
        }
        lanes.push(&small, owner(99));
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).map(|(l, _)| l).collect();
        assert_eq!(order, [big.clone(), small, big]);
    }

    #[test]
    fn a_slot_given_back_is_used_again() {
        let mut lanes = Lanes::new(1, 1);
        let lane: Lane = "a".into();
        lanes.push(&lane, owner(1));
        lanes.push(&lane, owner(2));
        assert!(lanes.pop().is_some());
        assert!(lanes.pop().is_none());
        lanes.done(&lane);
        assert!(lanes.pop().is_some());
        lanes.done(&lane);
        assert_eq!((lanes.in_flight(), lanes.waiting()), (0, 0));
    }

    #[test]
    fn what_is_withdrawn_leaves_nothing_behind() {
        let mut lanes = Lanes::new(1, 1);
        let lane: Lane = "a".into();
        let first = lanes.push(&lane, owner(1));
        lanes.push(&lane, owner(2));
        lanes.withdraw(&lane, first);
        lanes.withdraw(&lane, first);
        assert_eq!(lanes.pop().map(|(_, owner)| owner), Some(owner(2)));
        lanes.done(&lane);
        assert!(lanes.queues.is_empty());
    }

    #[test]
    fn a_slot_given_back_twice_counts_once() {
        let mut lanes = Lanes::new(2, 2);
        let lane: Lane = "a".into();
        for n in 0..3 {
            lanes.push(&lane, owner(n));
        }
        assert!(lanes.pop().is_some() && lanes.pop().is_some());
        lanes.done(&lane);
        lanes.done(&"no such lane".into());
        assert_eq!(lanes.in_flight(), 1);
    }
}
