//! The ports, on virtual time: how effects are performed against the cluster.
//!
//! This is a second, independent author of what production ports do: preconditions, what counts
//! as success when a child exists already, and which outcome says what.

mod acme;
mod children;
mod patience;
mod secrets;
mod sign;

use super::config::{Kill, Mutant};
use super::event::{Actor, Event, Order, Wrote};
use super::project::{self, Identity};
use super::replica::KeyId;
use super::{Action, World};
use crate::apiserver::{Request, Response};
use everleaf_engine::{Delta, FailureClass, ObjectKey, Outcome, Timestamp, Written};
use everleaf_nodes::effect::{KeyPlace, Strings};
use everleaf_nodes::facts::{Facts, Kind};
use everleaf_nodes::{Base, Do, Event as Said, effect};
use patience::Rest;
use serde_json::{Value, json};
use std::sync::Arc;

/// The user agent of a replica.
const AGENT: &str = "everleaf";

/// The outcome of an effect, and what was observed on the way.
pub(crate) struct Ended {
    outcome: Outcome<Kind>,
    seen: Vec<Delta<Kind, Facts>>,
    wrote: Vec<Written<Kind>>,
}
/// What was written, or how it ended otherwise.
pub(super) type Done = Result<Vec<Written<Kind>>, Outcome<Kind>>;

/// One effect that is being performed.
pub(crate) struct Job {
    /// By which replica.
    pub at: usize,
    /// Which one.
    pub order: Arc<Order>,
    /// What was read live on the way, or came back from a write.
    pub seen: Vec<Delta<Kind, Facts>>,
    /// How long others took to answer, in milliseconds.
    pub delay: i64,
    /// Whether the process was killed on the way: it asks and writes nothing any more.
    pub dead: bool,
    /// Its number among those that were performed.
    number: u64,
    /// How it looks again, once it did so; and what it holds meanwhile.
    pub rest: Option<Box<Rest>>,
    /// Whether what it writes is observed at once, once that was drawn.
    echoes: Option<bool>,
    /// How long it rests from here on before it goes on, in milliseconds.
    pause: Option<i64>,
}

impl Job {
    pub(super) fn subject(&self) -> &ObjectKey<Kind> {
        &self.order.effect.subject
    }

    pub(super) fn namespace(&self) -> &str {
        &self.subject().namespace
    }

    /// Where the next private key of a Certificate is remembered.
    pub(super) fn key_id(&self, owner: &Arc<str>) -> KeyId {
        (self.subject().namespace.clone(), owner.clone())
    }
}

pub(super) fn failed(class: FailureClass, reason: &str, message: &str) -> Outcome<Kind> {
    Outcome::Failed {
        class,
        reason: reason.to_owned(),
        message: message.to_owned(),
        not_before: None,
        reread: Vec::new(),
    }
}

pub(super) fn stale(key: ObjectKey<Kind>) -> Outcome<Kind> {
    Outcome::Stale { reread: vec![key] }
}

/// An acknowledged write.
pub(super) fn written(key: ObjectKey<Kind>, object: &Value) -> Written<Kind> {
    Written { key, rv: Some(project::version(object)) }
}

impl World {
    /// Whether the replica still leads as it did when the effect was started, or does not know.
    fn may_perform(&mut self, at: usize, order: &Order) -> bool {
        let over = self.replicas[at].leads != order.epoch;
        if !over || self.config.mutant == Mutant::LeadsForever {
            return true;
        }
        // A port looks at the Lease before it sends; a process may stand still in between.
        self.faulty && self.config.faults.overlap && self.faults.chance(500)
    }

    /// Performs an effect, now, and sends its outcome on its way.
    pub(super) fn perform(&mut self, at: usize, order: Arc<Order>) {
        if !self.may_perform(at, &order) {
            return;
        }
        self.counts.performed += 1;
        let number = self.counts.performed;
        if self.config.kill == Some(Kill::BeforeEffect(number)) {
            return self.kill(at);
        }
        let (seen, delay, dead) = (Vec::new(), 0, false);
        self.go_on(Job {
            at,
            order,
            seen,
            delay,
            dead,
            number,
            rest: None,
            echoes: None,
            pause: None,
        });
    }

    /// Goes on with an effect that rested.
    pub(super) fn resume(&mut self, job: Job) {
        if self.may_perform(job.at, &job.order) {
            self.go_on(job);
        }
    }

