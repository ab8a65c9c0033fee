//! Looking at one object again: where it is, how it came there, what it starts, when it wakes.

use super::Engine;
use super::inputs::ladder_of_step;
use crate::digest::digest_of;
use crate::ids::{EffectId, ObjectKey, Tag};
use crate::instance::{Instance, Phase, Step, Verdict};
use crate::program::{Command, Look, Move, Program, Start, Started};
use crate::schedule::Due;
use crate::time::Timestamp;
use crate::view::View;
use everleaf_graph::{Machine, WaitKind};

/// What a look at an object found.
struct Found<P: Program> {
    look: Look,
    until: Vec<(usize, Timestamp)>,
    starts: Vec<Start<P::Effect>>,
    reads: Vec<Tag<P::Kind>>,
}

impl<P: Program> Engine<P> {
    /// Looks at every dirty object.
    pub(super) fn settle(&mut self) {
        while let Some(key) = self.dirty.pop_first() {
            self.evaluate(&key);
        }
    }

    fn evaluate(&mut self, key: &ObjectKey<P::Kind>) {
        let Some(machine) = self.program.machine(key.kind) else { return };
        let Some(uid) = self.world.get(key).map(|object| object.uid.clone()) else {
            return self.drop_instance(key);
        };
        if !self.is_synced(machine) {
            return;
        }
        if self.instances.get(key).is_some_and(|instance| instance.uid != uid) {
            self.drop_instance(key);
        }
        if !self.instances.contains_key(key) {
            self.subjects.insert(uid.clone(), key.clone());
            self.instances.insert(key.clone(), Instance::new(uid, machine as u8));
        }
        let Some(found) = self.look(key, machine) else { return };
        self.note_reads(key, &found.reads);
        self.note_move(key, machine, found.look);
        let may_act = self.epoch.is_some() && !self.is_held(key, &found.reads);
        let mut armed = self.plain_waits(key, machine, &found);
        if may_act {
            self.start_effects(key, machine, found.starts, &mut armed);
        }
        armed.extend(self.instances.get(key).into_iter().flat_map(Instance::deadlines));
        self.arm(key, armed);
    }

    /// Whether every feed that a machine reads has shown its first list in this epoch.
    fn is_synced(&self, machine: usize) -> bool {
        let reads = self.program.reads(machine);
        let feeds = self.program.feeds().iter().zip(&self.feeds);
        feeds.filter(|(feed, _)| reads.contains(&feed.kind)).all(|(_, state)| state.synced)
    }

    fn look(&self, key: &ObjectKey<P::Kind>, machine: usize) -> Option<Found<P>> {
        let (object, instance) = (self.world.get(key)?, self.instances.get(key)?);
        let view = View::new(key, object, self.now, &self.world, instance);
        let look = self.program.look(&view);
        let state = &self.program.plan().machines[machine].states[look.state];
        let timed = |wait: &&usize| self.is_until(machine, **wait);
        let until = state.waits.iter().filter(timed);
        let until: Vec<_> =
            until.filter_map(|&w| Some((w, self.program.wait_at(&view, w)?))).collect();
        let starts =
            if state.does.is_empty() { Vec::new() } else { self.program.act(&view, look.state) };
        Some(Found { look, until, starts, reads: view.into_reads() })
    }

    fn is_until(&self, machine: usize, wait: usize) -> bool {
        matches!(self.program.plan().machines[machine].waits[wait].kind, WaitKind::Until { .. })
    }

    fn note_reads(&mut self, key: &ObjectKey<P::Kind>, reads: &[Tag<P::Kind>]) {
        let before = self.reads.get(key).map(Vec::as_slice).unwrap_or_default();
        if before == reads {
            return;
        }
        let before = before.to_vec();
        for tag in before.iter().filter(|tag| reads.binary_search(tag).is_err()) {
            self.forget_reader(key, tag);
        }
        for tag in reads.iter().filter(|tag| before.binary_search(tag).is_err()) {
            self.readers.entry(tag.clone()).or_default().insert(key.clone());
        }
        self.reads.insert(key.clone(), reads.to_vec());
    }

    fn forget_reader(&mut self, key: &ObjectKey<P::Kind>, tag: &Tag<P::Kind>) {
        if let Some(readers) = self.readers.get_mut(tag) {
            readers.remove(key);
            if readers.is_empty() {
                self.readers.remove(tag);
            }
        }
    }

