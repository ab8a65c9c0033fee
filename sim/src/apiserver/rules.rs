//! What the built-in types do beyond their schemas.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::names::Identifiers;
use super::status::{ApiError, Cause};

/// What an object not yet there counts as when field ownership is recorded: Go's zero structs.
pub(crate) fn skeleton(resource: &str) -> Value {
    match resource {
        "services" | "ingresses.networking.k8s.io" => {
            json!({"metadata": {}, "spec": {}, "status": {"loadBalancer": {}}})
        }
        "namespaces" => json!({"metadata": {}, "spec": {}, "status": {}}),
        "leases.coordination.k8s.io" => json!({"metadata": {}, "spec": {}}),
        "events" => json!({"metadata": {}, "source": {}, "firstTimestamp": null,
            "lastTimestamp": null, "eventTime": null, "reportingComponent": "",
            "reportingInstance": "", "involvedObject": {}}),
        "events.events.k8s.io" => json!({"metadata": {}, "deprecatedSource": {},
            "deprecatedFirstTimestamp": null, "deprecatedLastTimestamp": null, "eventTime": null,
            "regarding": {}}),
        _ => json!({"metadata": {}}),
    }
}

/// Sets a field that is absent, null or an empty string.
fn fallback(object: &mut Value, name: &str, value: Value) {
    let Some(map) = object.as_object_mut() else { return };
    let absent = map.get(name).is_none_or(|v| v.is_null() || v == "");
    if absent {
        map.insert(name.to_owned(), value);
    }
}

fn map_at<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    object.as_object_mut()?.entry(name).or_insert_with(|| json!({})).as_object_mut()
}

/// Defaults, as decoding sets them: before ownership is recorded.
pub(crate) fn defaults(resource: &str, object: &mut Value) -> Result<(), ApiError> {
    match resource {
        "secrets" => {
            string_data(object);
            fallback(object, "type", json!("Opaque"));
            check_base64(object, "data", "Secret")?;
            drop_hollow(object, &["data"]);
        }
        "configmaps" => {
            check_base64(object, "binaryData", "ConfigMap")?;
            drop_hollow(object, &["data", "binaryData"]);
        }
        "namespaces" => {
            let name = object["metadata"]["name"].clone();
            if let (Some(labels), true) =
                (map_at(&mut object["metadata"], "labels"), name.is_string())
            {
                labels.insert("kubernetes.io/metadata.name".into(), name);
            }
        }
        "services" => service_defaults(object),
        "events" => {
            let zero = skeleton(resource);
            for (name, value) in zero.as_object().into_iter().flatten() {
                fallback(object, name, value.clone());
            }
        }
        "events.events.k8s.io" => {
            let zero = skeleton(resource);
            for (name, value) in zero.as_object().into_iter().flatten() {
                if name != "regarding" {
                    fallback(object, name, value.clone());
                }
            }
        }
        "ingresses.networking.k8s.io" => {
            let _ = map_at(object, "spec");
        }
        _ => {}
    }
    Ok(())
}

fn drop_hollow(object: &mut Value, names: &[&str]) {
    let Some(map) = object.as_object_mut() else { return };
    map.retain(|name, v| {
        let hollow = v.is_null() || v.as_object().is_some_and(Map::is_empty);
        !(hollow && names.contains(&name.as_str()))
    });
}

fn string_data(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    let Some(Value::Object(plain)) = map.remove("stringData") else { return };
    if let Some(data) = map_at(object, "data") {
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            data.insert(key, Value::String(STANDARD.encode(text)));
        }
    }
}

fn check_base64(object: &Value, field: &str, kind: &str) -> Result<(), ApiError> {
    for value in object[field].as_object().into_iter().flat_map(Map::values) {
        let Some(text) = value.as_str() else { continue };
        if STANDARD.decode(text).is_err() {
            let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
            let at = text.find(|c| !valid(c)).unwrap_or(text.len());
            return Err(ApiError::bad_request(format!(
                "{kind} in version \"v1\" cannot be handled as a {kind}: illegal base64 data at \
                 input byte {at}"
            )));
        }
    }
    Ok(())
}

fn service_defaults(object: &mut Value) {
    let _ = map_at(object, "spec");
    let spec = &mut object["spec"];
    fallback(spec, "type", json!("ClusterIP"));
    fallback(spec, "sessionAffinity", json!("None"));
    if spec["type"] != "ExternalName" {
        fallback(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        let number = port["port"].clone();
        fallback(port, "protocol", json!("TCP"));
        fallback(port, "targetPort", number);
    }
}

/// What storage strategies set by themselves: owned by nobody.
pub(crate) fn prepare(
    resource: &str,
    object: &mut Value,
    old: Option<&Value>,
    identifiers: &mut Identifiers,
) {
    match resource {
        "namespaces" => {
            let fresh = json!({"finalizers": ["kubernetes"]});
            object["spec"] = old.map_or(fresh, |old| old["spec"].clone());
            fallback(object, "status", json!({"phase": "Active"}));
        }
        "services" => {
            allocate(object, old, identifiers);
            fallback(object, "status", json!({"loadBalancer": {}}));
        }
        "ingresses.networking.k8s.io" => {
            fallback(object, "status", json!({"loadBalancer": {}}));
        }
        _ => {}
    }
}

fn allocate(object: &mut Value, old: Option<&Value>, identifiers: &mut Identifiers) {
    let spec = &mut object["spec"];
    if spec["type"] == "ExternalName" {
        return;
    }
    if let Some(old) = old {
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            fallback(spec, name, old["spec"][name].clone());
        }
        return;
    }
    if spec["clusterIP"].as_str().unwrap_or_default().is_empty() {
        spec["clusterIP"] = json!(identifiers.address());
    }
    let free = spec["clusterIP"] == "None" && spec["selector"].is_null();
    let (families, policy) = if free {
        (json!(["IPv4", "IPv6"]), "RequireDualStack")
    } else {
        (json!(["IPv4"]), "SingleStack")
    };
    let address = spec["clusterIP"].clone();
    fallback(spec, "clusterIPs", json!([address]));
    fallback(spec, "ipFamilies", families);
    fallback(spec, "ipFamilyPolicy", json!(policy));
}

