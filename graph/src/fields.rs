//! Taking a mapping apart, key by key.

use crate::fault::{At, Report};
use crate::yaml::{Node, Text, Value};

/// A mapping whose keys were all checked to be known ones.
pub(crate) struct Fields {
    /// What the mapping is, for messages: `state "placing"`.
    what: String,
    at: At,
    entries: Vec<(Text, Node)>,
}

impl Fields {
    /// Opens a mapping. Unknown keys are reported and dropped.
    pub(crate) fn open(
        node: Node,
        what: impl Into<String>,
        known: &[&str],
        report: &mut Report,
    ) -> Option<Self> {
        let (what, at) = (what.into(), node.at);
        let Value::Map(entries) = node.value else {
            let noun = node.value.noun();
            report.add(at, format!("{what} is {noun}; write a mapping of {}", known.join(", ")));
            return None;
        };
        let is_known = |entry: &(Text, Node)| known.contains(&entry.0.text.as_str());
        let (entries, unknown): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_known);
        for (key, _) in unknown {
            let (key, at, known) = (key.text, key.at, known.join(", "));
            let advice = "a text with a comma wants quotes";
            report
                .add(at, format!("{what} has the unknown key {key:?}; use {known}, and {advice}"));
        }
        Some(Self { what, at, entries })
    }

    /// What is left of a mapping that could not be opened.
    pub(crate) fn empty(what: String, at: At) -> Self {
        Self { what, at, entries: Vec::new() }
    }

    /// The value of a key, if it is there.
    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        let found = self.entries.iter().position(|(known, _)| known.text == key)?;
        Some(self.entries.remove(found).1)
    }

    /// A single value that may be absent.
    pub(crate) fn text(&mut self, key: &str, report: &mut Report) -> Option<Text> {
        let node = self.take(key)?;
        scalar(node, &format!("{key} of {}", self.what), report)
    }

    /// A single value that must be there.
    pub(crate) fn need(&mut self, key: &str, report: &mut Report) -> Option<Text> {
        if !self.entries.iter().any(|(known, _)| known.text == key) {
            report.add(self.at, format!("{} has no {key}; add it", self.what));
        }
        self.text(key, report)
    }

    /// Prose that may be absent, on one line.
    pub(crate) fn prose(&mut self, key: &str, report: &mut Report) -> String {
        self.text(key, report).map(|text| one_line(&text.text)).unwrap_or_default()
    }

    /// Prose that must be there, on one line.
    pub(crate) fn need_prose(&mut self, key: &str, report: &mut Report) -> String {
        self.need(key, report).map(|text| one_line(&text.text)).unwrap_or_default()
    }

    /// `true` or `false`; false if absent.
    pub(crate) fn flag(&mut self, key: &str, report: &mut Report) -> bool {
        let Some(text) = self.text(key, report) else { return false };
        if text.text != "true" && text.text != "false" {
            let (what, value) = (&self.what, &text.text);
            report.add(text.at, format!("{key} of {what} is {value:?}; write true or false"));
        }
        text.text == "true"
    }

    /// A list of single values; empty if absent.
    pub(crate) fn texts(&mut self, key: &str, report: &mut Report) -> Vec<Text> {
        let what = format!("{key} of {}", self.what);
        let Some(node) = self.take(key) else { return Vec::new() };
        let items = list(node, &what, report);
        items.into_iter().filter_map(|item| scalar(item, &what, report)).collect()
    }

    /// The entries of a mapping from names to anything; empty if absent.
    pub(crate) fn named(&mut self, key: &str, report: &mut Report) -> Vec<(Text, Node)> {
        let what = format!("{key} of {}", self.what);
        self.take(key).map(|node| named(node, &what, report)).unwrap_or_default()
    }
}

/// The items of a list.
pub(crate) fn list(node: Node, what: &str, report: &mut Report) -> Vec<Node> {
    match node.value {
        Value::List(items) => items,
        other => {
            report.add(node.at, format!("{what} is {}; write a list [a, b]", other.noun()));
            Vec::new()
        }
    }
}

/// The entries of a mapping from names to anything.
pub(crate) fn named(node: Node, what: &str, report: &mut Report) -> Vec<(Text, Node)> {
    match node.value {
        Value::Map(entries) => entries,
        other => {
            report.add(node.at, format!("{what} is {}; write name: value pairs", other.noun()));
            Vec::new()
        }
    }
}

/// A single value that is not empty.
pub(crate) fn scalar(node: Node, what: &str, report: &mut Report) -> Option<Text> {
    match node.value {
        Value::Scalar(text) if !text.is_empty() => Some(Text { text, at: node.at }),
        other => {
            report.add(node.at, format!("{what} is {}; write a single value", other.noun()));
            None
        }
    }
}

/// Prose with every run of white space made one blank.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
