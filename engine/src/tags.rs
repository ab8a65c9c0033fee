//! Tags as numbers: what is found under each, and who looked there.
//!
//! Every lookup by name or by index goes through one table. It is only ever looked things up in,
//! never iterated, so its order is nobody's business.

use crate::folding::Folding;
use crate::ids::Tag;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The number of a tag, as long as anything is found under it, reads it or is awaited under it.
pub(crate) type TagId = u32;

/// A few numbers, kept where they are used: most tags have one member and one reader.
pub(crate) type Few = SmallVec<[u32; 4]>;

/// What is known of one tag. Objects are given by the numbers of their places.
///
/// The value stands here and not behind a pointer: most look-ups meet an entry that is in no
/// cache, and then every pointer to follow costs as much as the rest together. What is compared
/// fills the first line of a cache, what is found the second.
#[repr(C, align(64))]
pub(crate) struct Entry<K> {
    namespace: Arc<str>,
    value: SmallVec<[u8; 36]>,
    members: Few,
    /// Whose decision looked there, ordered by place.
    pub readers: Few,
    /// How many of the members have to be seen again before anything rests on them.
    pub held: u32,
    kind: K,
    index: u8,
}

impl<K> Entry<K> {
    fn is_used(&self) -> bool {
        !self.members.is_empty() || !self.readers.is_empty() || self.held > 0
    }

    #[inline]
    fn is(&self, kind: &K, index: u8, namespace: &str, value: &str) -> bool
    where
        K: Eq,
    {
        self.index == index
            && self.value.as_slice() == value.as_bytes()
            && self.kind == *kind
            && *self.namespace == *namespace
    }

    /// Whether it is the entry of that tag.
    pub(crate) fn is_of(&self, tag: &Tag<K>) -> bool
    where
        K: Eq,
    {
        self.is(&tag.kind, tag.index, &tag.namespace, &tag.value)
    }

    /// The tag that it is of.
    pub(crate) fn tag(&self) -> Tag<K>
    where
        K: Copy,
    {
        let value = String::from_utf8_lossy(&self.value);
        Tag {
            kind: self.kind,
            index: self.index,
            namespace: self.namespace.clone(),
            value: value.into(),
        }
    }

    fn hash(&self) -> u64
    where
        K: Hash,
    {
        hash(&self.kind, self.index, &self.namespace, &self.value)
    }

    /// What is found under it, ordered by key.
    pub(crate) fn members(&self) -> &[u32] {
        &self.members
    }

    pub(crate) fn add_reader(&mut self, place: u32) {
        if let Err(at) = self.readers.binary_search(&place) {
            self.readers.insert(at, place);
        }
    }

    pub(crate) fn remove_reader(&mut self, place: u32) {
        if let Ok(at) = self.readers.binary_search(&place) {
            self.readers.remove(at);
        }
    }
}

/// Every tag in use.
pub(crate) struct Tags<K> {
    table: HashTable<TagId>,
    entries: Vec<Option<Entry<K>>>,
    /// Of each tag: its first member, or [`NONE`]. It stands in the entry too, but this is small
    /// enough to stay in a cache, so that the way to an object does not wait for the entry.
    firsts: Vec<u32>,
    free: Vec<TagId>,
}

/// No place has this number.
const NONE: u32 = u32::MAX;

impl<K> Default for Tags<K> {
    fn default() -> Self {
        Self { table: HashTable::new(), entries: Vec::new(), firsts: Vec::new(), free: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash> Tags<K> {
    /// The number of a tag that is in use.
    pub(crate) fn find(&self, kind: K, index: u8, namespace: &str, value: &str) -> Option<TagId> {
        let same = |id: &TagId| self.is(*id, kind, index, namespace, value);
        self.table.find(hash(&kind, index, namespace, value.as_bytes()), same).copied()
    }

    /// The same, tried under a number first that it probably has.
    #[inline]
    pub(crate) fn find_near(
        &self,
        guess: Option<TagId>,
        (kind, index): (K, u8),
        (namespace, value): (&str, &str),
    ) -> Option<TagId> {
        match guess {
            Some(id) if self.is(id, kind, index, namespace, value) => Some(id),
            _ => self.find(kind, index, namespace, value),
        }
    }

    #[inline]
    fn is(&self, id: TagId, kind: K, index: u8, namespace: &str, value: &str) -> bool {
        self.get(id).is_some_and(|entry| entry.is(&kind, index, namespace, value))
    }

    /// The number of a tag, which it gets if it has none.
    pub(crate) fn intern(&mut self, tag: &Tag<K>) -> TagId {
        if let Some(id) = self.find(tag.kind, tag.index, &tag.namespace, &tag.value) {
            return id;
        }
        let entry = Entry {
            namespace: tag.namespace.clone(),
            value: SmallVec::from_slice(tag.value.as_bytes()),
            members: Few::new(),
            readers: Few::new(),
            held: 0,
            kind: tag.kind,
            index: tag.index,
        };
        let hash = entry.hash();
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.entries.push(None);
                self.firsts.push(NONE);
                (self.entries.len() - 1) as TagId
            }
        };
        self.entries[id as usize] = Some(entry);
        let entries = &self.entries;
        self.table.insert_unique(hash, id, |&other| {
            entries[other as usize].as_ref().map_or(0, Entry::hash)
        });
        id
    }

    /// Touches both lines of an entry; the number means nothing.
    #[inline]
    pub(crate) fn glance(&self, id: TagId) -> usize {
        self.get(id).map_or(0, |entry| entry.value.len() + entry.held as usize)
    }

    pub(crate) fn get(&self, id: TagId) -> Option<&Entry<K>> {
        self.entries.get(id as usize)?.as_ref()
    }

    /// The first of what is found under a tag.
    #[inline]
    pub(crate) fn first(&self, id: TagId) -> Option<u32> {
        self.firsts.get(id as usize).copied().filter(|first| *first != NONE)
    }

    /// Puts a place among the members, at that position.
    pub(crate) fn add_member(&mut self, id: TagId, position: usize, at: u32) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.members.insert(position, at);
        self.note_first(id);
    }

