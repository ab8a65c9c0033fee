//! Certificates with several issuers: which one is asked, when, and what is said of it.

// A test may expect what it asks for.
#![allow(clippy::unwrap_used)]

mod bed;

use bed::{BEGIN, Bed, Key, Reply, Thing, key, time};
use everleaf_api::names::everleaf as ours;
use everleaf_nodes::facts::{Class, Facts, Kind};
use everleaf_nodes::{Do, Options};
use serde_json::{Value, json};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A bed with the issuers `first`, `second` and `third`.
fn issuers() -> Bed {
    let mut bed = Bed::with_options(Options { renewal_info: false, ..Options::default() });
    for name in ["first", "second", "third"] {
        bed.issuer(name, &format!("https://{name}.test/directory"), json!({}));
    }
    bed.run(5);
    bed
}

fn certificate(bed: &mut Bed, fallbacks: &str) -> Key {
    let certificate = key(Kind::Certificate, "shop");
    let spec = json!({
        "secretName": "shop-tls", "dnsNames": ["a.shop.test"], "issuerRef": {"name": "first"},
    });
    let annotations = json!({ ours::ISSUER_FALLBACKS: fallbacks });
    let metadata = json!({ "generation": 1, "annotations": annotations });
    bed.put(&certificate, Thing::Json(json!({ "metadata": metadata, "spec": spec })));
    certificate
}

/// When each request was made, and of which issuer.
fn asked(bed: &Bed) -> Vec<(i64, String)> {
    let mut issuers = bed.effects.iter().filter_map(|effect| match &effect.action {
        Do::CreateRequest(new) => Some(new.issuer.name.to_string()),
        _ => None,
    });
    let made = bed.log.iter().filter(|(.., step)| step == "createRequest");
    made.map(|(at, ..)| (at - BEGIN, issuers.next().unwrap())).collect()
}

fn names(bed: &Bed) -> Vec<String> {
    asked(bed).into_iter().map(|(_, issuer)| issuer).collect()
}

fn served(bed: &Bed) -> Option<String> {
    let secret = bed.objects.get(&key(Kind::Secret, "shop-tls"))?;
    let Thing::Facts(Facts::Secret(secret)) = &secret.thing else { panic!("it is a Secret") };
    secret.annotation("issuer-name").map(str::to_owned)
}

fn condition<'a>(bed: &'a Bed, certificate: &Key, kind: &str) -> Option<&'a Value> {
    let all = bed.status(certificate)["conditions"].as_array()?;
    all.iter().find(|one| one["type"] == kind)
}

/// Reason and message of the condition that another issuer serves.
fn stand_in(bed: &Bed, certificate: &Key) -> Option<(String, String)> {
    let found = condition(bed, certificate, "FallbackIssuer")?;
    assert_eq!(found["status"], "True");
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    Some((text("reason"), text("message")))
}

fn rate_limited(bed: &mut Bed, seconds: i64) {
    bed.tell("place", Reply::Ill(Class::RateLimited, "too many", Some(seconds)));
}

fn rejected(bed: &mut Bed) {
    bed.tell("place", Reply::Ill(Class::User, "CAA forbids it", None));
}

/// Deletes the Orders of requests that are gone, as the API server does.
fn collect(bed: &mut Bed) {
    for order in bed.all(Kind::Order) {
        let owner = bed.json(&order)["metadata"]["ownerReferences"][0]["uid"].clone();
        let requests = bed.all(Kind::CertificateRequest);
        if requests.iter().all(|request| owner != bed.objects[request].uid.as_str()) {
            bed.delete(&order);
        }
    }
}

fn force(bed: &mut Bed, certificate: &Key) {
    let now = time(bed.seconds());
    bed.change(certificate, |object| {
        let issuing = json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered", "lastTransitionTime": now,
        });
        object["status"]["conditions"].as_array_mut().unwrap().push(issuing);
    });
}

#[test]
fn without_a_failure_the_first_serves_and_nothing_is_said() {
    let mut bed = issuers();
    let certificate = certificate(&mut bed, "second,third");
    bed.run(60);
    assert_eq!(served(&bed).as_deref(), Some("first"));
    assert_eq!(stand_in(&bed, &certificate), None);
    assert!(bed.json(&certificate)["metadata"]["annotations"].get(ours::ISSUER_FAILURES).is_none());
}

