//! Incidents of the incumbent, by its issue numbers: each a scenario that must stay harmless, and
//! that a mistake which brings the incident back makes red. Those of ACME are in
//! `acme_museum.rs`.

use everleaf_engine::ObjectKey;
use everleaf_nodes::facts::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::config::{Answer, Config, DAY, Faults, HOUR, Habits, MINUTE, Mutant};
use everleaf_sim::world::{START, World};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An incident: `Err` tells what harm was done.
type Incident = fn(Mutant) -> Result<(), String>;

fn is_harmless(incident: Incident) {
    incident(Mutant::None).unwrap_or_else(|harm| panic!("{harm}"));
}

/// What the incident does if the mistake is made; a panic is harm as well.
fn harm_of(incident: Incident, mutant: Mutant) -> String {
    let harm = catch_unwind(AssertUnwindSafe(|| incident(mutant)));
    match harm {
        Ok(Ok(())) => panic!("nobody noticed {mutant:?}"),
        Ok(Err(harm)) => harm,
        Err(_) => "a panic".to_owned(),
    }
}

fn config(seed: u64, mutant: Mutant) -> Config {
    Config { healed_ms: 3 * DAY, mutant, ..Config::calm(seed) }
}

fn advance(simulation: &mut Simulation, until: i64) -> Result<(), String> {
    simulation.run_until(START + until).map_err(|failure| failure.to_string())
}

fn to_the_end(config: Config) -> Result<World, String> {
    Simulation::new(config).run().map_err(|failure| failure.to_string())
}

fn ensure(holds: bool, harm: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(harm()) }
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

fn is_ready(world: &World, name: &str) -> Result<(), String> {
    let certificate = certificate(world, name);
    ensure(ready(&certificate)["status"] == "True", || format!("not Ready: {certificate}"))
}

/// #8380, #8403 and #7741, #8610: what the issuer returned cannot be used, so the next attempt
/// begins at once, and so on for ever. Every answer takes a serial number.
fn answered_with(answer: Answer, mutant: Mutant) -> Result<(), String> {
    let config = Config { answer: Some((answer, 1)), ..config(1, mutant) };
    let mut simulation = Simulation::new(config);
    advance(&mut simulation, MINUTE)?;
    let before = simulation.world.counts.serials;
    let issuer = World::foreign_issuer();
    simulation.world.create_certificate_as_user("app", "shop", spec("shop-tls", issuer));
    advance(&mut simulation, 2 * DAY)?;
    let world = &simulation.world;
    let stored = world.server.peek("secrets", "app", "shop-tls");
    ensure(stored.is_none(), || format!("{answer:?} was stored"))?;
    // 1, 2, 4, 8 and 16 hours: six attempts in two days.
    let made = world.counts.serials - before;
    ensure((4..=6).contains(&made), || format!("{answer:?}: {made} attempts in two days"))?;
    let failures = certificate(world, "shop")["status"]["failedIssuanceAttempts"].as_i64();
    ensure(failures >= Some(4), || format!("{failures:?} failures are told of"))
}

fn m1(mutant: Mutant) -> Result<(), String> {
    let answers = [Answer::WrongKey, Answer::Expired, Answer::OtherNames];
    answers.into_iter().try_for_each(|answer| answered_with(answer, mutant))
}

#[test]
fn m1_an_answer_that_is_of_no_use_starts_no_loop() {
    is_harmless(m1);
}

#[test]
fn m1_is_red_without_back_off() {
    harm_of(m1, Mutant::NoBackoff);
}

