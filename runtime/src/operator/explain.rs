//! Saying what was decided and why, in the words of the plan.

use everleaf_engine::{Engine, Move, Program, Record};
use everleaf_nodes::Everleaf;

/// Logs every move with the edges that were taken, and every effect that was started.
pub fn log(engine: &Engine<Everleaf>, record: &Record) {
    for step in &record.moves {
        log_move(engine, step);
    }
    for started in &record.effects {
        let machine = &engine.program().plan().machines[usize::from(started.machine)];
        let effect = &machine.effects[usize::from(started.id.step)].name;
        tracing::debug!(machine = %machine.name, %effect, id = %started.id, "started");
    }
}

fn log_move(engine: &Engine<Everleaf>, step: &Move) {
    let machine = &engine.program().plan().machines[usize::from(step.machine)];
    let state = |index: u8| machine.states[usize::from(index)].name.as_str();
    let (from, to) = (state(step.from), state(step.to));
    let object = &step.uid;
    match &step.path {
        Some(path) => {
            let why: Vec<&str> =
                path.iter().map(|edge| machine.edges[usize::from(*edge)].why.as_str()).collect();
            tracing::info!(%object, from, to, why = why.join("; then "), "moved");
        }
        None => tracing::error!(%object, from, to,
            "moved in a way that the plan does not explain; please report this"),
    }
}
