//! Effects that make requests and Certificates.

use super::super::World;
use super::super::config::Mutant;
use super::super::event::Event;
use super::super::material::{self, SymCsr};
use super::secrets::is_controlled_by;
use super::{Done, Job, stale, written};
use crate::apiserver::Request;
use everleaf_api::names;
use everleaf_engine::{FailureClass, ObjectKey, Outcome};
use everleaf_nodes::Base;
use everleaf_nodes::effect::NewRequest;
use everleaf_nodes::facts::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

impl World {
    pub(super) fn create_request(&mut self, job: &mut Job, new: &NewRequest) -> Done {
        if let Some(secret) = &new.missing {
            let at = ObjectKey::new(Kind::Secret, job.namespace(), secret.clone());
            if self.fetch(job, &at)?.is_some() {
                return Err(stale(at));
            }
        }
        let owner = job.order.effect.base.uid.clone();
        let key = self.key_at(job, &new.key, &owner, &new.fingerprint)?;
        let csr = SymCsr {
            fp: key.fp,
            kind: key.kind,
            common_name: new.wish.common_name.clone(),
            names: new.wish.names.clone(),
        };
        let mut spec = json!({
            "request": material::encode(&csr),
            "issuerRef": { "name": *new.issuer.name },
        });
        for (field, value) in [("kind", &new.issuer.kind), ("group", &new.issuer.group)] {
            if !value.is_empty() {
                spec["issuerRef"][field] = json!(**value);
            }
        }
        if let Some(duration) = &new.duration {
            spec["duration"] = json!(**duration);
        }
        if new.wish.is_ca {
            spec["isCA"] = json!(true);
        }
        if !new.wish.usages.is_empty() {
            spec["usages"] = json!(new.wish.usages);
        }
        let mut object = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {
                "name": *new.name, "namespace": job.namespace(),
                "labels": new.labels, "annotations": new.annotations,
                "ownerReferences": [self.owner_reference(job)],
            },
            "spec": spec,
        });
        if self.config.mutant == Mutant::AddsFinalizer {
            object["metadata"]["finalizers"] = json!(["everleaf.dev/clean-up"]);
        }
        let target = ObjectKey::new(Kind::CertificateRequest, job.namespace(), new.name.clone());
        let resource = "certificaterequests.cert-manager.io";
        let request = Request::create(resource, job.namespace(), object.clone());
        match self.send(job, &target, request) {
            Ok(response) => {
                self.echo(job, Kind::CertificateRequest, &response.body);
                Ok(vec![written(target, &response.body)])
            }
            Err(refusal) if refusal.code == 409 => self.adopt_request(job, target, &object),
            Err(refusal) => Err(refusal.outcome),
        }
    }

    /// A request of the name exists: it is ours only if owner, attempt and input are the same.
    fn adopt_request(&mut self, job: &mut Job, target: ObjectKey<Kind>, wanted: &Value) -> Done {
        let Some(found) = self.fetch(job, &target)? else { return Err(stale(target)) };
        let annotation = |object: &Value, key: &str| object["metadata"]["annotations"][key].clone();
        let keys =
            [names::everleaf::ATTEMPT, names::everleaf::INPUT_DIGEST, names::everleaf::OWNER_UID];
        let same = keys.iter().all(|key| annotation(&found, key) == annotation(wanted, key));
        let ours = same && is_controlled_by(&found, &job.order.effect.base.uid);
        if ours || self.config.mutant == Mutant::AdoptsAnything {
            let (replica, order) = (job.at, job.order.clone());
            self.emitted.push(Event::Adopted { replica, order, object: found.clone() });
            self.echo(job, Kind::CertificateRequest, &found);
            return Ok(vec![written(target, &found)]);
        }
        if self.config.mutant == Mutant::DeletesStrangers {
            let request = Request::delete(
                "certificaterequests.cert-manager.io",
                &target.namespace,
                &target.name,
            );
            return match self.send(job, &target, request) {
                Ok(_) => Err(stale(target)),
                Err(refusal) => Err(refusal.outcome),
            };
        }
        Err(Outcome::Failed {
            class: FailureClass::Conflict,
            reason: "AlreadyExists".to_owned(),
            message: format!("{target} exists and is not the request of this attempt"),
            not_before: None,
            reread: vec![target],
        })
    }

    pub(super) fn create_certificate(&mut self, job: &mut Job, object: &str) -> Done {
        let mut object: Value = serde_json::from_str(object).unwrap_or_default();
        object["metadata"]["namespace"] = json!(job.namespace());
        object["metadata"]["ownerReferences"] = json!([self.owner_reference(job)]);
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let target = ObjectKey::new(Kind::Certificate, job.namespace(), name);
        let resource = "certificates.cert-manager.io";
        let request = Request::create(resource, job.namespace(), object);
        match self.send(job, &target, request) {
            Ok(response) => {
                self.echo(job, Kind::Certificate, &response.body);
                Ok(vec![written(target, &response.body)])
            }
            Err(refusal) if refusal.code == 409 => {
                let found = self.fetch(job, &target)?.ok_or_else(|| stale(target.clone()))?;
                if is_controlled_by(&found, &job.order.effect.base.uid) {
                    return Ok(vec![written(target, &found)]);
                }
                Err(refusal.outcome)
            }
            Err(refusal) => Err(refusal.outcome),
        }
    }

    pub(super) fn update_certificate(
        &mut self,
        job: &mut Job,
        (name, base): (&Arc<str>, &Base),
        object: &str,
    ) -> Done {
        let target = ObjectKey::new(Kind::Certificate, job.namespace(), name.clone());
        let found = self.fetch_base(job, &target, base)?;
        let wanted: Value = serde_json::from_str(object).unwrap_or_default();
        let mut new = Value::clone(&found);
        new["spec"] = wanted["spec"].clone();
        let meta = &mut new["metadata"];
        meta["labels"] = wanted["metadata"]["labels"].clone();
        for (key, value) in wanted["metadata"]["annotations"].as_object().into_iter().flatten() {
            meta["annotations"][key] = value.clone();
        }
        let resource = "certificates.cert-manager.io";
        let request = Request::update(resource, job.namespace(), name, new);
        self.write(job, target, request)
    }
}