/// #1122 and eight more: renewBefore is longer than the life that was issued, so what was just
/// issued is due at once.
fn m2(mutant: Mutant) -> Result<(), String> {
    let config = Config { answer: Some((Answer::Short, 1)), ..config(2, mutant) };
    let mut simulation = Simulation::new(config);
    let mut spec = spec("shop-tls", World::foreign_issuer());
    spec["duration"] = json!("100h");
    spec["renewBefore"] = json!("90h");
    simulation.world.create_certificate_as_user("app", "shop", spec);
    advance(&mut simulation, DAY)?;
    // Ten hours are issued, so a third of them before the end: every 6 h 40 min.
    let revision = certificate(&simulation.world, "shop")["status"]["revision"].as_i64();
    ensure(matches!(revision, Some(3..=5)), || format!("{revision:?} revisions in a day"))
}

#[test]
fn m2_renew_before_beyond_the_issued_life_starts_no_loop() {
    is_harmless(m2);
}

#[test]
fn m2_is_red_when_the_wish_counts_whatever_was_issued() {
    harm_of(m2, Mutant::RenewsByWish);
}

/// #4846, #6149: several Certificates name one Secret and overwrite each other's for ever.
fn m3(mutant: Mutant) -> Result<(), String> {
    let mut simulation = Simulation::new(config(3, mutant));
    for name in ["one", "two", "three", "four", "five"] {
        let mut spec = spec("shared-tls", ca());
        spec["dnsNames"] = json!([format!("{name}.example.com")]);
        simulation.world.create_certificate_as_user("app", name, spec);
        let next = simulation.world.now - START + 1000;
        advance(&mut simulation, next)?;
    }
    advance(&mut simulation, 2 * DAY)?;
    let world = &simulation.world;
    ensure(certificate(world, "one")["status"]["revision"] == 1, || "the first waits".to_owned())?;
    for loser in ["two", "three", "four", "five"] {
        let certificate = certificate(world, loser);
        let ready = ready(&certificate);
        let message = ready["message"].as_str().unwrap_or_default();
        let told = ready["reason"] == "IncorrectCertificate" && message.contains("\"one\"");
        ensure(told, || format!("the winner is not named: {certificate}"))?;
        let issued = certificate["status"]["revision"].is_i64();
        ensure(!issued, || format!("{loser} was issued"))?;
    }
    let requests = world.all(Kind::CertificateRequest).len();
    ensure(requests == 1, || format!("{requests} requests"))
}

#[test]
fn m3_certificates_of_one_secret_make_one_request() {
    is_harmless(m3);
}

#[test]
fn m3_is_red_when_nobody_minds_the_owner() {
    harm_of(m3, Mutant::IgnoresContest);
}

#[test]
fn m3_the_loser_takes_over_when_the_winner_goes() {
    let run = || -> Result<(), String> {
        let mut simulation = Simulation::new(config(4, Mutant::None));
        simulation.world.create_certificate_as_user("app", "one", spec("shared-tls", ca()));
        advance(&mut simulation, HOUR)?;
        simulation.world.create_certificate_as_user("app", "two", spec("shared-tls", ca()));
        advance(&mut simulation, 2 * HOUR)?;
        let key = ObjectKey::new(Kind::Certificate, "app", "one");
        assert!(simulation.world.delete_as_user(&key));
        advance(&mut simulation, 4 * HOUR)?;
        is_ready(&simulation.world, "two")
    };
    run().unwrap_or_else(|harm| panic!("{harm}"));
}

/// #3551 and five more: the cache does not show the request that was just made, so another one is
/// made for the same revision; or nothing ever happens again.
fn m4(mutant: Mutant) -> Result<(), String> {
    let faults =
        Faults { watch_lag: true, watch_stall: true, duplicate: true, ..Faults::default() };
    for seed in 0..4 {
        let config = Config { faults, faulty_ms: DAY, certificates: 8, ..config(seed, mutant) };
        let world = to_the_end(Config { act_every_ms: DAY, ..config })?;
        for certificate in world.all(Kind::Certificate) {
            is_ready(&world, certificate["metadata"]["name"].as_str().unwrap_or_default())?;
        }
    }
    Ok(())
}

