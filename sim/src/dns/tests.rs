//! Each behaviour and each fault of the model, by name.
#![allow(clippy::unwrap_used)]

use super::*;

const SECOND: i64 = 1000;

fn dns() -> Dns {
    let mut dns = Dns::new(7);
    assert!(dns.add_zone("example.com", &["ns1.test", "ns2.test"]));
    dns
}

fn txt(text: &str) -> Data {
    Data::Txt(text.into())
}

fn asked(dns: &Dns, server: &str, name: &str, now: i64) -> Vec<String> {
    let answer = dns.query(server, name, RecordType::Txt, now).unwrap();
    resolver::texts(&answer.answers)
}

#[test]
fn texts_stand_side_by_side_and_each_is_removed_by_its_exact_value() {
    let (mut dns, name) = (dns(), "_acme-challenge.example.com");
    dns.add(0, name, txt("one")).unwrap();
    dns.add(1, name, txt("two")).unwrap();
    dns.add(1, name, txt("two")).unwrap();
    assert_eq!(asked(&dns, "ns1.test", name, 2), ["one", "two"]);
    dns.remove(3, name, txt("one")).unwrap();
    dns.remove(3, name, txt("never there")).unwrap();
    assert_eq!(asked(&dns, "ns1.test", name, 3), ["two"]);
    assert_eq!(dns.texts(3).len(), 1);
}

#[test]
fn each_server_shows_a_change_and_its_removal_after_its_own_lag() {
    let (mut dns, name) = (dns(), "a.example.com");
    dns.set_lag("ns2.test", 30 * SECOND);
    dns.add(0, name, txt("v")).unwrap();
    assert_eq!(asked(&dns, "ns1.test", name, 0), ["v"]);
    assert!(asked(&dns, "ns2.test", name, 30 * SECOND - 1).is_empty());
    assert_eq!(asked(&dns, "ns2.test", name, 30 * SECOND), ["v"]);
    assert!(!dns.in_sync("example.com", 0, 30 * SECOND - 1));
    assert!(dns.in_sync("example.com", 0, 30 * SECOND));
    dns.remove(60 * SECOND, name, txt("v")).unwrap();
    assert!(asked(&dns, "ns1.test", name, 60 * SECOND).is_empty());
    assert_eq!(asked(&dns, "ns2.test", name, 89 * SECOND), ["v"]);
    assert!(asked(&dns, "ns2.test", name, 90 * SECOND).is_empty());
}

#[test]
fn the_serial_rises_with_each_change_and_only_where_it_is_seen() {
    let mut dns = dns();
    dns.set_lag("ns2.test", 10);
    let serial = |dns: &Dns, server: &str, now| {
        let answer = dns.query(server, "example.com", RecordType::Soa, now).unwrap();
        match answer.answers[0].data {
            Data::Soa { serial, .. } => serial,
            _ => panic!("the answer to a question for the SOA is a SOA"),
        }
    };
    let before = serial(&dns, "ns1.test", 100);
    dns.add(100, "a.example.com", txt("v")).unwrap();
    assert_eq!(serial(&dns, "ns1.test", 100), before + 1);
    assert_eq!(serial(&dns, "ns2.test", 100), before);
    dns.add(101, "a.example.com", txt("v")).unwrap();
    assert_eq!(serial(&dns, "ns1.test", 200), before + 1, "nothing changed");
    dns.add(100 + 2 * MAX_LAG, "b.example.com", txt("v")).unwrap();
    assert_eq!(serial(&dns, "ns1.test", 100 + 2 * MAX_LAG), before + 2, "history forgotten");
}

#[test]
fn a_lame_server_refuses_and_the_resolver_asks_the_next() {
    let mut dns = dns();
    dns.add(0, "a.example.com", txt("v")).unwrap();
    dns.strike("ns1.test", ServerFault::Lame, 0, 100);
    let answer = dns.query("ns1.test", "a.example.com", RecordType::Txt, 50).unwrap();
    assert_eq!((answer.rcode, answer.authoritative), (Rcode::Refused, false));
    assert_eq!(dns.resolve_txt(0, "a.example.com", 50).unwrap(), ["v"]);
    assert_eq!(asked(&dns, "ns1.test", "a.example.com", 100), ["v"], "over");
}

