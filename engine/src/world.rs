//! The world: projected facts of every object that was observed, and the tags that link them.

use crate::digest::{Digest, digest_of};
use crate::ids::{ObjectKey, Tag, Uid};
use crate::program::Program;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An object as it was last observed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Object<F> {
    /// Its UID.
    pub uid: Uid,
    /// Its resourceVersion; compared within one kind only.
    pub rv: u64,
    /// The feed that showed it last.
    pub feed: u8,
    /// What decisions read of it.
    pub facts: F,
    /// The digest of key, UID and facts; the resourceVersion does not count.
    pub digest: Digest,
}

/// How long a deleted object's UID is remembered, so that a late echo cannot revive it.
const TOMBSTONE_MS: i64 = 120_000;

/// Every observed object. Ordered by key, indexed by tag, summed up by digest.
pub struct World<P: Program> {
    objects: BTreeMap<ObjectKey<P::Kind>, Object<P::Facts>>,
    index: BTreeMap<Tag<P::Kind>, BTreeSet<ObjectKey<P::Kind>>>,
    tombstones: BTreeMap<Uid, Timestamp>,
    sum: Digest,
}

/// What an observation changed: the tags under which something is now different.
pub(crate) type Touched<K> = Vec<Tag<K>>;

impl<P: Program> Default for World<P> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            index: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            sum: Digest::default(),
        }
    }
}

impl<P: Program> World<P> {
    /// The object of that key, if it was observed.
    pub fn get(&self, key: &ObjectKey<P::Kind>) -> Option<&Object<P::Facts>> {
        self.objects.get(key)
    }

    /// Every object, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey<P::Kind>, &Object<P::Facts>)> {
        self.objects.iter()
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing was observed.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The objects found under a tag, ordered by key.
    pub fn tagged(
        &self,
        tag: &Tag<P::Kind>,
    ) -> impl Iterator<Item = (&ObjectKey<P::Kind>, &Object<P::Facts>)> + use<'_, P> {
        let named = (tag.index == Tag::<P::Kind>::NAME)
            .then(|| ObjectKey::new(tag.kind, tag.namespace.clone(), tag.value.clone()))
            .and_then(|key| self.objects.get_key_value(&key));
        let indexed = self.index.get(tag).into_iter().flatten();
        named.into_iter().chain(indexed.filter_map(|key| self.objects.get_key_value(key)))
    }

    /// The sum of all objects' digests.
    pub(crate) fn sum(&self) -> Digest {
        self.sum
    }

    /// Takes an observation in. `None` if it is older than what is known or an echo of something
    /// deleted; otherwise the tags under which facts changed (none if only the version did).
    pub(crate) fn apply(
        &mut self,
        program: &P,
        now: Timestamp,
        key: ObjectKey<P::Kind>,
        seen: Object<P::Facts>,
    ) -> Option<Touched<P::Kind>> {
        if self.tombstones.get(&seen.uid).is_some_and(|&at| now.since(at) <= TOMBSTONE_MS) {
            return None;
        }
        if let Some(known) = self.objects.get_mut(&key) {
            if seen.rv < known.rv {
                return None;
            }
            if seen.digest == known.digest {
                (known.rv, known.feed) = (seen.rv, seen.feed);
                return Some(Vec::new());
            }
        }
        let mut touched = self.take_out(program, &key);
        self.put_in(program, key, seen, &mut touched);
        Some(touched)
    }

    /// Takes an object out if it is the one with that UID (or whichever it is, without one).
    pub(crate) fn remove(
        &mut self,
        program: &P,
        now: Timestamp,
        key: &ObjectKey<P::Kind>,
        uid: Option<&Uid>,
    ) -> Touched<P::Kind> {
        let Some(known) = self.objects.get(key) else { return Vec::new() };
        if uid.is_some_and(|uid| *uid != known.uid) {
            return Vec::new();
        }
        self.tombstones.retain(|_, at| now.since(*at) <= TOMBSTONE_MS);
        self.tombstones.insert(known.uid.clone(), now);
        self.take_out(program, key)
    }

    /// The keys of a feed's objects that are not among `shown` and no newer than its list.
    pub(crate) fn missing_from(
        &self,
        feed: u8,
        list_rv: u64,
        shown: &BTreeSet<ObjectKey<P::Kind>>,
    ) -> Vec<ObjectKey<P::Kind>> {
        let gone = |(key, object): &(&ObjectKey<_>, &Object<_>)| {
            object.feed == feed && object.rv <= list_rv && !shown.contains(key)
        };
        self.objects.iter().filter(gone).map(|(key, _)| key.clone()).collect()
    }

    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (Uid, Timestamp)> {
        self.tombstones.iter().map(|(uid, at)| (uid.clone(), *at))
    }

    pub(crate) fn restore(
        &mut self,
        program: &P,
        objects: Vec<(ObjectKey<P::Kind>, Object<P::Facts>)>,
        tombstones: Vec<(Uid, Timestamp)>,
    ) {
        for (key, object) in objects {
            self.put_in(program, key, object, &mut Vec::new());
        }
        self.tombstones = tombstones.into_iter().collect();
    }

    fn take_out(&mut self, program: &P, key: &ObjectKey<P::Kind>) -> Touched<P::Kind> {
        let Some(object) = self.objects.remove(key) else { return Vec::new() };
        self.sum.remove(object.digest);
        let mut tags = Vec::new();
        program.tags(key, &object.facts, &mut tags);
        for tag in &tags {
            if let Some(keys) = self.index.get_mut(tag) {
                keys.remove(key);
                if keys.is_empty() {
                    self.index.remove(tag);
                }
            }
        }
        tags.push(Tag::name(key));
        tags
    }

    fn put_in(
        &mut self,
        program: &P,
        key: ObjectKey<P::Kind>,
        object: Object<P::Facts>,
        touched: &mut Touched<P::Kind>,
    ) {
        self.sum.add(object.digest);
        let first = touched.len();
        program.tags(&key, &object.facts, touched);
        for tag in &touched[first..] {
            self.index.entry(tag.clone()).or_default().insert(key.clone());
        }
        touched.push(Tag::name(&key));
        self.objects.insert(key, object);
    }
}

/// The digest by which objects are compared and summed.
pub(crate) fn object_digest<P: Program>(
    key: &ObjectKey<P::Kind>,
    uid: &Uid,
    facts: &P::Facts,
) -> Digest {
    digest_of(&(key, uid, facts))
}
