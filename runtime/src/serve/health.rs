//! Whether the process is alive and ready, judged from what its parts leave in a shared place.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Contact;
use crate::lease::Fence;

/// How far wall clock and monotonic clock may drift apart before a restart is the better choice.
const MAX_SKEW: Duration = Duration::from_secs(5 * 60);

/// What health is judged by. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    fence: Fence,
    /// How long a held Lease may go unrenewed.
    unrenewed: Duration,
    started: Now,
    contact: Contact,
    /// How long the API server may be silent.
    silence: Duration,
    synced: AtomicBool,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// On the monotonic clock.
    pub instant: Instant,
    /// On the wall clock.
    pub wall: Timestamp,
}

impl Now {
    /// The present.
    #[must_use]
    pub fn read() -> Self {
        Self { instant: Instant::now(), wall: Timestamp::now() }
    }
}

/// The answer to one health question: each check by name, and why it failed if it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict(Vec<(&'static str, Option<String>)>);

impl Health {
    /// Health of a process that started at `started`. `unrenewed` is how long a held Lease may go
    /// without renewal: its duration and a tolerance, 60 + 20 s by default. `silence` is how long
    /// ago the API server may have answered last.
    #[must_use]
    pub fn new(
        fence: Fence,
        unrenewed: Duration,
        (contact, silence): (Contact, Duration),
        started: Now,
    ) -> Self {
        let synced = AtomicBool::new(false);
        Self(Arc::new(State { fence, unrenewed, started, contact, silence, synced }))
    }

    /// Says whether the first list of every feed has arrived.
    pub fn set_feeds_synced(&self, synced: bool) {
        self.0.synced.store(synced, Ordering::Relaxed);
    }

    /// Whether a restart would not help: the election's task runs, and the clocks agree.
    #[must_use]
    pub fn live(&self, now: Now) -> Verdict {
        Verdict(vec![("leaderElection", self.election(now)), ("clockHealth", self.clocks(now))])
    }

    /// Whether the process does its work: the API server answered lately and, if this process
    /// leads, all feeds are known.
    #[must_use]
    pub fn ready(&self, now: Now) -> Verdict {
        let waits = self.0.fence.may_act(now.instant) && !self.0.synced.load(Ordering::Relaxed);
        Verdict(vec![
            ("apiServer", self.silence(now)),
            ("feeds", waits.then(|| "not every feed has been listed".into())),
        ])
    }

    fn silence(&self, now: Now) -> Option<String> {
        match self.0.contact.age(now.instant) {
            None => Some("the API server has not answered yet".into()),
            Some(age) if age > self.0.silence => {
                Some(format!("the API server last answered {age:.0?} ago"))
            }
            Some(_) => None,
        }
    }

    fn election(&self, now: Now) -> Option<String> {
        let age = self.0.fence.since_renewal(now.instant)?;
        (age > self.0.unrenewed).then(|| format!("the lease was last renewed {age:.0?} ago"))
    }

    fn clocks(&self, now: Now) -> Option<String> {
        let started = self.0.started;
        let ran = now.instant.saturating_duration_since(started.instant);
        let skew = now.wall.duration_since(started.wall).as_secs_f64() - ran.as_secs_f64();
        (skew.abs() > MAX_SKEW.as_secs_f64())
            .then(|| format!("the wall clock moved {skew:.0} s against the monotonic clock"))
    }
}

impl Verdict {
    /// Whether every check passed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.0.iter().all(|(_, fault)| fault.is_none())
    }
}

impl fmt::Display for Verdict {
    /// One line a check, as Kubernetes' components write them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(check, fault)| match fault {
            None => writeln!(f, "[+]{check} ok"),
            Some(why) => writeln!(f, "[-]{check} failed: {why}"),
        })
    }
}
