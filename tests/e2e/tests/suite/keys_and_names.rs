//! What is asked for is what openssl finds in the Secret.

use everleaf_e2e::{Scope, World, data, scenario};
use serde_json::{Value, json};

/// A kind of key, and what openssl calls it.
const KINDS: [(&str, u32, &str); 5] = [
    ("RSA", 2048, "Public-Key: (2048 bit)"),
    ("ECDSA", 256, "ASN1 OID: prime256v1"),
    ("ECDSA", 384, "ASN1 OID: secp384r1"),
    ("ECDSA", 521, "ASN1 OID: secp521r1"),
    ("Ed25519", 0, "Public Key Algorithm: ED25519"),
];

/// How a private key's PEM begins.
fn header(algorithm: &str, encoding: &str) -> &'static str {
    match (algorithm, encoding) {
        ("RSA", "PKCS1") => "-----BEGIN RSA PRIVATE KEY-----",
        ("ECDSA", "PKCS1") => "-----BEGIN EC PRIVATE KEY-----",
        _ => "-----BEGIN PRIVATE KEY-----",
    }
}

#[test]
fn every_kind_of_key_comes_in_every_encoding() {
    scenario("keys", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let all = KINDS.iter().flat_map(|kind| ["PKCS1", "PKCS8"].map(|encoding| (kind, encoding)));
        let name = |algorithm: &str, size: u32, encoding: &str| {
            format!("{algorithm}-{size}-{encoding}").to_lowercase()
        };
        for ((algorithm, size, _), encoding) in all.clone() {
            let mut key = json!({ "algorithm": algorithm, "encoding": encoding });
            if *size > 0 {
                key["size"] = json!(size);
            }
            let name = name(algorithm, *size, encoding);
            world.certificate(&name, json!({ "privateKey": key })).await;
        }
        for ((algorithm, size, told), encoding) in all {
            let name = name(algorithm, *size, encoding);
            world.revision(&name, 1).await;
            let secret = world.get("Secret", &format!("{name}-tls")).await;
            let (chain, key) = (data(&secret, "tls.crt"), data(&secret, "tls.key"));
            let pem = String::from_utf8(key.clone()).expect("PEM is text");
            assert!(pem.starts_with(header(algorithm, encoding)), "{name} begins otherwise");
            world.openssl.assert_pair(&chain, &key);
            world.openssl.verify(&data(&secret, "ca.crt"), &chain);
            let dump = world.openssl.dump(&chain);
            assert!(dump.contains(told), "{name}: {dump}");
        }
    });
}

