//! An operator that looks after the whole cluster, as installed. These run alone.

use everleaf_e2e::{
    Audit, Scope, ServiceAccount, World, condition, data, deployed_rules, eventually, name_of,
    scenario, skip, text, variable,
};
use serde_json::{Value, json};
use std::process::Command;

/// An Ingress with an issuer annotation and these TLS blocks.
fn ingress(blocks: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "web",
            "labels": { "team": "shop" },
            "annotations": {
                "cert-manager.io/issuer": "ca",
                "cert-manager.io/private-key-algorithm": "ECDSA",
                "cert-manager.io/duration": "2160h",
            },
        },
        "spec": {
            "tls": blocks,
            "rules": [{
                "host": "web.example.test",
                "http": { "paths": [{
                    "path": "/",
                    "pathType": "Prefix",
                    "backend": { "service": { "name": "web", "port": { "number": 80 } } },
                }] },
            }],
        },
    })
}

fn assert_owned(object: &Value, owner: &Value) {
    let reference = &object["metadata"]["ownerReferences"][0];
    for field in ["apiVersion", "kind"] {
        assert_eq!(reference[field], owner[field], "{object}");
    }
    assert_eq!(reference["name"], owner["metadata"]["name"]);
    assert_eq!(reference["uid"], owner["metadata"]["uid"]);
    assert_eq!(reference["controller"], true);
    assert_eq!(reference["blockOwnerDeletion"], true);
}

async fn assert_event(world: &World, kind: &str, name: &str, reason: &str) {
    eventually(&format!("an Event {reason} on {kind} {name}"), 30, async || {
        let events = world.list("Event").await;
        let about = |event: &&Value| {
            text(event, "/involvedObject/kind") == kind
                && text(event, "/involvedObject/name") == name
        };
        let reasons: Vec<&str> =
            events.iter().filter(about).map(|event| text(event, "/reason")).collect();
        if reasons.contains(&reason) { Ok(()) } else { Err(format!("{reasons:?}")) }
    })
    .await;
}

#[test]
fn an_annotated_ingress_becomes_a_verified_tls_secret() {
    scenario("ingress", Scope::Cluster, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let block = json!([{ "hosts": ["web.example.test"], "secretName": "web-tls" }]);
        let ingress = world.create(ingress(&block)).await;
        let certificate = world.revision("web-tls", 1).await;
        assert_owned(&certificate, &ingress);
        assert_eq!(certificate["metadata"]["labels"]["team"], "shop");
        assert_eq!(certificate["spec"]["dnsNames"], json!(["web.example.test"]));
        assert_eq!(certificate["spec"]["issuerRef"]["name"], "ca");
        assert_eq!(condition(&certificate, "Ready").unwrap()["reason"], "Ready");
        assert!(condition(&certificate, "Issuing").is_none(), "removed on success");
        for time in ["notBefore", "notAfter", "renewalTime"] {
            assert!(!text(&certificate, &format!("/status/{time}")).is_empty(), "{time}");
        }

        let request = world.get("CertificateRequest", "web-tls-1").await;
        assert_owned(&request, &certificate);
        assert_eq!(condition(&request, "Approved").unwrap()["reason"], "cert-manager.io");
        assert_eq!(condition(&request, "Ready").unwrap()["reason"], "Issued");
        let annotations = &request["metadata"]["annotations"];
        assert_eq!(annotations["cert-manager.io/certificate-name"], "web-tls");
        assert_eq!(annotations["cert-manager.io/certificate-revision"], "1");

        let secret = world.get("Secret", "web-tls").await;
        assert_secret(world, &secret);
        assert_eq!(data(&request, "/status/certificate"), data(&secret, "tls.crt"));

        assert_event(world, "Ingress", "web", "CreateCertificate").await;
        assert_event(world, "Certificate", "web-tls", "Issuing").await;
        assert_event(world, "CertificateRequest", "web-tls-1", "CertificateIssued").await;
        assert_event(world, "Issuer", "ca", "KeyPairVerified").await;
    });
}

fn assert_secret(world: &World, secret: &Value) {
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert!(secret["metadata"].get("ownerReferences").is_none(), "without the flag it stays");
    assert_eq!(secret["metadata"]["labels"]["controller.cert-manager.io/fao"], "true");
    let annotations = &secret["metadata"]["annotations"];
    let told = [
        ("certificate-name", "web-tls"),
        ("issuer-name", "ca"),
        ("issuer-kind", "Issuer"),
        ("common-name", ""),
        ("alt-names", "web.example.test"),
        ("ip-sans", ""),
        ("uri-sans", ""),
    ];
    for (name, value) in told {
        assert_eq!(annotations[format!("cert-manager.io/{name}")], value, "{name}");
    }
    let (chain, key, ca) =
        (data(secret, "tls.crt"), data(secret, "tls.key"), data(secret, "ca.crt"));
    world.openssl.verify(&ca, &chain);
    world.openssl.assert_pair(&chain, &key);
    let told = world.openssl.x509(&chain, &["-checkhost", "web.example.test"]);
    assert!(told.contains("does match"), "{told}");
}

