//! Fields that other scenarios leave out, and what openssl reads of them in the certificate.

use base64::Engine as _;
use everleaf_e2e::{
    Scope, World, condition, data, eventually, has_condition, issuer, name_of, scenario, text,
};
use serde_json::{Value, json};

async fn chain(world: &World, name: &str) -> Vec<u8> {
    world.revision(name, 1).await;
    data(&world.get("Secret", &format!("{name}-tls")).await, "tls.crt")
}

#[test]
fn where_to_ask_about_a_certificate_is_in_it() {
    scenario("pointers", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        world
            .create(issuer(
                "pointing",
                json!({ "ca": {
                    "secretName": "ca",
                    "crlDistributionPoints": ["http://crl.example.test/a", "http://crl.example.test/b"],
                    "ocspServers": ["http://ocsp.example.test"],
                    "issuingCertificateURLs": ["http://ca.example.test/ca.crt"],
                } }),
            ))
            .await;
        world.certificate("leaf", json!({ "issuerRef": { "name": "pointing" } })).await;
        let dump = world.openssl.dump(&chain(world, "leaf").await);
        for told in [
            "URI:http://crl.example.test/a",
            "URI:http://crl.example.test/b",
            "OCSP - URI:http://ocsp.example.test",
            "CA Issuers - URI:http://ca.example.test/ca.crt",
        ] {
            assert!(dump.contains(told), "{told} is not in\n{dump}");
        }
    });
}

#[test]
fn name_constraints_bind_what_a_ca_signs() {
    scenario("constraints", Scope::Namespace, async |world| {
        let _operator = world.operator(&["--feature-gates=NameConstraints=true"]);
        world.ca().await;
        let spec = json!({
            "isCA": true,
            "commonName": "bound",
            "dnsNames": null,
            "nameConstraints": {
                "critical": true,
                "permitted": { "dnsDomains": ["example.test"], "ipRanges": ["10.0.0.0/8"] },
                "excluded": { "emailAddresses": [".example.com"], "uriDomains": ["example.com"] },
            },
        });
        world.certificate("bound", spec).await;
        let bound = chain(world, "bound").await;
        let dump = world.openssl.dump(&bound);
        for told in [
            "X509v3 Name Constraints: critical",
            "DNS:example.test",
            "IP:10.0.0.0/255.0.0.0",
            "email:.example.com",
            "URI:example.com",
        ] {
            assert!(dump.contains(told), "{told} is not in\n{dump}");
        }
        world.create(issuer("bound", json!({ "ca": { "secretName": "bound-tls" } }))).await;
        let below = |names: &[&str]| json!({ "issuerRef": { "name": "bound" }, "dnsNames": names });
        world.certificate("inside", below(&["web.example.test"])).await;
        world.certificate("outside", below(&["web.example.net"])).await;
        let (inside, outside) = (chain(world, "inside").await, chain(world, "outside").await);
        let root = data(&world.get("Secret", "ca").await, "tls.crt");
        world.openssl.verify(&root, &inside);
        let (root, leaf) =
            (world.openssl.file("root.crt", &root), world.openssl.file("outside.crt", &outside));
        let judged = world.openssl.run(&["verify", "-CAfile", &root, "-untrusted", &leaf, &leaf]);
        let error = judged.expect_err("a name outside of what is permitted");
        assert!(error.contains("permitted subtree violation"), "{error}");
    });
}

#[test]
fn usages_are_in_the_certificate_even_where_the_request_leaves_them_out() {
    scenario("usages", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let spec = |encode: bool| {
            json!({
                "encodeUsagesInRequest": encode,
                "usages": ["digital signature", "client auth"],
                "signatureAlgorithm": "ECDSAWithSHA384",
            })
        };
        world.certificate("told", spec(true)).await;
        world.certificate("untold", spec(false)).await;
        for (name, asked_for) in [("told", true), ("untold", false)] {
            let dump = world.openssl.dump(&chain(world, name).await);
            assert!(dump.contains("TLS Web Client Authentication"), "{dump}");
            let request = world.get("CertificateRequest", &format!("{name}-1")).await;
            let pem = base64::engine::general_purpose::STANDARD;
            let pem = pem.decode(text(&request, "/spec/request")).unwrap();
            let file = world.openssl.file(&format!("{name}.csr"), &pem);
            let asked = ["req", "-noout", "-verify", "-text", "-in", &file];
            let asked = world.openssl.run(&asked).unwrap();
            assert!(asked.contains("ecdsa-with-SHA384"), "{asked}");
            assert_eq!(asked.contains("X509v3 Key Usage: critical"), asked_for, "{asked}");
            assert_eq!(asked.contains("TLS Web Client Authentication"), asked_for, "{asked}");
        }
    });
}

