//! The same seed gives the same bytes; and what must not matter does not.

mod common;

use common::outcome;
use everleaf_nodes::facts::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::World;
use everleaf_sim::world::config::{Config, DAY, Faults, HOUR};

fn run(config: Config) -> World {
    Simulation::new(config).run().unwrap_or_else(|failure| panic!("{failure}"))
}

/// Everything that is stored, and every journal.
fn bytes(world: &World) -> (String, Vec<Vec<u8>>) {
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Key);
    let objects: Vec<String> =
        kinds.flat_map(|kind| world.all(kind)).map(|object| object.to_string()).collect();
    let pages = world.replicas.iter().map(|replica| replica.pages.bytes());
    (objects.join("\n"), pages.collect())
}

fn to_end(mut world: World) -> World {
    while !world.is_over() {
        world.step();
        world.forget_events();
    }
    world
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in [11, 12, 13] {
        let config =
            Config { faulty_ms: DAY, healed_ms: DAY, journal: true, ..Config::swarm(seed) };
        let (one, two) = (World::new(config.clone()), World::new(config));
        let (one, two) = (to_end(one), to_end(two));
        assert!(bytes(&one) == bytes(&two), "seed {seed} gave two runs");
        assert!(one.log == two.log, "seed {seed} gave two logs");
    }
}

/// A cluster of a few certificates that nobody touches.
fn untouched(seed: u64) -> Config {
    Config { certificates: 5, healed_ms: 6 * HOUR, ..Config::calm(seed) }
}

#[test]
fn relists_drops_and_repeats_of_watches_change_nothing_final() {
    for seed in 0..4 {
        let base = Config { act_every_ms: 90 * DAY, healed_ms: DAY, ..untouched(seed) };
        let plain = outcome(&run(Config { faulty_ms: 6 * HOUR, ..base.clone() }));
        let faults = Faults {
            watch_drop: true,
            watch_lag: true,
            duplicate: true,
            gone: true,
            stale_list: true,
            ..Faults::default()
        };
        let shaken = run(Config { faulty_ms: 6 * HOUR, faults, ..base });
        assert_eq!(outcome(&shaken), plain, "seed {seed}");
    }
}

#[test]
fn lists_instead_of_events_change_nothing_final() {
    for seed in 0..4 {
        for approve in [true, false] {
            let config = Config { approve, ..untouched(seed) };
            let plain = outcome(&run(config.clone()));
            let listed = run(Config { relists: true, ..config });
            assert_eq!(outcome(&listed), plain, "seed {seed}, approve {approve}");
        }
    }
}

#[test]
fn another_order_of_what_falls_on_one_instant_changes_nothing_final() {
    // Half a second each: by then whatever one thing sets off falls on one instant.
    const EVERY: i64 = 500;
    for seed in 0..3 {
        let config = Config { bunched: (EVERY, 0), ..untouched(seed) };
        let plain = outcome(&run(config.clone()));
        for order in 1..5 {
            let other = run(Config { bunched: (EVERY, order), ..config.clone() });
            assert_eq!(outcome(&other), plain, "seed {seed}, order {order}");
        }
    }
}

#[test]
fn other_latencies_change_nothing_final() {
    // Latencies are drawn from the seed; users and issuers are the same in both runs.
    let config = untouched(5);
    let plain = outcome(&run(config.clone()));
    for shuffle in 1..4 {
        let mut world = World::new(config.clone());
        world.redraw_latencies(shuffle);
        let world = Simulation::of(world).run().unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(outcome(&world), plain, "shuffle {shuffle}");
    }
}
