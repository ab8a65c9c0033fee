//! Recordings without names: every name, namespace, host, address, label and URL is replaced by a
//! pseudonym, the same one wherever it stands, so that what belongs together can still be told.
//!
//! Names are replaced word by word: `web-1` of `web` stays recognizable as such, and so does a
//! host of a domain. A pseudonym is a keyed hash; the key is drawn for one run and written nowhere.
//! Prose, such as an error's message, keeps the words that this program or its plan use anyway,
//! unless they are part of a name somewhere in the recording.

use super::Failure;
use crate::commands::recording::{REDACTED, Recording, at, unreadable};
use aws_lc_rs::hmac;
use everleaf_engine::journal::{Header, Line, ReadError, Reader, Writer};
use everleaf_graph::Plan;
use everleaf_nodes::budget::{LETS_ENCRYPT, LETS_ENCRYPT_STAGING};
use everleaf_nodes::{Everleaf, Kind};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// The words of the texts in this program.
const WORDS: &str = include_str!("words.txt");

/// Members whose text is written for people.
const PROSE: [&str; 11] = [
    "message",
    "messages",
    "detail",
    "reason",
    "error",
    "broken",
    "chainFault",
    "path",
    "problem",
    "about",
    "problems",
];
/// Members whose value is one of a few words.
const WORD: [&str; 7] = ["kind", "type", "status", "class", "state", "initial", "step"];
/// Members that hold maps whose keys are names.
const MAPS: [&str; 8] =
    ["labels", "annotations", "buckets", "beside", "matchLabels", "data", "queues", "tenants"];
/// Members that hold names whatever they say.
const NAMES: [&str; 12] = [
    "ns",
    "name",
    "namespace",
    "uid",
    "value",
    "lane",
    "item",
    "secret",
    "secretName",
    "dns",
    "dnsNames",
    "dnsName",
];
/// Words that stand for a case in which nothing more is said.
const CASES: [&str; 44] = [
    "conflict",
    "transient",
    "unknown",
    "throttled",
    "forbidden",
    "invalid",
    "rejected",
    "wait",
    "rateLimited",
    "user",
    "paused",
    "pending",
    "ready",
    "processing",
    "valid",
    "expired",
    "errored",
    "http01",
    "dns01",
    "tlsAlpn01",
    "ed25519",
    "missing",
    "unread",
    "none",
    "idle",
    "retry",
    "deadline",
    "tick",
    "clockStepped",
    "Idle",
    "Retry",
    "Deadline",
    "http-01",
    "dns-01",
    "tls-alpn-01",
    "everleaf",
    "memory",
    "say",
    "guard",
    "literal",
    "LegacyRc2",
    "LegacyDes",
    "Modern2023",
    "Modern2026",
];
/// Whose annotations and groups are known to everybody.
const PUBLIC: [&str; 4] = ["cert-manager.io", "everleaf.dev", "kubernetes.io", "k8s.io"];

/// Writes the journals of a recording to a directory, without names. Answers their files.
///
/// # Errors
/// [`Failure::Usage`] if the recording cannot be read, or the directory is not empty or cannot be
/// written.
pub fn write(recording: &Recording, out: &Path, plan: &Plan) -> Result<Vec<PathBuf>, Failure> {
    fs::create_dir_all(out).map_err(|error| at(out, error))?;
    if fs::read_dir(out).map_err(|error| at(out, error))?.next().is_some() {
        return Err(at(out, "this directory is not empty; name another"));
    }
    let mut redactor = Redactor::new(plan)?;
    for path in recording.files() {
        let header = each_line(path, |line| {
            redactor.learn(None, &line);
            Ok(())
        })?;
        redactor.learn(None, &header.program);
    }
    recording.files().iter().map(|path| copy(path, out, &redactor)).collect()
}

