//! How a replica learns of the cluster: lists, watches, live reads, and what goes wrong with them.

use super::config::{MINUTE, Mutant};
use super::project::{self, Identity, SOURCES, Source};
use super::{Action, World};
use crate::apiserver::{EventType, Fault, Request, Script, Verb, Watch, WatchEvent, When};
use everleaf_engine::{Delta, Input, ObjectKey};
use everleaf_nodes::facts::{Content, Facts, Kind};
use everleaf_nodes::feed;
use serde_json::Value;

/// Where a replica is in one feed.
#[derive(Default)]
pub(super) struct Cursor {
    watch: Option<Watch>,
    version: u64,
    /// Whether a poll is under way.
    pending: bool,
}

/// How far a replica of the API server may lag, in milliseconds.
const STALE: i64 = 30_000;

type Seen = Delta<Kind, Facts>;

impl World {
    /// Lists every feed; a replica does so when it begins to lead.
    pub(super) fn list_all(&mut self, at: usize) {
        let life = self.replicas[at].life;
        self.replicas[at].listed = [false; 11];
        if self.config.mutant == Mutant::ActsBeforeSync {
            for source in &SOURCES[1..] {
                let feed = source.feed;
                self.input(at, Input::Observed(Delta::ListBegin { feed }));
                self.input(at, Input::Observed(Delta::ListEnd { feed, rv: 0 }));
            }
        }
        for source in 0..SOURCES.len() {
            self.replicas[at].cursors[source] = Cursor::default();
            let delay = self.list_delay();
            self.after(delay, Action::List { at, life, source });
        }
        self.list_keys(at);
    }

    fn list_delay(&mut self) -> i64 {
        let slow = self.faulty && self.config.faults.watch_stall && self.faults.chance(100);
        if slow { self.latency.between(0, 3 * MINUTE) } else { self.latency.between(2, 300) }
    }

    /// Lists one feed and opens its watch.
    pub(super) fn list(&mut self, at: usize, source: usize) {
        let life = self.replicas[at].life;
        if self.replicas[at].leads.is_none() {
            return;
        }
        let from: &Source = &SOURCES[source];
        let mut request = Request::list(from.resource, "").from_agent("everleaf");
        request.options.label_selector = from.selector.to_owned();
        request.options.metadata_only = from.metadata_only;
        if let Some(stale) = self.stale_version() {
            let when = When::Request(Verb::List, from.resource.to_owned());
            let script = Script::default().then(when, Fault::Stale(stale));
            self.server.set_faults(Some(Box::new(script)));
        }
        let response = self.server.handle(self.now, &request);
        self.server.set_faults(None);
        let broken = self.faulty && self.config.faults.throttle && self.faults.chance(100);
        if !response.is_success() || broken {
            let delay = self.latency.between(500, 10_000);
            return self.after(delay, Action::List { at, life, source });
        }
        let version = project::version(&response.body);
        self.show_list(at, from, &response.body, version);
        self.open(at, source, version);
    }

    /// A version that a lagging replica of the API server may be at.
    fn stale_version(&mut self) -> Option<u64> {
        let on = self.faulty && self.config.faults.stale_list && self.faults.chance(300);
        let version = self.server.version();
        while self.versions.front().is_some_and(|(at, _)| self.now - at > STALE) {
            self.versions.pop_front();
        }
        let oldest = self.versions.front().map_or(version, |(_, version)| *version);
        let stale = version.saturating_sub(self.faults.below(20)).max(oldest);
        (on && stale < version).then_some(stale)
    }

    fn show_list(&mut self, at: usize, from: &Source, list: &Value, version: u64) {
        let Some(kind) = project::kind(from.resource) else { return };
        let items = list["items"].as_array().cloned().unwrap_or_default();
        self.input(at, Input::Observed(Delta::ListBegin { feed: from.feed }));
        for item in &items {
            if let Some(seen) = self.applied(at, kind, from, item, false) {
                self.observe(at, seen);
            }
        }
        let end = Delta::ListEnd { feed: from.feed, rv: version };
        self.replicas[at].listed[usize::from(from.feed)] = true;
        self.input(at, Input::Observed(end));
    }

