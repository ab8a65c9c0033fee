//! Incidents of the incumbent's ACME, by its issue numbers: each a scenario that must stay
//! harmless, and that a mistake which brings the incident back makes red.

use everleaf_engine::ObjectKey;
use everleaf_nodes::budget::LETS_ENCRYPT;
use everleaf_nodes::facts::Kind;
use everleaf_sim::acme::{Call, Fault, Faults, RetryStyle, Wrong};
use everleaf_sim::dns::{Data, RecordType};
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::acme::PRIVATE_CA;
use everleaf_sim::world::config::{Config, DAY, HOUR, MINUTE, Mutant};
use everleaf_sim::world::{START, World};
use serde_json::{Value, json};

/// An incident: `Err` tells what harm was done.
type Incident = fn(Mutant) -> Result<(), String>;

fn is_harmless(incident: Incident) {
    incident(Mutant::None).unwrap_or_else(|harm| panic!("{harm}"));
}

fn harm_of(incident: Incident, mutant: Mutant) -> String {
    incident(mutant).expect_err("nobody noticed")
}

fn ensure(holds: bool, harm: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(harm()) }
}

fn advance(simulation: &mut Simulation, until: i64) -> Result<(), String> {
    simulation.run_until(START + until).map_err(|failure| failure.to_string())
}

/// A cluster with ACME issuers whose accounts are registered, and no Certificates.
fn registered(seed: u64, mutant: Mutant) -> Result<Simulation, String> {
    let config = Config { acme: 1000, healed_ms: 4 * DAY, mutant, ..Config::calm(seed) };
    let mut simulation = Simulation::new(config);
    advance(&mut simulation, MINUTE)?;
    Ok(simulation)
}

fn order_shop(world: &mut World, names: &[&str], issuer: Value) {
    let spec = json!({ "secretName": "shop-tls", "dnsNames": names, "issuerRef": issuer });
    world.create_certificate_as_user("app", "shop", spec);
}

fn public() -> Value {
    json!({ "name": "public" })
}

fn private() -> Value {
    json!({ "name": "private", "kind": "ClusterIssuer" })
}

fn shop(world: &World) -> Value {
    let key = ObjectKey::new(Kind::Certificate, "app", "shop");
    Value::clone(&world.peek(&key).expect("the scenario made it"))
}

fn is_ready(world: &World) -> Result<(), String> {
    let certificate = shop(world);
    let conditions = certificate["status"]["conditions"].as_array();
    let mut all = conditions.into_iter().flatten();
    let ready = all.any(|c| c["type"] == "Ready" && c["status"] == "True");
    ensure(ready, || format!("not Ready: {}", certificate["status"]))
}

fn set_faults(world: &mut World, directory: &str, faults: impl Faults + 'static) {
    let ca = world.outside_mut().cas.get_mut(directory).expect("every run has it");
    ca.set_faults(Some(Box::new(faults)));
}

/// #8380, #8403, #7741, #8610: what the CA issued cannot be used, so the next order is placed at
/// once, and so on for ever, until the limit of the set is reached.
fn m1(mutant: Mutant) -> Result<(), String> {
    for wrong in [Wrong::OtherKey, Wrong::Expired, Wrong::OtherNames] {
        let mut simulation = registered(1, mutant)?;
        let spoil = move |_, call: &Call| match call {
            Call::Finalize { .. } => Fault::Wrong(wrong),
            _ => Fault::None,
        };
        set_faults(&mut simulation.world, PRIVATE_CA, spoil);
        order_shop(&mut simulation.world, &["h1.d0-sim.com"], private());
        advance(&mut simulation, 33 * HOUR)?;
        let stored = simulation.world.server.peek("secrets", "app", "shop-tls");
        ensure(stored.is_none(), || format!("{wrong:?} was stored"))?;
        // 1, 2, 4, 8 and 16 hours: six attempts in 33.
        let (orders, issued) = simulation.world.orders_and_certificates();
        let few = (4..=6).contains(&issued) && orders <= issued;
        ensure(few, || format!("{wrong:?}: {orders} orders, {issued} certificates in 33 hours"))?;
    }
    Ok(())
}

#[test]
fn m1_a_certificate_of_no_use_starts_no_loop() {
    is_harmless(m1);
}

