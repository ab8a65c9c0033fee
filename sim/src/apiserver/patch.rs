//! Merge patches, JSON patches, and strategic merge patches along a schema.

use serde_json::{Map, Value};

use super::schema::{ListType, Schema};

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

/// A strategic merge patch: as a merge patch, but lists with keys merge by key and sets unite.
/// `$patch: delete`, `$patch: replace` and `$deleteFromPrimitiveList` are honoured; the order
/// asked for by `$setElementOrder` is not. `Err` names a directive that is not understood.
pub(crate) fn strategic(
    schema: Option<&Schema>,
    target: &mut Value,
    patch: &Value,
) -> Result<(), String> {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    let replace = changes.get("$patch").is_some_and(|v| v == "replace");
    if replace || !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return Ok(()) };
    for (name, change) in changes {
        if let Some(directive) = name.strip_prefix('$') {
            directed(map, directive, change)?;
        } else if change.is_null() {
            map.remove(name);
        } else {
            let sub = schema.and_then(|s| s.field(name).ok()).and_then(|(s, _)| s);
            let here = map.entry(name.clone()).or_insert(Value::Null);
            match change {
                Value::Array(items) => strategic_list(sub, here, items)?,
                _ => strategic(sub, here, change)?,
            }
        }
    }
    Ok(())
}

fn directed(map: &mut Map<String, Value>, text: &str, change: &Value) -> Result<(), String> {
    if let Some(name) = text.strip_prefix("deleteFromPrimitiveList/") {
        let gone = change.as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(Value::Array(all)) = map.get_mut(name) {
            all.retain(|item| !gone.contains(item));
        }
        return Ok(());
    }
    let known = text.starts_with("setElementOrder/") || (text == "patch" && change == "replace");
    if known { Ok(()) } else { Err(format!("${text}")) }
}

fn strategic_list(
    schema: Option<&Schema>,
    target: &mut Value,
    items: &[Value],
) -> Result<(), String> {
    let list = schema.map(|s| &s.list);
    let Some(list) = list.filter(|l| **l != ListType::Atomic) else {
        *target = Value::Array(items.to_vec());
        return Ok(());
    };
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(all) = target.as_array_mut() else { return Ok(()) };
    for item in items {
        let ListType::Map(keys) = list else {
            if !all.contains(item) {
                all.push(item.clone());
            }
            continue;
        };
        // The first key is upstream's patchMergeKey for every list we hold.
        let same = |other: &Value| keys.first().is_some_and(|k| other.get(k) == item.get(k));
        let found = all.iter().position(same);
        match (found, item.get("$patch").and_then(Value::as_str)) {
            (Some(at), Some("delete")) => drop(all.remove(at)),
            (None, Some("delete")) => {}
            (Some(at), _) => {
                strategic(schema.and_then(|s| s.items.as_deref()), &mut all[at], item)?;
            }
            (None, _) => all.push(item.clone()),
        }
    }
    Ok(())
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

    #[test]
    fn strategic_merge_knows_keyed_lists_and_refuses_other_directives() {
        let schema = Schema::from_value(&json!({"type": "object", "properties": {"l": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object"}}}}));
        let mut target = json!({"l": [{"k": 1, "v": 1}, {"k": 2}]});
        let patch = json!({"$setElementOrder/l": [], "l": [{"k": 1, "v": 2}, {"k": 3},
            {"k": 2, "$patch": "delete"}]});
        strategic(Some(&schema), &mut target, &patch).unwrap();
        assert_eq!(target, json!({"l": [{"k": 1, "v": 2}, {"k": 3}]}));
        let odd = json!({"$retainKeys": ["a"]});
        assert_eq!(strategic(Some(&schema), &mut target, &odd), Err("$retainKeys".into()));
    }
}
