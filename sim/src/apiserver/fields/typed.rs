//! Walks along a schema: to a set, comparing, merging, removing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::schema::{ListType, Schema, Type};
use super::set::{Set, Step};

/// How ownership sees a value.
enum Shape {
    /// Owned as a whole.
    Leaf,
    /// Owned entry by entry.
    Map,
    /// Owned item by item.
    List,
}

fn shape(schema: Option<&Schema>, value: &Value) -> Shape {
    match value {
        Value::Object(_) if schema.is_some_and(|s| s.atomic_map) => Shape::Leaf,
        Value::Object(_) => Shape::Map,
        Value::Array(_) if schema.is_some_and(|s| s.list != ListType::Atomic) => Shape::List,
        _ => Shape::Leaf,
    }
}

/// The schema below a field, and whether the field is a declared property.
fn below<'a>(schema: Option<&'a Schema>, name: &str) -> (Option<&'a Schema>, bool) {
    schema.and_then(|s| s.field(name).ok()).unwrap_or((None, false))
}

fn items(schema: Option<&Schema>) -> Option<&Schema> {
    schema.and_then(|s| s.items.as_deref())
}

/// The step of a list item: its value, or its keys with their defaults. `None`: it has no key.
fn item_step(schema: Option<&Schema>, item: &Value) -> Option<Step> {
    let ListType::Map(keys) = &schema?.list else {
        return Some(Step::Value(item.to_string()));
    };
    let item_schema = items(schema);
    let mut out = BTreeMap::new();
    for key in keys {
        let fallback = || item_schema?.properties.get(key)?.default.as_ref();
        if let Some(value) = item.get(key).or_else(fallback) {
            out.insert(key.as_str(), value);
        }
    }
    if out.is_empty() {
        return None;
    }
    serde_json::to_string(&out).ok().map(Step::Key)
}

/// The fields an applied configuration speaks of.
pub(super) fn to_set(schema: Option<&Schema>, value: &Value) -> Set {
    let mut out = Set::default();
    match (shape(schema, value), value) {
        (Shape::Map, Value::Object(map)) => {
            for (name, child) in map {
                let (sub, declared) = below(schema, name);
                let mut node = to_set(sub, child);
                let hollow = child.is_null() || child.as_object().is_some_and(Map::is_empty);
                node.member |= hollow || !declared;
                out.children.insert(Step::Field(name.clone()), node);
            }
        }
        (Shape::List, Value::Array(all)) => {
            for item in all {
                let Some(step) = item_step(schema, item) else { continue };
                let mut node = to_set(items(schema), item);
                node.member = true;
                out.children.insert(step, node);
            }
        }
        _ => out.member = true,
    }
    out
}

/// What differs between two objects.
#[derive(Default)]
pub(super) struct Comparison {
    pub(super) added: Set,
    pub(super) removed: Set,
    pub(super) modified: Set,
}

pub(super) fn compare(schema: &Schema, old: &Value, new: &Value) -> Comparison {
    let mut out = Comparison::default();
    compare_at(Some(schema), Some(old), Some(new), &mut Vec::new(), &mut out);
    out
}

fn compare_at(
    schema: Option<&Schema>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) {
    let shape_of = |v: Option<&Value>| v.map(|v| shape(schema, v));
    let maps = |v: Option<&Value>| v.is_none_or(|v| v.is_object() || v.is_null());
    let lists = |v: Option<&Value>| v.is_none_or(|v| v.is_array() || v.is_null());
    let hollow = |v: Option<&Value>| v.is_none_or(is_hollow);
    let both_hollow = hollow(old) && hollow(new);
    let any = |f: fn(&Shape) -> bool| {
        shape_of(old).as_ref().is_some_and(f) || shape_of(new).as_ref().is_some_and(f)
    };
    if !both_hollow && any(|s| matches!(s, Shape::Map)) && maps(old) && maps(new) {
        compare_maps(schema, old, new, path, out);
    } else if !both_hollow && any(|s| matches!(s, Shape::List)) && lists(old) && lists(new) {
        compare_lists(schema, old, new, path, out);
    } else if let (Some(old), Some(new)) = (old, new) {
        if old != new {
            out.modified.insert(path);
        }
        return;
    }
    match (old, new) {
        (None, Some(_)) => out.added.insert(path),
        (Some(_), None) => out.removed.insert(path),
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(all) => all.is_empty(),
        _ => false,
    }
}

