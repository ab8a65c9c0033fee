//! Answers that were not the ones hoped for: their class, and what is written of them.

use super::super::Undone;
use everleaf_acme::{AcmeError, Class as CaClass, RetryAfter};
use everleaf_engine::{Digest, Timestamp};
use everleaf_nodes::Kind;
use everleaf_nodes::effect::{Trial, rfc3339};
use everleaf_nodes::facts::{Attempt, Class};
use serde_json::{Value, json};

/// Why a step came to no good answer.
#[derive(Debug)]
pub(super) enum Halt {
    /// It is written down as an attempt.
    Fault(Box<Fault>),
    /// The API server did not do its part, or something changed in between.
    Undone(Undone),
}

impl From<Undone> for Halt {
    fn from(undone: Undone) -> Self {
        Self::Undone(undone)
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<AcmeError> for Halt {
    fn from(error: AcmeError) -> Self {
        Fault::of(&error).into()
    }
}

/// An answer that was not the one hoped for.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Its class.
    pub class: Class,
    /// The step it counts for, where that is not the effect's own.
    pub step: Option<&'static str>,
    /// One word, for a condition.
    pub reason: &'static str,
    /// The problem's type.
    pub problem: String,
    /// For people.
    pub detail: String,
    /// Not before, if the other side said so.
    pub after: Option<Timestamp>,
    /// Whether it is tried again although only a person can mend it: nothing would tell that it
    /// was mended.
    pub again: bool,
    /// What is merged into the status beside the attempt.
    pub status: Option<Value>,
    /// How long it rests at most before it is looked at again, in milliseconds.
    pub rest_limit: Option<i64>,
}

impl Fault {
    /// A fault of that class.
    pub fn new(class: Class, detail: impl Into<String>) -> Self {
        let (reason, problem, detail) = ("", String::new(), detail.into());
        let (step, after, again, status, rest_limit) = (None, None, false, None, None);
        Self { class, step, reason, problem, detail, after, again, status, rest_limit }
    }

    /// The other side is at work.
    pub fn wait(step: &'static str, after: Option<RetryAfter>, status: Option<Value>) -> Self {
        let after = after.map(instant);
        Self { step: Some(step), after, status, ..Self::new(Class::Wait, "") }
    }

    /// What a CA answered.
    pub fn of(error: &AcmeError) -> Self {
        let text = error.to_string();
        let said = text.strip_prefix(&format!("{}: ", error.action)).unwrap_or(&text);
        let (class, detail) = match &error.class {
            CaClass::RateLimited => (Class::RateLimited, said.to_owned()),
            CaClass::Paused { portal } if said.contains(portal) => (Class::Paused, said.to_owned()),
            CaClass::Paused { portal } => (Class::Paused, format!("{said}; unpause at {portal}")),
            CaClass::UserActionRequired { url: Some(url) } if !said.contains(url) => {
                (Class::User, format!("{said}; visit {url}"))
            }
            CaClass::UserActionRequired { .. }
            | CaClass::NeedsMending
            | CaClass::NotOffered { .. }
            | CaClass::Unusable { .. } => (Class::User, said.to_owned()),
            CaClass::Transient { .. }
            | CaClass::BadAnswer { .. }
            | CaClass::AccountGone
            | CaClass::AlreadyReplaced
            | CaClass::OutOfStep => (Class::Transient, said.to_owned()),
        };
        let problem = error.problem().map_or_else(String::new, |problem| problem.kind.clone());
        let after = error.retry_after().map(instant);
        Self { problem, after, ..Self::new(class, detail) }
    }

    /// The same, for a condition with that reason.
    pub fn because(self, reason: &'static str) -> Self {
        Self { reason, ..self }
    }

    /// The same, with this merged into the status.
    pub fn with_status(self, status: Value) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The attempt that is written, by the rule of trials.
    pub fn attempt(&self, trial: &Trial, inputs: Option<Digest>, now: Timestamp) -> Attempt {
        let retried = matches!(self.class, Class::Wait | Class::Transient | Class::RateLimited);
        let rest = self.rest_limit.map_or(trial.rest_ms, |limit| trial.rest_ms.min(limit));
        // Notes have whole seconds: up, so that it is never too early.
        let rested = Timestamp::from_seconds(now.plus_millis(rest.max(0) + 999).as_seconds());
        let not_before = (retried || self.again).then(|| self.after.unwrap_or(rested).max(rested));
        Attempt {
            step: self.step.map_or_else(|| trial.step.clone(), Into::into),
            number: trial.number,
            class: self.class,
            reason: self.reason.into(),
            problem: self.problem.as_str().into(),
            detail: self.detail.as_str().into(),
            at: now,
            not_before,
            inputs,
        }
    }

    /// What is merged into the status: an Order ends with what only a person can mend.
    pub fn status(&self, kind: Kind, attempt: &Attempt) -> Option<Value> {
        if self.status.is_some() {
            return self.status.clone();
        }
        let ends = matches!(self.class, Class::User | Class::Paused);
        (ends && kind == Kind::Order).then(|| {
            json!({
                "state": "errored",
                "reason": format!("{}: {}", what(&attempt.step), self.detail),
                "failureTime": rfc3339(attempt.at),
            })
        })
    }
}

/// What failed, in cert-manager's words.
fn what(step: &str) -> &'static str {
    match step {
        "new_order" => "Failed to create Order",
        "fetch" => "Failed to fetch authorization",
        "finalize" => "Failed to finalize Order",
        "download" => "Failed to retrieve signed certificate",
        _ => "Failed to retrieve Order resource",
    }
}

/// When a CA wants to be asked again, in whole seconds, never too early.
fn instant(after: RetryAfter) -> Timestamp {
    let at = after.instant(jiff::Timestamp::now()).as_millisecond();
    Timestamp::from_seconds(at.saturating_add(999).div_euclid(1000))
}
