//! One request of a replica to a CA: its nonce, its answer, and what of it is seen.

use super::super::config::{Kill, Mutant};
use super::super::event::{Asked, Event};
use super::super::executor::Job;
use super::super::material::SymKey;
use super::{World, account_key_name};
use crate::acme::{Answer, Call, Delivery, ErrorKind, Failure, Problem, Reply, RetryStyle};
use everleaf_nodes::facts::Class;
use std::sync::Arc;

/// How often a request is sent again because its nonce was refused.
const BAD_NONCES: usize = 5;

/// The nonces that a process keeps of one CA at most.
const NONCES_KEPT: usize = 32;

/// An answer that takes longer than this is none, in milliseconds.
const PATIENCE: i64 = 30_000;

/// An answer that was seen.
#[derive(Debug)]
pub(in super::super) struct Said {
    /// The answer.
    pub reply: Reply,
    /// When to look again, by the replica's clock, in milliseconds since 1970.
    pub after: Option<i64>,
}

/// Why there is no answer that was hoped for.
#[derive(Debug)]
pub(in super::super) struct Ailment {
    /// What the client saw.
    pub failure: Failure,
    /// When to try again, by the replica's clock, in milliseconds since 1970.
    pub after: Option<i64>,
}

/// Classes of answers, finer than those of attempts (RFC 8555, section 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Ill {
    RateLimited,
    Paused,
    Transient,
    AccountGone,
    OutOfStep,
    Mend,
}

/// The class of what was seen.
pub(in super::super) fn ill(ailment: &Ailment) -> Ill {
    let Failure::Problem(problem) = &ailment.failure else { return Ill::Transient };
    let waits = problem.status == 503 && ailment.after.is_some();
    match problem.kind {
        _ if problem.detail.contains("/unpause") => Ill::Paused,
        ErrorKind::RateLimited => Ill::RateLimited,
        _ if problem.status == 429 || waits => Ill::RateLimited,
        _ if problem.status >= 500 => Ill::Transient,
        ErrorKind::BadNonce | ErrorKind::ServerInternal => Ill::Transient,
        ErrorKind::AccountDoesNotExist => Ill::AccountGone,
        ErrorKind::OrderNotReady => Ill::OutOfStep,
        _ if problem.status == 404 => Ill::OutOfStep,
        _ => Ill::Mend,
    }
}

impl Ill {
    /// As attempts have it.
    pub fn class(self) -> Class {
        match self {
            Self::RateLimited => Class::RateLimited,
            Self::Paused => Class::Paused,
            Self::Transient | Self::AccountGone | Self::OutOfStep => Class::Transient,
            Self::Mend => Class::User,
        }
    }
}

fn bad_nonce(answer: &Answer) -> bool {
    let whole = matches!(answer.delivery, Delivery::Whole | Delivery::Slow(_));
    whole && answer.error() == Some(ErrorKind::BadNonce)
}

fn unavailable() -> Problem {
    Problem { status: 503, ..Problem::new(ErrorKind::ServerInternal, "there is no such CA") }
}

impl World {
    /// Asks a CA, signed by an account's key; again with another nonce where that was refused.
    pub(in super::super) fn ask(
        &mut self,
        job: &mut Job,
        directory: &Arc<str>,
        key: &SymKey,
        call: Call,
    ) -> Result<Said, Ailment> {
        let mut tries = 0;
        loop {
            let nonce = self.nonce(job, directory)?;
            let answer = self.exchange(job, directory, Some((key, &nonce)), &call);
            if bad_nonce(&answer) && tries < BAD_NONCES && !job.dead {
                tries += 1;
                continue;
            }
            return self.told(job, answer);
        }
    }

    /// Asks a CA without a signature.
    pub(in super::super) fn ask_unsigned(
        &mut self,
        job: &mut Job,
        directory: &Arc<str>,
        call: &Call,
    ) -> Result<Said, Ailment> {
        let answer = self.exchange(job, directory, None, call);
        self.told(job, answer)
    }

