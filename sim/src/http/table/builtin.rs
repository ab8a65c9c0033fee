//! The columns of built-in kinds, as a real API server has them.

use serde_json::{Value, json};

use super::NAME;
use super::human::since;
use crate::apiserver::event_to_core;

/// Name, format, priority and description.
pub(super) type Header = (&'static str, &'static str, u8, &'static str);

const NAMED: Header = ("Name", "name", 0, NAME);
const AGE: Header = ("Age", "", 0, "The time since the object was created.");
const NAMESPACE: [Header; 3] = [NAMED, ("Status", "", 0, "The status of the namespace"), AGE];
const SECRET: [Header; 4] = [
    NAMED,
    ("Type", "", 0, "What the secret is used for."),
    ("Data", "", 0, "The number of entries."),
    AGE,
];
const CONFIG_MAP: [Header; 3] = [NAMED, ("Data", "", 0, "The number of entries."), AGE];
const SERVICE: [Header; 7] = [
    NAMED,
    ("Type", "", 0, "How the Service is exposed."),
    ("Cluster-IP", "", 0, "Its address inside the cluster."),
    ("External-IP", "", 0, "Its addresses outside the cluster."),
    ("Port(s)", "", 0, "Its ports."),
    AGE,
    ("Selector", "", 1, "The labels of the pods behind it."),
];
const ENDPOINT_SLICE: [Header; 5] = [
    NAMED,
    ("AddressType", "", 0, "The type of its addresses."),
    ("Ports", "", 0, "The ports of each endpoint."),
    ("Endpoints", "", 0, "The addresses."),
    AGE,
];
const INGRESS: [Header; 6] = [
    NAMED,
    ("Class", "", 0, "The IngressClass that serves it."),
    ("Hosts", "", 0, "The hosts of its rules."),
    ("Address", "", 0, "Where it is served."),
    ("Ports", "", 0, "The ports at which it is served."),
    AGE,
];
const EVENT: [Header; 10] = [
    ("Last Seen", "", 0, "When it happened last."),
    ("Type", "", 0, "Normal or Warning."),
    ("Reason", "", 0, "One word."),
    ("Object", "", 0, "What it is about."),
    ("Subobject", "", 1, "The part of it."),
    ("Source", "", 1, "Who reports it."),
    ("Message", "", 0, "What happened."),
    ("First Seen", "", 1, "When it happened first."),
    ("Count", "", 1, "How often it happened."),
    ("Name", "name", 1, NAME),
];
const LEASE: [Header; 3] = [NAMED, ("Holder", "", 0, "Who holds it."), AGE];
const CRD: [Header; 2] = [NAMED, ("Created At", "", 0, "When it was created.")];

/// The columns of a built-in resource; none for custom ones.
pub(super) fn columns(resource: &str) -> Option<&'static [Header]> {
    Some(match resource {
        "namespaces" => &NAMESPACE,
        "secrets" => &SECRET,
        "configmaps" => &CONFIG_MAP,
        "services" => &SERVICE,
        "endpointslices.discovery.k8s.io" => &ENDPOINT_SLICE,
        "ingresses.networking.k8s.io" => &INGRESS,
        "events" | "events.events.k8s.io" => &EVENT,
        "leases.coordination.k8s.io" => &LEASE,
        "customresourcedefinitions.apiextensions.k8s.io" => &CRD,
        _ => return None,
    })
}

