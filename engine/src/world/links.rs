//! Which objects are found where, who looked there, and what has to be seen again first.

use super::{Place, World};
use crate::ids::{ObjectKey, Tag};
use crate::instance::Instance;
use crate::program::Program;
use crate::tags::{Entry, Few, TagId};
use smallvec::SmallVec;

impl<P: Program> World<P> {
    /// Links a place to the tags of its facts as they are now, and touches those it enters.
    pub(super) fn link(&mut self, program: &P, at: u32) {
        let mut wanted = std::mem::take(&mut self.scratch);
        wanted.clear();
        if let Some(Place { key, object, .. }) = self.place(at) {
            program.tags(key, &object.facts, &mut wanted);
        }
        if !self.is_linked(at, &wanted) {
            self.relink(at, &wanted);
        }
        wanted.clear();
        self.scratch = wanted;
    }

    fn is_linked(&self, at: u32, wanted: &[Tag<P::Kind>]) -> bool {
        let Some(linked) = self.place(at).and_then(|place| place.tags.get(1..)) else {
            return false;
        };
        let same = |(id, tag): (&TagId, &Tag<P::Kind>)| {
            self.tags.get(*id).is_some_and(|entry| entry.is_of(tag))
        };
        linked.len() == wanted.len() && linked.iter().zip(wanted).all(same)
    }

    fn relink(&mut self, at: u32, wanted: &[Tag<P::Kind>]) {
        let Some(place) = self.place(at) else { return };
        let (name, old) = (Tag::name(&place.key), place.tags.clone());
        let mut new = Few::from_slice(&[self.tags.intern(&name)]);
        for tag in wanted.iter().filter(|tag| tag.index != Tag::<P::Kind>::NAME) {
            let id = self.tags.intern(tag);
            if !new.contains(&id) {
                new.push(id);
            }
        }
        let held = self.tags.get(new[0]).is_some_and(|name| name.held > 0);
        for id in new.iter().filter(|id| !old.contains(id)) {
            self.enter(*id, at, held && *id != new[0]);
            self.touch(*id);
        }
        for id in old.iter().filter(|id| !new.contains(id)) {
            self.leave(*id, at, held);
        }
        if let Some(place) = self.place_mut(at) {
            place.tags = new;
        }
    }

    /// Takes a place out of everything it is found under, and out of the readers.
    pub(super) fn unlink(&mut self, at: u32) {
        self.set_reads(at, &[], &[]);
        let Some(place) = self.place_mut(at) else { return };
        let tags = std::mem::take(&mut place.tags);
        let held = tags.first().and_then(|name| self.tags.get(*name)).is_some_and(|n| n.held > 0);
        for (n, id) in tags.iter().enumerate() {
            self.leave(*id, at, held && n > 0); // Its name is awaited still.
        }
    }

    fn enter(&mut self, id: TagId, at: u32, held: bool) {
        let places = &self.places;
        let key = |at: u32| places[at as usize].as_ref().map(|place| &place.key);
        let Some(entry) = self.tags.get_mut(id) else { return };
        entry.held += u32::from(held);
        let position = entry.members().partition_point(|member| key(*member) < key(at));
        self.tags.add_member(id, position, at);
    }

    fn leave(&mut self, id: TagId, at: u32, held: bool) {
        let Some(entry) = self.tags.get_mut(id) else { return };
        entry.held -= u32::from(held);
        self.tags.remove_member(id, at);
        self.tags.release(id);
    }

    /// Marks whatever looked at a tag.
    fn touch(&mut self, id: TagId) {
        let Some(entry) = self.tags.get(id) else { return };
        for &reader in &entry.readers {
            if let Some(place) = self.places[reader as usize].as_mut()
                && !std::mem::replace(&mut place.dirty, true)
            {
                self.dirty.push(reader);
            }
        }
    }

