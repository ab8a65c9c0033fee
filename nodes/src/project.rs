//! Projection: from API objects to facts. What needs PEM or DER to be read is handed in, for no
//! key and no certificate enters here.

mod acme;
mod outputs;

pub use acme::{budget, challenge, order};
pub use outputs::{SECRET_MANAGER, managed, outputs};

use crate::acme::notes;
use crate::facts::{
    AriStatus, CertificateFacts, CertificateStatus, Condition, ConstraintNames, Constraints,
    Controller, Csr, IngressFacts, IssuerFacts, IssuerRef, KeyKind, KeyWish, Leaf, Names, Parsed,
    Problem, RenewalWish, RequestFacts, Signer, Subject, Wish,
};
use everleaf_api::types::certificate as api;
use everleaf_api::types::issuer::{IssuerSpec, IssuerStatus};
use everleaf_api::{
    Certificate, CertificateRequest, GoDuration, ObjectMeta, Time, fallback, names, validate,
};
use everleaf_engine::{Digest, Timestamp, digest_of};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

fn arcs(values: &[String]) -> Vec<Arc<str>> {
    values.iter().map(|value| value.as_str().into()).collect()
}

fn arc(value: Option<&String>) -> Arc<str> {
    value.map_or_else(|| "".into(), |value| value.as_str().into())
}

fn strings(map: &BTreeMap<String, String>) -> BTreeMap<Arc<str>, Arc<str>> {
    map.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

fn instant(time: Time) -> Timestamp {
    Timestamp::from_seconds(time.unix())
}

fn millis(duration: &GoDuration) -> i64 {
    duration.nanos() / 1_000_000
}

fn conditions(given: &[everleaf_api::Condition]) -> Vec<Condition> {
    let one = |condition: &everleaf_api::Condition| Condition {
        kind: condition.type_.as_str().into(),
        status: condition.status.as_str().into(),
        reason: condition.reason.as_str().into(),
        message: condition.message.as_str().into(),
        at: condition.last_transition_time.map(instant),
        generation: condition.observed_generation,
    };
    given.iter().map(one).collect()
}

/// The controller of an object.
pub fn controller(meta: &ObjectMeta) -> Option<Controller> {
    meta.controller().map(|owner| Controller {
        kind: owner.kind.as_str().into(),
        name: owner.name.as_str().into(),
        uid: owner.uid.as_str().into(),
    })
}

fn issuer_ref(reference: &everleaf_api::types::reference::IssuerRef) -> IssuerRef {
    IssuerRef {
        name: reference.name.as_str().into(),
        kind: arc(reference.kind.as_ref()),
        group: arc(reference.group.as_ref()),
    }
}

/// The digest of a Certificate's spec; two that mean the same have the same. Passwords do not count:
/// a digest would tell of a weak one.
pub fn spec_digest(spec: &api::CertificateSpec) -> Digest {
    let mut spec = spec.clone();
    let kind = spec.issuer_ref.kind_or_default().to_owned();
    let group = spec.issuer_ref.group_or_default().to_owned();
    (spec.issuer_ref.kind, spec.issuer_ref.group) = (Some(kind), Some(group));
    let canonical = |duration: Option<GoDuration>| {
        duration.map(|duration| GoDuration::from_nanos(duration.nanos()))
    };
    spec.duration = canonical(spec.duration);
    spec.renew_before = canonical(spec.renew_before);
    if let Some(stores) = &mut spec.keystores {
        stores.jks.iter_mut().for_each(|store| store.password = None);
        stores.pkcs12.iter_mut().for_each(|store| store.password = None);
    }
    // serde_json sorts nothing here: the fields' order is the struct's, which is fixed.
    digest_of(&serde_json::to_string(&spec).unwrap_or_default())
}

fn key_wish(spec: Option<&api::CertificatePrivateKey>) -> KeyWish {
    let default = api::CertificatePrivateKey::default();
    let spec = spec.unwrap_or(&default);
    let size = spec.size.and_then(|size| u32::try_from(size).ok()).filter(|size| *size > 0);
    let kind = match spec.algorithm {
        None | Some(api::PrivateKeyAlgorithm::Rsa) => KeyKind::Rsa(size.unwrap_or(2048)),
        Some(api::PrivateKeyAlgorithm::Ecdsa) => KeyKind::Ecdsa(size.unwrap_or(256)),
        Some(api::PrivateKeyAlgorithm::Ed25519) => KeyKind::Ed25519,
    };
    KeyWish {
        kind,
        pkcs8: spec.encoding == Some(api::PrivateKeyEncoding::Pkcs8),
        rotate: spec.rotation_policy != Some(api::RotationPolicy::Never),
    }
}

fn subject(spec: Option<&api::X509Subject>) -> Subject {
    let Some(spec) = spec else { return Subject::default() };
    Subject {
        organizations: arcs(&spec.organizations),
        organizational_units: arcs(&spec.organizational_units),
        countries: arcs(&spec.countries),
        provinces: arcs(&spec.provinces),
        localities: arcs(&spec.localities),
        street_addresses: arcs(&spec.street_addresses),
        postal_codes: arcs(&spec.postal_codes),
        serial_number: arc(spec.serial_number.as_ref()),
    }
}

/// An address as certificates have it: `::ffff:10.0.0.1` is `10.0.0.1`.
fn canonical_address(text: &str) -> Arc<str> {
    match text.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().to_string().into(),
        Err(_) => text.into(),
    }
}

