//! The last error: of the object itself, of what was made for it, or of its issuer.

use super::around::Related;
use super::path::Passed;
use everleaf_engine::world::World;
use everleaf_engine::{ObjectKey, Timestamp};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::facts::{Attempt, Class, condition};
use everleaf_nodes::{Everleaf, Facts, Kind};
use serde_json::{Value, json};

/// A failure, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastError {
    /// When, if that is known.
    pub at: Option<Timestamp>,
    /// Of which object.
    pub object: ObjectKey<Kind>,
    /// What failed and why, for people.
    pub message: String,
    /// When it is tried again, where that is written down.
    pub again: Option<Timestamp>,
}

impl LastError {
    pub(super) fn to_json(&self) -> Value {
        let Self { at, object, message, again } = self;
        json!({
            "at": at.map(rfc3339),
            "object": object.to_string(),
            "message": message,
            "again": again.map(rfc3339),
        })
    }
}

/// What was last asked for in vain, as an object's annotation keeps it.
pub(super) fn attempt(facts: &Facts) -> Option<&Attempt> {
    match facts {
        Facts::Order(facts) => facts.attempt.as_ref(),
        Facts::Challenge(facts) => facts.attempt.as_ref(),
        Facts::Issuer(facts) => facts.account.attempt.as_ref(),
        _ => None,
    }
}

/// An attempt, in words.
pub(super) fn told(attempt: &Attempt) -> String {
    let Attempt { step, number, detail, problem, .. } = attempt;
    let problem = Some(problem).filter(|problem| !problem.is_empty());
    let problem = problem.map_or_else(String::new, |problem| format!(" [{problem}]"));
    format!("{step} failed, try {number}: {detail}{problem}")
}

/// The latest failure among an object, what is around it, and its path. Of two at one time the
/// one that is nearer to the cause counts: what was made later.
pub(super) fn last(
    world: &World<Everleaf>,
    key: &ObjectKey<Kind>,
    around: &[Related],
    path: &[Passed],
) -> Option<LastError> {
    let others = around.iter().filter(|related| related.role != "owner").map(|one| &one.key);
    let of_objects = [key]
        .into_iter()
        .chain(others)
        .flat_map(|key| world.get(key).into_iter().flat_map(|object| of_facts(key, &object.facts)));
    let of_path = path.iter().filter(|passed| passed.failure && passed.kind != "status");
    let of_path = of_path.map(|passed| LastError {
        at: Some(passed.at),
        object: key.clone(),
        message: passed.text.clone(),
        again: None,
    });
    of_path.chain(of_objects).max_by_key(|error| error.at.map(Timestamp::as_seconds))
}

fn of_facts(key: &ObjectKey<Kind>, facts: &Facts) -> Vec<LastError> {
    let error = |at, message: String, again| LastError { at, object: key.clone(), message, again };
    let mut all = Vec::new();
    match facts {
        Facts::Certificate(facts) => {
            let issuing = condition(&facts.status.conditions, "Issuing");
            let failed = issuing.filter(|issuing| &*issuing.status == "False");
            all.extend(failed.map(|issuing| {
                let again = facts.failure_note.as_ref().and_then(|note| note.not_before);
                let at = facts.status.last_failure.or(issuing.at);
                error(at, format!("{}: {}", issuing.reason, issuing.message), again)
            }));
            all.extend(facts.issuer_failures.iter().map(|failure| {
                let message = format!("{}: {}", failure.issuer.name, failure.detail);
                error(Some(failure.at), message, failure.not_before)
            }));
        }
        Facts::Request(facts) => {
            let ready = condition(&facts.conditions, "Ready");
            let failed = ready.filter(|ready| matches!(&*ready.reason, "Failed" | "Denied"));
            all.extend(failed.map(|ready| {
                let again = facts.failure_note.as_ref().and_then(|note| note.not_before);
                error(
                    facts.failure.or(ready.at),
                    format!("{}: {}", ready.reason, ready.message),
                    again,
                )
            }));
        }
        Facts::Issuer(facts) => {
            let ready = condition(&facts.conditions, "Ready");
            let failed = ready.filter(|ready| &*ready.status == "False");
            all.extend(failed.map(|ready| {
                error(ready.at, format!("{}: {}", ready.reason, ready.message), None)
            }));
        }
        Facts::Order(facts) if facts.state.is_failure() => {
            all.push(error(
                facts.failure,
                format!("{}: {}", facts.state.text(), facts.reason),
                None,
            ));
        }
        Facts::Challenge(facts) if facts.state.is_failure() => {
            let message = format!("{}: {}", facts.state.text(), facts.reason);
            all.push(error(facts.presented_at, message, None));
        }
        _ => {}
    }
    let attempt = attempt(facts).filter(|attempt| attempt.class != Class::Wait);
    all.extend(attempt.map(|attempt| error(Some(attempt.at), told(attempt), attempt.not_before)));
    all
}
