//! Signing CertificateRequests, and writing approval, certificate and Ready in one update.

use super::cache::Texts;
use super::{Done, Ports, Report, Undone, now, rejected, undone};
use crate::edge::{decoded, meta_of, version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_engine::{FailureClass, ObjectKey};
use everleaf_nodes::effect::{Sign, SignWith, rfc3339};
use everleaf_nodes::{Base, Effect, Kind};
use everleaf_pki::{CaSigner, CsrInfo, Issue, Issued, SignError, Usage, self_sign};
use serde_json::{Value, json};
use std::sync::Arc;

impl Ports {
    pub(super) async fn sign(&self, effect: &Effect, sign: &Sign) -> Done {
        let request = self.request_to_sign(effect).await?;
        let pem = STANDARD.decode(&*request.request).unwrap_or_default();
        let csr = CsrInfo::parse(&pem, &self.projector.limits);
        let csr = csr.map_err(|error| rejected("SigningError", error.to_string()))?;
        let issue = issue(sign)?;
        let issued = match &sign.with {
            SignWith::Ca { secret, base } => {
                let signer = self.signer(secret, base).await?;
                blocking(move || signer.issue(&csr, &issue)).await?
            }
            SignWith::Own { key, owner } => {
                let namespace = &effect.subject.namespace;
                let owner = owner.as_ref().unwrap_or(&effect.base.uid);
                let key = self.key_at(namespace, owner, key).await?;
                blocking(move || self_sign(&key, &csr, &issue)).await?
            }
        };
        self.write_answer(effect, sign, &issued).await
    }

    async fn request_to_sign(&self, effect: &Effect) -> Result<Arc<Texts>, Undone> {
        let Effect { subject, base, .. } = effect;
        if let Some(kept) = self.cache.get(&base.uid, base.rv) {
            return Ok(kept);
        }
        let found = self.kube.get(subject.kind, &subject.namespace, &subject.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        let meta = meta_of(&found);
        if *meta.uid != *base.uid || version(&meta) != base.rv {
            return Err(Report::stale(vec![subject.clone()]));
        }
        Ok(Arc::new(Texts::of(&found)))
    }

    /// The signer of a CA's Secret, at the version that was decided on.
    async fn signer(&self, secret: &ObjectKey<Kind>, base: &Base) -> Result<Arc<CaSigner>, Undone> {
        if let Some(signer) = self.signers.get(secret, base) {
            return Ok(signer);
        }
        let found = self.kube.get(Kind::Secret, &secret.namespace, &secret.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(secret)))?;
        let meta = meta_of(&found);
        if *meta.uid != *base.uid || version(&meta) != base.rv {
            return Err(Report::stale(vec![secret.clone()]));
        }
        let data = |name: &str| decoded(&found, name).unwrap_or_default();
        let mut chain = data("tls.crt");
        // A root that is not part of the chain completes it.
        chain.push(b'\n');
        chain.extend(data("ca.crt"));
        let signer = CaSigner::from_pem(&chain, &data("tls.key"), &self.projector.limits);
        let signer = signer.map_err(|error| {
            let message = format!("Secret {}/{}: {error}", secret.namespace, secret.name);
            Report::failed(FailureClass::Transient, "SecretInvalidData", message)
        })?;
        Ok(self.signers.put(secret, base, signer))
    }

    async fn write_answer(&self, effect: &Effect, sign: &Sign, issued: &Issued) -> Done {
        let Effect { subject, base, .. } = effect;
        let mut conditions: Vec<Value> = serde_json::from_str(&sign.conditions).unwrap_or_default();
        let clamped =
            if issued.clamped { "; it ends with its CA, before the time asked for" } else { "" };
        conditions.push(json!({
            "type": "Ready",
            "status": "True",
            "reason": "Issued",
            "message": format!("Certificate fetched from issuer successfully{clamped}"),
            "lastTransitionTime": rfc3339(now()),
        }));
        let patch = json!({
            "metadata": { "uid": base.uid, "resourceVersion": base.rv.to_string() },
            "status": {
                "certificate": STANDARD.encode(&issued.chain_pem),
                "ca": STANDARD.encode(&issued.ca_pem),
                "conditions": conditions,
            },
        });
        let at = (&*subject.namespace, &*subject.name);
        let answer = self.kube.patch_status(subject.kind, at, &patch).await;
        let object = answer.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        self.cache.put(&object);
        Ok(self.saw(subject.kind, &object, vec![subject.clone()]))
    }
}

fn issue(sign: &Sign) -> Result<Issue, Undone> {
    let usages: Result<Vec<Usage>, _> = sign.usages.iter().map(|usage| usage.parse()).collect();
    let usages = usages.map_err(|error| rejected("SigningError", format!("{error}")))?;
    let not_before = now().as_seconds();
    let strings = |values: &[Arc<str>]| values.iter().map(|v| v.to_string()).collect();
    Ok(Issue {
        not_before,
        not_after: not_before.saturating_add(sign.duration_ms / 1000),
        is_ca: sign.is_ca,
        usages,
        crl_distribution_points: strings(&sign.crl),
        ocsp_servers: strings(&sign.ocsp),
        issuing_certificate_urls: strings(&sign.urls),
        serial: None,
    })
}

/// Signs on the blocking pool: an RSA signature takes milliseconds.
pub(super) async fn blocking(
    sign: impl FnOnce() -> Result<Issued, SignError> + Send + 'static,
) -> Result<Issued, Undone> {
    let signed = tokio::task::spawn_blocking(sign).await;
    let signed = signed
        .map_err(|error| Report::failed(FailureClass::Transient, "Aborted", error.to_string()))?;
    signed.map_err(|error| rejected("SigningError", error.to_string()))
}

/// Signers by Secret and version: reading and checking a key pair is done once a version.
#[derive(Clone, Default)]
pub(super) struct Signers(Arc<std::sync::Mutex<SignerMap>>);

type SignerMap = std::collections::BTreeMap<ObjectKey<Kind>, (Base, Arc<CaSigner>)>;

/// So many signers are kept.
const SIGNERS_KEPT: usize = 256;

impl Signers {
    fn get(&self, secret: &ObjectKey<Kind>, base: &Base) -> Option<Arc<CaSigner>> {
        let signers = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        signers.get(secret).filter(|(kept, _)| kept == base).map(|(_, signer)| signer.clone())
    }

    fn put(&self, secret: &ObjectKey<Kind>, base: &Base, signer: CaSigner) -> Arc<CaSigner> {
        let mut signers = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while signers.len() >= SIGNERS_KEPT {
            signers.pop_first();
        }
        let signer = Arc::new(signer);
        signers.insert(secret.clone(), (base.clone(), signer.clone()));
        signer
    }
}
