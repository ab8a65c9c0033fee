//! A model of the Kubernetes API server: one value, no clock, no threads, no chance.
//!
//! [`ApiServer::handle`] answers one request at a given time; [`ApiServer::open_watch`] and
//! [`ApiServer::poll_watch`] are its watches; [`ApiServer::collect_garbage`] does the work of the
//! controllers that a bare API server lacks. The same calls in the same order give the same
//! answers, UIDs and generated names included.
//!
//! It holds the built-in resources of `builtin.yaml` and every CustomResourceDefinition it is
//! given, in one version each. What it does is meant to be what a real server of version 1.37
//! does, down to the wording; a test plays the same requests to both.
//!
//! It knows nothing about: users and permissions (but for the fault that answers 403), admission
//! webhooks, conversion between versions, CEL rules, `pattern`, `oneOf` and `anyOf` in schemas,
//! validation ratcheting, protobuf, node ports, quotas, priority and fairness, and any kind not
//! named above. Directives of strategic merge patches that it does not know get 415.
//! `managedFields` of an object are kept in the version they were written in.

mod audit;
mod decode;
mod faults;
mod fields;
mod names;
mod patch;
mod read;
mod remove;
mod request;
mod resource;
mod rules;
mod saved;
mod schema;
mod selector;
mod status;
mod store;
mod strategic;
mod structural;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

pub use audit::{Audit, AuditKey, AuditRecord};
pub use faults::{Ask, Fault, Faults, Script, When};
pub use names::rfc3339;
pub use request::{Options, PatchType, Request, Response, Verb};
pub use resource::{Column, CrdError, ResourceDef, read_crds};
pub(crate) use rules::event_to_core;
pub use saved::RestoreError;
pub(crate) use schema::OBJECT_META_TEXT;
pub use schema::{ListType, Schema, Type};
pub use selector::Selector;
pub use status::{ApiError, Cause, Details};
pub use watch::{EventType, Gone, Watch, WatchEvent, WatchInfo};

use names::Identifiers;
use store::{Key, Store};

/// The built-in resources.
const BUILTIN: &str = include_str!("builtin.yaml");

/// What a server is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// CustomResourceDefinitions, each text one or more YAML documents.
    pub crds: Vec<String>,
    /// The seed of UIDs, generated names and cluster IPs.
    pub seed: u64,
    /// The time it starts at, in milliseconds since 1970.
    pub now: i64,
    /// Changes kept per resource for watches and paged lists; older ones get 410.
    pub log_capacity: usize,
    /// Requests kept in the audit log; all are counted.
    pub audit_capacity: usize,
    /// Namespaces that exist from the start.
    pub namespaces: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            crds: Vec::new(),
            seed: 1,
            now: 0,
            log_capacity: 4096,
            audit_capacity: 4096,
            namespaces: vec!["default".into(), "kube-system".into()],
        }
    }
}

/// The model.
pub struct ApiServer {
    defs: BTreeMap<String, Arc<ResourceDef>>,
    store: Store,
    identifiers: Identifiers,
    audit: Audit,
    faults: Option<Box<dyn Faults>>,
    watches: u64,
    /// Whether something happened that garbage collection may have to look at.
    unsettled: bool,
}

impl ApiServer {
    /// A server with the built-in resources, the given ones and the given namespaces.
    pub fn new(config: Config) -> Result<Self, CrdError> {
        let mut out = ApiServer {
            defs: BTreeMap::new(),
            store: Store::new(config.log_capacity),
            identifiers: Identifiers::new(config.seed),
            audit: Audit::new(config.audit_capacity),
            faults: None,
            watches: 0,
            unsettled: false,
        };
        for (mut def, _) in read_crds(BUILTIN)? {
            as_builtin(&mut def);
            out.defs.insert(def.key(), Arc::new(def));
        }
        for yaml in &config.crds {
            for (def, document) in read_crds(yaml)? {
                out.install(config.now, def, document);
            }
        }
        for name in config.namespaces {
            let object = json!({"metadata": {"name": name}});
            let request = Request::create("namespaces", "", object).from_agent("kube-apiserver");
            // Only a name that is none can fail, and then the namespace is simply not there.
            let _ = out.create(config.now, &request);
        }
        Ok(out)
    }

    fn install(&mut self, now: i64, def: ResourceDef, mut document: Value) {
        let name = def.key();
        let condition = |kind: &str, reason: &str| {
            json!({"type": kind, "status": "True", "reason": reason, "message": "",
                "lastTransitionTime": rfc3339(now)})
        };
        document["metadata"]["name"] = json!(name);
        document["metadata"]["uid"] = json!(self.identifiers.uid());
        document["metadata"]["creationTimestamp"] = json!(rfc3339(now));
        document["metadata"]["generation"] = json!(1);
        document["status"] = json!({"acceptedNames": document["spec"]["names"],
            "storedVersions": [def.version],
            "conditions": [condition("NamesAccepted", "NoConflicts"),
                condition("Established", "InitialNamesAccepted")]});
        let key: Key = (String::new(), name.clone());
        self.store.put(now, "customresourcedefinitions.apiextensions.k8s.io", key, document);
        self.defs.insert(name, Arc::new(def));
    }

