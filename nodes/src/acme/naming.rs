//! Names of Orders and Challenges, as cert-manager makes them: up to 52 bytes of the parent's
//! name, and the FNV-1 hash of the spec in the JSON that Go writes.
//!
//! A name that differs does no harm, for children are found by their owner; the same name lets an
//! issuance that cert-manager began go on, and scripts find what they look for.

use everleaf_api::names::shorten;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The fields of Go's structs in their order; what is not listed follows, sorted.
const ORDERS: [(&str, &[&str]); 22] = [
    ("solver", &["selector", "http01", "dns01", "waitInsteadOfSelfCheck"]),
    ("selector", &["matchLabels", "dnsNames", "dnsZones"]),
    ("http01", &["ingress", "gatewayHTTPRoute"]),
    (
        "ingress",
        &["serviceType", "ingressClassName", "class", "name", "podTemplate", "ingressTemplate"],
    ),
    ("gatewayHTTPRoute", &["serviceType", "labels", "parentRefs", "podTemplate"]),
    ("parentRefs", &["group", "kind", "namespace", "name", "sectionName", "port"]),
    ("podTemplate", &["metadata", "spec"]),
    (
        "dns01",
        &[
            "cnameStrategy",
            "akamai",
            "cloudDNS",
            "cloudflare",
            "route53",
            "azureDNS",
            "digitalocean",
            "acmeDNS",
            "rfc2136",
            "webhook",
        ],
    ),
    (
        "akamai",
        &[
            "serviceConsumerDomain",
            "clientTokenSecretRef",
            "clientSecretSecretRef",
            "accessTokenSecretRef",
        ],
    ),
    ("cloudDNS", &["serviceAccountSecretRef", "project", "hostedZoneName"]),
    ("cloudflare", &["email", "apiKeySecretRef", "apiTokenSecretRef"]),
    (
        "route53",
        &[
            "auth",
            "accessKeyID",
            "accessKeyIDSecretRef",
            "secretAccessKeySecretRef",
            "role",
            "hostedZoneID",
            "region",
        ],
    ),
    (
        "azureDNS",
        &[
            "clientID",
            "clientSecretSecretRef",
            "subscriptionID",
            "tenantID",
            "resourceGroupName",
            "hostedZoneName",
            "environment",
            "managedIdentity",
        ],
    ),
    ("managedIdentity", &["clientID", "resourceID", "tenantID"]),
    ("acmeDNS", &["host", "accountSecretRef"]),
    ("rfc2136", &["nameserver", "tsigSecretSecretRef", "tsigKeyName", "tsigAlgorithm", "protocol"]),
    ("webhook", &["groupName", "solverName", "config"]),
    ("serviceAccountRef", &["name", "audiences"]),
    ("ref", &["name", "key"]),
    ("issuerRef", &["name", "kind", "group"]),
    (
        "order",
        &[
            "request",
            "issuerRef",
            "commonName",
            "dnsNames",
            "ipAddresses",
            "duration",
            "profile",
            "replaces",
        ],
    ),
    (
        "challenge",
        &[
            "url",
            "authorizationURL",
            "dnsName",
            "wildcard",
            "type",
            "token",
            "key",
            "solver",
            "issuerRef",
        ],
    ),
];

/// Fields that Go writes even if they are empty.
const ALWAYS: [(&str, &str); 4] = [
    ("rfc2136", "tsigSecretSecretRef"),
    ("route53", "secretAccessKeySecretRef"),
    ("podTemplate", "metadata"),
    ("podTemplate", "spec"),
];

fn order_of(kind: &str) -> &'static [&'static str] {
    let kind = if kind.ends_with("SecretRef") { "ref" } else { kind };
    ORDERS.iter().find(|(name, _)| *name == kind).map_or(&[], |(_, order)| order)
}

/// Writes a text as Go does: characters that HTML would take for its own are escaped.
fn write_text(out: &mut String, text: &str) {
    for char in Value::from(text).to_string().chars() {
        match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            other => out.push(other),
        }
    }
}

fn write_field(out: &mut String, first: &mut bool, key: &str, value: &Value) {
    if !std::mem::replace(first, false) {
        out.push(',');
    }
    write_text(out, key);
    out.push(':');
    write_value(out, key, value);
}

