//! `metadata.managedFields`: reading, recording updates, server-side apply.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::schema::Schema;
use super::super::status::{ApiError, Cause, Details};
use super::set::{Set, Step};
use super::typed::{self, Comparison};

/// Who writes, and when.
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) subresource: &'a str,
    /// RFC 3339, whole seconds.
    pub(crate) time: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    operation: String,
    manager: String,
    api_version: String,
    subresource: String,
}

#[derive(Clone, Debug)]
struct Share {
    fields: Set,
    time: Option<String>,
}

type Owners = BTreeMap<Owner, Share>;

/// Metadata nobody can own.
const UNOWNED: [&str; 11] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "clusterName",
];

/// Update entries beyond this many are merged into one, oldest first.
const MAX_UPDATERS: usize = 10;

impl Writer<'_> {
    fn owner(&self, operation: &str) -> Owner {
        Owner {
            operation: operation.to_owned(),
            manager: self.manager.to_owned(),
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.to_owned(),
        }
    }
}

/// Records in `new` what an update (or create) from `old` to `new` changed.
pub(crate) fn merge_update(schema: &Schema, old: &Value, new: &mut Value, writer: &Writer<'_>) {
    let mut owners = read(chosen_owners(old, new, writer));
    // An object that is there without owners is not watched over until somebody applies to it.
    if owners.is_empty() && exists(old) {
        return write(new, &owners);
    }
    let changes = strip(typed::compare(schema, old, new));
    let touched = changes.modified.union(&changes.added);
    let me = writer.owner("Update");
    for share in owners.values_mut() {
        share.fields = share.fields.difference(&touched).difference(&changes.removed);
    }
    if !touched.is_empty() {
        let share = owners.entry(me).or_insert(Share { fields: Set::default(), time: None });
        share.fields.add(&touched);
        share.time = Some(writer.time.to_owned());
    }
    owners.retain(|_, share| !share.fields.is_empty());
    cap_updaters(&mut owners);
    write(new, &owners);
}

/// A PUT may carry its own `managedFields`; `[{}]` clears them; none means the live ones.
fn chosen_owners<'a>(old: &'a Value, new: &'a Value, writer: &Writer<'_>) -> &'a Value {
    let sent = &new["metadata"]["managedFields"];
    let given = sent.as_array().is_some_and(|a| !a.is_empty());
    if given && writer.subresource.is_empty() { sent } else { &old["metadata"]["managedFields"] }
}

/// Lays `config` over `live` as `writer`. `live` is an object without fields for a create;
/// `before` is what this endpoint may touch of an object that is there already; `what` names the
/// object in the error of a config that does not fit the schema.
pub(crate) fn apply(
    schema: &Schema,
    live: &Value,
    config: &Value,
    before: Option<&Value>,
    writer: &Writer<'_>,
    force: bool,
    what: &str,
) -> Result<Value, ApiError> {
    check_typed(schema, config, what)?;
    let mut owners = read(&live["metadata"]["managedFields"]);
    if let Some(before) = before.filter(|_| owners.is_empty()) {
        owners.extend([before_first_apply(schema, before, writer)]);
    }
    let me = writer.owner("Apply");
    let mut mine = typed::to_set(Some(schema), config);
    strip_set(&mut mine);
    let merged = typed::merge(Some(schema), Some(live), config);
    let last = owners.get(&me).cloned();
    let share = Share { fields: mine, time: last.as_ref().and_then(|s| s.time.clone()) };
    owners.insert(me.clone(), share);
    let mut object = match &last {
        Some(last) => prune(schema, merged, &owners, &last.fields),
        None => merged,
    };
    let changes = strip(typed::compare(schema, live, &object));
    take_over(&mut owners, &me, &changes, force)?;
    let changed =
        !(changes.added.is_empty() && changes.removed.is_empty() && changes.modified.is_empty());
    if let Some(share) = owners.get_mut(&me).filter(|_| changed) {
        share.time = Some(writer.time.to_owned());
    }
    owners.retain(|_, share| !share.fields.is_empty());
    write(&mut object, &owners);
    Ok(object)
}

fn exists(object: &Value) -> bool {
    object["metadata"]["uid"].is_string()
}

/// All that an object without owners holds, as somebody's update.
fn before_first_apply(schema: &Schema, live: &Value, writer: &Writer<'_>) -> (Owner, Share) {
    let nothing = json!({"metadata": {}});
    let fields = strip(typed::compare(schema, &nothing, live)).added;
    let manager = "before-first-apply".to_owned();
    let owner = Owner { manager, subresource: String::new(), ..writer.owner("Update") };
    (owner, Share { fields, time: Some(writer.time.to_owned()) })
}

fn check_typed(schema: &Schema, config: &Value, what: &str) -> Result<(), ApiError> {
    let faults = typed::faults(schema, config);
    let listed = match faults.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let message = format!("failed to create typed patch object ({what}): {listed}");
    Err(ApiError::internal(message))
}

/// Takes out what the last apply owned and nobody owns now.
fn prune(schema: &Schema, merged: Value, owners: &Owners, last: &Set) -> Value {
    let schema = Some(schema);
    let named = |set: &Set| typed::with_named_fields(schema, set);
    let last = named(last);
    let pruned = typed::remove(schema, &merged, &last);
    let mut owned = Set::default();
    owners.values().for_each(|share| owned.add(&share.fields));
    let all = named(&typed::to_set(schema, &merged));
    let kept = named(&typed::to_set(schema, &pruned)).union(&named(&owned));
    let pruned = typed::remove(schema, &merged, &all.difference(&kept));
    let dangling = all.difference(&named(&typed::to_set(schema, &pruned))).intersection(&last);
    typed::remove(schema, &merged, &dangling)
}

