//! The path that an object took: from a recording its moves, from a cluster what its times,
//! conditions and Events tell.

use super::around;
use everleaf_engine::Timestamp;
use everleaf_nodes::Facts;
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::facts::{Class, Condition};
use serde_json::{Value, json};

/// So much of a path is kept, the newest.
pub(super) const KEPT: usize = 200;

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Passed {
    /// When.
    pub at: Timestamp,
    /// What tells of it: `status`, `condition`, `event`, `move`, `effect` or `seen`.
    pub kind: &'static str,
    /// What happened, for people.
    pub text: String,
    /// Whether it was a failure, in full.
    pub failure: bool,
}

impl Passed {
    pub(super) fn new(at: Timestamp, kind: &'static str, text: impl Into<String>) -> Self {
        Self { at, kind, text: text.into(), failure: false }
    }

    pub(super) fn failed(at: Timestamp, kind: &'static str, text: impl Into<String>) -> Self {
        Self { failure: true, ..Self::new(at, kind, text) }
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { at, kind, text, failure } = self;
        json!({"at": rfc3339(*at), "kind": kind, "text": text, "failure": failure})
    }
}

/// What an object's own times tell, oldest first.
pub(super) fn of_facts(facts: &Facts) -> Vec<Passed> {
    let mut all = Vec::new();
    let mut note = |at: Option<Timestamp>, text: &str| {
        all.extend(
            at.filter(|at| *at > Timestamp::default()).map(|at| Passed::new(at, "status", text)),
        );
    };
    match facts {
        Facts::Certificate(facts) => {
            note(Some(facts.created), "created");
            note(facts.status.not_before, "the certificate in use begins to be valid");
            let failed = facts.status.last_failure;
            let attempt = facts.status.failed_attempts.unwrap_or(1);
            note(failed, &format!("attempt {attempt} failed"));
            all.extend(facts.status.conditions.iter().filter_map(turned));
        }
        Facts::Request(facts) => {
            note(Some(facts.created), "created");
            all.extend(facts.conditions.iter().filter_map(turned));
        }
        Facts::Issuer(facts) => all.extend(facts.conditions.iter().filter_map(turned)),
        Facts::Order(facts) => {
            note(Some(facts.created), "created");
            note(facts.claim.as_ref().map(|claim| claim.at), "a token of every limit was taken");
            note(facts.failure, &format!("ended {}: {}", facts.state.text(), facts.reason));
        }
        Facts::Challenge(facts) => {
            note(Some(facts.created), "created");
            note(facts.presented_at, "presented");
            note(facts.seen, "seen from outside");
        }
        Facts::Secret(_) | Facts::Ingress(_) | Facts::Key(_) | Facts::Budget(_) => {}
    }
    all.extend(
        super::error::attempt(facts)
            .filter(|a| a.class != Class::Wait)
            .map(|attempt| Passed::failed(attempt.at, "status", super::error::told(attempt))),
    );
    all.sort();
    all
}

fn turned(condition: &Condition) -> Option<Passed> {
    Some(Passed::new(condition.at?, "condition", around::told(condition)))
}

/// An Event that tells of an object.
pub(super) fn of_event(event: &Value) -> Option<Passed> {
    let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"];
    let mut times = times.into_iter().filter_map(|path| text(path).parse::<jiff::Timestamp>().ok());
    let at = Timestamp::from_millis(times.next()?.as_millisecond());
    let count = event.get("count").and_then(Value::as_i64).filter(|count| *count > 1);
    let often = count.map_or_else(String::new, |count| format!(" ({count} times)"));
    let (reason, message) = (text("/reason"), text("/message"));
    let told = format!("{reason}: {message}{often}");
    Some(match text("/type") {
        "Warning" => Passed::failed(at, "event", told),
        _ => Passed::new(at, "event", told),
    })
}
