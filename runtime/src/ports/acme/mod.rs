//! ACME effects: requests to a CA, routes and records, and the writes that tell what came of them.
//!
//! Every answer is written into the object, a good one into its status, any other as
//! `everleaf.dev/acme-attempt`. Nothing here waits or tries again over time: the graph does. What
//! a CA answered is written for whoever the object is now, by its UID alone, for it must not be
//! lost to somebody's label; what is decided before a request goes out has the resourceVersion.

mod accounts;
mod ahead;
mod budget;
mod challenges;
mod check;
mod dns01;
mod fault;
mod follow;
mod gate;
mod http01;
mod memory;
mod options;
mod orders;
mod patience;
mod register;
mod renewal;
mod solve;
#[cfg(test)]
mod tests;

pub use http01::SolverPods;
pub use options::AcmeOptions;

use super::{Done, Ports, Report, Undone, undone};
use crate::http01::Tokens;
use crate::kube_api::{Resource, resource};
use accounts::{Clients, Keys};
use dns01::{Lookup, Syncs};
use everleaf_api::names::everleaf as ours;
use everleaf_engine::{Digest, Timestamp, Uid};
use everleaf_nodes::acme::showing::Showings;
use everleaf_nodes::acme::turns::Turns;
use everleaf_nodes::effect::{Acme, Trial, rfc3339};
use everleaf_nodes::facts::Attempt;
use everleaf_nodes::{Base, Effect, Event, Kind};
use fault::Halt;
use gate::Gates;
use memory::Memory;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// So many claims are remembered: more than are ever between their claim and their order.
const CLAIMS_KEPT: usize = 4096;
/// So many Challenges are remembered as looked for: more than are ever between that and the CA.
const SIGHTS_KEPT: usize = 4096;

/// What ACME effects share: clients of CAs, account keys, tokens, resolvers. Clones share it.
#[derive(Clone, Default)]
pub struct AcmeShared(Arc<Shared>);

#[derive(Default)]
struct Shared {
    options: AcmeOptions,
    tokens: Tokens,
    clients: Clients,
    keys: Keys,
    /// Claims that this process wrote and did not act on yet, by the Order's UID.
    claims: Mutex<BTreeMap<Uid, i64>>,
    /// Who claimed last for which names.
    turns: Mutex<Turns>,
    /// What is shown for Challenges just now, and which were cleaned up.
    showings: Mutex<Showings>,
    /// Challenges that this process has looked for from outside.
    sights: Mutex<BTreeSet<Uid>>,
    /// What the API server answered to our own writes of Challenges.
    finalizers: Memory<(u64, Vec<String>)>,
    /// The UIDs of routes that this process made, by their Challenge's.
    routes: Memory<String>,
    gates: Gates,
    /// Set up when it is first needed: it wants the platform's certificate authorities.
    lookup: OnceLock<Result<Lookup, everleaf_dns::Error>>,
    /// What providers of DNS have not spread yet.
    syncs: Syncs,
    checker: OnceLock<Result<reqwest::Client, String>>,
    replicas: http01::Replicas,
}

impl AcmeShared {
    /// By these options. Nothing is asked or opened yet.
    pub fn new(options: AcmeOptions) -> Self {
        Self(Arc::new(Shared { options, ..Shared::default() }))
    }

    /// What the HTTP-01 responder answers with.
    pub fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// The ports of the responders, for HTTP-01 and for TLS-ALPN-01; `None` where nobody would
    /// know at which address, or nothing is answered.
    pub fn responder_ports(&self) -> (Option<u16>, Option<u16>) {
        let options = self.options();
        let known = !options.responder_ips.is_empty() || options.responder_service.is_some();
        (known.then_some(options.responder_port), options.tls_alpn_port)
    }

