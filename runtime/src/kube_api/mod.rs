//! The API server, as far as we ask it: objects as JSON, one method a verb, errors by class.

mod at;
mod error;
mod pace;
mod resource;

pub use at::{ENDPOINT_SLICES, HTTP_ROUTES, PODS, SERVICES};
pub use error::{ApiError, Verb, with_causes};
pub use pace::Pace;
pub use resource::{EVENTS, Resource, resource};

use everleaf_nodes::Kind;
use futures::io::AsyncBufRead;
use http::Request;
use kube::Client;
use serde_json::{Value, json};

/// Who writes, where no other manager's fields are taken over.
pub const MANAGER: &str = "everleaf";

pub use everleaf_nodes::project::SECRET_MANAGER;

/// A page of a list.
pub struct Page {
    /// The list's resourceVersion.
    pub rv: String,
    /// The token of the next page; empty if this is the last.
    pub next: String,
    /// The objects.
    pub items: Vec<Value>,
}

/// The API server.
#[derive(Clone)]
pub struct Kube {
    client: Client,
    pace: Option<Pace>,
}

/// What a list or watch shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The namespace; empty for all.
    pub namespace: String,
    /// A label selector; empty for everything.
    pub labels: String,
    /// Whether only metadata is wanted.
    pub metadata_only: bool,
}

const JSON: &str = "application/json";
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.5";
const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.5";

impl Kube {
    /// The API server behind a client.
    pub fn new(client: Client) -> Self {
        Self { client, pace: None }
    }

    /// The same, with a bound on requests.
    #[must_use]
    pub fn paced(self, pace: Option<Pace>) -> Self {
        Self { pace, ..self }
    }

    async fn turn(&self) {
        if let Some(pace) = &self.pace {
            pace.turn().await;
        }
    }

    /// The client itself, for what has no method here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks for what is there, in the form that `accept` names.
    async fn read(
        &self,
        verb: Verb,
        kind: &'static str,
        path: &str,
        accept: &str,
    ) -> Result<Value, ApiError> {
        let request = Request::get(path).header("accept", accept).body(Vec::new());
        self.call(verb, kind, request).await
    }

    /// Writes, in the way that the verb means.
    async fn send(
        &self,
        verb: Verb,
        kind: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let request = Request::builder()
            .method(verb.method())
            .uri(path)
            .header("content-type", verb.content_type())
            .header("accept", JSON)
            .body(body.to_string().into_bytes());
        self.call(verb, kind, request).await
    }

    async fn call(
        &self,
        verb: Verb,
        kind: &'static str,
        request: http::Result<Request<Vec<u8>>>,
    ) -> Result<Value, ApiError> {
        let request = request.map_err(|error| ApiError::unbuildable(verb, kind, &error))?;
        self.turn().await;
        let answer = self.client.request::<Value>(request).await;
        let answer = answer.map_err(|error| ApiError::from_kube(verb, kind, error));
        count(verb, kind, answer.as_ref().map_or_else(|error| error.code, |_| 200));
        answer
    }

    /// Reads one object.
    ///
    /// # Errors
    /// Any; [`ApiError::is_absent`] if there is no such object.
    pub async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Value, ApiError> {
        self.get_at(resource(kind), (namespace, name)).await
    }

