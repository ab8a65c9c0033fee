//! An operator of one namespace, with rights in that namespace only.

use everleaf_e2e::{Scope, ServiceAccount, TEST_MANAGER, World, condition, namespace_rules};
use everleaf_e2e::{scenario, text};
use serde_json::{Value, json};

/// A ClusterIssuer that its own operator found healthy, with its Secret where we do not look.
async fn healthy_cluster_issuer(world: &World) -> Value {
    let name = &world.namespace;
    world
        .create(json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "ClusterIssuer",
            "metadata": { "name": name },
            "spec": { "ca": { "secretName": "in-another-namespace" } },
        }))
        .await;
    let ready = json!({
        "type": "Ready",
        "status": "True",
        "reason": "KeyPairVerified",
        "message": "Signing CA verified",
    });
    world.set_condition(("ClusterIssuer", name), TEST_MANAGER, ready).await;
    world.get("ClusterIssuer", name).await
}

#[test]
fn rights_in_one_namespace_are_enough_and_cluster_issuers_are_not_judged() {
    scenario("one-namespace", Scope::Namespace, async |world| {
        let before = healthy_cluster_issuer(world).await;
        let account = ServiceAccount::within(world, "everleaf", namespace_rules()).await;
        let mut bounded = world.operator(&[&account.flag(), "--leader-elect=true"]);
        world.ca().await;
        world.certificate("web", json!({})).await;
        world.revision("web", 1).await;
        let far = json!({ "kind": "ClusterIssuer", "name": world.namespace });
        world.certificate("far", json!({ "issuerRef": far })).await;
        let held = |request: &Value| condition(request, "Ready").is_some();
        let request = world.until(("CertificateRequest", "far-1"), "is held up", held).await;
        let ready = condition(&request, "Ready").unwrap();
        assert_eq!(ready["reason"], "Pending");
        assert!(text(ready, "/message").contains("not found"), "{ready}");
        assert!(bounded.is_running(), "{}", bounded.log());
        assert!(!bounded.log().contains("forbidden"), "{}", bounded.log());
        assert!(bounded.stop().success());

        // With every right, too: what is not watched whole must not be judged.
        let _unbounded = world.operator(&[]);
        world.settled().await;
        let after = world.get("ClusterIssuer", &world.namespace).await;
        assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    });
}