    fn open(&mut self, at: usize, source: usize, version: u64) {
        let life = self.replicas[at].life;
        let from = &SOURCES[source];
        let mut request = Request::new(Verb::Watch, from.resource, "", "").from_agent("everleaf");
        request.options.label_selector = from.selector.to_owned();
        request.options.metadata_only = from.metadata_only;
        request.options.resource_version = version.to_string();
        match self.server.open_watch(self.now, &request) {
            Ok(watch) => {
                let cursor = &mut self.replicas[at].cursors[source];
                *cursor = Cursor { watch: Some(watch), version, pending: false };
                self.poll_soon(at, source);
            }
            Err(_) => {
                let delay = self.latency.between(500, 5000);
                self.after(delay, Action::List { at, life, source });
            }
        }
    }

    /// Something of a resource changed: every watch of it will be told in a while.
    pub(super) fn announce(&mut self, resource: &str) {
        for at in 0..self.replicas.len() {
            for (source, from) in SOURCES.iter().enumerate() {
                if from.resource == resource {
                    self.poll_soon(at, source);
                }
            }
        }
    }

    fn poll_soon(&mut self, at: usize, source: usize) {
        let cursor = &mut self.replicas[at].cursors[source];
        if cursor.watch.is_none() || std::mem::replace(&mut cursor.pending, true) {
            return;
        }
        let life = self.replicas[at].life;
        let lag = self.watch_lag();
        self.after(lag, Action::Poll { at, life, source });
    }

    fn watch_lag(&mut self) -> i64 {
        let on = self.config.faults;
        match () {
            () if self.faulty && on.watch_stall && self.faults.chance(10) => {
                self.latency.between(MINUTE, 20 * MINUTE)
            }
            () if self.faulty && on.watch_lag && self.faults.chance(200) => {
                self.latency.between(500, 45_000)
            }
            () => self.latency.between(1, 60),
        }
    }

    /// Delivers what a watch has to tell.
    pub(super) fn poll(&mut self, at: usize, source: usize) {
        let cursor = &mut self.replicas[at].cursors[source];
        cursor.pending = false;
        let Some(mut watch) = cursor.watch.take() else { return };
        let on = self.config.faults;
        if self.faulty && on.gone && self.faults.chance(5) {
            let version = self.server.version();
            self.server.compact(version);
        }
        if self.faulty && on.watch_drop && self.faults.chance(10) {
            return self.reconnect(at, source);
        }
        let events = self.server.poll_watch(self.now, &mut watch);
        if self.config.relists && !events.is_empty() {
            return self.list(at, source);
        }
        let failed = events.iter().any(|event| event.kind == EventType::Error);
        if failed || watch.ended() {
            let life = self.replicas[at].life;
            let delay = self.latency.between(5, 3000);
            return self.after(delay, Action::List { at, life, source });
        }
        self.replicas[at].cursors[source].watch = Some(watch);
        for event in events {
            let twice = self.faulty && on.duplicate && self.faults.chance(100);
            self.replicas[at].cursors[source].version = event.version();
            if twice {
                self.show(at, source, &event);
            }
            self.show(at, source, &event);
        }
    }

    /// A watch broke: it goes on from where it was, or everything is listed again.
    fn reconnect(&mut self, at: usize, source: usize) {
        let life = self.replicas[at].life;
        let version = self.replicas[at].cursors[source].version;
        let delay = self.latency.between(5, 10_000);
        let action = if self.faults.chance(500) {
            Action::List { at, life, source }
        } else {
            Action::Open { at, life, source, version }
        };
        self.after(delay, action);
    }

    pub(super) fn reopen(&mut self, at: usize, source: usize, version: u64) {
        if self.replicas[at].leads.is_some() {
            self.open(at, source, version);
        }
    }

    fn show(&mut self, at: usize, source: usize, event: &WatchEvent) {
        let from = &SOURCES[source];
        let Some(kind) = project::kind(from.resource) else { return };
        let delta = match event.kind {
            EventType::Added | EventType::Modified => {
                self.applied(at, kind, from, &event.object, false)
            }
            EventType::Deleted => {
                let Identity { key, uid, .. } = project::identity(kind, &event.object);
                if kind == Kind::Secret {
                    // It may only have left this feed's selection and entered the other's.
                    return self.look_again(at, key);
                }
                Some(Delta::Deleted { feed: from.feed, key, uid })
            }
            EventType::Bookmark | EventType::Error => None,
        };
        if let Some(delta) = delta {
            self.observe(at, delta);
        }
    }

