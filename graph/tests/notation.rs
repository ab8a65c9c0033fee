//! The notation: what it refuses, and the message that a person then reads.

mod common;

use common::{CHALLENGE, FEEDS, ORDER, check, edit, load, order};
use expect_test::expect;

#[test]
fn what_is_no_yaml_is_reported_where_it_stops_being_one() {
    order(
        "about: One ACME order,",
        "about: One: ACME order,",
        &expect![
            "specs/order.yaml:4: this is no YAML: mapping values are not allowed in this context; mend the YAML; a text that holds a colon or a comma wants quotes"
        ],
    );
    order(
        "object: Order",
        "object: \"Order",
        &expect![
            "specs/order.yaml:23: this is no YAML: invalid trailing content after double-quoted scalar; mend the YAML; a text that holds a colon or a comma wants quotes"
        ],
    );
    order(
        "object: Order",
        "object: &a Order",
        &expect![
            "specs/order.yaml:3: an anchor or alias is not part of the notation; write the value out"
        ],
    );
    order(
        "object: Order",
        "object: !!str Order",
        &expect!["specs/order.yaml:3: a tag is not part of the notation; remove it"],
    );
    order(
        "facts:\n",
        "facts: *a\n",
        &expect![
            "specs/order.yaml:6: this is no YAML: while parsing node, found unknown anchor; mend the YAML; a text that holds a colon or a comma wants quotes"
        ],
    );
    order(
        "must_pass:\n",
        "---\nmust_pass:\n",
        &expect!["specs/order.yaml:40: a second document is not part of the notation; keep one"],
    );
    check(
        "",
        CHALLENGE,
        FEEDS,
        &expect!["specs/order.yaml:1: the file is empty; write a machine, or the feeds"],
    );
    check(
        &"[".repeat(100_000),
        CHALLENGE,
        FEEDS,
        &expect![
            "specs/order.yaml:1: this is no YAML: recursion limit exceeded; mend the YAML; a text that holds a colon or a comma wants quotes"
        ],
    );
    check(
        &" ".repeat((1 << 20) + 1),
        CHALLENGE,
        FEEDS,
        &expect!["specs/order.yaml:1: the file is longer than 1048576 bytes; split it"],
    );
}

