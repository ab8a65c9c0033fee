//! Renewal by the window that an ACME CA suggests (RFC 9773), and short lives.

// A test may expect what it asks for.
#![allow(clippy::unwrap_used)]

mod bed;

use bed::{BEGIN, Bed, Key, Reply, Thing, key, time};
use everleaf_engine::Timestamp;
use everleaf_nodes::acme::ari::{Answer, Said, Window};
use everleaf_nodes::effect::Acme;
use everleaf_nodes::facts::{Class, Facts, Kind};
use everleaf_nodes::{Do, Options};
use serde_json::{Value, json};

const CA: &str = "https://ca.test/directory";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// The CA suggests this window, in seconds after the beginning.
fn suggest(bed: &mut Bed, start: i64, end: i64) {
    let window = (at(BEGIN + start), at(BEGIN + end));
    let said = Said::Window { window, explanation: Some("https://ca.test/why".into()) };
    bed.window = Some(Answer { said, retry_after_ms: Some(6 * HOUR * 1000) });
}

fn certificate(bed: &mut Bed) -> Key {
    let certificate = key(Kind::Certificate, "shop");
    let spec = json!({
        "secretName": "shop-tls", "dnsNames": ["a.shop.test"], "issuerRef": {"name": "acme"},
    });
    let object = json!({ "metadata": {"generation": 1}, "spec": spec });
    bed.put(&certificate, Thing::Json(object));
    certificate
}

/// A bed with an issuer, and a certificate that was issued a minute ago.
fn issued(life: i64, prepare: impl FnOnce(&mut Bed)) -> (Bed, Key) {
    let mut bed = Bed::new();
    bed.issuer("acme", CA, json!({}));
    bed.run(5);
    bed.life = life;
    prepare(&mut bed);
    let certificate = certificate(&mut bed);
    bed.run(55);
    assert_eq!(bed.status(&certificate)["revision"], 1);
    bed.asked.clear();
    (bed, certificate)
}

fn looks(bed: &Bed) -> usize {
    bed.asked.iter().filter(|asked| asked.starts_with("ask_window")).count()
}

fn seconds(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<everleaf_api::Time>().unwrap().unix()
}

/// What the draw for the stored certificate is.
fn draw(bed: &Bed, certificate: &Key, start: i64, end: i64) -> i64 {
    let Thing::Facts(Facts::Secret(secret)) = &bed.objects[&key(Kind::Secret, "shop-tls")].thing
    else {
        panic!("it is a Secret")
    };
    let id = secret.material().unwrap().leaf.good().unwrap().ari_id.clone().unwrap();
    let window = Window::new(at(BEGIN + start), at(BEGIN + end)).unwrap();
    window.draw(&bed.objects[certificate].uid, &id).as_seconds()
}

/// The order that was placed last, as it was sent.
fn replaces(bed: &Bed) -> String {
    let placed = bed.effects.iter().rev().find_map(|effect| match &effect.action {
        Do::Acme(Acme::Place(it)) => Some(it.replaces.to_string()),
        _ => None,
    });
    placed.unwrap()
}

#[test]
fn the_status_holds_the_window_and_the_drawn_time_after_one_write() {
    let (bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 50 * DAY, 52 * DAY));
    let status = bed.status(&certificate);
    let ari = &status["acme"]["ari"];
    assert_eq!(ari["suggestedWindow"]["start"], json!(time(BEGIN + 50 * DAY)));
    assert_eq!(ari["explanationURL"], "https://ca.test/why");
    assert_eq!(ari["lastError"], Value::Null);
    let drawn = draw(&bed, &certificate, 50 * DAY, 52 * DAY);
    assert_eq!(seconds(&status["renewalTime"]), drawn);
    let next = seconds(&ari["nextCheck"]) - seconds(&ari["lastChecked"]);
    assert!((6 * HOUR..=7 * HOUR).contains(&next), "{next}");
    let steps = bed.steps("shop");
    assert_eq!(steps.last(), Some(&"askWindow"), "the renewal time needs no write of its own");
    assert_eq!(steps.iter().filter(|step| **step == "askWindow").count(), 1);
}

#[test]
fn it_is_renewed_at_the_draw_and_the_order_says_what_it_replaces() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 50 * DAY, 52 * DAY));
    let drawn = draw(&bed, &certificate, 50 * DAY, 52 * DAY);
    assert_eq!(replaces(&bed), "", "the first replaces nothing");
    bed.run(drawn - 1 - bed.seconds());
    assert_eq!(bed.status(&certificate)["revision"], 1);
    let writes = bed.writes;
    assert!((180..=220).contains(&looks(&bed)), "four looks a day: {}", looks(&bed));
    bed.run(3);
    assert!(bed.writes > writes);
    bed.run(60);
    assert_eq!(bed.status(&certificate)["revision"], 2);
    assert!(replaces(&bed).starts_with("Y2E."), "{}", replaces(&bed));
}

