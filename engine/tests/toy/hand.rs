//! An engine driven by hand, input by input.

use super::{Effect, Facts, JOBS, Job, Key, Kind, ODD_RESULTS, RESULTS, TOKENS, Toy, toy};
use everleaf_engine::{
    Command, Config, Delta, EffectId, Engine, FailureClass, Input, Outcome, Record, Status,
    Timestamp, Wake, Written,
};

pub type ToyInput = Input<Kind, Facts>;

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;

pub struct Hand {
    pub engine: Engine<Toy>,
    pub now: Timestamp,
    pub performs: Vec<(EffectId, Effect)>,
    pub reads: Vec<Key>,
    pub asked_for_time: u32,
    pub records: Vec<Record>,
    rv: u64,
}

impl Hand {
    /// An engine that leads nothing and has seen nothing.
    pub fn new(toy: Toy, config: Config) -> Self {
        Self {
            engine: Engine::new(toy, config),
            now: Timestamp::from_seconds(1_000_000),
            performs: Vec::new(),
            reads: Vec::new(),
            asked_for_time: 0,
            records: Vec::new(),
            rv: 100,
        }
    }

    /// An engine that leads epoch 1 and has seen the ends of four empty lists.
    pub fn leading(toy: Toy, config: Config) -> Self {
        let mut hand = Self::new(toy, config);
        hand.lead(1);
        hand.sync();
        hand
    }

    /// An engine that leads and knows Token `t` and this Job.
    pub fn with_job(name: &str, job: Job) -> Self {
        let mut hand = Self::leading(toy(), Config::default());
        hand.show(TOKENS, &super::token_key("t"), "uid-t", Facts::Token);
        hand.show_job(name, job);
        hand
    }

    pub fn tell(&mut self, input: ToyInput) -> Record {
        let record = self.engine.handle(self.now, input);
        while let Some(command) = self.engine.poll_effect() {
            match command {
                Command::Perform(id, effect) => self.performs.push((id, effect)),
                Command::Read(key) => self.reads.push(key),
                Command::ConfirmClock => self.asked_for_time += 1,
            }
        }
        self.records.push(record.clone());
        record
    }

    pub fn lead(&mut self, epoch: u64) -> Record {
        self.tell(Input::Leadership(Some(epoch)))
    }

    pub fn sync(&mut self) {
        for feed in [JOBS, TOKENS, RESULTS, ODD_RESULTS] {
            self.list(feed, &[]);
        }
    }

    pub fn next_rv(&mut self) -> u64 {
        self.rv += 1;
        self.rv
    }

    pub fn last_rv(&self) -> u64 {
        self.rv
    }

    /// A whole list of a feed: keys, UIDs, versions and facts.
    pub fn list(&mut self, feed: u8, objects: &[(Key, &str, u64, Facts)]) -> Record {
        self.tell(Input::Observed(Delta::ListBegin { feed }));
        for (key, uid, rv, facts) in objects {
            self.apply(feed, key, uid, *rv, facts.clone());
        }
        let rv = self.rv;
        self.tell(Input::Observed(Delta::ListEnd { feed, rv }))
    }

    /// A feed shows an object at the next version.
    pub fn show(&mut self, feed: u8, key: &Key, uid: &str, facts: Facts) -> Record {
        let rv = self.next_rv();
        self.apply(feed, key, uid, rv, facts)
    }

    pub fn show_job(&mut self, name: &str, job: Job) -> Record {
        self.show(JOBS, &super::job_key(name), &format!("uid-{name}"), Facts::Job(job))
    }

    pub fn apply(&mut self, feed: u8, key: &Key, uid: &str, rv: u64, facts: Facts) -> Record {
        self.tell(applied(feed, key, uid, rv, facts, false))
    }

    /// A live read shows an object.
    pub fn apply_live(&mut self, feed: u8, key: &Key, uid: &str, rv: u64, facts: Facts) -> Record {
        self.tell(applied(feed, key, uid, rv, facts, true))
    }

    pub fn delete(&mut self, feed: u8, key: &Key, uid: &str) -> Record {
        let (key, uid) = (key.clone(), uid.into());
        self.tell(Input::Observed(Delta::Deleted { feed, key, uid }))
    }

    pub fn absent(&mut self, key: &Key) -> Record {
        self.tell(Input::Observed(Delta::Absent { key: key.clone() }))
    }

    pub fn done(&mut self, id: &EffectId, wrote: &[(&Key, Option<u64>)]) -> Record {
        let written = |(key, rv): &(&Key, Option<u64>)| Written { key: (*key).clone(), rv: *rv };
        let wrote = wrote.iter().map(written).collect();
        self.tell(Input::Completed(id.clone(), Outcome::Done { wrote }))
    }

    pub fn fail(&mut self, id: &EffectId, class: FailureClass) -> Record {
        self.fail_with(id, class, None, &[])
    }

    pub fn fail_with(
        &mut self,
        id: &EffectId,
        class: FailureClass,
        not_before: Option<Timestamp>,
        reread: &[Key],
    ) -> Record {
        let (reason, message) = ("Why".to_owned(), "because".to_owned());
        let reread = reread.to_vec();
        let failed = Outcome::Failed { class, reason, message, not_before, reread };
        self.tell(Input::Completed(id.clone(), failed))
    }

    /// Time passes; the engine is called once, at the end.
    pub fn pass(&mut self, ms: i64) -> Record {
        self.now = self.now.plus_millis(ms);
        self.tell(Input::Tick)
    }

    /// Time passes up to the instant that the engine waits for.
    pub fn pass_to_wake(&mut self) -> Record {
        match self.engine.poll_wake() {
            Wake::At(at) => self.now = at,
            other => panic!("it waits for nothing: {other:?}"),
        }
        self.tell(Input::Tick)
    }

    /// What was started since the last call.
    pub fn started(&mut self) -> Vec<(EffectId, Effect)> {
        std::mem::take(&mut self.performs)
    }

    /// The one effect that was started since the last call.
    pub fn only_start(&mut self) -> (EffectId, Effect) {
        let mut started = self.started();
        assert_eq!(started.len(), 1, "{started:?}");
        started.remove(0)
    }

    pub fn asked_to_read(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.reads)
    }

    pub fn status(&self, name: &str) -> Status {
        self.engine.status(&super::job_key(name)).expect("the Job was looked at")
    }

    pub fn state(&self, name: &str) -> usize {
        self.status(name).state
    }
}

pub fn applied(feed: u8, key: &Key, uid: &str, rv: u64, facts: Facts, live: bool) -> ToyInput {
    let (key, uid) = (key.clone(), uid.into());
    Input::Observed(Delta::Applied { feed, key, uid, rv, live, facts })
}
