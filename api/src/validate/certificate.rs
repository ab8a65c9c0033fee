//! Rules for Certificates.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::format::{is_cidr, is_email, is_label_value, is_qualified_name, is_subdomain};
use super::{Found, Path, Violation, ViolationKind};
use crate::cron::{Schedule, time_zone};
use crate::fallback;
use crate::gates::{Component, FeatureGates, Gate};
use crate::names;
use crate::subject::{self, COMMON_NAME};
use crate::types::certificate::{
    CertificateKeystores, CertificateRenewal, CertificateRenewalWindow, CertificateSecretTemplate,
    CertificateSpec, NameConstraintItem, NameConstraints, OtherName, PrivateKeyAlgorithm,
    RenewalPolicy, SignatureAlgorithm, X509Subject,
};
use crate::types::reference::{IssuerRef, SecretKeySelector};
use crate::types::{MINIMUM_DURATION, MINIMUM_RENEW_BEFORE};

const MAX_COMMON_NAME: usize = 64;
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The violations of a Certificate's spec, under the webhook's default feature gates.
#[must_use]
pub fn certificate(spec: &CertificateSpec) -> Vec<Violation> {
    certificate_gated(spec, &FeatureGates::defaults(Component::Webhook))
}

/// The violations of a Certificate's spec, under these feature gates.
#[must_use]
pub fn certificate_gated(spec: &CertificateSpec, gates: &FeatureGates) -> Vec<Violation> {
    let (mut found, root) = (Found::default(), Path::new("spec"));
    secret_name(&mut found, spec, &root);
    issuer_ref(&mut found, &spec.issuer_ref, &root.child("issuerRef"));
    fallbacks(&mut found, spec, &root.child("fallbackIssuerRefs"));
    identity(&mut found, spec, gates, &root);
    names(&mut found, spec, gates, &root);
    private_key(&mut found, spec, &root);
    durations(&mut found, spec, &root);
    if spec.revision_history_limit.is_some_and(|limit| limit < 1) {
        let limit = spec.revision_history_limit.unwrap_or_default();
        found.invalid(
            root.child("revisionHistoryLimit"),
            limit,
            "must be at least 1; leave it out to keep one",
        );
    }
    if let Some(template) = &spec.secret_template {
        secret_template(&mut found, template, &root.child("secretTemplate"));
    }
    if let Some(constraints) = &spec.name_constraints {
        let path = root.child("nameConstraints");
        name_constraints(&mut found, constraints, spec.is_ca, gates, &path);
    }
    output_formats(&mut found, spec, &root.child("additionalOutputFormats"));
    if let Some(stores) = &spec.keystores {
        keystores(&mut found, stores, &root.child("keystores"));
    }
    if let Some(renewal_spec) = &spec.renewal {
        renewal(&mut found, renewal_spec, &root.child("renewal"));
    }
    found.0
}

fn secret_name(found: &mut Found, spec: &CertificateSpec, root: &Path) {
    let path = root.child("secretName");
    if found.text(path.clone(), &spec.secret_name) && !is_subdomain(&spec.secret_name) {
        let why = "must be the name of a Secret: at most 253 lower case letters, digits, '-' and \
            '.', beginning and ending with a letter or digit";
        found.invalid(path, &spec.secret_name, why);
    }
}

/// Also for CertificateRequests.
pub(super) fn issuer_ref(found: &mut Found, issuer: &IssuerRef, path: &Path) {
    found.text(path.child("name"), &issuer.name);
    let known = matches!(issuer.kind_or_default(), "Issuer" | "ClusterIssuer");
    if !issuer.is_own_group() || known {
        return;
    }
    let mut why = "this group has the kinds Issuer and ClusterIssuer only".to_owned();
    if issuer.group.as_deref().unwrap_or_default().is_empty() {
        why += &format!("; for a kind of another group set {}", path.child("group").0);
    }
    found.invalid(path.child("kind"), issuer.kind_or_default(), why);
}

/// Each issuer stands in the list once, and not many do.
fn fallbacks(found: &mut Found, spec: &CertificateSpec, path: &Path) {
    let listed = &spec.fallback_issuer_refs;
    if listed.len() > fallback::MAX {
        let why = format!("must list at most {} issuers", fallback::MAX);
        found.invalid(path.clone(), listed.len(), why);
    }
    for (i, issuer) in listed.iter().enumerate().take(fallback::MAX) {
        issuer_ref(found, issuer, &path.index(i));
        let mut before = std::iter::once(&spec.issuer_ref).chain(&listed[..i]);
        if before.any(|other| other.refers_to_same(issuer)) {
            let why = "name each issuer once; the first is that of issuerRef".to_owned();
            let (at, name) = (path.index(i), Some(issuer.name.clone()));
            found.add(at, ViolationKind::Duplicate, name, why);
        }
    }
}

