//! Attempts after a failure, and what is served before the first success.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

mod bed;

use bed::{Bed, Key, Reply, Thing, key};
use everleaf_nodes::facts::Class;
use everleaf_nodes::{Do, Kind};
use serde_json::{Value, json};

fn ready() -> Bed {
    let mut bed = Bed::new();
    bed.issuer("acme", "https://ca.test/directory", json!({}));
    bed.run(5);
    bed.log.clear();
    bed
}

fn certificate(bed: &mut Bed, annotations: Value) -> Key {
    let certificate = key(Kind::Certificate, "shop");
    let object = json!({
        "metadata": { "generation": 1, "annotations": annotations },
        "spec": {
            "secretName": "shop-tls", "dnsNames": ["a.shop.test"], "issuerRef": { "name": "acme" },
        },
    });
    bed.put(&certificate, Thing::Json(object));
    certificate
}

fn condition<'a>(bed: &'a Bed, of: &Key, kind: &str) -> &'a Value {
    let all = bed.status(of)["conditions"].as_array();
    let found = all.and_then(|all| all.iter().find(|condition| condition["type"] == kind));
    found.unwrap_or(&Value::Null)
}

#[test]
fn an_edited_spec_is_tried_at_once_though_the_request_that_failed_is_gone() {
    let mut bed = ready();
    bed.tell("place", Reply::Ill(Class::User, "no", None));
    let certificate = certificate(&mut bed, json!({}));
    bed.run(60);
    assert_eq!(condition(&bed, &certificate, "Issuing")["status"], "False");
    bed.change(&certificate, |object| {
        object["metadata"]["generation"] = json!(2);
        object["spec"]["dnsNames"] = json!(["b.shop.test"]);
    });
    bed.run(60);
    let status = bed.status(&certificate);
    let ready = condition(&bed, &certificate, "Ready");
    assert_eq!(ready["status"], "True", "{status}\n{:?}", bed.log);
    assert_eq!(status["revision"], 1);
}

#[test]
fn without_an_edit_the_failure_stands_though_its_request_is_gone() {
    let mut bed = ready();
    bed.tell("place", Reply::Ill(Class::User, "no", None));
    let certificate = certificate(&mut bed, json!({}));
    bed.run(60);
    let request = bed.only(Kind::CertificateRequest);
    bed.delete(&request);
    bed.run(60);
    assert_eq!(bed.all(Kind::CertificateRequest), [], "not before its time");
    assert_eq!(condition(&bed, &certificate, "Issuing")["status"], "False");
}

fn stores(bed: &Bed) -> Vec<bool> {
    let stores = bed.effects.iter().filter_map(|effect| match &effect.action {
        Do::Store(store) => Some(store.temporary.is_some()),
        _ => None,
    });
    stores.collect()
}

#[test]
fn a_temporary_certificate_is_stored_once_and_replaced_by_the_one_that_was_asked_for() {
    let mut bed = ready();
    bed.pre_authorized = false;
    bed.tell("accept", Reply::State("processing"));
    let asked = json!({ "cert-manager.io/issue-temporary-certificate": "true" });
    let certificate = certificate(&mut bed, asked);
    bed.run(600);
    assert_eq!(condition(&bed, &certificate, "Ready")["status"], "True");
    assert_eq!(stores(&bed), [true, false]);
    assert_eq!(bed.log.iter().filter(|(_, _, step)| step == "ensureKey").count(), 1, "one key");
    assert_eq!(bed.log.iter().filter(|(_, _, step)| step == "createRequest").count(), 1);
    assert_eq!(bed.said("Issuing"), 2, "served meanwhile, issued: {:?}", bed.events);
}

#[test]
fn nothing_temporary_is_stored_where_nobody_asks_or_a_pair_is_there() {
    let mut bed = ready();
    let certificate = certificate(&mut bed, json!({}));
    bed.run(600);
    assert_eq!(stores(&bed), [false]);
    bed.change(&certificate, |object| {
        let key = "cert-manager.io/issue-temporary-certificate";
        object["metadata"]["annotations"] = json!({ key: "true" });
        object["metadata"]["generation"] = json!(2);
        object["spec"]["dnsNames"] = json!(["b.shop.test"]);
    });
    bed.run(600);
    assert_eq!(stores(&bed), [false, false]);
}
