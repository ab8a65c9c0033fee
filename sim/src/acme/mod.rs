//! A model of an ACME CA (RFC 8555, 8737, 8738, 9773) on virtual time: one value, no clock, no
//! threads, and no chance but what its seed gives.
//!
//! [`Ca::handle`] answers one request at a given time; what takes time, validation and issuance,
//! falls due, and [`Ca::settle`] does what is due, looking at the outside world through
//! [`Validation`]. The same calls in the same order give the same answers. Certificates are
//! records ([`Leaf`]); [`Authority`] writes them as DER where somebody wants to see them, and
//! [`CaService`] serves the model over HTTP, with every signature verified.
//!
//! Limits are Let's Encrypt's as published ([`Limiter`]), faults are put there by the caller
//! ([`Faults`], [`Ca::outage`]).
//!
//! It knows nothing about: changes of account keys, pre-authorization, revocation by the
//! certificate's key, revocation lists, other challenges than the three of
//! [`ChallengeKind`], the TLS and HTTP below it.

mod account;
mod ari;
mod audit;
mod authority;
mod authorization;
mod caa;
mod call;
mod config;
mod fault;
mod identifier;
mod issue;
mod limiter;
mod nonce;
mod order;
mod outside;
mod problem;
mod service;
mod validation;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use audit::{Audit, AuditRecord};
pub use authority::{Authority, AuthorityError};
pub use call::*;
pub use config::{Config, ExternalKey, Profile};
pub use fault::{Drawn, Fault, Faults, RetryStyle, Script, Wrong};
pub use identifier::{Identifier, Identifiers};
pub use issue::{Leaf, Serial};
pub use limiter::{Bucket, Endpoint, Limit, Limiter, Limits};
pub use outside::{Internet, Site};
pub use problem::{ErrorKind, Problem};
pub use service::{BodyError, CaBody, CaService, ServiceError};
pub use validation::{CaaRecord, HttpAnswer, Unreachable, Validation};

use account::Accounts;
use authorization::Authorizations;
use issue::Certificates;
use nonce::Nonces;
use order::Orders;

use crate::world::rng::Rng;

/// Outages that one CA remembers at most; the oldest gives way.
const MAX_OUTAGES: usize = 64;

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Validate(AuthorizationId, ChallengeKind),
    Issue(OrderId),
}

/// The model.
pub struct Ca {
    config: Arc<Config>,
    rng: Rng,
    nonces: Nonces,
    accounts: Accounts,
    orders: Orders,
    authorizations: Authorizations,
    certificates: Certificates,
    limiter: Limiter,
    faults: Option<Box<dyn Faults>>,
    outages: Vec<(i64, i64)>,
    /// What falls due, by time and by the order in which it was begun.
    due: BTreeMap<(i64, u64), Work>,
    begun: u64,
    audit: Audit,
    /// When to forget what is over, next.
    sweep_at: i64,
}

