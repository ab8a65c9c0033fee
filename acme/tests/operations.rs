//! What each operation sends, and makes of what comes back.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::{KEY, Script, directory, json_answer, order, problem, text, with};
use everleaf_acme::{
    AccountKey, Action, BAD_NONCE_RETRIES, CertId, Class, Endpoint, ExternalAccount, Identifier,
    NewAccount, NewOrder, OrderStatus, RetryAfter, Tally, TransportError,
};
use futures::executor::block_on;
use futures::future::join_all;
use serde_json::{Value, json};

const ORDER: &str = "https://ca.test/order/1";

fn transient(class: &Class, acted: bool) -> bool {
    matches!(class, Class::Transient { may_have_acted, .. } if *may_have_acted == acted)
}

fn new_order() -> NewOrder {
    NewOrder { identifiers: vec![Identifier::dns("a.test")], ..NewOrder::default() }
}

#[test]
fn a_refused_nonce_is_retried_with_the_same_payload_and_the_nonce_that_came_with_the_refusal() {
    let mut left = 2;
    let script = Script::new(move |_| {
        left -= 1;
        if left >= 0 { Ok(problem(400, "badNonce")) } else { Ok(json_answer(200, &order("ready"))) }
    });
    let answer = block_on(script.account().finalize("https://ca.test/finalize/1", b"csr"));
    assert_eq!(answer.unwrap().value.status, OrderStatus::Ready);
    let signed = script.signed();
    assert_eq!(signed.len(), 3);
    assert!(signed.iter().all(|sent| sent.payload == json!({"csr": "Y3Ny"})));
    let nonces: Vec<&str> = signed.iter().map(|sent| sent.nonce()).collect();
    assert_eq!(nonces, ["nonce-1", "nonce-2", "nonce-3"], "without asking newNonce in between");
}

#[test]
fn nonces_refused_for_ever_end_the_operation_as_transient_and_not_done() {
    let script = Script::new(|_| Ok(problem(400, "badNonce")));
    let error = block_on(script.account().new_order(&new_order())).unwrap_err();
    assert!(transient(&error.class, false), "{error}");
    assert_eq!(script.signed().len(), 1 + BAD_NONCE_RETRIES);
}

#[test]
fn no_nonce_is_sent_twice_even_if_the_server_hands_one_out_twice() {
    let script = Script::new(|_| Ok(with(200, &[("replay-nonce", "stale")], &order("pending"))));
    let account = script.account();
    block_on(async {
        for _ in 0..3 {
            account.order(ORDER).await.unwrap();
        }
        join_all((0..40).map(|_| account.order(ORDER))).await;
    });
    let signed = script.signed();
    let nonces: BTreeSet<&str> = signed.iter().map(|sent| sent.nonce()).collect();
    assert_eq!(nonces.len(), signed.len());
    assert_eq!(signed.len(), 43);
}

#[test]
fn nothing_but_a_refused_nonce_is_sent_again() {
    let refusals: [fn() -> common::Reply; 4] = [
        || Ok(problem(500, "serverInternal")),
        || Ok(problem(429, "rateLimited")),
        || Err(TransportError::Lost("reset".to_owned())),
        || Err(TransportError::TimedOut("90 s".to_owned())),
    ];
    for refuse in refusals {
        let script = Script::new(move |_| refuse());
        assert!(block_on(script.account().new_order(&new_order())).is_err());
        assert_eq!(script.signed().len(), 1);
    }
}

#[test]
fn only_what_changes_something_may_have_been_done_by_a_lost_request() {
    let script = Script::new(|_| Err(TransportError::Lost("reset".to_owned())));
    let account = script.account();
    let placed = block_on(account.new_order(&new_order())).unwrap_err();
    assert!(transient(&placed.class, true), "{placed}");
    let read = block_on(account.order(ORDER)).unwrap_err();
    assert!(transient(&read.class, false), "{read}");
    let script = Script::new(|_| Err(TransportError::Connect("refused".to_owned())));
    let unsent = block_on(script.account().new_order(&new_order())).unwrap_err();
    assert!(transient(&unsent.class, false), "{unsent}");
}

#[test]
fn every_answer_tells_its_retry_after_successes_and_refusals_alike() {
    let headers = [
        ("retry-after", "Sun, 22 Nov 2026 09:00:30 GMT"),
        ("date", "Sun, 22 Nov 2026 09:00:00 GMT"),
    ];
    let script = Script::new(move |_| Ok(with(200, &headers, &order("processing"))));
    let answer = block_on(script.account().order(ORDER)).unwrap();
    let now = "2001-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(answer.retry_after.unwrap().delay(now), Duration::from_secs(30));
    assert_eq!(answer.date.unwrap().to_string(), "2026-11-22T09:00:00Z");
    for status in [403, 404, 429, 500, 503] {
        let headers = [("retry-after", "7")];
        let script = Script::new(move |_| Ok(with(status, &headers, &Value::Null)));
        let error = block_on(script.account().order(ORDER)).unwrap_err();
        assert_eq!(error.retry_after(), Some(RetryAfter::Seconds(7)), "{status}");
    }
}

