//! What would have been: the recorded inputs again, through an engine to which something was
//! changed. What cannot be known from a recording is said, and not made up.

use super::Failure;
use super::change::Change;
use super::story::{Bounds, Entry, Story, What};
use crate::commands::recording::{Heard, Played, Recording};
use everleaf_engine::journal::JournalStep;
use everleaf_engine::{
    Command, Delta, EffectId, Engine, Input, ObjectKey, Outcome, Record, Timestamp, Uid, Wake,
};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::{Do, Effect, Everleaf, Facts, Kind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// So many times in a row the other engine is called again between two recorded inputs.
const TICKS: usize = 10_000;
/// So many times in a row a status is written for it.
const WRITES: usize = 100;
/// So many lines are told of one object.
const LINES: usize = 30;
/// The width of a column.
const WIDTH: usize = 58;

/// Both runs.
pub struct Both {
    /// What was recorded.
    pub recorded: Story,
    /// What would have been, as far as that is known.
    pub other: Story,
    /// What was changed, for people.
    pub changed: String,
    /// How many inputs were changed.
    pub inputs_changed: u64,
    /// The objects that differ, by their number in `recorded`.
    pub different: Vec<Different>,
    begin: Timestamp,
}

/// An object of which the runs differ.
pub struct Different {
    /// Its number in the recorded story.
    pub object: usize,
    /// Its number in the other, if it is there.
    pub other: Option<usize>,
    /// From when on nothing is known of it: the first effect that only one run started, or not
    /// at the same time.
    pub known_until: Option<(Timestamp, String)>,
}

/// Plays a recording both ways.
///
/// # Errors
/// [`Failure::Usage`] for a recording that cannot be read, or of which the change changes nothing.
pub fn play(recording: &Recording, change: &Change) -> Result<Both, Failure> {
    let mut run = Run::new(change);
    let mut recorded = Story::new(Bounds::default());
    let ended = recording.play(None, |heard| {
        recorded.hear(&heard);
        match &heard {
            Heard::Begin(engine) => run.begin(engine),
            Heard::Input(played) => run.input(played),
        }
        ControlFlow::Continue(())
    })?;
    if ended.redacted {
        return Err(Failure::Usage(
            "names are pseudonyms in this recording, and names decide: it cannot be run again; take \
             the one that it was made of"
                .to_owned(),
        ));
    }
    if run.changed == 0 && !change.changes_options() {
        return Err(Failure::Usage(format!(
            "nothing in the recording is changed by {}; is the name right?",
            change.told()
        )));
    }
    run.until(ended.end);
    let both = run.compared(recorded, ended.begin);
    Ok(both)
}

struct Run<'a> {
    change: &'a Change,
    engine: Option<Engine<Everleaf>>,
    story: Story,
    changed: u64,
    /// When each run started each effect: recorded, and other.
    started: BTreeMap<EffectId, (Option<Timestamp>, Option<Timestamp>)>,
    names: BTreeMap<EffectId, String>,
    /// The renewal times that the other engine wrote, in place of the recorded ones.
    renewals: BTreeMap<ObjectKey<Kind>, Option<Timestamp>>,
    /// Writes of nothing but a renewal time, which were answered here.
    answered: BTreeSet<EffectId>,
}

impl<'a> Run<'a> {
    fn new(change: &'a Change) -> Self {
        let story = Story::new(Bounds::default());
        let (started, names) = (BTreeMap::new(), BTreeMap::new());
        let (renewals, answered) = (BTreeMap::new(), BTreeSet::new());
        Self { change, engine: None, story, changed: 0, started, names, renewals, answered }
    }

    /// A file begins. One that goes on where the one before ended changes nothing here.
    fn begin(&mut self, recorded: &Engine<Everleaf>) {
        if self.engine.is_some() && !recorded.world().is_empty() {
            return;
        }
        let program = Everleaf::new(self.change.options(&recorded.program().options));
        let mut engine = Engine::restore(program, recorded.snapshot());
        let now = engine.now();
        let seen: Vec<_> = recorded
            .world()
            .iter()
            .filter_map(|(key, object)| {
                let facts = self.change.of(key, &object.facts)?;
                let (feed, uid, rv) = (object.feed, object.uid.clone(), object.rv);
                Some(Delta::Applied { feed, key: key.clone(), uid, rv, live: false, facts })
            })
            .collect();
        self.changed += seen.len() as u64;
        self.story.hear(&Heard::Begin(&engine));
        for delta in seen {
            let input = Input::Observed(delta);
            let record = engine.handle(now, input.clone());
            self.note(&mut engine, now, input, &record);
        }
        self.engine = Some(engine);
    }

