//! Check 7: what is read is watched, and readers form no circle.

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::check::graphs::cycles;
use crate::draft::Draft;
use crate::fault::{At, Report};
use crate::raw::RawFeeds;

/// An edge from a kind to the kind whose machine reads it, and where that is written.
struct Read<'f> {
    kind: &'f str,
    machine: &'f str,
    at: At,
}

/// Checks the file of feeds; `stems` are the files there are, even if they could not be read.
pub(crate) fn feeds(feeds: &RawFeeds, machines: &[&Draft], stems: &[String], report: &mut Report) {
    let mut reads = Vec::new();
    let mut graph = DiGraph::new();
    for _ in &feeds.watches {
        graph.add_node(());
    }
    let watch = |kind: &str| feeds.watches.iter().position(|watch| watch.kind.text == kind);
    for (name, kinds) in &feeds.readers {
        let machine = machines.iter().find(|machine| machine.name.text == name.text);
        if machine.is_none() && !stems.contains(&name.text) {
            let (name, at) = (&name.text, name.at);
            report.add(at, format!("feeds name the unknown machine {name:?}; write {name}.yaml"));
        }
        let object = machine.and_then(|machine| machine.object.as_ref());
        let object = object.and_then(|object| watch(&object.text));
        for (kind, _) in kinds {
            let (text, at) = (&kind.text, kind.at);
            let Some(read) = watch(text) else {
                let advice = "declare it under watches";
                report.add(
                    at,
                    format!("machine {:?} reads {text:?}, unwatched; {advice}", name.text),
                );
                continue;
            };
            if let Some(object) = object.filter(|object| *object != read) {
                graph.add_edge(NodeIndex::new(read), NodeIndex::new(object), reads.len());
                reads.push(Read { kind: text, machine: &name.text, at });
            }
        }
    }
    circles(&graph, &reads, report);
}

fn circles(graph: &DiGraph<(), usize>, reads: &[Read<'_>], report: &mut Report) {
    if toposort(graph, None).is_ok() {
        return;
    }
    for cycle in cycles(graph) {
        let step = |read: &usize| format!("{} wakes {:?}", reads[*read].kind, reads[*read].machine);
        let steps: Vec<String> = cycle.iter().map(step).collect();
        let advice = "let one of them learn it from the API server in another way";
        report
            .add(reads[cycle[0]].at, format!("the feeds go round: {}; {advice}", steps.join(", ")));
    }
}

/// Checks that the kind of a machine's own objects is watched.
pub(crate) fn object(draft: &Draft, feeds: &RawFeeds, report: &mut Report) {
    let Some(kind) = &draft.object else { return };
    if !feeds.watches.iter().any(|watch| watch.kind.text == kind.text) {
        let name = &kind.text;
        report.add(
            kind.at,
            format!("object {name:?} is not watched; add it to the watches of feeds"),
        );
    }
}
