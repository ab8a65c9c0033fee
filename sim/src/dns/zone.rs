//! A zone and its history: what is in it, and what was so lately that a server may still show it.

use std::collections::{BTreeMap, VecDeque};

use super::MAX_LAG;
use super::record::{Data, Record, RecordType, ancestors, is_within, normal};

/// Values of one name and type at most, those lately removed included.
const MAX_VALUES: usize = 1_000;
/// Names and types of one zone at most.
const MAX_SETS: usize = 100_000;
/// How long a negative answer may be kept, in seconds.
const NEGATIVE_TTL: u32 = 60;
/// TTL of a zone's own records, in seconds.
const APEX_TTL: u32 = 3600;

/// A change of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds a value beside those that are there; one that is there already changes nothing.
    Add {
        /// The zone.
        zone: String,
        /// The record's name.
        name: String,
        /// Its TTL, in seconds.
        ttl: u32,
        /// Its value.
        data: Data,
    },
    /// Removes exactly this value; one that is not there changes nothing.
    Remove {
        /// The zone.
        zone: String,
        /// The record's name.
        name: String,
        /// Its value.
        data: Data,
    },
    /// Puts these values in place of all of that name and type, as the APIs of some providers do.
    Replace {
        /// The zone.
        zone: String,
        /// The records' name.
        name: String,
        /// Their type; values of another type are refused.
        kind: RecordType,
        /// Their TTL, in seconds.
        ttl: u32,
        /// The values; none removes them all.
        values: Vec<Data>,
    },
}

impl Change {
    /// The zone it changes.
    pub fn zone(&self) -> &str {
        match self {
            Change::Add { zone, .. } | Change::Remove { zone, .. } => zone,
            Change::Replace { zone, .. } => zone,
        }
    }

    fn name(&self) -> &str {
        match self {
            Change::Add { name, .. } | Change::Remove { name, .. } => name,
            Change::Replace { name, .. } => name,
        }
    }
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such zone.
    #[error("there is no zone for {0}")]
    NoZone(String),
    /// The name is not in the zone.
    #[error("{name} is not in the zone {zone}")]
    Outside {
        /// The name.
        name: String,
        /// The zone.
        zone: String,
    },
    /// A CNAME cannot stand beside other records (RFC 1034 section 3.6.2).
    #[error("{0} would have a CNAME and other records")]
    CnameBesideOthers(String),
    /// The SOA is the zone's own, and a value must be of the type it replaces.
    #[error("no such record can be put at {0}")]
    WrongType(String),
    /// The zone, or the set of values, is full.
    #[error("{0} holds no more records")]
    Full(String),
}

/// A name with its labels from the top down. No character of a name sorts before the separator.
fn path(name: &str) -> String {
    name.rsplit('.').collect::<Vec<_>>().join("\0")
}

/// The name of a [`path`].
fn name_of(path: &str) -> String {
    path.rsplit('\0').collect::<Vec<_>>().join(".")
}

#[derive(Clone, Debug)]
struct Entry {
    data: Data,
    ttl: u32,
    added: i64,
    removed: Option<i64>,
}

impl Entry {
    fn is_there(&self, at: i64) -> bool {
        self.added <= at && self.removed.is_none_or(|removed| at < removed)
    }
}

/// The keys of a name, whatever the type.
fn types_of(name: &str) -> std::ops::RangeInclusive<(String, RecordType)> {
    (path(name), RecordType::A)..=(path(name), RecordType::Soa)
}

#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) servers: Vec<String>,
    /// By [`path`] and type, so that what is below a name stands right behind it.
    sets: BTreeMap<(String, RecordType), Vec<Entry>>,
    /// When it was changed, as far back as a server may be behind.
    changes: VecDeque<i64>,
    /// Changes older than those.
    before: u32,
}

impl Zone {
    pub(super) fn new(name: String, servers: Vec<String>) -> Self {
        let entry = |server: &String| Entry {
            data: Data::Ns(server.clone()),
            ttl: APEX_TTL,
            added: i64::MIN,
            removed: None,
        };
        let ns = servers.iter().map(entry).collect();
        let sets = BTreeMap::from([((path(&name), RecordType::Ns), ns)]);
        Zone { name, servers, sets, changes: VecDeque::new(), before: 1 }
    }

    pub(super) fn apply(&mut self, now: i64, change: &Change) -> Result<(), ChangeError> {
        let name = normal(change.name());
        if !is_within(&name, &self.name) {
            return Err(ChangeError::Outside { name, zone: self.name.clone() });
        }
        self.forget(now, &name);
        let changed = match change {
            Change::Add { ttl, data, .. } => self.put(now, &name, *ttl, data)?,
            Change::Remove { data, .. } => self.take(now, &name, |it| it == data),
            Change::Replace { kind, ttl, values, .. } => {
                if values.iter().any(|value| value.kind() != *kind) {
                    return Err(ChangeError::WrongType(name));
                }
                let gone = |it: &Data| it.kind() == *kind && !values.contains(it);
                let mut changed = self.take(now, &name, gone);
                for value in values {
                    changed |= self.put(now, &name, *ttl, value)?;
                }
                changed
            }
        };
        if changed {
            self.changes.push_back(now);
        }
        Ok(())
    }

