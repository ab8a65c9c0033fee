//! What is presented for a Challenge comes before its removal: both may be on their way at once,
//! and whichever was started first may arrive last.

use everleaf_engine::ObjectKey;
use everleaf_nodes::facts::Kind;
use everleaf_sim::dns::{Data, RecordType};
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::config::{Config, DAY, MINUTE, Mutant};
use everleaf_sim::world::{START, World};
use serde_json::json;

const RECORD: &str = "_acme-challenge.d1-sim.com";

/// The values of the record.
fn values(world: &World) -> Vec<Data> {
    world.outside().net.dns.values(world.now, RECORD, RecordType::Txt)
}

/// A Certificate is deleted while the provider still takes its time to add the record.
fn deleted_while_presented(mutant: Mutant) -> Result<World, String> {
    let calm = Config { acme: 1000, healed_ms: 3 * DAY, ..Config::calm(32) };
    let mut simulation = Simulation::new(Config { slow_provider: MINUTE, mutant, ..calm });
    let mut until = START + MINUTE;
    let advance = |simulation: &mut Simulation, until| {
        simulation.run_until(until).map_err(|failure| failure.to_string())
    };
    advance(&mut simulation, until)?;
    let before = values(&simulation.world);
    let spec = json!({ "secretName": "shop-tls", "dnsNames": ["d1-sim.com"],
        "issuerRef": { "name": "private", "kind": "ClusterIssuer" } });
    simulation.world.create_certificate_as_user("app", "shop", spec);
    while simulation.world.all(Kind::Challenge).is_empty() {
        until += 100;
        advance(&mut simulation, until)?;
    }
    until += 5_000;
    advance(&mut simulation, until)?;
    assert_eq!(values(&simulation.world), before, "nothing was added yet");
    simulation.world.delete_as_user(&ObjectKey::new(Kind::Certificate, "app", "shop"));
    let world = simulation.run().map_err(|failure| failure.to_string())?;
    assert_eq!(values(&world), before, "what was added is gone, and nothing else");
    assert!(world.all(Kind::Challenge).is_empty(), "nothing holds the Challenge back");
    Ok(world)
}

#[test]
fn a_record_is_not_added_after_its_clean_up_for_nobody_would_remove_it() {
    deleted_while_presented(Mutant::None).unwrap_or_else(|harm| panic!("{harm}"));
}

#[test]
fn a_port_that_presents_whatever_was_cleaned_up_leaves_its_record_behind() {
    let harm = deleted_while_presented(Mutant::PresentsLate).map(drop).expect_err("it is clean");
    assert!(harm.contains("I32") || harm.contains("I28"), "{harm}");
}
