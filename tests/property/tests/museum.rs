//! Incidents of the incumbent, by its issue numbers: each a scenario that must stay harmless.

use everleaf_nodes::facts::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::config::{Answer, Config, DAY, Faults, HOUR, Habits, MINUTE, Mutant};
use everleaf_sim::world::{START, World};
use serde_json::{Value, json};

fn config(seed: u64) -> Config {
    Config { healed_ms: 3 * DAY, ..Config::calm(seed) }
}

fn advance(simulation: &mut Simulation, until: i64) {
    simulation.run_until(START + until).unwrap_or_else(|failure| panic!("{failure}"));
}

fn spec(secret: &str, issuer: Value) -> Value {
    json!({ "secretName": secret, "dnsNames": ["shop.example.com"], "issuerRef": issuer })
}

fn ca() -> Value {
    json!({ "name": "ca" })
}

fn certificate(world: &World, name: &str) -> Value {
    let all = world.all(Kind::Certificate);
    let found = all.iter().find(|c| c["metadata"]["name"] == *name);
    Value::clone(found.expect("the scenario made it"))
}

fn ready(certificate: &Value) -> &Value {
    let conditions = certificate["status"]["conditions"].as_array();
    let mut all = conditions.into_iter().flatten();
    all.find(|condition| condition["type"] == "Ready").map_or(&Value::Null, |ready| ready)
}

#[test]
fn m2_renew_before_beyond_the_issued_life_starts_no_loop() {
    let config = Config { answer: Some((Answer::Short, 1)), ..config(2) };
    let mut simulation = Simulation::new(config);
    let mut spec = spec("shop-tls", World::foreign_issuer());
    spec["duration"] = json!("100h");
    spec["renewBefore"] = json!("90h");
    simulation.world.create_certificate_as_user("app", "shop", spec);
    advance(&mut simulation, DAY);
    // Ten hours are issued, so a third of them before the end: every 6 h 40 min.
    let revision = certificate(&simulation.world, "shop")["status"]["revision"].as_i64();
    assert!(matches!(revision, Some(3..=5)), "{revision:?} revisions in a day");
}

#[test]
fn m3_two_certificates_of_one_secret_make_one_request_each_at_most() {
    let mut simulation = Simulation::new(config(3));
    for name in ["one", "two", "three"] {
        let mut spec = spec("shared-tls", ca());
        spec["dnsNames"] = json!([format!("{name}.example.com")]);
        simulation.world.create_certificate_as_user("app", name, spec);
    }
    advance(&mut simulation, 2 * DAY);
    let world = &simulation.world;
    assert_eq!(certificate(world, "one")["status"]["revision"], 1);
    for loser in ["two", "three"] {
        let certificate = certificate(world, loser);
        let ready = ready(&certificate);
        assert_eq!(ready["reason"], "IncorrectCertificate", "{certificate}");
        let message = ready["message"].as_str().unwrap_or_default();
        assert!(message.contains("\"one\""), "the winner is named: {message}");
        assert_eq!(certificate["status"]["revision"], Value::Null);
    }
    assert_eq!(world.all(Kind::CertificateRequest).len(), 1);
}

#[test]
fn m3_the_loser_takes_over_when_the_winner_goes() {
    let mut simulation = Simulation::new(config(4));
    simulation.world.create_certificate_as_user("app", "one", spec("shared-tls", ca()));
    advance(&mut simulation, HOUR);
    simulation.world.create_certificate_as_user("app", "two", spec("shared-tls", ca()));
    advance(&mut simulation, 2 * HOUR);
    let key = everleaf_engine::ObjectKey::new(Kind::Certificate, "app", "one");
    assert!(simulation.world.delete_as_user(&key));
    advance(&mut simulation, 4 * HOUR);
    assert_eq!(ready(&certificate(&simulation.world, "two"))["status"], "True");
}

#[test]
fn m4_a_cache_that_lags_by_minutes_makes_no_second_request() {
    let faults =
        Faults { watch_lag: true, watch_stall: true, duplicate: true, ..Faults::default() };
    for seed in 0..4 {
        let config = Config { faults, faulty_ms: DAY, certificates: 8, ..config(seed) };
        let world = Simulation::new(Config { act_every_ms: DAY, ..config }).run();
        let world = world.unwrap_or_else(|failure| panic!("{failure}"));
        for certificate in world.all(Kind::Certificate) {
            assert_eq!(ready(&certificate)["status"], "True", "{certificate}");
        }
    }
}

#[test]
fn m5_a_stale_cache_does_not_delete_the_live_next_key() {
    let faults =
        Faults { stale_list: true, watch_lag: true, gone: true, kill: true, ..Faults::default() };
    for seed in 0..4 {
        let base = config(seed);
        let config = Config {
            faults,
            habits: Habits { renew: true, ..Habits::default() },
            faulty_ms: DAY,
            certificates: 6,
            approve: false,
            act_every_ms: 20 * MINUTE,
            mishap_every_ms: HOUR,
            ..base
        };
        Simulation::new(config).run().map(drop).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn m8_a_suspended_machine_renews_within_a_minute_of_waking() {
    let mut simulation = Simulation::new(Config { healed_ms: 90 * DAY, ..Config::calm(8) });
    simulation.world.create_certificate_as_user("app", "shop", spec("shop-tls", ca()));
    advance(&mut simulation, HOUR);
    // It sleeps over its renewal, due after sixty days.
    simulation.world.suspend_replica(0, 70 * DAY);
    advance(&mut simulation, 70 * DAY + HOUR + 2 * MINUTE);
    assert_eq!(certificate(&simulation.world, "shop")["status"]["revision"], 2);
}

#[test]
fn m8_a_clock_that_is_set_back_or_far_forward_spends_nothing() {
    for by in [-3 * HOUR, -5 * DAY, 100 * DAY] {
        let mut simulation = Simulation::new(Config { healed_ms: 20 * DAY, ..Config::calm(9) });
        simulation.world.create_certificate_as_user("app", "shop", spec("shop-tls", ca()));
        advance(&mut simulation, DAY);
        let keys = simulation.world.counts.keys;
        simulation.world.set_replica_clock(0, by);
        advance(&mut simulation, 2 * DAY);
        assert_eq!(simulation.world.counts.keys, keys, "a step by {by} ms");
        simulation.world.set_replica_clock(0, -by);
        advance(&mut simulation, 3 * DAY);
        assert_eq!(simulation.world.counts.keys, keys, "a step by {by} ms, and back");
        let certificate = certificate(&simulation.world, "shop");
        assert_eq!(ready(&certificate)["status"], "True", "{certificate}");
    }
}

#[test]
fn m9_a_new_leader_waits_until_it_has_seen_everything() {
    let faults = Faults {
        kill: true,
        handover: true,
        overlap: true,
        watch_stall: true,
        ..Faults::default()
    };
    for seed in 0..3 {
        let config = Config {
            faults,
            faulty_ms: DAY,
            certificates: 8,
            replicas: 2,
            mishap_every_ms: 20 * MINUTE,
            act_every_ms: 2 * HOUR,
            ..config(seed)
        };
        Simulation::new(config).run().map(drop).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn m9_is_red_when_lists_are_not_awaited() {
    let config = Config { certificates: 4, mutant: Mutant::ActsBeforeSync, ..config(9) };
    let failure = Simulation::new(config).run().map(drop).expect_err("it acts on nothing");
    assert_eq!(failure.violation.id, "I25");
}
