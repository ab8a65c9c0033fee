//! Which solver meets which authorization, by cert-manager's rules.

use crate::effect::Strings;
use crate::facts::{Authorization, Method, Offer, Selector, SolverFacts};
use everleaf_api::names;
use serde_json::{Value, json};
use std::sync::Arc;

/// A solver that fits, and the challenge that it meets.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<'a> {
    /// The solver.
    pub solver: &'a SolverFacts,
    /// The challenge.
    pub offer: &'a Offer,
}

/// How well a selector fits: the name itself, the labels of the longest zone, labels matched.
/// A solver without a selector fits least of all.
type Fit = Option<(bool, usize, usize)>;

/// The name that an authorization is for, with `*.` for a wildcard.
pub fn domain(authorization: &Authorization) -> String {
    let star = if authorization.wildcard { "*." } else { "" };
    format!("{star}{}", authorization.identifier)
}

/// The number of labels of a zone that a name lies in, compared label by label from the end.
fn zone_labels(domain: &str, zone: &str) -> Option<usize> {
    let (mut name, mut labels) = (domain.rsplit('.'), 0);
    for label in zone.rsplit('.') {
        if name.next() != Some(label) {
            return None;
        }
        labels += 1;
    }
    Some(labels)
}

/// How well a selector fits; `None` if a part of it does not.
fn fit(selector: &Selector, domain: &str, labels: &Strings) -> Option<(bool, usize, usize)> {
    let named = selector.names.iter().any(|name| **name == *domain);
    if !named && !selector.names.is_empty() {
        return None;
    }
    let zones = selector.zones.iter().filter_map(|zone| zone_labels(domain, zone));
    let zone = zones.max();
    if zone.is_none() && !selector.zones.is_empty() {
        return None;
    }
    let carried = |(key, value): (&Arc<str>, &Arc<str>)| labels.get(key) == Some(value);
    selector.labels.iter().all(carried).then_some((named, zone.unwrap_or(0), selector.labels.len()))
}

/// The solver for a domain, by an Order's labels, among those for which `usable` finds something:
/// of those whose selector matches the one that names the domain, then the one with the longest
/// zone, then the one with the most labels, then the first in the list. One without a selector is
/// the last resort.
fn best<'a, T>(
    solvers: &'a [SolverFacts],
    domain: &str,
    labels: &Strings,
    usable: impl Fn(&'a SolverFacts) -> Option<T>,
) -> Option<(&'a SolverFacts, T)> {
    let mut best: Option<(Fit, (&'a SolverFacts, T))> = None;
    for solver in solvers {
        let Some(with) = usable(solver) else { continue };
        let found: Fit = match &solver.selector {
            None => None,
            Some(selector) => match fit(selector, domain, labels) {
                Some(fit) => Some(fit),
                None => continue,
            },
        };
        if best.as_ref().is_none_or(|(fit, _)| found > *fit) {
            best = Some((found, (solver, with)));
        }
    }
    best.map(|(_, found)| found)
}

/// The solver for an authorization, by an Order's labels, among those whose challenge type is on
/// offer.
pub fn choose<'a>(
    solvers: &'a [SolverFacts],
    authorization: &'a Authorization,
    labels: &Strings,
) -> Option<Choice<'a>> {
    let offered = |solver: &SolverFacts| {
        let mut offers = authorization.offers.iter();
        offers.find(|offer| *offer.kind == *solver.method.offer())
    };
    let found = best(solvers, &domain(authorization), labels, offered);
    found.map(|(solver, offer)| Choice { solver, offer })
}

/// The solver that [`choose`] will find if the CA offers every challenge that may prove the domain
/// (with `*.` for a wildcard, which DNS-01 alone proves).
pub fn foresee<'a>(
    solvers: &'a [SolverFacts],
    domain: &str,
    labels: &Strings,
) -> Option<&'a SolverFacts> {
    let wildcard = domain.starts_with("*.");
    let fits = |solver: &SolverFacts| (!wildcard || solver.method == Method::Dns01).then_some(());
    best(solvers, domain, labels, fits).map(|(solver, ())| solver)
}

/// Whether the solver waits a while in place of looking at what it presented.
pub fn waits_instead_of_looking(solver: &SolverFacts) -> bool {
    let read: Result<Value, _> = serde_json::from_str(&solver.json);
    read.is_ok_and(|value| value.get("waitInsteadOfSelfCheck").is_some_and(|wait| !wait.is_null()))
}

