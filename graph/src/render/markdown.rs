//! The plan as a page of GitHub-flavoured Markdown.

use std::fmt::Write;

use super::mermaid::mermaid;
use super::picture::Picture;
use crate::codegen::plain;
use crate::model::{
    Edge, Effect, Fact, Machine, MustPass, Plan, Setting, SettingValue, State, Wait, WaitKind,
};
use crate::units;

/// Appends a line; writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        let _ = writeln!($out, $($arg)*);
    }};
}

const HEAD: &str = "\
# Lifecycle

Generated from `specs/`; edit those, not this page.

An object is in the first state, from the top of a table, whose *when* holds. An edge explains a \
move: its trigger turned. In the pictures a goal has a thick frame, an end two frames, a failure a \
dashed arrow, and a hexagon names the states that an edge leaves.
";

/// The plan as a page: for each machine a picture and tables of states, edges, waits, effects and
/// settings; then the feeds.
pub fn lifecycle_markdown(plan: &Plan) -> String {
    let mut out = String::from(HEAD);
    for machine in &plan.machines {
        line!(out, "\n## {} ({})\n\n{}\n", machine.name, machine.object, sentence(&machine.about));
        fence(&mut out, &Picture::lifecycle(machine));
        states(&mut out, machine);
        edges(&mut out, machine);
        facts(&mut out, machine);
        waits(&mut out, machine);
        effects(&mut out, machine);
        settings(&mut out, machine);
        must_pass(&mut out, machine);
    }
    feeds(&mut out, plan);
    out
}

fn fence(out: &mut String, picture: &Picture) {
    line!(out, "```mermaid\n{}```", mermaid(picture));
}

/// A table, or nothing if it has no rows.
fn table(out: &mut String, title: &str, head: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    line!(out, "\n### {title}\n\n| {} |", head.join(" | "));
    line!(out, "|{}", " --- |".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        line!(out, "| {} |", cells.join(" | "));
    }
}

fn states(out: &mut String, machine: &Machine) {
    let row = |state: &State| {
        let mut about = sentence(&state.about);
        let flags = [(state.goal, "Goal."), (state.end, "End.")];
        for (_, flag) in flags.iter().filter(|(set, _)| *set) {
            about = format!("*{flag}* {about}").trim_end().to_owned();
        }
        let when = state.when.iter().map(|literal| machine.literal(*literal));
        let does = state.does.iter().map(|index| machine.effects[*index].name.clone());
        let waits = state.waits.iter().map(|index| machine.waits[*index].name.clone());
        vec![code(&state.name), codes(when), codes(does), codes(waits), about]
    };
    let rows = machine.states.iter().map(row).collect();
    table(out, "States", &["state", "when", "does", "waits", "about"], rows);
}

fn edges(out: &mut String, machine: &Machine) {
    let groups = machine.edges.chunk_by(|a, b| a.ordinal == b.ordinal);
    let row = |edges: &[Edge]| {
        let edge = edges.first()?;
        let from = edges.iter().map(|edge| machine.states[edge.from].name.clone());
        let (to, on) = (&machine.states[edge.to].name, machine.literal(edge.on));
        let failure = if edge.failure { "*Failure.* " } else { "" };
        let why = format!("{failure}{}", sentence(&edge.why));
        Some(vec![code(&edge.name), codes(from), code(to), code(&on), why])
    };
    let rows = groups.filter_map(row).collect();
    table(out, "Edges", &["edge", "from", "to", "trigger", "why"], rows);
}

fn facts(out: &mut String, machine: &Machine) {
    let row = |fact: &Fact| vec![code(&fact.name), sentence(&fact.about)];
    table(out, "Facts", &["fact", "about"], machine.facts.iter().map(row).collect());
}

fn waits(out: &mut String, machine: &Machine) {
    let row = |wait: &Wait| vec![code(&wait.name), kind(&wait.kind), sentence(&wait.about)];
    table(out, "Waits", &["wait", "until", "about"], machine.waits.iter().map(row).collect());
}

fn kind(kind: &WaitKind) -> String {
    match kind {
        WaitKind::Until { method } => format!("the time `{method}`"),
        WaitKind::Every { ms } => format!("every {}", units::show(*ms)),
        WaitKind::Deadline { ms } => format!("{} after an effect began", units::show(*ms)),
        WaitKind::Ladder { steps_ms, jitter_percent } => {
            let steps: Vec<_> = steps_ms.iter().map(|ms| units::show(*ms)).collect();
            let jitter = match jitter_percent {
                0 => String::new(),
                percent => format!(", jitter {percent}%"),
            };
            format!("ladder {}{jitter}", steps.join(", "))
        }
    }
}

fn effects(out: &mut String, machine: &Machine) {
    let row = |effect: &Effect| {
        let spends = if effect.spends { "yes" } else { "" };
        vec![code(&effect.name), spends.to_owned(), sentence(&effect.about)]
    };
    let rows = machine.effects.iter().map(row).collect();
    table(out, "Effects", &["effect", "spends", "about"], rows);
}

fn settings(out: &mut String, machine: &Machine) {
    let row = |setting: &Setting| {
        let value = match setting.value {
            SettingValue::Duration { ms } => units::show(ms),
            SettingValue::Percent(percent) => format!("{percent}%"),
            SettingValue::Count(count) => count.to_string(),
        };
        vec![code(&setting.name), value, sentence(&setting.about)]
    };
    let rows = machine.settings.iter().map(row).collect();
    table(out, "Settings", &["setting", "value", "about"], rows);
}

fn must_pass(out: &mut String, machine: &Machine) {
    let row = |pass: &MustPass| {
        let name = |state: usize| code(&machine.states[state].name);
        vec![name(pass.state), name(pass.through), code(&machine.literal(pass.evidence))]
    };
    let rows = machine.must_pass.iter().map(row).collect();
    table(out, "No way around", &["state", "only through", "evidence"], rows);
}

fn feeds(out: &mut String, plan: &Plan) {
    line!(
        out,
        "\n## Feeds\n\nWhich kinds wake which machines, beside the machines' own objects.\n"
    );
    fence(out, &Picture::feeds(plan));
    let watches = plan.feeds.watches.iter().map(|watch| {
        let group = match (watch.internal, watch.group.as_str()) {
            (true, _) => "*internal*".to_owned(),
            (false, "") => "*core*".to_owned(),
            (false, group) => code(group),
        };
        vec![code(&watch.kind), group, sentence(&watch.about)]
    });
    table(out, "Kinds", &["kind", "group", "about"], watches.collect());
    let mut rows = Vec::new();
    for reader in &plan.feeds.readers {
        for feed in &reader.kinds {
            let (machine, kind) = (&plan.machines[reader.machine], &plan.feeds.watches[feed.watch]);
            rows.push(vec![code(&kind.kind), code(&machine.name), sentence(&feed.by)]);
        }
    }
    table(out, "Readers", &["kind", "wakes", "by"], rows);
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes(texts: impl Iterator<Item = String>) -> String {
    texts.map(|text| code(&text)).collect::<Vec<_>>().join(", ")
}

/// Prose with a capital at its beginning and a stop at its end.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    plain(&format!("{}{}{stop}", first.to_uppercase(), chars.as_str()))
}