    fn look_again(&mut self, at: usize, key: ObjectKey<Kind>) {
        let life = self.replicas[at].life;
        let delay = self.latency.between(2, 60);
        self.after(delay, Action::Read { at, life, key });
    }

    /// Tells the engine. A key that was seen in a Secret is kept in memory no longer: the answer
    /// to the write that put it there may have been lost.
    pub(super) fn observe(&mut self, at: usize, seen: Seen) {
        let stored = match &seen {
            Delta::Applied { facts: Facts::Secret(secret), .. } if !secret.next_key => {
                let key = secret.material().and_then(|material| material.key.good());
                key.map(|key| key.fingerprint.clone())
            }
            _ => None,
        };
        self.input(at, Input::Observed(seen));
        let Some(fingerprint) = stored else { return };
        let keys = self.replicas[at].keys.iter();
        let held = keys.filter(|(_, key)| key.fp == fingerprint && !key.reused);
        let held: Vec<_> = held.map(|(id, _)| id.clone()).collect();
        held.iter().for_each(|id| self.forget_key(at, id, &fingerprint));
    }

    fn applied(
        &mut self,
        at: usize,
        kind: Kind,
        from: &Source,
        object: &Value,
        live: bool,
    ) -> Option<Seen> {
        let identity = project::identity(kind, object);
        let whole = live || !from.metadata_only;
        let mut facts = project::facts(kind, object, whole)?;
        let contents = &mut self.replicas[at].contents;
        match &mut facts {
            // What was read whole at this very version stays known when only metadata is shown.
            Facts::Secret(secret) if matches!(secret.content, Content::Unread) => {
                let known = contents.get(&identity.uid).filter(|(rv, _)| *rv == identity.rv);
                facts = known.map_or(facts, |(_, known)| known.clone());
            }
            Facts::Secret(_) if live => {
                contents.insert(identity.uid.clone(), (identity.rv, facts.clone()));
            }
            _ => {}
        }
        if self.config.mutant != Mutant::None {
            super::mutant::distort(self.config.mutant, &mut facts);
        }
        let (key, uid, rv) = (identity.key, identity.uid, identity.rv);
        Some(Delta::Applied { feed: from.feed, key, uid, rv, live, facts })
    }

    /// Reads one object live and tells the engine.
    pub(super) fn read_live(&mut self, at: usize, key: &ObjectKey<Kind>) {
        let delta = if key.kind == Kind::Key {
            self.read_key(at, key)
        } else {
            let failed = self.faulty && self.config.faults.throttle && self.faults.chance(50);
            self.live(at, key, failed)
        };
        self.observe(at, delta);
    }

    fn live(&mut self, at: usize, key: &ObjectKey<Kind>, failed: bool) -> Seen {
        if failed {
            self.look_again(at, key.clone());
            return Delta::Unreadable { key: key.clone(), message: "503".to_owned() };
        }
        let request = Request::get(project::resource(key.kind), &key.namespace, &key.name);
        let response = self.server.handle(self.now, &request.from_agent("everleaf"));
        match response.code {
            200 => self
                .shown_live(at, key.kind, &response.body)
                .unwrap_or(Delta::Unreadable { key: key.clone(), message: "unread".to_owned() }),
            404 => Delta::Absent { key: key.clone() },
            code => Delta::Unreadable { key: key.clone(), message: code.to_string() },
        }
    }

    /// The observation of an object that was just read, or written, whole.
    pub(super) fn shown_live(&mut self, at: usize, kind: Kind, object: &Value) -> Option<Seen> {
        let labelled = object
            .pointer("/metadata/labels/controller.cert-manager.io~1fao")
            .is_some_and(|label| label == "true");
        let feed = match kind {
            Kind::Secret if labelled => feed::LABELLED_SECRETS,
            Kind::Secret => feed::OTHER_SECRETS,
            _ => SOURCES.iter().find(|s| s.resource == project::resource(kind))?.feed,
        };
        let from = SOURCES.iter().find(|source| source.feed == feed)?;
        self.applied(at, kind, from, object, true)
    }
}
