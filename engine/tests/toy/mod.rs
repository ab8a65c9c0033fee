//! A toy: a Job names a Token and wants a Result for each of its parts.

#![allow(dead_code, reason = "every test file uses another part of it")]

pub mod hand;
pub mod sim;

use everleaf_engine::{Feed, Look, ObjectKey, Plan, Program, Start, Tag, Timestamp, Uid, View};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Job,
    Token,
    Result,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Facts {
    Job(Job),
    Token,
    Result { owner: Uid, input: u32, part: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    pub input: u32,
    pub parts: u8,
    pub token: Arc<str>,
    pub start_at: Option<Timestamp>,
    pub deleting: bool,
    pub reported: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Effect {
    WriteStatus { job: Key, uid: Uid, reported: usize },
    Make { result: Key, owner: Uid, input: u32, part: u8 },
}

pub type Key = ObjectKey<Kind>;

/// Jobs.
pub const JOBS: u8 = 0;
/// Tokens.
pub const TOKENS: u8 = 1;
/// Results.
pub const RESULTS: u8 = 2;
/// Results of another selection.
pub const ODD_RESULTS: u8 = 3;

const FEEDS: [Feed<Kind>; 4] = [
    Feed { name: "jobs", kind: Kind::Job },
    Feed { name: "tokens", kind: Kind::Token },
    Feed { name: "results", kind: Kind::Result },
    Feed { name: "odd results", kind: Kind::Result },
];

/// States, as the plan numbers them.
pub mod state {
    pub const GONE: usize = 0;
    pub const REPORTING: usize = 1;
    pub const DONE: usize = 2;
    pub const MAKING: usize = 3;
    pub const WAITING: usize = 4;
}

/// Effects, as the plan numbers them.
pub mod step {
    pub const WRITE_STATUS: u8 = 0;
    pub const MAKE: u8 = 1;
}

/// Waits, as the plan numbers them.
pub mod wait {
    pub const START: usize = 0;
    pub const RECHECK: usize = 3;
}

const OWNER: u8 = 1;

#[derive(Clone)]
pub struct Toy {
    pub plan: Arc<Plan>,
    /// Whether a status says one more than there is, as a program with a bug might.
    pub lies: bool,
    /// Whether contents hold the time, as no program should have it.
    pub stamps: bool,
    /// Whether something is started that the plan does not list.
    pub cheats: bool,
    /// How often it looked.
    pub looks: Rc<Cell<u32>>,
}

pub fn toy() -> Toy {
    toy_with(include_str!("job.yaml"))
}

/// A toy under another plan.
pub fn toy_with(job: &str) -> Toy {
    let files = [("job.yaml", job), ("feeds.yaml", include_str!("feeds.yaml"))];
    let plan = Plan::load(&files).unwrap_or_else(|faults| panic!("{faults}"));
    let looks = Rc::default();
    Toy { plan: Arc::new(plan), lies: false, stamps: false, cheats: false, looks }
}

pub fn job_key(name: &str) -> Key {
    Key::new(Kind::Job, "ns", name)
}

pub fn token_key(name: &str) -> Key {
    Key::new(Kind::Token, "ns", name)
}

pub fn result_key(job: &str, part: u8) -> Key {
    Key::new(Kind::Result, "ns", format!("{job}-{part}"))
}

/// A Job that may begin at once.
pub fn job(token: &str) -> Job {
    Job {
        input: 1,
        parts: 1,
        token: token.into(),
        start_at: Some(Timestamp::default()),
        deleting: false,
        reported: 0,
    }
}

/// What a look at a Job finds.
struct Case<'a> {
    key: &'a Key,
    uid: &'a Uid,
    job: &'a Job,
    found: Vec<u8>,
    paid: bool,
    now: Timestamp,
}

impl<'a> Case<'a> {
    fn of(view: &View<'a, Toy>) -> Option<Self> {
        let Facts::Job(job) = &view.object.facts else { return None };
        let uid = &view.object.uid;
        let results = view.tagged(owned_by(&view.key.namespace, uid));
        let part = |facts: &Facts| match facts {
            Facts::Result { input, part, .. } if *input == job.input => Some(*part),
            _ => None,
        };
        let found = results.into_iter().filter_map(|(_, object)| part(&object.facts)).collect();
        let token = Key::new(Kind::Token, view.key.namespace.clone(), job.token.clone());
        let paid = view.get(&token).is_some();
        Some(Self { key: view.key, uid, job, found, paid, now: view.now })
    }

    fn truth(&self) -> u64 {
        let bits = [
            self.job.deleting,
            self.found.len() == self.job.reported,
            (0..self.job.parts).all(|part| self.found.contains(&part)),
            self.paid,
            self.job.start_at.is_some_and(|at| at <= self.now),
        ];
        bits.iter().enumerate().fold(0, |truth, (n, bit)| truth | u64::from(*bit) << n)
    }

    fn make(&self, part: u8) -> Start<Effect> {
        let (owner, input) = (self.uid.clone(), self.job.input);
        let result = result_key(&self.key.name, part);
        self.start(step::MAKE, &part.to_string(), Effect::Make { result, owner, input, part })
    }

    fn write_status(&self, reported: usize) -> Start<Effect> {
        let (job, uid) = (self.key.clone(), self.uid.clone());
        self.start(step::WRITE_STATUS, "", Effect::WriteStatus { job, uid, reported })
    }

    fn start(&self, step: u8, item: &str, effect: Effect) -> Start<Effect> {
        Start {
            step: usize::from(step),
            item: item.into(),
            revision: u64::from(self.job.input),
            lane: self.job.token.clone(),
            effect,
        }
    }
}

fn owned_by(namespace: &Arc<str>, owner: &Uid) -> Tag<Kind> {
    Tag { kind: Kind::Result, index: OWNER, namespace: namespace.clone(), value: owner.clone() }
}

impl Program for Toy {
    type Kind = Kind;
    type Facts = Facts;
    type Effect = Effect;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn feeds(&self) -> &[Feed<Kind>] {
        &FEEDS
    }

    fn machine(&self, kind: Kind) -> Option<usize> {
        (kind == Kind::Job).then_some(0)
    }

    fn reads(&self, _machine: usize) -> &[Kind] {
        &[Kind::Token, Kind::Result]
    }

    fn tags(&self, key: &Key, facts: &Facts, out: &mut Vec<Tag<Kind>>) {
        if let Facts::Result { owner, .. } = facts {
            out.push(owned_by(&key.namespace, owner));
        }
    }

    /// A status ends what a Make began.
    fn rank(&self, _: usize, number: usize) -> u8 {
        u8::from(number == usize::from(step::WRITE_STATUS))
    }

    fn look(&self, view: &View<'_, Self>) -> Look {
        self.looks.set(self.looks.get() + 1);
        let truth = Case::of(view).map_or(0, |case| case.truth());
        Look { state: self.plan.machines[0].locate(truth), truth }
    }

    fn wait_at(&self, view: &View<'_, Self>, wait: usize) -> Option<Timestamp> {
        Case::of(view).filter(|_| wait == wait::START)?.job.start_at
    }

    fn act(&self, view: &View<'_, Self>, state: usize) -> Vec<Start<Effect>> {
        let Some(case) = Case::of(view) else { return Vec::new() };
        let mut starts = match state {
            state::REPORTING => {
                let stamp = if self.stamps { view.now.as_millis() as usize } else { 0 };
                vec![case.write_status(case.found.len() + usize::from(self.lies) + stamp)]
            }
            state::MAKING => {
                let missing = (0..case.job.parts).filter(|part| !case.found.contains(part));
                missing.map(|part| case.make(part)).collect()
            }
            _ => Vec::new(),
        };
        if self.cheats && state == state::REPORTING {
            starts.push(case.make(0));
        }
        starts
    }
}
