//! ACME in the simulated cluster: CAs, zones and hosts that fail, held to every rule.
#![allow(clippy::disallowed_methods, reason = "how many seeds to run is asked for outside")]

use everleaf_nodes::facts::Kind;
use everleaf_sim::invariants::{Failure, Simulation};
use everleaf_sim::world::World;
use everleaf_sim::world::config::{Config, DAY};

fn run(config: Config) -> World {
    let shown = |failure: Box<Failure>| panic!("{failure}");
    Simulation::new(config).run().unwrap_or_else(shown)
}

/// A run in which every Certificate comes from an ACME CA.
fn all_acme(seed: u64) -> Config {
    Config { acme: 1000, ..Config::swarm(seed) }
}

/// So many seeds, from 0 on, are run without being asked for more.
const SEEDS: u64 = 14;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn without_faults_every_name_is_certified_and_nothing_is_left_behind() {
    for seed in 0..4 {
        let config =
            Config { acme: 1000, certificates: 12, healed_ms: 4 * DAY, ..Config::calm(seed) };
        let world = run(config);
        let (orders, leaves) = world.orders_and_certificates();
        let names = world.all(Kind::Certificate).len() as u64;
        assert!(leaves >= names && orders == leaves, "{orders} orders, {leaves} leaves, {names}");
    }
}

#[test]
fn every_invariant_holds_under_drawn_faults_of_acme() {
    if let Some(seed) = asked("EVERLEAF_SEED") {
        run(all_acme(seed));
        return;
    }
    let seeds = 0..asked("EVERLEAF_SEEDS").unwrap_or(SEEDS);
    let failures = seeds.filter_map(|seed| Simulation::new(all_acme(seed)).run().err());
    let failures: Vec<String> = failures.map(|failure| failure.to_string()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