fn write_map(out: &mut String, kind: &str, map: &Map<String, Value>) {
    let order = order_of(kind);
    let empty = if kind == "podTemplate" { json!({}) } else { json!({ "name": "" }) };
    out.push('{');
    let mut first = true;
    for key in order {
        if let Some(value) = map.get(*key) {
            write_field(out, &mut first, key, value);
        } else if ALWAYS.contains(&(kind, key)) {
            write_field(out, &mut first, key, &empty);
        }
    }
    for (key, value) in map.iter().filter(|(key, _)| !order.contains(&key.as_str())) {
        write_field(out, &mut first, key, value);
    }
    out.push('}');
}

fn write_value(out: &mut String, kind: &str, value: &Value) {
    match value {
        Value::Object(map) => write_map(out, kind, map),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, kind, item);
            }
            out.push(']');
        }
        Value::String(text) => write_text(out, text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

/// FNV-1 of 32 bits.
fn fnv1(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(*byte))
}

fn named(stem: &str, kind: &str, spec: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, kind, spec);
    format!("{}-{}", shorten(stem, 52), fnv1(text.as_bytes()))
}

/// The name of the Order of a CertificateRequest; `spec` is the Order's, without `request`.
pub fn order(request: &str, spec: &Value) -> String {
    let mut spec = spec.clone();
    spec["request"] = Value::Null;
    if request.len() < 52 {
        return named(request, "order", &spec);
    }
    let mut text = String::from("{\"certificateRequestName\":");
    write_text(&mut text, request);
    text.push_str(",\"spec\":");
    write_value(&mut text, "order", &spec);
    text.push('}');
    format!("{}-{}", shorten(request, 52), fnv1(text.as_bytes()))
}

/// The name of a Challenge of an Order; `spec` is the Challenge's, whatever its `key`.
pub fn challenge(order: &str, spec: &Value) -> String {
    let mut spec = spec.clone();
    spec["key"] = json!("");
    if spec.get("wildcard").is_none() {
        spec["wildcard"] = json!(false);
    }
    named(order, "challenge", &spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_named_as_cert_manager_named_them_in_a_recording() {
        let one = json!({"dnsNames": ["http.example.test"], "issuerRef": {"name": "acme"}});
        assert_eq!(order("http-1", &one), "http-1-1370456609");
        let names = ["shop.example.test", "*.shop.example.test"];
        let two = json!({"dnsNames": names, "issuerRef": {"name": "acme"}, "request": "x"});
        assert_eq!(order("wildcard-1", &two), "wildcard-1-115436787");
    }

    #[test]
    fn challenges_are_named_as_cert_manager_named_them_in_a_recording() {
        let spec = json!({
            "authorizationURL":
                "https://10.244.0.14/authZ/BL3CqBtPE4IN9x3OZ0GrZYDN6tEmqZpv4zphVekd9c4",
            "dnsName": "shop.example.test",
            "issuerRef": {"name": "acme"},
            "key": "nbDP3dyIgoiFBnC0NZ_aO5cPpxNIFtNiSlcroSDzgPI",
            "solver": {
                "dns01": {"rfc2136": {
                    "nameserver": "10.244.0.53:53", "tsigAlgorithm": "HMACSHA256",
                    "tsigKeyName": "testbed.",
                    "tsigSecretSecretRef": {"key": "key", "name": "tsig"},
                }},
                "selector": {"dnsZones": ["example.test"], "matchLabels": {"solve": "dns"}},
            },
            "token": "8WzgxeccCheIBr8M02FwuiCjWlLpJYD8As0D4bYH6a0",
            "type": "DNS-01",
            "url": "https://10.244.0.14/chalZ/dyqFLhWdqZS2tGn4tBXJX_EUIO4YYWkxpmBNyMl9jg8",
            "wildcard": true,
        });
        assert_eq!(challenge("wildcard-1-115436787", &spec), "wildcard-1-115436787-2646631830");
    }

    #[test]
    fn a_long_request_name_is_cut_and_hashed_whole() {
        let spec = json!({"dnsNames": ["a.test"], "issuerRef": {"name": "acme"}});
        let (a, b) = ("x".repeat(60), format!("{}y", "x".repeat(59)));
        assert!(order(&a, &spec).len() <= 63);
        assert_ne!(order(&a, &spec), order(&b, &spec));
    }

    #[test]
    fn texts_are_escaped_as_go_escapes_them() {
        let mut out = String::new();
        write_text(&mut out, "a<b>&\"");
        assert_eq!(out, "\"a\\u003cb\\u003e\\u0026\\\"\"");
    }
}