/// One object's cells; none for custom resources.
pub(super) fn cells(resource: &str, object: &Value, now: i64) -> Option<Vec<Value>> {
    if matches!(resource, "events" | "events.events.k8s.io") {
        return Some(event(resource, object, now));
    }
    let middle = match resource {
        "namespaces" => vec![object["status"]["phase"].clone()],
        "secrets" => vec![object["type"].clone(), json!(entries(object, &["data"]))],
        "configmaps" => vec![json!(entries(object, &["data", "binaryData"]))],
        "services" => service(&object["spec"], &object["status"]),
        "endpointslices.discovery.k8s.io" => endpoint_slice(object),
        "ingresses.networking.k8s.io" => ingress(&object["spec"], &object["status"]),
        "leases.coordination.k8s.io" => vec![json!(text(&object["spec"]["holderIdentity"]))],
        "customresourcedefinitions.apiextensions.k8s.io" => {
            let meta = &object["metadata"];
            return Some(vec![meta["name"].clone(), meta["creationTimestamp"].clone()]);
        }
        _ => return None,
    };
    let meta = &object["metadata"];
    let age = json!(since(text(&meta["creationTimestamp"]), now));
    let mut out = vec![meta["name"].clone()];
    out.extend(middle);
    out.push(age);
    if resource == "services" {
        out.push(json!(selector(&object["spec"]["selector"])));
    }
    Some(out)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn all(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn entries(object: &Value, fields: &[&str]) -> usize {
    fields.iter().filter_map(|field| object[*field].as_object()).map(serde_json::Map::len).sum()
}

fn or(text: String, none: &str) -> String {
    if text.is_empty() { none.to_owned() } else { text }
}

/// The first three, and how many more.
fn three(items: &[String]) -> String {
    let shown = items.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(",");
    match items.len() {
        count if count > 3 => format!("{shown} + {} more...", count - 3),
        _ => shown,
    }
}

fn service(spec: &Value, status: &Value) -> Vec<Value> {
    let kind = text(&spec["type"]);
    let address = match spec["clusterIPs"][0].as_str() {
        Some(address) if !address.is_empty() => address,
        _ => "<none>",
    };
    vec![
        json!(kind),
        json!(address),
        json!(external(kind, spec, status)),
        json!(or(ports(&spec["ports"]), "<none>")),
    ]
}

fn external(kind: &str, spec: &Value, status: &Value) -> String {
    let mut addresses = match kind {
        "ExternalName" => return text(&spec["externalName"]).to_owned(),
        "LoadBalancer" => balancers(status),
        _ => Vec::new(),
    };
    addresses.extend(all(&spec["externalIPs"]).iter().map(|ip| text(ip).to_owned()));
    let none = if kind == "LoadBalancer" { "<pending>" } else { "<none>" };
    or(addresses.join(","), none)
}

fn balancers(status: &Value) -> Vec<String> {
    let points = all(&status["loadBalancer"]["ingress"]).iter();
    let named = points.map(|point| match text(&point["ip"]) {
        "" => text(&point["hostname"]),
        ip => ip,
    });
    named.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn ports(ports: &Value) -> String {
    let told = all(ports).iter().map(|port| {
        let node = port["nodePort"].as_i64().filter(|node| *node > 0);
        let node = node.map(|node| format!(":{node}")).unwrap_or_default();
        format!("{}{node}/{}", port["port"], text(&port["protocol"]))
    });
    told.collect::<Vec<_>>().join(",")
}

fn selector(selector: &Value) -> String {
    let pairs = selector.as_object().into_iter().flatten();
    let told: Vec<String> = pairs.map(|(key, value)| format!("{key}={}", text(value))).collect();
    or(told.join(","), "<none>")
}

fn endpoint_slice(object: &Value) -> Vec<Value> {
    let ports = all(&object["ports"]).iter().map(|port| match &port["port"] {
        Value::Null => "*".to_owned(),
        number => number.to_string(),
    });
    let addresses = all(&object["endpoints"]).iter().flat_map(|one| all(&one["addresses"]));
    let addresses: Vec<String> = addresses.map(|address| text(address).to_owned()).collect();
    vec![
        object["addressType"].clone(),
        json!(or(three(&ports.collect::<Vec<_>>()), "<unset>")),
        json!(or(three(&addresses), "<unset>")),
    ]
}

/// So many letters of an Ingress' addresses are shown.
const ADDRESS_WIDTH: usize = 16;

fn ingress(spec: &Value, status: &Value) -> Vec<Value> {
    let hosts = all(&spec["rules"]).iter().map(|rule| text(&rule["host"]).to_owned());
    let hosts: Vec<String> = hosts.filter(|host| !host.is_empty()).collect();
    let mut address = balancers(status).join(",");
    if address.chars().count() > ADDRESS_WIDTH {
        address = address.chars().take(ADDRESS_WIDTH - 3).chain("...".chars()).collect();
    }
    vec![
        json!(or(text(&spec["ingressClassName"]).to_owned(), "<none>")),
        json!(or(three(&hosts), "*")),
        json!(address),
        json!(if all(&spec["tls"]).is_empty() { "80" } else { "80, 443" }),
    ]
}

fn event(resource: &str, object: &Value, now: i64) -> Vec<Value> {
    let converted;
    let event = match resource {
        "events" => object,
        _ => {
            converted = event_to_core(object);
            &converted
        }
    };
    let time = |value: &Value| since(text(value), now);
    let given = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let first = if given(&event["firstTimestamp"]) { "firstTimestamp" } else { "eventTime" };
    let first = time(&event[first]);
    let mut last = match given(&event["lastTimestamp"]) {
        true => time(&event["lastTimestamp"]),
        false => first.clone(),
    };
    let mut count = event["count"].as_i64().filter(|count| *count != 0).unwrap_or(1);
    if event["series"].is_object() {
        last = time(&event["series"]["lastObservedTime"]);
        count = event["series"]["count"].as_i64().unwrap_or_default();
    }
    let about = &event["involvedObject"];
    let object = match (text(&about["kind"]).to_lowercase(), text(&about["name"])) {
        (kind, "") => kind,
        (kind, name) => format!("{kind}/{name}"),
    };
    vec![
        json!(last),
        json!(text(&event["type"])),
        json!(text(&event["reason"])),
        json!(object),
        json!(text(&about["fieldPath"])),
        json!(source(event)),
        json!(text(&event["message"]).trim()),
        json!(first),
        json!(count),
        event["metadata"]["name"].clone(),
    ]
}

fn source(event: &Value) -> String {
    let either = |old: &Value, new: &Value| match text(old) {
        "" => text(new).to_owned(),
        given => given.to_owned(),
    };
    let component = either(&event["source"]["component"], &event["reportingComponent"]);
    match either(&event["source"]["host"], &event["reportingInstance"]).as_str() {
        "" => component,
        place => format!("{component}, {place}"),
    }
}
