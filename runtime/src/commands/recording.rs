//! Playing what `--record` wrote: the engine again, file after file, over the recorded inputs.

mod begin;
mod instant;

use super::{Failure, input};
pub use begin::Content;
pub(super) use begin::{at, content, unreadable};
use everleaf_engine::journal::{JournalStep, Line, ReadError, Reader, plan_digest};
use everleaf_engine::{Engine, Program, Record, Timestamp};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::{Everleaf, Options};
pub use instant::At;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The member beside the options in a header that says that the recording was redacted.
pub const REDACTED: &str = "redacted";

/// The journals of one or more paths, in the order in which they were written.
#[derive(Debug)]
pub struct Recording {
    files: Vec<PathBuf>,
}

/// One input of a recording, and what it led to.
pub struct Played<'a> {
    /// The step as it was recorded.
    pub step: &'a JournalStep<Everleaf>,
    /// What it led to: what this build decides; of a redacted recording what was recorded, for
    /// names decide too.
    pub record: &'a Record,
    /// The engine after it.
    pub engine: &'a Engine<Everleaf>,
    /// Whether names were replaced, so that what this engine would decide is something else.
    pub redacted: bool,
}

/// What playing tells of.
pub enum Heard<'a> {
    /// A file begins, with the engine that its snapshot holds or with a fresh one.
    Begin(&'a Engine<Everleaf>),
    /// An input was played.
    Input(Played<'a>),
}

/// What playing came to.
pub struct Ended {
    /// The engine after the last input that was played.
    pub engine: Engine<Everleaf>,
    /// When the first input came.
    pub begin: Timestamp,
    /// When the last input that was played came.
    pub end: Timestamp,
    /// How many inputs were played.
    pub inputs: u64,
    /// How many of them this build decides otherwise than the one that recorded.
    pub different: u64,
    /// Whether names were replaced in it.
    pub redacted: bool,
    /// Whether a file ends within a line, as after a crash.
    pub torn: bool,
    /// Whether more was recorded after the instant until which it was played.
    pub more: bool,
}

impl Recording {
    /// The journals of these paths; a file whose header is not written out yet is left out.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a path that cannot be read, a file that is no journal, or none at all.
    pub fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut files = Vec::new();
        for path in paths {
            let before = files.len();
            for file in input::files(path, &["jsonl"])? {
                match content(&file)? {
                    Content::Journal => files.push(file),
                    Content::NoLine if path.is_dir() => {}
                    Content::NoLine | Content::Other => return Err(no_journal(&file)),
                }
            }
            if files.len() == before {
                return Err(no_journal(path));
            }
        }
        Ok(Self { files })
    }

    /// The files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// When its first and its last input came.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that cannot be read, or if there is no input.
    pub fn span(&self) -> Result<(Timestamp, Timestamp), Failure> {
        let mut span: Option<(Timestamp, Timestamp)> = None;
        for path in &self.files {
            let mut tape = Tape::open(path)?;
            while let Some(step) = tape.next()? {
                span = Some((span.map_or(step.at, |(begin, _)| begin), step.at));
            }
        }
        span.ok_or_else(nothing_yet)
    }

    /// Plays every input that came no later than `until`, or until `each` breaks off.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that cannot be read, or a recording without any input until
    /// then.
    pub fn play(
        &self,
        until: Option<Timestamp>,
        mut each: impl FnMut(Heard<'_>) -> ControlFlow<()>,
    ) -> Result<Ended, Failure> {
        let mut tally = Tally::default();
        let mut last = None;
        for path in &self.files {
            let mut tape = Tape::open(path)?;
            let flow = tape.run(until, &mut tally, &mut each)?;
            if !tape.first {
                last = Some((tape.engine, tape.redacted));
            }
            if flow.is_break() {
                break;
            }
        }
        let Tally { span, inputs, different, torn, stopped } = tally;
        match (last, span, stopped) {
            (Some((engine, redacted)), Some((begin, end)), _) => {
                let more = stopped.is_some();
                Ok(Ended { engine, begin, end, inputs, different, redacted, torn, more })
            }
            (_, _, Some(at)) => Err(Failure::Usage(format!(
                "the recording begins at {}, which is later than the instant asked for",
                rfc3339(at)
            ))),
            _ => Err(nothing_yet()),
        }
    }
}

fn nothing_yet() -> Failure {
    Failure::Usage("the recording holds no input yet; let the operator run on".to_owned())
}

fn no_journal(path: &Path) -> Failure {
    at(path, "no journal; give what `everleaf operator --record` wrote")
}

/// What was counted over all files.
#[derive(Default)]
struct Tally {
    span: Option<(Timestamp, Timestamp)>,
    inputs: u64,
    different: u64,
    torn: bool,
    /// The first input that came too late.
    stopped: Option<Timestamp>,
}

/// One file, and the engine that plays it.
struct Tape {
    path: PathBuf,
    reader: Reader<BufReader<File>>,
    program: Everleaf,
    engine: Engine<Everleaf>,
    redacted: bool,
    same_plan: bool,
    torn: bool,
    /// Whether nothing of it was played yet.
    first: bool,
}

impl Tape {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| at(path, error))?;
        let reader = Reader::new(BufReader::with_capacity(1 << 20, file));
        let reader = reader.map_err(|error| unreadable(path, &error))?;
        let header = reader.header();
        let redacted = header.program.get(REDACTED).is_some();
        let options: Options = serde_json::from_value(header.program.clone())
            .map_err(|error| Failure::Usage(format!("{}:1: options: {error}", path.display())))?;
        let program = Everleaf::new(options);
        let same_plan = header.plan == plan_digest(program.plan());
        let engine = Engine::new(program.clone(), header.config);
        let path = path.to_owned();
        Ok(Self { path, reader, program, engine, redacted, same_plan, torn: false, first: true })
    }

    /// The next step; snapshots on the way are taken over. A torn end is an end.
    fn next(&mut self) -> Result<Option<Box<JournalStep<Everleaf>>>, Failure> {
        loop {
            match self.reader.read() {
                Ok(Some(Line::Step(step))) => return Ok(Some(step)),
                Ok(Some(Line::Snapshot(snapshot))) => {
                    self.engine = Engine::restore(self.program.clone(), *snapshot);
                }
                Ok(None) => return Ok(None),
                Err(ReadError::Torn { .. }) => {
                    self.torn = true;
                    return Ok(None);
                }
                Err(error) => return Err(unreadable(&self.path, &error)),
            }
        }
    }

    fn run(
        &mut self,
        until: Option<Timestamp>,
        tally: &mut Tally,
        each: &mut impl FnMut(Heard<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        while let Some(step) = self.next()? {
            if until.is_some_and(|until| step.at > until) {
                tally.stopped = Some(step.at);
                return Ok(ControlFlow::Break(()));
            }
            if std::mem::take(&mut self.first) && each(Heard::Begin(&self.engine)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let decided = self.engine.handle(step.at, step.input.clone());
            while self.engine.poll_effect().is_some() {}
            let same = self.is_same(&step.record, &decided);
            let record = if self.redacted { &step.record } else { &decided };
            let (engine, redacted) = (&self.engine, self.redacted);
            let flow = each(Heard::Input(Played { step: &step, record, engine, redacted }));
            tally.inputs += 1;
            tally.different += u64::from(!same);
            tally.span = Some((tally.span.map_or(step.at, |(begin, _)| begin), step.at));
            if flow.is_break() {
                return Ok(flow);
            }
        }
        tally.torn |= self.torn;
        Ok(ControlFlow::Continue(()))
    }

    /// Under another plan numbers of states and digests mean nothing.
    fn is_same(&self, recorded: &Record, decided: &Record) -> bool {
        let ids = |record: &Record| record.effects.iter().map(|e| e.id.clone()).collect::<Vec<_>>();
        match self.same_plan && !self.redacted {
            true => recorded == decided,
            false => ids(recorded) == ids(decided),
        }
    }
}
