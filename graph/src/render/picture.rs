//! What there is to draw of a machine, or of the feeds.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Edge, Machine, Plan};

/// An edge that leaves at least this many states is drawn once, from a node that names them.
const CROWD: usize = 4;
/// How many states a node that names states has on a line.
const NAMES_PER_LINE: usize = 3;

/// Nodes and arrows between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What is drawn: a machine's name, or `feeds`.
    pub title: String,
    /// The nodes, in the order of the plan.
    pub nodes: Vec<Node>,
    /// The arrows, at most one between two nodes in one direction.
    pub arrows: Vec<Arrow>,
}

/// A node of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Unique in the picture.
    pub id: String,
    /// What is written in it.
    pub lines: Vec<String>,
    /// What it stands for.
    pub shape: Shape,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// The point from which an arrow leads to the first state.
    Start,
    /// A state, or a kind that the API server delivers.
    Plain,
    /// A state that is a goal.
    Goal,
    /// A state that is an end.
    End,
    /// Several states that an edge leaves.
    Crowd,
    /// A kind that our own process delivers.
    Internal,
}

/// An arrow of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// Where it begins, an index into the nodes.
    pub from: usize,
    /// Where it ends, an index into the nodes.
    pub to: usize,
    /// What is written along it: for each edge its name and, in brackets, its trigger.
    pub lines: Vec<String>,
    /// Whether it is taken only because something failed.
    pub failure: bool,
}

impl Picture {
    /// The states and edges of a machine.
    pub fn lifecycle(machine: &Machine) -> Self {
        let mut picture = Self::empty(&machine.name);
        for state in &machine.states {
            let shape = match (state.goal, state.end) {
                (true, _) => Shape::Goal,
                (false, true) => Shape::End,
                (false, false) => Shape::Plain,
            };
            picture.node(&state.name, vec![state.name.clone()], shape);
        }
        let start = picture.node("the start", vec!["start".to_owned()], Shape::Start);
        picture.arrow(start, machine.start, &[], false);
        for edges in machine.edges.chunk_by(|a, b| a.ordinal == b.ordinal) {
            picture.edges(machine, edges);
        }
        picture
    }

    /// The watched kinds, with an arrow to each kind whose machine they wake.
    pub fn feeds(plan: &Plan) -> Self {
        let mut picture = Self::empty("feeds");
        for watch in &plan.feeds.watches {
            let shape = if watch.internal { Shape::Internal } else { Shape::Plain };
            picture.node(&watch.kind, vec![watch.kind.clone()], shape);
        }
        for reader in &plan.feeds.readers {
            let object = plan.feeds.watch(&plan.machines[reader.machine].object);
            for feed in &reader.kinds {
                if let Some(object) = object.filter(|object| *object != feed.watch) {
                    picture.arrow(feed.watch, object, &[], false);
                }
            }
        }
        picture
    }

    fn empty(title: &str) -> Self {
        Self { title: title.to_owned(), nodes: Vec::new(), arrows: Vec::new() }
    }

    /// Adds a node unless one of that id is there.
    fn node(&mut self, id: &str, lines: Vec<String>, shape: Shape) -> usize {
        if let Some(known) = self.nodes.iter().position(|node| node.id == id) {
            return known;
        }
        self.nodes.push(Node { id: id.to_owned(), lines, shape });
        self.nodes.len() - 1
    }

    /// Adds an arrow, or a line to the one that is there.
    fn arrow(&mut self, from: usize, to: usize, label: &[String], failure: bool) {
        let known = self.arrows.iter_mut().find(|arrow| arrow.from == from && arrow.to == to);
        match known {
            Some(arrow) => {
                arrow.lines.extend_from_slice(label);
                arrow.failure &= failure;
            }
            None => {
                let lines = label.to_vec();
                self.arrows.push(Arrow { from, to, lines, failure });
            }
        }
    }

    /// Draws the edges that were written as one.
    fn edges(&mut self, machine: &Machine, edges: &[Edge]) {
        let Some(Edge { name, to, on, failure, .. }) = edges.first() else { return };
        let label = [name.clone(), format!("[{}]", machine.literal(*on))];
        if edges.len() < CROWD {
            for edge in edges {
                self.arrow(edge.from, *to, &label, *failure);
            }
            return;
        }
        let sources: BTreeSet<usize> = edges.iter().map(|edge| edge.from).collect();
        let lines = crowd(machine, &sources, *to);
        let from = self.node(&lines.join(" "), lines, Shape::Crowd);
        self.arrow(from, *to, &label, *failure);
    }

    /// Ids of the nodes that are plain words, by index.
    pub(crate) fn words(&self) -> BTreeMap<usize, String> {
        let word = |index: usize, node: &Node| match node.shape {
            Shape::Crowd => format!("crowd_{index}"),
            Shape::Start => "start".to_owned(),
            _ => format!("s_{}", node.id.replace('-', "_")),
        };
        self.nodes.iter().enumerate().map(|(index, node)| (index, word(index, node))).collect()
    }
}

/// What is written in a node that stands for many states: the names, or those left out.
fn crowd(machine: &Machine, sources: &BTreeSet<usize>, to: usize) -> Vec<String> {
    let states = machine.states.iter().enumerate();
    let left_out = states
        .filter(|(index, state)| !sources.contains(index) && !state.end && *index != to)
        .map(|(index, _)| index);
    let left_out: Vec<usize> = left_out.collect();
    let ends = sources.iter().any(|index| machine.states[*index].end);
    let names = |indices: &[usize]| -> Vec<String> {
        let names = indices.iter().map(|index| machine.states[*index].name.as_str());
        let names: Vec<&str> = names.collect();
        let lines = names.chunks(NAMES_PER_LINE).map(|line| line.join(", "));
        lines.collect::<Vec<_>>().join(",\n").lines().map(str::to_owned).collect()
    };
    if ends || left_out.len() >= sources.len() {
        return names(&sources.iter().copied().collect::<Vec<_>>());
    }
    let mut lines = vec!["any state".to_owned()];
    if !left_out.is_empty() {
        lines[0].push_str(" but");
        lines.extend(names(&left_out));
    }
    lines
}