fn copy(path: &Path, out: &Path, redactor: &Redactor) -> Result<PathBuf, Failure> {
    let to = out.join(path.file_name().unwrap_or(path.as_os_str()));
    let mut header = open(path)?.header().clone();
    redactor.replace(None, &mut header.program);
    if let Some(options) = header.program.as_object_mut() {
        options.insert(REDACTED.to_owned(), Value::Bool(true));
    }
    let file = File::create_new(&to).map_err(|error| at(&to, error))?;
    let mut writer = Writer::new(BufWriter::new(file), &header).map_err(|error| at(&to, error))?;
    each_line(path, |mut line| {
        redactor.replace(None, &mut line);
        // Of the format it has to be, so that what was left out cannot be mistaken for it.
        let line: Line<Everleaf> = serde_json::from_value(line)
            .map_err(|error| at(path, format!("a line cannot be redacted: {error}")))?;
        writer.write(&line).map_err(|error| at(&to, error))
    })?;
    writer.into_inner().flush().map_err(|error| at(&to, error))?;
    Ok(to)
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>, Failure> {
    let file = File::open(path).map_err(|error| at(path, error))?;
    Reader::new(BufReader::with_capacity(1 << 20, file)).map_err(|error| unreadable(path, &error))
}

/// Hands on every line as JSON; a torn end is an end.
fn each_line(
    path: &Path,
    mut each: impl FnMut(Value) -> Result<(), Failure>,
) -> Result<Header, Failure> {
    let mut reader = open(path)?;
    loop {
        let line = match reader.read::<Everleaf>() {
            Ok(Some(line)) => line,
            Ok(None) | Err(ReadError::Torn { .. }) => return Ok(reader.header().clone()),
            Err(error) => return Err(unreadable(path, &error)),
        };
        each(serde_json::to_value(&line).map_err(|error| at(path, error))?)?;
    }
}

/// What replaces names.
struct Redactor {
    key: hmac::Key,
    /// Words that say nothing of anybody.
    words: BTreeSet<String>,
    /// Words that are part of a name somewhere.
    names: BTreeSet<String>,
}

/// How a string is to be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// As it is.
    Kept,
    /// As a text for people.
    Prose,
    /// As a name.
    Name,
}

fn taken(member: Option<&str>, text: &str) -> Taken {
    let member = member.unwrap_or_default();
    let hex = |long: usize| text.len() == long && text.bytes().all(|b| b.is_ascii_hexdigit());
    let known = || {
        CASES.contains(&text)
            || Kind::of_name(text).is_some()
            || PUBLIC.iter().any(|group| text == *group || text.ends_with(&format!(".{group}")))
    };
    match text {
        "" | "True" | "False" | "Unknown" | LETS_ENCRYPT | LETS_ENCRYPT_STAGING => Taken::Kept,
        // A duration as it is written, such as 2160h.
        _ if member == "duration" => Taken::Kept,
        _ if NAMES.contains(&member) || hex(16) || hex(64) => Taken::Name,
        _ if known() => Taken::Kept,
        _ if PROSE.contains(&member) || WORD.contains(&member) => Taken::Prose,
        _ => Taken::Name,
    }
}

/// Whether a map's key is one that everybody uses.
fn is_public(key: &str) -> bool {
    let group = key.split_once('/').map_or("", |(group, _)| group);
    PUBLIC.iter().any(|public| group == *public || group.ends_with(&format!(".{public}")))
}

