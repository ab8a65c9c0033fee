//! I33: those who fail for ever do not hold up the others.

use everleaf_nodes::facts::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::config::{Config, DAY, HOUR, Mutant};
use everleaf_sim::world::{START, World};
use serde_json::{Value, json};

/// Certificates of a run; every tenth has a name that begins with this.
const BROKEN: &str = "broken";
const ALL: usize = 60;

fn seconds(value: &Value) -> i64 {
    let time = value.as_str().and_then(|text| text.parse::<everleaf_api::Time>().ok());
    time.expect("the API server writes times").unix()
}

/// How long each sound Certificate took until it was Ready, in seconds, in order; a day if it
/// never was.
fn times_to_ready(world: &World) -> Vec<i64> {
    let all = world.all(Kind::Certificate);
    let sound = all
        .iter()
        .filter(|c| c["metadata"]["name"].as_str().is_some_and(|name| !name.starts_with(BROKEN)));
    let mut all: Vec<i64> = sound
        .map(|certificate| {
            let conditions = certificate["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            let ready = conditions.find(|c| c["type"] == "Ready" && c["status"] == "True");
            let made = seconds(&certificate["metadata"]["creationTimestamp"]);
            ready.map_or(24 * 3600, |ready| seconds(&ready["lastTransitionTime"]) - made)
        })
        .collect();
    all.sort_unstable();
    all
}

/// The time within which 99 of 100 are Ready.
fn p99(seed: u64, mute: bool, mutant: Mutant) -> i64 {
    let mute = mute.then_some(BROKEN);
    let config = Config { mute, mutant, healed_ms: DAY, ..Config::calm(seed) };
    let mut simulation = Simulation::new(config);
    for n in 0..ALL {
        let kind = if n % 10 == 0 { BROKEN } else { "sound" };
        let name = format!("{kind}-{n}");
        let spec = json!({ "secretName": format!("{name}-tls"), "issuerRef": { "name": "ca" },
            "dnsNames": [format!("{name}.example.com")] });
        simulation.world.create_certificate_as_user("app", &name, spec);
    }
    simulation.run_until(START + 6 * HOUR).unwrap_or_else(|failure| panic!("{failure}"));
    let all = times_to_ready(&simulation.world);
    all[all.len() * 99 / 100]
}

#[test]
fn i33_a_tenth_that_never_gets_an_answer_does_not_hold_up_the_rest() {
    for seed in 0..3 {
        let (alone, beside) = (p99(seed, false, Mutant::None), p99(seed, true, Mutant::None));
        // Times in objects are in whole seconds.
        assert!(beside <= 2 * alone.max(1) + 1, "seed {seed}: {beside} s instead of {alone} s");
    }
}

#[test]
fn i33_is_red_when_everybody_shares_one_slot() {
    let alone = p99(0, false, Mutant::OneSlot);
    let beside = p99(0, true, Mutant::OneSlot);
    assert!(beside > 2 * alone.max(1) + 1, "{beside} s beside {alone} s went unnoticed");
}
