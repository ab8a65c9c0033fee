//! Deletion, garbage collection, the end of namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::ApiServer;
use super::names;
use super::read::table_of;
use super::request::{Request, Response, Verb};
use super::resource::ResourceDef;
use super::selector::Selector;
use super::status::{ApiError, Cause};
use super::store::Key;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Rounds of garbage collection in one step; a longer chain of owners goes on in the next.
const MAX_ROUNDS: usize = 64;

impl ApiServer {
    pub(super) fn delete(&mut self, now: i64, req: &Request) -> Result<Response, ApiError> {
        let def = self.writable(req)?;
        let policy = policy(req)?;
        let key = req.key();
        let found = self.store.get(table_of(&req.resource), &key).cloned();
        let object = found.ok_or_else(|| ApiError::not_found(&def, &req.name))?;
        check_preconditions(&def, &req.name, &req.body["preconditions"], &object)?;
        let finalizers = finalizers(&object, policy);
        if def.plural == "namespaces" && def.group.is_empty() {
            return Ok(Response::ok(200, self.end_namespace(now, &key, &object, req.dry())));
        }
        if !finalizers.is_empty() {
            let marked = self.mark(now, &def, &key, &object, finalizers, req.dry());
            return Ok(Response::ok(200, marked));
        }
        if !req.dry() {
            self.store.remove(now, table_of(&req.resource), &key);
            self.unsettled = true;
        }
        if def.plural == "services" && def.group.is_empty() {
            return Ok(Response::ok(200, object));
        }
        let mut details =
            json!({"name": req.name, "kind": def.plural, "uid": object["metadata"]["uid"]});
        if !def.group.is_empty() {
            details["group"] = json!(def.group);
        }
        let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Success", "details": details});
        Ok(Response::ok(200, Arc::new(body)))
    }

    pub(super) fn delete_collection(
        &mut self,
        now: i64,
        req: &Request,
    ) -> Result<Response, ApiError> {
        self.writable(req)?;
        let listed = self.list(&Request { verb: Verb::List, ..req.clone() }, None)?;
        let items = listed.body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        for item in items {
            let text = |name: &str| item["metadata"][name].as_str().unwrap_or_default().to_owned();
            let mut one = Request { verb: Verb::Delete, name: text("name"), ..req.clone() };
            one.namespace = Some(text("namespace")).filter(|ns| !ns.is_empty());
            match self.delete(now, &one) {
                Err(error) if error.code != 404 => return Err(error),
                _ => {}
            }
        }
        Ok(listed)
    }

    /// Marks an object as to be deleted once its finalizers are gone.
    fn mark(
        &mut self,
        now: i64,
        def: &ResourceDef,
        key: &Key,
        object: &Arc<Value>,
        finalizers: Vec<Value>,
        dry: bool,
    ) -> Arc<Value> {
        let mut out = Value::clone(object);
        let meta = &mut out["metadata"];
        if meta["deletionTimestamp"].is_null() {
            meta["deletionTimestamp"] = json!(names::rfc3339(now));
            meta["deletionGracePeriodSeconds"] = json!(0);
            if let Some(generation) = meta["generation"].as_i64() {
                meta["generation"] = json!(generation + 1);
            }
        }
        meta["finalizers"] = Value::Array(finalizers);
        if out == **object {
            return object.clone();
        }
        if dry {
            return Arc::new(out);
        }
        self.unsettled = true;
        self.store.put(now, table_of(&def.key()), key.clone(), out)
    }

