//! `everleaf replay`: the engine again over a recorded log, and the history that watch streams
//! tell; as text, as a page, with something changed, or without names.

mod change;
mod page;
mod redact;
mod story;
mod whatif;

use super::input::{self, Shown};
use super::recording::{
    Content, Ended, Heard, Played, REDACTED, Recording, at, content, unreadable,
};
use super::{Failure, print};
use crate::edge::{Projector, meta_of, version};
use crate::kube_api::resource;
use crate::operator::moved;
use change::Change;
use clap::Args;
use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::journal::{JournalStep, ReadError, Reader};
use everleaf_engine::replay::{Difference, Divergence, Report, replay};
use everleaf_engine::{Config, Delta, Engine, Input, Move, ObjectKey, Program, Timestamp, Uid};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::{Everleaf, Facts, Kind, Options, budget};
use everleaf_pki::Limits;
use page::Beside;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use story::{Bounds, Story};

/// Arguments of `everleaf replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Journals that `operator --record` wrote, or directories of such; or files that
    /// `kubectl get -o json`, with or without `--watch --output-watch-events`, wrote.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Only the summary, not every decision.
    #[arg(long, short)]
    pub quiet: bool,
    /// Write everything as one page, which needs nothing else and sends no request.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Run the recorded inputs again with something changed, and show both runs side by side: a
    /// file of manifests (Certificates, Issuers, ClusterIssuers), a field of a Certificate as
    /// spec.renewBefore=720h@Certificate/NAMESPACE/NAME, or a flag of the operator as NAME=VALUE.
    #[arg(long, value_name = "CHANGE")]
    pub what_if: Vec<String>,
    /// Write the journals to this directory, with every name replaced by a pseudonym, so that they
    /// can be attached to a report. A page is then made of those.
    #[arg(long, value_name = "DIR", conflicts_with = "what_if")]
    pub redact: Option<PathBuf>,
}

/// Replays.
///
/// # Errors
/// [`Failure::Usage`] for what cannot be read, or holds nothing; [`Failure::Failed`] for a
/// divergence.
pub fn run(args: &ReplayArgs) -> Result<(), Failure> {
    if let Some(out) = &args.redact {
        return redacted(args, out);
    }
    if !args.what_if.is_empty() {
        return what_if(args);
    }
    let (mut streams, mut journals) = (Vec::new(), Vec::new());
    let mut diverged = false;
    for path in &args.paths {
        let mut told = false;
        for file in input::files(path, &["jsonl", "json"])? {
            match content(&file)? {
                // The newest file of a running operator: its header is not handed out yet.
                Content::NoLine if path.is_dir() => {
                    print(&format!("{}: no whole line yet; left out\n", file.display()));
                    continue;
                }
                Content::NoLine | Content::Other => streams.extend(objects(&file)?),
                Content::Journal => {
                    diverged |= replay_journal(&file, args.quiet)?;
                    journals.push(file);
                }
            }
            told = true;
        }
        if !told {
            return Err(nothing_in(path));
        }
    }
    let mut story = Story::new(Bounds::default());
    if !streams.is_empty() {
        tell(streams, args.quiet, &mut story);
    }
    if let Some(out) = &args.html {
        let mut notes = Vec::new();
        if !journals.is_empty() {
            notes = hear(&Recording::open(&journals)?, &mut story)?;
        }
        write_page(out, &story, None, notes)?;
    }
    if diverged {
        Err(Failure::Failed("this build decides differently".to_owned()))
    } else {
        Ok(())
    }
}

/// Journals without names, and a page of them if one is wanted.
fn redacted(args: &ReplayArgs, out: &Path) -> Result<(), Failure> {
    let recording = Recording::open(&args.paths)?;
    let program = Everleaf::new(Options::default());
    let files = redact::write(&recording, out, program.plan())?;
    for file in &files {
        print(&format!(
            "{}: written without names; look through it before you give it away\n",
            file.display()
        ));
    }
    let Some(html) = &args.html else { return Ok(()) };
    let mut story = Story::new(Bounds::default());
    let notes = hear(&Recording::open(&files)?, &mut story)?;
    write_page(html, &story, None, notes)
}

