//! Replay: the engine again over what it was told, compared with what it decided.

use crate::engine::Engine;
use crate::journal::{Header, JournalStep, Line, ReadError, Reader, plan_digest};
use crate::program::{Move, Program, Record, Started};
use crate::time::Timestamp;
use std::io::BufRead;

/// The first place at which this build decides differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The line of the file, from 1.
    pub line: u64,
    /// The input's number.
    pub seq: u64,
    /// What differs.
    pub what: Difference,
}

/// What differs between a recorded decision and a replayed one.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// Other effects were started.
    Effects {
        /// By the build that recorded.
        recorded: Vec<Started>,
        /// By this build.
        replayed: Vec<Started>,
    },
    /// Other moves were made.
    Moves {
        /// By the build that recorded.
        recorded: Vec<Move>,
        /// By this build.
        replayed: Vec<Move>,
    },
    /// Something else is waited for.
    Waits {
        /// The next instant that the build that recorded waited for.
        recorded: Option<Timestamp>,
        /// The next instant that this build waits for.
        replayed: Option<Timestamp>,
    },
    /// The states differ, though the decisions were the same so far.
    State,
    /// A line does not carry the number after that of the line before.
    Sequence {
        /// The number that was expected.
        expected: u64,
    },
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Inputs that were replayed.
    pub inputs: u64,
    /// Effects that were started.
    pub effects: u64,
    /// Moves that were made.
    pub moves: u64,
    /// The first divergence.
    pub divergence: Option<Divergence>,
    /// Whether the file ended within a line.
    pub torn: bool,
    /// Whether the plan is the one that was recorded; only then digests are compared.
    pub same_plan: bool,
}

/// Replays one file into a fresh engine, telling every step to `each`; stops at the first
/// divergence.
///
/// # Errors
/// If the file cannot be read, except for a torn last line, which is reported.
pub fn replay<P: Program + Clone, R: BufRead>(
    reader: &mut Reader<R>,
    program: P,
    mut each: impl FnMut(&JournalStep<P>, &Record, &Engine<P>),
) -> Result<Report, ReadError> {
    let header: &Header = reader.header();
    let same_plan = header.plan == plan_digest(program.plan());
    let mut engine = Engine::new(program.clone(), header.config);
    let mut report = Report { same_plan, ..Report::default() };
    let mut last_seq = None;
    loop {
        let step = match reader.read::<P>() {
            Ok(Some(Line::Step(step))) => step,
            Ok(Some(Line::Snapshot(snapshot))) => {
                engine = Engine::restore(program.clone(), *snapshot);
                continue;
            }
            Ok(None) => return Ok(report),
            Err(ReadError::Torn { .. }) => {
                report.torn = true;
                return Ok(report);
            }
            Err(error) => return Err(error),
        };
        let record = engine.handle(step.at, step.input.clone());
        while engine.poll_effect().is_some() {}
        each(&step, &record, &engine);
        report.count(&record);
        let what = gap(last_seq.replace(step.seq), step.seq)
            .or_else(|| difference(&step.record, &record, same_plan));
        if let Some(what) = what {
            let (line, seq) = (reader.line(), step.seq);
            report.divergence = Some(Divergence { line, seq, what });
            return Ok(report);
        }
    }
}

impl Report {
    fn count(&mut self, record: &Record) {
        self.inputs += 1;
        self.effects += record.effects.len() as u64;
        self.moves += record.moves.len() as u64;
    }
}

fn gap(last: Option<u64>, seq: u64) -> Option<Difference> {
    let expected = last?.wrapping_add(1);
    (seq != expected).then_some(Difference::Sequence { expected })
}

/// Steps, children's names and waits are compared always; contents, moves and states only if the
/// plan is the one that was recorded.
fn difference(recorded: &Record, replayed: &Record, same_plan: bool) -> Option<Difference> {
    let ids = |effects: &[Started]| effects.iter().map(|e| e.id.clone()).collect::<Vec<_>>();
    let same_effects = if same_plan {
        recorded.effects == replayed.effects
    } else {
        ids(&recorded.effects) == ids(&replayed.effects)
    };
    if !same_effects {
        let (recorded, replayed) = (recorded.effects.clone(), replayed.effects.clone());
        return Some(Difference::Effects { recorded, replayed });
    }
    if recorded.wake != replayed.wake {
        let (recorded, replayed) = (recorded.wake, replayed.wake);
        return Some(Difference::Waits { recorded, replayed });
    }
    if same_plan && recorded.moves != replayed.moves {
        let (recorded, replayed) = (recorded.moves.clone(), replayed.moves.clone());
        return Some(Difference::Moves { recorded, replayed });
    }
    (same_plan && recorded.state != replayed.state).then_some(Difference::State)
}
