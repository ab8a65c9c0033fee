//! What was read of answers to our own writes, until their watch shows the same.

use super::Read;
use everleaf_nodes::Kind;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// So many objects are kept; the oldest go first.
const CAPACITY: usize = 1024;

#[derive(Debug, Default)]
struct Kept {
    by_uid: BTreeMap<(Kind, Arc<str>), Read>,
    order: VecDeque<(Kind, Arc<str>)>,
}

/// Objects by kind, UID and resourceVersion, which together say what is in them. Bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Mutex<Kept>>);

impl Recent {
    pub(super) fn put(&self, kind: Kind, read: &Read) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, read.uid.clone());
        if kept.by_uid.insert(key.clone(), read.clone()).is_none() {
            kept.order.push_back(key);
        }
        while kept.order.len() > CAPACITY {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_uid.remove(&oldest);
            }
        }
    }

    /// Gives an object back, once, if exactly that version is kept.
    pub(super) fn take(&self, kind: Kind, uid: &str, rv: u64) -> Option<Read> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, Arc::from(uid));
        if kept.by_uid.get(&key)?.rv != rv {
            return None;
        }
        kept.by_uid.remove(&key)
    }
}
