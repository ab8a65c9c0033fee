//! Reading objects that are plain JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// The text at a JSON pointer; empty if there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// An object's name.
pub fn name_of(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// An object's UID.
pub fn uid_of(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// A status condition, by its type.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

/// Whether a condition has this status: `True`, `False` or `Unknown`.
pub fn has_condition(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == status)
}

/// A value of a Secret's data, or of a request's status where `field` begins with a slash.
pub fn data(object: &Value, field: &str) -> Vec<u8> {
    let encoded = match field.strip_prefix('/') {
        Some(_) => text(object, field),
        None => object["data"][field].as_str().unwrap_or_default(),
    };
    STANDARD.decode(encoded).expect("the API server stores base64")
}

/// The present time, moved by so many seconds, as the API writes times.
pub fn rfc3339(seconds: i64) -> String {
    let at = Timestamp::now().as_second() + seconds;
    Timestamp::from_second(at).expect("a time of this era").to_string()
}
