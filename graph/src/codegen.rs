//! The Rust types that a machine is written against.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::model::{Bit, Literal, Machine, Plan, Setting, SettingValue, State, Wait, WaitKind};
use crate::units;

/// Appends a line; writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        let _ = writeln!($out, $($arg)*);
    }};
}

/// Rust source with one `pub mod` for each machine, for a build script to write and a crate to
/// `include!`. The crate has to depend on this one; `engine_path` is where it finds `Timestamp`, a
/// type that is `Copy` and `Ord`: `everleaf_engine`.
pub fn rust(plan: &Plan, engine_path: &str) -> String {
    let mut out = String::from("// Generated from the plan; edit that.\n");
    for machine in &plan.machines {
        module(&mut out, machine, engine_path);
    }
    out
}

fn module(out: &mut String, machine: &Machine, engine_path: &str) {
    let (name, object) = (&machine.name, &machine.object);
    let path = ident(&name.replace('-', "_"));
    line!(out, "\n{}", doc("", &machine.about, "A machine."));
    line!(out, "#[allow(clippy::enum_variant_names, clippy::wrong_self_convention)]");
    line!(out, "pub mod {path} {{");
    line!(out, "    use ::everleaf_graph::{{Machine, SettingError}};");
    line!(out, "    use {engine_path}::Timestamp;\n");
    line!(out, "    /// The name of the machine.\n    pub const MACHINE: &str = {name:?};");
    line!(out, "    /// The kind of its objects.\n    pub const OBJECT: &str = {object:?};");
    for (sort, about, entries) in sorts(machine) {
        enumeration(out, sort, about, &entries);
    }
    facts(out, machine);
    truth(out, machine);
    locate(out, machine);
    settings(out, machine);
    line!(out, "}}");
}

/// A name and its documentation.
type Entry<'m> = (&'m str, String);

