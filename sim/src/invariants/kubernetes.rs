//! I24 to I28: reading, leading, writing statuses, and letting go.

use super::model;
use super::{Invariant, Watcher};
use crate::world::World;
use crate::world::config::HOUR;
use crate::world::event::{Actor, Event, Order, Wrote};
use crate::world::project;
use everleaf_engine::{ObjectKey, Program as _};
use everleaf_nodes::effect::{Acme, SignWith};
use everleaf_nodes::facts::Kind;
use everleaf_nodes::{Base, Do};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(Fence),
        Box::<OldRevisions>::default(),
        Box::new(Synced),
        Box::new(Barrier),
        Box::new(ReadAgain),
        Box::<Status>::default(),
        Box::<Finalizers>::default(),
    ]
}

/// The versions of objects that an effect rests on.
fn bases(order: &Order) -> Vec<(ObjectKey<Kind>, Base)> {
    let effect = &order.effect;
    let near = |kind, name: &std::sync::Arc<str>| {
        ObjectKey::new(kind, effect.subject.namespace.clone(), name.clone())
    };
    let mut out = vec![(effect.subject.clone(), effect.base.clone())];
    match &effect.action {
        Do::Delete { key, base } => out.push((key.clone(), base.clone())),
        Do::TendSecret { secret, base, .. } => {
            out.push((near(Kind::Secret, secret), base.clone()));
        }
        Do::Store(store) => {
            let request = near(Kind::CertificateRequest, &store.request);
            out.push((request, store.request_base.clone()));
            let secret = near(Kind::Secret, &store.secret);
            out.extend(store.secret_base.clone().map(|base| (secret, base)));
        }
        Do::Sign(sign) => {
            if let SignWith::Ca { secret, base } = &sign.with {
                out.push((secret.clone(), base.clone()));
            }
        }
        Do::UpdateCertificate { name, base, .. } => {
            out.push((near(Kind::Certificate, name), base.clone()));
        }
        _ => {}
    }
    out
}

/// I24: nothing rests on a version older than our own last acknowledged write.
struct Barrier;

impl Invariant for Barrier {
    fn id(&self) -> &'static str {
        "I24"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Started { replica, order } = event else { return Ok(()) };
        let acked = &world.replicas[*replica].acked;
        for (key, base) in bases(order) {
            let exists =
                || world.peek(&key).is_some_and(|object| *model::uid(&object) == *base.uid);
            // What is gone may be shown once more by a watch that stood still.
            if let Some(rv) = acked.get(&key).filter(|rv| base.rv < **rv && exists()) {
                return Err(format!("{} rests on {key} at {}, we wrote {rv}", order.id, base.rv));
            }
        }
        Ok(())
    }
}

/// I24, the other half: what is stored or signed was read again right before.
struct ReadAgain;

impl Invariant for ReadAgain {
    fn id(&self) -> &'static str {
        "I24"
    }

    fn look(&mut self, _: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Wrote(Wrote {
            actor: Actor::Replica(_), order: Some(order), before, kind, ..
        }) = event
        else {
            return Ok(());
        };
        let base = match (&order.effect.action, kind) {
            (Do::Store(store), Kind::Secret) => store.secret_base.as_ref(),
            (Do::TendSecret { base, .. }, Kind::Secret) => Some(base),
            (Do::Sign(_) | Do::PatchStatus { .. }, _) => Some(&order.effect.base),
            (Do::Acme(Acme::Claim(_)), Kind::Order) => Some(&order.effect.base),
            (Do::Acme(Acme::TakeCertificate { .. }), _) => Some(&order.effect.base),
            (Do::Delete { base, .. }, _) => Some(base),
            _ => return Ok(()),
        };
        let is = before.as_deref().map(|before| (model::uid(before), project::version(before)));
        if is == base.map(|base| (&*base.uid, base.rv)) {
            return Ok(());
        }
        Err(format!("{} wrote over {is:?}, but rests on {base:?}", order.id))
    }
}

/// I25: no effect of a machine before every feed it reads was listed.
struct Synced;

impl Invariant for Synced {
    fn id(&self) -> &'static str {
        "I25"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Started { replica, order } = event else { return Ok(()) };
        let replica = &world.replicas[*replica];
        let program = replica.engine.program();
        let Some(machine) = program.machine(order.effect.subject.kind) else { return Ok(()) };
        let reads = program.reads(machine);
        let feeds = program.feeds().iter().zip(&replica.listed);
        let missing = feeds.filter(|(feed, listed)| reads.contains(&feed.kind) && !**listed);
        let missing: Vec<_> = missing.map(|(feed, _)| feed.name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("{} started before {missing:?} were listed", order.id))
    }
}

