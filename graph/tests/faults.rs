//! Each check, by a plan that breaks it alone, and by the message that a person then reads.

mod common;

use common::{CHALLENGE, FEEDS, ORDER, check, edit, feeds, order};
use expect_test::expect;

const STORED: &str =
    "  - {from: any, to: valid, on: chained, name: stored, why: nothing is left to do}\n";
const OVER: &str = "on: due(patience), name: patience-over";
const BUDGETING: &str = "about: Waits for a token of every limit., waits: [budget, recheck], goal";

// Check 1.

#[test]
fn a_state_that_no_edge_leads_to_is_dead() {
    let edge = "  - {from: placing, to: downloading, on: placed, name: placed, why: the order has its URL}\n";
    order(
        edge,
        "",
        &expect![[
            r#"specs/order.yaml:28: state "downloading" cannot be reached from the start "budgeting"; add an edge that leads to it, or remove it"#
        ]],
    );
}

#[test]
fn an_object_must_not_be_caught_away_from_goal_and_end() {
    let trap =
        "  - {from: [claiming, budgeting], to: valid, on: chained, name: stored, why: done}\n";
    let text = edit(ORDER, STORED, trap);
    let text =
        edit(&text, "to: budgeting, on: due(patience)", "to: downloading, on: due(patience)");
    check(
        &text,
        CHALLENGE,
        FEEDS,
        &expect![[r#"
        specs/order.yaml:27: state "resting" leads to no goal and no end; add an edge towards one
        specs/order.yaml:28: state "downloading" leads to no goal and no end; add an edge towards one
        specs/order.yaml:29: state "placing" leads to no goal and no end; add an edge towards one"#]],
    );
}

#[test]
fn a_machine_wants_something() {
    let text = edit(CHALLENGE, ", goal: true", "");
    let text = edit(&text, "when: [final], end: true", "when: [final], waits: [look]");
    check(
        ORDER,
        &text,
        FEEDS,
        &expect![
            "specs/challenge.yaml:1: no state is a goal or an end; flag one goal: true or end: true"
        ],
    );
}

// Check 2.

#[test]
fn two_edges_must_not_answer_one_trigger() {
    let extra =
        "  - {from: placing, to: valid, on: failed, name: given-up, why: it is no use}\nmust_pass:";
    order(
        "must_pass:",
        extra,
        &expect![[
            r#"specs/order.yaml:39: edge "given-up" answers failed in state "placing", as edge "transport-failed" on line 34 does; keep one of them"#
        ]],
    );
}

#[test]
fn only_the_last_state_may_go_without_a_when() {
    order(
        "when: [failed, not due(patience)], ",
        "",
        &expect![[r#"
        specs/order.yaml:27: state "resting" has no when; give it one, or make it the last
        specs/order.yaml:34: edge "transport-failed": failed cannot matter between "downloading" and "resting"; put it into a when, or give the edge another trigger
        specs/order.yaml:34: edge "transport-failed": failed cannot matter between "placing" and "resting"; put it into a when, or give the edge another trigger
        specs/order.yaml:35: edge "patience-over": due(patience) cannot matter between "resting" and "budgeting"; put it into a when, or give the edge another trigger"#]],
    );
}

#[test]
fn the_last_state_takes_every_object_that_is_left() {
    order(
        BUDGETING,
        "when: [not chained], waits: [budget, recheck], goal",
        &expect![[
            r#"specs/order.yaml:31: state "budgeting" is the last, but has a when; remove it, or add a last state without one"#
        ]],
    );
}

#[test]
fn a_state_is_shadowed_by_an_earlier_one_that_asks_for_less() {
    order(
        "when: [claimed, placed]",
        "when: [claimed]",
        &expect![[
            r#"specs/order.yaml:29: state "placing" is shadowed by "downloading" on line 28; move it up, or add a literal that tells them apart"#
        ]],
    );
}

#[test]
fn a_state_is_shadowed_by_earlier_ones_together() {
    let text = edit(CHALLENGE, "when: [due(look)]", "when: [not final]");
    check(
        ORDER,
        &text,
        FEEDS,
        &expect![[r#"
        specs/challenge.yaml:12: state "waiting" is shadowed by those before it together; move it up, or add a literal that tells them apart
        specs/challenge.yaml:15: edge "look": due(look) cannot matter between "waiting" and "looking"; put it into a when, or give the edge another trigger
        specs/challenge.yaml:16: edge "looked": not due(look) cannot matter between "looking" and "waiting"; put it into a when, or give the edge another trigger"#]],
    );
}

#[test]
fn a_when_must_not_contradict_itself() {
    order(
        "when: [claimed, not placed]",
        "when: [claimed, placed, not placed]",
        &expect![[
            r#"specs/order.yaml:29: state "placing" asks for placed and not placed; remove one"#
        ]],
    );
}

// Check 3.

#[test]
fn an_effect_has_a_deadline() {
    order(
        "does: [download], waits: [answer, retry]",
        "does: [download], waits: [retry]",
        &expect![[
            r#"specs/order.yaml:28: state "downloading" does "download" without limit; add a deadline to its waits"#
        ]],
    );
}

#[test]
fn a_resting_state_waits_for_something_or_is_an_end() {
    let text = edit(CHALLENGE, "when: [due(look)], waits: [look]", "when: [due(look)]");
    check(
        ORDER,
        &text,
        FEEDS,
        &expect![[
            r#"specs/challenge.yaml:11: state "looking" rests without a wait; add a wait, or end: true"#
        ]],
    );
}

#[test]
fn a_deadline_alone_wakes_nobody_who_started_nothing() {
    order(
        BUDGETING,
        "waits: [answer], goal",
        &expect![[r#"
        specs/order.yaml:12: wait "budget" is in no state's waits; list it where it is waited for, or remove it
        specs/order.yaml:16: wait "recheck" is in no state's waits; list it where it is waited for, or remove it
        specs/order.yaml:31: state "budgeting" waits on a deadline that no effect arms; add another wait, or let it do something"#]],
    );
}

// Check 4.

#[test]
fn a_cycle_without_a_timer_or_a_paced_state_spins() {
    let text = edit(ORDER, OVER, "on: not failed, name: patience-over");
    let text = edit(&text, "to: claiming, on: due(budget)", "to: claiming, on: not claimed");
    let text = edit(&text, "[budget, recheck]", "[budget]");
    let text = edit(
        &text,
        "does: [write_claim], waits: [answer, retry]",
        "does: [write_claim], waits: [answer]",
    );
    let text = edit(
        &text,
        "does: [new_order], waits: [answer, retry]",
        "does: [new_order], waits: [answer]",
    );
    let text = edit(&text, "  recheck:  {every: 1h}\n", "");
    check(
        &text,
        CHALLENGE,
        FEEDS,
        &expect![[
            r#"specs/order.yaml:34: nothing paces the cycle "resting" by "patience-over", "budgeting" by "budget-granted", "claiming" by "claimed", "placing" by "transport-failed"; let an edge be on due(..), or a state wait on a ladder or interval"#
        ]],
    );
}

// Check 5.

#[test]
fn no_way_leads_around_a_state_that_must_be_passed() {
    let text = edit(ORDER, "start: budgeting", "start: resting");
    let text = edit(&text, "{from: resting, to: budgeting", "{from: resting, to: claiming");
    let back = "  - {from: claiming, to: budgeting, on: not due(budget), name: lapsed, why: w}\nmust_pass:";
    check(
        &edit(&text, "must_pass:", back),
        CHALLENGE,
        FEEDS,
        &expect![[
            r#"specs/order.yaml:41: must_pass: "placing" can be reached around "budgeting"; remove the edge that leads around it"#
        ]],
    );
}

#[test]
fn a_guarded_state_demands_the_evidence() {
    order(
        "evidence: claimed",
        "evidence: chained",
        &expect![[
            r#"specs/order.yaml:40: must_pass: the when of "placing" does not ask for chained; add it there"#
        ]],
    );
}

#[test]
fn what_is_absent_or_due_is_no_evidence() {
    order(
        "evidence: claimed",
        "evidence: not placed",
        &expect![
            "specs/order.yaml:40: must_pass: not placed is no evidence; name a fact that the state behind leaves true"
        ],
    );
    order(
        "evidence: claimed",
        "evidence: due(budget)",
        &expect![
            "specs/order.yaml:40: must_pass: due(budget) is no evidence; name a fact that the state behind leaves true"
        ],
    );
}

#[test]
fn a_state_cannot_guard_itself() {
    order(
        "through: budgeting",
        "through: placing",
        &expect![[
            r#"specs/order.yaml:40: must_pass: "placing" guards itself; name another state"#
        ]],
    );
}

// Check 6.

#[test]
fn a_failure_ends_where_something_waits() {
    order(
        "when: [failed, not due(patience)], waits: [patience]",
        "when: [failed, not due(patience)], end: true",
        &expect![[r#"
            specs/order.yaml:13: wait "patience" is in no state's waits; list it where it is waited for, or remove it
            specs/order.yaml:34: failure edge "transport-failed" ends in "resting", which has no waits; give it a wait, or lead elsewhere"#]],
    );
}

#[test]
fn a_failure_must_not_lead_into_spending() {
    order(
        "to: downloading, on: placed, name: placed, why: the order has its URL",
        "to: downloading, on: placed, name: placed, why: w}\n  - {from: downloading, to: placing, on: not placed, name: lost, why: w, failure: true",
        &expect![[
            r#"specs/order.yaml:39: failure edge "lost" ends in "placing", which spends by "new_order"; lead to a state that waits first"#
        ]],
    );
}

// Check 7.

#[test]
fn feeds_form_no_circle() {
    feeds(
        "{Issuer: by spec.issuerRef, Secret",
        "{Order: by controller owner, Secret",
        &expect![[
            r#"specs/feeds.yaml:12: the feeds go round: Order wakes "challenge", Challenge wakes "order"; let one of them learn it from the API server in another way"#
        ]],
    );
}

#[test]
fn what_is_read_is_watched() {
    feeds(
        "Secret: by name",
        "ConfigMap: by name",
        &expect![[
            r#"specs/feeds.yaml:12: machine "challenge" reads "ConfigMap", unwatched; declare it under watches"#
        ]],
    );
}

#[test]
fn only_machines_read() {
    feeds(
        "  challenge: {Issuer",
        "  chalenge: {Issuer",
        &expect![[
            r#"specs/feeds.yaml:12: feeds name the unknown machine "chalenge"; write chalenge.yaml"#
        ]],
    );
}

#[test]
fn the_objects_of_a_machine_are_watched() {
    let order = edit(ORDER, "object: Order", "object: Ordre");
    check(
        &order,
        CHALLENGE,
        FEEDS,
        &expect![[
            r#"specs/order.yaml:3: object "Ordre" is not watched; add it to the watches of feeds"#
        ]],
    );
}

#[test]
fn a_watch_names_its_group_unless_it_is_internal() {
    feeds(
        "{group: cert-manager.io, about: who signs}",
        "{about: who signs}",
        &expect![[r#"specs/feeds.yaml:2: watch "Issuer" has no group; add it, or internal: true"#]],
    );
    feeds(
        "{internal: true, about",
        "{internal: true, group: g, about",
        &expect![[
            r#"specs/feeds.yaml:6: watch "Key" is internal and has a group; remove one of them"#
        ]],
    );
}

#[test]
fn a_plan_without_feeds_is_not_whole() {
    let files = [("specs/order.yaml", ORDER), ("specs/challenge.yaml", CHALLENGE)];
    let faults = everleaf_graph::Plan::load(&files).expect_err("the feeds are missing");
    expect!["feeds.yaml:1: there is no such file; write one with watches and feeds"]
        .assert_eq(&faults.to_string());
}

// Check 8.

#[test]
fn what_is_declared_is_used() {
    order(
        "  chained: the",
        "  idle: nobody asks\n  chained: the",
        &expect![[
            r#"specs/order.yaml:9: fact "idle" is in no when, trigger or evidence; use or remove it"#
        ]],
    );
    order(
        "  answer:   {d",
        "  idle: {every: 1m}\n  answer:   {d",
        &expect![[
            r#"specs/order.yaml:15: wait "idle" is in no state's waits; list it where it is waited for, or remove it"#
        ]],
    );
    order(
        "  new_order:   {",
        "  idle: nobody starts it\n  new_order:   {",
        &expect![[r#"specs/order.yaml:23: effect "idle" is in no state's does; use or remove it"#]],
    );
}

#[test]
fn what_is_used_is_declared() {
    order(
        "when: [chained], end",
        "when: [chainde], end",
        &expect![[
            r#"specs/order.yaml:26: state "valid" names the unknown fact "chainde"; declare it under facts"#
        ]],
    );
    order(
        "on: due(budget), name",
        "on: due(bugdet), name",
        &expect![[
            r#"specs/order.yaml:36: edge "budget-granted" names the unknown wait "bugdet"; declare it under waits"#
        ]],
    );
    order(
        "does: [download]",
        "does: [donwload, download]",
        &expect![[
            r#"specs/order.yaml:28: state "downloading" names the unknown effect "donwload"; declare it under effects"#
        ]],
    );
    order(
        "waits: [patience]",
        "waits: [pateince, patience]",
        &expect![[
            r#"specs/order.yaml:27: state "resting" names the unknown wait "pateince"; declare it under waits"#
        ]],
    );
    order(
        "start: budgeting",
        "start: bugdeting",
        &expect![[
            r#"specs/order.yaml:5: start names the unknown state "bugdeting"; declare it under states"#
        ]],
    );
    order(
        "{from: claiming, to: placing",
        "{from: claiming, to: plaicng",
        &expect![[
            r#"specs/order.yaml:37: edge "claimed" names the unknown state "plaicng"; declare it under states"#
        ]],
    );
    order(
        "through: budgeting",
        "through: bugdeting",
        &expect![[
            r#"specs/order.yaml:40: must_pass names the unknown state "bugdeting"; declare it under states"#
        ]],
    );
}

#[test]
fn only_an_until_or_a_ladder_falls_due() {
    order(
        OVER,
        "on: due(answer), name: patience-over",
        &expect![[
            r#"specs/order.yaml:35: edge "patience-over": due(answer) is an interval or deadline; use an until or a ladder"#
        ]],
    );
}

#[test]
fn a_trigger_can_matter() {
    let text = edit(
        ORDER,
        "when: [failed, not due(patience)], waits: [patience]",
        "when: [failed], waits: [patience]",
    );
    check(
        &text,
        CHALLENGE,
        FEEDS,
        &expect![[
            r#"specs/order.yaml:35: edge "patience-over": due(patience) cannot matter between "resting" and "budgeting"; put it into a when, or give the edge another trigger"#
        ]],
    );
}

#[test]
fn an_edge_changes_the_state() {
    order(
        "{from: resting, to: budgeting",
        "{from: [resting, budgeting], to: budgeting",
        &expect![[
            r#"specs/order.yaml:35: edge "patience-over" leads from "budgeting" to itself; list a wait in the state instead"#
        ]],
    );
}

#[test]
fn names_are_unique_also_once_they_are_types() {
    order(
        "  download:    down",
        "  new__order: again\n  download:    down",
        &expect![[r#"
        specs/order.yaml:24: effect "new__order" has the name of "new_order" on line 23; give each its own
        specs/order.yaml:24: effect "new__order" is in no state's does; use or remove it"#]],
    );
    order(
        "name: patience-over",
        "name: stored",
        &expect![[
            r#"specs/order.yaml:35: edge "stored" has the name of "stored" on line 33; give each its own"#
        ]],
    );
    order(
        "  retry:    {l",
        "  failed: {every: 1s}\n  retry:    {l",
        &expect![[r#"
        specs/order.yaml:14: wait "failed" has the name of the fact on line 10; rename one of them
        specs/order.yaml:14: wait "failed" is in no state's waits; list it where it is waited for, or remove it"#]],
    );
}

#[test]
fn names_can_be_written_in_rust() {
    order(
        "  write_claim: write",
        "  Write-Claim: write\n  write_claim: write",
        &expect![[r#"
        specs/order.yaml:22: effect "Write-Claim" has a bad name; match [a-z][a-z0-9_]*, and not self, super or crate
        specs/order.yaml:22: effect "Write-Claim" is in no state's does; use or remove it
        specs/order.yaml:23: effect "write_claim" has the name of "Write-Claim" on line 22; give each its own"#]],
    );
    order(
        "{until: not_before}",
        "{until: not-before}",
        &expect![[
            r#"specs/order.yaml:13: wait "patience" has the bad method "not-before"; match [a-z][a-z0-9_]*, and not self, super, crate, a fact or a ladder"#
        ]],
    );
    order(
        "{until: not_before}",
        "{until: claimed}",
        &expect![[
            r#"specs/order.yaml:13: wait "patience" has the bad method "claimed"; match [a-z][a-z0-9_]*, and not self, super, crate, a fact or a ladder"#
        ]],
    );
    order(
        "name: patience-over",
        "name: self",
        &expect![[
            r#"specs/order.yaml:35: edge "self" has a bad name; match [a-z][a-z0-9-]*, and not self, super or crate"#
        ]],
    );
}

#[test]
fn a_machine_is_called_as_its_file() {
    order(
        "machine: order",
        "machine: orders",
        &expect![[
            r#"specs/order.yaml:2: machine "orders" is in a file called "order"; give file and machine one name"#
        ]],
    );
}

#[test]
fn a_truth_word_has_64_bits() {
    let facts = |name: &str, text: &dyn Fn(&str) -> String| -> String {
        (0..63).map(|index| text(&format!("{name}{index}"))).collect()
    };
    let declared = facts("f", &|name| format!("  {name}: one of many\n"));
    let used = facts("f", &|name| format!(", {name}"));
    let text = edit(CHALLENGE, "waits:\n", &format!("{declared}waits:\n"));
    let text = edit(&text, "when: [final]", &format!("when: [final{used}]"));
    check(
        ORDER,
        &text,
        FEEDS,
        &expect![
            "specs/challenge.yaml:6: 65 facts and waits that fall due; at most 64: merge facts, or split the machine"
        ],
    );
}