    fn note_move(&mut self, key: &ObjectKey<P::Kind>, machine: usize, look: Look) {
        let Some(instance) = self.instances.get_mut(key) else { return };
        let (from, truth) = (usize::from(instance.state), instance.truth);
        let first = !std::mem::replace(&mut instance.seen, true);
        (instance.state, instance.truth) = (look.state as u8, look.truth);
        if first || from == look.state {
            return;
        }
        let plan = &self.program.plan().machines[machine];
        let path = plan.explain(from, truth, look.state, look.truth);
        self.unexplained += u64::from(path.is_none());
        self.moves.push(Move {
            uid: instance.uid.clone(),
            machine: machine as u8,
            from: from as u8,
            to: look.state as u8,
            path: path.map(|edges| edges.into_iter().map(|edge| edge as u16).collect()),
        });
        let (uid, old) = (instance.uid.clone(), std::mem::take(&mut instance.armed));
        old.iter().for_each(|(at, due)| self.schedule.disarm(*at, &uid, *due));
    }

    /// The waits of the state itself: instants that it names, and periods that go on.
    fn plain_waits(
        &self,
        key: &ObjectKey<P::Kind>,
        machine: usize,
        found: &Found<P>,
    ) -> Vec<(Timestamp, Due)> {
        let plan: &Machine = &self.program.plan().machines[machine];
        let until = found.until.iter().filter(|(_, at)| *at > self.now);
        let mut armed: Vec<_> = until.map(|(w, at)| (*at, Due::Wait(*w as u8))).collect();
        let before = self.instances.get(key).map(|i| i.armed.as_slice()).unwrap_or_default();
        for &wait in &plan.states[found.look.state].waits {
            if let WaitKind::Every { ms } = plan.waits[wait].kind {
                let due = Due::Wait(wait as u8);
                let going_on = before.iter().find(|(at, d)| *d == due && *at > self.now);
                let at = going_on.map_or(self.now.plus_millis(ms), |(at, _)| *at);
                armed.push((at, due));
            }
        }
        armed
    }

    fn start_effects(
        &mut self,
        key: &ObjectKey<P::Kind>,
        machine: usize,
        starts: Vec<Start<P::Effect>>,
        armed: &mut Vec<(Timestamp, Due)>,
    ) {
        self.withdraw_unwanted(key, &starts);
        let state = self.instances.get(key).map_or(0, |instance| usize::from(instance.state));
        for start in starts {
            let plan = &self.program.plan().machines[machine];
            if !plan.states[state].does.contains(&start.step) {
                self.unexplained += 1; // The program starts what its state may not.
                continue;
            }
            if plan.effects[start.step].spends && self.clock.doubted {
                continue; // Looked at again when the clock is confirmed.
            }
            if let Some(later) = self.start(key, machine, start) {
                armed.push((later, Due::Retry));
            }
        }
    }

    /// Queued effects that are not wanted any more are not started. Failures stay, for they pace
    /// the next attempt even if something else is done in between.
    fn withdraw_unwanted(&mut self, key: &ObjectKey<P::Kind>, starts: &[Start<P::Effect>]) {
        let Some(instance) = self.instances.get_mut(key) else { return };
        instance.steps.retain(|step| {
            let wanted =
                |s: &Start<P::Effect>| s.step == usize::from(step.step) && s.item == step.item;
            !matches!(step.phase, Phase::Queued { .. }) || starts.iter().any(wanted)
        });
    }

    /// Queues an effect, or says when it may be started.
    fn start(
        &mut self,
        key: &ObjectKey<P::Kind>,
        machine: usize,
        start: Start<P::Effect>,
    ) -> Option<Timestamp> {
        let Start { step, item, revision, lane, effect } = start;
        let digest = digest_of(&effect);
        let ladder = ladder_of_step(&self.program.plan().machines[machine], step);
        let instance = self.instances.get_mut(key)?;
        let known = instance.step(step, &item);
        let attempt = known.map_or(0, |k| k.attempt).saturating_add(1);
        let (uid, step) = (instance.uid.clone(), step as u8);
        let id = EffectId { uid, revision, step, item: item.clone(), attempt };
        let mut repeats = 0;
        let mut failure = None;
        if let Some(known) = known {
            match known.verdict(digest, self.now, ladder, &id) {
                Verdict::Not => {
                    refresh_queued(instance, &id, effect, digest);
                    return None;
                }
                Verdict::Later(at) => return Some(at),
                Verdict::Go => {}
            }
            let again = known.digest == digest && matches!(known.phase, Phase::Done { .. });
            repeats = if again { known.repeats.saturating_add(1) } else { 0 };
            failure = known.failure.clone();
        }
        let phase = Phase::Queued { effect, lane: lane.clone(), revision };
        instance.remember(Step {
            step,
            item: item.clone(),
            digest,
            attempt,
            repeats,
            phase,
            failure,
        });
        self.lanes.push(&lane, (key.clone(), step, item));
        None
    }

