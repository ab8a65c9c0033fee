//! What can be asked of the engine without changing anything: for `why`, metrics and health.

use super::Engine;
use crate::ids::{ObjectKey, Uid};
use crate::program::Program;
use crate::schedule::Due;
use crate::step::{Activity, Failure, Step};
use crate::time::Timestamp;
use serde::Serialize;

/// Where one object is, what it waits for, and what it does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The machine's number in the plan.
    pub machine: usize,
    /// The state's number.
    pub state: usize,
    /// Every fact and due wait, one bit each.
    pub truth: u64,
    /// When it is looked at again, soonest first.
    pub armed: Vec<Armed>,
    /// What was started in this epoch.
    pub steps: Vec<StepStatus>,
    /// Whether it is held until a write of ours was seen.
    pub held: bool,
}

/// An instant at which an object is looked at again.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Armed {
    /// When.
    pub at: Timestamp,
    /// The wait's number in the plan; `None` for a retry or a deadline.
    pub wait: Option<usize>,
}

/// How a step stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// The effect's number in the machine's plan.
    pub step: usize,
    /// Tells effects of one step apart.
    pub item: String,
    /// `queued`, `inFlight`, `resting` or `done`.
    pub phase: &'static str,
    /// Its attempts in this epoch.
    pub attempts: u32,
    /// Why it failed last.
    pub failure: Option<Failure>,
}

impl<P: Program> Engine<P> {
    /// How an object with a machine stands; `None` before its first look.
    pub fn status(&self, key: &ObjectKey<P::Kind>) -> Option<Status> {
        let at = self.world.find(key)?;
        let instance = self.world.instance(at).filter(|instance| instance.seen)?;
        let armed = |&(at, due): &(_, _)| Armed { at, wait: wait_of(due) };
        let mut armed: Vec<Armed> = instance.armed.iter().map(armed).collect();
        armed.sort_by_key(|armed| armed.at);
        Some(Status {
            machine: usize::from(instance.machine),
            state: usize::from(instance.state),
            truth: instance.truth,
            armed,
            steps: instance.steps.iter().map(step_status).collect(),
            held: self.is_held(at),
        })
    }

    /// The object of that UID that has a machine in this epoch.
    pub fn subject(&self, uid: &Uid) -> Option<&ObjectKey<P::Kind>> {
        self.world.place(self.world.subject(uid)?).map(|place| &place.key)
    }

    /// Whether every feed has shown its first list in this epoch.
    pub fn is_fully_synced(&self) -> bool {
        self.feeds.iter().all(|feed| feed.synced)
    }

    /// Effects in flight, effects queued, and armed waits: the sizes of the engine's queues.
    pub fn queue_sizes(&self) -> (usize, usize, usize) {
        (self.lanes.in_flight() as usize, self.lanes.waiting(), self.schedule.len())
    }

    /// The number of objects that have to be seen again before anything rests on them.
    pub fn writes_awaited(&self) -> usize {
        self.barriers.len()
    }
}

fn step_status<E>(step: &Step<E>) -> StepStatus {
    StepStatus {
        step: usize::from(step.step),
        item: step.item.to_string(),
        phase: phase_name(step),
        attempts: step.attempt,
        failure: step.failure.as_deref().cloned(),
    }
}

fn wait_of(due: Due) -> Option<usize> {
    match due {
        Due::Wait(wait) => Some(usize::from(wait)),
        Due::Retry | Due::Deadline => None,
    }
}

fn phase_name<E>(step: &Step<E>) -> &'static str {
    match &step.activity {
        Activity::Queued(_) => "queued",
        Activity::InFlight(_) => "inFlight",
        Activity::Idle if step.failure.is_some() || step.done.is_none() => "resting",
        Activity::Idle => "done",
    }
}
