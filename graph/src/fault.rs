//! What is wrong with a plan, and where.

use std::fmt;

/// A place in a text; both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl At {
    /// Where faults of a whole file are reported.
    pub(crate) const TOP: At = At { line: 1, column: 1 };
}

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as it was named to [`crate::Plan::load`].
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1 in characters.
    pub column: usize,
    /// What is wrong, with the state or edge named, a semicolon, and what to do.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Everything that is wrong with a plan, by file and line; never empty. Displayed one per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults, sorted by file, line and column.
    pub fn list(&self) -> &[Fault] {
        &self.0
    }

    pub(crate) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort();
        faults.dedup();
        Self(faults)
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

/// Collects the faults of one file.
pub(crate) struct Report {
    file: String,
    faults: Vec<Fault>,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), faults: Vec::new() }
    }

    pub(crate) fn add(&mut self, at: At, message: impl Into<String>) {
        let (file, At { line, column }) = (self.file.clone(), at);
        self.faults.push(Fault { file, line, column, message: message.into() });
    }

    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }
}
