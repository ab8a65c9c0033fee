//! Fair queues: effects wait in lanes, lanes belong to tenants, and tenants are served in turn.
//!
//! *Whose slots.* A quarter of them is kept for tenants that have nothing in flight, one each. Of
//! the others nobody holds more than a share of what is free: a tenant at most twice as many as
//! are free, a lane no more than its tenant may still take. So one tenant alone gets half of all
//! slots, one lane three eighths, and who comes new finds a slot though others hang; what hangs is
//! given up at its deadline, and then the shares even out.
//!
//! *In which order.* A tenant's effects of a higher rank go first, those of one rank lane by lane,
//! those of one lane as they came: what brings work to its end goes out before what begins more.
//! Every 32nd turn of a tenant is that of the effect which waits longest, so that none starves.

use crate::ids::{Lane, Uid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// Whose effect is queued: the object's UID, its step, its item. The effect itself stays with the
/// object, so that it can still be changed.
pub(crate) type Owner = (Uid, u8, Arc<str>);

/// One turn in so many is that of the oldest. Were they fewer than the effects of an object, more
/// would be begun than is finished.
const TURNS: u8 = 32;

/// Tickets of the highest rank are the lowest numbers; then they count up as effects come.
const COUNTER_BITS: u32 = 56;

fn ticket(rank: u8, counter: u64) -> u64 {
    u64::from(u8::MAX - rank) << COUNTER_BITS | counter & ((1 << COUNTER_BITS) - 1)
}

/// The rank of a ticket, upside down: the lowest number goes first.
fn class(ticket: u64) -> u64 {
    ticket >> COUNTER_BITS
}

fn counter(ticket: u64) -> u64 {
    ticket & ((1 << COUNTER_BITS) - 1)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Queue {
    /// By ticket, which is the order of rank, then of arrival.
    waiting: BTreeMap<u64, Owner>,
    in_flight: u32,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }

    fn first(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(ticket, _)| *ticket)
    }

    /// The ticket that was drawn before all others.
    fn oldest(&self) -> Option<u64> {
        let mut next = self.first();
        let firsts = std::iter::from_fn(|| {
            let first = next?;
            let others = (class(first) + 1).checked_shl(COUNTER_BITS).filter(|from| *from > first);
            next = others.and_then(|from| self.waiting.range(from..).next()).map(|(n, _)| *n);
            Some(first)
        });
        firsts.min_by_key(|ticket| counter(*ticket))
    }
}

/// The lanes of one tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Tenant {
    queues: BTreeMap<Lane, Queue>,
    /// The lane that was served last.
    last: Lane,
    /// Counts turns, up to [`TURNS`].
    turn: u8,
    in_flight: u32,
}

impl Tenant {
    /// The lane whose turn it is and the ticket that is served, if any lane may have a slot.
    fn next(&self, free: u32, lane_cap: u32) -> Option<(&Lane, u64)> {
        let share = free.saturating_mul(2).saturating_sub(self.in_flight);
        let left = if self.in_flight == 0 { share.max(1) } else { share };
        let may = |(_, queue): &(&Lane, &Queue)| queue.in_flight < left.min(lane_cap);
        let after = self.queues.range::<Lane, _>((Excluded(&self.last), Unbounded));
        let before = self.queues.range::<Lane, _>(..=&self.last);
        let lanes = after.chain(before).filter(may);
        if self.turn + 1 >= TURNS {
            let oldest = lanes.filter_map(|(lane, queue)| Some((lane, queue.oldest()?)));
            oldest.min_by_key(|(_, ticket)| counter(*ticket))
        } else {
            let first = lanes.filter_map(|(lane, queue)| Some((lane, queue.first()?)));
            first.min_by_key(|(_, ticket)| class(*ticket)) // The first in turn, among equals.
        }
    }

    fn take(&mut self, lane: &Lane, ticket: u64) -> Option<Owner> {
        let queue = self.queues.get_mut(lane)?;
        let owner = queue.waiting.remove(&ticket)?;
        queue.in_flight += 1;
        self.in_flight += 1;
        self.turn = (self.turn + 1) % TURNS;
        self.last = lane.clone();
        Some(owner)
    }
}

/// Whose a lane is.
fn tenant_of(lane: &str) -> &str {
    lane.split_once('/').map_or(lane, |(tenant, _)| tenant)
}

