//! Strategic merge patches (k8s.io/apimachinery, `strategicpatch`) along a schema: a merge patch
//! in which lists with keys merge by key, sets unite, and directives say the rest.

use serde_json::{Map, Value};

use super::schema::{ListType, Schema};

const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Merges a patch into a target. `$patch`, `$retainKeys`, `$setElementOrder` and
/// `$deleteFromPrimitiveList` are honoured; `Err` names a directive that is not understood.
pub(crate) fn merge(
    schema: Option<&Schema>,
    target: &mut Value,
    patch: &Value,
) -> Result<(), String> {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    let whole = changes.get("$patch").and_then(Value::as_str);
    if whole.is_some() || !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if whole == Some("delete") {
        return Ok(());
    }
    let Some(map) = target.as_object_mut() else { return Ok(()) };
    if let Some(kept) = changes.get("$retainKeys") {
        let kept = list(kept, "$retainKeys")?;
        map.retain(|name, _| kept.iter().any(|one| one == name));
    }
    let before = ordered_lists(map, changes);
    for (name, change) in changes {
        if name.starts_with('$') {
            directed(map, name, change)?;
        } else {
            change_field(schema, map, name, change)?;
        }
    }
    for (name, wanted, before) in before {
        let sub = below(schema, name);
        if let (Some(sub), Some(Value::Array(all))) = (sub, map.get_mut(name)) {
            reorder(&sub.list, all, list(wanted, ORDER)?, &before);
        }
    }
    Ok(())
}

fn list<'a>(value: &'a Value, directive: &str) -> Result<&'a [Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| directive.to_owned())
}

fn below<'a>(schema: Option<&'a Schema>, name: &str) -> Option<&'a Schema> {
    schema.and_then(|schema| schema.field(name).ok()).and_then(|(schema, _)| schema)
}

/// The lists whose order is asked for: name, wanted order, and the list as it was.
fn ordered_lists<'a>(
    map: &Map<String, Value>,
    changes: &'a Map<String, Value>,
) -> Vec<(&'a str, &'a Value, Vec<Value>)> {
    let orders = changes.iter().filter_map(|(name, wanted)| {
        let name = name.strip_prefix(ORDER)?;
        let before = map.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        Some((name, wanted, before))
    });
    orders.collect()
}

fn change_field(
    schema: Option<&Schema>,
    map: &mut Map<String, Value>,
    name: &str,
    change: &Value,
) -> Result<(), String> {
    if change.is_null() {
        map.remove(name);
        return Ok(());
    }
    let sub = below(schema, name);
    let here = map.entry(name.to_owned()).or_insert(Value::Null);
    match change {
        Value::Array(items) => merge_list(sub, here, items),
        _ => merge(sub, here, change),
    }
}

fn directed(map: &mut Map<String, Value>, name: &str, change: &Value) -> Result<(), String> {
    if let Some(name) = name.strip_prefix(DELETE_FROM) {
        let gone = list(change, DELETE_FROM)?;
        if let Some(Value::Array(all)) = map.get_mut(name) {
            all.retain(|item| !gone.contains(item));
        }
        return Ok(());
    }
    let known = name.starts_with(ORDER)
        || name == "$retainKeys"
        || (name == "$patch" && matches!(change.as_str(), Some("replace" | "merge")));
    if known { Ok(()) } else { Err(name.to_owned()) }
}

/// What tells items of a list apart: themselves in a set, else their first key, which is
/// upstream's `patchMergeKey` for every list we hold.
fn same(kind: &ListType, one: &Value, other: &Value) -> bool {
    match kind {
        ListType::Map(keys) => keys.first().is_some_and(|key| one.get(key) == other.get(key)),
        ListType::Set | ListType::Atomic => one == other,
    }
}

fn merge_list(schema: Option<&Schema>, target: &mut Value, items: &[Value]) -> Result<(), String> {
    let kind = schema.map(|schema| &schema.list).filter(|kind| **kind != ListType::Atomic);
    let replaces = |item: &Value| item.get("$patch").is_some_and(|how| how == "replace");
    let Some(kind) = kind.filter(|_| !items.iter().any(replaces)) else {
        *target = items.iter().filter(|item| !replaces(item)).cloned().collect();
        return Ok(());
    };
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(all) = target.as_array_mut() else { return Ok(()) };
    for item in items {
        let found = all.iter().position(|other| same(kind, other, item));
        let delete = item.get("$patch").is_some_and(|how| how == "delete");
        match (found, delete) {
            (Some(at), true) => drop(all.remove(at)),
            (None, true) => {}
            (Some(at), false) => {
                merge(schema.and_then(|s| s.items.as_deref()), &mut all[at], item)?;
            }
            (None, false) => all.push(item.clone()),
        }
    }
    Ok(())
}

