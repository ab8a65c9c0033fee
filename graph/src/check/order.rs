//! Check 2: the order of states, and what answers a trigger.

use std::collections::BTreeMap;

use crate::draft::{Draft, DraftEdge};
use crate::fault::Report;

/// How many branches the search for a truth word may take before it lets a state pass.
const MAX_BRANCHES: usize = 10_000;

/// The bits that must be set, and those that must be clear.
type Masks = (u64, u64);

pub(crate) fn check(draft: &Draft, report: &mut Report) {
    answers(draft, report);
    matter(draft, report);
    whens(draft, report);
    for index in 0..draft.states.len() {
        shadow(draft, index, report);
    }
}

fn answers(draft: &Draft, report: &mut Report) {
    let mut first = BTreeMap::new();
    for edge in &draft.edges {
        let Some(on) = edge.on else { continue };
        if let Some(known) = first.get(&(edge.from, on)) {
            let known: &&DraftEdge = known;
            let (name, other, line) = (&edge.name.text, &known.name.text, known.at.line);
            let (on, from) = (draft.literal(on), draft.state(edge.from));
            let also = format!("as edge {other:?} on line {line} does");
            report.add(
                edge.at,
                format!("edge {name:?} answers {on} in state {from}, {also}; keep one of them"),
            );
        }
        first.entry((edge.from, on)).or_insert(edge);
    }
}

/// Check 8: a trigger turns an object's state only if some `when` that is tried up to the later
/// of the two states asks for it.
fn matter(draft: &Draft, report: &mut Report) {
    for edge in &draft.edges {
        let (name, from) = (&edge.name.text, draft.state(edge.from));
        if edge.from == edge.to {
            let advice = "list a wait in the state instead";
            report.add(edge.at, format!("edge {name:?} leads from {from} to itself; {advice}"));
            continue;
        }
        let Some(on) = edge.on else { continue };
        let tried = &draft.states[..=edge.from.max(edge.to)];
        if tried.iter().any(|state| !state.understood) {
            continue;
        }
        let asks = tried.iter().flat_map(|state| &state.when).any(|literal| literal.bit == on.bit);
        if !asks {
            let (on, to) = (draft.literal(on), draft.state(edge.to));
            let advice = "put it into a when, or give the edge another trigger";
            report.add(
                edge.at,
                format!("edge {name:?}: {on} cannot matter between {from} and {to}; {advice}"),
            );
        }
    }
}

fn whens(draft: &Draft, report: &mut Report) {
    let last = draft.states.len().saturating_sub(1);
    for (index, state) in draft.states.iter().enumerate() {
        let name = &state.name.text;
        let empty = state.when.is_empty() && state.understood;
        if index < last && empty {
            let advice = "give it one, or make it the last";
            report.add(state.name.at, format!("state {name:?} has no when; {advice}"));
        }
        if index == last && !empty {
            let advice = "remove it, or add a last state without one";
            report.add(
                state.name.at,
                format!("state {name:?} is the last, but has a when; {advice}"),
            );
        }
    }
}

fn shadow(draft: &Draft, index: usize, report: &mut Report) {
    let (state, earlier) = (&draft.states[index], &draft.states[..index]);
    let (name, at) = (&state.name.text, state.name.at);
    let (required, forbidden) = state.masks();
    if required & forbidden != 0 {
        let both =
            state.when.iter().find(|literal| !literal.negated && literal.mask() & forbidden != 0);
        let both = both.map(|literal| draft.literal(*literal)).unwrap_or_default();
        report.add(at, format!("state {name:?} asks for {both} and not {both}; remove one"));
        return;
    }
    if earlier.iter().any(|state| !state.understood || state.when.is_empty()) || !state.understood {
        return;
    }
    let covers = |earlier: &Masks| earlier.0 & !required == 0 && earlier.1 & !forbidden == 0;
    let masks: Vec<Masks> = earlier.iter().map(|state| state.masks()).collect();
    let advice = "move it up, or add a literal that tells them apart";
    if let Some(cover) = masks.iter().position(covers) {
        let (other, line) = (draft.state(cover), draft.states[cover].name.at.line);
        report.add(at, format!("state {name:?} is shadowed by {other} on line {line}; {advice}"));
    } else if !enterable((required, forbidden), &masks, &mut MAX_BRANCHES.clone()) {
        report.add(at, format!("state {name:?} is shadowed by those before it together; {advice}"));
    }
}

/// Whether some truth word satisfies the first masks and none of the others. Gives up, with yes,
/// after as many branches as are left.
fn enterable(own: Masks, others: &[Masks], left: &mut usize) -> bool {
    if *left == 0 {
        return true;
    }
    *left -= 1;
    let open = |other: &&Masks| other.0 & own.1 == 0 && other.1 & own.0 == 0;
    let free = |other: &Masks| (other.0 & !own.0, other.1 & !own.1);
    let narrowest = others.iter().filter(open).map(free);
    let narrowest = narrowest.min_by_key(|free| free.0.count_ones() + free.1.count_ones());
    let Some((set, clear)) = narrowest else { return true };
    let bits = (0..64).map(|bit| 1 << bit);
    bits.into_iter().any(|bit: u64| {
        (set & bit != 0 && enterable((own.0, own.1 | bit), others, left))
            || (clear & bit != 0 && enterable((own.0 | bit, own.1), others, left))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five bits that look like chance.
    fn next(seed: &mut u64) -> u64 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 40) & 31
    }

    /// Masks over five bits that do not contradict themselves.
    fn masks(seed: &mut u64) -> Masks {
        let (required, forbidden) = (next(seed) & next(seed), next(seed) & next(seed));
        (required & !forbidden, forbidden & !required)
    }

    #[test]
    fn a_state_is_let_pass_exactly_if_some_truth_word_leads_to_it() {
        let (mut seed, mut shut) = (1, 0);
        for _ in 0..2_000 {
            let (own, others) = (masks(&mut seed), [(); 5].map(|()| masks(&mut seed)));
            let holds = |truth: u64, masks: &Masks| truth & (masks.0 | masks.1) == masks.0;
            let enters =
                |truth| holds(truth, &own) && !others.iter().any(|other| holds(truth, other));
            let found = (0..32).any(enters);
            assert_eq!(
                enterable(own, &others, &mut MAX_BRANCHES.clone()),
                found,
                "{own:?} {others:?}"
            );
            shut += u32::from(!found);
        }
        assert!((100..1_900).contains(&shut), "both answers come up: {shut}");
    }
}
