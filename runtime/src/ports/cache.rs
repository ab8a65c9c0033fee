//! What the API server answered to our own writes, for a while: a request that was just made and
//! the certificate in it need not be read again to be signed and stored.

use crate::edge::{meta_of, version};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// So many objects are kept; the oldest go first.
const CAPACITY: usize = 2048;

#[derive(Default)]
struct Kept {
    by_uid: BTreeMap<String, (u64, Arc<Value>)>,
    order: VecDeque<String>,
}

/// CertificateRequests by UID and resourceVersion. Bounded.
#[derive(Clone, Default)]
pub(super) struct Cache(Arc<Mutex<Kept>>);

impl Cache {
    /// Keeps an object as the API server answered with it.
    pub(super) fn put(&self, object: &Value) {
        let meta = meta_of(object);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = (version(&meta), Arc::new(object.clone()));
        if kept.by_uid.insert(meta.uid.clone(), entry).is_none() {
            kept.order.push_back(meta.uid);
        }
        while kept.order.len() > CAPACITY {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_uid.remove(&oldest);
            }
        }
    }

    /// The object, if exactly that version is kept.
    pub(super) fn get(&self, uid: &str, rv: u64) -> Option<Arc<Value>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_uid.get(uid).filter(|(kept, _)| *kept == rv).map(|(_, object)| object.clone())
    }

    /// Forgets an object that is of no use any more.
    pub(super) fn forget(&self, uid: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_uid.remove(uid).is_some() {
            kept.order.retain(|other| other != uid);
        }
    }
}
