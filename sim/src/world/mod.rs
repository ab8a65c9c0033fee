//! A whole cluster on virtual time: the API server, replicas of ours with an independent executor
//! of their effects, users, other controllers, and faults.
//!
//! One seed gives one run, to the last byte. Keys and certificates are symbolic ([`material`]).
//! The invariants of a run look on through [`Event`]s.

pub mod acme;
pub mod config;
pub mod event;
mod executor;
mod feeds;
mod issuers;
pub mod material;
mod mishaps;
mod mutant;
pub mod project;
mod replica;
pub mod rng;
mod setup;
mod users;

use crate::apiserver::ApiServer;
use config::{Config, HOUR, Mutant};
use event::{Actor, Event, Order};
use everleaf_engine::{Epoch, Input, ObjectKey, Timestamp};
use everleaf_nodes::Everleaf;
use everleaf_nodes::facts::Kind;
pub use issuers::FOREIGN_GROUP;
pub use mutant::OPERATOR_NAMESPACE;
pub use replica::{Pages, Replica};
use rng::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// When every run begins: 2026-01-01T00:00:00Z, in milliseconds since 1970.
pub const START: i64 = 1_767_225_600_000;

/// Lines of the log that are kept.
const LOG_LINES: usize = 400;

/// Something that is to happen.
pub(super) enum Action {
    Wake { at: usize, life: u64 },
    List { at: usize, life: u64, source: usize },
    Open { at: usize, life: u64, source: usize, version: u64 },
    Poll { at: usize, life: u64, source: usize },
    Perform { at: usize, life: u64, order: Arc<Order> },
    Resume { at: usize, life: u64, job: Box<executor::Job> },
    Complete { at: usize, life: u64, order: Arc<Order>, ended: Box<executor::Ended> },
    Read { at: usize, life: u64, key: ObjectKey<Kind> },
    Clock { at: usize, life: u64 },
    Lead { at: usize, life: u64, epoch: Epoch },
    Lose { at: usize, life: u64 },
    NoticeClock { at: usize, life: u64 },
    Start { at: usize },
    Garbage,
    Sample,
    UserActs,
    Mishap,
    Approve { key: ObjectKey<Kind> },
    Answer { key: ObjectKey<Kind> },
    RestoreCa { namespace: &'static str, name: &'static str },
    Recreate { kind: Kind, object: Box<serde_json::Value> },
    Heal,
    End,
}

impl Action {
    /// The process that it is for.
    fn process(&self) -> Option<(usize, u64)> {
        match self {
            Self::Wake { at, life }
            | Self::List { at, life, .. }
            | Self::Open { at, life, .. }
            | Self::Poll { at, life, .. }
            | Self::Perform { at, life, .. }
            | Self::Resume { at, life, .. }
            | Self::Complete { at, life, .. }
            | Self::Read { at, life, .. }
            | Self::Clock { at, life }
            | Self::Lead { at, life, .. }
            | Self::Lose { at, life }
            | Self::NoticeClock { at, life } => Some((*at, *life)),
            _ => None,
        }
    }
}

/// What is counted over a run.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Inputs to engines.
    pub inputs: u64,
    /// Effects that were started.
    pub started: u64,
    /// Effects that were performed.
    pub performed: u64,
    /// Writes of replicas.
    pub writes: u64,
    /// Requests that met a fault.
    pub faults: u64,
    /// Acts of users.
    pub acts: u64,
    /// Mishaps of processes, clocks and issuers.
    pub mishaps: u64,
    /// Keys that were made.
    pub keys: u64,
    /// Certificates that were signed.
    pub serials: u64,
    /// Requests to ACME CAs.
    pub asked: u64,
    /// Routes that went with the process that answered on them.
    pub routes_lost: u64,
}

