//! Read your writes: nothing acts on an object that we wrote before the write was seen.

use super::Engine;
use crate::ids::{ObjectKey, Tag};
use crate::program::{Command, Program};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What has to be seen of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Need {
    /// This resourceVersion or a later one.
    Version(u64),
    /// That it is gone.
    Gone,
    /// A live read, for nobody knows what it looks like.
    LiveRead,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Barrier<K> {
    need: Need,
    writer: ObjectKey<K>,
    wake: Timestamp,
}

/// What an observation shows of an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sight {
    Version { rv: u64, live: bool },
    Gone,
}

/// Every object of which something has to be seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "K: Ord + Serialize + serde::de::DeserializeOwned")]
pub(super) struct Barriers<K: Ord> {
    #[serde(with = "super::snapshot::pairs")]
    by_object: BTreeMap<ObjectKey<K>, Barrier<K>>,
    wakes: BTreeSet<(Timestamp, ObjectKey<K>)>,
}

impl<K: Ord> Default for Barriers<K> {
    fn default() -> Self {
        Self { by_object: BTreeMap::new(), wakes: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Barriers<K> {
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_object.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_object.len()
    }

    pub(super) fn holds(&self, key: &ObjectKey<K>) -> bool {
        self.by_object.contains_key(key)
    }

    pub(super) fn holds_writer(&self, writer: &ObjectKey<K>) -> bool {
        self.by_object.values().any(|b| b.writer == *writer)
    }

    fn raise(&mut self, key: ObjectKey<K>, barrier: Barrier<K>) {
        self.lower(&key);
        self.wakes.insert((barrier.wake, key.clone()));
        self.by_object.insert(key, barrier);
    }

    fn lower(&mut self, key: &ObjectKey<K>) -> Option<Barrier<K>> {
        let barrier = self.by_object.remove(key)?;
        self.wakes.remove(&(barrier.wake, key.clone()));
        Some(barrier)
    }
}

impl<P: Program> Engine<P> {
    /// Nothing that reads `key` acts before what we wrote was seen.
    pub(super) fn await_write(
        &mut self,
        writer: &ObjectKey<P::Kind>,
        key: ObjectKey<P::Kind>,
        rv: Option<u64>,
    ) {
        let need = match (rv, self.world.get(&key)) {
            (Some(rv), Some(known)) if known.rv >= rv => return,
            (None, None) => return,
            (Some(rv), _) => Need::Version(rv),
            (None, Some(_)) => Need::Gone,
        };
        let wake = self.now.plus_millis(self.config.write_visible_within_ms);
        self.barriers.raise(key, Barrier { need, writer: writer.clone(), wake });
    }

    /// Nothing that reads `key` acts before it was read live.
    pub(super) fn read_live(&mut self, writer: &ObjectKey<P::Kind>, key: ObjectKey<P::Kind>) {
        let wake = self.now.plus_millis(self.config.reread_after_ms);
        self.outbox.push_back(Command::Read(key.clone()));
        let barrier = Barrier { need: Need::LiveRead, writer: writer.clone(), wake };
        self.barriers.raise(key, barrier);
    }

    /// Reads live what was not shown in time.
    pub(super) fn fire_barriers(&mut self) {
        while let Some((at, key)) = self.barriers.wakes.first().cloned() {
            if at > self.now {
                return;
            }
            let Some(barrier) = self.barriers.lower(&key) else { continue };
            self.read_live(&barrier.writer, key);
        }
    }

    /// Lowers the barrier of an object if what was seen is what was needed.
    pub(super) fn saw(&mut self, key: &ObjectKey<P::Kind>, sight: Sight) {
        let Some(barrier) = self.barriers.by_object.get(key) else { return };
        let enough = match (barrier.need, sight) {
            (_, Sight::Gone | Sight::Version { live: true, .. }) => true,
            (Need::Version(need), Sight::Version { rv, .. }) => rv >= need,
            (Need::Gone | Need::LiveRead, Sight::Version { .. }) => false,
        };
        if enough && let Some(barrier) = self.barriers.lower(key) {
            self.dirty.insert(barrier.writer);
            self.wake_readers_of(key);
        }
    }

    /// Marks every reader of an object dirty, though its facts may be what they were.
    fn wake_readers_of(&mut self, key: &ObjectKey<P::Kind>) {
        let mut tags = vec![Tag::name(key)];
        if let Some(object) = self.world.get(key) {
            self.program.tags(key, &object.facts, &mut tags);
        }
        self.touch(&tags);
    }

    /// Whether something that the object reads, or that it wrote, was not seen yet.
    pub(super) fn is_held(&self, key: &ObjectKey<P::Kind>, reads: &[Tag<P::Kind>]) -> bool {
        if self.barriers.is_empty() {
            return false;
        }
        let holds = |tag: &Tag<P::Kind>| {
            let named = ObjectKey::new(tag.kind, tag.namespace.clone(), tag.value.clone());
            (tag.index == Tag::<P::Kind>::NAME && self.barriers.holds(&named))
                || self.world.tagged(tag).any(|(key, _)| self.barriers.holds(key))
        };
        self.barriers.holds_writer(key) || reads.iter().any(holds)
    }
}
