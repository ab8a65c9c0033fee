//! Every move is explained by the plan; and I35: a journal replays to the same decisions.

use super::{Invariant, Watcher};
use crate::world::World;
use crate::world::event::Event;
use everleaf_engine::journal::Reader;
use everleaf_engine::{Program as _, replay};
use everleaf_nodes::Everleaf;

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![Box::new(Explained), Box::new(Replay)]
}

/// No unexplained moves.
struct Explained;

impl Invariant for Explained {
    fn id(&self) -> &'static str {
        "PLAN"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if matches!(event, Event::Sample) {
            let count: u64 = world.replicas.iter().map(|r| r.engine.unexplained_moves()).sum();
            let why = || format!("{count} effects that no state may start");
            return if count == 0 { Ok(()) } else { Err(why()) };
        }
        let Event::Moved { replica, moves, .. } = event else { return Ok(()) };
        let engine = &world.replicas[*replica].engine;
        let Some(bad) = moves.iter().find(|m| m.path.is_none()) else { return Ok(()) };
        let machine = &engine.program().plan().machines[usize::from(bad.machine)];
        let state = |at: u8| machine.states[usize::from(at)].name.as_str();
        let object = engine.world().iter().find(|(_, object)| object.uid == bad.uid);
        let (name, facts) = object.map_or((String::new(), String::new()), |(key, object)| {
            let truth = engine.status(key).map_or(0, |status| status.truth);
            let bits = machine
                .facts
                .iter()
                .filter(|f| machine.bit(&f.name).is_some_and(|bit| truth >> bit & 1 == 1));
            let names: Vec<_> = bits.map(|fact| fact.name.clone()).collect();
            (key.to_string(), format!("{names:?}; {:?}", object.facts))
        });
        Err(format!(
            "{}: {name} moved from {} to {} by no edge; now {facts}",
            machine.name,
            state(bad.from),
            state(bad.to)
        ))
    }
}

/// I35: replay gives the same decisions.
struct Replay;

impl Invariant for Replay {
    fn id(&self) -> &'static str {
        "I35"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if !matches!(event, Event::End) || !world.config.journal {
            return Ok(());
        }
        for replica in &world.replicas {
            replays(&replica.pages.bytes(), replica.engine.program())?;
        }
        Ok(())
    }
}

/// Replays a journal with a program.
///
/// # Errors
/// The first divergence, or why the journal cannot be read.
pub fn replays(bytes: &[u8], program: &Everleaf) -> Result<(), String> {
    let mut reader = Reader::new(bytes).map_err(|error| error.to_string())?;
    let report = replay::replay(&mut reader, program.clone(), |_, _, _| {});
    let report = report.map_err(|error| error.to_string())?;
    match report.divergence {
        Some(divergence) => Err(format!("replay differs: {divergence:?}")),
        None => Ok(()),
    }
}
