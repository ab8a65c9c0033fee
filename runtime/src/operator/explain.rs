//! Saying what was decided and why, in the words of the plan.

use everleaf_engine::{Engine, Move, Program, Record, Started};
use everleaf_nodes::Everleaf;

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
    let machine = &engine.program().plan().machines[usize::from(taken.machine)];
    let state = |index: u8| machine.states[usize::from(index)].name.clone();
    let object =
        engine.subject(&taken.uid).map_or_else(|| taken.uid.to_string(), |key| key.to_string());
    let why = taken.path.as_ref().map(|path| {
        let edges = path.iter().map(|edge| machine.edges[usize::from(*edge)].why.as_str());
        edges.collect::<Vec<_>>().join("; then ")
    });
    Decision { object, from: state(taken.from), to: state(taken.to), why }
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
    let machine = &engine.program().plan().machines[usize::from(started.machine)];
    &machine.effects[usize::from(started.id.step)].name
}
