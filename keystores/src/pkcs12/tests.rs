//! What was written is read again, piece by piece; see also `tests/`, where others read it.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, InnerIvInit, KeyIvInit};
use der::Decode;
use everleaf_pki::{CertInfo, Limits};
use proptest::prelude::*;

use super::*;
use crate::asn1::{PbeParameters, Pbkdf2Parameters};

fn certificates() -> Vec<CertInfo> {
    let pem = concat!(
        include_str!("../../tests/data/p256.crt"),
        include_str!("../../tests/data/middle.crt"),
        include_str!("../../tests/data/root.crt"),
    );
    CertInfo::parse_bundle(pem.as_bytes(), &Limits::default()).unwrap()
}

/// A key of any size: what is inside is nobody's business here.
fn key_of(length: usize) -> Vec<u8> {
    let inside = octets(&vec![7; length]);
    let algorithm = AlgorithmIdentifier::plain(oid::SHA256);
    let fields = [der(&0_u8), der(&algorithm), der(&inside)].concat();
    der(&Any::new(Tag::Sequence, fields).unwrap())
}

fn legacy_iv_and_key<const KEY: usize>(
    parameters: &PbeParameters,
    password: &[u8],
) -> ([u8; 8], [u8; KEY]) {
    let derivation = Derivation {
        hash: &digest::SHA1_FOR_LEGACY_USE_ONLY,
        password,
        salt: parameters.salt.as_bytes(),
        iterations: parameters.iterations,
    };
    (*derivation.derive(Purpose::Iv), *derivation.derive(Purpose::Key))
}

/// Decrypts what a scheme wrote, by its own description of itself.
fn opened(algorithm: &AlgorithmIdentifier, data: &[u8], password: &Password) -> Vec<u8> {
    let parameters = algorithm.parameters.as_ref().unwrap();
    let bmp = password.bmp().unwrap();
    match algorithm.algorithm {
        oid::PBE_SHA1_RC2_40 => {
            let parameters = parameters.decode_as().unwrap();
            let (iv, key) = legacy_iv_and_key::<5>(&parameters, &bmp);
            let cipher = rc2::Rc2::new_with_eff_key_len(&key, 40);
            let decryptor = cbc::Decryptor::inner_iv_init(cipher, (&iv).into());
            decryptor.decrypt_padded_vec::<Pkcs7>(data).unwrap()
        }
        oid::PBE_SHA1_3DES => {
            let parameters = parameters.decode_as().unwrap();
            let (iv, key) = legacy_iv_and_key::<24>(&parameters, &bmp);
            let decryptor = cbc::Decryptor::<des::TdesEde3>::new((&key).into(), (&iv).into());
            decryptor.decrypt_padded_vec::<Pkcs7>(data).unwrap()
        }
        oid::PBES2 => {
            let parameters: DerivedParameters = parameters.decode_as().unwrap();
            let derivation = parameters.derivation.parameters.unwrap();
            let derivation: Pbkdf2Parameters = derivation.decode_as().unwrap();
            let iv = parameters.scheme.parameters.unwrap();
            let iv: [u8; 16] = iv.value().try_into().unwrap();
            let encoded = Encoded::new(password).unwrap();
            let key = encoded.pbkdf2(derivation.salt.as_bytes());
            let key = UnboundCipherKey::new(&AES_256, key.as_ref()).unwrap();
            let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).unwrap();
            let mut data = data.to_vec();
            let context = DecryptionContext::Iv128(iv.into());
            key.decrypt(&mut data, context).unwrap().to_vec()
        }
        other => panic!("{other}"),
    }
}

fn content(info: &ContentInfo, password: &Password) -> Vec<SafeBag> {
    let plain = match info.kind {
        oid::DATA => info.content.decode_as::<der::asn1::OctetString>().unwrap().into_bytes(),
        oid::ENCRYPTED_DATA => {
            let data: EncryptedData = info.content.decode_as().unwrap();
            let EncryptedContentInfo { algorithm, content, .. } = data.content;
            opened(&algorithm, content.as_bytes(), password).into()
        }
        other => panic!("{other}"),
    };
    Vec::from_der(&plain).unwrap()
}

/// The bags of each safe.
fn safes(store: &[u8], password: &Password) -> Vec<Vec<SafeBag>> {
    let file = Pfx::from_der(store).unwrap();
    assert_eq!((file.version, file.auth_safe.kind), (3, oid::DATA));
    let inside: der::asn1::OctetString = file.auth_safe.content.decode_as().unwrap();
    let infos: Vec<ContentInfo> = Vec::from_der(inside.as_bytes()).unwrap();
    infos.iter().map(|info| content(info, password)).collect()
}

