//! One object, as the API server and the operator judge it.

use super::near;
use super::report::{Severity, Sink};
use super::schema::{self, Fault, Schemas};
use crate::edge::Projector;
use everleaf_api::names::{self, CopiedAnnotations};
use everleaf_api::types::issuer::IssuerSpec;
use everleaf_api::validate::{self, Violation};
use everleaf_api::{
    ACME_GROUP, Certificate, CertificateRequest, ClusterIssuer, GROUP, Issuer, VERSION,
};
use everleaf_nodes::facts::{IssuerFacts, Kind, Parsed, Problem};
use everleaf_nodes::{Options, shim};
use everleaf_pki::Limits;
use serde_json::Value;
use std::sync::Arc;

/// What an object is to the others.
pub enum Known {
    /// A Certificate.
    Certificate(Box<Certificate>),
    /// The Certificates that an Ingress asks for.
    Ingress(Vec<Certificate>),
    /// An Issuer or ClusterIssuer.
    Issuer(Box<IssuerSpec>, Box<IssuerFacts>),
    /// One of the API's kinds, that no rule ties to others.
    Other,
}

/// Judges an object; `None` if it is of a kind that we have nothing to do with.
pub fn judge(schemas: &Schemas, object: &Value, found: &mut Sink<'_>) -> Option<Known> {
    let text = |path| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    match group {
        GROUP | ACME_GROUP => {
            let Some(schema) = served(schemas, (group, version, kind), found) else {
                return Some(Known::Other);
            };
            metadata(object, kind == "ClusterIssuer", found);
            annotations(object, found);
            Some(ours(schema, kind, object, found))
        }
        "networking.k8s.io" if kind == "Ingress" => Some(ingress(object, found)),
        "gateway.networking.k8s.io"
            if ["Gateway", "ListenerSet", "XListenerSet"].contains(&kind) =>
        {
            let asks = |key: &&'static str| object["metadata"]["annotations"].get(*key).is_some();
            [names::ISSUER, names::CLUSTER_ISSUER].into_iter().find(asks).map(|key| {
                let path = format!("metadata.annotations[{key}]");
                found.warn(
                    &path,
                    "Everleaf does not watch the Gateway API yet: write a Certificate",
                );
                Known::Other
            })
        }
        _ => mistaken_group(schemas, group, kind, found),
    }
}

/// The schema of a kind, if it is one of the API's.
fn served<'a>(
    schemas: &'a Schemas,
    (group, version, kind): (&str, &str, &str),
    found: &mut Sink<'_>,
) -> Option<&'a Value> {
    if version != VERSION {
        let why = format!("{group}/{version} is not served; write {group}/{VERSION}");
        found.error("apiVersion", why);
        return None;
    }
    let schema = schemas.of(group, kind);
    if schema.is_none() {
        let other = [GROUP, ACME_GROUP].into_iter().find(|other| schemas.of(other, kind).is_some());
        let hint = match (other, near::nearest(kind, schemas.kinds(group))) {
            (Some(other), _) => format!("; it is a kind of {other}/{VERSION}"),
            (None, Some(meant)) => format!("; did you mean {meant}?"),
            (None, None) => String::new(),
        };
        found.error("kind", format!("{group}/{VERSION} has no kind {kind:?}{hint}"));
    }
    schema
}

/// An object of ours under a group that is nearly ours, or was before v1.
fn mistaken_group(
    schemas: &Schemas,
    group: &str,
    kind: &str,
    found: &mut Sink<'_>,
) -> Option<Known> {
    let ours = [GROUP, ACME_GROUP].into_iter().find(|own| schemas.of(own, kind).is_some())?;
    let old = group.ends_with("certmanager.k8s.io");
    let meant = old || near::nearest(group, [ours].into_iter()).is_some();
    meant.then(|| {
        found.error(
            "apiVersion",
            format!("{group:?} is no group of {kind}; write {ours}/{VERSION}"),
        );
        Known::Other
    })
}

fn metadata(object: &Value, cluster: bool, found: &mut Sink<'_>) {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    let named = ["name", "generateName"].iter().any(|name| !text(name).is_empty());
    if !named {
        found.error("metadata.name", "Required value: name or generateName is required");
    }
    if cluster && !text("namespace").is_empty() {
        found.warn("metadata.namespace", "a ClusterIssuer has no namespace; remove it");
    }
}

/// Annotations of ours that nobody reads, for they are misspelt.
fn annotations(object: &Value, found: &mut Sink<'_>) {
    let all = object["metadata"]["annotations"].as_object().into_iter().flatten();
    for (key, value) in all {
        let path = format!("metadata.annotations[{key}]");
        let known = || names::ALL.into_iter().chain(names::everleaf::ALL);
        let prefixed =
            [names::PREFIX, names::ACME_PREFIX, "everleaf.dev/"].iter().any(|p| key.starts_with(p));
        if key.starts_with("certmanager.k8s.io/") {
            let today = key.replacen("certmanager.k8s.io/", names::PREFIX, 1);
            found.warn(&path, format!("is not read any more; write {today}"));
        } else if !known().any(|own| own == key) {
            let meant = near::nearest(key, known());
            if prefixed || meant.is_some() {
                let hint = meant.map_or(String::new(), |own| format!("; did you mean {own}?"));
                found.warn(&path, format!("nothing reads this annotation{hint}"));
            }
        }
        if !value.is_string() && !value.is_null() {
            let why = "Invalid value: must be of type string; put it in quotes";
            found.error(&path, why);
        }
    }
}

