//! Issuing again because somebody asks for it.

use everleaf_e2e::{History, Scope, condition, data, scenario};
use serde_json::json;

#[test]
fn a_renewal_asked_for_as_cmctl_does_happens_exactly_once() {
    scenario("cmctl-renew", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        world.certificate("web", json!({})).await;
        world.revision("web", 1).await;
        let old = world.get("Secret", "web-tls").await;
        let requests = History::watch(&world.cluster, "CertificateRequest", &world.namespace);
        let asked = json!({
            "type": "Issuing",
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered",
            "observedGeneration": 1,
        });
        world.set_condition(("Certificate", "web"), "cmctl", asked).await;
        let renewed = world.revision("web", 2).await;
        assert!(condition(&renewed, "Issuing").is_none(), "{}", renewed["status"]);
        let new = world.get("Secret", "web-tls").await;
        assert_ne!(data(&old, "tls.crt"), data(&new, "tls.crt"));
        assert_ne!(data(&old, "tls.key"), data(&new, "tls.key"));
        world.openssl.assert_pair(&data(&new, "tls.crt"), &data(&new, "tls.key"));

        world.settled().await;
        assert_eq!(requests.uids("web-2").len(), 1);
        assert!(requests.uids("web-3").is_empty(), "renewed once, not twice");
        assert_eq!(world.get("Certificate", "web").await["status"]["revision"], 2);
    });
}

#[test]
fn an_edited_spec_and_a_deleted_secret_are_each_issued_once_more() {
    scenario("edited", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        world.certificate("web", json!({})).await;
        world.revision("web", 1).await;
        let names = json!({ "spec": { "dnsNames": ["web.example.test", "www.example.test"] } });
        world.patch("Certificate", "web", names).await;
        world.revision("web", 2).await;
        let chain = data(&world.get("Secret", "web-tls").await, "tls.crt");
        let told = world.openssl.x509(&chain, &["-ext", "subjectAltName"]);
        assert!(told.contains("DNS:www.example.test"), "{told}");

        world.cluster.delete("Secret", (&world.namespace, "web-tls")).await;
        world.revision("web", 3).await;
        let secret = world.get("Secret", "web-tls").await;
        world.openssl.assert_pair(&data(&secret, "tls.crt"), &data(&secret, "tls.key"));
        world.settled().await;
        assert_eq!(world.get("Certificate", "web").await["status"]["revision"], 3);
    });
}

#[test]
fn a_key_that_must_not_rotate_stays() {
    scenario("same-key", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let key = json!({ "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never" });
        world.certificate("web", json!({ "privateKey": key })).await;
        world.revision("web", 1).await;
        let old = world.get("Secret", "web-tls").await;
        let names = json!({ "spec": { "dnsNames": ["web.example.test", "www.example.test"] } });
        world.patch("Certificate", "web", names).await;
        world.revision("web", 2).await;
        let new = world.get("Secret", "web-tls").await;
        assert_eq!(data(&old, "tls.key"), data(&new, "tls.key"));
        assert_ne!(data(&old, "tls.crt"), data(&new, "tls.crt"));
    });
}
