use serde_json::{Value, json};

use super::*;

fn key() -> AccountKey {
    AccountKey::from_pem(include_bytes!("../../tests/data/rfc7515-a2.pem")).unwrap()
}

fn decoded(text: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

const RFC7515_A1: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

#[test]
fn the_mac_is_that_of_rfc_7515_a1() {
    let external = ExternalAccount::new("kid-1", RFC7515_A1.as_bytes()).unwrap();
    let input =
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAs\
                  DQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    assert_eq!(base64url(&external.mac(input)), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

#[test]
fn a_binding_names_key_algorithm_and_url_and_nothing_else() {
    let external = ExternalAccount::new(" kid-1\n", RFC7515_A1.as_bytes()).unwrap();
    let jws = external.bind(key().jwk(), "https://ca.test/new-acct");
    let protected = json!({"alg": "HS256", "kid": "kid-1", "url": "https://ca.test/new-acct"});
    assert_eq!(decoded(&jws.protected), protected);
    assert_eq!(decoded(&jws.payload), json!(key().jwk()));
    let input = format!("{}.{}", jws.protected, jws.payload);
    assert_eq!(jws.signature, base64url(&external.mac(input.as_bytes())));
}

#[test]
fn a_bindings_key_is_read_as_cas_hand_it_out_and_never_shown() {
    let bytes = |text: &str| ExternalAccount::new("k", text.as_bytes()).map(|e| e.key.to_vec());
    for text in ["-_-_AQ", "-_-_AQ==", "+/+/AQ==", "  -_-_AQ\n"] {
        assert_eq!(bytes(text).unwrap(), [0xfb, 0xff, 0xbf, 1], "{text}");
    }
    for text in ["", "=", "!!", "A"] {
        assert_eq!(bytes(text), Err(ExternalAccountError::BadKey), "{text}");
    }
    assert_eq!(ExternalAccount::new(" ", b"AQ").err(), Some(ExternalAccountError::NoKeyId));
    let shown = format!("{:?}", ExternalAccount::new("k", b"-_-_AQ").unwrap());
    assert_eq!(shown, "ExternalAccount { key_id: \"k\", .. }");
}

#[test]
fn a_request_is_named_by_key_or_by_account_never_by_both() {
    let by_key = sign(&key(), KeyId::Jwk, Some("n1"), "https://ca.test/a", b"{}").unwrap();
    let header =
        json!({"alg": "RS256", "jwk": key().jwk(), "nonce": "n1", "url": "https://ca.test/a"});
    assert_eq!(decoded(&by_key.protected), header);
    let by_account = KeyId::Account("https://ca.test/acct/1");
    let by_account = sign(&key(), by_account, Some("n2"), "https://ca.test/a", b"").unwrap();
    let header = json!({"alg": "RS256", "kid": "https://ca.test/acct/1", "nonce": "n2",
        "url": "https://ca.test/a"});
    assert_eq!(decoded(&by_account.protected), header);
    assert_eq!(by_account.payload, "", "a POST-as-GET has an empty payload");
}
