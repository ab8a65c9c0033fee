//! The parts of a Pod's spec that a solver's template can set (Kubernetes core/v1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::{Quantity, list, map, text};

/// Which nodes and neighbours a Pod wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Affinity {
    /// Which nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_affinity: Option<NodeAffinity>,
    /// Which neighbours to be near to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_affinity: Option<PodAffinity>,
    /// Which neighbours to be away from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_anti_affinity: Option<PodAffinity>,
}

/// Which nodes a Pod wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAffinity {
    /// Nodes it would like, by weight.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub preferred_during_scheduling_ignored_during_execution: Vec<PreferredSchedulingTerm>,
    /// Nodes it must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

/// Nodes with a weight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreferredSchedulingTerm {
    /// The nodes.
    #[serde(default)]
    pub preference: NodeSelectorTerm,
    /// The weight, 1 to 100.
    #[serde(default)]
    pub weight: i32,
}

/// Nodes that match any of the terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSelector {
    /// The terms.
    #[serde(default, deserialize_with = "list")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// Nodes that match all of the requirements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSelectorTerm {
    /// By label.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<SelectorRequirement>,
    /// By field.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub match_fields: Vec<SelectorRequirement>,
}

/// A requirement on a label or a field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectorRequirement {
    /// The key.
    #[serde(default)]
    pub key: String,
    /// How the key relates to the values: In, NotIn, Exists, DoesNotExist; for nodes also Gt and
    /// Lt.
    #[serde(default)]
    pub operator: String,
    /// The values.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Which neighbours a Pod wants, or does not want.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodAffinity {
    /// What it would like, by weight.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub preferred_during_scheduling_ignored_during_execution: Vec<WeightedPodAffinityTerm>,
    /// What it must have.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub required_during_scheduling_ignored_during_execution: Vec<PodAffinityTerm>,
}

/// Neighbours with a weight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightedPodAffinityTerm {
    /// The neighbours.
    #[serde(default)]
    pub pod_affinity_term: PodAffinityTerm,
    /// The weight, 1 to 100.
    #[serde(default)]
    pub weight: i32,
}

/// Neighbours within one topology domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodAffinityTerm {
    /// Pods by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// Labels whose values are taken from the Pod itself, and must be equal.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub match_label_keys: Vec<String>,
    /// Labels whose values are taken from the Pod itself, and must differ.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub mismatch_label_keys: Vec<String>,
    /// Namespaces by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Namespaces by name.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// The node label that makes a domain.
    #[serde(default)]
    pub topology_key: String,
}

/// Objects that match all of the requirements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// By expression.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<SelectorRequirement>,
    /// By equality.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// What a container may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRequirements {
    /// At most this much.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
    /// At least this much.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
}

/// The security context of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSecurityContext {
    /// The group that owns its volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_group: Option<i64>,
    /// When the volumes' ownership is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_group_change_policy: Option<String>,
    /// The group to run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// Whether running as root is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_non_root: Option<bool>,
    /// The user to run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// Its SELinux context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub se_linux_options: Option<SeLinuxOptions>,
    /// Its seccomp profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp_profile: Option<SeccompProfile>,
    /// Further groups.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub supplemental_groups: Vec<i64>,
    /// Kernel parameters.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<Sysctl>,
}

/// An SELinux context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeLinuxOptions {
    /// Its level.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Its role.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its type.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Its user.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// A seccomp profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompProfile {
    /// The file of a profile on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub localhost_profile: Option<String>,
    /// RuntimeDefault, Unconfined or Localhost.
    #[serde(default)]
    pub type_: String,
}

/// A kernel parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sysctl {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A taint that is tolerated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Its effect; all where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// Its key; all where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How the key relates to the value: Equal (default) or Exists.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// For how many seconds a NoExecute taint is tolerated; for ever where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
    /// Its value.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
