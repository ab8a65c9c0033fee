//! I18: renewal at the time that the CA suggests (RFC 9773).

use super::{Invariant, Watcher, model};
use crate::acme::{Call, Reply};
use crate::world::World;
use crate::world::config::{DAY, Faults, HOUR, MINUTE};
use crate::world::event::{Actor, Asked, Event, Order, Wrote};
use crate::world::material::{self, SymCert};
use everleaf_engine::{Epoch, Outcome};
use everleaf_nodes::Do;
use everleaf_nodes::effect::Acme;
use everleaf_nodes::facts::Kind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![Box::<Windows>::default()]
}

/// A window, in milliseconds since 1970.
type Window = (i64, i64);
/// A replica in an epoch, and a Certificate's UID with the identifier of its leaf.
type Asker = (usize, Option<Epoch>, String, String);

/// I18: a renewal time lies in the window that the CA told, and is the same each time it is drawn;
/// the CA is asked no oftener than it wants, and often enough; and only news is written.
#[derive(Default)]
struct Windows {
    /// When the next question would be due if all of them had kept their distance, and the last
    /// distance, in milliseconds.
    paced: BTreeMap<Asker, (i64, i64)>,
    /// Questions whose effects go on: what they will count for once that is written, or needs not
    /// be. An answer that the API server did not take is lost, and asked for again.
    going_on: BTreeMap<Asker, (i64, i64)>,
    /// What the CA ever told, by the leaf's identifier, in whole seconds.
    told: BTreeMap<String, BTreeSet<Window>>,
    /// When each Certificate was last asked about, by its UID.
    asked: BTreeMap<String, i64>,
    /// What was drawn for a Certificate, a leaf and a window.
    drawn: BTreeMap<(String, String, Window), i64>,
    samples: u64,
}

/// No Retry-After is heeded for longer than this, in milliseconds.
const LONGEST: i64 = DAY;
/// How much later than decided a question may leave, in milliseconds.
const LATE: i64 = 5 * MINUTE;
/// What has to be asked about at least twice a day is so within this, in milliseconds.
const TWICE_A_DAY: i64 = 13 * HOUR;
/// The same after faults: a CA that asked for the longest pause once, while it was ill, is asked in
/// steps of that for as long as they are no more than four times too long; and each step is up to a
/// tenth longer.
const AFTER_FAULTS: i64 = 27 * HOUR;
/// Every so many samples everything is looked at.
const EVERY: u64 = 6;

/// The window that a Certificate's status tells of.
fn window_of(certificate: &Value) -> Option<Window> {
    let told = &certificate["status"]["acme"]["ari"]["suggestedWindow"];
    let (start, end) = (model::time(&told["start"])?, model::time(&told["end"])?);
    (start < end).then_some((start, end))
}

/// The same, if it is this leaf's: one that was over before the leaf began speaks of another, and
/// then I17 counts.
fn window_for(certificate: &Value, leaf: &SymCert) -> Option<Window> {
    window_of(certificate).filter(|(_, end)| leaf.ari.is_some() && leaf.not_before * 1000 < *end)
}

/// The stored leaf, if it is the one that the status speaks of and can be asked about.
fn leaf_of(world: &World, certificate: &Value) -> Option<SymCert> {
    let leaf = model::secret_of(world, certificate).and_then(|s| material::leaf_of(&s))?;
    let end = model::time(&certificate["status"]["notAfter"])?;
    (leaf.ari.is_some() && leaf.not_after * 1000 == end).then_some(leaf)
}

/// The least that is left of a life when it is renewed, whatever a CA suggests, in milliseconds.
fn kept(life: i64) -> i64 {
    (life / 10).max(HOUR.min(life / 4))
}

/// How soon after it was stored a leaf may be renewed: at once if its CA is in a hurry, else after
/// an hour, or a twentieth of a short life; in milliseconds.
fn paces(life: i64) -> Window {
    (MINUTE, (5 * MINUTE).max(HOUR.min(life / 20)))
}

