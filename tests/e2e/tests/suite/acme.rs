//! Certificates of an ACME CA: Pebble, which validates through a real proxy and a real DNS server.

use everleaf_e2e::acme::{Ca, Dns, assert_covers, eab_key, http01, rfc2136, swept};
use everleaf_e2e::{Scope, condition, data, scenario, skip, text};
use serde_json::{Value, json};

/// An Ingress that serves a host and wants a certificate for it.
pub fn ingress(name: &str, host: &str, annotations: &Value) -> Value {
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

#[test]
fn an_account_is_registered_once_and_found_again_by_its_key() {
    let Some(ca) = Ca::pebble("acme-account") else { return };
    scenario("acme-account", Scope::Namespace, async |world| {
        let operator = ca.operator(world, &[]);
        let issuer = ca.serve(world, &json!([http01()]), json!({})).await;
        let uri = text(&issuer, "/status/acme/uri").to_owned();
        assert!(uri.starts_with("https://"), "{issuer}");
        assert_eq!(condition(&issuer, "Ready").unwrap()["reason"], "ACMEAccountRegistered");
        let key = world.get("Secret", "account").await;
        assert!(data(&key, "tls.key").starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
        assert_eq!(key["metadata"]["labels"]["app.kubernetes.io/managed-by"], "cert-manager");
        operator.kill();

        // The status is lost, as after a restore: the key leads to the same account.
        let nothing = json!({ "acme": null, "conditions": null });
        world.patch_status(("Issuer", "acme"), "e2e", nothing).await;
        let gone = json!({ "metadata": { "annotations": { "everleaf.dev/acme-account": null } } });
        world.patch("Issuer", "acme", gone).await;
        let _operator = ca.operator(world, &[]);
        let issuer = world.ready("Issuer", "acme").await;
        assert_eq!(text(&issuer, "/status/acme/uri"), uri);
    });
}

#[test]
fn a_ca_that_asks_for_a_binding_is_told_apart_from_one_that_has_it() {
    let Some(ca) = Ca::pebble("acme-eab") else { return };
    if eab_key().is_none() {
        return skip("acme-eab", "start the test bed with TESTBED_EAB=1, and set it");
    }
    scenario("acme-eab", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        let mut unbound = ca.issuer(&json!([http01()]), json!({}));
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
        ca.serve(world, &json!([http01()]), json!({})).await;
    });
}

#[test]
fn an_annotated_ingress_becomes_a_certificate_by_http01_and_leaves_nothing_behind() {
    let Some(ca) = Ca::pebble("acme-http01") else { return };
    scenario("acme-http01", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        let annotations = json!({ "cert-manager.io/issuer": "acme" });
        world.create(ingress("shop", "shop.example.test", &annotations)).await;
        world.revision("shop-tls", 1).await;
        assert_covers(world, &world.get("Secret", "shop-tls").await, &["shop.example.test"]);
        swept(world).await;

        // The same in place: the user's Ingress is as before.
        let in_place = json!({
            "cert-manager.io/issuer": "acme",
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
    let Some(ca) = Ca::pebble("acme-dns01") else { return };
    let Some(dns) = Dns::open("acme-dns01") else { return };
    scenario("acme-dns01", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        let solver = rfc2136(world).await;
        ca.serve(world, &json!([solver]), json!({})).await;
        let apex = format!("{}.example.test", world.namespace);
        let wildcard = format!("*.{apex}");
        let spec = json!({ "dnsNames": [apex, wildcard], "issuerRef": { "name": "acme" } });
        world.certificate("wild", spec).await;
        world.revision("wild", 1).await;
        assert_covers(world, &world.get("Secret", "wild-tls").await, &[&wildcard, &apex]);
        swept(world).await;
        let record = format!("_acme-challenge.{apex}");
        assert!(dns.txt(&record).is_empty(), "both values are gone");
    });
}

#[test]
fn a_name_that_the_ca_forbids_fails_at_once_with_reason_and_class() {
    let Some(ca) = Ca::pebble("acme-forbidden") else { return };
    scenario("acme-forbidden", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        let spec = json!({ "dnsNames": ["blocked.example.test"], "issuerRef": { "name": "acme" } });
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
