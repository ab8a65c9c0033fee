//! Checks 3 and 6: what a state waits for, and where failures end.

use crate::draft::{Draft, DraftState};
use crate::fault::Report;
use crate::model::WaitKind;

pub(crate) fn check(draft: &Draft, report: &mut Report) {
    for state in &draft.states {
        rests(draft, state, report);
    }
    let mut seen = None;
    for edge in draft.edges.iter().filter(|edge| edge.failure) {
        if seen != Some(edge.ordinal) {
            failure(draft, edge, report);
        }
        seen = Some(edge.ordinal);
    }
}

fn rests(draft: &Draft, state: &DraftState, report: &mut Report) {
    let name = &state.name.text;
    let is_deadline = |kind: &Option<WaitKind>| matches!(kind, Some(WaitKind::Deadline { .. }));
    // A wait that was reported to be wrong may be meant as anything.
    let kinds = || state.waits.iter().map(|wait| &draft.waits[*wait].kind);
    let deadline = kinds().any(|kind| kind.is_none() || is_deadline(kind));
    let effect = state.does.first().map(|effect| &draft.effects[*effect].name.text);
    if let Some(effect) = effect.filter(|_| !deadline) {
        let advice = "add a deadline to its waits";
        report
            .add(state.name.at, format!("state {name:?} does {effect:?} without limit; {advice}"));
    }
    if effect.is_some() || state.end {
        return;
    }
    if state.waits.is_empty() {
        let advice = "add a wait, or end: true";
        report.add(state.name.at, format!("state {name:?} rests without a wait; {advice}"));
    } else if kinds().all(is_deadline) {
        let advice = "add another wait, or let it do something";
        report.add(
            state.name.at,
            format!("state {name:?} waits on a deadline that no effect arms; {advice}"),
        );
    }
}

fn failure(draft: &Draft, edge: &crate::draft::DraftEdge, report: &mut Report) {
    let (name, target) = (&edge.name.text, &draft.states[edge.to]);
    let to = draft.state(edge.to);
    if target.waits.is_empty() {
        let advice = "give it a wait, or lead elsewhere";
        report.add(
            edge.at,
            format!("failure edge {name:?} ends in {to}, which has no waits; {advice}"),
        );
    }
    let mut effects = target.does.iter().map(|effect| &draft.effects[*effect]);
    if let Some(effect) = effects.find(|effect| effect.spends) {
        let (effect, advice) = (&effect.name.text, "lead to a state that waits first");
        report.add(
            edge.at,
            format!("failure edge {name:?} ends in {to}, which spends by {effect:?}; {advice}"),
        );
    }
}