    fn input(&mut self, played: &Played<'_>) {
        for started in &played.record.effects {
            let at = Some(played.step.at);
            self.started.entry(started.id.clone()).or_default().0 = at;
            self.name(played.engine, started);
        }
        self.until(played.step.at);
        let Some(mut engine) = self.engine.take() else { return };
        let input = self.changed_input(&played.step.input);
        let record = engine.handle(played.step.at, input.clone());
        self.note(&mut engine, played.step.at, input, &record);
        self.engine = Some(engine);
    }

    fn changed_input(&mut self, input: &Input<Kind, Facts>) -> Input<Kind, Facts> {
        let mut input = input.clone();
        if let Input::Observed(Delta::Applied { key, facts, .. }) = &mut input {
            if let Some(changed) = self.change.of(key, facts) {
                *facts = changed;
                self.changed += 1;
            }
            self.with_renewal(key, facts);
        }
        input
    }

    /// The status tells of the renewal time that the other engine found, for it wrote that.
    fn with_renewal(&self, key: &ObjectKey<Kind>, facts: &mut Facts) {
        if let (Some(renewal), Facts::Certificate(facts)) = (self.renewals.get(key), facts) {
            facts.status.renewal = *renewal;
        }
    }

    /// Time passes for the other engine too: it waits for other instants than the recorded one.
    fn until(&mut self, at: Timestamp) {
        let Some(mut engine) = self.engine.take() else { return };
        for _ in 0..TICKS {
            let due = match engine.poll_wake() {
                Wake::At(due) if due < at => due,
                // What is due now is handed in with the next input.
                Wake::At(_) | Wake::Now | Wake::OnlyWhenTold => break,
            };
            let record = engine.handle(due, Input::Tick);
            self.note(&mut engine, due, Input::Tick, &record);
        }
        self.engine = Some(engine);
    }

    fn note(
        &mut self,
        engine: &mut Engine<Everleaf>,
        at: Timestamp,
        input: Input<Kind, Facts>,
        record: &Record,
    ) {
        self.tell(engine, at, input, record);
        for _ in 0..WRITES {
            let writes = self.written(engine);
            if writes.is_empty() {
                return;
            }
            for (id, key) in writes {
                self.answer(engine, at, id, &key);
            }
        }
    }

    fn tell(
        &mut self,
        engine: &Engine<Everleaf>,
        at: Timestamp,
        input: Input<Kind, Facts>,
        record: &Record,
    ) {
        for started in &record.effects {
            self.started.entry(started.id.clone()).or_default().1.get_or_insert(at);
            self.name(engine, started);
        }
        let step = JournalStep { seq: 0, at, input, record: record.clone() };
        let played = Played { step: &step, record, engine, redacted: false };
        self.story.hear(&Heard::Input(played));
    }

    /// Takes note of the renewal times among what the engine wants written; answers with the
    /// writes that tell of nothing else and that the recorded run did not make then.
    fn written(&mut self, engine: &mut Engine<Everleaf>) -> Vec<(EffectId, ObjectKey<Kind>)> {
        let mut writes = Vec::new();
        while let Some(command) = engine.poll_effect() {
            let Command::Perform(id, effect) = command else { continue };
            let Some((renewal, alone)) = renewal_in(&effect) else { continue };
            self.renewals.insert(effect.subject.clone(), renewal);
            let both = self.started.get(&id).is_some_and(|(was, would)| was == would);
            if alone && !both {
                writes.push((id, effect.subject));
            }
        }
        writes
    }