#[test]
fn servfail_of_all_servers_is_servfail_and_silence_of_all_is_a_timeout() {
    let mut dns = dns();
    dns.strike("ns1.test", ServerFault::ServFail, 0, 100);
    dns.strike("ns2.test", ServerFault::Silent, 0, 200);
    assert_eq!(dns.resolve_txt(0, "example.com", 0), Err(ResolveError::ServFail));
    dns.strike("ns1.test", ServerFault::Silent, 100, 200);
    assert_eq!(dns.resolve_txt(0, "example.com", 150), Err(ResolveError::Timeout));
    assert_eq!(dns.query("ns2.test", "example.com", RecordType::Txt, 1), Err(NoAnswer::Timeout));
    dns.heal();
    assert_eq!(dns.resolve_txt(0, "example.com", 150), Ok(vec![]));
}

#[test]
fn answers_come_in_odd_orders_that_one_seed_repeats() {
    let mut dns = dns();
    for at in 0..5 {
        dns.add(0, "a.example.com", txt(&at.to_string())).unwrap();
    }
    let plain = asked(&dns, "ns1.test", "a.example.com", 1);
    dns.strike("ns1.test", ServerFault::Shuffled, 0, 1000);
    let orders: Vec<_> = (0..20).map(|t| asked(&dns, "ns1.test", "a.example.com", t)).collect();
    assert!(orders.iter().any(|order| *order != plain));
    let again: Vec<_> = (0..20).map(|t| asked(&dns, "ns1.test", "a.example.com", t)).collect();
    assert_eq!(orders, again);
    for mut order in orders {
        order.sort();
        assert_eq!(order, plain, "nothing is lost");
    }
}

#[test]
fn aliases_are_followed_into_other_zones_and_never_in_circles() {
    let mut dns = dns();
    dns.add_zone("delegated.test", &["ns3.test"]);
    let alias = |to: &str| Data::Cname(to.into());
    dns.add(0, "_acme-challenge.example.com", alias("x.delegated.test.")).unwrap();
    dns.add(0, "x.delegated.test", txt("v")).unwrap();
    assert_eq!(dns.resolve_txt(1, "_acme-challenge.example.com", 0).unwrap(), ["v"]);

    dns.add(0, "a.example.com", alias("b.example.com")).unwrap();
    dns.add(0, "b.example.com", alias("a.example.com")).unwrap();
    assert_eq!(dns.resolve_txt(0, "a.example.com", 0), Err(ResolveError::CnameLoop));
    dns.add(0, "c.example.com", alias("c.delegated.test")).unwrap();
    dns.add(0, "c.delegated.test", alias("c.example.com")).unwrap();
    assert_eq!(dns.resolve_txt(0, "c.example.com", 0), Err(ResolveError::CnameLoop));
    dns.add(0, "d.example.com", alias("nowhere.example.com")).unwrap();
    assert_eq!(dns.resolve_txt(0, "d.example.com", 0), Err(ResolveError::NxDomain));
}

#[test]
fn an_alias_stands_alone() {
    let mut dns = dns();
    let alias = Data::Cname("b.test".into());
    dns.add(0, "a.example.com", txt("v")).unwrap();
    let error = dns.add(0, "a.example.com", alias.clone()).unwrap_err();
    assert_eq!(error, ChangeError::CnameBesideOthers("a.example.com".into()));
    dns.remove(1, "a.example.com", txt("v")).unwrap();
    dns.add(2, "a.example.com", alias).unwrap();
    assert!(dns.add(3, "a.example.com", txt("v")).is_err());
    assert!(dns.add(3, "a.example.com", Data::Cname("c.test".into())).is_err());
}

#[test]
fn a_name_without_the_type_exists_and_one_without_anything_does_not() {
    let mut dns = dns();
    dns.add(0, "x.y.example.com", txt("v")).unwrap();
    let rcode = |name: &str| dns.query("ns1.test", name, RecordType::A, 0).unwrap().rcode;
    assert_eq!(rcode("x.y.example.com"), Rcode::NoError);
    assert_eq!(rcode("y.example.com"), Rcode::NoError, "an empty non-terminal");
    assert_eq!(rcode("z.example.com"), Rcode::NxDomain);
    assert_eq!(rcode("y-z.example.com"), Rcode::NxDomain);
    assert_eq!(rcode("elsewhere.test"), Rcode::Refused);
}

