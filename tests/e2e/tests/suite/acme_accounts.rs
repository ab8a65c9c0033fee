//! Accounts that were there before: keys of other programs, of every kind.

use everleaf_e2e::acme::{Ca, http01, secret};
use everleaf_e2e::{
    Asked, FaultProxy, RsaAccount, Scope, World, condition, data, eventually, rfc3339, scenario,
    text,
};
use serde_json::{Value, json};

/// An account as cert-manager leaves it: its Secret, and an Issuer that tells of it.
async fn left_by_cert_manager(world: &World, ca: &Ca, account: &RsaAccount) {
    let mut key = secret("account", "tls.key", &account.pem);
    key["type"] = "Opaque".into();
    world.create(key).await;
    world.create(ca.issuer(&json!([http01()]), json!({}))).await;
    let status = json!({
        "acme": {
            "uri": account.uri,
            "lastRegisteredEmail": "Ops@example.test",
            "lastPrivateKeyHash": account.hash,
        },
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "ACMEAccountRegistered",
            "message": "The ACME account was registered with the ACME server",
            "observedGeneration": 1,
            "lastTransitionTime": rfc3339(0),
        }],
    });
    world.patch_status(("Issuer", "acme"), "cert-manager", status).await;
}

fn answers(proxy: &FaultProxy) -> Vec<(u16, String)> {
    let asked = proxy.log(Asked::NewAccount).into_iter();
    asked.map(|exchange| (exchange.answered, exchange.location)).collect()
}

async fn issued(world: &World, label: &str) {
    let name = format!("{label}-{}.example.test", world.namespace);
    let spec = json!({ "dnsNames": [name], "issuerRef": { "name": "acme" } });
    world.certificate(label, spec).await;
    world.revision(label, 1).await;
    let secret = world.get("Secret", &format!("{label}-tls")).await;
    world.openssl.assert_pair(&data(&secret, "tls.crt"), &data(&secret, "tls.key"));
}

#[test]
fn cert_managers_rsa_account_is_used_as_it_is_and_found_by_its_key_if_the_status_is_lost() {
    let Some((ca, proxy)) = Ca::faulty("acme-rsa") else { return };
    scenario("acme-rsa", Scope::Namespace, async |world| {
        let bundle = world.openssl.file("bundle.pem", &ca.bundle);
        let directory = &ca.directory;
        let account =
            RsaAccount::register(&world.openssl, directory, &bundle, "ops@example.test").await;
        left_by_cert_manager(world, &ca, &account).await;
        let before = proxy.log(Asked::NewAccount).len();

        let operator = ca.operator(world, &[]);
        issued(world, "taken").await;
        let issuer = world.get("Issuer", "acme").await;
        assert_eq!(text(&issuer, "/status/acme/uri"), account.uri);
        assert_eq!(text(&issuer, "/status/acme/lastPrivateKeyHash"), account.hash);
        assert_eq!(proxy.log(Asked::NewAccount).len(), before, "nothing was registered");
        let orders = proxy.log(Asked::NewOrder);
        assert!(orders.iter().any(|order| order.answered == 201), "{orders:?}");
        operator.kill();

        // The status is lost, as after a restore.
        let nothing = json!({ "acme": null, "conditions": null });
        world.patch_status(("Issuer", "acme"), "cert-manager", nothing).await;
        let gone = json!({ "metadata": { "annotations": { "everleaf.dev/acme-account": null } } });
        world.patch("Issuer", "acme", gone).await;
        let _operator = ca.operator(world, &[]);
        let issuer = world.ready("Issuer", "acme").await;
        assert_eq!(text(&issuer, "/status/acme/uri"), account.uri);
        assert_eq!(text(&issuer, "/status/acme/lastPrivateKeyHash"), account.hash);
        let since = answers(&proxy).split_off(before);
        let found = |(status, location): &(u16, String)| *status == 200 && *location == account.uri;
        assert!(since.last().is_some_and(found), "{since:?}");
        // A refused nonce aside, which Pebble throws in.
        assert!(since.iter().all(|answer| found(answer) || answer.0 == 400), "{since:?}");
        let key = world.get("Secret", "account").await;
        assert_eq!(data(&key, "tls.key"), account.pem.as_bytes(), "the key stays as it was");
        issued(world, "found").await;
    });
}

/// A private key that openssl makes.
fn key(world: &World, arguments: &[&str]) -> String {
    let said = world.openssl.run(arguments).unwrap_or_else(|error| panic!("{error}"));
    let start = said.find("-----BEGIN").and_then(|_| said.find("PRIVATE KEY-----"));
    let start = start.and_then(|at| said[..at].rfind("-----BEGIN")).expect("a private key");
    said[start..].to_owned()
}

async fn with_key(world: &World, ca: &Ca, name: &str, pem: &str) -> Value {
    world.create(secret(name, "tls.key", pem)).await;
    let reference = json!({ "privateKeySecretRef": { "name": name } });
    let mut issuer = ca.issuer(&json!([http01()]), reference);
    issuer["metadata"]["name"] = name.into();
    world.create(issuer).await;
    eventually(&format!("Issuer {name} is decided on"), 60, async || {
        let found = world.get("Issuer", name).await;
        let decided = condition(&found, "Ready").is_some();
        if decided { Ok(found) } else { Err(found.to_string()) }
    })
    .await
}

const P256: [&str; 5] = ["ecparam", "-genkey", "-noout", "-name", "prime256v1"];
const P384: [&str; 5] = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const ED25519: [&str; 3] = ["genpkey", "-algorithm", "ED25519"];
const RSA: [&str; 5] = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];

#[test]
fn keys_of_every_kind_have_accounts_where_the_ca_takes_them() {
    let Some(ca) = Ca::pebble("acme-keys") else { return };
    scenario("acme-keys", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        for (name, arguments) in
            [("p256", P256.as_slice()), ("p384", P384.as_slice()), ("rsa-pkcs8", RSA.as_slice())]
        {
            let issuer = with_key(world, &ca, name, &key(world, arguments)).await;
            let ready = condition(&issuer, "Ready").expect("it is decided on");
            assert_eq!(ready["status"], "True", "{name}: {ready}");
        }
        // Pebble takes no Ed25519 keys, and what it says is told.
        let issuer = with_key(world, &ca, "ed25519", &key(world, &ED25519)).await;
        let ready = condition(&issuer, "Ready").expect("it is decided on");
        assert_eq!(
            (&ready["status"], &ready["reason"]),
            (&json!("False"), &json!("ErrRegisterACMEAccount"))
        );
        assert!(text(ready, "/message").contains("urn:ietf:params:acme:error:"), "{ready}");
    });
}

#[test]
fn an_ed25519_account_issues_where_the_ca_takes_it() {
    let Some(ca) = Ca::step("acme-ed25519") else { return };
    scenario("acme-ed25519", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        let pem = key(world, &ED25519);
        world.create(secret("account", "tls.key", &pem)).await;
        ca.serve(world, &json!([http01()]), json!({})).await;
        issued(world, "edwards").await;
    });
}
