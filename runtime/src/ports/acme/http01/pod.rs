//! The solver Pod: as cert-manager makes it, for clusters in which nobody outside reaches the
//! operator. By choice, where the solver has a `podTemplate`, and where the self-check saw nothing
//! for long enough.
//!
//! The Pod, its Service and its route have names of their own beside those of the operator's
//! route. The Pod is made last: where it is, everything else was.

use super::super::super::{Ports, owner_reference};
use super::super::fault::Halt;
use super::super::gate;
use super::{Way, merge};
use crate::kube_api::{PODS, SERVICES};
use everleaf_api::names;
use everleaf_api::types::http01::{AcmeSolverHttp01, Http01PodSpec, Http01PodTemplate};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The port at which a Pod answers.
const POD_PORT: u16 = 8089;
/// So many bytes of why a Pod does not run are told.
const LONGEST_WHY: usize = 160;

/// How solver Pods are made (`--acme-http01-solver-*`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SolverPods {
    /// The image; its entry point is `everleaf`.
    pub image: String,
    /// What a container asks for, by resource.
    pub requests: BTreeMap<String, String>,
    /// What it may use at most.
    pub limits: BTreeMap<String, String>,
    /// Whether it may not run as root.
    pub non_root: bool,
    /// Its RuntimeClass, if one is wanted.
    pub runtime_class: Option<String>,
}

fn template(config: &AcmeSolverHttp01) -> Option<&Http01PodTemplate> {
    let of_ingress = config.ingress.as_ref().and_then(|one| one.pod_template.as_ref());
    let gateway = config.gateway_http_route.as_ref();
    of_ingress.or_else(|| gateway.and_then(|one| one.pod_template.as_ref()))
}

impl Way<'_> {
    /// The way to a Pod beside this one, with names of its own.
    fn by_pod(&self) -> Way<'_> {
        let (name, labels) = (format!("{}-pod", self.name), self.labels.clone());
        let Way { effect, host, token, exact, .. } = *self;
        Way { effect, service: name.clone(), name, host, token, labels, exact }
    }

    /// The labels by which a Service finds the Pod.
    fn identity(&self) -> BTreeMap<&String, &String> {
        let keys = [names::HTTP_DOMAIN, names::HTTP_TOKEN, names::HTTP01_SOLVER];
        self.labels.iter().filter(|(key, _)| keys.contains(&key.as_str())).collect()
    }

    fn pod_service(&self, kind: Option<&str>) -> Value {
        let mut service = gate::service(self.metadata(&self.name), kind, POD_PORT);
        service["spec"]["selector"] = json!(self.identity());
        service
    }

    fn pod(&self, key: &str, pods: &SolverPods, template: &Http01PodTemplate) -> Value {
        let mut spec = json!({
            "restartPolicy": "OnFailure",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "nodeSelector": { "kubernetes.io/os": "linux" },
            "securityContext": {
                "runAsNonRoot": pods.non_root,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [self.container(key, pods)],
        });
        if let Some(class) = &pods.runtime_class {
            spec["runtimeClassName"] = json!(class);
        }
        if let Some(wanted) = &template.spec {
            overlay(&mut spec, wanted);
        }
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self.pod_metadata(template),
            "spec": spec,
        })
    }

    fn pod_metadata(&self, template: &Http01PodTemplate) -> Value {
        let mut metadata = self.metadata(&self.name);
        metadata["ownerReferences"] = json!([owner_reference(self.effect)]);
        metadata["annotations"] = json!({
            "sidecar.istio.io/inject": "false",
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
        });
        if let Some(wanted) = &template.metadata {
            merge(&mut metadata["annotations"], &wanted.annotations);
            merge(&mut metadata["labels"], &wanted.labels);
        }
        // Without these its Service would not find it.
        for (key, value) in self.identity() {
            metadata["labels"][key] = json!(value);
        }
        metadata
    }

    fn container(&self, key: &str, pods: &SolverPods) -> Value {
        json!({
            "name": "acmesolver",
            "image": pods.image,
            "imagePullPolicy": "IfNotPresent",
            "args": [
                "acmesolver",
                format!("--listen-port={POD_PORT}"),
                format!("--domain={}", self.host),
                format!("--token={}", self.token),
                format!("--key={key}"),
            ],
            "ports": [{ "name": "http", "containerPort": POD_PORT }],
            "resources": { "requests": pods.requests, "limits": pods.limits },
            "securityContext": {
                "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
            },
        })
    }
}

