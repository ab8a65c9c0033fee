//! What happens to processes, clocks and leadership; and the end of all faults.

use super::config::{DAY, HOUR, MINUTE, Mutant};
use super::event::Event;
use super::replica::Replica;
use super::{Action, World};
use everleaf_engine::{Epoch, Input, Wake};
use everleaf_nodes::facts::Kind;

/// How long a Lease holds without renewal.
const LEASE: i64 = 15_000;

/// How soon a driver looks at its clock again, at the latest.
const WATCHFULNESS: i64 = 30_000;

impl World {
    /// Gives the Lease to a replica.
    pub(super) fn hand_over(&mut self, to: usize) {
        self.holder = Some(to);
        self.epoch += 1;
        let (epoch, life) = (self.epoch, self.replicas[to].life);
        let delay = self.latency.between(5, 2000);
        self.after(delay, Action::Lead { at: to, life, epoch });
    }

    pub(super) fn lead(&mut self, at: usize, epoch: Epoch) {
        if self.holder != Some(at) || epoch != self.epoch {
            return;
        }
        self.note(format_args!("r{at} leads under epoch {epoch}"));
        let replica = &mut self.replicas[at];
        replica.leads = Some(epoch);
        replica.acked.clear();
        let jumped = std::mem::take(&mut replica.jumped);
        self.input(at, Input::Leadership(Some(epoch)));
        // A new epoch does not end a doubt, but it moves the time: so it is asked for again.
        let unaware = self.config.mutant == Mutant::MirrorsClock;
        if (jumped.abs() > HOUR || self.replicas[at].doubts) && !unaware {
            self.input(at, Input::ClockStepped);
        }
        self.list_all(at);
    }

    pub(super) fn lose(&mut self, at: usize) {
        if self.holder == Some(at) {
            return;
        }
        self.note(format_args!("r{at} leads no longer"));
        self.replicas[at].leads = None;
        if self.config.mutant == Mutant::LeadsForever {
            return;
        }
        for cursor in &mut self.replicas[at].cursors {
            *cursor = Default::default();
        }
        // Whatever its clock did is of no account before it leads again.
        self.replicas[at].jumped = 0;
        self.input(at, Input::Leadership(None));
    }

    pub(super) fn kill(&mut self, at: usize) {
        self.note(format_args!("r{at} is killed"));
        self.counts.routes_lost += self.outside.die(self.now, at) as u64;
        let replica = &mut self.replicas[at];
        replica.alive = false;
        let slot = replica.wake.take();
        if let Some(slot) = slot {
            self.queue.remove(&slot);
        }
        let delay = self.latency.between(500, MINUTE);
        self.after(delay, Action::Start { at });
        if self.holder == Some(at) && self.replicas.len() > 1 {
            self.take_over(at);
        }
    }

    /// The other replica takes the Lease once it ran out.
    fn take_over(&mut self, from: usize) {
        let to = (from + 1) % self.replicas.len();
        self.holder = Some(to);
        self.epoch += 1;
        let (epoch, life) = (self.epoch, self.replicas[to].life);
        self.after(LEASE, Action::Lead { at: to, life, epoch });
    }

    pub(super) fn start(&mut self, at: usize) {
        let old = &self.replicas[at];
        let (life, offset) = (old.life + 1, old.offset);
        if self.config.journal {
            self.journals.push(old.pages.clone());
        }
        self.note(format_args!("r{at} starts as process {life}"));
        let mut replica = Replica::new(&self.program, life, &self.config);
        replica.offset = offset;
        self.replicas[at] = replica;
        let holder_gone = self.holder.is_none_or(|holder| !self.replicas[holder].alive);
        if self.holder == Some(at) || holder_gone {
            self.hand_over(at);
        }
    }

    pub(super) fn schedule_mishap(&mut self) {
        let mean = self.config.mishap_every_ms.max(1000);
        let delay = self.faults.between(mean / 10, mean * 2);
        self.after(delay, Action::Mishap);
    }

    pub(super) fn mishap(&mut self) {
        if !self.faulty {
            return;
        }
        self.schedule_mishap();
        let on = self.config.faults;
        let two = self.replicas.len() > 1;
        let acme = self.config.acme > 0;
        let dns = on.dns_lag || on.dns_lame || on.dns_servfail || on.dns_shuffled;
        let kinds: [(bool, fn(&mut Self)); 12] = [
            (on.kill, Self::kill_someone),
            (on.handover && two, Self::change_leader),
            (on.overlap && two, Self::overlap),
            (on.suspend, Self::suspend),
            (on.clock_forward, Self::jump_forward),
            (on.clock_backward, Self::step_back),
            (on.ca_outage, Self::lose_ca),
            (on.meddler, Self::meddle),
            (on.recreate, Self::recreate_something),
            (acme && on.ca_down, Self::lose_acme_ca),
            (acme && dns, Self::strike_dns),
            (acme && on.wrong_certificate, Self::call_for_renewals),
        ];
        let on: Vec<fn(&mut Self)> = kinds.into_iter().filter(|k| k.0).map(|k| k.1).collect();
        if let Some(strike) = self.faults.pick(&on).copied() {
            self.counts.mishaps += 1;
            strike(self);
        }
    }

    fn someone(&mut self) -> usize {
        usize::try_from(self.faults.below(self.replicas.len() as u64)).unwrap_or(0)
    }

    fn kill_someone(&mut self) {
        let at = self.someone();
        if self.replicas[at].alive {
            self.kill(at);
        }
    }

    fn change_leader(&mut self) {
        let Some(from) = self.holder.filter(|at| self.replicas[*at].alive) else { return };
        let to = (from + 1) % self.replicas.len();
        if self.replicas[to].alive {
            self.holder = Some(to);
            self.lose(from);
            self.hand_over(to);
        }
    }