fn names_of(spec: &api::CertificateSpec) -> Names {
    let other = |name: &api::OtherName| (arc(name.oid.as_ref()), arc(name.utf8_value.as_ref()));
    Names {
        dns: arcs(&spec.dns_names),
        ips: spec.ip_addresses.iter().map(|address| canonical_address(address)).collect(),
        uris: arcs(&spec.uris),
        emails: arcs(&spec.email_addresses),
        others: spec.other_names.iter().map(other).collect(),
    }
}

fn constraints(spec: &api::NameConstraints) -> Constraints {
    let side = |item: Option<&api::NameConstraintItem>| {
        item.map_or_else(ConstraintNames::default, |item| ConstraintNames {
            dns_domains: arcs(&item.dns_domains),
            ip_ranges: arcs(&item.ip_ranges),
            emails: arcs(&item.email_addresses),
            uri_domains: arcs(&item.uri_domains),
        })
    };
    Constraints {
        critical: spec.critical.unwrap_or(false),
        permitted: side(spec.permitted.as_ref()),
        excluded: side(spec.excluded.as_ref()),
    }
}

fn wish(spec: &api::CertificateSpec, literal_subject_der: Option<Digest>) -> Wish {
    Wish {
        common_name: arc(spec.common_name.as_ref()),
        subject: subject(spec.subject.as_ref()),
        literal_subject: arc(spec.literal_subject.as_ref()),
        literal_subject_der,
        names: names_of(spec),
        is_ca: spec.is_ca.unwrap_or(false),
        usages: spec.usages.iter().map(|usage| usage.as_str().into()).collect(),
        encode_usages: spec.encode_usages_in_request.unwrap_or(true),
        constraints: spec.name_constraints.as_ref().map(constraints),
        signature_algorithm: spec.signature_algorithm.map_or("", |a| a.as_str()).into(),
    }
}

fn renewal(spec: &api::CertificateSpec) -> RenewalWish {
    let none = api::CertificateRenewal::default();
    let renewal = spec.renewal.as_ref().unwrap_or(&none);
    let window = |window: &api::CertificateRenewalWindow| {
        let length = window.window_duration.as_ref().map_or(0, millis);
        (window.cron.as_str().into(), arc(window.timezone.as_ref()), length)
    };
    RenewalWish {
        renew_before_ms: spec.renew_before.as_ref().map(millis),
        percentage: spec.renew_before_percentage,
        disabled: renewal.policy == Some(api::RenewalPolicy::Disabled),
        windows: renewal.windows.iter().map(window).collect(),
    }
}

/// A broken rule of the API as facts have it.
pub fn problem(violation: validate::Violation) -> Problem {
    let (path, message) = (violation.path.as_str().into(), violation.message.as_str().into());
    Problem { path, message }
}

fn certificate_status(status: &api::CertificateStatus) -> CertificateStatus {
    CertificateStatus {
        conditions: conditions(&status.conditions),
        last_failure: status.last_failure_time.map(instant),
        failed_attempts: status.failed_issuance_attempts,
        next_key_secret: status.next_private_key_secret_name.as_deref().map(Into::into),
        not_before: status.not_before.map(instant),
        not_after: status.not_after.map(instant),
        renewal: status.renewal_time.map(instant),
        revision: status.revision,
        ari: ari(status),
    }
}

