//! What the engine remembers of one object within an epoch: where its machine is, what is in
//! flight, and what failed. All of it is found again after a restart; none of it decides
//! whether something is spent twice.

use crate::digest::Digest;
use crate::folding::folded;
use crate::ids::Uid;
use crate::schedule::Due;
use crate::step::{Failure, Step};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Instants at which an object is looked at again; most objects wait for one or two.
pub(crate) type Armed = SmallVec<[(Timestamp, Due); 2]>;

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
    pub armed: Armed,
    #[serde(skip)]
    pub digest: Digest,
}

/// Of the steps at rest that would not have to wait, so many are remembered.
const STEPS_REMEMBERED: usize = 12;

/// Of all steps at rest, so many are remembered: more than the names of any certificate.
const STEPS_AT_MOST: usize = 256;

impl<E> Instance<E> {
    pub(crate) fn new(uid: Uid, machine: u8) -> Self {
        Self {
            uid,
            machine,
            state: 0,
            truth: 0,
            seen: false,
            steps: Vec::new(),
            armed: Armed::new(),
            digest: Digest::default(),
        }
    }

    pub(crate) fn step_mut(&mut self, step: u8, item: &str) -> Option<&mut Step<E>> {
        self.steps.iter_mut().find(|s| s.step == step && *s.item == *item)
    }

    pub(crate) fn failure(&self, step: usize) -> Option<&Failure> {
        self.steps.iter().filter(|s| usize::from(s.step) == step).find_map(|s| s.failure.as_deref())
    }

    pub(crate) fn last_done(&self, step: usize, item: &str) -> Option<Digest> {
        let of = |s: &&Step<E>| usize::from(s.step) == step && *s.item == *item;
        self.steps.iter().find(of)?.done.as_ref().map(|done| done.digest)
    }

    pub(crate) fn done_at(&self, step: usize, item: &str) -> Option<Timestamp> {
        let of = |s: &&Step<E>| usize::from(s.step) == step && *s.item == *item;
        self.steps.iter().find(of)?.done.as_ref().map(|done| done.at)
    }

    /// The deadlines of what is in flight.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        self.steps.iter().filter_map(Step::deadline).map(|deadline| (deadline, Due::Deadline))
    }

    /// The step of that number and item, which is made if there is none. It then comes last.
    pub(crate) fn step_or_new(&mut self, step: u8, item: &std::sync::Arc<str>) -> &mut Step<E> {
        let known = self.steps.iter().position(|s| s.step == step && s.item == *item);
        let at = known.unwrap_or_else(|| {
            self.steps.push(Step::new(step, item.clone()));
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    /// Forgets what was never started, and the oldest at rest beyond the bounds; what has to wait
    /// before it may start again goes last, for it would start at once if it were forgotten. Tells
    /// whether anything was forgotten.
    pub(crate) fn trim(&mut self, now: Timestamp) -> bool {
        let before = self.steps.len();
        self.steps.retain(|s| s.attempt > 0 || !s.is_idle());
        let free = |s: &Step<E>| s.is_idle() && s.failure.as_ref().is_none_or(|f| f.next <= now);
        self.forget(STEPS_REMEMBERED, free);
        self.forget(STEPS_AT_MOST, Step::is_idle);
        if self.steps.iter().all(Step::is_idle) {
            self.steps.shrink_to_fit(); // Most objects are at rest, and there are many.
        }
        self.steps.len() < before
    }

    /// Touches what a look begins with; the number means nothing.
    #[inline]
    pub(crate) fn glance(&self) -> usize {
        usize::from(self.state) + self.armed.len()
    }

    fn forget(&mut self, bound: usize, which: impl Fn(&Step<E>) -> bool) {
        while self.steps.len() > bound {
            let Some(oldest) = self.steps.iter().position(&which) else { return };
            self.steps.remove(oldest);
        }
    }

    /// The digest of all that the next decisions depend on.
    pub(crate) fn compute_digest(&self) -> Digest {
        let place = (&self.uid, self.machine, self.state, self.truth);
        if self.steps.is_empty() {
            return folded(&(place, self.armed.as_slice()));
        }
        let steps: Vec<_> = self.steps.iter().map(Step::digest_parts).collect();
        folded(&(place, self.armed.as_slice(), steps))
    }
}