fn certificate_of(bag: &SafeBag) -> Vec<u8> {
    assert_eq!(bag.kind, oid::CERT_BAG);
    bag.value.decode_as::<CertBag>().unwrap().certificate.into_bytes().into()
}

fn key_in(bag: &SafeBag, password: &Password) -> Vec<u8> {
    assert_eq!(bag.kind, oid::PKCS_8_SHROUDED_KEY_BAG);
    let key: EncryptedPrivateKeyInfo = bag.value.decode_as().unwrap();
    opened(&key.algorithm, key.data.as_bytes(), password)
}

fn any_profile() -> impl Strategy<Value = Profile> {
    use Profile::*;
    proptest::sample::select(vec![LegacyRc2, LegacyDes, Modern2023, Modern2026])
}

/// Text of the basic plane.
fn any_password() -> impl Strategy<Value = String> {
    let character = any::<char>().prop_filter("of the basic plane", |c| c.len_utf16() == 1);
    proptest::collection::vec(character, 1..80)
        .prop_map(|characters| characters.into_iter().collect())
}

fn any_salts() -> impl Strategy<Value = [u8; Salts::LENGTH]> {
    proptest::collection::vec(any::<u8>(), Salts::LENGTH).prop_map(|v| v.try_into().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The sizes pass through each length of padding.
    #[test]
    fn keys_and_certificates_of_any_size_come_back(
        profile in any_profile(),
        text in any_password(),
        salts in any_salts(),
        length in 0..5000_usize,
        (own, others) in (1..4_usize, 0..12_usize),
    ) {
        let (all, key) = (certificates(), key_of(length));
        let authorities: Vec<_> = all.iter().cycle().take(others).cloned().collect();
        let password = Password::new(text.as_bytes()).unwrap();
        let identity = Identity::new(&key, &all[..own]).unwrap();
        let write = || keystore(profile, &identity, &authorities, &password, Salts::new(salts));
        let store = write().unwrap();
        prop_assert_eq!(&store, &write().unwrap(), "the same input, the same bytes");
        let safes = safes(&store, &password);
        let found: Vec<_> = safes[0].iter().map(certificate_of).collect();
        let expected = all[..own].iter().chain(&authorities);
        let expected: Vec<_> = expected.map(|certificate| certificate.der.clone()).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(safes.len(), 2);
        prop_assert_eq!(safes[1].len(), 1);
        prop_assert_eq!(key_in(&safes[1][0], &password), key);
    }
}

#[test]
fn truststores_are_one_safe() {
    let (all, password) = (certificates(), Password::new(b"changeit").unwrap());
    let salts = Salts::new([3; Salts::LENGTH]);
    let store = truststore(Profile::LegacyDes, &all[1..], &password, salts).unwrap();
    let safes = safes(&store, &password);
    assert_eq!(safes.len(), 1);
    let found: Vec<_> = safes[0].iter().map(certificate_of).collect();
    assert_eq!(found, [all[1].der.clone(), all[2].der.clone()]);
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let (all, key) = (certificates(), key_of(9));
    let secret = Password::new(b"changeit").unwrap();
    let salts = || Salts::new([0; Salts::LENGTH]);
    assert_eq!(Identity::new(&key, &[]).unwrap_err(), StoreError::EmptyChain);
    let nobody = truststore(Profile::LegacyDes, &[], &secret, salts());
    assert_eq!(nobody, Err(StoreError::NothingToTrust));
    let identity = Identity::new(&key, &all).unwrap();
    let astral = Password::new("🔑".as_bytes()).unwrap();
    let refused = keystore(Profile::Modern2026, &identity, &[], &astral, salts());
    assert_eq!(refused, Err(StoreError::PasswordNotBmp));
    let many: Vec<_> = all.iter().cycle().take(3000).cloned().collect();
    let refused = keystore(Profile::Modern2023, &identity, &many, &secret, salts());
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    let refused = truststore(Profile::Modern2023, &many, &secret, salts());
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
}

/// The largest that is let through meets no limit of DER.
#[test]
fn a_store_as_large_as_a_secret_is_written() {
    let (all, secret) = (certificates(), Password::new(b"changeit").unwrap());
    let key = key_of(crate::MAX_CONTENT - 1000);
    let identity = Identity::new(&key, &all[..1]).unwrap();
    let salts = Salts::new([0; Salts::LENGTH]);
    let store = keystore(Profile::Modern2023, &identity, &[], &secret, salts).unwrap();
    assert_eq!(key_in(&safes(&store, &secret)[1][0], &secret), key);
}

#[test]
fn debug_output_shows_no_key() {
    let (all, key) = (certificates(), key_of(9));
    let shown = format!("{:?}", Identity::new(&key, &all).unwrap());
    assert_eq!(shown, "Identity(Name(CN=leaf.example.test), 3 certificates)");
}
