//! What a program sees of the world when it decides on one object.

use crate::digest::Digest;
use crate::ids::{ObjectKey, Tag};
use crate::instance::Instance;
use crate::program::Program;
use crate::step::Failure;
use crate::tags::TagId;
use crate::time::Timestamp;
use crate::world::{Object, Place, World};
use std::cell::RefCell;

/// The world from one object's point of view. Whatever is looked up through it is remembered as
/// read: the object is looked at again when any of it changes, and not before.
pub struct View<'a, P: Program> {
    /// The object that is decided on.
    pub key: &'a ObjectKey<P::Kind>,
    /// The object itself.
    pub object: &'a Object<P::Facts>,
    /// Now.
    pub now: Timestamp,
    /// When this epoch began.
    pub since: Timestamp,
    world: &'a World<P>,
    instance: &'a Instance<P::Effect>,
    /// Where the look before this one looked.
    before: &'a [TagId],
    reads: RefCell<Reads<P::Kind>>,
}

/// An object and its key.
pub type Keyed<'a, P> = (&'a ObjectKey<<P as Program>::Kind>, &'a Object<<P as Program>::Facts>);

/// Where a decision looked: at tags that have numbers, and at others.
pub(crate) struct Reads<K> {
    pub known: Vec<TagId>,
    pub unknown: Vec<Tag<K>>,
}

impl<K> Default for Reads<K> {
    fn default() -> Self {
        Self { known: Vec::new(), unknown: Vec::new() }
    }
}

impl<'a, P: Program> View<'a, P> {
    /// The view of a place and its machine. `reads` is empty.
    pub(crate) fn new(
        place: &'a Place<P>,
        instance: &'a Instance<P::Effect>,
        (now, since): (Timestamp, Timestamp),
        world: &'a World<P>,
        reads: Reads<P::Kind>,
    ) -> Self {
        let Place { key, object, reads: before, .. } = place;
        Self { key, object, now, since, world, instance, before, reads: RefCell::new(reads) }
    }

    /// The object of that key, if there is one.
    pub fn get(&self, key: &ObjectKey<P::Kind>) -> Option<&'a Object<P::Facts>> {
        let name = (&*key.namespace, &*key.name);
        let tag = self.find((key.kind, Tag::<P::Kind>::NAME), name);
        self.note(tag, || Tag::name(key));
        self.world.named(tag)
    }

    /// The objects found under a tag, ordered by key.
    pub fn tagged(&self, tag: Tag<P::Kind>) -> Vec<Keyed<'a, P>> {
        let known = self.find((tag.kind, tag.index), (&tag.namespace, &tag.value));
        let found = self.world.members(known).collect();
        self.note(known, || tag);
        found
    }

    /// Why a step of this object failed last, if it did and has not succeeded since.
    pub fn failure(&self, step: usize) -> Option<&'a Failure> {
        self.instance.failure(step)
    }

    /// The digest of the effect of this step that was last done in this epoch.
    pub fn last_done(&self, step: usize, item: &str) -> Option<Digest> {
        self.instance.last_done(step, item)
    }

    /// When the effect of this step was last done in this epoch. The memory goes with the epoch, so
    /// it may pace what costs nobody anything, and decide on nothing that is spent.
    pub fn done_at(&self, step: usize, item: &str) -> Option<Timestamp> {
        self.instance.done_at(step, item)
    }

    /// A look mostly looks where the one before it did, in the same order.
    #[inline]
    fn find(&self, what: (P::Kind, u8), name: (&str, &str)) -> Option<TagId> {
        let guess = self.before.get(self.reads.borrow().known.len()).copied();
        self.world.tags().find_near(guess, what, name)
    }

    fn note(&self, known: Option<TagId>, tag: impl FnOnce() -> Tag<P::Kind>) {
        let mut reads = self.reads.borrow_mut();
        match known {
            Some(id) => reads.known.push(id),
            None => reads.unknown.push(tag()),
        }
    }

    pub(crate) fn into_reads(self) -> Reads<P::Kind> {
        self.reads.into_inner()
    }
}
