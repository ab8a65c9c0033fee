//! What a kind's objects went through, as a watch shows it.

use crate::Cluster;
use futures::StreamExt as _;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event, watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Remembers every object of a kind that was ever seen in a namespace.
pub struct History {
    seen: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>,
    task: JoinHandle<()>,
}

impl History {
    /// Begins to watch.
    pub fn watch(cluster: &Cluster, kind: &str, namespace: &str) -> Self {
        let (api, seen) = (cluster.api(kind, namespace), Arc::default());
        let remembered: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>> = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut events = pin!(watcher(api, watcher::Config::default()));
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) =
                    event
                {
                    remember(&remembered, &object);
                }
            }
        });
        Self { seen, task }
    }

    /// The UIDs of all objects that ever had this name.
    pub fn uids(&self, name: &str) -> BTreeSet<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(name).cloned().unwrap_or_default()
    }

    /// Every name that was ever seen.
    pub fn names(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.keys().cloned().collect()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn remember(seen: &Mutex<BTreeMap<String, BTreeSet<String>>>, object: &DynamicObject) {
    let name = object.metadata.name.clone().unwrap_or_default();
    let uid = object.metadata.uid.clone().unwrap_or_default();
    seen.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().insert(uid);
}
