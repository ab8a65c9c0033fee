use std::fs;

use everleaf_api::types::dns01::AzureManagedIdentity;
use serde_json::json;

use super::*;
use crate::testing::{Reply, Seen, Server, ambient, context, record, secrets, selector};

fn config() -> AzureDnsProvider {
    AzureDnsProvider {
        subscription_id: "sub-1".to_owned(),
        resource_group_name: "rg-1".to_owned(),
        client_id: Some("client-1".to_owned()),
        tenant_id: Some("tenant-1".to_owned()),
        client_secret_secret_ref: Some(selector("secret")),
        ..AzureDnsProvider::default()
    }
}

fn pointed(mut context: Context, server: &Server) -> Context {
    context.endpoints.azure_login = Some(server.url.clone());
    context.endpoints.azure_manager = Some(server.url.clone());
    context.endpoints.azure_metadata = Some(server.url.clone());
    context
}

fn provider(server: &Server, config: &AzureDnsProvider) -> AzureDns {
    let context = pointed(context(), server);
    AzureDns::new(config, &secrets(&[("secret", "s3cret")]), &context).unwrap()
}

fn failed(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "code": code, "message": message } }))
}

/// Entra and Azure DNS as their APIs are published, for one zone; versions count up.
fn azure(mut set: Option<Value>) -> impl FnMut(&Seen) -> Reply {
    let zone =
        "/subscriptions/sub-1/resourceGroups/rg-1/providers/Microsoft.Network/dnsZones/example.com";
    let path = format!("{zone}/TXT/_acme-challenge.www");
    let mut version = 1;
    move |seen| {
        if seen.path().ends_with("/oauth2/v2.0/token") {
            return login(seen);
        }
        if seen.header("authorization") != Some("Bearer eyJ.arm") {
            return failed(401, "InvalidAuthenticationToken", "The access token is invalid.");
        }
        assert_eq!(seen.query("api-version").as_deref(), Some("2018-05-01"));
        if seen.path() != path {
            return failed(
                404,
                "ParentResourceNotFound",
                "Can not perform requested operation on nested resource.",
            );
        }
        let tag = format!("v{version}");
        match (seen.method.as_str(), set.is_some()) {
            ("GET", true) => return Reply::json(200, &json!({ "etag": tag, "properties": set })),
            ("GET" | "DELETE", false) => {
                return failed(404, "NotFound", "The resource record was not found.");
            }
            ("PUT", false) if seen.header("if-none-match") == Some("*") => {
                set = Some(seen.json()["properties"].clone())
            }
            ("PUT", true) if seen.header("if-match") == Some(&tag) => {
                set = Some(seen.json()["properties"].clone())
            }
            ("DELETE", true) if seen.header("if-match") == Some(&tag) => set = None,
            _ => {
                return failed(
                    412,
                    "PreconditionFailed",
                    "The precondition given in the request header is not met.",
                );
            }
        }
        version += 1;
        Reply::new(200, "{}")
    }
}

fn login(seen: &Seen) -> Reply {
    let form = seen.form();
    assert_eq!(seen.path(), "/tenant-1/oauth2/v2.0/token");
    assert_eq!(
        (form["grant_type"].as_str(), form["client_id"].as_str()),
        ("client_credentials", "client-1")
    );
    assert_eq!(form["scope"], "https://management.azure.com/.default");
    let secret = form.get("client_secret").map(String::as_str);
    let assertion = form.get("client_assertion").map(String::as_str);
    match (secret, assertion) {
        (Some("s3cret"), None) | (None, Some("pod-jwt")) => {
            Reply::json(200, &json!({ "access_token": "eyJ.arm", "expires_in": 3599 }))
        }
        _ => {
            let said = "AADSTS7000215: Invalid client secret provided. Trace ID: 0c1d Correlation ID: 2f3a Timestamp: 2026";
            Reply::json(401, &json!({ "error": "invalid_client", "error_description": said }))
        }
    }
}

#[tokio::test]
async fn values_stand_side_by_side_and_what_we_do_not_know_stays() {
    let theirs = json!({
        "TTL": 3600, "metadata": { "owner": "them" }, "fqdn": "f", "provisioningState": "Succeeded",
        "TXTRecords": [{ "value": ["the", "irs"] }],
    });
    let server = Server::start(azure(Some(theirs))).await;
    let provider = provider(&server, &config());
    provider.present(&record("one")).await.unwrap();
    provider.present(&record("one")).await.unwrap();
    let puts = |server: &Server| {
        server
            .seen()
            .into_iter()
            .filter(|seen| seen.method == "PUT")
            .map(|seen| seen.json())
            .collect::<Vec<_>>()
    };
    let expected = json!({
        "TTL": 3600, "metadata": { "owner": "them" },
        "TXTRecords": [{ "value": ["the", "irs"] }, { "value": ["one"] }],
    });
    assert_eq!(puts(&server), [json!({ "properties": expected })]);
    provider.clean_up(&record("one")).await.unwrap();
    assert_eq!(puts(&server)[1]["properties"]["TXTRecords"], json!([{ "value": ["the", "irs"] }]));
    assert_eq!(server.seen().iter().filter(|seen| seen.path().ends_with("token")).count(), 1);
}