fn ours(schema: &Value, kind: &str, object: &Value, found: &mut Sink<'_>) -> Known {
    let faults = schema::check(schema, object);
    for fault in &faults {
        tell(fault, found);
    }
    let mut whole = object.clone();
    let out = schema::mend(&mut whole, &faults);
    let absent = faults.iter().map(|fault| &fault.path);
    let seen = Seen { absent: absent.cloned().collect(), out };
    if let Some(annotations) = whole.pointer_mut("/metadata/annotations") {
        annotations.as_object_mut().into_iter().for_each(|all| all.retain(|_, v| v.is_string()));
    }
    match rules(kind, &whole, &seen, found) {
        Ok(known) => known,
        Err(error) => {
            if faults.is_empty() {
                found.error("spec", format!("cannot be read: {error}"));
            }
            Known::Other
        }
    }
}

fn tell(fault: &Fault, found: &mut Sink<'_>) {
    match fault.kind {
        None => found.warn(&fault.path, fault.message.clone()),
        Some(kind) => found.violation(&Violation {
            path: fault.path.clone(),
            kind,
            value: fault.value.clone(),
            message: fault.message.clone(),
        }),
    }
}

/// What the schema said already, of which rules shall not speak again.
struct Seen {
    absent: Vec<String>,
    out: Vec<String>,
}

impl Seen {
    fn covers(&self, path: &str) -> bool {
        self.absent.iter().any(|known| known == path)
            || self.out.iter().any(|out| is_within(path, out) || is_within(out, path))
    }
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What the operator refuses, and what is unwise.
fn rules(
    kind: &str,
    object: &Value,
    seen: &Seen,
    found: &mut Sink<'_>,
) -> Result<Known, serde_json::Error> {
    let take =
        |found: &mut Sink<'_>, violations: Vec<Violation>, advice: Vec<validate::Warning>| {
            // What is refused needs no advice.
            let refused = |path: &str| violations.iter().any(|v| v.path == path);
            let fresh = |path: &str| !seen.covers(path);
            violations.iter().filter(|v| fresh(&v.path)).for_each(|v| found.violation(v));
            let advice = advice.iter().filter(|w| fresh(&w.path) && !refused(&w.path));
            advice.for_each(|w| found.advice(w));
            let said = violations.into_iter().map(|violation| violation.message);
            said.collect::<Vec<String>>()
        };
    match kind {
        "Certificate" => {
            let read: Certificate = serde_json::from_value(object.clone())?;
            let advice = validate::certificate_warnings(&read.spec);
            let said = take(found, validate::certificate(&read.spec), advice);
            operator(Kind::Certificate, object, &said, seen, found);
            Ok(Known::Certificate(Box::new(read)))
        }
        "CertificateRequest" => {
            let read: CertificateRequest = serde_json::from_value(object.clone())?;
            let said = take(found, validate::certificate_request(&read), Vec::new());
            operator(Kind::CertificateRequest, object, &said, seen, found);
            Ok(Known::Other)
        }
        "Issuer" | "ClusterIssuer" => {
            let (spec, own) = match kind {
                "Issuer" => (serde_json::from_value::<Issuer>(object.clone())?.spec, Kind::Issuer),
                _ => {
                    let read: ClusterIssuer = serde_json::from_value(object.clone())?;
                    (read.spec, Kind::ClusterIssuer)
                }
            };
            let advice = validate::issuer_warnings(&spec, own == Kind::Issuer);
            let said = take(found, validate::issuer(&spec), advice);
            let facts = operator(own, object, &said, seen, found);
            Ok(facts.map_or(Known::Other, |facts| Known::Issuer(Box::new(spec), facts)))
        }
        // Of an Order and a Challenge only changes have rules.
        _ => Ok(Known::Other),
    }
}

/// What the operator finds on top: annotations that it reads, and what the signing request says.
/// Returns the facts of an issuer.
fn operator(
    kind: Kind,
    object: &Value,
    said: &[String],
    seen: &Seen,
    found: &mut Sink<'_>,
) -> Option<Box<IssuerFacts>> {
    let projector = Projector::new(CopiedAnnotations::default(), Limits::default());
    let facts = projector.read(kind, object).ok()?.facts;
    let problems = match (facts.certificate(), facts.request(), facts.issuer()) {
        (Some(facts), ..) => &facts.problems,
        (_, Some(facts), _) => &facts.problems,
        (.., Some(facts)) => &facts.problems,
        _ => return None,
    };
    let fresh =
        |p: &&Problem| !said.iter().any(|said| **said == *p.message) && !seen.covers(&p.path);
    for problem in problems.iter().filter(fresh) {
        found.error(&problem.path, format!("Invalid value: {}", problem.message));
    }
    if let Some(Parsed::Broken(why)) = facts.request().map(|facts| &facts.csr)
        && !object["spec"]["request"].as_str().unwrap_or_default().is_empty()
    {
        found.error("spec.request", format!("Invalid value: no signing request: {why}"));
    }
    facts.issuer().map(|facts| Box::new(facts.clone()))
}

