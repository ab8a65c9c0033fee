//! The journal: what the engine was told and what it decided, as JSON lines chained by digest.
//!
//! A file is a header line, a snapshot line if the engine had seen something before, and then a
//! line for each input. Every line but the header holds the digest of itself and all before it,
//! so that a line that was changed, lost or moved is found; a changed header is found at the line
//! after it. Reading is bounded: nothing beyond [`MAX_LINE`] bytes of a line is read.

use crate::digest::{Digest, digest_of};
use crate::engine::{Config, Snapshot};
use crate::program::{Input, Program, Record};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};

/// The version of the lines' format.
pub const SCHEMA: u32 = 2;

/// The longest line that is read: 256 MiB, for a snapshot of a large cluster is one line.
pub const MAX_LINE: u64 = 256 << 20;

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Always `everleaf`, so that a journal is told from other JSON lines.
    pub journal: String,
    /// The version of the lines' format.
    pub schema: u32,
    /// The digest of the plan that decided.
    pub plan: Digest,
    /// The bounds of the engine.
    pub config: Config,
    /// Whatever else the program needs to decide alike, such as its options.
    pub program: serde_json::Value,
}

impl Header {
    /// A header of this build's format.
    pub fn new(plan: &everleaf_graph::Plan, config: Config, program: serde_json::Value) -> Self {
        let plan = plan_digest(plan);
        Self { journal: "everleaf".to_owned(), schema: SCHEMA, plan, config, program }
    }
}

/// The digest by which plans are compared: equal if they decide alike.
pub fn plan_digest(plan: &everleaf_graph::Plan) -> Digest {
    digest_of(plan.canonical().as_str())
}

/// A line after the header.
#[derive(Serialize, Deserialize)]
#[serde(bound = "", rename_all = "camelCase")]
pub enum Line<P: Program> {
    /// The state in which the file begins.
    Snapshot(Box<Snapshot<P>>),
    /// An input and what it led to.
    Step(Box<JournalStep<P>>),
}

/// An input and what it led to.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct JournalStep<P: Program> {
    /// Counts inputs since the operator started.
    pub seq: u64,
    /// When it came, by the wall clock.
    pub at: Timestamp,
    /// What came.
    pub input: Input<P::Kind, P::Facts>,
    /// What it led to.
    pub record: Record,
}

/// Why a journal cannot be read on. Line numbers count from 1.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("line {line}: {source}")]
    Io {
        /// The line.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// The first line is no header of a journal.
    #[error("line 1: not a journal of everleaf ({0}); give a file that `--record` wrote")]
    NotAJournal(String),
    /// A format that this build does not know.
    #[error("line 1: schema {found}, but this build reads {SCHEMA}; use the build that wrote it")]
    Schema {
        /// The schema of the file, 0 if it says none.
        found: u64,
    },
    /// A line is no JSON of the format.
    #[error("line {line}: {message}")]
    Malformed {
        /// The line.
        line: u64,
        /// What is wrong, and in which column.
        message: String,
    },
    /// A line does not follow from those before it.
    #[error("line {line}: digest {found}, expected {expected}: a line was changed, lost or moved")]
    Chain {
        /// The line.
        line: u64,
        /// The digest that it carries.
        found: Digest,
        /// The digest that it should carry.
        expected: Digest,
    },
    /// The file ends within a line, as after a crash; what came before is good.
    #[error("line {line}: torn: the file ends within it; the {good} lines before are good")]
    Torn {
        /// The line.
        line: u64,
        /// The number of whole lines.
        good: u64,
    },
}

fn chain(before: Digest, body: &[u8]) -> Digest {
    digest_of(&(before, body))
}

/// Writes one file of a journal.
pub struct Writer<W: Write> {
    out: W,
    chain: Digest,
    bytes: u64,
    /// One line: its digest, a space, its body, its end.
    line: Vec<u8>,
}

/// The digits of a digest, and the space after them.
const PREFIX: usize = 17;