    /// A nonce that was not sent yet.
    fn nonce(&mut self, job: &mut Job, directory: &Arc<str>) -> Result<String, Ailment> {
        let mutant = self.config.mutant == Mutant::RepeatsNonces;
        let kept = self.replicas[job.at].nonces.entry(directory.clone()).or_default();
        if mutant && let Some(nonce) = kept.last() {
            return Ok(nonce.clone());
        }
        if let Some(nonce) = kept.pop() {
            return Ok(nonce);
        }
        let answer = self.exchange(job, directory, None, &Call::NewNonce);
        self.told(job, answer)?;
        let fresh = self.replicas[job.at].nonces.get_mut(directory).and_then(Vec::pop);
        let none = || Ailment { failure: Failure::Lost, after: None };
        fresh.ok_or_else(none)
    }

    /// Sends one request, and lets everybody know.
    fn exchange(
        &mut self,
        job: &mut Job,
        directory: &Arc<str>,
        signed: Option<(&SymKey, &String)>,
        call: &Call,
    ) -> Answer {
        let now = self.now;
        self.outside.settle(now);
        let Some(ca) = self.outside.cas.get_mut(directory) else {
            let result = Err(unavailable());
            return Answer { result, retry_after: None, delivery: Delivery::Whole };
        };
        let before = ca.standing(now, call);
        let answer = match signed.map(|(_, nonce)| ca.redeem_nonce(nonce)) {
            Some(Err(problem)) if !ca.is_out(now) => {
                Answer { result: Err(problem), retry_after: None, delivery: Delivery::Whole }
            }
            _ => ca.handle(now, "192.0.2.1", call),
        };
        if answer.delivery != Delivery::Lost {
            let fresh = ca.fresh_nonce();
            let kept = self.replicas[job.at].nonces.entry(directory.clone()).or_default();
            if kept.len() < NONCES_KEPT {
                kept.push(fresh);
            }
        }
        self.outside.settle(now);
        self.counts.asked += 1;
        let kind = call.kind();
        let seen = answer.clone().seen().map(drop);
        self.note(format_args!("r{} asks {directory}: {kind:?}: {seen:?}", job.at));
        self.emitted.push(Event::Asked(Box::new(Asked {
            replica: job.at,
            order: job.order.clone(),
            directory: directory.clone(),
            key: signed.map(|(key, _)| account_key_name(key)),
            nonce: signed.map(|(_, nonce)| nonce.clone()),
            call: call.clone(),
            before,
            answer: answer.clone(),
            clock: self.replicas[job.at].clock(now).as_millis(),
        })));
        self.die_amid(job);
        answer
    }

    /// A process may be killed after the CA heard it and before it hears the CA.
    fn die_amid(&mut self, job: &mut Job) {
        let told = self.config.kill == Some(Kill::AfterAsk(self.counts.asked));
        let struck = self.faulty && self.config.faults.kill && self.faults.chance(3);
        job.dead |= told || struck;
    }

    /// What the client makes of an answer.
    fn told(&mut self, job: &mut Job, answer: Answer) -> Result<Said, Ailment> {
        if let Delivery::Slow(ms) = answer.delivery {
            job.delay += ms.min(PATIENCE);
        }
        let late = matches!(answer.delivery, Delivery::Slow(ms) if ms > PATIENCE);
        let clock = self.replicas[job.at].clock(self.now).as_millis();
        let whole = |ms: i64| ms.saturating_add(999).div_euclid(1000) * 1000;
        let after = answer.retry_after.and_then(|after| match after.style {
            RetryStyle::Seconds => Some(whole(clock + whole(after.at - self.now))),
            RetryStyle::Date => Some(whole(after.at)),
            RetryStyle::Absent => None,
        });
        let after = after.filter(|_| self.config.mutant != Mutant::IgnoresRetryAfter);
        if late || job.dead {
            return Err(Ailment { failure: Failure::Lost, after: None });
        }
        match answer.seen() {
            Ok(reply) => Ok(Said { reply, after }),
            Err(failure @ Failure::Problem(_)) => Err(Ailment { failure, after }),
            Err(failure) => Err(Ailment { failure, after: None }),
        }
    }
}
