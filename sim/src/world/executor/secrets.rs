//! Effects on Secrets and on keys in memory.

use super::super::World;
use super::super::config::Mutant;
use super::super::event::Actor;
use super::super::material::{self, SymCert, SymCsr, SymKey};
use super::super::project;
use super::{Done, Job, failed, stale, written};
use crate::apiserver::Request;
use everleaf_engine::{Delta, FailureClass, ObjectKey, Outcome, Written};
use everleaf_nodes::Base;
use everleaf_nodes::effect::{Beside, KeyPlace, KeySource, Store, Strings, Temporary};
use everleaf_nodes::facts::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

/// The field manager of Secrets.
pub const MANAGER: &str = "cert-manager-certificates-issuing";

impl World {
    pub(super) fn read_secret(&mut self, job: &mut Job, secret: &ObjectKey<Kind>) -> Done {
        let found = self.fetch(job, secret)?;
        let seen = match found {
            Some(object) => self.shown_live(job.at, Kind::Secret, &object),
            None => Some(Delta::Absent { key: secret.clone() }),
        };
        job.seen.extend(seen);
        Ok(Vec::new())
    }

    /// Where a Secret really is.
    fn secret_key(&self, job: &Job, name: &str) -> ObjectKey<Kind> {
        let name = name.strip_prefix("./").unwrap_or(name);
        ObjectKey::new(Kind::Secret, job.namespace(), name)
    }

    pub(super) fn ensure_key(
        &mut self,
        job: &mut Job,
        source: &KeySource,
        place: &KeyPlace,
    ) -> Done {
        let key = match source {
            KeySource::Generate(kind) => self.new_key(*kind),
            KeySource::Reuse { secret, fingerprint } => {
                let name = self.secret_key(job, secret);
                let found = self.fetch(job, &name)?;
                let key = found.and_then(|secret| material::key_of(&secret));
                let key = key.filter(|key| key.fp == *fingerprint);
                SymKey { reused: true, ..key.ok_or_else(|| stale(name))? }
            }
        };
        match place {
            KeyPlace::Memory => {
                let id = job.key_id(&job.order.effect.base.uid.clone());
                self.remember_key(job.at, &id, Some(key));
                let rv = Some(self.replicas[job.at].key_version());
                Ok(vec![Written { key: super::super::replica::key_object(&id), rv }])
            }
            KeyPlace::Secret(name) => self.create_key_secret(job, name, &key),
        }
    }

    fn new_key(&mut self, kind: everleaf_nodes::facts::KeyKind) -> SymKey {
        self.counts.keys += 1;
        SymKey::new(&format!("k{}", self.counts.keys), kind)
    }

