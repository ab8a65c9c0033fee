//! Challenges as the CA has them: created, accepted, looked at.

use super::super::{Done, Ports, Report, Undone, owner_reference, undone};
use super::Told;
use super::fault::{Fault, Halt};
use super::orders::malformed;
use super::patience::Patience;
use crate::edge::{meta_of, version};
use everleaf_acme::{
    AcmeError, Answer, Authorization, AuthorizationStatus, ChallengeStatus, Class as CaClass,
    RetryAfter, Token,
};
use everleaf_api::names::{self, everleaf as ours};
use everleaf_nodes::effect::{NewChallenge, Validate};
use everleaf_nodes::facts::Method;
use everleaf_nodes::{Effect, Kind};
use serde_json::{Value, json};

impl Ports {
    pub(super) async fn create_challenge(&self, effect: &Effect, it: &NewChallenge) -> Done {
        let key = match self.account_key_now(it).await {
            Ok(key) => key,
            Err(Halt::Undone(undone)) => return Err(undone),
            Err(Halt::Fault(fault)) => return Err(malformed(&fault.detail)),
        };
        let Some(token) = Token::new(&*it.token) else {
            return Err(malformed("the challenge's token is not base64url"));
        };
        let answer = key.key_authorization(&token);
        let mut spec: Value = serde_json::from_str(&it.spec).unwrap_or_default();
        spec["key"] = match it.method {
            Method::Http01 | Method::TlsAlpn01 => json!(answer.as_str()),
            Method::Dns01 => json!(answer.dns_value()),
        };
        let object = json!({
            "apiVersion": "acme.cert-manager.io/v1",
            "kind": "Challenge",
            "metadata": {
                "name": it.name,
                "namespace": effect.subject.namespace,
                "finalizers": [names::FINALIZER],
                "ownerReferences": [owner_reference(effect)],
            },
            "spec": spec,
        });
        self.create_child(effect, Kind::Challenge, &it.name, &object).await
    }

    async fn account_key_now(
        &self,
        it: &NewChallenge,
    ) -> Result<std::sync::Arc<everleaf_acme::AccountKey>, Halt> {
        Ok(self.ca_account(&it.account).await?.key().clone())
    }

    /// Sets our finalizer, and takes the older spelling of it away.
    pub(super) async fn guard(&self, effect: &Effect) -> Done {
        let (rv, mut finalizers) = self.finalizers(effect).await?;
        finalizers.retain(|name| name != names::LEGACY_FINALIZER);
        if !finalizers.iter().any(|name| name == names::FINALIZER) {
            finalizers.push(names::FINALIZER.to_owned());
        }
        self.put_finalizers(effect, rv, &finalizers).await
    }

