//! Seeing an object in a recording, at any instant of it.

use super::Failure;
use super::path::{KEPT, Passed};
use super::sight::Sight;
use super::suggest::{Source, meant, near};
use crate::commands::recording::{At, Ended, Heard, Played, Recording};
use crate::operator::{effect_name, moved};
use everleaf_engine::{Delta, Engine, Input, ObjectKey, Outcome, Timestamp, Uid};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::{Everleaf, Kind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// What is asked for: a kind, a namespace if one was given, and a name.
pub(super) struct Asked<'a> {
    pub kind: Kind,
    pub namespace: Option<&'a str>,
    pub name: &'a str,
}

impl Asked<'_> {
    fn fits(&self, key: &ObjectKey<Kind>) -> bool {
        let placed = key.kind == Kind::ClusterIssuer
            || self.namespace.is_none_or(|namespace| *namespace == *key.namespace);
        key.kind == self.kind && *key.name == *self.name && placed
    }
}

/// What happened to one object.
#[derive(Default)]
struct Life {
    path: VecDeque<Passed>,
    left_out: usize,
    uids: BTreeSet<Uid>,
}

impl Life {
    fn add(&mut self, passed: Passed) {
        if self.path.len() == KEPT {
            self.path.pop_front();
            self.left_out += 1;
        }
        self.path.push_back(passed);
    }
}

/// Plays a recording up to an instant, or to its end, and looks at an object there.
///
/// # Errors
/// [`Failure::Usage`] for a recording that cannot be read, and [`Failure::Failed`] if the object is
/// not in it then, or several fit.
pub(super) fn look(
    paths: &[PathBuf],
    at: Option<At>,
    asked: &Asked<'_>,
) -> Result<(ObjectKey<Kind>, Sight), Failure> {
    let recording = Recording::open(paths)?;
    let until = at.map(|at| at.resolve(&recording)).transpose()?;
    let mut lives: BTreeMap<ObjectKey<Kind>, Life> = BTreeMap::new();
    let ended = recording.play(until, |heard| {
        match heard {
            Heard::Begin(engine) => begin(&mut lives, asked, engine),
            Heard::Input(played) => follow(&mut lives, asked, &played),
        }
        ControlFlow::Continue(())
    })?;
    let key = the_one(&ended, &lives, asked)?;
    let life = lives.remove(&key).unwrap_or_default();
    // Beyond its end nothing is known: what would have come by then was not recorded.
    let at = until.filter(|_| ended.more).unwrap_or(ended.end);
    let source = Source::Recording {
        paths: paths.iter().map(|path| path.display().to_string()).collect(),
        at: super::screen::precise(at),
    };
    let unseen = notes(&ended, until);
    let Ended { engine, .. } = ended;
    let sight = Sight {
        engine,
        lacking: Vec::new(),
        assumed: Vec::new(),
        problems: Vec::new(),
        at,
        unseen,
        blind: BTreeSet::new(),
        path: life.path.into(),
        earlier: life.left_out,
        moves: true,
        source,
    };
    Ok((key, sight))
}

fn notes(ended: &Ended, until: Option<Timestamp>) -> Vec<String> {
    let mut notes = Vec::new();
    if !ended.more && until.is_some_and(|until| until > ended.end) {
        notes.push(format!("the recording ends at {}; that is what is told", rfc3339(ended.end)));
    }
    if ended.redacted {
        notes.push("names are pseudonyms, and names decide too: a state may differ".to_owned());
    } else if ended.different > 0 {
        notes.push(format!(
            "this build decides {} of {} inputs otherwise than the one that recorded",
            ended.different, ended.inputs
        ));
    }
    if ended.torn {
        notes.push("a file of the recording ends within a line".to_owned());
    }
    if ended.engine.epoch().is_none() {
        notes.push("this replica did not lead then: it only watched".to_owned());
    }
    notes
}