    fn create_key_secret(&mut self, job: &mut Job, name: &Arc<str>, key: &SymKey) -> Done {
        let target = ObjectKey::new(Kind::Secret, job.namespace(), name.clone());
        let object = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": **name, "namespace": job.namespace(),
                "labels": {
                    "cert-manager.io/next-private-key": "true",
                    "controller.cert-manager.io/fao": "true",
                },
                "ownerReferences": [self.owner_reference(job)],
            },
            "data": { "tls.key": material::encode(key) },
        });
        let request = Request::create("secrets", job.namespace(), object);
        match self.send(job, &target, request) {
            Ok(response) => {
                self.echo(job, Kind::Secret, &response.body);
                Ok(vec![written(target, &response.body)])
            }
            Err(refusal) if refusal.code == 409 => self.take_over_key(job, target),
            Err(refusal) => Err(refusal.outcome),
        }
    }

    fn take_over_key(&mut self, job: &mut Job, target: ObjectKey<Kind>) -> Done {
        let Some(found) = self.fetch(job, &target)? else { return Err(stale(target)) };
        if is_controlled_by(&found, &job.order.effect.base.uid) {
            return Ok(vec![written(target, &found)]);
        }
        Err(Outcome::Failed {
            class: FailureClass::Rejected,
            reason: "NameTaken".to_owned(),
            message: format!("{target} belongs to somebody else; delete it, or wait until it goes"),
            not_before: None,
            reread: vec![target],
        })
    }

    /// The key at its place, if it is the one that was decided on.
    pub(super) fn key_at(
        &mut self,
        job: &mut Job,
        place: &KeyPlace,
        owner: &Arc<str>,
        fingerprint: &str,
    ) -> Result<SymKey, Outcome<Kind>> {
        let (key, target) = match place {
            KeyPlace::Memory => {
                let id = job.key_id(owner);
                let key = self.replicas[job.at].keys.get(&id).cloned();
                (key, super::super::replica::key_object(&id))
            }
            KeyPlace::Secret(name) => {
                let target = ObjectKey::new(Kind::Secret, job.namespace(), name.clone());
                let found = self.fetch(job, &target)?;
                (found.and_then(|secret| material::key_of(&secret)), target)
            }
        };
        key.filter(|key| *key.fp == *fingerprint).ok_or_else(|| stale(target))
    }

    pub(super) fn store(&mut self, job: &mut Job, store: &Store) -> Done {
        let owner = job.order.effect.base.uid.clone();
        let key = self.key_at(job, &store.key, &owner, &store.fingerprint)?;
        let request =
            ObjectKey::new(Kind::CertificateRequest, job.namespace(), store.request.clone());
        let request = self.fetch_base(job, &request, &store.request_base)?;
        let target = self.secret_key(job, &store.secret);
        let existing = self.fetch(job, &target)?;
        self.check_target(&target, store.secret_base.as_ref(), existing.as_deref())?;
        let chain = match &store.temporary {
            Some(temporary) => vec![self.temporary_certificate(&request, temporary)?],
            None => {
                let chain = material::decode::<Vec<SymCert>>(&request["status"]["certificate"]);
                chain.good().cloned().unwrap_or_default()
            }
        };
        let trusting = self.config.mutant == Mutant::TrustsAnyKey;
        let fits = chain.first().is_some_and(|leaf| leaf.fp == key.fp);
        if !fits && !trusting {
            let message = "the certificate is not for the request's key";
            return Err(failed(FailureClass::Rejected, "InvalidCertificate", message));
        }
        let as_sent = self.config.mutant == Mutant::StoresChainAsSent;
        let chain = if as_sent { chain } else { material::straighten(&chain) };
        let stored = match self.config.mutant {
            Mutant::StoresOtherKey => SymKey::new("somebody-elses", key.kind),
            _ => key,
        };
        let mut data = json!({
            "tls.crt": material::encode(&chain), "tls.key": material::encode(&stored) });
        if store.temporary.is_none() && request["status"]["ca"].is_string() {
            data["ca.crt"] = request["status"]["ca"].clone();
        }
        add_beside(store.beside.as_deref(), &mut data);
        let texts = (&store.labels, &store.annotations);
        self.apply(job, &target, existing.as_deref(), data, texts)
    }

    /// What a request asks for, by a signer that nobody else has.
    fn temporary_certificate(
        &mut self,
        request: &Value,
        temporary: &Temporary,
    ) -> Result<SymCert, Outcome<Kind>> {
        let csr = material::decode::<SymCsr>(&request["spec"]["request"]);
        let Some(csr) = csr.good().cloned() else {
            return Err(failed(FailureClass::Rejected, "RequestFailed", "it cannot be read"));
        };
        self.counts.serials += 1;
        let now = self.now.div_euclid(1000);
        Ok(SymCert {
            serial: self.counts.serials,
            fp: csr.fp.clone(),
            kind: csr.kind,
            signer: format!("passing-{}", self.counts.serials).into(),
            common_name: csr.common_name.clone(),
            names: csr.names.clone(),
            not_before: now,
            not_after: now + temporary.duration_ms / 1000,
            is_ca: temporary.is_ca,
            usages: temporary.usages.clone(),
            ari: None,
        })
    }

    fn check_target(
        &self,
        target: &ObjectKey<Kind>,
        base: Option<&Base>,
        existing: Option<&Value>,
    ) -> Result<(), Outcome<Kind>> {
        let is = existing.map(|object| project::identity(Kind::Secret, object));
        let same = match (base, &is) {
            (None, None) => true,
            (Some(base), Some(is)) => base.uid == is.uid && base.rv == is.rv,
            _ => false,
        };
        let blind = matches!(self.config.mutant, Mutant::StoresBlindly | Mutant::IgnoresContest);
        if same || blind { Ok(()) } else { Err(stale(target.clone())) }
    }

    pub(super) fn tend_secret(
        &mut self,
        job: &mut Job,
        (secret, base): (&Arc<str>, &Base),
        texts: (&Strings, &Strings),
        beside: Option<&Beside>,
    ) -> Done {
        let target = self.secret_key(job, secret);
        let existing = self.fetch_base(job, &target, base)?;
        let ours = ["tls.crt", "tls.key", "ca.crt"];
        let data = ours.into_iter().filter_map(|name| {
            let value = existing["data"].get(name)?;
            Some((name.to_owned(), value.clone()))
        });
        let mut data = Value::Object(data.collect());
        add_beside(beside, &mut data);
        self.apply(job, &target, Some(&*existing), data, texts)
    }

    /// One server-side apply of everything of ours, on the very version that was read.
    fn apply(
        &mut self,
        job: &mut Job,
        target: &ObjectKey<Kind>,
        existing: Option<&Value>,
        mut data: Value,
        (labels, annotations): (&Strings, &Strings),
    ) -> Done {
        let kind = existing.map_or("kubernetes.io/tls", |s| project::text(s, "/type"));
        let mut metadata = json!({
            "name": *target.name, "namespace": *target.namespace,
            "labels": labels,
            "annotations": annotations,
        });
        metadata["labels"]["controller.cert-manager.io/fao"] = json!("true");
        if let Some(existing) = existing {
            metadata["uid"] = existing["metadata"]["uid"].clone();
            metadata["resourceVersion"] = existing["metadata"]["resourceVersion"].clone();
        }
        if self.config.owner_ref {
            metadata["ownerReferences"] = json!([self.owner_reference(job)]);
        }
        let mut late = Value::Null;
        if self.config.mutant == Mutant::StoresInTwoWrites {
            late = data["ca.crt"].take();
            data["ca.crt"] = json!(material::encode("an older CA"));
        }
        let mut body = json!({ "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": metadata, "data": data });
        let request = self.apply_request(target, body.clone());
        let first = self.write(job, target.clone(), request)?;
        if late.is_string() {
            body["data"]["ca.crt"] = late;
            for name in ["uid", "resourceVersion"] {
                if let Some(metadata) = body["metadata"].as_object_mut() {
                    metadata.remove(name);
                }
            }
            let request = self.apply_request(target, body);
            return self.write(job, target.clone(), request);
        }
        Ok(first)
    }

    fn apply_request(&self, target: &ObjectKey<Kind>, body: Value) -> Request {
        Request::apply("secrets", &target.namespace, &target.name, MANAGER, body)
    }

    /// The reference to the effect's subject as a controller.
    pub(super) fn owner_reference(&self, job: &Job) -> Value {
        let subject = job.subject();
        let version = match subject.kind {
            Kind::Ingress => "networking.k8s.io/v1",
            _ => "cert-manager.io/v1",
        };
        json!({ "apiVersion": version, "kind": subject.kind.name(), "name": *subject.name,
            "uid": *job.order.effect.base.uid, "controller": true, "blockOwnerDeletion": true })
    }

    /// Deletes an object as somebody other than an effect asks.
    pub(in super::super) fn delete_as(&mut self, actor: Actor, key: &ObjectKey<Kind>) -> bool {
        let resource = project::resource(key.kind);
        let request = Request::delete(resource, &key.namespace, &key.name);
        self.call(actor, None, request).is_success()
    }
}

/// Adds what is wanted beside the pair.
fn add_beside(beside: Option<&Beside>, data: &mut Value) {
    let Some(Beside { outputs, .. }) = beside else { return };
    let entry = material::entry_beside(data);
    for name in outputs.stores(data["ca.crt"].is_string()).into_iter().chain(outputs.formats()) {
        data[name] = entry.clone();
    }
}

/// Whether the object of that UID is the controller of another.
pub(super) fn is_controlled_by(object: &Value, uid: &str) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let controls = |owner: &&Value| owner["controller"] == true && owner["uid"] == *uid;
    owners.into_iter().flatten().any(|owner| controls(&owner))
}
