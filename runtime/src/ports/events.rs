//! Kubernetes Events: written behind, bounded, never in the way of what they tell of.
//!
//! An Event's name is a function of the object and of what is said, so that the same thing said
//! again is counted on the Event that is there, also after a restart.

use super::now;
use crate::kube_api::{EVENTS, Kube, resource};
use everleaf_engine::{ObjectKey, Timestamp, Uid, digest_of};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::{Event, Kind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Who creates objects.
pub(super) const MANAGER: &str = crate::kube_api::MANAGER;

/// So many Events wait to be written; more are dropped and counted.
const WAITING: usize = 32_768;
/// While so many or more effects are on their way, Events give way to them: what is told can wait,
/// what is done is waited for. So long at most, and not at all once half of the queue is full.
const BUSY: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);
/// So many Events an hour are written of one object.
const PER_HOUR: usize = 10;
const HOUR_MS: i64 = 3_600_000;
/// The longest message that the API server takes.
const MESSAGE_MAX: usize = 1024;

struct Note {
    about: ObjectKey<Kind>,
    uid: Uid,
    event: Event,
    since: Instant,
}

/// Where Events are handed in.
#[derive(Clone)]
pub struct Events {
    notes: mpsc::Sender<Note>,
}

/// Writes the Events that were handed in.
pub struct EventWriter {
    notes: mpsc::Receiver<Note>,
    kube: Kube,
    recent: BTreeMap<Uid, VecDeque<Timestamp>>,
    pruned: Timestamp,
}

impl Events {
    /// A queue and its writer.
    pub fn new(kube: Kube) -> (Self, EventWriter) {
        let (sender, notes) = mpsc::channel(WAITING);
        (
            Self { notes: sender },
            EventWriter { notes, kube, recent: BTreeMap::new(), pruned: now() },
        )
    }

    pub(super) fn send(&self, about: &ObjectKey<Kind>, uid: &Uid, event: &Event) {
        let since = Instant::now();
        let note = Note { about: about.clone(), uid: uid.clone(), event: event.clone(), since };
        if self.notes.try_send(note).is_err() {
            crate::metrics::event_dropped();
        }
    }
}

impl EventWriter {
    /// Writes until every [`Events`] is gone and all that was handed in is written; `underway`
    /// shows how many effects are in flight or queued.
    pub async fn run(mut self, mut underway: watch::Receiver<usize>) {
        while let Some(note) = self.notes.recv().await {
            if self.admits(&note) {
                self.give_way(&note, &mut underway).await;
                self.write(&note).await;
            }
        }
    }

    async fn give_way(&self, note: &Note, underway: &mut watch::Receiver<usize>) {
        if self.notes.len() >= WAITING / 2 {
            return;
        }
        // An operator that has ended closes the channel: nothing is left to give way to.
        let calm = underway.wait_for(|count| *count < BUSY);
        let _ = tokio::time::timeout_at(note.since + PATIENCE, calm).await;
    }

    /// No object may be talked about without end.
    fn admits(&mut self, note: &Note) -> bool {
        let at = now();
        if at.since(self.pruned) > HOUR_MS / 4 {
            self.pruned = at;
            self.recent.retain(|_, times| times.back().is_some_and(|t| at.since(*t) < HOUR_MS));
        }
        let times = self.recent.entry(note.uid.clone()).or_default();
        times.retain(|time| at.since(*time) < HOUR_MS);
        let admitted = times.len() < PER_HOUR;
        if admitted {
            times.push_back(at);
        }
        admitted
    }

    async fn write(&self, note: &Note) {
        let namespace = match &*note.about.namespace {
            "" => "default",
            namespace => namespace,
        };
        let event = event_object(note, namespace);
        let name = event["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match self.kube.create_at(EVENTS, namespace, &event, MANAGER).await {
            Ok(_) => {}
            Err(error) if error.is_taken() => self.count(namespace, &name).await,
            Err(error) => tracing::warn!(about = %note.about, %error, "an Event was not written"),
        }
    }

    /// Counts the same thing said again.
    async fn count(&self, namespace: &str, name: &str) {
        let path = (namespace, name);
        let found = self.kube.get_at(EVENTS, path).await;
        let count = found.ok().and_then(|event| event.get("count").and_then(Value::as_i64));
        let count = count.unwrap_or(1).saturating_add(1);
        let patch = json!({ "count": count, "lastTimestamp": rfc3339(now()) });
        if let Err(error) = self.kube.patch_at(EVENTS, path, &patch).await {
            tracing::debug!(%error, "an Event was not counted");
        }
    }
}

fn event_object(note: &Note, namespace: &str) -> Value {
    let Note { about, uid, event, .. } = note;
    let said = digest_of(&(uid, &event.reason, &event.message, event.warning));
    let stem: String = about.name.chars().take(230).collect();
    let resource = resource(about.kind);
    let at = rfc3339(now());
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": format!("{stem}.{said}"), "namespace": namespace },
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": uid,
        },
        "type": if event.warning { "Warning" } else { "Normal" },
        "reason": event.reason,
        "message": cut(&event.message, MESSAGE_MAX),
        "source": { "component": "everleaf" },
        "reportingComponent": "everleaf",
        "reportingInstance": "",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    })
}

/// The text, cut at a character within so many bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
