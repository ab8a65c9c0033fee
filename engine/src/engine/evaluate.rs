//! Looking at one object again: where it is, how it came there, what it starts, when it wakes.

use super::Engine;
use crate::digest::digest_of;
use crate::ids::EffectId;
use crate::instance::{Armed, Instance};
use crate::program::{Look, Move, Program, Start};
use crate::schedule::Due;
use crate::step::{Activity, Ladder, Queued};
use crate::time::Timestamp;
use crate::view::{Reads, View};

/// What a look at an object found.
struct Found<P: Program> {
    look: Look,
    starts: Vec<Start<P::Effect>>,
    reads: Reads<P::Kind>,
}

impl<P: Program> Engine<P> {
    /// Looks at everything that was marked.
    pub(super) fn settle(&mut self) {
        let marked = self.world.take_marked();
        for &at in &marked {
            self.evaluate(at);
        }
        self.world.reuse(marked);
    }

    fn evaluate(&mut self, at: u32) {
        let Some(machine) = self.prepare(at) else { return };
        let mut armed = std::mem::take(&mut self.spare_armed);
        armed.clear();
        let Some(found) = self.look(at, machine, &mut armed) else {
            self.unexplained += 1; // The program tells of a state that the plan does not have.
            return;
        };
        let Found { look, starts, reads } = found;
        self.note_reads(at, reads);
        self.note_move(at, machine, look);
        self.add_periods(at, machine, look.state, &mut armed);
        if self.epoch.is_some() && !self.is_held(at) {
            self.start_effects(at, machine, starts, &mut armed);
        } else {
            self.withdraw(at, |_| true);
        }
        self.arm(at, armed);
    }

    /// Sees to it that a marked object that may be looked at has a machine.
    fn prepare(&mut self, at: u32) -> Option<usize> {
        let place = self.world.place(at)?;
        let machine = self.program.machine(place.key.kind)?;
        let uid = &place.object.uid;
        let was = place.instance.as_ref().map(|instance| instance.uid == *uid);
        if was != Some(true) {
            let uid = uid.clone();
            self.drop_instance(at); // Of another object of that name.
            if self.ready.get(machine) != Some(&true) {
                return None;
            }
            let adrift = self.adrift.remove(&uid);
            let mut instance = Instance::new(uid, machine as u8);
            if let Some(adrift) = adrift {
                instance.steps = adrift.steps;
            }
            self.world.set_instance(at, instance);
        }
        (self.ready.get(machine) == Some(&true)).then_some(machine)
    }

    fn look(
        &mut self,
        at: u32,
        machine: usize,
        armed: &mut Vec<(Timestamp, Due)>,
    ) -> Option<Found<P>> {
        let reads = std::mem::take(&mut self.spare_reads);
        let place = self.world.place(at)?;
        let instance = place.instance.as_deref()?;
        let times = (self.now, self.since);
        let view = View::new(place, instance, times, &self.world, reads);
        let look = self.program.look(&view);
        let timing = self.timing.get(machine, look.state)?;
        for &wait in &timing.until {
            let at = self.program.wait_at(&view, usize::from(wait));
            armed.extend(at.filter(|at| *at > self.now).map(|at| (at, Due::Wait(wait))));
        }
        let does = !self.program.plan().machines[machine].states[look.state].does.is_empty();
        let starts = if does { self.program.act(&view, look.state) } else { Vec::new() };
        Some(Found { look, starts, reads: view.into_reads() })
    }

    fn note_reads(&mut self, at: u32, mut reads: Reads<P::Kind>) {
        self.world.set_reads(at, &reads.known, &reads.unknown);
        reads.known.clear();
        reads.unknown.clear();
        self.spare_reads = reads;
    }

    fn note_move(&mut self, at: u32, machine: usize, look: Look) {
        let Some(instance) = self.world.instance_mut(at) else { return };
        let (from, truth) = (usize::from(instance.state), instance.truth);
        let first = !std::mem::replace(&mut instance.seen, true);
        (instance.state, instance.truth) = (look.state as u8, look.truth);
        if first || (from, truth) != (look.state, look.truth) {
            self.changed.push(at);
        }
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
        for (instant, due) in std::mem::take(&mut instance.armed) {
            self.schedule.disarm(instant, &instance.uid, due); // A period starts at the entry.
        }
    }

