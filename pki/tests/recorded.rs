//! What cert-manager left in a cluster: read, compared and taken over.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DAY, common_name, data, limits, named};
use der::{AnyRef, Decode, Reader, SliceReader};
use everleaf_pki::{
    CaSigner, CertInfo, CsrInfo, CsrSpec, Issue, Name, Oid, PairReport, PrivateKey, SubjectFields,
    Usage, arrange_chain, inspect_pair, secret_annotations, self_sign,
};

const PAIRS: [&str; 9] = [
    "ab-tls",
    "front-tls",
    "http-tls",
    "java-tls",
    "literal-tls",
    "pkcs8-tls",
    "plain-tls",
    "shop-root",
    "wildcard-tls",
];

fn left_behind(name: &str, extension: &str) -> Vec<u8> {
    data(&format!("left-behind/{name}.{extension}"))
}

fn leaf(name: &str) -> CertInfo {
    CertInfo::parse_chain(&left_behind(name, "crt"), &limits()).unwrap().remove(0)
}

fn private_key(name: &str) -> PrivateKey {
    PrivateKey::from_pem(&left_behind(name, "key"), &limits()).unwrap()
}

#[test]
fn every_pair_left_behind_is_ok_without_hints() {
    for name in PAIRS {
        let report = inspect_pair(&left_behind(name, "crt"), &left_behind(name, "key"), &limits());
        let PairReport::Ok(pair) = report else { panic!("{name}: {report:?}") };
        assert_eq!(pair.hints, [], "{name}");
        assert_eq!(Some(pair.key_kind), pair.leaf.public_key.kind());
    }
}