/// Who the certificate is for: there must be somebody, and a common name must fit.
fn identity(found: &mut Found, spec: &CertificateSpec, gates: &FeatureGates, root: &Path) {
    let mut common_name = spec.common_name.clone().unwrap_or_default();
    if let Some(literal) = &spec.literal_subject {
        exclusive_subject(found, spec, gates, root);
        if let Some(name) = literal_subject(found, literal, &root.child("literalSubject")) {
            common_name = name;
        }
    }
    let nobody = common_name.is_empty()
        && spec.dns_names.is_empty()
        && spec.uris.is_empty()
        && spec.email_addresses.is_empty()
        && spec.ip_addresses.is_empty()
        && spec.other_names.is_empty();
    if nobody {
        let why = "set at least one of commonName (or a CN in literalSubject), dnsNames, uris, \
            emailAddresses, ipAddresses and otherNames";
        found.invalid(root.clone(), "", why);
    }
    if common_name.len() > MAX_COMMON_NAME {
        let why = "must be at most 64 bytes; put a longer name into dnsNames".to_owned();
        found.add(root.child("commonName"), ViolationKind::TooLong, Some(common_name), why);
    }
}

fn exclusive_subject(found: &mut Found, spec: &CertificateSpec, gates: &FeatureGates, root: &Path) {
    if !gates.enabled(Gate::LiteralCertificateSubject) {
        gate_needed(found, root.child("literalSubject"), Gate::LiteralCertificateSubject);
    }
    let why = "must not be set beside literalSubject; put it there";
    if let Some(name) = &spec.common_name {
        found.invalid(root.child("commonName"), name, why);
    }
    if spec.subject.as_ref().is_some_and(|subject| *subject != X509Subject::default()) {
        found.forbidden(root.child("subject"), why);
    }
}

/// Returns the common name, the last in the order of the DER encoding.
fn literal_subject(found: &mut Found, literal: &str, path: &Path) -> Option<String> {
    let rdns = match subject::parse_attributes(literal) {
        Ok(rdns) => rdns,
        Err(error) => {
            found.invalid(path.clone(), literal, error.to_string());
            return None;
        }
    };
    let mut common_name = None;
    for attribute in rdns.into_iter().flatten() {
        match attribute.oid.as_deref() {
            Some(COMMON_NAME) => common_name = Some(attribute.value),
            Some(_) => {}
            None => {
                let (key, value) = (attribute.key, attribute.value);
                let error = subject::SubjectError::UnknownKey { key, value };
                found.invalid(path.clone(), literal, error.to_string());
            }
        }
    }
    common_name
}

fn gate_needed(found: &mut Found, path: Path, gate: Gate) {
    let why =
        format!("needs the feature gate {gate} on webhook and controller", gate = gate.as_str());
    found.forbidden(path, why);
}

fn names(found: &mut Found, spec: &CertificateSpec, gates: &FeatureGates, root: &Path) {
    for (i, address) in spec.ip_addresses.iter().enumerate() {
        if address.parse::<IpAddr>().is_err() {
            found.invalid(
                root.child("ipAddresses").index(i),
                address,
                "must be an IPv4 or IPv6 address, without a zone",
            );
        }
    }
    for (i, address) in spec.email_addresses.iter().enumerate() {
        if !is_email(address) {
            let why = "must be a bare address, as in someone@example.com";
            found.invalid(root.child("emailAddresses").index(i), address, why);
        }
    }
    if !spec.other_names.is_empty() && !gates.enabled(Gate::OtherNames) {
        return gate_needed(found, root.child("otherNames"), Gate::OtherNames);
    }
    for (i, name) in spec.other_names.iter().enumerate() {
        other_name(found, name, &root.child("otherNames").index(i));
    }
}

fn other_name(found: &mut Found, name: &OtherName, path: &Path) {
    let oid = name.oid.as_deref().unwrap_or_default();
    if found.text(path.child("oid"), oid) && !subject::is_oid(oid) {
        found.invalid(
            path.child("oid"),
            oid,
            "invalid oid syntax: write it like 1.3.6.1.4.1.311.20.2.3",
        );
    }
    if name.utf8_value.as_deref().unwrap_or_default().is_empty() {
        found.required(path.child("utf8Value"), "must be set to a valid non-empty UTF8 string");
    }
}