    /// The finalizers of the effect's subject, and the version that has them: as the API server
    /// answered to our last write if that is the version decided on, else as it says now.
    pub(super) async fn finalizers(
        &self,
        effect: &Effect,
    ) -> Result<(u64, Vec<String>), super::super::Undone> {
        let Effect { subject, base, .. } = effect;
        if let Some(finalizers) = self.acme.finalizers(base) {
            return Ok((base.rv, finalizers));
        }
        let found = self.kube.get(subject.kind, &subject.namespace, &subject.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        let meta = meta_of(&found);
        if *meta.uid != *base.uid {
            return Err(Report::stale(vec![subject.clone()]));
        }
        let rv = version(&meta);
        Ok((rv, meta.finalizers))
    }

    /// Writes the whole list, if the object is still as it was read.
    pub(super) async fn put_finalizers(
        &self,
        effect: &Effect,
        rv: u64,
        finalizers: &[String],
    ) -> Done {
        let meta = json!({
            "uid": effect.base.uid,
            "resourceVersion": rv.to_string(),
            "finalizers": finalizers,
        });
        let patched = self.patch_meta(effect, meta).await?;
        let meta = meta_of(&patched);
        if meta.is_deleting() && meta.finalizers.is_empty() {
            let gone = super::super::gone(&effect.subject, &effect.base);
            return Ok(Report::done(vec![gone], Vec::new()));
        }
        Ok(self.saw_subject(effect, &patched))
    }

    /// What another process saw may have gone with it, so it is looked for once more: the note of
    /// it is taken away. `None` if there is no such note.
    async fn doubt(&self, effect: &Effect) -> Result<Option<Report>, Undone> {
        let subject = &effect.subject;
        if self.acme.sighted(&effect.base.uid) {
            return Ok(None);
        }
        let found = self.kube.get(subject.kind, &subject.namespace, &subject.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        if !meta_of(&found).annotations.contains_key(ours::ACME_SEEN) {
            return Ok(None);
        }
        let annotations = json!({ ours::ACME_SEEN: null });
        let meta = json!({ "uid": effect.base.uid, "annotations": annotations });
        let patched = self.patch_meta(effect, meta).await?;
        Ok(Some(self.saw_subject(effect, &patched)))
    }

    pub(super) async fn accept(&self, effect: &Effect, it: &Validate) -> Told {
        if let Some(report) = self.doubt(effect).await? {
            return Ok(report);
        }
        let account = self.ca_account(&it.account).await?;
        let seen = self.look_at_authorization(&account, it).await?;
        if seen.value.status != AuthorizationStatus::Pending {
            return self.conclude(effect, it, &seen).await;
        }
        let mut after = seen.retry_after;
        if is_pending(&seen.value, &it.url) {
            let sent = account.accept_challenge(&it.url).await;
            after = self.heeded(it, sent).await?.retry_after.or(after);
        }
        self.watch(effect, (&account, it), after, true).await
    }

    pub(super) async fn poll(&self, effect: &Effect, it: &Validate) -> Told {
        let account = self.ca_account(&it.account).await?;
        let seen = self.look_at_authorization(&account, it).await?;
        if seen.value.status != AuthorizationStatus::Pending {
            return self.conclude(effect, it, &seen).await;
        }
        self.watch(effect, (&account, it), seen.retry_after, false).await
    }

    /// Looks at the authorization for as long as the CA is quick to decide.
    async fn watch(
        &self,
        effect: &Effect,
        (account, it): (&everleaf_acme::Account, &Validate),
        mut after: Option<RetryAfter>,
        told_now: bool,
    ) -> Told {
        let mut patience = Patience::with_a_ca();
        while patience.rest(after).await {
            let seen = self.look_at_authorization(account, it).await?;
            if seen.value.status != AuthorizationStatus::Pending {
                return self.conclude(effect, it, &seen).await;
            }
            after = seen.retry_after;
        }
        Err(undecided(after, told_now).into())
    }

    async fn look_at_authorization(
        &self,
        account: &everleaf_acme::Account,
        it: &Validate,
    ) -> Result<Answer<Authorization>, Halt> {
        let seen = account.authorization(&it.authorization_url).await;
        self.heeded(it, seen).await
    }

    async fn heeded<T>(
        &self,
        it: &Validate,
        answer: Result<Answer<T>, AcmeError>,
    ) -> Result<Answer<T>, Halt> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.heed(&it.account, &error).await;
                Err(refused(&error))
            }
        }
    }

    /// Writes what the CA decided; if nothing yet, it is looked at again.
    async fn conclude(&self, effect: &Effect, it: &Validate, seen: &Answer<Authorization>) -> Told {
        let status = match seen.value.status {
            AuthorizationStatus::Valid => {
                json!({ "state": "valid", "reason": "Successfully authorized domain" })
            }
            AuthorizationStatus::Invalid => {
                if let Some(charge) = &it.failure {
                    let charge = std::slice::from_ref(charge);
                    self.correct(&it.namespace, charge, |ledger, charges, now| {
                        charges.iter().for_each(|charge| ledger.force(charge, now));
                    })
                    .await;
                }
                let why = why(it, &seen.value);
                json!({ "state": "invalid", "reason": format!("Error accepting authorization: {why}") })
            }
            AuthorizationStatus::Expired
            | AuthorizationStatus::Deactivated
            | AuthorizationStatus::Revoked => {
                let state = seen.value.status.as_str();
                json!({ "state": "expired", "reason": format!("the authorization is {state}") })
            }
            AuthorizationStatus::Pending | AuthorizationStatus::Unknown => {
                return Err(undecided(seen.retry_after, false).into());
            }
        };
        let valid = seen.value.status == AuthorizationStatus::Valid;
        let report = self.write_status(effect, status).await?;
        if valid {
            self.say(effect, &it.verified);
        }
        Ok(report)
    }
}

/// The CA was told, and has not made up its mind.
fn undecided(after: Option<RetryAfter>, told_now: bool) -> Fault {
    let status = || json!({ "state": "processing", "presented": true, "processing": true });
    Fault::wait("poll", after, told_now.then(status))
}

/// Whether the CA was not told yet that this challenge is met.
fn is_pending(authorization: &Authorization, url: &str) -> bool {
    let ours = authorization.challenges.iter().find(|one| one.url == url);
    ours.is_none_or(|one| matches!(one.status, ChallengeStatus::Pending | ChallengeStatus::Unknown))
}

/// What the CA found wrong.
fn why(it: &Validate, authorization: &Authorization) -> String {
    let name = &authorization.identifier.value;
    let ours = authorization.challenges.iter().find(|one| *one.url == *it.url);
    let other = || authorization.challenges.iter().find(|one| one.error.is_some());
    let problem = ours.filter(|one| one.error.is_some()).or_else(other);
    match problem.and_then(|one| one.error.as_ref()) {
        Some(problem) => format!("acme: authorization error for {name}: {problem}"),
        None => format!("acme: authorization error for {name}"),
    }
}

/// What an answer that is no success makes of the Challenge: `malformed`, and what the CA does not
/// know any more, is too old; what only a person can mend is the end of it.
fn refused(error: &AcmeError) -> Halt {
    let fault = Fault::of(error);
    let reason = format!("Error accepting challenge: {}", fault.detail);
    let malformed = error.problem().is_some_and(|problem| problem.is("malformed"));
    let state = match &error.class {
        CaClass::OutOfStep => "expired",
        _ if malformed => "expired",
        CaClass::NeedsMending | CaClass::UserActionRequired { .. } | CaClass::Unusable { .. } => {
            "errored"
        }
        CaClass::Paused { .. } => "errored",
        _ => return fault.into(),
    };
    fault.with_status(json!({ "state": state, "reason": reason })).into()
}