fn sorts(machine: &Machine) -> [(&'static str, &'static str, Vec<Entry<'_>>); 5] {
    let edge = |name| machine.edges.iter().find(|edge| edge.name == name);
    let edges = machine.edge_names().into_iter();
    let edges =
        edges.map(|name| (name, edge(name).map(|edge| edge.why.clone()).unwrap_or_default()));
    let states = machine.states.iter().map(|state| (state.name.as_str(), state.about.clone()));
    let facts = machine.facts.iter().map(|fact| (fact.name.as_str(), fact.about.clone()));
    let waits = machine.waits.iter().map(|wait| (wait.name.as_str(), wait_about(wait)));
    let steps = machine.effects.iter().map(|effect| (effect.name.as_str(), effect.about.clone()));
    [
        ("State", "The states, in the order in which they are tried.", states.collect()),
        ("Edge", "The edges, by name.", edges.collect()),
        ("Fact", "The facts; each is its bit of a truth word.", facts.collect()),
        ("Wait", "What a state may wait for.", waits.collect()),
        ("Step", "The effects that a state may start.", steps.collect()),
    ]
}

fn wait_about(wait: &Wait) -> String {
    if !wait.about.is_empty() {
        return wait.about.clone();
    }
    match &wait.kind {
        WaitKind::Until { method } => format!("until `{method}`"),
        WaitKind::Every { ms } => format!("every {}", units::show(*ms)),
        WaitKind::Ladder { steps_ms, .. } => {
            let steps: Vec<_> = steps_ms.iter().map(|ms| units::show(*ms)).collect();
            format!("a ladder of {}", steps.join(", "))
        }
        WaitKind::Deadline { ms } => format!("a deadline of {}", units::show(*ms)),
    }
}

fn enumeration(out: &mut String, sort: &str, about: &str, entries: &[Entry<'_>]) {
    line!(out, "\n    /// {about}");
    line!(out, "    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]");
    if !entries.is_empty() {
        line!(out, "    #[repr(u8)]");
    }
    line!(out, "    pub enum {sort} {{");
    for (name, about) in entries {
        line!(out, "{}", doc("        ", about, &format!("`{name}`.")));
        line!(out, "        {},", camel(name));
    }
    line!(out, "    }}\n\n    impl {sort} {{");
    let all: Vec<_> = entries.iter().map(|(name, _)| format!("Self::{}", camel(name))).collect();
    line!(out, "        /// All of them, in the order of the plan.");
    line!(out, "        pub const ALL: &[Self] = &[{}];\n", all.join(", "));
    line!(out, "        /// The name, as in the plan.");
    line!(out, "        pub const fn name(self) -> &'static str {{\n            match self {{");
    for (name, _) in entries {
        line!(out, "                Self::{} => {name:?},", camel(name));
    }
    line!(out, "            }}\n        }}\n");
    line!(out, "        /// The one at that place in the plan, counted from 0.");
    line!(out, "        pub fn from_index(index: u8) -> Option<Self> {{");
    line!(out, "            Self::ALL.get(usize::from(index)).copied()\n        }}\n    }}");
}

/// The method that tells when a wait falls due, if the trait needs one.
fn method(machine: &Machine, index: usize) -> Option<&str> {
    let wait = &machine.waits[index];
    match &wait.kind {
        WaitKind::Until { method } => Some(method),
        WaitKind::Ladder { .. } if asked(machine, index) => Some(&wait.name),
        _ => None,
    }
}

/// Whether some literal is `due(..)` of this wait.
fn asked(machine: &Machine, index: usize) -> bool {
    let is = |literal: &Literal| machine.bits[usize::from(literal.bit)] == Bit::Due(index);
    machine.states.iter().flat_map(|state| &state.when).any(is)
        || machine.edges.iter().any(|edge| is(&edge.on))
}

fn facts(out: &mut String, machine: &Machine) {
    line!(out, "\n    /// What can be read off an object and what is around it.");
    line!(out, "    pub trait Facts {{");
    for fact in &machine.facts {
        line!(out, "{}", doc("        ", &fact.about, ""));
        line!(out, "        fn {}(&self) -> bool;", ident(&fact.name));
    }
    let mut written = BTreeSet::new();
    for (index, wait) in machine.waits.iter().enumerate() {
        let Some(method) = method(machine, index).filter(|method| written.insert(*method)) else {
            continue;
        };
        let fallback = format!("When `{}` falls due.", wait.name);
        line!(out, "{}", doc("        ", &wait.about, &fallback));
        line!(out, "        ///\n        /// `None` is never.");
        line!(out, "        fn {}(&self) -> Option<Timestamp>;", ident(method));
    }
    line!(out, "    }}");
}

fn truth(out: &mut String, machine: &Machine) {
    let mut terms = Vec::new();
    for (at, bit) in machine.bits.iter().enumerate() {
        let value = match bit {
            Bit::Fact(fact) => format!("facts.{}()", ident(&machine.facts[*fact].name)),
            Bit::Due(wait) => match method(machine, *wait) {
                Some(method) => format!("facts.{}().is_some_and(|at| at <= now)", ident(method)),
                None => continue,
            },
        };
        terms.push(if at == 0 {
            format!("u64::from({value})")
        } else {
            format!("(u64::from({value}) << {at})")
        });
    }
    let timed = machine.bits.iter().any(|bit| match bit {
        Bit::Due(wait) => method(machine, *wait).is_some(),
        Bit::Fact(_) => false,
    });
    let (facts, now) =
        (if terms.is_empty() { "_facts" } else { "facts" }, if timed { "now" } else { "_now" });
    line!(out, "\n    /// The truth word at that time; a wait is due from its very moment on.");
    line!(out, "    pub fn truth({facts}: &impl Facts, {now}: Timestamp) -> u64 {{");
    let sum = if terms.is_empty() { "0".to_owned() } else { terms.join("\n            | ") };
    line!(out, "        {sum}\n    }}");
}

fn locate(out: &mut String, machine: &Machine) {
    line!(out, "\n    /// The first state whose `when` holds under this truth word.");
    let (last, tried) = match machine.states.split_last() {
        Some((last, tried)) => (camel(&last.name), tried),
        None => return,
    };
    let truth = if tried.is_empty() { "_truth" } else { "truth" };
    line!(out, "    pub fn locate({truth}: u64) -> State {{");
    for state in tried {
        let State { name, required, forbidden, .. } = state;
        let when: Vec<_> = state.when.iter().map(|literal| machine.literal(*literal)).collect();
        line!(out, "        // {}", when.join(", "));
        line!(out, "        if truth & {:#x} == {required:#x} {{", required | forbidden);
        line!(out, "            return State::{};\n        }}", camel(name));
    }
    line!(out, "        State::{last}\n    }}");
}

fn settings(out: &mut String, machine: &Machine) {
    line!(out, "\n    /// Constants of timing and limits.");
    line!(out, "    #[derive(Clone, Copy, Debug, PartialEq, Eq)]");
    line!(out, "    pub struct Settings {{");
    for Setting { name, about, value } in &machine.settings {
        let (unit, kind) = match value {
            SettingValue::Duration { .. } => ("In milliseconds", "i64"),
            SettingValue::Percent(_) => ("In hundredths", "u32"),
            SettingValue::Count(_) => ("A whole number", "i64"),
        };
        line!(out, "{}", doc("        ", about, ""));
        line!(out, "        ///\n        /// {unit}.");
        line!(out, "        pub {}: {kind},", ident(name));
    }
    line!(out, "    }}\n\n    impl Settings {{");
    line!(out, "        /// Reads them off a machine, which may be another plan's.");
    line!(out, "        ///\n        /// # Errors");
    line!(out, "        /// If the machine lacks one, or it has another unit.");
    let source = if machine.settings.is_empty() { "_machine" } else { "machine" };
    line!(out, "        pub fn from_machine({source}: &Machine) -> Result<Self, SettingError> {{");
    line!(out, "            Ok(Self {{");
    for Setting { name, value, .. } in &machine.settings {
        let read = match value {
            SettingValue::Duration { .. } => "duration",
            SettingValue::Percent(_) => "percent",
            SettingValue::Count(_) => "count",
        };
        line!(out, "                {}: machine.{read}({name:?})?,", ident(name));
    }
    line!(out, "            }})\n        }}\n    }}");
}

/// A doc comment of one line: the text as a sentence, or the fallback if it is empty.
fn doc(indent: &str, text: &str, fallback: &str) -> String {
    let text = if text.is_empty() { fallback } else { text };
    let mut chars = text.chars();
    let first: String =
        chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let sentence = first + chars.as_str();
    let stop = if sentence.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{indent}/// {}{stop}", plain(&sentence))
}

/// Escapes what Markdown would take for a link, a tag or emphasis, outside of code.
pub(crate) fn plain(text: &str) -> String {
    let (mut out, mut code) = (String::new(), false);
    for char in text.chars() {
        code ^= char == '`';
        if !code && "[]<>*".contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// A name in kebab or snake case as the name of a variant.
pub(crate) fn camel(name: &str) -> String {
    let mut out = String::new();
    for word in name.split(['-', '_']) {
        let mut chars = word.chars();
        out.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

/// A name as an identifier: words of Rust's own get the prefix that makes them one.
fn ident(name: &str) -> String {
    const WORDS: [&str; 47] = [
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do",
        "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in",
        "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
        "return", "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe",
        "unsized", "use", "virtual", "where", "while",
    ];
    let word = WORDS.contains(&name) || name == "yield";
    if word { format!("r#{name}") } else { name.to_owned() }
}

/// Whether a name cannot be an identifier, not even with a prefix.
pub(crate) fn is_reserved(name: &str) -> bool {
    ["self", "super", "crate"].contains(&name)
}
