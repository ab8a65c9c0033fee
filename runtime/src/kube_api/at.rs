//! What is asked of resources that are no kind of the world: routes, Services, tokens, and solvers
//! behind an extension API server.

use super::{ApiError, JSON, Kube, MANAGER, Resource, Verb, count, form, page};
use http::Request;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

/// The longest answer of an extension API server that is read, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// `v1` Services.
pub const SERVICES: Resource = Resource {
    root: "/api/v1",
    plural: "services",
    namespaced: true,
    api_version: "v1",
    kind: "Service",
};

/// `discovery.k8s.io/v1` EndpointSlices.
pub const ENDPOINT_SLICES: Resource = Resource {
    root: "/apis/discovery.k8s.io/v1",
    plural: "endpointslices",
    namespaced: true,
    api_version: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
};

/// `v1` Pods.
pub const PODS: Resource =
    Resource { root: "/api/v1", plural: "pods", namespaced: true, api_version: "v1", kind: "Pod" };

/// `gateway.networking.k8s.io/v1` HTTPRoutes.
pub const HTTP_ROUTES: Resource = Resource {
    root: "/apis/gateway.networking.k8s.io/v1",
    plural: "httproutes",
    namespaced: true,
    api_version: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
};

impl Kube {
    /// The objects of a namespace that a label selector selects; the first `limit` of them.
    ///
    /// # Errors
    /// Any.
    pub async fn list_at(
        &self,
        resource: Resource,
        (namespace, labels): (&str, &str),
        limit: u32,
    ) -> Result<Vec<Value>, ApiError> {
        let query = form(&[("limit", &limit.to_string()), ("labelSelector", labels)]);
        let path = format!("{}?{query}", resource.collection(namespace));
        Ok(page(self.read(Verb::List, resource.plural, &path, JSON).await?).items)
    }

    /// Replaces an object; its resourceVersion has to be in it.
    ///
    /// # Errors
    /// Any; a conflict if it changed in between.
    pub async fn replace_at(
        &self,
        resource: Resource,
        (namespace, name): (&str, &str),
        object: &Value,
    ) -> Result<Value, ApiError> {
        let path = format!("{}?fieldManager={MANAGER}", resource.object(namespace, name));
        self.send(Verb::Update, resource.plural, &path, object).await
    }

    /// Deletes the object of that name, if it is the one with that UID.
    ///
    /// # Errors
    /// Any; [`ApiError::is_absent`] if there is none, a conflict if it is another.
    pub async fn delete_at(
        &self,
        resource: Resource,
        at: (&str, &str),
        uid: &str,
    ) -> Result<Value, ApiError> {
        self.delete_if(resource, at, json!({ "uid": uid })).await
    }

    /// Deletes an object that these preconditions hold for.
    pub(super) async fn delete_if(
        &self,
        resource: Resource,
        (namespace, name): (&str, &str),
        preconditions: Value,
    ) -> Result<Value, ApiError> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": preconditions,
        });
        self.send(Verb::Delete, resource.plural, &resource.object(namespace, name), &body).await
    }

    /// Asks for a token of a service account (TokenRequest API), for so many seconds.
    ///
    /// # Errors
    /// Any; [`ApiError::is_absent`] if there is no such account.
    pub async fn token(
        &self,
        (namespace, account): (&str, &str),
        audiences: &[String],
        seconds: i64,
    ) -> Result<Value, ApiError> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "audiences": audiences, "expirationSeconds": seconds },
        });
        self.send(Verb::Create, "serviceaccounts/token", &path, &body).await
    }

    /// POSTs JSON to a path of the API server; an answer of any status is an answer.
    ///
    /// # Errors
    /// If none came, or one of more than 1 MiB.
    pub async fn post_raw(&self, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), ApiError> {
        let (verb, kind) = (Verb::Create, "extensions");
        let request = Request::post(path)
            .header("content-type", JSON)
            .header("accept", JSON)
            .body(kube::client::Body::from(body))
            .map_err(|error| ApiError::unbuildable(verb, kind, &error))?;
        self.turn().await;
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|error| ApiError::from_kube(verb, kind, error))?;
        let status = answer.status().as_u16();
        count(verb, kind, status);
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| ApiError::other(verb, kind, &error.to_string()))?;
        Ok((status, body.to_bytes().to_vec()))
    }
}
