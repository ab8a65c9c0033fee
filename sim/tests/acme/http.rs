//! The CA over HTTP: a whole issuance with real signatures, and what a client must be refused.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use everleaf_pki::{CertInfo, CsrSpec, Curve, KeyKind, Limits as PemLimits, PrivateKey};
use everleaf_sim::acme::*;
use futures::executor::block_on;
use futures::task::noop_waker;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::Service;

use super::bench::{DAY, HOUR, MINUTE, NEW_YEAR, SECOND};
use super::jose::{Key, encode, external};

const BASE: &str = "https://acme.test";

struct Seen {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn error(&self) -> (u16, String) {
        let kind = self.json()["type"].as_str().unwrap().to_owned();
        (self.status, kind.trim_start_matches("urn:ietf:params:acme:error:").to_owned())
    }
}

struct Client {
    service: CaService,
    net: Arc<Mutex<Internet>>,
    clock: Arc<AtomicI64>,
    key: Key,
    kid: Option<String>,
    nonce: Option<String>,
}

impl Client {
    fn new(config: Config, algorithm: &str) -> Self {
        Client::with(config, Authority::generate(1, 1).unwrap(), algorithm)
    }

    fn with(config: Config, authority: Authority, algorithm: &str) -> Self {
        let clock = Arc::new(AtomicI64::new(NEW_YEAR));
        let net = Arc::new(Mutex::new(Internet::new(1)));
        let now = clock.clone();
        let read = move || now.load(Ordering::SeqCst);
        let service = CaService::new(config, authority, net.clone(), read);
        Client { service, net, clock, key: Key::new(algorithm), kid: None, nonce: None }
    }

    fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
        self.service.wake();
    }

    fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Seen, String> {
        let response = block_on(self.service.call(request)).map_err(|why| why.to_string())?;
        let (parts, body) = response.into_parts();
        if let Some(nonce) = parts.headers.get("replay-nonce") {
            self.nonce = Some(nonce.to_str().unwrap().to_owned());
        }
        let body = block_on(body.collect()).map_err(|why| why.to_string())?.to_bytes();
        Ok(Seen { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn get(&mut self, method: &str, url: &str) -> Seen {
        let request = Request::builder().method(method).uri(url).body(Full::default()).unwrap();
        self.send(request).unwrap()
    }

    fn header(&mut self, url: &str) -> Value {
        if self.nonce.is_none() {
            self.get("HEAD", &format!("{BASE}/acme/new-nonce"));
        }
        let nonce = self.nonce.take();
        let mut header = json!({"alg": self.key.algorithm(), "nonce": nonce, "url": url});
        match &self.kid {
            Some(kid) => header["kid"] = json!(kid),
            None => header["jwk"] = self.key.jwk(),
        }
        header
    }

    fn request(&mut self, url: &str, jws: &Value) -> Result<Seen, String> {
        let request = Request::post(url).header("content-type", "application/jose+json");
        self.send(request.body(Full::from(jws.to_string())).unwrap())
    }

    fn try_post(&mut self, url: &str, payload: Option<&Value>) -> Result<Seen, String> {
        let header = self.header(url);
        let jws = self.key.jws(&header, payload);
        self.request(url, &jws)
    }

    fn post(&mut self, url: &str, payload: Value) -> Seen {
        self.try_post(url, Some(&payload)).unwrap()
    }

    fn look(&mut self, url: &str) -> Seen {
        self.try_post(url, None).unwrap()
    }

    fn register(&mut self) -> Seen {
        let seen = self.post(&url("new-acct"), json!({"termsOfServiceAgreed": true}));
        self.kid = Some(seen.header("location").to_owned());
        seen
    }

    fn order(&mut self, names: &[&str]) -> (String, Value) {
        let identifiers: Vec<Value> =
            names.iter().map(|name| json!({"type": "dns", "value": name})).collect();
        let seen = self.post(&url("new-order"), json!({"identifiers": identifiers}));
        assert_eq!(seen.status, 201, "{}", seen.json());
        (seen.header("location").to_owned(), seen.json())
    }

    /// Proves an order by HTTP-01.
    fn prove(&mut self, order: &Value) {
        for authorization in order["authorizations"].as_array().unwrap() {
            let view = self.look(authorization.as_str().unwrap()).json();
            let host = view["identifier"]["value"].as_str().unwrap();
            let challenges = view["challenges"].as_array().unwrap();
            let challenge = challenges.iter().find(|it| it["type"] == "http-01").unwrap();
            let token = challenge["token"].as_str().unwrap();
            let key_authorization = format!("{token}.{}", self.key.thumbprint());
            self.net.lock().unwrap().serve(host, token, &key_authorization);
            let seen = self.post(challenge["url"].as_str().unwrap(), json!({}));
            assert_eq!(seen.status, 200);
            assert!(
                seen.headers
                    .get_all("link")
                    .iter()
                    .any(|link| { link.to_str().unwrap().ends_with("rel=\"up\"") })
            );
        }
        self.pass(MINUTE);
    }

    fn finalize(&mut self, order: &Value, names: &[&str]) -> (PrivateKey, Seen) {
        let key = PrivateKey::generate(KeyKind::Ecdsa(Curve::P256)).unwrap();
        let dns_names = names.iter().map(|name| (*name).to_owned()).collect();
        let csr = CsrSpec { dns_names, ..CsrSpec::default() }.build(&key).unwrap();
        let seen = self.post(order["finalize"].as_str().unwrap(), json!({"csr": encode(csr)}));
        self.pass(MINUTE);
        (key, seen)
    }
}

fn url(path: &str) -> String {
    format!("{BASE}/acme/{path}")
}

fn certificates(pem: &[u8]) -> Vec<CertInfo> {
    CertInfo::parse_chain(pem, &PemLimits::default()).unwrap()
}

#[test]
fn a_certificate_is_issued_over_http_with_every_signature_algorithm() {
    for algorithm in ["RS256", "ES256", "ES384", "ES512", "EdDSA"] {
        let config = Config { nonce_rejection: 0, ..Config::lets_encrypt(1) };
        let mut client = Client::new(config, algorithm);
        let directory = client.get("GET", &format!("{BASE}/directory")).json();
        assert_eq!(directory["newOrder"], json!(url("new-order")));
        assert!(directory["meta"]["profiles"]["shortlived"].is_string());
        assert_eq!(client.register().status, 201, "{algorithm}");
        let names = ["a.example.com", "b.example.com"];
        let (location, order) = client.order(&names);
        assert_eq!(order["status"], "pending");
        client.prove(&order);
        assert_eq!(client.look(&location).json()["status"], "ready", "{algorithm}");
        let (key, seen) = client.finalize(&order, &names);
        assert_eq!(seen.json()["status"], "processing");
        assert_eq!(seen.header("retry-after"), "3");
        let order = client.look(&location).json();
        assert_eq!(order["status"], "valid");
        let chain = client.look(order["certificate"].as_str().unwrap());
        assert_eq!(chain.header("content-type"), "application/pem-certificate-chain");
        let certificates = certificates(&chain.body);
        let leaf = &certificates[0];
        assert_eq!(&leaf.public_key, key.public_key());
        assert_eq!(leaf.alt_names.dns_names, names);
        assert_eq!(leaf.not_after + 1 - leaf.not_before, 90 * 86_400);
        leaf.verify_issued_by(&certificates[1]).unwrap();
        let roots = client.service.roots();
        let root = &self::certificates(roots[0].as_bytes())[0];
        certificates[1].verify_issued_by(root).unwrap();
    }
}

#[test]
fn chains_are_as_long_and_as_many_as_configured_and_each_download_is_the_same() {
    let authority = Authority::generate(3, 2).unwrap();
    let mut client = Client::with(Config::lenient(1), authority, "ES256");
    client.register();
    let (location, order) = client.order(&["a.example.com"]);
    client.prove(&order);
    client.finalize(&order, &["a.example.com"]);
    let certificate = client.look(&location).json()["certificate"].as_str().unwrap().to_owned();
    let first = client.look(&certificate);
    let alternate = format!("<{certificate}/1>;rel=\"alternate\"");
    assert!(first.headers.get_all("link").iter().any(|link| *link == alternate.as_str()));
    let other = client.look(&format!("{certificate}/1"));
    assert_eq!(client.look(&certificate).body, first.body);
    let (chain, other) = (certificates(&first.body), certificates(&other.body));
    assert_eq!((chain.len(), other.len()), (4, 4));
    assert_eq!(chain[..3], other[..3]);
    for (chain, root) in [chain, other].iter().zip(client.service.roots()) {
        let root = certificates(root.as_bytes());
        for pair in chain.iter().chain(&root).collect::<Vec<_>>().windows(2) {
            pair[0].verify_issued_by(pair[1]).unwrap();
        }
    }
    assert_eq!(client.look(&format!("{certificate}/2")).status, 404);
}

#[test]
fn renewal_information_is_read_without_a_signature() {
    let mut client = Client::new(Config::lenient(1), "ES256");
    client.register();
    let (location, order) = client.order(&["a.example.com"]);
    client.prove(&order);
    client.finalize(&order, &["a.example.com"]);
    let certificate = client.look(&location).json()["certificate"].as_str().unwrap().to_owned();
    let leaf = certificates(&client.look(&certificate).body).remove(0);
    let id = format!("{}.{}", encode(leaf.authority_key_id.unwrap()), encode(&leaf.serial));
    let seen = client.get("GET", &url(&format!("renewal-info/{id}")));
    assert_eq!(seen.status, 200, "the identifier is made of what the certificate says");
    let start = NEW_YEAR + 2 * MINUTE - MINUTE + 60 * DAY - 9 * DAY / 10;
    let text = everleaf_sim::apiserver::rfc3339(start);
    assert_eq!(seen.json()["suggestedWindow"]["start"], json!(text));
    let wait: i64 = seen.header("retry-after").parse().unwrap();
    assert!((17_280..=25_920).contains(&wait), "{wait} s");
    let new = json!({"identifiers": [{"type": "dns", "value": "a.example.com"}], "replaces": id});
    assert_eq!(client.post(&url("new-order"), new).json()["replaces"], json!(id));
    let payload = json!({"certificate": encode(&leaf.der)});
    assert_eq!(client.post(&url("revoke-cert"), payload.clone()).status, 200);
    let again = client.post(&url("revoke-cert"), payload).error();
    assert_eq!(again, (400, "alreadyRevoked".into()));
}

#[test]
fn a_nonce_is_spent_by_any_use_and_every_answer_to_a_post_brings_the_next() {
    let mut client = Client::new(Config::lenient(1), "ES256");
    client.register();
    let nonce = client.nonce.clone().unwrap();
    let (location, _) = client.order(&["a.example.com"]);
    client.nonce = Some(nonce);
    let refused = client.look(&location);
    assert_eq!(refused.error(), (400, "badNonce".into()));
    assert_eq!(client.look(&location).status, 200, "with the nonce of the refusal");
    client.service.with(|ca, _| ca.reconfigure(|config| config.nonce_rejection = 1000));
    assert_eq!(client.look(&location).error().1, "badNonce");
    let counted = client.service.with(|ca, _| ca.audit().errors(ErrorKind::BadNonce));
    assert_eq!(counted, 2);
    assert_eq!(client.get("GET", &url("new-nonce")).status, 204);
    assert_eq!(client.get("HEAD", &url("new-nonce")).status, 200);
}

#[test]
fn a_signature_that_does_not_fit_is_refused() {
    let mut client = Client::new(Config::lenient(1), "ES256");
    client.register();
    let target = url("new-order");
    let payload = json!({"identifiers": [{"type": "dns", "value": "a.example.com"}]});
    let other = Key::new("ES256");
    let header = client.header(&target);
    let forged = other.jws(&header, Some(&payload));
    assert_eq!(client.request(&target, &forged).unwrap().error(), (400, "malformed".into()));

    let header = client.header(&target);
    let mut changed = client.key.jws(&header, Some(&payload));
    changed["payload"] = json!(encode("{}"));
    assert_eq!(client.request(&target, &changed).unwrap().error().1, "malformed");

    let mut header = client.header(&target);
    header["alg"] = json!("HS256");
    let weak = client.key.jws(&header, Some(&payload));
    let seen = client.request(&target, &weak).unwrap();
    assert_eq!(seen.error().1, "badSignatureAlgorithm");
    assert_eq!(seen.json()["algorithms"].as_array().unwrap().len(), 5);

    let header = client.header(&url("new-acct"));
    let misdirected = client.key.jws(&header, Some(&payload));
    let seen = client.request(&target, &misdirected).unwrap();
    assert_eq!(seen.error(), (403, "unauthorized".into()));

    let mut header = client.header(&target);
    header["jwk"] = client.key.jwk();
    let both = client.key.jws(&header, Some(&payload));
    assert_eq!(client.request(&target, &both).unwrap().error().1, "malformed");

    client.kid = Some(url("acct/99"));
    assert_eq!(client.post(&target, payload).error().1, "accountDoesNotExist");
    assert_eq!(client.service.with(|ca, _| ca.audit().total(CallKind::NewOrder)), 0);
}

#[test]
fn what_is_no_acme_request_is_refused() {
    let mut client = Client::new(Config::lenient(1), "ES256");
    client.register();
    assert_eq!(client.get("GET", &url("new-order")).status, 405);
    assert_eq!(client.get("GET", &url("order/1")).status, 405, "no unauthenticated GET");
    assert_eq!(client.get("GET", &url("nothing")).status, 404);
    let plain = Request::post(url("new-order")).body(Full::from("{}")).unwrap();
    assert_eq!(client.send(plain).unwrap().status, 415);
    let hostile = "[".repeat(100_000);
    let request = Request::post(url("new-order")).header("content-type", "application/jose+json");
    assert_eq!(client.send(request.body(Full::from(hostile)).unwrap()).unwrap().status, 400);
    let huge = Bytes::from(vec![b' '; 200_000]);
    let request = Request::post(url("new-order")).header("content-type", "application/jose+json");
    assert_eq!(client.send(request.body(Full::from(huge)).unwrap()).unwrap().status, 413);
    let bad = json!({"identifiers": [{"type": "email", "value": "a@example.com"}]});
    assert_eq!(client.post(&url("new-order"), bad).error().1, "unsupportedIdentifier");
    let (_, order) = client.order(&["a.example.com"]);
    client.prove(&order);
    let seen = client.post(order["finalize"].as_str().unwrap(), json!({"csr": "AAAA"}));
    assert_eq!(seen.error().1, "badCSR");
}

#[test]
fn an_external_account_is_bound_by_its_secret() {
    let keys = [("kid-1".to_owned(), ExternalKey(b"secret".to_vec()))].into();
    let config = Config { external_keys: keys, external_required: true, ..Config::lenient(1) };
    let mut client = Client::new(config, "ES256");
    let target = url("new-acct");
    let mut register = |kid: &str, secret: &[u8], bound_to: &str| {
        let jwk = client.key.jwk();
        let binding = external(kid, secret, bound_to, &jwk);
        let payload = json!({"termsOfServiceAgreed": true, "externalAccountBinding": binding});
        client.post(&target, payload)
    };
    assert_eq!(register("kid-1", b"wrong", &target).error(), (403, "unauthorized".into()));
    assert_eq!(register("kid-2", b"secret", &target).error().1, "unauthorized");
    assert_eq!(register("kid-1", b"secret", &url("other")).error().1, "malformed");
    assert_eq!(register("kid-1", b"secret", &target).status, 201);
    assert_eq!(register("kid-1", b"secret", &target).status, 200, "it exists");
    let mut other = Client { key: Key::new("EdDSA"), kid: None, nonce: None, ..client };
    let refused = other.post(&target, json!({"termsOfServiceAgreed": true}));
    assert_eq!(refused.error().1, "externalAccountRequired");
}

#[test]
fn retry_after_is_said_in_seconds_or_as_a_date() {
    let mut client = Client::new(Config::lenient(1), "ES256");
    client.register();
    for (style, text) in [
        (RetryStyle::Seconds, "3600"),
        (RetryStyle::Date, "Thu, 01 Jan 2026 01:00:00 GMT"),
        (RetryStyle::Absent, ""),
    ] {
        let fault = Fault::TooManyRequests { seconds: 3600, style };
        let script = Script::default().then(CallKind::NewOrder, fault);
        client.service.with(|ca, _| ca.set_faults(Some(Box::new(script))));
        let seen = client.post(&url("new-order"), json!({"identifiers": []}));
        assert_eq!(seen.error(), (429, "rateLimited".into()));
        assert_eq!(seen.header("retry-after"), text);
        assert_eq!(seen.header("content-type"), "application/problem+json");
    }
}

#[test]
fn answers_are_lost_refused_truncated_and_slow() {
    let mut client = Client::new(Config::lenient(1), "ES256");
    client.register();
    let strike = |client: &Client, fault| {
        let script = Script::default().then(CallKind::NewOrder, fault);
        client.service.with(|ca, _| ca.set_faults(Some(Box::new(script))));
    };
    let payload = json!({"identifiers": [{"type": "dns", "value": "a.example.com"}]});
    let target = url("new-order");
    strike(&client, Fault::Lost { applied: true });
    let lost = client.try_post(&target, Some(&payload)).err().unwrap();
    assert_eq!(lost, "connection reset by peer");
    strike(&client, Fault::Truncated);
    let cut = client.try_post(&target, Some(&payload)).err().unwrap();
    assert_eq!(cut, "connection closed before message completed");
    let open = |client: &Client| client.service.with(|ca, now| ca.open_orders(now, 1).len());
    assert_eq!(open(&client), 2, "both were made");

    strike(&client, Fault::Slow(30 * SECOND));
    let header = client.header(&target);
    let jws = client.key.jws(&header, Some(&payload)).to_string();
    let request = Request::post(&target).header("content-type", "application/jose+json");
    let request = request.body(Full::from(jws)).unwrap();
    let response = block_on(client.service.call(request)).unwrap();
    let mut body = Box::pin(response.into_body().collect());
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    assert!(body.as_mut().poll(&mut context).is_pending());
    client.pass(30 * SECOND - 1);
    assert!(body.as_mut().poll(&mut context).is_pending());
    client.pass(1);
    assert!(matches!(body.as_mut().poll(&mut context), Poll::Ready(Ok(_))));

    client.get("HEAD", &url("new-nonce"));
    client.service.with(|ca, now| ca.outage(now, now + HOUR));
    let refused = client.try_post(&target, Some(&payload)).err().unwrap();
    assert_eq!(refused, "connection refused");
    client.pass(HOUR);
    assert_eq!(client.post(&target, payload).status, 201);
}

#[test]
fn a_wrong_certificate_is_wrong_in_its_der_too() {
    for wrong in [Wrong::OtherKey, Wrong::OtherNames, Wrong::Expired, Wrong::Shorter] {
        let mut client = Client::new(Config::lenient(1), "ES256");
        client.register();
        let (location, order) = client.order(&["a.example.com"]);
        client.prove(&order);
        let script = Script::default().then(CallKind::Finalize, Fault::Wrong(wrong));
        client.service.with(|ca, _| ca.set_faults(Some(Box::new(script))));
        let (key, _) = client.finalize(&order, &["a.example.com"]);
        let certificate = client.look(&location).json()["certificate"].as_str().unwrap().to_owned();
        let leaf = certificates(&client.look(&certificate).body).remove(0);
        assert_eq!(&leaf.public_key != key.public_key(), wrong == Wrong::OtherKey);
        assert_eq!(leaf.alt_names.dns_names != ["a.example.com"], wrong == Wrong::OtherNames);
        assert_eq!(leaf.not_after * 1000 < NEW_YEAR, wrong == Wrong::Expired);
        let days = (leaf.not_after + 1 - leaf.not_before) / 86_400;
        assert_eq!(days, if wrong == Wrong::Shorter { 9 } else { 90 });
    }
}

#[test]
fn limits_at_the_edge_count_by_address() {
    let mut client = Client::new(Config::lets_encrypt(1), "ES256");
    let nonces = |client: &mut Client| {
        (0..11).map(|_| client.get("HEAD", &url("new-nonce")).status).collect::<Vec<_>>()
    };
    let statuses = nonces(&mut client);
    assert_eq!(statuses[..10], [200; 10]);
    assert_eq!(statuses[10], 503);
    client.service = client.service.from_source("198.51.100.7");
    assert_eq!(nonces(&mut client)[0], 200);
}

#[test]
fn the_list_of_orders_has_pages() {
    let config = Config { lists_orders: true, ..Config::lenient(1) };
    let mut client = Client::new(config, "EdDSA");
    let list = client.register().json()["orders"].as_str().unwrap().to_owned();
    for at in 0..51 {
        client.order(&[&format!("a{at}.example.com")]);
    }
    let first = client.look(&list);
    assert_eq!(first.json()["orders"].as_array().unwrap().len(), 50);
    let next = first.headers.get_all("link").iter().find_map(|link| {
        let (url, relation) = link.to_str().unwrap().split_once(">;")?;
        (relation == "rel=\"next\"").then(|| url.trim_start_matches('<').to_owned())
    });
    let last = client.look(&next.unwrap());
    assert_eq!(last.json()["orders"].as_array().unwrap().len(), 1);
    let other = client.look(&list.replace("orders/1", "orders/2"));
    assert_eq!(other.error(), (403, "unauthorized".into()));
}
