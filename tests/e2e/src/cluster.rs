//! The API server, spoken to in JSON.

use kube::api::PostParams;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::Value;

/// The field manager of what the suite writes.
pub const TEST_MANAGER: &str = "everleaf-e2e";

/// Every kind that the suite handles: group, version, kind, plural, and whether it is namespaced.
const KINDS: [(&str, &str, &str, &str, bool); 22] = [
    ("cert-manager.io", "v1", "Certificate", "certificates", true),
    ("cert-manager.io", "v1", "CertificateRequest", "certificaterequests", true),
    ("cert-manager.io", "v1", "Issuer", "issuers", true),
    ("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers", false),
    ("acme.cert-manager.io", "v1", "Order", "orders", true),
    ("acme.cert-manager.io", "v1", "Challenge", "challenges", true),
    ("", "v1", "Secret", "secrets", true),
    ("", "v1", "Service", "services", true),
    ("", "v1", "Pod", "pods", true),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true),
    ("", "v1", "ConfigMap", "configmaps", true),
    ("", "v1", "Event", "events", true),
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "ServiceAccount", "serviceaccounts", true),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", true),
    ("coordination.k8s.io", "v1", "Lease", "leases", true),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", false),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false),
];

/// A connection to the API server that `KUBECONFIG` names.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

impl Cluster {
    /// Connects with the current context of `KUBECONFIG`.
    pub async fn connect() -> Self {
        let file = Self::kubeconfig();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(file, &options).await;
        let config = config.expect("KUBECONFIG names a usable context");
        let client = Client::try_from(config).expect("a client of that context");
        Self { client }
    }

    /// The configuration that `KUBECONFIG` names, read again.
    pub fn kubeconfig() -> Kubeconfig {
        Kubeconfig::from_env().expect("KUBECONFIG is readable").expect("KUBECONFIG is set")
    }

    /// The client itself.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether objects of this kind are in namespaces.
    pub fn is_namespaced(kind: &str) -> bool {
        known(kind).4
    }

    /// The API of a kind; `namespace` counts for namespaced kinds only.
    pub fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let (group, version, kind, plural, namespaced) = known(kind);
        let api_version = match group {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        };
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        match namespaced {
            true => Api::namespaced_with(self.client.clone(), namespace, &resource),
            false => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Creates an object as it is, in the namespace that it names.
    ///
    /// # Errors
    /// What the API server answered.
    pub async fn create(&self, object: &Value) -> kube::Result<Value> {
        let api = self.api_of(object);
        api.create(&PostParams::default(), &dynamic(object)).await.map(plain)
    }

    /// Applies an object by server-side apply, by force.
    pub async fn apply(&self, object: &Value) -> Value {
        let api = self.api_of(object);
        let name = crate::name_of(object);
        let params = PatchParams::apply(TEST_MANAGER).force();
        let applied = api.patch(name, &params, &Patch::Apply(object)).await;
        plain(applied.unwrap_or_else(|error| panic!("applying {name}: {error}")))
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// What the API server answered, but for 404.
    pub async fn find(
        &self,
        kind: &str,
        (namespace, name): (&str, &str),
    ) -> kube::Result<Option<Value>> {
        Ok(self.api(kind, namespace).get_opt(name).await?.map(plain))
    }

    /// All objects of a kind.
    ///
    /// # Errors
    /// What the API server answered.
    pub async fn list(&self, kind: &str, namespace: &str) -> kube::Result<Vec<Value>> {
        let all = self.api(kind, namespace).list(&ListParams::default()).await?;
        Ok(all.items.into_iter().map(plain).collect())
    }

    /// Deletes an object if it is there, and does not wait for its end.
    pub async fn delete(&self, kind: &str, (namespace, name): (&str, &str)) {
        let deleted = self.api(kind, namespace).delete(name, &DeleteParams::background()).await;
        match deleted {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("deleting {kind} {namespace}/{name}: {error}"),
        }
    }

    fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        let kind = crate::text(object, "/kind");
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
        self.api(kind, namespace.unwrap_or("default"))
    }
}

fn known(kind: &str) -> (&'static str, &'static str, &'static str, &'static str, bool) {
    let found = KINDS.iter().find(|known| known.2 == kind);
    *found.unwrap_or_else(|| panic!("add {kind} to KINDS"))
}

/// An object as kube-rs wants it.
pub(crate) fn dynamic(object: &Value) -> DynamicObject {
    serde_json::from_value(object.clone()).expect("an object with metadata")
}

/// An object as plain JSON.
pub(crate) fn plain(object: DynamicObject) -> Value {
    serde_json::to_value(object).expect("what came as JSON goes as JSON")
}
