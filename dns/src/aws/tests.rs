use std::fs;

use everleaf_api::types::dns01::{Route53Auth, Route53Provider};

use super::*;
use crate::testing::{Reply, Seen, Server, ambient, context, secrets, selector};

fn assumed(key: &str) -> Reply {
    let action = if key.starts_with("web") { "AssumeRoleWithWebIdentity" } else { "AssumeRole" };
    Reply::new(
        200,
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{key}-secret</SecretAccessKey>\
             <SessionToken>{key}-session</SessionToken><Expiration>2026-11-22T21:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><Arn>a</Arn></AssumedRoleUser></{action}Result>\
             <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
        ),
    )
}

/// STS as its API is published: web identities unsigned, roles for signed requests.
fn sts(seen: &Seen) -> Reply {
    let form = seen.form();
    assert_eq!(form["RoleSessionName"], "cert-manager");
    match form["Action"].as_str() {
        "AssumeRoleWithWebIdentity" if form["WebIdentityToken"] == "jwt-1" => assumed("web-key"),
        "AssumeRoleWithWebIdentity" => {
            denied(400, "InvalidIdentityToken", "No OpenIDConnect provider found")
        }
        _ if sig_v4::is_signed(seen, &keys("AKID", "s3cret"), "eu-west-1", "sts") => {
            assumed("role-key")
        }
        _ => denied(
            403,
            "SignatureDoesNotMatch",
            "The Canonical String was 'x-amz-security-token:abc'",
        ),
    }
}

fn denied(status: u16, code: &str, message: &str) -> Reply {
    let error = format!(
        "<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Reply::new(
        status,
        format!("<ErrorResponse>{error}<RequestId>7d2a5f4c</RequestId></ErrorResponse>"),
    )
}

fn keys(id: &str, secret: &str) -> Credentials {
    Credentials {
        access_key: Secret::new(id),
        secret_key: Secret::new(secret),
        session_token: None,
    }
}

fn config() -> Route53Provider {
    Route53Provider {
        access_key_id: Some("AKID".to_owned()),
        secret_access_key_secret_ref: Some(selector("secret")),
        region: Some("eu-west-1".to_owned()),
        ..Route53Provider::default()
    }
}

async fn fetched(
    config: &Route53Provider,
    secrets: &Secrets,
    context: &Context,
) -> Result<Credentials, Error> {
    Identity::new(config, secrets, context)?.credentials(context).await
}

#[tokio::test]
async fn static_keys_assume_the_role_and_keep_what_they_get() {
    let server = Server::start(sts).await;
    let mut context = context();
    context.endpoints.sts = Some(server.url.clone());
    let config = Route53Provider { role: Some("arn:aws:iam::1:role/dns".to_owned()), ..config() };
    let secrets = secrets(&[("secret", " s3cret\n")]);
    let got = fetched(&config, &secrets, &context).await.unwrap();
    assert_eq!(got.access_key.expose(), "role-key");
    assert_eq!(got.session_token.unwrap().expose(), "role-key-session");
    fetched(&config, &secrets, &context).await.unwrap();
    assert_eq!(server.seen().len(), 1, "credentials that live are not asked for again");
    let late =
        Context { clock: crate::Clock::new(|| "2026-11-22T20:59:00Z".parse().unwrap()), ..context };
    let error = fetched(&config, &secrets, &late).await;
    assert!(error.is_ok() && server.seen().len() == 2, "those about to expire are");
}

#[tokio::test]
async fn a_service_accounts_token_becomes_keys_and_needs_a_role() {
    let server = Server::start(sts).await;
    let mut context = context();
    context.endpoints.sts = Some(server.url.clone());
    let config = Route53Provider {
        role: Some("arn:aws:iam::1:role/dns".to_owned()),
        auth: Some(Route53Auth::default()),
        ..Route53Provider::default()
    };
    let mut secrets = Secrets::default();
    secrets.set_service_account_token(Secret::new("jwt-1"));
    assert_eq!(fetched(&config, &secrets, &context).await.unwrap().access_key.expose(), "web-key");
    secrets.set_service_account_token(Secret::new("jwt-2"));
    let error = fetched(&config, &secrets, &context).await.unwrap_err();
    assert!(matches!(error, Error::Mend { what: Mend::Credentials, .. }), "{error:?}");
    let without = Route53Provider { role: None, ..config };
    assert!(
        fetched(&without, &secrets, &context)
            .await
            .unwrap_err()
            .to_string()
            .contains("needs a role")
    );
}

