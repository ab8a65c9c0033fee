//! Tags as numbers: what is found under each, and who looked there.
//!
//! Every lookup by name or by index goes through one table. It is only ever looked things up in,
//! never iterated, so its order is nobody's business.

use crate::ids::Tag;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// The number of a tag, as long as anything is found under it, reads it or is awaited under it.
pub(crate) type TagId = u32;

/// A few numbers, kept where they are used: most tags have one member and one reader.
pub(crate) type Few = SmallVec<[u32; 4]>;

/// What is known of one tag. Objects are given by the numbers of their places.
pub(crate) struct Entry<K> {
    pub tag: Tag<K>,
    /// What is found under it, ordered by key.
    pub members: Few,
    /// Whose decision looked there, ordered by place.
    pub readers: Few,
    /// How many of the members have to be seen again before anything rests on them.
    pub held: u32,
}

impl<K> Entry<K> {
    fn is_used(&self) -> bool {
        !self.members.is_empty() || !self.readers.is_empty() || self.held > 0
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
    free: Vec<TagId>,
}

impl<K> Default for Tags<K> {
    fn default() -> Self {
        Self { table: HashTable::new(), entries: Vec::new(), free: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash> Tags<K> {
    /// The number of a tag that is in use.
    pub(crate) fn find(&self, kind: K, index: u8, namespace: &str, value: &str) -> Option<TagId> {
        let same = |id: &TagId| {
            self.get(*id).is_some_and(|Entry { tag, .. }| {
                tag.kind == kind
                    && tag.index == index
                    && *tag.value == *value
                    && *tag.namespace == *namespace
            })
        };
        self.table.find(hash(kind, index, namespace, value), same).copied()
    }

    /// The number of a tag, which it gets if it has none.
    pub(crate) fn intern(&mut self, tag: &Tag<K>) -> TagId {
        if let Some(id) = self.find(tag.kind, tag.index, &tag.namespace, &tag.value) {
            return id;
        }
        let entry = Entry { tag: tag.clone(), members: Few::new(), readers: Few::new(), held: 0 };
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.entries.push(None);
                (self.entries.len() - 1) as TagId
            }
        };
        self.entries[id as usize] = Some(entry);
        let entries = &self.entries;
        self.table.insert_unique(hash_of(tag), id, |&other| {
            entries[other as usize].as_ref().map_or(0, |entry| hash_of(&entry.tag))
        });
        id
    }

    pub(crate) fn get(&self, id: TagId) -> Option<&Entry<K>> {
        self.entries.get(id as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: TagId) -> Option<&mut Entry<K>> {
        self.entries.get_mut(id as usize)?.as_mut()
    }

    /// Takes the number back if nothing needs it any more.
    pub(crate) fn release(&mut self, id: TagId) {
        let Some(entry) = self.get(id).filter(|entry| !entry.is_used()) else { return };
        let hash = hash_of(&entry.tag);
        if let Ok(found) = self.table.find_entry(hash, |&other| other == id) {
            found.remove();
        }
        self.entries[id as usize] = None;
        self.free.push(id);
    }
}

fn hash_of<K: Copy + Hash>(tag: &Tag<K>) -> u64 {
    hash(tag.kind, tag.index, &tag.namespace, &tag.value)
}

fn hash<K: Hash>(kind: K, index: u8, namespace: &str, value: &str) -> u64 {
    let mut hasher = Folding(0x243f_6a88_85a3_08d3);
    kind.hash(&mut hasher);
    hasher.write_u8(index);
    hasher.write(namespace.as_bytes());
    hasher.write(value.as_bytes());
    hasher.finish()
}

/// A quick hash for the table. No number of it is ever written down.
struct Folding(u64);

impl Folding {
    fn fold(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.fold(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    fn write_u8(&mut self, byte: u8) {
        self.fold(u64::from(byte));
    }

    fn write_isize(&mut self, number: isize) {
        self.fold(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    fn finish(&self) -> u64 {
        self.0
    }
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
        assert_ne!(hash(1, 1, "ab", "c"), hash(1, 1, "a", "bc"));
        assert_ne!(hash(1, 1, "", "abcdefgh"), hash(1, 1, "abcdefgh", ""));
    }
}
