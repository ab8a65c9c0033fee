//! DNS-01 through a real DNS server: delegation, shared names, resolvers over HTTPS.

use everleaf_e2e::acme::{Ca, Dns, assert_covers, rfc2136, swept};
use everleaf_e2e::{Authority, Handler, Reply, Scope, Server, World, eventually, scenario};
use futures::FutureExt as _;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn certificate(world: &World, label: &str, names: &[&str]) {
    let spec = json!({ "dnsNames": names, "issuerRef": { "name": "acme" } });
    world.certificate(label, spec).await;
}

#[test]
fn a_challenge_that_is_delegated_by_a_cname_is_answered_in_the_other_zone() {
    // The test bed has this CNAME.
    const APEX: &str = "alias.example.test";
    const TARGET: &str = "alias.delegated.test";
    let (Some(ca), Some(dns)) = (Ca::pebble("acme-cname"), Dns::open("acme-cname")) else { return };
    scenario("acme-cname", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        let mut solver = rfc2136(world).await;
        solver["dns01"]["cnameStrategy"] = "Follow".into();
        ca.serve(world, &json!([solver]), json!({})).await;
        let wildcard = format!("*.{APEX}");
        certificate(world, "wild", &[APEX, &wildcard]).await;
        eventually("a record is written where the CNAME leads to", 60, async || {
            let found = dns.txt(TARGET);
            if found.is_empty() { Err("there is none".to_owned()) } else { Ok(()) }
        })
        .await;
        world.revision("wild", 1).await;
        assert_covers(world, &world.get("Secret", "wild-tls").await, &[&wildcard, APEX]);
        swept(world).await;
        // The CNAME itself is not touched: dig shows where it leads.
        let left = dns.txt(&format!("_acme-challenge.{APEX}"));
        assert_eq!(left, BTreeSet::from([format!("{TARGET}.")]));
    });
}

#[test]
fn values_of_one_name_live_side_by_side_and_each_is_removed_by_whoever_wrote_it() {
    let (Some(ca), Some(dns)) = (Ca::pebble("acme-shared"), Dns::open("acme-shared")) else {
        return;
    };
    scenario("acme-shared", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        let solver = rfc2136(world).await;
        ca.serve(world, &json!([solver]), json!({})).await;
        let apex = format!("{}.other.test", world.namespace);
        let record = format!("_acme-challenge.{apex}");
        dns.add(&record, "somebody-elses");
        let (wildcard, below) = (format!("*.{apex}"), format!("below.{apex}"));
        certificate(world, "one", &[&apex, &wildcard]).await;
        certificate(world, "two", &[&apex, &below]).await;
        let two = world.revision("one", 1);
        futures::join!(two, world.revision("two", 1));
        assert_covers(world, &world.get("Secret", "one-tls").await, &[&wildcard, &apex]);
        assert_covers(world, &world.get("Secret", "two-tls").await, &[&apex, &below]);
        swept(world).await;
        assert_eq!(dns.txt(&record), BTreeSet::from(["somebody-elses".to_owned()]));
        dns.remove(&record, "somebody-elses");
    });
}

/// A server of DNS over HTTPS (RFC 8484) in front of a plain one, which counts what it is asked.
fn over_https(authority: &Authority, dns: &Dns, host: &str, asked: &Arc<AtomicUsize>) -> Server {
    let (address, asked) = (format!("{}:{}", dns.host, dns.port), Arc::clone(asked));
    let handler: Handler = Arc::new(move |request| {
        asked.fetch_add(1, Ordering::Relaxed);
        let answer = exchange(&address, request.body());
        async move {
            match answer {
                Ok(message) => Reply::new(200, "application/dns-message", message),
                Err(error) => Reply::new(502, "text/plain", error.to_string()),
            }
        }
        .boxed()
    });
    Server::start(host, Some(authority.server(&[host])), handler)
}

/// One message and its answer over TCP (RFC 1035, section 4.2.2).
fn exchange(server: &str, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], message].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_resolver_over_https_is_enough_to_find_zones_and_see_records() {
    let (Some(ca), Some(dns)) = (Ca::pebble("acme-doh"), Dns::open("acme-doh")) else { return };
    scenario("acme-doh", Scope::Namespace, async |world| {
        let (authority, asked) = (Authority::new("resolver"), Arc::new(AtomicUsize::new(0)));
        let server = over_https(&authority, &dns, &ca.host, &asked);
        let trusted = world.openssl.file("resolver.pem", authority.pem().as_bytes());
        let flags = [
            &format!("--dns01-recursive-nameservers=https://{}/dns-query", server.address()),
            "--dns01-recursive-nameservers-only",
        ];
        let _operator = ca.operator_with(world, &flags, &[("SSL_CERT_FILE", &trusted)]);
        let solver = rfc2136(world).await;
        ca.serve(world, &json!([solver]), json!({})).await;
        let name = format!("{}.example.test", world.namespace);
        certificate(world, "doh", &[&name]).await;
        world.revision("doh", 1).await;
        // Zone and CNAME and the record itself.
        assert!(asked.load(Ordering::Relaxed) >= 3, "{asked:?}");
        swept(world).await;
        assert!(dns.txt(&format!("_acme-challenge.{name}")).is_empty());
    });
}
