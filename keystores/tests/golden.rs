//! The same inputs give the same bytes, and they are those of cert-manager's libraries.

#![allow(clippy::unwrap_used)]

mod common;

use common::{CREATED, KEYS, PROFILES, Pair, certificates, data, password, private_key, salts};
use everleaf_keystores::pkcs12::{self, Profile};
use everleaf_keystores::{Identity, Password, Salts, combined_pem, jks, key_der};
use everleaf_pki::Encoding;

fn pkcs12_of(profile: Profile, kind: &str) -> Vec<u8> {
    let (pair, roots) = (Pair::of(kind), certificates(&["root.crt"]));
    let password = password("pässword");
    pkcs12::keystore(profile, &pair.identity(), &roots, &password, salts()).unwrap()
}

#[test]
fn every_profile_writes_the_keystores_and_truststores_of_go_pkcs12() {
    let trusted = certificates(&["root.crt", "middle.crt"]);
    for (profile, name) in PROFILES {
        let expected = data(&format!("go/{name}-p256.p12"));
        assert!(pkcs12_of(profile, "p256") == expected, "{name} keystore");
        let store = pkcs12::truststore(profile, &trusted, &password("pässword"), salts());
        assert!(store.unwrap() == data(&format!("go/{name}-trust.p12")), "{name} truststore");
    }
}

/// Domain components, e-mail addresses, BMPStrings and TeletexStrings, several values of one type in
/// one relative name and in several, and characters that have to be escaped.
#[test]
fn subjects_of_every_shape_become_the_friendly_names_that_go_gives_them() {
    let trusted = certificates(&["names.crt"]);
    assert_eq!(trusted.len(), 10);
    let profile = Profile::LegacyDes;
    let store = pkcs12::truststore(profile, &trusted, &password("pässword"), salts()).unwrap();
    assert!(store == data("go/names-trust.p12"));
}

/// A mistake in how a key is written would be the same in every profile.
#[test]
fn every_kind_of_key_is_written_as_go_writes_it() {
    for kind in KEYS {
        let expected = data(&format!("go/modern-2023-{kind}.p12"));
        assert!(pkcs12_of(Profile::Modern2023, kind) == expected, "{kind}");
    }
}

#[test]
fn java_stores_are_those_of_keystore_go_with_its_aliases_in_order() {
    let trusted = certificates(&["root.crt", "middle.crt"]);
    for kind in ["rsa", "p256"] {
        let (pair, password) = (Pair::of(kind), password("changeit"));
        let identity = pair.identity();
        let store = jks::keystore("Alpha", &identity, &trusted, &password, CREATED, salts());
        assert!(store.unwrap() == data(&format!("go/{kind}.jks")), "{kind}");
    }
}

/// Finds `marker` at the `n`th time, and what follows it.
fn behind<const N: usize>(bytes: &[u8], marker: &[u8], n: usize) -> [u8; N] {
    let mut found = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(marker));
    let start = found.nth(n).unwrap() + marker.len();
    bytes[start..start + N].try_into().unwrap()
}

/// The salts that a Modern2023 store shows, in the order in which they were drawn: those of the key,
/// which is not the first safe, those of the certificates, that of the MAC.
fn salts_of(store: &[u8], safes: &[usize]) -> Salts {
    let (salt, iv) = (b"\x05\x0c\x30\x22\x04\x10".as_slice(), b"\x01\x2a\x04\x10".as_slice());
    let mut drawn: Vec<u8> = Vec::new();
    for &safe in safes {
        drawn.extend(behind::<16>(store, salt, safe));
        drawn.extend(behind::<16>(store, iv, safe));
    }
    let mac = store.len() - 20;
    drawn.extend(&store[mac..mac + 16]);
    drawn.resize(Salts::LENGTH, 0);
    Salts::new(drawn.try_into().unwrap())
}

#[test]
fn what_cert_manager_left_in_a_cluster_is_written_again_to_the_last_byte() {
    let chain = certificates(&["cert-manager/tls.crt"]);
    let authorities = certificates(&["cert-manager/ca.crt"]);
    let key = private_key("cert-manager/tls.key").to_der(Encoding::Pkcs8).unwrap();
    let identity = Identity::new(&key, &chain).unwrap();
    let password = Password::new(b"changeit").unwrap();

    let left = data("cert-manager/keystore.p12");
    let salts = salts_of(&left, &[1, 0]);
    let profile = Profile::Modern2023;
    let ours = pkcs12::keystore(profile, &identity, &authorities, &password, salts).unwrap();
    assert!(ours == left, "keystore.p12");

    let left = data("cert-manager/truststore.p12");
    let salts = salts_of(&left, &[0]);
    let ours = pkcs12::truststore(profile, &authorities, &password, salts).unwrap();
    assert!(ours == left, "truststore.p12");
}

/// cert-manager leaves the order of entries to chance and calls the type of certificates `X509`, where
/// Java calls it `X.509`; nothing else differs.
#[test]
fn the_java_truststore_that_cert_manager_left_differs_in_the_type_alone() {
    let left = data("cert-manager/truststore.jks");
    let authorities = certificates(&["cert-manager/ca.crt"]);
    let created = i64::from_be_bytes(behind(&left, b"\0\x02ca", 0));
    let password = Password::new(b"changeit").unwrap();
    let ours = jks::truststore(&authorities, &password, created).unwrap();
    let start = 12 + 4 + 4 + 8;
    assert_eq!(ours[..start], left[..start]);
    assert!(ours[start..].starts_with(b"\0\x05X.509"));
    assert!(left[start..].starts_with(b"\0\x04X509"));
    // The digests at the end cover the difference.
    assert_eq!(ours[start + 7..ours.len() - 20], left[start + 6..left.len() - 20]);
}

#[test]
fn the_additional_formats_that_cert_manager_left_are_written_again() {
    let key = data("cert-manager/tls.key");
    let combined = combined_pem(&key, &data("cert-manager/tls.crt"));
    assert_eq!(*combined, data("cert-manager/tls-combined.pem"));
    assert_eq!(*key_der(&key).unwrap(), data("cert-manager/key.der"));
}
