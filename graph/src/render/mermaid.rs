//! Pictures as Mermaid flowcharts, which GitHub draws in a fence.

use std::fmt::Write;

use super::picture::{Arrow, Node, Picture, Shape};

/// Draws a picture as a Mermaid flowchart.
pub fn mermaid(picture: &Picture) -> String {
    let words = picture.words();
    let mut out = String::from("flowchart TD\n");
    for (index, node) in picture.nodes.iter().enumerate() {
        let _ = writeln!(out, "    {}{}", words[&index], shape(node));
    }
    for Arrow { from, to, lines, failure } in &picture.arrows {
        let line = if *failure { "-.->" } else { "-->" };
        let label = if lines.is_empty() { String::new() } else { format!("|{}|", text(lines)) };
        let _ = writeln!(out, "    {} {line}{label} {}", words[from], words[to]);
    }
    for (index, node) in picture.nodes.iter().enumerate() {
        if node.shape == Shape::Goal {
            let _ = writeln!(out, "    style {} stroke-width:3px", words[&index]);
        }
    }
    out
}

fn shape(node: &Node) -> String {
    let text = text(&node.lines);
    match node.shape {
        Shape::Start => format!("(({text}))"),
        Shape::Plain => format!("({text})"),
        Shape::Goal => format!("([{text}])"),
        Shape::End => format!("[[{text}]]"),
        Shape::Crowd => format!("{{{{{text}}}}}"),
        Shape::Internal => format!("[/{text}/]"),
    }
}

fn text(lines: &[String]) -> String {
    let lines = lines.iter().map(|line| line.replace('"', "#quot;"));
    format!("\"{}\"", lines.collect::<Vec<_>>().join("<br/>"))
}
