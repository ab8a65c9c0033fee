//! Effects on their way: sent as slots allow, answered, given up, or outliving their object.

use super::Engine;
use crate::ids::{EffectId, ObjectKey, Uid};
use crate::program::{Command, Outcome, Program, Started};
use crate::schedule::Due;
use crate::step::{
    Activity, DEADLINE_EXCEEDED, Failed, FailureClass, Flight, Ladder, Queued, Step, deadline_ms,
};
use serde::{Deserialize, Serialize};

/// What is in flight of an object that was lost sight of, be it deleted or of an old epoch. If
/// the object is seen again its machine finds them in flight; nothing is sent twice at a time.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Adrift<P: Program> {
    pub key: ObjectKey<P::Kind>,
    pub steps: Vec<Step<P::Effect>>,
}

impl<P: Program> Clone for Adrift<P> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), steps: self.steps.clone() }
    }
}

impl<P: Program> Engine<P> {
    /// Hands queued effects out, lane by lane, as far as the caps allow.
    pub(super) fn dispatch(&mut self) {
        while let Some((lane, (uid, step, item))) = self.lanes.pop() {
            if !self.send(&uid, step, &item) {
                self.lanes.done(&lane);
            }
        }
    }

    /// Sends a queued effect, unless what it rests on is not certain any more: then it is
    /// withdrawn, and wanted again when it is.
    fn send(&mut self, uid: &Uid, step: u8, item: &str) -> bool {
        let Some(at) = self.world.subject(uid) else { return false };
        let held = self.epoch.is_none() || self.is_held(at);
        let Some(instance) = self.world.instance_mut(at) else { return false };
        let machine = instance.machine;
        let plan = &self.program.plan().machines[usize::from(machine)];
        let Some(known) = instance.step_mut(step, item) else { return false };
        let Activity::Queued(queued) = std::mem::replace(&mut known.activity, Activity::Idle)
        else {
            return false;
        };
        self.changed.push(at);
        if held || (self.clock.doubted && plan.effects[usize::from(step)].spends) {
            return false;
        }
        let Queued { effect, digest, lane, revision, state, .. } = *queued;
        let deadline = self.now.plus_millis(deadline_ms(plan, usize::from(state)));
        known.sent((digest, revision), self.now, Ladder::of(plan, usize::from(state)));
        known.state = state;
        known.activity = Activity::InFlight(Box::new(Flight { deadline, lane, revision }));
        let id = id_of(uid, known, revision);
        instance.armed.push((deadline, Due::Deadline));
        self.schedule.arm(deadline, uid, Due::Deadline);
        self.effects.push(Started { id: id.clone(), machine, digest });
        self.outbox.push_back(Command::Perform(id, effect));
        true
    }

    pub(super) fn complete(&mut self, id: &EffectId, outcome: Outcome<P::Kind>) {
        let stale = || Failed {
            class: FailureClass::Conflict,
            reason: "Stale".to_owned(),
            message: "what the effect rests on had changed".to_owned(),
            not_before: None,
        };
        let (failed, wrote, reread) = match outcome {
            Outcome::Done { wrote } => (None, wrote, Vec::new()),
            Outcome::Stale { reread } => (Some(stale()), Vec::new(), reread),
            Outcome::Failed { class, reason, message, not_before, reread } => {
                (Some(Failed { class, reason, message, not_before }), Vec::new(), reread)
            }
        };
        // Whoever asked for it and whenever: what was written has to be seen.
        let writer = self.note_answer(id, failed);
        for written in wrote {
            self.await_write(writer.as_ref(), written.key, written.rv);
        }
        for key in reread {
            self.read_live(writer.as_ref(), key);
        }
    }

    /// Notes an answer where it is awaited, and tells whose it is.
    fn note_answer(&mut self, id: &EffectId, failed: Option<Failed>) -> Option<ObjectKey<P::Kind>> {
        let Some(at) = self.world.subject(&id.uid) else { return self.note_adrift(id) };
        let place = self.world.place_mut(at)?;
        let (key, instance) = (place.key.clone(), place.instance.as_deref_mut()?);
        let plan = &self.program.plan().machines[usize::from(instance.machine)];
        let known = instance.step_mut(id.step, &id.item).filter(|step| step.awaits(id.attempt));
        let Some(step) = known else { return Some(key) };
        let late = !matches!(step.activity, Activity::InFlight(_));
        match (&step.activity, &failed) {
            (Activity::InFlight(flight), _) => self.lanes.done(&flight.lane),
            (Activity::Queued(queued), None) => self.lanes.withdraw(&queued.lane, queued.ticket),
            _ => {}
        }
        match failed {
            None => step.succeed(self.now),
            Some(_) if late => {} // That it failed is known already.
            Some(failed) => {
                let ladder = Ladder::of(plan, usize::from(step.state));
                step.fail(failed, self.now, ladder, id);
            }
        }
        self.changed.push(at);
        self.world.mark(at);
        Some(key)
    }

    fn note_adrift(&mut self, id: &EffectId) -> Option<ObjectKey<P::Kind>> {
        let adrift = self.adrift.get_mut(&id.uid)?;
        let key = adrift.key.clone();
        let is_it = |step: &Step<P::Effect>| {
            step.step == id.step && step.item == id.item && step.attempt == id.attempt
        };
        if let Some(at) = adrift.steps.iter().position(is_it) {
            let step = adrift.steps.remove(at);
            self.land(&id.uid, &step);
        }
        Some(key)
    }

