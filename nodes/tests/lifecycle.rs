//! The pages that show the plan are generated from it; one that shows another plan is worse than
//! none.
#![allow(clippy::disallowed_methods, reason = "whether to refresh the pages is asked for outside")]

use everleaf_graph::render::{Picture, lifecycle_markdown, mermaid};
use std::path::PathBuf;
use std::{env, fs};

const REFRESH: &str = "UPDATE=1 cargo test -p everleaf-nodes --test lifecycle";

/// Compares a page of the repository with what it should be, or writes it if `UPDATE` is set.
fn check(page: &str, wanted: impl Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let is = fs::read_to_string(&path).unwrap_or_default();
    let wanted = wanted(&is);
    if is == wanted {
        return;
    }
    if env::var_os("UPDATE").is_some() {
        return fs::write(&path, &wanted).expect("the repository can be written");
    }
    let line = first_difference(&is, &wanted);
    panic!("{page}:{line} is not what specs/ say; refresh it with\n  {REFRESH}");
}

/// The first line in which two texts differ, counted from 1.
fn first_difference(is: &str, wanted: &str) -> usize {
    is.lines().zip(wanted.lines()).take_while(|(a, b)| a == b).count() + 1
}

/// The page with another picture in its only fence of Mermaid.
fn with_picture(page: &str, picture: &str) -> String {
    let (before, rest) = page.split_once("```mermaid\n").expect("the page has a picture");
    let (_, after) = rest.split_once("```").expect("the picture ends");
    format!("{before}```mermaid\n{picture}```{after}")
}

#[test]
fn the_lifecycle_page_shows_the_plan_that_this_build_runs() {
    let plan = everleaf_nodes::compiled_plan();
    check("docs/lifecycle.md", |_| lifecycle_markdown(&plan));
}

#[test]
fn the_readme_shows_the_certificate_machine_that_this_build_runs() {
    let plan = everleaf_nodes::compiled_plan();
    let machine = plan.machine("certificate").expect("it is the machine that everything serves");
    let picture = mermaid(&Picture::lifecycle(machine));
    check("README.md", |page| with_picture(page, &picture));
}

#[test]
fn a_difference_is_reported_where_it_begins() {
    assert_eq!(first_difference("a\nb\n", "a\nc\n"), 2);
    assert_eq!(first_difference("a\n", "a\nb\n"), 2);
    assert_eq!(first_difference("", "a\n"), 1);
}

#[test]
fn a_new_picture_leaves_the_rest_of_the_page_as_it_is() {
    let page = "above\n```mermaid\nold\n```\nbelow\n";
    assert_eq!(with_picture(page, "new\n"), "above\n```mermaid\nnew\n```\nbelow\n");
    assert_eq!(with_picture(page, "old\n"), page);
}
