//! Pictures in the language of Graphviz.

use std::fmt::Write;

use super::picture::{Arrow, Node, Picture, Shape};

/// Draws a picture as a `digraph`.
pub fn dot(picture: &Picture) -> String {
    let mut out = format!("digraph {} {{\n", quoted(&picture.title));
    out.push_str("    rankdir=LR;\n    node [fontsize=\"15\"];\n    edge [fontsize=\"15\"];\n");
    for node in &picture.nodes {
        let (id, label) = (quoted(&node.id), text(&node.lines));
        let _ = writeln!(out, "    {id} [label={label} {}];", look(node));
    }
    for Arrow { from, to, lines, failure } in &picture.arrows {
        let (from, to) = (quoted(&picture.nodes[*from].id), quoted(&picture.nodes[*to].id));
        let style = if *failure { " style=\"dashed\" color=\"firebrick\"" } else { "" };
        let label = text(lines);
        let _ = writeln!(out, "    {from} -> {to} [label={label}{style}];");
    }
    out.push_str("}\n");
    out
}

fn look(node: &Node) -> &'static str {
    match node.shape {
        Shape::Start => "shape=\"circle\" style=\"filled\" fillcolor=\"white\"",
        Shape::Plain => "shape=\"box\" style=\"filled\" fillcolor=\"aliceblue\"",
        Shape::Goal => "shape=\"box\" style=\"filled\" fillcolor=\"palegreen\"",
        Shape::End => "shape=\"box\" style=\"filled\" fillcolor=\"lightgray\"",
        Shape::Crowd => "shape=\"box\" color=\"gray\"",
        Shape::Internal => "shape=\"box\" style=\"filled\" fillcolor=\"lightyellow\"",
    }
}

fn text(lines: &[String]) -> String {
    let lines = lines.iter().map(|line| line.replace('\\', "\\\\").replace('"', "\\\""));
    format!("\"{}\"", lines.collect::<Vec<_>>().join("\\n"))
}

fn quoted(id: &str) -> String {
    text(&[id.to_owned()])
}
