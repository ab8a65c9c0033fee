//! What the engine remembers of one object within an epoch: where its machine is, what is in
//! flight, and what failed. All of it is found again after a restart; none of it decides
//! whether something is spent twice.

use crate::digest::{Digest, digest_of};
use crate::ids::{EffectId, Lane, Uid};
use crate::schedule::Due;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What kind of failure an effect met; the next attempt depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureClass {
    /// Somebody else wrote first: read again, try at once, then by the ladder.
    Conflict,
    /// The other side is not there, or not well: by the ladder.
    Transient,
    /// No answer came, so it may or may not have been done: read again, then by the ladder.
    Unknown,
    /// Asked too often: not before the instant that was named, and by the ladder.
    Throttled,
    /// Not allowed: slowly, for a person has to grant it.
    Forbidden,
    /// The other side says that what we sent is wrong: slowly, or at once if it changes.
    Invalid,
    /// What was asked for cannot be done: slowly, or at once if it changes.
    Rejected,
}

impl FailureClass {
    /// Whether the same content would fail again, so that other content may go at once.
    fn lies_in_the_content(self) -> bool {
        matches!(self, Self::Invalid | Self::Rejected)
    }

    /// How many rungs of the ladder are skipped, because only a person can mend it.
    fn rungs_skipped(self) -> usize {
        match self {
            Self::Forbidden | Self::Invalid | Self::Rejected => 3,
            Self::Conflict | Self::Transient | Self::Unknown | Self::Throttled => 0,
        }
    }
}

/// A failed effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// Its class.
    pub class: FailureClass,
    /// One word, in CamelCase.
    pub reason: String,
    /// For people: what, where, and what to do.
    pub message: String,
    /// When it failed.
    pub at: Timestamp,
    /// How often in a row, from 1.
    pub count: u32,
    /// When it is tried again.
    pub next: Timestamp,
}

/// A state's ladder: how long to wait after the first, second, ... failure; the last repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder<'a> {
    pub steps_ms: &'a [i64],
    pub jitter_percent: u32,
}

impl Ladder<'_> {
    /// The wait on a rung, shortened by up to `jitter_percent` as the seed says.
    pub(crate) fn wait_ms(&self, rung: usize, seed: &EffectId) -> i64 {
        let Some(last) = self.steps_ms.len().checked_sub(1) else { return 0 };
        let wait = self.steps_ms[rung.min(last)];
        let share = i64::try_from(digest_of(seed).0 % 1000).unwrap_or(0);
        wait - wait / 100 * i64::from(self.jitter_percent) * share / 1000
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase<E> {
    Queued { effect: E, lane: Lane, revision: u64 },
    InFlight { deadline: Timestamp, lane: Lane },
    Resting { until: Timestamp },
    Done { at: Timestamp },
}

/// What is known of one step (and item) of an object's machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Step<E> {
    pub step: u8,
    pub item: Arc<str>,
    pub digest: Digest,
    pub attempt: u32,
    pub repeats: u32,
    pub phase: Phase<E>,
    pub failure: Option<Failure>,
}

/// What a wanted effect should do now.
pub(crate) enum Verdict {
    Go,
    Not,
    Later(Timestamp),
}

impl<E> Step<E> {
    /// Whether an effect of content `digest` may start now.
    pub(crate) fn verdict(
        &self,
        digest: Digest,
        now: Timestamp,
        ladder: Ladder<'_>,
        seed: &EffectId,
    ) -> Verdict {
        let due = match self.phase {
            Phase::Queued { .. } | Phase::InFlight { .. } => return Verdict::Not,
            Phase::Resting { until } => {
                let content = self.failure.as_ref().is_some_and(|f| f.class.lies_in_the_content());
                if content && digest != self.digest { now } else { until }
            }
            Phase::Done { .. } if digest != self.digest || self.repeats == 0 => now,
            Phase::Done { at } => at.plus_millis(ladder.wait_ms(self.repeats as usize, seed)),
        };
        if due <= now { Verdict::Go } else { Verdict::Later(due) }
    }

    /// Notes a failure and when to try again.
    pub(crate) fn fail(
        &mut self,
        class: FailureClass,
        reason: String,
        message: String,
        (now, not_before): (Timestamp, Option<Timestamp>),
        wait_ms: impl FnOnce(usize) -> i64,
    ) {
        let count = self.failure.as_ref().map_or(0, |f| f.count).saturating_add(1);
        let rung = (count as usize - 1) + class.rungs_skipped();
        let at_once = class == FailureClass::Conflict && count == 1;
        let wait = if at_once { 0 } else { wait_ms(rung) };
        let next = now.plus_millis(wait).max(not_before.unwrap_or(now));
        self.failure = Some(Failure { class, reason, message, at: now, count, next });
        self.phase = Phase::Resting { until: next };
    }
}

/// One object's machine in this epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instance<E> {
    pub uid: Uid,
    pub machine: u8,
    pub state: u8,
    pub truth: u64,
    /// Whether it was looked at in this epoch; the first look is no move.
    pub seen: bool,
    pub steps: Vec<Step<E>>,
    pub armed: Vec<(Timestamp, Due)>,
    pub digest: Digest,
}

/// More steps than this are not remembered; the oldest at rest go first.
const STEPS_REMEMBERED: usize = 12;

impl<E> Instance<E> {
    pub(crate) fn new(uid: Uid, machine: u8) -> Self {
        Self {
            uid,
            machine,
            state: 0,
            truth: 0,
            seen: false,
            steps: Vec::new(),
            armed: Vec::new(),
            digest: Digest::default(),
        }
    }

    pub(crate) fn step(&self, step: usize, item: &str) -> Option<&Step<E>> {
        self.steps.iter().find(|s| usize::from(s.step) == step && *s.item == *item)
    }

    pub(crate) fn step_mut(&mut self, step: usize, item: &str) -> Option<&mut Step<E>> {
        self.steps.iter_mut().find(|s| usize::from(s.step) == step && *s.item == *item)
    }

    pub(crate) fn failure(&self, step: usize) -> Option<&Failure> {
        self.steps.iter().filter(|s| usize::from(s.step) == step).find_map(|s| s.failure.as_ref())
    }

    pub(crate) fn last_done(&self, step: usize, item: &str) -> Option<Digest> {
        let done = |s: &&Step<E>| matches!(s.phase, Phase::Done { .. });
        self.step(step, item).filter(done).map(|s| s.digest)
    }

    /// The deadlines of what is in flight.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        self.steps.iter().filter_map(|step| match step.phase {
            Phase::InFlight { deadline, .. } => Some((deadline, Due::Deadline)),
            _ => None,
        })
    }

    /// Puts a started step in its place, and forgets the oldest at rest beyond the bound.
    pub(crate) fn remember(&mut self, step: Step<E>) {
        self.steps.retain(|s| (s.step, &s.item) != (step.step, &step.item));
        self.steps.push(step);
        while self.steps.len() > STEPS_REMEMBERED {
            let at_rest =
                |s: &Step<E>| matches!(s.phase, Phase::Done { .. } | Phase::Resting { .. });
            let Some(oldest) = self.steps.iter().position(at_rest) else { return };
            self.steps.remove(oldest);
        }
    }

    /// The digest of all that the next decisions depend on.
    pub(crate) fn compute_digest(&self) -> Digest {
        let steps: Vec<_> =
            self.steps.iter().map(|s| (s.step, &s.item, s.digest, s.attempt, s.repeats)).collect();
        digest_of(&(&self.uid, self.machine, self.state, self.truth, steps, &self.armed))
    }
}