#[test]
fn m4_a_cache_that_lags_by_minutes_makes_no_second_request() {
    is_harmless(m4);
}

#[test]
fn m4_is_red_when_the_engine_does_not_await_its_own_writes() {
    harm_of(m4, Mutant::HidesWrites);
}

/// #9097: by a stale cache, the next private key of an issuance that goes on is deleted.
fn m5(mutant: Mutant) -> Result<(), String> {
    let faults =
        Faults { stale_list: true, watch_lag: true, gone: true, kill: true, ..Faults::default() };
    for seed in 0..4 {
        let base = config(seed, mutant);
        to_the_end(Config {
            faults,
            habits: Habits { renew: true, ..Habits::default() },
            faulty_ms: DAY,
            certificates: 6,
            approve: false,
            act_every_ms: 20 * MINUTE,
            mishap_every_ms: HOUR,
            ..base
        })?;
    }
    Ok(())
}

#[test]
fn m5_a_stale_cache_does_not_delete_the_live_next_key() {
    is_harmless(m5);
}

#[test]
fn m5_is_red_when_the_engine_does_not_await_its_own_writes() {
    harm_of(m5, Mutant::HidesWrites);
}

/// #6341: timers that stand still while the machine sleeps.
fn m8_suspended(mutant: Mutant) -> Result<(), String> {
    let mut simulation = Simulation::new(Config { healed_ms: 90 * DAY, mutant, ..Config::calm(8) });
    simulation.world.create_certificate_as_user("app", "shop", spec("shop-tls", ca()));
    let begin = HOUR + 10 * MINUTE;
    advance(&mut simulation, begin)?;
    // It sleeps over its renewal, due after sixty days.
    simulation.world.suspend_replica(0, 70 * DAY);
    advance(&mut simulation, begin + 70 * DAY + 2 * MINUTE)?;
    let revision = certificate(&simulation.world, "shop")["status"]["revision"].clone();
    ensure(revision == 2, || format!("revision {revision} after sixty days of sleep"))
}

#[test]
fn m8_a_suspended_machine_renews_within_a_minute_of_waking() {
    is_harmless(m8_suspended);
}

#[test]
fn m8_is_red_when_waits_are_counted_by_uptime() {
    harm_of(m8_suspended, Mutant::WaitsByUptime);
}

/// #8464, #7556: a clock that is wrong makes everything look due.
fn m8_stepped(mutant: Mutant) -> Result<(), String> {
    for by in [-3 * HOUR, -5 * DAY, -70 * DAY, 100 * DAY] {
        let config = Config { healed_ms: 20 * DAY, mutant, ..Config::calm(9) };
        let mut simulation = Simulation::new(config);
        simulation.world.create_certificate_as_user("app", "shop", spec("shop-tls", ca()));
        advance(&mut simulation, DAY)?;
        let keys = simulation.world.counts.keys;
        let spent = |world: &World| {
            ensure(world.counts.keys == keys, || format!("a step by {by} ms was paid for"))
        };
        simulation.world.set_replica_clock(0, by);
        advance(&mut simulation, 2 * DAY)?;
        spent(&simulation.world)?;
        simulation.world.set_replica_clock(0, -by);
        advance(&mut simulation, 3 * DAY)?;
        spent(&simulation.world)?;
        is_ready(&simulation.world, "shop")?;
    }
    Ok(())
}

#[test]
fn m8_a_clock_that_is_set_back_or_far_forward_spends_nothing() {
    is_harmless(m8_stepped);
}

#[test]
fn m8_is_red_when_a_step_back_is_taken_for_one_forward() {
    harm_of(m8_stepped, Mutant::MirrorsClock);
}