    fn go_on(&mut self, mut job: Job) {
        let (at, order, number) = (job.at, job.order.clone(), job.number);
        let done = self.carry_out(&mut job);
        if job.dead {
            return self.kill(at);
        }
        if let Some(pause) = job.pause.take() {
            let pause = pause + std::mem::take(&mut job.delay);
            let life = self.replicas[at].life;
            return self.after(pause, Action::Resume { at, life, job: Box::new(job) });
        }
        if done.is_ok() {
            self.say(at, &order.effect.subject, &order.effect.events);
        }
        // What it is about comes first: the rest of what it did is to be seen in that light.
        job.seen.sort_by_key(|delta| delta_key(delta) != Some(&order.effect.subject));
        let (outcome, wrote) = match done {
            Ok(wrote) if self.config.mutant == Mutant::HidesWrites => (Outcome::done(), wrote),
            Ok(wrote) => (Outcome::Done { wrote: wrote.clone() }, wrote),
            Err(outcome) => (outcome, Vec::new()),
        };
        self.note(format_args!("r{at} performed {}: {outcome:?}", order.id));
        let life = self.replicas[at].life;
        let mute = self.config.mute.is_some_and(|mute| order.effect.subject.name.starts_with(mute));
        let lost = self.faulty && self.config.faults.lost_outcome && self.faults.chance(20);
        if !lost && !mute {
            let delay = self.latency.between(1, 60) + job.delay;
            let ended = Ended { outcome, seen: job.seen, wrote };
            self.after(delay, Action::Complete { at, life, order, ended: Box::new(ended) });
        }
        if self.config.kill == Some(Kill::AfterEffect(number)) {
            self.kill(at);
        }
    }

    pub(super) fn complete(&mut self, at: usize, order: Arc<Order>, ended: Ended) {
        use everleaf_engine::Input;
        let Ended { outcome, seen, wrote } = ended;
        for delta in seen {
            self.input(at, Input::Observed(delta));
        }
        for Written { key, rv } in wrote {
            let acked = &mut self.replicas[at].acked;
            match rv {
                Some(rv) => acked.insert(key, rv),
                None => acked.remove(&key),
            };
        }
        let id = order.id.clone();
        let told = outcome.clone();
        self.emitted.push(Event::Completed { replica: at, order: order.clone(), outcome });
        let stored = matches!(told, Outcome::Done { .. });
        self.input(at, Input::Completed(id, told));
        // A key that was stored is forgotten, but not before the engine knows of the write.
        if let Do::Store(store) = &order.effect.action
            && stored
            && store.temporary.is_none()
            && store.key == KeyPlace::Memory
        {
            let effect = &order.effect;
            let id = (effect.subject.namespace.clone(), effect.base.uid.clone());
            self.forget_key(at, &id, &store.fingerprint);
        }
    }

    fn say(&mut self, at: usize, subject: &ObjectKey<Kind>, events: &[Said]) {
        for event in events {
            let mut event: effect::Event = event.clone();
            if self.config.mutant == Mutant::TellsKeys {
                event.message = format!("{}: {}", event.message, super::material::CANARY).into();
            }
            self.emitted.push(Event::Said { replica: at, subject: subject.clone(), event });
        }
    }

    fn carry_out(&mut self, job: &mut Job) -> Done {
        let order = job.order.clone();
        let effect = &order.effect;
        match &effect.action {
            Do::ReadSecret { secret } => self.read_secret(job, secret),
            Do::PatchStatus { patch } => {
                let rv = effect.base.rv;
                self.patch_status(job, patch, rv)
            }
            Do::Settle { annotations, patch } => self.settle(job, annotations, patch),
            Do::Delete { key, base } => self.delete(job, key, base),
            Do::TendSecret { secret, base, annotations, labels, beside, owned: _ } => {
                let texts = (labels, annotations);
                self.tend_secret(job, (secret, base), texts, beside.as_deref())
            }
            Do::EnsureKey { source, place } => self.ensure_key(job, source, place),
            Do::CreateRequest(request) => self.create_request(job, request),
            Do::Store(_) if self.config.mutant == Mutant::NeverStores => {
                Err(failed(FailureClass::Transient, "Refused", "not today"))
            }
            Do::Store(store) => self.store(job, store),
            Do::Sign(sign) => self.sign(job, sign),
            Do::Acme(acme) => self.acme(job, acme),
            Do::Say => Ok(Vec::new()),
            Do::CreateCertificate { object } => self.create_certificate(job, object),
            Do::UpdateCertificate { name, base, object } => {
                self.update_certificate(job, (name, base), object)
            }
        }
    }

    /// Writes annotations on the very version that was decided on, then the status on what came
    /// of that.
    fn settle(&mut self, job: &mut Job, annotations: &Strings, patch: &str) -> Done {
        let subject = job.subject().clone();
        let rv = job.order.effect.base.rv.to_string();
        let noted = json!({ "metadata": { "resourceVersion": rv, "annotations": annotations } });
        let resource = project::resource(subject.kind);
        let request = Request::merge(resource, &subject.namespace, &subject.name, noted);
        let response = self.send(job, &subject, request).map_err(|refusal| refusal.outcome)?;
        self.patch_status(job, patch, project::version(&response.body))
    }