    fn arm(&mut self, key: &ObjectKey<P::Kind>, armed: Vec<(Timestamp, Due)>) {
        let Some(instance) = self.instances.get_mut(key) else { return };
        for (at, due) in std::mem::replace(&mut instance.armed, armed) {
            self.schedule.disarm(at, &instance.uid, due);
        }
        for (at, due) in &instance.armed {
            self.schedule.arm(*at, &instance.uid, *due);
        }
        self.instances_sum.remove(instance.digest);
        instance.digest = instance.compute_digest();
        self.instances_sum.add(instance.digest);
    }

    /// Hands queued effects out, lane by lane, as far as the caps allow.
    pub(super) fn dispatch(&mut self) {
        while let Some((lane, (key, step, item))) = self.lanes.pop() {
            if !self.send(&key, step, &item, &lane) {
                self.lanes.done(&lane);
            }
        }
    }

    fn send(&mut self, key: &ObjectKey<P::Kind>, step: u8, item: &str, lane: &crate::Lane) -> bool {
        let Some(instance) = self.instances.get_mut(key) else { return false };
        let plan = &self.program.plan().machines[usize::from(instance.machine)];
        let deadline = self.now.plus_millis(deadline_of_step(plan, usize::from(step)));
        let (uid, machine) = (instance.uid.clone(), instance.machine);
        let Some(known) = instance.step_mut(usize::from(step), item) else { return false };
        if !matches!(&known.phase, Phase::Queued { lane: queued, .. } if queued == lane) {
            return false;
        }
        let in_flight = Phase::InFlight { deadline, lane: lane.clone() };
        let Phase::Queued { effect, revision, .. } = std::mem::replace(&mut known.phase, in_flight)
        else {
            return false;
        };
        let (item, attempt) = (known.item.clone(), known.attempt);
        let id = EffectId { uid: uid.clone(), revision, step, item, attempt };
        self.effects.push(Started { id: id.clone(), machine, digest: known.digest });
        self.outbox.push_back(Command::Perform(id, effect));
        instance.armed.push((deadline, Due::Deadline));
        self.schedule.arm(deadline, &uid, Due::Deadline);
        true
    }

    pub(super) fn drop_instance(&mut self, key: &ObjectKey<P::Kind>) {
        for tag in self.reads.remove(key).unwrap_or_default() {
            self.forget_reader(key, &tag);
        }
        let Some(instance) = self.instances.remove(key) else { return };
        self.instances_sum.remove(instance.digest);
        self.subjects.remove(&instance.uid);
        for (at, due) in &instance.armed {
            self.schedule.disarm(*at, &instance.uid, *due);
        }
        for step in &instance.steps {
            if let Phase::InFlight { lane, .. } = &step.phase {
                self.lanes.done(lane);
            }
        }
    }
}

/// A queued effect that changed while it waited is sent as it is now.
fn refresh_queued<E>(instance: &mut Instance<E>, id: &EffectId, new: E, digest: crate::Digest) {
    let Some(known) = instance.step_mut(usize::from(id.step), &id.item) else { return };
    if let Phase::Queued { effect, revision, .. } = &mut known.phase {
        (*effect, *revision, known.digest) = (new, id.revision, digest);
    }
}

/// How long an effect of this step may be in flight: the plan demands a deadline.
fn deadline_of_step(machine: &Machine, step: usize) -> i64 {
    let states = machine.states.iter().filter(|state| state.does.contains(&step));
    let mut waits = states.flat_map(|state| &state.waits);
    let deadline = waits.find_map(|&wait| match machine.waits[wait].kind {
        WaitKind::Deadline { ms } => Some(ms),
        _ => None,
    });
    deadline.unwrap_or(60_000)
}
