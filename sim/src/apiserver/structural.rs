//! What a schema does to an object: pruning, defaulting, validation.

use serde_json::Value;

use super::schema::{ListType, Schema, Type};
use super::status::Cause;

/// Deepest nesting followed; below it nothing is pruned or checked.
const MAX_DEPTH: usize = 128;

/// Removes undeclared fields and returns their paths, in order.
pub(crate) fn prune(schema: &Schema, value: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_at(schema, value, "", 0, &mut unknown);
    unknown
}

fn prune_at(schema: &Schema, value: &mut Value, path: &str, depth: usize, out: &mut Vec<String>) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(map) => {
            map.retain(|name, _| {
                let known = schema.field(name).is_ok();
                if !known {
                    out.push(join(path, name));
                }
                known
            });
            for (name, child) in map.iter_mut() {
                if let Ok((Some(sub), _)) = schema.field(name) {
                    prune_at(sub, child, &join(path, name), depth + 1, out);
                }
            }
        }
        Value::Array(all) => {
            let Some(items) = &schema.items else { return };
            for (index, child) in all.iter_mut().enumerate() {
                prune_at(items, child, &format!("{path}[{index}]"), depth + 1, out);
            }
        }
        _ => {}
    }
}

/// Fills in defaults and removes nulls where the schema does not allow them.
pub(crate) fn default(schema: &Schema, value: &mut Value) {
    default_at(schema, value, 0);
}

fn default_at(schema: &Schema, value: &mut Value, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(map) => {
            map.retain(|name, child| {
                let drops = |s: &Schema| !s.nullable && s.default.is_none();
                !(child.is_null() && schema.properties.get(name).is_some_and(drops))
            });
            for (name, sub) in &schema.properties {
                let Some(fallback) = &sub.default else { continue };
                let absent = map.get(name).is_none_or(|v| v.is_null() && !sub.nullable);
                if absent {
                    map.insert(name.clone(), fallback.clone());
                }
            }
            for (name, child) in map.iter_mut() {
                if let Ok((Some(sub), _)) = schema.field(name) {
                    default_at(sub, child, depth + 1);
                }
            }
        }
        Value::Array(all) => {
            let Some(items) = &schema.items else { return };
            all.iter_mut().for_each(|child| default_at(items, child, depth + 1));
        }
        _ => {}
    }
}

/// Checks types, `required`, `enum`, bounds, date-times and list uniqueness.
pub(crate) fn validate(schema: &Schema, value: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    check(schema, value, "", 0, &mut out);
    out
}

fn check(schema: &Schema, value: &Value, path: &str, depth: usize, out: &mut Vec<Cause>) {
    if depth > MAX_DEPTH || (value.is_null() && schema.nullable) {
        return;
    }
    if let Some(wanted) = wrong_type(schema.kind, value) {
        let found = go_type(value);
        let text = format!(
            "Invalid value: \"{found}\": {path} in body must be of type {wanted}: \"{found}\""
        );
        out.push(Cause::new("FieldValueTypeInvalid", path, text));
        return;
    }
    check_enum(schema, value, path, out);
    match value {
        Value::Object(map) => {
            for name in schema.required.iter().filter(|n| !map.contains_key(*n)) {
                out.push(Cause::required(&join(path, name), ""));
            }
            for (name, child) in map {
                if let Ok((Some(sub), _)) = schema.field(name) {
                    check(sub, child, &join(path, name), depth + 1, out);
                }
            }
        }
        Value::Array(all) => check_list(schema, all, path, depth, out),
        Value::String(text) => check_text(schema, text, path, out),
        Value::Number(number) => check_number(schema, number, path, out),
        _ => {}
    }
}

fn check_enum(schema: &Schema, value: &Value, path: &str, out: &mut Vec<Cause>) {
    if schema.enumeration.is_empty() || schema.enumeration.contains(value) {
        return;
    }
    let allowed: Vec<String> = schema.enumeration.iter().map(Value::to_string).collect();
    let text = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
    out.push(Cause::new("FieldValueNotSupported", path, text));
}

