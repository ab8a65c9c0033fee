//! What people and accidents put into the API: reported, and mended where that can be done.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_e2e::{
    OpenSsl, Scope, ServiceAccount, condition, data, eventually, has_condition, rule, scenario,
    text,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

fn refused(object: &Value) -> bool {
    let issuing = condition(object, "Issuing");
    issuing.is_some_and(|issuing| issuing["reason"] == "InvalidSpec")
}

#[test]
fn an_invalid_certificate_is_told_which_field_and_issued_once_mended() {
    scenario("invalid", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let long = "x".repeat(65);
        let cases = [
            ("long-name", json!({ "commonName": long }), "spec.commonName"),
            ("no-address", json!({ "ipAddresses": ["300.0.0.1"] }), "spec.ipAddresses"),
            ("no-names", json!({ "dnsNames": null }), "spec"),
            ("brief", json!({ "duration": "1m" }), "spec.duration"),
            ("late", json!({ "duration": "2h", "renewBefore": "3h" }), "spec.renewBefore"),
            (
                "tiny-key",
                json!({ "privateKey": { "algorithm": "RSA", "size": 512 } }),
                "spec.privateKey.size",
            ),
        ];
        for (name, spec, _) in &cases {
            world.certificate(name, spec.clone()).await;
        }
        for (name, _, field) in &cases {
            let told = world.until(("Certificate", name), "is refused", refused).await;
            let message = text(condition(&told, "Issuing").unwrap(), "/message").to_owned();
            assert!(message.contains(field), "{name}: {message}");
            assert!(world.requests_of(name).await.is_empty(), "{name}: nothing is asked for");
        }
        let mended = json!({ "spec": {
            "commonName": null, "ipAddresses": null, "duration": null, "renewBefore": null,
            "dnsNames": ["mended.example.test"],
            "privateKey": { "algorithm": "ECDSA", "size": 256 },
        } });
        for (name, _, _) in &cases {
            world.patch("Certificate", name, mended.clone()).await;
            world.revision(name, 1).await;
        }
    });
}

/// Bytes that compress badly and are no PEM.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A Secret that a person made: name, tls.crt, tls.key, and the reason that should be told.
fn broken(openssl: &OpenSsl) -> Vec<(&'static str, Vec<u8>, Vec<u8>, &'static str)> {
    let (one, key) = openssl.self_signed("one.example.test");
    let (_, other) = openssl.self_signed("one.example.test");
    let cut = one[..one.len() / 2].to_vec();
    vec![
        ("mismatch", one.clone(), other, "InvalidKeyPair"),
        ("cut-off", cut, key.clone(), "InvalidCertificate"),
        ("noise", noise(1_000_000), key.clone(), "InvalidCertificate"),
        ("empty", Vec::new(), Vec::new(), "MissingData"),
        ("broken-key", one, noise(300), "InvalidKeyPair"),
    ]
}

fn secret(name: &str, certificate: &[u8], key: &[u8]) -> Value {
    let encode = |bytes| STANDARD.encode(bytes);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": { "name": name, "annotations": { "example.test/mine": "stays" } },
        "data": { "tls.crt": encode(certificate), "tls.key": encode(key) },
    })
}

#[test]
fn a_broken_secret_is_reported_and_replaced_by_a_good_one() {
    scenario("broken-secret", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        let broken = broken(&world.openssl);
        for (name, certificate, key, _) in &broken {
            world.create(secret(&format!("{name}-tls"), certificate, key)).await;
            world.certificate(name, json!({})).await;
        }
        // Without its issuer, the report stands.
        for (name, _, _, reason) in &broken {
            let what = format!("says {reason}");
            let told = |object: &Value| {
                condition(object, "Ready").is_some_and(|ready| ready["reason"] == *reason)
            };
            world.until(("Certificate", name), &what, told).await;
        }
        world.ca().await;
        for (name, ..) in &broken {
            world.revision(name, 1).await;
            let secret = world.get("Secret", &format!("{name}-tls")).await;
            world.openssl.assert_pair(&data(&secret, "tls.crt"), &data(&secret, "tls.key"));
            world.openssl.verify(&data(&secret, "ca.crt"), &data(&secret, "tls.crt"));
            assert_eq!(secret["metadata"]["annotations"]["example.test/mine"], "stays");
        }
    });
}

