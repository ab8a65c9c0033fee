//! Certificates of an ACME CA: Pebble, which validates through a real proxy and a real DNS server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_e2e::{
    Operator, Scope, World, condition, data, eventually, name_of, scenario, skip, text, variable,
};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// What the test bed says of its CA.
struct Ca {
    directory: String,
    bundle: Vec<u8>,
    host: String,
}

/// The CA; without one, it skips aloud.
fn ca(scenario: &str) -> Option<Ca> {
    let found = (variable("TESTBED_PEBBLE"), variable("TESTBED_CA"), variable("TESTBED_HOST"));
    let (Some(directory), Some(bundle), Some(host)) = found else {
        skip(scenario, "set TESTBED_PEBBLE, TESTBED_CA and TESTBED_HOST (the test bed does)");
        return None;
    };
    let bundle = std::fs::read(&bundle).unwrap_or_else(|error| panic!("{bundle}: {error}"));
    Some(Ca { directory, bundle, host })
}

impl Ca {
    /// An operator that answers HTTP-01 at a port of its own, for scenarios run side by side.
    fn operator(&self, world: &World, port: u16) -> Operator {
        let mut flags = vec![
            format!("--acme-http01-responder-ip={}", self.host),
            format!("--acme-http01-responder-port={port}"),
        ];
        flags.extend(
            variable("TESTBED_DNS").map(|dns| format!("--dns01-recursive-nameservers={dns}")),
        );
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        world.operator(&flags)
    }

    fn issuer(&self, solvers: &Value) -> Value {
        let mut acme = json!({
            "server": self.directory,
            "email": "Ops@example.test",
            "caBundle": STANDARD.encode(&self.bundle),
            "privateKeySecretRef": { "name": "account" },
            "solvers": solvers,
        });
        if variable("TESTBED_EAB").is_some() {
            let key = json!({ "name": "eab", "key": "key" });
            acme["externalAccountBinding"] = json!({ "keyID": "kid-1", "keySecretRef": key });
        }
        json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": { "name": "pebble" },
            "spec": { "acme": acme },
        })
    }

    async fn serve(&self, world: &World, solvers: &Value) -> Value {
        self.serve_as(world, self.issuer(solvers)).await
    }

    async fn serve_as(&self, world: &World, issuer: Value) -> Value {
        if let Some(key) = eab_key() {
            world.create(secret("eab", "key", &key)).await;
        }
        world.create(issuer).await;
        world.ready("Issuer", "pebble").await
    }
}

/// The MAC key of the test bed's Pebble, if it asks for one.
fn eab_key() -> Option<String> {
    variable("TESTBED_EAB")?;
    let ca = variable("TESTBED_CA")?;
    let file = Path::new(&ca).parent()?.parent()?.join("pebble/config.json");
    let text = std::fs::read_to_string(file).ok()?;
    let config: Value = serde_json::from_str(&text).ok()?;
    let keys = config.pointer("/pebble/externalAccountMACKeys")?;
    Some(text_of(&keys["kid-1"]))
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn secret(name: &str, key: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name },
        "stringData": { key: value },
    })
}

fn http01() -> Value {
    json!([{ "http01": { "ingress": { "ingressClassName": "traefik" } } }])
}

/// A DNS server that takes changes signed with a key.
struct Zone {
    server: String,
    key_name: String,
    key_file: String,
}

impl Zone {
    /// The test bed's; without one, it skips aloud.
    fn told(scenario: &str) -> Option<Self> {
        let told =
            (variable("TESTBED_DNS"), variable("TESTBED_TSIG_NAME"), variable("TESTBED_TSIG_FILE"));
        let (Some(server), Some(key_name), Some(key_file)) = told else {
            skip(scenario, "set TESTBED_DNS, TESTBED_TSIG_NAME and TESTBED_TSIG_FILE");
            return None;
        };
        Some(Self { server, key_name, key_file })
    }

    /// A solver that changes it; makes the Secret that it needs.
    async fn solvers(&self, world: &World) -> Value {
        let key = std::fs::read_to_string(&self.key_file).expect("the TSIG key");
        world.create(secret("tsig", "key", key.trim())).await;
        json!([{ "dns01": { "rfc2136": {
            "nameserver": self.server,
            "tsigKeyName": self.key_name,
            "tsigAlgorithm": "HMACSHA256",
            "tsigSecretSecretRef": { "name": "tsig", "key": "key" },
        } } }])
    }
}

/// An Ingress that serves a host and wants a certificate for it.
fn ingress(name: &str, host: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": name, "annotations": annotations },
        "spec": {
            "ingressClassName": "traefik",
            "tls": [{ "hosts": [host], "secretName": format!("{name}-tls") }],
            "rules": [{ "host": host, "http": { "paths": [{
                "path": "/",
                "pathType": "Prefix",
                "backend": { "service": { "name": "web", "port": { "number": 80 } } },
            }] } }],
        },
    })
}