/// I26: no effect starts under an epoch that is known to be over.
struct Fence;

impl Invariant for Fence {
    fn id(&self) -> &'static str {
        "I26"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Started { replica, order } = event else { return Ok(()) };
        let leads = world.replicas[*replica].leads;
        if leads.is_some() && leads == order.epoch {
            return Ok(());
        }
        Err(format!("{} started under {:?}, leading {leads:?}", order.id, order.epoch))
    }
}

/// I26, the other half: no stored revision is overwritten by an older one.
#[derive(Default)]
struct OldRevisions {
    stored: BTreeMap<String, u64>,
}

impl Invariant for OldRevisions {
    fn id(&self) -> &'static str {
        "I26"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Some(stored) = model::stored(world, event) else { return Ok(()) };
        let Event::Wrote(Wrote { order: Some(order), .. }) = event else { return Ok(()) };
        let uid = model::uid(&stored.certificate).to_owned();
        let revision = order.id.revision;
        let before = self.stored.insert(uid, revision).unwrap_or(0);
        if revision >= before {
            return Ok(());
        }
        Err(format!("revision {before} was overwritten by {revision}"))
    }
}

/// I27: statuses are true, and are written only to say something new.
#[derive(Default)]
struct Status {
    secrets: BTreeMap<(String, String), i64>,
    edits: BTreeMap<String, i64>,
}

impl Status {
    fn conditions(clock: i64, before: &Value, after: &Value) -> Result<(), String> {
        let name = model::name(after);
        let all = after["status"]["conditions"].as_array();
        for new in all.into_iter().flatten() {
            let kind = new["type"].as_str().unwrap_or_default();
            let Some(old) = model::condition(before, kind) else { continue };
            let generation = |c: &Value| c["observedGeneration"].as_i64();
            if generation(new) < generation(old) {
                return Err(format!("{name}: observedGeneration of {kind} fell"));
            }
            let moved = new["lastTransitionTime"] != old["lastTransitionTime"];
            let turned = new["status"] != old["status"];
            // Times are in whole seconds: two turns may share one.
            let just =
                model::time(&new["lastTransitionTime"]).is_some_and(|at| clock - at < 60_000);
            if moved && !turned || turned && !moved && !just {
                return Err(format!("{name}: {kind} turned from {old} to {new}"));
            }
        }
        Ok(())
    }

    /// Ready=True of this generation means that the Secret is as the spec asks.
    fn ready_is_true(&self, world: &World, certificate: &Value) -> Result<(), String> {
        let Some(ready) = model::condition(certificate, "Ready") else { return Ok(()) };
        let generation = certificate["metadata"]["generation"].as_i64();
        if ready["status"] != "True" || ready["observedGeneration"].as_i64() != generation {
            return Ok(());
        }
        let secret = certificate["spec"]["secretName"].as_str().unwrap_or_default();
        let place = (model::namespace(certificate).to_owned(), secret.to_owned());
        let slept = |r: &crate::world::Replica| r.paused_until > world.now - super::LAG;
        if world.replicas.iter().any(slept) {
            return Ok(());
        }
        let lately = |at: Option<&i64>| at.is_some_and(|at| world.now - at <= super::LAG);
        if lately(self.secrets.get(&place)) || lately(self.edits.get(model::uid(certificate))) {
            return Ok(());
        }
        let name = model::name(certificate);
        let Some(secret) = model::secret_of(world, certificate) else {
            return Err(format!("{name} is Ready without a Secret"));
        };
        let key = crate::world::material::key_of(&secret);
        let Some(leaf) = crate::world::material::leaf_of(&secret) else {
            return Err(format!("{name} is Ready without a leaf"));
        };
        if key.map(|key| key.fp) != Some(leaf.fp.clone()) {
            return Err(format!("{name} is Ready, but its Secret holds no pair"));
        }
        let on = world.config.faults;
        // Under a clock that is wrong by days nobody can tell.
        let clocks = on.clock_forward || on.clock_backward;
        if !clocks && world.now >= leaf.not_after * 1000 + super::LAG {
            return Err(format!("{name} is said to be Ready after its end"));
        }
        model::conforms(&certificate["spec"], &leaf).map_err(|why| format!("{name}: {why}"))
    }
}

