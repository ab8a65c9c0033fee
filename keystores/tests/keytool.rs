//! Both formats are opened by the real `keytool`, where there is one, and Java's own is compared with
//! what it writes itself.

#![allow(clippy::unwrap_used)]

mod common;

use common::{CREATED, KEYS, Pair, Tool, certificates, data, password, salts};
use everleaf_keystores::pkcs12::{self, Profile};
use everleaf_keystores::{Identity, Salts, jks};
use everleaf_pki::{CertInfo, Encoding, Limits, PrivateKey};

const PASSWORD: &str = "changeit";

fn find(test: &str) -> Option<Tool> {
    Tool::find("keytool", "-help", test)
}

fn list<'a>(kind: &'a str, file: &'a str, password: &'a str) -> Vec<&'a str> {
    let store = ["-list", "-rfc", "-storetype", kind, "-keystore", file];
    [&store[..], &["-storepass", password]].concat()
}

fn certificates_in(text: &str) -> Vec<CertInfo> {
    CertInfo::parse_bundle(text.as_bytes(), &Limits::default()).unwrap()
}

fn aliases(text: &str) -> Vec<&str> {
    let mut found: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("Alias name: ")).collect();
    found.sort_unstable();
    found
}

/// What keytool shows of one entry.
fn entry<'a>(text: &'a str, alias: &str) -> &'a str {
    let start = format!("Alias name: {alias}\n");
    let behind = text.split_once(&start).unwrap_or_else(|| panic!("{alias} in {text}")).1;
    behind.split("Alias name: ").next().unwrap()
}

/// The private key that Java finds in a store, written by it into another and read with OpenSSL.
fn key_by_java(tool: &Tool, openssl: &Tool, kind: &str, (file, alias): (&str, &str)) -> PrivateKey {
    let copy = openssl.path(&format!("{kind}-{alias}.p12"));
    let _ = std::fs::remove_file(&copy);
    tool.run(&[
        "-importkeystore",
        "-noprompt",
        "-srckeystore",
        file,
        "-srcstoretype",
        kind,
        "-srcstorepass",
        PASSWORD,
        "-srcalias",
        alias,
        "-destkeystore",
        &copy,
        "-deststoretype",
        "PKCS12",
        "-deststorepass",
        PASSWORD,
    ]);
    let opened =
        openssl.run(&["pkcs12", "-in", &copy, "-nodes", "-nocerts", "-passin", "pass:changeit"]);
    PrivateKey::from_pem(opened.as_bytes(), &Limits::default()).unwrap()
}

fn java_store(alias: &str, kind: &str, authorities: &[CertInfo]) -> Vec<u8> {
    let (pair, password) = (Pair::of(kind), password(PASSWORD));
    let identity = pair.identity();
    jks::keystore(alias, &identity, authorities, &password, CREATED, salts()).unwrap()
}

#[test]
fn java_stores_hold_the_chain_under_the_alias_and_the_cas_under_theirs() {
    let Some(tool) = find("jks") else { return };
    let trusted = certificates(&["root.crt", "middle.crt"]);
    let file = tool.file("store.jks", java_store("Web.Server", "p256", &trusted));
    let text = tool.run(&list("JKS", &file, PASSWORD));
    assert_eq!(aliases(&text), ["ca", "ca-1", "web.server"]);
    let key = entry(&text, "web.server");
    assert!(key.contains("Entry type: PrivateKeyEntry"), "{key}");
    assert!(key.contains("Creation date: Jan 1, 2026"), "{key}");
    assert_eq!(certificates_in(key), Pair::of("p256").chain);
    for (alias, certificate) in [("ca", &trusted[0]), ("ca-1", &trusted[1])] {
        let shown = entry(&text, alias);
        assert!(shown.contains("Entry type: trustedCertEntry"), "{shown}");
        assert_eq!(certificates_in(shown), std::slice::from_ref(certificate));
    }
    // In whatever case somebody asks for it.
    tool.run(&[&list("JKS", &file, PASSWORD)[..], &["-alias", "WEB.server"]].concat());
}

