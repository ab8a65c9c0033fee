//! What a file begins like, and why one cannot be read.

use crate::commands::Failure;
use everleaf_engine::journal::ReadError;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// What is wrong with a file.
pub(in crate::commands) fn at(path: &Path, message: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("{}: {message}", path.display()))
}

/// What a file begins like.
pub enum Content {
    /// A journal's header.
    Journal,
    /// Nothing, or a journal's header that is torn.
    NoLine,
    /// Anything else.
    Other,
}

/// Looks at the first line of a file.
///
/// # Errors
/// If it cannot be read.
pub(in crate::commands) fn content(path: &Path) -> Result<Content, Failure> {
    let mut first = Vec::new();
    let file = File::open(path).map_err(|error| at(path, error))?;
    let mut file = std::io::Read::take(BufReader::new(file), HEADER_MAX);
    file.read_until(b'\n', &mut first).map_err(|error| at(path, error))?;
    let is_journal = first.starts_with(JOURNAL);
    let is_torn = is_journal && first.last() != Some(&b'\n') && (first.len() as u64) < HEADER_MAX;
    Ok(match is_journal {
        _ if first.is_empty() || is_torn => Content::NoLine,
        true => Content::Journal,
        false => Content::Other,
    })
}

/// How the first line of a journal begins.
const JOURNAL: &[u8] = b"{\"journal\":";
/// So much of a first line is looked at.
const HEADER_MAX: u64 = 1 << 20;

/// Why a journal cannot be read, with file, line and remedy.
pub(in crate::commands) fn unreadable(path: &Path, error: &ReadError) -> Failure {
    let (line, message) = match error {
        ReadError::Chain { line, found, expected } => {
            let good = line - 1;
            let message = format!(
                "its digest is {found}, but what is in it and before it has {expected}: this line \
                 was changed, or one before it was changed, lost or moved. Take the file anew from \
                 where it was recorded, or replay what is before it: head -n {good}"
            );
            (*line, message)
        }
        ReadError::Malformed { line, message } => {
            let good = line - 1;
            let remedy = format!("replay what is before it: head -n {good}");
            (*line, format!("no line of a journal: {message}; {remedy}"))
        }
        ReadError::Io { line, source } => (*line, source.to_string()),
        other @ (ReadError::NotAJournal(_) | ReadError::Schema { .. } | ReadError::Torn { .. }) => {
            return at(path, other);
        }
    };
    Failure::Usage(format!("{}:{line}: {message}", path.display()))
}
