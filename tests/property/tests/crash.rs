//! Crash equivalence (I35): a process may die at any moment. What follows from the cluster alone
//! comes to the same cluster, up to attempt numbers and the bytes of keys, and costs at most one
//! signature more of each certificate that was in the making.

mod common;

use common::outcome;
use everleaf_nodes::facts::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::config::{Answer, Config, DAY, HOUR, Kill};
use everleaf_sim::world::{START, World};
use serde_json::{Value, json};

/// How often the story is told over, each time by a process that dies at another moment, is
/// divided among this many tests.
const SHARES: u64 = 4;

/// Certificates of the story whose next key is kept in memory, and so is lost with the process
/// and takes another signature: at most those that were in the making.
const IN_MEMORY: u64 = 3;

fn story(seed: u64) -> Config {
    Config { healed_ms: 11 * HOUR, answer: Some((Answer::Failed, 1)), ..Config::calm(seed) }
}

fn spec(name: &str, secret: &str, hours: i64, issuer: Value) -> Value {
    json!({ "secretName": secret, "dnsNames": [format!("{name}.example.com")],
        "duration": format!("{hours}h"), "issuerRef": issuer })
}

fn advance(simulation: &mut Simulation, hours: i64) {
    simulation.run_until(START + hours * HOUR).unwrap_or_else(|failure| panic!("{failure}"));
}

/// An issuance by a CA, a self-signed one, one that fails for ever, two Certificates of one
/// Secret; then a renewal by the clock, one by hand, a Secret that is deleted and a spec that
/// changes.
fn told(config: Config) -> World {
    let mut simulation = Simulation::new(config);
    let world = &mut simulation.world;
    let ca = || json!({ "name": "ca" });
    world.create_certificate_as_user("app", "clock", spec("clock", "clock-tls", 12, ca()));
    let own = json!({ "name": "self" });
    world.create_certificate_as_user("app", "own", spec("own", "own-tls", 2160, own));
    let foreign = World::foreign_issuer();
    world.create_certificate_as_user("app", "fails", spec("fails", "fails-tls", 720, foreign));
    world.create_certificate_as_user("shop", "first", spec("first", "shared", 720, ca()));
    advance(&mut simulation, 1);
    let world = &mut simulation.world;
    world.create_certificate_as_user("shop", "second", spec("second", "shared", 720, ca()));
    renew(world, "own");
    advance(&mut simulation, 2);
    simulation.world.delete_as_user(&key(Kind::Secret, "app", "own-tls"));
    advance(&mut simulation, 3);
    let names = json!({ "spec": { "dnsNames": ["other.example.com"] } });
    simulation.world.patch_as_user(&key(Kind::Certificate, "shop", "first"), names);
    simulation.run().unwrap_or_else(|failure| panic!("{failure}"))
}

fn key(kind: Kind, namespace: &str, name: &str) -> everleaf_engine::ObjectKey<Kind> {
    everleaf_engine::ObjectKey::new(kind, namespace, name)
}

fn renew(world: &mut World, name: &str) {
    let all = world.all(Kind::Certificate);
    let found = all.iter().find(|c| c["metadata"]["name"] == *name);
    let found = found.expect("the story made it").clone();
    world.renew(&found);
}

/// Tells the story once for every moment of the share, and compares how it ends.
fn dies_at(config: Config, share: u64, moments: impl Fn(&World) -> Vec<Kill>) {
    let plain = told(config.clone());
    let wanted = outcome(&plain);
    let moments = moments(&plain);
    assert!(moments.len() > 50, "the story is too short: {} moments", moments.len());
    for (at, kill) in moments.into_iter().enumerate() {
        if at as u64 % SHARES != share {
            continue;
        }
        let cut = told(Config { kill: Some(kill), ..config.clone() });
        assert_eq!(outcome(&cut), wanted, "seed {}, killed {kill:?}", config.seed);
        let (spent, before) = (cut.counts.serials, plain.counts.serials);
        assert!(spent <= before + IN_MEMORY, "{kill:?}: {spent} signatures, not {before}");
    }
}

fn effects(world: &World) -> Vec<Kill> {
    let all = 1..=world.counts.performed;
    all.flat_map(|effect| [Kill::BeforeEffect(effect), Kill::AfterEffect(effect)]).collect()
}

fn records(world: &World) -> Vec<Kill> {
    (1..=world.counts.inputs).map(Kill::AfterRecord).collect()
}

fn everywhere(share: u64) {
    dies_at(story(1), share, effects);
    dies_at(Config { approve: false, ..story(2) }, share, effects);
    dies_at(Config { replicas: 2, owner_ref: true, ..story(3) }, share, effects);
    dies_at(story(4), share, records);
}

#[test]
fn a_process_may_die_at_any_effect_and_after_any_record_first_quarter() {
    everywhere(0);
}

#[test]
fn a_process_may_die_at_any_effect_and_after_any_record_second_quarter() {
    everywhere(1);
}

#[test]
fn a_process_may_die_at_any_effect_and_after_any_record_third_quarter() {
    everywhere(2);
}

#[test]
fn a_process_may_die_at_any_effect_and_after_any_record_last_quarter() {
    everywhere(3);
}

#[test]
fn the_story_holds_every_kind_of_turn() {
    let world = told(Config { healed_ms: DAY / 2, ..story(1) });
    let certificate = |name: &str| {
        let all = world.all(Kind::Certificate);
        let found = all.iter().find(|c| c["metadata"]["name"] == *name);
        Value::clone(found.expect("the story made it"))
    };
    assert_eq!(certificate("clock")["status"]["revision"], 2, "one renewal by the clock");
    assert_eq!(certificate("own")["status"]["revision"], 3, "one by hand, one new Secret");
    assert_eq!(certificate("first")["status"]["revision"], 2, "one new spec");
    assert_eq!(certificate("second")["status"]["revision"], Value::Null, "it yields");
    assert!(certificate("fails")["status"]["failedIssuanceAttempts"].as_i64() >= Some(3));
}
