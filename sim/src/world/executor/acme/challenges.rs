//! Challenges as the CA has them: created, guarded, accepted, looked at.

use super::super::super::World;
use super::super::super::acme::{Ailment, Ill, Said, ill, thumbprint};
use super::super::super::config::Mutant;
use super::super::super::material::SymKey;
use super::super::super::project;
use super::super::patience::WITH_A_CA;
use super::super::{Done, Job, failed, stale};
use super::{Fault, Halt, Told, is_malformed, number};
use crate::acme::{AccountId, AuthorizationView, Call, ChallengeKind, Reply, Status};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use everleaf_api::names::{self, everleaf as ours};
use everleaf_engine::{FailureClass, Outcome, Written};
use everleaf_nodes::effect::{NewChallenge, Validate};
use everleaf_nodes::facts::{Class, Kind, Method};
use serde_json::{Value, json};
use std::sync::Arc;

impl World {
    pub(super) fn create_challenge(&mut self, job: &mut Job, it: &NewChallenge) -> Done {
        let (key, _) = match self.account(job, &it.account) {
            Ok(found) => found,
            Err(Halt::Undone(outcome)) => return Err(outcome),
            Err(Halt::Fault(fault)) => {
                return Err(failed(FailureClass::Invalid, "Malformed", &fault.detail));
            }
        };
        let answer = format!("{}.{}", it.token, thumbprint(&key));
        let mut spec: Value = serde_json::from_str(&it.spec).unwrap_or_default();
        spec["key"] = match it.method {
            Method::Dns01 => {
                let hash = digest::digest(&digest::SHA256, answer.as_bytes());
                json!(URL_SAFE_NO_PAD.encode(hash.as_ref()))
            }
            _ => json!(answer),
        };
        let object = json!({ "apiVersion": "acme.cert-manager.io/v1", "kind": "Challenge",
            "metadata": { "name": *it.name, "namespace": job.namespace(),
                "finalizers": [names::FINALIZER],
                "ownerReferences": [self.owner_reference(job)] },
            "spec": spec });
        self.create_acme_child(job, Kind::Challenge, &it.name, object)
    }

    /// Sets our finalizer, and takes the older spelling of it away.
    pub(super) fn guard(&mut self, job: &mut Job) -> Done {
        let (object, mut finalizers) = self.finalizers(job)?;
        finalizers.retain(|name| name != names::LEGACY_FINALIZER);
        if !finalizers.iter().any(|name| name == names::FINALIZER) {
            finalizers.push(names::FINALIZER.to_owned());
        }
        self.put_finalizers(job, &object, &finalizers)
    }

    /// The subject as it is now, and its finalizers.
    pub(super) fn finalizers(
        &mut self,
        job: &mut Job,
    ) -> Result<(Arc<Value>, Vec<String>), Outcome<Kind>> {
        let subject = job.subject().clone();
        let found = self.fetch(job, &subject)?.ok_or_else(|| stale(subject.clone()))?;
        if project::text(&found, "/metadata/uid") != &*job.order.effect.base.uid {
            return Err(stale(subject));
        }
        let all = found["metadata"]["finalizers"].as_array().into_iter().flatten();
        let all = all.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok((found, all))
    }

    /// Writes the whole list, if the object is still as it was read.
    pub(super) fn put_finalizers(
        &mut self,
        job: &mut Job,
        object: &Value,
        finalizers: &[String],
    ) -> Done {
        let version = &object["metadata"]["resourceVersion"];
        let meta = json!({ "resourceVersion": version, "finalizers": finalizers });
        let deleted = object["metadata"]["deletionTimestamp"].is_string();
        let (_, wrote) = self.patch_meta(job, meta)?;
        if deleted && finalizers.is_empty() {
            return Ok(vec![Written { key: job.subject().clone(), rv: None }]);
        }
        Ok(wrote)
    }

    /// What another process saw may have gone with it: the note of it is taken away, and it is
    /// looked for once more. `None` if there is no such note.
    fn doubt(&mut self, job: &mut Job) -> Result<Option<Vec<Written<Kind>>>, Outcome<Kind>> {
        let uid = job.order.effect.base.uid.clone();
        if !self.replicas[job.at].sights.insert(uid) {
            return Ok(None);
        }
        let subject = job.subject().clone();
        let found = self.fetch(job, &subject)?.ok_or_else(|| stale(subject))?;
        if found["metadata"]["annotations"][ours::ACME_SEEN].is_null() {
            return Ok(None);
        }
        let annotations = json!({ ours::ACME_SEEN: null });
        let (_, wrote) = self.patch_meta(job, json!({ "annotations": annotations }))?;
        Ok(Some(wrote))
    }

