//! Get and list.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::ApiServer;
use super::request::{Request, Response};
use super::resource::ResourceDef;
use super::rules;
use super::selector::Selector;
use super::status::{ApiError, Cause};
use super::store::Key;

/// The second name of Events; they are stored once, under `events`.
pub(crate) const NEW_EVENTS: &str = "events.events.k8s.io";

/// Where a resource's objects are stored.
pub(crate) fn table_of(resource: &str) -> &str {
    if resource == NEW_EVENTS { "events" } else { resource }
}

/// A stored object as this resource shows it.
pub(crate) fn outward(resource: &str, object: Arc<Value>) -> Arc<Value> {
    if resource == NEW_EVENTS { Arc::new(rules::event_from_core(&object)) } else { object }
}

/// An object of this resource as it is stored.
pub(crate) fn inward(resource: &str, object: Value) -> Value {
    if resource == NEW_EVENTS { rules::event_to_core(&object) } else { object }
}

/// The object as `PartialObjectMetadata`.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"]})
}

type Objects = BTreeMap<Key, Arc<Value>>;

impl ApiServer {
    pub(super) fn get(&self, req: &Request, stale: Option<u64>) -> Result<Response, ApiError> {
        let def = self.def(&req.resource)?;
        self.check_future(&req.options.resource_version)?;
        match req.subresource.as_str() {
            "" => {}
            "status" if def.status => {}
            _ if def.builtin => return Err(ApiError::unknown_path()),
            _ => return Err(ApiError::not_found(&def, &req.name)),
        }
        let key = req.key();
        let table = self.store.table(table_of(&req.resource));
        let found = match stale {
            Some(version) => table.at(version).and_then(|all| all.get(&key).cloned()),
            None => table.objects.get(&key).cloned(),
        };
        let object = found.ok_or_else(|| ApiError::not_found(&def, &req.name))?;
        let object = outward(&req.resource, object);
        let body = if req.options.metadata_only { Arc::new(partial(&object)) } else { object };
        Ok(Response::ok(200, body))
    }

    fn check_future(&self, asked: &str) -> Result<Option<u64>, ApiError> {
        if asked.is_empty() {
            return Ok(None);
        }
        let version: u64 = asked.parse().map_err(|_| {
            ApiError::bad_request(format!(
                "invalid resource version: resourceVersion: Invalid value: \"{asked}\": \
                 strconv.ParseUint: parsing \"{asked}\": invalid syntax"
            ))
        })?;
        if version > self.store.version {
            return Err(ApiError::too_large_version(version, self.store.version));
        }
        Ok(Some(version))
    }

    pub(super) fn list(&self, req: &Request, stale: Option<u64>) -> Result<Response, ApiError> {
        let def = self.def(&req.resource)?;
        let options = &req.options;
        let selector = Selector::parse(
            &def,
            req.namespace.as_deref(),
            &options.label_selector,
            &options.field_selector,
        )?;
        check_match(req)?;
        let (version, after) = self.list_version(req, stale)?;
        let objects = match version {
            Some(v) => self.snapshot(req, v)?,
            None => std::borrow::Cow::Borrowed(&self.store.table(table_of(&req.resource)).objects),
        };
        let version = version.unwrap_or(self.store.version);
        let limit = if options.resource_version == "0" { 0 } else { options.limit };
        let (items, next, remaining) =
            select(&req.resource, &objects, &selector, after.as_deref(), limit);
        let token = next.map(|start| token(version, &start)).unwrap_or_default();
        let remaining = remaining.filter(|_| !selector.selects());
        let body = list_body(&def, items, options.metadata_only, version, &token, remaining);
        Ok(Response::ok(200, Arc::new(body)))
    }

