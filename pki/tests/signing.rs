//! Issuing: by a CA and self-signed, and the chains that come of it.

#![allow(clippy::unwrap_used)]

mod common;

use common::{
    DAY, NOW, P256, ca_for_days, common_name, data, for_days, key, limits, named, request,
};
use everleaf_pki::{
    CaSigner, CertInfo, Chain, ChainError, ChainHint, CsrInfo, CsrSpec, Curve, Encoding, Issue,
    Issued, KeyKind, MAX_CHAIN_LENGTH, Name, PairPart, PairReport, PrivateKey, SignError, Usage,
    VerifyError, arrange_chain, inspect_pair, self_sign,
};

struct Ca {
    key: PrivateKey,
    issued: Issued,
}

impl Ca {
    fn root(name: &str, days: i64) -> Self {
        let key = key(P256);
        let request = request(&CsrSpec { subject: common_name(name), ..Default::default() }, &key);
        Ca { issued: self_sign(&key, &request, &ca_for_days(days)).unwrap(), key }
    }

    fn below(&self, name: &str, days: i64) -> Self {
        let key = key(P256);
        let request = request(&CsrSpec { subject: common_name(name), ..Default::default() }, &key);
        Ca { issued: self.signer().issue(&request, &ca_for_days(days)).unwrap(), key }
    }

    /// With its root, which `tls.crt` does not carry and `ca.crt` does.
    fn signer(&self) -> CaSigner {
        let pem = format!("{}{}", self.issued.chain_pem, self.issued.ca_pem);
        CaSigner::from_pem(pem.as_bytes(), key_pem(&self.key).as_bytes(), &limits()).unwrap()
    }
}

fn key_pem(key: &PrivateKey) -> String {
    key.to_pem(Encoding::Pkcs8).unwrap().to_string()
}

fn count(pem: &str) -> usize {
    pem.matches("BEGIN CERTIFICATE").count()
}

#[test]
fn a_leaf_carries_what_was_asked_for_and_what_the_issuer_adds() {
    let root = Ca::root("Root", 3650);
    let key = key(KeyKind::Ecdsa(Curve::P384));
    let request = request(&named("a.example.test"), &key);
    let issue = Issue {
        usages: vec![Usage::ServerAuth, Usage::DigitalSignature],
        serial: Some(vec![0x80; 16]),
        ..for_days(90)
    };
    let issued = root.signer().issue(&request, &issue).unwrap();
    let leaf = &issued.leaf;
    assert_eq!((leaf.not_before, leaf.not_after), (NOW, NOW + 90 * DAY));
    assert_eq!(leaf.usages.to_api(), [Usage::DigitalSignature, Usage::ServerAuth]);
    assert_eq!(leaf.serial_hex(), "80".repeat(16));
    assert_eq!(leaf.serial[0], 0, "a serial number is never negative");
    assert_eq!(leaf.subject_key_id, None);
    assert_eq!(leaf.authority_key_id, root.issued.leaf.subject_key_id);
    assert_eq!(leaf.alt_names, request.alt_names);
    assert_eq!(&leaf.public_key, key.public_key());
    assert!(!issued.clamped && !leaf.is_ca);
}

#[test]
fn serials_that_are_zero_or_too_long_are_refused() {
    let root = Ca::root("Root", 10);
    let request = request(&named("a.example.test"), &key(P256));
    let with = |serial: Vec<u8>| {
        root.signer().issue(&request, &Issue { serial: Some(serial), ..for_days(1) })
    };
    for wrong in [vec![], vec![0; 4], vec![1; 21], vec![0x80; 20]] {
        assert_eq!(with(wrong).unwrap_err(), SignError::Serial);
    }
    assert_eq!(with(vec![0x7f; 20]).unwrap().leaf.serial.len(), 20);
}

#[test]
fn random_serials_are_positive_and_have_16_octets() {
    let root = Ca::root("Root", 3650);
    let request = request(&named("a.example.test"), &key(P256));
    let serial = || root.signer().issue(&request, &for_days(1)).unwrap().leaf.serial;
    let (one, two) = (serial(), serial());
    assert_eq!((one.len(), one[0] & 0x80), (16, 0));
    assert_ne!(one, two);
}

#[test]
fn no_certificate_outlives_its_ca_and_the_cut_is_said() {
    let root = Ca::root("Root", 10);
    let request = request(&named("a.example.test"), &key(P256));
    let issued = root.signer().issue(&request, &for_days(90)).unwrap();
    assert!(issued.clamped);
    assert_eq!(issued.leaf.not_after, NOW + 10 * DAY);
    let exact = root.signer().issue(&request, &for_days(10)).unwrap();
    assert!(!exact.clamped);
}

#[test]
fn an_expired_ca_a_future_ca_and_an_empty_lifetime_are_refused() {
    let signer = Ca::root("Root", 10).signer();
    let request = request(&named("a.example.test"), &key(P256));
    let from = |not_before, not_after| {
        signer.issue(&request, &Issue { not_before, not_after, ..Default::default() }).unwrap_err()
    };
    let end = NOW + 10 * DAY;
    assert_eq!(from(end, end + 1), SignError::CaExpired { not_after: end });
    assert_eq!(from(NOW - 1, end), SignError::CaNotYetValid { not_before: NOW });
    let empty = SignError::NoLifetime { not_before: NOW, not_after: NOW };
    assert_eq!(from(NOW, NOW), empty);
}

