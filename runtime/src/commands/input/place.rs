//! Where in a YAML document each field stands.
//!
//! Values are read elsewhere; this walk keeps only lines, so that a fault can be told at the field
//! that has it.

use granit_parser::{Event, Parser, StrInput};

/// Deeper than this no field is placed; the one above it is named instead.
const MAX_DEPTH: usize = 128;

/// A node of a document: its line, and those below it by key, or by index in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    line: u64,
    below: Vec<(String, Place)>,
}

impl Place {
    /// A place of which only the line is known, from 1.
    pub fn at(line: u64) -> Self {
        Self { line, below: Vec::new() }
    }

    /// The line of a field such as `spec.solvers[0].dns01` or `metadata.annotations[a.test/b]`; of
    /// the nearest field around it if it is not there.
    pub fn line_of(&self, path: &str) -> u64 {
        self.find(path).line
    }

    /// The node of a field, or the nearest around it.
    pub fn find(&self, path: &str) -> &Self {
        let rest = path.strip_prefix('.').unwrap_or(path);
        let fitting = self.below.iter().filter_map(|(key, below)| Some((below, step(rest, key)?)));
        // Keys may hold dots: the longest that fits is meant.
        match fitting.min_by_key(|(_, rest)| rest.len()) {
            Some((below, rest)) => below.find(rest),
            None => self,
        }
    }
}

/// What of a path is left below a key; `None` if it does not lead there.
fn step<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    let bracketed =
        path.strip_prefix('[').and_then(|rest| rest.strip_prefix(key)?.strip_prefix(']'));
    bracketed.or_else(|| {
        path.strip_prefix(key).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// The places of every document of a text, whose first line is line `before` + 1 of its file. A text
/// that is no YAML has as many as were read before its fault.
pub fn places(text: &str, before: u64) -> Vec<Place> {
    // Another crate of the build may have the library emit comments.
    let options = granit_parser::options! { emit_comments: false };
    let mut walk = Walk { parser: Parser::new_from_str_with_options(text, options), before };
    let mut all = Vec::new();
    while let Some((event, line)) = walk.next() {
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => match walk.node(&event, line, 0) {
                Some(place) => all.push(place),
                None => break,
            },
        }
    }
    all
}

struct Walk<'t> {
    parser: Parser<'t, StrInput<'t>>,
    before: u64,
}

impl<'t> Walk<'t> {
    fn next(&mut self) -> Option<(Event<'t>, u64)> {
        let (event, span) = self.parser.next()?.ok()?;
        Some((event, self.before + span.start.line() as u64))
    }

    fn node(&mut self, event: &Event<'t>, line: u64, depth: usize) -> Option<Place> {
        if depth > MAX_DEPTH {
            return None;
        }
        let below = match event {
            Event::MappingStart(..) => self.mapping(depth)?,
            Event::SequenceStart(..) => self.sequence(depth)?,
            // A scalar, or an alias: what is below that stands elsewhere.
            _ => Vec::new(),
        };
        Some(Place { line, below })
    }

    fn sequence(&mut self, depth: usize) -> Option<Vec<(String, Place)>> {
        let mut below = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Some(below);
            }
            let place = self.node(&event, line, depth + 1)?;
            below.push((below.len().to_string(), place));
        }
    }

    fn mapping(&mut self, depth: usize) -> Option<Vec<(String, Place)>> {
        let mut below = Vec::new();
        loop {
            let (event, line) = self.next()?;
            let key = match &event {
                Event::MappingEnd => return Some(below),
                Event::Scalar(text, ..) => text.to_string(),
                _ => {
                    self.node(&event, line, depth + 1)?;
                    String::new()
                }
            };
            let (event, at) = self.next()?;
            let place = self.node(&event, at, depth + 1)?;
            // The field is where its key is, though its value may begin on a later line.
            below.push((key, Place { line, ..place }));
        }
    }
}
