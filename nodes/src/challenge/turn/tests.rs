use super::*;
use crate::facts::{AcmeState, IssuerRef, Method};

fn challenge(created: i64) -> ChallengeFacts {
    ChallengeFacts {
        created: Timestamp::from_seconds(created),
        deleted: None,
        controller: None,
        guarded: true,
        issuer: IssuerRef { name: "acme".into(), kind: "".into(), group: "".into() },
        method: Method::Http01,
        url: "".into(),
        authorization_url: "".into(),
        dns_name: "".into(),
        wildcard: false,
        token: "".into(),
        key: "".into(),
        solver: "".into(),
        wait_ms: None,
        attempt: None,
        seen: None,
        state: AcmeState::Unknown,
        reason: "".into(),
        processing: false,
        presented: false,
        presented_at: None,
    }
}

/// Lets everybody sit down whose turn it is, until nobody has it; how many of each namespace.
fn seated(options: &Options, namespaces: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let mut all: Vec<(ObjectKey<Kind>, ChallengeFacts)> = Vec::new();
    for (namespace, count) in namespaces {
        let one = |number: usize| {
            let key = ObjectKey::new(Kind::Challenge, *namespace, format!("c{number}"));
            (key, challenge(number as i64))
        };
        all.extend((0..*count).map(one));
    }
    let mut taken = BTreeMap::new();
    while let Some(next) = all.iter().position(|(me, facts)| {
        let mine = table(options, me).0;
        let near = all.iter().filter(|(key, _)| table(options, key).0 == mine);
        !facts.at_work() && has_turn(options, me, near.map(|(key, facts)| (key, facts)), 5)
    }) {
        all[next].1.processing = true;
        *taken.entry(all[next].0.namespace.to_string()).or_default() += 1;
    }
    taken
}

fn options(total: u32, per_lane: u32) -> Options {
    Options {
        max_concurrent_challenges: total,
        max_concurrent_challenges_per_issuer: per_lane,
        ..Options::default()
    }
}

#[test]
fn never_more_sit_than_there_are_seats_and_with_enough_waiting_never_fewer() {
    for total in [1, 2, 5, 6, 7, 13, 60, 61] {
        let taken = seated(&options(total, 1000), &[("a", 400)]);
        assert_eq!(taken["a"], total as usize);
    }
}

#[test]
fn two_hundred_at_once_leave_few_seats_empty_to_the_end() {
    let options = options(60, 250);
    let mut at_tables: BTreeMap<u32, u32> = BTreeMap::new();
    for number in 0..200 {
        let key = ObjectKey::new(Kind::Challenge, "bench", format!("c{number}-1-{number}"));
        *at_tables.entry(table(&options, &key).0).or_default() += 1;
    }
    let rounds = at_tables.values().map(|count| count.div_ceil(SEATS)).max();
    assert!(rounds <= Some(6), "four would be the least: {at_tables:?}");
}

#[test]
fn a_tenant_with_many_leaves_half_of_the_seats_to_one_who_has_enough_for_them() {
    let taken = seated(&options(60, 1000), &[("big", 1000), ("small", 400)]);
    assert_eq!((taken["big"], taken["small"]), (30, 30));
}

#[test]
fn a_lane_has_no_more_than_its_share() {
    let taken = seated(&options(60, 20), &[("big", 1000)]);
    assert_eq!(taken["big"], 20);
}