#[test]
fn an_alias_that_is_a_cas_name_leaves_the_key_where_it_is() {
    let Some(tool) = find("jks-alias") else { return };
    let trusted = certificates(&["root.crt", "middle.crt"]);
    let file = tool.file("store.jks", java_store("CA", "p256", &trusted));
    let text = tool.run(&list("JKS", &file, PASSWORD));
    assert_eq!(aliases(&text), ["ca", "ca-1", "ca-2"]);
    assert_eq!(certificates_in(entry(&text, "ca")), Pair::of("p256").chain);
    assert_eq!(certificates_in(entry(&text, "ca-1")), trusted[..1]);
}

#[test]
fn aliases_of_any_script_are_read() {
    let Some(tool) = find("jks-script") else { return };
    let file = tool.file("store.jks", java_store("schlüssel-漢-🔑", "p256", &[]));
    let text = tool.run(&list("JKS", &file, PASSWORD));
    assert_eq!(text.matches("PrivateKeyEntry").count(), 1, "{text}");
}

#[test]
fn every_kind_of_key_comes_out_of_both_formats() {
    let (Some(tool), Some(openssl)) =
        (find("keys"), Tool::find("openssl", "version", "keytool-keys"))
    else {
        return;
    };
    for kind in KEYS {
        let own = Pair::of(kind).chain[0].public_key.fingerprint();
        let file = tool.file("store.jks", java_store("web", kind, &[]));
        let key = key_by_java(&tool, &openssl, "JKS", (&file, "web"));
        assert_eq!(key.fingerprint(), own, "JKS {kind}");
    }
    let roots = certificates(&["root.crt"]);
    for (profile, kind) in [
        (Profile::LegacyRc2, "rsa"),
        (Profile::LegacyDes, "p384"),
        (Profile::Modern2023, "ed25519"),
    ] {
        let (pair, password) = (Pair::of(kind), password(PASSWORD));
        let store = pkcs12::keystore(profile, &pair.identity(), &roots, &password, salts());
        let file = tool.file("store.p12", store.unwrap());
        let text = tool.run(&list("PKCS12", &file, PASSWORD));
        assert_eq!(aliases(&text), ["1"], "{profile:?}");
        // Java completes the chain from the other certificates.
        assert_eq!(certificates_in(&text), [&pair.chain[..], &roots].concat(), "{profile:?}");
        let key = key_by_java(&tool, &openssl, "PKCS12", (&file, "1"));
        assert_eq!(key.fingerprint(), pair.chain[0].public_key.fingerprint(), "{profile:?}");
    }
}

#[test]
fn truststores_hold_trusted_entries_even_where_two_cas_share_a_name() {
    let Some(tool) = find("trust") else { return };
    let twice = certificates(&["root.crt", "middle.crt", "root.crt"]);
    let root = r"cn=test root,ou=pki+ou=platform,o=grün & co";
    for profile in [Profile::LegacyRc2, Profile::LegacyDes, Profile::Modern2023] {
        let store = pkcs12::truststore(profile, &twice, &password(PASSWORD), salts()).unwrap();
        let file = tool.file("trust.p12", store);
        let text = tool.run(&list("PKCS12", &file, PASSWORD));
        assert_eq!(text.matches("Entry type: trustedCertEntry").count(), 3, "{text}");
        assert!(aliases(&text)[0].starts_with("cn=test middle,o=example,c=de"), "{text}");
        assert!(aliases(&text)[1].starts_with(root), "{text}");
        assert!(aliases(&text)[2].ends_with("-1"), "{text}");
    }
    let store = jks::truststore(&twice, &password(PASSWORD), CREATED).unwrap();
    let file = tool.file("trust.jks", store);
    let text = tool.run(&list("JKS", &file, PASSWORD));
    assert_eq!(aliases(&text), ["ca", "ca-1", "ca-2"]);
    assert_eq!(text.matches("Entry type: trustedCertEntry").count(), 3, "{text}");
}

