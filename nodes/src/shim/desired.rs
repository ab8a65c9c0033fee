//! The Certificates that an Ingress asks for.

use super::annotations::{self, Shaped};
use crate::effect::Strings;
use crate::facts::{IngressFacts, Problem};
use crate::options::Options;
use crate::project::spec_digest;
use everleaf_api::names;
use everleaf_api::types::certificate::{CertificateSpec, KeyUsage};
use everleaf_api::types::reference::IssuerRef;
use everleaf_engine::Digest;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A Certificate that is asked for.
pub(super) struct Wanted {
    pub name: Arc<str>,
    pub labels: Strings,
    pub annotations: Strings,
    pub spec: Digest,
    /// The whole object as JSON, without owner.
    pub object: Arc<str>,
}

/// What an Ingress asks for.
#[derive(Default)]
pub(super) struct Desired {
    /// Whether it asks at all.
    pub annotated: bool,
    /// Whether nothing can be made of it.
    pub broken: bool,
    pub problems: Vec<Problem>,
    pub certificates: Vec<Wanted>,
}

impl Desired {
    fn broken(problems: Vec<Problem>) -> Self {
        Self { annotated: true, broken: true, problems, certificates: Vec::new() }
    }
}

fn problem(path: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Problem {
    Problem { path: path.into(), message: message.into() }
}

/// What an Ingress asks for, by its annotations and TLS blocks.
pub(super) fn of(options: &Options, name: &Arc<str>, ingress: &IngressFacts) -> Desired {
    if !is_annotated(options, ingress) {
        return Desired::default();
    }
    let issuer = issuer(options, ingress);
    let shaped = annotations::shape(&ingress.annotations);
    let fault = named_twice(ingress)
        .or_else(|| issuer.as_ref().ok().and_then(|first| misread_fallbacks(ingress, first)));
    let (issuer, shaped) = match (issuer, shaped, fault) {
        (Ok(issuer), Ok(shaped), None) => (issuer, shaped),
        (issuer, shaped, fault) => {
            let mut problems: Vec<Problem> = issuer.err().into_iter().collect();
            problems.extend(shaped.err().unwrap_or_default());
            problems.extend(fault);
            return Desired::broken(problems);
        }
    };
    let mut desired = Desired { annotated: true, ..Desired::default() };
    for (index, (secret, hosts)) in ingress.tls.iter().enumerate() {
        let path = format!("spec.tls[{index}]");
        if secret.is_empty() {
            desired.problems.push(problem(path, "Skipped a TLS block: it has no secretName"));
        } else if hosts.is_empty() {
            desired.problems.push(problem(path, "Skipped a TLS block: it has no hosts"));
        } else {
            let wanted = certificate(options, (name, ingress), (secret, hosts), &issuer, &shaped);
            desired.certificates.push(wanted);
        }
    }
    desired
}

fn is_annotated(options: &Options, ingress: &IngressFacts) -> bool {
    let has = |key: &str| ingress.annotations.contains_key(key);
    let truthy = |value: &Arc<str>| matches!(&**value, "1" | "t" | "T" | "true" | "TRUE" | "True");
    let auto = |key: &Arc<str>| ingress.annotations.get(key).is_some_and(truthy);
    has(names::ISSUER)
        || has(names::CLUSTER_ISSUER)
        || options.auto_certificate_annotations.iter().any(auto)
}

/// Which issuer is asked.
fn issuer(options: &Options, ingress: &IngressFacts) -> Result<IssuerRef, Problem> {
    let get = |key: &str| ingress.annotations.get(key).map(|value| value.to_string());
    let (own, cluster) = (get(names::ISSUER), get(names::CLUSTER_ISSUER));
    let (kind, group) = (get(names::ISSUER_KIND), get(names::ISSUER_GROUP));
    let mut faults = Vec::new();
    if own.is_some() && cluster.is_some() {
        faults.push("both issuer and cluster-issuer may not be set");
    }
    if cluster.is_some() && group.is_some() {
        faults.push("both cluster-issuer and issuer-group may not be set");
    }
    if cluster.is_some() && kind.is_some() {
        faults.push("both cluster-issuer and issuer-kind may not be set");
    }
    let default_kind = match (&own, &cluster) {
        (Some(_), _) => "Issuer".to_owned(),
        (None, Some(_)) => "ClusterIssuer".to_owned(),
        (None, None) => options.default_issuer_kind.to_string(),
    };
    let name = own.or(cluster).unwrap_or_else(|| options.default_issuer_name.to_string());
    if name.is_empty() {
        faults.push("the issuer's name is empty and there is no default issuer");
    }
    if !faults.is_empty() {
        let message = format!(
            "Could not determine issuer for ingress due to bad annotations: {}",
            faults.join(", ")
        );
        return Err(problem("metadata.annotations", message));
    }
    let kind = Some(kind.unwrap_or(default_kind));
    let group = Some(group.unwrap_or_else(|| options.default_issuer_group.to_string()));
    Ok(IssuerRef { name, kind, group })
}

/// Why the list of further issuers cannot be read.
fn misread_fallbacks(ingress: &IngressFacts, first: &IssuerRef) -> Option<Problem> {
    let key = names::everleaf::ISSUER_FALLBACKS;
    let error = everleaf_api::fallback::parse(ingress.annotations.get(key)?, first).err()?;
    Some(problem(format!("metadata.annotations[{key}]"), error.to_string()))
}

fn named_twice(ingress: &IngressFacts) -> Option<Problem> {
    let mut seen = BTreeSet::new();
    let twice = ingress.tls.iter().find(|(s, _)| !s.is_empty() && !seen.insert(s.clone()))?;
    let message = format!(
        "Secret {:?} is named by two TLS blocks; merge them, or give one another secretName",
        twice.0
    );
    Some(problem("spec.tls", message))
}

fn certificate(
    options: &Options,
    (ingress_name, ingress): (&Arc<str>, &IngressFacts),
    (secret, hosts): (&Arc<str>, &[Arc<str>]),
    issuer: &IssuerRef,
    shaped: &Shaped,
) -> Wanted {
    let mut spec = shaped.spec.clone();
    let (dns, ips) = split_hosts(hosts);
    spec.dns_names = dns.into_iter().chain(std::mem::take(&mut spec.dns_names)).collect();
    spec.ip_addresses = ips.into_iter().chain(std::mem::take(&mut spec.ip_addresses)).collect();
    spec.secret_name = secret.to_string();
    spec.issuer_ref = issuer.clone();
    if spec.usages.is_empty() {
        spec.usages = vec![KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment];
    }
    let labels: Strings = ingress
        .labels
        .iter()
        .filter(|(key, _)| &***key != names::APPLYSET_PART_OF)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let annotations = annotations_of(options, (ingress_name, ingress), shaped);
    let object = object_text(secret, &labels, &annotations, &spec);
    Wanted { name: secret.clone(), labels, annotations, spec: spec_digest(&spec), object }
}

/// First seen first, each once; addresses apart from names.
fn split_hosts(hosts: &[Arc<str>]) -> (Vec<String>, Vec<String>) {
    let mut seen = BTreeSet::new();
    let hosts = hosts.iter().filter(|host| seen.insert((*host).clone()));
    let (ips, dns): (Vec<_>, Vec<_>) =
        hosts.map(|host| host.to_string()).partition(|h| h.parse::<std::net::IpAddr>().is_ok());
    (dns, ips)
}

fn annotations_of(
    options: &Options,
    (name, ingress): (&Arc<str>, &IngressFacts),
    shaped: &Shaped,
) -> Strings {
    let extra = options.extra_certificate_annotations.iter();
    let extra = extra.filter_map(|key| Some((key.clone(), ingress.annotations.get(key)?.clone())));
    let mut all: Strings = extra.collect();
    let listed = ingress.annotations.get_key_value(names::everleaf::ISSUER_FALLBACKS);
    all.extend(listed.map(|(key, list)| (key.clone(), list.clone())));
    all.extend(shaped.overrides.clone());
    if shaped.edits_in_place {
        all.insert(names::HTTP01_OVERRIDE_INGRESS_NAME.into(), name.clone());
        all.insert(names::ISSUE_TEMPORARY_CERTIFICATE.into(), "true".into());
    }
    all
}

fn object_text(
    name: &str,
    labels: &Strings,
    annotations: &Strings,
    spec: &CertificateSpec,
) -> Arc<str> {
    let mut metadata = json!({ "name": name });
    if !labels.is_empty() {
        metadata["labels"] = json!(labels);
    }
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    let object = json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": metadata,
        "spec": spec,
    });
    object.to_string().into()
}