fn compare_maps(
    schema: Option<&Schema>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) {
    let empty = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&empty);
    let new = new.and_then(Value::as_object).unwrap_or(&empty);
    for (name, value) in old {
        let other = new.get(name);
        if other == Some(value) {
            continue;
        }
        path.push(Step::Field(name.clone()));
        compare_at(below(schema, name).0, Some(value), other, path, out);
        path.pop();
    }
    for (name, value) in new.iter().filter(|(n, _)| !old.contains_key(*n)) {
        path.push(Step::Field(name.clone()));
        compare_at(below(schema, name).0, None, Some(value), path, out);
        path.pop();
    }
}

fn compare_lists(
    schema: Option<&Schema>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) {
    let old = by_step(schema, old);
    let new = by_step(schema, new);
    let steps: std::collections::BTreeSet<&Step> = old.keys().chain(new.keys()).collect();
    for step in steps {
        path.push(step.clone());
        let (a, b) = (old.get(step).copied(), new.get(step).copied());
        compare_at(items(schema), a, b, path, out);
        path.pop();
    }
}

fn by_step<'a>(schema: Option<&Schema>, list: Option<&'a Value>) -> BTreeMap<Step, &'a Value> {
    let all = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|v| Some((item_step(schema, v)?, v))).collect()
}