async fn names(world: &World, kind: &str) -> Vec<String> {
    let all = world.list(kind).await;
    all.iter().map(|object| name_of(object).to_owned()).collect()
}

/// Nothing that was made for challenges is left.
async fn swept(world: &World) {
    eventually("no Challenge, route, Service or slice is left", 60, async || {
        let mut left = names(world, "Challenge").await;
        for kind in ["Ingress", "Service", "EndpointSlice"] {
            left.extend(names(world, kind).await);
        }
        left.retain(|name| name.contains("-solver-") || name.matches('-').count() > 2);
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    })
    .await;
}

/// The texts that a name's TXT records have; `None` where there is no `dig`.
fn txt(name: &str) -> Option<String> {
    let dns = variable("TESTBED_DNS")?;
    let (host, port) = dns.rsplit_once(':')?;
    let asked =
        Command::new("dig").args(["+short", "-p", port, &format!("@{host}"), "TXT", name]).output();
    let Ok(answer) = asked else {
        skip("records", "install dig");
        return None;
    };
    Some(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

fn assert_covers(world: &World, secret: &Value, names: &[&str]) {
    world.openssl.assert_pair(&data(secret, "tls.crt"), &data(secret, "tls.key"));
    let said = text(secret, "/metadata/annotations/cert-manager.io~1alt-names");
    let mut said: Vec<&str> = said.split(',').collect();
    said.sort_unstable();
    assert_eq!(said, names);
}

#[test]
fn an_account_is_registered_once_and_found_again_by_its_key() {
    let Some(ca) = ca("acme-account") else { return };
    scenario("acme-account", Scope::Namespace, async |world| {
        let operator = ca.operator(world, 18_081);
        let issuer = ca.serve(world, &http01()).await;
        let uri = text(&issuer, "/status/acme/uri").to_owned();
        assert!(uri.starts_with("https://"), "{issuer}");
        assert_eq!(condition(&issuer, "Ready").unwrap()["reason"], "ACMEAccountRegistered");
        let key = world.get("Secret", "account").await;
        assert!(data(&key, "tls.key").starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
        assert_eq!(key["metadata"]["labels"]["app.kubernetes.io/managed-by"], "cert-manager");
        operator.kill();

        // The status is lost, as after a restore: the key leads to the same account.
        let nothing = json!({ "acme": null, "conditions": null });
        world.patch_status(("Issuer", "pebble"), "e2e", nothing).await;
        let gone = json!({ "metadata": { "annotations": { "everleaf.dev/acme-account": null } } });
        world.patch("Issuer", "pebble", gone).await;
        let _operator = ca.operator(world, 18_081);
        let issuer = world.ready("Issuer", "pebble").await;
        assert_eq!(text(&issuer, "/status/acme/uri"), uri);
    });
}

#[test]
fn a_ca_that_asks_for_a_binding_is_told_apart_from_one_that_has_it() {
    let Some(ca) = ca("acme-eab") else { return };
    if eab_key().is_none() {
        return skip("acme-eab", "start the test bed with TESTBED_EAB=1, and set it");
    }
    scenario("acme-eab", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, 18_082);
        let mut unbound = ca.issuer(&http01());
        unbound["metadata"]["name"] = "unbound".into();
        unbound["spec"]["acme"]["privateKeySecretRef"]["name"] = "other".into();
        unbound["spec"]["acme"].as_object_mut().unwrap().remove("externalAccountBinding");
        world.create(unbound).await;
        let told = |issuer: &Value| {
            condition(issuer, "Ready").is_some_and(|ready| {
                ready["reason"] == "ErrRegisterACMEAccount"
                    && text(ready, "/message").contains("externalAccountRequired")
            })
        };
        world.until(("Issuer", "unbound"), "says that a binding is missing", told).await;
        ca.serve(world, &http01()).await;
    });
}

#[test]
fn an_annotated_ingress_becomes_a_certificate_by_http01_and_leaves_nothing_behind() {
    let Some(ca) = ca("acme-http01") else { return };
    scenario("acme-http01", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, 18_083);
        ca.serve(world, &http01()).await;
        let annotations = json!({ "cert-manager.io/issuer": "pebble" });
        world.create(ingress("shop", "shop.example.test", &annotations)).await;
        world.revision("shop-tls", 1).await;
        assert_covers(world, &world.get("Secret", "shop-tls").await, &["shop.example.test"]);
        swept(world).await;

        // The same in place: the user's Ingress is as before.
        let in_place = json!({
            "cert-manager.io/issuer": "pebble",
            "acme.cert-manager.io/http01-edit-in-place": "true",
        });
        let before = world.create(ingress("place", "place.example.test", &in_place)).await;
        world.revision("place-tls", 1).await;
        swept(world).await;
        let after = world.get("Ingress", "place").await;
        assert_eq!(after["spec"], before["spec"]);
    });
}

