//! What was written is read again; see also `tests/`, where Java reads it.

use der::Decode;
use everleaf_pki::Limits;
use proptest::prelude::*;

use super::*;

fn certificates() -> Vec<CertInfo> {
    let pem = concat!(
        include_str!("../../tests/data/p256.crt"),
        include_str!("../../tests/data/middle.crt"),
        include_str!("../../tests/data/root.crt"),
    );
    CertInfo::parse_bundle(pem.as_bytes(), &Limits::default()).unwrap()
}

fn key_of(length: usize) -> Vec<u8> {
    let octets = der(&octets(&vec![7; length]));
    let fields = [&[2, 1, 0, 0x30, 0][..], &octets].concat();
    der(&Any::new(der::Tag::Sequence, fields).unwrap())
}

/// A cursor over a store, as its format describes it.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes(4).try_into().unwrap())
    }

    fn text(&mut self) -> &'a [u8] {
        let length = u16::from_be_bytes(self.bytes(2).try_into().unwrap());
        self.bytes(length.into())
    }

    fn block(&mut self) -> &'a [u8] {
        let length = self.number();
        self.bytes(length as usize)
    }

    fn certificate(&mut self) -> &'a [u8] {
        assert_eq!(self.text(), b"X.509");
        self.block()
    }
}

/// Java's way back: salt, key under the pad, digest.
fn unprotected(protected: &[u8], password: &[u8]) -> Vec<u8> {
    let info = EncryptedPrivateKeyInfo::from_der(protected).unwrap();
    let data = info.data.as_bytes();
    let (salt, rest) = data.split_at(20);
    let (hidden, check) = rest.split_at(rest.len() - 20);
    let mut last = salt.to_vec();
    let mut key = Vec::new();
    for part in hidden.chunks(20) {
        last = sha1(&[password, &last]).as_ref().to_vec();
        key.extend(part.iter().zip(&last).map(|(a, b)| a ^ b));
    }
    assert_eq!(sha1(&[password, &key]).as_ref(), check);
    key
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn keys_and_certificates_of_any_size_come_back(
        text in ".{1,60}",
        salts in proptest::collection::vec(any::<u8>(), Salts::LENGTH),
        length in 0..5000_usize,
        created in any::<i64>(),
        (own, others) in (1..4_usize, 0..12_usize),
        alias in proptest::sample::select(vec!["web", "Web", "CA", "ca-1"]),
    ) {
        let (all, key) = (certificates(), key_of(length));
        let authorities: Vec<_> = all.iter().cycle().take(others).cloned().collect();
        let password = Password::new(text.as_bytes()).unwrap();
        let identity = Identity::new(&key, &all[..own]).unwrap();
        let salts = Salts::new(salts.try_into().unwrap());
        let store = keystore(alias, &identity, &authorities, &password, created, salts).unwrap();

        let mut reader = Reader(&store);
        let start = [reader.number(), reader.number(), reader.number(), reader.number()];
        prop_assert_eq!(start, [0xfeed_feed, 2, 1 + others as u32, 1]);
        let alias = alias.to_lowercase();
        prop_assert_eq!(reader.text(), alias.as_bytes());
        prop_assert_eq!(reader.bytes(8), created.to_be_bytes());
        prop_assert_eq!(unprotected(reader.block(), &password.utf_16()), key);
        prop_assert_eq!(reader.number(), own as u32);
        for certificate in &all[..own] {
            prop_assert_eq!(reader.certificate(), &certificate.der);
        }
        let numbered = (1..).map(|number| format!("ca-{number}"));
        let names = std::iter::once("ca".to_owned()).chain(numbered);
        let free = names.filter(|name| *name != alias);
        for (certificate, name) in authorities.iter().zip(free) {
            prop_assert_eq!(reader.number(), 2);
            prop_assert_eq!(reader.text(), name.as_bytes());
            prop_assert_eq!(reader.bytes(8), created.to_be_bytes());
            prop_assert_eq!(reader.certificate(), &certificate.der);
        }
        prop_assert_eq!(reader.0.len(), 20);
    }

    #[test]
    fn texts_are_standard_utf_8_below_the_astral_planes(text in "[\u{1}-\u{ffff}]{0,40}") {
        prop_assert_eq!(modified_utf_8(&text), text.as_bytes());
    }
}

#[test]
fn null_and_astral_characters_are_written_as_java_reads_them() {
    assert_eq!(modified_utf_8("\0"), [0xc0, 0x80]);
    assert_eq!(modified_utf_8("🔑"), [0xed, 0xa0, 0xbd, 0xed, 0xb4, 0x91]);
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let (all, key) = (certificates(), key_of(9));
    let secret = Password::new(b"changeit").unwrap();
    let salts = || Salts::new([0; Salts::LENGTH]);
    let identity = Identity::new(&key, &all).unwrap();
    assert_eq!(truststore(&[], &secret, 0), Err(StoreError::NothingToTrust));
    let long = "ä".repeat(40_000);
    let refused = keystore(&long, &identity, &[], &secret, 0, salts());
    assert_eq!(refused, Err(StoreError::LongAlias { length: 80_000 }));
    let many: Vec<_> = all.iter().cycle().take(3000).cloned().collect();
    let refused = keystore("web", &identity, &many, &secret, 0, salts());
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    assert!(matches!(truststore(&many, &secret, 0), Err(StoreError::TooLarge { .. })));
}