fn what_if(args: &ReplayArgs) -> Result<(), Failure> {
    let change = Change::parse(&args.what_if)?;
    let both = whatif::play(&Recording::open(&args.paths)?, &change)?;
    print(&if args.quiet { both.notes().join("\n") + "\n" } else { both.to_text() });
    let Some(out) = &args.html else { return Ok(()) };
    let (ends, numbers) = (both.ends(), both.numbers());
    let beside = Beside { changed: both.changed.clone(), story: &both.other, ends, numbers };
    write_page(out, &both.recorded, Some(&beside), both.notes())
}

/// Plays a recording into a story; what has to be known of it.
fn hear(recording: &Recording, story: &mut Story) -> Result<Vec<String>, Failure> {
    let ended = recording.play(None, |heard| {
        story.hear(&heard);
        ControlFlow::Continue(())
    })?;
    let mut notes = Vec::new();
    let Ended { redacted, different, inputs, torn, .. } = ended;
    if redacted {
        notes.push("Every name is a pseudonym; it is told as it was recorded.".to_owned());
    } else if different > 0 {
        notes.push(format!(
            "This build decides {different} of {inputs} inputs otherwise than the one that recorded; \
             what it decides is told."
        ));
    }
    if torn {
        notes.push("A file of the recording ends within a line.".to_owned());
    }
    Ok(notes)
}

fn write_page(
    out: &Path,
    story: &Story,
    beside: Option<&Beside<'_>>,
    mut notes: Vec<String>,
) -> Result<(), Failure> {
    let left_out = [Some(story), beside.map(|beside| beside.story)].into_iter().flatten();
    let left_out: Vec<String> =
        left_out.map(Story::left_out).filter(|text| !text.is_empty()).collect();
    notes.extend(left_out.iter().cloned());
    let program = Everleaf::new(Options::default());
    let text = page::page(program.plan(), story, beside, &notes);
    std::fs::write(out, text).map_err(|error| at(out, error))?;
    let left_out: String = left_out.iter().map(|text| format!("; {text}")).collect();
    print(&format!("{}: {} objects{left_out}\n", out.display(), story.objects().len()));
    Ok(())
}

fn nothing_in(path: &Path) -> Failure {
    at(
        path,
        "neither a journal nor any Kubernetes object is in it; give what `everleaf operator \
         --record` or `kubectl get -o json` wrote",
    )
}

/// The objects that a file shows; at least one is of Kubernetes.
fn objects(path: &Path) -> Result<Vec<Shown>, Failure> {
    let shown = input::shown(path, &input::read(path)?)?;
    let text = |object: &Value, field: &str| object.get(field).is_some_and(Value::is_string);
    let is_object =
        |shown: &Shown| text(&shown.object, "apiVersion") && text(&shown.object, "kind");
    if shown.iter().any(is_object) { Ok(shown) } else { Err(nothing_in(path)) }
}

fn replay_journal(path: &Path, quiet: bool) -> Result<bool, Failure> {
    let fault = |error: ReadError| unreadable(path, &error);
    let file = File::open(path).map_err(|error| at(path, error))?;
    let mut reader = Reader::new(BufReader::with_capacity(1 << 20, file)).map_err(fault)?;
    let options: Options = serde_json::from_value(reader.header().program.clone())
        .map_err(|error| Failure::Usage(format!("{}:1: options: {error}", path.display())))?;
    if reader.header().program.get(REDACTED).is_some() {
        return tell_redacted(path, quiet);
    }
    let mut names = BTreeMap::new();
    let report = replay(&mut reader, Everleaf::new(options), |step, record, engine| {
        if quiet {
            return;
        }
        remember_name(&mut names, &step.input);
        for taken in &record.moves {
            print(&told_move(engine, &names, step.at, taken));
        }
    });
    let report = report.map_err(fault)?;
    print(&summary(path, &report));
    Ok(report.divergence.is_some())
}

