//! Create, update and patch.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ApiServer;
use super::decode::{self, Decoded};
use super::fields::{self, Writer};
use super::names;
use super::patch::{self, JsonPatchError};
use super::read::{inward, outward, table_of};
use super::request::{PatchType, Request, Response, Verb};
use super::resource::ResourceDef;
use super::rules;
use super::status::{ApiError, Cause};
use super::{strategic, structural};

/// Metadata only the server sets; a write without them keeps the stored ones.
const KEPT: [&str; 7] = [
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "namespace",
    "selfLink",
];

/// How often a generated name is drawn again if it is taken.
const NAME_DRAWS: usize = 8;

impl ApiServer {
    pub(super) fn create(&mut self, now: i64, req: &Request) -> Result<Response, ApiError> {
        let def = self.writable(req)?;
        check_options(req, "CreateOptions")?;
        let Decoded { mut object, warnings } = decode::decode(&def, req, req.body.clone())?;
        if object["metadata"]["resourceVersion"].is_string() {
            let text = "resourceVersion should not be set on objects to be created";
            return Err(ApiError::internal(text));
        }
        self.admit_into_namespace(&def, req, &object)?;
        reset(&def, &mut object, None, "");
        remove_meta(&mut object, &["managedFields"]);
        let zero = rules::skeleton(&def.key());
        let (manager, api_version, time) = stamps(&def, req, now);
        let writer =
            Writer { manager: &manager, api_version: &api_version, subresource: "", time: &time };
        fields::merge_update(&def.schema, &zero, &mut object, &writer);
        let mut response = self.insert(now, &def, req, object)?;
        response.warnings.extend(warnings);
        Ok(response)
    }

    /// Names, stamps, checks and stores a new object.
    fn insert(
        &mut self,
        now: i64,
        def: &ResourceDef,
        req: &Request,
        mut object: Value,
    ) -> Result<Response, ApiError> {
        self.draw_name(def, req, &mut object);
        let meta = &mut object["metadata"];
        meta["uid"] = json!(self.identifiers.uid());
        meta["creationTimestamp"] = json!(names::rfc3339(now));
        remove_meta(
            &mut object,
            &["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generation"],
        );
        if def.generation {
            object["metadata"]["generation"] = json!(1);
        }
        rules::prepare(&def.key(), &mut object, None, &mut self.identifiers);
        let name = text(&object["metadata"]["name"]);
        validate(def, &object, None)?;
        let key = (req.namespace.clone().unwrap_or_default(), name.clone());
        if self.store.get(table_of(&req.resource), &key).is_some() {
            return Err(ApiError::already_exists(def, &name));
        }
        if object["metadata"]["ownerReferences"].is_array() {
            self.unsettled = true;
        }
        let stored = if req.dry() {
            Arc::new(object)
        } else {
            let kept = inward(&req.resource, object);
            let put = self.store.put(now, table_of(&req.resource), key, kept);
            outward(&req.resource, put)
        };
        Ok(Response::ok(201, stored))
    }

    fn draw_name(&mut self, def: &ResourceDef, req: &Request, object: &mut Value) {
        let meta = &mut object["metadata"];
        let base = text(&meta["generateName"]);
        if meta["name"].is_string() || base.is_empty() {
            return;
        }
        let namespace = req.namespace.clone().unwrap_or_default();
        for _ in 0..NAME_DRAWS {
            let name = self.identifiers.generated_name(&base);
            let key = (namespace.clone(), name);
            if self.store.get(table_of(&def.key()), &key).is_none() {
                meta["name"] = json!(key.1);
                return;
            }
        }
    }

    fn admit_into_namespace(
        &self,
        def: &ResourceDef,
        req: &Request,
        object: &Value,
    ) -> Result<(), ApiError> {
        let Some(namespace) = req.namespace.as_ref().filter(|_| def.namespaced) else {
            return Ok(());
        };
        let key = (String::new(), namespace.clone());
        let found = self.store.get("namespaces", &key);
        let found = found.ok_or_else(|| ApiError::no_namespace(namespace))?;
        if found["metadata"]["deletionTimestamp"].is_null() {
            return Ok(());
        }
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut error = ApiError::forbidden(def, &text(&object["metadata"]["name"]), &why);
        let cause = Cause::new(
            "NamespaceTerminating",
            "metadata.namespace",
            format!("namespace {namespace} is being terminated"),
        );
        error.details.get_or_insert_default().causes.push(cause);
        Err(error)
    }

    pub(super) fn update(&mut self, now: i64, req: &Request) -> Result<Response, ApiError> {
        let def = self.writable(req)?;
        check_options(req, "UpdateOptions")?;
        let Decoded { object, warnings } = decode::decode(&def, req, req.body.clone())?;
        check_name(req, &object)?;
        let existing = self.existing(&def, req)?;
        let mut response = self.replace(now, &def, req, &existing, object, false)?;
        response.warnings.extend(warnings);
        Ok(response)
    }

