//! The objects that have a machine in this epoch, found by UID.

use super::World;
use crate::folding::folded;
use crate::instance::Instance;
use crate::program::Program;
use hashbrown::HashTable;

/// Their places. Only ever looked things up in, never iterated.
#[derive(Default)]
pub(super) struct Subjects(HashTable<u32>);

impl<P: Program> World<P> {
    /// The place of the object of that UID that has a machine.
    pub(crate) fn subject(&self, uid: &str) -> Option<u32> {
        let is_it = |at: &u32| self.instance(*at).is_some_and(|known| *known.uid == *uid);
        self.subjects.0.find(folded(uid).0, is_it).copied()
    }

    /// Gives a place its machine. If two objects claim one UID, it is the later one's.
    pub(crate) fn set_instance(&mut self, at: u32, instance: Instance<P::Effect>) {
        self.take_instance(at);
        let (places, hash) = (&mut self.places, folded(&*instance.uid).0);
        let Some(Some(place)) = places.get_mut(at as usize) else { return };
        let uid = instance.uid.clone();
        place.instance = Some(Box::new(instance));
        let of = |at: &u32| places[*at as usize].as_ref()?.instance.as_deref();
        let is_it = |at: &u32| of(at).is_some_and(|known| known.uid == uid);
        if let Ok(other) = self.subjects.0.find_entry(hash, is_it) {
            other.remove();
        }
        let hash_at = |at: &u32| of(at).map_or(0, |known| folded(&*known.uid).0);
        self.subjects.0.insert_unique(hash, at, hash_at);
    }

    /// Takes the machine of a place.
    pub(crate) fn take_instance(&mut self, at: u32) -> Option<Box<Instance<P::Effect>>> {
        let instance = self.place_mut(at)?.instance.take()?;
        let hash = folded(&*instance.uid).0;
        if let Ok(found) = self.subjects.0.find_entry(hash, |other| *other == at) {
            found.remove();
        }
        Some(instance)
    }

    /// The places of all objects that have a machine, ordered by key.
    pub(crate) fn instances(&self) -> Vec<u32> {
        let with = |(_, place): &(u32, &super::Place<P>)| place.instance.is_some();
        self.ordered().into_iter().filter(with).map(|(at, _)| at).collect()
    }
}