#[test]
fn looks_that_say_nothing_new_write_nothing() {
    let (mut bed, _) = issued(90 * DAY, |bed| suggest(bed, 50 * DAY, 52 * DAY));
    let writes = bed.writes;
    bed.run(30 * DAY);
    assert_eq!(bed.writes, writes);
    assert!(looks(&bed) > 100);
}

#[test]
fn a_window_that_moves_to_the_past_renews_at_the_next_look() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 50 * DAY, 52 * DAY));
    bed.run(10 * DAY);
    let now = bed.seconds() - BEGIN;
    suggest(&mut bed, now - 2 * HOUR, now - HOUR);
    bed.run(7 * HOUR);
    assert_eq!(bed.status(&certificate)["revision"], 2);
    let request = bed.all(Kind::CertificateRequest).pop().unwrap();
    assert_eq!(request.name.as_ref(), "shop-2");
}

#[test]
fn a_ca_that_always_calls_for_renewal_is_obeyed_at_a_pace() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, -2 * HOUR, 60));
    bed.run(DAY);
    let made = bed.status(&certificate)["revision"].as_i64().unwrap();
    assert!((2..=3).contains(&made), "its window is in the past of the next one: {made}");
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, -2 * HOUR, 2 * HOUR));
    for hour in 0..24 {
        suggest(&mut bed, (hour - 2) * HOUR, (hour + 2) * HOUR);
        bed.run(HOUR);
    }
    let made = bed.status(&certificate)["revision"].as_i64().unwrap();
    assert!((3..=25).contains(&made), "no sooner than an hour after the last: {made}");
}

#[test]
fn a_ca_in_a_hurry_is_obeyed_within_a_minute_once_and_then_at_a_pace() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| {
        suggest(bed, 50 * DAY, 52 * DAY);
        look_each_minute(bed);
    });
    let hurry = |bed: &mut Bed| {
        // Over when it is told, but not before the certificate began.
        let begun = seconds(&bed.status(&certificate)["notBefore"]) - BEGIN;
        suggest(bed, begun - HOUR, begun + 1);
        look_each_minute(bed);
    };
    hurry(&mut bed);
    bed.run(150);
    assert_eq!(bed.status(&certificate)["revision"], 2, "{}", bed.status(&certificate));
    for _ in 0..10 {
        hurry(&mut bed);
        bed.run(HOUR);
    }
    let made = bed.status(&certificate)["revision"].as_i64().unwrap();
    assert!((8..=12).contains(&made), "{made} in ten hours");
}

fn look_each_minute(bed: &mut Bed) {
    bed.window.as_mut().unwrap().retry_after_ms = Some(60_000);
}

#[test]
fn a_window_that_comes_too_late_is_not_waited_for() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 88 * DAY, 89 * DAY));
    let told = seconds(&bed.status(&certificate)["renewalTime"]) - BEGIN;
    assert!((80 * DAY..=81 * DAY + 60).contains(&told), "a tenth of the life is kept: {told}");
    bed.run(82 * DAY);
    assert_eq!(bed.status(&certificate)["revision"], 2);
}

#[test]
fn a_ca_without_renewal_information_leaves_the_renewal_to_the_certificate() {
    let (mut bed, certificate) = issued(90 * DAY, |_| {});
    assert_eq!(bed.status(&certificate)["acme"], Value::Null);
    let told = seconds(&bed.status(&certificate)["renewalTime"]) - BEGIN;
    assert!((60 * DAY..60 * DAY + 60).contains(&told), "{told}");
    let writes = bed.writes;
    bed.run(10 * DAY);
    assert_eq!(bed.writes, writes);
    bed.run(51 * DAY);
    assert_eq!(bed.status(&certificate)["revision"], 2);
}

#[test]
fn a_ca_that_cannot_be_asked_delays_no_renewal_and_is_said_once() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 75 * DAY, 76 * DAY));
    bed.run(DAY);
    let error = Said::Error { text: "no answer".into(), passing: true };
    bed.window = Some(Answer { said: error, retry_after_ms: None });
    bed.run(7 * HOUR);
    let status = bed.status(&certificate).clone();
    assert_eq!(status["acme"]["ari"]["lastError"], "no answer");
    assert!(!status["acme"]["ari"]["suggestedWindow"].is_null(), "it is kept");
    let told = seconds(&status["renewalTime"]) - BEGIN;
    assert!((60 * DAY..60 * DAY + 60).contains(&told), "as without a suggestion: {told}");
    let writes = bed.writes;
    bed.run(5 * DAY);
    assert_eq!(bed.writes, writes, "an error that stays is written once");
    suggest(&mut bed, 75 * DAY, 76 * DAY);
    bed.run(2 * HOUR);
    let status = bed.status(&certificate);
    assert_eq!(status["acme"]["ari"]["lastError"], Value::Null);
    assert_eq!(seconds(&status["renewalTime"]), draw(&bed, &certificate, 75 * DAY, 76 * DAY));
}

