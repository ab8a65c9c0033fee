//! Read your writes: nothing acts on an object that we wrote before the write was seen.

use super::Engine;
use crate::digest::Digest;
use crate::folding::folded;
use crate::ids::{ObjectKey, Uid};
use crate::program::{Command, Program};
use crate::time::Timestamp;
use crate::world::End;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

/// What has to be seen of an object, and who wrote it.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
#[serde(bound = "K: Ord + Serialize + serde::de::DeserializeOwned")]
pub(super) struct Barrier<K> {
    /// This resourceVersion or a later one; 0 is any.
    version: u64,
    /// That the object of this UID is gone.
    gone: Option<Uid>,
    /// A live read, for nobody knows what it looks like.
    unknown: bool,
    /// Whether the feed was too slow, so that whatever a live read shows is believed.
    late: bool,
    /// If a live read was asked for: the resourceVersion that was known then, 0 for none.
    asked: Option<u64>,
    /// How often a live read was asked for.
    asks: u32,
    writers: BTreeSet<ObjectKey<K>>,
    wake: Timestamp,
}

/// A barrier and the object that has to be seen.
pub(super) type Raised<K> = (ObjectKey<K>, Barrier<K>);

impl<K: Ord> Barrier<K> {
    /// Both have to be seen. What was asked for before the later one does not answer it.
    fn and(mut self, other: Self) -> Self {
        self.version = self.version.max(other.version);
        self.gone = other.gone.or(self.gone);
        self.unknown |= other.unknown;
        self.late = other.late;
        self.asked = other.asked;
        self.asks = self.asks.max(other.asks);
        self.wake = self.wake.min(other.wake);
        self.writers.extend(other.writers);
        self
    }

    fn is_met(&self, sight: &Sight<'_>) -> bool {
        match *sight {
            Sight::Version { uid, rv, live } => {
                (rv >= self.version || (live && self.late))
                    && (live || !self.unknown)
                    && self.gone.as_ref().is_none_or(|gone| gone != uid || live)
            }
            Sight::Deleted { upto } => {
                !self.unknown && (self.version == 0 || upto.is_some_and(|rv| rv >= self.version))
            }
            Sight::Absent => true,
        }
    }
}

/// What an observation shows of an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sight<'a> {
    Version {
        uid: &'a Uid,
        rv: u64,
        live: bool,
    },
    /// A feed tells that it is gone, by its list of that version or in an event without one.
    Deleted {
        upto: Option<u64>,
    },
    /// A live read that was asked for tells that there is none.
    Absent,
}

/// Every object of which something has to be seen.
#[derive(Clone, Debug)]
pub(super) struct Barriers<K: Ord> {
    by_object: BTreeMap<ObjectKey<K>, Barrier<K>>,
    wakes: BTreeSet<(Timestamp, ObjectKey<K>)>,
    /// How many barriers each writer waits for.
    writers: BTreeMap<ObjectKey<K>, u32>,
    sum: Digest,
}

impl<K: Ord> Default for Barriers<K> {
    fn default() -> Self {
        Self {
            by_object: BTreeMap::new(),
            wakes: BTreeSet::new(),
            writers: BTreeMap::new(),
            sum: Digest::default(),
        }
    }
}

impl<K: Ord + Clone + Hash> Barriers<K> {
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_object.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_object.len()
    }

    pub(super) fn sum(&self) -> Digest {
        self.sum
    }

    pub(super) fn holds(&self, key: &ObjectKey<K>) -> bool {
        self.by_object.contains_key(key)
    }

    pub(super) fn holds_writer(&self, writer: &ObjectKey<K>) -> bool {
        self.writers.contains_key(writer)
    }

    /// The version that was known when a live read was asked for, if it was.
    fn asked(&self, key: &ObjectKey<K>) -> Option<u64> {
        self.by_object.get(key)?.asked
    }

    pub(super) fn list(&self) -> Vec<Raised<K>> {
        self.by_object.iter().map(|(key, barrier)| (key.clone(), barrier.clone())).collect()
    }

    fn raise(&mut self, key: ObjectKey<K>, barrier: Barrier<K>) {
        let barrier = match self.lower(&key) {
            Some(before) => before.and(barrier),
            None => barrier,
        };
        self.sum.add(folded(&(&key, &barrier)));
        self.wakes.insert((barrier.wake, key.clone()));
        for writer in &barrier.writers {
            *self.writers.entry(writer.clone()).or_default() += 1;
        }
        self.by_object.insert(key, barrier);
    }

    fn lower(&mut self, key: &ObjectKey<K>) -> Option<Barrier<K>> {
        let barrier = self.by_object.remove(key)?;
        self.sum.remove(folded(&(key, &barrier)));
        self.wakes.remove(&(barrier.wake, key.clone()));
        for writer in &barrier.writers {
            if let Some(count) = self.writers.get_mut(writer) {
                *count -= 1;
                if *count == 0 {
                    self.writers.remove(writer);
                }
            }
        }
        Some(barrier)
    }
}

