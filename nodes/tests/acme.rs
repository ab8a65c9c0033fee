//! ACME from end to end, against a bed that plays the API server, the ports and the CA.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

mod bed;

use bed::{BEGIN, Bed, Reply, Thing, key, time};
use everleaf_engine::{FailureClass, Outcome, Timestamp};
use everleaf_nodes::acme::notes;
use everleaf_nodes::budget::{Ledger, Limit, Purpose, Spend, charges, published, shard};
use everleaf_nodes::effect::{Acme, Solver};
use everleaf_nodes::facts::{Attempt, Class};
use everleaf_nodes::{Do, Kind};
use serde_json::{Value, json};
use std::sync::Arc;

const CA: &str = "https://ca.test/directory";
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const HOUR: i64 = 3600;

/// A bed with a registered issuer `acme`.
fn ready(server: &str, acme: Value) -> Bed {
    let mut bed = Bed::new();
    bed.issuer("acme", server, acme);
    bed.run(5);
    assert_eq!(condition(&bed, &key(Kind::Issuer, "acme"), "Ready")["status"], "True");
    bed.log.clear();
    bed.asked.clear();
    bed
}

fn condition<'a>(bed: &'a Bed, of: &bed::Key, kind: &str) -> &'a Value {
    let list = bed.status(of)["conditions"].as_array();
    let found = list.and_then(|list| list.iter().find(|condition| condition["type"] == kind));
    found.unwrap_or(&Value::Null)
}

fn reason<'a>(bed: &'a Bed, request: &str) -> &'a str {
    condition(bed, &key(Kind::CertificateRequest, request), "Ready")["reason"]
        .as_str()
        .unwrap_or("")
}

fn message<'a>(bed: &'a Bed, of: &bed::Key, kind: &str) -> &'a str {
    condition(bed, of, kind)["message"].as_str().unwrap_or("")
}

#[test]
fn a_request_becomes_a_certificate_by_http01() {
    let mut bed = ready(CA, json!({}));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    let order = bed.only(Kind::Order);
    let steps = ["claim", "place", "createChallenge", "finalize", "delete"];
    assert_eq!(bed.steps(&order.name), steps);
    let challenge = bed.log.iter().find(|(_, _, step)| step == "present").unwrap().1.clone();
    assert!(challenge.starts_with(&*order.name), "{challenge}");
    assert_eq!(bed.steps(&challenge), ["present", "accept", "cleanUp"]);
    assert_eq!(bed.all(Kind::Challenge), [], "nothing presented stays behind");
    let said: Vec<&str> = bed.events.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(said, ["DomainVerified", "Complete", "CertificateIssued"]);
    assert_eq!(bed.asked.len(), 3, "newOrder, accept, finalize: {:?}", bed.asked);
}

#[test]
fn what_was_seen_at_once_is_written_before_the_ca_is_told_of_it() {
    let mut bed = ready(CA, json!({}));
    bed.tell("accept", Reply::Ill(Class::Transient, "no answer", None));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(1);
    let challenge = bed.only(Kind::Challenge);
    let note = &bed.json(&challenge)["metadata"]["annotations"]["everleaf.dev/acme-seen"];
    assert!(note.is_string(), "{note}");
    let told = &bed.status(&challenge)["presented"];
    assert!(told.is_null(), "the note tells of the presentation too: {told}");
    // A restart goes on from there.
    let mut bed = bed.restarted();
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    assert!(!bed.log.iter().any(|(_, _, step)| step == "present"));
}

#[test]
fn names_are_cert_managers() {
    let mut bed = ready(CA, json!({}));
    bed.request("http-1", "acme", &["http.example.test"]);
    bed.run(1);
    assert_eq!(&*bed.only(Kind::Order).name, "http-1-1370456609");
}

#[test]
fn names_that_are_authorized_beforehand_need_no_challenge() {
    let mut bed = ready(CA, json!({"solvers": null}));
    bed.pre_authorized = true;
    bed.request("shop-1", "acme", &["*.shop.test"]);
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    assert_eq!(bed.steps(&bed.only(Kind::Order).name), ["claim", "place", "finalize"]);
}

