//! The engine's whole state as data: what a rotated journal file opens with.

use super::barrier::Raised;
use super::flight::Adrift;
use super::{ClockGuard, Config, Engine, FeedState};
use crate::ids::{Epoch, ObjectKey, Tag, Uid};
use crate::instance::Instance;
use crate::lanes::Lanes;
use crate::program::Program;
use crate::step::{Activity, Step};
use crate::time::Timestamp;
use crate::world::{Objects, Place, Tomb};
use serde::{Deserialize, Serialize};

/// The state of an engine. Restoring it and going on is the same as never having stopped.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Snapshot<P: Program> {
    config: Config,
    now: Timestamp,
    epoch: Option<Epoch>,
    #[serde(default)]
    since: Timestamp,
    clock: ClockGuard,
    unexplained: u64,
    feeds: Vec<FeedState<P::Kind>>,
    objects: Objects<P>,
    tombstones: Vec<Tomb>,
    machines: Vec<Machine<P>>,
    adrift: Vec<(Uid, Adrift<P>)>,
    lanes: Lanes,
    barriers: Vec<Raised<P::Kind>>,
}

/// What is remembered of one object, and where its last decision looked.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Machine<P: Program> {
    object: ObjectKey<P::Kind>,
    instance: Instance<P::Effect>,
    reads: Vec<Tag<P::Kind>>,
}

impl<P: Program> Engine<P> {
    /// The whole state. Commands that were not polled yet are not part of it: poll them first.
    pub fn snapshot(&self) -> Snapshot<P> {
        let places = self.world.ordered();
        let machine = |(at, place): &(u32, &Place<P>)| {
            let instance = place.instance.as_deref()?.clone();
            Some(Machine { object: place.key.clone(), instance, reads: self.world.reads(*at) })
        };
        let adrift = self.adrift.iter().map(|(uid, adrift)| (uid.clone(), adrift.clone()));
        Snapshot {
            config: self.config,
            now: self.now,
            epoch: self.epoch,
            since: self.since,
            clock: self.clock,
            unexplained: self.unexplained,
            feeds: self.feeds.clone(),
            objects: places.iter().map(|(_, p)| (p.key.clone(), p.object.clone())).collect(),
            tombstones: self.world.tombs(),
            machines: places.iter().filter_map(machine).collect(),
            adrift: adrift.collect(),
            lanes: self.lanes.clone(),
            barriers: self.barriers.list(),
        }
    }

    /// An engine in that state. Machines that the program's plan does not know are left out; they
    /// are looked at as if for the first time.
    pub fn restore(program: P, snapshot: Snapshot<P>) -> Self {
        let mut engine = Self::new(program, snapshot.config);
        let config = engine.config;
        engine.now = snapshot.now;
        engine.epoch = snapshot.epoch;
        engine.since = snapshot.since;
        engine.clock = snapshot.clock;
        engine.unexplained = snapshot.unexplained;
        engine.lanes =
            snapshot.lanes.with_caps(config.effects_in_flight, config.effects_in_flight_per_lane);
        let feeds = engine.feeds.len();
        engine.feeds = snapshot.feeds;
        engine.feeds.resize_with(feeds, FeedState::default);
        engine.note_feeds();
        engine.world.restore(&engine.program, snapshot.objects, snapshot.tombstones);
        snapshot.machines.into_iter().for_each(|machine| engine.adopt(machine));
        for (uid, adrift) in snapshot.adrift {
            engine.set_adrift(uid, adrift);
        }
        engine.restore_barriers(snapshot.barriers);
        engine.sum_up();
        engine
    }

    fn adopt(&mut self, Machine { object, instance, reads }: Machine<P>) {
        let at = self.world.find(&object).filter(|at| self.fits(*at, &instance));
        let Some(at) = at else { return self.abandon(&object, &instance) };
        for (instant, due) in &instance.armed {
            self.schedule.arm(*instant, &instance.uid, *due);
        }
        self.world.set_instance(at, instance);
        self.world.set_reads(at, &[], &reads);
        self.changed.push(at);
    }

    /// Whether the plan at hand knows the machine, its state and its steps.
    fn fits(&self, at: u32, instance: &Instance<P::Effect>) -> bool {
        let Some(place) = self.world.place(at).filter(|p| p.instance.is_none()) else {
            return false;
        };
        let machine = usize::from(instance.machine);
        let Some(plan) = self.program.plan().machines.get(machine) else { return false };
        let known = |step: &Step<_>| usize::from(step.step) < plan.effects.len();
        self.program.machine(place.key.kind) == Some(machine)
            && place.object.uid == instance.uid
            && usize::from(instance.state) < plan.states.len()
            && instance.steps.iter().all(known)
    }

    /// Leaves a machine out, and its effects with it.
    fn abandon(&mut self, key: &ObjectKey<P::Kind>, instance: &Instance<P::Effect>) {
        for step in &instance.steps {
            match &step.activity {
                Activity::Queued(queued) => self.lanes.withdraw(&queued.lane, queued.ticket),
                Activity::InFlight(flight) => self.lanes.done(&flight.lane),
                Activity::Idle => {}
            }
        }
        if let Some(at) = self.world.find(key) {
            self.world.mark(at);
        }
    }
}
