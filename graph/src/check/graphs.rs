//! Checks 1, 4 and 5: what the lifecycle as a graph must be.

use petgraph::algo::dominators::simple_fast;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Bfs, Reversed};
use std::collections::{BTreeMap, VecDeque};

use crate::draft::{Draft, DraftEdge};
use crate::fault::Report;
use crate::model::{Bit, WaitKind};

/// States as nodes, and edges by their index in the draft.
type Lifecycle = DiGraph<(), usize>;

pub(crate) fn check(draft: &Draft, report: &mut Report) {
    if !draft.whole {
        return;
    }
    let graph = lifecycle(draft, |_| true);
    if let Some(start) = draft.start {
        reached(draft, &graph, start, report);
        guarded(draft, &graph, start, report);
    }
    ends(draft, &graph, report);
    paced(draft, report);
    evidence(draft, report);
}

fn lifecycle(draft: &Draft, keep: impl Fn(&DraftEdge) -> bool) -> Lifecycle {
    let mut graph = Lifecycle::new();
    for _ in &draft.states {
        graph.add_node(());
    }
    for (index, edge) in draft.edges.iter().enumerate() {
        if keep(edge) {
            graph.add_edge(NodeIndex::new(edge.from), NodeIndex::new(edge.to), index);
        }
    }
    graph
}

fn reached(draft: &Draft, graph: &Lifecycle, start: usize, report: &mut Report) {
    let mut reached = vec![false; draft.states.len()];
    let mut search = Bfs::new(graph, NodeIndex::new(start));
    while let Some(node) = search.next(graph) {
        reached[node.index()] = true;
    }
    for (index, state) in draft.states.iter().enumerate().filter(|(index, _)| !reached[*index]) {
        let (name, start) = (draft.state(index), draft.state(start));
        let advice = "add an edge that leads to it, or remove it";
        report.add(
            state.name.at,
            format!("state {name} cannot be reached from the start {start}; {advice}"),
        );
    }
}

fn ends(draft: &Draft, graph: &Lifecycle, report: &mut Report) {
    let mut leads: Vec<bool> = draft.states.iter().map(|state| state.goal || state.end).collect();
    if !leads.contains(&true) {
        let advice = "flag one goal: true or end: true";
        report.add(draft.name.at, format!("no state is a goal or an end; {advice}"));
        return;
    }
    for index in 0..draft.states.len() {
        let state = &draft.states[index];
        if state.goal || state.end {
            let mut search = Bfs::new(Reversed(graph), NodeIndex::new(index));
            while let Some(node) = search.next(Reversed(graph)) {
                leads[node.index()] = true;
            }
        }
    }
    for (index, state) in draft.states.iter().enumerate().filter(|(index, _)| !leads[*index]) {
        let (name, advice) = (draft.state(index), "add an edge towards one");
        report.add(state.name.at, format!("state {name} leads to no goal and no end; {advice}"));
    }
}

/// Check 4: without timer edges and without the ways into paced states, nothing goes round.
fn paced(draft: &Draft, report: &mut Report) {
    let paces = |wait: &usize| {
        matches!(
            draft.waits[*wait].kind,
            None | Some(WaitKind::Ladder { .. } | WaitKind::Every { .. })
        )
    };
    let unpaced = |edge: &DraftEdge| {
        let timer = edge.on.is_none_or(|on| draft.is_timer(on));
        !timer && !draft.states[edge.to].waits.iter().any(paces)
    };
    let graph = lifecycle(draft, unpaced);
    for cycle in cycles(&graph) {
        let step = |edge: &usize| {
            let DraftEdge { from, name, .. } = &draft.edges[*edge];
            format!("{} by {:?}", draft.state(*from), name.text)
        };
        let steps: Vec<String> = cycle.iter().map(step).collect();
        let (edge, steps) = (&draft.edges[cycle[0]], steps.join(", "));
        let advice = "let an edge be on due(..), or a state wait on a ladder or interval";
        report.add(edge.at, format!("nothing paces the cycle {steps}; {advice}"));
    }
}

/// One cycle, as the weights of its edges, of each knot of the graph: the shortest one through
/// the node that comes first.
pub(crate) fn cycles(graph: &DiGraph<(), usize>) -> Vec<Vec<usize>> {
    let mut knots = tarjan_scc(graph);
    knots.iter_mut().for_each(|knot| knot.sort());
    knots.sort();
    knots.iter().filter_map(|knot| round(graph, knot)).collect()
}

/// The shortest cycle within a knot through its first node.
fn round(graph: &DiGraph<(), usize>, knot: &[NodeIndex]) -> Option<Vec<usize>> {
    let first = *knot.first()?;
    let mut came: BTreeMap<NodeIndex, (NodeIndex, usize)> = BTreeMap::new();
    let mut queue = VecDeque::from([first]);
    while let Some(node) = queue.pop_front() {
        let mut out: Vec<_> = graph
            .edges(node)
            .map(|edge| (*edge.weight(), petgraph::visit::EdgeRef::target(&edge)))
            .filter(|(_, target)| knot.contains(target))
            .collect();
        out.sort();
        for (weight, target) in out {
            if target == first {
                return Some(back(&came, first, (node, weight)));
            }
            came.entry(target).or_insert_with(|| {
                queue.push_back(target);
                (node, weight)
            });
        }
    }
    None
}

fn back(
    came: &BTreeMap<NodeIndex, (NodeIndex, usize)>,
    first: NodeIndex,
    (mut node, weight): (NodeIndex, usize),
) -> Vec<usize> {
    let mut path = vec![weight];
    while node != first
        && let Some((previous, weight)) = came.get(&node)
    {
        path.push(*weight);
        node = *previous;
    }
    path.reverse();
    path
}

/// Check 5, first half: every way from the start goes through the state named.
fn guarded(draft: &Draft, graph: &Lifecycle, start: usize, report: &mut Report) {
    let dominators = simple_fast(graph, NodeIndex::new(start));
    for pass in &draft.must_pass {
        let (state, through) = (draft.state(pass.state), draft.state(pass.through));
        if pass.state == pass.through {
            report.add(pass.at, format!("must_pass: {state} guards itself; name another state"));
            continue;
        }
        // A state that cannot be reached has no dominators; that is a fault of its own.
        let Some(mut above) = dominators.strict_dominators(NodeIndex::new(pass.state)) else {
            continue;
        };
        if !above.any(|node| node.index() == pass.through) {
            let advice = "remove the edge that leads around it";
            report.add(
                pass.at,
                format!("must_pass: {state} can be reached around {through}; {advice}"),
            );
        }
    }
}

/// Check 5, second half: the guarded state demands the evidence.
fn evidence(draft: &Draft, report: &mut Report) {
    for pass in &draft.must_pass {
        let (Some(evidence), state) = (pass.evidence, &draft.states[pass.state]) else { continue };
        let (name, literal) = (draft.state(pass.state), draft.literal(evidence));
        let is_fact = matches!(draft.bits[usize::from(evidence.bit)], Bit::Fact(_));
        if evidence.negated || !is_fact {
            let advice = "name a fact that the state behind leaves true";
            report.add(pass.at, format!("must_pass: {literal} is no evidence; {advice}"));
        } else if !state.when.contains(&evidence) && state.understood {
            let advice = "add it there";
            report.add(
                pass.at,
                format!("must_pass: the when of {name} does not ask for {literal}; {advice}"),
            );
        }
    }
}
