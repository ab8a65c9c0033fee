//! Requests and responses, without HTTP.

use std::sync::Arc;

use serde_json::Value;

use super::status::ApiError;

/// How a patch body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PatchType {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// Kubernetes' own, for built-in types only.
    Strategic,
    /// Server-side apply.
    Apply,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// One object.
    Get,
    /// Many objects.
    List,
    /// A stream of changes; answered by [`super::Watch`], not by `handle`.
    Watch,
    /// A new object.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch(PatchType),
    /// One object away.
    Delete,
    /// Many objects away.
    DeleteCollection,
}

impl Verb {
    /// The verb as RBAC and audit logs spell it; an apply is a `patch`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch(_) => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }

    /// Whether the verb may change something.
    pub fn writes(self) -> bool {
        !matches!(self, Verb::Get | Verb::List | Verb::Watch)
    }
}

/// Query parameters, by the names they have on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `labelSelector`.
    pub label_selector: String,
    /// `fieldSelector`.
    pub field_selector: String,
    /// `limit`; 0 means none.
    pub limit: usize,
    /// `continue`.
    pub continue_token: String,
    /// `resourceVersion`.
    pub resource_version: String,
    /// `resourceVersionMatch`.
    pub resource_version_match: String,
    /// `fieldManager`; if empty, the user agent up to its first slash.
    pub field_manager: String,
    /// `force`.
    pub force: Option<bool>,
    /// `dryRun`; only `All` is known.
    pub dry_run: Vec<String>,
    /// `fieldValidation`: `Strict`, `Warn` (the default) or `Ignore`.
    pub field_validation: String,
    /// `propagationPolicy`, if not in the body.
    pub propagation_policy: String,
    /// `sendInitialEvents`.
    pub send_initial_events: Option<bool>,
    /// `allowWatchBookmarks`.
    pub allow_watch_bookmarks: bool,
    /// `timeoutSeconds` of a watch.
    pub timeout_seconds: Option<u32>,
    /// Whether `PartialObjectMetadata` was asked for.
    pub metadata_only: bool,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub verb: Verb,
    /// [`super::ResourceDef::key`]: `certificates.cert-manager.io`, `secrets`.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// The namespace; `None` for cluster-scoped resources and for lists over all namespaces.
    pub namespace: Option<String>,
    /// The object's name, for verbs that have one.
    pub name: String,
    /// Query parameters.
    pub options: Options,
    /// The object, patch or `DeleteOptions`; null if there is none.
    pub body: Value,
    /// The `User-Agent`.
    pub user_agent: String,
}

impl Request {
    /// A request with everything else empty. An empty namespace means none.
    pub fn new(verb: Verb, resource: &str, namespace: &str, name: &str) -> Self {
        Request {
            verb,
            resource: resource.to_owned(),
            subresource: String::new(),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            name: name.to_owned(),
            options: Options::default(),
            body: Value::Null,
            user_agent: String::new(),
        }
    }

    /// Reads one object.
    pub fn get(resource: &str, namespace: &str, name: &str) -> Self {
        Request::new(Verb::Get, resource, namespace, name)
    }

    /// Lists a namespace, or all of them if it is empty.
    pub fn list(resource: &str, namespace: &str) -> Self {
        Request::new(Verb::List, resource, namespace, "")
    }

    /// Creates `object` (named by its own metadata).
    pub fn create(resource: &str, namespace: &str, object: Value) -> Self {
        Request::new(Verb::Create, resource, namespace, "").with_body(object)
    }

    /// Replaces an object.
    pub fn update(resource: &str, namespace: &str, name: &str, object: Value) -> Self {
        Request::new(Verb::Update, resource, namespace, name).with_body(object)
    }

    /// Merge-patches an object.
    pub fn merge(resource: &str, namespace: &str, name: &str, patch: Value) -> Self {
        Request::new(Verb::Patch(PatchType::Merge), resource, namespace, name).with_body(patch)
    }

    /// Applies `object` by force as `manager`.
    pub fn apply(
        resource: &str,
        namespace: &str,
        name: &str,
        manager: &str,
        object: Value,
    ) -> Self {
        let mut out = Request::new(Verb::Patch(PatchType::Apply), resource, namespace, name);
        out.options.field_manager = manager.to_owned();
        out.options.force = Some(true);
        out.with_body(object)
    }

    /// Deletes an object.
    pub fn delete(resource: &str, namespace: &str, name: &str) -> Self {
        Request::new(Verb::Delete, resource, namespace, name)
    }

    /// The same request with a body.
    pub fn with_body(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    /// The same request on `/status`.
    pub fn on_status(mut self) -> Self {
        self.subresource = "status".to_owned();
        self
    }

    /// The same request from this user agent.
    pub fn from_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = user_agent.to_owned();
        self
    }

    /// The field manager: the one given, else the user agent up to its first slash.
    pub(crate) fn manager(&self) -> String {
        if !self.options.field_manager.is_empty() {
            return self.options.field_manager.clone();
        }
        let agent = self.user_agent.split('/').next().unwrap_or_default();
        if agent.is_empty() { "unknown".to_owned() } else { agent.to_owned() }
    }

    pub(crate) fn dry(&self) -> bool {
        !self.options.dry_run.is_empty()
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The HTTP status code.
    pub code: u16,
    /// The object, list or `Status`.
    pub body: Arc<Value>,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// The connection broke: a client never sees any of this. Set by faults only.
    pub lost: bool,
}

impl Response {
    pub(crate) fn ok(code: u16, body: Arc<Value>) -> Self {
        Response { code, body, warnings: Vec::new(), retry_after: None, lost: false }
    }

    /// Whether the request was granted (and the client knows).
    pub fn is_success(&self) -> bool {
        !self.lost && (200..300).contains(&self.code)
    }

    /// `Status.reason`, or empty.
    pub fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }
}

impl From<ApiError> for Response {
    fn from(error: ApiError) -> Self {
        let retry = error.details.as_ref().map(|d| d.retry_after_seconds).filter(|s| *s > 0);
        let mut out = Response::ok(error.code, Arc::new(error.to_value()));
        out.retry_after = retry;
        out
    }
}
