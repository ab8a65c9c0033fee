//! Taking inputs in: observations, leadership, the clock.

use super::barrier::Sight;
use super::{ClockGuard, Engine, FeedState, Listing};
use crate::ids::{Epoch, ObjectKey, Uid};
use crate::program::{Delta, Input, Program};
use crate::time::Timestamp;
use crate::world::{End, Seen};

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
                let seen = Seen { uid, rv, feed, live, facts };
                self.applied(key, seen);
            }
            Delta::Deleted { feed, key, uid } => self.deleted(feed, &key, &uid),
            Delta::Absent { key } => self.saw_nothing(&key),
            Delta::Unreadable { .. } => {} // The barrier asks again.
            Delta::ListBegin { feed } => {
                if let Some(state) = self.feeds.get_mut(usize::from(feed)) {
                    state.listing = Some(Listing::default());
                    self.sum_rest();
                }
            }
            Delta::ListEnd { feed, rv } => self.end_list(feed, rv),
        }
    }

    fn applied(&mut self, key: ObjectKey<P::Kind>, seen: Seen<P::Facts>) {
        let (live, rv, feed) = (seen.live, seen.rv, usize::from(seen.feed));
        if let Some(listing) = self.feeds.get_mut(feed).and_then(|f| f.listing.as_mut()) {
            let keys = if live { &mut listing.seen_live } else { &mut listing.shown };
            keys.insert(key.clone());
        }
        let awaited = self.barriers.holds(&key).then(|| (key.clone(), seen.uid.clone()));
        self.world.apply(&self.program, self.now, key, seen);
        if let Some((key, uid)) = awaited {
            self.saw(&key, Sight::Version { uid: &uid, rv, live });
        }
    }

    /// A feed tells of an object's end. If another feed shows the object by now, it only went out
    /// of this one's selection; if it has another UID by now, this is old news.
    fn deleted(&mut self, feed: u8, key: &ObjectKey<P::Kind>, uid: &Uid) {
        match self.world.get(key).map(|known| (known.feed == feed && known.uid == *uid, known.rv)) {
            Some((false, _)) => return,
            Some((true, rv)) => self.forget(key, End { rv, feed: Some(feed) }),
            None => {}
        }
        self.saw(key, Sight::Deleted { upto: None });
    }

    /// Takes an object out of the world.
    pub(super) fn forget(&mut self, key: &ObjectKey<P::Kind>, end: End) {
        if let Some(at) = self.world.find(key) {
            self.drop_instance(at);
            self.world.remove(self.now, at, end);
        }
    }

    fn end_list(&mut self, feed: u8, rv: u64) {
        let Some(state) = self.feeds.get_mut(usize::from(feed)) else { return };
        let Some(listing) = state.listing.take() else { return };
        let first = !std::mem::replace(&mut state.synced, true);
        let shared = self.shares_its_kind(feed);
        for key in self.world.missing_from(feed, rv, &listing.shown) {
            // It may have come, or gone, while the list was made; or another feed of its kind,
            // which is late, shows it now.
            if shared || listing.seen_live.contains(&key) {
                self.read_live(None, key);
                continue;
            }
            self.forget(&key, End { rv, feed: Some(feed) });
            self.saw(&key, Sight::Deleted { upto: Some(rv) });
        }
        self.note_feeds();
        if first && let Some(kind) = self.program.feeds().get(usize::from(feed)).map(|f| f.kind) {
            self.wake_machines_reading(kind);
        }
    }

    /// Whether another feed delivers the same kind.
    fn shares_its_kind(&self, feed: u8) -> bool {
        let feeds = self.program.feeds();
        let Some(kind) = feeds.get(usize::from(feed)).map(|feed| feed.kind) else { return false };
        feeds.iter().filter(|other| other.kind == kind).count() > 1
    }

    /// Marks every object whose machine may have waited for a feed of that kind.
    fn wake_machines_reading(&mut self, kind: P::Kind) {
        let program = &self.program;
        let waits = |machine: usize| {
            program.reads(machine).contains(&kind) || program.machine(kind) == Some(machine)
        };
        self.world.mark_all(|place| program.machine(place.key.kind).is_some_and(waits));
    }

    /// We lead from now on, or no longer. A new epoch begins with nothing but the world and what
    /// is in flight; every feed has to be listed again. What was decided but not yet handed out
    /// is taken back.
    fn lead(&mut self, epoch: Option<Epoch>) {
        if epoch == self.epoch {
            return;
        }
        self.epoch = epoch;
        self.since = self.now;
        self.recall_all();
        if epoch.is_some() {
            self.world.instances().into_iter().for_each(|at| self.drop_instance(at));
            self.feeds.iter_mut().for_each(|feed| *feed = FeedState::default());
        } else {
            self.world.mark_instances();
        }
        self.note_feeds();
    }

    fn confirm_clock(&mut self, date: Timestamp) {
        let apart = date.since(self.now).unsigned_abs();
        if apart > self.config.clock_tolerance_ms.unsigned_abs() {
            return; // Asked again in a while.
        }
        self.clock = ClockGuard::default();
        self.sum_rest();
        self.world.mark_instances();
    }
}
