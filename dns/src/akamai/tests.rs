use serde_json::json;

use super::*;
use crate::testing::{NOW, Reply, Seen, Server, context, record, secrets, selector};

fn keys() -> Credentials {
    Credentials {
        client_token: Secret::new("akab-client"),
        client_secret: Secret::new("ak-secret"),
        access_token: Secret::new("akab-access"),
    }
}

fn provider(server: &Server) -> Akamai {
    let mut context = context();
    context.endpoints.akamai = Some(server.url.clone());
    let config = AkamaiProvider {
        client_token_secret_ref: selector("client"),
        client_secret_secret_ref: selector("secret"),
        access_token_secret_ref: selector("access"),
        service_consumer_domain: "akab-1.luna.akamaiapis.net".to_owned(),
    };
    let values = [("client", "akab-client"), ("secret", "ak-secret"), ("access", "akab-access")];
    Akamai::new(&config, &secrets(&values), &context).unwrap()
}

fn is_signed(seen: &Seen) -> bool {
    let header = seen.header("authorization").unwrap();
    let nonce = header.split("nonce=").nth(1).unwrap().split(';').next().unwrap();
    let url = url::Url::parse(&format!("http://{}{}", seen.header("host").unwrap(), seen.target))
        .unwrap();
    let at = edge_grid::timestamp(NOW.parse().unwrap());
    header == keys().authorization(&seen.method, &url, seen.body.as_bytes(), &at, nonce)
}

/// Akamai as its API is published, for one zone.
fn akamai(mut set: Option<serde_json::Value>) -> impl FnMut(&Seen) -> Reply {
    let path = "/config-dns/v2/zones/example.com/names/_acme-challenge.www.example.com/types/TXT";
    move |seen| {
        if !is_signed(seen) {
            return Reply::json(
                401,
                &json!({ "title": "Not authorized", "detail": "The signature does not match", "instance": "1f2e" }),
            );
        }
        if seen.path() != path {
            return Reply::json(404, &json!({ "title": "Zone not found", "instance": "2a3b" }));
        }
        match (seen.method.as_str(), &set) {
            ("GET", Some(set)) => return Reply::json(200, set),
            ("GET" | "DELETE" | "PUT", None) => {
                return Reply::json(404, &json!({ "title": "Record set not found" }));
            }
            ("POST", Some(_)) => return Reply::json(409, &json!({ "title": "Record set exists" })),
            ("DELETE", Some(_)) => set = None,
            _ => set = Some(seen.json()),
        }
        Reply::new(
            if seen.method == "DELETE" { 204 } else { 201 },
            set.as_ref().map(ToString::to_string).unwrap_or_default(),
        )
    }
}

#[tokio::test]
async fn a_set_is_made_widened_narrowed_and_removed() {
    let server = Server::start(akamai(None)).await;
    let provider = provider(&server);
    let sets = |server: &Server, method: &str| {
        let all = server.seen().into_iter().filter(|seen| seen.method == method);
        all.map(|seen| seen.json()["rdata"].clone()).collect::<Vec<_>>()
    };
    provider.present(&record("one")).await.unwrap();
    provider.present(&record("two")).await.unwrap();
    provider.present(&record("two")).await.unwrap();
    assert_eq!(sets(&server, "POST"), [json!(["\"one\""])]);
    assert_eq!(sets(&server, "PUT"), [json!(["\"one\"", "\"two\""])]);
    provider.clean_up(&record("one")).await.unwrap();
    assert_eq!(sets(&server, "PUT")[1], json!(["\"two\""]));
    provider.clean_up(&record("two")).await.unwrap();
    provider.clean_up(&record("two")).await.unwrap();
    assert_eq!(server.count("DELETE"), 1);
}

#[tokio::test]
async fn a_zone_that_is_not_there_and_a_wrong_secret_need_mending() {
    let server = Server::start(akamai(None)).await;
    let other = Record { zone: "other.test".to_owned(), ..record("one") };
    let error = provider(&server).present(&other).await.unwrap_err();
    assert!(matches!(error, Error::Mend { what: Mend::ZoneNotFound, .. }), "{error:?}");

    let credentials = Credentials { client_secret: Secret::new("guessed"), ..keys() };
    let error =
        Akamai { credentials, ..provider(&server) }.present(&record("one")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Akamai: Not authorized The signature does not match (status 401)"
    );
}
