//! Sets of field paths, in the form of `fieldsV1`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One step of a path. Keys and values are kept as JSON text with sorted keys, which orders them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    Key(String),
    Value(String),
}

impl Step {
    fn to_text(&self) -> String {
        match self {
            Step::Field(name) => format!("f:{name}"),
            Step::Key(json) => format!("k:{json}"),
            Step::Value(json) => format!("v:{json}"),
        }
    }

    fn parse(text: &str) -> Option<Step> {
        let (kind, rest) = text.split_once(':')?;
        let canonical = || Some(serde_json::from_str::<Value>(rest).ok()?.to_string());
        match kind {
            "f" => Some(Step::Field(rest.to_owned())),
            "k" => canonical().map(Step::Key),
            "v" => canonical().map(Step::Value),
            _ => None,
        }
    }

    /// As conflicts print it: `.spec`, `[name="x"]`, `[="v"]`.
    fn shown(&self) -> String {
        match self {
            Step::Field(name) => format!(".{name}"),
            Step::Value(json) => format!("[={json}]"),
            Step::Key(json) => {
                let map: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
                let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("[{}]", pairs.join(","))
            }
        }
    }
}

/// A set of paths, as a tree: `member` says that the path leading here is in the set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) member: bool,
    pub(crate) children: BTreeMap<Step, Set>,
}

/// Deepest path read from `managedFields`.
const MAX_DEPTH: usize = 128;

impl Set {
    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Set::is_empty)
    }

    pub(crate) fn insert(&mut self, path: &[Step]) {
        let mut node = self;
        for step in path {
            node = node.children.entry(step.clone()).or_default();
        }
        // The object itself is owned by nobody.
        node.member = !path.is_empty();
    }

    pub(crate) fn union(mut self, other: &Set) -> Set {
        self.add(other);
        self
    }

    pub(crate) fn add(&mut self, other: &Set) {
        self.member |= other.member;
        for (step, theirs) in &other.children {
            self.children.entry(step.clone()).or_default().add(theirs);
        }
    }

    pub(crate) fn intersection(&self, other: &Set) -> Set {
        let both = self.children.iter().filter_map(|(step, mine)| {
            let meet = mine.intersection(other.children.get(step)?);
            (!meet.is_empty()).then(|| (step.clone(), meet))
        });
        Set { member: self.member && other.member, children: both.collect() }
    }

    pub(crate) fn difference(&self, other: &Set) -> Set {
        let left = self.children.iter().filter_map(|(step, mine)| {
            let rest = match other.children.get(step) {
                Some(theirs) => mine.difference(theirs),
                None => mine.clone(),
            };
            (!rest.is_empty()).then(|| (step.clone(), rest))
        });
        Set { member: self.member && !other.member, children: left.collect() }
    }

    /// Takes the whole subtree at `path` out.
    pub(crate) fn remove_tree(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let step = Step::Field((*first).to_owned());
        if rest.is_empty() {
            self.children.remove(&step);
        } else if let Some(node) = self.children.get_mut(&step) {
            node.remove_tree(rest);
        }
    }

    /// Every path as text, members of a level before what lies below it.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.walk("", &mut out);
        out
    }

    fn walk(&self, prefix: &str, out: &mut Vec<String>) {
        let members = self.children.iter().filter(|(_, node)| node.member);
        out.extend(members.map(|(step, _)| format!("{prefix}{}", step.shown())));
        for (step, node) in &self.children {
            node.walk(&format!("{prefix}{}", step.shown()), out);
        }
    }

    /// The `fieldsV1` object.
    pub(crate) fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (step, node) in &self.children {
            if node.is_empty() {
                continue;
            }
            let mut below = node.to_value();
            if let (true, Value::Object(map)) = (node.member, &mut below)
                && !map.is_empty()
            {
                map.insert(".".into(), Value::Object(Map::new()));
            }
            out.insert(step.to_text(), below);
        }
        Value::Object(out)
    }

    /// Reads a `fieldsV1` object; unreadable steps are passed over.
    pub(crate) fn from_value(value: &Value) -> Set {
        let mut out = Set::read(value, 0);
        out.member = false;
        out
    }

    fn read(value: &Value, depth: usize) -> Set {
        let Some(map) = value.as_object().filter(|_| depth < MAX_DEPTH) else {
            return Set::default();
        };
        let mut out = Set { member: map.is_empty(), ..Set::default() };
        for (text, below) in map {
            if text == "." {
                out.member = true;
            } else if let Some(step) = Step::parse(text) {
                out.children.insert(step, Set::read(below, depth + 1));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_set_reads_back_from_the_form_it_is_written_in() {
        let fields = json!({"f:spec": {".": {}, "f:a": {}, "f:l": {"k:{\"name\":\"x\"}": {".": {},
            "f:name": {}}, "v:\"t\"": {}}}});
        assert_eq!(Set::from_value(&fields).to_value(), fields);
    }

    #[test]
    fn paths_are_listed_as_conflicts_list_them() {
        let fields = json!({"f:s": {"f:z": {}, "f:l": {"k:{\"b\":1,\"a\":\"x\"}": {"f:q": {}}}}});
        let expected = [".s.z", ".s.l[a=\"x\",b=1].q"];
        assert_eq!(Set::from_value(&fields).paths(), expected);
    }

    #[test]
    fn difference_takes_exact_members_only() {
        let all = Set::from_value(&json!({"f:s": {".": {}, "f:a": {}, "f:b": {}}}));
        let some = Set::from_value(&json!({"f:s": {".": {}, "f:b": {}}}));
        assert_eq!(all.difference(&some).to_value(), json!({"f:s": {"f:a": {}}}));
        assert_eq!(all.intersection(&some), some);
        assert!(some.difference(&all).is_empty());
    }
}