#[test]
fn the_descriptive_annotations_are_those_cert_manager_wrote() {
    for name in PAIRS {
        let text = String::from_utf8(left_behind(name, "annotations")).unwrap();
        let expected: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let got = secret_annotations(&leaf(name));
        let got: Vec<_> = got.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn every_request_left_behind_verifies_and_is_for_the_key_beside_it() {
    for name in PAIRS {
        let request = CsrInfo::parse(&left_behind(name, "csr"), &limits()).unwrap();
        assert_eq!(&request.public_key, private_key(name).public_key(), "{name}");
        assert_eq!(request.subject, leaf(name).subject, "{name}");
        assert_eq!(request.alt_names, leaf(name).alt_names, "{name}");
    }
}

/// CertificationRequestInfo and what is signed with it; ECDSA's signature differs every time.
fn to_be_signed(der: &[u8]) -> &[u8] {
    let mut reader = SliceReader::new(AnyRef::from_der(der).unwrap().value()).unwrap();
    reader.tlv_bytes().unwrap()
}

fn rdn(keyword: &str, value: &str) -> Vec<(Oid, String)> {
    let oid = match keyword {
        "DC" => "0.9.2342.19200300.100.1.25",
        "O" => "2.5.4.10",
        "OU" => "2.5.4.11",
        _ => "2.5.4.3",
    };
    vec![(oid.parse().unwrap(), value.to_owned())]
}

/// The specifications of the Certificates that were recorded.
fn specs() -> Vec<(&'static str, CsrSpec)> {
    let dns = |names: &[&str]| CsrSpec {
        dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let server = vec![Usage::DigitalSignature, Usage::ServerAuth];
    let root = SubjectFields {
        organizations: vec!["Shop".into()],
        organizational_units: vec!["Platform".into(), "PKI".into()],
        common_name: "Shop Root CA".into(),
        ..Default::default()
    };
    let literal = [
        rdn("DC", "example"),
        rdn("DC", "corp"),
        rdn("O", "Shop"),
        rdn("OU", "Two"),
        rdn("OU", "One"),
        rdn("CN", "literal.example.test"),
    ];
    vec![
        (
            "ab-tls",
            CsrSpec { usages: server.clone(), ..dns(&["a.example.test", "b.example.test"]) },
        ),
        ("front-tls", CsrSpec { usages: server, ..dns(&["front.example.test"]) }),
        ("http-tls", dns(&["http.example.test"])),
        ("java-tls", dns(&["java.example.test"])),
        (
            "literal-tls",
            CsrSpec { subject: Name::from_rdns(&literal), ..dns(&["literal.example.test"]) },
        ),
        (
            "pkcs8-tls",
            CsrSpec {
                ip_addresses: vec!["10.1.2.3".parse().unwrap()],
                uris: vec!["spiffe://example.test/ns/shop".into()],
                email_addresses: vec!["a@example.test".into()],
                usages: vec![Usage::ServerAuth, Usage::ClientAuth],
                ..named("pkcs8.example.test")
            },
        ),
        (
            "plain-tls",
            dns(&["plain.example.test", "www.plain.example.test", "new.plain.example.test"]),
        ),
        ("shop-root", CsrSpec { subject: Name::from_fields(&root), is_ca: true, ..dns(&[]) }),
        ("wildcard-tls", dns(&["shop.example.test", "*.shop.example.test"])),
    ]
}

#[test]
fn the_same_specification_and_key_give_the_request_cert_manager_made() {
    for (name, spec) in specs() {
        let recorded = CsrInfo::parse(&left_behind(name, "csr"), &limits()).unwrap();
        let built = spec.build(&private_key(name)).unwrap();
        assert_eq!(to_be_signed(&built), to_be_signed(&recorded.der), "{name}");
        let deterministic = private_key(name).kind().algorithm() != "ECDSA";
        assert!(!deterministic || built == recorded.der, "{name}");
    }
}

/// The recorded certificate's times and serial number, and the recorded issuer's settings.
fn as_recorded(name: &str) -> Issue {
    let recorded = leaf(name);
    let spec = specs().into_iter().find(|(known, _)| *known == name).unwrap().1;
    Issue {
        not_before: recorded.not_before,
        not_after: recorded.not_after,
        is_ca: spec.is_ca,
        usages: spec.usages,
        serial: Some(recorded.serial),
        ..Default::default()
    }
}

#[test]
fn the_same_ca_request_and_times_give_the_certificate_cert_manager_issued() {
    let (certificate, key) = (left_behind("shop-root", "crt"), left_behind("shop-root", "key"));
    let ca = CaSigner::from_pem(&certificate, &key, &limits()).unwrap();
    for name in ["ab-tls", "front-tls", "java-tls", "literal-tls", "pkcs8-tls", "plain-tls"] {
        let request = CsrInfo::parse(&left_behind(name, "csr"), &limits()).unwrap();
        let crl = "http://crl.example.test/shop.crl".to_owned();
        let issue = Issue { crl_distribution_points: vec![crl], ..as_recorded(name) };
        let issued = ca.issue(&request, &issue).unwrap();
        assert_eq!(to_be_signed(&issued.leaf.der), to_be_signed(&leaf(name).der), "{name}");
    }
}

#[test]
fn the_same_key_request_and_times_give_the_root_cert_manager_signed() {
    let request = CsrInfo::parse(&left_behind("shop-root", "csr"), &limits()).unwrap();
    let issue = as_recorded("shop-root");
    let issued = self_sign(&private_key("shop-root"), &request, &issue).unwrap();
    assert_eq!(to_be_signed(&issued.leaf.der), to_be_signed(&leaf("shop-root").der));
}

#[test]
fn a_ca_with_two_units_in_its_name_signs_with_exactly_that_name() {
    let (certificate, key) = (left_behind("shop-root", "crt"), left_behind("shop-root", "key"));
    let ca = CaSigner::from_pem(&certificate, &key, &limits()).unwrap();
    assert_eq!(ca.certificate().subject.to_string(), "CN=Shop Root CA,OU=PKI+OU=Platform,O=Shop");
    let request = CsrInfo::parse(&left_behind("literal-tls", "csr"), &limits()).unwrap();
    let not_before = ca.certificate().not_before + DAY;
    let issue = Issue { not_before, not_after: not_before + DAY, ..Default::default() };
    let issued = ca.issue(&request, &issue).unwrap();
    assert_eq!(issued.leaf.issuer.as_der(), ca.certificate().subject.as_der());
    assert_eq!(issued.leaf.subject.as_der(), request.subject.as_der());
    assert_eq!(issued.leaf.verify_issued_by(ca.certificate()), Ok(()));
    assert_eq!(issued.leaf_pem, issued.chain_pem);
    assert_eq!(issued.ca_pem.as_bytes(), certificate);
}

#[test]
fn certificates_cert_manager_issued_verify_against_their_ca_and_against_nothing_else() {
    let root = leaf("shop-root");
    assert!(root.self_signed && root.may_sign_certificates());
    for name in ["ab-tls", "literal-tls", "pkcs8-tls"] {
        assert_eq!(leaf(name).verify_issued_by(&root), Ok(()), "{name}");
    }
    assert!(leaf("http-tls").verify_issued_by(&root).is_err());
    assert!(root.verify_issued_by(&leaf("ab-tls")).is_err());
}

#[test]
fn an_acme_chain_is_put_in_order_whatever_order_it_comes_in() {
    let chain = CertInfo::parse_chain(&left_behind("wildcard-tls", "crt"), &limits()).unwrap();
    assert!(chain.len() >= 2);
    let mut shuffled = chain.clone();
    shuffled.reverse();
    shuffled.push(chain[0].clone());
    let arranged = arrange_chain(shuffled).unwrap();
    assert_eq!(arranged.certificates, chain);
    assert_eq!(arranged.root, None);
    assert_eq!(arranged.ca(), chain.last());
}

#[test]
fn a_leaf_says_what_its_issuer_put_into_it() {
    let leaf = leaf("pkcs8-tls");
    assert_eq!(leaf.subject, common_name("pkcs8.example.test"));
    assert_eq!(leaf.usages.to_api(), [Usage::ServerAuth, Usage::ClientAuth]);
    assert_eq!(leaf.not_after - leaf.not_before, 30 * DAY);
    assert_eq!(leaf.authority_key_id, self::leaf("shop-root").subject_key_id);
    assert!(!leaf.is_ca && !leaf.self_signed);
}
