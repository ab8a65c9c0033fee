//! Crash equivalence at ACME's effects: a process may die before and after each of them, and
//! between a CA's hearing it and its hearing the CA. The cluster comes to the same, and an order is
//! wasted at most.

mod common;

use common::outcome;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::World;
use everleaf_sim::world::config::{Config, HOUR, Kill};
use serde_json::{Value, json};

fn story(seed: u64) -> Config {
    Config { acme: 1000, healed_ms: 12 * HOUR, ..Config::calm(seed) }
}

/// A host that is proved by a route, an apex and its wildcard by records, and two hosts.
fn told(config: Config) -> World {
    let mut simulation = Simulation::new(config);
    let mut make = |name: &str, names: Value, issuer: Value| {
        let spec = json!({ "secretName": format!("{name}-tls"), "dnsNames": names,
            "issuerRef": issuer });
        simulation.world.create_certificate_as_user("app", name, spec);
    };
    let private = || json!({ "name": "private", "kind": "ClusterIssuer" });
    make("host", json!(["h1.d0-sim.com"]), json!({ "name": "public" }));
    make("wild", json!(["d1-sim.com", "*.d1-sim.com"]), private());
    make("pair", json!(["h1.d2-sim.com", "h2.d3-sim.com"]), private());
    simulation.run().unwrap_or_else(|failure| panic!("{failure}"))
}

fn dies_at(seed: u64, moments: impl Fn(&World) -> Vec<Kill>) {
    let plain = told(story(seed));
    let wanted = outcome(&plain);
    let all = moments(&plain);
    assert!(all.len() > 30, "the story is too short: {} moments", all.len());
    for kill in all {
        let cut = told(Config { kill: Some(kill), ..story(seed) });
        assert_eq!(outcome(&cut), wanted, "seed {seed}, killed {kill:?}");
        let (orders, leaves) = cut.orders_and_certificates();
        // One whose claim was not answered; and one for each route that a validation did not find.
        let most = leaves + 1 + cut.counts.routes_lost;
        assert!(orders <= most, "{kill:?}: {orders} orders, {leaves} certificates");
        assert!(leaves <= 4, "{kill:?}: {leaves} certificates for three names");
    }
}

#[test]
fn a_process_may_die_before_any_effect() {
    dies_at(1, |world| (1..=world.counts.performed).map(Kill::BeforeEffect).collect());
}

#[test]
fn a_process_may_die_after_any_effect() {
    dies_at(2, |world| (1..=world.counts.performed).map(Kill::AfterEffect).collect());
}

#[test]
fn a_process_may_die_before_it_hears_a_cas_answer() {
    dies_at(3, |world| (1..=world.counts.asked).map(Kill::AfterAsk).collect());
}
