//! Other people's requests, and what our own contain.

#![allow(clippy::unwrap_used)]

mod common;

use common::{P256, common_name, data, key, limits, named, request};
use everleaf_pki::{
    CsrError, CsrInfo, CsrSpec, Curve, KeyError, KeyKind, NameConstraints, OtherName,
    SignatureAlgorithm, Subtrees, Usage, VerifyError,
};

fn others(name: &str) -> Result<CsrInfo, CsrError> {
    CsrInfo::parse(&data(&format!("others/{name}")), &limits())
}

#[test]
fn a_p521_request_with_unknown_extensions_and_names_is_read_whole() {
    let request = others("openssl-p521-ski.csr").unwrap();
    assert_eq!(request.public_key.kind(), Some(KeyKind::Ecdsa(Curve::P521)));
    assert_eq!(request.signature_algorithm, Some(SignatureAlgorithm::EcdsaWithSha512));
    assert_eq!(request.subject.to_string(), "CN=p521.example.test,OU=Two,OU=One,O=Ärzte,C=DE");
    let names = &request.alt_names;
    assert_eq!(names.dns_names, ["p521.example.test"]);
    assert_eq!(names.ip_addresses, ["2001:db8::1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(names.uris, ["spiffe://example.test/x"]);
    assert_eq!(names.email_addresses, ["a@example.test"]);
    assert_eq!(names.other_names[0].utf8_value, "user@example.test");
    assert_eq!(names.unread.len(), 3, "directory name, registered identifier, IA5 otherName");
    assert_eq!(request.usages.to_api(), [Usage::DigitalSignature, Usage::ServerAuth]);
    assert_eq!(request.usages.purposes()[1].to_string(), "1.2.3.4.5");
    assert_eq!(request.is_ca(), Some(false));
    let unknown = "1.2.3.4.5.6.7.8".parse().unwrap();
    assert!(request.extensions.contains(&unknown));
}

#[test]
fn a_printable_string_with_forbidden_characters_is_read_and_kept() {
    let request = others("go-printable-star-p256-sha384.csr").unwrap();
    assert_eq!(request.subject.common_name(), "*.star_@example.test");
    assert_eq!(request.public_key.kind(), Some(P256));
    assert_eq!(request.signature_algorithm, Some(SignatureAlgorithm::EcdsaWithSha384));
}

#[test]
fn pss_and_a_hash_longer_than_the_curve_are_accepted() {
    let pss = others("openssl-rsa-pss.csr").unwrap();
    assert_eq!(pss.public_key.kind(), Some(KeyKind::Rsa { bits: 2048 }));
    assert_eq!(pss.signature_algorithm, None, "the API has no name for PSS");
    let p256 = others("openssl-p256-sha512.csr").unwrap();
    assert_eq!(p256.signature_algorithm, Some(SignatureAlgorithm::EcdsaWithSha512));
}

#[test]
fn sha1_and_short_rsa_keys_are_refused_by_name() {
    let refused = |name| match others(name).unwrap_err() {
        CsrError::Signature(VerifyError::Unsupported(algorithm)) => algorithm,
        other => panic!("{other}"),
    };
    assert_eq!(refused("openssl-rsa-sha1.csr"), "1.2.840.113549.1.1.5");
    assert_eq!(refused("openssl-rsa-1024.csr"), "SHA256WithRSA");
}

#[test]
fn a_request_changed_after_signing_is_refused() {
    let der = named("a.example.test").build(&key(P256)).unwrap();
    let text = der.windows(3).position(|window| window == b"exa").unwrap();
    let mut changed = der.clone();
    changed[text] = b'E';
    assert_eq!(CsrInfo::from_der(&der).unwrap().der, der);
    let refused = CsrInfo::from_der(&changed).unwrap_err();
    assert_eq!(refused, CsrError::Signature(VerifyError::Invalid));
}

#[test]
fn every_kind_of_key_makes_a_request_that_reads_back() {
    let kinds = [KeyKind::Rsa { bits: 2048 }, P256, KeyKind::Ecdsa(Curve::P521), KeyKind::Ed25519];
    for kind in kinds {
        let key = key(kind);
        let read = request(&named("a.example.test"), &key);
        assert_eq!(&read.public_key, key.public_key());
        assert_eq!(read.signature_algorithm, Some(kind.default_signature_algorithm()));
    }
}

#[test]
fn a_signature_algorithm_of_another_family_is_a_clear_error() {
    let algorithm = SignatureAlgorithm::Sha256WithRsa;
    let spec = CsrSpec { signature_algorithm: Some(algorithm), ..named("a.example.test") };
    let error = spec.build(&key(P256)).unwrap_err();
    assert_eq!(error, CsrError::Key(KeyError::AlgorithmMismatch { algorithm, key: P256 }));
}

#[test]
fn a_specification_without_anything_asks_for_no_extension() {
    let spec = CsrSpec { encode_usages: false, ..Default::default() };
    let read = request(&spec, &key(P256));
    assert!(read.extensions.is_empty() && read.subject.is_empty());
    assert_eq!(read.alt_names_der, None);
}

#[test]
fn extensions_come_in_cert_managers_order_and_only_where_asked_for() {
    let spec = CsrSpec {
        usages: vec![Usage::ServerAuth, Usage::Any],
        is_ca: true,
        encode_basic_constraints: true,
        name_constraints: Some(NameConstraints {
            critical: true,
            permitted: Subtrees { dns_domains: vec!["example.test".into()], ..Default::default() },
            excluded: Subtrees {
                ip_ranges: vec!["10.0.0.0/8".parse().unwrap()],
                ..Default::default()
            },
        }),
        ..named("ca.example.test")
    };
    let read = request(&spec, &key(P256));
    let oids: Vec<_> = read.extensions.iter().map(ToString::to_string).collect();
    assert_eq!(oids, ["2.5.29.17", "2.5.29.15", "2.5.29.37", "2.5.29.19", "2.5.29.30"]);
    assert_eq!(read.usages.to_api(), [Usage::CertSign, Usage::ServerAuth, Usage::Any]);
    assert_eq!(read.is_ca(), Some(true));
    assert!(read.name_constraints.unwrap().critical);
}

#[test]
fn empty_name_constraints_are_left_out() {
    let spec = CsrSpec {
        name_constraints: Some(NameConstraints { critical: true, ..Default::default() }),
        ..named("ca.example.test")
    };
    assert_eq!(request(&spec, &key(P256)).name_constraints, None);
}

#[test]
fn names_of_every_kind_survive_in_order() {
    let upn: everleaf_pki::Oid = "1.3.6.1.4.1.311.20.2.3".parse().unwrap();
    let spec = CsrSpec {
        subject: common_name("x"),
        dns_names: vec!["b.test".into(), "a.test".into()],
        ip_addresses: vec!["::1".parse().unwrap(), "::ffff:1.2.3.4".parse().unwrap()],
        uris: vec!["https://example.test/?a=b".into()],
        email_addresses: vec!["a@example.test".into()],
        other_names: vec![OtherName { oid: upn, utf8_value: "käfer@example.test".into() }],
        ..Default::default()
    };
    let names = request(&spec, &key(P256)).alt_names;
    assert_eq!(names.dns_names, spec.dns_names);
    assert_eq!(names.ip_addresses[1].to_string(), "1.2.3.4", "written as IPv4, as Go does");
    assert_eq!((names.uris, names.other_names), (spec.uris, spec.other_names));
    assert_eq!((names.email_addresses, names.unread.len()), (spec.email_addresses, 0));
}

#[test]
fn names_outside_ascii_are_an_error_that_shows_them() {
    let spec = CsrSpec { dns_names: vec!["käfer.test".into()], ..Default::default() };
    let error = spec.build(&key(P256)).unwrap_err().to_string();
    assert_eq!(error, "DNS name \"käfer.test\" is not ASCII");
}
