//! One replica of the operator: an engine, its watches, the keys in its memory, and a driver on
//! virtual time.

use super::config::{Config as RunConfig, Kill, Mutant};
use super::event::{Event, Order};
use super::feeds::Cursor;
use super::material::SymKey;

use super::{Action, World};
use everleaf_engine::journal::{Header, JournalStep, Line, Writer};
use everleaf_engine::{
    Command, Config, Delta, Engine, Epoch, Input, ObjectKey, Timestamp, Uid, Wake,
};
use everleaf_nodes::acme::showing::Showings;
use everleaf_nodes::acme::turns::Turns;
use everleaf_nodes::facts::{Facts, Kind};
use everleaf_nodes::{Everleaf, feed};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// What the engine of a simulation is told.
pub type In = Input<Kind, Facts>;

/// The namespace of a Certificate, and its UID.
pub type KeyId = (Arc<str>, Arc<str>);

/// The bytes of a journal, to be read while it is written.
#[derive(Clone, Default)]
pub struct Pages(Rc<RefCell<Vec<u8>>>);

impl Pages {
    /// The bytes so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }
}

impl std::io::Write for Pages {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One process after the other under one identity.
pub struct Replica {
    /// Its engine.
    pub engine: Engine<Everleaf>,
    /// Counts processes; what belongs to an earlier one is void.
    pub life: u64,
    /// Whether the process runs.
    pub alive: bool,
    /// The epoch that it believes to lead.
    pub leads: Option<Epoch>,
    /// How far its clock is ahead of the true time, in milliseconds.
    pub offset: i64,
    /// Until then, nothing happens in it.
    pub paused_until: i64,
    /// How far its clock jumped, in milliseconds; the driver has not noticed yet.
    pub jumped: i64,
    /// Whether its clock is read the wrong way round, which is a mutant's mistake.
    pub(super) mirrored: bool,
    /// Whether the engine was told of a step that the API server's time did not confirm yet.
    pub doubts: bool,
    /// The keys in its memory.
    pub keys: BTreeMap<KeyId, SymKey>,
    /// The versions of objects that its writes were acknowledged with.
    pub acked: BTreeMap<ObjectKey<Kind>, u64>,
    /// Which feeds were really listed in this epoch.
    pub listed: [bool; 11],
    /// The inputs since the process began.
    pub journal: Option<Writer<Pages>>,
    /// What the journal holds.
    pub pages: Pages,
    /// Nonces of CAs that were not sent yet, by directory.
    pub(super) nonces: BTreeMap<Arc<str>, Vec<String>>,
    /// Claims that this process wrote and sent nothing for yet, by the Order's UID: when.
    pub(super) claims: BTreeMap<Uid, i64>,
    /// Challenges that this process has looked for from outside.
    pub(super) sights: BTreeSet<Uid>,
    /// Who claimed last for which names.
    pub(super) turns: Turns,
    /// What is shown for Challenges just now, and which were cleaned up.
    pub(super) showings: Showings,
    pub(super) cursors: Vec<Cursor>,
    pub(super) contents: BTreeMap<Uid, (u64, Facts)>,
    pub(super) wake: Option<(i64, u64)>,
    key_rv: u64,
    seq: u64,
}

impl Replica {
    pub(super) fn new(program: &Everleaf, life: u64, run: &RunConfig) -> Self {
        let mut config = Config::default();
        if run.mutant == Mutant::OneSlot {
            config.effects_in_flight = 1;
        }
        let header = Header::new(
            everleaf_engine::Program::plan(program),
            config,
            serde_json::to_value(&program.options).unwrap_or_default(),
        );
        let pages = Pages::default();
        // Writing to memory does not fail.
        let journal = run.journal.then(|| Writer::new(pages.clone(), &header).ok()).flatten();
        Self {
            engine: Engine::new(program.clone(), config),
            life,
            alive: true,
            leads: None,
            offset: 0,
            paused_until: 0,
            jumped: 0,
            mirrored: run.mutant == Mutant::MirrorsClock,
            doubts: false,
            keys: BTreeMap::new(),
            acked: BTreeMap::new(),
            listed: [false; 11],
            journal,
            pages,
            nonces: BTreeMap::new(),
            claims: BTreeMap::new(),
            sights: BTreeSet::new(),
            turns: Turns::default(),
            showings: Showings::default(),
            cursors: (0..super::project::SOURCES.len()).map(|_| Cursor::default()).collect(),
            contents: BTreeMap::new(),
            wake: None,
            key_rv: 0,
            seq: 0,
        }
    }

    /// Its wall clock, when the true time is `now`.
    pub fn clock(&self, now: i64) -> Timestamp {
        let offset = if self.mirrored { -self.offset } else { self.offset };
        Timestamp::from_millis(now + offset)
    }
}

impl World {
    /// Gives an input to a replica's engine and sets off what it asks for.
    pub(super) fn input(&mut self, at: usize, input: In) {
        if !self.replicas[at].alive {
            return;
        }
        if self.replicas[at].jumped != 0 {
            self.notice_clock(at);
        }
        let now = self.now;
        let replica = &mut self.replicas[at];
        replica.doubts |= input == Input::ClockStepped;
        let clock = replica.clock(now);
        let kept = replica.journal.is_some().then(|| input.clone());
        let record = replica.engine.handle(clock, input);
        if !record.moves.is_empty() {
            let moves = record.moves.clone();
            self.emitted.push(Event::Moved { replica: at, at: clock, moves });
        }
        let skipped = self.config.mutant == Mutant::SkipsTicks;
        let kept = kept.filter(|input| !(skipped && *input == Input::Tick));
        let replica = &mut self.replicas[at];
        if let (Some(journal), Some(input)) = (&mut replica.journal, kept) {
            replica.seq += 1;
            let step = JournalStep { seq: replica.seq, at: clock, input, record };
            // Writing to memory does not fail.
            let _ = journal.write(&Line::<Everleaf>::Step(Box::new(step)));
        }
        self.counts.inputs += 1;
        let number = self.counts.inputs;
        self.drain(at);
        self.set_alarm(at);
        if self.config.kill == Some(Kill::AfterRecord(number)) {
            self.kill(at);
        }
    }

