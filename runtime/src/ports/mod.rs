//! The ports: they perform effects and report how they ended. A port never decides to try again
//! later; the graph waits. Before something is spent or stored, what it rests on is looked at
//! again, and the answer may be `Stale`.

mod acme;
mod cache;
mod certificates;
mod events;
mod keys;
mod requests;
mod secrets;
mod sign;
mod stores;
mod temporary;

use crate::edge::{Projector, feed_of, meta_of, version};
use crate::kube_api::{ApiError, Kube};
pub use acme::{AcmeOptions, AcmeShared, SolverPods};
use cache::Cache;
pub use events::{EventWriter, Events};
use everleaf_engine::{Delta, EffectId, FailureClass, ObjectKey, Outcome, Timestamp, Written};
use everleaf_nodes::effect::Strings;
use everleaf_nodes::{Base, Do, Effect, Facts, Kind, feed};
pub use keys::KeyStore;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How an effect ended, and what was seen on the way.
#[derive(Debug)]
pub struct Report {
    /// What was seen; it is observed before the outcome is completed.
    pub seen: Vec<Delta<Kind, Facts>>,
    /// How it ended.
    pub outcome: Outcome<Kind>,
}

/// How an effect failed to be done: the outcome, and what was seen on the way.
type Undone = Box<Report>;

/// What a port returns: what was seen and written, or how it failed.
type Done = Result<Report, Undone>;

impl Report {
    fn done(seen: Vec<Delta<Kind, Facts>>, wrote: Vec<Written<Kind>>) -> Self {
        Self { seen, outcome: Outcome::Done { wrote } }
    }

    fn stale(reread: Vec<ObjectKey<Kind>>) -> Undone {
        Box::new(Self { seen: Vec::new(), outcome: Outcome::Stale { reread } })
    }

    fn failed(class: FailureClass, reason: &str, message: impl Into<String>) -> Undone {
        let (reason, message) = (reason.to_owned(), message.into());
        let outcome =
            Outcome::Failed { class, reason, message, not_before: None, reread: Vec::new() };
        Box::new(Self { seen: Vec::new(), outcome })
    }
}

/// The wall clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Whether effects may still be performed: false once we do not lead.
pub type Fence = Arc<dyn Fn() -> bool + Send + Sync>;

/// Performs effects.
#[derive(Clone)]
pub struct Ports {
    kube: Kube,
    projector: Projector,
    keys: KeyStore,
    cache: Cache,
    signers: sign::Signers,
    events: Events,
    acme: AcmeShared,
    fence: Fence,
}

impl Ports {
    /// Ports to an API server.
    pub fn new(
        kube: Kube,
        projector: Projector,
        keys: KeyStore,
        events: Events,
        acme: AcmeShared,
        fence: Fence,
    ) -> Self {
        let (cache, signers) = (Cache::default(), sign::Signers::default());
        Self { kube, projector, keys, cache, signers, events, acme, fence }
    }

    /// Performs an effect. Events go out only if it was done.
    pub async fn perform(&self, id: &EffectId, effect: &Effect) -> Report {
        if !(self.fence)() {
            let message = "this replica does not lead any more";
            return *Report::failed(FailureClass::Transient, "NotLeading", message);
        }
        let report = self.run(effect).await.unwrap_or_else(|undone| *undone);
        if matches!(report.outcome, Outcome::Done { .. }) {
            for event in &effect.events {
                self.events.send(&effect.subject, &effect.base.uid, event);
            }
        }
        tracing::debug!(effect = %id, outcome = ?report.outcome, "performed");
        report
    }

    async fn run(&self, effect: &Effect) -> Done {
        match &effect.action {
            Do::ReadSecret { secret } => Ok(self.read_secret(secret).await?),
            Do::PatchStatus { patch } => self.patch_status(effect, patch).await,
            Do::Settle { annotations, patch } => self.settle(effect, annotations, patch).await,
            Do::Delete { key, base } => self.delete(key, base).await,
            Do::TendSecret { .. } => self.tend_secret(effect).await,
            Do::EnsureKey { source, place } => self.ensure_key(effect, source, place).await,
            Do::CreateRequest(request) => self.create_request(effect, request).await,
            Do::Store(store) => self.store(effect, store).await,
            Do::Sign(sign) => self.sign(effect, sign).await,
            Do::Acme(acme) => self.acme(effect, acme).await,
            Do::Say => Ok(Report::done(Vec::new(), Vec::new())),
            Do::CreateCertificate { object } => self.create_certificate(effect, object).await,
            Do::UpdateCertificate { name, base, object } => {
                self.update_certificate(effect, (name, base), object).await
            }
        }
    }

    /// Reads an object live, for the engine's own sake.
    pub async fn read(&self, key: &ObjectKey<Kind>) -> Delta<Kind, Facts> {
        if key.kind == Kind::Key {
            return self.keys.read(key);
        }
        match self.kube.get(key.kind, &key.namespace, &key.name).await {
            Ok(object) => self
                .seen_live(key.kind, &object)
                .unwrap_or_else(|message| Delta::Unreadable { key: key.clone(), message }),
            Err(error) if error.is_absent() => Delta::Absent { key: key.clone() },
            Err(error) => Delta::Unreadable { key: key.clone(), message: error.to_string() },
        }
    }