#[test]
fn a_good_secret_that_is_broken_later_is_issued_again() {
    scenario("broken-later", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        for (name, certificate, key, _) in broken(&world.openssl) {
            world.certificate(name, json!({})).await;
            world.revision(name, 1).await;
            let name_of_secret = format!("{name}-tls");
            let change = json!({ "data": secret("", &certificate, &key)["data"] });
            world.patch("Secret", &name_of_secret, change).await;
            world.revision(name, 2).await;
            let secret = world.get("Secret", &name_of_secret).await;
            world.openssl.assert_pair(&data(&secret, "tls.crt"), &data(&secret, "tls.key"));
            world.openssl.verify(&data(&secret, "ca.crt"), &data(&secret, "tls.crt"));
        }
    });
}

#[test]
fn an_issuer_whose_secret_is_missing_or_broken_says_so_and_recovers() {
    scenario("broken-ca", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        let issuer = json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": { "name": "mine" },
            "spec": { "ca": { "secretName": "mine" } },
        });
        world.create(issuer).await;
        let says = |reason: &'static str| {
            move |object: &Value| {
                condition(object, "Ready").is_some_and(|ready| ready["reason"] == reason)
            }
        };
        let at = ("Issuer", "mine");
        world.until(at, "misses its Secret", says("ErrGetKeyPair")).await;
        let (leaf, _) = world.openssl.self_signed("mine.example.test");
        let (_, key) = world.openssl.self_signed("mine.example.test");
        world.create(secret("mine", &leaf, &key)).await;
        world.until(at, "has another key", says("ErrInvalidKeyPair")).await;
        // What `openssl req -x509` makes is a CA.
        let (ca, key) = world.openssl.self_signed("mine.example.test");
        let change = json!({ "data": secret("", &ca, &key)["data"] });
        world.patch("Secret", "mine", change).await;
        world.ready("Issuer", "mine").await;
        world.certificate("web", json!({ "issuerRef": { "name": "mine" } })).await;
        world.revision("web", 1).await;
        let chain = data(&world.get("Secret", "web-tls").await, "tls.crt");
        world.openssl.verify(&ca, &chain);
    });
}

#[test]
fn a_right_that_the_operator_lacks_is_named_in_the_condition() {
    scenario("rights", Scope::Namespace, async |world| {
        let read = ["get", "list", "watch"];
        let rules = vec![
            rule("*", &["*"], &read),
            rule("cert-manager.io", &["certificates/status", "issuers/status"], &["patch"]),
            rule("cert-manager.io", &["certificaterequests/status"], &["patch"]),
            rule("cert-manager.io", &["certificaterequests"], &["create", "delete"]),
            rule("", &["events"], &["create", "patch"]),
        ];
        let account = ServiceAccount::create(world, "narrow", rules).await;
        let _operator = world.operator(&[&account.flag()]);
        let issuer = json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": { "name": "root" },
            "spec": { "selfSigned": {} },
        });
        world.create(issuer).await;
        world.certificate("web", json!({ "issuerRef": { "name": "root" } })).await;
        let told = |object: &Value| {
            let message = condition(object, "Issuing").map(|i| text(i, "/message").to_owned());
            let message = message.unwrap_or_default();
            ["secrets", "patch", "orbidden"].iter().all(|word| message.contains(word))
        };
        world.until(("Certificate", "web"), "names the missing right", told).await;
        assert!(!has_condition(&world.get("Certificate", "web").await, "Ready", "True"));

        let more = json!({ "rules": [rule("*", &["*"], &["*"])] });
        let role = format!("{}-narrow", world.namespace);
        world.patch("ClusterRole", &role, more).await;
        world.revision("web", 1).await;
    });
}