/// The earliest renewal of a leaf by the window that its CA told, if it did; `got` is when it was
/// stored. In milliseconds since 1970.
pub(super) fn earliest(certificate: &Value, leaf: &SymCert, got: i64) -> Option<i64> {
    let (start, _) = window_for(certificate, leaf)?;
    let (begin, end) = (leaf.not_before * 1000, leaf.not_after * 1000);
    Some(start.min(end - kept(end - begin)).max(got.max(begin) + paces(end - begin).0))
}

impl Windows {
    fn note_question(&mut self, world: &World, asked: &Asked) -> Result<(), String> {
        let Call::RenewalInfo { certificate } = &asked.call else { return Ok(()) };
        let uid = asked.order.effect.base.uid.to_string();
        self.asked.insert(uid.clone(), world.now);
        let seen = asked.answer.clone().seen();
        if let Ok(Reply::RenewalInfo(window)) = &seen {
            let whole = |at: i64| at.div_euclid(1000) * 1000;
            let (start, end) = (whole(window.start), whole(window.end));
            let window = (start, end.max(start + 1000));
            self.told.entry(certificate.clone()).or_default().insert(window);
        }
        let (replica, epoch) = (asked.replica, asked.order.epoch);
        let asker = (replica, epoch, uid, certificate.clone());
        let (due, pause) = self.paced.get(&asker).copied().unwrap_or((world.now, 0));
        // Questions are asked in slots, and one that came late in its own is followed by the next
        // slot all the same: so one may come early, but never two in a row.
        let early = due - world.now - pause;
        let Faults { clock_forward, clock_backward, .. } = world.config.faults;
        let pause = asked.answer.retry_after.filter(|_| seen.is_ok());
        let pause = pause.map_or(0, |after| (after.at - world.now).clamp(0, LONGEST));
        self.going_on.insert(asker, (due.max(world.now) + pause, pause));
        if early > LATE && !clock_forward && !clock_backward {
            return Err(format!("{certificate} is asked about {early} ms too early"));
        }
        Ok(())
    }

    fn note_end(&mut self, replica: usize, order: &Order, outcome: &Outcome<Kind>) {
        let Do::Acme(Acme::AskWindow(ask)) = &order.effect.action else { return };
        let uid = order.effect.base.uid.to_string();
        let asker = (replica, order.epoch, uid, ask.certificate.to_string());
        let counts = self.going_on.remove(&asker);
        if let (Some(counts), Outcome::Done { .. }) = (counts, outcome) {
            self.paced.insert(asker, counts);
        }
    }

    /// What is written of an answer is news, and what the CA told.
    fn is_news(&self, wrote: &Wrote, order: &Order) -> Result<(), String> {
        let Do::Acme(Acme::AskWindow(ask)) = &order.effect.action else { return Ok(()) };
        let (Some(before), Some(after)) = (&wrote.before, &wrote.after) else { return Ok(()) };
        let said = |object: &Value| object["status"]["acme"]["ari"].clone();
        let (old, new) = (said(before), said(after));
        let part = |field: &str| old[field] == new[field];
        let period = |said: &Value| {
            let next = model::time(&said["nextCheck"])?;
            Some(next - model::time(&said["lastChecked"])?)
        };
        let same = part("suggestedWindow") && part("explanationURL") && part("lastError");
        let (name, paced) = (model::name(after), period(&old) == period(&new));
        if same && paced && old != new {
            return Err(format!("{name}: {new} is written, and no news after {old}"));
        }
        let told = self.told.get(&*ask.certificate);
        match window_of(after).filter(|_| !part("suggestedWindow")) {
            Some(window) if !told.is_some_and(|told| told.contains(&window)) => {
                Err(format!("{name}: the CA never told of {window:?}"))
            }
            _ => Ok(()),
        }
    }