const BAD_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or \
    '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
    '[-._a-zA-Z0-9]+')";

/// What the built-in types refuse.
pub(crate) fn validate(resource: &str, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut out = Vec::new();
    match resource {
        "secrets" => secret_faults(object, old, &mut out),
        "configmaps" => {
            data_faults(object, &["data", "binaryData"], &mut out);
            frozen(object, old, &["data", "binaryData"], &mut out);
        }
        "services" => service_faults(object, &mut out),
        "ingresses.networking.k8s.io" => ingress_faults(object, &mut out),
        "endpointslices.discovery.k8s.io"
            if object["addressType"].as_str().unwrap_or_default().is_empty() =>
        {
            out.push(Cause::required("addressType", ""));
        }
        _ => {}
    }
    out
}

fn secret_faults(object: &Value, old: Option<&Value>, out: &mut Vec<Cause>) {
    data_faults(object, &["data"], out);
    if object["type"] == "kubernetes.io/tls" {
        for key in ["tls.crt", "tls.key"] {
            if object["data"].get(key).is_none() {
                out.push(Cause::required(&format!("data[{key}]"), ""));
            }
        }
    }
    if old.is_some_and(|old| old["type"] != object["type"]) {
        out.push(Cause::invalid("type", &object["type"], "field is immutable"));
    }
    frozen(object, old, &["data"], out);
}

fn frozen(object: &Value, old: Option<&Value>, fields: &[&str], out: &mut Vec<Cause>) {
    let Some(old) = old.filter(|old| old["immutable"] == true) else { return };
    let why = "field is immutable when `immutable` is set";
    if object["immutable"] != true {
        out.push(Cause::forbidden("immutable", why));
    }
    for field in fields.iter().filter(|f| object[**f] != old[**f]) {
        out.push(Cause::forbidden(field, why));
    }
}

fn data_faults(object: &Value, fields: &[&str], out: &mut Vec<Cause>) {
    const MOST: usize = 1 << 20;
    let mut size = 0;
    for field in fields {
        for (key, value) in object[*field].as_object().into_iter().flatten() {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if key.is_empty() || !key.chars().all(plain) {
                let at = format!("{field}[{key}]");
                out.push(Cause::invalid(&at, &Value::from(key.as_str()), BAD_KEY));
            }
            size += value.as_str().map_or(0, str::len);
        }
    }
    // Encoded, so by a third more than what upstream counts.
    if size > MOST / 3 * 4 {
        let text = format!("Too long: may not be more than {MOST} bytes");
        out.push(Cause::new("FieldValueTooLong", fields[0], text));
    }
}

fn service_faults(object: &Value, out: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && !headless && spec["type"] != "ExternalName" {
        out.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        if ports.len() > 1 && port["name"].as_str().unwrap_or_default().is_empty() {
            out.push(Cause::required(&format!("spec.ports[{index}].name"), ""));
        }
    }
}

fn ingress_faults(object: &Value, out: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let rules = spec["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rules.is_empty() && spec["defaultBackend"].is_null() {
        let why = "either `defaultBackend` or `rules` must be specified";
        out.push(Cause::invalid("spec", &json!([]), why));
    }
    for (r, rule) in rules.iter().enumerate() {
        let paths = rule["http"]["paths"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (p, path) in paths.iter().enumerate() {
            if path["pathType"].is_null() {
                let field = format!("spec.rules[{r}].http.paths[{p}].pathType");
                out.push(Cause::required(&field, "pathType must be specified"));
            }
        }
    }
}

/// The names the two Event APIs give to the same fields: core, events.k8s.io.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// An events.k8s.io Event as the core API shows it.
pub(crate) fn event_to_core(event: &Value) -> Value {
    let mut out = renamed(event, |name| {
        EVENT_FIELDS.iter().find(|(_, new)| *new == name).map(|(core, _)| *core)
    });
    out["apiVersion"] = json!("v1");
    let zero = skeleton("events");
    for (name, value) in zero.as_object().into_iter().flatten() {
        fallback(&mut out, name, value.clone());
    }
    out
}

/// A core Event as events.k8s.io shows it.
pub(crate) fn event_from_core(event: &Value) -> Value {
    let mut out = renamed(event, |name| {
        EVENT_FIELDS.iter().find(|(core, _)| *core == name).map(|(_, new)| *new)
    });
    out["apiVersion"] = json!("events.k8s.io/v1");
    if let Some(map) = out.as_object_mut() {
        let hollow = |v: &Value| v == "" || *v == json!({});
        map.retain(|name, v| name == "deprecatedSource" || !hollow(v));
    }
    out
}

fn renamed<'a>(object: &Value, new_name: impl Fn(&str) -> Option<&'a str>) -> Value {
    let all = object.as_object().into_iter().flatten();
    let pairs = all.map(|(k, v)| (new_name(k).unwrap_or(k).to_owned(), v.clone()));
    Value::Object(pairs.collect())
}