#[test]
fn a_429_delays_an_order_exactly_and_never_fails_it() {
    let mut bed = ready(CA, json!({}));
    bed.tell("place", Reply::Ill(Class::RateLimited, "too many new orders", Some(HOUR)));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(HOUR - 10);
    let order = bed.only(Kind::Order);
    assert_eq!(bed.asked, [format!("place {}", order.name)]);
    let told = bed.status(&order)["reason"].as_str().unwrap();
    assert!(told.contains("too many new orders; the CA asks for patience until"), "{told}");
    assert!(bed.status(&order)["state"].is_null());
    assert!(
        message(&bed, &key(Kind::CertificateRequest, "shop-1"), "Ready").contains("too many"),
        "the request tells of it"
    );
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    assert_eq!(bed.steps(&order.name).iter().filter(|step| **step == "claim").count(), 1);
}

#[test]
fn lost_answers_are_tried_again_ever_more_slowly() {
    let mut bed = ready(CA, json!({}));
    for _ in 0..3 {
        bed.tell("place", Reply::Ill(Class::Transient, "no answer", None));
    }
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(10 * 60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    let order = bed.only(Kind::Order);
    let places = bed.log.iter().filter(|(_, name, step)| *name == *order.name && step == "place");
    let times: Vec<i64> = places.map(|(at, ..)| at - BEGIN).collect();
    let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] >= 4 && gaps[1] >= 18 && gaps[2] >= 72, "{gaps:?}");
}

#[test]
fn a_challenge_that_the_ca_could_not_verify_fails_order_and_request() {
    let mut bed = ready(CA, json!({}));
    bed.tell("accept", Reply::State("invalid"));
    bed.tell("follow", Reply::State("invalid"));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(60);
    let order = bed.only(Kind::Order);
    assert_eq!(bed.status(&order)["state"], "invalid");
    assert_eq!(reason(&bed, "shop-1"), "Failed");
    let request = key(Kind::CertificateRequest, "shop-1");
    let said = message(&bed, &request, "Ready");
    assert!(said.contains("order is in \"invalid\" state: the CA said so"), "{said}");
    let note = &bed.json(&request)["metadata"]["annotations"]["everleaf.dev/failure"];
    assert!(note.as_str().unwrap().contains("\"class\":\"user\""), "{note}");
    assert_eq!(bed.all(Kind::Challenge), []);
    assert_eq!((bed.said("Failed"), bed.said("OrderFailed")), (1, 1));
    let asked = bed.asked.len();
    bed.run(100 * HOUR);
    assert_eq!(bed.asked.len(), asked, "an invalid order is never polled again");
}

#[test]
fn an_order_that_stays_pending_after_a_lost_challenge_is_ended_with_its_reason() {
    let mut bed = ready(CA, json!({}));
    bed.tell("accept", Reply::State("expired"));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(60);
    let status = bed.status(&bed.only(Kind::Order));
    assert_eq!(status["state"], "errored");
    assert!(status["reason"].as_str().unwrap().contains("a.shop.test"), "{status}");
}

#[test]
fn a_processing_order_is_looked_at_again_when_the_ca_said() {
    let mut bed = ready(CA, json!({}));
    bed.tell("finalize", Reply::State("processing"));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    let order = bed.only(Kind::Order);
    let looks = bed.log.iter().filter(|(_, name, step)| *name == *order.name && step == "finalize");
    let looks: Vec<i64> = looks.map(|(at, ..)| *at).collect();
    assert!(looks.len() == 2 && looks[1] >= looks[0] + 3, "{looks:?}");
}

#[test]
fn a_wildcard_without_a_dns_solver_is_refused_before_it_costs_anything() {
    let mut bed = ready(CA, json!({}));
    bed.request("shop-1", "acme", &["*.shop.test"]);
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Failed");
    assert_eq!(bed.asked, [""; 0]);
    let order = bed.only(Kind::Order);
    assert!(bed.status(&order)["reason"].as_str().unwrap().contains("only DNS-01 proves"));
    assert_eq!(bed.steps(&order.name), ["patchStatus"]);
}

#[test]
fn names_that_no_ca_certifies_make_no_order() {
    let mut bed = ready(LETS_ENCRYPT, json!({}));
    bed.request("shop-1", "acme", &["shop.internal"]);
    bed.run(60);
    assert_eq!((reason(&bed, "shop-1"), bed.all(Kind::Order).len()), ("Failed", 0));
    assert_eq!(bed.said("InvalidOrder"), 1);
}

