//! The types and the CRDs' schemas say the same, field by field and in both directions.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use everleaf_api::{
    Certificate, CertificateRequest, Challenge, ClusterIssuer, Issuer, Object, Order, crds,
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use support::Spy;

fn crd<O: Object>() -> Value {
    let name = format!("{}_{}", O::GROUP, O::PLURAL);
    let (_, text) = crds().into_iter().find(|(own, _)| *own == name).unwrap();
    serde_yaml::from_str(text).unwrap()
}

fn schema<O: Object>() -> Value {
    crd::<O>()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// An instance with every property of a schema; of an enum, its value number `round`.
fn instance(name: &str, schema: &Value, round: usize) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values[round % values.len()].clone();
    }
    match schema["type"].as_str() {
        Some("object") => object(schema, round),
        Some("array") => json!([instance(name, &schema["items"], round)]),
        Some("boolean") => json!(true),
        Some("integer") => json!(7 + round),
        Some("string") => text(name, schema, round),
        _ if schema["x-kubernetes-int-or-string"] == true => {
            if round.is_multiple_of(2) {
                json!("64Mi")
            } else {
                json!(3)
            }
        }
        _ => json!({"any": [1, true, null]}),
    }
}

fn object(schema: &Value, round: usize) -> Value {
    if schema["additionalProperties"].is_object() {
        return json!({"a/b": instance("", &schema["additionalProperties"], round)});
    }
    let properties = schema["properties"].as_object().unwrap();
    properties.iter().map(|(name, inner)| (name.clone(), instance(name, inner, round))).collect()
}

fn text(name: &str, schema: &Value, round: usize) -> Value {
    match (schema["format"].as_str(), name) {
        (Some("date-time"), _) => json!(format!("2026-11-22T16:23:{round:02}Z")),
        (Some("byte"), _) => json!("LS0tLS0="),
        (None, "duration" | "renewBefore" | "windowDuration" | "waitInsteadOfSelfCheck") => {
            json!("90m")
        }
        (None, _) => json!(format!("text-{round}")),
        (Some(other), _) => panic!("a format nobody reads: {other}"),
    }
}

fn full<O: Object>(round: usize) -> Value {
    let schema = schema::<O>();
    let part = |name| instance(name, &schema["properties"][name], round);
    let mut metadata = json!({"name": "full", "uid": "u", "resourceVersion": "1"});
    if O::NAMESPACED {
        metadata["namespace"] = json!("shop");
    }
    json!({
        "apiVersion": O::api_version(), "kind": O::KIND, "metadata": metadata,
        "spec": part("spec"), "status": part("status"),
    })
}

fn nothing_is_lost<O: Object>() {
    // 23 usages are the longest enum.
    for round in 0..23 {
        let full = full::<O>(round);
        let read: O = serde_json::from_value(full.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), full);
    }
}

#[test]
fn every_field_and_every_enum_value_of_the_schemas_is_in_the_types() {
    nothing_is_lost::<Certificate>();
    nothing_is_lost::<CertificateRequest>();
    nothing_is_lost::<Issuer>();
    nothing_is_lost::<ClusterIssuer>();
    nothing_is_lost::<Order>();
    nothing_is_lost::<Challenge>();
}

/// Serde tells a deserializer the fields a struct wants; they must be those of the full instance.
fn nothing_is_added<O: Object>() -> usize {
    let full = full::<O>(0);
    let spy = Spy::new(&full);
    O::deserialize(spy.at_root()).unwrap();
    let seen = spy.finish();
    assert_eq!(seen.faults, BTreeSet::new(), "{}", O::KIND);
    seen.structs
}

#[test]
fn every_field_of_the_types_is_in_the_schemas() {
    assert!(nothing_is_added::<Certificate>() > 20);
    // Its conditions have no observedGeneration, the one field that the shared type has on top.
    let requests = full::<CertificateRequest>(0);
    let spy = Spy::new(&requests);
    CertificateRequest::deserialize(spy.at_root()).unwrap();
    let faults: Vec<String> = spy.finish().faults.into_iter().collect();
    assert_eq!(faults, [".status.conditions[0]: only in the type: observedGeneration"]);
    assert!(nothing_is_added::<Issuer>() > 80);
    assert!(nothing_is_added::<ClusterIssuer>() > 80);
    assert!(nothing_is_added::<Order>() > 5);
    assert!(nothing_is_added::<Challenge>() > 60);
}

/// Properties at and below a schema, and how many of them have none below.
fn count(schema: &Value) -> (usize, usize) {
    let below: Vec<&Value> = match schema["properties"].as_object() {
        Some(properties) => properties.values().collect(),
        None => ["items", "additionalProperties"]
            .iter()
            .filter_map(|name| schema.get(*name).filter(|inner| inner.is_object()))
            .collect(),
    };
    let own = usize::from(schema["properties"].is_object());
    let counts: Vec<(usize, usize)> = below.iter().map(|inner| count(inner)).collect();
    let nodes: usize = counts.iter().map(|(nodes, _)| nodes + own).sum();
    let leaves: usize = counts.iter().map(|(_, leaves)| leaves).sum();
    (nodes, if nodes == 0 { 1 } else { leaves })
}

fn counts<O: Object>() -> [usize; 3] {
    let schema = schema::<O>();
    let leaves = |part: &str| count(&schema["properties"][part]).1;
    [count(&schema).0 + 1, leaves("spec"), leaves("status")]
}