    /// Takes a place out of the members.
    pub(crate) fn remove_member(&mut self, id: TagId, at: u32) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.members.retain(|member| *member != at);
        self.note_first(id);
    }

    fn note_first(&mut self, id: TagId) {
        let first = self.get(id).and_then(|entry| entry.members.first().copied());
        self.firsts[id as usize] = first.unwrap_or(NONE);
    }

    pub(crate) fn get_mut(&mut self, id: TagId) -> Option<&mut Entry<K>> {
        self.entries.get_mut(id as usize)?.as_mut()
    }

    /// Takes the number back if nothing needs it any more.
    pub(crate) fn release(&mut self, id: TagId) {
        let Some(entry) = self.get(id).filter(|entry| !entry.is_used()) else { return };
        let hash = entry.hash();
        if let Ok(found) = self.table.find_entry(hash, |&other| other == id) {
            found.remove();
        }
        self.entries[id as usize] = None;
        self.free.push(id);
    }
}

fn hash<K: Hash>(kind: &K, index: u8, namespace: &str, value: &[u8]) -> u64 {
    let mut hasher = Folding::begin();
    kind.hash(&mut hasher);
    hasher.write_u8(index);
    hasher.write(namespace.as_bytes());
    hasher.write(value);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(n: u32) -> Tag<u8> {
        Tag { kind: 1, index: 2, namespace: "ns".into(), value: n.to_string().into() }
    }

    #[test]
    fn a_tag_is_found_under_its_number_until_nothing_needs_it() {
        let mut tags = Tags::default();
        let ids: Vec<_> = (0..1000).map(|n| tags.intern(&tag(n))).collect();
        for (n, id) in (0..1000).zip(&ids) {
            tags.get_mut(*id).expect("it was interned").add_reader(7);
            assert_eq!(tags.intern(&tag(n)), *id);
        }
        for id in &ids {
            tags.release(*id);
            assert!(tags.get(*id).is_some(), "it is read");
            tags.get_mut(*id).expect("it is read").remove_reader(7);
            tags.release(*id);
            assert!(tags.get(*id).is_none());
        }
        assert_eq!(tags.find(1, 2, "ns", "5"), None);
        assert!(ids.contains(&tags.intern(&tag(5))), "numbers are used again");
    }

    #[test]
    fn where_a_namespace_ends_matters() {
        assert_ne!(hash(&1, 1, "ab", b"c"), hash(&1, 1, "a", b"bc"));
        assert_ne!(hash(&1, 1, "", b"abcdefgh"), hash(&1, 1, "abcdefgh", b""));
    }

    #[test]
    fn a_guess_that_is_wrong_or_out_of_date_does_no_harm() {
        let mut tags = Tags::default();
        let (one, two) = (tags.intern(&tag(1)), tags.intern(&tag(2)));
        let find = |tags: &Tags<u8>, guess| tags.find_near(guess, (1, 2), ("ns", "1"));
        for guess in [Some(one), Some(two), Some(77), None] {
            assert_eq!(find(&tags, guess), Some(one));
        }
        tags.release(one);
        assert_eq!(find(&tags, Some(one)), None);
    }

    #[test]
    fn an_entry_fills_two_lines_of_a_cache() {
        assert_eq!(size_of::<Option<Entry<u8>>>(), 128);
    }
}
