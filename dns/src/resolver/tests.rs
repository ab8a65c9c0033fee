use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::rr::rdata::{A, CAA, CNAME, NS, SOA, TXT};

use super::*;
use crate::testing::{Answer, Reply, Server, clock, http, name_server, respond, rr};

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn soa() -> RData {
    RData::SOA(SOA::new(name("ns1.example.test."), name("root.example.test."), 1, 60, 60, 60, 60))
}

fn txt(text: &str) -> RData {
    RData::TXT(TXT::new(vec![text.to_owned()]))
}

async fn resolver(
    answer: impl Fn(&str, RecordType, bool) -> Answer + Send + Sync + 'static,
) -> Resolver {
    let address = name_server(answer).await;
    let server = address.to_string().parse().unwrap();
    let options = Options { authoritative_port: address.port(), ..Options::default() };
    Resolver::new(vec![server], http(), clock(), options)
}

/// example.test, with a delegation of its challenges to other.test.
fn world(asked: &str, kind: RecordType) -> Answer {
    let alias =
        || rr("_acme-challenge.www.example.test.", RData::CNAME(CNAME(name("x.other.test."))));
    match (asked, kind) {
        (zone @ ("example.test." | "other.test."), RecordType::SOA) => {
            Answer::of(vec![rr(zone, soa())])
        }
        (zone @ ("example.test." | "other.test."), RecordType::NS) => {
            Answer::of(vec![rr(zone, RData::NS(NS(name("ns1.example.test."))))])
        }
        ("_acme-challenge.www.example.test.", RecordType::CNAME | RecordType::SOA) => {
            Answer::of(vec![alias()])
        }
        ("x.other.test.", RecordType::TXT) => {
            Answer::of(vec![rr(asked, txt("one")), rr(asked, txt("two"))])
        }
        ("ns1.example.test.", RecordType::A) => {
            Answer::of(vec![rr(asked, RData::A(A("127.0.0.1".parse().unwrap())))])
        }
        (
            "x.other.test."
            | "ns1.example.test."
            | "www.example.test."
            | "_acme-challenge.www.example.test.",
            _,
        ) => Answer::of(vec![]),
        _ => Answer::code(ResponseCode::NXDomain),
    }
}

#[tokio::test]
async fn a_zone_is_the_closest_name_with_an_soa_of_its_own() {
    let resolver = resolver(|asked, kind, _| world(asked, kind)).await;
    assert_eq!(
        resolver.zone_of("_acme-challenge.a.b.example.test").await.unwrap(),
        "example.test."
    );
    // A CNAME there, and an SOA of where it leads, speak of another zone.
    assert_eq!(
        resolver.zone_of("_acme-challenge.www.Example.test.").await.unwrap(),
        "example.test."
    );
    let error = resolver.zone_of("a.nowhere.invalid").await.unwrap_err();
    assert_eq!(error.to_string(), "no zone found for a.nowhere.invalid");
}

#[tokio::test]
async fn a_zone_is_asked_for_once_in_its_ttl() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let resolver = resolver(|asked, kind, _| {
        ASKED.fetch_add(1, Ordering::SeqCst);
        world(asked, kind)
    })
    .await;
    resolver.zone_of("a.example.test").await.unwrap();
    let first = ASKED.load(Ordering::SeqCst);
    resolver.zone_of("A.example.test.").await.unwrap();
    assert_eq!(ASKED.load(Ordering::SeqCst), first);
}

#[tokio::test]
async fn cnames_are_followed_and_loops_are_told() {
    let followed = resolver(|asked, kind, _| world(asked, kind)).await;
    let target = followed.follow_cname("_acme-challenge.www.example.test").await.unwrap();
    assert_eq!(target, "x.other.test.");
    assert_eq!(followed.follow_cname("x.other.test.").await.unwrap(), "x.other.test.");
    let looped = resolver(|asked, _, _| {
        let other = if asked == "a.test." { "B.test." } else { "a.test." };
        Answer::of(vec![rr(asked, RData::CNAME(CNAME(name(other))))])
    })
    .await;
    assert_eq!(
        looped.follow_cname("a.test").await.unwrap_err().to_string(),
        "a.test: its CNAMEs form a loop"
    );
}

#[tokio::test]
async fn a_chain_of_cnames_ends() {
    let endless = resolver(|asked, _, _| {
        let next = format!("a{asked}");
        let target = if next.len() < 60 { name(&next) } else { name("b.test.") };
        Answer::of(vec![rr(asked, RData::CNAME(CNAME(target)))])
    })
    .await;
    assert!(endless.follow_cname("a.test").await.unwrap_err().to_string().contains("more than 16"));
}

#[tokio::test]
async fn propagation_tells_what_each_server_has() {
    let resolver = resolver(|asked, kind, _| world(asked, kind)).await;
    for check in [Check::Authoritative, Check::Recursive] {
        let seen =
            resolver.propagation("_acme-challenge.www.example.test", "two", check).await.unwrap();
        assert!(seen.complete() && seen.fqdn == "x.other.test.", "{seen:?}");
        let missing =
            resolver.propagation("_acme-challenge.www.example.test", "three", check).await.unwrap();
        assert!(!missing.complete());
        let sights: Vec<_> = missing.servers.values().cloned().collect();
        assert_eq!(sights, [Sight::Absent(vec!["one".to_owned(), "two".to_owned()])]);
    }
}

