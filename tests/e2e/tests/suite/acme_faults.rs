//! What Pebble cannot be asked for, by a proxy in front of it: rate limits, lost answers, bodies
//! that break off, certificates of somebody else.

use everleaf_e2e::acme::{Ca, attempt, http01, swept};
use everleaf_e2e::{
    Asked, Exchange, Fault, FaultProxy, Manner, Scope, World, condition, eventually, scenario,
    text, uid_of,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A name below `example.test` that only this scenario has.
fn name_in(world: &World, label: &str) -> String {
    format!("{label}-{}.example.test", world.namespace)
}

async fn certificate(world: &World, label: &str) {
    let spec = json!({ "dnsNames": [name_in(world, label)], "issuerRef": { "name": "acme" } });
    world.certificate(label, spec).await;
}

/// The Order of a Certificate.
async fn order_of(world: &World, certificate: &str) -> Option<Value> {
    let requests = world.requests_of(certificate).await;
    let request = uid_of(requests.first()?).to_owned();
    let mut orders = world.list("Order").await.into_iter();
    orders.find(|order| text(order, "/metadata/ownerReferences/0/uid") == request)
}

/// Seconds since the epoch.
fn seconds(time: &Value) -> i64 {
    let time: k8s_openapi::jiff::Timestamp = text_of(time).parse().expect("a time");
    time.as_second()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The requests of a kind, but for those whose nonce was refused: Pebble does that now and then.
fn taken(proxy: &FaultProxy, asked: Asked) -> Vec<Exchange> {
    proxy.log(asked).into_iter().filter(|exchange| exchange.answered != 400).collect()
}

fn assert_nothing_failed(certificate: &Value) {
    assert!(certificate["status"].get("failedIssuanceAttempts").is_none(), "{certificate}");
    assert!(certificate["status"].get("lastFailureTime").is_none(), "{certificate}");
}

#[test]
fn a_429_delays_until_its_retry_after_in_either_form_and_fails_nothing() {
    const PATIENCE: u32 = 12;
    let Some((ca, proxy)) = Ca::faulty("acme-429") else { return };
    scenario("acme-429", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        proxy.plan(Asked::NewOrder, [Fault::LimitedFor(PATIENCE), Fault::LimitedUntil(PATIENCE)]);
        for label in ["one", "two"] {
            certificate(world, label).await;
        }
        for label in ["one", "two"] {
            let order = eventually("the Order says until when it waits", 60, async || {
                let order = order_of(world, label).await.ok_or("there is none")?;
                let told = text(&order, "/status/reason").contains("patience until");
                if told { Ok(order) } else { Err(order.to_string()) }
            })
            .await;
            let note = attempt(&order).expect("a note of the attempt");
            assert_eq!(note["class"], "rateLimited", "{note}");
            assert_eq!(note["type"], "urn:ietf:params:acme:error:rateLimited");
            let wait = seconds(&note["notBefore"]) - seconds(&note["at"]);
            // Whole seconds are rounded up; the ladder's own first rest is five.
            assert!((i64::from(PATIENCE)..=i64::from(PATIENCE) + 1).contains(&wait), "{note}");
            assert_eq!(text(&order, "/status/state"), "", "it has not failed");
            let next = text_of(&note["notBefore"]);
            assert!(text(&order, "/status/reason").contains(next), "{order}");
            eventually("the request's condition says so too", 60, async || {
                let requests = world.requests_of(label).await;
                let ready = requests.first().and_then(|request| condition(request, "Ready"));
                let said = ready.map(|ready| text(ready, "/message")).unwrap_or_default();
                if said.contains(next) { Ok(()) } else { Err(said.to_owned()) }
            })
            .await;
        }
        for label in ["one", "two"] {
            assert_nothing_failed(&world.revision(label, 1).await);
        }
        let asked = taken(&proxy, Asked::NewOrder);
        let answers: Vec<u16> = asked.iter().map(|exchange| exchange.answered).collect();
        assert_eq!(answers, [429, 429, 201, 201], "each was sent twice");
        let early = asked[2].at.duration_since(asked[0].at).expect("in order");
        assert!(early >= Duration::from_secs(u64::from(PATIENCE) - 1), "{early:?}");
        swept(world).await;
    });
}

#[test]
fn what_is_lost_at_any_step_of_an_order_is_told_and_costs_no_second_order() {
    let Some((ca, proxy)) = Ca::faulty("acme-lost") else { return };
    scenario("acme-lost", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        proxy.plan(Asked::NewOrder, [Fault::LostAnswer]);
        proxy.plan(Asked::Challenge, [Fault::Unavailable(Some(2))]);
        proxy.plan(Asked::Finalize, [Fault::LostAnswer]);
        proxy.plan(Asked::Certificate, [Fault::Body(Manner::BrokenOff)]);
        certificate(world, "lost").await;
        let notes = notes_until_ready(world, "lost").await;
        assert_nothing_failed(&world.revision("lost", 1).await);
        assert_eq!(proxy.left(), 0, "every fault was met");
        assert_eq!(proxy.orders().len(), 1, "{:?}", proxy.counts());
        // Pebble lists orders, so what was lost is found, and not placed again.
        assert_eq!(taken(&proxy, Asked::NewOrder).len(), 1);
        for told in ["the answer was lost", "down, by the proxy", "connection lost"] {
            let tells = |note: &&Value| text_of(&note["detail"]).contains(told);
            let note = notes.iter().find(tells).unwrap_or_else(|| panic!("{told}? {notes:?}"));
            let class = text_of(&note["class"]);
            assert!(["transient", "rateLimited"].contains(&class), "{note}");
            assert!(note["notBefore"].is_string(), "it says when it is tried again: {note}");
        }
        swept(world).await;
    });
}

