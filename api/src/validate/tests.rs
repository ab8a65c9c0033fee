use serde_json::{Value, json};

use super::*;
use crate::condition::Condition;
use crate::gates::{Component, FeatureGates};
use crate::kinds::{CertificateRequest, Challenge, Order};
use crate::types::certificate::CertificateSpec;

mod issuers;

/// `json` merged into a Certificate that is fine.
fn with(json: Value) -> CertificateSpec {
    let mut spec = json!({"secretName": "s", "issuerRef": {"name": "i"}, "dnsNames": ["a.test"]});
    for (key, value) in json.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn paths(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|v| v.path.as_str()).collect()
}

#[track_caller]
fn refused(json: Value, path: &str, says: &str) {
    let found = certificate(&with(json));
    assert_eq!(paths(&found), [path], "{}", message(&found));
    assert!(found[0].to_string().contains(says), "{}", found[0]);
}

#[track_caller]
fn fine(json: Value) {
    assert_eq!(certificate(&with(json)), []);
}

#[test]
fn all_violations_are_reported_not_the_first() {
    let spec = CertificateSpec { revision_history_limit: Some(0), ..Default::default() };
    let found = certificate(&spec);
    let want = ["spec.secretName", "spec.issuerRef.name", "spec", "spec.revisionHistoryLimit"];
    assert_eq!(paths(&found), want);
    assert_eq!(found[0].to_string(), "spec.secretName: Required value: must be specified");
    assert!(message(&found).starts_with("[spec.secretName: Required value"));
}

#[test]
fn names_and_references() {
    refused(json!({"secretName": "Not_a_name"}), "spec.secretName", "lower case");
    fine(json!({"issuerRef": {"name": "i", "kind": "ClusterIssuer"}}));
    fine(json!({"issuerRef": {"name": "i", "kind": "Other", "group": "x.io"}}));
    let hint = "for a kind of another group set spec.issuerRef.group";
    let other = json!({"issuerRef": {"name": "i", "kind": "AWSPCAIssuer"}});
    refused(other, "spec.issuerRef.kind", hint);
    let own = json!({"issuerRef": {"name": "i", "kind": "X", "group": "cert-manager.io"}});
    refused(own.clone(), "spec.issuerRef.kind", "kinds Issuer and ClusterIssuer only");
    assert!(!message(&certificate(&with(own))).contains("another group"));
}

#[test]
fn literal_subjects() {
    fine(json!({"dnsNames": [], "literalSubject": "CN=a,O=b"}));
    refused(
        json!({"literalSubject": "CN=a", "commonName": "b"}),
        "spec.commonName",
        "literalSubject",
    );
    let both = json!({"literalSubject": "CN=a", "subject": {"countries": ["DE"]}});
    refused(both, "spec.subject", "literalSubject");
    fine(json!({"literalSubject": "CN=a", "subject": {}}));
    let unknown = "Literal subject contains unrecognized key with value [x]";
    refused(json!({"literalSubject": "CN=a,FOO=x"}), "spec.literalSubject", unknown);
    refused(json!({"literalSubject": "CN"}), "spec.literalSubject", "key=value");
    let two = certificate(&with(json!({"literalSubject": "A=1,B=2"})));
    assert_eq!(two.len(), 2);
    refused(json!({"dnsNames": [], "literalSubject": "O=b"}), "spec", "at least one");
    let long = format!("CN={},O=b,CN=short", "x".repeat(65));
    refused(json!({"literalSubject": long}), "spec.commonName", "64 bytes");
}

#[test]
fn common_names_are_counted_in_bytes() {
    fine(json!({"commonName": "x".repeat(64)}));
    refused(json!({"commonName": "\u{e9}".repeat(33)}), "spec.commonName", "Too long");
}