#[tokio::test]
async fn one_authority_that_fails_holds_the_record_back() {
    let resolver = resolver(|asked, kind, _| match (asked, kind) {
        ("other.test.", RecordType::NS) => {
            let ns = |host| rr(asked, RData::NS(NS(name(host))));
            Answer::of(vec![ns("ns1.example.test."), ns("ns2.example.test.")])
        }
        _ => world(asked, kind),
    })
    .await;
    let partly = resolver.propagation("x.other.test", "one", Check::Authoritative).await.unwrap();
    assert_eq!(partly.servers["ns1.example.test"], Sight::Seen);
    assert_eq!(partly.servers["ns2.example.test"], Sight::Failed("it has no address".to_owned()));
    assert!(!partly.complete());
}

#[tokio::test]
async fn what_does_not_fit_in_a_datagram_is_asked_for_again() {
    let resolver = resolver(|asked, _, tcp| match tcp {
        true => Answer::of(vec![rr(asked, txt("whole"))]),
        false => Answer { truncated: true, ..Answer::of(vec![]) },
    })
    .await;
    assert_eq!(resolver.txt("a.test").await.unwrap(), ["whole"]);
}

#[tokio::test]
async fn the_next_server_is_asked_where_one_fails() {
    let failing = name_server(|_, _, _| Answer::code(ResponseCode::ServFail)).await;
    let working = name_server(|asked, _, _| Answer::of(vec![rr(asked, txt("here"))])).await;
    let servers = vec![failing.to_string().parse().unwrap(), working.to_string().parse().unwrap()];
    let resolver = Resolver::new(servers, http(), clock(), Options::default());
    assert_eq!(resolver.txt("a.test").await.unwrap(), ["here"]);
    let only = resolver.with_servers(vec![failing.to_string().parse().unwrap()]);
    assert!(matches!(only.txt("a.test").await, Err(Error::Transient(_))));
}

#[tokio::test]
async fn doh_sends_the_message_as_it_is() {
    let server = Server::start(|seen| {
        assert_eq!(
            (seen.method.as_str(), seen.header("content-type")),
            ("POST", Some("application/dns-message"))
        );
        let reply = respond(
            seen.body.as_bytes(),
            &|asked: &str, _, _| Answer::of(vec![rr(asked, txt("doh"))]),
            true,
        );
        Reply::new(200, reply)
    })
    .await;
    // Plain HTTP stands in for HTTPS: `Nameserver` reads `https://` only.
    let url = format!("{}/dns-query", server.url).parse().unwrap();
    let resolver = Resolver::new(vec![Nameserver::Https(url)], http(), clock(), Options::default());
    assert_eq!(resolver.txt("a.test").await.unwrap(), ["doh"]);
}

#[tokio::test]
async fn caa_climbs_to_the_first_name_that_has_any() {
    let resolver = resolver(|asked, _, _| match asked {
        "example.test." => Answer::of(vec![rr(
            asked,
            RData::CAA(CAA::new_issue(true, Some(name("ca.test")), vec![])),
        )]),
        "deep.www.example.test." => Answer::code(ResponseCode::NXDomain),
        _ => Answer::of(vec![]),
    })
    .await;
    let found = resolver.caa("*.deep.www.example.test").await.unwrap();
    assert_eq!(found.owner, "example.test");
    assert_eq!(found.records[0].to_string(), "CAA 128 issue \"ca.test\"");
    assert_eq!(resolver.caa("other.test").await.unwrap(), caa::Records::default());
}

#[test]
fn nameservers_are_read_as_issuers_write_them() {
    let shown = |text: &str| text.parse::<Nameserver>().map(|server| server.to_string()).ok();
    assert_eq!(shown("1.1.1.1").as_deref(), Some("1.1.1.1:53"));
    assert_eq!(shown("dns.test:5353").as_deref(), Some("dns.test:5353"));
    assert_eq!(shown("[2001:db8::1]:54").as_deref(), Some("[2001:db8::1]:54"));
    assert_eq!(shown("2001:db8::1").as_deref(), Some("[2001:db8::1]:53"));
    assert_eq!(shown("https://dns.test/dns-query").as_deref(), Some("https://dns.test/dns-query"));
    for wrong in ["", "a b", "1.1.1.1:port", "https://", "x/y"] {
        assert_eq!(shown(wrong), None, "{wrong}");
    }
}

#[test]
fn resolv_conf_is_read_as_a_resolver_reads_it() {
    let text = "# a\nsearch x\nnameserver 10.0.0.1 \n nameserver\t2001:db8::1\nnameserver 1\nnameserver 2\n";
    let shown: Vec<_> = system_nameservers(text).iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.1:53", "[2001:db8::1]:53", "1:53"]);
}
