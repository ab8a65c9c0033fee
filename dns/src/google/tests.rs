use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::*;
use crate::testing::{NOW, Reply, Server, ambient, context};

/// A key of the size that Google hands out, made once.
fn key() -> &'static rcgen::KeyPair {
    static KEY: std::sync::OnceLock<rcgen::KeyPair> = std::sync::OnceLock::new();
    KEY.get_or_init(|| rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap())
}

pub(crate) fn key_file(token_uri: &str) -> Secret {
    let file = json!({
        "type": "service_account",
        "project_id": "p-1",
        "private_key_id": "kid-1",
        "private_key": key().serialize_pem(),
        "client_email": "dns@p-1.iam.gserviceaccount.com",
        "token_uri": token_uri,
    });
    Secret::new(file.to_string())
}

/// Google's token endpoint as published: checks the signature and the claims.
pub(crate) fn token_endpoint(uri: &str, assertion: &str) -> Reply {
    let mut parts = assertion.split('.');
    let (header, claims, signature) =
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key().public_key_raw());
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    if public.verify(signed.as_bytes(), &signature).is_err() {
        return Reply::json(
            400,
            &json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." }),
        );
    }
    let read = |part: &str| {
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(read(header), json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
    let issued = NOW.parse::<Timestamp>().unwrap().as_second();
    let expected = json!({
        "iss": "dns@p-1.iam.gserviceaccount.com", "scope": SCOPE, "aud": uri, "iat": issued, "exp": issued + 3600,
    });
    assert_eq!(read(claims), expected);
    Reply::json(
        200,
        &json!({ "access_token": "ya29.sa", "expires_in": 3599, "token_type": "Bearer" }),
    )
}

#[tokio::test]
async fn a_signed_assertion_gets_a_token_that_is_kept() {
    let server = Server::start(|seen| {
        let form = seen.form();
        assert_eq!(form["grant_type"], GRANT);
        token_endpoint(
            &format!("http://{}/token", seen.header("host").unwrap()),
            &form["assertion"],
        )
    })
    .await;
    let context = context();
    let account = Account::parse(&key_file(&format!("{}/token", server.url))).unwrap();
    let identity = Identity::Account(Box::new(account));
    assert_eq!(identity.token(&context).await.unwrap().expose(), "ya29.sa");
    assert_eq!(identity.token(&context).await.unwrap().expose(), "ya29.sa");
    assert_eq!(server.seen().len(), 1);
    assert!(!format!("{identity:?}").contains("PRIVATE KEY"));
}

#[tokio::test]
async fn the_metadata_server_is_asked_with_its_header() {
    let server = Server::start(|seen| {
        assert_eq!(seen.path(), "/computeMetadata/v1/instance/service-accounts/default/token");
        match seen.header("metadata-flavor") {
            Some("Google") => {
                Reply::json(200, &json!({ "access_token": "ya29.pod", "expires_in": 3599 }))
            }
            _ => Reply::new(403, ""),
        }
    })
    .await;
    let host = server.url.trim_start_matches("http://");
    let context = ambient(&[("GCE_METADATA_HOST", host)]);
    assert_eq!(Identity::Ambient.token(&context).await.unwrap().expose(), "ya29.pod");
}

#[tokio::test]
async fn a_refused_key_needs_mending_and_is_not_repeated() {
    let server = Server::start(|_| {
        Reply::json(
            400,
            &json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." }),
        )
    })
    .await;
    let account = Account::parse(&key_file(&server.url)).unwrap();
    let error = Identity::Account(Box::new(account)).token(&context()).await.unwrap_err();
    assert_eq!(error.to_string(), "Google: invalid_grant Invalid JWT Signature. (status 400)");
    for wrong in ["not json", "{\"type\": \"authorized_user\"}"] {
        assert!(Account::parse(&Secret::new(wrong)).is_err());
    }
}