    /// The renewal time that is told lies in the window, as far as the leaf's life allows.
    fn lies_within(&mut self, world: &World, news: &Watcher, wrote: &Wrote) -> Result<(), String> {
        let Some(certificate) = wrote.after.as_deref() else { return Ok(()) };
        let status = &certificate["status"];
        let Faults { clock_forward, clock_backward, .. } = world.config.faults;
        let leaf = leaf_of(world, certificate).filter(|_| !clock_forward && !clock_backward);
        let (Some(leaf), Some(at)) = (leaf, model::time(&status["renewalTime"])) else {
            return Ok(());
        };
        let Some((start, end)) = window_for(certificate, &leaf) else { return Ok(()) };
        let (begin, over) = (leaf.not_before * 1000, leaf.not_after * 1000);
        let (life, got) = (over - begin, news.got(&leaf).max(begin));
        let (_, slow) = paces(life);
        let own = model::renew_at(&certificate["spec"], &leaf, got);
        let failed = status["acme"]["ari"]["lastError"].is_string();
        let least = start.min(over - kept(life));
        let least = if failed { least.min(own) } else { least };
        let most = end.max(got + slow);
        let name = model::name(certificate);
        // Only whole seconds are known of when it was stored, and some pass before that is seen.
        if at < least - 1000 || at > most + MINUTE {
            return Err(format!("{name} is renewed at {at}, and not within {start} and {end}"));
        }
        let free = (start + 1000..end - 1000).contains(&at)
            && at < over - kept(life)
            && at > got + slow + MINUTE;
        if failed || !free {
            return Ok(());
        }
        let draw = (model::uid(certificate).to_owned(), format!("{:?}", leaf.ari), (start, end));
        match *self.drawn.entry(draw).or_insert(at) {
            first if first == at => Ok(()),
            first => Err(format!("{name} was to be renewed at {first}, and now at {at}")),
        }
    }

    /// Every leaf that can be asked about was asked about lately.
    fn was_asked(&self, world: &World, news: &Watcher) -> Result<(), String> {
        let calm = world.config.faults == Faults::default();
        let limit = if calm { TWICE_A_DAY } else { AFTER_FAULTS };
        let well = world.healed_at.is_some_and(|at| world.now - at > AFTER_FAULTS + limit);
        for certificate in world.all(Kind::Certificate).iter().filter(|_| well) {
            let status = |kind: &str| model::condition(certificate, kind).map(|c| &c["status"]);
            let rests = status("Ready").is_some_and(|ready| ready == "True")
                && status("Issuing").is_none_or(|issuing| issuing != "True");
            let due = model::time(&certificate["status"]["renewalTime"]);
            let Some(leaf) = leaf_of(world, certificate).filter(|_| rests) else { continue };
            let since = self.asked.get(model::uid(certificate)).copied().unwrap_or(0);
            let since = since.max(news.got(&leaf));
            if due.is_some_and(|due| due > world.now) && world.now - since > limit {
                let name = model::name(certificate);
                return Err(format!("{name} was not asked about for {} ms", world.now - since));
            }
        }
        Ok(())
    }
}

impl Invariant for Windows {
    fn id(&self) -> &'static str {
        "I18"
    }

    fn look(&mut self, world: &World, news: &Watcher, event: &Event) -> Result<(), String> {
        match event {
            Event::Asked(asked) => self.note_question(world, asked),
            Event::Completed { replica, order, outcome } => {
                self.note_end(*replica, order, outcome);
                Ok(())
            }
            Event::Wrote(wrote) if wrote.kind == Kind::Certificate => {
                let (Actor::Replica(_), Some(order)) = (wrote.actor, &wrote.order) else {
                    return Ok(());
                };
                self.is_news(wrote, order)?;
                self.lies_within(world, news, wrote)
            }
            Event::Sample => {
                self.samples += 1;
                let now = self.samples.is_multiple_of(EVERY);
                if now { self.was_asked(world, news) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}
