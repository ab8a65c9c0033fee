//! Writing issued Secrets: one forced apply of everything that is ours.

use super::cache::Texts;
use super::{Done, Ports, Report, Undone, owner_reference, rejected, undone};
use crate::edge::meta_of;
use crate::kube_api::SECRET_MANAGER;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_api::names;
use everleaf_engine::{FailureClass, ObjectKey, Outcome};
use everleaf_nodes::effect::{Store, Strings};
use everleaf_nodes::{Base, Do, Effect, Kind};
use everleaf_pki::{CertInfo, Encoding, PrivateKey, Zeroizing};
use serde_json::{Map, Value, json};
use std::sync::Arc;

impl Ports {
    pub(super) async fn store(&self, effect: &Effect, store: &Store) -> Done {
        let namespace = &effect.subject.namespace;
        let request = self.request(namespace, store).await?;
        let decode = |text: &Option<Box<str>>| STANDARD.decode(text.as_deref()?).ok();
        let chain = match &store.temporary {
            Some(temporary) => self.temporary_chain(&request, temporary).await?,
            None => decode(&request.certificate)
                .ok_or_else(|| Report::stale(vec![request_key(namespace, store)]))?,
        };
        let key = self.key_like(effect, &store.key, &store.fingerprint).await?;
        self.check_pair(namespace, store, &chain, &key)?;
        let pem = encoded_key(&key, store.wish.pkcs8)?;
        let mut data = Map::new();
        data.insert("tls.crt".into(), json!(STANDARD.encode(&chain)));
        data.insert("tls.key".into(), json!(STANDARD.encode(pem.as_bytes())));
        let ca = decode(&request.ca).filter(|_| store.temporary.is_none());
        if let Some(ca) = ca.filter(|ca| !ca.is_empty()) {
            data.insert("ca.crt".into(), json!(STANDARD.encode(ca)));
        }
        self.add_beside(effect, store.beside.as_deref(), &mut data).await?;
        let (secret, base) = (&store.secret, store.secret_base.as_ref());
        let kind = match base {
            Some(base) => self.secret_type(namespace, secret, base).await?,
            None => "kubernetes.io/tls".to_owned(),
        };
        let texts = (&store.labels, &store.annotations);
        let object = object(effect, (secret, &kind), base, texts, store.owned, data);
        let mut report = self.apply_secret(namespace, secret, &object).await?;
        if store.temporary.is_some() {
            return Ok(report);
        }
        // The key is where it belongs now.
        report.seen.extend(self.keys.forget(&effect.base.uid));
        self.cache.forget(&store.request_base.uid);
        Ok(report)
    }