#[test]
fn a_restart_asks_for_nothing_and_comes_to_the_same_time() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 50 * DAY, 52 * DAY));
    bed.run(20 * DAY);
    let before = bed.status(&certificate).clone();
    // Down for a few slots.
    bed.now += 20 * HOUR * 1000;
    let writes = bed.writes;
    let mut bed = bed.restarted();
    bed.run(0);
    assert_eq!((looks(&bed), bed.writes), (0, writes), "slots that have passed are past");
    let ari = &before["acme"]["ari"];
    let period = seconds(&ari["nextCheck"]) - seconds(&ari["lastChecked"]);
    bed.run(period);
    assert_eq!(looks(&bed), 1, "one a slot");
    let slot = bed.log.iter().find(|(.., step)| step == "askWindow").unwrap().0;
    assert_eq!((slot - seconds(&ari["nextCheck"])) % period, 0, "the slots stay where they were");
    bed.run(DAY);
    assert_eq!(bed.status(&certificate), &before);
    let drawn = draw(&bed, &certificate, 50 * DAY, 52 * DAY);
    bed.run(drawn + 60 - bed.seconds());
    assert_eq!(bed.status(&certificate)["revision"], 2);
}

#[test]
fn what_nothing_is_known_of_is_asked_for_at_times_of_its_own_after_a_start() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 50 * DAY, 52 * DAY));
    bed.run(DAY);
    // As cert-manager leaves it where it does not ask.
    bed.now += DAY * 1000;
    bed.change(&certificate, |object| object["status"]["acme"] = Value::Null);
    let mut bed = bed.restarted();
    bed.run(0);
    assert_eq!(looks(&bed), 0);
    bed.run(HOUR);
    assert_eq!(looks(&bed), 1);
    assert!(!bed.status(&certificate)["acme"]["ari"]["suggestedWindow"].is_null());
}

#[test]
fn a_new_certificate_is_not_judged_by_the_window_of_the_one_before() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 20 * DAY, 40 * DAY));
    let drawn = draw(&bed, &certificate, 20 * DAY, 40 * DAY);
    bed.run(drawn - bed.seconds() - 5);
    bed.window = None;
    bed.run(60);
    let status = bed.status(&certificate);
    assert_eq!(status["revision"], 2);
    assert_eq!(status["acme"], Value::Null);
    let told = seconds(&status["renewalTime"]) - drawn;
    assert!((60 * DAY..60 * DAY + 120).contains(&told), "its own third: {told}");
}

#[test]
fn nobody_asks_where_the_issuer_or_the_operator_says_so() {
    let none = json!({"renewalInformationSource": "None"});
    for (options, acme) in [
        (Options::default(), none),
        (Options { renewal_info: false, ..Options::default() }, json!({})),
    ] {
        let mut bed = Bed::with_options(options);
        bed.issuer("acme", CA, acme);
        suggest(&mut bed, 20 * DAY, 21 * DAY);
        let certificate = certificate(&mut bed);
        bed.run(61 * DAY);
        assert_eq!(looks(&bed), 0);
        assert_eq!(bed.status(&certificate)["revision"], 2);
        assert_eq!(replaces(&bed), "", "nothing is replaced that nobody asked about");
    }
}

#[test]
fn an_issuer_that_is_gone_for_a_while_moves_no_renewal_time() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 50 * DAY, 52 * DAY));
    bed.run(DAY);
    let before = bed.status(&certificate).clone();
    bed.delete(&key(Kind::Issuer, "acme"));
    bed.run(HOUR);
    let after = bed.status(&certificate);
    assert_eq!(after["renewalTime"], before["renewalTime"]);
    assert_eq!(after["acme"], before["acme"], "it may be back, and wants the same then");
}

#[test]
fn turning_it_off_takes_the_suggestion_out_of_the_status() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 20 * DAY, 21 * DAY));
    bed.change(&key(Kind::Issuer, "acme"), |issuer| {
        issuer["spec"]["acme"]["renewalInformationSource"] = json!("None");
    });
    bed.run(5);
    assert_eq!(bed.status(&certificate)["acme"], Value::Null);
    let told = seconds(&bed.status(&certificate)["renewalTime"]) - BEGIN;
    assert!((60 * DAY..60 * DAY + 60).contains(&told), "{told}");
}