#[test]
fn a_name_that_no_solver_fits_waits_for_the_issuer_and_spends_no_other_order() {
    let selector = json!({"dnsZones": ["other.test"]});
    let solver = json!([{"selector": selector, "http01": {"ingress": {}}}]);
    let mut bed = ready(CA, json!({ "solvers": solver }));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(60);
    let order = bed.only(Kind::Order);
    assert!(bed.status(&order)["reason"].as_str().unwrap().contains("no configured challenge"));
    assert_eq!(bed.said("Solver"), 1);
    bed.change(&key(Kind::Issuer, "acme"), |issuer| {
        issuer["spec"]["acme"]["solvers"] = json!([{"http01": {"ingress": {}}}]);
    });
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    assert_eq!(bed.asked.iter().filter(|asked| asked.starts_with("place")).count(), 1);
}

#[test]
fn a_wildcard_and_its_apex_are_presented_side_by_side() {
    let solvers = json!([{"dns01": {"webhook": {"groupName": "g", "solverName": "s"}}}]);
    let mut bed = ready(CA, json!({ "solvers": solvers }));
    bed.request("shop-1", "acme", &["shop.test", "*.shop.test"]);
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    let at = |wanted: &str| -> Vec<usize> {
        let all = bed.log.iter().enumerate();
        all.filter(|(_, (_, _, step))| step == wanted).map(|(index, _)| index).collect()
    };
    assert!(at("present")[1] < at("accept")[0], "{:?}", bed.log);
}

#[test]
fn two_requests_for_the_same_names_take_turns() {
    let mut bed = ready(CA, json!({}));
    bed.request("one-1", "acme", &["a.shop.test", "b.shop.test"]);
    bed.request("two-1", "acme", &["B.shop.test", "a.shop.test"]);
    bed.request("other-1", "acme", &["a.shop.test"]);
    bed.run(120);
    for request in ["one-1", "two-1", "other-1"] {
        assert_eq!(reason(&bed, request), "Issued");
    }
    let at = |prefix: &str, wanted: &str| {
        let found =
            |(_, name, step): &&(i64, String, String)| name.starts_with(prefix) && step == wanted;
        bed.log.iter().position(|entry| found(&entry)).unwrap()
    };
    let (first, second) = if at("one-1", "claim") < at("two-1", "claim") {
        ("one-1", "two-1")
    } else {
        ("two-1", "one-1")
    };
    assert!(at(second, "claim") > at(first, "finalize"), "they take turns");
    assert!(at("other-1", "claim") < at(first, "finalize"), "another set does not wait");
}

#[test]
fn a_restart_asks_the_ca_for_nothing_new() {
    let mut bed = ready(CA, json!({}));
    bed.tell("self_check", Reply::Ill(Class::Transient, "connection refused", None));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(1);
    let mut bed = bed.restarted();
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    let places = bed.asked.iter().filter(|asked| asked.starts_with("place"));
    assert_eq!(places.count(), 0, "{:?}", bed.asked);
    assert!(!bed.asked.iter().any(|asked| asked.starts_with("register")));
}

#[test]
fn an_unanswered_claim_is_not_paid_again() {
    let mut bed = ready(LETS_ENCRYPT, json!({}));
    bed.request("shop-1", "acme", &["a.example.com"]);
    bed.tell("place", Reply::Fail);
    bed.run(1);
    let spent = bed.ledgers.clone();
    assert!(spent.values().any(|text| text.contains("o:")), "{spent:?}");
    let mut bed = bed.restarted();
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    assert_eq!(bed.ledgers, spent);
}

#[test]
fn a_limit_without_a_token_is_waited_for_and_said() {
    let mut bed = ready(LETS_ENCRYPT, json!({}));
    let dns: Vec<Arc<str>> = vec!["a.example.com".into()];
    let account = "https://acme-v02.api.letsencrypt.org/acct/1";
    let (directory, purpose) = (LETS_ENCRYPT, Purpose::New);
    let spend = Spend { directory, account, dns: &dns, ips: &[], purpose };
    let all = charges(&published(LETS_ENCRYPT), &spend);
    let set = all.iter().find(|charge| charge.bucket.starts_with("s:")).unwrap();
    let free = Timestamp::from_seconds(BEGIN + 2 * HOUR);
    let mut ledger = Ledger::default();
    ledger.correct(&set.bucket, set.limit, free);
    bed.ledgers.insert(shard(&set.bucket), ledger.to_text(bed.timestamp()));
    bed.show_ledger(&shard(&set.bucket));
    bed.request("shop-1", "acme", &["a.example.com"]);
    bed.run(2 * HOUR - 60);
    assert_eq!(bed.asked, [""; 0]);
    let said = bed.status(&bed.only(Kind::Order))["reason"].as_str().unwrap();
    assert!(said.contains("certificates of this exact set of names (5 in 7 days)"), "{said}");
    bed.run(120);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
    assert_eq!(bed.log.iter().find(|(_, _, step)| step == "place").unwrap().0, BEGIN + 2 * HOUR);
}