    fn answer(
        &mut self,
        engine: &mut Engine<Everleaf>,
        at: Timestamp,
        id: EffectId,
        key: &ObjectKey<Kind>,
    ) {
        self.answered.insert(id.clone());
        let known = engine.world().get(key).cloned();
        let mut inputs = vec![Input::Completed(id, Outcome::done())];
        inputs.extend(known.map(|object| {
            let (feed, uid, rv, mut facts) = (object.feed, object.uid, object.rv, object.facts);
            self.with_renewal(key, &mut facts);
            let key = key.clone();
            Input::Observed(Delta::Applied { feed, key, uid, rv, live: false, facts })
        }));
        for input in inputs {
            let record = engine.handle(at, input.clone());
            self.tell(engine, at, input, &record);
        }
    }

    fn name(&mut self, engine: &Engine<Everleaf>, started: &everleaf_engine::Started) {
        let name = crate::operator::effect_name(engine, started).to_owned();
        self.names.insert(started.id.clone(), name);
    }

    /// From when on the recording has nothing to say of an object: its runs asked for different
    /// things, or at different times.
    fn known_until(&self) -> BTreeMap<Uid, (Timestamp, String)> {
        let mut all: BTreeMap<Uid, (Timestamp, String)> = BTreeMap::new();
        for (id, at) in self.started.iter().filter(|(id, _)| !self.answered.contains(id)) {
            let name = self.names.get(id).map_or("an effect", String::as_str);
            let (at, why) = match *at {
                (Some(was), Some(would)) if was == would => continue,
                (Some(was), Some(would)) if would < was => {
                    (would, format!("it would start {name} earlier than it did"))
                }
                (Some(was), Some(_)) => (was, format!("it would start {name} later than it did")),
                (Some(was), None) => (was, format!("it would not start {name}, which it did")),
                (None, Some(would)) => {
                    (would, format!("it would start {name}, of which there is no recorded outcome"))
                }
                (None, None) => continue,
            };
            let entry = all.entry(id.uid.clone()).or_insert_with(|| (at, why.clone()));
            if at < entry.0 {
                *entry = (at, why);
            }
        }
        all
    }

    fn compared(mut self, recorded: Story, begin: Timestamp) -> Both {
        let known: BTreeMap<usize, (Timestamp, String)> = self
            .known_until()
            .into_iter()
            .filter_map(|(uid, until)| Some((self.story.object(&uid)?, until)))
            .collect();
        self.story.cut(&known.iter().map(|(object, until)| (*object, until.0)).collect());
        let mut different = Vec::new();
        for (number, thread) in recorded.objects().iter().enumerate() {
            let other = self.story.objects().iter().position(|one| one.key == thread.key);
            let until = other.and_then(|other| known.get(&other).cloned());
            let same = other.is_some_and(|other| {
                let other = &self.story.objects()[other];
                (&other.state, &other.waits) == (&thread.state, &thread.waits)
            });
            let same_moves =
                other.is_some_and(|other| moves(&recorded, number) == moves(&self.story, other));
            if !same || !same_moves || until.is_some() {
                different.push(Different { object: number, other, known_until: until });
            }
        }
        Both {
            recorded,
            other: self.story,
            changed: self.change.told(),
            inputs_changed: self.changed,
            different,
            begin,
        }
    }
}

/// The renewal time that a write of a status tells of, and whether it tells of nothing else.
fn renewal_in(effect: &Effect) -> Option<(Option<Timestamp>, bool)> {
    let (Do::PatchStatus { patch } | Do::Settle { patch, .. }) = &effect.action else {
        return None;
    };
    let patch: Value = serde_json::from_str(patch).ok()?;
    let status = patch.get("status")?.as_object()?;
    let renewal = status.get("renewalTime")?.as_str();
    let time = renewal.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let alone = status.len() == 1 && matches!(effect.action, Do::PatchStatus { .. });
    Some((time.map(|time| Timestamp::from_millis(time.as_millisecond())), alone))
}

fn moves(story: &Story, object: usize) -> Vec<(Timestamp, &str)> {
    let entries = story.entries().into_iter();
    entries
        .filter(|e| e.object == Some(object) && e.what == What::Move)
        .map(|e| (e.at, e.text.as_str()))
        .collect()
}

