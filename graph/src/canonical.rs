//! A plan as a text that two plans share exactly if they decide alike.

use std::fmt::Write;

use crate::model::{Feeds, Machine, Plan, SettingValue, Wait, WaitKind};

impl Plan {
    /// The plan in one fixed form, to be hashed and compared: everything that a decision can rest
    /// on, in the order of the model. Comments, layout and prose (`about`, `why`, and how a feed
    /// finds its objects) are left out.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        for machine in &self.machines {
            machine_text(&mut out, machine);
        }
        feeds_text(&mut out, &self.feeds, &self.machines);
        out
    }
}

/// Appends a line; writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        let _ = writeln!($out, $($arg)*);
    }};
}

fn machine_text(out: &mut String, machine: &Machine) {
    let start = machine.states.get(machine.start).map_or("", |state| &state.name);
    line!(out, "machine {} object {} start {start}", machine.name, machine.object);
    for fact in &machine.facts {
        line!(out, "fact {}", fact.name);
    }
    for wait in &machine.waits {
        line!(out, "wait {} {}", wait.name, kind_text(wait));
    }
    for setting in &machine.settings {
        line!(out, "setting {} {}", setting.name, value_text(setting.value));
    }
    for effect in &machine.effects {
        line!(out, "effect {}{}", effect.name, flag(effect.spends, "spends"));
    }
    graph_text(out, machine);
}

fn graph_text(out: &mut String, machine: &Machine) {
    let states = &machine.states;
    for state in states {
        let when: Vec<_> = state.when.iter().map(|literal| machine.literal(*literal)).collect();
        let does: Vec<_> =
            state.does.iter().map(|index| machine.effects[*index].name.as_str()).collect();
        let waits: Vec<_> =
            state.waits.iter().map(|index| machine.waits[*index].name.as_str()).collect();
        let (when, does, waits) = (when.join(", "), does.join(", "), waits.join(", "));
        let flags = flag(state.end, "end") + &flag(state.goal, "goal");
        line!(out, "state {} when [{when}] does [{does}] waits [{waits}]{flags}", state.name);
    }
    for edge in &machine.edges {
        let (from, to) = (&states[edge.from].name, &states[edge.to].name);
        let on = machine.literal(edge.on);
        line!(out, "edge {} {from} -> {to} on {on}{}", edge.name, flag(edge.failure, "failure"));
    }
    for pass in &machine.must_pass {
        let (state, through) = (&states[pass.state].name, &states[pass.through].name);
        line!(out, "must_pass {state} through {through} by {}", machine.literal(pass.evidence));
    }
}

fn feeds_text(out: &mut String, feeds: &Feeds, machines: &[Machine]) {
    for watch in &feeds.watches {
        let internal = flag(watch.internal, "internal");
        line!(out, "watch {} group {:?}{internal}", watch.kind, watch.group);
    }
    for reader in &feeds.readers {
        for feed in &reader.kinds {
            let kind = &feeds.watches[feed.watch].kind;
            line!(out, "feed {kind} -> {}", machines[reader.machine].name);
        }
    }
}

fn kind_text(wait: &Wait) -> String {
    match &wait.kind {
        WaitKind::Until { method } => format!("until {method}"),
        WaitKind::Every { ms } => format!("every {ms}"),
        WaitKind::Ladder { steps_ms, jitter_percent } => {
            format!("ladder {steps_ms:?} jitter {jitter_percent}")
        }
        WaitKind::Deadline { ms } => format!("deadline {ms}"),
    }
}

fn value_text(value: SettingValue) -> String {
    match value {
        SettingValue::Duration { ms } => format!("duration {ms}"),
        SettingValue::Percent(percent) => format!("percent {percent}"),
        SettingValue::Count(count) => format!("count {count}"),
    }
}

fn flag(set: bool, name: &str) -> String {
    if set { format!(" {name}") } else { String::new() }
}
