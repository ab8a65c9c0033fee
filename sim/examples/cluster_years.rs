//! How fast a cluster-year is simulated: 50 certificates, 3 issuers, 2 replicas, 365 days, once with
//! every invariant asked after every event and once without.
//!
//! `cargo run --release -p everleaf-sim --example cluster_years [SEEDS]`
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and its arguments")]

use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::World;
use everleaf_sim::world::config::{Config, DAY, Faults, Habits};
use serde_json::json;
use std::time::Instant;

/// Certificates in the cluster.
const CERTIFICATES: usize = 50;

/// A year in which somebody renews or deletes something now and then, watches break and the lead
/// changes hands.
fn year(seed: u64) -> Simulation {
    let habits = Habits { renew: true, delete_secret: true, ..Habits::default() };
    let faults = Faults { watch_drop: true, conflict: true, handover: true, ..Faults::default() };
    let mut simulation = Simulation::new(Config {
        faulty_ms: 365 * DAY,
        healed_ms: 0,
        replicas: 2,
        faults,
        habits,
        act_every_ms: 7 * DAY,
        mishap_every_ms: 14 * DAY,
        fault_per_mille: 5,
        ..Config::calm(seed)
    });
    let issuers = [
        json!({ "name": "ca" }),
        json!({ "name": "cluster-ca", "kind": "ClusterIssuer" }),
        json!({ "name": "self" }),
    ];
    for n in 0..CERTIFICATES {
        let spec = json!({ "secretName": format!("c{n}-tls"), "duration": "2160h",
            "dnsNames": [format!("c{n}.example.com")], "issuerRef": issuers[n % 3] });
        let namespace = if n % 2 == 0 { "app" } else { "shop" };
        simulation.world.create_certificate_as_user(namespace, &format!("c{n}"), spec);
    }
    simulation
}

/// Runs a year; rules are asked after every event, unless they are not to be.
fn run(seed: u64, held_to_rules: bool) -> Result<World, String> {
    let simulation = year(seed);
    if held_to_rules {
        return simulation.run().map_err(|failure| failure.to_string());
    }
    let mut world = simulation.world;
    while !world.is_over() {
        world.step();
        world.forget_events();
    }
    Ok(world)
}

fn measure(seeds: u64, held_to_rules: bool) -> Result<(), String> {
    let begin = Instant::now();
    let (mut inputs, mut writes, mut serials) = (0, 0, 0);
    for seed in 0..seeds {
        let world = run(seed, held_to_rules)?;
        inputs += world.counts.inputs;
        writes += world.counts.writes;
        serials += world.counts.serials;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let rules = if held_to_rules { "held to every rule" } else { "held to no rule" };
    println!("{rules}: {seeds} cluster-years in {seconds:.2} s, {:.2}/s", seeds as f64 / seconds);
    println!("  {inputs} inputs, {writes} writes of ours, {serials} certificates");
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(8), |text| text.parse())?;
    measure(seeds, true)?;
    Ok(measure(seeds, false)?)
}
