//! Projection of ACME objects.

use super::{arc, arcs, canonical_address, controller, instant, issuer_ref, millis, strings};
use crate::acme::notes;
use crate::budget::{self, Ledger, Limits};
use crate::facts::{
    AccountMemory, AccountStatus, AcmeFacts, AcmeState, Authorization, Binding, BudgetFacts,
    ChallengeFacts, Leaf, Method, Offer, OrderFacts, Parsed, Problem, SecretEntry, Selector,
    SolverFacts,
};
use everleaf_api::types::acme::{AcmeIssuer, AcmeSolver, RenewalInformationSource};
use everleaf_api::types::challenge::ChallengeType;
use everleaf_api::types::issuer::AcmeIssuerStatus;
use everleaf_api::types::order::{AcmeAuthorization, AcmeState as ApiState};
use everleaf_api::{Challenge, ObjectMeta, Order, SecretKeySelector, names};
use everleaf_engine::digest_of;
use serde_json::Value;
use std::sync::Arc;

/// So many names a CA may have in CAA records.
const MOST_NAMES: usize = 16;
/// The longest host name (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

fn state(state: Option<&ApiState>) -> AcmeState {
    state.map_or(AcmeState::Unknown, |state| AcmeState::of_text(state.as_str()))
}

fn entry(selector: &SecretKeySelector, default: &str) -> SecretEntry {
    let key = selector.key.as_deref().unwrap_or(default);
    SecretEntry { secret: selector.name.as_str().into(), key: key.into() }
}

/// A value as JSON with sorted keys.
fn sorted(value: &impl serde::Serialize) -> Arc<str> {
    serde_json::to_value(value).unwrap_or_default().to_string().into()
}

/// The Secrets that a configuration names: fields whose names end in `SecretRef`.
fn secrets_in(value: &Value, out: &mut Vec<Arc<str>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value["name"].as_str().filter(|_| key.ends_with("SecretRef")) {
                    Some("") => {}
                    Some(name) => out.push(name.into()),
                    None => secrets_in(value, out),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| secrets_in(item, out)),
        _ => {}
    }
}

fn solver(solver: &AcmeSolver) -> Option<SolverFacts> {
    let method = match (&solver.http01, &solver.dns01, &solver.tls_alpn01) {
        (Some(_), None, None) => Method::Http01,
        (None, Some(_), None) => Method::Dns01,
        (None, None, Some(_)) => Method::TlsAlpn01,
        _ => return None,
    };
    let selector = solver.selector.as_ref().map(|selector| Selector {
        labels: strings(&selector.match_labels),
        names: arcs(&selector.dns_names),
        zones: arcs(&selector.dns_zones),
    });
    let mut secrets = Vec::new();
    // Of a webhook's own configuration only the webhook knows what it refers to.
    let own = solver.dns01.as_ref().filter(|dns01| dns01.webhook.is_none());
    secrets_in(&serde_json::to_value(own).unwrap_or_default(), &mut secrets);
    secrets.sort();
    secrets.dedup();
    Some(SolverFacts { selector, method, json: sorted(solver), secrets })
}

/// spec.acme of an issuer.
pub(super) fn acme(spec: &AcmeIssuer, told: Told) -> AcmeFacts {
    let binding = spec.external_account_binding.as_ref().map(|binding| Binding {
        key_id: binding.key_id.as_str().into(),
        key: entry(&binding.key_secret_ref, ""),
    });
    AcmeFacts {
        server: spec.server.as_str().into(),
        email: arc(spec.email.as_ref()),
        key: entry(&spec.private_key_secret_ref, "tls.key"),
        keep_key: spec.disable_account_key_generation.unwrap_or(false),
        binding,
        preferred_chain: arc(spec.preferred_chain.as_ref()),
        profile: arc(spec.profile.as_ref()),
        sends_duration: spec.enable_duration_feature.unwrap_or(false),
        ari: spec.renewal_information_source != Some(RenewalInformationSource::None),
        skip_tls_verify: spec.skip_tls_verify.unwrap_or(false),
        ca_bundle: spec.ca_bundle.as_ref().map(|bundle| digest_of(&bundle.0)),
        solvers: spec.solvers.iter().filter_map(solver).collect(),
        limits: told.limits,
        caa_identities: told.caa_identities,
    }
}

/// What an issuer's annotations tell of its CA.
#[derive(Default)]
pub(super) struct Told {
    limits: Option<Limits>,
    caa_identities: Vec<Arc<str>>,
}

/// What an issuer's annotations tell of its CA.
///
/// # Errors
/// What is wrong with an annotation.
pub(super) fn told(meta: &ObjectMeta) -> Result<Told, Problem> {
    let read = |key: &'static str| meta.annotations.get(key);
    let wrong = |key: &str, message: String| Problem {
        path: format!("metadata.annotations[{key}]").into(),
        message: message.into(),
    };
    let (limits, names) = (names::everleaf::ACME_LIMITS, names::everleaf::CAA_IDENTITIES);
    Ok(Told {
        limits: read(limits)
            .map(|text| budget::configured(text).map_err(|error| wrong(limits, error)))
            .transpose()?,
        caa_identities: read(names)
            .map_or(Ok(Vec::new()), |text| host_names(text).map_err(|error| wrong(names, error)))?,
    })
}

/// Host names separated by commas.
fn host_names(text: &str) -> Result<Vec<Arc<str>>, String> {
    let fits = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(plain)
    };
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    match names.iter().find(|name| !fits(name)) {
        Some(name) => Err(format!("{name:?} is no host name; write names separated by commas")),
        None if names.len() > MOST_NAMES => Err(format!("more than {MOST_NAMES} names")),
        None => Ok(names.into_iter().map(Into::into).collect()),
    }
}

