use serde_json::json;

use super::*;
use crate::testing::{Reply, Seen, Server, context, record, secrets, selector};

fn provider(server: &Server) -> DigitalOcean {
    let mut context = context();
    context.endpoints.digital_ocean = Some(server.url.clone());
    let config = DigitalOceanProvider { token_secret_ref: selector("token") };
    DigitalOcean::new(&config, &secrets(&[("token", "do-token")]), &context).unwrap()
}

/// DigitalOcean as its API is published, with pages of one record.
fn digital_ocean(mut records: Vec<(u64, String)>) -> impl FnMut(&Seen) -> Reply {
    let path = "/v2/domains/example.com/records";
    move |seen| {
        if seen.header("authorization") != Some("Bearer do-token") {
            let body = json!({ "id": "Unauthorized", "message": "Unable to authenticate you", "request_id": "4a5b" });
            return Reply::json(401, &body);
        }
        match seen.call() {
            ("GET", got) if got == path => {
                assert_eq!(seen.query("name").as_deref(), Some("_acme-challenge.www.example.com"));
                let page: usize = seen.query("page").unwrap().parse().unwrap();
                let entries: Vec<_> = records.iter().skip(page - 1).take(1).collect();
                let entries: Vec<_> =
                    entries.iter().map(|(id, data)| json!({ "id": id, "data": data })).collect();
                let pages = match page < records.len() {
                    true => json!({ "next": format!("http://elsewhere/?page={}", page + 1) }),
                    false => json!({}),
                };
                Reply::json(200, &json!({ "domain_records": entries, "links": { "pages": pages } }))
            }
            ("POST", got) if got == path => {
                assert_eq!(seen.json()["name"], "_acme-challenge.www.example.com.");
                let id = 50 + records.len() as u64;
                records.push((id, seen.json()["data"].as_str().unwrap().to_owned()));
                Reply::json(201, &json!({ "domain_record": { "id": id } }))
            }
            ("DELETE", got) => {
                records.retain(|(id, _)| got != format!("{path}/{id}"));
                Reply::new(204, "")
            }
            _ => Reply::json(
                404,
                &json!({ "id": "not_found", "message": "not found", "request_id": "17c1" }),
            ),
        }
    }
}

#[tokio::test]
async fn values_stand_side_by_side_and_every_page_is_read() {
    let foreign = vec![(1, "a".to_owned()), (2, "b".to_owned())];
    let server = Server::start(digital_ocean(foreign)).await;
    let provider = provider(&server);
    provider.present(&record("one")).await.unwrap();
    provider.present(&record("two")).await.unwrap();
    provider.present(&record("two")).await.unwrap();
    assert_eq!(server.count("POST"), 2);
    provider.clean_up(&record("two")).await.unwrap();
    provider.clean_up(&record("two")).await.unwrap();
    assert_eq!(server.count("DELETE"), 1);
}

#[tokio::test]
async fn a_domain_that_is_not_there_and_a_wrong_token_need_mending() {
    let server = Server::start(digital_ocean(vec![])).await;
    let other = Record { zone: "other.test".to_owned(), ..record("one") };
    let error = provider(&server).present(&other).await.unwrap_err();
    assert!(matches!(error, Error::Mend { what: Mend::ZoneNotFound, .. }), "{error:?}");

    let wrong = DigitalOcean { token: Secret::new("guessed"), ..provider(&server) };
    let error = wrong.present(&record("one")).await.unwrap_err();
    assert_eq!(error.to_string(), "DigitalOcean: Unable to authenticate you (status 401)");
}