    fn options(&self) -> &AcmeOptions {
        &self.0.options
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn showings(&self) -> MutexGuard<'_, Showings> {
        self.0.showings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to show what a Challenge needs, until the answer is dropped. `None` if its clean-up
    /// was asked for since that was decided.
    fn show<'a>(&'a self, base: &'a Base) -> Option<Showing<'a>> {
        let begun = self.showings().begin(base, super::now());
        begun.then_some(Showing { shared: self, base })
    }

    fn claimed(&self, order: &Uid, at: Timestamp) {
        let mut claims = self.0.claims.lock().unwrap_or_else(PoisonError::into_inner);
        while claims.len() >= CLAIMS_KEPT {
            claims.pop_first();
        }
        claims.insert(order.clone(), at.as_seconds());
    }

    /// Remembers that this process has looked for a Challenge from outside. Whether it had before.
    fn sighted(&self, challenge: &Uid) -> bool {
        let mut sights = self.0.sights.lock().unwrap_or_else(PoisonError::into_inner);
        while sights.len() >= SIGHTS_KEPT && !sights.contains(challenge) {
            sights.pop_first();
        }
        !sights.insert(challenge.clone())
    }

    /// Whether this process wrote that claim and sent nothing since. True once: what is asked
    /// about is about to be sent.
    fn takes_claim(&self, order: &Uid, at: Timestamp) -> bool {
        let mut claims = self.0.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.remove(order) == Some(at.as_seconds())
    }
}

/// A Challenge that is being shown; however that ends, its clean-up may go on then.
struct Showing<'a> {
    shared: &'a AcmeShared,
    base: &'a Base,
}

impl Drop for Showing<'_> {
    fn drop(&mut self) {
        self.shared.showings().end(self.base);
    }
}

impl AcmeShared {
    /// The finalizers of a Challenge, if our last write of it led to exactly that version.
    fn finalizers(&self, base: &Base) -> Option<Vec<String>> {
        let (rv, finalizers) = self.0.finalizers.get(&base.uid)?;
        (rv == base.rv).then_some(finalizers)
    }

    fn keep_finalizers(&self, challenge: &Value) {
        let meta = crate::edge::meta_of(challenge);
        let kept = (crate::edge::version(&meta), meta.finalizers);
        self.0.finalizers.put(meta.uid.as_str().into(), kept);
    }

    fn made_route(&self, challenge: &Uid, (of, name): (Resource, &str), uid: &str) {
        self.0.routes.put(route_of(challenge, of, name), uid.to_owned());
    }

    /// The UID of what was made for a Challenge. Told once: it is about to be removed.
    fn route_made(&self, challenge: &Uid, of: Resource, name: &str) -> Option<String> {
        self.0.routes.take(&route_of(challenge, of, name))
    }
}

/// What is made for a Challenge, told apart from whatever else is made for it.
fn route_of(challenge: &Uid, of: Resource, name: &str) -> Uid {
    format!("{challenge}/{}/{name}", of.kind).into()
}

/// How a step went that may end in an attempt.
type Told = Result<Report, Halt>;

impl Ports {
    /// What the HTTP-01 responder answers with.
    pub fn tokens(&self) -> &Tokens {
        self.acme.tokens()
    }

    /// Performs an effect of ACME.
    pub(super) async fn acme(&self, effect: &Effect, acme: &Acme) -> Done {
        let told = match acme {
            Acme::Register(it) => {
                let done = self.register(effect, it).await;
                return self.tell(effect, &it.trial, Some(it.inputs), done).await;
            }
            Acme::CreateOrder(it) => return self.create_order(effect, it).await,
            Acme::TakeCertificate { order, base, leaf, conditions } => {
                return self.take_certificate(effect, (order, base, *leaf), conditions).await;
            }
            Acme::Claim(it) => (&it.ahead.trial, self.claim(effect, it).await),
            Acme::CreateChallenge(it) => return self.create_challenge(effect, it).await,
            Acme::Guard => return self.guard(effect).await,
            Acme::CleanUp(it) => return self.clean_up(effect, it).await,
            Acme::AskWindow(it) => return self.ask_window(effect, it).await,
            Acme::Place(it) => (&it.trial, self.place(effect, it).await),
            Acme::ReadAuthorizations(it) => (&it.trial, self.read_authorizations(effect, it).await),
            Acme::Follow(it) => (&it.trial, self.follow(effect, it).await),
            Acme::Finalize(it) => (&it.trial, self.finalize(effect, it).await),
            Acme::Present(it) => (&it.trial, self.present(effect, it).await),
            Acme::SelfCheck(it) => (&it.trial, self.self_check(effect, it).await),
            Acme::Accept(it) => (&it.trial, self.accept(effect, it).await),
            Acme::Poll(it) => (&it.trial, self.poll(effect, it).await),
        };
        self.tell(effect, told.0, None, told.1).await
    }

