//! I14, I17, I19: how often.

use super::Invariant;
use super::model::{self, Watcher};
use crate::world::World;
use crate::world::config::{HOUR, MINUTE};
use crate::world::event::{Actor, Event, Wrote};
use crate::world::material;
use everleaf_engine::ObjectKey;
use everleaf_nodes::facts::Kind;
use std::collections::{BTreeMap, VecDeque};

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<Backoff>::default(),
        Box::<StandingStill>::default(),
        Box::new(Renewal),
        Box::<Bounded>::default(),
    ]
}

/// The clocks that may have decided were wrong by this much, in milliseconds.
fn skew(world: &World) -> i64 {
    world.replicas.iter().map(|replica| replica.offset.abs()).max().unwrap_or(0)
}

/// How far the clock that is furthest ahead is so, in milliseconds.
fn ahead(world: &World) -> i64 {
    world.replicas.iter().map(|replica| replica.offset).max().unwrap_or(0).max(0)
}

/// I14: between two attempts lies the ladder.
#[derive(Default)]
struct Backoff {
    /// By UID: when the last failure was, which in a row, under which generation, how long the
    /// leaf lives and until when.
    failures: BTreeMap<String, (i64, i64, i64, Option<(i64, i64)>)>,
}

impl Backoff {
    fn note_failure(&mut self, world: &World, wrote: &Wrote) {
        let Some(after) = wrote.after.as_deref().filter(|_| wrote.kind == Kind::Certificate) else {
            return;
        };
        let uid = model::uid(after).to_owned();
        let count = after["status"]["failedIssuanceAttempts"].as_i64();
        let at = model::time(&after["status"]["lastFailureTime"]);
        let (Some(count), Some(at)) = (count, at) else {
            self.failures.remove(&uid);
            return;
        };
        let generation = after["metadata"]["generation"].as_i64().unwrap_or(0);
        let known = self.failures.get(&uid);
        if known.is_none_or(|(_, known, ..)| *known != count) {
            let leaf = model::secret_of(world, after).and_then(|s| material::leaf_of(&s));
            // It was written now at the latest, whatever the clock that wrote it said.
            let at = at.min(world.now);
            let leaf = leaf.map(|l| ((l.not_after - l.not_before) * 1000, l.not_after * 1000));
            self.failures.insert(uid, (at, count, generation, leaf));
        }
    }
}

impl Invariant for Backoff {
    fn id(&self) -> &'static str {
        "I14"
    }

    fn look(&mut self, world: &World, news: &Watcher, event: &Event) -> Result<(), String> {
        if let Event::Wrote(wrote) = event {
            self.note_failure(world, wrote);
        }
        let Some((_, order, _)) = model::requested(event) else { return Ok(()) };
        let Some(certificate) = world.peek(&order.effect.subject) else { return Ok(()) };
        let uid = model::uid(&certificate);
        let Some((at, count, generation, leaf)) = self.failures.get(uid) else { return Ok(()) };
        let edited = certificate["metadata"]["generation"].as_i64() != Some(*generation)
            || news.was_edited(world, uid);
        let forced = model::condition(&certificate, "Issuing")
            .is_some_and(|c| c["status"] == "True" && c["reason"] == "ManuallyTriggered");
        if edited || forced {
            return Ok(());
        }
        let ladder = model::ladder_of(&certificate, *count);
        // A quarter of the time left, or of the life that is missed; and an hour, but of a short
        // life that is still going on no more than a hundredth.
        let cap = leaf.map(|(life, end)| match end - at {
            left if left > 0 => (left / 4).max(HOUR.min((life / 100).max(15_000))),
            _ => (life / 4).max(HOUR),
        });
        let wanted = ladder.min(cap.unwrap_or(i64::MAX)) / 10 * 9;
        let gap = world.now - at + skew(world) + 2000;
        if gap >= wanted {
            return Ok(());
        }
        Err(format!("attempt {} came {gap} ms after failure {count}, not {wanted}", count + 1))
    }
}

/// I34, the half of it that is about spending: a step back starts no issuance.
#[derive(Default)]
struct StandingStill {
    stepped: Option<i64>,
}

