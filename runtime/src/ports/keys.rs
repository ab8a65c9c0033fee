//! Next private keys: generated on the blocking pool, kept in the memory of this process under
//! the UID of their Certificate, or written to a Secret.

use super::{Done, Ports, Report, owner_reference, rejected, undone};
use crate::edge::{decoded, key_facts, meta_of, pki_key_kind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_api::names;
use everleaf_engine::{Delta, FailureClass, ObjectKey, Uid};
use everleaf_nodes::effect::{KeyPlace, KeySource};
use everleaf_nodes::facts::KeyFacts;
use everleaf_nodes::{Effect, Facts, Kind, feed};
use everleaf_pki::{Encoding, PrivateKey};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

struct Entry {
    namespace: Arc<str>,
    version: u64,
    key: Arc<PrivateKey>,
}

/// So many keys are kept of those that are in Secrets.
const WRITTEN_KEPT: usize = 1024;

#[derive(Default)]
struct Store {
    by_owner: BTreeMap<Uid, Entry>,
    version: u64,
    /// Keys that this process wrote to Secrets, so that they need not be read again; by owner.
    written: BTreeMap<Uid, Arc<PrivateKey>>,
}

/// The keys in memory. A feed of the world shows their fingerprints; the keys stay here.
#[derive(Clone, Default)]
pub struct KeyStore(Arc<Mutex<Store>>);

impl KeyStore {
    fn put(&self, namespace: &Arc<str>, owner: &Uid, key: Arc<PrivateKey>) -> Delta<Kind, Facts> {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.version += 1;
        let version = store.version;
        let entry = Entry { namespace: namespace.clone(), version, key };
        let delta = applied(owner, &entry, true);
        store.by_owner.insert(owner.clone(), entry);
        delta
    }

    /// The key of a Certificate.
    pub(super) fn get(&self, owner: &Uid) -> Option<Arc<PrivateKey>> {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.by_owner.get(owner).map(|entry| entry.key.clone())
    }

    fn wrote(&self, owner: &Uid, key: Arc<PrivateKey>) {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while store.written.len() >= WRITTEN_KEPT {
            store.written.pop_first();
        }
        store.written.insert(owner.clone(), key);
    }

    fn written(&self, owner: &Uid) -> Option<Arc<PrivateKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).written.get(owner).cloned()
    }

    /// Forgets the key of a Certificate.
    pub fn forget(&self, owner: &Uid) -> Option<Delta<Kind, Facts>> {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.written.remove(owner);
        let entry = store.by_owner.remove(owner)?;
        let (key, uid) = (object_key(&entry.namespace, owner), uid_of(owner, &entry));
        Some(Delta::Deleted { feed: feed::KEYS, key, uid })
    }

    /// Every key, as a feed lists them.
    pub fn list(&self) -> Vec<Delta<Kind, Facts>> {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = store.by_owner.iter().map(|(owner, entry)| applied(owner, entry, false));
        let end = Delta::ListEnd { feed: feed::KEYS, rv: store.version };
        [Delta::ListBegin { feed: feed::KEYS }].into_iter().chain(entries).chain([end]).collect()
    }

    pub(super) fn read(&self, key: &ObjectKey<Kind>) -> Delta<Kind, Facts> {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match store.by_owner.get(&key.name) {
            Some(entry) => applied(&key.name, entry, true),
            None => Delta::Absent { key: key.clone() },
        }
    }
}

fn object_key(namespace: &Arc<str>, owner: &Uid) -> ObjectKey<Kind> {
    ObjectKey::new(Kind::Key, namespace.clone(), owner.clone())
}

/// Each key is an object of its own, so that a new one is not taken for an echo of the old.
fn uid_of(owner: &Uid, entry: &Entry) -> Uid {
    format!("{owner}/key/{}", entry.version).into()
}

fn applied(owner: &Uid, entry: &Entry, live: bool) -> Delta<Kind, Facts> {
    Delta::Applied {
        feed: feed::KEYS,
        key: object_key(&entry.namespace, owner),
        uid: uid_of(owner, entry),
        rv: entry.version,
        live,
        facts: Facts::Key(key_facts(&entry.key)),
    }
}

