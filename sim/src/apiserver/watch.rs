//! Watches: cursors over a resource's log.

use std::sync::Arc;

use serde_json::{Value, json};

use super::faults::{Ask, Fault};
use super::request::{Request, Response, Verb};
use super::selector::Selector;
use super::status::{ApiError, Cause};
use super::store::Change;
use super::{ApiServer, read};

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// `ADDED`: new, or newly selected.
    Added,
    /// `MODIFIED`.
    Modified,
    /// `DELETED`: gone, or no longer selected.
    Deleted,
    /// `BOOKMARK`: nothing but a resourceVersion.
    Bookmark,
    /// `ERROR`: a `Status`; the watch ends.
    Error,
}

impl EventType {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Added => "ADDED",
            EventType::Modified => "MODIFIED",
            EventType::Deleted => "DELETED",
            EventType::Bookmark => "BOOKMARK",
            EventType::Error => "ERROR",
        }
    }
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventType,
    /// The object, or a `Status`.
    pub object: Arc<Value>,
}

impl WatchEvent {
    /// The resourceVersion of its object; 0 if it has none.
    pub fn version(&self) -> u64 {
        let text = self.object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        text.parse().unwrap_or_default()
    }

    /// `{"type": ..., "object": ...}`.
    pub fn to_value(&self) -> Value {
        json!({"type": self.kind.as_str(), "object": *self.object})
    }
}

/// A watch asked for versions the log no longer holds: list again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Gone {
    /// The version asked for.
    pub asked: u64,
    /// The oldest version that can be asked for.
    pub oldest: u64,
}

/// What a watch is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchInfo {
    /// A number of its own within this server.
    pub id: u64,
    /// The resource's key.
    pub resource: String,
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
    /// The `User-Agent` that opened it.
    pub user_agent: String,
}

/// One open watch.
#[derive(Clone, Debug)]
pub struct Watch {
    info: WatchInfo,
    selector: Selector,
    version: u64,
    initial: Vec<WatchEvent>,
    initial_end: bool,
    bookmarks: bool,
    metadata_only: bool,
    bookmark_at: i64,
    ends_at: Option<i64>,
    ended: bool,
}

/// A bookmark is due this long after the last, in milliseconds.
const BOOKMARK_EVERY: i64 = 60_000;

impl Watch {
    /// What this watch is of.
    pub fn info(&self) -> &WatchInfo {
        &self.info
    }

    /// Whether it has ended; nothing more will come.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// When it ends by its own `timeoutSeconds`, in milliseconds since 1970.
    pub fn ends_at(&self) -> Option<i64> {
        self.ends_at
    }
}

/// What a change means to a watch with this selector.
fn seen(change: &Change, selector: &Selector) -> Option<WatchEvent> {
    let was = change.before.as_ref().is_some_and(|b| selector.matches(b));
    let is = !change.deleted && selector.matches(&change.object);
    let kind = match (was, is) {
        (false, false) => return None,
        (false, true) => EventType::Added,
        (true, true) => EventType::Modified,
        (true, false) => EventType::Deleted,
    };
    let object = match &change.before {
        // Deselected: the last state that was selected, under the new version.
        Some(before) if kind == EventType::Deleted && !change.deleted => {
            let mut last = Value::clone(before);
            last["metadata"]["resourceVersion"] = json!(change.version.to_string());
            Arc::new(last)
        }
        _ => change.object.clone(),
    };
    Some(WatchEvent { kind, object })
}

impl ApiServer {
    /// Everything that happened to a resource after `version`, as a watch with this selector
    /// would tell it. No faults, no audit: for looking on.
    pub fn watch_since(
        &self,
        resource: &str,
        version: u64,
        selector: &Selector,
    ) -> Result<Vec<WatchEvent>, Gone> {
        let table = self.store.table(read::table_of(resource));
        if version < table.compacted {
            return Err(Gone { asked: version, oldest: table.compacted });
        }
        let out = |object: Arc<Value>| read::outward(resource, object);
        let events = table.since(version).filter_map(|change| {
            let event = match resource {
                read::NEW_EVENTS => seen(&outward_change(change), selector),
                _ => seen(change, selector),
            }?;
            Some(WatchEvent { object: out(event.object), ..event })
        });
        Ok(events.collect())
    }

    /// Opens a watch. Errors are what a client gets instead of a stream.
    pub fn open_watch(&mut self, now: i64, request: &Request) -> Result<Watch, Response> {
        let request = &Request { verb: Verb::Watch, ..request.clone() };
        let fault = self.ask(now, Ask::Request(request));
        let opened = match self.refusal(&fault, request) {
            Some(refused) => Err(refused),
            None => self.start_watch(now, request).map_err(Response::from),
        };
        let code = opened.as_ref().map_or_else(|refused| refused.code, |_| 200);
        self.audit.record(now, request, code);
        opened
    }

    fn start_watch(&mut self, now: i64, request: &Request) -> Result<Watch, ApiError> {
        let def = self.def(&request.resource)?;
        let options = &request.options;
        check_initial_events(request)?;
        let selector = Selector::parse(
            &def,
            request.namespace.as_deref(),
            &options.label_selector,
            &options.field_selector,
        )?;
        let selector =
            if request.name.is_empty() { selector } else { selector.named(&request.name) };
        let asked = match options.resource_version.as_str() {
            "" => 0,
            text => text.parse().map_err(|_| {
                let why = format!("strconv.ParseUint: parsing \"{text}\": invalid syntax");
                ApiError::internal(format!("resourceVersion: Invalid value: \"{text}\": {why}"))
            })?,
        };
        let listed = options.send_initial_events.unwrap_or(asked == 0);
        self.watches += 1;
        let mut watch = Watch {
            info: WatchInfo {
                id: self.watches,
                resource: request.resource.clone(),
                namespace: request.namespace.clone(),
                user_agent: request.user_agent.clone(),
            },
            selector,
            version: asked,
            initial: Vec::new(),
            initial_end: listed && options.send_initial_events == Some(true),
            bookmarks: options.allow_watch_bookmarks,
            metadata_only: options.metadata_only,
            bookmark_at: now + BOOKMARK_EVERY,
            ends_at: options.timeout_seconds.map(|s| now + i64::from(s) * 1000),
            ended: false,
        };
        if listed {
            self.fill_initial(&mut watch);
        } else if asked == 0 {
            watch.version = self.store.version;
        }
        Ok(watch)
    }

