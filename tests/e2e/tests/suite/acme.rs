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
        if let Some(key) = eab_key() {
            world.create(secret("eab", "key", &key)).await;
        }
        world.create(self.issuer(solvers)).await;
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
    let told =
        (variable("TESTBED_TSIG_NAME"), variable("TESTBED_TSIG_FILE"), variable("TESTBED_DNS"));
    let (Some(key_name), Some(file), Some(server)) = told else {
        return skip("acme-dns01", "set TESTBED_DNS, TESTBED_TSIG_NAME and TESTBED_TSIG_FILE");
    };
    scenario("acme-dns01", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, 18_084);
        let key = std::fs::read_to_string(file).expect("the TSIG key");
        world.create(secret("tsig", "key", key.trim())).await;
        let rfc2136 = json!({
            "nameserver": server,
            "tsigKeyName": key_name,
            "tsigAlgorithm": "HMACSHA256",
            "tsigSecretSecretRef": { "name": "tsig", "key": "key" },
        });
        ca.serve(world, &json!([{ "dns01": { "rfc2136": rfc2136 } }])).await;
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

#[test]
fn a_name_without_an_address_waits_with_what_was_seen_and_spends_nothing() {
    let Some(ca) = ca("acme-unknown") else { return };
    scenario("acme-unknown", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, 18_086);
        ca.serve(world, &http01()).await;
        let spec = json!({ "dnsNames": ["no.such.zone.test"], "issuerRef": { "name": "pebble" } });
        world.certificate("unknown", spec).await;
        let challenge = eventually("the Challenge says what was seen", 60, async || {
            let all = world.list("Challenge").await;
            let challenge = all.into_iter().next().ok_or("there is none")?;
            let said = text(&challenge, "/status/reason").to_owned();
            // The reason is there first; the note comes with the first self-check of its own.
            let noted =
                !text(&challenge, "/metadata/annotations/everleaf.dev~1acme-attempt").is_empty();
            if said.contains("DNS") && noted { Ok(challenge) } else { Err(said) }
        })
        .await;
        let note = text(&challenge, "/metadata/annotations/everleaf.dev~1acme-attempt");
        let note: Value = serde_json::from_str(note).expect("a note");
        assert_eq!((&note["step"], &note["class"]), (&json!("self_check"), &json!("transient")));
        assert_eq!(text(&challenge, "/status/state"), "", "the CA was not told to validate");
        world.delete("Certificate", "unknown").await;
        swept(world).await;
    });
}
