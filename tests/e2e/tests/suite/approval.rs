//! Approval by somebody else.

use everleaf_e2e::{Scope, World, condition, has_condition, scenario, text};
use serde_json::{Value, json};

const NO_APPROVER: &str = "--controllers=*,-certificaterequests-approver";

async fn decide(world: &World, request: &str, decision: &str, reason: &str) {
    let condition = json!({
        "type": decision,
        "status": "True",
        "reason": reason,
        "message": format!("{decision} by the test"),
    });
    world.set_condition(("CertificateRequest", request), "approver", condition).await;
}

async fn requested(world: &World, name: &str) -> Value {
    let there = |_: &Value| true;
    world.until(("CertificateRequest", name), "is there", there).await
}

/// Gets the CA going, whose own requests wait for approval as well.
async fn approved_ca(world: &World) {
    let approve = async {
        requested(world, "ca-1").await;
        decide(world, "ca-1", "Approved", "Test").await;
    };
    tokio::join!(world.ca(), approve);
}

#[test]
fn nothing_is_signed_until_an_approver_approves() {
    scenario("approve", Scope::Namespace, async |world| {
        let _operator = world.operator(&[NO_APPROVER]);
        approved_ca(world).await;
        world.certificate("web", json!({})).await;
        requested(world, "web-1").await;
        // Once the status tells of an issuance that takes long, the request was looked at.
        let issuing = |object: &Value| has_condition(object, "Issuing", "True");
        world.until(("Certificate", "web"), "says that it is being issued", issuing).await;
        let request = world.get("CertificateRequest", "web-1").await;
        assert!(condition(&request, "Approved").is_none(), "{}", request["status"]);
        assert!(text(&request, "/status/certificate").is_empty());
        assert!(world.find("Secret", "web-tls").await.is_none());

        decide(world, "web-1", "Approved", "Test").await;
        world.revision("web", 1).await;
        let request = world.get("CertificateRequest", "web-1").await;
        assert_eq!(condition(&request, "Approved").unwrap()["reason"], "Test", "left as it was");
    });
}

#[test]
fn a_denied_request_fails_and_the_next_attempt_has_a_time() {
    scenario("deny", Scope::Namespace, async |world| {
        let _operator = world.operator(&[NO_APPROVER]);
        approved_ca(world).await;
        world.certificate("web", json!({})).await;
        let uid = requested(world, "web-1").await["metadata"]["uid"].clone();
        decide(world, "web-1", "Denied", "NotToday").await;
        let failed = |object: &Value| {
            let issuing = condition(object, "Issuing");
            issuing.is_some_and(|issuing| issuing["status"] == "False")
        };
        let certificate = world.until(("Certificate", "web"), "says that it failed", failed).await;
        let issuing = condition(&certificate, "Issuing").unwrap();
        assert_eq!(issuing["reason"], "NotToday");
        assert!(text(issuing, "/message").contains("Denied by the test"), "{issuing}");
        assert_eq!(certificate["status"]["failedIssuanceAttempts"], 1);
        assert!(!text(&certificate, "/status/lastFailureTime").is_empty());
        let denied = |object: &Value| {
            condition(object, "Ready").is_some_and(|ready| ready["reason"] == "Denied")
        };
        world.until(("CertificateRequest", "web-1"), "says that it was denied", denied).await;

        // Another one is requested after it, and nothing more of this one.
        world.certificate("other", json!({})).await;
        requested(world, "other-1").await;
        decide(world, "other-1", "Approved", "Test").await;
        world.revision("other", 1).await;
        let left = world.requests_of("web").await;
        assert!(left.iter().all(|request| request["metadata"]["uid"] == uid), "{left:?}");
        assert!(world.find("Secret", "web-tls").await.is_none());
    });
}
