use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::testing::{Reply, Seen, Server, context, record, secrets, selector};

fn provider(server: &Server) -> Cloudflare {
    let mut context = context();
    context.endpoints.cloudflare = Some(format!("{}/client/v4", server.url));
    let config = CloudflareProvider {
        api_token_secret_ref: Some(selector("token")),
        ..CloudflareProvider::default()
    };
    Cloudflare::new(&config, &secrets(&[("token", "cf-token-1\n")]), &context).unwrap()
}

fn done(result: &Value) -> Reply {
    Reply::json(
        200,
        &json!({ "success": true, "errors": [], "result": result, "result_info": { "total_pages": 1 } }),
    )
}

fn failed(status: u16, code: u32, message: &str) -> Reply {
    let errors = json!([{ "code": code, "message": message }]);
    Reply::json(status, &json!({ "success": false, "errors": errors, "result": null }))
}

/// Cloudflare as its API is published: zones by name, records in pages of one here.
fn cloudflare(mut records: Vec<(u32, String)>) -> impl FnMut(&Seen) -> Reply {
    let mut next = 100;
    move |seen| {
        if seen.header("authorization") != Some("Bearer cf-token-1") {
            return failed(403, 9109, "Invalid access token");
        }
        let records_path = "/client/v4/zones/z1/dns_records";
        match seen.call() {
            ("GET", "/client/v4/zones") => match seen.query("name").as_deref() {
                Some("example.com") => done(&json!([{ "id": "z1", "name": "example.com" }])),
                _ => done(&json!([])),
            },
            ("GET", path) if path == records_path => {
                assert_eq!(seen.query("name").as_deref(), Some("_acme-challenge.www.example.com"));
                let page: usize = seen.query("page").unwrap().parse().unwrap();
                let entries: Vec<_> = records.iter().skip(page - 1).take(1).collect();
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(id, text)| json!({ "id": id.to_string(), "content": text }))
                    .collect();
                let info = json!({ "total_pages": records.len().max(1) });
                Reply::json(
                    200,
                    &json!({ "success": true, "errors": [], "result": entries, "result_info": info }),
                )
            }
            ("POST", path) if path == records_path => {
                assert_eq!(seen.json()["ttl"], 60);
                next += 1;
                records.push((next, seen.json()["content"].as_str().unwrap().to_owned()));
                done(&json!({ "id": next.to_string() }))
            }
            ("DELETE", path) => {
                let id = path.rsplit('/').next().unwrap();
                records.retain(|(have, _)| have.to_string() != id);
                done(&json!({ "id": id }))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn values_stand_side_by_side_and_go_one_by_one() {
    let foreign = vec![(1, "\"somebody's\"".to_owned())];
    let server = Server::start(cloudflare(foreign)).await;
    let provider = provider(&server);
    provider.present(&record("one")).await.unwrap();
    provider.present(&record("two")).await.unwrap();
    provider.present(&record("two")).await.unwrap();
    assert_eq!(server.count("POST"), 2, "what is there is not written again");
    provider.clean_up(&record("one")).await.unwrap();
    provider.clean_up(&record("one")).await.unwrap();
    assert_eq!(server.count("DELETE"), 1, "only the value itself goes");
}

#[tokio::test]
async fn the_zone_is_searched_upwards_where_dns_tells_another_one() {
    let server = Server::start(cloudflare(vec![])).await;
    let inner = Record { zone: "www.example.com.".to_owned(), ..record("one") };
    provider(&server).present(&inner).await.unwrap();
    let foreign = Record {
        fqdn: "_acme-challenge.other.test.".to_owned(),
        zone: "other.test".to_owned(),
        ..record("one")
    };
    let error = provider(&server).present(&foreign).await.unwrap_err();
    assert!(matches!(error, Error::Mend { what: Mend::ZoneNotFound, .. }), "{error:?}");
}

#[tokio::test]
async fn errors_are_classed_and_tell_no_token() {
    let server = Server::start(|_| failed(403, 9109, "Invalid access token cf-token-1")).await;
    let error = provider(&server).present(&record("one")).await.unwrap_err();
    assert!(matches!(error, Error::Mend { what: Mend::Credentials, .. }), "{error:?}");
    assert_eq!(error.to_string(), "Cloudflare: Invalid access token … (9109) (status 403)");

    let server = Server::start(|_| failed(429, 971, "Please wait").with("retry-after", "17")).await;
    let error = provider(&server).present(&record("one")).await.unwrap_err();
    let wait = Some(Duration::from_secs(17));
    assert!(
        matches!(error, Error::RateLimited { retry_after, .. } if retry_after == wait),
        "{error:?}"
    );

    let server = Server::start(|_| Reply::new(502, "<html>bad gateway</html>")).await;
    let error = provider(&server).present(&record("one")).await.unwrap_err();
    assert_eq!(error, Error::Transient("Cloudflare answered with status 502".to_owned()));
}

#[tokio::test]
async fn a_record_that_appeared_meanwhile_is_no_error() {
    let server = Server::start(|seen| match seen.call() {
        ("GET", "/client/v4/zones") => done(&json!([{ "id": "z1" }])),
        ("GET", _) => done(&json!([])),
        _ => failed(400, 81058, "An identical record already exists."),
    })
    .await;
    provider(&server).present(&record("one")).await.unwrap();
}

#[test]
fn a_key_needs_the_email_and_excludes_a_token() {
    let secrets = secrets(&[("key", "k"), ("token", "t")]);
    let key = CloudflareProvider {
        api_key_secret_ref: Some(selector("key")),
        ..CloudflareProvider::default()
    };
    assert!(Cloudflare::new(&key, &secrets, &context()).is_err());
    let both = CloudflareProvider {
        api_token_secret_ref: Some(selector("token")),
        email: Some("a@b".into()),
        ..key.clone()
    };
    assert!(Cloudflare::new(&both, &secrets, &context()).is_err());
    let right = CloudflareProvider { email: Some("a@b".into()), ..key };
    let made = Cloudflare::new(&right, &secrets, &context()).unwrap();
    assert!(!format!("{made:?}").contains("\"k\""), "{made:?}");
}
