//! What happened to every object of a recording, bounded: decisions, effects, failures and waits.

use crate::commands::recording::{Heard, Played};
use crate::commands::why;
use crate::operator::{moved, step_name};
use everleaf_engine::{
    Delta, EffectId, Engine, Input, ObjectKey, Outcome, Program, Timestamp, Uid,
};
use everleaf_graph::WaitKind;
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::{Everleaf, Facts, Kind};
use std::collections::{BTreeMap, VecDeque};

/// What an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A feed showed the object, and it says something else than before, or is gone.
    Seen,
    /// It moved to another state.
    Move,
    /// An effect came to its end, or was given up.
    Effect,
    /// An effect failed.
    Failed,
    /// It waits for other instants than before.
    Wait,
    /// The operator began or ceased to lead, or doubted its clock.
    Operator,
}

impl What {
    /// Every one, in the order of its number.
    pub const ALL: [Self; 6] =
        [Self::Seen, Self::Move, Self::Effect, Self::Failed, Self::Wait, Self::Operator];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Move => "move",
            Self::Effect => "effect",
            Self::Failed => "error",
            Self::Wait => "wait",
            Self::Operator => "operator",
        }
    }

    /// Decisions and failures are kept when the rest has to go.
    fn weighs(self) -> bool {
        matches!(self, Self::Move | Self::Failed | Self::Operator)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Counts entries, so that those of one instant keep their order.
    pub number: u64,
    /// The number of the object; `None` for the operator itself.
    pub object: Option<usize>,
    /// What it tells of.
    pub what: What,
    /// For people.
    pub text: String,
    /// The states of a move.
    pub states: Option<(String, String)>,
}

/// One object.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Which.
    pub key: ObjectKey<Kind>,
    /// Where it was last; empty if no machine runs it.
    pub state: String,
    /// What it waited for last: until when, and the wait's name in the plan.
    pub waits: Vec<(Timestamp, String)>,
    /// What it said of itself last.
    pub says: String,
    /// Whether it is gone.
    pub gone: bool,
    /// How many failures it met, those that were left out too.
    pub failures: u64,
}

impl Thread {
    /// Until when it waits, and for what; empty if it waits for nothing.
    pub fn waiting(&self) -> String {
        let told = self.waits.iter().map(|(at, name)| format!("until {} ({name})", rfc3339(*at)));
        told.collect::<Vec<_>>().join(", ")
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Objects; what happens to more is counted.
    pub objects: usize,
    /// Decisions and failures, the newest.
    pub weighty: usize,
    /// All else, the newest.
    pub plain: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { objects: 10_000, weighty: 40_000, plain: 20_000 }
    }
}

/// The longest text of an entry, in bytes.
const TEXT_MAX: usize = 2_000;
/// So many effects on their way are remembered.
const UNDERWAY: usize = 10_000;

/// What happened, as far as it is kept.
pub struct Story {
    bounds: Bounds,
    objects: Vec<Thread>,
    by_key: BTreeMap<ObjectKey<Kind>, usize>,
    by_uid: BTreeMap<Uid, usize>,
    weighty: VecDeque<Entry>,
    plain: VecDeque<Entry>,
    underway: BTreeMap<EffectId, Timestamp>,
    numbered: u64,
    /// Weighty entries, others, and those of objects beyond the bound.
    left_out: (u64, u64, u64),
    span: Option<(Timestamp, Timestamp)>,
}