#[test]
fn names_of_every_kind_and_usages_are_in_the_certificate() {
    scenario("names", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let spec = json!({
            "commonName": "full.example.test",
            "dnsNames": ["full.example.test", "*.full.example.test"],
            "ipAddresses": ["192.0.2.7", "2001:db8::7"],
            "uris": ["spiffe://example.test/ns/shop"],
            "emailAddresses": ["ops@example.test"],
            "otherNames": [{ "oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "upn@example.test" }],
            "subject": {
                "organizations": ["Shop, Inc.", "Second"],
                "organizationalUnits": ["One", "Two"],
                "countries": ["DE"],
                "provinces": ["Land"],
                "localities": ["Stadt"],
                "streetAddresses": ["Gasse 1"],
                "postalCodes": ["12345"],
                "serialNumber": "4711",
            },
            "duration": "100h",
            "usages": ["digital signature", "key agreement", "server auth", "client auth"],
        });
        world.certificate("full", spec).await;
        world.revision("full", 1).await;
        let secret = world.get("Secret", "full-tls").await;
        let chain = data(&secret, "tls.crt");
        let dump = world.openssl.dump(&chain);
        let told = [
            "DNS:full.example.test",
            "DNS:*.full.example.test",
            "IP Address:192.0.2.7",
            "IP Address:2001:DB8:0:0:0:0:0:7",
            "URI:spiffe://example.test/ns/shop",
            "email:ops@example.test",
            "othername",
            "CN=full.example.test",
            "O=Shop\\, Inc.",
            "O=Second",
            "OU=One",
            "OU=Two",
            "C=DE",
            "ST=Land",
            "L=Stadt",
            "street=Gasse 1",
            "postalCode=12345",
            "serialNumber=4711",
            "X509v3 Key Usage: critical",
            "Digital Signature, Key Agreement",
            "TLS Web Server Authentication, TLS Web Client Authentication",
        ];
        for part in told {
            assert!(dump.contains(part), "{part} is not in\n{dump}");
        }
        assert_eq!(lifetime_hours(world, &chain), 100);
        assert_told_on_secret(&secret);
    });
}

fn assert_told_on_secret(secret: &Value) {
    let annotations = &secret["metadata"]["annotations"];
    let told = [
        ("common-name", "full.example.test"),
        ("alt-names", "full.example.test,*.full.example.test"),
        ("ip-sans", "192.0.2.7,2001:db8::7"),
        ("uri-sans", "spiffe://example.test/ns/shop"),
        ("email-sans", "ops@example.test"),
        // Values of one attribute are a SET in DER, which is sorted: the shorter comes first.
        ("subject-organizations", "Second,\"Shop, Inc.\""),
        ("subject-organizationalunits", "One,Two"),
        ("subject-serialnumber", "4711"),
    ];
    for (name, value) in told {
        assert_eq!(annotations[format!("cert-manager.io/{name}")], value, "{name}");
    }
}

/// The lifetime, to the hour. openssl is asked twice whether it ends by a time.
fn lifetime_hours(world: &World, chain: &[u8]) -> u32 {
    let ends_within = |hours: u32| {
        let seconds = (hours * 3600).to_string();
        let file = world.openssl.file("lifetime.crt", chain);
        let arguments = ["x509", "-noout", "-checkend", &seconds, "-in", &file];
        world.openssl.run(&arguments).is_err()
    };
    // The certificate is some seconds old, so that it ends within its lifetime from now.
    (1..=2000).find(|hours| ends_within(*hours)).expect("it ends within 2,000 hours")
}

#[test]
fn a_ca_whose_name_repeats_an_attribute_signs_with_exactly_that_name() {
    scenario("ca-name", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let spec = json!({
            "isCA": true,
            "commonName": "Two units",
            "dnsNames": null,
            "subject": { "organizations": ["Shop"], "organizationalUnits": ["Platform", "PKI"] },
            "usages": ["cert sign", "crl sign"],
            "issuerRef": { "name": "root" },
        });
        world.certificate("two", spec).await;
        let issuer = json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": { "name": "two" },
            "spec": { "ca": {
                "secretName": "two-tls",
                "crlDistributionPoints": ["http://crl.example.test/two.crl"],
            } },
        });
        world.create(issuer).await;
        world.certificate("leaf", json!({ "issuerRef": { "name": "two" } })).await;
        world.revision("leaf", 1).await;
        let ca = data(&world.get("Secret", "two-tls").await, "tls.crt");
        let secret = world.get("Secret", "leaf-tls").await;
        let chain = data(&secret, "tls.crt");
        world.openssl.verify(&data(&secret, "ca.crt"), &chain);

        let subject = world.openssl.x509(&ca, &["-subject", "-nameopt", "RFC2253"]);
        let signed = world.openssl.x509(&chain, &["-issuer", "-nameopt", "RFC2253"]);
        let name = |line: &str| line.split_once('=').map(|(_, name)| name.to_owned());
        assert_eq!(name(&subject), name(&signed));
        assert!(subject.contains("OU=PKI") && subject.contains("OU=Platform"), "{subject}");
        let hash = |certificate: &[u8], which: &str| world.openssl.x509(certificate, &[which]);
        assert_eq!(hash(&ca, "-subject_hash"), hash(&chain, "-issuer_hash"));
        let dump = world.openssl.dump(&ca);
        assert!(dump.contains("CA:TRUE") && dump.contains("Certificate Sign, CRL Sign"), "{dump}");
        let dump = world.openssl.dump(&chain);
        assert!(dump.contains("URI:http://crl.example.test/two.crl"), "{dump}");
        assert!(!dump.contains("CA:TRUE"), "{dump}");
    });
}

#[test]
fn a_literal_subject_is_taken_in_its_own_order() {
    scenario("literal", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let subject = "CN=literal.example.test,OU=One,OU=Two,O=Shop,DC=corp,DC=example";
        world.certificate("literal", json!({ "literalSubject": subject })).await;
        world.revision("literal", 1).await;
        let chain = data(&world.get("Secret", "literal-tls").await, "tls.crt");
        let told = world.openssl.x509(&chain, &["-subject", "-nameopt", "RFC2253"]);
        assert_eq!(told, format!("subject={subject}"));
    });
}