    fn put(&mut self, now: i64, name: &str, ttl: u32, data: &Data) -> Result<bool, ChangeError> {
        let kind = data.kind();
        if kind == RecordType::Soa {
            return Err(ChangeError::WrongType(name.to_owned()));
        }
        let alone = |other: RecordType| (other == RecordType::Cname) != (kind == RecordType::Cname);
        if self.types_at(name, now).into_iter().any(alone) {
            return Err(ChangeError::CnameBesideOthers(name.to_owned()));
        }
        let key = (path(name), kind);
        let room = self.sets.contains_key(&key) || self.sets.len() < MAX_SETS;
        let set = self.sets.entry(key).or_default();
        if set.iter().any(|entry| entry.data == *data && entry.is_there(now)) {
            return Ok(false);
        }
        let second_alias = kind == RecordType::Cname && set.iter().any(|e| e.is_there(now));
        if second_alias {
            return Err(ChangeError::CnameBesideOthers(name.to_owned()));
        }
        if !room || set.len() >= MAX_VALUES {
            return Err(ChangeError::Full(name.to_owned()));
        }
        set.push(Entry { data: data.clone(), ttl, added: now, removed: None });
        Ok(true)
    }

    fn take(&mut self, now: i64, name: &str, gone: impl Fn(&Data) -> bool) -> bool {
        let mut changed = false;
        for entry in self.sets.range_mut(types_of(name)).flat_map(|(_, set)| set) {
            if entry.is_there(now) && gone(&entry.data) {
                entry.removed = Some(now);
                changed = true;
            }
        }
        changed
    }

    /// Drops what no server can show any more, of one name.
    fn forget(&mut self, now: i64, name: &str) {
        let oldest = now.saturating_sub(MAX_LAG);
        let keys: Vec<_> = self.keys_at(name).cloned().collect();
        for key in keys {
            let Some(set) = self.sets.get_mut(&key) else { continue };
            set.retain(|entry| entry.removed.is_none_or(|removed| removed > oldest));
            if set.is_empty() {
                self.sets.remove(&key);
            }
        }
        while self.changes.front().is_some_and(|change| *change <= oldest) {
            self.changes.pop_front();
            self.before = self.before.wrapping_add(1);
        }
    }

    fn keys_at(&self, name: &str) -> impl Iterator<Item = &(String, RecordType)> {
        self.sets.range(types_of(name)).map(|(key, _)| key)
    }

    fn types_at(&self, name: &str, at: i64) -> Vec<RecordType> {
        let there = |key: &&(String, RecordType)| {
            self.sets.get(*key).is_some_and(|set| set.iter().any(|entry| entry.is_there(at)))
        };
        self.keys_at(name).filter(there).map(|(_, kind)| *kind).collect()
    }

    /// Whether a name exists at an instant: it has a record, or one below it has.
    pub(super) fn exists(&self, name: &str, at: i64) -> bool {
        let there = |set: &Vec<Entry>| set.iter().any(|entry| entry.is_there(at));
        let (own, below) = (path(name), format!("{}\0", path(name)));
        let sets = self.sets.range((own.clone(), RecordType::A)..);
        let mut at_or_below =
            sets.take_while(|((it, _), _)| *it == own || it.starts_with(below.as_str()));
        name == self.name || at_or_below.any(|(_, set)| there(set))
    }

    /// The records of a name and type at an instant, in the order they were added.
    pub(super) fn live(&self, name: &str, kind: RecordType, at: i64) -> Vec<Record> {
        if kind == RecordType::Soa {
            return if name == self.name { vec![self.soa(at)] } else { Vec::new() };
        }
        let set = self.sets.get(&(path(name), kind)).map_or(&[][..], Vec::as_slice);
        let there = set.iter().filter(|entry| entry.is_there(at));
        let record = |entry: &Entry| Record {
            name: name.to_owned(),
            ttl: entry.ttl,
            data: entry.data.clone(),
        };
        there.map(record).collect()
    }

    /// As [`Zone::live`], and where the name does not exist, what a wildcard makes of it (RFC 4592).
    pub(super) fn answer(&self, name: &str, kind: RecordType, at: i64) -> Vec<Record> {
        let found = self.live(name, kind, at);
        if !found.is_empty() || self.exists(name, at) {
            return found;
        }
        let mut above = ancestors(name).skip(1).take_while(|up| is_within(up, &self.name));
        let Some(encloser) = above.find(|up| self.exists(up, at)) else { return Vec::new() };
        let wild = self.live(&format!("*.{encloser}"), kind, at);
        wild.into_iter().map(|record| Record { name: name.to_owned(), ..record }).collect()
    }

    /// Whether a wildcard stands for a name that does not exist by itself.
    pub(super) fn wildcard_covers(&self, name: &str, at: i64) -> bool {
        let mut above = ancestors(name).skip(1).take_while(|up| is_within(up, &self.name));
        let encloser = above.find(|up| self.exists(up, at));
        encloser.is_some_and(|up| !self.types_at(&format!("*.{up}"), at).is_empty())
    }

    pub(super) fn soa(&self, at: i64) -> Record {
        let seen = self.changes.iter().filter(|change| **change <= at).count();
        let serial = self.before.wrapping_add(u32::try_from(seen).unwrap_or(u32::MAX));
        let primary = self.servers.first().cloned().unwrap_or_default();
        let data = Data::Soa { primary, serial, minimum: NEGATIVE_TTL };
        Record { name: self.name.clone(), ttl: APEX_TTL, data }
    }

    pub(super) fn texts(&self, at: i64) -> Vec<Record> {
        let texts = self.sets.keys().filter(|(_, kind)| *kind == RecordType::Txt);
        texts.flat_map(|(path, kind)| self.live(&name_of(path), *kind, at)).collect()
    }
}