/// What the CA said, with a window only if it has an inside.
fn ari(status: &api::CertificateStatus) -> AriStatus {
    let Some(ari) = status.acme.as_ref().and_then(|acme| acme.ari.as_ref()) else {
        return AriStatus::default();
    };
    let window = ari.suggested_window.as_ref();
    let window = window.map(|window| (instant(window.start), instant(window.end)));
    AriStatus {
        window: window.filter(|(start, end)| start < end),
        explanation: ari.explanation_url.as_deref().map(Into::into),
        checked: ari.last_checked.map(instant),
        next: ari.next_check.map(instant),
        error: ari.last_error.as_deref().filter(|error| !error.is_empty()).map(Into::into),
    }
}

/// The annotations that go to requests; what we note of the Certificate itself does not.
fn copied_annotations(
    meta: &ObjectMeta,
    copied: &names::CopiedAnnotations,
) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut annotations = strings(&copied.filter(&meta.annotations));
    annotations.remove(names::everleaf::FAILURE);
    annotations.remove(names::everleaf::ISSUER_FAILURES);
    // An Ingress that has it compares it, whatever else is copied.
    let listed = meta.annotations.get_key_value(names::everleaf::ISSUER_FALLBACKS);
    annotations.extend(listed.map(|(key, list)| (key.as_str().into(), list.as_str().into())));
    annotations
}

/// The issuers beside the first: those of the field, else those of the annotation.
fn fallbacks(certificate: &Certificate) -> (Vec<IssuerRef>, Option<Problem>) {
    let (spec, key) = (&certificate.spec, names::everleaf::ISSUER_FALLBACKS);
    let text = certificate.metadata.annotations.get(key).map_or("", String::as_str);
    let listed = match spec.fallback_issuer_refs.as_slice() {
        [] => fallback::parse(text, &spec.issuer_ref),
        // What is wrong with the field is said of the field.
        listed => Ok(listed.iter().take(fallback::MAX).cloned().collect()),
    };
    match listed {
        Ok(listed) => (listed.iter().map(issuer_ref).collect(), None),
        Err(error) => {
            let path = format!("metadata.annotations[{key}]").into();
            (Vec::new(), Some(Problem { path, message: error.to_string().into() }))
        }
    }
}

fn boxed<T: Default + PartialEq>(value: T) -> Option<Box<T>> {
    (value != T::default()).then(|| Box::new(value))
}

/// A Certificate's facts. `copied` says which annotations go to its requests;
/// `literal_subject_der` is the digest of spec.literalSubject in DER, if there is one.
pub fn certificate(
    certificate: &Certificate,
    copied: &names::CopiedAnnotations,
    literal_subject_der: Option<Digest>,
) -> CertificateFacts {
    let (meta, spec) = (&certificate.metadata, &certificate.spec);
    let broken = validate::certificate(spec).into_iter().map(problem);
    let (fallbacks, mistaken) = fallbacks(certificate);
    let temporary = meta.annotations.get(names::ISSUE_TEMPORARY_CERTIFICATE);
    CertificateFacts {
        created: meta.creation_timestamp.map(instant).unwrap_or_default(),
        generation: meta.generation,
        deleting: meta.is_deleting(),
        controller: controller(meta),
        labels: strings(&meta.labels),
        annotations: copied_annotations(meta, copied),
        secret_name: spec.secret_name.as_str().into(),
        issuer: issuer_ref(&spec.issuer_ref),
        fallbacks,
        issuer_failures: meta
            .annotations
            .get(names::everleaf::ISSUER_FAILURES)
            .map(|text| notes::issuer_failures(text, &meta.uid))
            .unwrap_or_default(),
        duration: spec.duration.as_ref().map(|d| (d.to_string().into(), millis(d))),
        key: key_wish(spec.private_key.as_ref()),
        wish: wish(spec, literal_subject_der),
        renewal: renewal(spec),
        history: spec.revision_history_limit,
        outputs: boxed(outputs(spec)),
        template: boxed(outputs::template(spec)),
        spec: spec_digest(spec),
        problems: broken.chain(mistaken).collect(),
        temporary: temporary.is_some_and(|value| value == "true"),
        failure_note: meta
            .annotations
            .get(names::everleaf::FAILURE)
            .and_then(|text| notes::failure(text, &meta.uid)),
        status: certificate_status(&certificate.status),
    }
}

