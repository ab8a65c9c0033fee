//! Merge patches and JSON patches; strategic ones are next door.

use serde_json::{Map, Value};

/// RFC 7386.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return };
    for (name, change) in changes {
        if change.is_null() {
            map.remove(name);
        } else {
            merge(map.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Most operations in one JSON patch, as upstream.
const MAX_OPERATIONS: usize = 10_000;

/// A JSON patch that cannot be applied, or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonPatchError {
    Malformed,
    Failed,
}

/// RFC 6902. The target is left half patched on error: patch a copy.
pub(crate) fn json(target: &mut Value, patch: &Value) -> Result<(), JsonPatchError> {
    let all = patch.as_array().ok_or(JsonPatchError::Malformed)?;
    if all.len() > MAX_OPERATIONS {
        return Err(JsonPatchError::Malformed);
    }
    all.iter().try_for_each(|operation| one(target, operation))
}

fn one(target: &mut Value, operation: &Value) -> Result<(), JsonPatchError> {
    let text = |name: &str| operation[name].as_str().ok_or(JsonPatchError::Malformed);
    let value = || operation.get("value").cloned().ok_or(JsonPatchError::Malformed);
    let path = text("path")?;
    match text("op")? {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(drop),
        "replace" => {
            *target.pointer_mut(path).ok_or(JsonPatchError::Failed)? = value()?;
            Ok(())
        }
        "move" => {
            let moved = remove(target, text("from")?)?;
            add(target, path, moved)
        }
        "copy" => {
            let copied = target.pointer(text("from")?).cloned().ok_or(JsonPatchError::Failed)?;
            add(target, path, copied)
        }
        "test" if target.pointer(path) == Some(&value()?) => Ok(()),
        "test" => Err(JsonPatchError::Failed),
        _ => Err(JsonPatchError::Malformed),
    }
}

fn parent<'a>(
    target: &'a mut Value,
    path: &str,
) -> Result<(&'a mut Value, String), JsonPatchError> {
    let (above, last) = path.rsplit_once('/').ok_or(JsonPatchError::Failed)?;
    let node = target.pointer_mut(above).ok_or(JsonPatchError::Failed)?;
    Ok((node, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), JsonPatchError> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    match parent(target, path)? {
        (Value::Object(map), name) => {
            map.insert(name, value);
            Ok(())
        }
        (Value::Array(all), name) => {
            let at = if name == "-" { Some(all.len()) } else { name.parse().ok() };
            let at = at.filter(|i| *i <= all.len()).ok_or(JsonPatchError::Failed)?;
            all.insert(at, value);
            Ok(())
        }
        _ => Err(JsonPatchError::Failed),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, JsonPatchError> {
    match parent(target, path)? {
        (Value::Object(map), name) => map.remove(&name).ok_or(JsonPatchError::Failed),
        (Value::Array(all), name) => {
            let at = name.parse().ok().filter(|i: &usize| *i < all.len());
            Ok(all.remove(at.ok_or(JsonPatchError::Failed)?))
        }
        _ => Err(JsonPatchError::Failed),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patch_removes_what_is_null_and_replaces_lists() {
        let mut target = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut target, &json!({"a": {"b": null, "c": [3]}, "e": {"f": null, "g": 1}}));
        assert_eq!(target, json!({"a": {"c": [3]}, "d": 1, "e": {"g": 1}}));
    }

    #[test]
    fn json_patch_follows_rfc_6902() {
        let mut target = json!({"a": [1, 2], "b/c": {"d": 1}});
        let patch = json!([
            {"op": "test", "path": "/a/0", "value": 1},
            {"op": "add", "path": "/a/-", "value": 3},
            {"op": "add", "path": "/a/0", "value": 0},
            {"op": "remove", "path": "/a/1"},
            {"op": "move", "from": "/b~1c/d", "path": "/e"},
            {"op": "copy", "from": "/e", "path": "/f"},
        ]);
        json(&mut target, &patch).unwrap();
        assert_eq!(target, json!({"a": [0, 2, 3], "b/c": {}, "e": 1, "f": 1}));
        let fails = json!([{"op": "replace", "path": "/x", "value": 1}]);
        assert_eq!(json(&mut target, &fails), Err(JsonPatchError::Failed));
        assert_eq!(json(&mut target, &json!({})), Err(JsonPatchError::Malformed));
    }
}