    pub(super) fn patch(
        &mut self,
        now: i64,
        kind: PatchType,
        req: &Request,
    ) -> Result<Response, ApiError> {
        let def = self.writable(req)?;
        check_options(req, "PatchOptions")?;
        if kind == PatchType::Apply {
            return self.apply(now, &def, req);
        }
        if req.options.force.is_some() {
            let why = "may not be specified for non-apply patch";
            let cause = Cause::forbidden("force", why);
            return Err(ApiError::invalid_options("PatchOptions", cause));
        }
        let existing = self.existing(&def, req)?;
        let patched = patched(&def, kind, &existing, &req.body)?;
        let Decoded { object, warnings } = decode::decode(&def, req, patched)?;
        check_name(req, &object)?;
        let mut response = self.replace(now, &def, req, &existing, object, false)?;
        response.warnings.extend(warnings);
        Ok(response)
    }

    fn existing(&self, def: &ResourceDef, req: &Request) -> Result<Arc<Value>, ApiError> {
        let found = self.store.get(table_of(&req.resource), &req.key()).cloned();
        let found = found.ok_or_else(|| ApiError::not_found(def, &req.name))?;
        Ok(outward(&req.resource, found))
    }

    fn apply(&mut self, now: i64, def: &ResourceDef, req: &Request) -> Result<Response, ApiError> {
        let config = self.apply_config(def, req)?;
        let existing = match self.existing(def, req) {
            Ok(found) => Some(found),
            Err(missing) if !req.subresource.is_empty() => return Err(missing),
            Err(_) => None,
        };
        let zero = rules::skeleton(&def.key());
        let live = existing.as_deref().unwrap_or(&zero);
        let (manager, api_version, time) = stamps(def, req, now);
        let writer = Writer {
            manager: &manager,
            api_version: &api_version,
            subresource: &req.subresource,
            time: &time,
        };
        let force = req.options.force == Some(true);
        let before = existing.as_deref().map(|existing| {
            let mut out = existing.clone();
            reset(def, &mut out, None, &req.subresource);
            out
        });
        let what = sent_as(def, req);
        let mut object =
            fields::apply(&def.schema, live, &config, before.as_ref(), &writer, force, &what)?;
        decode::finish(def, &mut object)?;
        match existing {
            Some(existing) => self.replace(now, def, req, &existing, object, true),
            None => {
                self.admit_into_namespace(def, req, &object)?;
                self.insert(now, def, req, object)
            }
        }
    }

    /// The applied configuration, checked and without what its endpoint ignores.
    fn apply_config(&self, def: &ResourceDef, req: &Request) -> Result<Value, ApiError> {
        if req.options.field_manager.is_empty() {
            let cause = Cause::required("fieldManager", "is required for apply patch");
            return Err(ApiError::invalid_options("PatchOptions", cause));
        }
        let mut config = req.body.clone();
        let (kind, api_version) = (text(&config["kind"]), text(&config["apiVersion"]));
        if kind != def.kind || api_version != def.api_version() {
            let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
            return Err(ApiError::bad_request(format!(
                "invalid object type: {group}/{version}, Kind={kind}"
            )));
        }
        decode::place(def, req, &mut config)?;
        let meta = &mut config["metadata"];
        if meta["managedFields"].as_array().is_some_and(|a| !a.is_empty()) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        if meta["name"].is_null() {
            meta["name"] = json!(req.name);
        }
        check_name(req, &config)?;
        reset(def, &mut config, None, &req.subresource);
        Ok(config)
    }

    /// Everything an update has in common, whatever it came from.
    fn replace(
        &mut self,
        now: i64,
        def: &ResourceDef,
        req: &Request,
        existing: &Arc<Value>,
        mut object: Value,
        applied: bool,
    ) -> Result<Response, ApiError> {
        check_version(def, req, existing, &object)?;
        check_uid(def, req, existing, &object)?;
        reset(def, &mut object, Some(existing), &req.subresource);
        for name in KEPT {
            keep_meta(existing, &mut object, name);
        }
        if !applied {
            let (manager, api_version, time) = stamps(def, req, now);
            let writer = Writer {
                manager: &manager,
                api_version: &api_version,
                subresource: &req.subresource,
                time: &time,
            };
            fields::merge_update(&def.schema, existing, &mut object, &writer);
        }
        rules::prepare(&def.key(), &mut object, Some(existing), &mut self.identifiers);
        count_generation(def, existing, &mut object);
        validate(def, &object, Some(existing))?;
        self.commit(now, def, req, existing, object)
    }