impl Ports {
    pub(super) async fn ensure_key(
        &self,
        effect: &Effect,
        source: &KeySource,
        place: &KeyPlace,
    ) -> Done {
        let key = match source {
            KeySource::Generate(kind) => {
                let kind = pki_key_kind(*kind).map_err(|message| rejected("KeyKind", message))?;
                let made = tokio::task::spawn_blocking(move || PrivateKey::generate(kind)).await;
                let made = made.map_err(|error| {
                    Report::failed(FailureClass::Transient, "Aborted", error.to_string())
                })?;
                made.map_err(|error| rejected("CannotGenerateKey", error.to_string()))?
            }
            KeySource::Reuse { secret, fingerprint } => {
                let key = self.key_in_secret(&effect.subject.namespace, secret).await?;
                if key.fingerprint() != **fingerprint {
                    let namespace = effect.subject.namespace.clone();
                    let secret = ObjectKey::new(Kind::Secret, namespace, secret.clone());
                    return Err(Report::stale(vec![secret]));
                }
                key
            }
        };
        match place {
            KeyPlace::Memory => {
                let (namespace, uid) = (&effect.subject.namespace, &effect.base.uid);
                let seen = self.keys.put(namespace, uid, Arc::new(key));
                Ok(Report::done(vec![seen], Vec::new()))
            }
            KeyPlace::Secret(name) => {
                let done = self.create_key_secret(effect, name, &key).await;
                if done.is_ok() {
                    self.keys.wrote(&effect.base.uid, Arc::new(key));
                }
                done
            }
        }
    }

    /// The private key in a Secret's `tls.key`.
    pub(super) async fn key_in_secret(
        &self,
        namespace: &Arc<str>,
        name: &Arc<str>,
    ) -> Result<PrivateKey, super::Undone> {
        let key = ObjectKey::new(Kind::Secret, namespace.clone(), name.clone());
        let secret = self.kube.get(Kind::Secret, namespace, name).await;
        let secret = secret.map_err(|error| {
            if error.is_absent() { Report::stale(vec![key.clone()]) } else { undone(&error, &[]) }
        })?;
        let pem = decoded(&secret, "tls.key").unwrap_or_default();
        PrivateKey::from_pem(&pem, &self.projector.limits).map_err(|error| {
            let message = format!("Secret {name:?}: tls.key cannot be read: {error}");
            rejected("InvalidKey", message)
        })
    }

    /// The private key of that fingerprint, if it is at hand; else whatever is in that place.
    pub(super) async fn key_like(
        &self,
        effect: &Effect,
        place: &KeyPlace,
        fingerprint: &str,
    ) -> Result<Arc<PrivateKey>, super::Undone> {
        let owner = &effect.base.uid;
        if let (KeyPlace::Secret(_), Some(key)) = (place, self.keys.written(owner))
            && fits(&key, fingerprint)
        {
            return Ok(key);
        }
        self.key_at(&effect.subject.namespace, owner, place).await
    }

    /// The private key of an effect's subject, wherever it is.
    pub(super) async fn key_at(
        &self,
        namespace: &Arc<str>,
        owner: &Uid,
        place: &KeyPlace,
    ) -> Result<Arc<PrivateKey>, super::Undone> {
        match place {
            KeyPlace::Memory => self
                .keys
                .get(owner)
                .ok_or_else(|| Report::stale(vec![object_key(namespace, owner)])),
            KeyPlace::Secret(name) => self.key_in_secret(namespace, name).await.map(Arc::new),
        }
    }

    async fn create_key_secret(&self, effect: &Effect, name: &Arc<str>, key: &PrivateKey) -> Done {
        let namespace = &effect.subject.namespace;
        let pem = key
            .to_pem(Encoding::Pkcs8)
            .map_err(|error| rejected("CannotEncodeKey", error.to_string()))?;
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": { names::NEXT_PRIVATE_KEY: "true", names::FILTERED_CACHING: "true" },
                "ownerReferences": [owner_reference(effect)],
            },
            "type": "Opaque",
            "data": { "tls.key": STANDARD.encode(pem.as_bytes()) },
        });
        let at = ObjectKey::new(Kind::Secret, namespace.clone(), name.clone());
        match self.kube.create(Kind::Secret, namespace, &object, super::events::MANAGER).await {
            Ok(object) => Ok(self.saw(Kind::Secret, &object, vec![at])),
            Err(error) if error.is_taken() => self.adopt_key_secret(effect, &at).await,
            Err(error) => Err(undone(&error, &[at])),
        }
    }

    /// The name is taken: good if it is a key of this very Certificate.
    async fn adopt_key_secret(&self, effect: &Effect, at: &ObjectKey<Kind>) -> Done {
        let found = self.kube.get(Kind::Secret, &at.namespace, &at.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(at)))?;
        let meta = meta_of(&found);
        let ours = meta.controller().is_some_and(|owner| *owner.uid == *effect.base.uid);
        let labelled = meta.labels.get(names::NEXT_PRIVATE_KEY).is_some_and(|l| l == "true");
        if ours && labelled {
            return Ok(self.saw(Kind::Secret, &found, vec![at.clone()]));
        }
        let name = &at.name;
        Err(rejected(
            "NameTaken",
            format!("Secret {name:?} exists and is not this Certificate's; rename or delete it"),
        ))
    }
}

/// What may be told of a key; used where a key is compared with a fingerprint.
pub(super) fn fits(key: &PrivateKey, fingerprint: &str) -> bool {
    let facts: KeyFacts = key_facts(key);
    *facts.fingerprint == *fingerprint
}
