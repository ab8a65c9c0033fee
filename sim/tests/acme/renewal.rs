//! Renewal information and what replaces what.

use everleaf_sim::acme::*;

use super::bench::*;

fn window(bench: &mut Bench, leaf: &Leaf) -> RenewalWindow {
    let certificate = bench.ca.ari_id(leaf.serial);
    match bench.ok(Call::RenewalInfo { certificate }) {
        Reply::RenewalInfo(window) => window,
        other => panic!("a window was expected: {other:?}"),
    }
}

fn replacing(bench: &Bench, leaf: &Leaf, names: &[&str]) -> NewOrder {
    NewOrder { replaces: Some(bench.ca.ari_id(leaf.serial)), ..NewOrder::dns(names) }
}

#[test]
fn the_window_lies_at_two_thirds_of_a_life_and_at_half_of_a_short_one() {
    let mut bench = Bench::lenient();
    let leaf = bench.issue(&["a.example.com"]);
    let seen = window(&mut bench, &leaf);
    let start = leaf.not_before * 1000;
    assert_eq!((seen.start + seen.end) / 2, start + 60 * DAY);
    assert_eq!(seen.end - seen.start, 90 * DAY / 50, "a fiftieth of it wide");
    let profile = Some("shortlived".to_owned());
    let order = bench.new_order(NewOrder { profile, ..NewOrder::dns(&["a.example.com"]) });
    let leaf = bench.complete(&order);
    let seen = window(&mut bench, &leaf);
    assert_eq!((seen.start + seen.end) / 2, leaf.not_before * 1000 + 80 * HOUR);
}

#[test]
fn renewal_information_is_good_for_six_hours_give_or_take_a_fifth() {
    let mut bench = Bench::lenient();
    let leaf = bench.issue(&["a.example.com"]);
    let certificate = bench.ca.ari_id(leaf.serial);
    let mut waits = Vec::new();
    for _ in 0..100 {
        let answer = bench.call(Call::RenewalInfo { certificate: certificate.clone() });
        waits.push(answer.retry_after.unwrap().at - bench.now);
    }
    let (least, most) = (6 * HOUR * 4 / 5, 6 * HOUR * 6 / 5);
    assert!(waits.iter().all(|wait| (least..=most).contains(wait)));
    assert!(waits.iter().any(|wait| *wait != waits[0]), "varied");
}

#[test]
fn an_incident_and_a_revocation_put_the_window_into_the_past() {
    let mut bench = Bench::lenient();
    let leaf = bench.issue(&["a.example.com"]);
    assert_eq!(bench.ca.renew_all_early(bench.now, "https://acme.test/incident"), 1);
    let seen = window(&mut bench, &leaf);
    assert_eq!((seen.start, seen.end), (bench.now - HOUR, bench.now - 30 * MINUTE));
    assert_eq!(seen.explanation.as_deref(), Some("https://acme.test/incident"));

    let leaf = bench.issue(&["b.example.com"]);
    let revoke = Call::Revoke { account: bench.account, serial: leaf.serial };
    bench.ok(revoke.clone());
    assert!(window(&mut bench, &leaf).end < bench.now);
    assert_eq!(bench.refused(revoke).kind, ErrorKind::AlreadyRevoked);
    bench.account = bench.new_account("another key");
    let foreign = Call::Revoke { account: bench.account, serial: leaf.serial };
    assert_eq!(bench.refused(foreign).kind, ErrorKind::Unauthorized);
}

#[test]
fn there_is_no_information_about_what_is_not_known_or_where_it_is_switched_off() {
    let mut bench = Bench::lenient();
    let leaf = bench.issue(&["a.example.com"]);
    let ask = |certificate: String| Call::RenewalInfo { certificate };
    assert_eq!(bench.refused(ask("x".into())).status, 400);
    assert_eq!(bench.refused(ask(bench.ca.ari_id(7))).status, 404);
    let other = Ca::new(Config::lenient(1), b"other issuer").ari_id(leaf.serial);
    assert_eq!(bench.refused(ask(other)).status, 404);
    let known = bench.ca.ari_id(leaf.serial);
    bench.ca.reconfigure(|config| config.ari = false);
    assert_eq!(bench.refused(ask(known)).status, 404);
}

#[test]
fn a_certificate_is_replaced_once_by_the_order_that_is_finalized() {
    let mut bench = Bench::lenient();
    let names = ["a.example.com"];
    let old = bench.issue(&names);
    let new = replacing(&bench, &old, &names);
    let (first, second) = (bench.new_order(new.clone()), bench.new_order(new.clone()));
    let leaf = bench.complete(&first);
    assert_eq!(bench.ca.certificate(old.serial).unwrap().replaced_by, Some(leaf.order));
    let refused = bench.order_refused(new);
    assert_eq!((refused.kind, refused.status), (ErrorKind::AlreadyReplaced, 409));
    bench.complete(&second);
    assert_eq!(bench.ca.certificate(old.serial).unwrap().replaced_by, Some(first.id));
}

#[test]
fn only_ones_own_certificate_with_a_name_in_common_can_be_replaced() {
    let mut bench = Bench::lenient();
    let old = bench.issue(&["a.example.com"]);
    let disjoint = replacing(&bench, &old, &["b.example.com"]);
    assert_eq!(bench.order_refused(disjoint).kind, ErrorKind::Malformed);
    let wider = replacing(&bench, &old, &["a.example.com", "b.example.com"]);
    bench.new_order(wider.clone());
    bench.account = bench.new_account("another key");
    assert_eq!(bench.order_refused(wider).kind, ErrorKind::Unauthorized);
}

#[test]
fn a_renewal_within_its_window_is_exempt_from_every_limit_and_one_outside_is_not() {
    let mut bench = Bench::lets_encrypt();
    let names = ["a.example.com"];
    for _ in 0..5 {
        bench.issue(&names);
    }
    let last = bench.ca.certificates().max_by_key(|leaf| leaf.serial & 0xffff).unwrap().clone();
    let new = replacing(&bench, &last, &names);
    assert_eq!(bench.order_refused(new.clone()).kind, ErrorKind::RateLimited, "too early");
    bench.ca.reconfigure(|config| config.profiles.get_mut("classic").unwrap().lifetime = DAY);
    bench.pass(7 * DAY);
    for _ in 0..5 {
        bench.issue(&names);
    }
    let last = bench.ca.certificates().max_by_key(|leaf| leaf.serial & 0xffff).unwrap().clone();
    bench.now = bench.ca.window(&last).start;
    let new = replacing(&bench, &last, &names);
    assert_eq!(bench.order_refused(NewOrder::dns(&names)).kind, ErrorKind::RateLimited);
    let order = bench.new_order(new);
    bench.complete(&order);
}
