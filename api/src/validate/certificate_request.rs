//! Rules for CertificateRequests.

use std::collections::BTreeSet;

use super::certificate::issuer_ref;
use super::{Found, Path, Violation};
use crate::condition::{APPROVED, Condition, ConditionStatus, DENIED, find_condition};
use crate::kinds::CertificateRequest;
use crate::meta::ObjectMeta;
use crate::types::certificate::KeyUsage;
use crate::types::certificate_request::CertificateRequestSpec;

/// What a signing request says, as read by somebody who can parse it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrFacts {
    /// `cA` of its basic constraints, if it carries any.
    pub is_ca: Option<bool>,
    /// The bits of its key usage extension (bit 0 is digitalSignature), if it carries one.
    pub key_usage: Option<u16>,
    /// The identifiers of its extended key usage extension in order, if it carries one.
    pub extended_key_usage: Option<Vec<String>>,
}

/// The violations of a new CertificateRequest, apart from what its signing request says; see
/// [`certificate_request_csr`].
#[must_use]
pub fn certificate_request(request: &CertificateRequest) -> Vec<Violation> {
    let (mut found, root) = (Found::default(), Path::new("spec"));
    issuer_ref(&mut found, &request.spec.issuer_ref, &root.child("issuerRef"));
    if request.spec.request.0.is_empty() {
        found.required(root.child("request"), "must hold a PEM certificate signing request");
    }
    approval(&mut found, &request.status.conditions);
    found.0
}

/// The violations between a CertificateRequest's spec and its signing request: whoever approves the
/// spec must not be given something else.
#[must_use]
pub fn certificate_request_csr(spec: &CertificateRequestSpec, csr: &CsrFacts) -> Vec<Violation> {
    let (mut found, root) = (Found::default(), Path::new("spec"));
    let is_ca = spec.is_ca.unwrap_or(false);
    if csr.is_ca.is_some_and(|asked| asked != is_ca) {
        let why = "must say the same as the basic constraints of the signing request";
        found.invalid(root.child("isCA"), is_ca, why);
    }
    if csr.key_usage.is_none() && csr.extended_key_usage.is_none() {
        return found.0;
    }
    let usages = spec.effective_usages();
    let bits = usages.iter().filter_map(|u| u.key_usage_bit()).fold(0, |bits, b| bits | 1u16 << b);
    let oids: Vec<&str> = usages.iter().filter_map(|u| u.extended_key_usage_oid()).collect();
    let extended = csr.extended_key_usage.as_deref().unwrap_or_default();
    if csr.key_usage.unwrap_or(0) != bits || extended != oids {
        let given: Vec<&str> = usages.iter().copied().map(KeyUsage::as_str).collect();
        let why = "must be the usages that the signing request asks for, in its order";
        found.invalid(root.child("usages"), given.join(","), why);
    }
    found.0
}

/// At most 100 characters of a signing request, for an error message.
#[must_use]
pub fn csr_excerpt(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    if text.chars().count() <= 100 {
        return text.into_owned();
    }
    text.chars().take(97).chain("...".chars()).collect()
}

/// The violations of a change to a CertificateRequest: its spec, its annotations of cert-manager
/// and an approval or denial once given are final.
#[must_use]
pub fn certificate_request_update(
    old: &CertificateRequest,
    new: &CertificateRequest,
) -> Vec<Violation> {
    let mut found = Found::default();
    annotations(&mut found, &old.metadata, &new.metadata);
    approval(&mut found, &new.status.conditions);
    for type_ in [APPROVED, DENIED] {
        let before = find_condition(&old.status.conditions, type_);
        if before.is_some() && before != find_condition(&new.status.conditions, type_) {
            let why = format!("the condition {type_} is final: put it back");
            found.forbidden(Path::new("status.conditions"), why);
        }
    }
    if old.spec != new.spec {
        let why = "is final: make another CertificateRequest";
        found.forbidden(Path::new("spec"), why);
    }
    found.0
}

fn annotations(found: &mut Found, old: &ObjectMeta, new: &ObjectMeta) {
    let protected =
        |key: &str| key.starts_with("cert-manager.io") || key.starts_with("acme.cert-manager.io");
    let keys: BTreeSet<&String> = old.annotations.keys().chain(new.annotations.keys()).collect();
    let changed =
        keys.into_iter().filter(|key| old.annotations.get(*key) != new.annotations.get(*key));
    for key in changed.filter(|key| protected(key)) {
        let path = Path::new("metadata.annotations").key(key);
        found.forbidden(path, "annotations of cert-manager are final: put it back");
    }
}

/// At most one approval and one denial, both only `True`, and never both.
fn approval(found: &mut Found, conditions: &[Condition]) {
    let path = Path::new("status.conditions");
    for type_ in [APPROVED, DENIED] {
        let all: Vec<&Condition> = conditions.iter().filter(|c| c.type_ == type_).collect();
        if all.len() > 1 {
            found.forbidden(path.clone(), format!("has several conditions {type_}: keep one"));
        }
        if let Some(first) = all.first().filter(|c| c.status != ConditionStatus::True) {
            let why = "must be True, or absent";
            found.invalid(path.key(type_), &first.status, why);
        }
    }
    let has = |type_| find_condition(conditions, type_).is_some();
    if has(APPROVED) && has(DENIED) {
        found.forbidden(path, "is approved and denied at once: keep the first of the two");
    }
}
