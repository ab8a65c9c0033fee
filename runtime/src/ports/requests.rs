//! Making CertificateRequests.

use super::{Done, Ports, Report, Undone, owner_reference, rejected, undone};
use crate::edge::{csr_spec, meta_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_api::{ObjectMeta, names};
use everleaf_engine::ObjectKey;
use everleaf_nodes::effect::NewRequest;
use everleaf_nodes::{Effect, Kind};
use everleaf_pki::CsrSpec;
use serde_json::{Value, json};
use std::sync::Arc;

impl Ports {
    pub(super) async fn create_request(&self, effect: &Effect, new: &NewRequest) -> Done {
        let namespace = &effect.subject.namespace;
        if let Some(secret) = &new.missing {
            self.check_missing(namespace, secret).await?;
        }
        let key = self.key_like(effect, &new.key, &new.fingerprint).await?;
        if !super::keys::fits(&key, &new.fingerprint) {
            let owner = ObjectKey::new(Kind::Key, namespace.clone(), effect.base.uid.clone());
            return Err(Report::stale(vec![owner]));
        }
        let spec = csr_spec(&new.wish).map_err(|message| rejected("RequestFailed", message))?;
        let encode_basic_constraints = self.projector.encodes_basic_constraints();
        let spec = CsrSpec { encode_basic_constraints, ..spec };
        let pem = spec.build_pem(&key);
        let pem = pem.map_err(|error| rejected("RequestFailed", error.to_string()))?;
        let longest = self.projector.limits.certificate;
        if pem.len() > longest {
            // Nobody, this operator included, would read it.
            let length = pem.len();
            let message = format!(
                "the request is {length} bytes long, more than --max-certificate-size {longest}; \
                 ask for fewer names"
            );
            return Err(rejected("RequestFailed", message));
        }
        let object = object(effect, new, &pem);
        let at = ObjectKey::new(Kind::CertificateRequest, namespace.clone(), new.name.clone());
        let made = self.kube.create(at.kind, namespace, &object, super::events::MANAGER).await;
        match made {
            Ok(made) => {
                self.cache.put(&made);
                Ok(self.saw(at.kind, &made, vec![at]))
            }
            Err(error) if error.is_taken() => self.adopt_request(new, at).await,
            Err(error) => Err(undone(&error, &[at])),
        }
    }

    /// Nothing is asked for because a Secret is missing that is there after all.
    async fn check_missing(&self, namespace: &Arc<str>, name: &Arc<str>) -> Result<(), Undone> {
        let at = ObjectKey::new(Kind::Secret, namespace.clone(), name.clone());
        match self.kube.get(Kind::Secret, namespace, name).await {
            Ok(_) => Err(Report::stale(vec![at])),
            Err(error) if error.is_absent() => Ok(()),
            Err(error) => Err(undone(&error, &[at])),
        }
    }

    /// The name is taken: success only if owner, attempt and input agree.
    async fn adopt_request(&self, new: &NewRequest, at: ObjectKey<Kind>) -> Done {
        let found = self.kube.get(at.kind, &at.namespace, &at.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(&at)))?;
        if agrees(&meta_of(&found), new) {
            self.cache.put(&found);
            return Ok(self.saw(at.kind, &found, vec![at]));
        }
        Err(Report::stale(vec![at]))
    }
}

fn agrees(meta: &ObjectMeta, new: &NewRequest) -> bool {
    use names::everleaf::{ATTEMPT, INPUT_DIGEST, OWNER_UID};
    [OWNER_UID, ATTEMPT, INPUT_DIGEST].into_iter().all(|key| {
        let wanted = new.annotations.get(key).map(|value| &**value);
        wanted.is_some() && meta.annotations.get(key).map(String::as_str) == wanted
    })
}

fn object(effect: &Effect, new: &NewRequest, pem: &str) -> Value {
    let mut spec = json!({ "request": STANDARD.encode(pem) });
    let issuer = &new.issuer;
    let mut reference = json!({ "name": issuer.name });
    for (field, value) in [("kind", &issuer.kind), ("group", &issuer.group)] {
        if !value.is_empty() {
            reference[field] = json!(value);
        }
    }
    spec["issuerRef"] = reference;
    if let Some(duration) = &new.duration {
        spec["duration"] = json!(duration);
    }
    if new.wish.is_ca {
        spec["isCA"] = json!(true);
    }
    if !new.wish.usages.is_empty() {
        spec["usages"] = json!(new.wish.usages);
    }
    json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "CertificateRequest",
        "metadata": {
            "name": new.name,
            "namespace": effect.subject.namespace,
            "labels": new.labels,
            "annotations": new.annotations,
            "ownerReferences": [owner_reference(effect)],
        },
        "spec": spec,
    })
}
