use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, UnparsedPublicKey,
};
use everleaf_pki::{Encoding, pem};

use super::*;

const RFC7515_A2: &[u8] = include_bytes!("../../tests/data/rfc7515-a2.pem");

/// RFC 8037 A.1, as PKCS #8.
fn rfc8037() -> AccountKey {
    let seed =
        BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend(seed);
    AccountKey::from_pem(pem::encode("PRIVATE KEY", &der).as_bytes()).unwrap()
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    let n = "\
        0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS\
        oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5\
        v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS\
        D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-\
        kEgU8awapJzKnqDKgw";
    let jwk = Jwk::Rsa { e: "AQAB".into(), kty: "RSA", n: n.into() };
    assert_eq!(jwk.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn rs256_signs_as_in_rfc_7515_a2() {
    let key = AccountKey::from_pem(RFC7515_A2).unwrap();
    let input = "\
        eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
        Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "\
        cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt\
        _O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6x\
        BArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZES\
        c6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig\
        cN_IoypGlUPQGe77Rw";
    assert_eq!(key.algorithm(), "RS256");
    assert_eq!(base64url(&key.sign(input.as_bytes()).unwrap()), signature);
    let Jwk::Rsa { e, n, .. } = key.jwk() else { panic!("an RSA key") };
    assert_eq!((e.as_str(), &n[..20]), ("AQAB", "ofgWCuLjybRlzo0tZWJj"));
}

#[test]
fn ed25519_signs_as_in_rfc_8037_a4_and_has_its_thumbprint() {
    let key = rfc8037();
    assert_eq!(key.algorithm(), "EdDSA");
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0K\
        Ag";
    assert_eq!(base64url(&key.sign(input).unwrap()), signature);
}

#[test]
fn ecdsa_signatures_have_the_fields_full_length_however_small_the_numbers_are() {
    for (curve, algorithm) in [
        (Curve::P256, &ECDSA_P256_SHA256_FIXED),
        (Curve::P384, &ECDSA_P384_SHA384_FIXED),
        (Curve::P521, &ECDSA_P521_SHA512_FIXED),
    ] {
        let key = PrivateKey::generate(KeyKind::Ecdsa(curve)).unwrap();
        let spki = SubjectPublicKeyInfo::from_der(key.public_key_der()).unwrap();
        let public = UnparsedPublicKey::new(algorithm, spki.key.as_bytes().unwrap().to_vec());
        let key = AccountKey::new(key).unwrap();
        // One number in 256 has a leading zero octet.
        for n in 0..600_u32 {
            let signature = key.sign(&n.to_be_bytes()).unwrap();
            assert_eq!(signature.len(), 2 * field_length(curve));
            public.verify(&n.to_be_bytes(), &signature).unwrap();
        }
    }
}

#[test]
fn every_kind_of_key_loads_from_every_encoding_it_has() {
    let kinds = [
        KeyKind::Ecdsa(Curve::P256),
        KeyKind::Ecdsa(Curve::P384),
        KeyKind::Ecdsa(Curve::P521),
        KeyKind::Ed25519,
    ];
    let mut keys: Vec<AccountKey> =
        kinds.map(|kind| AccountKey::new(PrivateKey::generate(kind).unwrap()).unwrap()).into();
    keys.push(AccountKey::from_pem(RFC7515_A2).unwrap());
    for key in &keys {
        for encoding in [Encoding::Pkcs1, Encoding::Pkcs8] {
            let pem = key.private_key().to_pem(encoding).unwrap();
            assert_eq!(AccountKey::from_pem(pem.as_bytes()).unwrap().jwk(), key.jwk());
        }
    }
}

#[test]
fn a_key_authorization_has_the_form_of_rfc_8555_and_is_not_shown() {
    let key = rfc8037();
    let token = Token::new("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA").unwrap();
    let authorization = key.key_authorization(&token);
    let text =
        "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    assert_eq!(authorization.as_str(), text);
    assert_eq!(authorization.tls_alpn_digest(), digest(&SHA256, text.as_bytes()).as_ref());
    assert_eq!(authorization.dns_value(), base64url(digest(&SHA256, text.as_bytes()).as_ref()));
    let shown = format!("{authorization:?} {token:?} {key:?}");
    assert!(!shown.contains("evaGx") && !shown.contains("nWGx"), "{shown}");
}

#[test]
fn a_token_that_would_leave_its_path_segment_is_refused() {
    for bad in ["", "../../etc", "a/b", "a%2fb", "a b", "a=", &"a".repeat(MAX + 1)] {
        assert_eq!(Token::new(bad), None, "{bad:?}");
    }
    const MAX: usize = crate::token::MAX_TOKEN;
}
