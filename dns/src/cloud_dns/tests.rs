use serde_json::{Value, json};

use super::*;
use crate::testing::{Reply, Seen, Server, ambient, record};

async fn provider(server: &Server) -> CloudDns {
    let mut context = ambient(&[]);
    context.endpoints.google_dns = Some(format!("{}/dns/v1", server.url));
    context.endpoints.google_metadata = Some(server.url.clone());
    let config = CloudDnsProvider { project: "p-1".to_owned(), ..CloudDnsProvider::default() };
    CloudDns::new(&config, &Secrets::default(), &context).unwrap()
}

fn failed(status: u16, reason: &str, message: &str) -> Reply {
    let errors = json!([{ "domain": "global", "reason": reason, "message": message }]);
    Reply::json(
        status,
        &json!({ "error": { "code": status, "message": message, "errors": errors } }),
    )
}

/// Cloud DNS as its API is published; managed zones come one a page.
fn cloud_dns(mut set: Option<Value>) -> impl FnMut(&Seen) -> Reply {
    let zones = "/dns/v1/projects/p-1/managedZones";
    move |seen| {
        if seen.path().starts_with("/computeMetadata") {
            return Reply::json(200, &json!({ "access_token": "ya29.pod", "expires_in": 3599 }));
        }
        if seen.header("authorization") != Some("Bearer ya29.pod") {
            return failed(401, "required", "Login Required.");
        }
        match seen.call() {
            ("GET", path) if path == zones => {
                match (seen.query("dnsName").as_deref(), seen.query("pageToken")) {
                    (Some("example.com."), None) => Reply::json(
                        200,
                        &json!({ "managedZones": [{ "name": "inner", "visibility": "private" }], "nextPageToken": "2" }),
                    ),
                    (Some("example.com."), _) => Reply::json(
                        200,
                        &json!({ "managedZones": [{ "name": "outer", "visibility": "public" }] }),
                    ),
                    _ => Reply::json(200, &json!({})),
                }
            }
            ("GET", path) if path == format!("{zones}/outer/rrsets") => {
                Reply::json(200, &json!({ "rrsets": set.iter().collect::<Vec<_>>() }))
            }
            ("POST", path) if path == format!("{zones}/outer/changes") => {
                let body = seen.json();
                if body["deletions"].get(0) != set.as_ref() {
                    return failed(
                        412,
                        "conditionNotMet",
                        "Precondition not met for 'entity.change.deletions[0]'",
                    );
                }
                set = body["additions"].get(0).cloned();
                Reply::json(200, &json!({ "id": "7", "status": "pending" }))
            }
            ("GET", path) if path == format!("{zones}/outer/changes/7") => {
                Reply::json(200, &json!({ "id": "7", "status": "done" }))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn values_stand_side_by_side_in_the_public_zone() {
    let server = Server::start(cloud_dns(None)).await;
    let provider = provider(&server).await;
    let presented = provider.present(&record("one")).await.unwrap();
    assert_eq!(presented.sync.as_deref(), Some("outer/7"));
    assert!(provider.in_sync("outer/7").await.unwrap());
    provider.present(&record("two")).await.unwrap();
    assert_eq!(provider.present(&record("two")).await.unwrap(), Presented::default());
    provider.clean_up(&record("one")).await.unwrap();
    provider.clean_up(&record("two")).await.unwrap();
    provider.clean_up(&record("two")).await.unwrap();
    let posts: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "POST")
        .map(|seen| seen.json())
        .collect();
    let texts = |at: usize, part: &str| posts[at][part][0]["rrdatas"].clone();
    assert_eq!(posts.len(), 4);
    assert_eq!(texts(1, "additions"), json!(["\"one\"", "\"two\""]));
    assert_eq!(texts(2, "additions"), json!(["\"two\""]));
    assert_eq!(posts[3]["additions"], json!([]));
    let tokens =
        server.seen().iter().filter(|seen| seen.path().starts_with("/computeMetadata")).count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn a_set_that_changed_meanwhile_is_tried_again_and_never_overwritten() {
    let mut real = cloud_dns(Some(
        json!({ "name": "_acme-challenge.www.example.com.", "type": "TXT", "ttl": 300, "rrdatas": ["\"a\""] }),
    ));
    let server = Server::start(move |seen| match seen.method.as_str() {
        "POST" => failed(412, "conditionNotMet", "Precondition not met"),
        _ => real(seen),
    })
    .await;
    let error = provider(&server).await.present(&record("one")).await.unwrap_err();
    assert!(matches!(error, Error::Transient(_)), "{error:?}");
}

#[tokio::test]
async fn quotas_and_missing_zones_are_classed() {
    let server = Server::start(|seen| match seen.path().starts_with("/computeMetadata") {
        true => Reply::json(200, &json!({ "access_token": "t", "expires_in": 3599 })),
        false => failed(403, "rateLimitExceeded", "Queries per minute"),
    })
    .await;
    let error = provider(&server).await.present(&record("one")).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error:?}");
    let server = Server::start(cloud_dns(None)).await;
    let other = Record { zone: "other.test".to_owned(), ..record("one") };
    let error = provider(&server).await.present(&other).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Google Cloud DNS: the project p-1 has no managed zone other.test"
    );
}
