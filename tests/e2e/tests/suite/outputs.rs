//! Keystores, other formats and the Secret's template: written with the pair, opened by the
//! programs that their readers use, changed and removed without another issuance.

use everleaf_e2e::{Scope, World, condition, data, eventually, scenario, text};
use serde_json::{Value, json};
use std::process::Command;

/// Occurs in nothing that the operator says or writes but the keystores, where it is not legible.
const PASSWORD: &str = "canary-of-a-keystore-password";

/// Every entry there is beside the pair.
const ENTRIES: [&str; 6] = [
    "keystore.p12",
    "truststore.p12",
    "keystore.jks",
    "truststore.jks",
    "key.der",
    "tls-combined.pem",
];

fn password_ref() -> Value {
    json!({ "name": "store-password", "key": "word" })
}

fn wish() -> Value {
    json!({
        "keystores": {
            "pkcs12": {
                "create": true, "profile": "Modern2023", "passwordSecretRef": password_ref(),
            },
            "jks": { "create": true, "alias": "shop", "passwordSecretRef": password_ref() },
        },
        "additionalOutputFormats": [{ "type": "DER" }, { "type": "CombinedPEM" }],
        "secretTemplate": {
            "labels": { "team": "shop" },
            "annotations": { "example.com/copy": "yes" },
        },
    })
}

async fn make_password(world: &World) {
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "store-password" },
        "stringData": { "word": PASSWORD },
    });
    world.create(object).await;
}

fn has(secret: &Value, entry: &str) -> bool {
    !text(secret, &format!("/data/{entry}")).is_empty()
}

#[test]
fn everything_asked_for_is_written_and_opens() {
    scenario("outputs", Scope::Namespace, async |world| {
        let operator = world.operator(&[]);
        world.ca().await;
        make_password(world).await;
        world.certificate("web", wish()).await;
        world.revision("web", 1).await;
        let secret = world.get("Secret", "web-tls").await;
        for entry in ENTRIES {
            assert!(has(&secret, entry), "{entry} is missing");
        }
        assert_eq!(secret["metadata"]["labels"]["team"], "shop");
        assert_eq!(secret["metadata"]["annotations"]["example.com/copy"], "yes");
        assert_formats(world, &secret);
        assert_pkcs12(world, &secret);
        assert_jks(world, &secret);
        let before = text(&secret, "/metadata/resourceVersion").to_owned();
        world.settled().await;
        let after = world.get("Secret", "web-tls").await;
        assert_eq!(text(&after, "/metadata/resourceVersion"), before, "it was written again");
        assert_unsaid(world, &operator.log()).await;
    });
}

fn assert_formats(world: &World, secret: &Value) {
    let (key, chain) = (data(secret, "tls.key"), data(secret, "tls.crt"));
    let combined = [&key[..], b"\n", &chain[..]].concat();
    assert_eq!(data(secret, "tls-combined.pem"), combined);
    let der = world.openssl.file("key.der", &data(secret, "key.der"));
    let read = world.openssl.run(&["pkey", "-inform", "DER", "-in", &der, "-pubout"]);
    assert_eq!(read.expect("openssl reads it").trim_end(), world.openssl.public_key(&key));
}

fn assert_pkcs12(world: &World, secret: &Value) {
    let pass = format!("pass:{PASSWORD}");
    let store = world.openssl.file("keystore.p12", &data(secret, "keystore.p12"));
    let arguments = ["pkcs12", "-in", &store, "-passin", &pass, "-nodes", "-nocerts"];
    let key = world.openssl.run(&arguments).expect("openssl opens the keystore");
    world.openssl.assert_pair(&data(secret, "tls.crt"), key.as_bytes());
    let store = world.openssl.file("truststore.p12", &data(secret, "truststore.p12"));
    let trusted = world.openssl.run(&["pkcs12", "-in", &store, "-passin", &pass, "-nokeys"]);
    assert!(trusted.expect("openssl opens the truststore").contains("BEGIN CERTIFICATE"));
    let wrong = ["pkcs12", "-in", &store, "-passin", "pass:other", "-nokeys"];
    assert!(world.openssl.run(&wrong).is_err());
}

