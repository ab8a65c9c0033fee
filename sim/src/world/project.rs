//! From API objects to facts, as the edge of the operator does it; what is PEM there is symbolic
//! here.

use super::material::{self, SymCert, SymCsr};
use everleaf_api::{
    Certificate, CertificateRequest, Challenge, ClusterIssuer, Issuer, ObjectMeta, Order, names,
};
use everleaf_engine::{ObjectKey, Uid, digest_of};
use everleaf_nodes::facts::{Content, Facts, Kind, Parsed, SecretFacts};
use everleaf_nodes::{budget, feed, project};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A feed of the API server.
pub struct Source {
    /// The feed's number.
    pub feed: u8,
    /// The resource.
    pub resource: &'static str,
    /// The label selector.
    pub selector: &'static str,
    /// Whether only metadata is watched.
    pub metadata_only: bool,
}

const fn source(feed: u8, resource: &'static str) -> Source {
    Source { feed, resource, selector: "", metadata_only: false }
}

/// Every feed but that of the keys in memory.
pub const SOURCES: [Source; 10] = [
    source(feed::CERTIFICATES, "certificates.cert-manager.io"),
    source(feed::REQUESTS, "certificaterequests.cert-manager.io"),
    source(feed::ISSUERS, "issuers.cert-manager.io"),
    source(feed::CLUSTER_ISSUERS, "clusterissuers.cert-manager.io"),
    Source {
        feed: feed::LABELLED_SECRETS,
        resource: "secrets",
        selector: "controller.cert-manager.io/fao=true",
        metadata_only: false,
    },
    Source {
        feed: feed::OTHER_SECRETS,
        resource: "secrets",
        selector: "controller.cert-manager.io/fao!=true",
        metadata_only: true,
    },
    source(feed::INGRESSES, "ingresses.networking.k8s.io"),
    source(feed::ORDERS, "orders.acme.cert-manager.io"),
    source(feed::CHALLENGES, "challenges.acme.cert-manager.io"),
    Source {
        feed: feed::BUDGETS,
        resource: "configmaps",
        selector: "everleaf.dev/component=acme-budget",
        metadata_only: false,
    },
];

/// The resource of a kind; empty for keys in memory, which are none.
pub fn resource(kind: Kind) -> &'static str {
    match kind {
        Kind::Certificate => "certificates.cert-manager.io",
        Kind::CertificateRequest => "certificaterequests.cert-manager.io",
        Kind::Issuer => "issuers.cert-manager.io",
        Kind::ClusterIssuer => "clusterissuers.cert-manager.io",
        Kind::Secret => "secrets",
        Kind::Ingress => "ingresses.networking.k8s.io",
        Kind::Order => "orders.acme.cert-manager.io",
        Kind::Challenge => "challenges.acme.cert-manager.io",
        Kind::ConfigMap => "configmaps",
        Kind::Key => "",
    }
}

/// The kind of a resource, if it is one of the world's.
pub fn kind(resource_name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| *kind != Kind::Key && resource(*kind) == resource_name)
}

/// What identifies a version of an object.
pub struct Identity {
    /// Its key.
    pub key: ObjectKey<Kind>,
    /// Its UID.
    pub uid: Uid,
    /// Its resourceVersion.
    pub rv: u64,
}

/// A text at a JSON pointer; empty if there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The resourceVersion; 0 if there is none.
pub fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or_default()
}

/// Name, UID and version of an object.
pub fn identity(kind: Kind, object: &Value) -> Identity {
    let part = |pointer: &str| text(object, pointer);
    Identity {
        key: ObjectKey::new(kind, part("/metadata/namespace"), part("/metadata/name")),
        uid: part("/metadata/uid").into(),
        rv: version(object),
    }
}

/// The facts of an object; `None` if it cannot be read. Of a Secret, `whole` says whether its
/// data is there.
pub fn facts(kind: Kind, object: &Value, whole: bool) -> Option<Facts> {
    let meta = || ObjectMeta::deserialize(&object["metadata"]).ok();
    Some(match kind {
        Kind::Certificate => {
            let read = Certificate::deserialize(object).ok()?;
            let copied = names::CopiedAnnotations::default();
            let literal = read.spec.literal_subject.as_ref().map(digest_of);
            Facts::Certificate(Box::new(project::certificate(&read, &copied, literal)))
        }
        Kind::CertificateRequest => request(object)?,
        Kind::Issuer => {
            let read = Issuer::deserialize(object).ok()?;
            let (spec, status) = (&read.spec, &read.status);
            Facts::Issuer(Box::new(project::issuer(&read.metadata, spec, status)))
        }
        Kind::ClusterIssuer => {
            let read = ClusterIssuer::deserialize(object).ok()?;
            let (spec, status) = (&read.spec, &read.status);
            Facts::Issuer(Box::new(project::issuer(&read.metadata, spec, status)))
        }
        Kind::Secret => Facts::Secret(Box::new(secret(&meta()?, object, whole))),
        Kind::Ingress => Facts::Ingress(Box::new(project::ingress(&meta()?, object))),
        Kind::Order => order(object)?,
        Kind::Challenge => {
            let read = Challenge::deserialize(object).ok()?;
            Facts::Challenge(Box::new(project::challenge(&read)))
        }
        Kind::ConfigMap => {
            let buckets = object["data"][budget::DATA_KEY].as_str();
            Facts::Budget(project::budget(buckets))
        }
        Kind::Key => return None,
    })
}

fn request(object: &Value) -> Option<Facts> {
    let read = CertificateRequest::deserialize(object).ok()?;
    let csr = match material::decode::<SymCsr>(&object["spec"]["request"]) {
        Parsed::Good(csr) => Parsed::Good(csr.facts()),
        Parsed::Missing => Parsed::Missing,
        Parsed::Broken(why) => Parsed::Broken(why),
    };
    let chain = material::decode::<Vec<SymCert>>(&object["status"]["certificate"]);
    let facts = project::request(&read, csr, material::leaf_facts(&chain));
    Some(Facts::Request(Box::new(facts)))
}

fn order(object: &Value) -> Option<Facts> {
    let read = Order::deserialize(object).ok()?;
    let chain = material::decode::<Vec<SymCert>>(&object["status"]["certificate"]);
    let facts = project::order(&read, material::leaf_facts(&chain));
    Some(Facts::Order(Box::new(facts)))
}

fn secret(meta: &ObjectMeta, object: &Value, whole: bool) -> SecretFacts {
    let is_true = |label: &str| meta.labels.get(label).is_some_and(|value| value == "true");
    let ours = |(key, _): &(&String, &String)| key.starts_with("cert-manager.io/");
    let annotations: BTreeMap<Arc<str>, Arc<str>> = meta
        .annotations
        .iter()
        .filter(ours)
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
        .collect();
    SecretFacts {
        controller: project::controller(meta),
        label: meta.labels.get(names::FILTERED_CACHING).map(|value| value.as_str().into()),
        next_key: is_true(names::NEXT_PRIVATE_KEY),
        deleting: meta.is_deleting(),
        annotations,
        managed: project::managed(object),
        content: if whole {
            Content::Read(Box::new(material::material(&object["data"])))
        } else {
            Content::Unread
        },
    }
}
