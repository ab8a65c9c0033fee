//! Every invariant catches the mistake that it is there for, and is the one that does.

use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::config::{Answer, Config, DAY, Faults, HOUR, Habits, MINUTE, Mutant};
use everleaf_sim::world::event::Actor;
use serde_json::json;
use std::collections::BTreeSet;

/// How many seeds may pass before the mistake has to be found.
const PATIENCE: u64 = 12;

/// A small cluster for two days.
fn small(seed: u64, mutant: Mutant) -> Config {
    Config { certificates: 6, healed_ms: 2 * DAY, mutant, ..Config::calm(seed) }
}

/// A small cluster whose certificates all come from an issuer that answers so.
fn answered(seed: u64, mutant: Mutant, answer: Answer, from: i64) -> Config {
    Config { foreign_only: true, answer: Some((answer, from)), ..small(seed, mutant) }
}

/// A small cluster with users and faults.
fn troubled(seed: u64, mutant: Mutant, faults: Faults, habits: Habits) -> Config {
    Config {
        faults,
        habits,
        faulty_ms: 2 * DAY,
        act_every_ms: 20 * MINUTE,
        mishap_every_ms: HOUR,
        fault_per_mille: 0,
        ..small(seed, mutant)
    }
}

/// Every rule that has a mutant here; I33 compares two runs and has a file of its own.
const CAUGHT: [&str; 35] = [
    "I01", "I02", "I03", "I04", "I05", "I06", "I07", "I08", "I09", "I10", "I11", "I13", "I14",
    "I17", "I19", "I24", "I25", "I26", "I27", "I28", "I29", "I30", "I31", "I34", "I35", "I36",
    "I12", "I15", "I16", "I18", "I20", "I21", "I22", "I23", "I32",
];

#[test]
fn every_rule_is_tried_on_a_mistake() {
    let rules = everleaf_sim::invariants::all();
    let ids: BTreeSet<&str> = rules.iter().map(|rule| rule.id()).collect();
    let tried: BTreeSet<&str> = CAUGHT.into_iter().chain(["PLAN"]).collect();
    assert_eq!(ids, tried);
}

fn caught_in(id: &str, simulation: impl Fn(u64) -> Simulation) {
    for seed in 0..PATIENCE {
        if let Err(failure) = simulation(seed).run() {
            assert_eq!(failure.violation.id, id, "another rule was faster:\n{failure}");
            return;
        }
    }
    panic!("{id} did not see its mistake in {PATIENCE} runs");
}

fn caught(id: &str, config: impl Fn(u64) -> Config) {
    caught_in(id, |seed| Simulation::new(config(seed)));
}

/// A cluster in which somebody else has taken the name of the first request.
fn with_a_stranger(seed: u64, mutant: Mutant) -> Simulation {
    let mut simulation = Simulation::new(Config { certificates: 0, ..small(seed, mutant) });
    let world = &mut simulation.world;
    let request = json!({ "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
        "metadata": { "name": "shop-1", "namespace": "app" },
        "spec": { "request": "e30=", "issuerRef": { "name": "ca" } } });
    world.create_as(Actor::User, "certificaterequests.cert-manager.io", "app", request);
    let spec = json!({ "secretName": "shop-tls", "dnsNames": ["shop.example.com"],
        "issuerRef": { "name": "ca" } });
    world.create_certificate_as_user("app", "shop", spec);
    simulation
}

#[test]
fn i01_another_key_beside_the_certificate() {
    caught("I01", |seed| small(seed, Mutant::StoresOtherKey));
}

#[test]
fn i02_a_second_write_for_the_ca() {
    caught("I02", |seed| small(seed, Mutant::StoresInTwoWrites));
}

#[test]
fn i03_a_certificate_for_another_key() {
    caught("I03", |seed| answered(seed, Mutant::TrustsAnyKey, Answer::WrongKey, 1));
}

#[test]
fn i04_a_certificate_for_other_names() {
    caught("I04", |seed| answered(seed, Mutant::TrustsAnyNames, Answer::OtherNames, 1));
}

#[test]
fn i05_an_expired_certificate() {
    caught("I05", |seed| answered(seed, Mutant::TrustsAnyDates, Answer::Expired, 1));
}

#[test]
fn i06_a_good_certificate_replaced_by_an_expired_one() {
    caught("I06", |seed| {
        let habits = Habits { renew: true, ..Habits::default() };
        let config = troubled(seed, Mutant::WorsensSecret, Faults::default(), habits);
        Config { foreign_only: true, answer: Some((Answer::Expired, 2)), ..config }
    });
}

#[test]
fn i07_a_chain_as_it_was_sent() {
    caught("I07", |seed| answered(seed, Mutant::StoresChainAsSent, Answer::Disordered, 1));
}

#[test]
fn i08_a_key_that_is_kept() {
    caught("I08", |seed| {
        let habits = Habits { renew: true, ..Habits::default() };
        troubled(seed, Mutant::KeepsKeys, Faults::default(), habits)
    });
}

