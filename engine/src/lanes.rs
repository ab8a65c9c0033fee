//! Fair queues: effects wait in lanes and the lanes are served in turn, each up to its cap.

use crate::ids::{Lane, ObjectKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// A queued effect: the object, its step, its item. The effect itself stays with the object, so
/// that it can still be withdrawn.
pub(crate) type Ticket<K> = (ObjectKey<K>, u8, Arc<str>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Queue<K> {
    waiting: VecDeque<Ticket<K>>,
    in_flight: u32,
}

/// All lanes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lanes<K> {
    queues: BTreeMap<Lane, Queue<K>>,
    last: Lane,
    in_flight: u32,
    cap: u32,
    lane_cap: u32,
}

impl<K: Clone> Lanes<K> {
    pub(crate) fn new(cap: u32, lane_cap: u32) -> Self {
        Self { queues: BTreeMap::new(), last: "".into(), in_flight: 0, cap, lane_cap }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queues.values().map(|q| q.waiting.len()).sum()
    }

    pub(crate) fn push(&mut self, lane: &Lane, ticket: Ticket<K>) {
        let new = || Queue { waiting: VecDeque::new(), in_flight: 0 };
        self.queues.entry(lane.clone()).or_insert_with(new).waiting.push_back(ticket);
    }

    /// The next ticket in turn; it counts as in flight until [`done`](Self::done).
    pub(crate) fn pop(&mut self) -> Option<(Lane, Ticket<K>)> {
        if self.in_flight >= self.cap {
            return None;
        }
        let lane = self.next_lane()?;
        let queue = self.queues.get_mut(&lane)?;
        let ticket = queue.waiting.pop_front()?;
        queue.in_flight += 1;
        self.in_flight += 1;
        self.last = lane.clone();
        Some((lane, ticket))
    }

    /// Gives a slot back.
    pub(crate) fn done(&mut self, lane: &Lane) {
        let Some(queue) = self.queues.get_mut(lane) else { return };
        queue.in_flight = queue.in_flight.saturating_sub(1);
        self.in_flight = self.in_flight.saturating_sub(1);
        if queue.in_flight == 0 && queue.waiting.is_empty() {
            self.queues.remove(lane);
        }
    }

    fn next_lane(&self) -> Option<Lane> {
        let free =
            |(_, q): &(&Lane, &Queue<K>)| !q.waiting.is_empty() && q.in_flight < self.lane_cap;
        let after = self.queues.range::<Lane, _>((Excluded(&self.last), Unbounded));
        let before = self.queues.range::<Lane, _>(..=&self.last);
        after.chain(before).find(free).map(|(lane, _)| lane.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(n: u8) -> Ticket<u8> {
        (ObjectKey::new(0, "ns", n.to_string()), 0, "".into())
    }

    #[test]
    fn a_long_lane_does_not_hold_the_others_up() {
        let mut lanes = Lanes::new(4, 2);
        let (big, small): (Lane, Lane) = ("big".into(), "small".into());
        (0..10).for_each(|n| lanes.push(&big, ticket(n)));
        lanes.push(&small, ticket(99));
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).map(|(l, _)| l).collect();
        assert_eq!(order, [big.clone(), small, big]);
    }

    #[test]
    fn a_slot_given_back_is_used_again() {
        let mut lanes = Lanes::new(1, 1);
        let lane: Lane = "a".into();
        lanes.push(&lane, ticket(1));
        lanes.push(&lane, ticket(2));
        assert!(lanes.pop().is_some());
        assert!(lanes.pop().is_none());
        lanes.done(&lane);
        assert!(lanes.pop().is_some());
        lanes.done(&lane);
        assert_eq!((lanes.in_flight(), lanes.waiting()), (0, 0));
    }
}
