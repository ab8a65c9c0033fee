//! Conditions, and the one way to set them.

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::wire::open_enum;

/// The type of the condition that says an object is ready.
pub const READY: &str = "Ready";
/// The type of a Certificate's condition that an issuance is under way.
pub const ISSUING: &str = "Issuing";
/// The type of a CertificateRequest's condition that an approver agreed.
pub const APPROVED: &str = "Approved";
/// The type of a CertificateRequest's condition that an approver refused.
pub const DENIED: &str = "Denied";
/// The type of a CertificateRequest's condition that its issuer found it unfit; final.
pub const INVALID_REQUEST: &str = "InvalidRequest";

open_enum! {
    /// Whether a condition holds.
    #[derive(Default)]
    ConditionStatus {
        /// It holds.
        True = "True",
        /// It does not hold.
        False = "False",
        /// Nobody knows.
        #[default]
        Unknown = "Unknown",
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// A condition of a Certificate, CertificateRequest, Issuer or ClusterIssuer.
///
/// CertificateRequests have no `observedGeneration`: leave it `None` there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The condition's type, such as [`READY`].
    #[serde(rename = "type", default)]
    pub type_: String,
    /// Whether it holds.
    #[serde(default)]
    pub status: ConditionStatus,
    /// Why, in one word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What a person should know.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// The generation of the object that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl Condition {
    /// A condition without a time or a generation.
    #[must_use]
    pub fn new(
        type_: &str,
        status: impl Into<ConditionStatus>,
        reason: &str,
        message: &str,
    ) -> Self {
        Self {
            type_: type_.into(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// The same condition about this generation.
    #[must_use]
    pub fn observed(mut self, generation: i64) -> Self {
        self.observed_generation = Some(generation);
        self
    }

    /// Whether the status is `True`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }
}

/// The first condition of a type.
#[must_use]
pub fn find_condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition of this type is there and `True`.
#[must_use]
pub fn condition_holds(conditions: &[Condition], type_: &str) -> bool {
    find_condition(conditions, type_).is_some_and(Condition::is_true)
}

/// Sets a condition in place of the one of its type, or at the end.
///
/// `lastTransitionTime` becomes `now` only if the status flips or the condition is new; otherwise
/// it stays, whatever `new` carries. Reason, message and generation are overwritten. Returns
/// whether anything changed.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition, now: Time) -> bool {
    let Some(old) = conditions.iter_mut().find(|c| c.type_ == new.type_) else {
        new.last_transition_time = Some(now);
        conditions.push(new);
        return true;
    };
    new.last_transition_time =
        if old.status == new.status { old.last_transition_time } else { Some(now) };
    let changed = *old != new;
    *old = new;
    changed
}

/// Removes the condition of a type; returns whether it was there.
pub fn remove_condition(conditions: &mut Vec<Condition>, type_: &str) -> bool {
    let before = conditions.len();
    conditions.retain(|c| c.type_ != type_);
    conditions.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Time = Time::clamped(1_000);
    const LATE: Time = Time::clamped(2_000);

    #[test]
    fn the_transition_time_moves_only_when_the_status_flips() {
        let mut all = Vec::new();
        assert!(set_condition(&mut all, Condition::new(READY, false, "Pending", "a"), EARLY));
        assert!(set_condition(&mut all, Condition::new(READY, false, "Failed", "b"), LATE));
        assert_eq!(all[0].last_transition_time, Some(EARLY));
        assert_eq!((all[0].reason.as_str(), all[0].message.as_str()), ("Failed", "b"));
        assert!(set_condition(
            &mut all,
            Condition::new(READY, true, "Ready", "").observed(3),
            LATE
        ));
        assert_eq!(all[0].last_transition_time, Some(LATE));
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn setting_the_same_again_is_no_change_so_no_write_is_due() {
        let mut all = vec![];
        let ready = Condition::new(READY, true, "Ready", "").observed(1);
        set_condition(&mut all, ready.clone(), EARLY);
        assert!(!set_condition(&mut all, ready.clone(), LATE));
        assert!(set_condition(&mut all, ready.observed(2), LATE));
    }

    #[test]
    fn a_status_nobody_defined_is_kept() {
        let text = r#"{"type":"Ready","status":"Perhaps"}"#;
        let odd: Condition = serde_json::from_str(text).unwrap();
        assert_eq!(odd.status, ConditionStatus::Other("Perhaps".into()));
        assert_eq!(serde_json::to_string(&odd).unwrap(), text);
    }

    #[test]
    fn removing_says_whether_there_was_one() {
        let mut all = vec![Condition::new(ISSUING, true, "DoesNotExist", "")];
        assert!(condition_holds(&all, ISSUING));
        assert!(remove_condition(&mut all, ISSUING));
        assert!(!remove_condition(&mut all, ISSUING));
    }
}
