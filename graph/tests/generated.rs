//! The generated code, compiled: it decides as the model does, and it is what would be generated.

mod common;

/// What the generated code takes for the engine.
mod engine {
    pub type Timestamp = i64;
}

#[allow(dead_code)]
mod plan {
    include!("generated/plan.rs");
}

use common::good;
use everleaf_graph::codegen;
use expect_test::{expect, expect_file};
use plan::{challenge, order};

/// Facts by bit, and times.
#[derive(Default)]
struct Facts {
    bits: u64,
    budget_free_at: Option<i64>,
    not_before: Option<i64>,
}

impl order::Facts for Facts {
    fn claimed(&self) -> bool {
        self.bits & 1 != 0
    }
    fn placed(&self) -> bool {
        self.bits & 2 != 0
    }
    fn chained(&self) -> bool {
        self.bits & 4 != 0
    }
    fn failed(&self) -> bool {
        self.bits & 8 != 0
    }
    fn budget_free_at(&self) -> Option<i64> {
        self.budget_free_at
    }
    fn not_before(&self) -> Option<i64> {
        self.not_before
    }
}

/// Whether the challenge is final, and when to look.
struct Look(bool, Option<i64>);

impl challenge::Facts for Look {
    fn r#final(&self) -> bool {
        self.0
    }
    fn look(&self) -> Option<i64> {
        self.1
    }
}

#[test]
fn the_generated_code_in_the_tests_is_fresh() {
    let code = codegen::rust(&good(), "crate::engine");
    expect_file!["generated/plan.rs"].assert_eq(&code);
}

#[test]
fn the_engine_is_found_where_the_caller_says() {
    let code = codegen::rust(&good(), "::somewhere::else_");
    assert!(code.contains("use ::somewhere::else_::Timestamp;"));
}

#[test]
fn code_and_model_locate_alike_under_every_truth_word() {
    let plan = good();
    for machine in &plan.machines {
        for truth in 0..1_u64 << machine.bits.len() {
            let code = match machine.name.as_str() {
                "order" => order::locate(truth).name(),
                _ => challenge::locate(truth).name(),
            };
            assert_eq!(code, machine.states[machine.locate(truth)].name, "under {truth:#b}");
        }
    }
}

#[test]
fn a_fact_has_its_index_for_a_bit_and_a_wait_is_due_from_its_moment_on() {
    for bits in 0..16 {
        assert_eq!(order::truth(&Facts { bits, ..Facts::default() }, 5), bits);
    }
    let machine = good().machine("order").expect("it is in the plan").clone();
    let budget = 1 << machine.bit("budget").expect("it has a bit");
    let at = |time| Facts { budget_free_at: Some(time), ..Facts::default() };
    assert_eq!(order::truth(&at(6), 5), 0);
    assert_eq!(order::truth(&at(5), 5), budget);
    assert_eq!(order::truth(&Facts::default(), i64::MAX), 0, "absent is never");
}

#[test]
fn a_ladder_that_is_asked_for_has_a_method_and_one_that_is_not_leaves_its_bit_clear() {
    assert_eq!(challenge::truth(&Look(false, Some(1)), 1), 2);
    assert_eq!(challenge::locate(challenge::truth(&Look(true, None), 1)).name(), "settled");
    let retry = good().machine("order").and_then(|machine| machine.bit("retry"));
    let all = Facts { bits: 15, budget_free_at: Some(0), not_before: Some(0) };
    assert_eq!(retry, Some(6));
    assert_eq!(order::truth(&all, 1), 0b11_1111);
}

#[test]
fn enums_are_in_the_order_of_the_plan_and_lead_back_from_their_index() {
    let plan = good();
    let machine = plan.machine(order::MACHINE).expect("it is in the plan");
    let states: Vec<&str> = order::State::ALL.iter().map(|state| state.name()).collect();
    assert_eq!(states, machine.states.iter().map(|state| &state.name).collect::<Vec<_>>());
    let edges: Vec<&str> = order::Edge::ALL.iter().map(|edge| edge.name()).collect();
    assert_eq!(edges, machine.edge_names());
    for (index, wait) in (0..).zip(order::Wait::ALL) {
        assert_eq!(order::Wait::from_index(index), Some(*wait));
        assert_eq!(*wait as u8, index);
    }
    assert_eq!(order::Step::from_index(3), None);
    assert_eq!(challenge::Step::ALL, []);
    assert_eq!(order::OBJECT, "Order");
    assert_eq!(order::Fact::Failed as u8, 3);
}

#[test]
fn settings_are_read_when_the_program_runs_and_one_that_is_missing_is_named() {
    let plan = good();
    let mut machine = plan.machine("order").expect("it is in the plan").clone();
    let settings = order::Settings { floor: 300_000, share: 33, slots: 4 };
    assert_eq!(order::Settings::from_machine(&machine), Ok(settings));
    machine.settings.remove(1);
    let missing = order::Settings::from_machine(&machine).expect_err("one is gone");
    expect![[r#"machine "order" has no setting "share" that is a percentage"#]]
        .assert_eq(&missing.to_string());
    let challenge = plan.machine("challenge").expect("it is in the plan");
    assert_eq!(challenge::Settings::from_machine(challenge), Ok(challenge::Settings {}));
}
