//! ACME effects against the modelled CAs and the DNS: one function an effect, by what
//! `everleaf_nodes::effect::Acme` documents.

mod ahead;
mod challenges;
mod claim;
mod follow;
mod orders;
mod register;
mod renewal;
mod solve;

use super::super::World;
use super::super::acme::{Ailment, Ill, Said, ill};
use super::super::config::Mutant;
use super::super::material::{self, SymKey};
use super::super::project;
use super::{Done, Job, Refusal, failed, written};
use crate::acme::{AccountId, Call, Failure};
use crate::apiserver::{Request, rfc3339};
use everleaf_api::names::everleaf as ours;
use everleaf_engine::{Digest, FailureClass, ObjectKey, Outcome, Timestamp, Written};
use everleaf_nodes::acme::notes;
use everleaf_nodes::effect::{Account, Acme, Trial};
use everleaf_nodes::facts::{Attempt, Class, Kind};
use serde_json::{Value, json};
use std::sync::Arc;

/// An answer that was not the one hoped for, and what is written of it.
#[derive(Debug)]
struct Fault {
    class: Class,
    /// The step it counts for, where that is not the effect's own.
    step: Option<&'static str>,
    reason: &'static str,
    detail: String,
    /// Not before, by the replica's clock, in milliseconds since 1970.
    after: Option<i64>,
    /// Whether it is tried again though only a person can mend it.
    again: bool,
    /// What is merged into the status.
    status: Option<Value>,
}

impl Fault {
    fn new(class: Class, detail: impl Into<String>) -> Self {
        let (step, reason, detail) = (None, "", detail.into());
        let (after, again, status) = (None, false, None);
        Self { class, step, reason, detail, after, again, status }
    }

    fn of(ailment: &Ailment) -> Self {
        let detail = ailment.failure.to_string();
        Self { after: ailment.after, ..Self::new(ill(ailment).class(), detail) }
    }

    /// The CA is at work.
    fn wait(step: &'static str, after: Option<i64>, status: Option<Value>) -> Self {
        Self { step: Some(step), after, status, ..Self::new(Class::Wait, "") }
    }
}

