//! The engine's whole state as data: what a rotated journal file opens with.

use super::barrier::Barriers;
use super::{ClockGuard, Config, Engine, FeedState};
use crate::ids::{Epoch, ObjectKey, Tag, Uid};
use crate::instance::Instance;
use crate::lanes::Lanes;
use crate::program::Program;
use crate::time::Timestamp;
use crate::world::Object;
use serde::{Deserialize, Serialize};

/// Maps whose keys are no strings, as lists of pairs: JSON has only string keys.
pub(super) mod pairs {
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(crate) fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        D: Deserializer<'de>,
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// The state of an engine. Restoring it and going on is the same as never having stopped.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Snapshot<P: Program> {
    config: Config,
    now: Timestamp,
    epoch: Option<Epoch>,
    clock: ClockGuard,
    unexplained: u64,
    feeds: Vec<FeedState<P::Kind>>,
    objects: Vec<(ObjectKey<P::Kind>, Object<P::Facts>)>,
    tombstones: Vec<(Uid, Timestamp)>,
    instances: Vec<(ObjectKey<P::Kind>, Instance<P::Effect>, Vec<Tag<P::Kind>>)>,
    lanes: Lanes<P::Kind>,
    barriers: Barriers<P::Kind>,
}

impl<P: Program> Engine<P> {
    /// The whole state. Commands that were not polled yet are not part of it.
    pub fn snapshot(&self) -> Snapshot<P> {
        let reads = |key| self.reads.get(key).cloned().unwrap_or_default();
        let objects = self.world.iter().map(|(key, object)| (key.clone(), object.clone()));
        let instances = self.instances.iter().map(|(k, i)| (k.clone(), i.clone(), reads(k)));
        Snapshot {
            config: self.config,
            now: self.now,
            epoch: self.epoch,
            clock: self.clock.clone(),
            unexplained: self.unexplained,
            feeds: self.feeds.clone(),
            objects: objects.collect(),
            tombstones: self.world.tombstones().collect(),
            instances: instances.collect(),
            lanes: self.lanes.clone(),
            barriers: self.barriers.clone(),
        }
    }

    /// An engine in that state.
    pub fn restore(program: P, snapshot: Snapshot<P>) -> Self {
        let mut engine = Self::new(program, snapshot.config);
        engine.world.restore(&engine.program, snapshot.objects, snapshot.tombstones);
        for (key, instance, reads) in snapshot.instances {
            engine.adopt(key, instance, reads);
        }
        engine.now = snapshot.now;
        engine.epoch = snapshot.epoch;
        engine.clock = snapshot.clock;
        engine.unexplained = snapshot.unexplained;
        engine.feeds = snapshot.feeds;
        engine.lanes = snapshot.lanes;
        engine.barriers = snapshot.barriers;
        engine
    }

    fn adopt(
        &mut self,
        key: ObjectKey<P::Kind>,
        instance: Instance<P::Effect>,
        reads: Vec<Tag<P::Kind>>,
    ) {
        for tag in &reads {
            self.readers.entry(tag.clone()).or_default().insert(key.clone());
        }
        for (at, due) in &instance.armed {
            self.schedule.arm(*at, &instance.uid, *due);
        }
        self.instances_sum.add(instance.digest);
        self.subjects.insert(instance.uid.clone(), key.clone());
        self.reads.insert(key.clone(), reads);
        self.instances.insert(key, instance);
    }
}
