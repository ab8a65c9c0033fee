use super::*;
use crate::Secret;
use crate::testing::{Reply, Seen, Server, context, record, secrets, selector};

const GONE: &str = "Tried to delete resource record set but it was not found";

fn keys() -> Credentials {
    Credentials {
        access_key: Secret::new("AKID"),
        secret_key: Secret::new("s3cret"),
        session_token: None,
    }
}

fn provider(server: &Server) -> Route53 {
    let mut context = context();
    context.endpoints.route53 = Some(server.url.clone());
    let config = Route53Provider {
        access_key_id: Some("AKID".to_owned()),
        secret_access_key_secret_ref: Some(selector("secret")),
        ..Route53Provider::default()
    };
    Route53::new(&config, &secrets(&[("secret", "s3cret")]), &context).unwrap()
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let error = format!(
        "<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Reply::new(status, format!("<ErrorResponse>{error}<RequestId>1a2b</RequestId></ErrorResponse>"))
}

fn zone(id: &str, name: &str, private: bool) -> String {
    format!(
        "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}</Name><CallerReference>c</CallerReference>\
         <Config><PrivateZone>{private}</PrivateZone></Config></HostedZone>"
    )
}

fn zones(zones: &str) -> Reply {
    Reply::new(
        200,
        format!(
            "<ListHostedZonesByNameResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><HostedZones>{zones}\
             </HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesByNameResponse>"
        ),
    )
}

/// Route 53 as its API is published. Sets are kept as the XML that made them; one a page.
fn route53(mut sets: Vec<String>) -> impl FnMut(&Seen) -> Reply {
    move |seen| {
        if !sig_v4::is_signed(seen, &keys(), "us-east-1", "route53") {
            return error(403, "SignatureDoesNotMatch", "no");
        }
        match seen.call() {
            ("GET", "/2013-04-01/hostedzonesbyname") => match seen.query("dnsname").as_deref() {
                Some("example.com") => zones(
                    &(zone("ZPRIV", "example.com.", true) + &zone("Z1", "example.com.", false)),
                ),
                _ => zones(&zone("Z9", "zzz.com.", false)),
            },
            ("GET", "/2013-04-01/hostedzone/Z1/rrset") => page(&sets, seen),
            ("POST", "/2013-04-01/hostedzone/Z1/rrset/") => change(&mut sets, &seen.body),
            ("GET", "/2013-04-01/change/C1") => Reply::new(
                200,
                "<R><ChangeInfo><Id>/change/C1</Id><Status>INSYNC</Status></ChangeInfo></R>",
            ),
            _ => error(404, "NoSuchHostedZone", "No hosted zone found with ID"),
        }
    }
}

fn page(sets: &[String], seen: &Seen) -> Reply {
    let at = seen.query("identifier").map_or(0, |at| at.parse().unwrap());
    let one: String = sets.iter().skip(at).take(1).cloned().collect();
    let more = at + 1 < sets.len();
    let next = format!(
        "<NextRecordName>_acme-challenge.www.example.com.</NextRecordName><NextRecordType>TXT</NextRecordType>\
         <NextRecordIdentifier>{}</NextRecordIdentifier>",
        at + 1
    );
    let next = if more { next } else { String::new() };
    Reply::new(
        200,
        format!(
            "<ListResourceRecordSetsResponse><ResourceRecordSets>{one}</ResourceRecordSets>\
             <IsTruncated>{more}</IsTruncated>{next}<MaxItems>1</MaxItems></ListResourceRecordSetsResponse>"
        ),
    )
}

fn change(sets: &mut Vec<String>, body: &str) -> Reply {
    let before = sets.clone();
    for change in body.split("<Change>").skip(1) {
        let set =
            change.split("</Action>").nth(1).unwrap().split("</Change>").next().unwrap().to_owned();
        let is_set = change.starts_with("<Action>UPSERT") || change.starts_with("<Action>CREATE");
        match (is_set, sets.iter().position(|have| *have == set)) {
            (true, None) => sets.push(set),
            (true, Some(_)) => {}
            (false, Some(at)) => drop(sets.remove(at)),
            (false, None) => {
                *sets = before;
                return Reply::new(
                    400,
                    format!(
                        "<InvalidChangeBatch><Messages><Message>{GONE}</Message></Messages></InvalidChangeBatch>"
                    ),
                );
            }
        }
    }
    Reply::new(200, "<R><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status></ChangeInfo></R>")
}

fn simple(values: &[&str]) -> String {
    let values = values.iter().map(|value| Value { value: crate::record::quoted(value) });
    Set {
        name: "_acme-challenge.www.example.com.".to_owned(),
        kind: "TXT".to_owned(),
        set_identifier: None,
        multi_value_answer: false,
        ttl: 300,
        resource_records: Values { records: values.collect() },
    }
    .xml()
}

#[tokio::test]
async fn each_value_is_a_set_of_its_own_as_with_cert_manager() {
    let server = Server::start(route53(vec![])).await;
    let provider = provider(&server);
    let presented = provider.present(&record("one")).await.unwrap();
    assert_eq!(presented.sync.as_deref(), Some("C1"));
    assert!(provider.in_sync("C1").await.unwrap());
    provider.present(&record("two")).await.unwrap();
    let posted = server.seen().into_iter().rfind(|seen| seen.method == "POST").unwrap().body;
    assert!(
        posted.contains("<SetIdentifier>&quot;two&quot;</SetIdentifier><MultiValueAnswer>true"),
        "{posted}"
    );
    provider.clean_up(&record("one")).await.unwrap();
    provider.clean_up(&record("one")).await.unwrap();
    provider.clean_up(&record("two")).await.unwrap();
    assert_eq!(server.count("POST"), 4, "two written, two removed, and nothing twice");
}

#[tokio::test]
async fn a_set_that_others_made_is_widened_and_put_back() {
    let server = Server::start(route53(vec![simple(&["theirs"])])).await;
    let provider = provider(&server);
    provider.present(&record("one")).await.unwrap();
    provider.present(&record("one")).await.unwrap();
    assert_eq!(server.count("POST"), 1);
    let posted = server.seen().into_iter().rfind(|seen| seen.method == "POST").unwrap().body;
    assert!(posted.contains(&simple(&["theirs", "one"])), "{posted}");
    provider.clean_up(&record("one")).await.unwrap();
    let posted = server.seen().into_iter().rfind(|seen| seen.method == "POST").unwrap().body;
    assert!(posted.ends_with(&format!("<Action>CREATE</Action>{}</Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>", simple(&["theirs"]))));
}

#[tokio::test]
async fn a_set_that_changed_meanwhile_is_tried_again_and_never_overwritten() {
    let mut real = route53(vec![simple(&["theirs"])]);
    let server = Server::start(move |seen| match seen.method.as_str() {
        "POST" => {
            let late = seen.body.replace("theirs", "as-it-was");
            change(&mut vec![simple(&["theirs"])], &late)
        }
        _ => real(seen),
    })
    .await;
    let error = provider(&server).present(&record("one")).await.unwrap_err();
    assert!(matches!(error, Error::Transient(_)), "{error:?}");
}

#[tokio::test]
async fn every_page_of_the_names_sets_is_read() {
    let other = |value: &str| Set { ttl: 10, ..Set::of(&record(value)) }.xml();
    let server = Server::start(route53(vec![other("a"), other("b"), other("one")])).await;
    provider(&server).clean_up(&record("one")).await.unwrap();
    assert_eq!(server.count("POST"), 1);
}

#[tokio::test]
async fn who_may_not_list_writes_all_the_same() {
    let server = Server::start(|seen| match seen.call() {
        ("GET", "/2013-04-01/hostedzonesbyname") => zones(&zone("Z1", "example.com.", false)),
        ("GET", _) => {
            error(403, "AccessDenied", "not authorized to perform: route53:ListResourceRecordSets")
        }
        _ => change(&mut Vec::new(), &seen.body),
    })
    .await;
    provider(&server).present(&record("one")).await.unwrap();
    provider(&server).clean_up(&record("one")).await.unwrap();
}

#[tokio::test]
async fn errors_are_classed_by_their_code() {
    for (status, code, class) in [
        (403, "AccessDenied", Some(Mend::Denied)),
        (403, "InvalidClientTokenId", Some(Mend::Credentials)),
        (404, "NoSuchHostedZone", Some(Mend::ZoneNotFound)),
        (500, "InternalFailure", None),
    ] {
        let server = Server::start(move |_| error(status, code, "said")).await;
        let got = provider(&server).present(&record("one")).await.unwrap_err();
        let what = if let Error::Mend { what, .. } = got { Some(what) } else { None };
        assert_eq!(what, class, "{code}: {got:?}");
    }
    let server = Server::start(|_| error(400, "Throttling", "Rate exceeded")).await;
    let got = provider(&server).present(&record("one")).await.unwrap_err();
    assert!(matches!(got, Error::RateLimited { .. }), "{got:?}");
    let server = Server::start(|_| zones("")).await;
    let got = provider(&server).present(&record("one")).await.unwrap_err();
    assert!(matches!(got, Error::Mend { what: Mend::ZoneNotFound, .. }), "{got:?}");
}