#[tokio::test]
async fn the_last_value_takes_the_set_with_it() {
    let server = Server::start(azure(None)).await;
    let provider = provider(&server, &config());
    provider.present(&record("one")).await.unwrap();
    provider.clean_up(&record("one")).await.unwrap();
    provider.clean_up(&record("one")).await.unwrap();
    assert_eq!((server.count("PUT"), server.count("DELETE")), (1, 1));
}

#[tokio::test]
async fn a_set_that_changed_meanwhile_is_tried_again_and_never_overwritten() {
    let mut real = azure(Some(json!({ "TTL": 60, "TXTRecords": [] })));
    let server = Server::start(move |seen| match seen.method.as_str() {
        "PUT" => failed(412, "PreconditionFailed", "The precondition is not met."),
        _ => real(seen),
    })
    .await;
    let error = provider(&server, &config()).present(&record("one")).await.unwrap_err();
    assert!(matches!(error, Error::Transient(_)), "{error:?}");
}

#[tokio::test]
async fn a_zone_that_is_not_there_and_a_wrong_secret_need_mending() {
    let server = Server::start(azure(None)).await;
    let elsewhere =
        AzureDnsProvider { hosted_zone_name: Some("www.example.com".to_owned()), ..config() };
    let error = provider(&server, &elsewhere).present(&record("one")).await.unwrap_err();
    assert!(matches!(error, Error::Mend { what: Mend::ZoneNotFound, .. }), "{error:?}");
    let context = pointed(context(), &server);
    let wrong = AzureDns::new(&config(), &secrets(&[("secret", "guessed")]), &context).unwrap();
    let error = wrong.present(&record("one")).await.unwrap_err();
    let said = "Azure: invalid_client: AADSTS7000215: Invalid client secret provided. (status 401)";
    assert_eq!(error.to_string(), said);
}

#[tokio::test]
async fn workload_identity_gives_the_pods_token_for_a_secret() {
    let server = Server::start(azure(None)).await;
    let path = std::env::temp_dir().join(format!("everleaf-dns-azure-{}", std::process::id()));
    fs::write(&path, "pod-jwt").unwrap();
    let context = ambient(&[
        ("AZURE_FEDERATED_TOKEN_FILE", path.to_str().unwrap()),
        ("AZURE_CLIENT_ID", "client-0"),
        ("AZURE_TENANT_ID", "tenant-1"),
    ]);
    let managed = AzureManagedIdentity {
        client_id: Some("client-1".to_owned()),
        ..AzureManagedIdentity::default()
    };
    let config = AzureDnsProvider {
        client_id: None,
        client_secret_secret_ref: None,
        managed_identity: Some(managed),
        ..config()
    };
    let made = AzureDns::new(&config, &Secrets::default(), &pointed(context, &server)).unwrap();
    made.present(&record("one")).await.unwrap();
    fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_managed_identity_is_asked_of_the_instance() {
    let mut real = azure(None);
    let server = Server::start(move |seen| match seen.path() {
        "/metadata/identity/oauth2/token" => {
            assert_eq!(seen.header("metadata"), Some("true"));
            assert_eq!(seen.query("resource").as_deref(), Some("https://management.azure.com/"));
            assert_eq!(seen.query("client_id").as_deref(), Some("mi-1"));
            Reply::json(200, &json!({ "access_token": "eyJ.arm", "expires_in": "3599" }))
        }
        _ => real(seen),
    })
    .await;
    let managed = AzureManagedIdentity {
        client_id: Some("mi-1".to_owned()),
        ..AzureManagedIdentity::default()
    };
    let config = AzureDnsProvider {
        client_id: None,
        client_secret_secret_ref: None,
        managed_identity: Some(managed),
        ..config()
    };
    let made =
        AzureDns::new(&config, &Secrets::default(), &pointed(ambient(&[]), &server)).unwrap();
    made.present(&record("one")).await.unwrap();
}

#[tokio::test]
async fn private_zones_are_another_api() {
    let server = Server::start(|seen| match seen.path().ends_with("token") {
        true => login(seen),
        false if seen.method == "GET" => failed(404, "NotFound", "no"),
        false => Reply::new(200, "{}"),
    })
    .await;
    let private = AzureDnsProvider { zone_type: Some(AzureZoneType::Private), ..config() };
    provider(&server, &private).present(&record("one")).await.unwrap();
    let put = server.seen().into_iter().find(|seen| seen.method == "PUT").unwrap();
    assert!(put.path().contains("/privateDnsZones/example.com/TXT/"));
    assert_eq!(put.query("api-version").as_deref(), Some("2020-06-01"));
    assert_eq!(
        put.json()["properties"],
        json!({ "ttl": 60, "txtRecords": [{ "value": ["one"] }] })
    );
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_used_again() {
    let server = Server::start(|seen| match seen.path().ends_with("token") {
        true => login(seen),
        false => failed(401, "InvalidAuthenticationToken", "The access token is invalid."),
    })
    .await;
    let provider = provider(&server, &config());
    for _ in 0..2 {
        let error = provider.present(&record("one")).await.unwrap_err();
        assert!(matches!(error, Error::Mend { what: Mend::Credentials, .. }), "{error:?}");
    }
    assert_eq!(server.seen().iter().filter(|seen| seen.path().ends_with("token")).count(), 2);
}

#[test]
fn a_closed_cloud_is_told() {
    let german = AzureDnsProvider { environment: Some(AzureEnvironment::German), ..config() };
    let error = AzureDns::new(&german, &secrets(&[("secret", "s")]), &context()).unwrap_err();
    assert!(error.to_string().contains("closed"));
}
