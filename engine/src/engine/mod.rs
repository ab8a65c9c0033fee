//! The engine itself: one input in, decisions out.

mod barrier;
mod evaluate;
mod inputs;
mod snapshot;
mod status;

use crate::digest::Digest;
use crate::ids::{Epoch, ObjectKey, Tag, Uid};
use crate::instance::Instance;
use crate::lanes::Lanes;
use crate::program::{Command, Input, Move, Program, Record, Started};
use crate::schedule::{Due, Schedule};
use crate::time::Timestamp;
use crate::world::World;
use barrier::Barriers;
use serde::{Deserialize, Serialize};
pub use snapshot::Snapshot;
pub use status::{Armed, Status, StepStatus};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bounds of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The most effects in flight.
    pub effects_in_flight: u32,
    /// The most effects in flight of one lane.
    pub effects_in_flight_per_lane: u32,
    /// How long a feed may take to show one of our writes, in milliseconds, before the object
    /// is read live.
    pub write_visible_within_ms: i64,
    /// How long until a failed live read, or an unanswered question for the time, is repeated.
    pub reread_after_ms: i64,
    /// How far our clock may be from the API server's, in milliseconds, after a step.
    pub clock_tolerance_ms: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            effects_in_flight: 256,
            effects_in_flight_per_lane: 128,
            write_visible_within_ms: 30_000,
            reread_after_ms: 5_000,
            clock_tolerance_ms: 300_000,
        }
    }
}

/// When the engine has to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// At once, with [`Input::Tick`].
    Now,
    /// At this instant.
    At(Timestamp),
    /// Only when something happens.
    OnlyWhenTold,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Deserialize<'de>"))]
struct FeedState<K: Ord> {
    synced: bool,
    listing: Option<BTreeSet<ObjectKey<K>>>,
}

impl<K: Ord> Default for FeedState<K> {
    fn default() -> Self {
        Self { synced: false, listing: None }
    }
}

/// Whether the wall clock can be trusted with spending.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ClockGuard {
    doubted: bool,
    ask_at: Option<Timestamp>,
}

/// The engine of one shard. See the [crate's documentation](crate).
pub struct Engine<P: Program> {
    program: P,
    config: Config,
    world: World<P>,
    instances: BTreeMap<ObjectKey<P::Kind>, Instance<P::Effect>>,
    subjects: BTreeMap<Uid, ObjectKey<P::Kind>>,
    reads: BTreeMap<ObjectKey<P::Kind>, Vec<Tag<P::Kind>>>,
    readers: BTreeMap<Tag<P::Kind>, BTreeSet<ObjectKey<P::Kind>>>,
    schedule: Schedule,
    lanes: Lanes<P::Kind>,
    barriers: Barriers<P::Kind>,
    dirty: BTreeSet<ObjectKey<P::Kind>>,
    feeds: Vec<FeedState<P::Kind>>,
    epoch: Option<Epoch>,
    now: Timestamp,
    clock: ClockGuard,
    instances_sum: Digest,
    outbox: VecDeque<Command<P::Kind, P::Effect>>,
    effects: Vec<Started>,
    moves: Vec<Move>,
    unexplained: u64,
}

impl<P: Program> Engine<P> {
    /// An engine that has seen nothing yet and leads nothing.
    pub fn new(program: P, config: Config) -> Self {
        let feeds = program.feeds().iter().map(|_| FeedState::default()).collect();
        Self {
            lanes: Lanes::new(config.effects_in_flight, config.effects_in_flight_per_lane),
            program,
            config,
            world: World::default(),
            instances: BTreeMap::new(),
            subjects: BTreeMap::new(),
            reads: BTreeMap::new(),
            readers: BTreeMap::new(),
            schedule: Schedule::default(),
            barriers: Barriers::default(),
            dirty: BTreeSet::new(),
            feeds,
            epoch: None,
            now: Timestamp::default(),
            clock: ClockGuard::default(),
            instances_sum: Digest::default(),
            outbox: VecDeque::new(),
            effects: Vec::new(),
            moves: Vec::new(),
            unexplained: 0,
        }
    }

    /// Takes one input in and decides. `now` is the wall clock; if it is earlier than that of
    /// the input before, in the same epoch, the earlier input's counts.
    pub fn handle(&mut self, now: Timestamp, input: Input<P::Kind, P::Facts>) -> Record {
        let begins = matches!(input, Input::Leadership(Some(_)));
        self.now = if begins { now } else { self.now.max(now) };
        self.take_in(input);
        self.fire();
        self.settle();
        self.dispatch();
        Record {
            effects: std::mem::take(&mut self.effects),
            moves: std::mem::take(&mut self.moves),
            state: self.state_digest(),
        }
    }

    /// The next thing for the driver to do.
    pub fn poll_effect(&mut self) -> Option<Command<P::Kind, P::Effect>> {
        self.outbox.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`], if nothing happens before.
    pub fn poll_wake(&self) -> Wake {
        let wakes = [self.schedule.next(), self.barriers.next(), self.clock.ask_at];
        match wakes.into_iter().flatten().min() {
            None => Wake::OnlyWhenTold,
            Some(at) if at <= self.now => Wake::Now,
            Some(at) => Wake::At(at),
        }
    }

    /// The program.
    pub fn program(&self) -> &P {
        &self.program
    }

    /// Every observed object.
    pub fn world(&self) -> &World<P> {
        &self.world
    }

    /// The epoch that we lead, if we do.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The latest instant that the engine was told.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Moves that the plan did not explain, so far. Each one is a bug.
    pub fn unexplained_moves(&self) -> u64 {
        self.unexplained
    }

    /// The digest of everything that decides what comes next.
    pub fn state_digest(&self) -> Digest {
        let mut digest = self.world.sum();
        digest.add(self.instances_sum);
        digest
    }

    /// Marks everything dirty that waits for an instant that has come.
    fn fire(&mut self) {
        while let Some((uid, due)) = self.schedule.pop(self.now) {
            let Some(key) = self.subjects.get(&uid).cloned() else { continue };
            if due == Due::Deadline {
                self.expire(&key);
            }
            self.dirty.insert(key);
        }
        self.fire_barriers();
        if self.clock.ask_at.is_some_and(|at| at <= self.now) {
            self.ask_for_the_time();
        }
    }

    fn ask_for_the_time(&mut self) {
        self.clock.ask_at = Some(self.now.plus_millis(self.config.reread_after_ms));
        self.outbox.push_back(Command::ConfirmClock);
    }
}