    async fn read_secret(&self, key: &ObjectKey<Kind>) -> Result<Report, Undone> {
        match self.kube.get(Kind::Secret, &key.namespace, &key.name).await {
            Ok(object) => Ok(self.saw(Kind::Secret, &object, Vec::new())),
            Err(error) if error.is_absent() => {
                Ok(Report::done(vec![Delta::Absent { key: key.clone() }], Vec::new()))
            }
            Err(error) => Err(undone(&error, &[])),
        }
    }

    async fn patch_status(&self, effect: &Effect, patch: &str) -> Done {
        let Effect { subject, base, .. } = effect;
        let mut patch: Value = serde_json::from_str(patch).map_err(|error| {
            Report::failed(FailureClass::Invalid, "Malformed", error.to_string())
        })?;
        patch["metadata"] = json!({ "uid": base.uid, "resourceVersion": base.rv.to_string() });
        let at = (&*subject.namespace, &*subject.name);
        let answer = self.kube.patch_status(subject.kind, at, &patch).await;
        let object = answer.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        if subject.kind == Kind::CertificateRequest {
            self.cache.put(&object);
        }
        Ok(self.saw(subject.kind, &object, vec![subject.clone()]))
    }

    /// Writes annotations of ours, then the status of what came back.
    async fn settle(&self, effect: &Effect, annotations: &Strings, patch: &str) -> Done {
        let Effect { subject, base, .. } = effect;
        let at = (&*subject.namespace, &*subject.name);
        let meta = json!({
            "uid": base.uid,
            "resourceVersion": base.rv.to_string(),
            "annotations": annotations,
        });
        let resource = crate::kube_api::resource(subject.kind);
        let noted = self.kube.patch_at(resource, at, &json!({ "metadata": meta })).await;
        let noted = noted.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        let rv = version(&meta_of(&noted));
        let base = Base { uid: base.uid.clone(), rv };
        let (subject, action) = (subject.clone(), effect.action.clone());
        self.patch_status(&Effect { subject, base, action, events: Vec::new() }, patch).await
    }

    async fn delete(&self, key: &ObjectKey<Kind>, base: &Base) -> Done {
        let at = (&*key.namespace, &*key.name);
        match self.kube.delete(key.kind, at, (&base.uid, base.rv)).await {
            // Finalizers hold it: it is there, being deleted.
            Ok(object) if object.pointer("/metadata/deletionTimestamp").is_some() => {
                Ok(self.saw(key.kind, &object, Vec::new()))
            }
            Ok(_) => Ok(Report::done(vec![gone(key, base)], Vec::new())),
            Err(error) if error.is_absent() => Ok(Report::done(vec![gone(key, base)], Vec::new())),
            Err(error) => Err(undone(&error, std::slice::from_ref(key))),
        }
    }

    /// The report of an object that was written or read, as the API server answered.
    fn saw(&self, kind: Kind, object: &Value, wrote: Vec<ObjectKey<Kind>>) -> Report {
        let rv = version(&meta_of(object));
        let wrote = wrote.into_iter().map(|key| Written { key, rv: Some(rv) }).collect();
        match self.projector.read_own(kind, object) {
            Ok(read) => Report::done(vec![read.live()], wrote),
            Err(_) => Report::done(Vec::new(), wrote),
        }
    }

    fn seen_live(&self, kind: Kind, object: &Value) -> Result<Delta<Kind, Facts>, String> {
        self.projector.read(kind, object).map(|read| read.live()).map_err(|e| e.to_string())
    }
}

/// What was deleted under a precondition is gone, whatever a watch says later. The only Secrets
/// that are deleted are next private keys, which carry the label.
fn gone(key: &ObjectKey<Kind>, base: &Base) -> Delta<Kind, Facts> {
    let feed = match key.kind {
        Kind::Secret => feed::LABELLED_SECRETS,
        kind => feed_of(kind, &Default::default()),
    };
    Delta::Deleted { feed, key: key.clone(), uid: base.uid.clone() }
}

/// A failed request as an outcome. A conflict or an unknown outcome leads to live reads.
fn undone(error: &ApiError, touched: &[ObjectKey<Kind>]) -> Undone {
    let reread = match error.class {
        FailureClass::Conflict | FailureClass::Unknown => touched.to_vec(),
        _ if error.is_absent() => touched.to_vec(),
        _ => Vec::new(),
    };
    let wait = i64::from(error.retry_after_seconds) * 1000;
    let not_before = (wait > 0).then(|| now().plus_millis(wait));
    let class = if error.is_absent() { FailureClass::Conflict } else { error.class };
    let reason = if error.reason.is_empty() { "Failed".to_owned() } else { error.reason.clone() };
    let message = error.to_string();
    let outcome = Outcome::Failed { class, reason, message, not_before, reread };
    Box::new(Report { seen: Vec::new(), outcome })
}

/// Something of ours that is wrong with an object, for good.
fn rejected(reason: &str, message: impl Into<String>) -> Undone {
    Report::failed(FailureClass::Rejected, reason, message)
}

/// The owner reference of a child of the effect's subject.
fn owner_reference(effect: &Effect) -> Value {
    let resource = crate::kube_api::resource(effect.subject.kind);
    json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": effect.subject.name,
        "uid": effect.base.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}