#[test]
fn a_newer_token_of_the_same_account_finds_the_same_keys() {
    let token = |claims: &str| Secret::new(format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims)));
    let one = r#"{"iss": "https://k8s", "sub": "system:serviceaccount:a:dns", "exp": 1}"#;
    let other = one.replace(":a:", ":b:");
    assert_eq!(subject(&token(one)), subject(&token(&one.replace("1}", "2}"))));
    assert_ne!(subject(&token(one)), subject(&token(&other)));
    assert_eq!(subject(&Secret::new("opaque")), "opaque");
}

#[tokio::test]
async fn what_aws_says_of_a_signature_is_not_repeated() {
    let server = Server::start(sts).await;
    let mut context = context();
    context.endpoints.sts = Some(server.url.clone());
    let config = Route53Provider { role: Some("r".to_owned()), ..config() };
    let error = fetched(&config, &secrets(&[("secret", "wrong")]), &context).await.unwrap_err();
    assert_eq!(error.to_string(), "AWS STS: SignatureDoesNotMatch (status 403)");
}

#[tokio::test]
async fn the_pods_web_identity_is_used() {
    let server = Server::start(sts).await;
    let path = std::env::temp_dir().join(format!("everleaf-dns-irsa-{}", std::process::id()));
    fs::write(&path, "jwt-1\n").unwrap();
    let mut context = ambient(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod"),
        ("AWS_REGION", "eu-west-1"),
    ]);
    context.endpoints.sts = Some(server.url.clone());
    let none = Route53Provider::default();
    let got = fetched(&none, &Secrets::default(), &context).await.unwrap();
    assert_eq!(got.access_key.expose(), "web-key");
    assert_eq!(server.seen()[0].form()["RoleArn"], "arn:aws:iam::1:role/pod");
    fs::remove_file(path).unwrap();
}

const METADATA: &str = r#"{"Code": "Success", "AccessKeyId": "meta-key", "SecretAccessKey": "s",
    "Token": "t", "Expiration": "2026-11-23T02:00:00Z"}"#;

#[tokio::test]
async fn the_containers_credentials_are_used_with_their_token() {
    let server = Server::start(|seen| match seen.header("authorization") {
        Some("pod-token") => Reply::new(200, METADATA),
        _ => Reply::new(401, ""),
    })
    .await;
    let url = format!("{}/v1/credentials", server.url);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-token"),
    ];
    let context = ambient(&variables);
    let got = fetched(&Route53Provider::default(), &Secrets::default(), &context).await.unwrap();
    assert_eq!(got.access_key.expose(), "meta-key");
    let elsewhere =
        ambient(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://metadata.example.com/")]);
    assert!(fetched(&Route53Provider::default(), &Secrets::default(), &elsewhere).await.is_err());
}

#[tokio::test]
async fn the_instances_role_is_used_by_session() {
    let server =
        Server::start(|seen| match (seen.call(), seen.header("x-aws-ec2-metadata-token")) {
            (("PUT", "/latest/api/token"), None) => Reply::new(200, "session-1"),
            (("GET", "/latest/meta-data/iam/security-credentials"), Some("session-1")) => {
                Reply::new(200, "node-role\n")
            }
            (
                ("GET", "/latest/meta-data/iam/security-credentials/node-role"),
                Some("session-1"),
            ) => Reply::new(200, METADATA),
            _ => Reply::new(401, ""),
        })
        .await;
    let mut context = ambient(&[]);
    context.endpoints.aws_metadata = Some(server.url.clone());
    let got = fetched(&Route53Provider::default(), &Secrets::default(), &context).await.unwrap();
    assert_eq!(got.access_key.expose(), "meta-key");
    let off = Context {
        environment: ambient(&[("AWS_EC2_METADATA_DISABLED", "true")]).environment,
        ..ambient(&[])
    };
    assert!(fetched(&Route53Provider::default(), &Secrets::default(), &off).await.is_err());
}

#[test]
fn each_partition_has_its_own_addresses() {
    assert_eq!(partition("cn-north-1").route53, "https://route53.amazonaws.com.cn");
    assert_eq!(partition("us-gov-east-1").route53_region, "us-gov-west-1");
    assert_eq!(partition("eu-west-1").route53_region, "us-east-1");
}
