//! What the API server answered to our own writes, for a while: a request that was just made and
//! the certificate in it need not be read again to be signed and stored.

use crate::edge::{meta_of, version};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// So many requests are kept; the oldest go first.
const CAPACITY: usize = 2048;

/// What signing and storing read of a CertificateRequest, each in base64 as the API carries it.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// `spec.request`.
    pub request: Box<str>,
    /// `status.certificate`, once there is one.
    pub certificate: Option<Box<str>>,
    /// `status.ca`, if the issuer gave one.
    pub ca: Option<Box<str>>,
}

impl Texts {
    /// Of an object as the API server sent it.
    pub(super) fn of(object: &Value) -> Self {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(Box::from);
        Self {
            request: text("/spec/request").unwrap_or_default(),
            certificate: text("/status/certificate"),
            ca: text("/status/ca"),
        }
    }
}

#[derive(Default)]
struct Kept {
    by_uid: BTreeMap<String, (u64, Arc<Texts>)>,
    order: VecDeque<String>,
}

/// CertificateRequests by UID and resourceVersion. Bounded.
#[derive(Clone, Default)]
pub(super) struct Cache(Arc<Mutex<Kept>>);

impl Cache {
    /// Keeps an object as the API server answered with it.
    pub(super) fn put(&self, object: &Value) {
        let meta = meta_of(object);
        let entry = (version(&meta), Arc::new(Texts::of(object)));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_uid.insert(meta.uid.clone(), entry).is_none() {
            kept.order.push_back(meta.uid);
        }
        while kept.order.len() > CAPACITY {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_uid.remove(&oldest);
            }
        }
    }

    /// The texts, if exactly that version is kept.
    pub(super) fn get(&self, uid: &str, rv: u64) -> Option<Arc<Texts>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_uid.get(uid).filter(|(kept, _)| *kept == rv).map(|(_, texts)| texts.clone())
    }

    /// Forgets an object that is of no use any more; its turn to go comes all the same.
    pub(super) fn forget(&self, uid: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_uid.remove(uid);
    }
}