#[test]
fn subject_alternative_names() {
    fine(json!({"ipAddresses": ["10.0.0.1", "::1"], "emailAddresses": ["a@b.test"]}));
    refused(json!({"ipAddresses": ["::1", "010.0.0.1"]}), "spec.ipAddresses[1]", "without a zone");
    refused(json!({"ipAddresses": ["fe80::1%eth0"]}), "spec.ipAddresses[0]", "without a zone");
    refused(json!({"emailAddresses": ["A <a@b>"]}), "spec.emailAddresses[0]", "bare address");
    fine(json!({"otherNames": [{"oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "a@b"}]}));
    let oid = json!({"otherNames": [{"oid": "BAD", "utf8Value": "a"}]});
    refused(oid, "spec.otherNames[0].oid", "invalid oid syntax");
    let value = json!({"otherNames": [{"oid": "1.2.3"}]});
    let says = "must be set to a valid non-empty UTF8 string";
    refused(value, "spec.otherNames[0].utf8Value", says);
    refused(
        json!({"otherNames": [{"utf8Value": "a"}]}),
        "spec.otherNames[0].oid",
        "must be specified",
    );
}

#[test]
fn private_keys_and_signatures() {
    for size in [0, 2048, 3000, 8192] {
        fine(json!({"privateKey": {"size": size}}));
    }
    refused(json!({"privateKey": {"size": 1024}}), "spec.privateKey.size", "2048 and 8192");
    refused(json!({"privateKey": {"size": -1}}), "spec.privateKey.size", "2048 and 8192");
    fine(json!({"privateKey": {"algorithm": "ECDSA", "size": 521}}));
    let ecdsa = json!({"privateKey": {"algorithm": "ECDSA", "size": 2048}});
    refused(ecdsa, "spec.privateKey.size", "256, 384 or 521");
    fine(json!({"privateKey": {"algorithm": "Ed25519", "size": 7}}));
    fine(json!({"signatureAlgorithm": "SHA512WithRSA"}));
    let wrong = json!({"signatureAlgorithm": "PureEd25519"});
    refused(wrong, "spec.signatureAlgorithm", "SHA256WithRSA, SHA384WithRSA, SHA512WithRSA");
    fine(json!({"signatureAlgorithm": "PureEd25519", "privateKey": {"algorithm": "Ed25519"}}));
}

#[test]
fn durations_are_checked_each_on_its_own() {
    fine(json!({"duration": "1h", "renewBefore": "5m"}));
    refused(json!({"duration": "59m"}), "spec.duration", "at least 1h");
    refused(json!({"renewBefore": "4m59s"}), "spec.renewBefore", "at least 5m");
    refused(
        json!({"renewBefore": "2160h"}),
        "spec.renewBefore",
        "shorter than the duration of 2160h",
    );
    for good in [1, 50, 99] {
        fine(json!({"renewBeforePercentage": good}));
        fine(json!({"duration": "1h", "renewBeforePercentage": good}));
    }
    for bad in [-1, 0, 100, 250] {
        let json = json!({"renewBeforePercentage": bad});
        refused(json, "spec.renewBeforePercentage", "between 1 and 99");
    }
    let both = certificate(&with(json!({"renewBefore": "1h", "renewBeforePercentage": 5})));
    assert_eq!(paths(&both), ["spec.renewBefore", "spec.renewBeforePercentage"]);
}

#[test]
fn secret_templates_cannot_forge_our_annotations() {
    fine(json!({"secretTemplate": {
        "labels": {"a.io/b": "c", "d": ""},
        "annotations": {
            "cert-manager.io/allow-direct-injection": "true",
            "UPPER.io/x": "any \n text",
        },
    }}));
    let forged = json!({"secretTemplate": {"annotations": {"cert-manager.io/issuer-name": "x"}}});
    refused(forged, "spec.secretTemplate.annotations", "set by the controller");
    let key = json!({"secretTemplate": {"annotations": {"a b": "x"}}});
    refused(key, "spec.secretTemplate.annotations", "example.com/name");
    let label = json!({"secretTemplate": {"labels": {"a": "b c"}}});
    refused(label, "spec.secretTemplate.labels[a]", "at most 63");
    let key = json!({"secretTemplate": {"labels": {"-a": "b"}}});
    refused(key, "spec.secretTemplate.labels", "example.com/name");
    let long = json!({"secretTemplate": {"annotations": {"a": "x".repeat(256 * 1024)}}});
    refused(long, "spec.secretTemplate.annotations", "262144");
}

#[test]
fn name_constraints_are_for_cas() {
    fine(json!({"isCA": true, "nameConstraints": {"excluded": {"ipRanges": ["10.0.0.0/8"]}}}));
    let leaf = json!({"nameConstraints": {"permitted": {}}});
    refused(leaf, "spec.nameConstraints", "set isCA");
    let empty = json!({"isCA": true, "nameConstraints": {"critical": true}});
    refused(empty, "spec.nameConstraints", "set permitted, excluded or both");
    let range = json!({"isCA": true, "nameConstraints": {"permitted": {"ipRanges": ["10.0.0.0"]}}});
    refused(range, "spec.nameConstraints.permitted.ipRanges[0]", "CIDR notation");
}

#[test]
fn output_formats_are_named_once() {
    let twice = json!({"additionalOutputFormats": [{"type": "DER"}, {"type": "DER"}]});
    refused(twice, "spec.additionalOutputFormats[1].type", "Duplicate value: \"DER\"");
}

#[test]
fn keystores_need_exactly_one_password_even_when_they_are_not_made() {
    let keystore = |json: Value| json!({"keystores": {"jks": json}});
    fine(keystore(json!({"create": true, "password": "x"})));
    fine(keystore(json!({"create": true, "passwordSecretRef": {"name": "p"}})));
    fine(keystore(json!({"create": true, "password": "x", "passwordSecretRef": {"name": ""}})));
    refused(keystore(json!({"create": false})), "spec.keystores.jks", "exactly one");
    let both = json!({"create": true, "password": "x", "passwordSecretRef": {"name": "p"}});
    refused(keystore(both), "spec.keystores.jks", "exactly one");
    let empty = json!({"keystores": {"pkcs12": {"create": true, "password": ""}}});
    refused(empty, "spec.keystores.pkcs12.password", "must not be empty");
}

#[test]
fn renewal_windows() {
    let window = |json: Value| json!({"renewal": {"policy": "RenewBefore", "windows": [json]}});
    let zoned = json!({"cron": "0 3 * * *", "timezone": "Europe/Berlin", "windowDuration": "4h"});
    fine(window(zoned.clone()));
    fine(json!({"renewal": {"policy": "Disabled"}}));
    refused(json!({"renewal": {}}), "spec.renewal.policy", "RenewBefore or Disabled");
    let disabled = json!({"renewal": {"policy": "Disabled", "windows": [zoned]}});
    refused(disabled, "spec.renewal.windows", "Disabled");
    let at = |field: &str| format!("spec.renewal.windows[0].{field}");
    let bad = json!({"cron": "0 3 * *", "windowDuration": "4h"});
    refused(window(bad), &at("cron"), "five fields");
    let bad = json!({"cron": "@daily", "timezone": "Mars", "windowDuration": "4h"});
    refused(window(bad), &at("timezone"), "Europe/Berlin");
    refused(window(json!({"cron": "@daily"})), &at("windowDuration"), "how long");
    let bad = json!({"cron": "@daily", "windowDuration": "0s"});
    refused(window(bad), &at("windowDuration"), "at least 1s");
}

#[test]
fn a_closed_gate_closes_its_field() {
    let text = "LiteralCertificateSubject=false,OtherNames=false,NameConstraints=false";
    let gates = FeatureGates::parse(Component::Webhook, text).unwrap();
    let spec = with(json!({
        "literalSubject": "CN=a", "otherNames": [{}], "nameConstraints": {},
    }));
    let found = certificate_gated(&spec, &gates);
    let want = ["spec.literalSubject", "spec.otherNames", "spec.nameConstraints"];
    assert_eq!(paths(&found), want);
    assert!(found.iter().all(|v| v.message.contains("feature gate")));
}

fn request(json: Value) -> CertificateRequest {
    let mut spec = json!({"issuerRef": {"name": "i"}, "request": "YQ=="});
    for (key, value) in json.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(json!({"spec": spec})).unwrap()
}

#[test]
fn requests_need_an_issuer_and_a_signing_request() {
    assert_eq!(certificate_request(&request(json!({}))), []);
    let found = certificate_request(&CertificateRequest::default());
    assert_eq!(paths(&found), ["spec.issuerRef.name", "spec.request"]);
}

#[test]
fn a_signing_request_must_ask_for_what_its_object_says() {
    let check = |json, csr: &CsrFacts| {
        let found = certificate_request_csr(&request(json).spec, csr);
        paths(&found).into_iter().map(String::from).collect::<Vec<_>>()
    };
    let silent = CsrFacts::default();
    assert!(check(json!({"isCA": true, "usages": ["server auth"]}), &silent).is_empty());
    let ca = CsrFacts { is_ca: Some(true), ..Default::default() };
    assert_eq!(check(json!({}), &ca), ["spec.isCA"]);
    assert!(check(json!({"isCA": true}), &ca).is_empty());
    let default = CsrFacts { key_usage: Some(0b101), ..Default::default() };
    assert!(check(json!({}), &default).is_empty());
    assert_eq!(check(json!({"isCA": true}), &default), ["spec.usages"]);
    let oid = |n: u8| format!("1.3.6.1.5.5.7.3.{n}");
    let both = CsrFacts {
        key_usage: Some(0b1),
        extended_key_usage: Some(vec![oid(1), oid(2)]),
        ..Default::default()
    };
    let usages = json!({"usages": ["server auth", "digital signature", "client auth"]});
    assert!(check(usages, &both).is_empty());
    let order = json!({"usages": ["client auth", "digital signature", "server auth"]});
    assert_eq!(check(order, &both), ["spec.usages"]);
}

#[test]
fn an_approval_is_single_true_and_final() {
    let yes = |type_| Condition::new(type_, true, "r", "m");
    let with = |conditions: Vec<Condition>| {
        let mut request = request(json!({}));
        request.status.conditions = conditions;
        request
    };
    assert_eq!(certificate_request(&with(vec![yes("Approved")])), []);
    let messages = |request: &CertificateRequest| message(&certificate_request(request));
    assert!(messages(&with(vec![yes("Approved"), yes("Approved")])).contains("several"));
    assert!(messages(&with(vec![yes("Approved"), yes("Denied")])).contains("at once"));
    let no = Condition::new("Denied", false, "r", "m");
    assert!(messages(&with(vec![no])).contains("must be True, or absent"));

    let approved = with(vec![yes("Approved")]);
    assert_eq!(certificate_request_update(&with(vec![]), &approved), []);
    assert_eq!(certificate_request_update(&approved, &approved), []);
    assert_eq!(paths(&certificate_request_update(&approved, &with(vec![]))), ["status.conditions"]);
    let reworded = with(vec![Condition::new("Approved", true, "r", "other")]);
    assert_eq!(certificate_request_update(&approved, &reworded).len(), 1);
}

#[test]
fn a_requests_spec_and_our_annotations_stay() {
    let old = request(json!({}));
    let mut new = request(json!({"isCA": true}));
    for key in ["cert-manager.io/a", "acme.cert-manager.io/b", "cert-manager.iox", "other.io/c"] {
        new.metadata.annotations.insert(key.into(), "1".into());
    }
    let want = [
        "metadata.annotations[acme.cert-manager.io/b]",
        "metadata.annotations[cert-manager.io/a]",
        "metadata.annotations[cert-manager.iox]",
        "spec",
    ];
    assert_eq!(paths(&certificate_request_update(&old, &new)), want);
}

#[test]
fn a_signing_request_is_echoed_in_part() {
    assert_eq!(csr_excerpt(b"short"), "short");
    assert_eq!(csr_excerpt("x".repeat(100).as_bytes()).len(), 100);
    let long = csr_excerpt("\u{e9}".repeat(101).as_bytes());
    assert_eq!(long.chars().count(), 100);
    assert!(long.ends_with("..."));
}

#[test]
fn what_the_server_said_of_an_order_stays() {
    let order = |status: Value| -> Order {
        serde_json::from_value(json!({"spec": {"request": "YQ=="}, "status": status})).unwrap()
    };
    let challenge = json!({"url": "c", "token": "t", "type": "dns-01"});
    let full = json!({
        "url": "u", "finalizeURL": "f", "certificate": "YQ==",
        "authorizations": [{"url": "a", "identifier": "x", "challenges": [challenge]}],
    });
    let old = order(full.clone());
    assert_eq!(order_update(&order(json!({})), &old), []);
    assert_eq!(order_update(&old, &old), []);
    let found = order_update(&old, &order(json!({"authorizations": [{"url": "b"}]})));
    let want = [
        "status.url",
        "status.finalizeURL",
        "status.certificate",
        "status.authorizations[0].url",
        "status.authorizations[0].identifier",
        "status.authorizations[0].challenges",
    ];
    assert_eq!(paths(&found), want);
    let mut fewer = full;
    fewer["authorizations"] = json!([]);
    assert_eq!(paths(&order_update(&old, &order(fewer))), ["status.authorizations"]);
    let bare = order(json!({"authorizations": [{"url": "a"}]}));
    let later = order(json!({"authorizations": [{"url": "a", "wildcard": true}]}));
    assert_eq!(order_update(&bare, &later), []);
    let other = Order { spec: Default::default(), ..order(json!({})) };
    assert_eq!(paths(&order_update(&order(json!({})), &other)), ["spec.request"]);
}

#[test]
fn a_challenge_stays() {
    let mut new = Challenge::default();
    assert_eq!(challenge_update(&Challenge::default(), &new), []);
    new.spec.token = "t".into();
    assert_eq!(paths(&challenge_update(&Challenge::default(), &new)), ["spec"]);
}