/// The failures that Order and Challenges wrote down on the way.
async fn notes_until_ready(world: &World, certificate: &str) -> Vec<Value> {
    let mut notes = Vec::new();
    eventually(&format!("{certificate} is Ready"), 120, async || {
        for kind in ["Order", "Challenge"] {
            for note in world.list(kind).await.iter().filter_map(attempt) {
                if note["class"] != "wait" && !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
        let found = world.get("Certificate", certificate).await;
        let ready = condition(&found, "Ready").is_some_and(|ready| ready["status"] == "True");
        if ready { Ok(()) } else { Err(format!("{notes:?}")) }
    })
    .await;
    notes
}

#[test]
fn slow_answers_are_waited_for_and_refused_nonces_are_nobodys_failure() {
    let Some((ca, proxy)) = Ca::faulty("acme-slow") else { return };
    scenario("acme-slow", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        let slow = Fault::Body(Manner::Slow(Duration::from_secs(2)));
        proxy.plan(Asked::NewAccount, [Fault::BadNonce, slow]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        proxy.plan(Asked::NewOrder, [Fault::BadNonce, Fault::BadNonce, Fault::BadNonce, slow]);
        proxy.plan(Asked::Authorization, [slow]);
        proxy.plan(Asked::Finalize, [Fault::BadNonce, slow]);
        proxy.plan(Asked::Certificate, [Fault::BadNonce, slow]);
        certificate(world, "slow").await;
        let notes = notes_until_ready(world, "slow").await;
        // A look of our own at the route may come too early; that is not the CA's.
        assert!(notes.iter().all(|note| note["step"] == "self_check"), "{notes:?}");
        assert_nothing_failed(&world.revision("slow", 1).await);
        assert_eq!(proxy.left(), 0, "every fault was met");
        assert_eq!(proxy.orders().len(), 1);
        swept(world).await;
    });
}

#[test]
fn a_body_that_breaks_off_and_a_wrong_certificate_are_told_and_recovered_from() {
    let Some((ca, proxy)) = Ca::faulty("acme-broken") else { return };
    scenario("acme-broken", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        proxy.show_wrong_certificate(true);
        world.create(ca.issuer(&json!([http01()]), json!({}))).await;
        let told = |issuer: &Value| {
            condition(issuer, "Ready").is_some_and(|ready| {
                ready["status"] == "False" && text(ready, "/message").contains("certificate")
            })
        };
        let issuer = world.until(("Issuer", "acme"), "says what is wrong", told).await;
        let note = attempt(&issuer).expect("a note of the attempt");
        assert_eq!(note["class"], "transient", "{note}");
        assert!(note["notBefore"].is_string(), "it is tried again: {note}");
        proxy.show_wrong_certificate(false);
        world.ready("Issuer", "acme").await;

        proxy.plan(Asked::NewOrder, [Fault::Body(Manner::BrokenOff)]);
        certificate(world, "broken").await;
        assert_nothing_failed(&world.revision("broken", 1).await);
        let placed = proxy.orders().len();
        // One more at most, where the CA's list does not show the first.
        assert!(proxy.left() == 0 && placed <= 2, "{placed}: {:?}", proxy.counts());

        proxy.show_wrong_certificate(true);
        certificate(world, "wrong").await;
        let order = eventually("the Order says what is wrong", 60, async || {
            let order = order_of(world, "wrong").await.ok_or("there is none")?;
            let said = attempt(&order).unwrap_or_default();
            let told = text_of(&said["detail"]).contains("certificate");
            if told { Ok(order) } else { Err(order.to_string()) }
        })
        .await;
        assert!(attempt(&order).unwrap()["notBefore"].is_string(), "{order}");
        assert_eq!(text(&order, "/status/state"), "", "it has not failed");
        proxy.show_wrong_certificate(false);
        assert_nothing_failed(&world.revision("wrong", 1).await);
        assert_eq!(proxy.orders().len(), placed + 1, "{:?}", proxy.counts());
        swept(world).await;
    });
}
