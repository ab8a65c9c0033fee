//! What is wrong is said on the object that somebody looks at: nothing waits in silence.

use everleaf_engine::ObjectKey;
use everleaf_nodes::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::config::{Config, DAY, HOUR};
use everleaf_sim::world::{START, World};
use serde_json::{Value, json};

/// A calm cluster, two hours after a Certificate `app/shop` with this spec was created.
fn two_hours_after(spec: Value) -> World {
    let mut simulation = Simulation::new(Config { healed_ms: DAY, ..Config::calm(11) });
    let run = |simulation: &mut Simulation, until| {
        simulation.run_until(until).unwrap_or_else(|failure| panic!("{failure}"));
    };
    run(&mut simulation, START + 60_000);
    let mut whole = json!({ "secretName": "shop-tls", "dnsNames": ["shop.example.com"],
        "issuerRef": { "name": "ca" } });
    for (field, value) in spec.as_object().into_iter().flatten() {
        whole[field] = value.clone();
    }
    simulation.world.create_certificate_as_user("app", "shop", whole);
    let until = simulation.world.now + 2 * HOUR;
    run(&mut simulation, until);
    simulation.world
}

fn condition(world: &World, kind: &str) -> Option<Value> {
    let key = ObjectKey::new(Kind::Certificate, "app", "shop");
    let certificate = world.peek(&key).expect("it was created");
    let all = certificate["status"]["conditions"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|condition| condition["type"] == kind)
}

fn says(world: &World, kind: &str, words: &[&str]) {
    let found = condition(world, kind).unwrap_or_else(|| panic!("no condition {kind}"));
    let message = found["message"].as_str().unwrap_or_default();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

#[test]
fn a_key_that_cannot_be_generated_is_refused_and_not_tried_for_ever() {
    let world = two_hours_after(json!({ "privateKey": { "algorithm": "RSA", "size": 2560 } }));
    says(&world, "Issuing", &["spec.privateKey.size", "2560", "3072"]);
    assert_eq!(condition(&world, "Issuing").expect("said")["reason"], "InvalidSpec");
    assert!(world.peek(&ObjectKey::new(Kind::CertificateRequest, "app", "shop-1")).is_none());
}

#[test]
fn a_certificate_tells_what_its_request_waits_for() {
    let world = two_hours_after(json!({ "issuerRef": { "name": "nobody" } }));
    says(&world, "Issuing", &["shop-1", "Referenced \"Issuer\" not found", "nobody"]);
}

#[test]
fn a_template_without_content_asks_for_nothing() {
    let world = two_hours_after(json!({ "secretTemplate": {} }));
    assert_eq!(condition(&world, "Ready").expect("said")["status"], "True");
    let world = two_hours_after(json!({ "secretTemplate": { "labels": { "team": "shop" } } }));
    assert_eq!(condition(&world, "Ready").expect("said")["status"], "True");
    let secret = world.peek(&ObjectKey::new(Kind::Secret, "app", "shop-tls")).expect("stored");
    assert_eq!(secret["metadata"]["labels"]["team"], "shop");
}

#[test]
fn keystores_and_formats_are_written_once() {
    let world = two_hours_after(json!({
        "keystores": { "jks": { "create": true, "password": "x" } },
        "additionalOutputFormats": [{ "type": "DER" }],
    }));
    assert_eq!(condition(&world, "Ready").expect("said")["status"], "True");
    let secret = world.peek(&ObjectKey::new(Kind::Secret, "app", "shop-tls")).expect("stored");
    let has = |name: &str| secret["data"].get(name).is_some();
    assert!(has("keystore.jks") && has("key.der") && !has("keystore.p12"), "{secret}");
}
