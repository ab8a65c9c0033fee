//! The engine itself: one input in, decisions out.

mod barrier;
mod evaluate;
mod flight;
mod inputs;
mod snapshot;
mod status;
mod timing;

use crate::digest::{Digest, digest_of};
use crate::ids::{Epoch, ObjectKey, Uid};
use crate::lanes::Lanes;
use crate::program::{Command, Input, Move, Program, Record, Started};
use crate::schedule::{Due, Schedule};
use crate::time::Timestamp;
use crate::view::Reads;
use crate::world::World;
use barrier::Barriers;
use flight::Adrift;
use serde::{Deserialize, Serialize};
pub use snapshot::Snapshot;
pub use status::{Armed, Status, StepStatus};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use timing::Timing;

/// Bounds of the engine. Every one counts as at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The most effects in flight. One tenant gets half of them at most, one lane three eighths, and
    /// less while others hang: each may take a share of what is free, and a quarter is kept for
    /// tenants that have nothing in flight.
    pub effects_in_flight: u32,
    /// The most effects in flight of one lane.
    pub effects_in_flight_per_lane: u32,
    /// How long a feed may take to show one of our writes, in milliseconds, before the object
    /// is read live.
    pub write_visible_within_ms: i64,
    /// How long until a failed live read, or an unanswered question for the time, is repeated.
    /// Each further repetition of a live read takes twice as long, up to 64 times.
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

