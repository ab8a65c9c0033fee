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

/// Seeds that are red, and by which rule: open findings, not mended yet. By any other rule they
/// fail the test, and so does one that is green now: whoever mends it takes it out.
///
/// 5: claims that were made and led to no order have used up our bucket of an exact set, and the
/// CA's own limiter, by which the rule excuses such a wait, knows nothing of them. 6: a leader whose
/// clock ran days ahead wrote the account's bucket as full until then. 7: an order is refused for
/// the certificate that it replaces, in words that are not taken for that.
const OPEN: [(u64, &str); 3] = [(5, "I29"), (6, "I29"), (7, "I29")];

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
    let failures = seeds.clone().filter_map(|seed| Simulation::new(all_acme(seed)).run().err());
    let of = |failure: &Failure| (failure.config.seed, failure.violation.id);
    let (open, news): (Vec<_>, Vec<_>) = failures.partition(|failure| OPEN.contains(&of(failure)));
    let news: Vec<String> = news.iter().map(|failure| failure.to_string()).collect();
    assert!(news.is_empty(), "{}", news.join("\n"));
    let open: Vec<_> = open.iter().map(|failure| of(failure)).collect();
    let mended = |known: &&(u64, &str)| seeds.contains(&known.0) && !open.contains(known);
    let mended: Vec<_> = OPEN.iter().filter(mended).collect();
    assert!(mended.is_empty(), "green now, so take them out of OPEN: {mended:?}");
}
