//! Renewal when the CA says so (RFC 9773), and certificates that live for minutes.

use crate::acme::ingress;
use everleaf_e2e::acme::{Ca, http01};
use everleaf_e2e::{Scope, World, data, eventually, rfc3339, scenario, skip, text, variable};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

/// A window that is over when it is looked at, but not before the certificate began: that would
/// be another's.
const OVER: (i64, i64) = (-3600, 5);

/// Tells Pebble which window to suggest for a certificate, in seconds from now.
fn suggest(world: &World, chain: &[u8], (start, end): (i64, i64)) {
    let admin = variable("TESTBED_PEBBLE_ADMIN").expect("checked before");
    let chain = String::from_utf8_lossy(chain);
    let (leaf, _) = chain.split_once("-----END CERTIFICATE-----").expect("a certificate");
    let window = json!({ "start": rfc3339(start), "end": rfc3339(end) });
    let answer = json!({ "suggestedWindow": window, "explanationURL": "https://ca.test/why" });
    let body = json!({
        "Certificate": format!("{leaf}-----END CERTIFICATE-----\n"),
        "ARIResponse": answer.to_string(),
    });
    let file = world.openssl.file("renewal-info.json", body.to_string().as_bytes());
    let url = format!("{}/set-renewal-info/", admin.trim_end_matches('/'));
    let data = format!("@{file}");
    let sent = Command::new("curl").args(["-fsSk", "--data-binary", &data, &url]).output();
    let sent = sent.expect("curl is installed");
    assert!(sent.status.success(), "{url}: {}", String::from_utf8_lossy(&sent.stderr));
}

/// What Pebble logged; `None` where it is not a test bed's.
fn pebble_log() -> Option<String> {
    let ca = variable("TESTBED_CA")?;
    let log = Path::new(&ca).parent()?.parent()?.join("log/pebble.log");
    std::fs::read(log).ok().map(|log| String::from_utf8_lossy(&log).into_owned())
}

/// The CA, if it can be told what to suggest.
fn governed(scenario: &str) -> Option<Ca> {
    let ca = Ca::pebble(scenario)?;
    if variable("TESTBED_PEBBLE_ADMIN").is_none()
        || Command::new("curl").arg("-V").output().is_err()
    {
        skip(scenario, "set TESTBED_PEBBLE_ADMIN (the test bed does), and install curl");
        return None;
    }
    Some(ca)
}

async fn window_known(world: &World, name: &str) -> Value {
    let known = |object: &Value| {
        object.pointer("/status/acme/ari/suggestedWindow/start").is_some_and(Value::is_string)
    };
    world.until(("Certificate", name), "tells the window that the CA suggests", known).await
}

/// The CA changed its mind: the next look is now, not in hours.
async fn look_now(world: &World, name: &str) {
    let now = json!({ "acme": { "ari": { "nextCheck": rfc3339(1) } } });
    world.patch_status(("Certificate", name), "e2e", now).await;
}

