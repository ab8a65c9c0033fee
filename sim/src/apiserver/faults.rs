//! Faults, chosen by whoever drives the model; the model draws nothing itself.

use std::collections::VecDeque;

use super::request::{Request, Verb};
use super::watch::{WatchEvent, WatchInfo};

/// The moment at which a fault may be chosen.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// A request came in (verb `Watch`: a watch is opened).
    Request(&'a Request),
    /// A watch is about to be given what is new.
    Poll(&'a WatchInfo),
    /// A watch is about to be given this event.
    Event(&'a WatchInfo, &'a WatchEvent),
}

/// What goes wrong. A fault that makes no sense where it is answered is no fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// A request gets 409, as if the object had been modified.
    Conflict,
    /// A request gets 403.
    Forbidden,
    /// A request gets 429 with this `Retry-After`, in seconds.
    TooManyRequests(u32),
    /// A request gets 503 with this `Retry-After`, in seconds.
    Unavailable(u32),
    /// A request gets 500.
    Internal,
    /// A list, or a watch (as an ERROR event, which ends it), gets 410 Expired.
    Gone,
    /// A request gets 504; `applied` says whether it was carried out all the same.
    Timeout {
        /// Whether the write happened.
        applied: bool,
    },
    /// The connection breaks before the answer; `applied` as above.
    Lost {
        /// Whether the write happened.
        applied: bool,
    },
    /// A get or list is served as of this resourceVersion, by a replica that lags.
    Stale(u64),
    /// A watch ends now.
    Drop,
    /// A watch is given nothing this time.
    Stall,
    /// A watch is given only changes at least this many milliseconds old.
    Lag(i64),
    /// An event is delivered twice.
    Duplicate,
    /// A bookmark is not delivered. (Other events are never lost by a real server.)
    Lose,
}

/// A source of faults.
pub trait Faults: Send {
    /// The fault for this moment; `now` in milliseconds since 1970.
    fn decide(&mut self, now: i64, ask: Ask<'_>) -> Fault;
}

impl<F: FnMut(i64, Ask<'_>) -> Fault + Send> Faults for F {
    fn decide(&mut self, now: i64, ask: Ask<'_>) -> Fault {
        self(now, ask)
    }
}

/// When a scripted fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// On a request with this verb and resource.
    Request(Verb, String),
    /// When a watch of this resource is polled.
    Poll(String),
    /// On the next event for a watch of this resource.
    Event(String),
}

/// Faults in the order they shall strike: each once, each the first time its moment comes.
#[derive(Clone, Debug, Default)]
pub struct Script {
    queue: VecDeque<(When, Fault)>,
}

impl Script {
    /// The same script with one more fault at its end.
    pub fn then(mut self, when: When, fault: Fault) -> Self {
        self.queue.push_back((when, fault));
        self
    }

    /// How many faults have not struck yet.
    pub fn remaining(&self) -> usize {
        self.queue.len()
    }
}

impl Faults for Script {
    fn decide(&mut self, _now: i64, ask: Ask<'_>) -> Fault {
        let strikes = |when: &When| match (when, ask) {
            (When::Request(verb, resource), Ask::Request(r)) => {
                r.verb == *verb && r.resource == *resource
            }
            (When::Poll(resource), Ask::Poll(w)) => w.resource == *resource,
            (When::Event(resource), Ask::Event(w, _)) => w.resource == *resource,
            _ => false,
        };
        let found = self.queue.iter().position(|(when, _)| strikes(when));
        found.and_then(|i| self.queue.remove(i)).map(|(_, fault)| fault).unwrap_or_default()
    }
}
