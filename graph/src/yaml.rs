//! From YAML text to a tree in which every node knows its place.
//!
//! The only module that knows the YAML library. The notation needs mappings, lists and scalars;
//! anchors, aliases, tags and several documents in one file are faults.

use granit_parser::{Event, Parser, Span};

use crate::fault::{At, Report};

/// The longest text that is read, in bytes; specs are a few kilobytes.
const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting that is read; the notation needs five.
const MAX_DEPTH: usize = 8;

/// A scalar and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) at: At,
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

/// What a node holds. Scalars stay text: the notation decides what they mean.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Text, Node)>),
}

impl Value {
    /// The word for this kind of node in a message.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Value::Scalar(text) if text.is_empty() => "empty",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads one document. `None` means that a fault was reported that leaves nothing to go on with.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > MAX_BYTES {
        report.add(At::TOP, format!("the file is longer than {MAX_BYTES} bytes; split it"));
        return None;
    }
    // Another crate of the build may have the library emit comments.
    let options = granit_parser::options! { emit_comments: false };
    let mut reader = Reader { parser: Parser::new_from_str_with_options(text, options), report };
    let root = reader.document();
    if matches!(root, Ok(None)) {
        report.add(At::TOP, "the file is empty; write a machine, or the feeds");
    }
    root.ok().flatten()
}

/// A fault was reported after which the text cannot be read on.
struct Broken;

struct Reader<'t, 'r> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    report: &'r mut Report,
}

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Result<Option<Node>, Broken> {
        let mut root = None;
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                _ if root.is_some() => return self.refuse(at, "a second document", "keep one"),
                event => root = Some(self.node(event, at, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, At), Broken> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => self.syntax(&error),
            None => Ok((Event::StreamEnd, At::TOP)),
        }
    }

    fn syntax<T>(&mut self, error: &granit_parser::ScanError) -> Result<T, Broken> {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        let info = error.info();
        let advice = "mend the YAML; a text that holds a colon or a comma wants quotes";
        self.report.add(At { line, column }, format!("this is no YAML: {info}; {advice}"));
        Err(Broken)
    }

    fn refuse<T>(&mut self, at: At, what: &str, advice: &str) -> Result<T, Broken> {
        self.report.add(at, format!("{what} is not part of the notation; {advice}"));
        Err(Broken)
    }

    fn node(&mut self, event: Event<'t>, at: At, depth: usize) -> Result<Node, Broken> {
        if depth > MAX_DEPTH {
            return self.refuse(at, "nesting as deep as this", "make it flat");
        }
        let value = match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => {
                return self.refuse(at, "a tag", "remove it");
            }
            Event::Scalar(text, _, 0, _) => Value::Scalar(text.into_owned()),
            Event::SequenceStart(_, 0, _) => Value::List(self.list(depth)?),
            Event::MappingStart(_, 0, _) => Value::Map(self.map(depth)?),
            _ => return self.refuse(at, "an anchor or alias", "write the value out"),
        };
        Ok(Node { at, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Broken> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(list),
                (event, at) => list.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Text, Node)>, Broken> {
        let mut map: Vec<(Text, Node)> = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(map);
            }
            let key = self.key(event, at, depth)?;
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            match map.iter().find(|(known, _)| known.text == key.text) {
                Some((first, _)) => self.duplicate(&key, first.at.line),
                None => map.push((key, value)),
            }
        }
    }

    fn key(&mut self, event: Event<'t>, at: At, depth: usize) -> Result<Text, Broken> {
        match self.node(event, at, depth + 1)?.value {
            Value::Scalar(text) => Ok(Text { text, at }),
            _ => self.refuse(at, "a key that is a list or a mapping", "write a name"),
        }
    }

    fn duplicate(&mut self, key: &Text, first: usize) {
        let name = &key.text;
        self.report
            .add(key.at, format!("{name:?} is given twice, first on line {first}; keep one"));
    }
}

fn place(span: &Span) -> At {
    At { line: span.start.line(), column: span.start.col() + 1 }
}
