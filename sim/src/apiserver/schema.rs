//! Structural schemas, as far as this model reads them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

/// The JSON type a schema asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// No type given: anything goes.
    #[default]
    Any,
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// true or false.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// Replaced and owned as a whole (the default).
    #[default]
    Atomic,
    /// Scalars, each owned by its value.
    Set,
    /// Objects, each owned by the values of these keys.
    Map(Vec<String>),
}

/// One node of a structural schema. Not read: `pattern`, `oneOf`, `anyOf`, `not`, CEL rules.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The type.
    pub kind: Type,
    /// `properties`.
    pub properties: BTreeMap<String, Schema>,
    /// `additionalProperties`, if a schema.
    pub additional: Option<Box<Schema>>,
    /// `items`.
    pub items: Option<Box<Schema>>,
    /// `required`.
    pub required: Vec<String>,
    /// `nullable`.
    pub nullable: bool,
    /// `x-kubernetes-preserve-unknown-fields`, or `additionalProperties: true`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-map-type: atomic`.
    pub atomic_map: bool,
    /// `x-kubernetes-list-type` with its keys.
    pub list: ListType,
    /// `default`.
    pub default: Option<Value>,
    /// `enum`; empty means any.
    pub enumeration: Vec<Value>,
    /// `format`; only `date-time` is checked.
    pub format: String,
    /// `minimum`.
    pub minimum: Option<f64>,
    /// `maximum`.
    pub maximum: Option<f64>,
    /// `minLength`, in characters.
    pub min_length: Option<u64>,
    /// `maxLength`, in characters.
    pub max_length: Option<u64>,
    /// `minItems`.
    pub min_items: Option<u64>,
    /// `maxItems`.
    pub max_items: Option<u64>,
}

/// Deeper schemas are cut off: what lies below is kept and not checked.
const MAX_DEPTH: usize = 64;

impl Schema {
    /// Reads a `JSONSchemaProps` object.
    pub fn from_value(value: &Value) -> Schema {
        read(value, 0)
    }

    /// The schema of a field or map entry, and whether it is a declared property.
    /// `Err` means the field is not declared at all.
    pub(crate) fn field(&self, name: &str) -> Result<(Option<&Schema>, bool), ()> {
        if let Some(found) = self.properties.get(name) {
            return Ok((Some(found), true));
        }
        match (&self.additional, self.preserve_unknown || self.kind == Type::Any) {
            (Some(found), _) => Ok((Some(found), false)),
            (None, true) => Ok((None, false)),
            (None, false) => Err(()),
        }
    }
}

fn read(value: &Value, depth: usize) -> Schema {
    if depth > MAX_DEPTH {
        return Schema { preserve_unknown: true, ..Schema::default() };
    }
    let sub = |name: &str| value.get(name).filter(|v| v.is_object());
    Schema {
        kind: read_type(value),
        properties: sub("properties")
            .and_then(Value::as_object)
            .map(|all| all.iter().map(|(k, v)| (k.clone(), read(v, depth + 1))).collect())
            .unwrap_or_default(),
        additional: sub("additionalProperties").map(|v| Box::new(read(v, depth + 1))),
        items: sub("items").map(|v| Box::new(read(v, depth + 1))),
        required: strings(value, "required"),
        nullable: flag(value, "nullable"),
        preserve_unknown: flag(value, "x-kubernetes-preserve-unknown-fields")
            || flag(value, "additionalProperties"),
        atomic_map: value["x-kubernetes-map-type"] == "atomic",
        list: read_list(value),
        default: value.get("default").cloned(),
        enumeration: value["enum"].as_array().cloned().unwrap_or_default(),
        format: value["format"].as_str().unwrap_or_default().to_owned(),
        minimum: value["minimum"].as_f64(),
        maximum: value["maximum"].as_f64(),
        min_length: value["minLength"].as_u64(),
        max_length: value["maxLength"].as_u64(),
        min_items: value["minItems"].as_u64(),
        max_items: value["maxItems"].as_u64(),
    }
}

fn read_type(value: &Value) -> Type {
    if flag(value, "x-kubernetes-int-or-string") {
        return Type::IntOrString;
    }
    match value["type"].as_str() {
        Some("object") => Type::Object,
        Some("array") => Type::Array,
        Some("string") => Type::String,
        Some("integer") => Type::Integer,
        Some("number") => Type::Number,
        Some("boolean") => Type::Boolean,
        _ => Type::Any,
    }
}

fn read_list(value: &Value) -> ListType {
    match value["x-kubernetes-list-type"].as_str() {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(strings(value, "x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    }
}

fn flag(value: &Value, name: &str) -> bool {
    value[name] == Value::Bool(true)
}

fn strings(value: &Value, name: &str) -> Vec<String> {
    let all = value[name].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// `ObjectMeta`, with the list types field ownership needs.
pub(crate) static OBJECT_META: LazyLock<Schema> =
    LazyLock::new(|| Schema::from_value(&OBJECT_META_TEXT));

/// The same as it is written.
pub(crate) static OBJECT_META_TEXT: LazyLock<Value> = LazyLock::new(|| {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let count = json!({"type": "integer"});
    let owner = json!({"type": "object", "x-kubernetes-map-type": "atomic", "properties": {
        "apiVersion": text, "kind": text, "name": text, "uid": text,
        "controller": {"type": "boolean"}, "blockOwnerDeletion": {"type": "boolean"}}});
    json!({"type": "object", "properties": {
        "name": text, "generateName": text, "namespace": text, "selfLink": text, "uid": text,
        "resourceVersion": text, "generation": count, "creationTimestamp": text,
        "deletionTimestamp": text, "deletionGracePeriodSeconds": count,
        "labels": texts, "annotations": texts,
        "finalizers": {"type": "array", "x-kubernetes-list-type": "set", "items": text},
        "ownerReferences": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"], "items": owner},
        "managedFields": {"type": "array", "items": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    }})
});