/// The one object that is meant.
fn the_one(
    ended: &Ended,
    lives: &BTreeMap<ObjectKey<Kind>, Life>,
    asked: &Asked<'_>,
) -> Result<ObjectKey<Kind>, Failure> {
    let there = || ended.engine.world().iter().map(|(key, _)| key);
    let mut fitting = there().filter(|key| asked.fits(key));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => return Ok(key.clone()),
        (Some(one), Some(other)) => {
            return Err(Failure::Usage(format!(
                "{one} and {other} both have that name; name one with -n"
            )));
        }
        (None, _) => {}
    }
    let namespace = asked.namespace.unwrap_or_default();
    let key = ObjectKey::new(asked.kind, namespace, asked.name);
    let then = rfc3339(ended.end);
    if let Some(gone) = lives.keys().find(|key| asked.fits(key)) {
        return Err(Failure::Failed(format!("{gone} was gone by {then}; ask for an earlier --at")));
    }
    let of_kind = there().filter(|key| key.kind == asked.kind).cloned();
    let near = near(&key, of_kind);
    Err(Failure::Failed(format!("there is no {key} in the recording by {then}{}", meant(&near))))
}

/// Notes the objects of a snapshot that fit.
fn begin(
    lives: &mut BTreeMap<ObjectKey<Kind>, Life>,
    asked: &Asked<'_>,
    engine: &Engine<Everleaf>,
) {
    let known = engine.world().iter().filter(|(key, _)| asked.fits(key));
    known.for_each(|(key, object)| note_uid(lives, key, &object.uid));
}

/// Notes what an input did to the objects that fit.
fn follow(lives: &mut BTreeMap<ObjectKey<Kind>, Life>, asked: &Asked<'_>, played: &Played<'_>) {
    let Played { step, record, engine, .. } = played;
    let at = step.at;
    match &step.input {
        Input::Observed(Delta::Applied { key, uid, facts, .. }) if asked.fits(key) => {
            let fresh = !lives.get(key).is_some_and(|life| life.uids.contains(uid));
            note_uid(lives, key, uid);
            if fresh {
                let says = super::around::says(facts);
                add(lives, key, Passed::new(at, "seen", format!("first seen: {says}")));
            }
        }
        Input::Observed(Delta::Deleted { key, .. }) if asked.fits(key) => {
            add(lives, key, Passed::new(at, "seen", "deleted"));
        }
        Input::Completed(id, Outcome::Failed { reason, message, .. }) => {
            if let Some(key) = owner(lives, &id.uid).cloned() {
                let effect = step_name(engine, &key, id.step);
                let text = format!("{effect}, try {}: {reason}: {message}", id.attempt);
                add(lives, &key, Passed::failed(at, "effect", text));
            }
        }
        _ => {}
    }
    for taken in &record.moves {
        if let Some(key) = owner(lives, &taken.uid).cloned() {
            let (from, to, why) = moved(engine, taken);
            let why = why.unwrap_or_else(|| "the plan does not explain it".to_owned());
            add(lives, &key, Passed::new(at, "move", format!("{from} -> {to} ({why})")));
        }
    }
    for started in &record.effects {
        if let Some(key) = owner(lives, &started.id.uid).cloned() {
            let text = format!("{} started", effect_name(engine, started));
            add(lives, &key, Passed::new(at, "effect", text));
        }
    }
}

fn note_uid(lives: &mut BTreeMap<ObjectKey<Kind>, Life>, key: &ObjectKey<Kind>, uid: &Uid) {
    lives.entry(key.clone()).or_default().uids.insert(uid.clone());
}

fn add(lives: &mut BTreeMap<ObjectKey<Kind>, Life>, key: &ObjectKey<Kind>, passed: Passed) {
    lives.entry(key.clone()).or_default().add(passed);
}

fn owner<'a>(lives: &'a BTreeMap<ObjectKey<Kind>, Life>, uid: &Uid) -> Option<&'a ObjectKey<Kind>> {
    lives.iter().find(|(_, life)| life.uids.contains(uid)).map(|(key, _)| key)
}

/// The name of a step of an object's machine.
fn step_name(engine: &Engine<Everleaf>, key: &ObjectKey<Kind>, step: u8) -> String {
    crate::operator::step_name(engine, key.kind, step).unwrap_or("an effect").to_owned()
}
