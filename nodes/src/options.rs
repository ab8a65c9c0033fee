//! What the operator was told that decisions depend on. It is part of every journal's header.

use crate::facts::{Kind, Signer};
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
    /// The pause between two looks at a Challenge; the plan's ladder if none is given.
    pub check_retry_ms: Option<i64>,
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
    /// Whether ACME CAs are asked when to renew (RFC 9773), where issuers do not say otherwise.
    pub renewal_info: bool,
    /// What runs at all.
    pub runs: Switches,
}

/// What runs: a machine that is off decides nothing, and a request whose issuer is of a type that
/// is off is left to somebody else, as one of another group. All are on by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Switches {
    /// The machine of Certificates.
    pub certificates: bool,
    /// The machine of Ingresses.
    pub ingress_shim: bool,
    /// The machine of Issuers.
    pub issuers: bool,
    /// The machine of ClusterIssuers.
    pub cluster_issuers: bool,
    /// The machine of Orders.
    pub orders: bool,
    /// The machine of Challenges.
    pub challenges: bool,
    /// Answering requests to issuers of type `ca`.
    pub ca: bool,
    /// Answering requests to issuers of type `selfSigned`.
    pub self_signed: bool,
    /// Answering requests to issuers of type `acme`.
    pub acme: bool,
    /// Answering requests to issuers of type `vault`.
    pub vault: bool,
    /// Answering requests to issuers of type `venafi`.
    pub venafi: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            certificates: true,
            ingress_shim: true,
            issuers: true,
            cluster_issuers: true,
            orders: true,
            challenges: true,
            ca: true,
            self_signed: true,
            acme: true,
            vault: true,
            venafi: true,
        }
    }
}

impl Switches {
    /// Whether the machine of a kind's objects is on.
    pub(crate) fn runs(&self, kind: Kind) -> bool {
        match kind {
            Kind::Certificate => self.certificates,
            Kind::Ingress => self.ingress_shim,
            Kind::Issuer => self.issuers,
            Kind::ClusterIssuer => self.cluster_issuers,
            Kind::Order => self.orders,
            Kind::Challenge => self.challenges,
            Kind::CertificateRequest | Kind::Secret | Kind::Key | Kind::ConfigMap => true,
        }
    }

    /// Whether requests to an issuer are answered here. What nobody knows the type of is answered
    /// if anything is.
    pub(crate) fn answers(&self, signer: Option<&Signer>) -> bool {
        match signer {
            Some(Signer::Ca { .. }) => self.ca,
            Some(Signer::SelfSigned { .. }) => self.self_signed,
            Some(Signer::Acme(_)) => self.acme,
            Some(Signer::Other(name)) if **name == *"vault" => self.vault,
            Some(Signer::Other(name)) if **name == *"venafi" => self.venafi,
            Some(Signer::Other(_) | Signer::None) | None => {
                self.ca || self.self_signed || self.acme || self.vault || self.venafi
            }
        }
    }
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
            check_retry_ms: None,
            renewal_info: true,
            runs: Switches::default(),
            operator_namespace: "cert-manager".into(),
            max_concurrent_challenges: 60,
            max_concurrent_challenges_per_issuer: 250,
            issuer_ambient_credentials: false,
            cluster_issuer_ambient_credentials: true,
        }
    }
}