#[test]
fn i09_a_request_of_somebody_else_is_deleted() {
    caught_in("I09", |seed| with_a_stranger(seed, Mutant::DeletesStrangers));
}

#[test]
fn i10_two_certificates_write_one_secret() {
    caught_in("I10", |seed| {
        let config = Config { certificates: 0, ..small(seed, Mutant::IgnoresContest) };
        let mut simulation = Simulation::new(config);
        let spec = |host: &str| {
            json!({ "secretName": "shared-tls", "issuerRef": { "name": "ca" },
                "dnsNames": [format!("{host}.example.com")] })
        };
        simulation.world.create_certificate_as_user("app", "first", spec(&format!("first-{seed}")));
        let later = everleaf_sim::world::START + 2 * HOUR;
        if simulation.run_until(later).is_err() {
            // Its digest lets the first spell the name the second way: another seed then.
            return Simulation::new(Config { healed_ms: 1, ..Config::calm(seed) });
        }
        let host = format!("second-{seed}");
        simulation.world.create_certificate_as_user("app", "second", spec(&host));
        simulation
    });
}

#[test]
fn i11_a_signature_with_another_tenants_key() {
    caught("I11", |seed| small(seed, Mutant::CrossesTenants));
}

#[test]
fn i13_a_request_of_somebody_else_is_adopted() {
    caught_in("I13", |seed| with_a_stranger(seed, Mutant::AdoptsAnything));
}

#[test]
fn i14_no_back_off() {
    caught("I14", |seed| answered(seed, Mutant::NoBackoff, Answer::Failed, 1));
}

#[test]
fn i17_renew_before_counts_though_it_is_longer_than_the_life() {
    caught("I17", |seed| answered(seed, Mutant::RenewsByWish, Answer::Short, 1));
}

#[test]
fn i19_requests_are_never_tidied_up() {
    caught("I19", |seed| {
        let habits = Habits { renew: true, ..Habits::default() };
        troubled(seed, Mutant::KeepsRequests, Faults::default(), habits)
    });
}

#[test]
fn i24_the_engine_does_not_learn_of_its_writes() {
    caught("I24", |seed| small(seed, Mutant::HidesWrites));
}

#[test]
fn i24_nothing_is_read_again_before_it_is_stored() {
    caught("I24", |seed| {
        let faults =
            Faults { watch_lag: true, watch_stall: true, meddler: true, ..Faults::default() };
        let habits = Habits { renew: true, edit: true, ..Habits::default() };
        let config = troubled(seed, Mutant::StoresBlindly, faults, habits);
        Config { mishap_every_ms: 5 * MINUTE, act_every_ms: 5 * MINUTE, ..config }
    });
}

#[test]
fn i25_effects_before_the_first_list() {
    caught("I25", |seed| small(seed, Mutant::ActsBeforeSync));
}

#[test]
fn i26_a_leader_that_goes_on_after_its_lease() {
    caught("I26", |seed| {
        let faults = Faults { handover: true, ..Faults::default() };
        let config = troubled(seed, Mutant::LeadsForever, faults, Habits::all());
        Config { replicas: 2, ..config }
    });
}

#[test]
fn i27_transition_times_that_move_without_a_transition() {
    caught("I27", |seed| {
        troubled(seed, Mutant::TouchesTransition, Faults::default(), Habits::all())
    });
}

#[test]
fn i28_a_finalizer_on_a_request() {
    caught("I28", |seed| small(seed, Mutant::AddsFinalizer));
}

#[test]
fn i29_nothing_is_ever_stored() {
    caught("I29", |seed| small(seed, Mutant::NeverStores));
}

#[test]
fn i30_nothing_is_ever_renewed() {
    caught("I30", |seed| {
        let config = small(seed, Mutant::NeverRenews);
        Config { certificates: 12, healed_ms: 15 * DAY, ..config }
    });
}

#[test]
fn i31_a_state_that_waits_for_nothing() {
    caught("I31", |seed| small(seed, Mutant::ForgetsWaits));
}

#[test]
fn i34_nothing_fires_by_the_clock() {
    caught("I34", |seed| small(seed, Mutant::NeverWakes));
}

#[test]
fn i34_a_step_back_is_taken_for_one_forward() {
    caught_in("I34", |seed| {
        let config = Config { healed_ms: 5 * DAY, ..small(seed, Mutant::MirrorsClock) };
        let mut simulation = Simulation::new(Config { certificates: 0, ..config });
        let spec = json!({ "secretName": "shop-tls", "dnsNames": ["shop.example.com"],
            "duration": "720h", "issuerRef": { "name": "ca" } });
        simulation.world.create_certificate_as_user("app", "shop", spec);
        let settled = simulation.run_until(everleaf_sim::world::START + DAY);
        settled.unwrap_or_else(|failure| panic!("{failure}"));
        simulation.world.set_replica_clock(0, -25 * DAY);
        simulation
    });
}