fn check_list(schema: &Schema, all: &[Value], path: &str, depth: usize, out: &mut Vec<Cause>) {
    let count = all.len() as u64;
    if let Some(least) = schema.min_items.filter(|n| count < *n) {
        let text = format!("{path} in body should have at least {least} items");
        out.push(Cause::invalid(path, &Value::from(count), &text));
    }
    if let Some(most) = schema.max_items.filter(|n| count > *n) {
        let text = format!("Too many: {count}: must have at most {most} items");
        out.push(Cause::new("FieldValueTooMany", path, text));
    }
    if let Some(items) = &schema.items {
        for (index, child) in all.iter().enumerate() {
            check(items, child, &format!("{path}[{index}]"), depth + 1, out);
        }
    }
    check_duplicates(schema, all, path, out);
}

fn check_duplicates(schema: &Schema, all: &[Value], path: &str, out: &mut Vec<Cause>) {
    let mut seen: Vec<Value> = Vec::new();
    for (index, item) in all.iter().enumerate() {
        let key = match &schema.list {
            ListType::Atomic => return,
            ListType::Set => item.clone(),
            ListType::Map(keys) => {
                let pick = |k: &String| item.get(k).map(|v| (k.clone(), v.clone()));
                Value::Object(keys.iter().filter_map(pick).collect())
            }
        };
        if seen.contains(&key) {
            let field = format!("{path}[{index}]");
            out.push(Cause::new("FieldValueDuplicate", &field, format!("Duplicate value: {key}")));
        }
        seen.push(key);
    }
}

fn check_text(schema: &Schema, text: &str, path: &str, out: &mut Vec<Cause>) {
    let length = text.chars().count() as u64;
    let shown = Value::from(text);
    if let Some(least) = schema.min_length.filter(|n| length < *n) {
        let why = format!("{path} in body should be at least {least} chars long");
        out.push(Cause::invalid(path, &shown, &why));
    }
    if let Some(most) = schema.max_length.filter(|n| length > *n) {
        let why = format!("Too long: may not be more than {most} bytes");
        out.push(Cause::new("FieldValueTooLong", path, why));
    }
    if schema.format == "date-time" && !looks_like_date_time(text) {
        let why = format!("{path} in body must be of type date-time: {shown}");
        let text = format!("Invalid value: {shown}: {why}");
        out.push(Cause::new("FieldValueTypeInvalid", path, text));
    }
}

fn check_number(schema: &Schema, number: &serde_json::Number, path: &str, out: &mut Vec<Cause>) {
    let value = number.as_f64().unwrap_or_default();
    let shown = Value::Number(number.clone());
    if let Some(least) = schema.minimum.filter(|n| value < *n) {
        let why = format!("{path} in body should be greater than or equal to {least}");
        out.push(Cause::invalid(path, &shown, &why));
    }
    if let Some(most) = schema.maximum.filter(|n| value > *n) {
        let why = format!("{path} in body should be less than or equal to {most}");
        out.push(Cause::invalid(path, &shown, &why));
    }
}

/// The shape of RFC 3339, without looking at the calendar.
fn looks_like_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(want, got): (&u8, &u8)| match want {
        b'd' => got.is_ascii_digit(),
        b'T' => matches!(got, b'T' | b't'),
        other => other == got,
    };
    if bytes.len() <= shape.len() || !shape.iter().zip(bytes).all(fits) {
        return false;
    }
    let rest = &text[shape.len()..];
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    matches!(zone, "Z" | "z") || (zone.len() == 6 && zone.starts_with(['+', '-']))
}

fn wrong_type(kind: Type, value: &Value) -> Option<&'static str> {
    let whole =
        value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0);
    let (fits, name) = match kind {
        Type::Any => (true, ""),
        Type::Object => (value.is_object(), "object"),
        Type::Array => (value.is_array(), "array"),
        Type::String => (value.is_string(), "string"),
        Type::Integer => (whole, "integer"),
        Type::Number => (value.is_number(), "number"),
        Type::Boolean => (value.is_boolean(), "boolean"),
        Type::IntOrString => (whole || value.is_string(), "integer,string"),
    };
    (!fits).then_some(name)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