/// Brings a merged list into the order that the patch wants; items that it does not name stay
/// before or behind those that they stood before or behind.
fn reorder(kind: &ListType, merged: &mut Vec<Value>, wanted: &[Value], before: &[Value]) {
    let place = |order: &[Value], item: &Value| {
        order.iter().position(|other| same(kind, other, item)).unwrap_or(usize::MAX)
    };
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.drain(..).partition(|item| place(wanted, item) != usize::MAX);
    named.sort_by_key(|item| place(wanted, item));
    others.sort_by_key(|item| place(before, item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(one), Some(other)) = (named.peek(), others.peek()) {
        let (one, other) = (place(before, one), place(before, other));
        // As upstream: only where both stood there before, the first goes first.
        let first = one != usize::MAX && other != usize::MAX && one < other;
        merged.extend(if first { named.next() } else { others.next() });
    }
    merged.extend(named.chain(others));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::from_value(&json!({"type": "object", "properties": {
            "l": {"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object"}},
            "s": {"type": "array", "x-kubernetes-list-type": "set"},
            "a": {"type": "array"}}}))
    }

    fn merged(mut target: Value, patch: Value) -> Value {
        merge(Some(&schema()), &mut target, &patch).unwrap();
        target
    }

    #[test]
    fn lists_with_keys_merge_by_key_sets_unite_and_other_lists_are_replaced() {
        let target = json!({"l": [{"k": 1, "v": 1}, {"k": 2}], "s": [1, 2], "a": [1]});
        let patch = json!({"l": [{"k": 1, "v": 2}, {"k": 3}, {"k": 2, "$patch": "delete"}],
            "s": [2, 3], "$deleteFromPrimitiveList/s": [1], "a": [4]});
        let expected = json!({"l": [{"k": 1, "v": 2}, {"k": 3}], "s": [2, 3], "a": [4]});
        assert_eq!(merged(target, patch), expected);
    }

    #[test]
    fn the_wanted_order_is_kept_and_others_stay_where_they_stood() {
        let keys = |all: &[i64]| json!(all.iter().map(|k| json!({"k": k})).collect::<Vec<_>>());
        let target = json!({"l": keys(&[1, 9, 2, 3])});
        let patch = json!({"$setElementOrder/l": keys(&[3, 4, 1]), "l": keys(&[4])});
        // 9 and 2 were not named; 3 stood behind them, so they go first.
        assert_eq!(merged(target, patch)["l"], keys(&[9, 2, 3, 4, 1]));
        let target = json!({"l": keys(&[1, 2, 3]), "s": [1, 2, 3]});
        let patch =
            json!({"$setElementOrder/l": keys(&[2, 1, 3]), "$setElementOrder/s": [3, 2, 1]});
        let sorted = merged(target, patch);
        assert_eq!((&sorted["l"], &sorted["s"]), (&keys(&[2, 1, 3]), &json!([3, 2, 1])));
    }

    #[test]
    fn whole_objects_and_lists_are_replaced_or_emptied_by_directive() {
        let target =
            json!({"o": {"x": 1, "y": 2}, "l": [{"k": 1}], "d": {"x": 1}, "r": {"x": 1, "y": 2}});
        let patch = json!({"o": {"$patch": "replace", "z": 3}, "d": {"$patch": "delete"},
            "r": {"$retainKeys": ["y"], "y": 5}, "l": [{"$patch": "replace"}, {"k": 7}]});
        let expected = json!({"o": {"z": 3}, "l": [{"k": 7}], "d": {}, "r": {"y": 5}});
        assert_eq!(merged(target, patch), expected);
    }

    #[test]
    fn directives_that_are_not_understood_are_named() {
        for odd in ["$other", "$patchy"] {
            let patch = json!({odd: 1});
            assert_eq!(merge(None, &mut json!({}), &patch), Err(odd.to_owned()));
        }
        let order = json!({"$setElementOrder/l": 5});
        assert_eq!(merge(Some(&schema()), &mut json!({"l": []}), &order), Err(ORDER.to_owned()));
    }
}