/// #4399: times in objects are in whole seconds, so what was issued within a second of the
/// request, or of the one before, seems to be older than it is.
fn m8_truncated(mutant: Mutant) -> Result<(), String> {
    let config = Config { certificates: 6, healed_ms: DAY, mutant, ..Config::calm(10) };
    let mut simulation = Simulation::new(config);
    advance(&mut simulation, HOUR)?;
    for renewal in 1..=8 {
        for certificate in simulation.world.all(Kind::Certificate) {
            simulation.world.renew(&certificate);
        }
        let soon = HOUR + renewal * 60_999;
        advance(&mut simulation, soon)?;
    }
    simulation.run().map(drop).map_err(|failure| failure.to_string())
}

#[test]
fn m8_renewals_within_seconds_of_each_other_are_all_done_once() {
    is_harmless(m8_truncated);
}

/// #5216, #7082: a new leader acts before it has seen everything; two lead at once.
fn m9(mutant: Mutant) -> Result<(), String> {
    let faults = Faults {
        kill: true,
        handover: true,
        overlap: true,
        watch_stall: true,
        ..Faults::default()
    };
    for seed in 0..3 {
        to_the_end(Config {
            faults,
            faulty_ms: DAY,
            certificates: 8,
            replicas: 2,
            mishap_every_ms: 20 * MINUTE,
            act_every_ms: 2 * HOUR,
            ..config(seed, mutant)
        })?;
    }
    Ok(())
}

#[test]
fn m9_a_new_leader_waits_until_it_has_seen_everything() {
    is_harmless(m9);
}

#[test]
fn m9_is_red_when_lists_are_not_awaited() {
    let harm = harm_of(m9, Mutant::ActsBeforeSync);
    assert!(harm.contains(": I25: "), "{harm}");
}

#[test]
fn m9_is_red_when_the_old_leader_goes_on() {
    let harm = harm_of(m9, Mutant::LeadsForever);
    assert!(harm.contains(": I26: "), "{harm}");
}

/// #1582, #2139, #3474, #3851: the issuer is gone, and what is to be deleted stays for ever.
fn m10(mutant: Mutant) -> Result<(), String> {
    let mut simulation = Simulation::new(config(10, mutant));
    let world = &mut simulation.world;
    world.create_certificate_as_user("app", "one", spec("one-tls", ca()));
    world.create_certificate_as_user("app", "two", spec("two-tls", json!({ "name": "none" })));
    advance(&mut simulation, HOUR)?;
    let delete = |simulation: &mut Simulation, kind: Kind| {
        for object in simulation.world.all(kind) {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let key = ObjectKey::new(kind, text("namespace"), text("name"));
            simulation.world.delete_as_user(&key);
        }
    };
    let kinds = [Kind::Issuer, Kind::ClusterIssuer, Kind::Certificate, Kind::CertificateRequest];
    kinds.into_iter().for_each(|kind| delete(&mut simulation, kind));
    advance(&mut simulation, 2 * HOUR)?;
    let left = kinds.into_iter().flat_map(|kind| simulation.world.all(kind)).count();
    ensure(left == 0, || format!("{left} objects cannot be deleted"))
}

#[test]
fn m10_nothing_keeps_what_is_deleted_after_its_issuer() {
    is_harmless(m10);
}

#[test]
fn m10_is_red_with_a_finalizer_on_requests() {
    harm_of(m10, Mutant::AddsFinalizer);
}

/// #8962 and others: something that was there a moment ago is gone.
fn m12(mutant: Mutant) -> Result<(), String> {
    for seed in 0..6 {
        to_the_end(Config {
            habits: Habits::all(),
            faults: Faults { recreate: true, ca_outage: true, ..Faults::default() },
            faulty_ms: DAY,
            certificates: 10,
            act_every_ms: 3 * MINUTE,
            mishap_every_ms: 7 * MINUTE,
            ..config(seed, mutant)
        })?;
    }
    Ok(())
}

#[test]
fn m12_everything_may_vanish_in_any_order() {
    is_harmless(m12);
}

#[test]
fn m12_is_red_when_presence_is_assumed() {
    harm_of(m12, Mutant::AssumesPresence);
}
