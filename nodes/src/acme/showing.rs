//! What is presented for a Challenge comes before its removal, and never after it.
//!
//! The engine has one effect of a kind in flight for each Challenge, but a clean-up does not wait
//! for a presentation: that may be lost, and what it left has to go all the same. So both may be
//! on their way at once, and whichever was started first may arrive last. Then a record would be
//! added that nobody removes any more, for the finalizer is gone.
//!
//! The port that performs both therefore asks here before it shows anything, be it the first time
//! or because whoever showed it is gone. Which of the two was decided later is told by the version
//! of the Challenge that they rest on: a clean-up is asked for once it is final or being deleted,
//! and no presentation is decided after that, unless somebody takes the state back, in a later
//! version still.
//!
//! That is the memory of one process. A process that was suspended may go on with what it was
//! about to present long after another one led and cleaned up; therefore the Challenge is also read
//! live before anything is shown ([`is_wanted`]). And after a restart nothing is on its way, the
//! Challenge still has its finalizer if its clean-up was not done, and a clean-up removes exact
//! values whether or not it knows of their being there.

use crate::effect::Base;
use crate::facts::ChallengeFacts;
use everleaf_engine::{Timestamp, Uid};
use std::collections::BTreeMap;

/// So many Challenges are remembered: many times what is worked on at once.
pub const KEPT: usize = 4096;
/// After this time whatever was begun is taken to be over, in milliseconds: longer than its effect
/// may take, so that a clean-up is held up by nothing for ever.
const SHOWING: i64 = 6 * 60_000;

/// What is on its way for one Challenge, and what was asked for.
#[derive(Clone, Debug, Default)]
struct Stage {
    /// How many are showing something just now.
    showing: u32,
    /// When they are taken to be over.
    until: Timestamp,
    /// The latest version that a clean-up was asked for of; 0 if none was.
    cleaned: u64,
    number: u64,
}

impl Stage {
    fn is_busy(&self, now: Timestamp) -> bool {
        self.showing > 0 && now < self.until
    }
}

/// Whether what a Challenge needs may still be shown: its clean-up is not due.
pub fn is_wanted(challenge: &ChallengeFacts) -> bool {
    !challenge.deleting() && !challenge.state.is_final()
}

/// Which Challenges are shown just now and which were cleaned up, by UID; at most [`KEPT`] of
/// them, and those that are being shown. The oldest go first.
#[derive(Clone, Debug, Default)]
pub struct Showings {
    stages: BTreeMap<Uid, Stage>,
    number: u64,
}

impl Showings {
    /// Asks to show what a Challenge needs, as it was decided on at that version. No if its
    /// clean-up was asked for since; if yes, [`end`](Self::end) has to be told when it is there,
    /// or is not.
    #[must_use]
    pub fn begin(&mut self, base: &Base, now: Timestamp) -> bool {
        let stage = self.stage(&base.uid, now);
        if stage.cleaned >= base.rv {
            return false;
        }
        stage.showing = if stage.is_busy(now) { stage.showing.saturating_add(1) } else { 1 };
        stage.until = now.plus_millis(SHOWING);
        true
    }

    /// Notes that what was begun is over, whether or not it was shown.
    pub fn end(&mut self, base: &Base) {
        if let Some(stage) = self.stages.get_mut(&base.uid) {
            stage.showing = stage.showing.saturating_sub(1);
        }
    }

    /// Asks to clean up: from here on nothing is shown that was decided before. No while
    /// something is still being shown; then it is to be asked for again in a while.
    #[must_use]
    pub fn clean_up(&mut self, base: &Base, now: Timestamp) -> bool {
        let stage = self.stage(&base.uid, now);
        stage.cleaned = stage.cleaned.max(base.rv);
        !stage.is_busy(now)
    }

    fn stage(&mut self, uid: &Uid, now: Timestamp) -> &mut Stage {
        if self.stages.len() >= KEPT && !self.stages.contains_key(uid) {
            let over = self.stages.iter().filter(|(_, stage)| !stage.is_busy(now));
            let oldest = over.min_by_key(|(_, stage)| stage.number).map(|(uid, _)| uid.clone());
            oldest.map(|uid| self.stages.remove(&uid));
        }
        self.number += 1;
        let stage = self.stages.entry(uid.clone()).or_default();
        stage.number = self.number;
        stage
    }
}

#[cfg(test)]
mod tests;