/// Tells what was recorded: names decide too, so that pseudonyms cannot be replayed.
fn tell_redacted(path: &Path, quiet: bool) -> Result<bool, Failure> {
    let mut names = BTreeMap::new();
    let mut moves = 0;
    let ended = Recording::open(&[path.to_owned()])?.play(None, |heard| {
        if let Heard::Input(played) = heard {
            remember_name(&mut names, &played.step.input);
            moves += played.record.moves.len();
            for taken in played.record.moves.iter().filter(|_| !quiet) {
                print(&told_move(played.engine, &names, played.step.at, taken));
            }
        }
        ControlFlow::Continue(())
    })?;
    let (path, inputs) = (path.display(), ended.inputs);
    print(&format!(
        "{path}: {inputs} inputs, {moves} moves; without names, so that it is told as it was \
         recorded and not replayed\n"
    ));
    Ok(false)
}

/// UIDs and the objects that they belong to, as people know them.
type Names = BTreeMap<Uid, String>;

fn remember_name(names: &mut Names, input: &Input<Kind, Facts>) {
    if let Input::Observed(Delta::Applied { key, uid, .. }) = input {
        names.entry(uid.clone()).or_insert_with(|| key.to_string());
    }
}

fn told_move(engine: &Engine<Everleaf>, names: &Names, at: Timestamp, taken: &Move) -> String {
    let object = names.get(&taken.uid).map_or(&*taken.uid, String::as_str);
    let (from, to, why) = moved(engine, taken);
    let why = why.unwrap_or_else(|| "the plan does not explain it".to_owned());
    format!("{} {object}: {from} -> {to} ({why})\n", rfc3339(at))
}

fn summary(path: &Path, report: &Report) -> String {
    let Report { inputs, effects, moves, .. } = report;
    let mut text = format!("{}: {inputs} inputs, {effects} effects, {moves} moves", path.display());
    if !report.same_plan {
        text.push_str("; recorded under another plan, so digests are not compared");
    }
    if report.torn {
        text.push_str("; the last line is torn and was left out");
    }
    match &report.divergence {
        None => text.push_str("; 0 divergences\n"),
        Some(divergence) => text.push_str(&diverges(divergence)),
    }
    text
}

fn diverges(Divergence { line, seq, what }: &Divergence) -> String {
    let what = match what {
        Difference::Effects { recorded, replayed } => {
            format!("effects differ:\n  recorded {recorded:?}\n  replayed {replayed:?}")
        }
        Difference::Moves { recorded, replayed } => {
            format!("moves differ:\n  recorded {recorded:?}\n  replayed {replayed:?}")
        }
        Difference::Waits { recorded, replayed } => {
            format!("waits differ: recorded {recorded:?}, replayed {replayed:?}")
        }
        Difference::State => "the state differs".to_owned(),
        Difference::Sequence { expected } => format!("input {expected} was expected"),
    };
    format!("\n  diverges at line {line} (input {seq}): {what}\n")
}

/// Tells the history of watch streams, in the order in which the API server wrote it.
fn tell(mut shown: Vec<Shown>, quiet: bool, story: &mut Story) {
    shown.sort_by_key(|shown| version(&meta_of(&shown.object)));
    let projector = Projector::new(CopiedAnnotations::default(), Limits::default());
    let mut history = History::new();
    let mut unread = 0;
    for Shown { event, object } in &shown {
        match kind_of(object) {
            Some(kind) => history.observe(&projector, (kind, event, object), quiet, story),
            None => {
                history.note_event(object, quiet, story);
                unread += usize::from(object["kind"] != "Event");
            }
        }
    }
    let History { engine, moves, .. } = &history;
    print(&format!(
        "{} observations, {moves} moves, {} objects left, {unread} of other kinds\n",
        shown.len(),
        engine.world().len()
    ));
}

fn kind_of(object: &Value) -> Option<Kind> {
    let name = object.get("kind").and_then(Value::as_str)?;
    let kind = Kind::of_name(name).filter(|kind| *kind != Kind::Key)?;
    // Of ConfigMaps only those of ours that hold budgets.
    let label = |labels: &Value| labels.get(budget::LABEL).is_some();
    let ours = kind != Kind::ConfigMap || object.pointer("/metadata/labels").is_some_and(label);
    let version = object.get("apiVersion").and_then(Value::as_str)?;
    (ours && version == resource(kind).api_version).then_some(kind)
}

/// An engine that only looks: it follows what others did.
struct History {
    engine: Engine<Everleaf>,
    names: Names,
    said: BTreeMap<Uid, String>,
    now: Timestamp,
    moves: u64,
}