    /// The request as the API server answered to our own write, or else read again.
    async fn request(&self, namespace: &Arc<str>, store: &Store) -> Result<Arc<Texts>, Undone> {
        let Base { uid, rv } = &store.request_base;
        if let Some(kept) = self.cache.get(uid, *rv) {
            return Ok(kept);
        }
        let key = request_key(namespace, store);
        let found = self.kube.get(key.kind, namespace, &store.request).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(&key)))?;
        if meta_of(&found).uid != **uid {
            return Err(Report::stale(vec![key]));
        }
        Ok(Arc::new(Texts::of(&found)))
    }

    /// The type of a Secret that is there: it can never be changed, and one that an apply leaves
    /// out is taken for `Opaque`.
    async fn secret_type(
        &self,
        namespace: &Arc<str>,
        name: &Arc<str>,
        base: &Base,
    ) -> Result<String, Undone> {
        let at = ObjectKey::new(Kind::Secret, namespace.clone(), name.clone());
        let found = self.kube.get(Kind::Secret, namespace, name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(&at)))?;
        let meta = meta_of(&found);
        if *meta.uid != *base.uid || crate::edge::version(&meta) != base.rv {
            return Err(Report::stale(vec![at]));
        }
        Ok(type_of(&found))
    }

    /// Nothing is stored whose key is not the certificate's.
    fn check_pair(
        &self,
        namespace: &Arc<str>,
        store: &Store,
        chain: &[u8],
        key: &PrivateKey,
    ) -> Result<(), Undone> {
        let chain = CertInfo::parse_chain(chain, &self.projector.limits);
        let chain = chain.map_err(|e| rejected("InvalidCertificate", e.to_string()))?;
        let certified = chain.first().map(|leaf| leaf.public_key.fingerprint());
        let fits = key.fingerprint() == *store.fingerprint
            && certified.as_deref() == Some(&*store.fingerprint);
        if fits { Ok(()) } else { Err(Report::stale(vec![request_key(namespace, store)])) }
    }

    async fn apply_secret(
        &self,
        namespace: &Arc<str>,
        name: &Arc<str>,
        object: &Value,
    ) -> Result<Report, Undone> {
        let at = ObjectKey::new(Kind::Secret, namespace.clone(), name.clone());
        let applied =
            self.kube.apply(Kind::Secret, (namespace, name), object, SECRET_MANAGER).await;
        let applied = applied.map_err(|error| undone(&error, std::slice::from_ref(&at)))?;
        Ok(self.saw(Kind::Secret, &applied, vec![at]))
    }

    pub(super) async fn tend_secret(&self, effect: &Effect) -> Done {
        let Do::TendSecret { secret: name, base, annotations, labels, beside, owned } =
            &effect.action
        else {
            return Err(Report::failed(FailureClass::Invalid, "Malformed", "it tends no Secret"));
        };
        let namespace = &effect.subject.namespace;
        let at = ObjectKey::new(Kind::Secret, namespace.clone(), name.clone());
        let found = self.kube.get(Kind::Secret, namespace, name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(&at)))?;
        let meta = meta_of(&found);
        if *meta.uid != *base.uid || crate::edge::version(&meta) != base.rv {
            let mut stale = Report::stale(vec![at]);
            if let Ok(seen) = self.seen_live(Kind::Secret, &found) {
                stale.seen.push(seen);
                stale.outcome = Outcome::Stale { reread: Vec::new() };
            }
            return Err(stale);
        }
        let ours = ["tls.crt", "tls.key", "ca.crt"];
        let mut data: Map<String, Value> = ours
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), found.get("data")?.get(key)?.clone())))
            .collect();
        self.add_beside(effect, beside.as_deref(), &mut data).await?;
        let (kind, texts) = (type_of(&found), (labels, annotations));
        let object = object(effect, (name, &kind), Some(base), texts, *owned, data);
        self.apply_secret(namespace, name, &object).await
    }
}

fn request_key(namespace: &Arc<str>, store: &Store) -> ObjectKey<Kind> {
    ObjectKey::new(Kind::CertificateRequest, namespace.clone(), store.request.clone())
}

fn encoded_key(key: &PrivateKey, pkcs8: bool) -> Result<Zeroizing<String>, Undone> {
    let encoding = if pkcs8 { Encoding::Pkcs8 } else { Encoding::Pkcs1 };
    key.to_pem(encoding).map_err(|error| rejected("CannotEncodeKey", error.to_string()))
}

fn type_of(secret: &Value) -> String {
    secret.get("type").and_then(Value::as_str).unwrap_or("Opaque").to_owned()
}

/// The Secret as it is applied.
fn object(
    effect: &Effect,
    (name, kind): (&str, &str),
    base: Option<&Base>,
    (labels, annotations): (&Strings, &Strings),
    owned: bool,
    data: Map<String, Value>,
) -> Value {
    let mut metadata = json!({
        "name": name,
        "namespace": effect.subject.namespace,
        "labels": labels,
        "annotations": annotations,
    });
    metadata["labels"][names::FILTERED_CACHING] = json!("true");
    if owned {
        metadata["ownerReferences"] = json!([owner_reference(effect)]);
    }
    if let Some(base) = base {
        metadata["uid"] = json!(base.uid);
        metadata["resourceVersion"] = json!(base.rv.to_string());
    }
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": kind,
        "data": data,
    })
}