    /// Marks whatever looked where an object is found.
    pub(super) fn touch_place(&mut self, at: u32) {
        for n in 0.. {
            let Some(&id) = self.place(at).and_then(|place| place.tags.get(n)) else { return };
            self.touch(id);
        }
    }

    /// Nothing that looks where `key` is found may act, until [`release`](Self::release).
    pub(crate) fn hold(&mut self, key: &ObjectKey<P::Kind>) {
        let name = self.tags.intern(&Tag::name(key));
        self.for_tags_of(name, |entry| entry.held += 1);
    }

    /// Takes a hold away and marks whatever was held.
    pub(crate) fn release(&mut self, key: &ObjectKey<P::Kind>) {
        let Some(name) = self.name_tag(key) else { return };
        self.for_tags_of(name, |entry| entry.held -= 1);
        match self.find(key) {
            Some(at) => {
                self.touch_place(at);
                self.mark(at);
            }
            None => self.touch(name),
        }
        self.tags.release(name);
    }

    fn for_tags_of(&mut self, name: TagId, change: impl Fn(&mut Entry<P::Kind>)) {
        let tags =
            self.tags.first(name).and_then(|at| self.places[at as usize].as_ref()).map(|p| &p.tags);
        for &id in tags.map_or(&[name][..], Few::as_slice) {
            if let Some(entry) = self.tags.get_mut(id) {
                change(entry);
            }
        }
    }

    /// Whether an object, or anything where its decision looks, has to be seen again first.
    pub(crate) fn is_held(&self, at: u32) -> bool {
        let Some(place) = self.place(at) else { return false };
        let held = |id: &TagId| self.tags.get(*id).is_some_and(|entry| entry.held > 0);
        place.tags.first().is_some_and(held) || place.reads.iter().any(held)
    }

    /// Fetches what a look at an object will want, all at once: in a large world none of it is in
    /// a cache, and one after the other would take many times as long. Changes nothing.
    #[inline]
    pub(super) fn fetch(&self, at: u32) {
        let Some(place) = self.place(at) else { return };
        let mut sum = place.instance.as_deref().map_or(0, Instance::glance);
        for &id in place.tags.iter().chain(&place.reads) {
            let member = self.tags.first(id).and_then(|first| self.place(first));
            sum += self.tags.glance(id) + member.map_or(0, |place| usize::from(place.dirty));
        }
        std::hint::black_box(sum);
    }

    /// Notes where the decision on an object looked: at tags that have numbers, and at others.
    pub(crate) fn set_reads(&mut self, at: u32, known: &[TagId], unknown: &[Tag<P::Kind>]) {
        let Some(place) = self.place_mut(at) else { return };
        if unknown.is_empty() && *place.reads == *known {
            return;
        }
        let old = std::mem::take(&mut place.reads);
        let mut new = SmallVec::from_slice(known);
        new.extend(unknown.iter().map(|tag| self.tags.intern(tag)));
        let (before, after) = (sorted(old), sorted(new.clone()));
        for id in after.iter().filter(|id| before.binary_search(id).is_err()) {
            if let Some(entry) = self.tags.get_mut(*id) {
                entry.add_reader(at);
            }
        }
        for id in before.iter().filter(|id| after.binary_search(id).is_err()) {
            if let Some(entry) = self.tags.get_mut(*id) {
                entry.remove_reader(at);
            }
            self.tags.release(*id);
        }
        if let Some(place) = self.place_mut(at) {
            place.reads = new;
        }
    }

    /// Where the decision on an object looked, ordered.
    pub(crate) fn reads(&self, at: u32) -> Vec<Tag<P::Kind>> {
        let ids = self.place(at).map(|place| place.reads.as_slice()).unwrap_or_default();
        let entries = ids.iter().filter_map(|id| self.tags.get(*id));
        let mut tags: Vec<_> = entries.map(Entry::tag).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }
}

fn sorted(mut ids: SmallVec<[TagId; 8]>) -> SmallVec<[TagId; 8]> {
    ids.sort_unstable();
    ids.dedup();
    ids
}