impl Invariant for Status {
    fn id(&self) -> &'static str {
        "I27"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Wrote(wrote) = event else { return Ok(()) };
        let ours = matches!(wrote.actor, Actor::Replica(_));
        let object = wrote.after.as_deref().or(wrote.before.as_deref());
        if let Some(object) = object {
            let place = (model::namespace(object).to_owned(), model::name(object).to_owned());
            if wrote.kind == Kind::Secret && !ours {
                self.secrets.insert(place, world.now);
            } else if wrote.kind == Kind::Certificate && !wrote.status {
                self.edits.insert(model::uid(object).to_owned(), world.now);
            }
        }
        let (Some(before), Some(after)) = (&wrote.before, &wrote.after) else { return Ok(()) };
        if !ours {
            return Ok(());
        }
        if wrote.status {
            let Actor::Replica(at) = wrote.actor else { return Ok(()) };
            // The replica wrote what its engine had decided, by the engine's time.
            let clock = world.replicas[at].engine.now().as_millis();
            Self::conditions(clock, before, after)?;
        }
        if project::version(before) == project::version(after) {
            return Err(format!("{} was written without a change", model::name(after)));
        }
        if wrote.status && wrote.kind == Kind::Certificate {
            return self.ready_is_true(world, after);
        }
        Ok(())
    }
}

/// I28: only Challenges have a finalizer of ours, it goes only with what was presented, or once
/// that is told to be left behind; and nothing that was deleted stays for an hour.
#[derive(Default)]
struct Finalizers {
    /// Challenges, by UID, of which something was told to be left behind.
    given_up: BTreeSet<String>,
    /// When that was last told of a Challenge, by its key: it may be gone in the same moment.
    told: BTreeMap<ObjectKey<Kind>, i64>,
}

impl Finalizers {
    /// Whether a Challenge that loses its finalizer leaves something that nobody else needs.
    fn leaves(&self, world: &World, challenge: &Value) -> Option<String> {
        let key = crate::world::project::identity(Kind::Challenge, challenge).key;
        let told = self.told.get(&key).is_some_and(|at| *at == world.now);
        if told || self.given_up.contains(model::uid(challenge)) {
            return None;
        }
        let what = super::acme::shown(world, challenge)?;
        let others = world.all(Kind::Challenge);
        let mut others = others.iter().filter(|c| model::uid(c) != model::uid(challenge));
        let same = |other: &Value| super::acme::answer(other) == super::acme::answer(challenge);
        (!others.any(|other| same(other))).then_some(what)
    }

    fn of(object: Option<&Value>) -> Option<&Value> {
        object.and_then(|object| object.pointer("/metadata/finalizers"))
    }

    fn nothing_stays(world: &World) -> Result<(), String> {
        let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Key);
        for object in kinds.flat_map(|kind| world.all(kind)) {
            let deleted = model::time(&object["metadata"]["deletionTimestamp"]);
            if deleted.is_some_and(|at| world.now - at > HOUR) {
                return Err(format!("{} was deleted an hour ago", model::name(&object)));
            }
        }
        Ok(())
    }
}

impl Invariant for Finalizers {
    fn id(&self) -> &'static str {
        "I28"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        match event {
            Event::End => Self::nothing_stays(world),
            Event::Said { subject, event, .. } if event.message.contains("may be left behind") => {
                let found = world.peek(subject);
                self.told.insert(subject.clone(), world.now);
                self.given_up.extend(found.map(|found| model::uid(&found).to_owned()));
                Ok(())
            }
            Event::Wrote(wrote) => {
                let ours = matches!(wrote.actor, Actor::Replica(_));
                let (before, after) = (wrote.before.as_deref(), wrote.after.as_deref());
                let (was, is) = (Self::of(before), Self::of(after));
                let kept = |all: Option<&Value>| all.and_then(Value::as_array).map_or(0, Vec::len);
                if ours && wrote.kind == Kind::Challenge && kept(is) < kept(was) {
                    let left = before.and_then(|before| self.leaves(world, before));
                    return left.map_or(Ok(()), |left| Err(format!("{left} stays behind")));
                }
                let free = wrote.kind == Kind::Challenge || after.is_none();
                if !ours || free || was == is {
                    return Ok(());
                }
                Err(format!("a replica set the finalizers {is:?}"))
            }
            _ => Ok(()),
        }
    }
}