/// What a template says over what we say: selectors and resources by key, tolerations and pull
/// secrets beside ours, everything else instead of ours.
fn overlay(spec: &mut Value, wanted: &Http01PodSpec) {
    merge(&mut spec["nodeSelector"], &wanted.node_selector);
    if let Some(resources) = &wanted.resources {
        let ours = &mut spec["containers"][0]["resources"];
        for (field, amounts) in [("requests", &resources.requests), ("limits", &resources.limits)] {
            for (resource, amount) in amounts {
                ours[field][resource] = json!(amount);
            }
        }
    }
    let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    let fields = [
        ("tolerations", some(&wanted.tolerations)),
        ("imagePullSecrets", some(&wanted.image_pull_secrets)),
        ("affinity", wanted.affinity.as_ref().map(|it| json!(it))),
        ("securityContext", wanted.security_context.as_ref().map(|it| json!(it))),
        ("priorityClassName", text(&wanted.priority_class_name).map(Value::String)),
        ("serviceAccountName", text(&wanted.service_account_name).map(Value::String)),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            spec[field] = value;
        }
    }
}

fn some<T: serde::Serialize>(list: &[T]) -> Option<Value> {
    (!list.is_empty()).then(|| json!(list))
}

/// How a Pod is, if it does not run.
fn trouble(pod: &Value) -> Option<String> {
    let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
    if phase == "Running" {
        return None;
    }
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let mut stopped = conditions.filter(|one| one["status"] == "False");
    let why = stopped.find_map(|one| one["message"].as_str()).unwrap_or_default();
    let why: String = why.chars().take(LONGEST_WHY).collect();
    let why = if why.is_empty() { why } else { format!(": {why}") };
    Some(format!("the solver Pod {name} is {phase}{why}"))
}

impl Ports {
    /// Whether a solver asks for a Pod, and one can be made.
    pub(super) fn by_pod(&self, config: &AcmeSolverHttp01) -> bool {
        self.acme.options().solver_pods.is_some() && template(config).is_some()
    }

    /// Leads requests to a Pod, and no more to this process. What is wrong with the Pod, if
    /// something is.
    pub(super) async fn route_to_pod(
        &self,
        way: &Way<'_>,
        key: &str,
        config: &AcmeSolverHttp01,
    ) -> Result<Option<String>, Halt> {
        let Some(pods) = &self.acme.options().solver_pods else { return Ok(None) };
        let (effect, pod_way) = (way.effect, way.by_pod());
        let at = (&*effect.subject.namespace, &*pod_way.name);
        match self.kube.get_at(PODS, at).await {
            Ok(found) => return self.heed_pod(&pod_way, &found).await,
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(self.unsolved(&error)),
        }
        self.ensure(effect, SERVICES, &pod_way.pod_service(super::service_type(config))).await?;
        self.unlead(way, config).await?;
        self.lead(&pod_way, config).await?;
        let none = Http01PodTemplate::default();
        let pod = pod_way.pod(key, pods, template(config).unwrap_or(&none));
        self.ensure(effect, PODS, &pod).await?;
        Ok(None)
    }

    /// A Pod that ended, evicted for instance, makes room for the next.
    async fn heed_pod(&self, way: &Way<'_>, pod: &Value) -> Result<Option<String>, Halt> {
        if matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded")) {
            self.remove(way.effect, PODS, &way.name).await?;
        }
        Ok(trouble(pod))
    }

    /// Removes the Pod, and everything that leads to it.
    pub(super) async fn remove_pod(
        &self,
        way: &Way<'_>,
        config: &AcmeSolverHttp01,
    ) -> Result<(), Halt> {
        let way = way.by_pod();
        self.unlead(&way, config).await?;
        self.remove(way.effect, SERVICES, &way.name).await?;
        self.remove(way.effect, PODS, &way.name).await
    }
}

#[cfg(test)]
mod tests;
