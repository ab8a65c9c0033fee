//! An ACME account registered without our own client: signatures by openssl.

use crate::{OpenSsl, Upstream};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

/// An RSA key as cert-manager makes them, and its account.
pub struct RsaAccount {
    /// The key: PKCS #1, as PEM.
    pub pem: String,
    /// The URL of the account.
    pub uri: String,
    /// `status.acme.lastPrivateKeyHash` as cert-manager writes it: SHA-256 of the key's PKCS #1
    /// form, in base64.
    pub hash: String,
}

impl RsaAccount {
    /// Makes an RSA key of 2048 bits and registers it (RFC 8555, section 7.3) at the directory,
    /// whose server's certificate is below the file `ca`.
    pub async fn register(openssl: &OpenSsl, directory: &str, ca: &str, contact: &str) -> Self {
        let key = openssl.path("account.key");
        let run = |arguments: &[&str]| {
            openssl.run(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
        };
        run(&["genrsa", "-traditional", "-out", &key, "2048"]);
        let modulus = run(&["rsa", "-in", &key, "-noout", "-modulus"]);
        let modulus = modulus.trim().strip_prefix("Modulus=").expect("openssl tells the modulus");
        let modulus = URL_SAFE_NO_PAD.encode(unhex(modulus));
        let jwk = json!({ "kty": "RSA", "n": modulus, "e": "AQAB" });

        let upstream = Upstream::of(directory, Some(ca));
        let path = |url: &str| url.parse::<http::Uri>().expect("a URL").path().to_owned();
        let listed = upstream.get(&path(directory)).await.expect("the directory");
        let listed: Value = serde_json::from_slice(listed.body()).expect("the directory is JSON");
        assert!(listed["newAccount"].is_string(), "{listed}");
        let new_account = crate::text(&listed, "/newAccount");
        let nonce = upstream.get(&path(crate::text(&listed, "/newNonce"))).await.expect("a nonce");
        let mut nonce = nonce.headers()["replay-nonce"].to_str().expect("text").to_owned();
        let payload = json!({
            "termsOfServiceAgreed": true, "contact": [format!("mailto:{contact}")],
        });
        // Pebble refuses some nonces, whatever they are.
        loop {
            let header = json!({ "alg": "RS256", "jwk": jwk, "nonce": nonce, "url": new_account });
            let body = signed(openssl, &key, &header, &payload);
            let request = Request::post(path(new_account))
                .header("host", authority(new_account))
                .header("user-agent", "everleaf-e2e")
                .header("content-type", "application/jose+json")
                .body(Bytes::from(body));
            let answer = upstream.send(request.expect("a request")).await.expect("an answer");
            let said = String::from_utf8_lossy(answer.body()).into_owned();
            let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
            if said.contains("badNonce") {
                nonce = header("replay-nonce");
                continue;
            }
            assert_eq!(answer.status(), 201, "{said}");
            let pem = std::fs::read_to_string(&key).expect("the key");
            return Self { pem, uri: header("location"), hash: hash(openssl, &key) };
        }
    }
}

fn authority(url: &str) -> String {
    let uri: http::Uri = url.parse().expect("a URL");
    uri.authority().expect("a URL of a server").to_string()
}

fn signed(openssl: &OpenSsl, key: &str, header: &Value, payload: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (protected, payload) = (part(header), part(payload));
    let input = openssl.file("jws", format!("{protected}.{payload}").as_bytes());
    let signature = openssl.path("jws.sig");
    let arguments = ["dgst", "-sha256", "-sign", key, "-out", &signature, &input];
    openssl.run(&arguments).expect("openssl signs");
    let signature = URL_SAFE_NO_PAD.encode(std::fs::read(signature).expect("a signature"));
    json!({ "protected": protected, "payload": payload, "signature": signature }).to_string()
}

fn hash(openssl: &OpenSsl, key: &str) -> String {
    let (der, digest) = (openssl.path("account.der"), openssl.path("account.sha256"));
    let form = ["rsa", "-in", key, "-traditional", "-outform", "DER", "-out", &der];
    openssl.run(&form).expect("openssl converts");
    openssl.run(&["dgst", "-sha256", "-binary", "-out", &digest, &der]).expect("openssl hashes");
    STANDARD.encode(std::fs::read(digest).expect("a digest"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect()
}
