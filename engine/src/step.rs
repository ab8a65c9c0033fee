//! One step of an object's machine: what was done, what failed, and when it may start again.

use crate::digest::{Digest, digest_of};
use crate::ids::{EffectId, Lane};
use crate::time::Timestamp;
use everleaf_graph::{Machine, WaitKind};
use serde::{Deserialize, Serialize};
use std::hash::Hash;
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

/// A failure as it is reported.
pub(crate) struct Failed {
    pub class: FailureClass,
    pub reason: String,
    pub message: String,
    pub not_before: Option<Timestamp>,
}

/// A state's ladder: how long to wait after the first, second, ... failure; the last repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder<'a> {
    steps_ms: &'a [i64],
    jitter_percent: u32,
}

/// The ladder of a state that names none, so that nothing ever loops unpaced.
const FALLBACK: Ladder<'static> =
    Ladder { steps_ms: &[1_000, 10_000, 60_000, 600_000], jitter_percent: 10 };

/// The deadline of effects of a state that names none.
const FALLBACK_DEADLINE_MS: i64 = 60_000;

impl<'a> Ladder<'a> {
    /// The ladder of a state.
    pub(crate) fn of(machine: &'a Machine, state: usize) -> Self {
        let waits = machine.states.get(state).map(|s| s.waits.as_slice()).unwrap_or_default();
        let ladder = waits.iter().find_map(|&wait| match &machine.waits[wait].kind {
            WaitKind::Ladder { steps_ms, jitter_percent } if !steps_ms.is_empty() => {
                Some(Ladder { steps_ms, jitter_percent: *jitter_percent })
            }
            _ => None,
        });
        ladder.unwrap_or(FALLBACK)
    }

    /// The wait on a rung, shortened by up to `jitter_percent` as the seed says.
    fn wait_ms(&self, rung: usize, seed: &EffectId) -> i64 {
        let wait = self.steps_ms[rung.min(self.steps_ms.len() - 1)];
        let share = i128::from(digest_of(seed).0 % 1000);
        let cut = i128::from(wait) * i128::from(self.jitter_percent.min(100)) * share / 100_000;
        wait - i64::try_from(cut).unwrap_or(0)
    }

    /// The longest wait; whatever was left alone for so long starts afresh.
    fn longest_ms(&self) -> i64 {
        self.steps_ms.iter().copied().max().unwrap_or(0)
    }
}

/// How long an effect that was started in a state may be in flight.
pub(crate) fn deadline_ms(machine: &Machine, state: usize) -> i64 {
    let waits = machine.states.get(state).map(|s| s.waits.as_slice()).unwrap_or_default();
    let deadline = waits.iter().find_map(|&wait| match machine.waits[wait].kind {
        WaitKind::Deadline { ms } => Some(ms.max(1)),
        _ => None,
    });
    deadline.unwrap_or(FALLBACK_DEADLINE_MS)
}

/// An effect that waits for a slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Queued<E> {
    pub effect: E,
    pub digest: Digest,
    pub lane: Lane,
    pub ticket: u64,
    pub revision: u64,
    pub state: u8,
}

/// What a step does now.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Activity<E> {
    Idle,
    Queued(Box<Queued<E>>),
    InFlight(Box<Flight>),
}

/// An effect in flight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flight {
    pub deadline: Timestamp,
    pub lane: Lane,
    pub revision: u64,
}

/// An effect that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Done {
    pub at: Timestamp,
    pub digest: Digest,
}

/// What is known of one step (and item) of an object's machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Step<E> {
    pub step: u8,
    pub item: Arc<str>,
    /// The state that started it last: its ladder and its deadline count.
    pub state: u8,
    /// The content that was sent last.
    pub digest: Digest,
    /// The revision that it was sent for; the same for another revision is no repetition.
    pub revision: u64,
    /// Effects sent so far.
    pub attempt: u32,
    pub done: Option<Done>,
    /// How often the same content was sent again after it had been done.
    pub repeats: u32,
    /// How often other content was sent soon after.
    pub changes: u32,
    pub failure: Option<Box<Failure>>,
    pub activity: Activity<E>,
}

/// So many changes of content within the longest rung are free; a machine that changes its mind
/// more often than that is paced like one that repeats itself.
const CHANGES_FREE: u32 = 10;

/// Revisions that are further apart than this are paced by what asks for them, not by the ladder.
const REVISION_MS: i64 = 240_000;

impl<E> Step<E> {
    pub(crate) fn new(step: u8, item: Arc<str>) -> Self {
        Self {
            step,
            // Most items are empty, and all empty ones can be one in memory.
            item: if item.is_empty() { Arc::default() } else { item },
            state: 0,
            digest: Digest::default(),
            revision: 0,
            attempt: 0,
            done: None,
            repeats: 0,
            changes: 0,
            failure: None,
            activity: Activity::Idle,
        }
    }

    /// What outlives the object's machine: that the effect is in flight.
    pub(crate) fn adrift(&self) -> Self
    where
        E: Clone,
    {
        Self {
            state: self.state,
            digest: self.digest,
            revision: self.revision,
            attempt: self.attempt,
            activity: self.activity.clone(),
            ..Self::new(self.step, self.item.clone())
        }
    }