#[test]
fn a_new_account_is_bound_agreed_and_named_by_its_location() {
    let script = Script::new(|sent| {
        assert_eq!(sent.path, "/new-account");
        Ok(with(201, &[("location", "/acct/7")], &json!({"status": "valid", "contact": null})))
    });
    let key = Arc::new(AccountKey::from_pem(KEY).unwrap());
    let external = ExternalAccount::new("kid-1", b"c2VjcmV0").unwrap();
    let new = NewAccount {
        contact: vec!["mailto:a@a.test".to_owned()],
        terms_of_service_agreed: true,
        external_account: Some(&external),
    };
    let registered = block_on(script.client().new_account(&key, &new)).unwrap().value;
    assert_eq!(registered.account.url(), "https://ca.test/acct/7");
    assert!(!registered.existed);
    let sent = &script.signed()[0];
    assert_eq!(sent.payload["termsOfServiceAgreed"], true);
    assert_eq!(sent.payload["contact"], json!(["mailto:a@a.test"]));
    assert!(sent.payload["externalAccountBinding"]["signature"].is_string());
    assert_eq!(sent.protected["jwk"], json!(key.jwk()));
}

#[test]
fn an_account_is_found_by_its_key_or_known_to_be_gone() {
    let key = Arc::new(AccountKey::from_pem(KEY).unwrap());
    let there = [("location", "https://ca.test/acct/7")];
    let script = Script::new(move |_| Ok(with(200, &there, &json!({"status": "valid"}))));
    let found = block_on(script.client().find_account(&key)).unwrap().value;
    assert!(found.existed);
    assert_eq!(script.signed()[0].payload, json!({"onlyReturnExisting": true}));
    let script = Script::new(|_| Ok(problem(400, "accountDoesNotExist")));
    let error = block_on(script.client().find_account(&key)).unwrap_err();
    assert_eq!(error.class, Class::AccountGone);
    let script = Script::new(|_| Ok(json_answer(200, &json!({"status": "valid"}))));
    let error = block_on(script.client().find_account(&key)).unwrap_err();
    assert!(matches!(error.class, Class::BadAnswer { .. }), "without a Location: {error}");
}

#[test]
fn an_order_says_what_was_asked_and_nothing_that_was_not() {
    let script = Script::new(|_| Ok(with(201, &[("location", ORDER)], &order("pending"))));
    let account = script.account();
    let placed = block_on(account.new_order(&new_order())).unwrap().value;
    assert_eq!(placed.url, ORDER);
    let plain = json!({"identifiers": [{"type": "dns", "value": "a.test"}]});
    assert_eq!(script.signed()[0].payload, plain);
    let whole = NewOrder {
        identifiers: vec![
            Identifier::dns("*.a.test"),
            Identifier::ip("2001:db8::1".parse().unwrap()),
        ],
        not_after: Some("2027-01-01T00:00:00.9Z".parse().unwrap()),
        profile: Some("classic".to_owned()),
        replaces: Some("a.b".to_owned()),
        ..NewOrder::default()
    };
    block_on(account.new_order(&whole)).unwrap();
    let expected = json!({
        "identifiers":
            [{"type": "dns", "value": "*.a.test"}, {"type": "ip", "value": "2001:db8::1"}],
        "notAfter": "2027-01-01T00:00:00Z", "profile": "classic", "replaces": "a.b",
    });
    assert_eq!(script.signed()[1].payload, expected);
}

#[test]
fn an_order_without_a_place_or_a_way_on_is_a_bad_answer() {
    let script = Script::new(|_| Ok(json_answer(201, &order("pending"))));
    let error = block_on(script.account().new_order(&new_order())).unwrap_err();
    assert!(matches!(error.class, Class::BadAnswer { .. }), "{error}");
    let script = Script::new(|_| Ok(with(200, &[], &json!({"status": "pending"}))));
    let error = block_on(script.account().order(ORDER)).unwrap_err();
    assert!(matches!(error.class, Class::BadAnswer { .. }), "{error}");
}

#[test]
fn an_unknown_profile_is_looked_for_once_more_and_then_refused_here() {
    let script = Script::new(|_| Ok(with(201, &[("location", ORDER)], &order("pending"))));
    let account = script.account();
    let new = NewOrder { profile: Some("short".to_owned()), ..new_order() };
    let error = block_on(account.new_order(&new)).unwrap_err();
    let text = "authorize_order: the CA does not offer the profile \"short\", but classic";
    assert_eq!(error.to_string(), text);
    assert_eq!(script.paths(), ["GET /dir", "GET /dir"]);
    let mut grown = directory();
    grown["meta"]["profiles"]["short"] = json!("6 days");
    script.set_directory(grown);
    assert!(block_on(account.new_order(&new)).is_ok());
}

