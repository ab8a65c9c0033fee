//! I01 to I08: what is stored.

use super::Invariant;
use super::model::{self, Watcher, stored};
use crate::world::World;
use crate::world::event::{Actor, Event, Order, Wrote};
use crate::world::material;
use everleaf_nodes::facts::Kind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What has to be asked before all others: a second write breaks many rules at once.
pub(super) fn first() -> Vec<Box<dyn Invariant>> {
    vec![Box::<Atomic>::default()]
}

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(CsrFidelity),
        Box::new(Pair),
        Box::new(NeverWorse),
        Box::new(Fresh),
        Box::new(Conformity),
        Box::new(Chain),
        Box::<Rotation>::default(),
    ]
}

/// I01: key and leaf of a Secret that we wrote belong together.
struct Pair;

impl Invariant for Pair {
    fn id(&self) -> &'static str {
        "I01"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Some(stored) = stored(world, event) else { return Ok(()) };
        let key = stored.key.map(|key| key.fp);
        let leaf = stored.chain.first().map(|leaf| leaf.fp.clone());
        if key.is_some() && key == leaf {
            return Ok(());
        }
        Err(format!("{} holds key {key:?} and a leaf for {leaf:?}", model::name(stored.after)))
    }
}

/// I02: one write per revision; no stored version mixes two.
#[derive(Default)]
struct Atomic {
    last: Option<Arc<Order>>,
}

impl Invariant for Atomic {
    fn id(&self) -> &'static str {
        "I02"
    }

    fn look(&mut self, _: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Wrote(Wrote { actor: Actor::Replica(_), order: Some(order), kind, .. }) = event
        else {
            return Ok(());
        };
        if *kind != Kind::Secret {
            return Ok(());
        }
        let again = self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, order));
        self.last = Some(order.clone());
        if again { Err(format!("{} wrote a Secret twice", order.id)) } else { Ok(()) }
    }
}

/// I03: the leaf is for the key of the request of the same revision.
struct CsrFidelity;

impl Invariant for CsrFidelity {
    fn id(&self) -> &'static str {
        "I03"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Some(stored) = stored(world, event) else { return Ok(()) };
        let (Some(csr), Some(leaf)) = (&stored.csr, stored.chain.first()) else { return Ok(()) };
        if csr.fp == leaf.fp {
            return Ok(());
        }
        Err(format!("the request asks for key {}, the stored leaf is for {}", csr.fp, leaf.fp))
    }
}

/// I04: what is stored is what the spec asks for.
struct Conformity;

impl Invariant for Conformity {
    fn id(&self) -> &'static str {
        "I04"
    }

    fn look(&mut self, world: &World, news: &Watcher, event: &Event) -> Result<(), String> {
        let Some(stored) = stored(world, event) else { return Ok(()) };
        if news.was_edited(world, model::uid(&stored.certificate)) {
            // The request was made from a spec that the replica had before the edit.
            let (Some(csr), Some(leaf)) = (&stored.csr, stored.chain.first()) else {
                return Ok(());
            };
            let same = model::same_names(&csr.names, &leaf.names) && csr.kind == leaf.kind;
            return if same { Ok(()) } else { Err("the leaf is not as requested".to_owned()) };
        }
        let Some(leaf) = stored.chain.first() else { return Err("no leaf".to_owned()) };
        model::conforms(&stored.certificate["spec"], leaf)
            .map_err(|why| format!("{}: {why}", model::name(&stored.certificate)))
    }
}

/// I05: what is stored is valid now and not to be renewed at once.
struct Fresh;

impl Invariant for Fresh {
    fn id(&self) -> &'static str {
        "I05"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Some(stored) = stored(world, event) else { return Ok(()) };
        let Some(leaf) = stored.chain.first() else { return Ok(()) };
        let now = world.now;
        // A replica judges by its own clock.
        let skew = world.replicas.iter().map(|replica| replica.offset.abs()).max().unwrap_or(0);
        let (begin, end) = (leaf.not_before * 1000, leaf.not_after * 1000);
        if begin > now + SKEW + skew {
            return Err(format!("stored {} ms before it is valid", begin - now));
        }
        if now >= end + skew {
            return Err(format!("stored {} ms after it expired", now - end));
        }
        let renew = model::renew_at(&stored.certificate["spec"], leaf, now);
        if renew <= now - skew {
            Err("stored, and due for renewal at once".to_owned())
        } else {
            Ok(())
        }
    }
}

/// How far a CA's clock may be ahead of ours, in milliseconds.
const SKEW: i64 = 5 * 60_000;

/// I06: a leaf that is valid and fits is never replaced by one that is not.
struct NeverWorse;

impl Invariant for NeverWorse {
    fn id(&self) -> &'static str {
        "I06"
    }

    fn look(&mut self, world: &World, news: &Watcher, event: &Event) -> Result<(), String> {
        let Some(stored) = stored(world, event) else { return Ok(()) };
        let spec = &stored.certificate["spec"];
        let good = |leaf: Option<&material::SymCert>| {
            leaf.is_some_and(|leaf| {
                // A CA's clock may be a little ahead of ours.
                let valid = leaf.is_valid_at(world.now) || leaf.is_valid_at(world.now + SKEW);
                valid && model::conforms(spec, leaf).is_ok()
            })
        };
        let before = stored.before.map(material::chain_of).unwrap_or_default();
        let skewed = world.replicas.iter().any(|replica| replica.offset != 0);
        let edited = news.was_edited(world, model::uid(&stored.certificate));
        let worse = good(before.first()) && !good(stored.chain.first()) && !skewed && !edited;
        if worse { Err("a good leaf was replaced by a bad one".to_owned()) } else { Ok(()) }
    }
}

/// I07: leaf first, each link verifies the one before, none twice, at most ten.
struct Chain;

impl Invariant for Chain {
    fn id(&self) -> &'static str {
        "I07"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Some(stored) = stored(world, event) else { return Ok(()) };
        match material::chain_fault(&stored.chain) {
            Some(fault) => Err(format!("{}: {fault}", model::name(stored.after))),
            None => Ok(()),
        }
    }
}

/// I08: Always makes a new key for every revision, Never keeps it.
#[derive(Default)]
struct Rotation {
    keys: BTreeMap<String, material::SymKey>,
}

impl Invariant for Rotation {
    fn id(&self) -> &'static str {
        "I08"
    }

    fn look(&mut self, world: &World, news: &Watcher, event: &Event) -> Result<(), String> {
        let Some(stored) = stored(world, event) else { return Ok(()) };
        let Some(key) = stored.key else { return Ok(()) };
        let uid = model::uid(&stored.certificate).to_owned();
        let before = self.keys.insert(uid.clone(), key.clone());
        let Some(before) = before.filter(|_| !news.was_edited(world, &uid)) else {
            return Ok(());
        };
        let held = stored.before.and_then(material::key_of);
        let name = model::name(&stored.certificate);
        if model::rotates(&stored.certificate["spec"]) {
            let same = before.fp == key.fp;
            return if same { Err(format!("{name} kept its key {}", key.fp)) } else { Ok(()) };
        }
        // A key can be kept only if it was still there.
        match held.filter(|held| held.kind == key.kind) {
            Some(held) if held.fp != key.fp => {
                Err(format!("{name} is never to rotate, but {} became {}", held.fp, key.fp))
            }
            _ => Ok(()),
        }
    }
}
