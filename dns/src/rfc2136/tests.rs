use super::*;
use crate::testing::{context, record, secrets, selector};

fn config() -> Rfc2136Provider {
    Rfc2136Provider {
        nameserver: "192.0.2.1".to_owned(),
        tsig_key_name: Some("key".to_owned()),
        tsig_secret_secret_ref: Some(selector("tsig")),
        ..Rfc2136Provider::default()
    }
}

#[test]
fn the_port_is_53_and_the_transport_udp_where_nothing_is_said() {
    let made = Rfc2136::new(&config(), &secrets(&[("tsig", "c2VjcmV0")]), &context()).unwrap();
    assert_eq!(
        (made.host.as_str(), made.port, made.protocol),
        ("192.0.2.1", 53, Rfc2136Protocol::Udp)
    );
    assert!(made.key.is_some());
    let v6 = Rfc2136Provider { nameserver: "[2001:db8::1]:5353".to_owned(), ..config() };
    let made = Rfc2136::new(&v6, &secrets(&[("tsig", "c2VjcmV0")]), &context()).unwrap();
    assert_eq!((made.host.as_str(), made.port), ("2001:db8::1", 5353));
}

#[test]
fn without_a_keys_name_updates_go_unsigned() {
    let unnamed = Rfc2136Provider { tsig_key_name: None, ..config() };
    assert!(Rfc2136::new(&unnamed, &secrets(&[]), &context()).unwrap().key.is_none());
    assert!(
        Rfc2136::new(&config(), &secrets(&[]), &context()).is_err(),
        "a named key needs its secret"
    );
}

#[test]
fn one_value_is_added_and_one_value_is_removed() {
    let (zone, set) = update_of(&record("one")).unwrap();
    let added = update_message::append(set.clone(), zone.clone(), false, false);
    let removed = update_message::delete_by_rdata(set, zone, false);
    assert!(added.answers.is_empty() && removed.answers.is_empty(), "no prerequisites");
    assert_eq!((added.authorities.len(), added.authorities[0].ttl), (1, 60));
    // RFC 2136, section 2.5.4: class NONE, TTL 0.
    assert_eq!(removed.authorities[0].dns_class, hickory_proto::rr::DNSClass::NONE);
    assert_eq!(removed.authorities[0].ttl, 0);
    assert_eq!(added.authorities[0].data, removed.authorities[0].data);
}

#[test]
fn a_record_outside_of_its_zone_is_refused_before_it_is_sent() {
    let other = Record { zone: "other.test.".to_owned(), ..record("one") };
    assert!(update_of(&other).is_err());
}