/// Why a step came to no good answer.
enum Halt {
    /// It is written down.
    Fault(Box<Fault>),
    /// The API server did not do its part, or something changed in between.
    Undone(Outcome<Kind>),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<Outcome<Kind>> for Halt {
    fn from(outcome: Outcome<Kind>) -> Self {
        Self::Undone(outcome)
    }
}

impl From<Ailment> for Halt {
    fn from(ailment: Ailment) -> Self {
        Fault::of(&ailment).into()
    }
}

/// How a step went that may end in an attempt.
type Told = Result<Vec<Written<Kind>>, Halt>;

/// The number at the end of a URL.
fn number(url: &str) -> u64 {
    url.rsplit('/').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl World {
    /// Performs an effect of ACME.
    pub(super) fn acme(&mut self, job: &mut Job, acme: &Acme) -> Done {
        let (trial, told) = match acme {
            Acme::Register(it) => {
                let told = self.register(job, it);
                return self.tell_attempt(job, &it.trial, Some(it.inputs), told);
            }
            Acme::CreateOrder(it) => return self.create_order(job, it),
            Acme::TakeCertificate { order, base, leaf, conditions } => {
                return self.take_certificate(job, (order, base, *leaf), conditions);
            }
            Acme::Claim(it) => (&it.ahead.trial, self.claim(job, it)),
            Acme::CreateChallenge(it) => return self.create_challenge(job, it),
            Acme::Guard => return self.guard(job),
            Acme::CleanUp(it) => return self.clean_up(job, it),
            Acme::AskWindow(it) => return self.ask_window(job, it),
            Acme::Place(it) => (&it.trial, self.place(job, it)),
            Acme::ReadAuthorizations(it) => (&it.trial, self.read_authorizations(job, it)),
            Acme::Follow(it) => (&it.trial, self.follow(job, it)),
            Acme::Finalize(it) => (&it.trial, self.finalize(job, it)),
            Acme::Present(it) => (&it.trial, self.present(job, it)),
            Acme::SelfCheck(it) => (&it.trial, self.self_check(job, it)),
            Acme::Accept(it) => (&it.trial, self.accept(job, it)),
            Acme::Poll(it) => (&it.trial, self.poll_authorization(job, it)),
        };
        self.tell_attempt(job, trial, None, told)
    }

    /// Writes down what was not answered as hoped; then the effect is done.
    fn tell_attempt(
        &mut self,
        job: &mut Job,
        trial: &Trial,
        inputs: Option<Digest>,
        told: Told,
    ) -> Done {
        let fault = match told {
            Ok(wrote) => return Ok(wrote),
            Err(Halt::Undone(outcome)) => return Err(outcome),
            Err(Halt::Fault(fault)) => *fault,
        };
        let attempt = self.attempt(job.at, &fault, trial, inputs);
        let text = notes::attempt_text(&attempt, &job.order.effect.base.uid);
        let seen = job.seen.len();
        let noted = self.annotate(job, ours::ACME_ATTEMPT, &text)?;
        match self.status_of(job, fault, &attempt) {
            Some(status) => {
                // The status that follows is what shows it.
                job.seen.truncate(seen);
                let wrote = self.write_acme_status(job, status)?;
                Ok(if wrote.is_empty() { noted } else { wrote })
            }
            None => Ok(noted),
        }
    }

    fn attempt(&self, at: usize, fault: &Fault, trial: &Trial, inputs: Option<Digest>) -> Attempt {
        let now = self.replicas[at].clock(self.now);
        let retried = matches!(fault.class, Class::Wait | Class::Transient | Class::RateLimited);
        // Notes have whole seconds: up, so that it is never too early.
        let rested =
            Timestamp::from_seconds(now.plus_millis(trial.rest_ms.max(0) + 999).as_seconds());
        let after = fault.after.map(Timestamp::from_millis);
        let not_before = (retried || fault.again).then(|| after.unwrap_or(rested).max(rested));
        Attempt {
            step: fault.step.map_or_else(|| trial.step.clone(), Into::into),
            number: trial.number,
            class: fault.class,
            reason: fault.reason.into(),
            problem: "".into(),
            detail: fault.detail.as_str().into(),
            at: now,
            not_before,
            inputs,
        }
    }

    /// What goes into the status: an Order ends with what only a person can mend.
    fn status_of(&self, job: &Job, fault: Fault, attempt: &Attempt) -> Option<Value> {
        if fault.status.is_some() {
            return fault.status;
        }
        let hasty =
            self.config.mutant == Mutant::GivesUpOnLimits && fault.class == Class::RateLimited;
        let ends = hasty || matches!(fault.class, Class::User | Class::Paused);
        (ends && job.subject().kind == Kind::Order).then(|| {
            json!({ "state": "errored",
                "reason": format!("{} failed: {}", attempt.step, fault.detail),
                "failureTime": rfc3339(attempt.at.as_millis()) })
        })
    }

    /// The replica's time as the API has it.
    fn clock_text(&self, job: &Job) -> String {
        rfc3339(self.replicas[job.at].clock(self.now).as_millis())
    }

    /// Writes an annotation of ours on the subject, whatever its version is; nothing if it stands.
    fn annotate(&mut self, job: &mut Job, name: &str, text: &str) -> Done {
        let found = self.peek(job.subject());
        if found.is_some_and(|found| found["metadata"]["annotations"][name] == *text) {
            return Ok(Vec::new());
        }
        let annotations = serde_json::Map::from_iter([(name.to_owned(), json!(text))]);
        self.patch_meta(job, json!({ "annotations": annotations })).map(|(_, wrote)| wrote)
    }

    fn patch_meta(
        &mut self,
        job: &mut Job,
        mut meta: Value,
    ) -> Result<(Arc<Value>, Vec<Written<Kind>>), Outcome<Kind>> {
        let subject = job.subject().clone();
        meta["uid"] = json!(*job.order.effect.base.uid);
        let patch = json!({ "metadata": meta });
        let resource = project::resource(subject.kind);
        let request = Request::merge(resource, &subject.namespace, &subject.name, patch);
        let response = self.send(job, &subject, request).map_err(|refusal| refusal.outcome)?;
        self.echo(job, subject.kind, &response.body);
        let wrote = vec![written(subject, &response.body)];
        Ok((response.body, wrote))
    }

    /// Merges into the subject's status, whatever its version is; nothing if nothing differs.
    fn write_acme_status(&mut self, job: &mut Job, status: Value) -> Done {
        let subject = job.subject().clone();
        let same = |found: Arc<Value>| {
            let mut fields = status.as_object().into_iter().flatten();
            fields.all(|(field, value)| found["status"].get(field) == Some(value))
        };
        if self.peek(&subject).is_some_and(same) {
            return Ok(Vec::new());
        }
        let uid = &job.order.effect.base.uid;
        let patch = json!({ "metadata": { "uid": **uid }, "status": status });
        let resource = project::resource(subject.kind);
        let request = Request::merge(resource, &subject.namespace, &subject.name, patch);
        self.write(job, subject, request.on_status())
    }

    /// Creates an object that the subject controls; a name that is taken by its own child is good.
    fn create_acme_child(
        &mut self,
        job: &mut Job,
        kind: Kind,
        name: &Arc<str>,
        object: Value,
    ) -> Done {
        let target = ObjectKey::new(kind, job.namespace(), name.clone());
        let request = Request::create(project::resource(kind), job.namespace(), object);
        let refusal = match self.send(job, &target, request) {
            Ok(response) => {
                self.echo(job, kind, &response.body);
                return Ok(vec![written(target, &response.body)]);
            }
            Err(refusal) if refusal.code == 409 => refusal,
            Err(refusal) => return Err(refusal.outcome),
        };
        let Some(found) = self.fetch(job, &target)? else { return Err(refusal.outcome) };
        if super::secrets::is_controlled_by(&found, &job.order.effect.base.uid) {
            self.echo(job, kind, &found);
            return Ok(vec![written(target, &found)]);
        }
        Err(failed(FailureClass::Rejected, "NameTaken", "it exists and is another's"))
    }

    /// The account's key, and the CA's number of the account; read once for each effect.
    fn account(&mut self, job: &mut Job, account: &Account) -> Result<(SymKey, AccountId), Halt> {
        if let Some(known) = job.rest.as_ref().and_then(|rest| rest.signer.clone()) {
            return Ok(known);
        }
        let found = self.read_account(job, account)?;
        if let Some(rest) = &mut job.rest {
            rest.signer = Some(found.clone());
        }
        Ok(found)
    }

    fn read_account(
        &mut self,
        job: &mut Job,
        account: &Account,
    ) -> Result<(SymKey, AccountId), Halt> {
        let secret = account.key.secret.clone();
        let key = match self.config.mutant {
            Mutant::MixesAccounts => {
                Some(SymKey::new("one-for-all", everleaf_nodes::facts::KeyKind::Rsa(2048)))
            }
            _ => self.fetch(job, &secret)?.and_then(|secret| material::key_of(&secret)),
        };
        let key =
            key.ok_or_else(|| Outcome::Stale { reread: vec![secret, account.issuer.clone()] })?;
        Ok((key, number(&account.uri)))
    }

    /// Asks for an account; what the CA says of an account that it does not know is written.
    fn ask_for(
        &mut self,
        job: &mut Job,
        account: &Account,
        key: &SymKey,
        call: Call,
    ) -> Result<Said, Ailment> {
        let said = self.ask(job, &account.directory, key, call);
        if let Err(ailment) = &said
            && ill(ailment) == Ill::AccountGone
        {
            self.forget_account(job, account);
        }
        said
    }

    fn forget_account(&mut self, job: &mut Job, account: &Account) {
        let issuer = &account.issuer;
        let meta =
            json!({ "uid": *account.base.uid, "resourceVersion": account.base.rv.to_string() });
        let patch = json!({ "metadata": meta, "status": { "acme": { "uri": "" } } });
        let resource = project::resource(issuer.kind);
        let request = Request::merge(resource, &issuer.namespace, &issuer.name, patch);
        // If it fails, the next answer says the same.
        let _: Result<_, Refusal> = self.send(job, issuer, request.on_status());
    }
}

/// Whether a problem is of the type `malformed`.
fn is_malformed(ailment: &Ailment) -> bool {
    let Failure::Problem(problem) = &ailment.failure else { return false };
    problem.kind == crate::acme::ErrorKind::Malformed
}
