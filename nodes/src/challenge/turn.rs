//! Whose turn it is: how many Challenges are worked on at once, in total and of one issuer and
//! namespace, without one counter that everybody waits at.
//!
//! There are as many seats as Challenges may be worked on at once. Those of one issuer and
//! namespace share as many of them as that lane may have; which one a Challenge waits for follows
//! from its name. A seat is given to the lane that has the fewest waiting for it, and within the
//! lane to the oldest; whoever sits stays seated until final. One that failed again and again is
//! *parked*: it is worked on, and holds no seat, so what cannot succeed is in nobody's way.

use super::ChallengeFacts;
use crate::facts::{Class, Kind};
use crate::options::Options;
use everleaf_engine::{ObjectKey, Timestamp, digest_of};
use std::collections::BTreeMap;

/// The lane of a Challenge: its namespace and issuer.
fn lane<'a>(key: &'a ObjectKey<Kind>, facts: &'a ChallengeFacts) -> (&'a str, &'a str, &'a str) {
    (&key.namespace, facts.issuer.kind_or_default(), &facts.issuer.name)
}

/// The seat that a Challenge waits for.
pub(crate) fn seat(options: &Options, key: &ObjectKey<Kind>, facts: &ChallengeFacts) -> u64 {
    let total = u64::from(options.max_concurrent_challenges.max(1));
    let of_lane = u64::from(options.max_concurrent_challenges_per_issuer.max(1));
    let within = digest_of(key).0 % of_lane;
    digest_of(&(lane(key, facts), within)).0 % total
}

/// Whether a Challenge failed so often in a row that it holds nobody up.
pub(super) fn is_parked(facts: &ChallengeFacts, after: i64) -> bool {
    let attempt = facts.attempt.as_ref().filter(|attempt| attempt.class != Class::Wait);
    attempt.is_some_and(|attempt| attempt.number >= after)
}

fn waits(facts: &ChallengeFacts, parked_after: i64) -> bool {
    !facts.state.is_final() && !facts.deleting() && !is_parked(facts, parked_after)
}

/// Whether a Challenge that is not worked on yet is the one whose turn it is at its seat.
pub(super) fn has_turn<'a>(
    me: &ObjectKey<Kind>,
    at_seat: impl Iterator<Item = (&'a ObjectKey<Kind>, &'a ChallengeFacts)>,
    parked_after: i64,
) -> bool {
    type Head<'a> = (Timestamp, &'a ObjectKey<Kind>);
    let mut lanes: BTreeMap<(&str, &str, &str), (usize, Head<'a>)> = BTreeMap::new();
    for (key, facts) in at_seat.filter(|(_, facts)| waits(facts, parked_after)) {
        if facts.processing {
            return false;
        }
        let head = (facts.created, key);
        let waiting = lanes.entry(lane(key, facts)).or_insert((0, head));
        waiting.0 += 1;
        waiting.1 = waiting.1.min(head);
    }
    lanes.values().min().is_some_and(|(_, (_, key))| *key == me)
}
