//! Faults, chosen by whoever drives the model; the model draws nothing of them itself.

use std::collections::{BTreeMap, VecDeque};

use super::call::{Call, CallKind};
use crate::world::rng::Rng;

/// How the time to try again is written in `Retry-After` (RFC 9110 section 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryStyle {
    /// As a number of seconds.
    Seconds,
    /// As a date.
    Date,
    /// Not at all.
    Absent,
}

/// What is wrong with a certificate that is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// It is for another key than the request's.
    OtherKey,
    /// It is for other names than the order's.
    OtherNames,
    /// It has expired a day ago.
    Expired,
    /// It becomes valid in a day.
    NotYetValid,
    /// It is valid for a tenth of the time.
    Shorter,
    /// It begins an hour earlier than others, and ends an hour earlier.
    Backdated,
}

/// What goes wrong with a request. A fault that makes no sense where it strikes is no fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The nonce is refused, though it is good.
    BadNonce,
    /// 429 without any limit reached.
    TooManyRequests {
        /// Seconds to wait.
        seconds: u32,
        /// How they are said.
        style: RetryStyle,
    },
    /// 503.
    Unavailable {
        /// Seconds to wait.
        seconds: u32,
        /// How they are said.
        style: RetryStyle,
    },
    /// 500, and nothing was done.
    Internal,
    /// 500, though what was asked for was done.
    InternalAfterCommit,
    /// The connection breaks before the answer.
    Lost {
        /// Whether what was asked for was done.
        applied: bool,
    },
    /// The answer ends in its middle.
    Truncated,
    /// The answer takes so many milliseconds.
    Slow(i64),
    /// A new order is given the account's valid and pending authorizations, whatever the
    /// configuration says.
    ReuseAuthorizations,
    /// A new order turns out to be an old one with the same identifiers that is pending or ready,
    /// whatever the configuration says.
    ReuseOrder,
    /// The order asked about, or finalized, is valid at once. Without a request to issue for, its
    /// certificate is for a key that the client does not know.
    OrderValid,
    /// The order asked about, or finalized, is invalid from now on.
    OrderInvalid,
    /// The order that is finalized gets this certificate.
    Wrong(Wrong),
}

/// A source of faults.
pub trait Faults: Send {
    /// The fault for this request; `now` in milliseconds since 1970.
    fn decide(&mut self, now: i64, call: &Call) -> Fault;
}

impl<F: FnMut(i64, &Call) -> Fault + Send> Faults for F {
    fn decide(&mut self, now: i64, call: &Call) -> Fault {
        self(now, call)
    }
}

/// Faults in the order they shall strike: each once, each on the first request of its kind.
#[derive(Clone, Debug, Default)]
pub struct Script {
    queue: VecDeque<(CallKind, Fault)>,
}

impl Script {
    /// The same script with one more fault at its end.
    pub fn then(mut self, kind: CallKind, fault: Fault) -> Self {
        self.queue.push_back((kind, fault));
        self
    }

    /// The same script with one more fault at its end, that strikes so many times.
    pub fn times(self, count: usize, kind: CallKind, fault: Fault) -> Self {
        (0..count).fold(self, |script, _| script.then(kind, fault))
    }

    /// How many faults have not struck yet.
    pub fn remaining(&self) -> usize {
        self.queue.len()
    }
}

impl Faults for Script {
    fn decide(&mut self, _now: i64, call: &Call) -> Fault {
        let found = self.queue.iter().position(|(kind, _)| *kind == call.kind());
        found.and_then(|at| self.queue.remove(at)).map(|(_, fault)| fault).unwrap_or_default()
    }
}

/// Faults drawn for each request from a seed, while it lasts.
#[derive(Clone, Debug)]
pub struct Drawn {
    rates: BTreeMap<Fault, u64>,
    until: i64,
    rng: Rng,
}

impl Drawn {
    /// Draws each of these faults as often in a thousand requests of a kind that it fits, until
    /// `until`, in milliseconds since 1970.
    pub fn new(seed: u64, rates: BTreeMap<Fault, u64>, until: i64) -> Self {
        Drawn { rates, until, rng: Rng::new(seed, "acme faults") }
    }
}

impl Faults for Drawn {
    fn decide(&mut self, now: i64, call: &Call) -> Fault {
        if now >= self.until {
            return Fault::None;
        }
        // Every rate is drawn each time, so that what one fault does not fit shifts no other.
        let rng = &mut self.rng;
        let struck = self.rates.iter().filter(|(_, rate)| rng.chance(**rate));
        let struck: Vec<Fault> = struck.map(|(fault, _)| *fault).collect();
        struck.into_iter().find(|fault| fault.fits(call.kind())).unwrap_or_default()
    }
}

impl Fault {
    /// Whether it makes a difference to a request of that kind.
    pub fn fits(self, kind: CallKind) -> bool {
        let orders = matches!(kind, CallKind::Order | CallKind::Finalize);
        match self {
            Fault::BadNonce => kind.is_signed(),
            Fault::ReuseAuthorizations | Fault::ReuseOrder => kind == CallKind::NewOrder,
            Fault::OrderValid | Fault::OrderInvalid => orders,
            Fault::Wrong(_) => kind == CallKind::Finalize,
            _ => true,
        }
    }
}
