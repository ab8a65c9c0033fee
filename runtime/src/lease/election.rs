//! What to do next about the Lease: a pure function of what was seen, and when.
//!
//! Times are durations since the process started, on a monotonic clock.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use super::LeaseConfig;

/// One contender's knowledge of the Lease, and its own term if it has one.
#[derive(Clone, Debug)]
pub struct Election {
    config: LeaseConfig,
    observed: Option<Observed>,
    /// Whether `observed` is the API server's last word.
    fresh: bool,
    term: Option<Term>,
    /// The highest `leaseTransitions` seen so far.
    highest: Option<u64>,
}

/// A state of the Lease, and when it was first seen to be so.
#[derive(Clone, Debug)]
struct Observed {
    lease: Lease,
    since: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    epoch: u64,
    renewed: Duration,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the Lease, then ask again.
    Read,
    /// Write the Lease, see [`Election::body`].
    Write(Write),
    /// Somebody else holds it: look again later.
    Follow {
        /// The holder.
        holder: String,
        /// When its hold ends unless it renews.
        free_in: Duration,
    },
    /// Our term is over: call [`Election::lose`], then ask again.
    Lose,
}

/// How to write the Lease, and the epoch it then carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Create it, held by us in a new term.
    Create(u64),
    /// Replace it, held by us in a new term.
    Take(u64),
    /// Replace it, held by us in the same term.
    Renew(u64),
    /// Replace it, held by nobody.
    Release(u64),
}

impl Election {
    /// A contender that has seen nothing yet.
    #[must_use]
    pub fn new(config: LeaseConfig) -> Self {
        Self { config, observed: None, fresh: false, term: None, highest: None }
    }

    /// The epoch of our own term, if it was not lost.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.term.map(|term| term.epoch)
    }

    /// When our own term ends unless it is renewed.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.term.map(|term| term.renewed.saturating_add(self.config.renew_deadline))
    }

    /// What to do at `now`. It depends on nothing else than what was told before.
    #[must_use]
    pub fn decide(&self, now: Duration) -> Step {
        match self.term {
            Some(_) if self.deadline().is_some_and(|end| now >= end) => Step::Lose,
            _ if !self.fresh => Step::Read,
            Some(term) if self.holds(term) => Step::Write(Write::Renew(term.epoch)),
            // Taken over, deleted or edited: somebody else may have led in between.
            Some(_) => Step::Lose,
            None => self.contend(now),
        }
    }

    fn contend(&self, now: Duration) -> Step {
        let Some(observed) = &self.observed else {
            return Step::Write(Write::Create(self.next_epoch()));
        };
        let holder = observed.holder();
        let age = now.saturating_sub(observed.since);
        let lasts = observed.lasts(self.config.lease_duration);
        // Nobody shares our identity, so a Lease in our name is our own lost term.
        if holder.is_empty() || holder == self.config.identity || age >= lasts {
            return Step::Write(Write::Take(self.next_epoch()));
        }
        Step::Follow { holder: holder.into(), free_in: lasts - age }
    }

    /// Whether the Lease still says that this term is ours.
    fn holds(&self, term: Term) -> bool {
        self.observed.as_ref().is_some_and(|observed| {
            observed.holder() == self.config.identity && observed.transitions() == term.epoch
        })
    }

    fn next_epoch(&self) -> u64 {
        self.highest.map_or(0, |highest| highest.saturating_add(1)).min(i32::MAX as u64)
    }

    /// Takes note of what the API server answered at `now`; `None` means that there is no Lease.
    pub fn observe(&mut self, now: Duration, lease: Option<Lease>) {
        let before = self.observed.take();
        self.fresh = true;
        self.observed = lease.map(|lease| {
            // Only a change of the spec is a sign of life, not somebody's label.
            let same = before.filter(|before| before.lease.spec == lease.spec);
            Observed { since: same.map_or(now, |before| before.since), lease }
        });
        self.highest = self.highest.max(self.observed.as_ref().map(Observed::transitions));
    }

    /// Takes note that what was seen may be outdated: time went by, or a write failed or went
    /// unanswered.
    pub fn doubt(&mut self) {
        self.fresh = false;
    }

    /// Whether the last request succeeded, so that nothing is in doubt.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.fresh
    }

    /// Takes note that a write *sent* at `sent` succeeded with this result. Others count from the
    /// moment they see it, which is later, so our term ends before theirs may start.
    pub fn written(&mut self, sent: Duration, write: Write, lease: Lease) {
        self.observe(sent, Some(lease));
        self.term = match write {
            Write::Create(epoch) | Write::Take(epoch) | Write::Renew(epoch) => {
                Some(Term { epoch, renewed: sent })
            }
            Write::Release(_) => None,
        };
    }

    /// Ends our term.
    pub fn lose(&mut self) {
        self.term = None;
        self.fresh = false;
    }

    /// The write that lets go of the Lease, if it is known to be in our name.
    #[must_use]
    pub fn release(&self) -> Option<Write> {
        let observed = self.observed.as_ref().filter(|_| self.fresh)?;
        let ours = observed.holder() == self.config.identity;
        ours.then(|| Write::Release(observed.transitions()))
    }

    /// The Lease to send for a write; `wall` is for people to read. What others put on the object
    /// stays, and so does its resourceVersion, so that the write fails if somebody was faster.
    #[must_use]
    pub fn body(&self, write: Write, wall: Timestamp) -> Lease {
        let mut lease = match (&self.observed, write) {
            (Some(observed), Write::Take(_) | Write::Renew(_) | Write::Release(_)) => {
                observed.lease.clone()
            }
            _ => self.blank(),
        };
        lease.metadata.managed_fields = None;
        self.fill(lease.spec.get_or_insert_default(), write, MicroTime(wall));
        lease
    }

    fn fill(&self, spec: &mut LeaseSpec, write: Write, wall: MicroTime) {
        let (Write::Create(epoch)
        | Write::Take(epoch)
        | Write::Renew(epoch)
        | Write::Release(epoch)) = write;
        let release = matches!(write, Write::Release(_));
        let seconds = if release { 1 } else { self.config.lease_duration.as_secs() };
        spec.holder_identity = Some(if release { "" } else { &self.config.identity }.into());
        spec.lease_duration_seconds = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        spec.lease_transitions = Some(i32::try_from(epoch).unwrap_or(i32::MAX));
        if !matches!(write, Write::Renew(_)) {
            spec.acquire_time = Some(wall.clone());
        }
        spec.renew_time = Some(wall);
    }

    fn blank(&self) -> Lease {
        let metadata = ObjectMeta {
            name: Some(self.config.name.clone()),
            namespace: Some(self.config.namespace.clone()),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: None }
    }
}

impl Observed {
    /// Empty if nobody holds it.
    fn holder(&self) -> &str {
        let spec = self.lease.spec.as_ref();
        spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
    }

    fn transitions(&self) -> u64 {
        let spec = self.lease.spec.as_ref();
        let count = spec.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        u64::try_from(count).unwrap_or_default()
    }

    /// The holder's own duration; where it says none, ours.
    fn lasts(&self, ours: Duration) -> Duration {
        let spec = self.lease.spec.as_ref();
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        seconds.map_or(ours, Duration::from_secs)
    }
}

#[cfg(test)]
mod tests;