#[test]
fn limits_come_from_the_issuers_annotation_where_it_names_some() {
    let mut bed = ready(CA, json!({}));
    bed.change(&key(Kind::Issuer, "acme"), |issuer| {
        issuer["metadata"]["annotations"]["everleaf.dev/acme-limits"] =
            json!(r#"{"newOrders": {"count": 1, "per": "1h"}}"#);
    });
    bed.request("one-1", "acme", &["a.shop.test"]);
    bed.request("two-1", "acme", &["b.shop.test"]);
    bed.run(HOUR - 60);
    let issued = ["one-1", "two-1"].map(|request| reason(&bed, request) == "Issued");
    assert_eq!(issued.iter().filter(|issued| **issued).count(), 1);
    bed.run(120);
    assert!(["one-1", "two-1"].iter().all(|request| reason(&bed, request) == "Issued"));
    assert_eq!(Limit::per(1, HOUR * 1000).capacity, 1);
}

#[test]
fn a_self_check_that_sees_nothing_says_so_and_nothing_is_accepted() {
    let mut bed = ready(CA, json!({}));
    for _ in 0..30 {
        let saw = "404 from 10.0.0.1 (server: nginx)";
        bed.tell("self_check", Reply::Ill(Class::Transient, saw, None));
    }
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(5 * 60);
    let challenge = bed.only(Kind::Challenge);
    let said = bed.status(&challenge)["reason"].as_str().unwrap();
    assert_eq!(
        said,
        "Waiting for HTTP-01 challenge propagation: 404 from 10.0.0.1 (server: nginx)"
    );
    assert!(!bed.asked.iter().any(|asked| asked.starts_with("accept")));
    let checks = bed.steps(&challenge.name).iter().filter(|step| **step == "selfCheck").count();
    assert!((6..40).contains(&checks), "{checks} in five minutes");
    assert_eq!(bed.steps(&challenge.name).iter().filter(|s| **s == "patchStatus").count(), 1);
}

#[test]
fn a_pod_may_answer_once_nobody_saw_the_operators_answer_for_two_minutes() {
    let mut bed = ready(CA, json!({}));
    for _ in 0..30 {
        bed.tell("self_check", Reply::Ill(Class::Transient, "404", None));
    }
    bed.request("shop-1", "acme", &["a.shop.test"]);
    let checks = |bed: &Bed| -> Vec<bool> {
        let answers = bed.effects.iter().filter_map(|effect| match &effect.action {
            Do::Acme(Acme::SelfCheck(it)) => Some(it.answer.solver.clone()),
            _ => None,
        });
        answers.map(|it| matches!(it, Solver::Http01 { fall_back: true, .. })).collect()
    };
    bed.run(115);
    assert!(!checks(&bed).is_empty() && !checks(&bed).contains(&true), "not before");
    bed.run(120);
    assert_eq!(checks(&bed).last(), Some(&true));
}

#[test]
fn a_wait_may_stand_for_the_self_check() {
    let solvers = json!([{"waitInsteadOfSelfCheck": "90s", "http01": {"ingress": {}}}]);
    let mut bed = ready(CA, json!({ "solvers": solvers }));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(80);
    let challenge = bed.only(Kind::Challenge);
    assert!(bed.status(&challenge)["reason"].as_str().unwrap().starts_with("Waiting 1m30s"));
    assert!(!bed.steps(&challenge.name).contains(&"selfCheck"));
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
}

#[test]
fn a_challenge_is_cleaned_up_although_its_issuer_is_gone() {
    let mut bed = ready(CA, json!({}));
    bed.tell("self_check", Reply::Ill(Class::Transient, "nothing", Some(HOUR)));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(5);
    let challenge = bed.only(Kind::Challenge);
    bed.delete(&key(Kind::Issuer, "acme"));
    bed.delete(&challenge);
    bed.run(5);
    assert_eq!(bed.all(Kind::Challenge), []);
    let cleaned = bed.effects.iter().find_map(|effect| match &effect.action {
        Do::Acme(Acme::CleanUp(it)) => it.answer.clone(),
        _ => None,
    });
    let cleaned = cleaned.expect("what was presented is removed");
    assert!(matches!(cleaned.solver, Solver::Http01 { token, .. } if *token == *"h-a.shop.test"));
}

#[test]
fn a_clean_up_that_never_succeeds_lets_go_within_the_hour() {
    let mut bed = ready(CA, json!({}));
    bed.tell("self_check", Reply::Ill(Class::Transient, "nothing", Some(HOUR)));
    for _ in 0..100 {
        bed.tell("clean_up", Reply::Fail);
    }
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(5);
    let challenge = bed.only(Kind::Challenge);
    bed.delete(&challenge);
    let uid = bed.objects[&challenge].uid.clone();
    bed.run(39 * 60);
    assert_eq!(bed.objects[&challenge].uid, uid);
    bed.run(21 * 60);
    let left = bed.objects.get(&challenge).map(|entry| entry.uid.clone());
    assert_ne!(left, Some(uid), "what takes its name is another");
}

#[test]
fn what_another_challenge_still_presents_stays() {
    let mut bed = ready(CA, json!({}));
    bed.tell("self_check", Reply::Ill(Class::Transient, "nothing", Some(HOUR)));
    bed.tell("self_check", Reply::Ill(Class::Transient, "nothing", Some(HOUR)));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(5);
    let first = bed.only(Kind::Challenge);
    let mut twin = bed.json(&first).clone();
    twin["metadata"] = json!({"finalizers": ["acme.cert-manager.io/finalizer"]});
    bed.put(&key(Kind::Challenge, "twin"), Thing::Json(twin));
    bed.run(5);
    bed.delete(&first);
    bed.run(1);
    bed.delete(&key(Kind::Challenge, "twin"));
    bed.run(1);
    let answers: Vec<bool> = bed
        .effects
        .iter()
        .filter_map(|effect| match &effect.action {
            Do::Acme(Acme::CleanUp(it)) => Some(it.answer.is_some()),
            _ => None,
        })
        .collect();
    assert!(!answers[0], "the other one needs it");
    assert_eq!(answers.last(), Some(&true), "the last one takes it away");
}

#[test]
fn challenges_beyond_the_cap_wait_and_stuck_ones_hold_nobody_up() {
    let options = everleaf_nodes::Options {
        max_concurrent_challenges: 1,
        max_concurrent_challenges_per_issuer: 1,
        ..Default::default()
    };
    let mut bed = Bed::with_options(options);
    bed.issuer("acme", CA, json!({}));
    bed.run(5);
    for _ in 0..40 {
        bed.tell("self_check", Reply::Ill(Class::Transient, "nothing", None));
    }
    bed.request("stuck-1", "acme", &["stuck.shop.test"]);
    bed.run(2);
    for name in ["a", "b", "c"] {
        bed.request(&format!("{name}-1"), "acme", &[&format!("{name}.shop.test")]);
    }
    bed.run(4);
    assert_eq!(bed.log.iter().filter(|(_, _, step)| step == "present").count(), 1);
    bed.run(2 * HOUR);
    for name in ["stuck-1", "a-1", "b-1", "c-1"] {
        assert_eq!(reason(&bed, name), "Issued", "{name}");
    }
}

#[test]
fn a_request_is_not_harmed_by_an_issuer_that_is_not_ready_yet() {
    let mut bed = Bed::new();
    bed.tell("register", Reply::Ill(Class::Transient, "no answer", None));
    bed.issuer("acme", CA, json!({}));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(120);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
}

/// A Certificate for `a.shop.test` of the issuer `acme`.
fn certificate(bed: &mut Bed) -> bed::Key {
    let certificate = key(Kind::Certificate, "shop");
    bed.put(
        &certificate,
        Thing::Json(json!({
            "metadata": {"generation": 1},
            "spec": {
                "secretName": "shop-tls", "dnsNames": ["a.shop.test"],
                "issuerRef": {"name": "acme"},
            },
        })),
    );
    certificate
}

/// How many seconds after the first failure the next request was made.
fn retry_after(class: Class, after: Option<i64>, horizon: i64) -> Option<i64> {
    let mut bed = ready(CA, json!({}));
    // Whatever the class, this CA ends the order with it.
    bed.tell("place", Reply::Ill(Class::User, "no", None));
    let certificate = certificate(&mut bed);
    bed.run(1);
    // The failure's class, as the port for this CA would have told it.
    let request = key(Kind::CertificateRequest, "shop-1");
    let at = bed.timestamp();
    let not_before = after.map(|after| Timestamp::from_seconds(at.as_seconds() + after));
    let note = everleaf_nodes::facts::FailureNote { class, not_before };
    let uid = bed.objects[&request].uid.clone();
    let text = everleaf_nodes::acme::notes::failure_text(&note, &uid);
    bed.change(&request, |request| {
        request["metadata"]["annotations"]["everleaf.dev/failure"] = json!(text);
    });
    let uid = bed.objects[&certificate].uid.clone();
    let text = everleaf_nodes::acme::notes::failure_text(&note, &uid);
    bed.change(&certificate, |certificate| {
        certificate["metadata"]["annotations"]["everleaf.dev/failure"] = json!(text);
    });
    let failed = bed.seconds();
    bed.run(horizon);
    let made = bed.log.iter().filter(|(_, _, step)| step == "createRequest");
    made.map(|(at, ..)| at - failed).find(|after| *after > 1)
}

#[test]
fn the_next_attempt_of_a_certificate_follows_the_class() {
    let transient = retry_after(Class::Transient, None, 600).unwrap();
    assert!((50..=62).contains(&transient), "a minute: {transient}");
    let user = retry_after(Class::User, None, 2 * HOUR).unwrap();
    assert!((3200..=3605).contains(&user), "an hour: {user}");
    let limited = retry_after(Class::RateLimited, Some(7777), 3 * HOUR).unwrap();
    assert!((7776..=7780).contains(&limited), "as the CA said: {limited}");
    assert_eq!(retry_after(Class::Paused, None, 200 * HOUR), None, "never by itself");
}

#[test]
fn a_certificate_tells_why_its_order_failed_and_when_it_is_tried_again() {
    let mut bed = ready(CA, json!({}));
    bed.tell("place", Reply::Ill(Class::Paused, "paused; see https://portal.test", None));
    let certificate = certificate(&mut bed);
    bed.run(60);
    let said = message(&bed, &certificate, "Issuing");
    assert!(said.contains("https://portal.test"), "{said}");
    assert!(said.contains("not tried again"), "{said}");
    assert_eq!(bed.status(&certificate)["failedIssuanceAttempts"], 1);
    let order = bed.only(Kind::Order);
    assert_eq!(bed.status(&order)["failureTime"], json!(time(BEGIN + 5)));
}

#[test]
fn a_certificate_is_issued_stored_and_renewed_as_a_renewal() {
    let mut bed = ready(CA, json!({}));
    let certificate = certificate(&mut bed);
    bed.run(60);
    assert_eq!(condition(&bed, &certificate, "Ready")["status"], "True");
    let first = bed.seconds();
    bed.run(61 * 24 * HOUR);
    assert_eq!(bed.status(&certificate)["revision"], 2);
    let renewed = bed.log.iter().rfind(|(_, _, step)| step == "store").unwrap().0;
    assert!((59..=60).contains(&((renewed - first) / (24 * HOUR))), "a third before its end");
    let orders = bed.all(Kind::Order);
    let renews = |order: &&bed::Key| {
        bed.json(order)["metadata"]["annotations"]["everleaf.dev/renews"] == "true"
    };
    assert_eq!(orders.iter().filter(renews).count(), 1, "the second renews the first");
}

#[test]
fn an_order_whose_authorizations_are_to_be_read_later_is_not_placed_again_before_that() {
    let mut bed = ready(CA, json!({}));
    let is_place = |action: &Do| matches!(action, Do::Acme(Acme::Place(_)));
    bed.held = Some((is_place, Vec::new()));
    bed.request("shop-1", "acme", &["a.shop.test"]);
    bed.run(5);
    let (_, held) = bed.held.take().unwrap();
    let (id, effect) = &held[0];
    // The CA asked for patience as they were read; that was written, and where the order is not.
    let attempt = Attempt {
        step: "fetch".into(),
        number: 1,
        class: Class::RateLimited,
        reason: "".into(),
        problem: "".into(),
        detail: "slow down".into(),
        at: bed.timestamp(),
        not_before: Some(bed.timestamp().plus_millis(600_000)),
        inputs: None,
    };
    let text = notes::attempt_text(&attempt, &bed.objects[&effect.subject].uid);
    bed.change(&effect.subject, |order| {
        order["metadata"]["annotations"]["everleaf.dev/acme-attempt"] = json!(text);
    });
    let lost = Outcome::Failed {
        class: FailureClass::Unknown,
        reason: "Timeout".to_owned(),
        message: String::new(),
        not_before: None,
        reread: Vec::new(),
    };
    bed.answered(id, lost);
    bed.run(590);
    assert_eq!(bed.asked, [""; 0], "to place it reads its authorizations too");
    bed.run(60);
    assert_eq!(reason(&bed, "shop-1"), "Issued");
}