fn private_key(found: &mut Found, spec: &CertificateSpec, root: &Path) {
    let algorithm = spec.key_algorithm();
    let size = spec.private_key.as_ref().and_then(|key| key.size).unwrap_or(0);
    let why = match algorithm {
        PrivateKeyAlgorithm::Rsa if size != 0 && !(2048..=8192).contains(&size) => {
            "must be between 2048 and 8192 for RSA"
        }
        PrivateKeyAlgorithm::Ecdsa if !matches!(size, 0 | 256 | 384 | 521) => {
            "must be 256, 384 or 521 for ECDSA"
        }
        _ => "",
    };
    if !why.is_empty() {
        found.invalid(root.child("privateKey").child("size"), size, why);
    }
    if let Some(signature) = spec.signature_algorithm.filter(|s| key_of(*s) != algorithm) {
        let fitting = SignatureAlgorithm::ALL.iter().filter(|s| key_of(**s) == algorithm);
        let fitting: Vec<&str> = fitting.map(|s| s.as_str()).collect();
        let why = format!("a private key of {algorithm} signs with {}", fitting.join(", "));
        found.invalid(root.child("signatureAlgorithm"), signature, why);
    }
}

const fn key_of(signature: SignatureAlgorithm) -> PrivateKeyAlgorithm {
    match signature {
        SignatureAlgorithm::Sha256WithRsa
        | SignatureAlgorithm::Sha384WithRsa
        | SignatureAlgorithm::Sha512WithRsa => PrivateKeyAlgorithm::Rsa,
        SignatureAlgorithm::EcdsaWithSha256
        | SignatureAlgorithm::EcdsaWithSha384
        | SignatureAlgorithm::EcdsaWithSha512 => PrivateKeyAlgorithm::Ecdsa,
        SignatureAlgorithm::PureEd25519 => PrivateKeyAlgorithm::Ed25519,
    }
}

fn durations(found: &mut Found, spec: &CertificateSpec, root: &Path) {
    let duration = spec.duration_or_default();
    if duration < MINIMUM_DURATION {
        let why = "must be at least 1h";
        found.invalid(root.child("duration"), &duration, why);
    }
    let (before, percent) = (&spec.renew_before, spec.renew_before_percentage);
    let (before_at, percent_at) = (root.child("renewBefore"), root.child("renewBeforePercentage"));
    if let (Some(before), Some(percent)) = (before, percent) {
        let why = "set only one of renewBefore and renewBeforePercentage";
        found.invalid(before_at.clone(), before, why);
        found.invalid(percent_at.clone(), percent, why);
    }
    if let Some(before) = before {
        if *before < MINIMUM_RENEW_BEFORE {
            found.invalid(before_at.clone(), before, "must be at least 5m");
        }
        if *before >= duration {
            let why = format!("must be shorter than the duration of {}", duration.canonical());
            found.invalid(before_at, before, why);
        }
    }
    if let Some(percent) = percent.filter(|percent| !(1..=99).contains(percent)) {
        found.invalid(percent_at, percent, "must be between 1 and 99");
    }
}

fn secret_template(found: &mut Found, template: &CertificateSecretTemplate, path: &Path) {
    let labels = path.child("labels");
    for (key, value) in &template.labels {
        qualified_name(found, key, &labels);
        if !is_label_value(value) {
            let why = "must be empty, or at most 63 letters, digits, '-', '_' and '.', beginning \
                and ending with a letter or digit";
            found.invalid(labels.key(key), value, why);
        }
    }
    let annotations = path.child("annotations");
    for key in template.annotations.keys() {
        if key.starts_with(names::PREFIX) && key != names::ALLOW_DIRECT_INJECTION {
            found.invalid(
                annotations.clone(),
                key,
                "keys of cert-manager.io/ are set by the controller: remove it",
            );
        }
        qualified_name(found, &key.to_lowercase(), &annotations);
    }
    let size: usize = template.annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > MAX_ANNOTATIONS {
        let why = "must be at most 262144 bytes in all".to_owned();
        found.add(annotations, ViolationKind::TooLong, None, why);
    }
}

fn qualified_name(found: &mut Found, key: &str, path: &Path) {
    if !is_qualified_name(key) {
        let why = "must be a name of at most 63 letters, digits, '-', '_' and '.', perhaps after a \
            domain and '/', as in example.com/name";
        found.invalid(path.clone(), key, why);
    }
}