/// Whether any solver could meet a challenge for the wildcard of a name: only DNS-01 can
/// (RFC 8555, section 7.1.3, leaves that to CAs; every public one asks for it).
pub fn can_prove_wildcard(solvers: &[SolverFacts], domain: &str, labels: &Strings) -> bool {
    let fits = |solver: &SolverFacts| {
        let selector = solver.selector.as_ref();
        selector.is_none_or(|selector| fit(selector, domain, labels).is_some())
    };
    solvers.iter().any(|solver| solver.method == Method::Dns01 && fits(solver))
}

/// What annotations of an Order ask of its HTTP-01 solvers that cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// More than one of the three ways to name an Ingress.
    #[error(
        "only one of the annotations {} may be set",
        [
            names::HTTP01_OVERRIDE_INGRESS_NAME,
            names::HTTP01_OVERRIDE_INGRESS_CLASS,
            names::HTTP01_OVERRIDE_INGRESS_CLASS_NAME,
        ]
        .join(", ")
    )]
    SeveralIngresses,
    /// A parent of which only half is told.
    #[error(
        "the annotations {} and {} go together",
        names::HTTP01_PARENT_REF_NAME,
        names::HTTP01_PARENT_REF_KIND
    )]
    HalfAParent,
    /// A route without a parent.
    #[error("the Gateway solver has no parentRefs, and no annotation names one")]
    NoParent,
}

/// The solver as an Order's annotations change it: JSON with sorted keys.
///
/// # Errors
/// If the annotations contradict each other, or a Gateway solver is left without a parent.
pub fn overridden(
    solver: &SolverFacts,
    annotations: &Strings,
    namespace: &str,
) -> Result<Value, OverrideError> {
    let mut value: Value = serde_json::from_str(&solver.json).unwrap_or(Value::Null);
    override_ingress(&mut value, annotations)?;
    override_gateway(&mut value, annotations, namespace)?;
    Ok(value)
}

fn told<'a>(annotations: &'a Strings, key: &str) -> Option<&'a str> {
    annotations.get(key).map(|value| &**value).filter(|value| !value.is_empty())
}

fn override_ingress(solver: &mut Value, annotations: &Strings) -> Result<(), OverrideError> {
    let ways = [
        (names::HTTP01_OVERRIDE_INGRESS_NAME, "name"),
        (names::HTTP01_OVERRIDE_INGRESS_CLASS, "class"),
        (names::HTTP01_OVERRIDE_INGRESS_CLASS_NAME, "ingressClassName"),
    ];
    let told: Vec<_> =
        ways.iter().filter_map(|(key, field)| Some((field, told(annotations, key)?))).collect();
    let Some(ingress) = solver.pointer_mut("/http01/ingress").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    match told.as_slice() {
        [] => Ok(()),
        [(field, value)] => {
            for (_, other) in ways {
                ingress.remove(other);
            }
            ingress.insert((**field).to_owned(), json!(value));
            Ok(())
        }
        _ => Err(OverrideError::SeveralIngresses),
    }
}

fn override_gateway(
    solver: &mut Value,
    annotations: &Strings,
    namespace: &str,
) -> Result<(), OverrideError> {
    let route = solver.pointer_mut("/http01/gatewayHTTPRoute").and_then(Value::as_object_mut);
    let Some(route) = route else { return Ok(()) };
    let name = told(annotations, names::HTTP01_PARENT_REF_NAME);
    let kind = told(annotations, names::HTTP01_PARENT_REF_KIND);
    let parents = route.entry("parentRefs").or_insert_with(|| json!([]));
    let Some(parents) = parents.as_array_mut() else { return Err(OverrideError::NoParent) };
    match (name, kind) {
        (Some(name), Some(kind)) => {
            let there = told(annotations, names::HTTP01_PARENT_REF_NAMESPACE).unwrap_or(namespace);
            let same = |parent: &Value| {
                let is = |field: &str, wanted: &str| parent[field].as_str() == Some(wanted);
                let near = parent["namespace"].as_str().unwrap_or(namespace) == there;
                is("name", name) && is("kind", kind) && near
            };
            parents.retain(|parent| !same(parent));
            let group = "gateway.networking.k8s.io";
            parents.push(json!({
                "group": group, "kind": kind, "namespace": there, "name": name,
            }));
        }
        (None, None) => {}
        _ => return Err(OverrideError::HalfAParent),
    }
    if parents.is_empty() { Err(OverrideError::NoParent) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