#[test]
fn a_rate_limit_is_passed_over_at_once_and_the_status_says_who_serves_and_why() {
    let mut bed = issuers();
    rate_limited(&mut bed, 5 * HOUR);
    let certificate = certificate(&mut bed, "second,third");
    bed.run(60);
    assert_eq!(served(&bed).as_deref(), Some("second"));
    assert_eq!(names(&bed), ["first", "second"]);
    let (reason, message) = stand_in(&bed, &certificate).unwrap();
    assert_eq!(reason, "RateLimited");
    for part in ["Issuer \"second\" stands in for Issuer \"first\"", "too many", "next renewal"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(bed.said("FallbackIssuer"), 1, "{:?}", bed.events);
    let status = bed.status(&certificate);
    assert_eq!(status["failedIssuanceAttempts"], Value::Null, "{status}");
    assert_eq!(condition(&bed, &certificate, "Ready").unwrap()["status"], "True");
    collect(&mut bed);
    let writes = bed.writes;
    bed.run(2 * DAY);
    assert_eq!(bed.writes, writes, "nothing is issued just to return");
}

#[test]
fn a_rate_limit_that_is_over_in_a_moment_is_waited_out() {
    let mut bed = issuers();
    rate_limited(&mut bed, 20);
    let certificate = certificate(&mut bed, "second");
    bed.run(120);
    assert_eq!((served(&bed).as_deref(), names(&bed).len()), (Some("first"), 1));
    assert_eq!(stand_in(&bed, &certificate), None);
}

#[test]
fn without_fallbacks_a_rate_limit_is_waited_out_as_ever() {
    let mut bed = issuers();
    rate_limited(&mut bed, 5 * HOUR);
    certificate(&mut bed, "");
    bed.run(5 * HOUR + 60);
    assert_eq!((served(&bed).as_deref(), names(&bed).len()), (Some("first"), 1));
}

#[test]
fn what_somebody_has_to_mend_and_what_is_paused_go_to_the_next_at_once() {
    for (class, told) in [(Class::User, "Rejected"), (Class::Paused, "Paused")] {
        let mut bed = issuers();
        bed.tell("place", Reply::Ill(class, "no", None));
        bed.tell("place", Reply::Ill(class, "no", None));
        let certificate = certificate(&mut bed, "second,third");
        bed.run(60);
        assert_eq!(names(&bed), ["first", "second", "third"], "{class:?}");
        assert_eq!(served(&bed).as_deref(), Some("third"));
        assert_eq!(stand_in(&bed, &certificate).unwrap().0, told);
    }
}

#[test]
fn what_passes_goes_to_the_next_after_the_second_failure_in_a_row() {
    let mut bed = issuers();
    for _ in 0..2 {
        bed.tell("finalize", Reply::State("expired"));
    }
    let certificate = certificate(&mut bed, "second");
    bed.run(50);
    assert_eq!(names(&bed), ["first"], "it is asked again before another is");
    assert_eq!(stand_in(&bed, &certificate), None);
    bed.run(60);
    assert_eq!(names(&bed), ["first", "first", "second"], "{}", bed.status(&certificate));
    bed.run(60);
    assert_eq!(served(&bed).as_deref(), Some("second"));
    assert_eq!(stand_in(&bed, &certificate).unwrap().0, "Unavailable");
}

#[test]
fn a_ca_that_is_down_is_passed_over_once_its_order_rests_for_longer() {
    let mut bed = issuers();
    for _ in 0..3 {
        bed.tell("place", Reply::Ill(Class::Transient, "down", None));
    }
    let certificate = certificate(&mut bed, "second");
    bed.run(120);
    assert_eq!(names(&bed), ["first", "second"], "{}", bed.status(&certificate));
    assert_eq!(served(&bed).as_deref(), Some("second"));
    assert_eq!(stand_in(&bed, &certificate).unwrap().0, "Unavailable");
}

#[test]
fn an_issuer_that_is_missing_is_passed_over_after_a_grace() {
    let mut bed = issuers();
    bed.delete(&key(Kind::Issuer, "first"));
    let certificate = certificate(&mut bed, "second");
    bed.run(10 * 60 - 5);
    assert_eq!((served(&bed), names(&bed).len()), (None, 1));
    bed.run(60);
    assert_eq!(names(&bed), ["first", "second"], "{}", bed.status(&certificate));
    assert_eq!(served(&bed).as_deref(), Some("second"));
    assert_eq!(stand_in(&bed, &certificate).unwrap().0, "NotReady");
}

#[test]
fn an_issuer_that_comes_within_the_grace_serves() {
    let mut bed = issuers();
    bed.delete(&key(Kind::Issuer, "first"));
    certificate(&mut bed, "second");
    bed.run(5 * 60);
    bed.issuer("first", "https://first.test/directory", json!({}));
    bed.run(60);
    assert_eq!(served(&bed).as_deref(), Some("first"));
}

#[test]
fn where_all_fail_each_climbs_its_own_ladder_and_the_first_comes_first() {
    let mut bed = issuers();
    (0..20).for_each(|_| rejected(&mut bed));
    let certificate = certificate(&mut bed, "second");
    bed.run(60);
    assert_eq!(names(&bed), ["first", "second"]);
    let issuing = condition(&bed, &certificate, "Issuing").unwrap();
    assert_eq!(issuing["status"], "False");
    assert!(issuing["message"].as_str().unwrap().contains("the next is due at"), "{issuing}");
    bed.run(8 * HOUR - 60);
    let tries = asked(&bed);
    let of = |name: &str| -> Vec<i64> {
        tries.iter().filter(|(_, issuer)| issuer == name).map(|(at, _)| *at).collect()
    };
    for name in ["first", "second"] {
        let gaps: Vec<i64> = of(name).windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps.len(), 3, "{tries:?}");
        for (gap, whole) in gaps.iter().zip([HOUR, 2 * HOUR, 4 * HOUR]) {
            assert!((whole * 9 / 10..=whole + 60).contains(gap), "{name}: {gaps:?}");
        }
    }
    // The first is mended: it serves at its next turn.
    bed.replies.clear();
    bed.run(8 * HOUR);
    assert_eq!(served(&bed).as_deref(), Some("first"));
}

