//! Objects, versions, and the log that watches read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

/// Namespace (empty for cluster-scoped) and name.
pub(crate) type Key = (String, String);

/// One change of one object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Value>>,
    /// The object now; for a deletion its last state, under the deletion's version.
    pub(crate) object: Arc<Value>,
    pub(crate) deleted: bool,
}

/// All objects of one resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) objects: BTreeMap<Key, Arc<Value>>,
    pub(crate) log: VecDeque<Change>,
    /// Changes up to this version are no longer in the log.
    pub(crate) compacted: u64,
}

impl Table {
    /// The objects as they were at `version`; `None` if the log does not reach back so far.
    pub(crate) fn at(&self, version: u64) -> Option<BTreeMap<Key, Arc<Value>>> {
        if version < self.compacted {
            return None;
        }
        let mut out = self.objects.clone();
        for change in self.log.iter().rev().take_while(|c| c.version > version) {
            match &change.before {
                Some(before) => out.insert(change.key.clone(), before.clone()),
                None => out.remove(&change.key),
            };
        }
        Some(out)
    }

    /// The changes after `version`, oldest first.
    pub(crate) fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        let start = self.log.partition_point(|c| c.version <= version);
        self.log.range(start..)
    }
}

/// Every resource's table under one version counter.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) version: u64,
    tables: BTreeMap<String, Table>,
    log_capacity: usize,
}

static NO_TABLE: Table = Table { objects: BTreeMap::new(), log: VecDeque::new(), compacted: 0 };

impl Store {
    pub(crate) fn new(log_capacity: usize) -> Self {
        Store { version: 1, tables: BTreeMap::new(), log_capacity }
    }

    pub(crate) fn table(&self, resource: &str) -> &Table {
        self.tables.get(resource).unwrap_or(&NO_TABLE)
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = (&String, &Table)> {
        self.tables.iter()
    }

    pub(crate) fn get(&self, resource: &str, key: &Key) -> Option<&Arc<Value>> {
        self.table(resource).objects.get(key)
    }

    /// Stores an object under the next version and returns it with that version in its metadata.
    pub(crate) fn put(
        &mut self,
        now: i64,
        resource: &str,
        key: Key,
        mut object: Value,
    ) -> Arc<Value> {
        let version = self.next_version();
        object["metadata"]["resourceVersion"] = Value::String(version.to_string());
        let object = Arc::new(object);
        let table = self.tables.entry(resource.to_owned()).or_default();
        let before = table.objects.insert(key.clone(), object.clone());
        let change =
            Change { version, at: now, key, before, object: object.clone(), deleted: false };
        self.record(resource, change);
        object
    }

    /// Puts an object there as it is, with the version it has; no watch is told.
    pub(crate) fn load(&mut self, resource: &str, key: Key, object: Arc<Value>) {
        let table = self.tables.entry(resource.to_owned()).or_default();
        table.objects.insert(key, object);
    }

    /// Removes an object.
    pub(crate) fn remove(&mut self, now: i64, resource: &str, key: &Key) {
        let Some(table) = self.tables.get_mut(resource) else { return };
        let Some(before) = table.objects.remove(key) else { return };
        let version = self.next_version();
        let mut object = Value::clone(&before);
        object["metadata"]["resourceVersion"] = Value::String(version.to_string());
        let change = Change {
            version,
            at: now,
            key: key.clone(),
            before: Some(before),
            object: Arc::new(object),
            deleted: true,
        };
        self.record(resource, change);
    }

    /// Forgets all changes up to `version` everywhere: older watches get 410.
    pub(crate) fn compact(&mut self, version: u64) {
        for table in self.tables.values_mut() {
            while table.log.front().is_some_and(|c| c.version <= version) {
                table.log.pop_front();
            }
            table.compacted = table.compacted.max(version.min(self.version));
        }
    }

    fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn record(&mut self, resource: &str, change: Change) {
        let table = self.tables.entry(resource.to_owned()).or_default();
        table.log.push_back(change);
        while table.log.len() > self.log_capacity {
            if let Some(gone) = table.log.pop_front() {
                table.compacted = table.compacted.max(gone.version);
            }
        }
    }
}