/// `live` with everything `config` says laid over it.
pub(super) fn merge(schema: Option<&Schema>, live: Option<&Value>, config: &Value) -> Value {
    match (shape(schema, config), live, config) {
        (Shape::Map, Some(Value::Object(old)), Value::Object(new)) => {
            let mut out = old.clone();
            for (name, value) in new {
                let merged = merge(below(schema, name).0, old.get(name), value);
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
        (Shape::List, Some(Value::Array(old)), Value::Array(new)) => {
            Value::Array(merge_lists(schema, old, new))
        }
        _ => config.clone(),
    }
}

/// Keeps live order where it can and the applied order among the items both have.
fn merge_lists(schema: Option<&Schema>, old: &[Value], new: &[Value]) -> Vec<Value> {
    let steps =
        |all: &[Value]| -> Vec<Option<Step>> { all.iter().map(|v| item_step(schema, v)).collect() };
    let (old_steps, new_steps) = (steps(old), steps(new));
    let in_new = |s: &Option<Step>| s.is_some() && new_steps.contains(s);
    let mut shared = new_steps.iter().filter(|s| old_steps.contains(s)).peekable();
    let mut done: Vec<&Option<Step>> = Vec::new();
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < old.len() || r < new.len() {
        if l < old.len() && r < new.len() {
            let step = &old_steps[l];
            if step == &new_steps[r] {
                out.push(merge(items(schema), Some(&old[l]), &new[r]));
                done.push(step);
                (l, r) = (l + 1, r + 1);
                shared.next();
                continue;
            }
            if in_new(step) && shared.peek().is_some_and(|next| *next != step) {
                l += 1;
                continue;
            }
        }
        if l < old.len() {
            if !in_new(&old_steps[l]) {
                out.push(old[l].clone());
                l += 1;
                continue;
            }
            if done.contains(&&old_steps[l]) {
                l += 1;
            }
        }
        if r < new.len() {
            let step = &new_steps[r];
            let live = old_steps.iter().position(|s| s == step).map(|i| &old[i]);
            out.push(merge(items(schema), live, &new[r]));
            done.push(step);
            r += 1;
            if shared.peek().is_some_and(|next| *next == step) {
                shared.next();
            }
        } else if l < old.len() {
            l += 1;
        }
    }
    out
}

/// `value` without the members of `gone`. What becomes empty becomes null.
pub(super) fn remove(schema: Option<&Schema>, value: &Value, gone: &Set) -> Value {
    match (shape(schema, value), value) {
        (Shape::Map, Value::Object(map)) if !map.is_empty() => {
            let keep = map.iter().filter_map(|(name, child)| {
                let node = gone.children.get(&Step::Field(name.clone()));
                if node.is_some_and(|n| n.member) {
                    return None;
                }
                let sub = below(schema, name).0;
                let rest = node.map_or_else(|| child.clone(), |n| remove(sub, child, n));
                Some((name.clone(), rest))
            });
            let out: Map<String, Value> = keep.collect();
            if out.is_empty() { Value::Null } else { Value::Object(out) }
        }
        (Shape::List, Value::Array(all)) if !all.is_empty() => {
            let keep = all.iter().filter_map(|item| {
                let node = item_step(schema, item).and_then(|s| gone.children.get(&s));
                if node.is_some_and(|n| n.member) {
                    return None;
                }
                Some(node.map_or_else(|| item.clone(), |n| remove(items(schema), item, n)))
            });
            let out: Vec<Value> = keep.collect();
            if out.is_empty() { Value::Null } else { Value::Array(out) }
        }
        _ => value.clone(),
    }
}

/// Adds every declared property that has members below it.
pub(super) fn with_named_fields(schema: Option<&Schema>, set: &Set) -> Set {
    let mut out = Set { member: set.member, ..Set::default() };
    for (step, node) in &set.children {
        let (sub, declared) = match step {
            Step::Field(name) => below(schema, name),
            _ => (items(schema), false),
        };
        let mut node = with_named_fields(sub, node);
        node.member |= declared && !node.children.is_empty();
        out.children.insert(step.clone(), node);
    }
    out
}

/// Faults that keep an applied configuration from being typed at all, worded as upstream.
pub(super) fn faults(schema: &Schema, value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    faults_at(Some(schema), value, "", &mut out);
    out
}

fn faults_at(schema: Option<&Schema>, value: &Value, path: &str, out: &mut Vec<String>) {
    let Some(schema) = schema.filter(|_| !value.is_null()) else { return };
    match (schema.kind, value) {
        (Type::Object, Value::Object(map)) => {
            for (name, child) in map {
                let here = format!("{path}.{name}");
                match schema.field(name) {
                    Ok((sub, _)) => faults_at(sub, child, &here, out),
                    Err(()) => out.push(format!("{here}: field not declared in schema")),
                }
            }
        }
        (Type::Array, Value::Array(all)) => list_faults(schema, all, path, out),
        (Type::Object, other) => out.push(format!("{path}: expected map, got {}", go_value(other))),
        (Type::Array, other) => out.push(format!("{path}: expected list, got {}", go_value(other))),
        (Type::String, v) if !v.is_string() => {
            out.push(format!("{path}: expected string, got {}", go_value(v)));
        }
        (Type::Boolean, v) if !v.is_boolean() => {
            out.push(format!("{path}: expected boolean, got {}", go_value(v)));
        }
        (Type::Integer | Type::Number, v) if !v.is_number() => {
            out.push(format!("{path}: expected numeric (int or float), got {}", go_value(v)));
        }
        _ => {}
    }
}

fn list_faults(schema: &Schema, all: &[Value], path: &str, out: &mut Vec<String>) {
    let mut seen: Vec<Step> = Vec::new();
    for (index, item) in all.iter().enumerate() {
        if schema.list == ListType::Atomic {
            faults_at(schema.items.as_deref(), item, &format!("{path}[{index}]"), out);
            continue;
        }
        let Some(step) = item_step(Some(schema), item) else {
            let ListType::Map(keys) = &schema.list else { continue };
            let keys: Vec<String> = keys.iter().map(|k| format!("\"{k}\"")).collect();
            out.push(format!(
                "{path}: element {index}: associative list with keys has an element that omits \
                 all key fields [{}] (and doesn't have default values for any key fields)",
                keys.join(" ")
            ));
            continue;
        };
        let shown = show(&step);
        faults_at(schema.items.as_deref(), item, &format!("{path}{shown}"), out);
        if seen.contains(&step) {
            out.push(format!("{path}: duplicate entries for key {shown}"));
        }
        seen.push(step);
    }
}

fn show(step: &Step) -> String {
    let mut one = Set::default();
    one.insert(std::slice::from_ref(step));
    one.paths().pop().unwrap_or_default()
}

fn go_value(value: &Value) -> String {
    match value {
        Value::String(text) => format!("&{{{text}}}"),
        other => format!("&{{{other}}}"),
    }
}
