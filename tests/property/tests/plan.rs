//! The plan's own promises, looked at from outside of its compiler.

use everleaf_graph::{Machine, Plan};
use proptest::prelude::*;

fn plan() -> Plan {
    Plan::load(everleaf_nodes::SPECS).expect("the plan has no faults")
}

#[test]
fn the_plan_is_the_one_that_was_compiled() {
    assert_eq!(plan(), everleaf_nodes::compiled_plan());
}

#[test]
fn a_fault_that_is_put_in_is_found() {
    let broken: Vec<(&str, String)> = everleaf_nodes::SPECS
        .iter()
        .map(|(name, text)| (*name, text.replace("to: storing", "to: nowhere")))
        .collect();
    let broken: Vec<(&str, &str)> = broken.iter().map(|(n, t)| (*n, t.as_str())).collect();
    assert!(Plan::load(&broken).is_err());
}

/// Walks edges from the start, as the choices say, and tells the states on the way.
fn walk(machine: &Machine, choices: &[usize]) -> Vec<usize> {
    let mut way = vec![machine.start];
    for choice in choices {
        let here = way[way.len() - 1];
        let out: Vec<_> = machine.edges.iter().filter(|edge| edge.from == here).collect();
        let Some(edge) = out.get(choice % out.len().max(1)) else { break };
        way.push(edge.to);
    }
    way
}

proptest! {
    #[test]
    fn no_truth_puts_an_object_into_a_guarded_state_without_evidence(truth: u64) {
        for machine in &plan_once().machines {
            let state = machine.locate(truth);
            for guard in machine.must_pass.iter().filter(|guard| guard.state == state) {
                prop_assert!(
                    guard.evidence.holds(truth),
                    "{}: {} without {}",
                    machine.name,
                    machine.states[state].name,
                    machine.literal(guard.evidence),
                );
            }
        }
    }

    #[test]
    fn no_walk_comes_to_a_guarded_state_around_its_guard(
        choices in proptest::collection::vec(0_usize..64, 0..40),
    ) {
        for machine in &plan_once().machines {
            let way = walk(machine, &choices);
            for guard in &machine.must_pass {
                let Some(at) = way.iter().position(|state| *state == guard.state) else { continue };
                prop_assert!(
                    way[..at].contains(&guard.through),
                    "{}: {} around {}",
                    machine.name,
                    machine.states[guard.state].name,
                    machine.states[guard.through].name,
                );
            }
        }
    }

    #[test]
    fn an_effect_is_started_only_where_a_deadline_and_a_pace_are_armed(truth: u64) {
        use everleaf_graph::WaitKind;
        for machine in &plan_once().machines {
            let state = &machine.states[machine.locate(truth)];
            let waits = || state.waits.iter().map(|wait| &machine.waits[*wait].kind);
            if state.does.is_empty() {
                prop_assert!(state.end || waits().next().is_some(), "{}", state.name);
            } else {
                let deadline = waits().any(|kind| matches!(kind, WaitKind::Deadline { .. }));
                let ladder = waits().any(|kind| matches!(kind, WaitKind::Ladder { .. }));
                prop_assert!(deadline && ladder, "{}", state.name);
            }
        }
    }
}

fn plan_once() -> &'static Plan {
    static PLAN: std::sync::OnceLock<Plan> = std::sync::OnceLock::new();
    PLAN.get_or_init(plan)
}
