//! The plan without a fault, whole and broken.
#![allow(dead_code, reason = "each suite uses its part")]

use everleaf_graph::{Faults, Plan};
use expect_test::Expect;

pub const ORDER: &str = include_str!("../good/order.yaml");
pub const CHALLENGE: &str = include_str!("../good/challenge.yaml");
pub const FEEDS: &str = include_str!("../good/feeds.yaml");

/// Loads the three files as given.
pub fn load(order: &str, challenge: &str, feeds: &str) -> Result<Plan, Faults> {
    Plan::load(&[
        ("specs/order.yaml", order),
        ("specs/challenge.yaml", challenge),
        ("specs/feeds.yaml", feeds),
    ])
}

/// The plan without a fault.
pub fn good() -> Plan {
    load(ORDER, CHALLENGE, FEEDS).expect("the plan has no fault")
}

/// Replaces the one occurrence of a text.
pub fn edit(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old:?} has to occur once");
    text.replace(old, new)
}

/// Loads a broken plan and compares what is said of it.
pub fn check(order: &str, challenge: &str, feeds: &str, expected: &Expect) {
    let faults = load(order, challenge, feeds).expect_err("the plan is broken");
    expected.assert_eq(&faults.to_string());
}

/// Breaks the machine `order` by a replacement.
pub fn order(old: &str, new: &str, expected: &Expect) {
    check(&edit(ORDER, old, new), CHALLENGE, FEEDS, expected);
}

/// Breaks the feeds by a replacement.
pub fn feeds(old: &str, new: &str, expected: &Expect) {
    check(ORDER, CHALLENGE, &edit(FEEDS, old, new), expected);
}
