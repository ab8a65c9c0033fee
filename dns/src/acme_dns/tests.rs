use serde_json::json;

use super::*;
use crate::Mend;
use crate::testing::{Reply, Server, context, record, secrets, selector};

fn provider(server: &Server, accounts: &str) -> Result<AcmeDns, Error> {
    let config =
        AcmeDnsProvider { account_secret_ref: selector("accounts"), host: server.url.clone() };
    AcmeDns::new(&config, &secrets(&[("accounts", accounts)]), &context())
}

fn accounts() -> String {
    let account = json!({
        "username": "user-1", "password": "pass-1", "subdomain": "sub-1",
        "fulldomain": "sub-1.auth.test", "allowfrom": [],
    });
    json!({ "WWW.example.com": account }).to_string()
}

#[tokio::test]
async fn the_account_of_the_identifier_is_used() {
    let server = Server::start(|seen| {
        assert_eq!(seen.call(), ("POST", "/update"));
        match (seen.header("x-api-user"), seen.header("x-api-key")) {
            (Some("user-1"), Some("pass-1")) => {
                Reply::json(200, &json!({ "txt": seen.json()["txt"] }))
            }
            _ => Reply::json(401, &json!({ "error": "forbidden" })),
        }
    })
    .await;
    let provider = provider(&server, &accounts()).unwrap();
    provider.present(&record("one")).await.unwrap();
    assert_eq!(server.seen()[0].json(), json!({ "subdomain": "sub-1", "txt": "one" }));
    provider.clean_up(&record("one")).await.unwrap();
    assert_eq!(server.seen().len(), 1, "there is nothing to ask for");
    let other = Record { domain: "other.test".to_owned(), ..record("one") };
    let error = provider.present(&other).await.unwrap_err();
    assert_eq!(error.to_string(), "acme-dns: no account for other.test");
}

#[tokio::test]
async fn a_refused_account_and_an_unreadable_one_need_mending() {
    let server = Server::start(|_| Reply::json(401, &json!({ "error": "forbidden" }))).await;
    let error = provider(&server, &accounts()).unwrap().present(&record("one")).await.unwrap_err();
    assert!(matches!(error, Error::Mend { what: Mend::Credentials, .. }), "{error:?}");
    assert!(provider(&server, "{\"a\": 1}").is_err());
}