/// All lanes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lanes {
    tenants: BTreeMap<Arc<str>, Tenant>,
    /// The tenant that was served last.
    last: Arc<str>,
    next_ticket: u64,
    in_flight: u32,
    waiting: usize,
    /// Nothing that waits may have a slot; nothing changed since that was found.
    #[serde(skip)]
    stuck: bool,
    #[serde(skip)]
    cap: u32,
    #[serde(skip)]
    lane_cap: u32,
}

impl Lanes {
    pub(crate) fn new(cap: u32, lane_cap: u32) -> Self {
        Self {
            tenants: BTreeMap::new(),
            last: Arc::default(),
            next_ticket: 0,
            in_flight: 0,
            waiting: 0,
            stuck: false,
            cap,
            lane_cap,
        }
    }

    /// The same lanes under these caps; the counts are taken anew.
    pub(crate) fn with_caps(mut self, cap: u32, lane_cap: u32) -> Self {
        (self.cap, self.lane_cap) = (cap, lane_cap);
        (self.in_flight, self.waiting) = (0, 0);
        for tenant in self.tenants.values_mut() {
            tenant.turn %= TURNS;
            let in_flight = tenant.queues.values().map(|queue| queue.in_flight);
            tenant.in_flight = in_flight.fold(0, u32::saturating_add);
            self.in_flight = self.in_flight.saturating_add(tenant.in_flight);
            self.waiting += tenant.queues.values().map(|queue| queue.waiting.len()).sum::<usize>();
        }
        self
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds an effect at the end of its rank in a lane; the ticket takes it out again.
    pub(crate) fn push(&mut self, lane: &Lane, rank: u8, owner: Owner) -> u64 {
        let ticket = ticket(rank, self.next_ticket);
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let tenant = match self.tenants.get_mut(tenant_of(lane)) {
            Some(tenant) => tenant,
            None => self.tenants.entry(tenant_of(lane).into()).or_default(),
        };
        tenant.queues.entry(lane.clone()).or_default().waiting.insert(ticket, owner);
        self.waiting += 1;
        self.stuck = false;
        ticket
    }

    /// Takes an effect out of its lane.
    pub(crate) fn withdraw(&mut self, lane: &Lane, ticket: u64) {
        let tenant = self.tenants.get_mut(tenant_of(lane));
        let Some(queue) = tenant.and_then(|tenant| tenant.queues.get_mut(lane)) else { return };
        self.waiting -= usize::from(queue.waiting.remove(&ticket).is_some());
        self.stuck = false;
        self.tidy(lane);
    }

    /// The next in turn, if there is a slot for it; it counts as in flight until
    /// [`done`](Self::done).
    pub(crate) fn pop(&mut self) -> Option<(Lane, Owner)> {
        if self.waiting == 0 || self.in_flight >= self.cap || self.stuck {
            return None;
        }
        let Some((name, lane, ticket)) = self.next() else {
            self.stuck = true;
            return None;
        };
        let owner = self.tenants.get_mut(&name)?.take(&lane, ticket)?;
        self.in_flight += 1;
        self.waiting -= 1;
        self.last = name;
        Some((lane, owner))
    }

    fn next(&self) -> Option<(Arc<str>, Lane, u64)> {
        let free = (self.cap - self.cap / 4).saturating_sub(self.in_flight);
        let after = self.tenants.range::<Arc<str>, _>((Excluded(&self.last), Unbounded));
        let before = self.tenants.range::<Arc<str>, _>(..=&self.last);
        after.chain(before).find_map(|(name, tenant)| {
            let (lane, ticket) = tenant.next(free, self.lane_cap)?;
            Some((name.clone(), lane.clone(), ticket))
        })
    }

    /// Gives a slot back.
    pub(crate) fn done(&mut self, lane: &Lane) {
        let Some(tenant) = self.tenants.get_mut(tenant_of(lane)) else { return };
        let Some(queue) = tenant.queues.get_mut(lane) else { return };
        if queue.in_flight > 0 {
            queue.in_flight -= 1;
            tenant.in_flight -= 1;
            self.in_flight -= 1;
        }
        self.stuck = false;
        self.tidy(lane);
    }

    /// Forgets a lane and a tenant that have nothing to do.
    fn tidy(&mut self, lane: &Lane) {
        let Some(tenant) = self.tenants.get_mut(tenant_of(lane)) else { return };
        if tenant.queues.get(lane).is_some_and(Queue::is_empty) {
            tenant.queues.remove(lane);
        }
        if tenant.queues.is_empty() {
            self.tenants.remove(tenant_of(lane));
        }
    }
}

#[cfg(test)]
mod tests;
