//! The pictures and the page of the plan without a fault.

mod common;

use common::good;
use everleaf_graph::render::{Picture, Shape, dot, lifecycle_markdown, mermaid, svg};
use expect_test::{expect, expect_file};

fn order() -> Picture {
    Picture::lifecycle(good().machine("order").expect("it is in the plan"))
}

#[test]
fn mermaid_tells_goals_ends_and_failures_apart() {
    expect![[r#"
        flowchart TD
            s_valid[["valid"]]
            s_resting("resting")
            s_downloading("downloading")
            s_placing("placing")
            s_claiming("claiming")
            s_budgeting(["budgeting"])
            start(("start"))
            crowd_7{{"any state"}}
            start --> s_budgeting
            crowd_7 -->|"stored<br/>[chained]"| s_valid
            s_downloading -.->|"transport-failed<br/>[failed]"| s_resting
            s_placing -.->|"transport-failed<br/>[failed]"| s_resting
            s_resting -->|"patience-over<br/>[due(patience)]"| s_budgeting
            s_budgeting -->|"budget-granted<br/>[due(budget)]"| s_claiming
            s_claiming -->|"claimed<br/>[claimed]"| s_placing
            s_placing -->|"placed<br/>[placed]"| s_downloading
            style s_budgeting stroke-width:3px
    "#]]
    .assert_eq(&mermaid(&order()));
}

#[test]
fn dot_tells_goals_ends_and_failures_apart() {
    expect![[r#"
        digraph "order" {
            rankdir=LR;
            node [fontsize="15"];
            edge [fontsize="15"];
            "valid" [label="valid" shape="box" style="filled" fillcolor="lightgray"];
            "resting" [label="resting" shape="box" style="filled" fillcolor="aliceblue"];
            "downloading" [label="downloading" shape="box" style="filled" fillcolor="aliceblue"];
            "placing" [label="placing" shape="box" style="filled" fillcolor="aliceblue"];
            "claiming" [label="claiming" shape="box" style="filled" fillcolor="aliceblue"];
            "budgeting" [label="budgeting" shape="box" style="filled" fillcolor="palegreen"];
            "the start" [label="start" shape="circle" style="filled" fillcolor="white"];
            "any state" [label="any state" shape="box" color="gray"];
            "the start" -> "budgeting" [label=""];
            "any state" -> "valid" [label="stored\n[chained]"];
            "downloading" -> "resting" [label="transport-failed\n[failed]" style="dashed" color="firebrick"];
            "placing" -> "resting" [label="transport-failed\n[failed]" style="dashed" color="firebrick"];
            "resting" -> "budgeting" [label="patience-over\n[due(patience)]"];
            "budgeting" -> "claiming" [label="budget-granted\n[due(budget)]"];
            "claiming" -> "placing" [label="claimed\n[claimed]"];
            "placing" -> "downloading" [label="placed\n[placed]"];
        }
    "#]].assert_eq(&dot(&order()));
}

#[test]
fn a_kind_that_reads_its_own_siblings_is_no_arrow() {
    expect![[r#"
        flowchart TD
            s_Issuer("Issuer")
            s_Order("Order")
            s_Challenge("Challenge")
            s_Secret("Secret")
            s_Key[/"Key"/]
            s_Issuer --> s_Order
            s_Challenge --> s_Order
            s_Issuer --> s_Challenge
            s_Secret --> s_Challenge
            s_Key --> s_Challenge
    "#]]
    .assert_eq(&mermaid(&Picture::feeds(&good())));
}

#[test]
fn an_edge_that_leaves_many_states_is_drawn_once() {
    let picture = order();
    let crowd: Vec<_> = picture.nodes.iter().filter(|node| node.shape == Shape::Crowd).collect();
    assert_eq!(crowd.len(), 1);
    assert_eq!(crowd[0].lines, ["any state"]);
}

#[test]
fn svg_is_the_same_every_time_and_holds_every_name() {
    let plan = good();
    let first = svg(&order()).expect("it can be laid out");
    assert_eq!(svg(&order()).as_ref(), Ok(&first));
    for name in ["budgeting", "downloading", "transport-failed", "[due(budget)]"] {
        assert!(first.contains(name), "{name}");
    }
    assert!(svg(&Picture::feeds(&plan)).expect("it can be laid out").contains("Challenge"));
}

#[test]
fn the_page_has_a_picture_and_tables_for_each_machine() {
    expect_file!["generated/lifecycle.md"].assert_eq(&lifecycle_markdown(&good()));
}