    /// The resources served, by key.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceDef> {
        self.defs.values().map(Arc::as_ref)
    }

    /// Installs a source of faults, or (`None`) heals the server.
    pub fn set_faults(&mut self, faults: Option<Box<dyn Faults>>) {
        self.faults = faults;
    }

    /// The requests so far.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The requests so far, to be cleared.
    pub fn audit_mut(&mut self) -> &mut Audit {
        &mut self.audit
    }

    /// The latest resourceVersion given out.
    pub fn version(&self) -> u64 {
        self.store.version
    }

    /// Forgets the changes up to `version`: watches from before it get 410 Expired.
    pub fn compact(&mut self, version: u64) {
        self.store.compact(version);
    }

    /// One stored object, without faults and audit. `namespace` is empty for cluster-scoped ones.
    pub fn peek(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let key = (namespace.to_owned(), name.to_owned());
        let found = self.store.get(read::table_of(resource), &key)?;
        Some(read::outward(resource, found.clone()))
    }

    /// Answers one request at `now` (milliseconds since 1970). Watches are opened elsewhere: the
    /// verb `Watch` gets 405 here.
    pub fn handle(&mut self, now: i64, request: &Request) -> Response {
        let fault = self.ask(now, Ask::Request(request));
        let response = match self.refusal(&fault, request) {
            Some(refused) => refused,
            None => self.answer(now, request, &fault),
        };
        self.audit.record(now, request, response.code);
        response
    }

    fn answer(&mut self, now: i64, request: &Request, fault: &Fault) -> Response {
        let stale = match fault {
            Fault::Stale(version) => Some(*version),
            _ => None,
        };
        let done = match request.verb {
            Verb::Get => self.get(request, stale),
            Verb::List => self.list(request, stale),
            Verb::Create => self.create(now, request),
            Verb::Update => self.update(now, request),
            Verb::Patch(kind) => self.patch(now, kind, request),
            Verb::Delete => self.delete(now, request),
            Verb::DeleteCollection => self.delete_collection(now, request),
            Verb::Watch => Err(ApiError::method_not_allowed()),
        };
        match fault {
            Fault::Timeout { applied: true } => timeout().into(),
            Fault::Lost { applied: true } => lost(),
            _ => done.unwrap_or_else(Response::from),
        }
    }

    fn ask(&mut self, now: i64, ask: Ask<'_>) -> Fault {
        self.faults.as_mut().map(|f| f.decide(now, ask)).unwrap_or_default()
    }

    /// The answer of a fault that keeps the request from being carried out.
    fn refusal(&self, fault: &Fault, request: &Request) -> Option<Response> {
        let def = self.def(&request.resource).ok()?;
        let reads_many = matches!(request.verb, Verb::List | Verb::Watch);
        let error = match fault {
            Fault::Conflict if request.verb.writes() => ApiError::modified(&def, &request.name),
            Fault::Forbidden => ApiError::forbidden(&def, &request.name, &denied(&def, request)),
            Fault::TooManyRequests(seconds) => {
                let text = "the server has received too many requests and has asked us to try \
                            again later";
                ApiError::new(429, "TooManyRequests", text).retry_after(*seconds)
            }
            Fault::Unavailable(seconds) => {
                let text = "the server is currently unable to handle the request";
                ApiError::new(503, "ServiceUnavailable", text).retry_after(*seconds)
            }
            Fault::Internal => {
                let text = "Internal error occurred: etcdserver: leader changed";
                ApiError::new(500, "InternalError", text)
            }
            Fault::Gone if reads_many => ApiError::expired("The resourceVersion is too old."),
            Fault::Timeout { applied: false } => timeout(),
            Fault::Lost { applied: false } => return Some(lost()),
            _ => return None,
        };
        Some(error.into())
    }

    pub(crate) fn def(&self, resource: &str) -> Result<Arc<ResourceDef>, ApiError> {
        self.defs.get(resource).cloned().ok_or_else(ApiError::unknown_path)
    }

    /// The resource of a write, if this one may be written under this path.
    fn writable(&self, request: &Request) -> Result<Arc<ResourceDef>, ApiError> {
        let def = self.def(&request.resource)?;
        let scoped = def.namespaced == request.namespace.is_some();
        let known = match request.subresource.as_str() {
            "" => true,
            "status" => def.status && !matches!(request.verb, Verb::Create | Verb::Delete),
            _ => false,
        };
        if !known {
            return Err(ApiError::unknown_path());
        }
        let all_namespaces = def.key() == "namespaces" && request.verb == Verb::DeleteCollection;
        if def.read_only || !scoped || all_namespaces {
            return Err(ApiError::method_not_allowed());
        }
        Ok(def)
    }
}

impl Request {
    fn key(&self) -> Key {
        (self.namespace.clone().unwrap_or_default(), self.name.clone())
    }
}

fn as_builtin(def: &mut ResourceDef) {
    let key = def.key();
    def.builtin = true;
    def.read_only = key == "customresourcedefinitions.apiextensions.k8s.io";
    def.generation =
        matches!(key.as_str(), "ingresses.networking.k8s.io" | "endpointslices.discovery.k8s.io");
    def.unconditional_update = key != "leases.coordination.k8s.io";
}

fn timeout() -> ApiError {
    ApiError::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout")
        .retry_after(0)
}

fn lost() -> Response {
    let mut out: Response = timeout().into();
    out.lost = true;
    out
}

fn denied(def: &ResourceDef, request: &Request) -> String {
    let scope = match &request.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    format!(
        "User \"system:serviceaccount\" cannot {} resource \"{}\" in API group \"{}\" {scope}",
        request.verb.as_str(),
        def.plural,
        def.group
    )
}
