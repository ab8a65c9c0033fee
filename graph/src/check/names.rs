//! Names are well formed and unique, and what is declared is used.

use std::collections::BTreeMap;

use crate::codegen::{camel, is_reserved};
use crate::draft::Draft;
use crate::fault::Report;
use crate::model::{Bit, WaitKind};
use crate::raw::{is_kebab, is_snake};
use crate::yaml::Text;

/// The most names of one sort: the generated enums are one byte wide.
const MAX_NAMES: usize = 256;

pub(crate) fn check(draft: &Draft, stem: &str, report: &mut Report) {
    if draft.name.text != stem {
        let name = &draft.name.text;
        let advice = "give file and machine one name";
        report
            .add(draft.name.at, format!("machine {name:?} is in a file called {stem:?}; {advice}"));
    }
    let kebab: [(&str, Vec<&Text>); 3] = [
        ("machine", vec![&draft.name]),
        ("state", draft.states.iter().map(|state| &state.name).collect()),
        ("edge", edge_names(draft)),
    ];
    for (kind, names) in kebab {
        sort(kind, &names, is_kebab, "[a-z][a-z0-9-]*", report);
    }
    let snake: [(&str, Vec<&Text>); 4] = [
        ("fact", draft.facts.iter().map(|fact| &fact.name).collect()),
        ("wait", draft.waits.iter().map(|wait| &wait.name).collect()),
        ("setting", draft.settings.iter().map(|setting| &setting.name).collect()),
        ("effect", draft.effects.iter().map(|effect| &effect.name).collect()),
    ];
    for (kind, names) in snake {
        sort(kind, &names, is_snake, "[a-z][a-z0-9_]*", report);
    }
    if draft.states.is_empty() {
        report.add(draft.name.at, "the machine has no states; write at least one");
    }
    methods(draft, report);
}

fn edge_names(draft: &Draft) -> Vec<&Text> {
    let mut names: BTreeMap<usize, &Text> = BTreeMap::new();
    for edge in &draft.edges {
        names.entry(edge.ordinal).or_insert(&edge.name);
    }
    names.into_values().collect()
}

/// Checks the names of one sort.
fn sort(kind: &str, names: &[&Text], fits: fn(&str) -> bool, form: &str, report: &mut Report) {
    let mut seen: BTreeMap<String, &Text> = BTreeMap::new();
    for name in names {
        let (text, at) = (&name.text, name.at);
        if !fits(text) || is_reserved(text) {
            report.add(
                at,
                format!(
                    "{kind} {text:?} has a bad name; match {form}, and not self, super or crate"
                ),
            );
        }
        if let Some(first) = seen.get(&camel(text)) {
            let (first, line) = (&first.text, first.at.line);
            let advice = "give each its own";
            report.add(
                at,
                format!("{kind} {text:?} has the name of {first:?} on line {line}; {advice}"),
            );
        }
        seen.entry(camel(text)).or_insert(name);
    }
    if names.len() > MAX_NAMES {
        let (at, count) = (names[0].at, names.len());
        report.add(at, format!("{count} names of one sort ({kind}); write at most {MAX_NAMES}"));
    }
}

/// Facts, waits and the methods of waits share one trait.
fn methods(draft: &Draft, report: &mut Report) {
    let fact = |name: &str| draft.facts.iter().find(|fact| fact.name.text == name);
    for wait in &draft.waits {
        let name = &wait.name.text;
        if let Some(fact) = fact(name) {
            let line = fact.name.at.line;
            let advice = "rename one of them";
            report.add(
                wait.name.at,
                format!("wait {name:?} has the name of the fact on line {line}; {advice}"),
            );
        }
        let Some(WaitKind::Until { method }) = &wait.kind else { continue };
        let ladder = draft.waits.iter().any(|other| {
            other.name.text == *method && matches!(other.kind, Some(WaitKind::Ladder { .. }))
        });
        if !is_snake(method) || is_reserved(method) || fact(method).is_some() || ladder {
            let advice = "match [a-z][a-z0-9_]*, and not self, super, crate, a fact or a ladder";
            report.add(
                wait.name.at,
                format!("wait {name:?} has the bad method {method:?}; {advice}"),
            );
        }
    }
}

/// Check 8: what is declared is used somewhere.
pub(crate) fn used(draft: &Draft, report: &mut Report) {
    let whens = draft.states.iter().flat_map(|state| &state.when);
    let triggers = draft.edges.iter().filter_map(|edge| edge.on.as_ref());
    let evidence = draft.must_pass.iter().filter_map(|pass| pass.evidence.as_ref());
    let literals = whens.chain(triggers).chain(evidence);
    let bits = literals.fold(0, |bits, literal| bits | literal.mask());
    let facts = draft.bits.iter().zip(0..64);
    for (bit, at) in facts {
        if let Bit::Fact(fact) = bit
            && bits & (1 << at) == 0
        {
            let name = &draft.facts[*fact].name;
            let where_ = "no when, trigger or evidence";
            report.add(name.at, format!("fact {:?} is in {where_}; use or remove it", name.text));
        }
    }
    for (index, wait) in draft.waits.iter().enumerate() {
        if !draft.states.iter().any(|state| state.waits.contains(&index)) {
            let name = &wait.name;
            let advice = "list it where it is waited for, or remove it";
            report.add(name.at, format!("wait {:?} is in no state's waits; {advice}", name.text));
        }
    }
    for (index, effect) in draft.effects.iter().enumerate() {
        if !draft.states.iter().any(|state| state.does.contains(&index)) {
            let name = &effect.name;
            report.add(
                name.at,
                format!("effect {:?} is in no state's does; use or remove it", name.text),
            );
        }
    }
}
