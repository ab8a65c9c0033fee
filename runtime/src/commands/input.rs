//! Reading what people have: JSON documents as `kubectl get -o json [--watch]` writes them, one
//! after the other, and YAML manifests. Bounded; an error names file, line and remedy.

mod manifest;
mod place;

pub use manifest::{Manifest, manifest, placed};
pub use place::Place;

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The largest file that is read: 1 GiB.
const FILE_MAX: u64 = 1 << 30;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
    /// It is not of the expected form.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what to do.
        message: String,
    },
}

/// An object, and how a watch showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// `ADDED`, `MODIFIED`, `DELETED`; `ADDED` for an object of a list.
    pub event: String,
    /// The object.
    pub object: Value,
}

fn file_error(path: &Path, message: impl ToString) -> InputError {
    InputError::File { path: path.display().to_string(), message: message.to_string() }
}

/// Reads a file whole.
///
/// # Errors
/// If it cannot be read or is larger than 1 GiB.
pub fn read(path: &Path) -> Result<String, InputError> {
    let size = fs::metadata(path).map_err(|error| file_error(path, error))?.len();
    if size > FILE_MAX {
        return Err(file_error(path, format!("{size} bytes are more than {FILE_MAX}")));
    }
    fs::read_to_string(path).map_err(|error| file_error(path, error))
}

/// The files of a path: itself, or those of a directory that end in one of the `extensions`,
/// sorted.
///
/// # Errors
/// If the directory cannot be read or holds none.
pub fn files(path: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, InputError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| file_error(path, error))?;
    let is_one = |file: &PathBuf| {
        file.extension().is_some_and(|found| extensions.iter().any(|one| found == *one))
    };
    let mut files: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_one).collect();
    files.sort();
    if files.is_empty() {
        let wanted: Vec<String> = extensions.iter().map(|one| format!(".{one}")).collect();
        let wanted = wanted.join(" or ");
        return Err(file_error(path, format!("no {wanted} file in this directory")));
    }
    Ok(files)
}

/// The objects of JSON documents that follow one another: lists, objects, and watch events.
///
/// # Errors
/// If a document is malformed, with its line.
pub fn shown(path: &Path, text: &str) -> Result<Vec<Shown>, InputError> {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut all = Vec::new();
    loop {
        let offset = documents.byte_offset();
        match documents.next() {
            None => return Ok(all),
            Some(Ok(document)) => take(document, &mut all),
            Some(Err(error)) => {
                let before = text.get(..offset).unwrap_or_default().lines().count() as u64;
                let line = if error.line() > 0 { error.line() as u64 } else { before + 1 };
                let message = format!(
                    "{error}; expected documents as `kubectl get -o json [--watch]` writes them"
                );
                let path = path.display().to_string();
                return Err(InputError::Line { path, line, message });
            }
        }
    }
}

fn take(mut document: Value, all: &mut Vec<Shown>) {
    let is_event = document.get("type").is_some_and(Value::is_string)
        && document.get("object").is_some_and(Value::is_object);
    if is_event {
        let event = document["type"].as_str().unwrap_or_default().to_owned();
        let object = document["object"].take();
        if event != "BOOKMARK" {
            all.push(Shown { event, object });
        }
    } else if let Some(Value::Array(items)) = document.get_mut("items").map(Value::take) {
        let item = item_of(&document);
        items.into_iter().for_each(|one| take(with_kind(one, item.as_ref()), all));
    } else {
        all.push(Shown { event: "ADDED".to_owned(), object: document });
    }
}

/// apiVersion and kind of a typed list's items, which do not say it themselves.
fn item_of(list: &Value) -> Option<(Value, Value)> {
    let kind = list.get("kind").and_then(Value::as_str)?.strip_suffix("List")?;
    (!kind.is_empty()).then(|| (list["apiVersion"].clone(), json!(kind)))
}

fn with_kind(mut item: Value, of_list: Option<&(Value, Value)>) -> Value {
    if let (Some(mapping), Some((version, kind))) = (item.as_object_mut(), of_list) {
        mapping.entry("apiVersion").or_insert_with(|| version.clone());
        mapping.entry("kind").or_insert_with(|| kind.clone());
    }
    item
}

#[cfg(test)]
mod tests;