/// A cluster and everybody in it.
pub struct World {
    /// What the run is made of.
    pub config: Config,
    /// The true time, in milliseconds since 1970.
    pub now: i64,
    /// The API server.
    pub server: ApiServer,
    /// The replicas of ours.
    pub replicas: Vec<Replica>,
    /// Who holds the Lease.
    pub holder: Option<usize>,
    /// Whether faults may still strike.
    pub faulty: bool,
    /// What was counted.
    pub counts: Counts,
    /// The journals of processes that are no more.
    pub journals: Vec<Pages>,
    /// When the last fault ended; `None` while any may still strike.
    pub healed_at: Option<i64>,
    /// The last lines of the log.
    pub log: VecDeque<String>,
    pub(crate) emitted: Vec<Event>,
    outside: acme::Outside,
    program: Everleaf,
    queue: BTreeMap<(i64, u64), Action>,
    tickets: u64,
    epoch: Epoch,
    latency: Rng,
    faults: Rng,
    users: Rng,
    garbage_pending: bool,
    /// When the API server was at which version, as far back as matters.
    versions: VecDeque<(i64, u64)>,
    ended: bool,
    names: u64,
}

impl World {
    /// A cluster at its start: issuers, Certificates, and replicas about to begin.
    pub fn new(config: Config) -> Self {
        let mut world = Self {
            now: START,
            server: setup::server(config.seed),
            replicas: Vec::new(),
            holder: None,
            faulty: config.faulty_ms > 0,
            counts: Counts::default(),
            journals: Vec::new(),
            healed_at: (config.faulty_ms == 0).then_some(START),
            log: VecDeque::new(),
            emitted: Vec::new(),
            outside: acme::Outside::new(&config),
            program: mutant::program(&config),
            queue: BTreeMap::new(),
            tickets: 0,
            epoch: 0,
            latency: Rng::new(config.seed, "latency"),
            faults: Rng::new(config.seed, "faults"),
            users: Rng::new(config.seed, "users"),
            garbage_pending: false,
            versions: VecDeque::new(),
            ended: false,
            names: 0,
            config,
        };
        for _ in 0..world.config.replicas.max(1) {
            let replica = Replica::new(&world.program, 1, &world.config);
            world.replicas.push(replica);
        }
        world.set_up();
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.hand_over(0);
        let (faulty, healed) = (self.config.faulty_ms, self.config.healed_ms);
        if faulty > 0 {
            self.after(faulty, Action::Heal);
            self.schedule_act();
            self.schedule_mishap();
        }
        self.after(faulty + healed, Action::End);
        self.after(HOUR, Action::Sample);
    }

    /// Whether the run is over.
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// When the next thing is to happen; the beginning of time if nothing is.
    pub(crate) fn next_at(&self) -> i64 {
        self.queue.first_key_value().map_or(i64::MIN, |((at, _), _)| *at)
    }