#[test]
fn a_wrong_password_is_refused_in_both_formats() {
    let Some(tool) = find("wrong") else { return };
    let (pair, secret) = (Pair::of("p256"), password(PASSWORD));
    let java = tool.file("store.jks", java_store("web", "p256", &[]));
    let text = tool.refuse(&list("JKS", &java, "changeIt"));
    assert!(text.contains("password was incorrect"), "{text}");
    for profile in [Profile::LegacyRc2, Profile::LegacyDes, Profile::Modern2023] {
        let store = pkcs12::keystore(profile, &pair.identity(), &[], &secret, salts());
        let file = tool.file("store.p12", store.unwrap());
        let text = tool.refuse(&list("PKCS12", &file, "changeIt"));
        assert!(text.contains("password was incorrect"), "{profile:?}: {text}");
    }
}

#[test]
fn passwords_of_any_script_open_java_stores() {
    let Some(tool) = find("unicode") else { return };
    let (pair, text) = (Pair::of("p256"), "pässword-漢-🔑");
    let secret = password(text);
    let store = jks::keystore("web", &pair.identity(), &[], &secret, CREATED, salts()).unwrap();
    let file = tool.file("store.jks", store);
    assert_eq!(aliases(&tool.run(&list("JKS", &file, text))), ["web"]);
}

/// Where keytool put the time of the first entry.
fn created(store: &[u8], alias: &str) -> i64 {
    let at = 12 + 4 + 2 + alias.len();
    i64::from_be_bytes(store[at..at + 8].try_into().unwrap())
}

#[test]
fn a_truststore_is_to_the_last_byte_what_keytool_writes() {
    let Some(tool) = find("same-trust") else { return };
    let (root, store) = (tool.file("root.crt", data("root.crt")), tool.path("theirs.jks"));
    let import = ["-importcert", "-noprompt", "-alias", "ca", "-file", &root];
    let into = ["-storetype", "JKS", "-keystore", &store, "-storepass", PASSWORD];
    tool.run(&[import, into].concat());
    let theirs = tool.read("theirs.jks");
    let authorities = certificates(&["root.crt"]);
    let ours = jks::truststore(&authorities, &password(PASSWORD), created(&theirs, "ca"));
    assert!(ours.unwrap() == theirs);
}

#[test]
fn a_keystore_is_to_the_last_byte_what_keytool_writes() {
    let Some(tool) = find("same-key") else { return };
    let store = tool.path("theirs.jks");
    let make = ["-genkeypair", "-alias", "web", "-keyalg", "RSA", "-dname", "CN=x"];
    let into = ["-storetype", "JKS", "-keystore", &store, "-storepass", PASSWORD];
    tool.run(&[&make[..], &into, &["-keypass", PASSWORD]].concat());
    let theirs = tool.read("theirs.jks");
    let Some(openssl) = Tool::find("openssl", "version", "same-key") else { return };
    let key = key_by_java(&tool, &openssl, "JKS", (&store, "web"));
    let key = key.to_der(Encoding::Pkcs8).unwrap();
    let chain = certificates_in(&tool.run(&list("JKS", &store, PASSWORD)));
    let identity = Identity::new(&key, &chain).unwrap();
    let created = created(&theirs, "web");
    // The salt begins the content of the last OCTET STRING before the chain.
    let header = key_header(key.len());
    let at = theirs.windows(header.len()).position(|part| part == header).unwrap() + header.len();
    let mut salts = [0; Salts::LENGTH];
    salts[..20].copy_from_slice(&theirs[at..at + 20]);
    let (secret, salts) = (password(PASSWORD), Salts::new(salts));
    let ours = jks::keystore("web", &identity, &[], &secret, created, salts).unwrap();
    assert!(ours == theirs);
}

/// NULL, and the OCTET STRING of a protected key.
fn key_header(key: usize) -> Vec<u8> {
    let length = u16::try_from(20 + key + 20).unwrap().to_be_bytes();
    [&[5, 0, 4, 0x82][..], &length].concat()
}
