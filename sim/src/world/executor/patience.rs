//! Effects that look again for a while: they rest, everything else goes on, and they go on where
//! they were.

use super::super::World;
use super::super::material::SymKey;
use super::Job;
use crate::acme::AccountId;

/// How long an effect that waits for a CA looks again, its first pause, and its longest, in
/// milliseconds.
pub(super) const WITH_A_CA: (i64, i64, i64) = (10_000, 500, 2_000);

/// The same for what was presented to be seen.
pub(super) const WITH_A_SOLVER: (i64, i64, i64) = (3_000, 150, 600);

/// One look only.
pub(super) const SPENT: (i64, i64, i64) = (0, 1_000, 1_000);

/// What an effect knows that looks again.
#[derive(Debug)]
pub(crate) struct Rest {
    /// When it gives up, in milliseconds since 1970.
    end: i64,
    pause: i64,
    longest: i64,
    /// The account that it asks for, once it was read.
    pub signer: Option<(SymKey, AccountId)>,
    /// When it presented, as the API has it; empty if that is not what it does.
    pub presented: String,
    /// Whether it sent what it may send once only.
    pub sent: bool,
}

impl Rest {
    fn new(now: i64, (limit, pause, longest): (i64, i64, i64)) -> Self {
        let (signer, presented, sent) = (None, String::new(), false);
        Self { end: now + limit, pause, longest, signer, presented, sent }
    }
}

impl World {
    /// What the effect knows from before, or will after its first rest.
    pub(super) fn rest_of<'a>(&self, job: &'a mut Job, by: (i64, i64, i64)) -> &'a mut Rest {
        let now = self.now + job.delay;
        job.rest.get_or_insert_with(|| Box::new(Rest::new(now, by)))
    }

    /// Whether the effect is to look again, after a pause, or as late as the other side wants, by
    /// the replica's clock, if that is later. No if its time would be over by then.
    pub(super) fn rests(&self, job: &mut Job, by: (i64, i64, i64), after: Option<i64>) -> bool {
        let clock = self.replicas[job.at].clock(self.now).as_millis();
        let asked = after.map_or(0, |after| after - clock);
        let (now, dead) = (self.now + job.delay, job.dead);
        let rest = self.rest_of(job, by);
        let pause = rest.pause.max(asked);
        rest.pause = (rest.pause * 2).min(rest.longest);
        let within = !dead && rest.end - now >= pause;
        if within {
            job.pause = Some(pause);
        }
        within
    }
}
