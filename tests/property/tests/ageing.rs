//! Certificates that live for an hour, over days: renewal after renewal, none late.

use everleaf_engine::ObjectKey;
use everleaf_nodes::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::START;
use everleaf_sim::world::config::{Config, DAY, HOUR};
use serde_json::json;

/// Found by an hour on a real control plane: the seventh renewal waited for the ladder of key
/// generation, because the same effect for another revision was taken for a repetition.
#[test]
fn a_renewal_every_five_minutes_is_no_repetition() {
    let mut simulation = Simulation::new(Config { healed_ms: 2 * DAY, ..Config::calm(5) });
    let run = |simulation: &mut Simulation, until| {
        simulation.run_until(until).unwrap_or_else(|failure| panic!("{failure}"));
    };
    run(&mut simulation, START + 60_000);
    let spec = json!({ "secretName": "brief-tls", "dnsNames": ["brief.example.com"],
        "issuerRef": { "name": "ca" }, "duration": "1h", "renewBefore": "55m" });
    simulation.world.create_certificate_as_user("app", "brief", spec);
    let until = simulation.world.now + 24 * HOUR;
    run(&mut simulation, until);
    let key = ObjectKey::new(Kind::Certificate, "app", "brief");
    let certificate = simulation.world.peek(&key).expect("it was created");
    let revision = certificate["status"]["revision"].as_i64().unwrap_or(0);
    // Each takes its time from the moment at which the one before was stored.
    assert!((280..=289).contains(&revision), "{revision} revisions within 24 hours");
}