#[test]
fn another_account_is_not_told_of_a_certificate_that_it_did_not_order() {
    let (mut bed, certificate) = issued(90 * DAY, |bed| suggest(bed, 20 * DAY, 21 * DAY));
    bed.change(&key(Kind::Issuer, "acme"), |issuer| {
        issuer["status"]["acme"]["uri"] = json!("https://ca.test/acct/2");
    });
    let drawn = draw(&bed, &certificate, 20 * DAY, 21 * DAY);
    bed.run(drawn + 60 - bed.seconds());
    assert_eq!(bed.status(&certificate)["revision"], 2);
    assert_eq!(replaces(&bed), "");
}

/// The instants, in seconds after the first, at which requests were made.
fn attempts(bed: &Bed) -> Vec<i64> {
    let made = bed.log.iter().filter(|(_, _, step)| step == "createRequest").map(|(at, ..)| *at);
    made.collect()
}

#[test]
fn a_life_of_ten_minutes_has_room_for_several_attempts_at_its_renewal() {
    for class in [Class::Transient, Class::User] {
        let (mut bed, certificate) = issued(600, |bed| suggest(bed, 390, 410));
        for _ in 0..40 {
            bed.tell("place", Reply::Ill(Class::User, "no", None));
        }
        bed.log.clear();
        let mut failed = 0;
        // The CA of this bed ends orders by `User`; the request tells another class.
        while bed.seconds() < BEGIN + 660 {
            bed.run(1);
            let request = key(Kind::CertificateRequest, "shop-2");
            if class == Class::Transient && bed.objects.contains_key(&request) {
                let note = everleaf_nodes::facts::FailureNote { class, not_before: None };
                let uid = bed.objects[&certificate].uid.clone();
                let text = everleaf_nodes::acme::notes::failure_text(&note, &uid);
                let there = bed.json(&certificate)["metadata"]["annotations"]["everleaf.dev/failure"]
                    == json!(text);
                if !there {
                    bed.change(&certificate, |object| {
                        object["metadata"]["annotations"]["everleaf.dev/failure"] = json!(text);
                    });
                }
            }
            failed = failed
                .max(bed.status(&certificate)["failedIssuanceAttempts"].as_i64().unwrap_or(0));
        }
        let tried = attempts(&bed);
        let end = BEGIN + 605;
        let in_time = tried.iter().filter(|at| **at < end).count();
        assert!(in_time >= 4, "{class:?}: {tried:?} before {end}");
        let gaps: Vec<i64> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap >= 10), "not in a rush: {gaps:?}");
    }
}

#[test]
fn a_short_life_that_was_missed_is_not_waited_out_for_days() {
    let (mut bed, certificate) = issued(600, |bed| suggest(bed, 390, 410));
    for _ in 0..7 {
        bed.tell("place", Reply::Ill(Class::User, "no", None));
    }
    bed.run(4 * HOUR);
    assert_ne!(bed.status(&certificate)["revision"], 1, "{}", bed.status(&certificate));
}

#[test]
fn a_limit_that_the_ca_names_holds_for_a_short_life_too() {
    let (mut bed, certificate) = issued(600, |bed| suggest(bed, 390, 410));
    bed.tell("place", Reply::Ill(Class::RateLimited, "too many", Some(HOUR)));
    bed.log.clear();
    bed.asked.clear();
    bed.run(HOUR);
    let placed = bed.asked.iter().filter(|asked| asked.starts_with("place")).count();
    assert_eq!((placed, &bed.status(&certificate)["revision"]), (1, &json!(1)));
}

#[test]
fn a_transport_failure_in_a_short_life_rests_no_longer_than_it_has_room_for() {
    let (mut bed, certificate) = issued(600, |bed| suggest(bed, 390, 410));
    for _ in 0..4 {
        bed.tell("place", Reply::Ill(Class::Transient, "no answer", None));
    }
    bed.run(600 - 60);
    assert_eq!(bed.status(&certificate)["revision"], 2, "five requests within its time");
}

#[test]
fn certificates_of_ten_minutes_follow_one_another_in_time() {
    let (mut bed, certificate) = issued(600, |_| {});
    for _ in 0..12 {
        let end = seconds(&bed.status(&certificate)["notAfter"]);
        let revision = bed.status(&certificate)["revision"].as_i64().unwrap();
        let begun = seconds(&bed.status(&certificate)["notBefore"]) - BEGIN;
        suggest(&mut bed, begun + 390, begun + 410);
        bed.run(end - 120 - bed.seconds());
        assert!(bed.status(&certificate)["revision"].as_i64().unwrap() > revision);
    }
}
