//! The plan without a fault: its model, its moves, its canonical text.

mod common;

use common::{CHALLENGE, FEEDS, ORDER, good, load};
use everleaf_graph::{Bit, Machine, SettingValue, WaitKind};
use expect_test::expect;

fn order() -> Machine {
    good().machine("order").expect("it is in the plan").clone()
}

/// The truth word in which these facts hold and these waits are due.
fn truth(machine: &Machine, names: &[&str]) -> u64 {
    let bit = |name: &&str| 1 << machine.bit(name).expect("it has a bit");
    names.iter().map(bit).fold(0, |truth: u64, bit: u64| truth | bit)
}

fn state(machine: &Machine, name: &str) -> usize {
    machine.state(name).expect("it is a state")
}

/// The names of the edges that explain a move between two truth words.
fn explain(machine: &Machine, old: &[&str], new: &[&str]) -> Option<Vec<String>> {
    let (old, new) = (truth(machine, old), truth(machine, new));
    let path = machine.explain(machine.locate(old), old, machine.locate(new), new)?;
    Some(path.into_iter().map(|edge| machine.edges[edge].name.clone()).collect())
}

#[test]
fn facts_have_the_first_bits_and_then_the_waits_that_can_fall_due() {
    let machine = order();
    let facts = (0..4).map(Bit::Fact);
    let waits = [0, 1, 2].map(Bit::Due);
    assert_eq!(machine.bits, facts.chain(waits).collect::<Vec<_>>());
    assert_eq!(machine.bit("retry"), Some(6), "a ladder that a state waits on has a bit");
    assert_eq!(machine.bit("answer"), None, "a deadline never falls due for the plan");
}

#[test]
fn waits_and_settings_are_read_in_milliseconds() {
    let machine = order();
    let kinds: Vec<&WaitKind> = machine.waits.iter().map(|wait| &wait.kind).collect();
    let steps_ms = vec![60_000, 600_000, 6_000_000, 86_400_000];
    assert_eq!(kinds[1], &WaitKind::Until { method: "not_before".into() });
    assert_eq!(kinds[2], &WaitKind::Ladder { steps_ms, jitter_percent: 10 });
    assert_eq!(kinds[3], &WaitKind::Deadline { ms: 600_000 });
    assert_eq!(kinds[4], &WaitKind::Every { ms: 3_600_000 });
    let values: Vec<SettingValue> = machine.settings.iter().map(|setting| setting.value).collect();
    let expected =
        [SettingValue::Duration { ms: 300_000 }, SettingValue::Percent(33), SettingValue::Count(4)];
    assert_eq!(values, expected);
}

