//! What a program sees of the world when it decides on one object.

use crate::digest::Digest;
use crate::ids::{ObjectKey, Tag};
use crate::instance::{Failure, Instance};
use crate::program::Program;
use crate::time::Timestamp;
use crate::world::{Object, World};
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
    world: &'a World<P>,
    instance: &'a Instance<P::Effect>,
    reads: RefCell<Vec<Tag<P::Kind>>>,
}

impl<'a, P: Program> View<'a, P> {
    pub(crate) fn new(
        key: &'a ObjectKey<P::Kind>,
        object: &'a Object<P::Facts>,
        now: Timestamp,
        world: &'a World<P>,
        instance: &'a Instance<P::Effect>,
    ) -> Self {
        Self { key, object, now, world, instance, reads: RefCell::new(vec![Tag::name(key)]) }
    }

    /// The object of that key, if there is one.
    pub fn get(&self, key: &ObjectKey<P::Kind>) -> Option<&'a Object<P::Facts>> {
        self.reads.borrow_mut().push(Tag::name(key));
        self.world.get(key)
    }

    /// The objects found under a tag, ordered by key.
    pub fn tagged(&self, tag: Tag<P::Kind>) -> Vec<(&'a ObjectKey<P::Kind>, &'a Object<P::Facts>)> {
        let found = self.world.tagged(&tag).collect();
        self.reads.borrow_mut().push(tag);
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

    pub(crate) fn into_reads(self) -> Vec<Tag<P::Kind>> {
        let mut reads = self.reads.into_inner();
        reads.sort_unstable();
        reads.dedup();
        reads
    }
}