    /// Patches the subject's status, if the subject is of that version.
    fn patch_status(&mut self, job: &mut Job, patch: &str, rv: u64) -> Done {
        let subject = job.subject().clone();
        let mut patch: Value = serde_json::from_str(patch).unwrap_or_default();
        patch["metadata"] = json!({ "resourceVersion": rv.to_string() });
        if self.config.mutant == Mutant::TouchesTransition {
            let now = crate::apiserver::rfc3339(self.now);
            for condition in patch["status"]["conditions"].as_array_mut().into_iter().flatten() {
                condition["lastTransitionTime"] = json!(now);
            }
        }
        let resource = project::resource(subject.kind);
        let request = Request::merge(resource, &subject.namespace, &subject.name, patch);
        self.write(job, subject, request.on_status())
    }

    fn delete(&mut self, job: &mut Job, key: &ObjectKey<Kind>, base: &Base) -> Done {
        let resource = project::resource(key.kind);
        let conditions = json!({ "preconditions": {
            "uid": *base.uid, "resourceVersion": base.rv.to_string() } });
        let request = Request::delete(resource, &key.namespace, &key.name).with_body(conditions);
        let gone = vec![Written { key: key.clone(), rv: None }];
        match self.send(job, key, request) {
            Ok(_) => Ok(gone),
            Err(Refusal { code: 404, .. }) => Ok(gone),
            Err(refusal) => Err(refusal.outcome),
        }
    }

    /// Sends a write and reports the version that it got.
    pub(super) fn write(&mut self, job: &mut Job, key: ObjectKey<Kind>, request: Request) -> Done {
        match self.send(job, &key, request) {
            Ok(response) => {
                self.echo(job, key.kind, &response.body);
                Ok(vec![written(key, &response.body)])
            }
            Err(refusal) => Err(refusal.outcome),
        }
    }

    /// Of some effects the answers to writes are observed at once, of others only the watch shows
    /// them.
    pub(super) fn echo(&mut self, job: &mut Job, kind: Kind, object: &Value) {
        if *job.echoes.get_or_insert_with(|| self.latency.chance(300))
            && let Some(delta) = self.shown_live(job.at, kind, object)
        {
            job.seen.push(delta);
        }
    }

    /// Reads an object live, as a port does before it spends or stores.
    pub(super) fn fetch(
        &mut self,
        job: &mut Job,
        key: &ObjectKey<Kind>,
    ) -> Result<Option<Arc<Value>>, Outcome<Kind>> {
        let request = Request::get(project::resource(key.kind), &key.namespace, &key.name);
        match self.send(job, key, request) {
            Ok(response) => Ok(Some(response.body)),
            Err(Refusal { code: 404, .. }) => Ok(None),
            Err(refusal) => Err(refusal.outcome),
        }
    }

    /// The object, if it is the version that was decided on.
    pub(super) fn fetch_base(
        &mut self,
        job: &mut Job,
        key: &ObjectKey<Kind>,
        base: &Base,
    ) -> Result<Arc<Value>, Outcome<Kind>> {
        let found = self.fetch(job, key)?;
        if found.is_none() && self.config.mutant == Mutant::AssumesPresence {
            panic!("nobody thought that {key} might be gone");
        }
        let found = found.ok_or_else(|| stale(key.clone()))?;
        let Identity { uid, rv, .. } = project::identity(key.kind, &found);
        let blind = self.config.mutant == Mutant::StoresBlindly;
        if blind || (uid == base.uid && rv == base.rv) {
            Ok(found)
        } else {
            Err(stale(key.clone()))
        }
    }

    /// Sends a request of a replica; faults strike here.
    pub(super) fn send(
        &mut self,
        job: &mut Job,
        key: &ObjectKey<Kind>,
        request: Request,
    ) -> Result<Response, Refusal> {
        let writes = request.verb.writes();
        let unanswered = Refusal::unknown(key);
        if job.dead {
            return Err(unanswered);
        }
        let fault = self.request_fault(writes);
        match fault {
            Some(RequestFault::Refused(code)) => {
                self.counts.faults += 1;
                return Err(self.refusal(key, code));
            }
            Some(RequestFault::LostUnapplied) => {
                self.counts.faults += 1;
                return Err(unanswered);
            }
            Some(RequestFault::LostApplied) => {
                self.counts.faults += 1;
                self.call(Actor::Replica(job.at), Some(&job.order), request.from_agent(AGENT));
                return Err(unanswered);
            }
            None => {}
        }
        let actor = Actor::Replica(job.at);
        let response = self.call(actor, Some(&job.order), request.from_agent(AGENT));
        if response.is_success() { Ok(response) } else { Err(self.refusal(key, response.code)) }
    }

