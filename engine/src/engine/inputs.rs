//! Taking inputs in: observations, completions, leadership, the clock.

use super::barrier::Sight;
use super::{ClockGuard, Engine, FeedState};
use crate::ids::{EffectId, Epoch, ObjectKey, Tag};
use crate::instance::{FailureClass, Ladder, Phase, Step};
use crate::lanes::Lanes;
use crate::program::{Delta, Input, Outcome, Program};
use crate::time::Timestamp;
use crate::world::{Object, object_digest};
use everleaf_graph::WaitKind;
use std::collections::BTreeSet;

/// A failure, before it is written down.
struct Failed {
    class: FailureClass,
    reason: String,
    message: String,
    not_before: Option<Timestamp>,
}

impl<P: Program> Engine<P> {
    pub(super) fn take_in(&mut self, input: Input<P::Kind, P::Facts>) {
        match input {
            Input::Observed(delta) => self.observe(delta),
            Input::Completed(id, outcome) => self.complete(&id, outcome),
            Input::Leadership(epoch) => self.lead(epoch),
            Input::ClockStepped => {
                self.clock.doubted = true;
                self.ask_for_the_time();
            }
            Input::Clock(date) => self.confirm_clock(date),
            Input::Tick => {}
        }
    }

    fn observe(&mut self, delta: Delta<P::Kind, P::Facts>) {
        match delta {
            Delta::Applied { feed, key, uid, rv, live, facts } => {
                if let Some(listing) = self.listing(feed) {
                    listing.insert(key.clone());
                }
                let digest = object_digest::<P>(&key, &uid, &facts);
                let seen = Object { uid, rv, feed, facts, digest };
                if let Some(tags) = self.world.apply(&self.program, self.now, key.clone(), seen) {
                    self.touch(&tags);
                    self.touch_own(&key, &tags);
                }
                self.saw(&key, Sight::Version { rv, live });
            }
            Delta::Deleted { feed: _, key, uid } => self.gone(&key, Some(&uid)),
            Delta::Absent { key } => self.gone(&key, None),
            Delta::Unreadable { .. } => {} // The barrier asks again.
            Delta::ListBegin { feed } => {
                if let Some(state) = self.feeds.get_mut(usize::from(feed)) {
                    state.listing = Some(BTreeSet::new());
                }
            }
            Delta::ListEnd { feed, rv } => self.end_list(feed, rv),
        }
    }

    fn listing(&mut self, feed: u8) -> Option<&mut BTreeSet<ObjectKey<P::Kind>>> {
        self.feeds.get_mut(usize::from(feed))?.listing.as_mut()
    }

    fn gone(&mut self, key: &ObjectKey<P::Kind>, uid: Option<&crate::Uid>) {
        let known = self.world.get(key).map(|object| object.uid.clone());
        let tags = self.world.remove(&self.program, self.now, key, uid);
        self.touch(&tags);
        self.touch_own(key, &tags);
        if !tags.is_empty() || known.is_none() {
            self.saw(key, Sight::Gone);
        }
    }

    fn end_list(&mut self, feed: u8, rv: u64) {
        let Some(state) = self.feeds.get_mut(usize::from(feed)) else { return };
        let Some(shown) = state.listing.take() else { return };
        let first = !std::mem::replace(&mut state.synced, true);
        for key in self.world.missing_from(feed, rv, &shown) {
            self.gone(&key, None);
        }
        if first && let Some(kind) = self.program.feeds().get(usize::from(feed)).map(|f| f.kind) {
            self.wake_machines_reading(kind);
        }
    }

    /// Marks every object dirty whose machine may have waited for a feed of that kind.
    fn wake_machines_reading(&mut self, kind: P::Kind) {
        let waits = |key: &ObjectKey<P::Kind>| {
            let machine = self.program.machine(key.kind);
            machine.is_some_and(|m| self.program.reads(m).contains(&kind))
        };
        let woken = self.world.iter().map(|(key, _)| key).filter(|key| waits(key));
        self.dirty.extend(woken.cloned().collect::<Vec<_>>());
    }

    /// Marks every reader of those tags dirty.
    pub(super) fn touch(&mut self, tags: &[Tag<P::Kind>]) {
        for tag in tags {
            if let Some(readers) = self.readers.get(tag) {
                self.dirty.extend(readers.iter().cloned());
            }
        }
    }

    fn touch_own(&mut self, key: &ObjectKey<P::Kind>, tags: &[Tag<P::Kind>]) {
        if !tags.is_empty() && self.program.machine(key.kind).is_some() {
            self.dirty.insert(key.clone());
        }
    }

