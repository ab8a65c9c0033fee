//! A story as one page that needs nothing else: no request leaves it, and what it shows is text.

use super::story::{Entry, Story, What};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_graph::Plan;
use everleaf_nodes::effect::rfc3339;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What is shown beside the story that was recorded.
pub struct Beside<'a> {
    /// What was changed, for people.
    pub changed: String,
    /// What would have happened.
    pub story: &'a Story,
    /// Of objects that differ, by their number in the recorded story: what would have become of
    /// them.
    pub ends: Vec<(usize, String)>,
    /// The objects' numbers in the recorded story, by their numbers in the other.
    pub numbers: Vec<Option<usize>>,
}

/// A whole HTML document; `notes` are for people, one paragraph each.
pub fn page(plan: &Plan, story: &Story, beside: Option<&Beside<'_>>, notes: &[String]) -> String {
    let (begin, end) = story.span();
    let title = format!("everleaf, {} to {}", rfc3339(begin), rfc3339(end));
    let data = data(plan, story, beside).to_string();
    let paragraphs: String = notes.iter().map(|note| format!("<p>{}</p>\n", html(note))).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>{title}</h1>\n{paragraphs}\
         <p><input id=\"q\" type=\"search\" placeholder=\"words that all have to be in an entry\" \
         aria-label=\"search\"></p>\n<p id=\"kinds\"></p>\n\
         <p><output id=\"count\"></output> <button id=\"only\" type=\"button\" hidden></button></p>\n\
         </header>\n<main>\n<table><tbody id=\"lanes\"></tbody></table>\n\
         <table><thead><tr id=\"head\"></tr></thead><tbody id=\"entries\"></tbody></table>\n\
         <p><button id=\"more\" type=\"button\" hidden></button></p>\n</main>\n\
         <script type=\"application/json\" id=\"data\">{}</script>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        source_of(STYLE),
        source_of(SCRIPT),
        inert(&data),
    )
}

/// How a policy names an inline source (Content Security Policy Level 3, section 2.3.1).
fn source_of(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// JSON that no parser of HTML or JavaScript takes for anything else.
fn inert(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn data(plan: &Plan, story: &Story, beside: Option<&Beside<'_>>) -> Value {
    let (begin, end) = story.span();
    let (calm, bad) = moods(plan);
    let end_of = |number: usize| {
        let ends = beside.into_iter().flat_map(|beside| &beside.ends);
        ends.filter(|(object, _)| *object == number).map(|(_, end)| end.as_str()).next()
    };
    let objects: Vec<Value> = story
        .objects()
        .iter()
        .enumerate()
        .map(|(number, thread)| {
            json!({
                "name": thread.key.to_string(), "state": thread.state, "waits": thread.waiting(),
                "gone": thread.gone, "failures": thread.failures, "whatIf": end_of(number),
            })
        })
        .collect();
    let own = story.entries().into_iter().map(|entry| entry_json(entry, entry.object));
    let mut runs = vec![json!({"name": "recorded", "entries": own.collect::<Vec<_>>()})];
    runs.extend(beside.map(|Beside { changed, story, numbers, .. }| {
        let own = story.entries().into_iter().filter_map(|entry| {
            // What only the other run has is told by the objects of the recorded one.
            let number = entry.object.map(|object| numbers.get(object).copied().flatten());
            match number {
                Some(None) => None,
                number => Some(entry_json(entry, number.flatten())),
            }
        });
        json!({"name": format!("what if {changed}"), "entries": own.collect::<Vec<_>>()})
    }));
    let kinds: Vec<&str> = What::ALL.map(What::name).to_vec();
    json!({
        "begin": begin.as_millis(), "end": end.as_millis(), "kinds": kinds, "calm": calm,
        "bad": bad, "objects": objects, "runs": runs,
    })
}

fn entry_json(entry: &Entry, object: Option<usize>) -> Value {
    let Entry { at, what, text, states, .. } = entry;
    let kind = What::ALL.iter().position(|one| one == what);
    match states {
        Some((from, to)) => json!([at.as_millis(), object, kind, text, from, to]),
        None => json!([at.as_millis(), object, kind, text]),
    }
}

/// The states in which objects may rest, and those into which failures lead.
fn moods(plan: &Plan) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut calm, mut bad) = (BTreeSet::new(), BTreeSet::new());
    for machine in &plan.machines {
        let ends = machine.states.iter().filter(|state| state.end || state.goal);
        calm.extend(ends.map(|state| state.name.as_str()));
        let failures = machine.edges.iter().filter(|edge| edge.failure);
        bad.extend(failures.map(|edge| machine.states[edge.to].name.as_str()));
    }
    bad.extend(["refused", "invalid", "unready"]);
    calm.extend(["ready", "settled"]);
    (calm, bad)
}