    /// Does the next thing that is to happen.
    pub fn step(&mut self) {
        let Some((slot, action)) = self.queue.pop_first() else {
            self.ended = true;
            return;
        };
        self.now = self.now.max(slot.0);
        if let Some((at, life)) = action.process() {
            let replica = &self.replicas[at];
            if replica.life != life || !replica.alive {
                return;
            }
            if replica.paused_until > self.now {
                let until = replica.paused_until;
                self.put(until, action);
                return;
            }
        }
        self.act(action);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Wake { at, .. } => {
                self.replicas[at].wake = None;
                self.input(at, Input::Tick);
            }
            Action::List { at, source, .. } => self.list(at, source),
            Action::Open { at, source, version, .. } => self.reopen(at, source, version),
            Action::Poll { at, source, .. } => self.poll(at, source),
            Action::Perform { at, order, .. } => self.perform(at, order),
            Action::Resume { job, .. } => self.resume(*job),
            Action::Complete { at, order, ended, .. } => self.complete(at, order, *ended),
            Action::Read { at, key, .. } => self.read_live(at, &key),
            Action::Clock { at, .. } => {
                let date = Timestamp::from_millis(self.now);
                self.replicas[at].doubts &= self.replicas[at].offset.abs() > 5 * 60_000;
                self.input(at, Input::Clock(date));
            }
            Action::Lead { at, epoch, .. } => self.lead(at, epoch),
            Action::Lose { at, .. } => self.lose(at),
            Action::NoticeClock { at, .. } => self.notice_clock(at),
            Action::Start { at } => self.start(at),
            Action::Garbage => self.collect(),
            Action::Sample => {
                self.emitted.push(Event::Sample);
                self.after(HOUR, Action::Sample);
            }
            Action::UserActs => self.user_acts(),
            Action::Mishap => self.mishap(),
            Action::Approve { key } => self.approve(&key),
            Action::Answer { key } => self.answer_foreign(&key),
            Action::RestoreCa { namespace, name } => self.restore_ca(namespace, name),
            Action::Recreate { kind, object } => self.recreate(kind, *object),
            Action::Heal => self.heal(),
            Action::End => {
                self.ended = true;
                self.emitted.push(Event::End);
            }
        }
    }

    pub(crate) fn put(&mut self, at: i64, action: Action) -> (i64, u64) {
        self.tickets += 1;
        let slot = self.slot(at);
        self.queue.insert(slot, action);
        slot
    }

    fn slot(&mut self, at: i64) -> (i64, u64) {
        match self.config.bunched {
            (0, _) => (at, self.tickets),
            (every, 0) => (at.div_euclid(every) * every + every, self.tickets),
            (every, label) => {
                let drawn = Rng::new(label ^ self.tickets, "bunched").below(1 << 32) << 32;
                (at.div_euclid(every) * every + every, drawn | self.tickets)
            }
        }
    }

    pub(crate) fn after(&mut self, delay: i64, action: Action) {
        self.put(self.now + delay, action);
    }

    /// Adds a line to the log.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        if self.log.len() >= LOG_LINES {
            self.log.pop_front();
        }
        let at = self.now - START;
        let (days, rest) = (at / config::DAY, at % config::DAY);
        let (h, m, s, ms) = (rest / HOUR, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
        self.log.push_back(format!("{days}d {h:02}:{m:02}:{s:02}.{ms:03} {what}"));
    }

    fn collect_soon(&mut self) {
        if !std::mem::replace(&mut self.garbage_pending, true) {
            let delay = self.latency.between(100, 20_000);
            self.after(delay, Action::Garbage);
        }
    }

    fn collect(&mut self) {
        self.garbage_pending = false;
        let kinds = [
            Kind::Certificate,
            Kind::CertificateRequest,
            Kind::Secret,
            Kind::Order,
            Kind::Challenge,
        ];
        let before = self.server.version();
        if self.server.collect_garbage(self.now) > 0 && self.server.version() > before {
            self.note(format_args!("{:?} collects", Actor::Garbage));
            kinds.into_iter().for_each(|kind| self.announce(project::resource(kind)));
        }
    }

    /// The objects of a kind.
    pub fn all(&self, kind: Kind) -> Vec<Arc<serde_json::Value>> {
        let all = crate::apiserver::Selector::all(None);
        self.server.objects(project::resource(kind), &all)
    }

    /// One object.
    pub fn peek(&self, key: &ObjectKey<Kind>) -> Option<Arc<serde_json::Value>> {
        self.server.peek(project::resource(key.kind), &key.namespace, &key.name)
    }

    /// Forgets what happened, for runs that nobody watches.
    pub fn forget_events(&mut self) {
        self.emitted.clear();
    }

    /// Draws other latencies from here on; everything else that is drawn stays as it was.
    pub fn redraw_latencies(&mut self, label: u64) {
        self.latency = Rng::new(self.config.seed ^ label, "other latencies");
    }

    /// The machine of a replica sleeps for so many milliseconds.
    pub fn suspend_replica(&mut self, at: usize, ms: i64) {
        self.sleep(at, ms);
    }

    /// The clock of a replica is set, by so many milliseconds.
    pub fn set_replica_clock(&mut self, at: usize, by: i64) {
        self.set_clock(at, by);
    }

    /// The mistake that is built into the run.
    pub fn mutant(&self) -> Mutant {
        self.config.mutant
    }
}
