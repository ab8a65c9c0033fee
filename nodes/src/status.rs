//! Conditions and merge patches of a status, the same for every kind.

use crate::effect::rfc3339;
use crate::facts::Condition;
use everleaf_engine::Timestamp;
use serde_json::{Map, Value, json};

/// A condition that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub kind: &'static str,
    pub status: &'static str,
    pub reason: String,
    pub message: String,
    /// `None` where the kind's conditions have no observedGeneration.
    pub generation: Option<i64>,
}

/// Puts a condition in: the transition time moves only if the status does.
pub(crate) fn set(conditions: &mut Vec<Condition>, wanted: Wanted, now: Timestamp) {
    let now = Timestamp::from_seconds(now.as_seconds());
    let found = conditions.iter_mut().find(|condition| *condition.kind == *wanted.kind);
    let at = found.as_ref().filter(|found| *found.status == *wanted.status).and_then(|f| f.at);
    let condition = Condition {
        kind: wanted.kind.into(),
        status: wanted.status.into(),
        reason: wanted.reason.into(),
        message: wanted.message.into(),
        at: Some(at.unwrap_or(now)),
        generation: wanted.generation,
    };
    match found {
        Some(found) => *found = condition,
        None => conditions.push(condition),
    }
}

/// Takes a condition out.
pub(crate) fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| *condition.kind != *kind);
}

/// The conditions as the API has them.
pub(crate) fn to_json(conditions: &[Condition]) -> Value {
    conditions.iter().map(condition_json).collect()
}

fn condition_json(condition: &Condition) -> Value {
    let mut out = Map::new();
    out.insert("type".into(), json!(condition.kind));
    out.insert("status".into(), json!(condition.status));
    out.insert("reason".into(), json!(condition.reason));
    out.insert("message".into(), json!(condition.message));
    if let Some(at) = condition.at {
        out.insert("lastTransitionTime".into(), json!(rfc3339(at)));
    }
    if let Some(generation) = condition.generation {
        out.insert("observedGeneration".into(), json!(generation));
    }
    Value::Object(out)
}

/// A merge patch (RFC 7396) of a status, made field by field.
#[derive(Default)]
pub(crate) struct Patch(Map<String, Value>);

impl Patch {
    /// Adds a field if it differs; an absent one is cleared by null.
    pub(crate) fn field<T: PartialEq>(
        &mut self,
        name: &str,
        (was, is): (&Option<T>, &Option<T>),
        write: impl Fn(&T) -> Value,
    ) {
        if was != is {
            self.0.insert(name.to_owned(), is.as_ref().map_or(Value::Null, write));
        }
    }

    /// Adds a field.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// Adds the conditions if they differ. A merge patch replaces a list, so all are given.
    pub(crate) fn conditions(&mut self, was: &[Condition], is: &[Condition]) {
        if was != is {
            self.set("conditions", to_json(is));
        }
    }

    /// The patch of the object; `None` if nothing differs.
    pub(crate) fn into_text(self) -> Option<String> {
        (!self.0.is_empty()).then(|| json!({ "status": self.0 }).to_string())
    }
}
