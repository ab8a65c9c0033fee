//! Challenges, and who sees what from where.

use everleaf_sim::acme::*;
use everleaf_sim::dns::{Data, ServerFault};

use super::bench::*;

fn failure(bench: &mut Bench, order: &OrderView) -> Problem {
    let view = bench.authorization(order.authorizations[0]);
    assert_eq!(view.status, Status::Invalid);
    view.challenges.into_iter().find_map(|challenge| challenge.error).unwrap()
}

#[test]
fn each_challenge_proves_what_it_can_prove() {
    for kind in ChallengeKind::ALL {
        let mut bench = Bench::lenient();
        let order = bench.order(&["a.example.com"]);
        let view = bench.authorization(order.authorizations[0]);
        bench.present(&view, kind);
        bench.trigger(view.id, kind);
        assert_eq!(bench.look(order.id).status, Status::Ready, "{kind:?}");
    }
    let mut bench = Bench::lenient();
    let order = bench.new_order(NewOrder::ip("2001:db8::1".parse().unwrap()));
    let view = bench.authorization(order.authorizations[0]);
    let kinds: Vec<_> = view.challenges.iter().map(|challenge| challenge.kind).collect();
    assert_eq!(kinds, [ChallengeKind::Http01, ChallengeKind::TlsAlpn01], "no DNS for addresses");
    bench.issue_ip("2001:db8::1".parse().unwrap());
    let order = bench.order(&["*.example.com"]);
    let call = bench.challenge_call(order.authorizations[0], ChallengeKind::Http01);
    assert_eq!(bench.refused(call).status, 404, "no HTTP for wildcards");
}

#[test]
fn a_failed_challenge_is_the_end_of_its_authorization_and_order() {
    let mut bench = Bench::lenient();
    let order = bench.order(&["a.example.com"]);
    bench.flunk(&order);
    assert_eq!(failure(&mut bench, &order).kind, ErrorKind::Connection);
    assert_eq!(bench.look(order.id).status, Status::Invalid);
    let call = bench.challenge_call(order.authorizations[0], ChallengeKind::Dns01);
    assert_eq!(bench.refused(call).kind, ErrorKind::Malformed, "no second try");
    let next = bench.order(&["a.example.com"]);
    assert_ne!(next.authorizations, order.authorizations);
}

#[test]
fn what_is_wrong_is_said_by_type() {
    let cases: [(ChallengeKind, ErrorKind, fn(&mut Internet)); 7] = [
        (ChallengeKind::Http01, ErrorKind::Unauthorized, |net| {
            net.serve("a.example.com", "other", "x")
        }),
        (ChallengeKind::Http01, ErrorKind::Connection, |net| {
            net.site("a.example.com").down = true;
        }),
        (ChallengeKind::TlsAlpn01, ErrorKind::Tls, |net| {
            net.site("a.example.com").tls_alpn = None;
        }),
        (ChallengeKind::TlsAlpn01, ErrorKind::Unauthorized, |net| {
            net.site("a.example.com").tls_alpn = Some(vec![0; 32]);
        }),
        (ChallengeKind::Dns01, ErrorKind::Unauthorized, |_| ()),
        (ChallengeKind::Dns01, ErrorKind::Dns, |net| {
            net.dns.add_zone("example.com", &["ns1.test"]);
            net.dns.strike("ns1.test", ServerFault::ServFail, 0, i64::MAX);
        }),
        (ChallengeKind::Http01, ErrorKind::Dns, |net| {
            net.dns.add_zone("example.com", &["ns1.test"]);
        }),
    ];
    for (kind, expected, prepare) in cases {
        let mut bench = Bench::lenient();
        prepare(&mut bench.net);
        let order = bench.order(&["a.example.com"]);
        bench.trigger(order.authorizations[0], kind);
        assert_eq!(failure(&mut bench, &order).kind, expected, "{kind:?}");
    }
}

#[test]
fn a_challenge_triggered_twice_is_validated_once() {
    let mut bench = Bench::new(Config { validation: (SECOND, SECOND), ..Config::lenient(1) });
    let order = bench.order(&["a.example.com"]);
    bench.trigger(order.authorizations[0], ChallengeKind::Http01);
    let due = bench.ca.next_due();
    bench.now += 1;
    bench.trigger(order.authorizations[0], ChallengeKind::Http01);
    assert_eq!(bench.ca.next_due(), due);
    let view = bench.authorization(order.authorizations[0]);
    bench.present(&view, ChallengeKind::Http01);
    bench.pass(SECOND);
    assert_eq!(bench.look(order.id).status, Status::Ready, "seen when it was due");
    assert_eq!(bench.ca.next_due(), None);
    bench.trigger(order.authorizations[0], ChallengeKind::Http01);
    assert_eq!(bench.ca.next_due(), None, "a valid one is not validated again");
}

#[test]
fn one_of_several_remote_places_may_see_something_else_and_two_may_not() {
    for (blind, status) in [
        (vec![], Status::Ready),
        (vec![3], Status::Ready),
        (vec![2, 4], Status::Invalid),
        (vec![0], Status::Invalid),
    ] {
        let mut bench = Bench::lets_encrypt();
        let order = bench.order(&["a.example.com"]);
        bench.net.site("a.example.com").unreachable_from = blind.clone();
        bench.prove(&order);
        assert_eq!(bench.look(order.id).status, status, "not from {blind:?}");
        if blind.len() == 2 {
            let detail = failure(&mut bench, &order).detail;
            assert!(detail.starts_with("During secondary validation"), "{detail}");
        }
    }
}

#[test]
fn a_record_that_has_not_reached_all_servers_fails_the_validation() {
    let run = |waited: i64| {
        let mut bench = Bench::lets_encrypt();
        bench.net.dns.add_zone("example.com", &["ns1.test", "ns2.test"]);
        bench.net.dns.set_lag("ns2.test", 30 * SECOND);
        let order = bench.order(&["example.com"]);
        let view = bench.authorization(order.authorizations[0]);
        bench.present(&view, ChallengeKind::Dns01);
        bench.pass(waited);
        bench.trigger(view.id, ChallengeKind::Dns01);
        bench.look(order.id).status
    };
    assert_eq!(run(29 * SECOND), Status::Invalid, "two remote places ask the server that lags");
    assert_eq!(run(30 * SECOND), Status::Ready);
}

#[test]
fn a_txt_record_is_found_among_others_and_through_an_alias() {
    let mut bench = Bench::lenient();
    let (name, target) = ("_acme-challenge.a.test", "x.delegated.test");
    bench.net.dns.add_zone("a.test", &["ns1.test"]);
    bench.net.dns.add_zone("delegated.test", &["ns2.test"]);
    bench.net.dns.add(bench.now, name, Data::Cname(target.into())).unwrap();
    bench.net.dns.add(bench.now, target, Data::Txt("another order's".into())).unwrap();
    let order = bench.order(&["*.a.test"]);
    let view = bench.authorization(order.authorizations[0]);
    // Into the zone that the alias leads to, by the name that it leads to.
    let token = &view.challenges[0].token;
    let value = super::jose::sha256(format!("{token}.{THUMBPRINT}").as_bytes());
    bench.net.dns.add(bench.now, target, Data::Txt(value)).unwrap();
    bench.trigger(view.id, ChallengeKind::Dns01);
    assert_eq!(bench.look(order.id).status, Status::Ready);
}