#[test]
fn an_ingress_that_changes_takes_its_certificates_along() {
    scenario("ingress-changes", Scope::Cluster, async |world| {
        let _operator = world.operator(&["--enable-certificate-owner-ref"]);
        world.ca().await;
        let block = |name: &str| json!({ "hosts": [format!("{name}.example.test")], "secretName": format!("{name}-tls") });
        world.create(ingress(&json!([block("a"), block("b")]))).await;
        let certificate = world.revision("a-tls", 1).await;
        world.revision("b-tls", 1).await;
        assert_owned(&world.get("Secret", "a-tls").await, &certificate);

        let mut wider = block("a");
        wider["hosts"] = json!(["a.example.test", "www.a.example.test"]);
        world.patch("Ingress", "web", json!({ "spec": { "tls": [wider] } })).await;
        world.revision("a-tls", 2).await;
        let chain = data(&world.get("Secret", "a-tls").await, "tls.crt");
        let names = world.openssl.x509(&chain, &["-ext", "subjectAltName"]);
        assert!(names.contains("DNS:www.a.example.test"), "{names}");
        eventually("b-tls is not wanted any more", 30, async || {
            let left = world.find("Certificate", "b-tls").await;
            left.map_or(Ok(()), |left| Err(left["metadata"].to_string()))
        })
        .await;

        world.delete("Ingress", "web").await;
        eventually("everything of the Ingress is collected", 120, async || {
            let mut left = Vec::new();
            for kind in ["Certificate", "CertificateRequest", "Secret"] {
                left.extend(world.list(kind).await.iter().map(|o| name_of(o).to_owned()));
            }
            left.retain(|name| name.starts_with("a-tls") || name.starts_with("b-tls"));
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    });
}

#[test]
fn an_operator_outlives_a_restart_of_the_api_server() {
    let Some(testbed) = variable("EVERLEAF_TESTBED").filter(|_| variable("KUBECONFIG").is_some())
    else {
        let remedy = "set EVERLEAF_TESTBED to the test bed's script, and KUBECONFIG";
        return skip("api-server-restart", remedy);
    };
    scenario("restart", Scope::Cluster, async |world| {
        let mut operator = world.operator(&[]);
        world.ca().await;
        let before = world.ready("Certificate", "ca").await;
        let restarted = Command::new(&testbed).args(["restart", "apiserver"]).status();
        assert!(restarted.expect("the test bed's script").success());
        world.settled().await;
        assert!(operator.is_running(), "{}", operator.log());
        let after = world.get("Certificate", "ca").await;
        assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    });
}

/// What an installed operator does in its life: lead, shim, issue by a CA of its own and for a
/// foreign issuer (whose next key is in a Secret), renew and clear away, say the same thing twice.
#[test]
fn the_rights_under_deploy_are_enough() {
    scenario("deployed", Scope::Cluster, async |world| {
        let Some(audit) = Audit::open("deployed") else { return };
        let account = ServiceAccount::create(world, "everleaf", deployed_rules()).await;
        let mut operator = world.operator(&[&account.flag(), "--leader-elect=true"]);
        world.ca().await;
        let block = |name: &str| json!({ "hosts": [format!("{name}.example.test")], "secretName": format!("{name}-tls") });
        world.create(ingress(&json!([block("a"), block("b")]))).await;
        for name in ["a-tls", "b-tls"] {
            world.revision(name, 1).await;
        }
        let mut wider = block("a");
        wider["hosts"] = json!(["a.example.test", "www.a.example.test"]);
        world.patch("Ingress", "web", json!({ "spec": { "tls": [wider] } })).await;
        world.revision("a-tls", 2).await;
        let foreign = json!({ "group": "example.test", "kind": "Signer", "name": "any" });
        world.certificate("foreign", json!({ "issuerRef": foreign })).await;
        let approved = |request: &Value| condition(request, "Approved").is_some();
        world.until(("CertificateRequest", "foreign-1"), "is approved", approved).await;
        world.delete("Certificate", "foreign").await;
        world.settled().await;
        assert!(operator.is_running(), "{}", operator.log());
        assert!(operator.stop().success());
        let writes = audit.writes(world, &account.user).await;
        let refused: Vec<String> =
            writes.iter().filter(|write| write.code == 403).map(ToString::to_string).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        assert!(writes.iter().any(|w| w.verb == "delete" && w.resource == "certificates"));
        assert!(writes.iter().any(|w| w.verb == "update" && w.resource == "leases"), "it led");
    });
}
