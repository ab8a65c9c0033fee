//! Everything that is built is shown to the real OpenSSL, where there is one.

#![allow(clippy::unwrap_used)]

mod common;

use common::{
    DAY, NOW, OpenSsl, P256, ca_for_days, common_name, data, for_days, key, limits, named, request,
};
use everleaf_pki::{
    CaSigner, CsrInfo, CsrSpec, Curve, Encoding, Issue, KeyKind, NameConstraints, OtherName,
    PrivateKey, SignatureAlgorithm, Subtrees, Usage, self_sign,
};

const KINDS: [KeyKind; 5] = [
    KeyKind::Rsa { bits: 2048 },
    KeyKind::Ecdsa(Curve::P256),
    KeyKind::Ecdsa(Curve::P384),
    KeyKind::Ecdsa(Curve::P521),
    KeyKind::Ed25519,
];

fn full() -> CsrSpec {
    CsrSpec {
        ip_addresses: vec!["10.1.2.3".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        uris: vec!["spiffe://example.test/x".into()],
        email_addresses: vec!["a@example.test".into()],
        other_names: vec![OtherName {
            oid: "1.3.6.1.4.1.311.20.2.3".parse().unwrap(),
            utf8_value: "user@example.test".into(),
        }],
        usages: vec![Usage::DigitalSignature, Usage::ServerAuth, Usage::Any],
        ..named("full.example.test")
    }
}

#[test]
fn keys_of_every_kind_and_encoding_are_consistent_to_openssl() {
    let Some(openssl) = OpenSsl::find("keys") else { return };
    for kind in KINDS {
        let key = key(kind);
        for encoding in [Encoding::Pkcs1, Encoding::Pkcs8] {
            let file = openssl.file("key.pem", key.to_pem(encoding).unwrap().as_bytes());
            openssl.run(&["pkey", "-in", &file, "-check", "-noout"]);
            let public = openssl.run(&["pkey", "-in", &file, "-pubout", "-outform", "PEM"]);
            let ours = everleaf_pki::pem::encode("PUBLIC KEY", key.public_key_der());
            assert_eq!(public, ours, "{kind} {encoding:?}");
        }
    }
}

#[test]
fn keys_openssl_made_are_read_in_every_form_it_writes() {
    let Some(openssl) = OpenSsl::find("foreign-keys") else { return };
    let read = |pem: String| PrivateKey::from_pem(pem.as_bytes(), &limits()).unwrap().kind();
    for (curve, kind) in [("prime256v1", Curve::P256), ("secp521r1", Curve::P521)] {
        let sec1 = openssl.run(&["ecparam", "-name", curve, "-genkey"]);
        let file = openssl.file("ec.pem", &sec1);
        let pkcs8 = openssl.run(&["pkcs8", "-topk8", "-nocrypt", "-in", &file]);
        assert_eq!([read(sec1), read(pkcs8)], [KeyKind::Ecdsa(kind); 2]);
    }
    assert_eq!(read(openssl.run(&["genpkey", "-algorithm", "ed25519"])), KeyKind::Ed25519);
}

#[test]
fn requests_verify_and_show_their_names() {
    let Some(openssl) = OpenSsl::find("requests") else { return };
    for kind in KINDS {
        let file = openssl.file("request.pem", full().build_pem(&key(kind)).unwrap());
        let text = openssl.run(&["req", "-in", &file, "-verify", "-noout", "-text"]);
        assert!(text.contains("verify OK"), "{kind}: {text}");
        assert!(text.contains("IP Address:2001:DB8"), "{text}");
        assert!(text.contains("othername: UPN::user@example.test"), "{text}");
        assert!(text.contains("TLS Web Server Authentication, Any Extended Key Usage"), "{text}");
    }
}

#[test]
fn every_pair_of_curve_and_hash_verifies() {
    let Some(openssl) = OpenSsl::find("hashes") else { return };
    let (rsa, ecdsa) = (KeyKind::Rsa { bits: 2048 }, KINDS[1..4].iter());
    for kind in ecdsa.copied().chain([rsa]) {
        let key = key(kind);
        for algorithm in SignatureAlgorithm::ALL.into_iter().filter(|a| kind.supports(*a)) {
            let spec = CsrSpec { signature_algorithm: Some(algorithm), ..full() };
            let file = openssl.file("request.pem", spec.build_pem(&key).unwrap());
            let text = openssl.run(&["req", "-in", &file, "-verify", "-noout"]);
            assert!(text.contains("verify OK"), "{kind} {algorithm}: {text}");
        }
    }
}

/// Root, intermediate and leaf, each of another kind of key, verified as a client would.
#[test]
fn whole_chains_verify_for_every_kind_of_key() {
    let Some(openssl) = OpenSsl::find("chains") else { return };
    for (position, kind) in KINDS.into_iter().enumerate() {
        let (middle_kind, leaf_kind) = (KINDS[(position + 1) % 5], KINDS[(position + 2) % 5]);
        let (root_key, middle_key) = (key(kind), key(middle_kind));
        let ca = |name| CsrSpec { subject: common_name(name), is_ca: true, ..Default::default() };
        let root =
            self_sign(&root_key, &request(&ca("Root"), &root_key), &ca_for_days(3650)).unwrap();
        let signer = |pem: &str, key: &PrivateKey| {
            let key = key.to_pem(Encoding::Pkcs8).unwrap();
            CaSigner::from_pem(pem.as_bytes(), key.as_bytes(), &limits()).unwrap()
        };
        let middle = signer(&root.chain_pem, &root_key)
            .issue(&request(&ca("Middle"), &middle_key), &ca_for_days(365))
            .unwrap();
        let issue = Issue {
            usages: vec![Usage::DigitalSignature, Usage::ServerAuth],
            crl_distribution_points: vec!["http://crl.example.test/ca.crl".into()],
            ocsp_servers: vec!["http://ocsp.example.test".into()],
            issuing_certificate_urls: vec!["http://ca.example.test/ca.crt".into()],
            ..for_days(90)
        };
        let leaf = signer(&middle.chain_pem, &middle_key)
            .issue(&request(&full(), &key(leaf_kind)), &issue)
            .unwrap();
        let root_file = openssl.file("root.pem", &root.ca_pem);
        let chain_file = openssl.file("chain.pem", &middle.leaf_pem);
        let leaf_file = openssl.file("leaf.pem", &leaf.chain_pem);
        let at = (NOW + DAY).to_string();
        openssl.run(&[
            "verify",
            "-x509_strict",
            "-attime",
            &at,
            "-purpose",
            "sslserver",
            "-CAfile",
            &root_file,
            "-untrusted",
            &chain_file,
            "-verify_hostname",
            "full.example.test",
            &leaf_file,
        ]);
        let text = openssl.run(&["x509", "-in", &leaf_file, "-noout", "-text"]);
        for expected in [
            "URI:http://crl.example.test/ca.crl",
            "OCSP - URI:http://ocsp.example.test",
            "CA Issuers - URI:http://ca.example.test/ca.crt",
            "CA:FALSE",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}

#[test]
fn a_leaf_under_the_ca_with_two_units_verifies() {
    let Some(openssl) = OpenSsl::find("two-units") else { return };
    let (crt, key_pem) = (data("left-behind/shop-root.crt"), data("left-behind/shop-root.key"));
    let ca = CaSigner::from_pem(&crt, &key_pem, &limits()).unwrap();
    let from = ca.certificate().not_before;
    let issue = Issue { not_before: from, not_after: from + DAY, ..Default::default() };
    let leaf = ca.issue(&request(&full(), &key(P256)), &issue).unwrap();
    let (root, leaf) = (openssl.file("root.pem", &crt), openssl.file("leaf.pem", &leaf.leaf_pem));
    let at = (from + 60).to_string();
    openssl.run(&["verify", "-attime", &at, "-CAfile", &root, &leaf]);
}

#[test]
fn name_constraints_are_copied_and_obeyed() {
    let Some(openssl) = OpenSsl::find("constraints") else { return };
    let ca_key = key(P256);
    let spec = CsrSpec {
        subject: common_name("Constrained"),
        is_ca: true,
        encode_basic_constraints: true,
        name_constraints: Some(NameConstraints {
            critical: true,
            permitted: Subtrees {
                dns_domains: vec!["example.test".into()],
                ip_ranges: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
                email_addresses: vec!["example.test".into()],
                uri_domains: vec![".example.test".into()],
            },
            excluded: Subtrees { dns_domains: vec!["bad.test".into()], ..Default::default() },
        }),
        ..Default::default()
    };
    let ca = self_sign(&ca_key, &request(&spec, &ca_key), &ca_for_days(10)).unwrap();
    let file = openssl.file("ca.pem", &ca.leaf_pem);
    let text = openssl.run(&["x509", "-in", &file, "-noout", "-text"]);
    for expected in ["Name Constraints: critical", "IP:10.0.0.0/255.0.0.0", "DNS:bad.test"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let ca_key = ca_key.to_pem(Encoding::Pkcs1).unwrap();
    let signer = CaSigner::from_pem(ca.leaf_pem.as_bytes(), ca_key.as_bytes(), &limits()).unwrap();
    let leaf = signer.issue(&request(&named("a.example.test"), &key(P256)), &for_days(1)).unwrap();
    let leaf = openssl.file("leaf.pem", &leaf.leaf_pem);
    let at = (NOW + 60).to_string();
    openssl.run(&["verify", "-attime", &at, "-CAfile", &file, &leaf]);
}

#[test]
fn certificates_for_requests_openssl_made_show_the_same_names() {
    let Some(openssl) = OpenSsl::find("foreign") else { return };
    let root_key = key(KeyKind::Rsa { bits: 2048 });
    let root = request(&CsrSpec { subject: common_name("R"), ..Default::default() }, &root_key);
    let root = self_sign(&root_key, &root, &ca_for_days(10)).unwrap();
    let root_key = root_key.to_pem(Encoding::Pkcs1).unwrap();
    let signer =
        CaSigner::from_pem(root.leaf_pem.as_bytes(), root_key.as_bytes(), &limits()).unwrap();
    let csr = CsrInfo::parse(&data("others/openssl-p521-ski.csr"), &limits()).unwrap();
    let leaf = signer.issue(&csr, &for_days(1)).unwrap();
    let file = openssl.file("leaf.pem", &leaf.leaf_pem);
    let text = openssl.run(&["x509", "-in", &file, "-noout", "-text"]);
    assert!(text.contains("DirName:CN = directory") || text.contains("DirName:/CN=directory"));
    assert!(text.contains("NIST CURVE: P-521"), "{text}");
    let root = openssl.file("root.pem", &root.leaf_pem);
    let at = (NOW + 60).to_string();
    openssl.run(&["verify", "-attime", &at, "-CAfile", &root, &file]);
}