#[test]
fn a_setting_that_is_missing_or_of_another_unit_is_named() {
    let machine = order();
    assert_eq!(machine.duration("floor"), Ok(300_000));
    let missing = machine.duration("ceiling").expect_err("there is none");
    expect![[r#"machine "order" has no setting "ceiling" that is a duration"#]]
        .assert_eq(&missing.to_string());
    let unit = machine.percent("floor").expect_err("it is a duration");
    expect![[r#"machine "order" has no setting "floor" that is a percentage"#]]
        .assert_eq(&unit.to_string());
}

#[test]
fn an_object_is_in_the_first_state_whose_when_holds() {
    let machine = order();
    let located = |names: &[&str]| {
        machine.states[machine.locate(truth(&machine, names))].name.as_str().to_owned()
    };
    assert_eq!(located(&[]), "budgeting");
    assert_eq!(located(&["budget"]), "claiming");
    assert_eq!(located(&["claimed", "budget"]), "placing");
    assert_eq!(located(&["claimed", "placed"]), "downloading");
    assert_eq!(located(&["claimed", "placed", "failed"]), "resting");
    assert_eq!(located(&["claimed", "placed", "failed", "patience"]), "downloading");
    assert_eq!(located(&["claimed", "failed", "chained"]), "valid");
}

#[test]
fn any_means_every_state_but_the_target_and_the_ends() {
    let machine = order();
    let from: Vec<usize> =
        machine.edges.iter().filter(|edge| edge.name == "stored").map(|edge| edge.from).collect();
    assert_eq!(from, [1, 2, 3, 4, 5]);
    assert_eq!(machine.edge_names()[..2], ["stored", "transport-failed"]);
    assert!(machine.edges.iter().all(|edge| machine.edge_names()[edge.ordinal] == edge.name));
}

#[test]
fn a_move_is_explained_by_the_shortest_path_of_edges() {
    let machine = order();
    let path = explain(&machine, &[], &["budget"]);
    assert_eq!(path, Some(vec!["budget-granted".to_owned()]));
    let path = explain(&machine, &["budget"], &["budget", "claimed", "placed"]);
    assert_eq!(path, Some(vec!["claimed".to_owned(), "placed".to_owned()]));
}

#[test]
fn a_path_needs_every_trigger_to_hold_but_only_one_to_have_turned() {
    let machine = order();
    let old = &["failed", "claimed", "budget"];
    let path = explain(&machine, old, &["failed", "claimed", "budget", "patience"]);
    let names = ["patience-over", "budget-granted", "claimed"].map(str::to_owned);
    assert_eq!(path, Some(names.to_vec()), "only the patience turned");
}

#[test]
fn a_move_that_nothing_turned_for_is_not_explained() {
    let machine = order();
    assert_eq!(explain(&machine, &["claimed", "placed"], &["claimed"]), None);
    let (old, new) = (state(&machine, "claiming"), state(&machine, "placing"));
    let truth = truth(&machine, &["claimed", "budget"]);
    assert_eq!(machine.explain(old, truth, new, truth), None, "the claim was there before");
}

#[test]
fn staying_needs_no_explanation() {
    let machine = order();
    assert_eq!(explain(&machine, &[], &[]), Some(Vec::new()));
    assert_eq!(machine.explain(99, 0, 98, u64::MAX), None, "states that do not exist");
}

#[test]
fn machines_are_sorted_by_name_whatever_the_order_of_the_files() {
    let plan = good();
    let files = [("a/order.yaml", ORDER), ("feeds.yaml", FEEDS), ("b\\challenge.yaml", CHALLENGE)];
    assert_eq!(everleaf_graph::Plan::load(&files), Ok(plan.clone()));
    assert_eq!(plan.machines[0].name, "challenge");
    assert_eq!(plan.feeds.of(1).len(), 3);
    assert_eq!(plan.feeds.of(99), []);
}

#[test]
fn the_canonical_text_holds_all_that_a_decision_rests_on() {
    expect![[r#"
        machine challenge object Challenge start waiting
        fact final
        wait look ladder [1000, 5000] jitter 0
        state settled when [final] does [] waits [] end
        state looking when [due(look)] does [] waits [look]
        state waiting when [] does [] waits [look] goal
        edge final looking -> settled on final
        edge final waiting -> settled on final
        edge look waiting -> looking on due(look)
        edge looked looking -> waiting on not due(look)
        machine order object Order start budgeting
        fact claimed
        fact placed
        fact chained
        fact failed
        wait budget until budget_free_at
        wait patience until not_before
        wait retry ladder [60000, 600000, 6000000, 86400000] jitter 10
        wait answer deadline 600000
        wait recheck every 3600000
        setting floor duration 300000
        setting share percent 33
        setting slots count 4
        effect write_claim
        effect new_order spends
        effect download
        state valid when [chained] does [] waits [] end
        state resting when [failed, not due(patience)] does [] waits [patience]
        state downloading when [claimed, placed] does [download] waits [answer, retry]
        state placing when [claimed, not placed] does [new_order] waits [answer, retry]
        state claiming when [due(budget)] does [write_claim] waits [answer, retry]
        state budgeting when [] does [] waits [budget, recheck] goal
        edge stored resting -> valid on chained
        edge stored downloading -> valid on chained
        edge stored placing -> valid on chained
        edge stored claiming -> valid on chained
        edge stored budgeting -> valid on chained
        edge transport-failed downloading -> resting on failed failure
        edge transport-failed placing -> resting on failed failure
        edge patience-over resting -> budgeting on due(patience)
        edge budget-granted budgeting -> claiming on due(budget)
        edge claimed claiming -> placing on claimed
        edge placed placing -> downloading on placed
        must_pass placing through budgeting by claimed
        watch Issuer group "cert-manager.io"
        watch Order group "acme.cert-manager.io"
        watch Challenge group "acme.cert-manager.io"
        watch Secret group ""
        watch Key group "" internal
        feed Issuer -> order
        feed Challenge -> order
        feed Order -> order
        feed Issuer -> challenge
        feed Secret -> challenge
        feed Key -> challenge
    "#]]
    .assert_eq(&good().canonical());
}

#[test]
fn the_canonical_text_does_not_change_with_comments_layout_and_prose() {
    let plan = good();
    let block = "  settled:\n    # A comment.\n    end: true\n    when:\n      - final\n";
    let other = CHALLENGE.replace("  settled: {when: [final], end: true}\n", block);
    let other = other.replace("it is never looked at again", "in other words");
    let other = load(&ORDER.replace(", jitter", ",   jitter"), &other, FEEDS).expect("no fault");
    assert_ne!(other, plan, "the prose differs");
    assert_eq!(other.canonical(), plan.canonical());
}

#[test]
fn the_canonical_text_changes_with_every_constant() {
    let constants = [("5m,", "6m,"), ("33%", "34%"), ("value: 4", "value: 5"), ("10m}", "11m}")];
    let rest = [("jitter: 10%", "jitter: 11%"), ("24h]", "25h]"), (", spends: true", "")];
    for (old, new) in constants.into_iter().chain(rest) {
        let other = load(&ORDER.replacen(old, new, 1), CHALLENGE, FEEDS).expect("no fault");
        assert_ne!(other.canonical(), good().canonical(), "{old} became {new}");
    }
}
