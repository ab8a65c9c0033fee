//! Operators under a service account of their own: what they may do, and what they did.

use crate::{Cluster, World, uid_of};
use kube::api::PostParams;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A service account, and a kubeconfig file that speaks as it.
pub struct ServiceAccount {
    /// Its user name, as the audit log has it.
    pub user: String,
    /// The kubeconfig file.
    pub kubeconfig: PathBuf,
}

/// A rule that allows these verbs on these resources of an API group.
pub fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
}

/// The rule that allows everything.
pub fn everything() -> Value {
    rule("*", &["*"], &["*"])
}

/// Every rule of `deploy/rbac.yaml`.
pub fn deployed_rules() -> Vec<Value> {
    rules_of(include_str!("../../../deploy/rbac.yaml"))
}

/// Every rule of `deploy/rbac-namespace.yaml`.
pub fn namespace_rules() -> Vec<Value> {
    rules_of(include_str!("../../../deploy/rbac-namespace.yaml"))
}

fn rules_of(text: &str) -> Vec<Value> {
    let objects = serde_yaml::Deserializer::from_str(text);
    let objects = objects.map(|one| Value::deserialize(one).expect("an object"));
    objects.flat_map(|one| one["rules"].as_array().cloned().unwrap_or_default()).collect()
}

const RBAC: &str = "rbac.authorization.k8s.io";

impl ServiceAccount {
    /// Creates one that may do what these rules say, anywhere.
    pub async fn create(world: &World, name: &str, rules: Vec<Value>) -> Self {
        let role = format!("{}-{name}", world.namespace);
        Self::bound(world, name, ("ClusterRole", &role), rules).await
    }

    /// Creates one that may do what these rules say in the scenario's namespace, and nothing
    /// elsewhere.
    pub async fn within(world: &World, name: &str, rules: Vec<Value>) -> Self {
        Self::bound(world, name, ("Role", name), rules).await
    }

    async fn bound(
        world: &World,
        name: &str,
        (kind, role): (&str, &str),
        rules: Vec<Value>,
    ) -> Self {
        let namespace = &world.namespace;
        let account =
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
        let account = world.create(account).await;
        world
            .create(json!({
                "apiVersion": format!("{RBAC}/v1"),
                "kind": kind,
                "metadata": { "name": role },
                "rules": rules,
            }))
            .await;
        world
            .create(json!({
                "apiVersion": format!("{RBAC}/v1"),
                "kind": format!("{kind}Binding"),
                "metadata": { "name": role },
                "roleRef": { "apiGroup": RBAC, "kind": kind, "name": role },
                "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
            }))
            .await;
        assert!(!uid_of(&account).is_empty());
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Self { user, kubeconfig: kubeconfig(world, name).await }
    }

    /// The flag that makes an operator speak as it.
    pub fn flag(&self) -> String {
        format!("--kubeconfig={}", self.kubeconfig.display())
    }
}

/// A copy of our own kubeconfig with a token of the account instead of our credentials.
async fn kubeconfig(world: &World, account: &str) -> PathBuf {
    let asked = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {},
        "spec": { "expirationSeconds": 3600 },
    });
    let api = world.cluster.api("ServiceAccount", &world.namespace);
    let params = PostParams::default();
    let answer: Value =
        api.create_subresource("token", account, &params, &asked).await.expect("a token");
    let ours = serde_json::to_value(Cluster::kubeconfig()).expect("a kubeconfig is JSON too");
    let current = crate::text(&ours, "/current-context");
    let named = |list: &str, name: &str| {
        let found = ours[list].as_array().into_iter().flatten().find(|one| one["name"] == name);
        found.cloned().unwrap_or_else(|| panic!("{list} has no {name}"))
    };
    let context = named("contexts", current);
    let cluster = named("clusters", crate::text(&context, "/context/cluster"));
    let file = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "account",
        "clusters": [cluster],
        "users": [{ "name": account, "user": { "token": answer["status"]["token"] } }],
        "contexts": [{
            "name": "account",
            "context": { "cluster": cluster["name"], "user": account },
        }],
    });
    let path = world.folder.join(format!("{account}.kubeconfig"));
    std::fs::write(&path, file.to_string()).expect("a kubeconfig file");
    path
}