    /// The leader stands still for longer than its Lease holds, right after it looked at it.
    fn overlap(&mut self) {
        let Some(from) = self.holder.filter(|at| self.replicas[*at].alive) else { return };
        let to = (from + 1) % self.replicas.len();
        if !self.replicas[to].alive || self.replicas[from].paused_until > self.now {
            return;
        }
        let pause = self.faults.between(LEASE, 4 * MINUTE);
        self.note(format_args!("r{from} stands still for {pause} ms"));
        let life = self.replicas[from].life;
        // It learns of its loss as soon as it runs again, but what it was about to send is sent.
        self.after(pause, Action::Lose { at: from, life });
        self.replicas[from].paused_until = self.now + pause;
        self.take_over(from);
    }

    fn suspend(&mut self) {
        let at = self.someone();
        if self.replicas[at].paused_until > self.now {
            return;
        }
        let longest = (self.config.faulty_ms / 8).clamp(2 * HOUR, 4 * DAY);
        let pause = self.faults.between(10 * MINUTE, longest);
        let pause = pause.min(START_OF_HEAL_MARGIN + self.left_of_faults());
        self.sleep(at, pause);
    }

    fn left_of_faults(&self) -> i64 {
        (super::START + self.config.faulty_ms - self.now).max(0)
    }

    /// A machine sleeps for a while.
    pub(crate) fn sleep(&mut self, at: usize, pause: i64) {
        self.note(format_args!("r{at} sleeps for {pause} ms"));
        let until = self.now + pause;
        if self.config.mutant == Mutant::WaitsByUptime {
            self.delay_alarm(at, pause);
        }
        let replica = &mut self.replicas[at];
        replica.paused_until = until;
        replica.jumped += pause;
        let life = replica.life;
        if self.holder == Some(at) && self.replicas.len() > 1 {
            self.after(pause, Action::Lose { at, life });
            self.take_over(at);
        }
        let notice = self.latency.between(1, WATCHFULNESS);
        self.after(pause + notice, Action::NoticeClock { at, life });
    }

    /// A timer that counts only the time in which the machine runs.
    fn delay_alarm(&mut self, at: usize, by: i64) {
        let Some(slot) = self.replicas[at].wake.take() else { return };
        if let Some(action) = self.queue.remove(&slot) {
            self.replicas[at].wake = Some(self.put(slot.0 + by, action));
        }
    }

    fn jump_forward(&mut self) {
        let at = self.someone();
        let by =
            *self.faults.pick(&[MINUTE, 50 * MINUTE, 3 * HOUR, 5 * DAY, 100 * DAY]).unwrap_or(&0);
        self.set_clock(at, by);
    }

    fn step_back(&mut self) {
        let at = self.someone();
        let by = *self.faults.pick(&[MINUTE, 50 * MINUTE, 3 * HOUR, 5 * DAY]).unwrap_or(&0);
        self.set_clock(at, -by);
    }

    /// A clock is set, and (within hours) set right again.
    pub(crate) fn set_clock(&mut self, at: usize, by: i64) {
        let right = self.replicas[at].offset != 0;
        let by = if right { -self.replicas[at].offset } else { by };
        self.note(format_args!("the clock of r{at} moves by {by} ms"));
        let notice = self.latency.between(1, WATCHFULNESS);
        let replica = &mut self.replicas[at];
        replica.offset += by;
        replica.jumped += by;
        let life = replica.life;
        self.emitted.push(Event::Stepped { replica: at, by });
        self.after(notice, Action::NoticeClock { at, life });
    }

    /// The driver looks at its clock: it moved otherwise than time did.
    pub(super) fn notice_clock(&mut self, at: usize) {
        let jumped = std::mem::take(&mut self.replicas[at].jumped);
        if self.config.mutant == Mutant::WaitsByUptime {
            return;
        }
        let leads = self.replicas[at].leads;
        if jumped <= -MINUTE && leads.is_some() {
            // Within an epoch the engine's time never falls, so a new one begins.
            if self.holder == Some(at) {
                self.epoch += 1;
                let epoch = self.epoch;
                self.replicas[at].jumped = jumped;
                self.lead(at, epoch);
            }
            return;
        }
        let unaware = self.config.mutant == Mutant::MirrorsClock;
        if jumped > HOUR && leads.is_some() && !unaware {
            self.input(at, Input::ClockStepped);
        }
        self.set_alarm(at);
        let due = match self.replicas[at].engine.poll_wake() {
            Wake::Now => true,
            Wake::At(wall) => wall <= self.replicas[at].clock(self.now),
            Wake::OnlyWhenTold => false,
        };
        if due {
            self.input(at, Input::Tick);
        }
    }

    /// The last fault is over: clocks are right, processes run, issuers answer.
    pub(super) fn heal(&mut self) {
        self.note(format_args!("everything is well again"));
        self.faulty = false;
        self.healed_at = Some(self.now);
        for at in 0..self.replicas.len() {
            self.replicas[at].paused_until = self.replicas[at].paused_until.min(self.now);
            if self.replicas[at].offset != 0 {
                self.set_clock(at, 0);
            }
            if self.holder != Some(at) && self.replicas[at].leads.is_some() {
                self.lose(at);
            }
        }
        self.heal_outside();
        self.restore_ca("app", "ca-pair");
        self.restore_ca("shop", "ca-pair");
        self.restore_ca(super::OPERATOR_NAMESPACE, "cluster-pair");
        for request in self.all(Kind::CertificateRequest) {
            self.others_notice(&request);
        }
        self.emitted.push(Event::Healed);
    }
}

/// A machine may sleep past the end of the faults; healing wakes it.
const START_OF_HEAL_MARGIN: i64 = HOUR;