#[test]
fn the_schemas_have_as_many_nodes_and_leaves_as_cert_managers_and_what_is_ours() {
    // fallbackIssuerRefs is ours: the list, and three leaves in each entry.
    assert_eq!(counts::<Certificate>(), [103 + 4, 58 + 3, 19]);
    assert_eq!(counts::<CertificateRequest>(), [27, 11, 8]);
    assert_eq!(counts::<Order>(), [32, 10, 13]);
    // tlsALPN01 is ours: one more leaf in each.
    assert_eq!(counts::<Challenge>(), [396 + 1, 262 + 1, 5]);
    assert_eq!(counts::<Issuer>(), [485 + 1, 318 + 1, 9]);
    assert_eq!(counts::<ClusterIssuer>(), [485 + 1, 318 + 1, 9]);
}

fn names_agree<O: Object>(columns: &[&str], wide: &[&str]) {
    let crd = crd::<O>();
    let (spec, version) = (&crd["spec"], &crd["spec"]["versions"][0]);
    let names = &spec["names"];
    assert_eq!(crd["metadata"]["name"], format!("{}.{}", O::PLURAL, O::GROUP));
    assert_eq!(crd["metadata"]["labels"]["app.kubernetes.io/name"], "everleaf");
    assert_eq!(spec["group"], O::GROUP);
    assert_eq!(spec["scope"], if O::NAMESPACED { "Namespaced" } else { "Cluster" });
    assert_eq!(
        [&names["kind"], &names["plural"], &names["singular"]],
        [O::KIND, O::PLURAL, O::SINGULAR]
    );
    assert_eq!(names.get("shortNames").unwrap_or(&json!([])), &json!(O::SHORT_NAMES));
    assert_eq!(names["categories"], json!(O::CATEGORIES));
    assert_eq!(version["name"], O::VERSION);
    assert_eq!(version["subresources"], json!({"status": {}}));
    let listed = version["additionalPrinterColumns"].as_array().unwrap();
    let of = |priority: Option<u64>| -> Vec<&str> {
        let own = listed.iter().filter(|column| column["priority"].as_u64() == priority);
        own.map(|column| column["name"].as_str().unwrap()).collect()
    };
    assert_eq!((of(None), of(Some(1))), (columns.to_vec(), wide.to_vec()));
}

#[test]
fn names_scopes_and_columns_are_those_of_the_types() {
    names_agree::<Certificate>(&["Ready", "Secret", "Age"], &["Issuer", "Status", "Expiration"]);
    let columns = ["Approved", "Denied", "Ready", "Issuer", "Requester", "Age"];
    names_agree::<CertificateRequest>(&columns, &["Status"]);
    names_agree::<Issuer>(&["Ready", "Age"], &["Status"]);
    names_agree::<ClusterIssuer>(&["Ready", "Age"], &["Status"]);
    names_agree::<Order>(&["State", "Age"], &["Issuer", "Reason"]);
    names_agree::<Challenge>(&["State", "Domain", "Age"], &["Reason"]);
}

#[test]
fn both_issuers_have_one_schema() {
    let spec_and_status = |schema: Value| {
        [schema["properties"]["spec"].clone(), schema["properties"]["status"].clone()]
    };
    assert_eq!(spec_and_status(schema::<Issuer>()), spec_and_status(schema::<ClusterIssuer>()));
}

/// Every array below a schema, with the name of its property.
fn arrays<'a>(name: &str, schema: &'a Value, out: &mut Vec<(String, &'a Value)>) {
    if schema["type"] == "array" {
        out.push((name.to_owned(), schema));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        arrays(name, inner, out);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(inner).filter(|inner| inner.is_object()) {
            arrays("", inner, out);
        }
    }
}

#[test]
fn only_conditions_and_pull_secrets_can_be_shared_by_several_appliers() {
    for (name, text) in crds() {
        let crd: Value = serde_yaml::from_str(text).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut found = vec![];
        arrays("", schema, &mut found);
        for (property, array) in found {
            let keys = &array["x-kubernetes-list-map-keys"];
            match property.as_str() {
                "conditions" => assert_eq!(keys, &json!(["type"]), "{name}"),
                "imagePullSecrets" => assert_eq!(keys, &json!(["name"]), "{name}"),
                // The lists inside `extra` have no type, which means atomic.
                "" => assert!(array.get("x-kubernetes-list-type").is_none(), "{name}"),
                _ => assert_eq!(array["x-kubernetes-list-type"], "atomic", "{name} {property}"),
            }
        }
    }
}

#[test]
fn issuers_can_be_selected_and_venafi_has_one_backend() {
    for (name, text) in crds() {
        let crd: Value = serde_yaml::from_str(text).unwrap();
        let version = &crd["spec"]["versions"][0];
        let selectable = version["selectableFields"].as_array().map_or(0, Vec::len);
        assert_eq!(selectable, if name.contains("issuers") { 0 } else { 3 }, "{name}");
        let rules = text.matches("x-kubernetes-validations").count();
        assert_eq!(rules, usize::from(name.contains("issuers")), "{name}");
    }
}

#[test]
fn an_empty_object_is_read_so_that_the_rules_can_name_what_is_missing() {
    let read: Certificate = serde_json::from_value(json!({"spec": {}})).unwrap();
    assert_eq!(everleaf_api::validate::certificate(&read.spec).len(), 3);
    let read: Issuer = serde_json::from_value(json!({"spec": {"acme": {}}})).unwrap();
    assert_eq!(everleaf_api::validate::issuer(&read.spec).len(), 2);
}