    fn commit(
        &mut self,
        now: i64,
        def: &ResourceDef,
        req: &Request,
        existing: &Arc<Value>,
        mut object: Value,
    ) -> Result<Response, ApiError> {
        object["metadata"]["resourceVersion"] = existing["metadata"]["resourceVersion"].clone();
        if fields::forget_times(existing) == fields::forget_times(&object) {
            return Ok(Response::ok(200, existing.clone()));
        }
        if req.dry() {
            return Ok(Response::ok(200, Arc::new(object)));
        }
        let table = table_of(&req.resource);
        let doomed = !object["metadata"]["deletionTimestamp"].is_null();
        let owners = |o: &Value| o["metadata"]["ownerReferences"].clone();
        self.unsettled |= doomed || owners(existing) != owners(&object);
        let held = object["metadata"]["finalizers"].is_array() || def.plural == "namespaces";
        if doomed && !held {
            self.store.remove(now, table, &req.key());
            return Ok(Response::ok(200, Arc::new(object)));
        }
        let kept = inward(&req.resource, object);
        let stored = self.store.put(now, table, req.key(), kept);
        Ok(Response::ok(200, outward(&req.resource, stored)))
    }
}

/// `namespace/name; group/version, Kind=kind`, as the client wrote it.
fn sent_as(def: &ResourceDef, req: &Request) -> String {
    let meta = &req.body["metadata"];
    format!("{}/{}; {}", text(&meta["namespace"]), text(&meta["name"]), def.gvk_text())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn stamps(def: &ResourceDef, req: &Request, now: i64) -> (String, String, String) {
    (req.manager(), def.api_version(), names::rfc3339(now))
}

fn remove_meta(object: &mut Value, fields: &[&str]) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.retain(|name, _| !fields.contains(&name.as_str()));
    }
}

fn keep_meta(existing: &Value, object: &mut Value, name: &str) {
    match existing["metadata"].get(name) {
        Some(value) => object["metadata"][name] = value.clone(),
        None => remove_meta(object, &[name]),
    }
}

/// What an endpoint may not touch goes back to what is stored (or away, for a new object).
fn reset(def: &ResourceDef, object: &mut Value, existing: Option<&Value>, subresource: &str) {
    if !def.status {
        return;
    }
    if subresource.is_empty() {
        restore(object, existing, "status");
    } else if def.builtin {
        restore(object, existing, "spec");
    } else {
        status_only(object, existing);
    }
}

fn restore(object: &mut Value, existing: Option<&Value>, field: &str) {
    let Some(map) = object.as_object_mut() else { return };
    match existing.and_then(|e| e.get(field)) {
        Some(stored) => map.insert(field.to_owned(), stored.clone()),
        None => map.remove(field),
    };
}

/// On `/status` of a custom resource nothing but status is heard.
fn status_only(object: &mut Value, existing: Option<&Value>) {
    let status = object.get("status").cloned();
    let mut out = match existing {
        Some(existing) => existing.clone(),
        None => {
            let meta = &object["metadata"];
            let named = json!({"name": meta["name"], "namespace": meta["namespace"]});
            let mut out = json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
                "metadata": named});
            if let Some(version) = meta.get("resourceVersion") {
                out["metadata"]["resourceVersion"] = version.clone();
            }
            out
        }
    };
    if existing.is_some() {
        // Ownership was already settled if this comes from an apply.
        keep_meta(object, &mut out, "managedFields");
    }
    if let Some(map) = out.as_object_mut() {
        map.remove("status");
        map.extend(status.map(|s| ("status".to_owned(), s)));
    }
    *object = out;
}

fn patched(
    def: &ResourceDef,
    kind: PatchType,
    existing: &Value,
    body: &Value,
) -> Result<Value, ApiError> {
    let mut out = existing.clone();
    match kind {
        PatchType::Merge if body.is_object() => patch::merge(&mut out, body),
        PatchType::Strategic if !def.builtin => {
            return Err(ApiError::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, \
                 application/apply-patch+yaml",
            ));
        }
        PatchType::Strategic => {
            strategic::merge(Some(&def.schema), &mut out, body).map_err(|directive| {
                let why = format!("application/merge-patch+json (not understood: {directive})");
                ApiError::unsupported_media_type(&why)
            })?;
        }
        PatchType::Json => patch::json(&mut out, body).map_err(|error| match error {
            JsonPatchError::Malformed => ApiError::bad_request("invalid JSON patch"),
            JsonPatchError::Failed => {
                let text = "the server rejected our request due to an error in our request";
                let mut error = ApiError::new(422, "Invalid", text);
                error.details = Some(Box::default());
                error
            }
        })?,
        _ => return Err(ApiError::bad_request("invalid JSON patch")),
    }
    Ok(out)
}