impl Ca {
    /// A CA that has issued nothing yet. Its certificates name an issuer with this key identifier
    /// (of [`Authority::key_id`], or any other octets).
    pub fn new(config: Config, key_id: &[u8]) -> Self {
        Ca {
            rng: Rng::new(config.seed, "acme"),
            nonces: Nonces::new(config.seed, config.nonce_capacity),
            accounts: Accounts::default(),
            orders: Orders::default(),
            authorizations: Authorizations::default(),
            certificates: Certificates::new(key_id),
            limiter: Limiter::new(config.limits.clone()),
            faults: None,
            outages: Vec::new(),
            due: BTreeMap::new(),
            begun: 0,
            audit: Audit::new(config.log_capacity),
            sweep_at: i64::MIN,
            config: Arc::new(config),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes the configuration from now on: profiles, durations, reuse. Its seed, capacities and
    /// limits stay as they were.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(Arc::make_mut(&mut self.config));
    }

    /// The limits and what is left of them.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The requests so far.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Installs a source of faults, or (`None`) heals the CA.
    pub fn set_faults(&mut self, faults: Option<Box<dyn Faults>>) {
        self.faults = faults;
    }

    /// Lets nobody through from `from` until just before `until`, in milliseconds since 1970.
    pub fn outage(&mut self, from: i64, until: i64) {
        if self.outages.len() >= MAX_OUTAGES {
            self.outages.remove(0);
        }
        self.outages.push((from, until));
    }

    /// Whether nobody is let through at that time.
    pub fn is_out(&self, now: i64) -> bool {
        self.outages.iter().any(|(from, until)| (*from..*until).contains(&now))
    }

    /// When the next validation or issuance falls due, in milliseconds since 1970.
    pub fn next_due(&self) -> Option<i64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does what has fallen due by `now`, each thing at its own time.
    pub fn settle(&mut self, now: i64, world: &mut dyn Validation) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), work) = entry.remove_entry();
            match work {
                Work::Validate(authorization, kind) => {
                    self.validate(at, authorization, kind, world);
                }
                Work::Issue(order) => self.finish(at, order, world),
            }
        }
    }

    fn begin(&mut self, now: i64, (least, most): (i64, i64), work: Work) {
        let at = now + self.rng.between(least, most).max(0);
        self.begun += 1;
        self.due.insert((at, self.begun), work);
    }

    /// A nonce, as any answer carries one.
    pub fn fresh_nonce(&mut self) -> String {
        self.nonces.fresh()
    }

    /// Spends a nonce. One that is not known, or that the configured chance rejects, is badNonce.
    pub fn redeem_nonce(&mut self, nonce: &str) -> Result<(), Problem> {
        let known = self.nonces.redeem(nonce);
        if !known || self.rng.chance(self.config.nonce_rejection) {
            return Err(bad_nonce());
        }
        Ok(())
    }

    /// Answers one request at `now`, in milliseconds since 1970, that comes from `source`: an
    /// address, by which the limits at the edge count.
    pub fn handle(&mut self, now: i64, source: &str, call: &Call) -> Answer {
        self.sweep(now);
        let fault = match self.is_out(now) {
            true => Fault::Lost { applied: false },
            false => self.faults.as_mut().map(|f| f.decide(now, call)).unwrap_or_default(),
        };
        let result = match self.refusal(now, source, call, fault) {
            Some(problem) => Err(problem),
            None => self.answer(now, source, call, fault),
        };
        let answer = self.finished(now, fault, result);
        self.audit.record(now, call, &answer);
        answer
    }

    /// What keeps a request from being carried out.
    fn refusal(&mut self, now: i64, source: &str, call: &Call, fault: Fault) -> Option<Problem> {
        let later = |seconds: u32| now + i64::from(seconds) * 1000;
        match fault {
            Fault::Lost { applied: false } | Fault::Internal => return Some(internal()),
            Fault::Unavailable { seconds, .. } => return Some(busy(later(seconds))),
            Fault::TooManyRequests { seconds, .. } => {
                let problem = Problem::new(ErrorKind::RateLimited, "Rate limit exceeded");
                return Some(problem.retry_at(later(seconds)));
            }
            _ => {}
        }
        let edge = Limit::Edge(call.kind().into());
        if let Err(at) = self.limiter.spend(now, edge, source) {
            return Some(busy(at));
        }
        (fault == Fault::BadNonce && call.kind().is_signed()).then(bad_nonce)
    }

    fn answer(
        &mut self,
        now: i64,
        source: &str,
        call: &Call,
        fault: Fault,
    ) -> Result<Reply, Problem> {
        if let Some(account) = call.account() {
            self.accounts.valid(account)?;
        }
        match call {
            Call::Directory | Call::NewNonce => Ok(Reply::Plain),
            Call::NewAccount(new) => self.new_account(now, source, new),
            Call::Account { account, contacts, deactivate } => {
                self.update_account(*account, contacts.as_deref(), *deactivate)
            }
            Call::Orders { account, after } => self.list_orders(*account, *after),
            Call::NewOrder { account, order } => self.new_order(now, *account, order, fault),
            Call::Order { account, order } => self.look_at_order(now, *account, *order, fault),
            Call::Authorization { account, authorization, deactivate } => {
                self.look_at_authorization(now, *account, *authorization, *deactivate)
            }
            Call::Challenge { account, authorization, kind, trigger } => {
                self.challenge(now, *account, *authorization, *kind, *trigger)
            }
            Call::Finalize { account, order, csr } => {
                self.finalize(now, *account, *order, csr, fault)
            }
            Call::Certificate { account, serial, chain } => {
                let leaf = self.certificates.of(*account, *serial)?;
                Ok(Reply::Certificate(Box::new(leaf.clone()), *chain))
            }
            Call::RenewalInfo { certificate } => self.renewal_info(now, certificate),
            Call::Revoke { account, serial } => self.revoke(now, *account, *serial),
        }
    }

    fn finished(&mut self, now: i64, fault: Fault, result: Result<Reply, Problem>) -> Answer {
        let result = match fault {
            Fault::InternalAfterCommit => Err(internal()),
            _ => result,
        };
        let at = match &result {
            Err(problem) => problem.retry_at,
            Ok(Reply::Order(order)) if order.status == Status::Processing => {
                Some(now + self.config.order_poll)
            }
            Ok(Reply::RenewalInfo(_)) => Some(now + self.ari_poll()),
            Ok(_) => None,
        };
        let style = self.retry_style(fault);
        let delivery = match fault {
            Fault::Lost { .. } => Delivery::Lost,
            Fault::Truncated => Delivery::Truncated,
            Fault::Slow(ms) => Delivery::Slow(ms.max(0)),
            _ => Delivery::Whole,
        };
        let said = |_: &i64| style != RetryStyle::Absent;
        let retry_after = at.filter(said).map(|at| RetryAfter { at, style });
        Answer { result, retry_after, delivery }
    }

    fn retry_style(&mut self, fault: Fault) -> RetryStyle {
        match (fault, self.config.retry_style) {
            (Fault::TooManyRequests { style, .. } | Fault::Unavailable { style, .. }, _) => style,
            (_, Some(style)) => style,
            (_, None) if self.rng.chance(500) => RetryStyle::Date,
            (_, None) => RetryStyle::Seconds,
        }
    }

    /// Once a day, forgets what has been over for long.
    fn sweep(&mut self, now: i64) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + 86_400_000;
        let before = now - self.config.retention;
        self.orders.forget(before);
        self.authorizations.forget(before);
        self.certificates.forget(now);
    }

    /// Refuses one more object where `count` are held, if that is as many as configured.
    fn room(&self, count: usize) -> Result<(), Problem> {
        if count < self.config.capacity { Ok(()) } else { Err(internal().with_status(503)) }
    }
}

fn bad_nonce() -> Problem {
    Problem::new(
        ErrorKind::BadNonce,
        "Unable to validate JWS :: JWS has an invalid anti-replay nonce",
    )
}

fn internal() -> Problem {
    Problem::new(ErrorKind::ServerInternal, "The server experienced an internal error")
}

fn busy(at: i64) -> Problem {
    let problem = Problem::new(ErrorKind::RateLimited, "Service busy; retry later.");
    problem.with_status(503).retry_at(at)
}
