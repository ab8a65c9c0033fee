//! Nothing that comes from outside panics or takes long.

#![allow(clippy::unwrap_used)]

mod common;

use common::{data, limits};
use everleaf_pki::{
    CertInfo, Chain, CsrInfo, IpRange, Limits, Name, Oid, PairPart, PairReport, PrivateKey,
    inspect_pair, pem,
};
use proptest::prelude::*;

const SEEDS: [&str; 8] = [
    "left-behind/shop-root.crt",
    "left-behind/literal-tls.crt",
    "left-behind/pkcs8-tls.crt",
    "others/openssl-p521-ski.csr",
    "others/openssl-rsa-pss.csr",
    "left-behind/plain-tls.key",
    "left-behind/pkcs8-tls.key",
    "left-behind/literal-tls.key",
];

fn seed() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(&SEEDS[..]).prop_map(data)
}

/// The DER inside a PEM seed, whatever its label.
fn seed_der() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop::sample::select(&SEEDS[..5]).prop_map(|name| {
        let text = data(name);
        match name.ends_with("csr") {
            true => ("CERTIFICATE REQUEST", pem::request(&text, 1 << 20).unwrap()),
            false => ("CERTIFICATE", pem::certificates(&text, "seed", 1 << 20).unwrap().remove(0)),
        }
    })
}

/// Overwrites, removals and insertions at arbitrary places.
fn mutated(bytes: &[u8], edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, kind, value) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        match kind % 3 {
            0 => bytes[at] = *value,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, *value),
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 1..4)
}

fn read_as_everything(bytes: &[u8]) {
    let _ = Name::from_der(bytes);
    let _ = CsrInfo::from_der(bytes);
    let _ = CertInfo::from_der(bytes);
    let _ = Oid::from_content(bytes);
    let _ = CsrInfo::parse(bytes, &limits());
    let _ = PrivateKey::from_pem(bytes, &limits());
    let _ = Chain::from_pem(bytes, &limits());
    let _ = inspect_pair(bytes, bytes, &limits());
    for label in ["CERTIFICATE", "CERTIFICATE REQUEST", "RSA PRIVATE KEY", "PRIVATE KEY"] {
        let text = pem::encode(label, bytes);
        let _ = inspect_pair(text.as_bytes(), text.as_bytes(), &limits());
        let _ = CsrInfo::parse(text.as_bytes(), &limits());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn mutated_pem_never_panics(seed in seed(), edits in edits()) {
        read_as_everything(&mutated(&seed, &edits));
    }

    #[test]
    fn mutated_der_never_panics_and_what_is_read_keeps_its_bytes(
        (label, der) in seed_der(), edits in edits(),
    ) {
        let der = mutated(&der, &edits);
        read_as_everything(&der);
        if let Ok(certificate) = CertInfo::from_der(&der) {
            prop_assert_eq!(&certificate.der, &der);
            let _ = certificate.verify_issued_by(&certificate);
            let _ = everleaf_pki::secret_annotations(&certificate);
            let _ = (certificate.serial_hex(), certificate.subject.to_string());
        }
        let text = pem::encode(label, &der);
        let _ = CertInfo::parse_bundle(text.as_bytes(), &limits());
    }

    #[test]
    fn texts_never_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<Oid>();
        let _ = text.parse::<IpRange>();
        let _ = text.parse::<everleaf_pki::Usage>();
    }

    #[test]
    fn identifiers_that_parse_print_as_they_were(
        arcs in prop::collection::vec(any::<u64>(), 0..6),
    ) {
        let text = arcs.iter().fold("1.3".to_owned(), |text, arc| format!("{text}.{arc}"));
        prop_assert_eq!(text.parse::<Oid>().unwrap().to_string(), text);
    }
}

#[test]
fn a_mebibyte_of_hostile_input_is_refused_before_it_is_decoded() {
    let certificate = data("left-behind/plain-tls.crt");
    let key = data("left-behind/plain-tls.key");
    let many = certificate.repeat((1 << 20) / certificate.len());
    let report = inspect_pair(&many, &key, &limits());
    let PairReport::Undecodable { part: PairPart::Certificate, why } = report else {
        panic!("{report:?}")
    };
    assert!(why.ends_with("more than the limit of 95000"), "{why}");
}

#[test]
fn a_mebibyte_within_generous_limits_is_read_once_and_verified_little() {
    let generous = Limits { chain: 1 << 20, key: 1 << 20, ..Limits::default() };
    let certificate = data("left-behind/plain-tls.crt");
    let key = data("left-behind/plain-tls.key");
    let many = certificate.repeat((1 << 20) / certificate.len());
    assert!(matches!(inspect_pair(&many, &key, &generous), PairReport::Ok(_)));
    assert_eq!(Chain::from_pem(&many, &generous).unwrap().certificates.len(), 1);
    for filler in [&b"\x30\x80"[..], b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN ", b"\n", b"0"]
    {
        let text = filler.repeat((1 << 20) / filler.len());
        let report = inspect_pair(&text, &text, &generous);
        assert!(matches!(report, PairReport::Undecodable { .. }), "{filler:?}");
        let nested = pem::encode("CERTIFICATE", &text[..700_000]);
        assert!(matches!(
            inspect_pair(nested.as_bytes(), &key, &generous),
            PairReport::Undecodable { .. }
        ));
    }
}