fn check_options(req: &Request, kind: &str) -> Result<(), ApiError> {
    let dry = &req.options.dry_run;
    if !dry.is_empty() && dry.iter().any(|d| d != "All") {
        let shown: Vec<String> = dry.iter().map(|d| format!("\"{d}\"")).collect();
        let text = format!("Unsupported value: [{}]: supported values: \"All\"", shown.join(","));
        let cause = Cause::new("FieldValueNotSupported", "dryRun", text);
        return Err(ApiError::invalid_options(kind, cause));
    }
    let manager = &req.options.field_manager;
    if manager.chars().count() > 128 {
        let why = "Too long: may not be more than 128 bytes";
        let cause = Cause::new("FieldValueTooLong", "fieldManager", why);
        return Err(ApiError::invalid_options(kind, cause));
    }
    Ok(())
}

fn check_name(req: &Request, object: &Value) -> Result<(), ApiError> {
    match object["metadata"]["name"].as_str() {
        Some(name) if name == req.name => Ok(()),
        Some(name) => Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            req.name
        ))),
        None => Err(ApiError::bad_request(
            "the name of the object (based on URL) was undeterminable: name must be provided",
        )),
    }
}

fn check_version(
    def: &ResourceDef,
    req: &Request,
    existing: &Value,
    object: &Value,
) -> Result<(), ApiError> {
    match object["metadata"]["resourceVersion"].as_str() {
        Some(version) if existing["metadata"]["resourceVersion"] == version => Ok(()),
        Some(version) if version.parse::<u64>().is_err() => {
            let shown = Value::from(version);
            let why = format!("strconv.ParseUint: parsing {shown}: invalid syntax");
            let cause = Cause::invalid("metadata.resourceVersion", &shown, &why);
            Err(ApiError::invalid(def, &req.name, vec![cause]))
        }
        Some("0") if def.unconditional_update => Ok(()),
        Some(version) if version != "0" => Err(ApiError::modified(def, &req.name)),
        _ if def.unconditional_update => Ok(()),
        _ => {
            let why = "must be specified for an update";
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), why);
            // Alone of all, this one names the resource as the kind.
            Err(ApiError::invalid_as(&def.group, &def.plural, &req.name, vec![cause]))
        }
    }
}

fn check_uid(
    def: &ResourceDef,
    req: &Request,
    existing: &Value,
    object: &Value,
) -> Result<(), ApiError> {
    let stored = &existing["metadata"]["uid"];
    let given = &object["metadata"]["uid"];
    if given.is_null() || given == stored {
        return Ok(());
    }
    let given_text = text(given);
    if req.verb == Verb::Update {
        let group = if def.builtin { String::new() } else { format!("{}/", def.group) };
        let namespace = req.namespace.as_ref().map(|ns| format!("{ns}/")).unwrap_or_default();
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{namespace}{}, \
             ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: \
             {given_text}, UID in object meta: {}",
            def.plural,
            req.name,
            text(stored)
        );
        return Err(ApiError::conflict(def, &req.name, &why));
    }
    let cause = Cause::invalid("metadata.uid", given, "field is immutable");
    Err(ApiError::invalid(def, &req.name, vec![cause]))
}

fn count_generation(def: &ResourceDef, existing: &Value, object: &mut Value) {
    if def.generation && decode::counted(def, existing) != decode::counted(def, object) {
        let generation = existing["metadata"]["generation"].as_i64().unwrap_or_default();
        object["metadata"]["generation"] = json!(generation + 1);
    }
}

fn validate(def: &ResourceDef, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let meta = &object["metadata"];
    let mut causes = Vec::new();
    if old.is_none() {
        causes.extend(new_name_faults(def, meta));
    }
    causes.extend(names::metadata_faults(meta));
    causes.extend(old.and_then(|old| new_finalizers(old, object)));
    causes.extend(structural::validate(&def.schema, object));
    if def.builtin {
        causes.extend(rules::validate(&def.key(), object, old));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(def, &text(&meta["name"]), causes))
}

fn new_name_faults(def: &ResourceDef, meta: &Value) -> Vec<Cause> {
    match meta["name"].as_str() {
        Some(name) => names::name_faults(&def.key(), "metadata.name", name),
        None => {
            vec![Cause::required("metadata.name", "name or generateName is required")]
        }
    }
}

/// Nobody may hold up a deletion that has begun.
fn new_finalizers(old: &Value, object: &Value) -> Option<Cause> {
    old["metadata"].get("deletionTimestamp")?;
    let empty = Vec::new();
    let before = old["metadata"]["finalizers"].as_array().unwrap_or(&empty);
    let after = object["metadata"]["finalizers"].as_array().unwrap_or(&empty);
    let new: Vec<String> =
        after.iter().filter(|f| !before.contains(f)).map(Value::to_string).collect();
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers \
         []string{{{}}}",
        new.join(", ")
    );
    (!new.is_empty()).then(|| Cause::forbidden("metadata.finalizers", &why))
}
