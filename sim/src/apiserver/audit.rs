//! Who asked for what, for counting.

use std::collections::{BTreeMap, VecDeque};

use super::request::Request;

/// One request, as an audit log would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Milliseconds since 1970.
    pub at: i64,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'static str,
    /// The resource's key.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// The namespace, or empty.
    pub namespace: String,
    /// The name, or empty.
    pub name: String,
    /// The `User-Agent`.
    pub user_agent: String,
    /// The HTTP status code.
    pub code: u16,
}

/// What requests are counted by: verb, resource (with `/status`), user agent, code.
pub type AuditKey = (&'static str, String, String, u16);

/// All requests counted, the latest of them kept.
#[derive(Clone, Debug)]
pub struct Audit {
    counts: BTreeMap<AuditKey, u64>,
    records: VecDeque<AuditRecord>,
    capacity: usize,
}

impl Audit {
    pub(crate) fn new(capacity: usize) -> Self {
        Audit { counts: BTreeMap::new(), records: VecDeque::new(), capacity }
    }

    pub(crate) fn record(&mut self, at: i64, request: &Request, code: u16) {
        let verb = request.verb.as_str();
        let slash = if request.subresource.is_empty() { "" } else { "/" };
        let resource = format!("{}{slash}{}", request.resource, request.subresource);
        *self.counts.entry((verb, resource, request.user_agent.clone(), code)).or_default() += 1;
        if self.capacity == 0 {
            return;
        }
        if self.records.len() == self.capacity {
            self.records.pop_front();
        }
        self.records.push_back(AuditRecord {
            at,
            verb,
            resource: request.resource.clone(),
            subresource: request.subresource.clone(),
            namespace: request.namespace.clone().unwrap_or_default(),
            name: request.name.clone(),
            user_agent: request.user_agent.clone(),
            code,
        });
    }

    /// How many requests of each sort there were since the start or the last `clear`.
    pub fn counts(&self) -> &BTreeMap<AuditKey, u64> {
        &self.counts
    }

    /// The latest requests, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &AuditRecord> {
        self.records.iter()
    }

    /// How many writes (not refused ones) there were.
    pub fn writes(&self) -> u64 {
        let write = |verb: &str| !matches!(verb, "get" | "list" | "watch");
        let done = |(verb, _, _, code): &AuditKey| write(verb) && *code < 300;
        self.counts.iter().filter(|(key, _)| done(key)).map(|(_, n)| n).sum()
    }

    /// Forgets everything counted.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.records.clear();
    }
}
