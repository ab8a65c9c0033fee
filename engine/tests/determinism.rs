//! Same inputs, same bytes: rule 8, and what replay and simulation rest on.

mod toy;

use everleaf_engine::{Command, Config, Delta, Digest, Engine, Input, Record, Snapshot};
use proptest::prelude::*;
use std::collections::BTreeMap;
use toy::hand::{MINUTE, ToyInput};
use toy::sim::{Deed, Luck, Sim, Told};
use toy::{Facts, ODD_RESULTS, RESULTS, TOKENS, Toy, toy};

fn deed() -> impl Strategy<Value = Deed> {
    let luck =
        prop_oneof![Just(Luck::Good), Just(Luck::Refused), Just(Luck::Silent), Just(Luck::Unknown)];
    let wish = (0..4_u8, 1..4_u32, 0..4_u8, 0..3_u8, 0..20 * MINUTE);
    prop_oneof![
        6 => wish.prop_map(|(name, input, parts, token, delay_ms)| {
            Deed::Wish { name, input, parts, token, delay_ms }
        }),
        4 => (0..3_u8).prop_map(Deed::Pay),
        2 => (0..3_u8).prop_map(Deed::Rob),
        1 => (0..4_u8).prop_map(Deed::Cancel),
        2 => (0..4_u8, 0..4_u8).prop_map(|(name, part)| Deed::Break(name, part)),
        3 => luck.prop_map(Deed::Luck),
        1 => (0..60_000_i64).prop_map(Deed::Lag),
        1 => Just(Deed::Relist),
        1 => Just(Deed::Lead),
        1 => Just(Deed::Step),
        8 => (0..30 * MINUTE).prop_map(Deed::Pass),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    (1..6_u32, 1..4_u32).prop_map(|(all, lane)| Config {
        effects_in_flight: all,
        effects_in_flight_per_lane: lane,
        ..Config::default()
    })
}

fn run(config: Config, deeds: &[Deed]) -> Sim {
    let mut sim = Sim::new(toy(), config);
    deeds.iter().for_each(|deed| sim.act(deed));
    sim
}

fn healed(deeds: &[Deed]) -> Sim {
    let mut sim = run(Config::default(), deeds);
    sim.heal();
    sim
}

fn feed(engine: &mut Engine<Toy>, (at, input): &Told) -> Record {
    let record = engine.handle(*at, input.clone());
    while engine.poll_effect().is_some() {}
    record
}

fn json(engine: &Engine<Toy>) -> String {
    serde_json::to_string(&engine.snapshot()).expect("a snapshot is JSON")
}

/// All that the engine knows is what there is, every Job is content, and nothing is under way.
fn assert_at_rest(sim: &Sim) {
    let world: Vec<_> = sim.engine.world().iter().collect();
    let seen = world.iter().map(|(key, o)| ((*key).clone(), o.uid.clone(), o.facts.clone()));
    assert_eq!(seen.collect::<Vec<_>>(), sim.truth());
    assert_eq!((sim.engine.queue_sizes().0, sim.engine.queue_sizes().1), (0, 0));
    assert_eq!(sim.engine.writes_awaited(), 0);
    assert_eq!(sim.engine.unexplained_moves(), 0);
    for (key, object) in world {
        let Facts::Job(job) = &object.facts else { continue };
        let status = sim.engine.status(key).expect("every Job is looked at");
        let paid = sim.engine.world().get(&toy::token_key(&job.token)).is_some();
        let rest =
            if paid || status.truth & 4 != 0 { toy::state::DONE } else { toy::state::WAITING };
        assert_eq!(status.state, rest, "{key} {job:?} {status:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everything_comes_to_rest_once_it_goes_well(
        config in config(),
        deeds in prop::collection::vec(deed(), 1..60),
    ) {
        let mut sim = run(config, &deeds);
        sim.heal();
        assert_at_rest(&sim);
        let writes = sim.writes;
        sim.run_for(24 * 60 * MINUTE);
        prop_assert_eq!(sim.writes, writes, "what is at rest is left alone");
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes(
        config in config(),
        deeds in prop::collection::vec(deed(), 1..40),
    ) {
        let first = run(config, &deeds);
        let mut again = Engine::new(toy(), config);
        let records: Vec<_> = first.told.iter().map(|told| feed(&mut again, told)).collect();
        let bytes = |records: &Vec<Record>| serde_json::to_string(records).expect("they are JSON");
        prop_assert_eq!(bytes(&records), bytes(&first.records));
        prop_assert_eq!(json(&again), json(&first.engine));
    }

    #[test]
    fn cut_anywhere_and_restored_from_json_it_goes_on_as_if_never_stopped(
        config in config(),
        deeds in prop::collection::vec(deed(), 1..25),
    ) {
        let whole = run(config, &deeds);
        let mut engine = Engine::new(toy(), config);
        for (told, record) in whole.told.iter().zip(&whole.records) {
            prop_assert_eq!(&feed(&mut engine, told), record);
            let text = json(&engine);
            let snapshot: Snapshot<Toy> = serde_json::from_str(&text).expect("it was written so");
            engine = Engine::restore(toy(), snapshot);
            prop_assert_eq!(json(&engine), text);
            prop_assert_eq!(engine.state_digest(), record.state);
        }
    }

    #[test]
    fn a_cut_at_one_place_makes_no_difference_to_the_end(
        config in config(),
        deeds in prop::collection::vec(deed(), 1..60),
        share in 0..1000_usize,
    ) {
        let whole = run(config, &deeds);
        let cut = whole.told.len() * share / 1000;
        let mut engine = Engine::new(toy(), config);
        whole.told[..cut].iter().for_each(|told| drop(feed(&mut engine, told)));
        let snapshot = serde_json::from_str(&json(&engine)).expect("it was written so");
        let mut engine = Engine::restore(toy(), snapshot);
        let rest: Vec<_> = whole.told[cut..].iter().map(|told| feed(&mut engine, told)).collect();
        prop_assert_eq!(&rest[..], &whole.records[cut..]);
    }

    #[test]
    fn the_order_of_what_comes_at_one_instant_does_not_matter_in_the_end(
        deeds in prop::collection::vec(deed(), 1..40),
        seed in any::<u64>(),
    ) {
        let seen = observed(&healed(&deeds).told);
        let end = final_digest(&seen);
        prop_assert_eq!(final_digest(&permuted(seen, seed)), end);
    }

    #[test]
    fn a_list_in_place_of_single_events_gives_the_same_end(
        deeds in prop::collection::vec(deed(), 1..40),
        which in 0..3_usize,
    ) {
        let seen = observed(&healed(&deeds).told);
        prop_assert_eq!(final_digest(&relisted(&seen, FEEDS[which])), final_digest(&seen));
    }
}

/// An effect that is queued, taken back before it was handed out, and forgotten at the next look
/// once counted in the state's digest until its object changed again.
#[test]
fn an_effect_that_was_never_sent_leaves_no_trace_in_the_digest() {
    let config =
        Config { effects_in_flight: 1, effects_in_flight_per_lane: 1, ..Config::default() };
    let wish = |name, input, parts, delay_ms| {
        let token = 0;
        Deed::Wish { name, input, parts, token, delay_ms }
    };
    let deeds = [
        wish(0, 2, 2, 0),
        wish(1, 1, 0, 0),
        Deed::Pass(0),
        Deed::Lead,
        wish(1, 1, 1, 523),
        Deed::Pay(0),
        Deed::Lag(81),
        wish(0, 1, 0, 132),
        Deed::Pass(523),
    ];
    let mut sim = Sim::new(toy(), config);
    for deed in deeds {
        sim.act(&deed);
        let snapshot = serde_json::from_str(&json(&sim.engine)).expect("it was written so");
        let restored = Engine::restore(toy(), snapshot);
        assert_eq!(restored.state_digest(), sim.engine.state_digest(), "after {deed:?}");
    }
}

const FEEDS: [u8; 3] = [TOKENS, RESULTS, ODD_RESULTS];

/// What was observed, all at one instant and all in one epoch: nothing is in flight.
fn observed(told: &[Told]) -> Vec<ToyInput> {
    let inputs = told.iter().map(|(_, input)| input).filter(|input| toy::sim::is_watch(input));
    inputs.cloned().collect()
}

/// The digest after these observations, seen by one that does not lead, once what it asked to read
/// meanwhile was answered with what is there in the end. It may have asked for an object that a list
/// did not show, and that came back since.
fn final_digest(inputs: &[ToyInput]) -> Digest {
    let mut engine = Engine::new(toy(), Config::default());
    let at = everleaf_engine::Timestamp::from_seconds(2_000_000);
    for input in inputs {
        engine.handle(at, input.clone());
    }
    assert!(engine.is_fully_synced());
    let shown = shown_in_the_end(inputs);
    while let Some(command) = engine.poll_effect() {
        let Command::Read(key) = command else { panic!("it does not lead: {command:?}") };
        let answer = shown.get(&key).cloned().unwrap_or(Delta::Absent { key });
        engine.handle(at, Input::Observed(answer));
    }
    engine.state_digest()
}

/// The objects that some feed shows after all of these, as a live read shows them.
fn shown_in_the_end(inputs: &[ToyInput]) -> BTreeMap<toy::Key, Delta<toy::Kind, Facts>> {
    let mut feeds: BTreeMap<u8, BTreeMap<toy::Key, Delta<toy::Kind, Facts>>> = BTreeMap::new();
    for input in inputs {
        match input {
            Input::Observed(Delta::ListBegin { feed }) => drop(feeds.remove(feed)),
            Input::Observed(Delta::Applied { feed, key, uid, rv, facts, .. }) => {
                let (uid, facts) = (uid.clone(), facts.clone());
                let (feed, rv, key) = (*feed, *rv, key.clone());
                let read = Delta::Applied { feed, key: key.clone(), uid, rv, facts, live: true };
                feeds.entry(feed).or_default().insert(key, read);
            }
            Input::Observed(Delta::Deleted { feed, key, .. }) => {
                feeds.entry(*feed).or_default().remove(key);
            }
            _ => {}
        }
    }
    feeds.into_values().flatten().collect()
}

/// Exchanges neighbours that tell of different objects, as the seed says.
fn permuted(mut inputs: Vec<ToyInput>, mut seed: u64) -> Vec<ToyInput> {
    for _ in 0..4 {
        for at in 1..inputs.len() {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if seed >> 63 == 1 && may_swap(&inputs[at - 1], &inputs[at]) {
                inputs.swap(at - 1, at);
            }
        }
    }
    inputs
}

fn may_swap(a: &ToyInput, b: &ToyInput) -> bool {
    match (object_of(a), object_of(b)) {
        (Some((_, a)), Some((_, b))) => a != b,
        (Some((feed, _)), None) | (None, Some((feed, _))) => {
            list_of(a).or(list_of(b)) != Some(feed)
        }
        (None, None) => list_of(a) != list_of(b),
    }
}

fn object_of(input: &ToyInput) -> Option<(u8, &toy::Key)> {
    match input {
        Input::Observed(Delta::Applied { feed, key, .. } | Delta::Deleted { feed, key, .. }) => {
            Some((*feed, key))
        }
        _ => None,
    }
}

fn list_of(input: &ToyInput) -> Option<u8> {
    match input {
        Input::Observed(Delta::ListBegin { feed } | Delta::ListEnd { feed, .. }) => Some(*feed),
        _ => None,
    }
}

/// The same, but all that one feed tells is told by one list at the end.
fn relisted(inputs: &[ToyInput], feed: u8) -> Vec<ToyInput> {
    let of_feed =
        |input: &&ToyInput| object_of(input).map(|(feed, _)| feed).or(list_of(input)) == Some(feed);
    let (mine, mut rest): (Vec<_>, Vec<_>) = inputs.iter().partition::<Vec<_>, _>(of_feed);
    let mut there = BTreeMap::new();
    let mut rv = 0;
    let mut listed = None;
    for input in &mine {
        match input {
            Input::Observed(Delta::ListBegin { .. }) => listed = Some(BTreeMap::new()),
            Input::Observed(Delta::ListEnd { rv: end, .. }) => {
                rv = rv.max(*end);
                there = listed.take().unwrap_or(there);
            }
            Input::Observed(Delta::Applied { key, rv: seen, .. }) => {
                rv = rv.max(*seen);
                listed.as_mut().unwrap_or(&mut there).insert(key.clone(), *input);
            }
            Input::Observed(Delta::Deleted { key, .. }) => {
                listed.as_mut().unwrap_or(&mut there).remove(key);
            }
            _ => {}
        }
    }
    let begin = Input::Observed(Delta::ListBegin { feed });
    let end = Input::Observed(Delta::ListEnd { feed, rv });
    rest.push(&begin);
    rest.extend(there.into_values());
    rest.push(&end);
    rest.into_iter().cloned().collect()
}