impl<W: Write> Writer<W> {
    /// Begins a file with its header.
    ///
    /// # Errors
    /// If the header cannot be written.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        let body = serde_json::to_string(header)?;
        writeln!(out, "{body}")?;
        let bytes = body.len() as u64 + 1;
        let chain = chain(Digest::default(), body.as_bytes());
        Ok(Self { out, chain, bytes, line: Vec::new() })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// If it cannot be written; the file is then torn and has to be given up.
    pub fn write<P: Program>(&mut self, line: &Line<P>) -> io::Result<()> {
        self.line.clear();
        self.line.resize(PREFIX, b' ');
        serde_json::to_writer(&mut self.line, line)?;
        self.chain = chain(self.chain, &self.line[PREFIX..]);
        write!(&mut self.line[..PREFIX], "{}", self.chain)?;
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        self.out.write_all(&self.line)
    }

    /// The bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file, for whoever gave it.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Hands the lines to the operating system.
    ///
    /// # Errors
    /// If that fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads one file of a journal, line by line.
pub struct Reader<R: BufRead> {
    input: R,
    header: Header,
    chain: Digest,
    line: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If there is none of a format that this build knows.
    pub fn new(mut input: R) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        let not = |message: String| ReadError::NotAJournal(message);
        if !read_line(&mut input, 1, &mut bytes)? {
            return Err(not("the file is empty".to_owned()));
        }
        let header: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| not(error.to_string()))?;
        match header.get("journal").and_then(|name| name.as_str()) {
            Some("everleaf") => {}
            other => return Err(not(format!("it says {other:?}"))),
        }
        let schema = header.get("schema").and_then(serde_json::Value::as_u64);
        if schema != Some(u64::from(SCHEMA)) {
            return Err(ReadError::Schema { found: schema.unwrap_or(0) });
        }
        let header = serde_json::from_value(header).map_err(|error| not(error.to_string()))?;
        let chain = chain(Digest::default(), &bytes);
        Ok(Self { input, header, chain, line: 1, bytes })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number of the line that was read last.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next line; `None` at the end of the file.
    ///
    /// # Errors
    /// If the line is torn, malformed or out of the chain; nothing after it can be used.
    pub fn read<P: Program>(&mut self) -> Result<Option<Line<P>>, ReadError> {
        let line = self.line + 1;
        if !read_line(&mut self.input, line, &mut self.bytes)? {
            return Ok(None);
        }
        self.line = line;
        let malformed = |message: String| ReadError::Malformed { line, message };
        let (found, body) = split(&self.bytes).ok_or_else(|| {
            malformed("it does not begin with a digest of 16 digits and a space".to_owned())
        })?;
        let expected = chain(self.chain, body);
        if found != expected {
            return Err(ReadError::Chain { line, found, expected });
        }
        self.chain = expected;
        let body = std::str::from_utf8(body).map_err(|e| malformed(format!("not UTF-8: {e}")))?;
        serde_json::from_str(body).map(Some).map_err(|error| malformed(error.to_string()))
    }
}

/// The digest of a line, and its body.
fn split(line: &[u8]) -> Option<(Digest, &[u8])> {
    let (digest, rest) = line.split_at_checked(PREFIX - 1)?;
    let digest = std::str::from_utf8(digest).ok()?.parse().ok()?;
    Some((digest, rest.strip_prefix(b" ")?))
}

/// Reads a whole line without its end; says whether there was one before the end of the file.
fn read_line(input: &mut impl BufRead, line: u64, bytes: &mut Vec<u8>) -> Result<bool, ReadError> {
    bytes.clear();
    let mut bounded = io::Read::take(input, MAX_LINE);
    let io = |source| ReadError::Io { line, source };
    bounded.read_until(b'\n', bytes).map_err(io)?;
    match bytes.pop() {
        None => Ok(false),
        Some(b'\n') => Ok(true),
        Some(_) if bytes.len() as u64 + 1 >= MAX_LINE => {
            let message = format!("longer than {MAX_LINE} bytes");
            Err(ReadError::Malformed { line, message })
        }
        Some(_) => Err(ReadError::Torn { line, good: line - 1 }),
    }
}