impl Both {
    /// What a counterfactual cannot know, and how much was changed.
    pub fn notes(&self) -> Vec<String> {
        let Self { changed, inputs_changed, different, recorded, begin, .. } = self;
        let (differ, all) = (different.len(), recorded.objects().len());
        vec![
            format!(
                "what if {changed}, from {} on: {inputs_changed} observations changed, {differ} of \
                 {all} objects differ",
                rfc3339(*begin)
            ),
            "What would have been is what this engine makes of the recorded inputs. Where it would \
             have asked for something else, or at another time, nobody recorded the answer: of that \
             object nothing more is told. Only that a renewal time was written is taken for granted. What other objects, people and CAs did is taken as it was \
             recorded, though it followed from what was really done."
                .to_owned(),
        ]
    }

    /// What would have become of each object that differs.
    pub fn ends(&self) -> Vec<(usize, String)> {
        self.different.iter().map(|one| (one.object, self.end_of_other(one))).collect()
    }

    /// The numbers of objects of the other story in the recorded one.
    pub fn numbers(&self) -> Vec<Option<usize>> {
        let own = self.recorded.objects();
        let number = |key| own.iter().position(|thread| thread.key == key);
        self.other.objects().iter().map(|thread| number(thread.key.clone())).collect()
    }

    fn end_of_other(&self, one: &Different) -> String {
        match (&one.known_until, one.other) {
            (Some((at, why)), _) => format!("not known after {}: {why}", rfc3339(*at)),
            (None, Some(other)) => end_of(&self.other, other),
            (None, None) => "not there".to_owned(),
        }
    }

    /// Both runs side by side, as text.
    pub fn to_text(&self) -> String {
        let mut text: String = self.notes().iter().map(|note| format!("{note}\n")).collect();
        for one in &self.different {
            let key = &self.recorded.objects()[one.object].key;
            text.push_str(&format!("\n{key}\n  {:20}  {:WIDTH$}  what if\n", "", "recorded"));
            let rows = self.rows(one);
            let skipped = rows.len().saturating_sub(LINES);
            if skipped > 0 {
                text.push_str(&format!("  ({skipped} earlier rows left out; --html has them)\n"));
            }
            for (at, left, right) in &rows[skipped..] {
                text.push_str(&row(&rfc3339(*at), left, right));
            }
            let (was, would) = (end_of(&self.recorded, one.object), self.end_of_other(one));
            text.push_str(&row("at the end", &was, &would));
        }
        text
    }

    /// Moves and errors of both runs, by time; what they have alike is one row.
    fn rows(&self, one: &Different) -> Vec<(Timestamp, String, String)> {
        let left = told(&self.recorded, Some(one.object));
        let right = told(&self.other, one.other);
        let common: BTreeSet<(Timestamp, &str)> =
            left.iter().filter(|row| right.contains(row)).copied().collect();
        let mut rows: Vec<_> = left
            .iter()
            .map(|(at, text)| {
                let both = common.contains(&(*at, *text));
                let right = if both { (*text).to_owned() } else { String::new() };
                (*at, (*text).to_owned(), right)
            })
            .collect();
        let only = right.iter().filter(|row| !common.contains(row));
        rows.extend(only.map(|(at, text)| (*at, String::new(), (*text).to_owned())));
        rows.sort_by_key(|(at, ..)| *at);
        rows
    }
}

fn told(story: &Story, object: Option<usize>) -> Vec<(Timestamp, &str)> {
    let is_told = |entry: &&Entry| {
        object.is_some()
            && entry.object == object
            && matches!(entry.what, What::Move | What::Failed)
    };
    story.entries().into_iter().filter(is_told).map(|e| (e.at, e.text.as_str())).collect()
}

fn end_of(story: &Story, object: usize) -> String {
    let thread = &story.objects()[object];
    let state = if thread.gone { "gone" } else { &thread.state };
    match thread.waiting() {
        waiting if waiting.is_empty() => state.to_owned(),
        waiting => format!("{state}, {waiting}"),
    }
}

/// One row of two columns; what is longer than its column goes on below it.
fn row(head: &str, left: &str, right: &str) -> String {
    let (left, right) = (wrapped(left), wrapped(right));
    let mut text = String::new();
    for line in 0..left.len().max(right.len()).max(1) {
        let of = |column: &[String]| column.get(line).cloned().unwrap_or_default();
        let head = if line == 0 { head } else { "" };
        let told = format!("  {head:20}  {:WIDTH$}  {}", of(&left), of(&right));
        text.push_str(told.trim_end());
        text.push('\n');
    }
    text
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
