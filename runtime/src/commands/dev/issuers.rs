//! A CA for the issuers that manifests name and none defines, so that they can be tried as they
//! are.

use crate::commands::input::Manifest;
use everleaf_api::names;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The self-signed ClusterIssuer, the CA's Certificate and its Secret.
const CA: &str = "everleaf-dev-ca";
/// Where ClusterIssuers have their Secrets.
const CLUSTER_RESOURCES: &str = "kube-system";
const SOURCE: &str = "made by everleaf dev";

/// An issuer that somebody names; `namespace` is empty for a ClusterIssuer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub namespace: String,
    pub name: String,
}

impl Named {
    /// The issuer as it is said to people.
    pub(super) fn told(&self) -> String {
        let Self { namespace, name } = self;
        match namespace.as_str() {
            "" => format!("ClusterIssuer/{name}"),
            _ => format!("Issuer/{namespace}/{name}"),
        }
    }

    fn ca_namespace(&self) -> &str {
        if self.namespace.is_empty() { CLUSTER_RESOURCES } else { &self.namespace }
    }
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn namespace(object: &Value) -> &str {
    match text(object, "/metadata/namespace") {
        "" => "default",
        given => given,
    }
}

/// What became of the ACME issuers among the manifests.
#[derive(Default)]
pub(super) struct Acme {
    /// They ask the CA at hand, instead of the one that they name.
    pub led: BTreeSet<Named>,
    /// A CA issuer stands in: their solvers need a world that is not here.
    pub replaced: BTreeSet<Named>,
}

/// Leads the ACME issuers to the CA whose directory is given, or takes them out of the manifests.
pub(super) fn lead_acme(manifests: &mut Vec<Manifest>, directory: &str) -> Acme {
    let mut acme = Acme::default();
    manifests.retain_mut(|manifest| {
        let object = &mut manifest.object;
        let Some(named) = defined(object).filter(|_| object["spec"]["acme"].is_object()) else {
            return true;
        };
        let here = is_solved_here(&object["spec"]["acme"]);
        if here {
            lead(&mut object["spec"]["acme"], directory);
            acme.led.insert(named);
        } else {
            acme.replaced.insert(named);
        }
        here
    });
    acme
}

/// Whether every solver is one of HTTP-01 by Ingress: the edge of the laptop knows no other.
fn is_solved_here(acme: &Value) -> bool {
    let solvers = acme["solvers"].as_array().map(Vec::as_slice).unwrap_or_default();
    !solvers.is_empty() && solvers.iter().all(|one| one["http01"]["ingress"].is_object())
}

/// The CA at hand knows no accounts of another, and is reached without TLS.
fn lead(acme: &mut Value, directory: &str) {
    let Some(map) = acme.as_object_mut() else { return };
    for name in ["caBundle", "skipTLSVerify", "externalAccountBinding", "preferredChain"] {
        map.remove(name);
    }
    map.insert("server".to_owned(), json!(directory));
}

/// The issuers of cert-manager's group that manifests name and none of them defines.
pub(super) fn undefined(manifests: &[Manifest]) -> BTreeSet<Named> {
    let objects = || manifests.iter().map(|manifest| &manifest.object);
    let defined: BTreeSet<Named> = objects().filter_map(defined).collect();
    objects().filter_map(named).filter(|named| !defined.contains(named)).collect()
}

fn defined(object: &Value) -> Option<Named> {
    let namespace = match text(object, "/kind") {
        "Issuer" => namespace(object),
        "ClusterIssuer" => "",
        _ => return None,
    };
    Some(Named { namespace: namespace.into(), name: text(object, "/metadata/name").into() })
}

/// The issuer that an object names.
fn named(object: &Value) -> Option<Named> {
    let (name, kind, group) = match text(object, "/kind") {
        "Certificate" | "CertificateRequest" => (
            text(object, "/spec/issuerRef/name"),
            text(object, "/spec/issuerRef/kind"),
            text(object, "/spec/issuerRef/group"),
        ),
        "Ingress" => annotated(object),
        _ => return None,
    };
    let namespace = match kind {
        "" | "Issuer" => namespace(object),
        "ClusterIssuer" => "",
        _ => return None,
    };
    let ours = matches!(group, "" | "cert-manager.io") && !name.is_empty();
    ours.then(|| Named { namespace: namespace.into(), name: name.into() })
}

fn annotated(ingress: &Value) -> (&str, &str, &str) {
    let annotations = ingress.pointer("/metadata/annotations");
    let get = |key: &str| {
        let value = annotations.and_then(|all| all.get(key)).and_then(Value::as_str);
        value.unwrap_or_default()
    };
    match get(names::CLUSTER_ISSUER) {
        "" => (get(names::ISSUER), get(names::ISSUER_KIND), get(names::ISSUER_GROUP)),
        name => (name, "ClusterIssuer", ""),
    }
}

/// What makes CA issuers of them: a self-signed issuer, a CA where each looks for its Secret, and
/// the issuers themselves.
pub(super) fn made(issuers: &BTreeSet<Named>) -> Vec<Manifest> {
    if issuers.is_empty() {
        return Vec::new();
    }
    let namespaces: BTreeSet<&str> = issuers.iter().map(Named::ca_namespace).collect();
    let all = [self_signed()].into_iter();
    let all = all.chain(namespaces.into_iter().map(authority)).chain(issuers.iter().map(issuer));
    all.map(|object| Manifest { path: SOURCE.to_owned(), line: 1, object }).collect()
}

fn object(kind: &str, metadata: &Value, spec: &Value) -> Value {
    json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn self_signed() -> Value {
    object("ClusterIssuer", &json!({"name": CA}), &json!({"selfSigned": {}}))
}

fn authority(namespace: &str) -> Value {
    let spec = json!({
        "isCA": true,
        "commonName": "Everleaf dev CA",
        "secretName": CA,
        "duration": "87600h",
        "privateKey": {"algorithm": "ECDSA", "size": 256},
        "issuerRef": {"name": CA, "kind": "ClusterIssuer"},
    });
    object("Certificate", &json!({"name": CA, "namespace": namespace}), &spec)
}

fn issuer(named: &Named) -> Value {
    let spec = json!({"ca": {"secretName": CA}});
    let Named { namespace, name } = named;
    match namespace.as_str() {
        "" => object("ClusterIssuer", &json!({"name": name}), &spec),
        _ => object("Issuer", &json!({"name": name, "namespace": namespace}), &spec),
    }
}