fn assert_jks(world: &World, secret: &Value) {
    if Command::new("keytool").arg("-version").output().is_err() {
        println!("SKIPPED: Java keystores are not opened, there is no keytool");
        return;
    }
    let told = [("keystore.jks", "shop", "PrivateKeyEntry"), ("truststore.jks", "ca", "trusted")];
    for (entry, alias, kind) in told {
        let store = world.openssl.file(entry, &data(secret, entry));
        let list = ["-list", "-keystore", &store, "-storepass", PASSWORD];
        let said = Command::new("keytool").args(list).output().expect("keytool runs");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains(&format!("{alias},")) && said.contains(kind), "{entry}: {said}");
    }
}

#[test]
fn a_password_in_the_spec_opens_the_keystore_and_is_told_nowhere() {
    scenario("literal", Scope::Namespace, async |world| {
        let folder = world.folder.join("journal");
        let operator = world.operator(&[&format!("--record={}", folder.display())]);
        world.ca().await;
        let store = json!({ "create": true, "password": PASSWORD });
        world.certificate("web", json!({ "keystores": { "pkcs12": store } })).await;
        // The default profile is one that openssl opens with its legacy provider alone.
        world.revision("web", 1).await;
        let secret = world.get("Secret", "web-tls").await;
        let file = world.openssl.file("keystore.p12", &data(&secret, "keystore.p12"));
        let pass = format!("pass:{PASSWORD}");
        let arguments = ["pkcs12", "-in", &file, "-passin", &pass, "-legacy", "-nodes", "-nocerts"];
        let key = world.openssl.run(&arguments).expect("openssl opens the keystore");
        world.openssl.assert_pair(&data(&secret, "tls.crt"), key.as_bytes());
        assert!(!has(&secret, "keystore.jks") && !has(&secret, "key.der"));
        for object in [world.list("Event").await, world.list("CertificateRequest").await].concat() {
            assert!(!object.to_string().contains(PASSWORD), "it is in {object}");
        }
        assert!(!operator.log().contains(PASSWORD), "it is in the log");
        assert!(operator.stop().success());
        let mut journals = 0;
        for file in std::fs::read_dir(&folder).expect("there is a journal") {
            let text = std::fs::read_to_string(file.expect("a file").path()).expect("it is text");
            assert!(!text.contains(PASSWORD), "it is in the journal");
            journals += 1;
        }
        assert!(journals > 0, "nothing was recorded");
    });
}

/// The password is in no log, Event, condition or Secret of ours.
async fn assert_unsaid(world: &World, log: &str) {
    assert!(!log.contains(PASSWORD), "it is in the log");
    for kind in ["Event", "Certificate", "CertificateRequest", "Secret"] {
        for object in world.list(kind).await {
            assert!(!object.to_string().contains(PASSWORD), "it is in {kind} {object}");
        }
    }
}

#[test]
fn a_template_changes_and_goes_without_another_issuance() {
    scenario("template", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        world.certificate("web", json!({})).await;
        world.revision("web", 1).await;
        let first = world.get("Secret", "web-tls").await;
        let theirs = json!({ "metadata": {
            "labels": { "theirs": "kept" }, "annotations": { "theirs/note": "kept" },
        } });
        world.patch("Secret", "web-tls", theirs).await;
        let team = |team: Value| {
            json!({ "spec": { "secretTemplate": { "labels": { "team": team },
            "annotations": { "example.com/team": team } } } })
        };
        let carries = |team: Value| {
            move |secret: &Value| {
                let meta = &secret["metadata"];
                meta["labels"]["team"] == team && meta["annotations"]["example.com/team"] == team
            }
        };
        world.patch("Certificate", "web", team(json!("shop"))).await;
        let at = ("Secret", "web-tls");
        world.until(at, "carries the template", carries(json!("shop"))).await;
        world.patch("Certificate", "web", team(json!("store"))).await;
        world.until(at, "carries the other", carries(json!("store"))).await;
        // Somebody's change of what is ours is undone.
        let other = json!({ "metadata": { "labels": { "team": "nobody" } } });
        world.patch("Secret", "web-tls", other).await;
        world.until(at, "is mended", carries(json!("store"))).await;
        world.patch("Certificate", "web", json!({ "spec": { "secretTemplate": null } })).await;
        let last = world.until(at, "carries none", carries(Value::Null)).await;
        assert_eq!(last["metadata"]["labels"]["theirs"], "kept");
        assert_eq!(last["metadata"]["annotations"]["theirs/note"], "kept");
        assert_eq!(last["data"], first["data"], "the pair stays");
        world.settled().await;
        world.revision("web", 1).await;
        assert_eq!(world.requests_of("web").await.len(), 1);
    });
}