    fn end_namespace(&mut self, now: i64, key: &Key, object: &Arc<Value>, dry: bool) -> Arc<Value> {
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return object.clone();
        }
        let mut out = Value::clone(object);
        out["metadata"]["deletionTimestamp"] = json!(names::rfc3339(now));
        out["status"]["phase"] = json!("Terminating");
        if dry {
            return Arc::new(out);
        }
        self.unsettled = true;
        self.store.put(now, "namespaces", key.clone(), out)
    }

    /// What controllers of a real cluster do about owners and namespaces, to the end: objects
    /// whose owners are all gone are deleted in the background, references to owners that are
    /// gone are dropped where others remain, foreground and orphan deletions are carried on,
    /// ending namespaces are emptied and then removed. Returns how many objects it touched.
    pub fn collect_garbage(&mut self, now: i64) -> usize {
        let mut touched = 0;
        for _ in 0..MAX_ROUNDS {
            if !std::mem::take(&mut self.unsettled) {
                break;
            }
            let in_round = self.collect_owned(now) + self.collect_namespaces(now);
            touched += in_round;
            // Deleting unsettles again by itself; a round without effect is the last.
            self.unsettled &= in_round > 0;
        }
        touched
    }

    fn collect_owned(&mut self, now: i64) -> usize {
        let owners = self.owners();
        let mut work = Vec::new();
        let mut blocked = BTreeSet::new();
        for (resource, table) in self.store.tables() {
            for (key, object) in &table.objects {
                let Some(refs) = object["metadata"]["ownerReferences"].as_array() else { continue };
                let fate = fate(refs, &key.0, &owners, &mut blocked);
                if let Some(fate) = fate {
                    work.push((resource.clone(), key.clone(), fate));
                }
            }
        }
        let released: Vec<(String, Key, &str)> = owners
            .values()
            .filter(|o| !blocked.contains(&o.uid))
            .filter_map(|o| Some((o.resource.clone(), o.key.clone(), o.waits_as?)))
            .collect();
        let mut touched = 0;
        for (resource, key, fate) in work {
            touched += usize::from(self.carry_out(now, &resource, &key, &fate));
        }
        for (resource, key, finalizer) in released {
            touched += usize::from(self.release(now, &resource, &key, finalizer));
        }
        touched
    }

    fn owners(&self) -> BTreeMap<String, Owner> {
        let mut out = BTreeMap::new();
        for (resource, table) in self.store.tables() {
            for (key, object) in &table.objects {
                let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
                let owner = Owner {
                    uid: uid.clone(),
                    resource: resource.clone(),
                    key: key.clone(),
                    waits_as: waits_as(object),
                };
                out.insert(uid, owner);
            }
        }
        out
    }

    fn carry_out(&mut self, now: i64, resource: &str, key: &Key, fate: &Fate) -> bool {
        match fate {
            Fate::Delete(policy) => {
                let mut req = Request::delete(resource, &key.0, &key.1);
                req.options.propagation_policy = (*policy).to_owned();
                let before = self.store.version;
                self.delete(now, &req).is_ok() && self.store.version > before
            }
            Fate::Disown(uids) => {
                let Some(object) = self.store.get(resource, key) else { return false };
                let mut out = Value::clone(object);
                let meta = &mut out["metadata"];
                if let Some(Value::Array(refs)) = meta.get_mut("ownerReferences") {
                    refs.retain(|r| !uids.iter().any(|uid| r["uid"] == *uid));
                }
                drop_empty(meta, "ownerReferences");
                self.store.put(now, resource, key.clone(), out);
                self.unsettled = true;
                true
            }
        }
    }

    fn release(&mut self, now: i64, resource: &str, key: &Key, finalizer: &str) -> bool {
        let Some(object) = self.store.get(resource, key) else { return false };
        let mut out = Value::clone(object);
        let meta = &mut out["metadata"];
        if let Some(Value::Array(all)) = meta.get_mut("finalizers") {
            all.retain(|f| f != finalizer);
        }
        drop_empty(meta, "finalizers");
        if meta.get("finalizers").is_none() {
            self.store.remove(now, resource, key);
        } else {
            self.store.put(now, resource, key.clone(), out);
        }
        self.unsettled = true;
        true
    }

    fn collect_namespaces(&mut self, now: i64) -> usize {
        let ending: Vec<String> = self
            .store
            .table("namespaces")
            .objects
            .iter()
            .filter(|(_, o)| !o["metadata"]["deletionTimestamp"].is_null())
            .map(|(key, _)| key.1.clone())
            .collect();
        ending.iter().map(|name| self.collect_namespace(now, name)).sum()
    }

    fn collect_namespace(&mut self, now: i64, name: &str) -> usize {
        let inside: Vec<(String, Key)> = self
            .store
            .tables()
            .flat_map(|(resource, table)| {
                let keys = table.objects.keys().filter(|key| key.0 == name);
                keys.map(|key| (resource.clone(), key.clone()))
            })
            .collect();
        if !inside.is_empty() {
            let delete = Fate::Delete("Background");
            let all = inside.iter();
            return all.filter(|(r, key)| self.carry_out(now, r, key, &delete)).count();
        }
        let key = (String::new(), name.to_owned());
        let held = |o: &Arc<Value>| o["metadata"]["finalizers"].is_array();
        if self.store.get("namespaces", &key).is_none_or(held) {
            return 0;
        }
        self.store.remove(now, "namespaces", &key);
        self.unsettled = true;
        1
    }

    /// Removes objects whose time in the cluster is over: Events after `ttl_ms` milliseconds (a
    /// real API server keeps them for an hour). Returns how many.
    pub fn expire_events(&mut self, now: i64, ttl_ms: i64) -> usize {
        let limit = names::rfc3339(now.saturating_sub(ttl_ms));
        let old: Vec<Key> = self
            .store
            .table("events")
            .objects
            .iter()
            .filter(|(_, o)| o["metadata"]["creationTimestamp"].as_str() < Some(&limit))
            .map(|(key, _)| key.clone())
            .collect();
        old.iter().for_each(|key| self.store.remove(now, "events", key));
        old.len()
    }

    /// The objects of a resource that a selector selects, by namespace and name.
    pub fn objects(&self, resource: &str, selector: &Selector) -> Vec<Arc<Value>> {
        let all = self.store.table(table_of(resource)).objects.values().cloned();
        let all = all.map(|o| super::read::outward(resource, o));
        all.filter(|o| selector.matches(o)).collect()
    }
}

