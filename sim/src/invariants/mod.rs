//! What must never happen, each as a type with its ID, and the run that checks it.
//!
//! An [`Invariant`] looks on: it is told of every [`Event`] and sees the whole [`World`]. Where a
//! rule speaks of what a replica could know, it allows for the time that news takes to arrive
//! ([`LAG`]).

mod acme;
mod ari;
mod budget;
mod kubernetes;
mod liveness;
mod material;
mod model;
mod ownership;
mod pacing;
mod plan;
mod secrecy;

use crate::world::World;
use crate::world::config::{Config, Faults};
use crate::world::event::Event;
pub use model::Watcher;
pub use plan::replays;
use std::fmt;

/// The longest time that a change may stay unseen while faults strike, in milliseconds.
pub const LAG: i64 = 45 * 60_000;

/// The longest time that a change may stay unseen in that run, in milliseconds.
fn lag(world: &World) -> i64 {
    if world.config.faults == Faults::default() { 3 * 60_000 } else { LAG }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's ID.
    pub id: &'static str,
    /// What was seen.
    pub message: String,
}

/// A rule over runs.
pub trait Invariant {
    /// Its ID, as the design has it.
    fn id(&self) -> &'static str;

    /// Looks at what just happened.
    ///
    /// # Errors
    /// What breaks the rule.
    fn look(&mut self, world: &World, news: &Watcher, event: &Event) -> Result<(), String>;
}

/// Every invariant, in the order in which they are asked: the more exact before the more general.
pub fn all() -> Vec<Box<dyn Invariant>> {
    let mut all: Vec<Box<dyn Invariant>> = Vec::new();
    all.extend(plan::all());
    all.extend(material::first());
    all.extend(kubernetes::all());
    all.extend(ownership::all());
    all.extend(material::all());
    all.extend(acme::all());
    all.extend(ari::all());
    all.extend(budget::all());
    all.extend(pacing::all());
    all.extend(liveness::all());
    all.extend(secrecy::all());
    all
}

/// A run that broke a rule, with what is needed to see why.
#[derive(Debug)]
pub struct Failure {
    /// The rule.
    pub violation: Violation,
    /// The run.
    pub config: Config,
    /// The last lines of the log.
    pub log: Vec<String>,
}

/// Lines of the log that a failure shows.
const TAIL: usize = 60;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { id, message } = &self.violation;
        let config = &self.config;
        for line in &self.log {
            writeln!(f, "  {}", line.chars().take(400).collect::<String>())?;
        }
        writeln!(f, "seed {}: {id}: {message}", config.seed)?;
        writeln!(f, "faults {:?}, habits {:?}", config.faults.names(), config.habits.names())
    }
}

/// A world and the rules it is held to.
pub struct Simulation {
    /// The world.
    pub world: World,
    invariants: Vec<Box<dyn Invariant>>,
    news: Watcher,
}

impl Simulation {
    /// A run of that configuration, held to every rule.
    pub fn new(config: Config) -> Self {
        Self { world: World::new(config), invariants: all(), news: Watcher::default() }
    }

    /// A run that is held to the rules with these IDs only.
    pub fn held_to(config: Config, ids: &[&str]) -> Self {
        let mut invariants = all();
        invariants.retain(|invariant| ids.contains(&invariant.id()));
        Self { world: World::new(config), invariants, news: Watcher::default() }
    }

    /// A run that is held to every rule from where it is.
    pub fn of(world: World) -> Self {
        Self { world, invariants: all(), news: Watcher::default() }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run(mut self) -> Result<World, Box<Failure>> {
        self.run_until(i64::MAX)?;
        Ok(self.world)
    }

    /// Runs until that instant, in milliseconds since 1970, or to the end; what happens at the
    /// instant itself is left to the next run.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run_until(&mut self, until: i64) -> Result<(), Box<Failure>> {
        while !self.world.is_over() {
            if self.world.next_at() >= until {
                self.world.now = self.world.now.max(until);
                break;
            }
            self.world.step();
            let events = std::mem::take(&mut self.world.emitted);
            for event in &events {
                self.check(event)?;
            }
        }
        Ok(())
    }

    fn check(&mut self, event: &Event) -> Result<(), Box<Failure>> {
        self.news.see(&self.world, event);
        for invariant in &mut self.invariants {
            if let Err(message) = invariant.look(&self.world, &self.news, event) {
                let violation = Violation { id: invariant.id(), message };
                let skipped = self.world.log.len().saturating_sub(TAIL);
                let log = self.world.log.iter().skip(skipped).cloned().collect();
                let config = self.world.config.clone();
                return Err(Box::new(Failure { violation, config, log }));
            }
        }
        Ok(())
    }
}