    fn drain(&mut self, at: usize) {
        while let Some(command) = self.replicas[at].engine.poll_effect() {
            let life = self.replicas[at].life;
            match command {
                Command::Perform(id, effect) => {
                    let epoch = self.replicas[at].engine.epoch();
                    let order = Arc::new(Order { id, effect, epoch });
                    self.note(format_args!("r{at} starts {:?}", order.effect.action));
                    self.counts.started += 1;
                    self.emitted.push(Event::Started { replica: at, order: order.clone() });
                    let delay = self.effect_delay(&order);
                    self.after(delay, Action::Perform { at, life, order });
                }
                Command::Read(key) => {
                    let delay = self.latency.between(2, 60);
                    self.after(delay, Action::Read { at, life, key });
                }
                Command::ConfirmClock => {
                    let delay = self.latency.between(2, 60);
                    self.after(delay, Action::Clock { at, life });
                }
            }
        }
    }

    fn effect_delay(&mut self, order: &Order) -> i64 {
        use everleaf_nodes::Do;
        match order.effect.action {
            Do::EnsureKey { .. } => self.latency.between(20, 2000),
            _ if self.faulty && self.config.faults.watch_lag && self.faults.chance(30) => {
                self.latency.between(100, 40_000)
            }
            _ => self.latency.between(2, 80),
        }
    }

    pub(super) fn set_alarm(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        if let Some(old) = replica.wake.take() {
            self.queue.remove(&old);
        }
        if !replica.alive || self.config.mutant == Mutant::NeverWakes {
            return;
        }
        let due = match replica.engine.poll_wake() {
            Wake::OnlyWhenTold => return,
            Wake::Now => self.now,
            Wake::At(wall) => self.now + wall.since(replica.clock(self.now)),
        };
        // A driver may be woken a little late, never early.
        let due = due.max(self.now) + 1;
        let life = replica.life;
        let slot = self.put(due, Action::Wake { at, life });
        self.replicas[at].wake = Some(slot);
    }

    /// Puts a key into a replica's memory, or takes it out.
    pub(super) fn remember_key(&mut self, at: usize, id: &KeyId, key: Option<SymKey>) {
        let replica = &mut self.replicas[at];
        let old = match &key {
            Some(key) => replica.keys.insert(id.clone(), key.clone()),
            None => replica.keys.remove(id),
        };
        replica.key_rv += 1;
        let delta = match (&key, old) {
            (Some(key), _) => replica.key_applied(id, key, false),
            (None, Some(old)) => {
                let uid = key_uid(&old);
                Delta::Deleted { feed: feed::KEYS, key: key_object(id), uid }
            }
            (None, None) => return,
        };
        self.input(at, Input::Observed(delta));
    }

    /// Takes a key out of a replica's memory, if it is still that one.
    pub(super) fn forget_key(&mut self, at: usize, id: &KeyId, fingerprint: &str) {
        if self.replicas[at].keys.get(id).is_some_and(|key| *key.fp == *fingerprint) {
            self.remember_key(at, id, None);
        }
    }

    /// Tells the engine of every key in memory.
    pub(super) fn list_keys(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        replica.key_rv += 1;
        let rv = replica.key_rv;
        let all: Vec<_> =
            replica.keys.iter().map(|(id, key)| replica.key_applied(id, key, false)).collect();
        replica.listed[usize::from(feed::KEYS)] = true;
        self.input(at, Input::Observed(Delta::ListBegin { feed: feed::KEYS }));
        for delta in all {
            self.input(at, Input::Observed(delta));
        }
        self.input(at, Input::Observed(Delta::ListEnd { feed: feed::KEYS, rv }));
    }

    /// What a live read of a key in memory finds.
    pub(super) fn read_key(&self, at: usize, key: &ObjectKey<Kind>) -> Delta<Kind, Facts> {
        let replica = &self.replicas[at];
        let id = (key.namespace.clone(), key.name.clone());
        match replica.keys.get(&id) {
            Some(found) => replica.key_applied(&id, found, true),
            None => Delta::Absent { key: key.clone() },
        }
    }
}

impl Replica {
    /// The version of the keys in memory.
    pub(super) fn key_version(&self) -> u64 {
        self.key_rv
    }

    fn key_applied(&self, id: &KeyId, key: &SymKey, live: bool) -> Delta<Kind, Facts> {
        Delta::Applied {
            feed: feed::KEYS,
            key: key_object(id),
            uid: key_uid(key),
            rv: self.key_rv,
            live,
            facts: Facts::Key(key.facts()),
        }
    }
}

fn key_uid(key: &SymKey) -> Uid {
    format!("key-{}", key.fp).into()
}

/// The object that stands for a key in memory.
pub(super) fn key_object((namespace, uid): &KeyId) -> ObjectKey<Kind> {
    ObjectKey::new(Kind::Key, namespace.clone(), uid.clone())
}