#[test]
fn where_all_are_paused_nothing_is_tried_by_itself() {
    let mut bed = issuers();
    for _ in 0..2 {
        bed.tell("place", Reply::Ill(Class::Paused, "paused", None));
    }
    certificate(&mut bed, "second");
    bed.run(30 * DAY);
    assert_eq!(names(&bed), ["first", "second"]);
}

#[test]
fn the_next_renewal_begins_with_the_first_again() {
    let mut bed = issuers();
    rate_limited(&mut bed, 5 * HOUR);
    let certificate = certificate(&mut bed, "second");
    bed.run(61 * DAY);
    assert_eq!(names(&bed), ["first", "second", "first"]);
    assert_eq!(served(&bed).as_deref(), Some("first"));
    assert_eq!(bed.status(&certificate)["revision"], 2);
    assert_eq!(stand_in(&bed, &certificate), None);
    assert_eq!(bed.said("FallbackIssuer"), 1, "{:?}", bed.events);
}

#[test]
fn a_renewal_while_the_rate_limit_lasts_does_not_meet_it_again() {
    let mut bed = issuers();
    rate_limited(&mut bed, 100 * DAY);
    let certificate = certificate(&mut bed, "second");
    bed.run(61 * DAY);
    assert_eq!(names(&bed), ["first", "second", "second"]);
    assert_eq!(bed.status(&certificate)["revision"], 2);
    assert_eq!(stand_in(&bed, &certificate).unwrap().0, "RateLimited");
}

#[test]
fn a_forced_renewal_asks_the_first_and_goes_on_to_the_next_if_that_fails() {
    let mut bed = issuers();
    rate_limited(&mut bed, 100 * DAY);
    let certificate = certificate(&mut bed, "second");
    bed.run(60);
    collect(&mut bed);
    rate_limited(&mut bed, 100 * DAY);
    force(&mut bed, &certificate);
    bed.run(60);
    assert_eq!(names(&bed), ["first", "second", "first", "second"]);
    assert_eq!(bed.status(&certificate)["revision"], 2, "{}", bed.status(&certificate));
    collect(&mut bed);
    force(&mut bed, &certificate);
    bed.run(60);
    assert_eq!(served(&bed).as_deref(), Some("first"));
    assert_eq!(stand_in(&bed, &certificate), None);
}

#[test]
fn an_issuer_that_is_listed_only_later_is_asked_at_once() {
    let mut bed = issuers();
    rejected(&mut bed);
    let certificate = certificate(&mut bed, "");
    bed.run(60);
    assert_eq!(served(&bed), None);
    bed.change(&certificate, |object| {
        object["metadata"]["annotations"][ours::ISSUER_FALLBACKS] = json!("Issuer/second");
    });
    bed.run(60);
    assert_eq!(served(&bed).as_deref(), Some("second"));
}