/// Looks are a minute apart at least, and so is a renewal in a hurry from what came before.
async fn renewed(world: &World, name: &str) {
    eventually("it is renewed, for its window is over", 150, async || {
        let found = world.get("Certificate", name).await;
        let status = &found["status"];
        if status["revision"] == 2 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

fn instant(object: &Value, pointer: &str) -> i64 {
    let at = text(object, pointer);
    let said = Command::new("date").args(["-u", "+%s", "-d", at]).output().expect("date");
    String::from_utf8_lossy(&said.stdout).trim().parse().unwrap_or_default()
}

/// Handshakes with the proxy for a host, one after the other, until it is told to stop.
struct Visitor {
    over: Arc<AtomicBool>,
    made: Arc<AtomicU32>,
    thread: JoinHandle<Vec<String>>,
}

impl Visitor {
    fn new(host: &str, proxy: &str, roots: String) -> Self {
        let (over, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (host, proxy) = (host.to_owned(), format!("{proxy}:443"));
        let (stop, count) = (over.clone(), made.clone());
        let thread = std::thread::spawn(move || {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let arguments = [
                    "s_client",
                    "-connect",
                    &proxy,
                    "-servername",
                    &host,
                    "-verify_hostname",
                    &host,
                    "-verify_return_error",
                    "-CAfile",
                    &roots,
                ];
                let visit = Command::new("openssl")
                    .args(arguments)
                    .stdin(std::process::Stdio::null())
                    .output()
                    .expect("openssl is installed");
                count.fetch_add(1, Ordering::Relaxed);
                if !visit.status.success() {
                    failed.push(String::from_utf8_lossy(&visit.stderr).into_owned());
                }
            }
            failed
        });
        Self { over, made, thread }
    }

    /// How many handshakes there were, and what was said of those that failed.
    fn finish(self) -> (u32, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let failed = self.thread.join().expect("it does not panic");
        (self.made.load(Ordering::Relaxed), failed)
    }
}

/// Pebble's roots; which of its two chains is served does not matter.
fn roots(world: &World) -> String {
    let admin = variable("TESTBED_PEBBLE_ADMIN").expect("checked before");
    let url = format!("{}/roots/0", admin.trim_end_matches('/'));
    let got = Command::new("curl").args(["-fsSk", &url]).output().expect("curl is installed");
    world.openssl.file("pebble-roots.pem", &got.stdout)
}

#[test]
fn a_window_that_the_ca_moves_renews_and_the_order_says_what_it_replaces() {
    let Some(ca) = governed("acme-ari") else { return };
    scenario("acme-ari", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        // Without a profile, Pebble draws one, and a life of minutes with it.
        ca.serve(world, &json!([http01()]), json!({ "profile": "default" })).await;
        let host = format!("{}.example.test", world.namespace);
        let spec = json!({ "dnsNames": [host], "issuerRef": { "name": "acme" } });
        world.certificate("moved", spec).await;
        world.revision("moved", 1).await;
        let told = window_known(world, "moved").await;
        let renewal = instant(&told, "/status/renewalTime");
        let (begin, end) =
            ("/status/acme/ari/suggestedWindow/start", "/status/acme/ari/suggestedWindow/end");
        let window = instant(&told, begin)..=instant(&told, end);
        assert!(window.contains(&renewal), "{renewal} in {window:?}");

        let chain = data(&world.get("Secret", "moved-tls").await, "tls.crt");
        suggest(world, &chain, OVER);
        look_now(world, "moved").await;
        renewed(world, "moved").await;
        let orders = world.list("Order").await;
        let replaces = orders.iter().map(|order| text(order, "/spec/replaces"));
        let replaces: Vec<&str> = replaces.filter(|id| !id.is_empty()).collect();
        let [id] = replaces.as_slice() else { panic!("one Order replaces: {orders:?}") };
        assert!(id.contains('.'), "{id}");
        if let Some(log) = pebble_log() {
            let urls = orders.iter().filter(|order| !text(order, "/spec/replaces").is_empty());
            let url = urls.map(|order| text(order, "/status/url").to_owned()).next().unwrap();
            let order = url.rsplit('/').next().unwrap_or_default();
            let seen = |line: &str| line.contains("replacement of") && line.contains(order);
            assert!(log.lines().any(seen), "Pebble saw that {order} replaces");
        } else {
            skip("acme-ari: the CA's own log", "run it in the test bed");
        }
        let events = world.list("Event").await;
        let said = |event: &Value| event["reason"] == "RenewalMoved";
        assert!(events.iter().any(said), "the CA's explanation is told");
        let told = window_known(world, "moved").await;
        assert!(instant(&told, "/status/renewalTime") > instant(&told, "/status/notBefore") + 3600);
    });
}

#[test]
fn a_certificate_of_minutes_is_replaced_under_a_proxy_without_a_failed_handshake() {
    let Some(ca) = governed("acme-minutes") else { return };
    let Some(proxy) = variable("TESTBED_PROXY") else {
        return skip("acme-minutes", "set TESTBED_PROXY (the test bed does)");
    };
    scenario("acme-minutes", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({ "profile": "minutes" })).await;
        let host = format!("{}.example.test", world.namespace);
        let annotations = json!({ "cert-manager.io/issuer": "acme" });
        world.create(ingress("shop", &host, &annotations)).await;
        world.revision("shop-tls", 1).await;
        let told = window_known(world, "shop-tls").await;
        let life = instant(&told, "/status/notAfter") - instant(&told, "/status/notBefore");
        assert!((590..=610).contains(&life), "{life}");
        // Whatever window was drawn from, half the life is used and a quarter is left at least.
        let left = instant(&told, "/status/notAfter") - instant(&told, "/status/renewalTime");
        assert!((150..=310).contains(&left), "{left} s are left at its renewal");

        let roots = roots(world);
        let proxy = proxy.split(':').next().unwrap_or_default().to_owned();
        eventually("the proxy serves the certificate", 30, async || {
            let at = format!("{proxy}:443");
            let arguments = [
                "s_client",
                "-connect",
                &at,
                "-servername",
                &host,
                "-verify_return_error",
                "-verify_hostname",
                &host,
                "-CAfile",
                &roots,
            ];
            world.openssl.run(&arguments).map(drop)
        })
        .await;
        let visitor = Visitor::new(&host, &proxy, roots);
        let chain = data(&world.get("Secret", "shop-tls").await, "tls.crt");
        suggest(world, &chain, OVER);
        look_now(world, "shop-tls").await;
        renewed(world, "shop-tls").await;
        window_known(world, "shop-tls").await;
        let (made, failed) = visitor.finish();
        assert!(failed.is_empty(), "{} of {made} handshakes failed: {}", failed.len(), failed[0]);
        assert!(made > 20, "{made} handshakes");
    });
}