impl Invariant for StandingStill {
    fn id(&self) -> &'static str {
        "I34"
    }

    fn look(&mut self, world: &World, news: &Watcher, event: &Event) -> Result<(), String> {
        if let Event::Stepped { by, .. } = event
            && *by < 0
        {
            self.stepped = Some(world.now);
        }
        let behind = world.replicas.iter().any(|replica| replica.offset < 0);
        let lately = self.stepped.is_some_and(|at| behind || world.now - at < 10 * MINUTE);
        let Some((_, order, _)) = model::requested(event).filter(|_| lately) else { return Ok(()) };
        match early(world, news, &order.effect.subject) {
            // A clock that is behind can excuse nothing.
            Some(early) if early > ahead(world) && !slipped(world, event) => {
                Err(format!("a step back began an issuance {early} ms too early"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether it was sent by a leader that stood still after it had looked at its Lease.
fn slipped(world: &World, event: &Event) -> bool {
    let Event::Wrote(Wrote { actor: Actor::Replica(at), order: Some(order), .. }) = event else {
        return false;
    };
    world.holder != Some(*at) || world.replicas[*at].leads != order.epoch
}

/// How much too early an issuance is, if the clock alone may have asked for it.
fn early(world: &World, watcher: &Watcher, subject: &ObjectKey<Kind>) -> Option<i64> {
    let certificate = world.peek(subject)?;
    let uid = model::uid(&certificate);
    if watcher.was_troubled(world, uid) || watcher.was_edited(world, uid) {
        return None;
    }
    let leaf = model::secret_of(world, &certificate).and_then(|s| material::leaf_of(&s))?;
    let got = watcher.got(&leaf);
    let due = model::renew_at(&certificate["spec"], &leaf, got);
    // The floor counts from the answer, of which only whole seconds are known; without the
    // request that holds it, from the leaf's own beginning.
    let least = due.min(model::renew_at(&certificate["spec"], &leaf, leaf.not_before * 1000));
    // A CA may call for it earlier; what is told of that is I18's to judge.
    let called = super::ari::earliest(&certificate, &leaf, got.min(leaf.not_before * 1000));
    let least = least.min(called.unwrap_or(i64::MAX));
    let early = least - 1000 - world.now;
    (early > 0).then_some(early)
}

/// I17: never renewed before the renewal time of the issued lifetime.
struct Renewal;

impl Renewal {
    fn told_right(world: &World, news: &Watcher, wrote: &Wrote) -> Result<(), String> {
        let ours = matches!(wrote.actor, Actor::Replica(_)) && wrote.kind == Kind::Certificate;
        let Some(certificate) = wrote.after.as_deref().filter(|_| ours) else { return Ok(()) };
        let Some(told) = model::time(&certificate["status"]["renewalTime"]) else { return Ok(()) };
        let end = model::time(&certificate["status"]["notAfter"]).unwrap_or(i64::MAX);
        if told >= end {
            return Err(format!("{} is to be renewed at its end", model::name(certificate)));
        }
        let uid = model::uid(certificate);
        let on = world.config.faults;
        // The moment of the answer is told by a clock that may be wrong.
        let clocks = on.clock_forward || on.clock_backward;
        if clocks || news.was_troubled(world, uid) || news.was_edited(world, uid) {
            return Ok(());
        }
        let leaf = model::secret_of(world, certificate).and_then(|s| material::leaf_of(&s));
        let Some(leaf) = leaf.filter(|leaf| leaf.not_after * 1000 == end) else { return Ok(()) };
        let got = model::renew_at(&certificate["spec"], &leaf, news.got(&leaf));
        let begun = model::renew_at(&certificate["spec"], &leaf, leaf.not_before * 1000);
        if super::ari::earliest(certificate, &leaf, got).is_some() {
            return Ok(()); // I18's.
        }
        if told + 2000 >= got.min(begun) && told <= got.max(begun) + 2000 {
            return Ok(());
        }
        Err(format!("{} is said to be renewed at {told}, not {got}", model::name(certificate)))
    }
}

impl Invariant for Renewal {
    fn id(&self) -> &'static str {
        "I17"
    }

    fn look(&mut self, world: &World, news: &Watcher, event: &Event) -> Result<(), String> {
        if let Event::Wrote(wrote) = event {
            Self::told_right(world, news, wrote)?;
        }
        let Some((_, order, _)) = model::requested(event) else { return Ok(()) };
        let subject = &order.effect.subject;
        if slipped(world, event) {
            return Ok(());
        }
        match early(world, news, subject) {
            Some(early) if early > skew(world) => {
                Err(format!("{subject} is renewed {early} ms too early"))
            }
            _ => Ok(()),
        }
    }
}

/// I19: few requests, few Events.
#[derive(Default)]
struct Bounded {
    said: BTreeMap<ObjectKey<Kind>, VecDeque<i64>>,
    issued: BTreeMap<ObjectKey<Kind>, VecDeque<i64>>,
}

/// Events on one object in an hour, beside two for each revision.
const EVENTS: usize = 10;

/// Adds an instant and forgets those of more than an hour ago; how many there are.
fn in_an_hour(now: i64, all: &mut VecDeque<i64>, add: bool) -> usize {
    if add {
        all.push_back(now);
    }
    while all.front().is_some_and(|at| now - at >= HOUR) {
        all.pop_front();
    }
    all.len()
}

impl Invariant for Bounded {
    fn id(&self) -> &'static str {
        "I19"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if let Event::Said { subject, event, .. } = event {
            let said = self.said.entry(subject.clone()).or_default();
            let said = in_an_hour(world.now, said, true);
            let issued = self.issued.entry(subject.clone()).or_default();
            let issued = in_an_hour(world.now, issued, false);
            if said > EVENTS + 2 * issued && !world.faulty {
                return Err(format!("{said} Events on {subject}: {}", event.message));
            }
        }
        let Some((request, order, _)) = model::requested(event) else { return Ok(()) };
        let Some(certificate) = world.peek(&order.effect.subject) else { return Ok(()) };
        let subject = order.effect.subject.clone();
        in_an_hour(world.now, self.issued.entry(subject).or_default(), true);
        let kept = certificate["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(1).max(1);
        let uid = model::uid(&certificate);
        let count = model::requests_of(world, model::namespace(request), uid).len() as u64;
        if count <= kept + 1 || slipped(world, event) {
            return Ok(());
        }
        Err(format!("{} has {count} requests", order.effect.subject))
    }
}