#[test]
fn replaces_is_left_out_where_the_ca_has_no_renewal_information() {
    let script = Script::new(|_| Ok(with(201, &[("location", ORDER)], &order("pending"))));
    let mut without = directory();
    without.as_object_mut().unwrap().remove("renewalInfo");
    script.set_directory(without);
    let account = script.account();
    let new = NewOrder { replaces: Some("a.b".to_owned()), ..new_order() };
    block_on(account.new_order(&new)).unwrap();
    assert_eq!(script.signed()[0].payload.get("replaces"), None);
    let error = block_on(account.client().renewal_info(&CertId::from_parts(b"a", b"b")));
    assert!(matches!(error.unwrap_err().class, Class::NotOffered { .. }));
}

#[test]
fn the_directory_is_fetched_once_by_many_and_not_kept_when_it_is_none() {
    let script = Script::new(|_| Ok(json_answer(200, &order("pending"))));
    let account = script.account();
    block_on(join_all((0..10).map(|_| account.order(ORDER))));
    let fetched = script.paths().iter().filter(|path| *path == "GET /dir").count();
    assert_eq!(fetched, 1);
    let script = Script::new(|_| Ok(json_answer(200, &order("pending"))));
    script.set_directory(json!({"newNonce": "file:///etc", "newAccount": "", "newOrder": ""}));
    let account = script.account();
    let error = block_on(account.order(ORDER)).unwrap_err();
    assert!(matches!(error.class, Class::BadAnswer { .. }), "{error}");
    script.set_directory(directory());
    assert!(block_on(account.order(ORDER)).is_ok());
}

#[test]
fn a_directory_whose_resources_have_moved_is_fetched_again() {
    let script = Script::new(|sent| match sent.path.as_str() {
        "/new-order" => Ok(text(404, &[("content-type", "text/html")], "moved".to_owned())),
        _ => Ok(with(201, &[("location", ORDER)], &order("pending"))),
    });
    let account = script.account();
    assert!(block_on(account.new_order(&new_order())).is_err());
    let mut moved = directory();
    moved["newOrder"] = json!("https://ca.test/v3/new-order");
    script.set_directory(moved);
    assert!(block_on(account.new_order(&new_order())).is_ok());
}

#[test]
fn a_get_follows_some_redirections_and_a_post_none() {
    let window = json!({"suggestedWindow":
        {"start": "2026-11-22T00:00:00Z", "end": "2026-11-23T00:00:00.5Z"}});
    let script = Script::new(move |sent| match sent.path.as_str() {
        "/ari/YQ.Yg" => Ok(with(301, &[("location", "/moved")], &Value::Null)),
        "/moved" => Ok(with(200, &[("retry-after", "21600")], &window)),
        _ => Ok(with(307, &[("location", "/round")], &Value::Null)),
    });
    let account = script.account();
    let id = CertId::from_parts(b"a", b"b");
    let answer = block_on(account.client().renewal_info(&id)).unwrap();
    assert_eq!(answer.retry_after, Some(RetryAfter::Seconds(21600)));
    let error = block_on(account.order(ORDER)).unwrap_err();
    assert!(matches!(error.class, Class::BadAnswer { .. }), "{error}");
    assert_eq!(script.signed().len(), 1);
    let round = CertId::from_parts(b"x", b"y");
    assert!(block_on(account.client().renewal_info(&round)).is_err(), "in a circle");
}

#[test]
fn a_window_that_ends_before_it_starts_is_a_bad_answer() {
    let window = json!({"suggestedWindow":
        {"start": "2026-11-22T00:00:00Z", "end": "2026-11-22T00:00:00Z"}});
    let script = Script::new(move |_| Ok(json_answer(200, &window)));
    let error = block_on(script.client().renewal_info(&CertId::from_parts(b"a", b"b")));
    assert!(matches!(error.unwrap_err().class, Class::BadAnswer { .. }));
}

#[test]
fn a_list_of_orders_is_read_page_by_page_up_to_a_bound() {
    let script = Script::new(|sent| {
        let page: u32 = sent.path.trim_start_matches("/orders/").parse().unwrap();
        let next = format!("<{}>;rel=\"next\", <0>;rel=\"prev\"", page + 1);
        let body = json!({"orders": [format!("https://ca.test/order/{page}")]});
        Ok(with(200, &[("link", &next)], &body))
    });
    let list = block_on(script.account().orders("https://ca.test/orders/1", 3)).unwrap().value;
    assert_eq!(list.orders.len(), 3);
    assert!(!list.complete);
    assert_eq!(script.signed().len(), 3);
}