fn name_constraints(
    found: &mut Found,
    constraints: &NameConstraints,
    is_ca: Option<bool>,
    gates: &FeatureGates,
    path: &Path,
) {
    if !gates.enabled(Gate::NameConstraints) {
        return gate_needed(found, path.clone(), Gate::NameConstraints);
    }
    if is_ca != Some(true) {
        found.forbidden(
            path.clone(),
            "only a CA can have name constraints: set isCA, or remove them",
        );
    }
    if constraints.permitted.is_none() && constraints.excluded.is_none() {
        found.required(path.clone(), "set permitted, excluded or both");
    }
    ip_ranges(found, constraints.permitted.as_ref(), &path.child("permitted"));
    ip_ranges(found, constraints.excluded.as_ref(), &path.child("excluded"));
}

fn ip_ranges(found: &mut Found, item: Option<&NameConstraintItem>, path: &Path) {
    let ranges = item.map(|item| item.ip_ranges.as_slice()).unwrap_or_default();
    for (i, range) in ranges.iter().enumerate().filter(|(_, range)| !is_cidr(range)) {
        let why = "must be an IP range in CIDR notation, as in 10.0.0.0/8";
        found.invalid(path.child("ipRanges").index(i), range, why);
    }
}

fn output_formats(found: &mut Found, spec: &CertificateSpec, path: &Path) {
    let mut seen = BTreeSet::new();
    for (i, format) in spec.additional_output_formats.iter().enumerate() {
        if !seen.insert(format.type_) {
            let (at, value) = (path.index(i).child("type"), Some(format.type_.to_string()));
            found.add(at, ViolationKind::Duplicate, value, "name each format once".into());
        }
    }
}

fn keystores(found: &mut Found, stores: &CertificateKeystores, path: &Path) {
    if let Some(jks) = &stores.jks {
        let (literal, secret) = (jks.password.as_deref(), jks.password_secret_ref.as_ref());
        password(found, literal, secret, &path.child("jks"));
    }
    if let Some(pkcs12) = &stores.pkcs12 {
        let (literal, secret) = (pkcs12.password.as_deref(), pkcs12.password_secret_ref.as_ref());
        password(found, literal, secret, &path.child("pkcs12"));
    }
}

fn password(
    found: &mut Found,
    literal: Option<&str>,
    secret: Option<&SecretKeySelector>,
    path: &Path,
) {
    let secret = secret.is_some_and(|secret| !secret.name.is_empty());
    if secret == literal.is_some() {
        let why = "set exactly one of passwordSecretRef (with a name) and password";
        found.forbidden(path.clone(), why);
    }
    if literal.is_some_and(str::is_empty) {
        found.forbidden(path.child("password"), "must not be empty");
    }
}

fn renewal(found: &mut Found, renewal: &CertificateRenewal, path: &Path) {
    let windows = path.child("windows");
    match renewal.policy {
        Some(RenewalPolicy::RenewBefore) => {}
        Some(RenewalPolicy::Disabled) => {
            if !renewal.windows.is_empty() {
                found.forbidden(windows, "must not be set when the policy is Disabled");
            }
            return;
        }
        None => {
            let why = "must be RenewBefore or Disabled".to_owned();
            found.add(path.child("policy"), ViolationKind::NotSupported, Some(String::new()), why);
        }
    }
    for (i, window) in renewal.windows.iter().enumerate() {
        renewal_window(found, window, &windows.index(i));
    }
}

fn renewal_window(found: &mut Found, window: &CertificateRenewalWindow, path: &Path) {
    let length = path.child("windowDuration");
    match &window.window_duration {
        None => found.required(length, "say how long the window stays open, as in 4h"),
        Some(given) if given.seconds() < 1 => found.invalid(length, given, "must be at least 1s"),
        Some(_) => {}
    }
    let zone = window.timezone.as_deref().unwrap_or_default();
    let zone_error = time_zone(zone).err();
    // An unknown zone is reported once, at its own field.
    let zone = if zone_error.is_some() { "" } else { zone };
    if let Some(error) = zone_error {
        found.invalid(
            path.child("timezone"),
            window.timezone.as_deref().unwrap_or_default(),
            error.to_string(),
        );
    }
    if let Err(error) = Schedule::parse(&window.cron, zone) {
        found.invalid(path.child("cron"), &window.cron, error.to_string());
    }
}
