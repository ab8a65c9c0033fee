//! A CA that answers 429 for an hour delays, and never fails.

use everleaf_nodes::budget::LETS_ENCRYPT;
use everleaf_nodes::facts::Kind;
use everleaf_sim::acme::{Call, Fault, RetryStyle};
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::acme::PRIVATE_CA;
use everleaf_sim::world::config::{Config, DAY, HOUR, MINUTE};
use everleaf_sim::world::{START, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What every refusal asks for, in seconds.
const RETRY_AFTER: u32 = 15 * 60;

/// What was asked too early, for people.
type Hasty = Arc<Mutex<Vec<String>>>;

/// Certificates of both CAs, proved by routes and by records, for one name and for several.
fn names() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("public", vec!["h1.d0-sim.com"]),
        ("public", vec!["h2.d2-sim.com", "h3.d2-sim.com", "h4.d2-sim.com"]),
        ("public", vec!["d1-sim.com", "*.d1-sim.com"]),
        ("private", vec!["h1.d4-sim.com"]),
        ("private", vec!["h2.d6-sim.com", "h3.d7-sim.com"]),
        ("private", vec!["d3-sim.com", "*.d3-sim.com"]),
    ]
}

/// Refuses everything from one instant to another, and notes whatever asks for the same again
/// before it may.
fn refuse(world: &mut World, (from, until): (i64, i64), style: RetryStyle) -> Hasty {
    let hasty = Hasty::default();
    for directory in [LETS_ENCRYPT, PRIVATE_CA] {
        let hasty = hasty.clone();
        let mut not_before: BTreeMap<String, i64> = BTreeMap::new();
        let decide = move |now: i64, call: &Call| {
            // Nonces, directories and accounts are no Order's in particular.
            let own = !matches!(call, Call::NewNonce | Call::Directory | Call::Account { .. });
            let what = format!("{call:?}");
            let early = not_before.get(&what).map_or(0, |at| at - now);
            if own && early > 0 {
                hasty.lock().expect("nobody panics with it").push(format!("{early} ms: {what}"));
            }
            if !(from..until).contains(&now) {
                return Fault::None;
            }
            not_before.insert(what, now + i64::from(RETRY_AFTER) * 1000);
            Fault::TooManyRequests { seconds: RETRY_AFTER, style }
        };
        let ca = world.outside_mut().cas.get_mut(directory).expect("every run has it");
        ca.set_faults(Some(Box::new(decide)));
        // For short lives CAs let authorizations be pending, or valid, for an hour only: there the
        // hour itself would end the order, whatever a client does.
        ca.reconfigure(|config| {
            for life in config.profiles.values_mut() {
                (life.pending_life, life.order_life, life.reuse) = (7 * DAY, 7 * DAY, 7 * DAY);
            }
        });
    }
    hasty
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

fn is_ready(certificate: &Value) -> bool {
    condition(certificate, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// Nothing ended, and nothing counts as a failure.
fn ensure_nothing_failed(world: &World) {
    for kind in [Kind::Order, Kind::Challenge] {
        for object in world.all(kind) {
            let state = object["status"]["state"].as_str().unwrap_or_default();
            let ended = ["errored", "invalid", "expired"].contains(&state);
            assert!(!ended, "{}: {}", object["metadata"]["name"], object["status"]);
        }
    }
    for request in world.all(Kind::CertificateRequest) {
        let failed = condition(&request, "Ready").is_some_and(|ready| ready["reason"] == "Failed");
        assert!(!failed, "{}: {}", request["metadata"]["name"], request["status"]);
    }
    for certificate in world.all(Kind::Certificate) {
        let status = &certificate["status"];
        let failed = !status["failedIssuanceAttempts"].is_null()
            || condition(&certificate, "Issuing").is_some_and(|c| c["reason"] == "Failed");
        assert!(!failed, "{}: {status}", certificate["metadata"]["name"]);
    }
}

/// An hour of refusals that begins so long after the Certificates were made, in milliseconds.
fn an_hour_of_429(seed: u64, begins: i64, style: RetryStyle) {
    let config = Config { acme: 1000, healed_ms: 6 * HOUR, ..Config::calm(seed) };
    let mut simulation = Simulation::new(config);
    let made = START + MINUTE;
    let advance = |simulation: &mut Simulation, until: i64| {
        simulation.run_until(until).unwrap_or_else(|failure| panic!("{failure}"));
    };
    advance(&mut simulation, made);
    let (from, until) = (made + begins, made + begins + HOUR);
    let hasty = refuse(&mut simulation.world, (from, until), style);
    for (at, (issuer, names)) in names().into_iter().enumerate() {
        let kind = if issuer == "public" { "Issuer" } else { "ClusterIssuer" };
        let spec = json!({ "secretName": format!("shop{at}-tls"), "dnsNames": names,
            "issuerRef": { "name": issuer, "kind": kind } });
        simulation.world.create_certificate_as_user("app", &format!("shop{at}"), spec);
    }
    // One Retry-After may have been told in the last moment, and then there is work to be done.
    let well = until + i64::from(RETRY_AFTER) * 1000 + 10 * MINUTE;
    let mut now = made;
    while now < well {
        now += MINUTE;
        advance(&mut simulation, now);
        ensure_nothing_failed(&simulation.world);
    }
    let hasty = hasty.lock().expect("nobody panics with it");
    assert!(hasty.is_empty(), "asked too early:\n{}", hasty.join("\n"));
    let certificates = simulation.world.all(Kind::Certificate);
    let late: Vec<&Value> = certificates.iter().filter(|c| !is_ready(c)).map(|c| &**c).collect();
    assert!(late.is_empty(), "seed {seed}, {begins} ms, {style:?}: not Ready: {late:?}");
    drop(hasty);
    simulation.run().unwrap_or_else(|failure| panic!("{failure}"));
}

/// Before the first order; amid orders, challenges and chains.
const BEGINNINGS: [i64; 6] = [0, 500, 1_500, 3_000, 6_000, 12_000];

#[test]
fn a_ca_that_answers_429_for_an_hour_with_seconds_delays_and_never_fails() {
    for (seed, begins) in (70..).zip(BEGINNINGS) {
        an_hour_of_429(seed, begins, RetryStyle::Seconds);
    }
}

#[test]
fn a_ca_that_answers_429_for_an_hour_with_a_date_delays_and_never_fails() {
    for (seed, begins) in (80..).zip(BEGINNINGS) {
        an_hour_of_429(seed, begins, RetryStyle::Date);
    }
}