#[test]
fn wildcards_stand_for_names_that_do_not_exist() {
    let mut dns = dns();
    dns.add(0, "*.example.com", txt("wild")).unwrap();
    dns.add(0, "own.example.com", Data::A("192.0.2.1".parse().unwrap())).unwrap();
    assert_eq!(asked(&dns, "ns1.test", "any.thing.example.com", 0), ["wild"]);
    assert!(asked(&dns, "ns1.test", "own.example.com", 0).is_empty());
    let answer = dns.query("ns1.test", "any.example.com", RecordType::A, 0).unwrap();
    assert_eq!(answer.rcode, Rcode::NoError);
}

#[test]
fn a_parent_refers_to_the_zone_below_it() {
    let mut dns = dns();
    dns.add_zone("sub.example.com", &["ns9.test"]);
    dns.add(0, "a.sub.example.com", txt("v")).unwrap();
    let answer = dns.query("ns1.test", "a.sub.example.com", RecordType::Txt, 0).unwrap();
    assert!(!answer.authoritative && answer.answers.is_empty());
    assert_eq!(answer.authority[0].data, Data::Ns("ns9.test".into()));
    assert_eq!(dns.resolve_txt(0, "a.sub.example.com", 0).unwrap(), ["v"]);
    assert_eq!(dns.zone_of("A.SUB.example.com."), Some("sub.example.com"));
}

#[test]
fn a_provider_throttles_and_lets_through_again_when_it_says() {
    let (mut dns, mut provider) = (dns(), Provider::new(5, 200));
    let change = |value: &str| Change::Replace {
        zone: "example.com".into(),
        name: "a.example.com".into(),
        kind: RecordType::Txt,
        ttl: 60,
        values: vec![txt(value)],
    };
    for at in 0..5 {
        provider.change(&mut dns, 0, &change(&at.to_string())).unwrap();
    }
    let refused = provider.change(&mut dns, 0, &change("x")).unwrap_err();
    assert_eq!(refused, Refused::Throttled { retry_after: 200 });
    assert_eq!(dns.values(0, "a.example.com", RecordType::Txt), [txt("4")], "replaced");
    assert!(provider.change(&mut dns, 199, &change("x")).is_err());
    provider.change(&mut dns, 200, &change("x")).unwrap();
    assert_eq!(dns.values(200, "a.example.com", RecordType::Txt), [txt("x")]);
    assert_eq!(provider.requests(), (8, 2));
}

#[test]
fn changes_outside_a_zone_are_refused() {
    let mut dns = dns();
    let add = |zone: &str, name: &str| Change::Add {
        zone: zone.into(),
        name: name.into(),
        ttl: 1,
        data: txt("v"),
    };
    assert_eq!(
        dns.apply(0, &add("example.com", "notexample.com")),
        Err(ChangeError::Outside { name: "notexample.com".into(), zone: "example.com".into() })
    );
    assert_eq!(
        dns.apply(0, &add("no.test", "no.test")),
        Err(ChangeError::NoZone("no.test".into()))
    );
    assert!(!dns.add_zone("EXAMPLE.com.", &["ns1.test"]), "it exists");
}

#[test]
fn a_recursive_resolver_shows_the_old_answer_until_its_ttl_is_over() {
    let (mut dns, mut resolver) = (dns(), Resolver::new(0, 2));
    let name = "_acme-challenge.example.com";
    assert_eq!(resolver.resolve_txt(&dns, name, 0), Err(ResolveError::NxDomain));
    dns.add(1, name, txt("v")).unwrap();
    assert_eq!(resolver.resolve_txt(&dns, name, 59_999), Err(ResolveError::NxDomain));
    assert_eq!(resolver.resolve_txt(&dns, name, 60_000).unwrap(), ["v"]);
    dns.add(60_001, name, txt("w")).unwrap();
    assert_eq!(resolver.resolve_txt(&dns, name, 119_999).unwrap(), ["v"]);
    assert_eq!(resolver.resolve_txt(&dns, name, 120_000).unwrap(), ["v", "w"]);
    for other in ["a", "b", "c", "d"] {
        let _ = resolver.resolve_txt(&dns, &format!("{other}.example.com"), 120_001);
    }
    assert!(resolver.resolve_txt(&dns, name, 120_002).is_ok(), "evicted, asked again");
}
