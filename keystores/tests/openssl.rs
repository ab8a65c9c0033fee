//! PKCS#12 is opened by the real OpenSSL, where there is one.

#![allow(clippy::unwrap_used)]

mod common;

use common::{KEYS, PROFILES, Pair, Tool, certificates, password, salts, say};
use everleaf_keystores::pkcs12::{self, Profile};
use everleaf_pki::{CertInfo, Limits, PrivateKey};
use proptest::prelude::*;

struct OpenSsl {
    tool: Tool,
    version: (u32, u32),
}

impl OpenSsl {
    fn find(test: &str) -> Option<Self> {
        let tool = Tool::find("openssl", "version", test)?;
        let text = tool.run(&["version"]);
        let numbers = text.split([' ', '.']).filter_map(|word| word.parse().ok());
        let numbers: Vec<u32> = numbers.collect();
        let [major, minor, ..] = numbers[..] else { panic!("{text}") };
        Some(OpenSsl { tool, version: (major, minor) })
    }

    /// The profiles that this version reads; what it is too old for is said aloud.
    fn profiles(&self, test: &str) -> Vec<(Profile, &'static str)> {
        let is_known = |profile| self.version >= (3, 4) || profile != Profile::Modern2026;
        let (known, unknown): (Vec<_>, Vec<_>) = PROFILES.iter().partition(|p| is_known(p.0));
        for (_, name) in unknown {
            let (major, minor) = self.version;
            say(&format!("SKIPPED {test} for {name}: openssl {major}.{minor} is older than 3.4"));
        }
        known
    }

    fn arguments<'a>(&self, profile: Profile, file: &'a str, password: &'a str) -> Vec<&'a str> {
        let mut arguments = vec!["pkcs12", "-in", file, "-nodes", "-passin", password];
        if profile == Profile::LegacyRc2 && self.version.0 >= 3 {
            arguments.push("-legacy");
        }
        arguments
    }

    fn open(&self, profile: Profile, file: &str, password: &str) -> String {
        let password = format!("pass:{password}");
        self.tool.run(&self.arguments(profile, file, &password))
    }

    fn refuse(&self, profile: Profile, file: &str, password: &str) -> String {
        let password = format!("pass:{password}");
        self.tool.refuse(&self.arguments(profile, file, &password))
    }
}

fn certificates_in(pem: &str) -> Vec<CertInfo> {
    CertInfo::parse_bundle(pem.as_bytes(), &Limits::default()).unwrap()
}

fn fingerprint(pem: &str) -> String {
    let key = PrivateKey::from_pem(pem.as_bytes(), &Limits::default());
    key.unwrap().fingerprint().to_string()
}

#[test]
fn keystores_of_every_profile_and_key_give_key_and_certificates_in_order() {
    const TEST: &str = "keystores";
    let Some(openssl) = OpenSsl::find(TEST) else { return };
    let roots = certificates(&["root.crt"]);
    for (profile, name) in openssl.profiles(TEST) {
        for kind in KEYS {
            let pair = Pair::of(kind);
            let store =
                pkcs12::keystore(profile, &pair.identity(), &roots, &password("changeit"), salts());
            let file = openssl.tool.file("store.p12", store.unwrap());
            let text = openssl.open(profile, &file, "changeit");
            let expected = [&pair.chain[..], &roots].concat();
            assert_eq!(certificates_in(&text), expected, "{name} {kind}");
            let own = pair.chain[0].public_key.fingerprint();
            assert_eq!(fingerprint(&text), own, "{name} {kind}");
            // Key and leaf, but no other certificate, carry the local key ID.
            assert_eq!(text.matches("localKeyID").count(), 2, "{text}");
        }
    }
}

#[test]
fn a_wrong_password_is_refused() {
    const TEST: &str = "wrong-password";
    let Some(openssl) = OpenSsl::find(TEST) else { return };
    let (pair, roots) = (Pair::of("p256"), certificates(&["root.crt"]));
    let secret = password("changeit");
    for (profile, name) in openssl.profiles(TEST) {
        let store = pkcs12::keystore(profile, &pair.identity(), &roots, &secret, salts()).unwrap();
        let file = openssl.tool.file("store.p12", store);
        let text = openssl.refuse(profile, &file, "changeIt");
        assert!(text.contains("Mac verify error"), "{name}: {text}");
    }
}

#[test]
fn truststores_name_their_certificates_and_mark_them_for_java() {
    const TEST: &str = "truststores";
    let Some(openssl) = OpenSsl::find(TEST) else { return };
    let trusted = certificates(&["middle.crt", "root.crt"]);
    for (profile, name) in openssl.profiles(TEST) {
        let store = pkcs12::truststore(profile, &trusted, &password("changeit"), salts()).unwrap();
        let file = openssl.tool.file("trust.p12", store);
        let text = openssl.open(profile, &file, "changeit");
        assert_eq!(certificates_in(&text), trusted, "{name}");
        assert!(text.contains("friendlyName: CN=Test Middle,O=Example,C=DE"), "{text}");
        assert_eq!(text.matches("2.16.840.1.113894.746875.1.1").count(), 2, "{text}");
    }
}

/// What a password may hold without a program's own arguments getting in the way.
fn passwords() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ -~äßżлあ漢€\u{fffd}]{1,40}").unwrap()
}

proptest! {
    // Each case starts a program.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn passwords_of_any_script_open_what_they_closed(text in passwords(), at in 0..4_usize) {
        const TEST: &str = "unicode";
        let Some(openssl) = OpenSsl::find(TEST) else { return Ok(()) };
        let (profile, _) = PROFILES[at];
        if profile == Profile::Modern2026 && openssl.version < (3, 4) {
            return Ok(());
        }
        let pair = Pair::of("ed25519");
        let store = pkcs12::keystore(profile, &pair.identity(), &[], &password(&text), salts());
        let file = openssl.tool.file("store.p12", store.unwrap());
        let shown = openssl.open(profile, &file, &text);
        prop_assert_eq!(certificates_in(&shown), pair.chain);
    }
}
