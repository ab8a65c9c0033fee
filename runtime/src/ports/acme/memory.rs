//! What is worth remembering for a while, by the UID that it is about. Bounded.

use everleaf_engine::Uid;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are remembered: many times what is worked on at once.
const KEPT: usize = 4096;

struct Kept<T> {
    by_uid: BTreeMap<Uid, T>,
    order: VecDeque<Uid>,
}

/// Values by UID; the oldest go first.
pub(super) struct Memory<T>(Mutex<Kept<T>>);

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self(Mutex::new(Kept { by_uid: BTreeMap::new(), order: VecDeque::new() }))
    }
}

impl<T: Clone> Memory<T> {
    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers, in place of what was remembered before.
    pub fn put(&self, uid: Uid, value: T) {
        let mut kept = self.lock();
        if kept.by_uid.insert(uid.clone(), value).is_none() {
            kept.order.push_back(uid);
        }
        while kept.order.len() > KEPT {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_uid.remove(&oldest);
            }
        }
    }

    /// What is remembered.
    pub fn get(&self, uid: &Uid) -> Option<T> {
        self.lock().by_uid.get(uid).cloned()
    }

    /// What is remembered, and no more after that; its turn to go comes all the same.
    pub fn take(&self, uid: &Uid) -> Option<T> {
        self.lock().by_uid.remove(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_bound_and_forgets_the_oldest() {
        let memory = Memory::default();
        for number in 0..=KEPT {
            memory.put(format!("{number}").into(), number);
        }
        assert_eq!(memory.get(&"0".into()), None);
        assert_eq!(memory.get(&"1".into()), Some(1));
        assert_eq!((memory.take(&"1".into()), memory.take(&"1".into())), (Some(1), None));
        assert_eq!(memory.lock().order.len(), KEPT);
    }
}
