//! I29 to I31 and I34: what must come to pass.

use super::model;
use super::{Invariant, Watcher};
use crate::world::FOREIGN_GROUP;
use crate::world::World;
use crate::world::config::{Answer, HOUR, MINUTE};
use crate::world::event::Event;
use crate::world::material;
use crate::world::project;
use everleaf_engine::Wake;
use everleaf_nodes::facts::{Facts, Kind};
use serde_json::Value;

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(Clock),
        Box::new(NoSilentWait),
        Box::<NoExpiry>::default(),
        Box::<Convergence>::default(),
    ]
}

/// How long after the last fault everything has to be well: one back-off of 32 hours, and work.
const WELL_WITHIN: i64 = 34 * HOUR;

/// How often the whole is looked at, in samples.
const EVERY: u64 = 6;

fn is_well_due(world: &World) -> bool {
    world.healed_at.is_some_and(|at| world.now - at >= WELL_WITHIN)
}

/// Whether nothing but us stands between a Certificate and its being Ready.
fn can_be_ready(world: &World, certificate: &Value) -> bool {
    let secret = certificate["spec"]["secretName"].as_str().unwrap_or_default();
    let owner = model::owner(world, model::namespace(certificate), secret);
    let owns = owner.is_some_and(|owner| owner == model::name(certificate));
    let facts = project::facts(Kind::Certificate, certificate, true);
    let sound = matches!(facts, Some(Facts::Certificate(facts)) if facts.problems.is_empty());
    owns && sound
        && !model::is_deleting(certificate)
        && !keeps_a_wrong_key(world, certificate)
        && !super::budget::waits_for_a_limit(world, certificate)
        && !is_never_answered(world, certificate)
}

/// Whether its issuer gives nothing that may be stored, for as long as the run goes on.
fn is_never_answered(world: &World, certificate: &Value) -> bool {
    let good = [Answer::Good, Answer::Short, Answer::Backdated, Answer::Disordered];
    let bad = world.config.answer.is_some_and(|(answer, _)| !good.contains(&answer));
    bad && certificate["spec"]["issuerRef"]["group"] == FOREIGN_GROUP
}

/// A key that is never to be rotated, of a kind that is no longer asked for.
fn keeps_a_wrong_key(world: &World, certificate: &Value) -> bool {
    let spec = &certificate["spec"];
    let key = model::secret_of(world, certificate).and_then(|secret| material::key_of(&secret));
    !model::rotates(spec) && key.is_some_and(|key| key.kind != model::wanted_key(spec))
}

/// I29: in the end everything is Ready, and stays so.
#[derive(Default)]
struct Convergence {
    samples: u64,
}

impl Convergence {
    fn is_ready(world: &World, certificate: &Value) -> Result<(), String> {
        let key = project::identity(Kind::Certificate, certificate).key;
        let generation = certificate["metadata"]["generation"].as_i64();
        let ready = model::condition(certificate, "Ready");
        let said = ready.is_some_and(|ready| {
            ready["status"] == "True" && ready["observedGeneration"].as_i64() == generation
        });
        if !said {
            return Err(format!("{key} is not Ready: {}", certificate["status"]));
        }
        let secret = model::secret_of(world, certificate);
        let leaf = secret.as_deref().and_then(material::leaf_of);
        let Some(leaf) = leaf.filter(|leaf| leaf.is_valid_at(world.now)) else {
            return Err(format!("{key} has no valid leaf"));
        };
        model::conforms(&certificate["spec"], &leaf).map_err(|why| format!("{key}: {why}"))
    }
}

impl Invariant for Convergence {
    fn id(&self) -> &'static str {
        "I29"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        self.samples += u64::from(matches!(event, Event::Sample));
        let sampled = matches!(event, Event::Sample) && self.samples.is_multiple_of(EVERY);
        if !is_well_due(world) || !(sampled || matches!(event, Event::End)) {
            return Ok(());
        }
        world.all(Kind::Certificate).iter().try_for_each(|c| match Self::is_ready(world, c) {
            Err(why) if can_be_ready(world, c) => Err(why),
            _ => Ok(()),
        })
    }
}

/// I30: with issuers and API server well for 26 hours, nothing expires.
#[derive(Default)]
struct NoExpiry {
    samples: u64,
}

impl Invariant for NoExpiry {
    fn id(&self) -> &'static str {
        "I30"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        self.samples += u64::from(matches!(event, Event::Sample));
        let sampled = matches!(event, Event::Sample) && self.samples.is_multiple_of(EVERY);
        if !sampled || !is_well_due(world) {
            return Ok(());
        }
        for certificate in world.all(Kind::Certificate) {
            let secret = model::secret_of(world, &certificate);
            let leaf = secret.as_deref().and_then(material::leaf_of);
            let expired = leaf.filter(|leaf| leaf.not_after * 1000 <= world.now);
            if expired.is_some() && can_be_ready(world, &certificate) {
                return Err(format!("the leaf of {} expired", model::name(&certificate)));
            }
        }
        Ok(())
    }
}

/// Whether something is to come of an object.
fn is_open(facts: &Facts) -> bool {
    match facts {
        Facts::Certificate(facts) => !facts.deleting,
        Facts::Order(facts) => !facts.deleting && !facts.state.is_final(),
        Facts::Challenge(facts) => facts.guarded || !facts.state.is_final(),
        _ => false,
    }
}

/// I31: whatever is not at an end waits for something that has a time.
struct NoSilentWait;

impl Invariant for NoSilentWait {
    fn id(&self) -> &'static str {
        "I31"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if !matches!(event, Event::Sample) {
            return Ok(());
        }
        for replica in world.replicas.iter().filter(|r| r.alive && r.leads.is_some()) {
            if replica.paused_until > world.now - MINUTE || !replica.engine.is_fully_synced() {
                continue;
            }
            // Under a wrong clock nothing is spent until it is right again.
            if replica.doubts || replica.offset.abs() > 5 * MINUTE || replica.jumped != 0 {
                continue;
            }
            let soon = replica.engine.now().plus_millis(33 * HOUR);
            let world_of = replica.engine.world();
            let open = world_of.iter().filter(|(_, object)| is_open(&object.facts));
            for (key, _) in open {
                let Some(status) = replica.engine.status(key) else { continue };
                let moving = status.held
                    || status.steps.iter().any(|s| matches!(s.phase, "queued" | "inFlight"));
                let waits = status.armed.iter().any(|armed| armed.at <= soon);
                if !moving && !waits {
                    return Err(format!("{key} waits for nothing: {status:?}"));
                }
            }
        }
        Ok(())
    }
}

/// I34: what is overdue fires within a minute.
struct Clock;

impl Invariant for Clock {
    fn id(&self) -> &'static str {
        "I34"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if !matches!(event, Event::Sample) {
            return Ok(());
        }
        for replica in world.replicas.iter().filter(|r| r.alive && r.leads.is_some()) {
            if replica.paused_until > world.now - MINUTE {
                continue;
            }
            let late = match replica.engine.poll_wake() {
                Wake::At(at) => replica.clock(world.now).since(at),
                Wake::Now | Wake::OnlyWhenTold => 0,
            };
            // A clock that moved a moment ago was not looked at yet.
            if late > MINUTE && replica.jumped == 0 {
                return Err(format!("a wait is overdue by {late} ms"));
            }
        }
        Ok(())
    }
}
