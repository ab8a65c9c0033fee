//! A machine and the feeds as written: shapes and units checked, names not yet.

use crate::fault::{At, Report};
use crate::fields::{Fields, list, named, one_line, scalar};
use crate::model::{SettingValue, WaitKind};
use crate::units;
use crate::yaml::{Node, Text, Value};

/// The most rungs that a ladder may have.
const MAX_RUNGS: usize = 32;

pub(crate) struct RawMachine {
    pub(crate) name: Option<Text>,
    pub(crate) object: Option<Text>,
    pub(crate) about: String,
    pub(crate) start: Option<Text>,
    pub(crate) facts: Vec<RawNamed>,
    pub(crate) waits: Vec<RawWait>,
    pub(crate) settings: Vec<RawSetting>,
    pub(crate) effects: Vec<RawNamed>,
    pub(crate) states: Vec<RawState>,
    pub(crate) edges: Vec<RawEdge>,
    pub(crate) must_pass: Vec<RawPass>,
}

/// A fact or an effect; only effects spend.
pub(crate) struct RawNamed {
    pub(crate) name: Text,
    pub(crate) about: String,
    pub(crate) spends: bool,
}

pub(crate) struct RawWait {
    pub(crate) name: Text,
    pub(crate) about: String,
    /// `None` if it was reported to be wrong.
    pub(crate) kind: Option<WaitKind>,
}

impl RawWait {
    /// Whether it can be in `due(..)`. A kind that was reported to be wrong may be.
    pub(crate) fn falls_due(&self) -> bool {
        !matches!(self.kind, Some(WaitKind::Every { .. } | WaitKind::Deadline { .. }))
    }
}

pub(crate) struct RawSetting {
    pub(crate) name: Text,
    pub(crate) about: String,
    pub(crate) value: Option<SettingValue>,
}

pub(crate) struct RawLiteral {
    pub(crate) at: At,
    pub(crate) negated: bool,
    /// Whether it is `due(name)`.
    pub(crate) due: bool,
    pub(crate) name: String,
}

pub(crate) struct RawState {
    pub(crate) name: Text,
    pub(crate) about: String,
    /// `None` where a literal was reported to be wrong.
    pub(crate) when: Vec<Option<RawLiteral>>,
    pub(crate) does: Vec<Text>,
    pub(crate) waits: Vec<Text>,
    pub(crate) end: bool,
    pub(crate) goal: bool,
}

pub(crate) enum RawFrom {
    Any,
    Listed(Vec<Text>),
}

pub(crate) struct RawEdge {
    pub(crate) at: At,
    pub(crate) from: RawFrom,
    pub(crate) to: Option<Text>,
    pub(crate) on: Option<RawLiteral>,
    pub(crate) name: Text,
    pub(crate) why: String,
    pub(crate) failure: bool,
}

pub(crate) struct RawPass {
    pub(crate) at: At,
    pub(crate) state: Option<Text>,
    pub(crate) through: Option<Text>,
    pub(crate) evidence: Option<RawLiteral>,
}

const MACHINE: [&str; 11] = [
    "machine",
    "object",
    "about",
    "start",
    "facts",
    "waits",
    "settings",
    "effects",
    "states",
    "edges",
    "must_pass",
];

/// Reads a machine. `None` if the file holds no mapping.
pub(crate) fn machine(node: Node, report: &mut Report) -> Option<RawMachine> {
    let mut top = Fields::open(node, "the machine", &MACHINE, report)?;
    Some(RawMachine {
        name: top.need("machine", report),
        object: top.need("object", report),
        about: top.need_prose("about", report),
        start: top.need("start", report),
        facts: each(top.named("facts", report), fact, report),
        waits: each(top.named("waits", report), wait, report),
        settings: each(top.named("settings", report), setting, report),
        effects: each(top.named("effects", report), effect, report),
        states: each(top.named("states", report), state, report),
        edges: items(top.take("edges"), "edges", edge, report),
        must_pass: items(top.take("must_pass"), "must_pass", pass, report),
    })
}

