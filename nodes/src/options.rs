//! What the operator was told that decisions depend on. It is part of every journal's header.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Options that decisions depend on, named as cert-manager's flags.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Where the Secrets of ClusterIssuers are.
    pub cluster_resource_namespace: Arc<str>,
    /// Whether requests are approved without anybody asking.
    pub approve: bool,
    /// Whether a Certificate owns its Secret, so that they go together.
    pub certificate_owner_ref: bool,
    /// Annotations with a true value that trigger the shim beside the issuer ones.
    pub auto_certificate_annotations: Vec<Arc<str>>,
    /// Annotations that are copied from an Ingress to its Certificates.
    pub extra_certificate_annotations: Vec<Arc<str>>,
    /// The issuer of an Ingress that names none.
    pub default_issuer_name: Arc<str>,
    /// Its kind.
    pub default_issuer_kind: Arc<str>,
    /// Its group.
    pub default_issuer_group: Arc<str>,
    /// The first back-off after a failure that somebody has to mend; the plan's if none is given.
    pub minimum_backoff_ms: Option<i64>,
    /// The longest such back-off; the plan's if none is given.
    pub maximum_backoff_ms: Option<i64>,
    /// The operator's own namespace, where budgets are kept.
    pub operator_namespace: Arc<str>,
    /// The most Challenges that are worked on at once; at least 1.
    pub max_concurrent_challenges: u32,
    /// The most of them of one issuer and namespace; at least 1.
    pub max_concurrent_challenges_per_issuer: u32,
    /// Whether solvers of Issuers may use credentials of their surroundings.
    pub issuer_ambient_credentials: bool,
    /// Whether solvers of ClusterIssuers may.
    pub cluster_issuer_ambient_credentials: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cluster_resource_namespace: "kube-system".into(),
            approve: true,
            certificate_owner_ref: false,
            auto_certificate_annotations: vec!["kubernetes.io/tls-acme".into()],
            extra_certificate_annotations: Vec::new(),
            default_issuer_name: "".into(),
            default_issuer_kind: "Issuer".into(),
            default_issuer_group: "cert-manager.io".into(),
            minimum_backoff_ms: None,
            maximum_backoff_ms: None,
            operator_namespace: "cert-manager".into(),
            max_concurrent_challenges: 1000,
            max_concurrent_challenges_per_issuer: 250,
            issuer_ambient_credentials: false,
            cluster_issuer_ambient_credentials: true,
        }
    }
}
