//! The same seed gives the same bytes; and what must not matter does not.

use everleaf_nodes::facts::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::World;
use everleaf_sim::world::config::{Config, DAY, Faults, HOUR};
use serde_json::{Value, json};

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

/// What the cluster comes to, without what may differ: versions, times, keys, attempts.
fn outcome(world: &World) -> Vec<Value> {
    let certificates = world.all(Kind::Certificate);
    let one = |certificate: &std::sync::Arc<Value>| {
        let metadata = &certificate["metadata"];
        let conditions = certificate["status"]["conditions"].as_array();
        let conditions: Vec<Value> = conditions
            .into_iter()
            .flatten()
            .map(|c| json!([c["type"], c["status"], c["reason"], c["observedGeneration"]]))
            .collect();
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        let secret = certificate["spec"]["secretName"].as_str().unwrap_or_default();
        let stored = world.server.peek("secrets", namespace, secret);
        let annotations = stored.map(|secret| secret["metadata"]["annotations"].clone());
        json!({ "name": metadata["name"], "conditions": conditions,
            "revision": certificate["status"]["revision"],
            "failed": certificate["status"]["failedIssuanceAttempts"],
            "annotations": annotations })
    };
    let mut out: Vec<Value> = certificates.iter().map(one).collect();
    out.push(json!({ "requests": world.all(Kind::CertificateRequest).len(),
        "secrets": world.all(Kind::Secret).len() }));
    out
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

fn to_end(mut world: World) -> World {
    while !world.is_over() {
        world.step();
        world.forget_events();
    }
    world
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
fn another_order_of_simultaneous_news_changes_nothing_final() {
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

#[test]
fn a_crash_at_any_effect_boundary_changes_nothing_final() {
    let config = Config { certificates: 3, ..untouched(6) };
    let plain = run(config.clone());
    let wanted = outcome(&plain);
    for effect in 1..=plain.counts.performed {
        let cut = run(Config { kill_after_effect: Some(effect), ..config.clone() });
        assert_eq!(outcome(&cut), wanted, "killed after effect {effect}");
    }
}

#[test]
fn a_crash_at_any_effect_boundary_where_others_approve_changes_nothing_final() {
    let config = Config { certificates: 3, approve: false, ..untouched(7) };
    let plain = run(config.clone());
    let wanted = outcome(&plain);
    for effect in 1..=plain.counts.performed {
        let cut = run(Config { kill_after_effect: Some(effect), ..config.clone() });
        assert_eq!(outcome(&cut), wanted, "killed after effect {effect}");
    }
}
