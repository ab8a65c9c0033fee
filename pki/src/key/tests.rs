use super::*;

fn kinds() -> [KeyKind; 6] {
    [
        KeyKind::Rsa { bits: 2048 },
        KeyKind::Rsa { bits: 3072 },
        KeyKind::Ecdsa(Curve::P256),
        KeyKind::Ecdsa(Curve::P384),
        KeyKind::Ecdsa(Curve::P521),
        KeyKind::Ed25519,
    ]
}

fn others(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/others/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn read(name: &str) -> Result<PrivateKey, KeyError> {
    PrivateKey::from_pem(&others(name), &Limits::default())
}

#[test]
fn every_kind_comes_back_from_every_encoding_as_the_same_key() {
    for kind in kinds() {
        let key = PrivateKey::generate(kind).unwrap();
        assert_eq!(key.kind(), kind);
        for encoding in [Encoding::Pkcs1, Encoding::Pkcs8] {
            let pem = key.to_pem(encoding).unwrap();
            let back = PrivateKey::from_pem(pem.as_bytes(), &Limits::default()).unwrap();
            assert_eq!(back.public_key(), key.public_key());
            assert_eq!(back.to_pem(encoding).unwrap(), pem, "{kind} {encoding:?}");
        }
    }
}

#[test]
fn labels_follow_the_encoding_and_ed25519_has_but_one() {
    let label = |kind, encoding| {
        let pem = PrivateKey::generate(kind).unwrap().to_pem(encoding).unwrap();
        pem.lines().next().unwrap().replace("-----", "")
    };
    let p256 = KeyKind::Ecdsa(Curve::P256);
    assert_eq!(label(KeyKind::Rsa { bits: 2048 }, Encoding::Pkcs1), "BEGIN RSA PRIVATE KEY");
    assert_eq!(label(p256, Encoding::Pkcs1), "BEGIN EC PRIVATE KEY");
    assert_eq!(label(p256, Encoding::Pkcs8), "BEGIN PRIVATE KEY");
    assert_eq!(label(KeyKind::Ed25519, Encoding::Pkcs1), "BEGIN PRIVATE KEY");
}

#[test]
fn every_curve_signs_with_every_hash_so_that_the_table_of_verifiers_agrees() {
    for kind in kinds() {
        let key = PrivateKey::generate(kind).unwrap();
        for algorithm in SignatureAlgorithm::ALL {
            if !kind.supports(algorithm) {
                let refused = key.sign(algorithm, b"text");
                assert_eq!(refused, Err(KeyError::AlgorithmMismatch { algorithm, key: kind }));
                continue;
            }
            let body = tlv::sequence(&[b"\x04\x04text"]);
            let signature = key.sign(algorithm, &body).unwrap();
            let der = tlv::sequence(&[&body, &algorithm.to_der(), &tlv::bit_string(&signature)]);
            let signed = crate::algorithm::Signed::parse(&der, "test").unwrap();
            assert_eq!(signed.verify(key.public_key()), Ok(()), "{kind} {algorithm}");
        }
    }
}

#[test]
fn rsa_sizes_that_cannot_be_generated_are_named_together_with_those_that_can() {
    let error = PrivateKey::generate(KeyKind::Rsa { bits: 2560 }).unwrap_err();
    assert_eq!(error, KeyError::CannotGenerate { bits: 2560 });
    assert!(error.to_string().contains("2048, 3072, 4096 or 8192"));
}

#[test]
fn rsa_sizes_that_cannot_be_generated_load_and_sign() {
    for (name, bits) in [("rsa-2560.key", 2560), ("rsa-8192.key", 8192)] {
        let key = read(name).unwrap();
        assert_eq!(key.kind(), KeyKind::Rsa { bits });
        let algorithm = key.kind().default_signature_algorithm();
        assert_eq!(key.sign(algorithm, b"text").unwrap().len(), bits as usize / 8);
    }
}

#[test]
fn keys_that_are_too_small_encrypted_or_on_another_curve_are_refused_with_the_reason() {
    let why = |name| read(name).unwrap_err().to_string();
    assert!(why("rsa-1024.key").contains("RSA key is not acceptable"), "{}", why("rsa-1024.key"));
    assert!(why("rsa-encrypted.key").contains("encrypted"));
    assert!(why("ec-secp256k1.key").contains("P-256, P-384 or P-521"));
    assert!(why("openssl-p521-ski.csr").contains("no PEM block of that kind"));
}

#[test]
fn a_parameters_block_before_the_key_does_not_hide_it() {
    assert_eq!(read("ec-with-parameters.key").unwrap().kind(), KeyKind::Ecdsa(Curve::P256));
    assert_eq!(read("ed25519.key").unwrap().kind(), KeyKind::Ed25519);
}

#[test]
fn debug_shows_the_fingerprint_and_no_key() {
    let key = read("ed25519.key").unwrap();
    assert_eq!(format!("{key:?}"), format!("PrivateKey(Ed25519, public {})", key.fingerprint()));
}

#[test]
fn larger_keys_take_longer_hashes_by_default() {
    use SignatureAlgorithm::*;
    let default = |bits| KeyKind::Rsa { bits }.default_signature_algorithm();
    assert_eq!(
        [2048, 3071, 3072, 4095, 4096, 8192].map(default),
        [Sha256WithRsa, Sha256WithRsa, Sha384WithRsa, Sha384WithRsa, Sha512WithRsa, Sha512WithRsa]
    );
}

#[test]
fn the_api_names_every_kind_and_has_defaults() {
    assert_eq!(KeyKind::from_api(None, 0), Ok(KeyKind::Rsa { bits: 2048 }));
    assert_eq!(KeyKind::from_api(Some("RSA"), 2500), Ok(KeyKind::Rsa { bits: 2500 }));
    assert_eq!(KeyKind::from_api(Some("ECDSA"), 0), Ok(KeyKind::Ecdsa(Curve::P256)));
    assert_eq!(KeyKind::from_api(Some("ECDSA"), 521), Ok(KeyKind::Ecdsa(Curve::P521)));
    assert_eq!(KeyKind::from_api(Some("Ed25519"), 7), Ok(KeyKind::Ed25519));
    for (algorithm, size) in [("RSA", 1024), ("RSA", 8193), ("ECDSA", 224), ("DSA", 0)] {
        assert!(KeyKind::from_api(Some(algorithm), size).is_err());
    }
}