fn take_over(
    owners: &mut Owners,
    me: &Owner,
    changes: &Comparison,
    force: bool,
) -> Result<(), ApiError> {
    let touched = changes.modified.clone().union(&changes.added);
    let mut conflicts = Vec::new();
    for (owner, share) in owners.iter_mut().filter(|(owner, _)| *owner != me) {
        let theirs = share.fields.intersection(&touched);
        if !theirs.is_empty() {
            conflicts.push((shown(owner), theirs.paths()));
        }
        share.fields = share.fields.difference(&theirs).difference(&changes.removed);
    }
    if conflicts.is_empty() || force { Ok(()) } else { Err(conflict(&conflicts)) }
}

fn shown(owner: &Owner) -> String {
    let mut out = format!("\"{}\"", owner.manager);
    if !owner.subresource.is_empty() {
        out += &format!(" with subresource \"{}\"", owner.subresource);
    }
    if owner.operation == "Update" {
        out += &format!(" using {}", owner.api_version);
    }
    out
}

fn conflict(conflicts: &[(String, Vec<String>)]) -> ApiError {
    let mut causes = Vec::new();
    let mut text = Vec::new();
    for (who, paths) in conflicts {
        for path in paths {
            let why = format!("conflict with {who}");
            causes.push(Cause::new("FieldManagerConflict", path, why));
        }
        match paths.as_slice() {
            [one] => text.push(format!("conflict with {who}: {one}")),
            many => text.push(format!("conflicts with {who}:\n- {}", many.join("\n- "))),
        }
    }
    let plural = if causes.len() == 1 { "" } else { "s" };
    let message =
        format!("Apply failed with {} conflict{plural}: {}", causes.len(), text.join("\n"));
    let mut out = ApiError::new(409, "Conflict", message);
    out.details = Some(Box::new(Details { causes, ..Details::default() }));
    out
}

fn strip(mut changes: Comparison) -> Comparison {
    for set in [&mut changes.added, &mut changes.removed, &mut changes.modified] {
        strip_set(set);
    }
    changes
}

fn strip_set(set: &mut Set) {
    set.remove_tree(&["apiVersion"]);
    set.remove_tree(&["kind"]);
    UNOWNED.iter().for_each(|name| set.remove_tree(&["metadata", name]));
    if let Some(node) = set.children.get_mut(&Step::Field("metadata".into())) {
        node.member = false;
    }
}

fn cap_updaters(owners: &mut Owners) {
    let mut updaters: Vec<(Option<String>, Owner)> = owners
        .iter()
        .filter(|(owner, _)| owner.operation == "Update" && owner.subresource.is_empty())
        .map(|(owner, share)| (share.time.clone(), owner.clone()))
        .collect();
    if updaters.len() <= MAX_UPDATERS {
        return;
    }
    updaters.sort();
    let surplus = updaters.len() - MAX_UPDATERS + 1;
    for (time, owner) in updaters.into_iter().take(surplus) {
        let Some(share) = owners.remove(&owner) else { continue };
        let bucket = Owner { manager: "ancient-changes".into(), ..owner };
        let into = owners.entry(bucket).or_insert(Share { fields: Set::default(), time: None });
        into.fields.add(&share.fields);
        into.time = time;
    }
}

fn read(entries: &Value) -> Owners {
    let all = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let mut out = Owners::new();
    for entry in all.iter().filter(|e| e["fieldsV1"].is_object()) {
        let owner = Owner {
            operation: text(entry, "operation"),
            manager: text(entry, "manager"),
            api_version: text(entry, "apiVersion"),
            subresource: text(entry, "subresource"),
        };
        let time = entry["time"].as_str().map(str::to_owned);
        out.insert(owner, Share { fields: Set::from_value(&entry["fieldsV1"]), time });
    }
    out
}

fn write(object: &mut Value, owners: &Owners) {
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if owners.is_empty() {
        meta.remove("managedFields");
        return;
    }
    let mut all: Vec<(&Owner, &Share)> = owners.iter().collect();
    all.sort_by_key(|(o, s)| (&o.operation, &s.time, &o.manager, &o.api_version, &o.subresource));
    let entries = all.into_iter().map(|(owner, share)| entry(owner, share)).collect();
    meta.insert("managedFields".into(), entries);
}

fn entry(owner: &Owner, share: &Share) -> Value {
    let mut out = json!({
        "manager": owner.manager, "operation": owner.operation, "apiVersion": owner.api_version,
        "fieldsType": "FieldsV1", "fieldsV1": share.fields.to_value(),
    });
    if !owner.subresource.is_empty() {
        out["subresource"] = json!(owner.subresource);
    }
    if let Some(time) = &share.time {
        out["time"] = json!(time);
    }
    out
}

/// The object without resourceVersion and the times in `managedFields`: if two objects agree in
/// this, writing the second is no write.
pub(crate) fn forget_times(object: &Value) -> Value {
    let mut out = object.clone();
    let Some(meta) = out.get_mut("metadata").and_then(Value::as_object_mut) else { return out };
    meta.remove("resourceVersion");
    let entries = meta.get_mut("managedFields").and_then(Value::as_array_mut);
    let mut entries: Vec<Value> = entries.map(std::mem::take).unwrap_or_default();
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        entry.remove("time");
    }
    // Their order depends on the times, too.
    entries.sort_by_key(Value::to_string);
    meta.insert("managedFields".into(), Value::Array(entries));
    out
}
