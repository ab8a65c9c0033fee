//! Whole clusters, drawn from seeds, held to every invariant: faults first, then healing.
//!
//! `EVERLEAF_SEEDS=n` runs that many seeds instead of a few; a failure prints its seed, and
//! `EVERLEAF_SEED=n` runs that one alone.
#![allow(clippy::disallowed_methods, reason = "how many seeds to run is asked for outside")]

use everleaf_sim::invariants::{Failure, Simulation};
use everleaf_sim::world::World;
use everleaf_sim::world::config::{Config, DAY, Faults, Habits};

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(config: Config) -> World {
    let shown = |failure: Box<Failure>| panic!("{failure}");
    Simulation::new(config).run().unwrap_or_else(shown)
}

/// Runs every `of`th seed, beginning with `first`, so that test threads share the work.
fn run_seeds(first: u64, of: u64, count: u64) {
    if let Some(seed) = asked("EVERLEAF_SEED") {
        if seed % of == first {
            run(Config::swarm(seed));
        }
        return;
    }
    let seeds = 0..asked("EVERLEAF_SEEDS").unwrap_or(count);
    let of_this_share = seeds.filter(|seed| seed % of == first);
    let failures: Vec<String> = of_this_share
        .filter_map(|seed| Simulation::new(Config::swarm(seed)).run().err())
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// How many seeds are run without being asked for more.
const SEEDS: u64 = 50;

#[test]
fn every_invariant_holds_under_drawn_faults_even_seeds() {
    run_seeds(0, 2, SEEDS);
}

#[test]
fn every_invariant_holds_under_drawn_faults_odd_seeds() {
    run_seeds(1, 2, SEEDS);
}

#[test]
fn a_shared_secret_whose_owner_is_collected_is_not_issued_for_by_the_loser() {
    let habits = Habits { share_secret: true, delete_certificate: true, ..Habits::default() };
    for seed in 66..70 {
        run(Config { habits, acme: 0, ..Config::swarm(seed) });
    }
}

#[test]
fn users_alone_break_nothing() {
    for seed in 1000..1006 {
        let config =
            Config { faults: Faults::default(), fault_per_mille: 0, ..Config::swarm(seed) };
        run(config);
    }
}

#[test]
fn a_quiet_quarter_writes_nothing_but_renewals() {
    let config = Config { certificates: 10, healed_ms: 30 * DAY, ..Config::calm(7) };
    let mut simulation = Simulation::new(config);
    let settled = everleaf_sim::world::START + DAY;
    simulation.run_until(settled).unwrap_or_else(|failure| panic!("{failure}"));
    let keys = simulation.world.counts.keys;
    let before = simulation.world.counts.writes;
    let world = simulation.run().unwrap_or_else(|failure| panic!("{failure}"));
    let issued = world.counts.keys - keys;
    let writes = world.counts.writes - before;
    assert!(issued > 0, "some of ten certificates are renewed within thirty days");
    assert!(writes <= issued * 7, "{writes} writes for {issued} renewals");
}

#[test]
fn an_issuance_by_a_ca_of_ours_takes_four_writes() {
    let mut simulation = Simulation::new(Config { healed_ms: DAY, ..Config::calm(3) });
    let settled = everleaf_sim::world::START + 60_000;
    simulation.run_until(settled).unwrap_or_else(|failure| panic!("{failure}"));
    let before = simulation.world.counts.writes;
    let spec = serde_json::json!({ "secretName": "shop-tls", "dnsNames": ["shop.example.com"],
        "issuerRef": { "name": "ca" } });
    simulation.world.create_certificate_as_user("app", "shop", spec);
    let world = simulation.run().unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(world.counts.writes - before, 4, "request, signature, Secret, status");
}

#[test]
fn every_fault_at_once_is_survived() {
    for seed in 2000..2004 {
        let faults = Faults { forbidden: false, ..Faults::all() };
        let config = Config { faults, habits: Habits::all(), replicas: 2, ..Config::swarm(seed) };
        run(Config { faulty_ms: 3 * DAY, healed_ms: 4 * DAY, ..config });
    }
}
