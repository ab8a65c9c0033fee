use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::*;

/// What an answer to an operation that changes something is sorted as.
fn sorted(status: u16, headers: &[(&str, &str)], body: &str) -> AcmeError {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    let answer = answer.body(Bytes::from(body.to_owned())).unwrap();
    let url = "https://ca.test/new-order".parse().unwrap();
    AcmeError::refused(&Reply::new(Action::AuthorizeOrder, &url, true, answer))
}

fn acme(status: u16, kind: &str, more: Value) -> AcmeError {
    let mut problem = json!({"type": format!("urn:ietf:params:acme:error:{kind}")});
    problem.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sorted(status, &[], &problem.to_string())
}

#[test]
fn too_many_requests_are_never_the_users_fault_whatever_the_form() {
    let limited = [
        sorted(429, &[], "slow down"),
        sorted(503, &[("retry-after", "5")], ""),
        acme(403, "rateLimited", json!({})),
        acme(400, "rateLimited", json!({})),
    ];
    for error in limited {
        assert_eq!(error.class, Class::RateLimited, "{error}");
        assert!(error.class.is_retriable());
    }
}

#[test]
fn a_rate_limit_tells_when_and_where_to_read_about_it() {
    let detail = "too many certificates, retry after 2026-11-22: see https://ca.test/limits.";
    let problem = json!({"type": "urn:ietf:params:acme:error:rateLimited", "detail": detail});
    let headers = [("retry-after", "120"), ("link", "<https://ca.test/help>;rel=\"help\"")];
    let error = sorted(429, &headers, &problem.to_string());
    assert_eq!(error.retry_after(), Some(RetryAfter::Seconds(120)));
    assert_eq!(error.links(), ["https://ca.test/help", "https://ca.test/limits"]);
    assert_eq!(error.detail(), detail);
}

#[test]
fn a_pause_is_told_from_a_rate_limit_by_its_portal() {
    let detail = "Your account is temporarily prevented from requesting certificates for a.test \
                  and possibly others. Please visit: \
                  https://portal.ca.test/sfe/v1/unpause?jwt=a.b.c";
    let portal = "https://portal.ca.test/sfe/v1/unpause?jwt=a.b.c".to_owned();
    for (status, kind) in [(429, "rateLimited"), (403, "unauthorized")] {
        let error = acme(status, kind, json!({"detail": detail}));
        assert_eq!(error.class, Class::Paused { portal: portal.clone() });
        assert!(!error.class.is_retriable());
    }
}

#[test]
fn a_server_error_may_have_been_carried_out_and_passes() {
    for (status, body) in [(500, ""), (502, "<html>"), (503, ""), (504, "{}"), (408, "")] {
        let error = sorted(status, &[], body);
        assert!(matches!(error.class, Class::Transient { may_have_acted: true, .. }), "{error}");
    }
    let error = acme(500, "serverInternal", json!({}));
    assert!(matches!(error.class, Class::Transient { .. }), "{error}");
    let error = acme(400, "badNonce", json!({}));
    assert!(matches!(error.class, Class::Transient { may_have_acted: false, .. }), "{error}");
}

#[test]
fn what_the_user_must_mend_names_every_identifier_at_fault() {
    for kind in
        ["caa", "unauthorized", "rejectedIdentifier", "malformed", "invalidProfile", "badCSR"]
    {
        assert_eq!(acme(403, kind, json!({})).class, Class::NeedsMending, "{kind}");
    }
    let sub = |name: &str| {
        json!({"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids",
        "identifier": {"type": "dns", "value": name}})
    };
    let more = json!({"detail": "two names", "subproblems": [sub("a.test"), sub("b.test")]});
    let error = acme(403, "caa", more);
    let names = error.problem().unwrap().subproblems.iter();
    let names: Vec<&str> = names.map(|p| p.identifier.as_ref().unwrap().value.as_str()).collect();
    assert_eq!(names, ["a.test", "b.test"]);
    assert_eq!(
        error.to_string(),
        "authorize_order: 403 urn:ietf:params:acme:error:caa: two names; \
         a.test: urn:ietf:params:acme:error:caa: CAA forbids; \
         b.test: urn:ietf:params:acme:error:caa: CAA forbids"
    );
}

#[test]
fn the_account_the_predecessor_and_the_order_have_classes_of_their_own() {
    assert_eq!(acme(400, "accountDoesNotExist", json!({})).class, Class::AccountGone);
    assert_eq!(acme(409, "alreadyReplaced", json!({})).class, Class::AlreadyReplaced);
    assert_eq!(acme(403, "orderNotReady", json!({})).class, Class::OutOfStep);
    assert_eq!(acme(404, "malformed", json!({})).class, Class::OutOfStep);
}

#[test]
fn new_terms_are_shown_by_the_instance_or_else_by_the_terms_link() {
    let url = "https://ca.test/agree".to_owned();
    let error = acme(403, "userActionRequired", json!({"instance": url}));
    assert_eq!(error.class, Class::UserActionRequired { url: Some(url) });
    let problem = json!({"type": "urn:ietf:params:acme:error:userActionRequired"}).to_string();
    let link = [("link", "</terms/2>;rel=\"terms-of-service\"")];
    let error = sorted(403, &link, &problem);
    let url = Some("https://ca.test/terms/2".to_owned());
    assert_eq!(error.class, Class::UserActionRequired { url });
}

#[test]
fn a_refusal_that_is_not_acmes_is_a_bad_answer_not_the_users_fault() {
    let html = [("content-type", "text/html")];
    let error = sorted(403, &html, "<h1>blocked</h1>");
    assert!(matches!(error.class, Class::BadAnswer { .. }));
    let shown = "authorize_order: HTTP status 403 without a problem document (text/html)";
    assert_eq!(error.to_string(), shown);
    let error = sorted(307, &[("location", "/elsewhere")], "");
    let shown = "authorize_order: HTTP status 307, a redirection to https://ca.test/elsewhere, \
                 which is not followed";
    assert_eq!(error.to_string(), shown);
    assert!(matches!(sorted(404, &[], "{}").class, Class::BadAnswer { .. }));
}