impl Redactor {
    fn new(plan: &Plan) -> Result<Self, Failure> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &aws_lc_rs::rand::SystemRandom::new())
            .map_err(|_| Failure::Failed("no random key can be drawn".to_owned()))?;
        let mut words: BTreeSet<String> = WORDS.lines().map(str::to_owned).collect();
        for machine in &plan.machines {
            let states = machine.states.iter().flat_map(|state| [&state.name, &state.about]);
            let effects = machine.effects.iter().flat_map(|effect| [&effect.name, &effect.about]);
            let texts = states.chain(effects).chain(machine.edges.iter().map(|edge| &edge.why));
            texts.for_each(|text| words.extend(tokens(text).map(|token| token.to_lowercase())));
        }
        Ok(Self { key, words, names: BTreeSet::new() })
    }

    /// Notes the words of every name.
    fn learn(&mut self, member: Option<&str>, value: &Value) {
        match value {
            Value::String(text) if taken(member, text) == Taken::Name => self.learn_name(text),
            Value::Array(items) => items.iter().for_each(|item| self.learn(member, item)),
            Value::Object(members) => {
                let named = member.is_some_and(|member| MAPS.contains(&member));
                for (key, value) in members {
                    if named && !is_public(key) {
                        self.learn_name(key);
                    }
                    self.learn(Some(if named { "value" } else { key }), value);
                }
            }
            _ => {}
        }
    }

    fn learn_name(&mut self, name: &str) {
        // A single letter names nobody, and is a word of every other sentence.
        let telling = tokens(name).filter(|token| token.chars().count() > 1);
        self.names.extend(telling.map(str::to_lowercase));
    }

    fn replace(&self, member: Option<&str>, value: &mut Value) {
        match value {
            Value::String(text) => match taken(member, text) {
                Taken::Kept => {}
                Taken::Prose => *text = self.prose(text),
                Taken::Name => *text = self.name(text),
            },
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(member, item)),
            Value::Object(members) => {
                let named = member.is_some_and(|member| MAPS.contains(&member));
                let all = std::mem::take(members);
                members.extend(all.into_iter().map(|(key, mut value)| {
                    let of = if named { "value" } else { &key };
                    self.replace(Some(of), &mut value);
                    let replaced = named && !is_public(&key);
                    (if replaced { self.name(&key) } else { key }, value)
                }));
            }
            _ => {}
        }
    }

    fn name(&self, text: &str) -> String {
        self.by_token(text, |token, dotted| {
            matches!(token, "http" | "https") || (is_short_number(token) && !dotted)
        })
    }

    fn prose(&self, text: &str) -> String {
        let chunks = text.split_inclusive(char::is_whitespace);
        chunks
            .map(|chunk| {
                let word = chunk.trim_matches(|c: char| !c.is_alphanumeric());
                if word.parse::<jiff::Timestamp>().is_ok() {
                    return chunk.to_owned();
                }
                self.by_token(chunk, |token, dotted| {
                    let lower = token.to_lowercase();
                    let is_word = self.words.contains(&lower) && !self.names.contains(&lower);
                    is_word || (is_short_number(token) && !dotted)
                })
            })
            .collect()
    }

    /// Replaces each run of letters and digits, unless `keeps` says otherwise of it and of whether
    /// it is part of dotted numbers, such as an address.
    fn by_token(&self, text: &str, keeps: impl Fn(&str, bool) -> bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(begin) = rest.find(char::is_alphanumeric) {
            let (before, from) = rest.split_at(begin);
            let end = from.find(|c: char| !c.is_alphanumeric()).unwrap_or(from.len());
            let (token, after) = from.split_at(end);
            let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            let mut ahead = after.chars();
            let dotted = (before == "." && !out.is_empty())
                || (ahead.next() == Some('.') && digit(ahead.next()));
            out.push_str(before);
            match keeps(token, dotted) {
                true => out.push_str(token),
                false => out.push_str(&self.pseudonym(token)),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// What stands for a word, in upper or lower case; digests stay digests.
    fn pseudonym(&self, token: &str) -> String {
        let tag = hmac::sign(&self.key, token.to_lowercase().as_bytes());
        let bytes = tag.as_ref();
        let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let is_hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
        match token.len() {
            16 if is_hex => hex()[..16].to_owned(),
            64 if is_hex => hex(),
            // Five bits a letter, which no base32 alphabet shares with prose.
            _ => {
                let letters = bytes.iter().take(9).map(|byte| {
                    char::from(b"bcdfghjklmnpqrstvwxz0123456789ky"[usize::from(byte & 31)])
                });
                std::iter::once('x').chain(letters).collect()
            }
        }
    }
}

fn is_short_number(token: &str) -> bool {
    token.len() <= 3 && token.bytes().all(|byte| byte.is_ascii_digit())
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty())
}