    /// Adds the periods of a state: those that go on, and those that begin.
    fn add_periods(
        &self,
        at: u32,
        machine: usize,
        state: usize,
        armed: &mut Vec<(Timestamp, Due)>,
    ) {
        let Some(timing) = self.timing.get(machine, state) else { return };
        let before = self.world.instance(at).map(|i| i.armed.as_slice()).unwrap_or_default();
        for &(wait, ms) in &timing.every {
            let due = Due::Wait(wait);
            let going_on = before.iter().find(|(at, d)| *d == due && *at > self.now);
            armed.push((going_on.map_or(self.now.plus_millis(ms), |(at, _)| *at), due));
        }
    }

    fn start_effects(
        &mut self,
        at: u32,
        machine: usize,
        starts: Vec<Start<P::Effect>>,
        armed: &mut Vec<(Timestamp, Due)>,
    ) {
        let plan = &self.program.plan().machines[machine];
        let state = self.world.instance(at).map_or(0, |instance| usize::from(instance.state));
        let mut allowed = Vec::with_capacity(starts.len());
        for start in starts {
            if !plan.states[state].does.contains(&start.step) {
                self.unexplained += 1; // The program starts what its state may not.
            } else if !(self.clock.doubted && plan.effects[start.step].spends) {
                allowed.push(start); // Others are wanted again when the clock is confirmed.
            }
        }
        self.withdraw(at, |step| {
            let is_it = |s: &Start<_>| s.step == usize::from(step.step) && s.item == step.item;
            !allowed.iter().any(is_it)
        });
        for start in allowed {
            let later = self.start(at, (machine, state), start);
            armed.extend(later.map(|later| (later, Due::Retry)));
        }
        if self.world.instance_mut(at).is_some_and(|instance| instance.trim(self.now)) {
            self.changed.push(at);
        }
    }

    /// Queues an effect, or says when it may be started. One that is queued is sent as it is now.
    fn start(
        &mut self,
        at: u32,
        (machine, state): (usize, usize),
        start: Start<P::Effect>,
    ) -> Option<Timestamp> {
        let Start { step: number, item, revision, lane, effect } = start;
        let rank = self.program.rank(machine, number);
        let (number, digest) = (number as u8, digest_of(&effect));
        let ladder = Ladder::of(&self.program.plan().machines[machine], state);
        let instance = self.world.instance_mut(at)?;
        let uid = instance.uid.clone();
        let step = instance.step_or_new(number, &item);
        if let Activity::InFlight(_) = step.activity {
            return None;
        }
        let attempt = step.attempt.saturating_add(1);
        let id = EffectId { uid: uid.clone(), revision, step: number, item, attempt };
        let later = step.not_before(digest, self.now, ladder, &id);
        let mut kept = None;
        if let Activity::Queued(queued) = &step.activity {
            if later.is_none() && queued.lane == lane {
                kept = Some(queued.ticket);
            } else {
                self.lanes.withdraw(&queued.lane, queued.ticket);
                step.activity = Activity::Idle;
            }
        }
        self.changed.push(at);
        if later.is_some() {
            return later;
        }
        let ticket = kept.unwrap_or_else(|| self.lanes.push(&lane, rank, (uid, number, id.item)));
        let state = state as u8;
        let queued = Queued { effect, digest, lane, ticket, revision, state };
        step.activity = Activity::Queued(Box::new(queued));
        None
    }

    /// Arms what an object waits for, its deadlines among it, in place of what it waited for.
    fn arm(&mut self, at: u32, mut armed: Vec<(Timestamp, Due)>) {
        let Some(instance) = self.world.instance_mut(at) else { return };
        armed.extend(instance.deadlines());
        armed.sort_unstable();
        armed.dedup();
        if *instance.armed != *armed {
            for (instant, due) in &instance.armed {
                self.schedule.disarm(*instant, &instance.uid, *due);
            }
            for (instant, due) in &armed {
                self.schedule.arm(*instant, &instance.uid, *due);
            }
            instance.armed = Armed::from_slice(&armed);
            self.changed.push(at);
        }
        self.spare_armed = armed;
    }
}
