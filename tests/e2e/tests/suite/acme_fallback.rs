//! A Certificate with two issuers: a CA in the cluster stands in for an ACME one that meets a rate
//! limit, until that serves again.

use everleaf_e2e::acme::{Ca, http01};
use everleaf_e2e::{Asked, Fault, Scope, World, condition, scenario, text};
use serde_json::{Value, json};

/// Longer than the scenario.
const PATIENCE: u32 = 7200;

fn said_of(certificate: &Value) -> String {
    let found = condition(certificate, "FallbackIssuer");
    found.map(|one| text(one, "/message").to_owned()).unwrap_or_default()
}

async fn issuer_of_secret(world: &World) -> String {
    let secret = world.get("Secret", "web-tls").await;
    text(&secret, "/metadata/annotations/cert-manager.io~1issuer-name").to_owned()
}

#[test]
fn a_ca_stands_in_for_an_acme_issuer_that_meets_a_rate_limit_until_that_serves_again() {
    let Some((ca, proxy)) = Ca::faulty("acme-fallback") else { return };
    scenario("acme-fallback", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        world.ca().await;
        ca.serve(world, &json!([http01()]), json!({})).await;
        proxy.plan(Asked::NewOrder, [Fault::LimitedFor(PATIENCE)]);
        let object = json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {
                "name": "web",
                "annotations": { "everleaf.dev/issuer-fallbacks": "Issuer/ca" },
            },
            "spec": {
                "secretName": "web-tls",
                "dnsNames": [format!("web-{}.example.test", world.namespace)],
                "issuerRef": { "name": "acme" },
            },
        });
        world.create(object).await;
        let told = |found: &Value| said_of(found).contains("at the next renewal");
        let served = world.revision("web", 1).await;
        assert!(told(&served), "{}", served["status"]);
        assert_eq!(issuer_of_secret(world).await, "ca");
        let found = condition(&served, "FallbackIssuer").expect("it is told");
        assert_eq!((&found["status"], &found["reason"]), (&json!("True"), &json!("RateLimited")));
        assert!(said_of(&served).contains("too many, by the proxy"), "{found}");
        assert_eq!(proxy.left(), 0, "the fault was met");

        // The proxy has nothing against the next order.
        let asked = json!({
            "type": "Issuing",
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered",
            "observedGeneration": 1,
        });
        world.set_condition(("Certificate", "web"), "cmctl", asked).await;
        let renewed = world.revision("web", 2).await;
        assert_eq!(issuer_of_secret(world).await, "acme");
        assert_eq!(said_of(&renewed), "", "{}", renewed["status"]);
        assert_eq!(proxy.orders().len(), 1);
    });
}
