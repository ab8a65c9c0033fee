//! Which entries a Secret gets.

#![allow(clippy::unwrap_used)]

mod common;

use common::{CREATED, certificates, data, password, private_key, salts};
use everleaf_keystores::pkcs12::{self, Profile};
use everleaf_keystores::{Entries, Identity, Material, Salts, StoreError, Wanted, jks};
use everleaf_pki::{CertInfo, Encoding};

/// The entries for the pair that cert-manager left, with or without its CA.
fn entries(wanted: &Wanted<'_>, authorities: &[CertInfo]) -> Result<Entries, StoreError> {
    let (key_pem, certificates_pem) = (data("cert-manager/tls.key"), data("cert-manager/tls.crt"));
    let key = private_key("cert-manager/tls.key").to_der(Encoding::Pkcs8).unwrap();
    let chain = certificates(&["cert-manager/tls.crt"]);
    let material = Material {
        key_pem: &key_pem,
        certificates_pem: &certificates_pem,
        identity: Identity::new(&key, &chain).unwrap(),
        authorities,
    };
    wanted.entries(&material, [salts(), other_salts(), salts()], CREATED)
}

fn other_salts() -> Salts {
    Salts::new([9; Salts::LENGTH])
}

fn keys(entries: &Entries) -> Vec<&'static str> {
    entries.keys().copied().collect()
}

#[test]
fn a_secret_gets_the_keys_that_cert_manager_gives_it() {
    let secret = password("changeit");
    let wanted = Wanted {
        pkcs12: Some((Profile::Modern2023, &secret)),
        jks: Some(("web", &secret)),
        combined_pem: true,
        der: true,
    };
    let authorities = certificates(&["cert-manager/ca.crt"]);
    let entries = entries(&wanted, &authorities).unwrap();
    let expected = [
        "key.der",
        "keystore.jks",
        "keystore.p12",
        "tls-combined.pem",
        "truststore.jks",
        "truststore.p12",
    ];
    assert_eq!(keys(&entries), expected);
    for name in ["key.der", "tls-combined.pem"] {
        assert_eq!(*entries[name], data(&format!("cert-manager/{name}")), "{name}");
    }
    let trusted = pkcs12::truststore(Profile::Modern2023, &authorities, &secret, other_salts());
    assert_eq!(*entries["truststore.p12"], trusted.unwrap());
    let trusted = jks::truststore(&authorities, &secret, CREATED).unwrap();
    assert_eq!(*entries["truststore.jks"], trusted);
}

#[test]
fn without_a_ca_there_is_no_truststore() {
    let secret = password("changeit");
    let wanted = Wanted {
        pkcs12: Some((Profile::LegacyRc2, &secret)),
        jks: Some((jks::DEFAULT_ALIAS, &secret)),
        ..Wanted::default()
    };
    assert_eq!(keys(&entries(&wanted, &[]).unwrap()), ["keystore.jks", "keystore.p12"]);
}

#[test]
fn what_is_not_asked_for_is_not_there() {
    let authorities = certificates(&["cert-manager/ca.crt"]);
    assert_eq!(keys(&entries(&Wanted::default(), &authorities).unwrap()), [""; 0]);
    let der = Wanted { der: true, ..Wanted::default() };
    assert_eq!(keys(&entries(&der, &authorities).unwrap()), ["key.der"]);
}

#[test]
fn one_store_that_cannot_be_written_fails_them_all() {
    let astral = password("🔑");
    let wanted = Wanted {
        pkcs12: Some((Profile::LegacyDes, &astral)),
        jks: Some(("web", &astral)),
        ..Wanted::default()
    };
    assert_eq!(entries(&wanted, &[]).err(), Some(StoreError::PasswordNotBmp));
}

#[test]
fn debug_output_of_what_is_wanted_shows_no_password() {
    let secret = password("s3cret");
    let wanted = Wanted { jks: Some(("web", &secret)), ..Wanted::default() };
    let shown = format!("{wanted:?}");
    assert!(shown.contains("web") && !shown.contains("s3cret"), "{shown}");
}