/// An Ingress: what its annotations ask for, as the operator reads it.
fn ingress(object: &Value, found: &mut Sink<'_>) -> Known {
    annotations(object, found);
    let projector = Projector::new(CopiedAnnotations::default(), Limits::default());
    let Ok(read) = projector.read(Kind::Ingress, object) else { return Known::Other };
    let Some(facts) = read.facts.ingress() else { return Known::Other };
    // An annotation that says tls-acme relies on a default issuer, which only flags name.
    let options = Options { default_issuer_name: "the-default".into(), ..Options::default() };
    let own = [names::ISSUER, names::CLUSTER_ISSUER];
    let named = own.iter().any(|key| facts.annotations.contains_key(*key));
    let options = if named { Options::default() } else { options };
    let asked = shim::asked(&options, &read.key.name, facts);
    if !asked.annotated {
        return Known::Ingress(Vec::new());
    }
    for problem in &asked.problems {
        let skipped = problem.path.starts_with("spec.tls[");
        let severity = if skipped { Severity::Warning } else { Severity::Error };
        found.add(severity, &problem.path, problem.message.to_string());
    }
    if facts.tls.is_empty() {
        found.warn("spec", "asks for certificates and has no tls: nothing is issued; add a block");
    }
    unserved(object, found);
    let parse = |text: &Arc<str>| serde_json::from_str::<Certificate>(text).ok();
    let mut certificates: Vec<Certificate> = asked.certificates.iter().filter_map(parse).collect();
    for certificate in &mut certificates {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        certificate.metadata.namespace = namespace.to_owned();
        // By flag, not by the file.
        if !named {
            certificate.spec.issuer_ref.name.clear();
        }
        advise(object, certificate, found);
    }
    Known::Ingress(certificates)
}

fn advise(object: &Value, certificate: &Certificate, found: &mut Sink<'_>) {
    for warning in validate::certificate_warnings(&certificate.spec) {
        let path = ingress_path(object, certificate, &warning.path);
        found.warn(&path, warning.message);
    }
}

/// Where an Ingress says what a field of one of its Certificates says.
pub fn ingress_path(object: &Value, certificate: &Certificate, path: &str) -> String {
    let blocks = object.pointer("/spec/tls").and_then(Value::as_array);
    let own = |block: &Value| block["secretName"] == *certificate.spec.secret_name;
    let index = blocks.and_then(|blocks| blocks.iter().position(own));
    let block = index.map_or_else(|| "spec.tls".to_owned(), |index| format!("spec.tls[{index}]"));
    let given = |key: &str| object["metadata"]["annotations"].get(key).is_some();
    let annotation = |key: &str| format!("metadata.annotations[{key}]");
    match path.strip_prefix("spec.").unwrap_or(path) {
        "secretName" => format!("{block}.secretName"),
        field if field.starts_with("issuerRef") => {
            let keys = [names::ISSUER, names::CLUSTER_ISSUER];
            let key = keys.into_iter().find(|key| given(key));
            key.map_or_else(|| "metadata.annotations".to_owned(), annotation)
        }
        _ => match shim::annotation_of(path) {
            key if given(key) && key != names::ALT_NAMES => annotation(key),
            _ => format!("{block}.hosts"),
        },
    }
}

/// Hosts of a TLS block that no rule serves: a certificate that nobody will see.
fn unserved(object: &Value, found: &mut Sink<'_>) {
    let items = |path: &str| object.pointer(path).and_then(Value::as_array).into_iter().flatten();
    let hosts: Vec<&str> =
        items("/spec/rules").map(|rule| rule["host"].as_str().unwrap_or_default()).collect();
    // A rule without a host, or a default backend, serves every host.
    if hosts.iter().any(|host| host.is_empty()) || object.pointer("/spec/defaultBackend").is_some()
    {
        return;
    }
    for (i, block) in items("/spec/tls").enumerate() {
        let names = block["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for (j, name) in names.enumerate() {
            if !hosts.iter().any(|host| covers(name, host) || covers(host, name)) {
                let why = format!("no rule serves {name:?}: its certificate is for nothing");
                found.warn(&format!("spec.tls[{i}].hosts[{j}]"), why);
            }
        }
    }
}

/// Whether a name, perhaps a wildcard, is or covers another.
fn covers(name: &str, other: &str) -> bool {
    let below = |star: &str| other.split_once('.').is_some_and(|(_, rest)| rest == star);
    name == other || name.strip_prefix("*.").is_some_and(below)
}