impl<P: Program> Engine<P> {
    /// Nothing that reads `key` acts before what we wrote was seen; `None` was a deletion.
    pub(super) fn await_write(
        &mut self,
        writer: Option<&ObjectKey<P::Kind>>,
        key: ObjectKey<P::Kind>,
        rv: Option<u64>,
    ) {
        let (version, gone) = match (rv, self.world.get(&key)) {
            (Some(rv), Some(known)) if known.rv >= rv => return,
            (Some(rv), _) => (rv, None),
            (None, Some(known)) => (0, Some(known.uid.clone())),
            // It may be a creation of ours, not seen yet, that was deleted.
            (None, None) if self.barriers.holds(&key) => return self.read_live(writer, key),
            (None, None) => return,
        };
        let wake = self.now.plus_millis(self.config.write_visible_within_ms);
        let writers = writer.cloned().into_iter().collect();
        self.put_up(key, Barrier { version, gone, wake, ..self.barrier(writers) });
    }

    /// Nothing that reads `key` acts before it was read live.
    pub(super) fn read_live(
        &mut self,
        writer: Option<&ObjectKey<P::Kind>>,
        key: ObjectKey<P::Kind>,
    ) {
        let writers = writer.cloned().into_iter().collect();
        self.ask(key, Barrier { unknown: true, ..self.barrier(writers) });
    }

    fn barrier(&self, writers: BTreeSet<ObjectKey<P::Kind>>) -> Barrier<P::Kind> {
        Barrier {
            version: 0,
            gone: None,
            unknown: false,
            late: false,
            asked: None,
            asks: 0,
            writers,
            wake: self.now,
        }
    }

    /// Asks for a live read, ever more rarely if it is not answered, and puts the barrier up.
    fn ask(&mut self, key: ObjectKey<P::Kind>, barrier: Barrier<P::Kind>) {
        if !self.barriers.holds(&key) {
            self.world.hold(&key);
        }
        let mut barrier = match self.barriers.lower(&key) {
            Some(before) => before.and(barrier),
            None => barrier,
        };
        let wait = self.config.reread_after_ms.saturating_mul(1 << barrier.asks.min(6));
        barrier.wake = self.now.plus_millis(wait);
        barrier.asks = barrier.asks.saturating_add(1);
        barrier.asked = Some(self.world.get(&key).map_or(0, |known| known.rv));
        self.outbox.push_back(Command::Read(key.clone()));
        self.barriers.raise(key, barrier);
    }

    fn put_up(&mut self, key: ObjectKey<P::Kind>, barrier: Barrier<P::Kind>) {
        if !self.barriers.holds(&key) {
            self.world.hold(&key);
        }
        self.barriers.raise(key, barrier);
    }

    /// Puts back the barriers of a snapshot.
    pub(super) fn restore_barriers(&mut self, list: Vec<Raised<P::Kind>>) {
        list.into_iter().for_each(|(key, barrier)| self.put_up(key, barrier));
    }

    /// Reads live what was not shown in time, or what a live read did not answer for.
    pub(super) fn fire_barriers(&mut self) {
        let due = self.barriers.wakes.iter().take_while(|(at, _)| *at <= self.now);
        let due: Vec<_> = due.map(|(_, key)| key.clone()).collect();
        due.into_iter().for_each(|key| self.ask_late(key));
    }

    fn ask_late(&mut self, key: ObjectKey<P::Kind>) {
        let again = Barrier { late: true, ..self.barrier(BTreeSet::new()) };
        self.ask(key, again);
    }

    /// Takes note of a live read that found nothing: its object is gone, if the read was asked
    /// for when it was known as it is now. Otherwise it may have come since, and is read again.
    pub(super) fn saw_nothing(&mut self, key: &ObjectKey<P::Kind>) {
        let known = self.world.get(key).map_or(0, |known| known.rv);
        match self.barriers.asked(key) {
            Some(asked) if asked == known => {
                self.forget(key, End::FINAL);
                self.saw(key, Sight::Absent);
            }
            None if known == 0 && !self.barriers.holds(key) => {}
            _ => self.read_live(None, key.clone()),
        }
    }

    /// Takes the barrier of an object down if what was seen is what was needed, and marks
    /// whatever it held.
    pub(super) fn saw(&mut self, key: &ObjectKey<P::Kind>, sight: Sight<'_>) {
        let Some(barrier) = self.barriers.by_object.get(key) else { return };
        if !barrier.is_met(&sight) {
            // A deletion before the write was seen may be older than the write.
            if matches!(sight, Sight::Deleted { .. }) && barrier.asked.is_none() {
                self.ask_late(key.clone());
            }
            return;
        }
        let Some(barrier) = self.barriers.lower(key) else { return };
        self.world.release(key);
        for writer in &barrier.writers {
            if let Some(at) = self.world.find(writer) {
                self.world.mark(at);
            }
        }
    }

    /// Whether something that the object reads, or that it wrote, was not seen yet.
    pub(super) fn is_held(&self, at: u32) -> bool {
        !self.barriers.is_empty()
            && (self.world.is_held(at)
                || self.world.place(at).is_some_and(|p| self.barriers.holds_writer(&p.key)))
    }
}