#[test]
fn a_ca_needs_its_own_key_and_the_right_to_sign() {
    let root = Ca::root("Root", 10);
    let other = key_pem(&key(P256));
    let mismatch =
        CaSigner::from_pem(root.issued.chain_pem.as_bytes(), other.as_bytes(), &limits());
    assert_eq!(mismatch.unwrap_err(), SignError::KeyMismatch("CN=Root".into()));

    let leaf_key = key(P256);
    let leaf_request = request(&named("a.example.test"), &leaf_key);
    let leaf = root.signer().issue(&leaf_request, &for_days(1)).unwrap();
    let pem = key_pem(&leaf_key);
    let not_ca = CaSigner::from_pem(leaf.chain_pem.as_bytes(), pem.as_bytes(), &limits());
    assert_eq!(not_ca.unwrap_err(), SignError::NotCa("CN=a.example.test".into()));
}

#[test]
fn the_chain_leaves_the_root_out_and_the_ca_is_the_root() {
    let root = Ca::root("Root", 3650);
    let middle = root.below("Middle", 365);
    let request = request(&named("a.example.test"), &key(P256));
    let issued = middle.signer().issue(&request, &for_days(1)).unwrap();
    assert_eq!(count(&issued.chain_pem), 2);
    assert_eq!(issued.ca_pem, root.issued.leaf_pem);

    let pem = key_pem(&middle.key);
    let alone =
        CaSigner::from_pem(middle.issued.leaf_pem.as_bytes(), pem.as_bytes(), &limits()).unwrap();
    let issued = alone.issue(&request, &for_days(1)).unwrap();
    assert_eq!(count(&issued.chain_pem), 2);
    assert_eq!(issued.ca_pem, middle.issued.leaf_pem, "without the root, the topmost");
}

#[test]
fn strangers_beside_the_ca_do_not_disturb_it() {
    let (root, stranger) = (Ca::root("Root", 10), Ca::root("Stranger", 10));
    let pem = format!("{}{}", root.issued.chain_pem, stranger.issued.chain_pem);
    let signer =
        CaSigner::from_pem(pem.as_bytes(), key_pem(&root.key).as_bytes(), &limits()).unwrap();
    let request = request(&named("a.example.test"), &key(P256));
    let issued = signer.issue(&request, &for_days(1)).unwrap();
    assert_eq!((count(&issued.chain_pem), issued.ca_pem), (1, root.issued.leaf_pem));
}

#[test]
fn a_self_signed_certificate_is_its_own_chain_and_ca() {
    let key = key(KeyKind::Ed25519);
    let request = request(&named("a.example.test"), &key);
    let issued = self_sign(&key, &request, &for_days(1)).unwrap();
    assert!(issued.leaf.self_signed);
    assert_eq!(issued.leaf.issuer, request.subject);
    assert_eq!((&issued.chain_pem, &issued.ca_pem), (&issued.leaf_pem, &issued.leaf_pem));
    let other = self_sign(&common::key(P256), &request, &for_days(1));
    assert_eq!(other.unwrap_err(), SignError::OtherKey);
}

#[test]
fn an_empty_subject_is_issued_as_it_is() {
    let root = Ca::root("Root", 10);
    let spec = CsrSpec { dns_names: vec!["a.test".into()], ..Default::default() };
    let issued = root.signer().issue(&request(&spec, &key(P256)), &for_days(1)).unwrap();
    assert_eq!(issued.leaf.subject, Name::empty());
}

#[test]
fn other_peoples_names_and_curves_are_certified_byte_for_byte() {
    let root = Ca::root("Root", 10);
    for name in ["openssl-p521-ski.csr", "go-printable-star-p256-sha384.csr"] {
        let request = CsrInfo::parse(&data(&format!("others/{name}")), &limits()).unwrap();
        let leaf = root.signer().issue(&request, &for_days(1)).unwrap().leaf;
        assert_eq!(leaf.subject.as_der(), request.subject.as_der());
        assert_eq!(leaf.public_key.der(), request.public_key.der());
        let names = request.alt_names_der.unwrap();
        assert!(leaf.der.windows(names.len()).any(|window| window == names));
        assert_eq!(leaf.verify_issued_by(&root.issued.leaf), Ok(()));
    }
}

#[test]
fn only_a_ca_of_the_right_name_and_key_has_issued_a_certificate() {
    let (root, same_name) = (Ca::root("Root", 10), Ca::root("Root", 10));
    let request = request(&named("a.example.test"), &key(P256));
    let leaf = root.signer().issue(&request, &for_days(1)).unwrap().leaf;
    let by = |issuer: &CertInfo| leaf.verify_issued_by(issuer).unwrap_err();
    assert_eq!(by(&same_name.issued.leaf), VerifyError::Invalid);
    assert_eq!(by(&Ca::root("Other", 10).issued.leaf), VerifyError::OtherIssuer);
    let no_ca = CertInfo { is_ca: false, ..root.issued.leaf.clone() };
    assert_eq!(by(&no_ca), VerifyError::NotCa);
}

