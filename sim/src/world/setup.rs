//! The cluster at the start of a run.

use super::World;
use super::config::DAY;
use super::event::Actor;
use super::issuers::FOREIGN_GROUP;
use super::project;
use crate::apiserver::{ApiServer, Config, Request};
use everleaf_nodes::facts::Kind;
use serde_json::{Value, json};

/// Issuers with a schema of one line: theirs is the longest there is, and every run reads it.
const ISSUER_CRDS: &str = "
kind: CustomResourceDefinition
metadata: {name: issuers.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Namespaced
  names: {plural: issuers, kind: Issuer}
  versions:
  - name: v1
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
kind: CustomResourceDefinition
metadata: {name: clusterissuers.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Cluster
  names: {plural: clusterissuers, kind: ClusterIssuer}
  versions:
  - name: v1
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
kind: CustomResourceDefinition
metadata: {name: orders.acme.cert-manager.io}
spec:
  group: acme.cert-manager.io
  scope: Namespaced
  names: {plural: orders, kind: Order}
  versions:
  - name: v1
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
kind: CustomResourceDefinition
metadata: {name: challenges.acme.cert-manager.io}
spec:
  group: acme.cert-manager.io
  scope: Namespaced
  names: {plural: challenges, kind: Challenge}
  versions:
  - name: v1
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// The namespaces in which Certificates are.
pub const NAMESPACES: [&str; 2] = ["app", "shop"];

/// An API server with cert-manager's kinds and the namespaces of a run.
pub(super) fn server(seed: u64) -> ApiServer {
    let wanted = ["cert-manager.io_certificates", "cert-manager.io_certificaterequests"];
    let crds = everleaf_api::crds().into_iter();
    let mut crds: Vec<String> =
        crds.filter(|(name, _)| wanted.contains(name)).map(|(_, yaml)| yaml.to_owned()).collect();
    crds.push(ISSUER_CRDS.to_owned());
    let mut namespaces: Vec<String> = NAMESPACES.map(str::to_owned).to_vec();
    namespaces.push(super::OPERATOR_NAMESPACE.to_owned());
    let config = Config {
        crds,
        seed,
        now: super::START,
        audit_capacity: 0,
        namespaces,
        ..Config::default()
    };
    ApiServer::new(config).expect("the CRDs are this repository's own")
}

impl World {
    /// Issuers, their Secrets, and the first Certificates.
    pub(super) fn set_up(&mut self) {
        let life = 5 * 365 * DAY;
        for namespace in NAMESPACES {
            self.put_ca(namespace, "ca-pair", life);
            let ca = json!({ "ca": { "secretName": "ca-pair" } });
            self.create_issuer(Kind::Issuer, namespace, "ca", &ca);
            self.create_issuer(Kind::Issuer, namespace, "self", &json!({ "selfSigned": {} }));
        }
        self.put_ca(super::OPERATOR_NAMESPACE, "cluster-pair", life);
        let ca = json!({ "ca": { "secretName": "cluster-pair" } });
        self.create_issuer(Kind::ClusterIssuer, "", "cluster-ca", &ca);
        self.set_up_acme();
        for _ in 0..self.config.certificates {
            self.create_some_certificate();
        }
    }

    pub(super) fn create_issuer(&mut self, kind: Kind, namespace: &str, name: &str, spec: &Value) {
        let mut object = json!({ "apiVersion": "cert-manager.io/v1", "kind": kind.name(),
            "metadata": { "name": name }, "spec": spec });
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let request = Request::create(project::resource(kind), namespace, object);
        self.call(Actor::User, None, request);
    }

    /// Creates a Certificate, as a user.
    pub fn create_certificate_as_user(&mut self, namespace: &str, name: &str, spec: Value) {
        let object = json!({ "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": { "name": name, "namespace": namespace }, "spec": spec });
        let resource = project::resource(Kind::Certificate);
        self.call(Actor::User, None, Request::create(resource, namespace, object));
    }

    /// The reference to the issuer that is not ours.
    pub fn foreign_issuer() -> Value {
        json!({ "name": "foreign", "kind": "Signer", "group": FOREIGN_GROUP })
    }
}