impl History {
    fn new() -> Self {
        let mut engine = Engine::new(Everleaf::new(Options::default()), Config::default());
        for feed in 0..engine.program().feeds().len() {
            let feed = feed as u8;
            let begin = Delta::ListBegin { feed };
            engine.handle(Timestamp::default(), Input::Observed(begin));
            engine.handle(Timestamp::default(), Input::Observed(Delta::ListEnd { feed, rv: 0 }));
        }
        let (names, said) = (Names::new(), BTreeMap::new());
        Self { engine, names, said, now: Timestamp::default(), moves: 0 }
    }

    fn observe(
        &mut self,
        projector: &Projector,
        (kind, event, object): (Kind, &str, &Value),
        quiet: bool,
        story: &mut Story,
    ) {
        let read = match projector.read(kind, object) {
            Ok(read) => read,
            Err(error) => return print(&format!("left out: {error}\n")),
        };
        // The stream has no clock of its own; the latest time in the object is a lower bound.
        self.now = self.now.max(latest_time(object));
        let (key, uid) = (read.key.clone(), read.uid.clone());
        self.names.entry(uid.clone()).or_insert_with(|| key.to_string());
        let delta = match event {
            "DELETED" => Delta::Deleted { feed: read.feed, key: key.clone(), uid: uid.clone() },
            _ => read.watched(),
        };
        let input = Input::Observed(delta);
        let record = self.engine.handle(self.now, input.clone());
        let step = JournalStep { seq: 0, at: self.now, input, record: record.clone() };
        let (engine, redacted) = (&self.engine, false);
        story.hear(&Heard::Input(Played { step: &step, record: &record, engine, redacted }));
        self.moves += record.moves.len() as u64;
        if quiet {
            return;
        }
        let line = format!("{} {key}: {}", rfc3339(self.now), said_of(event, object));
        if self.said.insert(uid, line.clone()).as_ref() != Some(&line) {
            print(&format!("{line}\n"));
        }
        for taken in &record.moves {
            print(&format!("  {}", told_move(&self.engine, &self.names, self.now, taken)));
        }
    }

    /// Events of the recorded controllers are part of the story.
    fn note_event(&mut self, object: &Value, quiet: bool, story: &mut Story) {
        if object["kind"] != "Event" {
            return;
        }
        let about = &object["involvedObject"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = Kind::of_name(&text(&about["kind"]))
            .map(|kind| ObjectKey::new(kind, text(&about["namespace"]), text(&about["name"])));
        let at = self.now.max(latest_time(object));
        let told = format!("Event {}: {}", text(&object["reason"]), text(&object["message"]));
        story.note(at, key.as_ref(), object["type"] == "Warning", told);
        if quiet {
            return;
        }
        print(&format!(
            "{} {}/{}/{}: Event {}: {}\n",
            rfc3339(at),
            text(&about["kind"]),
            text(&about["namespace"]),
            text(&about["name"]),
            text(&object["reason"]),
            text(&object["message"]),
        ));
    }
}

/// What an object says of itself: its conditions.
fn said_of(event: &str, object: &Value) -> String {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let said = conditions.into_iter().flatten().map(|condition| {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        format!("{}={} {}: {}", text("type"), text("status"), text("reason"), text("message"))
    });
    let said: Vec<String> = said.collect();
    let event = event.to_lowercase();
    if said.is_empty() { event } else { format!("{event}; {}", said.join(" | ")) }
}

/// The latest instant that an object names as past: creation, writes, transitions.
fn latest_time(object: &Value) -> Timestamp {
    let mut latest = 0;
    let mut note = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str).unwrap_or_default();
        if let Ok(time) = text.parse::<everleaf_api::Time>() {
            latest = latest.max(time.unix());
        }
    };
    note(object.pointer("/metadata/creationTimestamp"));
    note(object.get("lastTimestamp"));
    let fields = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    fields.into_iter().flatten().for_each(|entry| note(entry.get("time")));
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().for_each(|c| note(c.get("lastTransitionTime")));
    Timestamp::from_seconds(latest)
}

#[cfg(test)]
mod tests;
