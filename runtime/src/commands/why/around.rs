//! What an object stands among: whose it is, who issues for it, what was made for it; and what
//! each of those says of itself.

use everleaf_engine::world::{Object, World};
use everleaf_engine::{ObjectKey, Timestamp};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::facts::{
    ChallengeFacts, Condition, Controller, IssuerRef, OrderFacts, RequestFacts, Signer, condition,
};
use everleaf_nodes::{Everleaf, Facts, Kind};
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many objects are told of; a Certificate of a hundred names has a hundred Challenges.
const MOST: usize = 40;

/// An object that another one stands among.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Related {
    /// `owner`, `issuer`, `secret`, or what was made for it: `certificate`, `request`, `order`,
    /// `challenge`.
    pub role: &'static str,
    /// Which.
    pub key: ObjectKey<Kind>,
    /// Whether it is there; `None` if that could not be seen.
    pub there: Option<bool>,
    /// What it says of itself.
    pub says: String,
}

/// What was seen, and the kinds of which not everything was.
type Seen<'a> = (&'a World<Everleaf>, &'a BTreeSet<Kind>);

/// Everything around an object, from those that it is for to those that were made for it.
pub(super) fn around(world: Seen<'_>, key: &ObjectKey<Kind>, secrets: &Arc<str>) -> Vec<Related> {
    let Some(object) = world.0.get(key) else { return Vec::new() };
    let mut all = owners(world, key, &object.facts);
    let issuers = issuers_of(&object.facts);
    all.extend(issuers.filter_map(|issuer| Some(at(world, "issuer", issuer_key(key, issuer)?))));
    all.extend(secret_of(key, &object.facts, secrets).map(|key| at(world, "secret", key)));
    below(world, key, object, &mut all);
    all.truncate(MOST);
    all
}

fn at(world: Seen<'_>, role: &'static str, key: ObjectKey<Kind>) -> Related {
    match world.0.get(&key) {
        Some(object) => Related { role, says: says(&object.facts), key, there: Some(true) },
        None if world.1.contains(&key.kind) => {
            Related { role, key, there: None, says: "could not be looked at".to_owned() }
        }
        None => Related { role, key, there: Some(false), says: "not there".to_owned() },
    }
}

/// Who controls it, who controls that, and so on.
fn owners(world: Seen<'_>, key: &ObjectKey<Kind>, facts: &Facts) -> Vec<Related> {
    let mut all = Vec::new();
    let mut next = controller(facts).cloned();
    while let Some(Controller { kind, name, .. }) = next.take() {
        let Some(kind) = Kind::of_name(&kind) else { break };
        let owner = ObjectKey::new(kind, key.namespace.clone(), name);
        if owner == *key || all.iter().any(|related: &Related| related.key == owner) {
            break;
        }
        next = world.0.get(&owner).and_then(|object| controller(&object.facts)).cloned();
        all.push(at(world, "owner", owner));
    }
    all
}

/// Who controls an object.
pub(super) fn controller(facts: &Facts) -> Option<&Controller> {
    match facts {
        Facts::Certificate(facts) => facts.controller.as_ref(),
        Facts::Request(facts) => facts.controller.as_ref(),
        Facts::Order(facts) => facts.controller.as_ref(),
        Facts::Challenge(facts) => facts.controller.as_ref(),
        Facts::Secret(_) | Facts::Issuer(_) | Facts::Ingress(_) | Facts::Key(_) => None,
        Facts::Budget(_) => None,
    }
}

/// The issuers that an object names, the first first.
pub(super) fn issuers_of(facts: &Facts) -> impl Iterator<Item = &IssuerRef> {
    let (one, more): (Option<&IssuerRef>, &[IssuerRef]) = match facts {
        Facts::Certificate(facts) => (Some(&facts.issuer), &facts.fallbacks),
        Facts::Request(facts) => (Some(&facts.issuer), &[]),
        Facts::Order(facts) => (Some(&facts.issuer), &[]),
        Facts::Challenge(facts) => (Some(&facts.issuer), &[]),
        _ => (None, &[]),
    };
    one.into_iter().chain(more)
}

/// Where an issuer of ours is that an object names.
pub(super) fn issuer_key(of: &ObjectKey<Kind>, reference: &IssuerRef) -> Option<ObjectKey<Kind>> {
    let name = reference.name.clone();
    match reference.kind_or_default() {
        _ if !reference.is_ours() => None,
        "Issuer" => Some(ObjectKey::new(Kind::Issuer, of.namespace.clone(), name)),
        _ => Some(ObjectKey::new(Kind::ClusterIssuer, "", name)),
    }
}

/// The Secret that an object writes, or signs with.
fn secret_of(key: &ObjectKey<Kind>, facts: &Facts, cluster: &Arc<str>) -> Option<ObjectKey<Kind>> {
    let name = match facts {
        Facts::Certificate(facts) => &facts.secret_name,
        Facts::Issuer(facts) => match &facts.signer {
            Signer::Ca { secret, .. } => secret,
            Signer::Acme(acme) => &acme.key.secret,
            Signer::SelfSigned { .. } | Signer::Other(_) | Signer::None => return None,
        },
        _ => return None,
    };
    let namespace = if key.kind == Kind::ClusterIssuer { cluster } else { &key.namespace };
    Some(ObjectKey::new(Kind::Secret, namespace.clone(), name.clone()))
}