    /// When the effect in flight, if there is one, is given up.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match &self.activity {
            Activity::InFlight(flight) => Some(flight.deadline),
            Activity::Idle | Activity::Queued(_) => None,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.activity, Activity::Idle)
    }

    /// When an effect of that content may start, if it is later than now.
    pub(crate) fn not_before(
        &self,
        digest: Digest,
        now: Timestamp,
        ladder: Ladder<'_>,
        seed: &EffectId,
    ) -> Option<Timestamp> {
        let due = match (&self.failure, self.done) {
            (Some(failure), _) if self.is_mended(failure, digest) => now,
            (Some(failure), _) => failure.next,
            (None, Some(done)) if self.goes_on(seed.revision, done.at, now) => now,
            (None, Some(done)) => done.at.plus_millis(self.pace_ms(done, digest, ladder, seed)),
            (None, None) => now,
        };
        (due > now).then_some(due)
    }

    /// Whether the work goes on to another revision in due time, which is no repetition. One that
    /// follows at once is: where clocks disagree, each revision may find the one before due.
    fn goes_on(&self, revision: u64, done: Timestamp, now: Timestamp) -> bool {
        revision != self.revision && now.since(done) >= REVISION_MS
    }

    /// Whether what failed for its content has another content now.
    fn is_mended(&self, failure: &Failure, digest: Digest) -> bool {
        failure.class.lies_in_the_content() && digest != self.digest && self.changes < CHANGES_FREE
    }

    /// How long after it was done an effect of that content may start: the first repetition is
    /// free, and so are a few changes; then by the ladder.
    fn pace_ms(&self, done: Done, digest: Digest, ladder: Ladder<'_>, seed: &EffectId) -> i64 {
        let repeated = if digest == done.digest { self.repeats } else { 0 };
        let rungs = repeated.max(self.changes.saturating_sub(CHANGES_FREE));
        rungs.checked_sub(1).map_or(0, |rung| ladder.wait_ms(rung as usize, seed))
    }

    /// Notes that an effect of that content is sent for that revision.
    pub(crate) fn sent(
        &mut self,
        (digest, revision): (Digest, u64),
        now: Timestamp,
        ladder: Ladder<'_>,
    ) {
        let quiet_since = self.failure.as_ref().map(|f| f.at).or(self.done.map(|done| done.at));
        let left_alone = quiet_since.is_some_and(|at| now.since(at) > ladder.longest_ms());
        let goes_on = self.done.is_some_and(|done| self.goes_on(revision, done.at, now));
        if left_alone || (goes_on && self.failure.is_none()) {
            (self.repeats, self.changes) = (0, 0);
        } else if self.failure.is_some() {
            self.changes = self.changes.saturating_add(u32::from(digest != self.digest));
        } else if let Some(done) = self.done {
            self.count_another(digest == done.digest);
        }
        if self.failure.as_ref().is_some_and(|failure| self.is_mended(failure, digest))
            && let Some(failure) = &mut self.failure
        {
            failure.count = 0; // Another content begins at the ladder's foot.
        }
        (self.digest, self.revision) = (digest, revision);
        self.attempt = self.attempt.saturating_add(1);
    }

    fn count_another(&mut self, same: bool) {
        if same {
            self.repeats = self.repeats.saturating_add(1);
        } else {
            self.repeats = 0;
            self.changes = self.changes.saturating_add(1);
        }
    }

    /// Notes that it was done.
    pub(crate) fn succeed(&mut self, now: Timestamp) {
        self.failure = None;
        self.done = Some(Done { at: now, digest: self.digest });
        self.activity = Activity::Idle;
    }

    /// Notes a failure and when to try again.
    pub(crate) fn fail(
        &mut self,
        failed: Failed,
        now: Timestamp,
        ladder: Ladder<'_>,
        id: &EffectId,
    ) {
        let Failed { class, reason, message, not_before } = failed;
        let count = self.failure.as_ref().map_or(0, |f| f.count).saturating_add(1);
        let rung = (count as usize - 1).saturating_add(class.rungs_skipped());
        let at_once = class == FailureClass::Conflict && count == 1;
        let wait = if at_once { 0 } else { ladder.wait_ms(rung, id) };
        let next = now.plus_millis(wait).max(not_before.unwrap_or(now));
        self.failure = Some(Box::new(Failure { class, reason, message, at: now, count, next }));
        self.activity = Activity::Idle;
    }

    /// Whether that attempt's answer is still of use: it is in flight, or only its deadline has
    /// passed and nothing was sent since.
    pub(crate) fn awaits(&self, attempt: u32) -> bool {
        let late = self.failure.as_ref().is_some_and(|f| f.reason == DEADLINE_EXCEEDED);
        attempt == self.attempt
            && match self.activity {
                Activity::InFlight(_) => true,
                Activity::Idle | Activity::Queued(_) => late,
            }
    }

    pub(crate) fn digest_parts(&self) -> impl Hash + use<'_, E> {
        let activity = match &self.activity {
            Activity::Idle => (0_u8, Timestamp::default(), Digest::default()),
            Activity::Queued(queued) => (1, Timestamp::default(), queued.digest),
            Activity::InFlight(flight) => (2, flight.deadline, Digest::default()),
        };
        let failure = self.failure.as_ref().map(|f| (f.class, f.at, f.count, f.next));
        let counts = (self.attempt, self.repeats, self.changes);
        (self.step, &self.item, (self.digest, self.revision), counts, self.done, failure, activity)
    }
}

/// The reason of an effect that nobody answered in time.
pub(crate) const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
