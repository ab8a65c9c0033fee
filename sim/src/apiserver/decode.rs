//! From a request's body to an object of its kind.

use serde_json::{Map, Value, json};

use super::request::Request;
use super::resource::ResourceDef;
use super::rules;
use super::schema::OBJECT_META;
use super::status::ApiError;
use super::structural;

/// An object fit to be stored, but for what the server itself adds.
pub(crate) struct Decoded {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

/// Checks type and place, prunes, fills defaults. `409` and `422` come later.
pub(crate) fn decode(
    def: &ResourceDef,
    request: &Request,
    mut object: Value,
) -> Result<Decoded, ApiError> {
    check_type(def, &mut object)?;
    place(def, request, &mut object)?;
    let unknown = finish(def, &mut object)?;
    let warnings = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    field_validation(def, request, warnings).map(|warnings| Decoded { object, warnings })
}

/// Pruning, defaulting and normal metadata, for an object whose type and place are known.
pub(crate) fn finish(def: &ResourceDef, object: &mut Value) -> Result<Vec<String>, ApiError> {
    let unknown = structural::prune(&def.schema, object);
    structural::default(&def.schema, object);
    normal_metadata(def, object)?;
    if def.builtin {
        check_fields(def, object)?;
        rules::defaults(&def.key(), object)?;
    }
    Ok(unknown)
}

fn check_type(def: &ResourceDef, object: &mut Value) -> Result<(), ApiError> {
    let text = object.to_string();
    let unrecognized = |why: &str| {
        let mut shown: String = text.chars().take(100).collect();
        if shown.len() < text.len() {
            shown += " ...";
        }
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({shown})",
            def.kind
        ))
    };
    let Some(map) = object.as_object_mut() else {
        let why = "couldn't get version/kind; json parse error: cannot unmarshal into Go value of \
                   type struct { APIVersion string; Kind string }";
        return Err(unrecognized(why));
    };
    if def.builtin {
        map.entry("kind").or_insert_with(|| json!(def.kind));
        map.entry("apiVersion").or_insert_with(|| json!(def.api_version()));
    }
    let Some(kind) = map.get("kind").and_then(Value::as_str).filter(|k| !k.is_empty()) else {
        return Err(unrecognized(&format!("Object 'Kind' is missing in '{text}'")));
    };
    let (kind, wanted) = (kind.to_owned(), def.api_version());
    let given = map.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
    if given != wanted {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version \
             ({wanted})"
        )));
    }
    if kind == def.kind {
        return Ok(());
    }
    if def.builtin {
        return Err(ApiError::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {}: no kind \"{kind}\" is \
             registered for version \"{wanted}\"",
            def.version, def.kind
        )));
    }
    Err(wrong_kind(def, object, &kind))
}

fn wrong_kind(def: &ResourceDef, object: &Value, kind: &str) -> ApiError {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let why = format!("must be {}", def.kind);
    let cause = super::status::Cause::invalid("kind", &Value::from(kind), &why);
    ApiError::invalid_as(&def.group, kind, name, vec![cause])
}

/// Puts the object into the namespace of the path, or refuses.
pub(crate) fn place(def: &ResourceDef, req: &Request, object: &mut Value) -> Result<(), ApiError> {
    let Some(map) = object.as_object_mut() else { return Ok(()) };
    let meta = map.entry("metadata").or_insert_with(|| json!({}));
    if meta.is_null() {
        *meta = json!({});
    }
    let Some(meta) = meta.as_object_mut() else {
        return Err(ApiError::bad_request("metadata must be an object"));
    };
    let given = meta.get("namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    match &req.namespace {
        Some(namespace) if def.namespaced => {
            if !given.is_empty() && given != *namespace {
                return Err(ApiError::bad_request(
                    "the namespace of the provided object does not match the namespace sent on \
                     the request",
                ));
            }
            meta.insert("namespace".into(), json!(namespace));
        }
        _ => {
            meta.remove("namespace");
        }
    }
    Ok(())
}

/// `ObjectMeta` as a round trip through Go leaves it: typed, without empty fields.
fn normal_metadata(def: &ResourceDef, object: &mut Value) -> Result<(), ApiError> {
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    meta.retain(|_, v| !is_empty(v));
    let faults = structural::validate(&OBJECT_META, &object["metadata"]);
    match faults.first() {
        None => Ok(()),
        Some(cause) => Err(cannot_unmarshal(def, "ObjectMeta.metadata", &cause.field)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Array(all) => all.is_empty(),
        _ => false,
    }
}

/// Built-in types are Go structs: a field of the wrong type does not even decode.
fn check_fields(def: &ResourceDef, object: &Value) -> Result<(), ApiError> {
    let faults = structural::validate(&def.schema, object);
    match faults.iter().find(|c| c.reason == "FieldValueTypeInvalid") {
        None => Ok(()),
        Some(cause) => Err(cannot_unmarshal(def, &def.kind, &cause.field)),
    }
}

fn cannot_unmarshal(def: &ResourceDef, holder: &str, field: &str) -> ApiError {
    ApiError::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: json: cannot unmarshal \
         into Go struct field {holder}.{field}",
        kind = def.kind,
        version = def.version,
    ))
}

fn field_validation(
    def: &ResourceDef,
    request: &Request,
    warnings: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    match request.options.field_validation.as_str() {
        "Ignore" => Ok(Vec::new()),
        "Strict" if !warnings.is_empty() => Err(ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding \
             error: {all}",
            kind = def.kind,
            version = def.version,
            all = warnings.join(", ")
        ))),
        _ => Ok(warnings),
    }
}

/// The object without metadata (and status, if it is a subresource): what generation counts.
pub(crate) fn counted(def: &ResourceDef, object: &Value) -> Map<String, Value> {
    let mut out = object.as_object().cloned().unwrap_or_default();
    for name in ["metadata", "apiVersion", "kind"] {
        out.remove(name);
    }
    if def.status {
        out.remove("status");
    }
    out
}
