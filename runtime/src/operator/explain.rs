//! Saying what was decided and why, in the words of the plan.

use everleaf_engine::{Engine, Move, Program, Record, Started};
use everleaf_nodes::{Everleaf, Kind};

/// A move of an object, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The object, as `Kind/namespace/name`.
    pub object: String,
    /// The state that it left.
    pub from: String,
    /// The state that it is in.
    pub to: String,
    /// Why, edge by edge; `None` if the plan does not explain it, which is a bug.
    pub why: Option<String>,
}

/// What a record decided, in words.
pub fn decisions(engine: &Engine<Everleaf>, record: &Record) -> Vec<Decision> {
    record.moves.iter().map(|taken| decision(engine, taken)).collect()
}

fn decision(engine: &Engine<Everleaf>, taken: &Move) -> Decision {
    let object =
        engine.subject(&taken.uid).map_or_else(|| taken.uid.to_string(), |key| key.to_string());
    let (from, to, why) = moved(engine, taken);
    Decision { object, from: from.to_owned(), to: to.to_owned(), why }
}

/// The states that a move leads from and to, and why it was made; `None` if the plan does not
/// explain it. What the plan does not have, as a journal of another plan may name, is a `?`.
pub fn moved<'a>(engine: &'a Engine<Everleaf>, taken: &Move) -> (&'a str, &'a str, Option<String>) {
    let Some(machine) = engine.program().plan().machines.get(usize::from(taken.machine)) else {
        return ("?", "?", None);
    };
    let state = |at: u8| machine.states.get(usize::from(at)).map_or("?", |s| s.name.as_str());
    let why = taken.path.as_ref().map(|path| {
        let edge = |at: &u16| machine.edges.get(usize::from(*at)).map_or("?", |e| e.why.as_str());
        path.iter().map(edge).collect::<Vec<_>>().join("; then ")
    });
    (state(taken.from), state(taken.to), why)
}

/// Logs what was decided.
pub fn log(engine: &Engine<Everleaf>, record: &Record, decisions: &[Decision]) {
    for Decision { object, from, to, why } in decisions {
        match why {
            Some(why) => tracing::info!(object, from, to, why, "moved"),
            None => tracing::error!(
                object,
                from,
                to,
                "moved in a way that the plan does not explain; please report this"
            ),
        }
    }
    for started in &record.effects {
        let effect = effect_name(engine, started);
        tracing::debug!(effect, id = %started.id, "started");
    }
}

/// The name of an effect, as the plan has it.
pub fn effect_name<'a>(engine: &'a Engine<Everleaf>, started: &Started) -> &'a str {
    let machine = engine.program().plan().machines.get(usize::from(started.machine));
    let effect = machine.and_then(|machine| machine.effects.get(usize::from(started.id.step)));
    effect.map_or("?", |effect| effect.name.as_str())
}

/// The name of a step of the machine that runs the objects of a kind.
pub fn step_name(engine: &Engine<Everleaf>, kind: Kind, step: u8) -> Option<&str> {
    let machine = &engine.program().plan().machines[engine.program().machine(kind)?];
    machine.effects.get(usize::from(step)).map(|effect| effect.name.as_str())
}