    pub(super) fn accept(&mut self, job: &mut Job, it: &Validate) -> Told {
        if job.rest.is_some() {
            return self.watch(job, it, true);
        }
        if let Some(wrote) = self.doubt(job)? {
            return Ok(wrote);
        }
        let (key, id) = self.account(job, &it.account)?;
        let kind = it.url.rsplit('/').next().unwrap_or_default();
        let kind = ChallengeKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let kind = kind.unwrap_or(ChallengeKind::Http01);
        let (mut after, mut untold) = (None, true);
        if self.config.mutant != Mutant::TriggersBlindly {
            let (view, said) = self.look_at(job, it, (&key, id))?;
            if view.status != Status::Pending {
                return self.conclude(job, it, &view, said.after);
            }
            let ours = view.challenges.iter().find(|one| one.kind == kind);
            untold = ours.is_none_or(|one| one.status == Status::Pending);
            after = said.after;
        }
        if untold {
            let authorization = number(&it.authorization_url);
            let call = Call::Challenge { account: id, authorization, kind, trigger: true };
            let sent = self.ask_for(job, &it.account, &key, call);
            after = sent.map_err(|ailment| refused(&ailment))?.after.or(after);
        }
        self.look_later(job, after, true)
    }

    pub(super) fn poll_authorization(&mut self, job: &mut Job, it: &Validate) -> Told {
        self.watch(job, it, false)
    }

    /// Looks at the authorization.
    fn watch(&mut self, job: &mut Job, it: &Validate, told_now: bool) -> Told {
        let (key, id) = self.account(job, &it.account)?;
        let (view, said) = self.look_at(job, it, (&key, id))?;
        if view.status != Status::Pending {
            return self.conclude(job, it, &view, said.after);
        }
        self.look_later(job, said.after, told_now)
    }

    /// Looks again, for as long as the CA is quick to decide; then that is written.
    fn look_later(&mut self, job: &mut Job, after: Option<i64>, told_now: bool) -> Told {
        if self.rests(job, WITH_A_CA, after) {
            return Ok(Vec::new());
        }
        Err(undecided(after, told_now).into())
    }

    fn look_at(
        &mut self,
        job: &mut Job,
        it: &Validate,
        (key, id): (&SymKey, AccountId),
    ) -> Result<(AuthorizationView, Said), Halt> {
        let authorization = number(&it.authorization_url);
        let call = Call::Authorization { account: id, authorization, deactivate: false };
        let said = self.ask_for(job, &it.account, key, call);
        let said = said.map_err(|ailment| refused(&ailment))?;
        match &said.reply {
            Reply::Authorization(view) => Ok((view.clone(), said)),
            _ => Err(Fault::new(Class::Transient, "that is no authorization").into()),
        }
    }

    /// Writes what the CA decided; if nothing yet, it is looked at again.
    fn conclude(
        &mut self,
        job: &mut Job,
        it: &Validate,
        view: &AuthorizationView,
        after: Option<i64>,
    ) -> Told {
        let status = match view.status {
            Status::Valid => {
                json!({ "state": "valid", "reason": "Successfully authorized domain" })
            }
            Status::Pending => return Err(undecided(after, false).into()),
            Status::Invalid => {
                if let Some(charge) = &it.failure {
                    let charge = std::slice::from_ref(charge);
                    self.correct(job, &it.namespace, charge, |ledger, charges, now| {
                        charges.iter().for_each(|charge| ledger.force(charge, now));
                    });
                }
                let error = view.challenges.iter().find_map(|one| one.error.as_ref());
                let why = error.map_or_else(String::new, ToString::to_string);
                json!({ "state": "invalid", "reason": format!("authorization error: {why}") })
            }
            _ => json!({ "state": "expired", "reason": "the authorization is over" }),
        };
        let wrote = self.write_acme_status(job, status)?;
        if view.status == Status::Valid {
            self.say(job.at, &job.subject().clone(), std::slice::from_ref(&it.verified));
        }
        Ok(wrote)
    }
}

/// The CA was told, and has not made up its mind.
fn undecided(after: Option<i64>, told_now: bool) -> Fault {
    let status = || json!({ "state": "processing", "presented": true, "processing": true });
    Fault::wait("poll", after, told_now.then(status))
}

/// What an answer that is no success makes of the Challenge.
fn refused(ailment: &Ailment) -> Halt {
    let fault = Fault::of(ailment);
    let reason = format!("Error accepting challenge: {}", fault.detail);
    let state = match ill(ailment) {
        Ill::OutOfStep => "expired",
        _ if is_malformed(ailment) => "expired",
        Ill::Mend | Ill::Paused => "errored",
        _ => return fault.into(),
    };
    Fault { status: Some(json!({ "state": state, "reason": reason })), ..fault }.into()
}
