//! A tiny world in virtual time: an API server that shows its objects late, and performs effects
//! after a while, or not at all.

use super::hand::{MINUTE, ToyInput, applied};
use super::{Effect, Facts, JOBS, Job, Key, Kind, RESULTS, TOKENS, Toy};
use everleaf_engine::{
    Command, Config, Delta, EffectId, Engine, FailureClass, Input, Outcome, Record, Timestamp, Uid,
    Wake, Written,
};
use std::collections::BTreeMap;

/// An input and when it came.
pub type Told = (Timestamp, ToyInput);

/// What somebody else does, or what goes wrong.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A Job of this name is wished for, or wished otherwise.
    Wish { name: u8, input: u32, parts: u8, token: u8, delay_ms: i64 },
    /// A Token comes, or is replaced.
    Pay(u8),
    /// A Token is taken away.
    Rob(u8),
    /// A Job is deleted, and its results with it.
    Cancel(u8),
    /// Somebody deletes a result.
    Break(u8, u8),
    /// Effects performed from now on end so.
    Luck(Luck),
    /// The watches lag by so many milliseconds.
    Lag(i64),
    /// Every feed is listed again.
    Relist,
    /// Another epoch.
    Lead,
    /// The driver saw the clock step; the API server confirms the time a little later.
    Step,
    /// Time passes.
    Pass(i64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Luck {
    Good,
    /// The write is refused.
    Refused,
    /// The write is done, but the answer is lost and nobody tells.
    Silent,
    /// The write is done, and the port tells that it does not know.
    Unknown,
}

#[derive(Clone)]
struct Stored {
    uid: Uid,
    rv: u64,
    facts: Facts,
}

/// The API server and the driver between it and one engine.
pub struct Sim {
    pub engine: Engine<Toy>,
    pub now: Timestamp,
    /// Everything that the engine was told.
    pub told: Vec<Told>,
    pub records: Vec<Record>,
    /// How often each object was written by us.
    pub writes: u64,
    objects: BTreeMap<Key, Stored>,
    rv: u64,
    epoch: u64,
    lag: i64,
    luck: Luck,
    /// What is on its way to the engine, by time and then order.
    coming: BTreeMap<(Timestamp, u64), ToyInput>,
    order: u64,
}

impl Sim {
    pub fn new(toy: Toy, config: Config) -> Self {
        let mut sim = Self {
            engine: Engine::new(toy, config),
            now: Timestamp::from_seconds(1_000_000),
            told: Vec::new(),
            records: Vec::new(),
            writes: 0,
            objects: BTreeMap::new(),
            rv: 1,
            epoch: 0,
            lag: 50,
            luck: Luck::Good,
            coming: BTreeMap::new(),
            order: 0,
        };
        sim.act(&Deed::Lead);
        sim
    }

    /// What the API server has, as the engine should see it in the end.
    pub fn truth(&self) -> Vec<(Key, Uid, Facts)> {
        let object = |(key, o): (&Key, &Stored)| (key.clone(), o.uid.clone(), o.facts.clone());
        self.objects.iter().map(object).collect()
    }

    pub fn act(&mut self, deed: &Deed) {
        match deed.clone() {
            Deed::Wish { name, input, parts, token, delay_ms } => {
                let key = Key::new(Kind::Job, "ns", format!("job-{name}"));
                let reported = match self.objects.get(&key).map(|o| &o.facts) {
                    Some(Facts::Job(job)) => job.reported,
                    _ => 0,
                };
                let start_at = Some(self.now.plus_millis(delay_ms));
                let token = format!("token-{token}").into();
                let job = Job { input, parts, token, start_at, deleting: false, reported };
                self.put(key, Facts::Job(job));
            }
            Deed::Pay(token) => self.put(token_of(token), Facts::Token),
            Deed::Rob(token) => self.remove(&token_of(token)),
            Deed::Cancel(name) => self.cancel(&format!("job-{name}")),
            Deed::Break(name, part) => {
                self.remove(&super::result_key(&format!("job-{name}"), part));
            }
            Deed::Luck(luck) => self.luck = luck,
            Deed::Lag(lag) => self.lag = lag,
            Deed::Relist => self.list_all(),
            Deed::Lead => {
                self.epoch += 1;
                self.come_in(0, Input::Leadership(Some(self.epoch)));
                self.list_all();
            }
            Deed::Step => self.come_in(0, Input::ClockStepped),
            Deed::Pass(ms) => self.run_for(ms),
        }
    }

    fn cancel(&mut self, name: &str) {
        let key = Key::new(Kind::Job, "ns", name);
        let Some(uid) = self.objects.get(&key).map(|o| o.uid.clone()) else { return };
        self.remove(&key);
        let owned = |o: &Stored| matches!(&o.facts, Facts::Result { owner, .. } if *owner == uid);
        let gone = self.objects.iter().filter(|(_, o)| owned(o)).map(|(key, _)| key.clone());
        gone.collect::<Vec<_>>().iter().for_each(|key| self.remove(key));
    }

    fn put(&mut self, key: Key, facts: Facts) {
        self.rv += 1;
        let fresh = Uid::from(format!("{}-{}", key.name, self.rv));
        let uid = self.objects.get(&key).map_or(fresh, |known| known.uid.clone());
        let stored = Stored { uid, rv: self.rv, facts };
        self.come_in(self.lag, shown(&key, &stored, false));
        self.objects.insert(key, stored);
    }

    fn remove(&mut self, key: &Key) {
        let Some(stored) = self.objects.remove(key) else { return };
        self.rv += 1;
        let (feed, key, uid) = (feed_of(key.kind), key.clone(), stored.uid);
        self.come_in(self.lag, Input::Observed(Delta::Deleted { feed, key, uid }));
    }

    /// Lists every feed: what the watches had on its way is in the lists.
    fn list_all(&mut self) {
        self.coming.retain(|_, input| !is_watch(input));
        for feed in [JOBS, TOKENS, RESULTS, super::ODD_RESULTS] {
            self.come_in(self.lag, Input::Observed(Delta::ListBegin { feed }));
            let of_feed = self.objects.iter().filter(|(key, _)| feed_of(key.kind) == feed);
            let objects: Vec<_> = of_feed.map(|(key, o)| shown(key, o, false)).collect();
            objects.into_iter().for_each(|object| self.come_in(self.lag, object));
            let rv = self.rv;
            self.come_in(self.lag, Input::Observed(Delta::ListEnd { feed, rv }));
        }
    }

    fn come_in(&mut self, ms: i64, input: ToyInput) {
        self.order += 1;
        // One feed's events stay in order, though the lag gets shorter.
        let last = self.coming.keys().filter(|_| is_watch(&input)).map(|(at, _)| *at).max();
        let at = self.now.plus_millis(ms).max(last.unwrap_or(self.now));
        self.coming.insert((at, self.order), input);
    }

    /// Runs until a while has passed.
    pub fn run_for(&mut self, ms: i64) {
        let until = self.now.plus_millis(ms);
        loop {
            let wake = match self.engine.poll_wake() {
                Wake::Now => Some(self.now),
                Wake::At(at) => Some(at.max(self.now)),
                Wake::OnlyWhenTold => None,
            };
            let event = self.coming.keys().next().map(|(at, _)| *at);
            let Some(at) = wake.into_iter().chain(event).min().filter(|at| *at <= until) else {
                break;
            };
            self.now = at.max(self.now);
            if event == Some(at)
                && let Some((_, input)) = self.coming.pop_first()
            {
                self.tell(input);
            } else {
                self.tell(Input::Tick);
            }
        }
        self.now = until;
    }

    /// Everything goes well for a day, so that everything has come to rest.
    pub fn heal(&mut self) {
        self.act(&Deed::Luck(Luck::Good));
        self.act(&Deed::Lag(50));
        self.run_for(24 * 60 * MINUTE);
    }

    pub fn tell(&mut self, input: ToyInput) {
        self.told.push((self.now, input.clone()));
        let record = self.engine.handle(self.now, input);
        self.records.push(record);
        while let Some(command) = self.engine.poll_effect() {
            match command {
                Command::Perform(id, effect) => self.perform(id, &effect),
                Command::Read(key) => self.read(key),
                Command::ConfirmClock => {
                    self.come_in(20, Input::Clock(self.now.plus_millis(20)));
                }
            }
        }
    }

    fn read(&mut self, key: Key) {
        let answer = match self.objects.get(&key) {
            Some(stored) => shown(&key, stored, true),
            None => Input::Observed(Delta::Absent { key }),
        };
        self.come_in(10, answer);
    }

    fn perform(&mut self, id: EffectId, effect: &Effect) {
        let key = match effect {
            Effect::WriteStatus { job, .. } => job.clone(),
            Effect::Make { result, .. } => result.clone(),
        };
        let failed = |class, reread| Outcome::Failed {
            class,
            reason: "Luck".to_owned(),
            message: "bad luck".to_owned(),
            not_before: None,
            reread,
        };
        if self.luck == Luck::Refused {
            return self.come_in(30, Input::Completed(id, failed(FailureClass::Transient, vec![])));
        }
        let outcome = match self.write(&key, effect) {
            Some(rv) if self.luck == Luck::Good => {
                Outcome::Done { wrote: vec![Written { key, rv: Some(rv) }] }
            }
            Some(_) if self.luck == Luck::Silent => return,
            Some(_) => failed(FailureClass::Unknown, vec![key]),
            None => Outcome::Stale { reread: vec![key] },
        };
        self.come_in(30, Input::Completed(id, outcome));
    }

    fn write(&mut self, key: &Key, effect: &Effect) -> Option<u64> {
        let facts = match effect {
            Effect::WriteStatus { uid, reported, .. } => {
                let stored = self.objects.get(key).filter(|stored| stored.uid == *uid)?;
                let Facts::Job(job) = &stored.facts else { return None };
                Facts::Job(Job { reported: *reported, ..job.clone() })
            }
            Effect::Make { owner, input, part, .. } => {
                let owns = |o: &Stored| o.uid == *owner;
                self.objects.values().any(owns).then_some(())?;
                let (owner, input, part) = (owner.clone(), *input, *part);
                Facts::Result { owner, input, part }
            }
        };
        if self.objects.get(key).is_none_or(|stored| stored.facts != facts) {
            self.writes += 1;
            self.put(key.clone(), facts);
        }
        self.objects.get(key).map(|stored| stored.rv)
    }
}

fn token_of(token: u8) -> Key {
    super::token_key(&format!("token-{token}"))
}

fn feed_of(kind: Kind) -> u8 {
    match kind {
        Kind::Job => JOBS,
        Kind::Token => TOKENS,
        Kind::Result => RESULTS,
    }
}

fn shown(key: &Key, stored: &Stored, live: bool) -> ToyInput {
    let Stored { uid, rv, facts } = stored;
    applied(feed_of(key.kind), key, uid, *rv, facts.clone(), live)
}

/// Whether an input comes from a watch or a list, and not from a live read.
pub fn is_watch(input: &ToyInput) -> bool {
    match input {
        Input::Observed(Delta::Applied { live, .. }) => !live,
        Input::Observed(delta) => !matches!(delta, Delta::Absent { .. } | Delta::Unreadable { .. }),
        _ => false,
    }
}