#[test]
fn entries_come_and_go_and_those_of_others_stay() {
    scenario("formats", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        make_password(world).await;
        world.certificate("web", json!({})).await;
        world.revision("web", 1).await;
        let theirs = json!({ "stringData": { "theirs": "kept" } });
        world.patch("Secret", "web-tls", theirs).await;
        world.patch("Certificate", "web", json!({ "spec": wish() })).await;
        let at = ("Secret", "web-tls");
        let all = |secret: &Value| ENTRIES.iter().all(|entry| has(secret, entry));
        let full = world.until(at, "has every entry", all).await;
        assert_pkcs12(world, &full);
        // A format that somebody changed is written again, and a keystore that is gone.
        let spoilt = json!({ "data": { "key.der": "AAAA", "keystore.p12": null } });
        world.patch("Secret", "web-tls", spoilt).await;
        let mended = |secret: &Value| all(secret) && secret["data"]["key.der"] != "AAAA";
        let full = world.until(at, "is mended", mended).await;
        assert_formats(world, &full);
        let none = json!({ "spec": { "keystores": null, "additionalOutputFormats": null } });
        world.patch("Certificate", "web", none).await;
        let gone = |secret: &Value| !ENTRIES.iter().any(|entry| has(secret, entry));
        let last = world.until(at, "has none of them", gone).await;
        assert_eq!(data(&last, "theirs"), b"kept");
        assert!(has(&last, "tls.key") && has(&last, "tls.crt") && has(&last, "ca.crt"));
        world.settled().await;
        world.revision("web", 1).await;
        assert_eq!(world.requests_of("web").await.len(), 1);
    });
}

#[test]
fn without_its_password_nothing_is_written_until_that_is_there() {
    scenario("no-password", Scope::Namespace, async |world| {
        let operator = world.operator(&[]);
        world.ca().await;
        // One is new, the other is asked for keystores once it is issued.
        world.certificate("late", json!({})).await;
        world.revision("late", 1).await;
        world.certificate("web", wish()).await;
        world.patch("Certificate", "late", json!({ "spec": wish() })).await;
        let says = |kind: &'static str| {
            move |certificate: &Value| {
                let message = condition(certificate, kind).map(|found| text(found, "/message"));
                let message = message.unwrap_or_default();
                message.contains("KeystorePasswordSecretNotFound")
                    && message.contains("store-password")
            }
        };
        world.until(("Certificate", "web"), "says what it lacks", says("Issuing")).await;
        world.until(("Certificate", "late"), "says what it lacks", says("Ready")).await;
        assert!(world.find("Secret", "web-tls").await.is_none(), "nothing is written");
        let late = world.get("Secret", "late-tls").await;
        assert!(!ENTRIES.iter().any(|entry| has(&late, entry)), "nothing is written");
        eventually("Events tell of it", 60, async || {
            let events = world.list("Event").await;
            let told = |name: &str| {
                events.iter().any(|event| {
                    event["reason"] == "KeystorePasswordSecretNotFound"
                        && event["type"] == "Warning"
                        && text(event, "/involvedObject/name") == name
                })
            };
            if told("web") && told("late") { Ok(()) } else { Err(format!("{events:?}")) }
        })
        .await;
        make_password(world).await;
        let all = |secret: &Value| ENTRIES.iter().all(|entry| has(secret, entry));
        world.until(("Secret", "web-tls"), "has every entry", all).await;
        let late = world.until(("Secret", "late-tls"), "has every entry", all).await;
        assert_jks(world, &late);
        for name in ["web", "late"] {
            world.revision(name, 1).await;
            assert_eq!(world.requests_of(name).await.len(), 1);
        }
        assert_unsaid(world, &operator.log()).await;
    });
}