fn each<T>(
    entries: Vec<(Text, Node)>,
    read: fn(Text, Node, &mut Report) -> T,
    report: &mut Report,
) -> Vec<T> {
    entries.into_iter().map(|(name, node)| read(name, node, report)).collect()
}

fn items<T>(
    node: Option<Node>,
    what: &str,
    read: fn(Node, &mut Report) -> Option<T>,
    report: &mut Report,
) -> Vec<T> {
    let nodes = node.map(|node| list(node, what, report)).unwrap_or_default();
    nodes.into_iter().filter_map(|node| read(node, report)).collect()
}

fn fact(name: Text, node: Node, report: &mut Report) -> RawNamed {
    let about = scalar(node, &format!("fact {:?}", name.text), report);
    RawNamed {
        name,
        about: about.map(|text| one_line(&text.text)).unwrap_or_default(),
        spends: false,
    }
}

fn effect(name: Text, node: Node, report: &mut Report) -> RawNamed {
    let what = format!("effect {:?}", name.text);
    if let Value::Scalar(_) = node.value {
        let about = scalar(node, &what, report).map(|text| one_line(&text.text));
        return RawNamed { name, about: about.unwrap_or_default(), spends: false };
    }
    let Some(mut fields) = Fields::open(node, what, &["about", "spends"], report) else {
        return RawNamed { name, about: String::new(), spends: false };
    };
    let (about, spends) = (fields.need_prose("about", report), fields.flag("spends", report));
    RawNamed { name, about, spends }
}

fn wait(name: Text, node: Node, report: &mut Report) -> RawWait {
    let what = format!("wait {:?}", name.text);
    let known = ["until", "every", "ladder", "deadline", "jitter", "about"];
    let Some(mut fields) = Fields::open(node, what.clone(), &known, report) else {
        return RawWait { name, about: String::new(), kind: None };
    };
    let about = fields.prose("about", report);
    let kind = wait_kind(&mut fields, &name, &what, report);
    RawWait { name, about, kind }
}

fn wait_kind(
    fields: &mut Fields,
    name: &Text,
    what: &str,
    report: &mut Report,
) -> Option<WaitKind> {
    let given = ["until", "every", "ladder", "deadline"].map(|key| (key, fields.take(key)));
    let mut given = given.into_iter().filter_map(|(key, node)| Some((key, node?)));
    let (Some((key, node)), None) = (given.next(), given.next()) else {
        let advice = "write exactly one of until, every, ladder, deadline";
        report.add(name.at, format!("{what} has not one kind; {advice}"));
        return None;
    };
    let jitter = fields.text("jitter", report);
    if let Some(jitter) = jitter.as_ref().filter(|_| key != "ladder") {
        report.add(jitter.at, format!("{what} has jitter but no ladder; remove the jitter"));
    }
    match key {
        "until" => scalar(node, what, report).map(|text| WaitKind::Until { method: text.text }),
        "ladder" => ladder(node, jitter, what, report),
        "every" => pause(node, what, report).map(|ms| WaitKind::Every { ms }),
        _ => pause(node, what, report).map(|ms| WaitKind::Deadline { ms }),
    }
}

fn ladder(node: Node, jitter: Option<Text>, what: &str, report: &mut Report) -> Option<WaitKind> {
    let at = node.at;
    let rungs = list(node, what, report);
    let count = rungs.len();
    let steps_ms: Vec<i64> =
        rungs.into_iter().filter_map(|rung| pause(rung, what, report)).collect();
    if count == 0 || count > MAX_RUNGS {
        report.add(at, format!("{what} has {count} rungs; write 1 to {MAX_RUNGS}"));
    }
    if !steps_ms.is_sorted() {
        report.add(at, format!("{what} goes down; write each rung as long as the last or longer"));
    }
    let jitter_percent = match jitter {
        Some(text) => hundredths(&text, what, report)?,
        None => 0,
    };
    (steps_ms.len() == count).then_some(WaitKind::Ladder { steps_ms, jitter_percent })
}