/// A CertificateRequest's facts; the request and the certificate in it as the edge read them.
pub fn request(
    request: &CertificateRequest,
    csr: Parsed<Csr>,
    certificate: Parsed<Leaf>,
) -> RequestFacts {
    let (meta, spec, status) = (&request.metadata, &request.spec, &request.status);
    let annotation = |key: &str| meta.annotations.get(key);
    let number = |key: &str| annotation(key).and_then(|text| text.parse().ok());
    RequestFacts {
        created: meta.creation_timestamp.map(instant).unwrap_or_default(),
        deleting: meta.is_deleting(),
        controller: controller(meta),
        revision: number(names::CERTIFICATE_REVISION),
        attempt: number(names::everleaf::ATTEMPT),
        owner_uid: annotation(names::everleaf::OWNER_UID).map(|uid| uid.as_str().into()),
        key_secret: annotation(names::PRIVATE_KEY_SECRET_NAME)
            .filter(|name| !name.is_empty())
            .map(|name| name.as_str().into()),
        issuer: issuer_ref(&spec.issuer_ref),
        duration_ms: spec.duration.as_ref().map(millis),
        is_ca: spec.is_ca.unwrap_or(false),
        usages: spec.usages.iter().map(|usage| usage.as_str().into()).collect(),
        csr,
        certificate,
        conditions: conditions(&status.conditions),
        failure: status.failure_time.map(instant),
        problems: validate::certificate_request(request).into_iter().map(problem).collect(),
        failure_note: annotation(names::everleaf::FAILURE)
            .and_then(|text| notes::failure(text, &meta.uid)),
        renews: annotation(names::everleaf::RENEWS).is_some_and(|text| text == "true"),
        acme_account: annotation(names::everleaf::ACME_ACCOUNT_URL).map(|url| url.as_str().into()),
        renewal: annotation(names::everleaf::RENEWAL).and_then(|text| {
            let owner = meta.controller().map_or("", |owner| owner.uid.as_str());
            notes::renewal(text, owner)
        }),
        has_fallback: annotation(names::everleaf::ISSUER_FALLBACKS)
            .is_some_and(|text| !text.trim().is_empty()),
    }
}

fn signer(spec: &IssuerSpec, told: acme::Told) -> Signer {
    let others = [("vault", spec.vault.is_some()), ("venafi", spec.venafi.is_some())];
    let other = others.into_iter().find_map(|(name, given)| given.then_some(name));
    if let Some(acme) = &spec.acme {
        let alone = spec.ca.is_none() && spec.self_signed.is_none() && other.is_none();
        let acme = || Signer::Acme(Box::new(acme::acme(acme, told)));
        return if alone { acme() } else { Signer::None };
    }
    match (&spec.ca, &spec.self_signed, other) {
        (Some(ca), None, None) => Signer::Ca {
            secret: ca.secret_name.as_str().into(),
            crl: arcs(&ca.crl_distribution_points),
            ocsp: arcs(&ca.ocsp_servers),
            urls: arcs(&ca.issuing_certificate_urls),
        },
        (None, Some(own), None) => Signer::SelfSigned { crl: arcs(&own.crl_distribution_points) },
        (None, None, Some(name)) => Signer::Other(name.into()),
        _ => Signer::None,
    }
}

/// An Issuer's or ClusterIssuer's facts.
pub fn issuer(meta: &ObjectMeta, spec: &IssuerSpec, status: &IssuerStatus) -> IssuerFacts {
    let (told, mistaken) = match acme::told(meta) {
        Ok(told) => (told, None),
        Err(problem) => (acme::Told::default(), Some(problem)),
    };
    IssuerFacts {
        generation: meta.generation,
        deleting: meta.is_deleting(),
        signer: signer(spec, told),
        problems: validate::issuer(spec).into_iter().map(problem).chain(mistaken).collect(),
        conditions: conditions(&status.conditions),
        account: acme::account(meta, status.acme.as_ref()),
    }
}

/// An Ingress' facts, read from its JSON; of the spec only the TLS blocks count.
pub fn ingress(meta: &ObjectMeta, object: &Value) -> IngressFacts {
    let text = |value: &Value| value.as_str().map(Arc::from);
    let blocks = object.pointer("/spec/tls").and_then(Value::as_array).into_iter().flatten();
    let block = |block: &Value| {
        let hosts = block.get("hosts").and_then(Value::as_array).into_iter().flatten();
        let secret = block.get("secretName").and_then(text).unwrap_or_else(|| "".into());
        (secret, hosts.filter_map(text).collect())
    };
    let foreground = meta.finalizers.iter().any(|name| name == names::FOREGROUND_DELETION);
    IngressFacts {
        deleting: meta.is_deleting() || foreground,
        labels: strings(&meta.labels),
        annotations: strings(&meta.annotations),
        tls: blocks.map(block).collect(),
    }
}
