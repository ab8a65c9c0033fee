//! Operators that are killed: nothing is lost, nothing is left over, nothing is done twice.

use everleaf_e2e::{Operator, Scope, World, data, eventually, name_of, scenario, text, variable};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Certificates that are created before each kill.
const WAVE: usize = 4;

/// How far an issuance has come when the operator is killed.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Requested,
    Issued,
    Stored,
    Told,
}

const STAGES: [Stage; 4] = [Stage::Requested, Stage::Issued, Stage::Stored, Stage::Told];

fn name(number: usize) -> String {
    format!("c-{number:03}")
}

/// Whether any Certificate from `first` on has come so far.
async fn has_come(world: &World, stage: Stage, first: usize) -> bool {
    let kind = match stage {
        Stage::Requested | Stage::Issued => "CertificateRequest",
        Stage::Stored => "Secret",
        Stage::Told => "Certificate",
    };
    let objects = world.list(kind).await;
    objects.iter().filter(|object| name_of(object) >= name(first).as_str()).any(|object| {
        let of_wave = name_of(object).starts_with("c-");
        of_wave
            && match stage {
                Stage::Requested => true,
                Stage::Stored => name_of(object).ends_with("-tls"),
                Stage::Issued => !text(object, "/status/certificate").is_empty(),
                Stage::Told => object["status"]["revision"] == 1,
            }
    })
}

async fn kill_at(world: &World, operator: Operator, stage: Stage, first: usize) {
    eventually(&format!("some certificate from {first} on is {stage:?}"), 60, async || {
        match has_come(world, stage, first).await {
            true => Ok(()),
            false => Err("none".to_owned()),
        }
    })
    .await;
    operator.kill();
}

#[test]
fn an_operator_that_is_killed_again_and_again_issues_everything_once() {
    let all = if variable("EVERLEAF_E2E_FULL").is_some() { 200 } else { 60 };
    scenario("crash", Scope::Namespace, async |world| {
        let operator = world.operator(&[]);
        world.ca().await;
        operator.kill();
        for (round, first) in (0..all).step_by(WAVE).enumerate() {
            let operator = world.operator(&[]);
            for number in first..(first + WAVE).min(all) {
                world.certificate(&name(number), json!({})).await;
            }
            kill_at(world, operator, STAGES[round % STAGES.len()], first).await;
        }
        let _operator = world.operator(&[]);
        for number in 0..all {
            world.revision(&name(number), 1).await;
        }
        world.settled().await;
        assert_all_once(world, all).await;
    });
}

async fn assert_all_once(world: &World, all: usize) {
    let by_name = |objects: Vec<Value>| -> BTreeMap<String, Value> {
        objects.into_iter().map(|object| (name_of(&object).to_owned(), object)).collect()
    };
    let requests = by_name(world.list("CertificateRequest").await);
    let secrets = by_name(world.list("Secret").await);
    let certificates = by_name(world.list("Certificate").await);
    for number in 0..all {
        let name = name(number);
        let own: Vec<&String> =
            requests.keys().filter(|r| r.starts_with(&format!("{name}-"))).collect();
        assert_eq!(own, [&format!("{name}-1")], "exactly one request");
        let (request, secret) = (&requests[own[0]], &secrets[&format!("{name}-tls")]);
        assert_eq!(data(request, "/status/certificate"), data(secret, "tls.crt"), "{name}");
        world.openssl.assert_pair(&data(secret, "tls.crt"), &data(secret, "tls.key"));
        let status = &certificates[&name]["status"];
        assert_eq!(status["revision"], 1, "{name}");
        assert!(status.get("failedIssuanceAttempts").is_none(), "a crash is no failure: {status}");
    }
    let next_keys: Vec<&String> = secrets
        .iter()
        .filter(|(_, secret)| {
            secret["metadata"]["labels"].get("cert-manager.io/next-private-key").is_some()
        })
        .map(|(name, _)| name)
        .collect();
    assert!(next_keys.is_empty(), "left over: {next_keys:?}");
}

#[test]
fn a_restart_with_healthy_certificates_writes_nothing() {
    scenario("restart-idle", Scope::Namespace, async |world| {
        let operator = world.operator(&[]);
        world.ca().await;
        for number in 0..5 {
            world.certificate(&name(number), json!({})).await;
        }
        for number in 0..5 {
            world.revision(&name(number), 1).await;
        }
        world.settled().await;
        assert!(operator.stop().success(), "SIGTERM is a clean end");
        let before = versions(world).await;
        let _operator = world.operator(&[]);
        world.settled().await;
        let mut after = versions(world).await;
        after.retain(|object, _| before.contains_key(object));
        assert_eq!(before, after);
    });
}

/// The resourceVersion of everything that the operator writes.
async fn versions(world: &World) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for kind in ["Issuer", "Certificate", "CertificateRequest", "Secret"] {
        for object in world.list(kind).await {
            let version = text(&object, "/metadata/resourceVersion").to_owned();
            all.insert(format!("{kind} {}", name_of(&object)), version);
        }
    }
    all
}