    /// The version to serve, if not the latest, and where to go on.
    fn list_version(
        &self,
        req: &Request,
        stale: Option<u64>,
    ) -> Result<(Option<u64>, Option<String>), ApiError> {
        let options = &req.options;
        if !options.continue_token.is_empty() {
            if !matches!(options.resource_version.as_str(), "" | "0") {
                return Err(ApiError::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let (version, start) = read_token(&options.continue_token)?;
            return Ok((Some(version), Some(start)));
        }
        let asked = self.check_future(&options.resource_version)?.filter(|v| *v > 0);
        let exact = options.resource_version_match == "Exact"
            || (options.limit > 0 && options.resource_version_match.is_empty());
        match asked {
            Some(version) if exact => Ok((Some(version), None)),
            _ => Ok((stale, None)),
        }
    }

    fn snapshot(
        &self,
        req: &Request,
        version: u64,
    ) -> Result<std::borrow::Cow<'_, Objects>, ApiError> {
        let table = self.store.table(table_of(&req.resource));
        let found = table.at(version).ok_or_else(|| {
            if req.options.continue_token.is_empty() {
                ApiError::expired("The resourceVersion for the provided list is too old.")
            } else {
                ApiError::expired(
                    "The provided continue parameter is too old to display a consistent list \
                     result. You can start a new list without the continue parameter.",
                )
            }
        })?;
        Ok(std::borrow::Cow::Owned(found))
    }
}

fn check_match(req: &Request) -> Result<(), ApiError> {
    let options = &req.options;
    let field = "resourceVersionMatch";
    let cause = match options.resource_version_match.as_str() {
        "" => return Ok(()),
        _ if options.resource_version.is_empty() => {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            Cause::forbidden(field, why)
        }
        "Exact" if options.resource_version == "0" => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            Cause::forbidden(field, why)
        }
        "Exact" | "NotOlderThan" => return Ok(()),
        other => {
            let text = format!(
                "Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\", \
                 \"\""
            );
            Cause::new("FieldValueNotSupported", field, text)
        }
    };
    Err(ApiError::invalid_options("ListOptions", cause))
}

/// One page: the objects, the last name if there is more, and how many more.
fn select(
    resource: &str,
    objects: &Objects,
    selector: &Selector,
    after: Option<&str>,
    limit: usize,
) -> (Vec<Arc<Value>>, Option<String>, Option<usize>) {
    let start = start_key(selector.namespace(), after);
    let within = |key: &Key| selector.namespace().is_none_or(|ns| key.0 == ns);
    let mut range = objects.range((start, Bound::Unbounded)).take_while(|(key, _)| within(key));
    let mut items = Vec::new();
    for (key, object) in range.by_ref() {
        let object = outward(resource, object.clone());
        if !selector.matches(&object) {
            continue;
        }
        items.push((key, object));
        if limit > 0 && items.len() > limit {
            break;
        }
    }
    if limit == 0 || items.len() <= limit {
        return (items.into_iter().map(|(_, o)| o).collect(), None, None);
    }
    let remaining = 1 + range.count();
    items.pop();
    let last = items.last().map(|(key, _)| match selector.namespace() {
        Some(_) => format!("/{}\0", key.1),
        None if key.0.is_empty() => format!("/{}\0", key.1),
        None => format!("/{}/{}\0", key.0, key.1),
    });
    (items.into_iter().map(|(_, o)| o).collect(), last, Some(remaining))
}

fn start_key(namespace: Option<&str>, after: Option<&str>) -> Bound<Key> {
    let after = after.map(|a| a.trim_start_matches('/').trim_end_matches('\0'));
    match (namespace, after) {
        (Some(ns), None) => Bound::Included((ns.to_owned(), String::new())),
        (Some(ns), Some(name)) => Bound::Excluded((ns.to_owned(), name.to_owned())),
        (None, None) => Bound::Unbounded,
        (None, Some(path)) => {
            let (ns, name) = path.split_once('/').unwrap_or(("", path));
            Bound::Excluded((ns.to_owned(), name.to_owned()))
        }
    }
}

fn list_body(
    def: &ResourceDef,
    items: Vec<Arc<Value>>,
    metadata_only: bool,
    version: u64,
    token: &str,
    remaining: Option<usize>,
) -> Value {
    let mut meta = json!({"resourceVersion": version.to_string()});
    if !token.is_empty() || (!def.builtin && !metadata_only) {
        meta["continue"] = json!(token);
    }
    if let Some(count) = remaining {
        meta["remainingItemCount"] = json!(count);
    }
    let item = |object: Arc<Value>| {
        if metadata_only {
            return partial(&object);
        }
        let mut out = Value::clone(&object);
        // Items of built-in lists come without type, as from Go structs.
        if let (true, Some(map)) = (def.builtin, out.as_object_mut()) {
            map.remove("kind");
            map.remove("apiVersion");
        }
        out
    };
    let items: Vec<Value> = items.into_iter().map(item).collect();
    let (kind, api_version) = if metadata_only {
        ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
    } else {
        (def.list_kind.clone(), def.api_version())
    };
    json!({"kind": kind, "apiVersion": api_version, "metadata": meta, "items": items})
}

fn token(version: u64, start: &str) -> String {
    let text = json!({"v": "meta.k8s.io/v1", "rv": version, "start": start}).to_string();
    URL_SAFE_NO_PAD.encode(text)
}

fn read_token(text: &str) -> Result<(u64, String), ApiError> {
    let bad = || ApiError::bad_request("invalid continue token: continue key is not valid");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let version = value["rv"].as_u64().ok_or_else(bad)?;
    let start = value["start"].as_str().ok_or_else(bad)?;
    Ok((version, start.to_owned()))
}