    /// An effect without a machine came to its end.
    fn land(&mut self, uid: &Uid, step: &Step<P::Effect>) {
        let Activity::InFlight(flight) = &step.activity else { return };
        self.lanes.done(&flight.lane);
        let Some(adrift) = self.adrift.get(uid) else { return };
        if !adrift.steps.iter().any(|other| other.deadline() == Some(flight.deadline)) {
            self.schedule.disarm(flight.deadline, uid, Due::Deadline);
        }
        if adrift.steps.is_empty() {
            self.adrift.remove(uid);
        }
    }

    /// The deadline of whatever is in flight for too long has passed: its outcome is unknown.
    pub(super) fn expire(&mut self, uid: &Uid) {
        let Some(at) = self.world.subject(uid) else { return self.expire_adrift(uid) };
        let now = self.now;
        let Some(place) = self.world.place_mut(at) else { return };
        let Some(instance) = place.instance.as_deref_mut() else { return };
        let plan = &self.program.plan().machines[usize::from(instance.machine)];
        let mut expired = false;
        for step in instance.steps.iter_mut() {
            let Activity::InFlight(flight) = &step.activity else { continue };
            if flight.deadline > now {
                continue;
            }
            self.lanes.done(&flight.lane);
            let id = id_of(uid, step, flight.revision);
            step.fail(unanswered(), now, Ladder::of(plan, usize::from(step.state)), &id);
            expired = true;
        }
        if expired {
            let key = place.key.clone();
            self.changed.push(at);
            self.read_live(Some(&key), key.clone());
        }
    }

    fn expire_adrift(&mut self, uid: &Uid) {
        let now = self.now;
        let Some(adrift) = self.adrift.get_mut(uid) else { return };
        let late = |step: &mut Step<P::Effect>| step.deadline().is_some_and(|at| at <= now);
        let (late, key): (Vec<_>, _) =
            (adrift.steps.extract_if(.., late).collect(), adrift.key.clone());
        late.iter().for_each(|step| self.land(uid, step));
        if self.world.get(&key).is_some() {
            self.read_live(None, key);
        }
    }

    /// Takes back what was not handed out yet, queued or not.
    pub(super) fn recall_all(&mut self) {
        let outbox = std::mem::take(&mut self.outbox);
        for command in outbox {
            match command {
                Command::Perform(id, _) => self.recall(&id),
                other => self.outbox.push_back(other),
            }
        }
        self.world.instances().into_iter().for_each(|at| self.withdraw(at, |_| true));
    }

    fn recall(&mut self, id: &EffectId) {
        let Some(at) = self.world.subject(&id.uid) else { return };
        let Some(instance) = self.world.instance_mut(at) else { return };
        let Some(step) = instance.step_mut(id.step, &id.item) else { return };
        let lane = match &step.activity {
            Activity::InFlight(flight) if step.attempt == id.attempt => flight.lane.clone(),
            _ => return,
        };
        step.activity = Activity::Idle;
        step.attempt = step.attempt.saturating_sub(1);
        self.lanes.done(&lane);
        self.changed.push(at);
        self.world.mark(at);
    }

    /// Takes queued effects of an object out of their lanes. What is known of their past stays,
    /// for it paces the next attempt.
    pub(super) fn withdraw(&mut self, at: u32, which: impl Fn(&Step<P::Effect>) -> bool) {
        let Some(instance) = self.world.instance_mut(at) else { return };
        for step in instance.steps.iter_mut() {
            if let Activity::Queued(queued) = &step.activity
                && which(step)
            {
                self.lanes.withdraw(&queued.lane, queued.ticket);
                step.activity = Activity::Idle;
                self.changed.push(at);
            }
        }
    }

    /// Forgets an object's machine. What is in flight goes on and is remembered.
    pub(super) fn drop_instance(&mut self, at: u32) {
        self.withdraw(at, |_| true);
        self.world.set_reads(at, &[], &[]);
        let Some(instance) = self.world.take_instance(at) else { return };
        let Some(key) = self.world.place(at).map(|place| place.key.clone()) else { return };
        self.instances_sum.remove(instance.digest);
        for (instant, due) in &instance.armed {
            self.schedule.disarm(*instant, &instance.uid, *due);
        }
        let flying = instance.steps.iter().filter(|step| !step.is_idle()).map(Step::adrift);
        self.set_adrift(instance.uid.clone(), Adrift { key, steps: flying.collect() });
    }

    /// Remembers what is in flight of an object without a machine, until its deadlines.
    pub(super) fn set_adrift(&mut self, uid: Uid, adrift: Adrift<P>) {
        for step in &adrift.steps {
            if let Some(deadline) = step.deadline() {
                self.schedule.arm(deadline, &uid, Due::Deadline);
            }
        }
        if !adrift.steps.is_empty() {
            self.adrift.insert(uid, adrift);
        }
    }
}

fn unanswered() -> Failed {
    Failed {
        class: FailureClass::Unknown,
        reason: DEADLINE_EXCEEDED.to_owned(),
        message: "no answer came before the effect's deadline".to_owned(),
        not_before: None,
    }
}

fn id_of<E>(uid: &Uid, step: &Step<E>, revision: u64) -> EffectId {
    let Step { step, item, attempt, .. } = step;
    EffectId { uid: uid.clone(), revision, step: *step, item: item.clone(), attempt: *attempt }
}