#[test]
fn chains_are_arranged_or_the_reason_is_given() {
    let (root, stranger) = (Ca::root("Root", 10), Ca::root("Stranger", 10));
    let middle = root.below("Middle", 9);
    let certificates =
        || vec![root.issued.leaf.clone(), middle.issued.leaf.clone(), root.issued.leaf.clone()];
    let chain = arrange_chain(certificates()).unwrap();
    assert_eq!(chain.certificates, std::slice::from_ref(&middle.issued.leaf));
    assert_eq!(chain.root, Some(root.issued.leaf.clone()));

    let alone = arrange_chain(vec![root.issued.leaf.clone()]).unwrap();
    assert_eq!((alone.certificates.len(), alone.root.is_some()), (1, true));

    let mut with_stranger = certificates();
    with_stranger.push(stranger.issued.leaf.clone());
    let error = arrange_chain(with_stranger).unwrap_err();
    assert!(matches!(error, ChainError::SeveralLeaves { .. }), "{error}");
    assert_eq!(arrange_chain(Vec::new()), Err(ChainError::Empty));
}

#[test]
fn a_lone_leaf_is_a_chain_without_a_ca() {
    let root = Ca::root("Root", 10);
    let request = request(&named("a.example.test"), &key(P256));
    let issued = root.signer().issue(&request, &for_days(1)).unwrap();
    let chain = Chain::from_pem(issued.leaf_pem.as_bytes(), &limits()).unwrap();
    assert_eq!((chain.ca(), chain.chain_pem()), (None, issued.leaf_pem));
}

#[test]
fn a_chain_longer_than_the_limit_is_refused() {
    let roots = (0..=MAX_CHAIN_LENGTH).map(|n| Ca::root(&format!("Root {n}"), 10).issued.leaf);
    let error = arrange_chain(roots.collect()).unwrap_err();
    assert_eq!(error, ChainError::TooLong(MAX_CHAIN_LENGTH + 1));
}

#[test]
fn a_root_signed_with_sha1_is_still_a_root() {
    let root = data("others/openssl-root-sha1.crt");
    assert!(CertInfo::parse_chain(&root, &limits()).unwrap()[0].self_signed);
}

#[test]
fn a_pair_is_reported_by_what_is_wrong_with_it() {
    let root = Ca::root("Root", 10);
    let leaf_key = key(P256);
    let issued = root.signer().issue(&request(&named("a.test"), &leaf_key), &for_days(1)).unwrap();
    let (crt, tls_key) = (issued.chain_pem, key_pem(&leaf_key));
    let report = |crt: &str, key: &str| inspect_pair(crt.as_bytes(), key.as_bytes(), &limits());

    assert_eq!(report("", &tls_key), PairReport::Missing { certificate: true, key: false });
    assert_eq!(report("", ""), PairReport::Missing { certificate: true, key: true });
    let undecodable = |part, report| match report {
        PairReport::Undecodable { part: found, why } if found == part => why,
        other => panic!("{other:?}"),
    };
    let why = undecodable(PairPart::Certificate, report("rubbish", &tls_key));
    assert_eq!(why, "certificate chain: no PEM block of that kind in 7 bytes");
    let why = undecodable(PairPart::Key, report(&crt, &crt));
    assert!(why.starts_with("private key: no PEM block of that kind"), "{why}");

    let other = key_pem(&key(P256));
    assert_eq!(report(&crt, &other), PairReport::Mismatch { fits: None });
    let reversed = format!("{}{crt}", root.issued.leaf_pem);
    assert_eq!(report(&reversed, &tls_key), PairReport::Mismatch { fits: Some(2) });
    assert!(matches!(report(&crt, &tls_key), PairReport::Ok(_)));
}

#[test]
fn a_chain_that_is_cut_off_or_broken_is_hinted_at_but_the_pair_is_ok() {
    let (root, stranger) = (Ca::root("Root", 10), Ca::root("Stranger", 10));
    let leaf_key = key(P256);
    let issued = root.signer().issue(&request(&named("a.test"), &leaf_key), &for_days(1)).unwrap();
    let hints = |more: &str| {
        let crt = format!("{}{more}", issued.leaf_pem);
        match inspect_pair(crt.as_bytes(), key_pem(&leaf_key).as_bytes(), &limits()) {
            PairReport::Ok(pair) => (pair.chain_length, pair.hints),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(hints(&root.issued.leaf_pem), (2, vec![]));
    assert_eq!(hints(&stranger.issued.leaf_pem), (2, vec![ChainHint::NotIssuedByNext(1)]));
    let (length, cut) = hints(&root.issued.leaf_pem[..200]);
    assert!(length == 1 && matches!(cut[..], [ChainHint::CutOff(_)]), "{cut:?}");
}