/// What was made for an object and is still of use: the newest request of a Certificate, and
/// everything of the others.
fn below(world: Seen<'_>, key: &ObjectKey<Kind>, object: &Object<Facts>, all: &mut Vec<Related>) {
    let kinds: &[(Kind, &str)] = match key.kind {
        Kind::Ingress => &[(Kind::Certificate, "certificate")],
        Kind::Certificate => &[
            (Kind::CertificateRequest, "request"),
            (Kind::Order, "order"),
            (Kind::Challenge, "challenge"),
        ],
        Kind::CertificateRequest => &[(Kind::Order, "order"), (Kind::Challenge, "challenge")],
        Kind::Order => &[(Kind::Challenge, "challenge")],
        _ => &[],
    };
    let mut parents = BTreeSet::from([object.uid.clone()]);
    for (kind, role) in kinds {
        let mut found = children(world, *kind, &key.namespace, &parents);
        if *kind == Kind::CertificateRequest {
            let newest = found.iter().max_by_key(|(_, object)| revision(&object.facts)).copied();
            found = newest.into_iter().collect();
        }
        parents = found.iter().map(|(_, object)| object.uid.clone()).collect();
        all.extend(found.into_iter().map(|(key, object)| {
            let says = says(&object.facts);
            Related { role, key: key.clone(), there: Some(true), says }
        }));
    }
}

fn children<'a>(
    world: Seen<'a>,
    kind: Kind,
    namespace: &str,
    parents: &BTreeSet<Arc<str>>,
) -> Vec<(&'a ObjectKey<Kind>, &'a Object<Facts>)> {
    let is_child = |facts: &Facts| controller(facts).is_some_and(|c| parents.contains(&c.uid));
    let all = world.0.iter().filter(|(key, _)| key.kind == kind && *key.namespace == *namespace);
    all.filter(|(_, object)| is_child(&object.facts)).collect()
}

fn revision(facts: &Facts) -> Option<(Option<i64>, Timestamp)> {
    facts.request().map(|facts| (facts.revision, facts.created))
}

/// What an object says of itself, in one line.
pub(super) fn says(facts: &Facts) -> String {
    match facts {
        Facts::Certificate(facts) => conditions(&facts.status.conditions, &["Ready", "Issuing"]),
        Facts::Request(facts) => request(facts),
        Facts::Issuer(facts) => conditions(&facts.conditions, &["Ready"]),
        Facts::Order(facts) => order(facts),
        Facts::Challenge(facts) => challenge(facts),
        Facts::Secret(facts) => match facts.material() {
            None => "there; its content was not looked at".to_owned(),
            Some(material) => match material.leaf.good() {
                Some(leaf) => format!("holds a certificate until {}", rfc3339(leaf.not_after)),
                None => "holds no certificate that can be read".to_owned(),
            },
        },
        Facts::Ingress(facts) => format!("{} TLS blocks", facts.tls.len()),
        Facts::Key(_) | Facts::Budget(_) => String::new(),
    }
}

fn request(facts: &RequestFacts) -> String {
    let told = conditions(&facts.conditions, &["Denied", "InvalidRequest", "Ready"]);
    let decided = |kind| condition(&facts.conditions, kind).is_some_and(Condition::is_true);
    match decided("Approved") || decided("Denied") {
        true => told,
        false => format!("not approved yet; {told}"),
    }
}

fn order(facts: &OrderFacts) -> String {
    let state = Some(facts.state.text()).filter(|state| !state.is_empty());
    with_reason(state.unwrap_or("not placed"), &facts.reason)
}

fn challenge(facts: &ChallengeFacts) -> String {
    let state = Some(facts.state.text()).filter(|state| !state.is_empty()).unwrap_or("new");
    let presented = if facts.presented { ", presented" } else { "" };
    let (method, name) = (facts.method.text(), &facts.dns_name);
    with_reason(&format!("{method} for {name}: {state}{presented}"), &facts.reason)
}

fn with_reason(head: &str, reason: &str) -> String {
    if reason.is_empty() { head.to_owned() } else { format!("{head}; {reason}") }
}

/// Those of the conditions that are asked for.
fn conditions(all: &[Condition], wanted: &[&str]) -> String {
    let found = wanted.iter().filter_map(|kind| condition(all, kind));
    let told: Vec<String> = found.map(told).collect();
    if told.is_empty() { "says nothing yet".to_owned() } else { told.join("; ") }
}

/// A condition in one line.
pub(super) fn told(condition: &Condition) -> String {
    let Condition { kind, status, reason, message, .. } = condition;
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{kind}={status} {reason}{message}").trim_end().to_owned()
}