    fn request_fault(&mut self, writes: bool) -> Option<RequestFault> {
        if !self.faulty || !self.faults.chance(self.config.fault_per_mille) {
            return None;
        }
        let on = self.config.faults;
        let kinds = [
            (on.conflict && writes, RequestFault::Refused(409)),
            (on.throttle, RequestFault::Refused(429)),
            (on.throttle, RequestFault::Refused(503)),
            (on.forbidden, RequestFault::Refused(403)),
            (on.lost_applied && writes, RequestFault::LostApplied),
            (on.lost_unapplied, RequestFault::LostUnapplied),
        ];
        let on: Vec<RequestFault> = kinds.into_iter().filter(|k| k.0).map(|k| k.1).collect();
        self.faults.pick(&on).copied()
    }

    fn refusal(&mut self, key: &ObjectKey<Kind>, code: u16) -> Refusal {
        let class = match code {
            409 => FailureClass::Conflict,
            403 => FailureClass::Forbidden,
            400 | 404 | 422 => FailureClass::Invalid,
            429 => FailureClass::Throttled,
            _ => FailureClass::Transient,
        };
        let reread = if matches!(code, 404 | 409) { vec![key.clone()] } else { Vec::new() };
        let later = Timestamp::from_millis(self.now + self.latency.between(1000, 20_000));
        let outcome = Outcome::Failed {
            class,
            reason: format!("Status{code}"),
            message: format!("the API server answered {code} for {key}"),
            not_before: (code == 429).then_some(later),
            reread,
        };
        Refusal { code, outcome }
    }

    /// Sends a request of anybody, tells of the change, and wakes the watches.
    pub(super) fn call(
        &mut self,
        actor: Actor,
        order: Option<&Arc<Order>>,
        request: Request,
    ) -> Response {
        if !request.verb.writes() {
            return self.server.handle(self.now, &request);
        }
        let resource = request.resource.clone();
        let namespace = request.namespace.clone().unwrap_or_default();
        let named = text_or(&request.name, &request.body["metadata"]["name"]);
        let status = !request.subresource.is_empty();
        let before = self.server.peek(&resource, &namespace, &named);
        let version = self.server.version();
        let response = self.server.handle(self.now, &request);
        let changed = self.server.version() != version;
        if response.is_success() {
            let after = self.server.peek(&resource, &namespace, &named);
            self.tell(actor, order, &resource, status, before, after);
        }
        if changed {
            self.versions.push_back((self.now, version));
            if self.versions.len() > 256 {
                self.versions.pop_front();
            }
            self.announce(&resource);
            self.collect_soon();
        }
        response
    }

    fn tell(
        &mut self,
        actor: Actor,
        order: Option<&Arc<Order>>,
        resource: &str,
        status: bool,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
    ) {
        let Some(kind) = project::kind(resource) else { return };
        if let Some(object) = after.as_ref().or(before.as_ref()) {
            let key = project::identity(kind, object).key;
            let verb = match (&before, &after) {
                (None, _) => "creates",
                (_, None) => "deletes",
                _ if status => "writes the status of",
                _ => "writes",
            };
            let rv = after.as_ref().map_or(0, |object| project::version(object));
            self.note(format_args!("{actor:?} {verb} {key} at {rv}"));
        }
        if matches!(actor, Actor::Replica(_)) {
            self.counts.writes += 1;
        }
        if kind == Kind::CertificateRequest
            && let Some(object) = &after
        {
            self.others_notice(object);
        }
        let order = order.cloned();
        self.emitted.push(Event::Wrote(Wrote { actor, order, kind, before, after, status }));
    }
}

/// What a change is about; a list is about nothing in particular.
fn delta_key(delta: &Delta<Kind, Facts>) -> Option<&ObjectKey<Kind>> {
    match delta {
        Delta::Applied { key, .. }
        | Delta::Deleted { key, .. }
        | Delta::Absent { key }
        | Delta::Unreadable { key, .. } => Some(key),
        _ => None,
    }
}

fn text_or(name: &str, other: &Value) -> String {
    if name.is_empty() { other.as_str().unwrap_or_default().to_owned() } else { name.to_owned() }
}

#[derive(Clone, Copy)]
enum RequestFault {
    Refused(u16),
    LostApplied,
    LostUnapplied,
}

/// A request that was not granted, as far as the port knows.
pub(super) struct Refusal {
    /// The status; 0 if no answer came.
    pub code: u16,
    /// What is reported.
    pub outcome: Outcome<Kind>,
}

impl Refusal {
    fn unknown(key: &ObjectKey<Kind>) -> Self {
        let outcome = Outcome::Failed {
            class: FailureClass::Unknown,
            reason: "Timeout".to_owned(),
            message: format!("no answer came for {key}"),
            not_before: None,
            reread: vec![key.clone()],
        };
        Self { code: 0, outcome }
    }
}
