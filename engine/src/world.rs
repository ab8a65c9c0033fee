//! The world: projected facts of every object that was observed, and the tags that link them.

use crate::digest::Digest;
use crate::folding::Folding;
use crate::ids::{ObjectKey, Tag, Uid};
use crate::instance::Instance;
use crate::program::Program;
use crate::tags::{Entry, Few, TagId, Tags};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;
use subjects::Subjects;

mod links;
mod subjects;
mod tombs;

pub(crate) use tombs::{End, Tomb, Tombs};

/// An object as it was last observed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Object<F> {
    /// Its UID.
    pub uid: Uid,
    /// Its resourceVersion; compared within one kind only.
    pub rv: u64,
    /// The feed that showed it last, which is the one that tells when it is gone.
    pub feed: u8,
    /// What decisions read of it.
    pub facts: F,
    /// The digest of key, UID and facts; the resourceVersion does not count.
    #[serde(skip)]
    pub digest: Digest,
}

/// An object, what it is found under, its machine, and where that machine looked.
pub(crate) struct Place<P: Program> {
    pub key: ObjectKey<P::Kind>,
    pub object: Object<P::Facts>,
    /// What it is found under; its name comes first.
    pub tags: Few,
    pub instance: Option<Box<Instance<P::Effect>>>,
    /// What the last look at it looked up, in that order.
    pub reads: SmallVec<[TagId; 8]>,
    /// What the digests of all objects of this key and UID begin with.
    name: Folding,
    dirty: bool,
}

/// Objects with their keys.
pub(crate) type Objects<P> = Vec<(ObjectKey<<P as Program>::Kind>, Object<<P as Program>::Facts>)>;

/// An observation, before it is compared with what is known.
pub(crate) struct Seen<F> {
    pub uid: Uid,
    pub rv: u64,
    pub feed: u8,
    pub live: bool,
    pub facts: F,
}

/// Every observed object. Ordered by key, indexed by tag, summed up by digest.
pub struct World<P: Program> {
    places: Vec<Option<Place<P>>>,
    free: Vec<u32>,
    tags: Tags<P::Kind>,
    tombs: Tombs,
    /// The objects that have a machine in this epoch.
    subjects: Subjects,
    /// The namespaces of all objects, each once in memory.
    namespaces: BTreeSet<Arc<str>>,
    sum: Digest,
    /// Places that have to be looked at again.
    dirty: Vec<u32>,
    scratch: Vec<Tag<P::Kind>>,
}

impl<P: Program> Default for World<P> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            tags: Tags::default(),
            tombs: Tombs::default(),
            subjects: Subjects::default(),
            namespaces: BTreeSet::new(),
            sum: Digest::default(),
            dirty: Vec::new(),
            scratch: Vec::new(),
        }
    }
}

impl<P: Program> World<P> {
    /// The object of that key, if it was observed.
    pub fn get(&self, key: &ObjectKey<P::Kind>) -> Option<&Object<P::Facts>> {
        self.place(self.find(key)?).map(|place| &place.object)
    }

