//! Operators that are killed in the middle of ACME: nothing is ordered twice, nothing is left over.

use everleaf_e2e::acme::{Ca, Dns, http01, rfc2136, swept};
use everleaf_e2e::{
    Asked, FaultProxy, Operator, Scope, World, eventually, has_condition, name_of, scenario, tell,
    text, variable,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Certificates that are created before each kill.
const WAVE: usize = 5;

/// How far an issuance has come when the operator is killed.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Claimed,
    Placed,
    Presented,
    Accepted,
    Finalized,
    Stored,
}

const STAGES: [Stage; 6] = [
    Stage::Claimed,
    Stage::Presented,
    Stage::Placed,
    Stage::Finalized,
    Stage::Accepted,
    Stage::Stored,
];

const CLAIM: &str = "/metadata/annotations/everleaf.dev~1acme-claim";

fn label(number: usize) -> String {
    format!("c{number:03}")
}

/// The name of a certificate: every other one is in the zone that is proved by DNS-01.
fn domain(world: &World, number: usize) -> String {
    let zone = if number.is_multiple_of(2) { "example.test" } else { "delegated.test" };
    format!("{}-{}.{zone}", label(number), world.namespace)
}

/// Whether any certificate from `first` on has come so far.
async fn has_come(world: &World, stage: Stage, first: usize) -> bool {
    let (kind, come): (_, fn(&Value) -> bool) = match stage {
        Stage::Claimed => ("Order", |order| !text(order, CLAIM).is_empty()),
        Stage::Placed => ("Order", |order| !text(order, "/status/url").is_empty()),
        Stage::Presented => ("Challenge", is_presented),
        Stage::Accepted => ("Challenge", |one| !text(one, "/status/state").is_empty()),
        Stage::Finalized => ("Order", |order| text(order, "/status/state") == "valid"),
        Stage::Stored => ("Secret", |one| name_of(one).ends_with("-tls")),
    };
    let first = label(first);
    let objects = world.list(kind).await;
    objects.iter().filter(|one| name_of(one).starts_with('c')).any(|one| {
        let of_wave = name_of(one) >= first.as_str();
        of_wave && come(one)
    })
}

/// Whether a Challenge says that it was presented, or seen, which is more.
fn is_presented(challenge: &Value) -> bool {
    let seen = text(challenge, "/metadata/annotations/everleaf.dev~1acme-seen");
    challenge["status"]["presented"] == true || !seen.is_empty()
}

/// Kills the operator while the CA validates nothing: nobody else answers for the only replica, so
/// a challenge that the CA asks for in that moment would fail.
async fn kill(proxy: &FaultProxy, operator: Operator) {
    proxy.refuse(Asked::Challenge, true);
    eventually("the CA has asked what it was told to", 60, async || {
        let quiet = proxy.quiet(Asked::Challenge);
        if quiet > Duration::from_millis(500) { Ok(()) } else { Err(format!("{quiet:?}")) }
    })
    .await;
    operator.kill();
    proxy.refuse(Asked::Challenge, false);
}

/// Orders that say that they are about to be placed, and not that they are.
async fn unanswered(world: &World) -> usize {
    let orders = world.list("Order").await;
    let open = |order: &&Value| !text(order, CLAIM).is_empty();
    orders.iter().filter(open).filter(|order| text(order, "/status/url").is_empty()).count()
}

#[test]
fn kills_at_any_step_cost_at_most_the_orders_whose_claims_they_hit() {
    let (Some((ca, proxy)), Some(dns)) = (Ca::faulty("acme-kills"), Dns::open("acme-kills")) else {
        return;
    };
    let all = if variable("EVERLEAF_E2E_FULL").is_some() { 50 } else { 20 };
    scenario("acme-kills", Scope::Namespace, async |world| {
        let operator = ca.operator(world, &[]);
        let mut by_dns = rfc2136(world).await;
        by_dns["selector"] = json!({ "dnsZones": ["delegated.test"] });
        ca.serve(world, &json!([http01(), by_dns]), json!({})).await;
        operator.kill();
        let (mut kills, mut hits, mut claims) = (0, 0, 0);
        for (round, first) in (0..all).step_by(WAVE).enumerate() {
            let operator = ca.operator(world, &[]);
            for number in first..(first + WAVE).min(all) {
                let names = [domain(world, number)];
                let spec = json!({ "dnsNames": names, "issuerRef": { "name": "acme" } });
                world.certificate(&label(number), spec).await;
            }
            let stage = STAGES[round % STAGES.len()];
            eventually(&format!("some certificate from {first} on is {stage:?}"), 60, async || {
                if has_come(world, stage, first).await { Ok(()) } else { Err("none".to_owned()) }
            })
            .await;
            kill(&proxy, operator).await;
            let hit = unanswered(world).await;
            (kills, hits, claims) = (kills + 1, hits + usize::from(hit > 0), claims + hit);
        }
        let _operator = ca.operator(world, &[]);
        all_ready(world, all).await;
        swept(world).await;
        tell(&format!(
            "acme-kills: {all} certificates, {kills} kills of which {hits} hit {claims} unanswered \
             claims, {} orders at the CA; requests: {:?}",
            proxy.orders().len(),
            proxy.counts()
        ));
        assert_frugal(world, &proxy, (all, hits)).await;
        for number in (1..all).step_by(2) {
            let record = format!("_acme-challenge.{}", domain(world, number));
            assert_eq!(dns.txt(&record).len(), 0, "{record} is left");
        }
    });
}

