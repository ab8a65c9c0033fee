//! What the CA decides, as JSON.

use serde_json::{Map, Value, json};

use super::jws::ALGORITHMS;
use crate::acme::{
    AccountView, AuthorizationView, ChallengeKind, ChallengeView, Config, ErrorKind, Identifier,
    OrderView, Problem, RenewalWindow,
};
use crate::apiserver::rfc3339;

/// The URLs of a CA.
pub(super) struct Urls<'a>(pub(super) &'a str);

impl Urls<'_> {
    pub(super) fn account(&self, id: u64) -> String {
        format!("{}/acme/acct/{id}", self.0)
    }

    pub(super) fn orders(&self, id: u64) -> String {
        format!("{}/acme/orders/{id}", self.0)
    }

    pub(super) fn order(&self, id: u64) -> String {
        format!("{}/acme/order/{id}", self.0)
    }

    pub(super) fn authorization(&self, id: u64) -> String {
        format!("{}/acme/authz/{id}", self.0)
    }

    pub(super) fn challenge(&self, authorization: u64, kind: ChallengeKind) -> String {
        format!("{}/acme/chall/{authorization}/{}", self.0, kind.as_str())
    }

    pub(super) fn certificate(&self, serial: u128) -> String {
        format!("{}/acme/cert/{serial:032x}", self.0)
    }

    pub(super) fn directory(&self) -> String {
        format!("{}/directory", self.0)
    }
}

pub(super) fn directory(config: &Config) -> Value {
    let url = |path: &str| json!(format!("{}/acme/{path}", config.base_url));
    let mut meta = Map::new();
    meta.insert("termsOfService".into(), json!(format!("{}/terms", config.base_url)));
    meta.insert("website".into(), json!(config.base_url));
    if !config.caa_identities.is_empty() {
        meta.insert("caaIdentities".into(), json!(config.caa_identities));
    }
    if config.external_required {
        meta.insert("externalAccountRequired".into(), json!(true));
    }
    if config.offers_profiles {
        let profile = |(name, it): (&String, &crate::acme::Profile)| {
            (name.clone(), Value::from(it.description.as_str()))
        };
        let profiles: Map<String, Value> = config.profiles.iter().map(profile).collect();
        meta.insert("profiles".into(), Value::Object(profiles));
    }
    let mut out = json!({
        "newNonce": url("new-nonce"),
        "newAccount": url("new-acct"),
        "newOrder": url("new-order"),
        "revokeCert": url("revoke-cert"),
        "meta": meta,
    });
    if config.ari {
        out["renewalInfo"] = url("renewal-info");
    }
    out
}

fn kind(error: ErrorKind) -> String {
    format!("urn:ietf:params:acme:error:{}", error.as_str())
}

pub(super) fn problem(problem: &Problem) -> Value {
    let mut out = json!({"type": kind(problem.kind), "detail": problem.detail,
        "status": problem.status});
    let subproblem = |(identifier, error, detail): &(Identifier, ErrorKind, String)| {
        json!({"type": kind(*error), "detail": detail, "status": error.status(),
            "identifier": self::identifier(identifier)})
    };
    if !problem.subproblems.is_empty() {
        out["subproblems"] = problem.subproblems.iter().map(subproblem).collect();
    }
    if problem.kind == ErrorKind::BadSignatureAlgorithm {
        out["algorithms"] = json!(ALGORITHMS);
    }
    out
}

fn identifier(identifier: &Identifier) -> Value {
    json!({"type": identifier.kind(), "value": identifier.to_string()})
}

pub(super) fn account(urls: &Urls<'_>, account: &AccountView, lists_orders: bool) -> Value {
    let mut out = json!({"status": account.status.as_str(), "contact": account.contacts});
    if lists_orders {
        out["orders"] = json!(urls.orders(account.id));
    }
    out
}

pub(super) fn order(urls: &Urls<'_>, order: &OrderView) -> Value {
    let authorizations = order.authorizations.iter().map(|id| urls.authorization(*id));
    let mut out = json!({
        "status": order.status.as_str(),
        "expires": rfc3339(order.expires),
        "identifiers": order.identifiers.iter().map(identifier).collect::<Vec<_>>(),
        "profile": order.profile,
        "authorizations": authorizations.collect::<Vec<_>>(),
        "finalize": format!("{}/acme/finalize/{}", urls.0, order.id),
    });
    let optional = [
        ("notBefore", order.not_before.map(|at| json!(rfc3339(at)))),
        ("notAfter", order.not_after.map(|at| json!(rfc3339(at)))),
        ("replaces", order.replaces.as_ref().map(|id| json!(id))),
        ("error", order.error.as_ref().map(problem)),
        ("certificate", order.certificate.map(|serial| json!(urls.certificate(serial)))),
    ];
    for (field, value) in optional {
        if let Some(value) = value {
            out[field] = value;
        }
    }
    out
}

pub(super) fn authorization(urls: &Urls<'_>, view: &AuthorizationView) -> Value {
    let challenges = view.challenges.iter().map(|it| challenge(urls, it));
    let mut out = json!({
        "status": view.status.as_str(),
        "expires": rfc3339(view.expires),
        "identifier": {"type": view.identifier.kind(), "value": view.identifier.base()},
        "challenges": challenges.collect::<Vec<_>>(),
    });
    if view.identifier.is_wildcard() {
        out["wildcard"] = json!(true);
    }
    out
}

pub(super) fn challenge(urls: &Urls<'_>, challenge: &ChallengeView) -> Value {
    let mut out = json!({
        "type": challenge.kind.as_str(),
        "url": urls.challenge(challenge.authorization, challenge.kind),
        "status": challenge.status.as_str(),
        "token": challenge.token,
    });
    if let Some(at) = challenge.validated {
        out["validated"] = json!(rfc3339(at));
    }
    if let Some(error) = &challenge.error {
        out["error"] = problem(error);
    }
    out
}

pub(super) fn renewal(window: &RenewalWindow) -> Value {
    let (start, end) = (rfc3339(window.start), rfc3339(window.end));
    let mut out = json!({"suggestedWindow": {"start": start, "end": end}});
    if let Some(url) = &window.explanation {
        out["explanationURL"] = json!(url);
    }
    out
}