    /// Every object, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey<P::Kind>, &Object<P::Facts>)> {
        self.ordered().into_iter().map(|(_, place)| (&place.key, &place.object))
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether nothing was observed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The objects found under a tag, ordered by key.
    pub fn tagged(
        &self,
        tag: &Tag<P::Kind>,
    ) -> impl Iterator<Item = (&ObjectKey<P::Kind>, &Object<P::Facts>)> + use<'_, P> {
        self.members(self.tags.find(tag.kind, tag.index, &tag.namespace, &tag.value))
    }

    /// The objects found under the tag of that number.
    pub(crate) fn members(
        &self,
        tag: Option<TagId>,
    ) -> impl Iterator<Item = (&ObjectKey<P::Kind>, &Object<P::Facts>)> + use<'_, P> {
        let members = tag.and_then(|tag| self.tags.get(tag)).map(Entry::members);
        let places = members.unwrap_or_default().iter().filter_map(|&place| self.place(place));
        places.map(|place| (&place.key, &place.object))
    }

    /// The sum of all objects' digests.
    pub(crate) fn sum(&self) -> Digest {
        self.sum
    }

    pub(crate) fn tags(&self) -> &Tags<P::Kind> {
        &self.tags
    }

    /// The number of the place of an object.
    pub(crate) fn find(&self, key: &ObjectKey<P::Kind>) -> Option<u32> {
        let name = self.name_tag(key)?;
        self.tags.first(name)
    }

    pub(crate) fn name_tag(&self, key: &ObjectKey<P::Kind>) -> Option<TagId> {
        self.tags.find(key.kind, Tag::<P::Kind>::NAME, &key.namespace, &key.name)
    }

    /// The object of the key of which that is the tag.
    pub(crate) fn named(&self, name: Option<TagId>) -> Option<&Object<P::Facts>> {
        self.place(self.tags.first(name?)?).map(|place| &place.object)
    }

    pub(crate) fn place(&self, place: u32) -> Option<&Place<P>> {
        self.places.get(place as usize)?.as_ref()
    }

    pub(crate) fn place_mut(&mut self, place: u32) -> Option<&mut Place<P>> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub(crate) fn instance(&self, place: u32) -> Option<&Instance<P::Effect>> {
        self.place(place)?.instance.as_deref()
    }

    pub(crate) fn instance_mut(&mut self, place: u32) -> Option<&mut Instance<P::Effect>> {
        self.place_mut(place)?.instance.as_deref_mut()
    }

    /// Every place in use, ordered by key.
    pub(crate) fn ordered(&self) -> Vec<(u32, &Place<P>)> {
        let numbered = (0..).zip(&self.places);
        let mut used: Vec<_> = numbered.filter_map(|(n, p)| Some((n, p.as_ref()?))).collect();
        used.sort_unstable_by(|(_, a), (_, b)| a.key.cmp(&b.key));
        used
    }

    /// Takes an observation in, unless it is older than what is known or an echo of something
    /// deleted. If facts changed, the object and whatever looked where it is found, or was, has
    /// to be looked at again.
    pub(crate) fn apply(
        &mut self,
        program: &P,
        now: Timestamp,
        key: ObjectKey<P::Kind>,
        seen: Seen<P::Facts>,
    ) {
        let Seen { uid, rv, feed, live, facts } = seen;
        if self.tombs.is_echo(now, &uid, rv, (!live).then_some(feed)) {
            return;
        }
        let Some(at) = self.find(&key) else {
            let digest = Digest::default();
            return self.appear(program, key, Object { uid, rv, feed, facts, digest });
        };
        self.fetch(at);
        let Some(place) = self.places[at as usize].as_mut() else { return };
        let known = &mut place.object;
        if rv < known.rv {
            return;
        }
        known.rv = rv;
        let same = known.uid == uid;
        if !live || !same {
            known.feed = feed; // A live read does not change who tells of the object's end.
        }
        if same && known.facts == facts {
            return;
        }
        known.facts = facts;
        if !same {
            place.name = name_of(&key, &uid);
            let replaced = std::mem::replace(&mut known.uid, uid);
            self.tombs.bury(now, replaced, End::FINAL);
        }
        self.sum.remove(known.digest);
        known.digest = place.name.and(&known.facts).digest();
        self.sum.add(known.digest);
        self.touch_place(at);
        self.link(program, at);
        self.mark(at);
    }

    fn appear(&mut self, program: &P, mut key: ObjectKey<P::Kind>, mut object: Object<P::Facts>) {
        let name = name_of(&key, &object.uid);
        object.digest = name.and(&object.facts).digest();
        self.sum.add(object.digest);
        match self.namespaces.get(&key.namespace) {
            Some(known) => key.namespace = known.clone(),
            None => drop(self.namespaces.insert(key.namespace.clone())),
        }
        let place = Place {
            key,
            object,
            tags: Few::new(),
            instance: None,
            reads: SmallVec::new(),
            name,
            dirty: false,
        };
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.places.push(None);
                (self.places.len() - 1) as u32
            }
        };
        self.places[at as usize] = Some(place);
        self.link(program, at);
        self.mark(at);
    }

    /// Takes an object out, which came to that end.
    pub(crate) fn remove(&mut self, now: Timestamp, at: u32, end: End) {
        self.touch_place(at);
        self.unlink(at);
        let Some(place) = self.places[at as usize].take() else { return };
        self.sum.remove(place.object.digest);
        self.tombs.bury(now, place.object.uid, end);
        self.free.push(at);
        let namespace = place.key.namespace;
        if Arc::strong_count(&namespace) == 2 {
            self.namespaces.remove(&namespace); // Only this copy and that in the set are left.
        }
    }

    /// The keys of a feed's objects that are not among `shown` and no newer than its list.
    pub(crate) fn missing_from(
        &self,
        feed: u8,
        list_rv: u64,
        shown: &BTreeSet<ObjectKey<P::Kind>>,
    ) -> Vec<ObjectKey<P::Kind>> {
        let gone = |place: &&Place<P>| {
            let object = &place.object;
            object.feed == feed && object.rv <= list_rv && !shown.contains(&place.key)
        };
        let places = self.places.iter().flatten().filter(gone);
        let mut keys: Vec<_> = places.map(|place| place.key.clone()).collect();
        keys.sort_unstable();
        keys
    }

    /// Marks an object to be looked at again.
    pub(crate) fn mark(&mut self, at: u32) {
        if let Some(place) = self.places.get_mut(at as usize).and_then(Option::as_mut)
            && !std::mem::replace(&mut place.dirty, true)
        {
            self.dirty.push(at);
        }
    }

    /// Marks every object of which that holds.
    pub(crate) fn mark_all(&mut self, which: impl Fn(&Place<P>) -> bool) {
        for at in 0..self.places.len() as u32 {
            if self.place(at).is_some_and(&which) {
                self.mark(at);
            }
        }
    }

    /// Marks every object that has a machine in this epoch.
    pub(crate) fn mark_instances(&mut self) {
        self.mark_all(|place| place.instance.is_some());
    }

    /// Takes out what was marked, ordered by key.
    pub(crate) fn take_marked(&mut self) -> Vec<u32> {
        let mut marked = std::mem::take(&mut self.dirty);
        let places = &mut self.places;
        // A place that was emptied, and perhaps used again, is as clean as its new object says.
        marked.retain(|&at| {
            places[at as usize].as_mut().is_some_and(|p| std::mem::take(&mut p.dirty))
        });
        let key = |at: &u32| self.places[*at as usize].as_ref().map(|place| &place.key);
        if marked.len() > 1 {
            marked.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        }
        marked
    }

    /// Gives an emptied list back, so that the next one needs no memory.
    pub(crate) fn reuse(&mut self, mut marked: Vec<u32>) {
        marked.clear();
        if self.dirty.is_empty() {
            self.dirty = marked;
        }
    }

    pub(crate) fn tombs(&self) -> Vec<Tomb> {
        self.tombs.list()
    }

    /// Puts back what a snapshot holds.
    pub(crate) fn restore(&mut self, program: &P, objects: Objects<P>, tombs: Vec<Tomb>) {
        for (key, object) in objects {
            if self.find(&key).is_none() {
                self.appear(program, key, object);
            }
        }
        let marked = self.take_marked();
        self.reuse(marked);
        self.tombs = Tombs::of(tombs);
    }
}

/// What digests of an object begin with. Digests of objects are only ever summed up.
fn name_of<K: Hash>(key: &ObjectKey<K>, uid: &Uid) -> Folding {
    Folding::begin().and(&(key, uid))
}