impl Story {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            objects: Vec::new(),
            by_key: BTreeMap::new(),
            by_uid: BTreeMap::new(),
            weighty: VecDeque::new(),
            plain: VecDeque::new(),
            underway: BTreeMap::new(),
            numbered: 0,
            left_out: (0, 0, 0),
            span: None,
        }
    }

    /// Every object, by number.
    pub fn objects(&self) -> &[Thread] {
        &self.objects
    }

    /// The object of that UID.
    pub fn object(&self, uid: &Uid) -> Option<usize> {
        self.by_uid.get(uid).copied()
    }

    /// When the first and the last of it happened.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        self.span.unwrap_or_default()
    }

    /// What is kept, oldest first.
    pub fn entries(&self) -> Vec<&Entry> {
        let mut all: Vec<&Entry> = self.weighty.iter().chain(&self.plain).collect();
        all.sort_by_key(|entry| entry.number);
        all
    }

    /// Leaves out what happened to objects after an instant of theirs.
    pub fn cut(&mut self, until: &BTreeMap<usize, Timestamp>) {
        let stays = |entry: &Entry| {
            let until = entry.object.and_then(|object| until.get(&object));
            until.is_none_or(|until| entry.at <= *until)
        };
        self.weighty.retain(stays);
        self.plain.retain(stays);
    }

    /// What was left out, in a sentence; empty if nothing was.
    pub fn left_out(&self) -> String {
        let (weighty, plain, strangers) = self.left_out;
        let oldest = |entries: &VecDeque<Entry>| {
            entries.front().map_or(String::new(), |first| rfc3339(first.at))
        };
        let mut parts = Vec::new();
        if weighty > 0 {
            let since = oldest(&self.weighty);
            parts.push(format!("{weighty} decisions and errors before {since}"));
        }
        if plain > 0 {
            let since = oldest(&self.plain);
            parts.push(format!("{plain} observations, effects and waits before {since}"));
        }
        if strangers > 0 {
            let most = self.bounds.objects;
            parts.push(format!("{strangers} entries of objects beyond the first {most}"));
        }
        if parts.is_empty() { String::new() } else { format!("left out: {}", parts.join("; ")) }
    }

    /// Takes in what a recording tells.
    pub fn hear(&mut self, heard: &Heard<'_>) {
        match heard {
            Heard::Begin(engine) => self.begin(engine),
            Heard::Input(played) => self.input(played),
        }
    }

    /// What a file's snapshot holds was seen before.
    fn begin(&mut self, engine: &Engine<Everleaf>) {
        for (key, object) in engine.world().iter() {
            let Some(at) = self.thread(key) else { continue };
            self.by_uid.insert(object.uid.clone(), at);
            self.objects[at].says = why::says(&object.facts);
            self.objects[at].gone = false;
            self.rest_of(engine, at);
        }
    }

    fn input(&mut self, played: &Played<'_>) {
        let Played { step, record, engine, .. } = played;
        let at = step.at;
        self.span = Some((self.span.map_or(at, |(begin, _)| begin), at));
        match &step.input {
            Input::Observed(delta) => self.observed(at, delta),
            Input::Completed(id, outcome) => self.completed(at, id, outcome, engine),
            Input::Leadership(Some(epoch)) => {
                self.operator(at, format!("leads from now on, epoch {epoch}"));
            }
            Input::Leadership(None) => self.operator(at, "leads no longer".to_owned()),
            Input::ClockStepped => {
                self.operator(
                    at,
                    "the clock jumped; nothing is spent before it is confirmed".into(),
                );
            }
            Input::Clock(_) | Input::Tick => {}
        }
        let mut touched = Vec::new();
        for taken in &record.moves {
            let Some(object) = self.object(&taken.uid) else { continue };
            let (from, to, why) = moved(engine, taken);
            let why = why.unwrap_or_else(|| "the plan does not explain it".to_owned());
            let states = Some((from.to_owned(), to.to_owned()));
            self.add(at, Some(object), What::Move, format!("{from} -> {to} ({why})"), states);
            self.objects[object].state = to.to_owned();
            touched.push(object);
        }
        for started in &record.effects {
            if self.underway.len() < UNDERWAY {
                self.underway.insert(started.id.clone(), at);
            }
            touched.extend(self.object(&started.id.uid));
        }
        if let Input::Completed(id, _) = &step.input {
            touched.extend(self.object(&id.uid));
        }
        if !played.redacted {
            touched.into_iter().for_each(|object| self.waits(at, engine, object));
        }
    }

    fn observed(&mut self, at: Timestamp, delta: &Delta<Kind, Facts>) {
        match delta {
            Delta::Applied { key, uid, facts, .. } => self.see(at, key, uid, facts),
            Delta::Deleted { key, .. } | Delta::Absent { key } => self.lose(at, key),
            Delta::Unreadable { key, message } => {
                let object = self.by_key.get(key).copied();
                self.add(at, object, What::Failed, format!("cannot be read: {message}"), None);
            }
            Delta::ListBegin { .. } | Delta::ListEnd { .. } => {}
        }
    }

    /// An object is there; told if it says something new.
    pub fn see(&mut self, at: Timestamp, key: &ObjectKey<Kind>, uid: &Uid, facts: &Facts) {
        let known = self.by_key.contains_key(key);
        let Some(object) = self.thread(key) else {
            self.left_out.2 += 1;
            return;
        };
        self.by_uid.insert(uid.clone(), object);
        let says = why::says(facts);
        let thread = &mut self.objects[object];
        if known && thread.says == says && !thread.gone {
            return;
        }
        thread.gone = false;
        thread.says.clone_from(&says);
        if key.kind != Kind::ConfigMap && key.kind != Kind::Key {
            self.add(at, Some(object), What::Seen, says, None);
        }
    }

    /// An object is gone.
    pub fn lose(&mut self, at: Timestamp, key: &ObjectKey<Kind>) {
        let Some(object) = self.by_key.get(key).copied() else { return };
        if !std::mem::replace(&mut self.objects[object].gone, true) {
            self.add(at, Some(object), What::Seen, "gone".to_owned(), None);
        }
    }

    fn completed(
        &mut self,
        at: Timestamp,
        id: &EffectId,
        outcome: &Outcome<Kind>,
        engine: &Engine<Everleaf>,
    ) {
        let began = self.underway.remove(id);
        let Some(object) = self.object(&id.uid) else { return };
        let kind = self.objects[object].key.kind;
        let name = step_name(engine, kind, id.step).unwrap_or("an effect");
        let name = if id.item.is_empty() { name.to_owned() } else { format!("{name} {}", id.item) };
        let took = began.map_or_else(String::new, |began| format!(", {} ms", at.since(began)));
        let (what, text) = match outcome {
            Outcome::Done { .. } => (What::Effect, format!("{name}: done{took}")),
            Outcome::Stale { .. } => {
                (What::Effect, format!("{name}: given up, for what it rests on had changed{took}"))
            }
            Outcome::Failed { reason, message, not_before, .. } => {
                let again = not_before
                    .map_or_else(String::new, |at| format!("; not again before {}", rfc3339(at)));
                let number = id.attempt;
                (What::Failed, format!("{name}, try {number}: {reason}: {message}{again}{took}"))
            }
        };
        self.objects[object].failures += u64::from(what == What::Failed);
        self.add(at, Some(object), what, text, None);
    }

    fn operator(&mut self, at: Timestamp, text: String) {
        self.add(at, None, What::Operator, text, None);
    }

    /// Notes what somebody else says of an object, such as an Event.
    pub fn note(
        &mut self,
        at: Timestamp,
        key: Option<&ObjectKey<Kind>>,
        failed: bool,
        text: String,
    ) {
        let object = key.and_then(|key| self.thread(key));
        let what = if failed { What::Failed } else { What::Seen };
        if let Some(object) = object {
            self.objects[object].failures += u64::from(failed);
        }
        self.span = Some((self.span.map_or(at, |(begin, _)| begin), at));
        self.add(at, object, what, text, None);
    }

    /// Tells what an object waits for, if that is something else than before.
    fn waits(&mut self, at: Timestamp, engine: &Engine<Everleaf>, object: usize) {
        let before = self.objects[object].waits.clone();
        self.rest_of(engine, object);
        let now = &self.objects[object].waits;
        if *now == before || now.is_empty() {
            return;
        }
        let told = self.objects[object].waiting();
        self.add(at, Some(object), What::Wait, told, None);
    }

    /// Where an object is and what it waits for, but for looks that come anyway.
    fn rest_of(&mut self, engine: &Engine<Everleaf>, object: usize) {
        let thread = &mut self.objects[object];
        let Some(status) = engine.status(&thread.key) else { return };
        let machine = &engine.program().plan().machines[status.machine];
        thread.state.clone_from(&machine.states[status.state].name);
        let waits = status.armed.iter().filter_map(|armed| {
            let wait = &machine.waits[armed.wait?];
            let anyway = matches!(wait.kind, WaitKind::Every { .. });
            (!anyway).then(|| (armed.at, wait.name.clone()))
        });
        thread.waits = waits.collect();
    }

    /// The number of an object; `None` beyond the bound.
    fn thread(&mut self, key: &ObjectKey<Kind>) -> Option<usize> {
        if let Some(known) = self.by_key.get(key) {
            return Some(*known);
        }
        if self.objects.len() >= self.bounds.objects {
            return None;
        }
        let number = self.objects.len();
        self.by_key.insert(key.clone(), number);
        let (state, says, waits) = (String::new(), String::new(), Vec::new());
        self.objects.push(Thread {
            key: key.clone(),
            state,
            waits,
            says,
            gone: false,
            failures: 0,
        });
        Some(number)
    }

    fn add(
        &mut self,
        at: Timestamp,
        object: Option<usize>,
        what: What,
        mut text: String,
        states: Option<(String, String)>,
    ) {
        if text.len() > TEXT_MAX {
            text.truncate(text.floor_char_boundary(TEXT_MAX));
            text.push('…');
        }
        let entry = Entry { at, number: self.numbered, object, what, text, states };
        self.numbered += 1;
        let (kept, most, lost) = match what.weighs() {
            true => (&mut self.weighty, self.bounds.weighty, &mut self.left_out.0),
            false => (&mut self.plain, self.bounds.plain, &mut self.left_out.1),
        };
        if kept.len() >= most.max(1) {
            kept.pop_front();
            *lost += 1;
        }
        kept.push_back(entry);
    }
}
