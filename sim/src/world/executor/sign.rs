//! Signatures: the CA and self-signed issuers.

use super::super::World;
use super::super::config::Mutant;
use super::super::event::Event;
use super::super::material::{self, SymCert, SymCsr};
use super::super::mutant::OPERATOR_NAMESPACE;
use super::super::project;
use super::{Done, Job, failed};
use crate::apiserver::{Request, rfc3339};
use everleaf_engine::{FailureClass, ObjectKey, Outcome};
use everleaf_nodes::effect::{Sign, SignWith};
use everleaf_nodes::facts::Kind;
use serde_json::{Value, json};

/// What a certificate is signed with: the chain of the signer, leaf first; empty for its own key.
struct Signer {
    chain: Vec<SymCert>,
}

impl World {
    pub(super) fn sign(&mut self, job: &mut Job, sign: &Sign) -> Done {
        let subject = job.subject().clone();
        let base = job.order.effect.base.clone();
        let request = self.fetch_base(job, &subject, &base)?;
        let csr = material::decode::<SymCsr>(&request["spec"]["request"]);
        let Some(csr) = csr.good().cloned() else {
            let message = "spec.request cannot be read";
            return Err(failed(FailureClass::Rejected, "BadRequest", message));
        };
        let signer = self.signer(job, sign, &csr)?;
        let chain = self.issue(&csr, sign, &signer);
        let root = chain.iter().chain(&signer.chain).find(|cert| cert.signer == cert.fp);
        let ca = root.or(signer.chain.last()).cloned();
        let stored: Vec<SymCert> =
            chain.iter().filter(|c| c.signer != c.fp || chain.len() == 1).cloned().collect();
        let patch = self.answer(job.at, sign, base.rv, &stored, ca);
        let resource = project::resource(Kind::CertificateRequest);
        let request = Request::merge(resource, &subject.namespace, &subject.name, patch);
        self.write(job, subject, request.on_status())
    }

    fn signer(
        &mut self,
        job: &mut Job,
        sign: &Sign,
        csr: &SymCsr,
    ) -> Result<Signer, Outcome<Kind>> {
        match &sign.with {
            SignWith::Ca { secret, base } => {
                let found = if self.config.mutant == Mutant::CrossesTenants {
                    let other = ObjectKey::new(Kind::Secret, OPERATOR_NAMESPACE, "cluster-pair");
                    self.signed_with(job, &other);
                    let found = self.fetch(job, &other)?;
                    found.ok_or_else(|| super::stale(other))?
                } else {
                    self.signed_with(job, secret);
                    self.fetch_base(job, secret, base)?
                };
                Ok(Signer { chain: material::chain_of(&found) })
            }
            SignWith::Own { key, owner } => {
                let owner = owner.clone().unwrap_or_else(|| "".into());
                self.key_at(job, key, &owner, &csr.fp)?;
                Ok(Signer { chain: Vec::new() })
            }
        }
    }

    fn signed_with(&mut self, job: &Job, secret: &ObjectKey<Kind>) {
        let (replica, order) = (job.at, job.order.clone());
        self.emitted.push(Event::Signed { replica, order, secret: secret.clone() });
    }

    fn issue(&mut self, csr: &SymCsr, sign: &Sign, signer: &Signer) -> Vec<SymCert> {
        self.counts.serials += 1;
        let now = self.now.div_euclid(1000);
        let end = now + sign.duration_ms / 1000;
        let parent = signer.chain.first();
        let leaf = SymCert {
            serial: self.counts.serials,
            fp: csr.fp.clone(),
            kind: csr.kind,
            signer: parent.map_or_else(|| csr.fp.clone(), |parent| parent.fp.clone()),
            common_name: csr.common_name.clone(),
            names: csr.names.clone(),
            not_before: now,
            not_after: parent.map_or(end, |parent| end.min(parent.not_after)),
            is_ca: sign.is_ca,
            usages: sign.usages.clone(),
            ari: None,
        };
        std::iter::once(leaf).chain(signer.chain.iter().cloned()).collect()
    }

    fn answer(
        &self,
        at: usize,
        sign: &Sign,
        rv: u64,
        chain: &[SymCert],
        ca: Option<SymCert>,
    ) -> Value {
        let now = self.replicas[at].clock(self.now).as_millis();
        let mut conditions: Value = serde_json::from_str(&sign.conditions).unwrap_or_default();
        if let Some(all) = conditions.as_array_mut() {
            all.push(json!({ "type": "Ready", "status": "True", "reason": "Issued",
                "message": "Certificate fetched from issuer successfully",
                "lastTransitionTime": rfc3339(now) }));
        }
        let mut status =
            json!({ "conditions": conditions, "certificate": material::encode(chain) });
        if let Some(ca) = ca {
            status["ca"] = json!(material::encode(&[ca]));
        }
        json!({ "metadata": { "resourceVersion": rv.to_string() }, "status": status })
    }
}