#[test]
fn a_key_that_the_notation_does_not_have_is_a_mistake() {
    order(
        "{deadline: 10m}",
        "{deadline: 10m, jiter: 5%}",
        &expect![[
            r#"specs/order.yaml:15: wait "answer" has the unknown key "jiter"; use until, every, ladder, deadline, jitter, about, and a text with a comma wants quotes"#
        ]],
    );
    order(
        "about: when every limit has a token",
        "about: when every limit, or none, has a token",
        &expect![[r#"
            specs/order.yaml:12: wait "budget" has the unknown key "or none"; use until, every, ladder, deadline, jitter, about, and a text with a comma wants quotes
            specs/order.yaml:12: wait "budget" has the unknown key "has a token"; use until, every, ladder, deadline, jitter, about, and a text with a comma wants quotes"#]],
    );
}

#[test]
fn a_key_that_is_given_twice_is_a_mistake() {
    order(
        "  placed:  the",
        "  claimed: again\n  placed:  the",
        &expect![[r#"specs/order.yaml:8: "claimed" is given twice, first on line 7; keep one"#]],
    );
    order(
        "  placing:     {",
        "  valid: {end: true}\n  placing:     {",
        &expect![[r#"specs/order.yaml:29: "valid" is given twice, first on line 26; keep one"#]],
    );
}

#[test]
fn a_value_of_another_kind_is_a_mistake() {
    order(
        "does: [download]",
        "does: download",
        &expect![[r#"
        specs/order.yaml:24: effect "download" is in no state's does; use or remove it
        specs/order.yaml:28: does of state "downloading" is a single value; write a list [a, b]"#]],
    );
    order(
        "  placed:  the Order carries an order URL",
        "  placed: [a, b]",
        &expect![[r#"specs/order.yaml:8: fact "placed" is a list; write a single value"#]],
    );
    order(
        "end: true",
        "end: yes",
        &expect![[r#"
        specs/order.yaml:26: state "valid" leads to no goal and no end; add an edge towards one
        specs/order.yaml:26: state "valid" rests without a wait; add a wait, or end: true
        specs/order.yaml:26: end of state "valid" is "yes"; write true or false"#]],
    );
    order(
        "  recheck:  {every: 1h}",
        "  recheck: 1h",
        &expect![[
            r#"specs/order.yaml:16: wait "recheck" is a single value; write a mapping of until, every, ladder, deadline, jitter, about"#
        ]],
    );
    check(
        "[a]",
        CHALLENGE,
        FEEDS,
        &expect![
            "specs/order.yaml:1: the machine is a list; write a mapping of machine, object, about, start, facts, waits, settings, effects, states, edges, must_pass"
        ],
    );
}

#[test]
fn a_key_that_is_missing_is_a_mistake() {
    order("object: Order\n", "", &expect!["specs/order.yaml:2: the machine has no object; add it"]);
    order(
        ", name: placed, why: the order has its URL",
        "",
        &expect![[r#"
        specs/order.yaml:38: an edge has no name; add it
        specs/order.yaml:38: an edge has no why; add it"#]],
    );
    order(
        "about: how much of a limit may be used",
        "",
        &expect![[r#"specs/order.yaml:19: setting "share" has no about; add it"#]],
    );
}

#[test]
fn a_duration_is_a_number_with_a_unit_and_a_pause_is_not_zero() {
    order(
        "{deadline: 10m}",
        "{deadline: 10}",
        &expect![[
            r#"specs/order.yaml:15: wait "answer" has the bad duration "10"; write one number above 0 with its unit: 100ms, 30s, 5m, 24h, 7d"#
        ]],
    );
    order(
        "{every: 1h}",
        "{every: 0s}",
        &expect![[
            r#"specs/order.yaml:16: wait "recheck" has the bad duration "0s"; write one number above 0 with its unit: 100ms, 30s, 5m, 24h, 7d"#
        ]],
    );
    order(
        "[1m, 10m, 100m, 24h]",
        "[1m, soon]",
        &expect![[
            r#"specs/order.yaml:14: wait "retry" has the bad duration "soon"; write one number above 0 with its unit: 100ms, 30s, 5m, 24h, 7d"#
        ]],
    );
    order(
        "value: 5m",
        "value: 5 m",
        &expect![[
            r#"specs/order.yaml:18: setting "floor" has the bad value "5 m"; write a duration (5m), a percentage (33%) or a whole number"#
        ]],
    );
}

#[test]
fn a_wait_is_of_one_kind() {
    order(
        "{deadline: 10m}",
        "{deadline: 10m, every: 1h}",
        &expect![[
            r#"specs/order.yaml:15: wait "answer" has not one kind; write exactly one of until, every, ladder, deadline"#
        ]],
    );
    order(
        "{deadline: 10m}",
        "{about: none}",
        &expect![[
            r#"specs/order.yaml:15: wait "answer" has not one kind; write exactly one of until, every, ladder, deadline"#
        ]],
    );
    order(
        "{deadline: 10m}",
        "{deadline: 10m, jitter: 5%}",
        &expect![[
            r#"specs/order.yaml:15: wait "answer" has jitter but no ladder; remove the jitter"#
        ]],
    );
}

#[test]
fn a_ladder_climbs() {
    order(
        "[1m, 10m, 100m, 24h]",
        "[]",
        &expect![[r#"specs/order.yaml:14: wait "retry" has 0 rungs; write 1 to 32"#]],
    );
    order(
        "[1m, 10m, 100m, 24h]",
        "[10m, 1m]",
        &expect![[
            r#"specs/order.yaml:14: wait "retry" goes down; write each rung as long as the last or longer"#
        ]],
    );
    order(
        "jitter: 10%",
        "jitter: 110%",
        &expect![[r#"specs/order.yaml:14: wait "retry" has the jitter "110%"; write 0% to 100%"#]],
    );
}

#[test]
fn a_literal_is_a_fact_or_a_due_wait() {
    order(
        "when: [chained], end",
        "when: [chained or failed], end",
        &expect![[
            r#"specs/order.yaml:26: state "valid" has the bad literal "chained or failed"; write fact, not fact, due(wait) or not due(wait)"#
        ]],
    );
}

#[test]
fn all_faults_of_all_files_come_at_once_and_in_order() {
    let order = edit(ORDER, "{every: 1h}", "{every: 0s}");
    let order = edit(&order, "when: [claimed, placed]", "when: [claimed]");
    let feeds = edit(FEEDS, "Secret: by name", "ConfigMap: by name");
    check(
        &order,
        "machine: [",
        &feeds,
        &expect![[r#"
        specs/challenge.yaml:1: this is no YAML: unclosed bracket '['; mend the YAML; a text that holds a colon or a comma wants quotes
        specs/feeds.yaml:12: machine "challenge" reads "ConfigMap", unwatched; declare it under watches
        specs/order.yaml:16: wait "recheck" has the bad duration "0s"; write one number above 0 with its unit: 100ms, 30s, 5m, 24h, 7d
        specs/order.yaml:29: state "placing" is shadowed by "downloading" on line 28; move it up, or add a literal that tells them apart"#]],
    );
}

#[test]
fn a_list_names_each_thing_once() {
    order(
        "does: [download]",
        "does: [download, download]",
        &expect![[
            r#"specs/order.yaml:28: state "downloading" names the effect "download" twice; remove one"#
        ]],
    );
}

#[test]
fn a_machine_has_states_and_each_machine_one_file() {
    let states = ORDER.find("states:").expect("it has states");
    let text = format!("{}states: {{}}\n", &ORDER[..states]);
    check(
        &text,
        CHALLENGE,
        FEEDS,
        &expect![[r#"
        specs/order.yaml:2: the machine has no states; write at least one
        specs/order.yaml:5: start names the unknown state "budgeting"; declare it under states
        specs/order.yaml:7: fact "claimed" is in no when, trigger or evidence; use or remove it
        specs/order.yaml:8: fact "placed" is in no when, trigger or evidence; use or remove it
        specs/order.yaml:9: fact "chained" is in no when, trigger or evidence; use or remove it
        specs/order.yaml:10: fact "failed" is in no when, trigger or evidence; use or remove it
        specs/order.yaml:12: wait "budget" is in no state's waits; list it where it is waited for, or remove it
        specs/order.yaml:13: wait "patience" is in no state's waits; list it where it is waited for, or remove it
        specs/order.yaml:14: wait "retry" is in no state's waits; list it where it is waited for, or remove it
        specs/order.yaml:15: wait "answer" is in no state's waits; list it where it is waited for, or remove it
        specs/order.yaml:16: wait "recheck" is in no state's waits; list it where it is waited for, or remove it
        specs/order.yaml:22: effect "write_claim" is in no state's does; use or remove it
        specs/order.yaml:23: effect "new_order" is in no state's does; use or remove it
        specs/order.yaml:24: effect "download" is in no state's does; use or remove it"#]],
    );
    let files = [("a/order.yaml", ORDER), ("b/order.yaml", ORDER), ("feeds.yaml", "watches: {}")];
    let faults = everleaf_graph::Plan::load(&files).expect_err("one file is too many");
    expect![[r#"
        a/order.yaml:3: object "Order" is not watched; add it to the watches of feeds
        b/order.yaml:1: there are two files called "order"; remove one
        b/order.yaml:3: object "Order" is not watched; add it to the watches of feeds"#]]
    .assert_eq(&faults.to_string());
}

#[test]
fn a_fault_knows_its_column() {
    let order = edit(ORDER, "when: [chained], end", "when: [chainde], end");
    let faults = load(&order, CHALLENGE, FEEDS).expect_err("the plan is broken");
    let fault = &faults.list()[0];
    let line = order.lines().nth(fault.line - 1).expect("the line exists");
    assert!(line[fault.column - 1..].starts_with("chainde"), "{fault:?}");
}

#[test]
fn no_text_makes_the_loader_panic() {
    for at in (0..ORDER.len()).step_by(7) {
        let (head, tail) = (&ORDER[..at], &ORDER[at + 1..]);
        for text in [head, tail, &format!("{head}{tail}"), &format!("{head}[{tail}")] {
            let _ = load(text, CHALLENGE, FEEDS);
            let _ = load(ORDER, CHALLENGE, text);
        }
    }
}

#[test]
fn a_plan_that_lacks_any_line_still_loads_or_says_why() {
    for skipped in 0..ORDER.lines().count() {
        let kept = ORDER.lines().enumerate().filter(|(line, _)| *line != skipped);
        let text: String = kept.map(|(_, line)| format!("{line}\n")).collect();
        if let Err(faults) = load(&text, CHALLENGE, FEEDS) {
            assert!(faults.list().iter().all(|fault| fault.message.contains("; ")), "{faults}");
        }
    }
}
