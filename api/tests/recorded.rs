//! Objects that cert-manager itself wrote are read and written back without a change.

#![allow(clippy::unwrap_used)]

use everleaf_api::{
    Certificate, CertificateRequest, Challenge, ClusterIssuer, Issuer, Object, Order, validate,
};
use serde_json::Value;

fn objects() -> Vec<Value> {
    let lines = include_str!("recorded/objects.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<O: Object>() -> Vec<(O, Value)> {
    let own = objects().into_iter().filter(|object| object["kind"] == O::KIND);
    own.map(|object| (serde_json::from_value(object.clone()).unwrap(), object)).collect()
}

/// `{}` and an absent field say the same.
fn part<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| **value != Value::Object(Default::default()))
}

fn survive<O: Object>(at_least: usize) {
    let all = of_kind::<O>();
    assert!(all.len() >= at_least, "{} of {}", all.len(), O::KIND);
    for (read, object) in all {
        let written = serde_json::to_value(&read).unwrap();
        for name in ["apiVersion", "kind", "spec", "status"] {
            assert_eq!(part(&written, name), part(&object, name), "{}", read.meta().name);
        }
        for (name, value) in written["metadata"].as_object().unwrap() {
            assert_eq!(object["metadata"].get(name), Some(value), "{name}");
        }
    }
}

#[test]
fn every_recorded_object_survives_unchanged() {
    survive::<Certificate>(50);
    survive::<CertificateRequest>(30);
    survive::<Issuer>(2);
    survive::<ClusterIssuer>(1);
    survive::<Order>(10);
    survive::<Challenge>(10);
}

#[test]
fn what_cert_managers_webhook_let_through_passes_ours() {
    for (read, _) in of_kind::<Certificate>() {
        assert_eq!(validate::certificate(&read.spec), [], "{}", read.meta().name);
    }
    for (read, _) in of_kind::<CertificateRequest>() {
        assert_eq!(validate::certificate_request(&read), [], "{}", read.meta().name);
    }
    for (read, _) in of_kind::<Issuer>() {
        assert_eq!(validate::issuer(&read.spec), [], "{}", read.meta().name);
    }
}

#[test]
fn every_recorded_change_passes_our_rules_for_changes() {
    let steps = of_kind::<Order>();
    for (old, new) in steps.iter().zip(&steps[1..]) {
        if old.0.meta().uid == new.0.meta().uid {
            assert_eq!(validate::order_update(&old.0, &new.0), []);
        }
    }
    let steps = of_kind::<CertificateRequest>();
    let same = |a: &CertificateRequest, b: &CertificateRequest| a.meta().uid == b.meta().uid;
    let mut checked = 0;
    for (i, (old, _)) in steps.iter().enumerate() {
        let next = steps[i + 1..].iter().find(|(new, _)| same(old, new));
        if let Some((new, _)) = next {
            assert_eq!(validate::certificate_request_update(old, new), []);
            checked += 1;
        }
    }
    assert!(checked > 5);
}

#[test]
fn renewal_times_are_those_that_cert_manager_wrote() {
    let mut checked = 0;
    for (read, _) in of_kind::<Certificate>() {
        let status = &read.status;
        // With renewal information from the CA the time is a random one.
        if status.acme.is_some() {
            continue;
        }
        if let (Some(from), Some(to), Some(at)) =
            (status.not_before, status.not_after, status.renewal_time)
        {
            let ours = everleaf_api::renewal::renewal_time(from, to, &read.spec);
            assert_eq!(ours, Ok(Some(at)), "{}", read.meta().name);
            checked += 1;
        }
    }
    assert!(checked > 10);
}

#[test]
fn requests_are_named_as_cert_manager_named_them() {
    use everleaf_api::names::{CERTIFICATE_NAME, CERTIFICATE_REVISION, certificate_request};
    for (read, _) in of_kind::<CertificateRequest>() {
        let note = |key: &str| read.meta().annotations[key].clone();
        let revision = note(CERTIFICATE_REVISION).parse().unwrap();
        assert_eq!(certificate_request(&note(CERTIFICATE_NAME), revision), read.meta().name);
    }
}
