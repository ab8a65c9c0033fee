//! Manifests: YAML documents, each with the place where it was written.

use super::InputError;
use super::place::{Place, places};
use serde::Deserialize as _;
use serde_json::Value;
use std::path::Path;

/// An object of a manifest, and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The file.
    pub path: String,
    /// The first line of the document, from 1; that of the list for an object of a list.
    pub line: u64,
    /// The object.
    pub object: Value,
}

/// The objects of a YAML (or JSON) manifest; lists are taken apart.
///
/// # Errors
/// If a document is malformed, is no mapping, or is a list of something else than mappings.
pub fn manifest(path: &Path, text: &str) -> Result<Vec<Manifest>, InputError> {
    Ok(read(path, text, |_, _| Vec::new())?.into_iter().map(|(manifest, _)| manifest).collect())
}

/// The same, each with the places of its fields.
///
/// # Errors
/// As [`manifest`].
pub fn placed(path: &Path, text: &str) -> Result<Vec<(Manifest, Place)>, InputError> {
    read(path, text, places)
}

fn read(
    path: &Path,
    text: &str,
    places: impl Fn(&str, u64) -> Vec<Place>,
) -> Result<Vec<(Manifest, Place)>, InputError> {
    let path = path.display().to_string();
    let mut all = Vec::new();
    for (before, text) in documents(text) {
        let first = before + 1 + blank_lines(text);
        let fault = |line, message| InputError::Line { path: path.clone(), line, message };
        let mut places = places(text, before).into_iter();
        for document in serde_yaml::Deserializer::from_str(text) {
            let place = places.next().unwrap_or_else(|| Place::at(first));
            let document = Value::deserialize(document).map_err(|error| {
                let line = error.location().map_or(first, |at| before + at.line() as u64);
                fault(line, format!("{error}; mend the YAML"))
            })?;
            let objects = objects(document).map_err(|message| fault(first, message))?;
            let manifest = |object| Manifest { path: path.clone(), line: first, object };
            all.extend(match objects {
                Objects::One(object) => vec![(manifest(object), place)],
                Objects::Listed(items) => {
                    let place = |i| place.find(&format!("items[{i}]")).clone();
                    let items = items.into_iter().enumerate();
                    items.map(|(i, object)| (manifest(object), place(i))).collect()
                }
            });
        }
    }
    Ok(all)
}

/// The documents of a text, each with the number of lines before it. A document begins at a line
/// that begins with `---`; nothing else in YAML may.
fn documents(text: &str) -> Vec<(u64, &str)> {
    let is_marker = |line: &str| {
        line.strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let (mut begins, mut at) = (vec![(0, 0)], 0);
    for (before, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line) {
            begins.push((before as u64, at));
        }
        at += line.len();
    }
    let ends = begins.iter().skip(1).map(|(_, at)| *at).chain([text.len()]);
    let all = begins.iter().zip(ends).map(|((before, begin), end)| (*before, &text[*begin..end]));
    all.filter(|(_, text)| says_something(text)).collect()
}

/// Whether a line is more than a comment, a directive or a mark of a document's end or begin.
fn is_content(line: &str) -> bool {
    let line = line.trim();
    !(line.is_empty() || line.starts_with(['#', '%']) || matches!(line, "---" | "..."))
}

fn says_something(text: &str) -> bool {
    text.lines().any(is_content)
}

fn blank_lines(text: &str) -> u64 {
    text.lines().take_while(|line| !is_content(line)).count() as u64
}

/// What a document holds.
enum Objects {
    One(Value),
    Listed(Vec<Value>),
}

/// The objects of a document: itself, or those of a list.
fn objects(mut document: Value) -> Result<Objects, String> {
    if document.is_null() {
        return Ok(Objects::Listed(Vec::new()));
    }
    let Some(mapping) = document.as_object_mut() else {
        return Err("this document is no mapping; write an object with apiVersion, kind, \
                    metadata and spec"
            .to_owned());
    };
    let is_list = mapping.get("kind").and_then(Value::as_str).is_some_and(|k| k.ends_with("List"));
    let items = match mapping.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items,
        None | Some(_) if is_list => return Err("this list has no items; give it some".to_owned()),
        // An object of another kind may have such a field; it was only looked at.
        Some(other) => {
            mapping.insert("items".to_owned(), other);
            return Ok(Objects::One(document));
        }
        None => return Ok(Objects::One(document)),
    };
    match items.iter().position(|item| !item.is_object()) {
        Some(index) => Err(format!("items[{index}] is no mapping; write an object there")),
        None => Ok(Objects::Listed(items)),
    }
}