    /// Writes a fault down; then it is told, and the effect is done.
    async fn tell(
        &self,
        effect: &Effect,
        trial: &Trial,
        inputs: Option<Digest>,
        done: Told,
    ) -> Done {
        match done {
            Ok(report) => Ok(report),
            Err(Halt::Undone(undone)) => Err(undone),
            Err(Halt::Fault(fault)) => {
                let attempt = fault.attempt(trial, inputs, super::now());
                let noted = self.note(effect, &attempt).await?;
                match fault.status(effect.subject.kind, &attempt) {
                    Some(status) => self.write_status(effect, status).await,
                    None => Ok(self.saw_subject(effect, &noted)),
                }
            }
        }
    }

    /// Writes an attempt down.
    async fn note(&self, effect: &Effect, attempt: &Attempt) -> Result<Value, Undone> {
        let text = everleaf_nodes::acme::notes::attempt_text(attempt, &effect.base.uid);
        self.annotate(effect, ours::ACME_ATTEMPT, &text).await
    }

    fn saw_subject(&self, effect: &Effect, object: &Value) -> Report {
        self.keep(effect.subject.kind, object);
        self.saw(effect.subject.kind, object, vec![effect.subject.clone()])
    }

    /// Keeps what later effects would read again.
    fn keep(&self, kind: Kind, object: &Value) {
        match kind {
            Kind::Challenge => self.acme.keep_finalizers(object),
            Kind::Order => self.cache.put(object),
            _ => {}
        }
    }

    /// Writes an annotation of ours on the effect's subject, whatever its version is.
    async fn annotate(&self, effect: &Effect, key: &str, text: &str) -> Result<Value, Undone> {
        let annotations = Map::from_iter([(key.to_owned(), json!(text))]);
        let meta = json!({ "uid": effect.base.uid, "annotations": annotations });
        self.patch_meta(effect, meta).await
    }

    async fn patch_meta(&self, effect: &Effect, meta: Value) -> Result<Value, Undone> {
        let at = (&*effect.subject.namespace, &*effect.subject.name);
        let patch = json!({ "metadata": meta });
        let patched = self.kube.patch_at(resource(effect.subject.kind), at, &patch).await;
        patched.map_err(|error| undone(&error, std::slice::from_ref(&effect.subject)))
    }

    /// Merges into the status of the effect's subject, whatever its version is.
    async fn write_status(&self, effect: &Effect, status: Value) -> Done {
        let at = (&*effect.subject.namespace, &*effect.subject.name);
        let patch = json!({ "metadata": { "uid": effect.base.uid }, "status": status });
        let written = self.kube.patch_status(effect.subject.kind, at, &patch).await;
        let written =
            written.map_err(|error| undone(&error, std::slice::from_ref(&effect.subject)))?;
        Ok(self.saw_subject(effect, &written))
    }

    fn say(&self, effect: &Effect, event: &Event) {
        self.events.send(&effect.subject, &effect.base.uid, event);
    }
}

/// The present time as the API has it.
fn clock() -> String {
    rfc3339(super::now())
}

/// The UID of an object's controller.
fn controller_uid(object: &Value) -> Option<String> {
    crate::edge::meta_of(object).controller().map(|owner| owner.uid.to_string())
}

/// A kind's name beside the object's, for people.
fn place(kind: Kind, namespace: &str, name: &str) -> String {
    let kind = resource(kind).kind;
    if namespace.is_empty() {
        format!("{kind} {name}")
    } else {
        format!("{kind} {namespace}/{name}")
    }
}