fn hundredths(text: &Text, what: &str, report: &mut Report) -> Option<u32> {
    let percent = units::percent(&text.text);
    if percent.is_none() {
        let jitter = &text.text;
        report.add(text.at, format!("{what} has the jitter {jitter:?}; write 0% to 100%"));
    }
    percent
}

/// A duration of a wait: more than 0, or a loop would not be paced.
fn pause(node: Node, what: &str, report: &mut Report) -> Option<i64> {
    let text = scalar(node, what, report)?;
    let ms = units::duration(&text.text).filter(|ms| *ms > 0);
    if ms.is_none() {
        let advice = "write one number above 0 with its unit: 100ms, 30s, 5m, 24h, 7d";
        report.add(text.at, format!("{what} has the bad duration {:?}; {advice}", text.text));
    }
    ms
}

fn setting(name: Text, node: Node, report: &mut Report) -> RawSetting {
    let what = format!("setting {:?}", name.text);
    let Some(mut fields) = Fields::open(node, what.clone(), &["value", "about"], report) else {
        return RawSetting { name, about: String::new(), value: None };
    };
    let about = fields.need_prose("about", report);
    let value = fields.need("value", report).and_then(|text| setting_value(&text, &what, report));
    RawSetting { name, about, value }
}

fn setting_value(text: &Text, what: &str, report: &mut Report) -> Option<SettingValue> {
    let value = &text.text;
    let duration = units::duration(value).map(|ms| SettingValue::Duration { ms });
    let percent = units::percent(value).map(SettingValue::Percent);
    let found = duration.or(percent).or(units::count(value).map(SettingValue::Count));
    if found.is_none() {
        let advice = "write a duration (5m), a percentage (33%) or a whole number";
        report.add(text.at, format!("{what} has the bad value {value:?}; {advice}"));
    }
    found
}

fn state(name: Text, node: Node, report: &mut Report) -> RawState {
    let what = format!("state {:?}", name.text);
    let known = ["about", "when", "does", "waits", "end", "goal"];
    let at = node.at;
    let opened = Fields::open(node, what.clone(), &known, report);
    let mut fields = opened.unwrap_or_else(|| Fields::empty(what.clone(), at));
    let when = fields.texts("when", report);
    RawState {
        about: fields.prose("about", report),
        when: when.iter().map(|text| literal(text, &what, report)).collect(),
        does: fields.texts("does", report),
        waits: fields.texts("waits", report),
        end: fields.flag("end", report),
        goal: fields.flag("goal", report),
        name,
    }
}

fn edge(node: Node, report: &mut Report) -> Option<RawEdge> {
    let at = node.at;
    let known = ["from", "to", "on", "name", "why", "failure"];
    let mut fields = Fields::open(node, "an edge", &known, report)?;
    let from = from(&mut fields, at, report);
    let (to, on) = (fields.need("to", report), fields.need("on", report));
    let name = fields.need("name", report).unwrap_or(Text { text: "unnamed".into(), at });
    let what = format!("edge {:?}", name.text);
    Some(RawEdge {
        on: on.and_then(|text| literal(&text, &what, report)),
        why: fields.need_prose("why", report),
        failure: fields.flag("failure", report),
        at,
        from,
        to,
        name,
    })
}

fn from(fields: &mut Fields, at: At, report: &mut Report) -> RawFrom {
    match fields.take("from") {
        None => {
            report.add(at, "an edge has no from; add a state, a list of states, or any");
            RawFrom::Listed(Vec::new())
        }
        Some(Node { value: Value::Scalar(text), .. }) if text == "any" => RawFrom::Any,
        Some(Node { value: Value::List(states), .. }) => {
            let states = states.into_iter().filter_map(|node| scalar(node, "from", report));
            RawFrom::Listed(states.collect())
        }
        Some(node) => RawFrom::Listed(scalar(node, "from", report).into_iter().collect()),
    }
}