impl Config {
    fn at_least_one(self) -> Self {
        Self {
            effects_in_flight: self.effects_in_flight.max(1),
            effects_in_flight_per_lane: self.effects_in_flight_per_lane.max(1),
            write_visible_within_ms: self.write_visible_within_ms.max(1),
            reread_after_ms: self.reread_after_ms.max(1),
            clock_tolerance_ms: self.clock_tolerance_ms.max(1),
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
    listing: Option<Listing<K>>,
}

/// What was seen since a list began, by the feed and by live reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "K: Ord + Deserialize<'de>"))]
struct Listing<K: Ord> {
    shown: BTreeSet<ObjectKey<K>>,
    seen_live: BTreeSet<ObjectKey<K>>,
}

impl<K: Ord> Default for Listing<K> {
    fn default() -> Self {
        Self { shown: BTreeSet::new(), seen_live: BTreeSet::new() }
    }
}

impl<K: Ord> Default for FeedState<K> {
    fn default() -> Self {
        Self { synced: false, listing: None }
    }
}

/// Whether the wall clock can be trusted with spending.
#[derive(Clone, Copy, Debug, Default, Hash, Serialize, Deserialize)]
struct ClockGuard {
    doubted: bool,
    ask_at: Option<Timestamp>,
}

/// The engine of one shard. See the [crate's documentation](crate).
pub struct Engine<P: Program> {
    program: P,
    config: Config,
    timing: Timing,
    world: World<P>,
    /// What is in flight of objects that have none, or none any more.
    adrift: BTreeMap<Uid, Adrift<P>>,
    schedule: Schedule,
    lanes: Lanes,
    barriers: Barriers<P::Kind>,
    feeds: Vec<FeedState<P::Kind>>,
    /// Of each machine: whether every feed that it reads has shown its first list.
    ready: Vec<bool>,
    epoch: Option<Epoch>,
    /// When the epoch began.
    since: Timestamp,
    now: Timestamp,
    clock: ClockGuard,
    instances_sum: Digest,
    /// The digest of epoch, feeds and clock.
    rest: Digest,
    /// Places whose machine changed since its digest was taken.
    changed: Vec<u32>,
    outbox: VecDeque<Command<P::Kind, P::Effect>>,
    effects: Vec<Started>,
    moves: Vec<Move>,
    unexplained: u64,
    spare_reads: Reads<P::Kind>,
    spare_armed: Vec<(Timestamp, Due)>,
}

impl<P: Program> Engine<P> {
    /// An engine that has seen nothing yet and leads nothing.
    pub fn new(program: P, config: Config) -> Self {
        let config = config.at_least_one();
        let feeds = program.feeds().iter().map(|_| FeedState::default()).collect();
        let mut engine = Self {
            lanes: Lanes::new(config.effects_in_flight, config.effects_in_flight_per_lane),
            timing: Timing::of(program.plan()),
            program,
            config,
            world: World::default(),
            adrift: BTreeMap::new(),
            schedule: Schedule::default(),
            barriers: Barriers::default(),
            feeds,
            ready: Vec::new(),
            epoch: None,
            since: Timestamp::default(),
            now: Timestamp::default(),
            clock: ClockGuard::default(),
            instances_sum: Digest::default(),
            rest: Digest::default(),
            changed: Vec::new(),
            outbox: VecDeque::new(),
            effects: Vec::new(),
            moves: Vec::new(),
            unexplained: 0,
            spare_reads: Reads::default(),
            spare_armed: Vec::new(),
        };
        engine.note_feeds();
        engine
    }

    /// Takes one input in and decides. `now` is the wall clock; if it is earlier than that of
    /// the input before, in the same epoch, the earlier input's counts.
    pub fn handle(&mut self, now: Timestamp, input: Input<P::Kind, P::Facts>) -> Record {
        let begins =
            matches!(input, Input::Leadership(epoch) if epoch.is_some() && epoch != self.epoch);
        self.now = if begins { now } else { self.now.max(now) };
        self.take_in(input);
        self.fire();
        self.settle();
        self.dispatch();
        self.sum_up();
        Record {
            effects: std::mem::take(&mut self.effects),
            moves: std::mem::take(&mut self.moves),
            wake: self.next_instant(),
            state: self.state_digest(),
        }
    }

    /// The next thing for the driver to do. It is called until there is nothing left, before the
    /// next input.
    pub fn poll_effect(&mut self) -> Option<Command<P::Kind, P::Effect>> {
        self.outbox.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`], if nothing happens before.
    pub fn poll_wake(&self) -> Wake {
        match self.next_instant() {
            None => Wake::OnlyWhenTold,
            Some(at) if at <= self.now => Wake::Now,
            Some(at) => Wake::At(at),
        }
    }

    fn next_instant(&self) -> Option<Timestamp> {
        let wakes = [self.schedule.next(), self.barriers.next(), self.clock.ask_at];
        wakes.into_iter().flatten().min()
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

    /// Moves that the plan did not explain, effects that a state may not start, and states that
    /// the plan does not have, so far. Each one is a bug.
    pub fn unexplained_moves(&self) -> u64 {
        self.unexplained
    }

    /// The digest of everything that decides what comes next, but for the order of queues.
    pub fn state_digest(&self) -> Digest {
        let mut digest = self.world.sum();
        digest.add(self.instances_sum);
        digest.add(self.barriers.sum());
        digest.add(self.rest);
        digest
    }

    /// Marks everything that waits for an instant that has come.
    fn fire(&mut self) {
        while let Some((uid, due)) = self.schedule.pop(self.now) {
            if due == Due::Deadline {
                self.expire(&uid);
            }
            if let Some(at) = self.world.subject(&uid) {
                self.world.mark(at);
            }
        }
        self.fire_barriers();
        if self.clock.ask_at.is_some_and(|at| at <= self.now) {
            self.ask_for_the_time();
        }
    }

    fn ask_for_the_time(&mut self) {
        self.clock.ask_at = Some(self.now.plus_millis(self.config.reread_after_ms));
        self.outbox.push_back(Command::ConfirmClock);
        self.sum_rest();
    }

    /// Notes which machines have seen all that they read.
    fn note_feeds(&mut self) {
        let (program, feeds) = (&self.program, &self.feeds);
        let synced = |machine: usize| {
            let reads = program.reads(machine);
            let own = |kind| program.machine(kind) == Some(machine);
            let states = program.feeds().iter().zip(feeds);
            states
                .filter(|(feed, _)| reads.contains(&feed.kind) || own(feed.kind))
                .all(|(_, state)| state.synced)
        };
        self.ready = (0..self.program.plan().machines.len()).map(synced).collect();
        self.sum_rest();
    }

    fn sum_rest(&mut self) {
        let feeds: Vec<_> = self.feeds.iter().map(|f| (f.synced, f.listing.is_some())).collect();
        self.rest = digest_of(&(self.epoch, self.since, self.clock, feeds));
    }

    /// Takes the digests of all machines that changed.
    fn sum_up(&mut self) {
        while let Some(at) = self.changed.pop() {
            if let Some(instance) = self.world.instance_mut(at) {
                self.instances_sum.remove(instance.digest);
                instance.digest = instance.compute_digest();
                self.instances_sum.add(instance.digest);
            }
        }
    }
}
