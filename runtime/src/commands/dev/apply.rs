//! Applying manifests to the modelled API server.

use crate::commands::Failure;
use crate::commands::input::Manifest;
use everleaf_sim::apiserver::{Request, ResourceDef, Response};
use everleaf_sim::http::ApiService;
use serde_json::Value;
use std::collections::BTreeMap;

/// Applies an object.
///
/// # Errors
/// [`Failure::Usage`] with file, line, object and remedy, if it is not accepted.
pub(super) fn apply(service: &ApiService, manifest: &Manifest) -> Result<(), Failure> {
    let Manifest { path, line, object } = manifest;
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let fault = |message: String| Failure::Usage(format!("{path}:{line}: {message}"));
    if version.is_empty() || kind.is_empty() {
        return Err(fault("this object lacks apiVersion or kind; name both".to_owned()));
    }
    if name.is_empty() {
        return Err(fault(format!("{kind}: metadata.name is missing; give it a name")));
    }
    let answer = service.with(|server, now| {
        let found = server.resources().find(|def| version_of(def) == version && def.kind == kind);
        let (key, namespaced) = found.map(|def| (def.key(), def.namespaced))?;
        let namespace = match text("/metadata/namespace") {
            "" if namespaced => "default",
            given => given,
        };
        let request = Request::apply(&key, namespace, name, "everleaf-dev", object.clone());
        Some(server.handle(now, &request))
    });
    match answer {
        None => Err(fault(format!(
            "{kind}/{name}: {version:?} has no such kind here; served are {}",
            served(service)
        ))),
        Some(answer) if answer.is_success() => Ok(()),
        Some(answer) => Err(fault(refused(&format!("{kind}/{name}"), version, &answer))),
    }
}

/// Why an object was refused, field by field, and what to do.
fn refused(object: &str, version: &str, answer: &Response) -> String {
    let message = answer.body["message"].as_str().unwrap_or("refused without a reason");
    let remedy = match version.split_once('/') {
        Some((group, _)) if group.ends_with("cert-manager.io") => {
            "mend that; `everleaf crds` prints which fields there are"
        }
        _ => "mend that",
    };
    format!("{object}: {message}; {remedy}")
}

fn version_of(def: &ResourceDef) -> String {
    match def.group.as_str() {
        "" => def.version.clone(),
        group => format!("{group}/{}", def.version),
    }
}

/// Every kind that is served, by apiVersion.
fn served(service: &ApiService) -> String {
    let kinds = service.read(|server| {
        let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for def in server.resources() {
            kinds.entry(version_of(def)).or_default().push(def.kind.clone());
        }
        kinds
    });
    let kinds = kinds.into_iter().map(|(version, mut kinds)| {
        kinds.sort();
        format!("{version} ({})", kinds.join(", "))
    });
    kinds.collect::<Vec<_>>().join(", ")
}