    /// Reads one object of a resource that is no kind of the world, such as an Event.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_at(
        &self,
        resource: Resource,
        (namespace, name): (&str, &str),
    ) -> Result<Value, ApiError> {
        let path = resource.object(namespace, name);
        self.read(Verb::Get, resource.plural, &path, JSON).await
    }

    /// Creates an object.
    ///
    /// # Errors
    /// Any; [`ApiError::is_taken`] if the name is taken.
    pub async fn create(
        &self,
        kind: Kind,
        namespace: &str,
        object: &Value,
        manager: &str,
    ) -> Result<Value, ApiError> {
        let resource = resource(kind);
        self.create_at(resource, namespace, object, manager).await
    }

    /// Creates an object of a resource that is no kind of the world, such as an Event.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_at(
        &self,
        resource: Resource,
        namespace: &str,
        object: &Value,
        manager: &str,
    ) -> Result<Value, ApiError> {
        let path = format!("{}?fieldManager={manager}", resource.collection(namespace));
        self.send(Verb::Create, resource.plural, &path, object).await
    }

    /// Replaces an object; its resourceVersion has to be in it.
    ///
    /// # Errors
    /// Any; a conflict if it changed in between.
    pub async fn replace(
        &self,
        kind: Kind,
        at: (&str, &str),
        object: &Value,
    ) -> Result<Value, ApiError> {
        self.replace_at(resource(kind), at, object).await
    }

    /// Patches an object's status by merge patch (RFC 7396).
    ///
    /// # Errors
    /// Any; a conflict if the patch names a resourceVersion and it changed.
    pub async fn patch_status(
        &self,
        kind: Kind,
        (namespace, name): (&str, &str),
        patch: &Value,
    ) -> Result<Value, ApiError> {
        let resource = resource(kind);
        let path = format!("{}/status?fieldManager={MANAGER}", resource.object(namespace, name));
        self.send(Verb::PatchStatus, resource.plural, &path, patch).await
    }

    /// Patches an object by merge patch.
    ///
    /// # Errors
    /// Any.
    pub async fn patch_at(
        &self,
        resource: Resource,
        (namespace, name): (&str, &str),
        patch: &Value,
    ) -> Result<Value, ApiError> {
        let path = format!("{}?fieldManager={MANAGER}", resource.object(namespace, name));
        self.send(Verb::Patch, resource.plural, &path, patch).await
    }

    /// Applies an object (server-side apply), taking over fields that others own.
    ///
    /// # Errors
    /// Any; a conflict if it names a resourceVersion and that changed.
    pub async fn apply(
        &self,
        kind: Kind,
        (namespace, name): (&str, &str),
        object: &Value,
        manager: &str,
    ) -> Result<Value, ApiError> {
        let resource = resource(kind);
        let path =
            format!("{}?fieldManager={manager}&force=true", resource.object(namespace, name));
        self.send(Verb::Apply, resource.plural, &path, object).await
    }

    /// Deletes exactly that version of an object. Answers with the object if finalizers hold it,
    /// else with a `Status`.
    ///
    /// # Errors
    /// Any; a conflict if it is another object or version by now.
    pub async fn delete(
        &self,
        kind: Kind,
        at: (&str, &str),
        (uid, rv): (&str, u64),
    ) -> Result<Value, ApiError> {
        let preconditions = json!({ "uid": uid, "resourceVersion": rv.to_string() });
        self.delete_if(resource(kind), at, preconditions).await
    }

    /// Reads a page of a list.
    ///
    /// # Errors
    /// Any; [`ApiError::is_absent`] if the kind is not served.
    pub async fn list(
        &self,
        kind: Kind,
        selection: &Selection,
        (limit, token): (u32, &str),
    ) -> Result<Page, ApiError> {
        let resource = resource(kind);
        let mut query = form(&[("limit", &limit.to_string()), ("continue", token)]);
        query.push_str(&form(&[("labelSelector", &selection.labels)]));
        let path = format!("{}?{query}", resource.collection(&selection.namespace));
        let accept = if selection.metadata_only { METADATA_LIST } else { JSON };
        Ok(page(self.read(Verb::List, resource.plural, &path, accept).await?))
    }

    /// Watches from a resourceVersion on: lines of JSON, each an event.
    ///
    /// # Errors
    /// If the watch cannot be started.
    pub async fn watch(
        &self,
        kind: Kind,
        selection: &Selection,
        rv: &str,
    ) -> Result<impl AsyncBufRead + use<>, ApiError> {
        let resource = resource(kind);
        let query = form(&[
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", "290"),
            ("resourceVersion", rv),
            ("labelSelector", &selection.labels),
        ]);
        let path = format!("{}?{query}", resource.collection(&selection.namespace));
        let request = Request::builder()
            .uri(path)
            .header("accept", if selection.metadata_only { METADATA } else { JSON })
            .body(Vec::new())
            .map_err(|error| ApiError::unbuildable(Verb::Watch, resource.plural, &error))?;
        self.turn().await;
        let stream = self.client.request_stream(request).await;
        let stream = stream.map_err(|e| ApiError::from_kube(Verb::Watch, resource.plural, e));
        let code = stream.as_ref().map_or_else(|error| error.code, |_| 200);
        count(Verb::Watch, resource.plural, code);
        stream
    }

    /// The API server's clock, from the `Date` of an answer, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// If it cannot be reached or sends no date.
    pub async fn date(&self) -> Result<i64, ApiError> {
        let request = Request::builder()
            .uri("/version")
            .body(kube::client::Body::empty())
            .map_err(|error| ApiError::unbuildable(Verb::Get, "version", &error))?;
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|error| ApiError::from_kube(Verb::Get, "version", error))?;
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
        date.map(|date| date.timestamp().as_second()).ok_or_else(|| {
            ApiError::other(Verb::Get, "version", "the API server's answer carries no Date")
        })
    }
}

/// Counts a request; code 0 stands for no answer.
fn count(verb: Verb, resource: &'static str, code: u16) {
    crate::metrics::api_request(verb.name(), resource, (code > 0).then_some(code));
}

fn page(mut answer: Value) -> Page {
    let text = |path: &str| answer.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
    let (rv, next) = (text("/metadata/resourceVersion"), text("/metadata/continue"));
    let items = match answer.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    Page { rv, next, items }
}

/// `a=b&` for every pair whose value is not empty, percent-encoded.
fn form(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    pairs.map(|(key, value)| format!("{key}={}&", percent(value))).collect()
}

/// A text as it may stand in a query.
pub(crate) fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
