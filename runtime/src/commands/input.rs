//! Reading what people have: JSON documents as `kubectl get -o json [--watch]` writes them, one
//! after the other, and YAML manifests. Bounded; an error names file, line and remedy.

use serde::Deserialize as _;
use serde_json::Value;
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

/// The files of a path: itself, or those of a directory that end in `extension`, sorted.
///
/// # Errors
/// If the directory cannot be read or holds none.
pub fn files(path: &Path, extension: &str) -> Result<Vec<PathBuf>, InputError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| file_error(path, error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|ext| ext == extension))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(file_error(path, format!("no .{extension} file in this directory")));
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
        items.into_iter().for_each(|item| take(item, all));
    } else {
        all.push(Shown { event: "ADDED".to_owned(), object: document });
    }
}

/// The documents of a YAML (or JSON) manifest.
///
/// # Errors
/// If a document is malformed, with its line.
pub fn manifest(path: &Path, text: &str) -> Result<Vec<Value>, InputError> {
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        match Value::deserialize(document) {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(value),
            Err(error) => {
                let line = error.location().map_or(1, |at| at.line() as u64);
                let (path, message) = (path.display().to_string(), error.to_string());
                return Err(InputError::Line { path, line, message });
            }
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_watch_events_and_single_objects_may_follow_one_another() {
        let text = r#"{"kind":"List","items":[{"kind":"A"},{"kind":"B"}]}
{"type":"MODIFIED","object":{"kind":"C"}}
{"kind":"D"}"#;
        let found = shown(Path::new("x.json"), text).expect("it is well-formed");
        let kinds: Vec<_> = found.iter().map(|s| s.object["kind"].as_str()).collect();
        assert_eq!(kinds, [Some("A"), Some("B"), Some("C"), Some("D")]);
        assert_eq!(found[2].event, "MODIFIED");
    }

    #[test]
    fn a_malformed_document_is_named_by_its_line() {
        let error = shown(Path::new("x.json"), "{}\n{\"a\": }\n").expect_err("line 2 is broken");
        assert!(error.to_string().starts_with("x.json:2:"), "{error}");
    }

    #[test]
    fn a_malformed_manifest_is_named_by_its_line() {
        let error = manifest(Path::new("x.yaml"), "a: 1\nb: [\n").expect_err("it is unclosed");
        assert!(matches!(error, InputError::Line { .. }), "{error}");
    }
}
