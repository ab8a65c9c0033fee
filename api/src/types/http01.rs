//! Solvers that serve a file over HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pod::{Affinity, PodSecurityContext, ResourceRequirements, Toleration};
use super::reference::LocalObjectReference;
use crate::wire::{list, map, text};

/// Serves the answer over HTTP: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeSolverHttp01 {
    /// Through an HTTPRoute of the Gateway API.
    #[serde(rename = "gatewayHTTPRoute", default, skip_serializing_if = "Option::is_none")]
    pub gateway_http_route: Option<Http01GatewayHttpRoute>,
    /// Through an Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Http01Ingress>,
}

/// An HTTPRoute of the Gateway API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http01GatewayHttpRoute {
    /// Labels for the HTTPRoute.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The Gateways or ListenerSets to attach it to.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub parent_refs: Vec<ParentReference>,
    /// Changes to the solver's Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<Http01PodTemplate>,
    /// The type of the solver's Service: ClusterIP or NodePort (default).
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
}

/// The Gateway, or the like, that a route attaches to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// Its API group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its namespace; the route's own where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The listener's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// The listener's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// An Ingress: at most one of `class`, `ingressClassName` and `name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http01Ingress {
    /// The value of the annotation `kubernetes.io/ingress.class` of a new Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The class of a new Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_class_name: Option<String>,
    /// Changes to the new Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_template: Option<Http01IngressTemplate>,
    /// An Ingress that is there already and gets the solver's path for a while.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Changes to the solver's Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<Http01PodTemplate>,
    /// The type of the solver's Service: ClusterIP or NodePort (default).
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
}

/// Changes to the solver's Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http01IngressTemplate {
    /// Labels and annotations to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMeta>,
}

/// Changes to the solver's Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http01PodTemplate {
    /// Labels and annotations to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMeta>,
    /// Changes to its spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Http01PodSpec>,
}

/// Labels and annotations to add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMeta {
    /// Annotations to add.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels to add.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The parts of the solver's Pod that can be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http01PodSpec {
    /// Which nodes and neighbours it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Secrets to pull its image with.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Labels its node must have.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Its priority class.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// What its container may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Its security context, in place of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<PodSecurityContext>,
    /// Its service account.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Taints it tolerates.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
}