fn pass(node: Node, report: &mut Report) -> Option<RawPass> {
    let at = node.at;
    let known = ["state", "through", "evidence"];
    let mut fields = Fields::open(node, "a must_pass entry", &known, report)?;
    let (state, through) = (fields.need("state", report), fields.need("through", report));
    let evidence = fields.need("evidence", report);
    let evidence = evidence.and_then(|text| literal(&text, "a must_pass entry", report));
    Some(RawPass { at, state, through, evidence })
}

/// Reads `fact`, `not fact`, `due(wait)` or `not due(wait)`.
fn literal(text: &Text, what: &str, report: &mut Report) -> Option<RawLiteral> {
    let trimmed = text.text.trim();
    let (negated, term) = match trimmed.strip_prefix("not ") {
        Some(term) => (true, term.trim()),
        None => (false, trimmed),
    };
    let wait = term.strip_prefix("due(").and_then(|rest| rest.strip_suffix(')'));
    let (due, name) = (wait.is_some(), wait.unwrap_or(term).trim());
    if !is_snake(name) {
        let advice = "write fact, not fact, due(wait) or not due(wait)";
        report.add(text.at, format!("{what} has the bad literal {trimmed:?}; {advice}"));
        return None;
    }
    Some(RawLiteral { at: text.at, negated, due, name: name.to_owned() })
}

/// Whether this is a name in snake case: `[a-z][a-z0-9_]*`.
pub(crate) fn is_snake(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(rest)
}

/// Whether this is a name in kebab case: `[a-z][a-z0-9-]*`.
pub(crate) fn is_kebab(name: &str) -> bool {
    !name.contains('_') && is_snake(&name.replace('-', "_"))
}

pub(crate) struct RawFeeds {
    pub(crate) watches: Vec<RawWatch>,
    pub(crate) readers: Vec<(Text, Vec<(Text, String)>)>,
}

pub(crate) struct RawWatch {
    pub(crate) kind: Text,
    pub(crate) group: String,
    pub(crate) about: String,
    pub(crate) internal: bool,
}

/// Reads the feeds. `None` if the file holds no mapping.
pub(crate) fn feeds(node: Node, report: &mut Report) -> Option<RawFeeds> {
    let mut top = Fields::open(node, "the file of feeds", &["watches", "feeds"], report)?;
    let watches = each(top.named("watches", report), watch, report);
    let readers = each(top.named("feeds", report), reader, report);
    Some(RawFeeds { watches, readers })
}

fn watch(kind: Text, node: Node, report: &mut Report) -> RawWatch {
    let what = format!("watch {:?}", kind.text);
    let known = ["group", "about", "internal"];
    let mut watch = RawWatch { kind, group: String::new(), about: String::new(), internal: false };
    let at = node.at;
    let Some(mut fields) = Fields::open(node, what.clone(), &known, report) else { return watch };
    watch.about = fields.need_prose("about", report);
    watch.internal = fields.flag("internal", report);
    match fields.take("group").map(|node| (node.at, node.value)) {
        None if watch.internal => {}
        None => report.add(at, format!("{what} has no group; add it, or internal: true")),
        Some((at, _)) if watch.internal => {
            report.add(at, format!("{what} is internal and has a group; remove one of them"));
        }
        Some((_, Value::Scalar(group))) => watch.group = group,
        Some((at, _)) => report.add(at, format!("group of {what} is no text; write its name")),
    }
    watch
}

fn reader(machine: Text, node: Node, report: &mut Report) -> (Text, Vec<(Text, String)>) {
    let what = format!("feeds of {:?}", machine.text);
    let mut kinds = Vec::new();
    for (kind, node) in named(node, &what, report) {
        let by = scalar(node, &format!("feed {:?} of {:?}", kind.text, machine.text), report);
        kinds.push((kind, by.map(|text| one_line(&text.text)).unwrap_or_default()));
    }
    (machine, kinds)
}
