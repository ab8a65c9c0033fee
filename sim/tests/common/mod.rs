//! What the API server tests share.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use everleaf_sim::apiserver::{ApiServer, Config};
use serde_json::{Value, json};

/// A CustomResourceDefinition with a field of every sort the model treats differently.
pub const WIDGETS: &str = include_str!("widgets.yaml");
/// Its key.
pub const WIDGET: &str = "widgets.simcheck.example.com";
/// 2026-01-01T00:00:00Z, in milliseconds since 1970.
pub const NEW_YEAR: i64 = 1_767_225_600_000;

pub fn config() -> Config {
    Config {
        crds: vec![WIDGETS.to_owned()],
        now: NEW_YEAR,
        namespaces: vec!["default".into(), "simcheck".into()],
        ..Config::default()
    }
}

pub fn server() -> ApiServer {
    ApiServer::new(config()).unwrap()
}

pub fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "simcheck.example.com/v1", "kind": "Widget",
        "metadata": {"name": name}, "spec": spec})
}

pub fn secret(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
}

/// A named object with this metadata merged in.
pub fn with_meta(mut object: Value, meta: Value) -> Value {
    for (name, value) in meta.as_object().unwrap() {
        object["metadata"][name] = value.clone();
    }
    object
}