#[test]
fn whoever_takes_our_annotation_away_makes_no_attempts_follow_each_other_unpaced() {
    let mut bed = issuers();
    (0..100).for_each(|_| rejected(&mut bed));
    let certificate = certificate(&mut bed, "second");
    for _ in 0..DAY / 600 {
        bed.run(600);
        bed.change(&certificate, |object| {
            let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
            annotations.remove(ours::ISSUER_FAILURES);
        });
    }
    let tries = asked(&bed);
    assert!(tries.len() <= 12, "{tries:?}");
}

#[test]
fn the_field_wins_over_the_annotation_and_what_cannot_be_read_is_refused() {
    let mut bed = issuers();
    rejected(&mut bed);
    let shop = certificate(&mut bed, "second");
    bed.change(&shop, |object| {
        object["spec"]["fallbackIssuerRefs"] = json!([{"name": "third", "kind": "Issuer"}]);
    });
    bed.run(60);
    assert_eq!(served(&bed).as_deref(), Some("third"));
    let mut bed = issuers();
    let shop = certificate(&mut bed, "first");
    bed.run(60);
    let issuing = condition(&bed, &shop, "Issuing").unwrap();
    assert_eq!((&issuing["status"], &issuing["reason"]), (&json!("False"), &json!("InvalidSpec")));
    let message = issuing["message"].as_str().unwrap();
    assert!(message.contains("metadata.annotations[everleaf.dev/issuer-fallbacks]"), "{message}");
    assert!(names(&bed).is_empty());
}

#[test]
fn a_certificate_of_any_listed_issuer_satisfies_and_one_of_no_listed_does_not() {
    let mut bed = issuers();
    rejected(&mut bed);
    let certificate = certificate(&mut bed, "second");
    bed.run(60);
    assert_eq!(served(&bed).as_deref(), Some("second"));
    bed.change(&certificate, |object| {
        object["metadata"]["annotations"][ours::ISSUER_FALLBACKS] = json!("third,second");
    });
    bed.run(HOUR);
    assert_eq!(bed.status(&certificate)["revision"], 1);
    bed.change(&certificate, |object| {
        object["metadata"]["annotations"][ours::ISSUER_FALLBACKS] = json!("third");
    });
    bed.run(60);
    assert_eq!(bed.status(&certificate)["revision"], 2);
    assert_eq!(served(&bed).as_deref(), Some("first"));
    assert_eq!(stand_in(&bed, &certificate), None);
}

/// What goes wrong in one story, in order.
fn trouble(bed: &mut Bed, story: u32) {
    match story {
        0 => rate_limited(bed, 5 * HOUR),
        1 => (0..3).for_each(|_| rejected(bed)),
        2 => {
            rejected(bed);
            rate_limited(bed, 2 * HOUR);
            bed.tell("finalize", Reply::State("expired"));
        }
        _ => (0..3).for_each(|_| bed.tell("finalize", Reply::State("expired"))),
    }
}

#[test]
fn a_restart_at_any_time_comes_to_the_same_issuers() {
    let end = 3 * HOUR;
    for story in 0..4 {
        let begin = || {
            let mut bed = issuers();
            trouble(&mut bed, story);
            let certificate = certificate(&mut bed, "second,third");
            (bed, certificate)
        };
        let (mut whole, certificate) = begin();
        whole.run(end);
        let (issuers, by) = (names(&whole), served(&whole));
        let message = stand_in(&whole, &certificate);
        for cut in [0, 1, 2, 3, 5, 8, 30, 61, 65, 100, 400, HOUR] {
            let (mut bed, certificate) = begin();
            bed.run(cut);
            let before = names(&bed);
            bed.effects.clear();
            let mut bed = bed.restarted();
            bed.run(end - cut);
            let after = names(&bed);
            let all: Vec<String> = before.into_iter().chain(after).collect();
            assert_eq!(all, issuers, "story {story}, restarted after {cut} s");
            assert_eq!(served(&bed), by, "story {story}, restarted after {cut} s");
            let (told, other) = (stand_in(&bed, &certificate), message.clone());
            assert_eq!(told.map(|(r, _)| r), other.map(|(r, _)| r), "story {story}, {cut} s");
        }
    }
}