#[test]
fn a_list_of_orders_that_leads_in_a_circle_ends_as_a_bad_answer() {
    let script = Script::new(|sent| {
        let next =
            if sent.path == "/orders/1" { "</orders/2>;rel=next" } else { "</orders/1>;rel=next" };
        Ok(with(200, &[("link", next)], &json!({"orders": []})))
    });
    let error = block_on(script.account().orders("https://ca.test/orders/1", 1000)).unwrap_err();
    assert!(matches!(error.class, Class::BadAnswer { .. }), "{error}");
    assert_eq!(script.signed().len(), 2);
}

#[test]
fn a_new_key_vouches_for_itself_inside_what_the_old_one_signs() {
    let script = Script::new(|_| Ok(json_answer(200, &Value::Null)));
    let account = script.account();
    let new = everleaf_pki::PrivateKey::generate(everleaf_pki::KeyKind::Ed25519).unwrap();
    let new = Arc::new(AccountKey::new(new).unwrap());
    let changed = block_on(account.change_key(&new)).unwrap().value;
    assert_eq!(changed.key().thumbprint(), new.thumbprint());
    let sent = &script.signed()[0];
    assert_eq!(sent.protected["kid"], account.url());
    assert!(sent.payload["protected"].is_string() && sent.payload["signature"].is_string());
}

#[test]
fn half_a_json_document_is_transient_and_nonsense_is_a_bad_answer() {
    let script = Script::new(|_| Ok(text(200, &[], r#"{"status": "pen"#.to_owned())));
    let error = block_on(script.account().order(ORDER)).unwrap_err();
    assert!(transient(&error.class, false), "{error}");
    for body in ["<html>", "[]", "null", r#"{"status": 7}"#] {
        let script = Script::new(move |_| Ok(text(200, &[], body.to_owned())));
        let error = block_on(script.account().order(ORDER)).unwrap_err();
        assert!(matches!(error.class, Class::BadAnswer { .. }), "{body}: {error}");
    }
}

#[test]
fn a_challenge_whose_token_is_a_path_is_refused_and_unknown_words_are_not() {
    let authorization = |token: &str| {
        json!({"identifier": {"type": "dns", "value": "a.test"}, "status": "musing",
            "challenges": [{"type": "new-99", "url": "https://ca.test/c", "token": token}]})
    };
    let (good, bad) = (authorization("tok_en-1"), authorization("../../etc"));
    let script = Script::new(move |sent| match sent.path.as_str() {
        "/good" => Ok(json_answer(200, &good)),
        _ => Ok(json_answer(200, &bad)),
    });
    let account = script.account();
    let read = block_on(account.authorization("https://ca.test/good")).unwrap().value;
    assert_eq!((read.status.as_str(), read.challenges[0].kind.as_str()), ("unknown", "new-99"));
    let error = block_on(account.authorization("https://ca.test/bad")).unwrap_err();
    assert!(matches!(error.class, Class::BadAnswer { .. }), "{error}");
}

#[test]
fn requests_are_counted_by_action_endpoint_and_status_and_999_stands_for_no_answer() {
    let tally = Arc::new(Tally::default());
    let script = Script::new(|sent| match sent.path.as_str() {
        "/order/1" => Ok(json_answer(200, &order("pending"))),
        _ => Err(TransportError::Lost("reset".to_owned())),
    });
    let key = Arc::new(AccountKey::from_pem(KEY).unwrap());
    let account = script.watched(tally.clone()).account(key, "https://ca.test/acct/1".to_owned());
    block_on(account.order(ORDER)).unwrap();
    block_on(account.new_order(&new_order())).unwrap_err();
    let counts: Vec<_> = tally.counts().into_keys().collect();
    let expected = [
        (Action::Discover, Endpoint::Directory, 200),
        (Action::AuthorizeOrder, Endpoint::NewOrder, 999),
        (Action::GetOrder, Endpoint::NewNonce, 200),
        (Action::GetOrder, Endpoint::Other, 200),
    ];
    for one in expected {
        assert!(counts.contains(&one), "{one:?} in {counts:?}");
    }
    assert_eq!(tally.total(), 4, "the second operation took the first one's nonce");
}

#[test]
fn a_url_that_is_none_is_the_callers_mistake_and_nothing_is_sent() {
    let script = Script::new(|_| Ok(json_answer(200, &order("pending"))));
    for bad in ["", "ca.test/order", "file:///order", "https://"] {
        let error = block_on(script.account().order(bad)).unwrap_err();
        assert!(matches!(error.class, Class::Unusable { .. }), "{bad}: {error}");
    }
    assert!(script.sent().is_empty());
}