#[test]
fn a_secret_that_may_not_be_read_is_named_in_the_condition() {
    scenario("unread", Scope::Namespace, async |world| {
        let but_get = ["list", "watch", "create", "patch", "delete"];
        let rules = vec![
            rule("cert-manager.io", &["*"], &["*"]),
            rule("networking.k8s.io", &["ingresses"], &["get", "list", "watch"]),
            rule("", &["events"], &["get", "create", "patch"]),
            rule("", &["secrets"], &but_get),
        ];
        let account = ServiceAccount::create(world, "blind", rules).await;
        let _operator = world.operator(&[&account.flag()]);
        // Without cert-manager's label its content is not watched.
        let (ca, key) = world.openssl.self_signed("mine.example.test");
        world.create(secret("mine", &ca, &key)).await;
        world
            .create(json!({
                "apiVersion": "cert-manager.io/v1",
                "kind": "Issuer",
                "metadata": { "name": "mine" },
                "spec": { "ca": { "secretName": "mine" } },
            }))
            .await;
        let told = |object: &Value| {
            let message =
                condition(object, "Ready").map(|ready| text(ready, "/message").to_owned());
            let message = message.unwrap_or_default();
            ["get", "secrets", "orbidden"].iter().all(|word| message.contains(word))
        };
        world.until(("Issuer", "mine"), "names the missing right", told).await;
        let more = json!({ "rules": [rule("*", &["*"], &["*"])] });
        world.patch("ClusterRole", &format!("{}-blind", world.namespace), more).await;
        world.ready("Issuer", "mine").await;
    });
}

#[test]
fn a_request_that_contradicts_its_signing_request_is_failed() {
    scenario("contradiction", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let asks_to_be_a_ca =
            world.openssl.request("rogue", &["basicConstraints=critical,CA:TRUE"]);
        let request = json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "CertificateRequest",
            "metadata": { "name": "rogue" },
            "spec": { "issuerRef": { "name": "ca" }, "request": STANDARD.encode(asks_to_be_a_ca) },
        });
        world.create(request).await;
        let failed = |object: &Value| {
            condition(object, "Ready").is_some_and(|ready| ready["reason"] == "Failed")
        };
        let failed = world.until(("CertificateRequest", "rogue"), "is failed", failed).await;
        let message = text(condition(&failed, "Ready").unwrap(), "/message").to_owned();
        assert!(message.contains("spec.isCA"), "{message}");
        assert!(failed["status"].get("certificate").is_none());
    });
}

#[test]
fn two_certificates_on_one_secret_do_not_take_turns() {
    scenario("twins", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        world.certificate("first", json!({ "secretName": "shared" })).await;
        world.revision("first", 1).await;
        world.certificate("second", json!({ "secretName": "shared" })).await;
        let told = |object: &Value| {
            condition(object, "Ready").is_some_and(|ready| {
                ready["reason"] == "IncorrectCertificate"
                    && text(ready, "/message").contains("first")
            })
        };
        world.until(("Certificate", "second"), "is told who owns the Secret", told).await;
        world.settled().await;
        assert_eq!(world.get("Certificate", "first").await["status"]["revision"], 1);
        assert!(world.requests_of("second").await.is_empty());

        world.patch("Certificate", "second", json!({ "spec": { "secretName": "own" } })).await;
        world.revision("second", 1).await;
    });
}

#[test]
fn an_object_that_cannot_be_read_holds_up_nobody_else() {
    scenario("unreadable", Scope::Namespace, async |world| {
        let mut operator = world.operator(&[]);
        world.ca().await;
        let mut text = String::new();
        for number in 0..2_000 {
            write!(text, "{number}.example.test,").expect("a String takes everything");
        }
        let names: Vec<&str> = text.trim_end_matches(',').split(',').collect();
        // Durations that Go reads, but no calendar holds; and a chain longer than any limit.
        world.certificate("eternal", json!({ "duration": "2540400h" })).await;
        world.certificate("crowd", json!({ "dnsNames": names })).await;
        world.create(secret("odd-tls", &noise(10), &noise(10))).await;
        world.settled().await;
        assert!(operator.is_running());
        eventually("both are told something", 60, async || {
            for name in ["eternal", "crowd"] {
                let certificate = world.get("Certificate", name).await;
                if certificate["status"]["conditions"].as_array().is_none_or(Vec::is_empty) {
                    return Err(format!("{name}: {}", certificate["status"]));
                }
            }
            Ok(())
        })
        .await;
    });
}