    fn fill_initial(&self, watch: &mut Watch) {
        let resource = &watch.info.resource;
        let objects = self.store.table(read::table_of(resource)).objects.values();
        let all = objects.map(|o| read::outward(resource, o.clone()));
        let selected = all.filter(|o| watch.selector.matches(o));
        watch.initial =
            selected.map(|object| WatchEvent { kind: EventType::Added, object }).collect();
        watch.version = self.store.version;
    }

    /// What is new for a watch, faults included. Ends it when its time is up, when a fault says
    /// so, or with an ERROR event when its version is too old.
    pub fn poll_watch(&mut self, now: i64, watch: &mut Watch) -> Vec<WatchEvent> {
        if watch.ended {
            return Vec::new();
        }
        let horizon = match self.ask(now, Ask::Poll(&watch.info)) {
            Fault::Drop => {
                watch.ended = true;
                return Vec::new();
            }
            Fault::Gone => {
                let gone = Gone { asked: watch.version, oldest: self.store.version };
                return vec![self.fail(watch, gone)];
            }
            Fault::Stall => return Vec::new(),
            Fault::Lag(ms) => Some(now.saturating_sub(ms)),
            _ => None,
        };
        let mut events = std::mem::take(&mut watch.initial);
        if std::mem::take(&mut watch.initial_end) && watch.bookmarks {
            events.push(self.bookmark(watch, true));
        }
        match self.news(watch, horizon) {
            Ok(news) => events.extend(news),
            Err(gone) => events.push(self.fail(watch, gone)),
        }
        self.close_in_time(now, watch, &mut events);
        self.delivered(now, watch, events)
    }

    fn news(&self, watch: &mut Watch, horizon: Option<i64>) -> Result<Vec<WatchEvent>, Gone> {
        let resource = watch.info.resource.clone();
        let table = self.store.table(read::table_of(&resource));
        let limit = match horizon {
            None => self.store.version.max(watch.version),
            Some(at) => {
                let fresh = table.since(watch.version).find(|c| c.at > at);
                fresh.map_or(self.store.version.max(watch.version), |c| c.version - 1)
            }
        };
        let mut out = self.watch_since(&resource, watch.version, &watch.selector)?;
        out.retain(|event| event.version() <= limit);
        watch.version = limit;
        Ok(out)
    }

    fn close_in_time(&self, now: i64, watch: &mut Watch, events: &mut Vec<WatchEvent>) {
        let over = watch.ends_at.is_some_and(|at| now >= at);
        if watch.bookmarks && !watch.ended && (over || now >= watch.bookmark_at) {
            events.push(self.bookmark(watch, false));
            watch.bookmark_at = now + BOOKMARK_EVERY;
        }
        watch.ended |= over;
    }

    fn delivered(&mut self, now: i64, watch: &Watch, events: Vec<WatchEvent>) -> Vec<WatchEvent> {
        let mut out = Vec::with_capacity(events.len());
        for mut event in events {
            if watch.metadata_only && event.kind != EventType::Error {
                event.object = Arc::new(read::partial(&event.object));
            }
            let twice = match self.ask(now, Ask::Event(&watch.info, &event)) {
                Fault::Lose if event.kind == EventType::Bookmark => continue,
                Fault::Duplicate => true,
                _ => false,
            };
            if twice {
                out.push(event.clone());
            }
            out.push(event);
        }
        out
    }

    fn bookmark(&self, watch: &Watch, initial_end: bool) -> WatchEvent {
        let (kind, api_version) = self
            .def(&watch.info.resource)
            .map(|d| (d.kind.clone(), d.api_version()))
            .unwrap_or_default();
        let version = watch.version.to_string();
        let mut object = json!({"kind": kind, "apiVersion": api_version, "metadata": {"resourceVersion": version}});
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        WatchEvent { kind: EventType::Bookmark, object: Arc::new(object) }
    }

    fn fail(&self, watch: &mut Watch, gone: Gone) -> WatchEvent {
        watch.ended = true;
        let status = ApiError::expired(gone.to_string()).to_value();
        WatchEvent { kind: EventType::Error, object: Arc::new(status) }
    }
}

fn outward_change(change: &Change) -> Change {
    let out = |o: &Arc<Value>| read::outward(read::NEW_EVENTS, o.clone());
    Change {
        before: change.before.as_ref().map(out),
        object: out(&change.object),
        ..change.clone()
    }
}

fn check_initial_events(request: &Request) -> Result<(), ApiError> {
    let options = &request.options;
    let refuse = |field: &str, why: &str| {
        Err(ApiError::invalid_options("ListOptions", Cause::forbidden(field, why)))
    };
    match (options.send_initial_events, options.resource_version_match.as_str()) {
        (None, "") | (Some(_), "NotOlderThan") => Ok(()),
        (None, _) => {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
                       provided";
            refuse("resourceVersionMatch", why)
        }
        (Some(_), _) => {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            refuse("resourceVersionMatch", why)
        }
    }
}