#[test]
fn a_wildcard_and_its_apex_are_proved_by_dns01_and_the_records_go() {
    let Some(ca) = ca("acme-dns01") else { return };
    let Some(zone) = Zone::told("acme-dns01") else { return };
    scenario("acme-dns01", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, 18_084);
        ca.serve(world, &zone.solvers(world).await).await;
        let apex = format!("{}.example.test", world.namespace);
        let wildcard = format!("*.{apex}");
        let spec = json!({ "dnsNames": [apex, wildcard], "issuerRef": { "name": "pebble" } });
        world.certificate("wild", spec).await;
        world.revision("wild", 1).await;
        assert_covers(world, &world.get("Secret", "wild-tls").await, &[&wildcard, &apex]);
        swept(world).await;
        let record = format!("_acme-challenge.{apex}");
        assert_eq!(txt(&record).unwrap_or_default(), "", "both values are gone");
    });
}

#[test]
fn a_name_that_the_ca_forbids_fails_at_once_with_reason_and_class() {
    let Some(ca) = ca("acme-forbidden") else { return };
    scenario("acme-forbidden", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, 18_085);
        ca.serve(world, &http01()).await;
        let spec =
            json!({ "dnsNames": ["blocked.example.test"], "issuerRef": { "name": "pebble" } });
        world.certificate("blocked", spec).await;
        let told = |object: &Value| {
            condition(object, "Issuing").is_some_and(|issuing| {
                issuing["status"] == "False"
                    && text(issuing, "/message").contains("rejectedIdentifier")
            })
        };
        world.until(("Certificate", "blocked"), "says what the CA said", told).await;
        let orders = world.list("Order").await;
        let [order] = orders.as_slice() else { panic!("one Order, once: {orders:?}") };
        assert_eq!(text(order, "/status/state"), "errored");
        let note = text(order, "/metadata/annotations/everleaf.dev~1acme-attempt");
        let note: Value = serde_json::from_str(note).expect("a note");
        assert_eq!(note["class"], "user");
        assert_eq!(note["type"], "urn:ietf:params:acme:error:rejectedIdentifier");
    });
}

/// What an Order's last attempt says.
fn attempt(order: &Value) -> Value {
    let note = text(order, "/metadata/annotations/everleaf.dev~1acme-attempt");
    serde_json::from_str(note).unwrap_or_default()
}

async fn only_order(world: &World, told: impl Fn(&Value) -> bool) -> Value {
    eventually("the Order says what was seen", 60, async || {
        let all = world.list("Order").await;
        let [order] = all.as_slice() else { return Err(format!("{} Orders", all.len())) };
        if told(&attempt(order)) { Ok(order.clone()) } else { Err(order.to_string()) }
    })
    .await
}

#[test]
fn a_name_without_an_address_waits_with_what_was_seen_and_spends_nothing() {
    let Some(ca) = ca("acme-unknown") else { return };
    scenario("acme-unknown", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, 18_086);
        ca.serve(world, &http01()).await;
        let spec = json!({ "dnsNames": ["no.such.zone.test"], "issuerRef": { "name": "pebble" } });
        world.certificate("unknown", spec).await;
        let told = |note: &Value| text(note, "/detail").contains("DNS has no address");
        let order = only_order(world, told).await;
        assert_eq!(attempt(&order)["class"], "transient");
        assert_eq!(text(&order, "/status/url"), "", "the CA was not asked");
        world.delete("Certificate", "unknown").await;
        swept(world).await;
    });
}

#[test]
fn a_caa_record_that_forbids_is_told_before_an_order_is_placed() {
    let Some(ca) = ca("acme-caa") else { return };
    let Some(zone) = Zone::told("acme-caa") else { return };
    scenario("acme-caa", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, 18_087);
        let mut issuer = ca.issuer(&zone.solvers(world).await);
        issuer["metadata"]["annotations"] = json!({ "everleaf.dev/caa-identities": "pebble.test" });
        ca.serve_as(world, issuer).await;
        let spec = |name: &str| json!({ "dnsNames": [name], "issuerRef": { "name": "pebble" } });
        world.certificate("forbidden", spec("caa-forbids.example.test")).await;
        let told = |note: &Value| note["type"] == "urn:ietf:params:acme:error:caa";
        let order = only_order(world, told).await;
        let said = text(&order, "/status/reason");
        assert!(said.contains("CAA 0 issue \"other-ca.test\""), "{said}");
        assert_eq!(text(&order, "/status/url"), "", "the CA was not asked");
        world.delete("Certificate", "forbidden").await;

        world.certificate("allowed", spec("caa-allows.example.test")).await;
        world.revision("allowed", 1).await;
    });
}
