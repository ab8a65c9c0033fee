//! DNS-01 through Route 53's API: moto, whose changes a relay carries into the DNS server.

use bytes::Bytes;
use everleaf_e2e::acme::{Ca, Dns, secret, swept};
use everleaf_e2e::{
    Handler, Reply, Scope, Server, Upstream, eventually, scenario, skip, text, variable,
};
use futures::FutureExt as _;
use http::{Method, Request, Response};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const API: &str = "/2013-04-01";
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// What the relay was told, and what it tells.
#[derive(Default)]
struct Told {
    /// Whether changes are said to be on their way still.
    pending: AtomicBool,
    /// How often it was asked whether a change is everywhere.
    asked: AtomicUsize,
}

/// A relay in front of moto that carries its TXT records into the DNS server.
fn relay(moto: &str, host: &str, told: &Arc<Told>) -> Server {
    let (upstream, told) = (Upstream::of(moto, None), Arc::clone(told));
    let handler: Handler = Arc::new(move |request| {
        let (upstream, told) = (upstream.clone(), Arc::clone(&told));
        async move {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let sent = request.body().clone();
            let answer = match upstream.send(request).await {
                Ok(answer) => answer,
                Err(error) => return Reply::new(502, "text/plain", error.to_string()),
            };
            if method == Method::POST && answer.status().is_success() {
                carry(&String::from_utf8_lossy(&sent));
            }
            match path.starts_with(&format!("{API}/change/")) {
                true => of_change(&told, &answer),
                false => reply(&answer, answer.body().clone()),
            }
        }
        .boxed()
    });
    Server::start(host, None, handler)
}

fn reply(answer: &Response<Bytes>, body: impl Into<Bytes>) -> Reply {
    let mut reply = Reply::new(answer.status().as_u16(), "text/xml", body);
    reply.headers = answer.headers().clone();
    reply
}

fn of_change(told: &Told, answer: &Response<Bytes>) -> Reply {
    told.asked.fetch_add(1, Ordering::Relaxed);
    let said = String::from_utf8_lossy(answer.body()).into_owned();
    match told.pending.load(Ordering::Relaxed) {
        true => reply(answer, said.replace("INSYNC", "PENDING")),
        false => reply(answer, said),
    }
}

/// The text of an element's first occurrence.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    xml.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// Does to the DNS server what a batch of changes does to the zone.
fn carry(batch: &str) {
    let dns = Dns::of_test_bed().expect("the test bed's DNS");
    for change in batch.split("<Change>").skip(1) {
        let (Some(action), Some(name)) = (element(change, "Action"), element(change, "Name"))
        else {
            continue;
        };
        for value in change.split("<Value>").skip(1) {
            let value = value.split('<').next().unwrap_or_default().replace("&quot;", "");
            let value = value.trim_matches('"');
            if action == "DELETE" { dns.remove(name, value) } else { dns.add(name, value) }
        }
    }
}

/// Asks moto past the operator: with a body it is a POST.
async fn moto(url: &str, path: &str, body: Option<String>) -> String {
    let scope = "20260101/us-east-1/route53/aws4_request";
    let signature =
        format!("AWS4-HMAC-SHA256 Credential=A/{scope}, SignedHeaders=host, Signature=0");
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let request = Request::builder()
        .method(method)
        .uri(format!("{API}/{path}"))
        .header("host", "route53.amazonaws.com")
        .header("authorization", signature)
        .body(Bytes::from(body.unwrap_or_default()));
    let answer = Upstream::of(url, None).send(request.expect("a request")).await.expect("moto");
    String::from_utf8_lossy(answer.body()).into_owned()
}

/// Makes a hosted zone and gives its identifier.
async fn hosted_zone(url: &str, name: &str, reference: &str) -> String {
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"{NAMESPACE}\"><Name>{name}</Name>\
         <CallerReference>{reference}</CallerReference></CreateHostedZoneRequest>"
    );
    let made = moto(url, "hostedzone", Some(body)).await;
    let id = made.split("/hostedzone/").nth(1).and_then(|rest| rest.split('<').next());
    id.unwrap_or_else(|| panic!("moto makes no zone: {made}")).to_owned()
}

#[test]
fn route53_is_asked_whether_a_change_is_everywhere_before_the_ca_is_told() {
    let (Some(ca), Some(dns)) = (Ca::pebble("acme-route53"), Dns::open("acme-route53")) else {
        return;
    };
    let Some(aws) = variable("TESTBED_AWS") else {
        return skip("acme-route53", "set TESTBED_AWS to a Route 53 that takes any credentials");
    };
    scenario("acme-route53", Scope::Namespace, async |world| {
        let told = Arc::new(Told::default());
        let server = relay(&aws, &ca.host, &told);
        let zone = hosted_zone(&aws, "other.test", &world.namespace).await;
        let at = format!("http://{}", server.address());
        let _operator = ca.operator_with(world, &[], &[("AWS_ENDPOINT_URL_ROUTE_53", &at)]);
        world.create(secret("aws", "key", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")).await;
        let route53 = json!({
            "region": "us-east-1",
            "accessKeyID": "AKIAIOSFODNN7EXAMPLE",
            "secretAccessKeySecretRef": { "name": "aws", "key": "key" },
        });
        ca.serve(world, &json!([{ "dns01": { "route53": route53 } }]), json!({})).await;
        told.pending.store(true, Ordering::Relaxed);
        let name = format!("{}.other.test", world.namespace);
        let spec = json!({ "dnsNames": [name], "issuerRef": { "name": "acme" } });
        world.certificate("cloud", spec).await;
        eventually("the Challenge says that the change is on its way", 60, async || {
            let all = world.list("Challenge").await;
            let said = all.first().map(|one| text(one, "/status/reason").to_owned());
            let said = said.unwrap_or_default();
            let again = told.asked.load(Ordering::Relaxed) >= 2;
            if again && said.contains("all its servers yet") { Ok(()) } else { Err(said) }
        })
        .await;
        let record = format!("_acme-challenge.{name}");
        assert_eq!(dns.txt(&record).len(), 1, "the servers that can be asked have it");
        let challenges = world.list("Challenge").await;
        assert_eq!(text(&challenges[0], "/status/state"), "", "the CA was not told");

        told.pending.store(false, Ordering::Relaxed);
        world.revision("cloud", 1).await;
        swept(world).await;
        assert!(dns.txt(&record).is_empty());
        let listed = moto(&aws, &format!("hostedzone/{zone}/rrset"), None).await;
        assert!(!listed.contains(&name), "{listed}");
    });
}