/// Waits until all are Ready at their first attempt. A challenge that was looked for in vain each
/// time its operator had been killed is looked for once a minute by now.
async fn all_ready(world: &World, all: usize) {
    eventually("every certificate is Ready", 240, async || {
        let mut found = world.list("Certificate").await;
        for certificate in &found {
            let status = &certificate["status"];
            assert!(status.get("failedIssuanceAttempts").is_none(), "{certificate}");
        }
        found.retain(|one| has_condition(one, "Ready", "True") && one["status"]["revision"] == 1);
        if found.len() == all { Ok(()) } else { Err(format!("{} of {all}", found.len())) }
    })
    .await;
}

async fn assert_frugal(world: &World, proxy: &FaultProxy, (all, hits): (usize, usize)) {
    let orders = proxy.orders().len();
    assert!(orders <= all + hits, "{orders} orders for {all} certificates and {hits} kills");
    assert_eq!(world.list("CertificateRequest").await.len(), all, "one request each");
    assert_eq!(world.list("Order").await.len(), all, "one Order each");
    // Pebble refuses a nonce now and then.
    let registered = proxy.log(Asked::NewAccount).into_iter().filter(|one| one.answered < 300);
    assert_eq!(registered.count(), 1, "a restart registers nothing");
}

#[test]
fn what_a_killed_run_had_presented_is_removed_though_its_certificate_is_gone() {
    let (Some((ca, proxy)), Some(dns)) = (Ca::faulty("acme-left"), Dns::open("acme-left")) else {
        return;
    };
    scenario("acme-left", Scope::Namespace, async |world| {
        let operator = ca.operator(world, &[]);
        let mut by_dns = rfc2136(world).await;
        by_dns["selector"] = json!({ "dnsZones": ["delegated.test"] });
        ca.serve(world, &json!([http01(), by_dns]), json!({})).await;
        // The CA takes no challenges, so they stay as they are.
        proxy.refuse(Asked::Challenge, true);
        let (file, record) = (
            format!("f-{}.example.test", world.namespace),
            format!("r-{}.delegated.test", world.namespace),
        );
        let spec = json!({ "dnsNames": [file, record], "issuerRef": { "name": "acme" } });
        world.certificate("left", spec).await;
        let record = format!("_acme-challenge.{record}");
        eventually("both challenges are presented", 60, async || {
            let all = world.list("Challenge").await;
            let shown = all.iter().filter(|one| is_presented(one)).count();
            if shown == 2 { Ok(()) } else { Err(format!("{all:?}")) }
        })
        .await;
        operator.kill();
        assert_eq!(dns.txt(&record).len(), 1);
        world.delete("Certificate", "left").await;

        let _operator = ca.operator(world, &[]);
        swept(world).await;
        assert_eq!(dns.txt(&record).len(), 0, "{record} is left");
    });
}

#[test]
fn what_a_killed_run_saw_is_looked_for_again_since_its_address_is_gone() {
    let Some((ca, proxy)) = Ca::faulty("acme-seen") else { return };
    scenario("acme-seen", Scope::Namespace, async |world| {
        // Each operator answers at a port of its own.
        let operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        proxy.refuse(Asked::Challenge, true);
        let name = format!("{}.example.test", world.namespace);
        let spec = json!({ "dnsNames": [name], "issuerRef": { "name": "acme" } });
        world.certificate("seen", spec).await;
        eventually("the CA was to be told", 60, async || {
            if proxy.log(Asked::Challenge).is_empty() { Err("not yet".to_owned()) } else { Ok(()) }
        })
        .await;
        operator.kill();
        proxy.refuse(Asked::Challenge, false);
        let _operator = ca.operator(world, &[]);
        let certificate = world.revision("seen", 1).await;
        assert!(certificate["status"].get("failedIssuanceAttempts").is_none(), "{certificate}");
        swept(world).await;
    });
}