struct Owner {
    uid: String,
    resource: String,
    key: Key,
    /// The finalizer that holds it until its dependants are seen to.
    waits_as: Option<&'static str>,
}

enum Fate {
    Delete(&'static str),
    Disown(Vec<String>),
}

fn waits_as(object: &Value) -> Option<&'static str> {
    let meta = &object["metadata"];
    meta.get("deletionTimestamp")?;
    let all = meta["finalizers"].as_array()?;
    [FOREGROUND, ORPHAN].into_iter().find(|name| all.iter().any(|f| f == name))
}

/// What becomes of an object with these owners. Owners it holds up are added to `blocked`.
fn fate(
    refs: &[Value],
    namespace: &str,
    owners: &BTreeMap<String, Owner>,
    blocked: &mut BTreeSet<String>,
) -> Option<Fate> {
    let (mut gone, mut waiting, mut solid) = (Vec::new(), Vec::new(), 0);
    for reference in refs {
        let uid = reference["uid"].as_str().unwrap_or_default();
        let found = owners.get(uid).filter(|o| o.key.0.is_empty() || o.key.0 == namespace);
        match found.map(|o| o.waits_as) {
            None => gone.push(uid.to_owned()),
            Some(Some(ORPHAN)) => {
                blocked.insert(uid.to_owned());
                return Some(Fate::Disown(vec![uid.to_owned()]));
            }
            Some(Some(_)) => {
                if reference["blockOwnerDeletion"] == true {
                    blocked.insert(uid.to_owned());
                }
                waiting.push(uid.to_owned());
            }
            Some(None) => solid += 1,
        }
    }
    match (solid, gone.is_empty() && waiting.is_empty()) {
        (_, true) => None,
        (0, false) if waiting.is_empty() => Some(Fate::Delete("Background")),
        (0, false) => Some(Fate::Delete("Foreground")),
        (_, false) => Some(Fate::Disown([gone, waiting].concat())),
    }
}

fn drop_empty(meta: &mut Value, name: &str) {
    let Some(map) = meta.as_object_mut() else { return };
    if map.get(name).and_then(Value::as_array).is_some_and(Vec::is_empty) {
        map.remove(name);
    }
}

fn policy(req: &Request) -> Result<&str, ApiError> {
    let in_body = req.body["propagationPolicy"].as_str();
    let policy = in_body.unwrap_or(&req.options.propagation_policy);
    if matches!(policy, "" | "Foreground" | "Background" | "Orphan") {
        return Ok(policy);
    }
    let text = format!(
        "Unsupported value: \"{policy}\": supported values: \"Foreground\", \"Background\", \
         \"Orphan\", \"nil\""
    );
    let cause = Cause::new("FieldValueNotSupported", "propagationPolicy", text);
    Err(ApiError::invalid_options("DeleteOptions", cause))
}

/// The finalizers the object has once its deletion has begun under this policy.
fn finalizers(object: &Value, policy: &str) -> Vec<Value> {
    let mut out = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let wanted = match policy {
        "Foreground" => Some(FOREGROUND),
        "Orphan" => Some(ORPHAN),
        _ => None,
    };
    if !policy.is_empty() {
        out.retain(|f| (f != FOREGROUND && f != ORPHAN) || wanted.is_some_and(|w| f == w));
    }
    if let Some(name) = wanted.filter(|w| !out.iter().any(|f| f == w)) {
        out.push(json!(name));
    }
    out
}

fn check_preconditions(
    def: &ResourceDef,
    name: &str,
    preconditions: &Value,
    object: &Value,
) -> Result<(), ApiError> {
    let meta = &object["metadata"];
    let wrong = |field: &str| {
        let asked = preconditions[field].as_str()?;
        (meta[field] != asked).then(|| asked.to_owned())
    };
    let held = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
    if let Some(asked) = wrong("uid") {
        let why = format!(
            "the UID in the precondition ({asked}) does not match the UID in record ({}). The \
             object might have been deleted and then recreated",
            held("uid")
        );
        return Err(ApiError::precondition(def, name, &why));
    }
    if let Some(asked) = wrong("resourceVersion") {
        let why = format!(
            "the ResourceVersion in the precondition ({asked}) does not match the \
             ResourceVersion in record ({}). The object might have been modified",
            held("resourceVersion")
        );
        return Err(ApiError::precondition(def, name, &why));
    }
    Ok(())
}