#[test]
fn m1_is_red_without_back_off() {
    harm_of(m1, Mutant::NoBackoff);
}

/// #758, #2667: the order is valid before anybody expects it; its Order goes and comes for ever.
fn m6(mutant: Mutant) -> Result<(), String> {
    let mut simulation = registered(6, mutant)?;
    let hurry = |_, call: &Call| match call {
        Call::Finalize { .. } => Fault::OrderValid,
        _ => Fault::None,
    };
    set_faults(&mut simulation.world, PRIVATE_CA, hurry);
    order_shop(&mut simulation.world, &["h1.d0-sim.com", "h2.d0-sim.com"], private());
    advance(&mut simulation, MINUTE + 2000)?;
    // Somebody deletes the Order that is at work.
    for order in simulation.world.all(Kind::Order) {
        let name = order["metadata"]["name"].as_str().unwrap_or_default();
        simulation.world.delete_as_user(&ObjectKey::new(Kind::Order, "app", name));
    }
    advance(&mut simulation, 2 * DAY)?;
    is_ready(&simulation.world)?;
    let (orders, issued) = simulation.world.orders_and_certificates();
    ensure(orders <= 2 && issued == 1, || format!("{orders} orders, {issued} certificates"))
}

#[test]
fn m6_an_order_that_is_valid_already_is_downloaded() {
    is_harmless(m6);
}

#[test]
fn m6_is_red_when_a_valid_order_is_taken_for_a_broken_one() {
    harm_of(m6, Mutant::RejectsValid);
}

/// #5867, #8640, #2741, #3215: a 429 is taken for the end, or tried again without end.
fn m7(mutant: Mutant) -> Result<(), String> {
    let mut simulation = registered(7, mutant)?;
    let mut left = 3;
    let limit = move |_, call: &Call| match call {
        Call::NewOrder { .. } if left > 0 => {
            left -= 1;
            let style = if left == 1 { RetryStyle::Date } else { RetryStyle::Seconds };
            Fault::TooManyRequests { seconds: 7200, style }
        }
        _ => Fault::None,
    };
    set_faults(&mut simulation.world, LETS_ENCRYPT, limit);
    order_shop(&mut simulation.world, &["h1.d0-sim.com"], public());
    let asked = simulation.world.counts.asked;
    advance(&mut simulation, 6 * HOUR - 10 * MINUTE)?;
    let asked = simulation.world.counts.asked - asked;
    ensure(asked <= 8, || format!("{asked} requests in six hours of patience"))?;
    let none = shop(&simulation.world)["status"]["failedIssuanceAttempts"].is_null();
    ensure(none, || "a 429 counts as a failed attempt".to_owned())?;
    advance(&mut simulation, 9 * HOUR)?;
    is_ready(&simulation.world)
}

#[test]
fn m7_a_429_is_waited_out_and_not_the_end() {
    is_harmless(m7);
}

#[test]
fn m7_is_red_when_an_order_ends_with_a_429_or_nobody_reads_retry_after() {
    let harm = harm_of(m7, Mutant::GivesUpOnLimits);
    assert!(harm.contains("I16"), "{harm}");
    let harm = harm_of(m7, Mutant::IgnoresRetryAfter);
    assert!(harm.contains("I16"), "{harm}");
}

/// #1661, #3640, #4681 and #1655, #6875: our records stay, or those of others go.
fn m11(mutant: Mutant) -> Result<(), String> {
    let mut simulation = registered(11, mutant)?;
    let texts = |world: &World| {
        let dns = &world.outside().net.dns;
        dns.values(world.now, "_acme-challenge.d1-sim.com", RecordType::Txt)
    };
    let before = texts(&simulation.world);
    order_shop(&mut simulation.world, &["d1-sim.com", "*.d1-sim.com"], private());
    advance(&mut simulation, HOUR)?;
    is_ready(&simulation.world)?;
    let after: Vec<Data> = texts(&simulation.world);
    ensure(before == after, || format!("{before:?} became {after:?}"))
}

#[test]
fn m11_exactly_our_own_records_are_removed() {
    is_harmless(m11);
}

#[test]
fn m11_is_red_when_our_records_stay_or_others_go() {
    harm_of(m11, Mutant::LeavesRecords);
    harm_of(m11, Mutant::PresentsTwice);
    harm_of(m11, Mutant::SweepsRecords);
}