/// What an issuer remembers of its account.
pub(super) fn account(meta: &ObjectMeta, status: Option<&AcmeIssuerStatus>) -> AccountMemory {
    let note = |key: &str| meta.annotations.get(key).map(String::as_str);
    let status = status.map_or_else(AccountStatus::default, |status| AccountStatus {
        uri: arc(status.uri.as_ref()),
        email: arc(status.last_registered_email.as_ref()),
        key_hash: arc(status.last_private_key_hash.as_ref()),
    });
    let verified = note(names::everleaf::ACME_ACCOUNT);
    let attempt = note(names::everleaf::ACME_ATTEMPT);
    AccountMemory {
        status,
        verified: verified.and_then(|text| notes::verified(text, &meta.uid)),
        attempt: attempt.and_then(|text| notes::attempt(text, &meta.uid)),
    }
}

fn authorization(authorization: &AcmeAuthorization) -> Authorization {
    let offers = authorization.challenges.iter().map(|offer| Offer {
        kind: offer.type_.as_str().into(),
        url: offer.url.as_str().into(),
        token: offer.token.as_str().into(),
    });
    Authorization {
        url: authorization.url.as_str().into(),
        identifier: arc(authorization.identifier.as_ref()),
        wildcard: authorization.wildcard.unwrap_or(false),
        initial: state(authorization.initial_state.as_ref()),
        offers: offers.collect(),
    }
}

/// An Order's facts; its certificate as the edge read it.
pub fn order(order: &Order, certificate: Parsed<Leaf>) -> OrderFacts {
    let (meta, spec, status) = (&order.metadata, &order.spec, &order.status);
    let note = |key: &str| meta.annotations.get(key).map(String::as_str);
    let claim = note(names::everleaf::ACME_CLAIM);
    let attempt = note(names::everleaf::ACME_ATTEMPT);
    let mut annotations = strings(&meta.annotations);
    annotations.retain(|key, _| key.starts_with("acme.cert-manager.io/"));
    OrderFacts {
        created: meta.creation_timestamp.map(instant).unwrap_or_default(),
        deleting: meta.is_deleting(),
        controller: controller(meta),
        labels: strings(&meta.labels),
        annotations,
        renews: note(names::everleaf::RENEWS) == Some("true"),
        renewal: note(names::everleaf::RENEWAL).and_then(notes::copied_renewal),
        issuer: issuer_ref(&spec.issuer_ref),
        common_name: arc(spec.common_name.as_ref()),
        dns_names: arcs(&spec.dns_names),
        ip_addresses: spec.ip_addresses.iter().map(|ip| canonical_address(ip)).collect(),
        duration_ms: spec.duration.as_ref().map(millis),
        profile: arc(spec.profile.as_ref()),
        replaces: arc(spec.replaces.as_ref()),
        claim: claim.and_then(|text| notes::claim(text, &meta.uid)),
        attempt: attempt.and_then(|text| notes::attempt(text, &meta.uid)),
        url: arc(status.url.as_ref()),
        finalize_url: arc(status.finalize_url.as_ref()),
        authorizations: status.authorizations.iter().map(authorization).collect(),
        certificate,
        state: state(status.state.as_ref()),
        reason: arc(status.reason.as_ref()),
        failure: status.failure_time.map(instant),
    }
}

/// A Challenge's facts.
pub fn challenge(challenge: &Challenge) -> ChallengeFacts {
    let (meta, spec, status) = (&challenge.metadata, &challenge.spec, &challenge.status);
    let note = |key: &str| meta.annotations.get(key).map(String::as_str);
    let ours = |name: &String| *name == names::FINALIZER || *name == names::LEGACY_FINALIZER;
    let attempt = note(names::everleaf::ACME_ATTEMPT);
    let seen = note(names::everleaf::ACME_SEEN);
    ChallengeFacts {
        created: meta.creation_timestamp.map(instant).unwrap_or_default(),
        deleted: meta.deletion_timestamp.map(instant),
        controller: controller(meta),
        guarded: meta.finalizers.iter().any(ours),
        issuer: issuer_ref(&spec.issuer_ref),
        method: match spec.type_ {
            ChallengeType::Http01 => Method::Http01,
            ChallengeType::Dns01 => Method::Dns01,
            ChallengeType::TlsAlpn01 => Method::TlsAlpn01,
        },
        url: spec.url.as_str().into(),
        authorization_url: spec.authorization_url.as_str().into(),
        dns_name: spec.dns_name.as_str().into(),
        wildcard: spec.wildcard.unwrap_or(false),
        token: spec.token.as_str().into(),
        key: spec.key.as_str().into(),
        solver: sorted(&spec.solver),
        wait_ms: spec.solver.wait_instead_of_self_check.as_ref().map(millis),
        attempt: attempt.and_then(|text| notes::attempt(text, &meta.uid)),
        seen: seen.and_then(|text| notes::seen(text, &meta.uid)),
        state: state(status.state.as_ref()),
        reason: arc(status.reason.as_ref()),
        processing: status.processing.unwrap_or(false),
        presented: status.presented.unwrap_or(false),
        presented_at: status.presented_at.map(instant),
    }
}

/// The budgets in a ConfigMap, from the text under [`budget::DATA_KEY`]; a text that cannot be
/// read counts as empty, for limits that are forgotten are corrected by the CA.
pub fn budget(text: Option<&str>) -> BudgetFacts {
    let ledger = text.and_then(|text| Ledger::parse(text).ok()).unwrap_or_default();
    BudgetFacts { buckets: ledger.buckets().clone() }
}
