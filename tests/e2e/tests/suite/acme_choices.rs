//! What an issuer or a Certificate may choose at a CA: chain, profile, lifetime, addresses.

use everleaf_e2e::acme::{Ca, assert_covers, attempt, http01};
use everleaf_e2e::{Scope, Upstream, World, data, eventually, scenario, skip, text, variable};
use serde_json::{Value, json};

/// The certificates of a chain, each by itself.
fn split(chain: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(chain).into_owned();
    let end = "-----END CERTIFICATE-----\n";
    text.split_inclusive(end).filter(|one| one.contains("BEGIN")).map(str::to_owned).collect()
}

/// The common name that stands last in what openssl tells.
fn common_name(said: &str) -> String {
    said.rsplit("CN").next().unwrap_or_default().trim_matches([' ', '=']).trim().to_owned()
}

/// The common names of Pebble's roots: the default one, then the alternates.
async fn roots(world: &World, admin: &str, ca: &str) -> Vec<String> {
    let mut names = Vec::new();
    for number in 0..3 {
        let answer = Upstream::of(admin, Some(ca)).get(&format!("/roots/{number}")).await;
        let answer = answer.unwrap_or_else(|error| panic!("{admin}: {error}"));
        let options = ["-subject", "-nameopt", "RFC2253"];
        names.push(common_name(&world.openssl.x509(answer.body(), &options)));
    }
    names
}

/// The issuer's common name in the topmost certificate of a Secret's chain.
fn top_issuer(world: &World, secret: &Value) -> String {
    let chain = split(&data(secret, "tls.crt"));
    let top = chain.last().expect("a chain has certificates");
    let options = ["-issuer", "-nameopt", "RFC2253"];
    common_name(&world.openssl.x509(top.as_bytes(), &options))
}

fn named(world: &World, label: &str, more: Value) -> Value {
    let name = format!("{label}-{}.example.test", world.namespace);
    let mut spec = json!({ "dnsNames": [name], "issuerRef": { "name": "acme" } });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    spec
}

#[test]
fn the_preferred_chain_is_the_one_that_is_stored() {
    let Some(ca) = Ca::pebble("acme-chain") else { return };
    let (Some(admin), Some(bundle)) = (variable("TESTBED_PEBBLE_ADMIN"), variable("TESTBED_CA"))
    else {
        return skip("acme-chain", "set TESTBED_PEBBLE_ADMIN and TESTBED_CA");
    };
    scenario("acme-chain", Scope::Namespace, async |world| {
        let roots = roots(world, &admin, &bundle).await;
        let _operator = ca.operator(world, &[]);
        let solvers = json!([http01()]);
        ca.serve(world, &solvers, json!({ "preferredChain": roots[2] })).await;
        world.certificate("preferred", named(world, "preferred", json!({}))).await;
        world.revision("preferred", 1).await;
        let secret = world.get("Secret", "preferred-tls").await;
        assert_eq!(top_issuer(world, &secret), roots[2], "of {roots:?}");

        // One that nobody offers: the CA's own choice.
        let spec = json!({ "spec": { "acme": { "preferredChain": "Nobody" } } });
        world.patch("Issuer", "acme", spec).await;
        world.certificate("default", named(world, "default", json!({}))).await;
        world.revision("default", 1).await;
        let secret = world.get("Secret", "default-tls").await;
        assert_eq!(top_issuer(world, &secret), roots[0], "of {roots:?}");
    });
}

#[test]
fn a_profile_is_asked_for_and_one_that_is_unknown_is_told() {
    let Some(ca) = Ca::pebble("acme-profile") else { return };
    scenario("acme-profile", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({ "profile": "shortlived" })).await;
        world.certificate("short", named(world, "short", json!({}))).await;
        let certificate = world.revision("short", 1).await;
        assert_eq!(lifetime(&certificate), 160 * 3600);

        let spec = json!({ "spec": { "acme": { "profile": "no-such" } } });
        world.patch("Issuer", "acme", spec).await;
        world.certificate("none", named(world, "none", json!({}))).await;
        let order = eventually("the Order says what the CA said", 60, async || {
            let orders = world.list("Order").await;
            let errored = |one: &&Value| text(one, "/status/state") == "errored";
            orders.iter().find(errored).cloned().ok_or(format!("{orders:?}"))
        })
        .await;
        assert!(text(&order, "/status/reason").contains("no-such"), "{order}");
        assert_eq!(attempt(&order).expect("a note")["class"], "user", "{order}");
    });
}

/// From notBefore to notAfter, in seconds.
fn lifetime(certificate: &Value) -> i64 {
    let time = |field: &str| {
        let time = text(certificate, field).parse::<k8s_openapi::jiff::Timestamp>();
        time.expect("a time in the status").as_second()
    };
    // Both ends count (RFC 5280, section 4.1.2.5).
    let seconds = time("/status/notAfter") - time("/status/notBefore");
    (seconds + 59) / 60 * 60
}

#[test]
fn the_duration_is_asked_for_where_the_issuer_says_so() {
    let Some(ca) = Ca::pebble("acme-duration") else { return };
    scenario("acme-duration", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({ "enableDurationFeature": true })).await;
        let duration = json!({ "duration": "36h" });
        world.certificate("asked", named(world, "asked", duration)).await;
        let certificate = world.revision("asked", 1).await;
        // The CA reckons from the moment of issuance, we from that of the order.
        let off = (lifetime(&certificate) - 36 * 3600).abs();
        assert!(off < 600, "{certificate}");
    });
}

#[test]
fn an_address_is_certified_by_http01() {
    let (Some(ca), Some(proxy)) = (Ca::pebble("acme-address"), variable("TESTBED_PROXY")) else {
        return;
    };
    scenario("acme-address", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        let spec = json!({
            "dnsNames": null, "ipAddresses": [proxy], "issuerRef": { "name": "acme" },
        });
        world.certificate("address", spec).await;
        world.revision("address", 1).await;
        let secret = world.get("Secret", "address-tls").await;
        world.openssl.assert_pair(&data(&secret, "tls.crt"), &data(&secret, "tls.key"));
        let names = world.openssl.dump(&data(&secret, "tls.crt"));
        assert!(names.contains(&format!("IP Address:{proxy}")), "{names}");
    });
}

#[test]
fn an_independent_ca_issues_by_http01_too() {
    let Some(ca) = Ca::step("acme-step") else { return };
    scenario("acme-step", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        let name = |label: &str| format!("{label}-{}.example.test", world.namespace);
        let names = ["one", "two"].map(name);
        let spec = json!({ "dnsNames": names, "issuerRef": { "name": "acme" } });
        world.certificate("step", spec).await;
        world.revision("step", 1).await;
        let secret = world.get("Secret", "step-tls").await;
        assert_covers(world, &secret, &[&names[0], &names[1]]);
        let root = std::fs::read(variable("TESTBED_STEPCA_ROOT").unwrap()).expect("step-ca's root");
        world.openssl.verify(&root, &data(&secret, "tls.crt"));
        everleaf_e2e::acme::swept(world).await;
    });
}
