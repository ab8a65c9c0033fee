//! Whose turn it is: how many Challenges are worked on at once, in total and of one issuer and
//! namespace, without one counter that everybody waits at.
//!
//! There are as many seats as Challenges may be worked on at once, a few at each table; which
//! table a Challenge waits for follows from its name. A seat is given to the lane (an issuer and a
//! namespace) that has the fewest at the table, and within the lane to the oldest; whoever sits
//! stays seated until final. One that failed again and again is *parked*: it is worked on, and
//! holds no seat, so what cannot succeed is in nobody's way.
//!
//! With more tables, each is looked over faster; with fewer, names that fall together leave fewer
//! seats empty.

use super::ChallengeFacts;
use crate::facts::{Class, Kind};
use crate::options::Options;
use everleaf_engine::{ObjectKey, Timestamp, digest_of};
use std::collections::{BTreeMap, BTreeSet};

/// An issuer and a namespace.
type Lane<'a> = (&'a str, &'a str, &'a str);
/// A place in the line of a lane.
type Place<'a> = (Timestamp, &'a ObjectKey<Kind>);

fn lane<'a>(key: &'a ObjectKey<Kind>, facts: &'a ChallengeFacts) -> Lane<'a> {
    (&key.namespace, facts.issuer.kind_or_default(), &facts.issuer.name)
}

/// So many seats a table has, if there are so many.
const SEATS: u32 = 6;

/// The table that a Challenge waits for: its number, and how many seats it has.
pub(crate) fn table(options: &Options, key: &ObjectKey<Kind>) -> (u32, u32) {
    let seats = options.max_concurrent_challenges.max(1);
    let tables = seats.div_ceil(SEATS);
    let number = u32::try_from(digest_of(key).0 % u64::from(tables)).unwrap_or(0);
    // The first tables have one seat more where they cannot all have the same.
    (number, seats / tables + u32::from(number < seats % tables))
}

/// Whether a Challenge failed so often in a row that it holds nobody up.
pub(super) fn is_parked(facts: &ChallengeFacts, after: i64) -> bool {
    let attempt = facts.attempt.as_ref().filter(|attempt| attempt.class != Class::Wait);
    attempt.is_some_and(|attempt| attempt.number >= after)
}

fn waits(facts: &ChallengeFacts, parked_after: i64) -> bool {
    !facts.state.is_final() && !facts.deleting() && !is_parked(facts, parked_after)
}

/// Whether a Challenge that is not worked on yet is among those whose turn it is at its table.
pub(super) fn has_turn<'a>(
    options: &Options,
    me: &ObjectKey<Kind>,
    at_table: impl Iterator<Item = (&'a ObjectKey<Kind>, &'a ChallengeFacts)>,
    parked_after: i64,
) -> bool {
    let mut lanes: BTreeMap<Lane<'_>, Line<'_>> = BTreeMap::new();
    let mut free = table(options, me).1;
    for (key, facts) in at_table.filter(|(_, facts)| waits(facts, parked_after)) {
        let line = lanes.entry(lane(key, facts)).or_default();
        if facts.at_work() {
            free = free.saturating_sub(1);
            line.seated += 1;
        } else {
            line.waiting.insert((facts.created, key));
        }
    }
    let most = of_lane(options, table(options, me).1);
    // In turn, to the lane that has fewest.
    for _ in 0..free {
        let waiting =
            lanes.values_mut().filter(|line| !line.waiting.is_empty() && line.seated < most);
        let next = waiting.min_by_key(|line| (line.seated, line.waiting.first().copied()));
        let Some(line) = next else { return false };
        line.seated += 1;
        if line.waiting.pop_first().is_some_and(|(_, key)| key == me) {
            return true;
        }
    }
    false
}

/// How many of a table's seats one lane may have.
fn of_lane(options: &Options, seats: u32) -> u32 {
    let all = u64::from(options.max_concurrent_challenges.max(1));
    let share = u64::from(options.max_concurrent_challenges_per_issuer) * u64::from(seats);
    u32::try_from(share.div_ceil(all)).unwrap_or(seats).max(1)
}

/// What a lane has at a table.
#[derive(Default)]
struct Line<'a> {
    seated: u32,
    waiting: BTreeSet<Place<'a>>,
}

#[cfg(test)]
mod tests;