    fn complete(&mut self, id: &EffectId, outcome: Outcome<P::Kind>) {
        let Some(key) = self.subjects.get(&id.uid).cloned() else { return };
        let Some(lane) = self.in_flight(&key, id) else { return };
        self.lanes.done(&lane);
        match outcome {
            Outcome::Done { wrote } => {
                let now = self.now;
                self.with_step(&key, id, |step| {
                    step.failure = None;
                    step.phase = Phase::Done { at: now };
                });
                for written in wrote {
                    self.await_write(&key, written.key, written.rv);
                }
            }
            Outcome::Stale { reread } => {
                let (class, reason) = (FailureClass::Conflict, "Stale".to_owned());
                let message = "what the effect rests on had changed".to_owned();
                self.fail(&key, id, Failed { class, reason, message, not_before: None });
                reread.into_iter().for_each(|object| self.read_live(&key, object));
            }
            Outcome::Failed { class, reason, message, not_before, reread } => {
                self.fail(&key, id, Failed { class, reason, message, not_before });
                reread.into_iter().for_each(|object| self.read_live(&key, object));
            }
        }
        self.dirty.insert(key);
    }

    /// The lane of that very attempt, if it is in flight.
    fn in_flight(&self, key: &ObjectKey<P::Kind>, id: &EffectId) -> Option<crate::Lane> {
        let step = self.instances.get(key)?.step(usize::from(id.step), &id.item)?;
        match &step.phase {
            Phase::InFlight { lane, .. } if step.attempt == id.attempt => Some(lane.clone()),
            _ => None,
        }
    }

    fn with_step(
        &mut self,
        key: &ObjectKey<P::Kind>,
        id: &EffectId,
        change: impl FnOnce(&mut Step<P::Effect>),
    ) {
        let step = self
            .instances
            .get_mut(key)
            .and_then(|instance| instance.step_mut(usize::from(id.step), &id.item));
        if let Some(step) = step {
            change(step);
        }
    }

    fn fail(&mut self, key: &ObjectKey<P::Kind>, id: &EffectId, failed: Failed) {
        let Some(instance) = self.instances.get(key) else { return };
        let machine = &self.program.plan().machines[usize::from(instance.machine)];
        let ladder = ladder_of_step(machine, usize::from(id.step));
        let waits: Vec<i64> =
            (0..ladder.steps_ms.len().max(1) + 3).map(|rung| ladder.wait_ms(rung, id)).collect();
        let now = self.now;
        self.with_step(key, id, |step| {
            let wait = |rung: usize| waits[rung.min(waits.len() - 1)];
            let Failed { class, reason, message, not_before } = failed;
            step.fail(class, reason, message, (now, not_before), wait);
        });
    }

    /// The deadline of whatever is in flight for too long has passed: its outcome is unknown.
    pub(super) fn expire(&mut self, key: &ObjectKey<P::Kind>) {
        let Some(instance) = self.instances.get(key) else { return };
        let late = |step: &&Step<P::Effect>| matches!(step.phase, Phase::InFlight { deadline, .. } if deadline <= self.now);
        let id = |step: &Step<P::Effect>| EffectId {
            uid: instance.uid.clone(),
            revision: 0,
            step: step.step,
            item: step.item.clone(),
            attempt: step.attempt,
        };
        let late: Vec<EffectId> = instance.steps.iter().filter(late).map(id).collect();
        for id in late {
            let class = FailureClass::Unknown;
            let reason = "DeadlineExceeded".to_owned();
            let message = "no answer came before the effect's deadline".to_owned();
            if let Some(lane) = self.in_flight(key, &id) {
                self.lanes.done(&lane);
            }
            self.fail(key, &id, Failed { class, reason, message, not_before: None });
            self.read_live(key, key.clone());
        }
    }

    fn lead(&mut self, epoch: Option<Epoch>) {
        self.epoch = epoch;
        self.lanes =
            Lanes::new(self.config.effects_in_flight, self.config.effects_in_flight_per_lane);
        self.barriers = Default::default();
        self.clock = ClockGuard::default();
        self.outbox.clear();
        let feeds = self.program.feeds().iter().map(|_| FeedState::default()).collect();
        self.feeds = feeds;
        for key in self.instances.keys().cloned().collect::<Vec<_>>() {
            self.drop_instance(&key);
        }
    }

    fn confirm_clock(&mut self, date: Timestamp) {
        if date.since(self.now).abs() > self.config.clock_tolerance_ms {
            return; // Asked again in a while.
        }
        self.clock = ClockGuard::default();
        self.dirty.extend(self.instances.keys().cloned());
    }
}

/// The ladder of the state that may start a step; without one, no wait.
pub(super) fn ladder_of_step(machine: &everleaf_graph::Machine, step: usize) -> Ladder<'_> {
    let does = |state: &&everleaf_graph::State| state.does.contains(&step);
    let state = machine.states.iter().find(does);
    let waits = state.into_iter().flat_map(|state| &state.waits);
    waits
        .filter_map(|&wait| match &machine.waits[wait].kind {
            WaitKind::Ladder { steps_ms, jitter_percent } => {
                Some(Ladder { steps_ms, jitter_percent: *jitter_percent })
            }
            _ => None,
        })
        .next()
        .unwrap_or(Ladder { steps_ms: &[], jitter_percent: 0 })
}