#[test]
fn i35_a_journal_that_lacks_inputs() {
    caught("I35", |seed| Config { journal: true, ..small(seed, Mutant::SkipsTicks) });
}

#[test]
fn i36_a_key_in_an_event() {
    caught("I36", |seed| small(seed, Mutant::TellsKeys));
}

/// A small cluster whose certificates all come from ACME CAs.
fn acme(seed: u64, mutant: Mutant) -> Config {
    Config { acme: 1000, certificates: 10, ..small(seed, mutant) }
}

/// The same, with faults, in which somebody renews something every twenty minutes.
fn troubled_acme(seed: u64, mutant: Mutant, faults: Faults) -> Config {
    let habits = Habits { renew: true, ..Habits::default() };
    let config = troubled(seed, mutant, faults, habits);
    Config { acme: 1000, certificates: 10, fault_per_mille: 80, ..config }
}

#[test]
fn i12_an_order_that_is_placed_twice() {
    caught("I12", |seed| acme(seed, Mutant::PlacesTwice));
}

#[test]
fn i15_tokens_that_are_not_taken() {
    caught("I15", |seed| troubled_acme(seed, Mutant::ForgetsBudget, Faults::default()));
}

#[test]
fn i16_retry_after_that_nobody_reads() {
    let faults = Faults { ca_limited: true, ca_busy: true, ..Faults::default() };
    caught("I16", |seed| troubled_acme(seed, Mutant::IgnoresRetryAfter, faults));
}

#[test]
fn i16_an_order_that_ends_with_a_429() {
    let faults = Faults { ca_limited: true, ..Faults::default() };
    caught("I16", |seed| troubled_acme(seed, Mutant::GivesUpOnLimits, faults));
}

#[test]
fn i12_orders_of_the_same_names_that_take_no_turns() {
    caught("I12", |seed| Config { certificates: 60, ..acme(seed, Mutant::TakesNoTurns) });
}

#[test]
fn i18_a_ca_that_nobody_asks() {
    caught("I18", |seed| Config { healed_ms: 4 * DAY, ..acme(seed, Mutant::NeverAsks) });
}

#[test]
fn i18_a_window_that_is_misheard() {
    caught("I18", |seed| acme(seed, Mutant::MishearsWindow));
}

#[test]
fn i20_a_nonce_that_is_sent_twice() {
    caught("I20", |seed| acme(seed, Mutant::RepeatsNonces));
}

#[test]
fn i21_a_trigger_of_what_is_valid_already() {
    caught("I21", |seed| Config { certificates: 40, ..acme(seed, Mutant::TriggersBlindly) });
}

#[test]
fn i21_a_self_check_that_sees_what_is_not_there() {
    let faults = Faults { dns_lag: true, dns_servfail: true, ..Faults::default() };
    caught("I21", |seed| {
        let config = troubled_acme(seed, Mutant::SeesAnything, faults);
        Config { mishap_every_ms: 10 * MINUTE, ..config }
    });
}

#[test]
fn i22_an_order_that_is_finalized_before_it_is_ready() {
    caught("I22", |seed| acme(seed, Mutant::FinalizesEarly));
}

#[test]
fn i22_a_valid_order_that_is_given_up() {
    caught("I22", |seed| acme(seed, Mutant::RejectsValid));
}

#[test]
fn i23_one_account_key_for_two_cas() {
    caught("I23", |seed| acme(seed, Mutant::MixesAccounts));
}

#[test]
fn i28_a_finalizer_that_goes_before_what_it_is_for() {
    caught("I28", |seed| acme(seed, Mutant::LeavesRecords));
}

#[test]
fn i32_a_record_that_nobody_removes() {
    caught("I32", |seed| acme(seed, Mutant::PresentsTwice));
}

#[test]
fn i09_records_of_others_that_are_removed() {
    caught("I09", |seed| Config { certificates: 40, ..acme(seed, Mutant::SweepsRecords) });
}

#[test]
fn a_plan_without_the_edges_out_of_a_state() {
    caught("PLAN", |seed| small(seed, Mutant::LacksEdges));
}

#[test]
fn without_a_mistake_the_same_runs_are_clean() {
    let clean = |config: Config| {
        let run = Simulation::new(Config { mutant: Mutant::None, ..config }).run();
        run.map(drop).unwrap_or_else(|failure| panic!("{failure}"));
    };
    clean(small(1, Mutant::None));
    for answer in [Answer::WrongKey, Answer::OtherNames, Answer::Expired, Answer::Disordered] {
        clean(Config { healed_ms: DAY, ..answered(1, Mutant::None, answer, 1) });
    }
    clean(troubled(1, Mutant::None, Faults::default(), Habits::all()));
    let mut stranger = with_a_stranger(1, Mutant::None);
    let day = everleaf_sim::world::START + DAY;
    stranger.run_until(day).unwrap_or_else(|failure| panic!("{failure}"));
}