#[test]
fn international_names_are_taken_in_ascii_and_told_apart_from_others() {
    scenario("idna", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let names = ["xn--bcher-kva.example.test"];
        world.certificate("ascii", json!({ "dnsNames": names })).await;
        let dump = world.openssl.dump(&chain(world, "ascii").await);
        assert!(dump.contains("DNS:xn--bcher-kva.example.test"), "{dump}");
        // X.509 has no room for it, as cert-manager's own request fails, too.
        world.certificate("unicode", json!({ "dnsNames": ["b\u{fc}cher.example.test"] })).await;
        let told = |object: &Value| {
            condition(object, "Issuing")
                .is_some_and(|issuing| text(issuing, "/message").contains("b\u{fc}cher"))
        };
        world.until(("Certificate", "unicode"), "says which name it is", told).await;
        let names = json!({ "spec": { "dnsNames": ["xn--bcher-kva.example.test"] } });
        world.patch("Certificate", "unicode", names).await;
        world.revision("unicode", 1).await;
    });
}

#[test]
fn as_many_requests_are_kept_as_the_history_allows() {
    scenario("history", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        world.certificate("web", json!({ "revisionHistoryLimit": 2 })).await;
        world.revision("web", 1).await;
        for revision in 2..=4 {
            let asked = json!({
                "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
                "message": "renew, please",
            });
            world.set_condition(("Certificate", "web"), "cmctl", asked).await;
            world.revision("web", revision).await;
        }
        eventually("two requests are left", 60, async || {
            let mut left: Vec<String> =
                world.requests_of("web").await.iter().map(|r| name_of(r).to_owned()).collect();
            left.sort();
            if left == ["web-3", "web-4"] { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    });
}

#[test]
fn a_temporary_certificate_is_served_until_the_issuer_answers() {
    scenario("temporary", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world
            .create(json!({
                "apiVersion": "cert-manager.io/v1",
                "kind": "Certificate",
                "metadata": {
                    "name": "web",
                    "annotations": { "cert-manager.io/issue-temporary-certificate": "true" },
                },
                "spec": {
                    "secretName": "web-tls",
                    "commonName": "web.example.test",
                    "dnsNames": ["web.example.test"],
                    "duration": "48h",
                    "usages": ["digital signature", "server auth"],
                    "issuerRef": { "name": "ca" },
                    "privateKey": { "algorithm": "ECDSA", "size": 256 },
                    "secretTemplate": { "labels": { "shop": "web" } },
                },
            }))
            .await;
        let there = |_: &Value| true;
        let secret = world.until(("Secret", "web-tls"), "is there meanwhile", there).await;
        assert_eq!(secret["type"], "kubernetes.io/tls");
        assert_eq!(secret["metadata"]["labels"]["shop"], "web");
        let said = &secret["metadata"]["annotations"];
        assert_eq!(said["cert-manager.io/certificate-name"], "web");
        assert_eq!(said["cert-manager.io/alt-names"], "web.example.test");
        assert!(said.get("cert-manager.io/issuer-name").is_none(), "{said}");
        let (leaf, key) = (data(&secret, "tls.crt"), data(&secret, "tls.key"));
        world.openssl.assert_pair(&leaf, &key);
        let dump = world.openssl.dump(&leaf);
        for told in [
            "CN=cert-manager.local",
            "serialNumber=1234567890",
            "DNS:web.example.test",
            "TLS Web Server Authentication",
            "Signature Algorithm: ecdsa-with-SHA512",
        ] {
            assert!(dump.contains(told), "{told} is not in\n{dump}");
        }
        assert!(data(&secret, "ca.crt").is_empty());
        let waiting = |object: &Value| {
            has_condition(object, "Issuing", "True")
                && condition(object, "Ready").is_some_and(|r| r["reason"] == "IncorrectIssuer")
        };
        world.until(("Certificate", "web"), "goes on being issued", waiting).await;
        let uid = world.get("CertificateRequest", "web-1").await["metadata"]["uid"].clone();

        world.ca().await;
        world.revision("web", 1).await;
        let secret = world.get("Secret", "web-tls").await;
        assert_eq!(data(&secret, "tls.key"), key, "the key that was asked for");
        world.openssl.verify(&data(&secret, "ca.crt"), &data(&secret, "tls.crt"));
        assert_eq!(secret["metadata"]["annotations"]["cert-manager.io/issuer-name"], "ca");
        let requests = world.requests_of("web").await;
        assert!(requests.iter().all(|request| request["metadata"]["uid"] == uid));
    });
}

#[test]
fn a_self_signed_certificate_without_a_subject_is_issued_and_warned_about() {
    scenario("nameless", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.create(issuer("own", json!({ "selfSigned": {} }))).await;
        world.certificate("web", json!({ "issuerRef": { "name": "own" } })).await;
        let named = json!({ "issuerRef": { "name": "own" }, "commonName": "named.example.test" });
        world.certificate("named", named).await;
        let leaf = chain(world, "web").await;
        let subject = world.openssl.x509(&leaf, &["-subject", "-issuer"]);
        assert_eq!(subject.replace(' ', ""), "subject=\nissuer=");
        chain(world, "named").await;
        let warned = eventually("an Event says so", 30, async || {
            let mut all = world.list("Event").await;
            all.retain(|event| event["reason"] == "BadConfig");
            if all.is_empty() { Err("there is none".to_owned()) } else { Ok(all) }
        })
        .await;
        let on = |event: &Value| text(event, "/involvedObject/name").to_owned();
        assert_eq!(warned.iter().map(on).collect::<Vec<_>>(), ["web-1"]);
    });
}
