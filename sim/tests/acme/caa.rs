//! CAA records: each way in which they let this CA issue, and each in which they do not.

use everleaf_sim::acme::*;
use everleaf_sim::dns::{Data, ServerFault};

use super::bench::*;

fn caa(tag: &str, value: &str) -> Data {
    Data::Caa { critical: false, tag: tag.into(), value: value.into() }
}

/// The problem of a validation by DNS-01, with these records at `example.com`.
fn outcome(name: &str, records: &[Data]) -> Option<ErrorKind> {
    let mut bench = Bench::lets_encrypt();
    bench.net.dns.add_zone("example.com", &["ns1.test"]);
    for record in records {
        bench.net.dns.add(bench.now, "example.com", record.clone()).unwrap();
    }
    let order = bench.order(&[name]);
    let view = bench.authorization(order.authorizations[0]);
    bench.present(&view, ChallengeKind::Dns01);
    bench.trigger(view.id, ChallengeKind::Dns01);
    let view = bench.authorization(order.authorizations[0]);
    view.challenges.iter().find_map(|challenge| challenge.error.as_ref()).map(|error| error.kind)
}

#[test]
fn records_let_issue_or_do_not() {
    let ours = "letsencrypt.org";
    let account = "letsencrypt.org; accounturi=https://acme.test/acme/acct/1";
    let other_account = "letsencrypt.org; accounturi=https://acme.test/acme/acct/2";
    let forbidden = Some(ErrorKind::Caa);
    for (name, records, expected) in [
        ("www.example.com", vec![], None),
        ("www.example.com", vec![caa("issue", ours)], None),
        ("www.example.com", vec![caa("issue", "other.test")], forbidden),
        ("www.example.com", vec![caa("issue", ";")], forbidden),
        ("www.example.com", vec![caa("issue", "other.test"), caa("ISSUE", ours)], None),
        ("www.example.com", vec![caa("iodef", "mailto:me@example.com")], None),
        ("www.example.com", vec![caa("issuewild", ";")], None),
        ("*.example.com", vec![caa("issue", ours), caa("issuewild", ";")], forbidden),
        ("*.example.com", vec![caa("issue", ";"), caa("issuewild", ours)], None),
        ("*.example.com", vec![caa("issue", ours)], None),
        ("www.example.com", vec![caa("issue", account)], None),
        ("www.example.com", vec![caa("issue", other_account)], forbidden),
        (
            "www.example.com",
            vec![caa("issue", "letsencrypt.org; validationmethods=http-01,dns-01")],
            None,
        ),
        (
            "www.example.com",
            vec![caa("issue", "letsencrypt.org; validationmethods=http-01")],
            forbidden,
        ),
        (
            "www.example.com",
            vec![Data::Caa { critical: true, tag: "unknown".into(), value: "x".into() }],
            forbidden,
        ),
        ("www.example.com", vec![caa("unknown", "x")], None),
    ] {
        assert_eq!(outcome(name, &records), expected, "{name}: {records:?}");
    }
}

#[test]
fn the_closest_records_count_and_not_those_above() {
    let mut bench = Bench::lets_encrypt();
    bench.net.dns.add_zone("example.com", &["ns1.test"]);
    bench.net.dns.add(bench.now, "example.com", caa("issue", ";")).unwrap();
    bench.net.dns.add(bench.now, "www.example.com", caa("issue", "letsencrypt.org")).unwrap();
    let prove = |bench: &mut Bench, name: &str| {
        let order = bench.order(&[name]);
        let view = bench.authorization(order.authorizations[0]);
        bench.present(&view, ChallengeKind::Dns01);
        bench.trigger(view.id, ChallengeKind::Dns01);
        bench.look(order.id).status
    };
    assert_eq!(prove(&mut bench, "www.example.com"), Status::Ready);
    assert_eq!(prove(&mut bench, "ftp.example.com"), Status::Invalid);
}

#[test]
fn records_that_cannot_be_read_are_a_dns_problem() {
    let mut bench = Bench::lenient();
    bench.net.dns.add_zone("example.com", &["ns1.test"]);
    bench.net.dns.add(bench.now, "a.example.com", Data::A("192.0.2.1".parse().unwrap())).unwrap();
    bench.net.dns.add_zone("a.example.com", &["ns2.test"]);
    bench.net.dns.add(bench.now, "a.example.com", Data::A("192.0.2.1".parse().unwrap())).unwrap();
    bench.net.dns.strike("ns1.test", ServerFault::ServFail, 0, i64::MAX);
    let order = bench.order(&["a.example.com"]);
    bench.prove(&order);
    let view = bench.authorization(order.authorizations[0]);
    let error = view.challenges[0].error.clone().unwrap();
    assert_eq!(error.kind, ErrorKind::Dns);
    assert!(error.detail.contains("CAA for example.com"), "{error}");
}

#[test]
fn records_are_looked_at_again_when_issuing_on_an_old_validation() {
    let run = |age: i64| {
        let mut bench = Bench::lets_encrypt();
        let order = bench.order(&["a.example.com"]);
        bench.prove(&order);
        bench.pass(age - MINUTE);
        bench.net.dns.add_zone("example.com", &["ns1.test"]);
        bench.net.dns.add(bench.now, "example.com", caa("issue", ";")).unwrap();
        let call = bench.finalize_call(&order);
        bench.ok(call);
        bench.look(order.id)
    };
    assert_eq!(run(8 * HOUR - SECOND).status, Status::Valid);
    let refused = run(8 * HOUR);
    assert_eq!(refused.status, Status::Invalid);
    assert_eq!(refused.error.unwrap().kind, ErrorKind::Caa);
}
