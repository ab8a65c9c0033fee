//! I12, I16, I20 to I23 and I32: what CAs are asked, and what is left behind.

use super::model;
use super::{Invariant, Watcher};
use crate::acme::{AccountId, Answer, Call, CallKind, Delivery, OrderId, Reply, Status};
use crate::dns::Data;
use crate::world::World;
use crate::world::acme::{STRANGER, base_of};
use crate::world::config::{HOUR, MINUTE};
use crate::world::event::{Actor, Asked, Event, Order, Wrote};
use crate::world::project::text;
use everleaf_engine::{Epoch, ObjectKey, Outcome, Uid};
use everleaf_nodes::Do;
use everleaf_nodes::effect::Acme;
use everleaf_nodes::facts::Kind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<Nonces>::default(),
        Box::<Accounts>::default(),
        Box::<Finalize>::default(),
        Box::new(Authorizations),
        Box::<SingleFlight>::default(),
        Box::<RetryAfter>::default(),
        Box::new(OneOfEach),
        Box::<Residue>::default(),
    ]
}

/// Whether the client heard the answer.
fn heard(answer: &Answer) -> bool {
    matches!(answer.delivery, Delivery::Whole | Delivery::Slow(_))
}

/// What a Challenge shows: its type, name and value.
pub(super) fn answer(challenge: &Value) -> (&str, &str, &str) {
    let part = |field: &str| text(challenge, field);
    (part("/spec/type"), part("/spec/dnsName"), part("/spec/key"))
}

/// What of a Challenge is to be seen outside; `None` if nothing is.
pub(super) fn shown(world: &World, challenge: &Value) -> Option<String> {
    let (kind, name, value) = answer(challenge);
    if kind == "DNS-01" {
        let record = format!("_acme-challenge.{name}");
        let values =
            world.outside().net.dns.values(world.now, &record, crate::dns::RecordType::Txt);
        let there = values.contains(&Data::Txt(value.to_owned()));
        return there.then(|| format!("the TXT record {record}"));
    }
    let token = text(challenge, "/spec/token");
    let mut routes = world.outside().routes();
    let there = routes.any(|(host, held)| host == name && held == token);
    there.then(|| format!("the route of {name}"))
}

/// I09, for records: exactly our own are removed.
pub(super) fn keeps_records(name: &str, value: &str, gone: &[Data]) -> Result<(), String> {
    let ours = Data::Txt(value.to_owned());
    let others: Vec<&Data> = gone.iter().filter(|data| **data != ours).collect();
    if others.is_empty() { Ok(()) } else { Err(format!("with {value} at {name} went {others:?}")) }
}

/// I20: no nonce is sent twice, and a request no more than six times.
#[derive(Default)]
struct Nonces {
    sent: VecDeque<String>,
    known: BTreeSet<String>,
    /// The last request of each replica and its refusals in a row.
    refused: BTreeMap<usize, (Call, u32)>,
}

/// Nonces that are remembered.
const NONCES: usize = 100_000;

impl Invariant for Nonces {
    fn id(&self) -> &'static str {
        "I20"
    }

    fn look(&mut self, _: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Asked(asked) = event else { return Ok(()) };
        let Some(nonce) = &asked.nonce else { return Ok(()) };
        if !self.known.insert(nonce.clone()) {
            return Err(format!("nonce {nonce} was sent again"));
        }
        self.sent.push_back(nonce.clone());
        if self.sent.len() > NONCES
            && let Some(old) = self.sent.pop_front()
        {
            self.known.remove(&old);
        }
        let bad =
            heard(&asked.answer) && asked.answer.error() == Some(crate::acme::ErrorKind::BadNonce);
        let before = self.refused.remove(&asked.replica).filter(|(call, _)| *call == asked.call);
        let times = before.map_or(0, |(_, times)| times);
        if bad {
            self.refused.insert(asked.replica, (asked.call.clone(), times % 6 + 1));
        }
        if times >= 6 && bad {
            Err("a seventh try with yet another nonce".to_owned())
        } else {
            Ok(())
        }
    }
}

/// I23: one account key, one directory.
#[derive(Default)]
struct Accounts {
    directories: BTreeMap<String, Arc<str>>,
}

impl Invariant for Accounts {
    fn id(&self) -> &'static str {
        "I23"
    }

    fn look(&mut self, _: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Asked(asked) = event else { return Ok(()) };
        let Some(key) = &asked.key else { return Ok(()) };
        let known = self.directories.entry(key.clone()).or_insert_with(|| asked.directory.clone());
        if *known == asked.directory {
            return Ok(());
        }
        Err(format!("{key} is used with {known} and with {}", asked.directory))
    }
}

/// I22: finalize only what was last seen ready; what is valid is downloaded; what is invalid is
/// never asked about again.
///
/// An order is looked at right before, so what the CA said last is what counts.
#[derive(Default)]
struct Finalize {
    seen: BTreeMap<(Arc<str>, OrderId), Status>,
    /// The states that Orders have in their statuses.
    stored: BTreeMap<ObjectKey<Kind>, String>,
}

impl Finalize {
    fn note(&mut self, asked: &Asked) {
        if !heard(&asked.answer) {
            return;
        }
        if let Ok(Reply::Order(order)) = &asked.answer.result {
            self.seen.insert((asked.directory.clone(), order.id), order.status);
        }
    }

    /// Whether the Order says that it ended.
    fn is_known_over(&self, asked: &Asked) -> bool {
        let stored = self.stored.get(&asked.order.effect.subject);
        stored.is_some_and(|state| matches!(state.as_str(), "invalid" | "errored" | "expired"))
    }

    /// An Order that ended although the CA called it valid, with a certificate to be had.
    fn wasted(&self, wrote: &Wrote) -> Result<(), String> {
        let Some(order) = wrote.after.as_deref().filter(|_| wrote.kind == Kind::Order) else {
            return Ok(());
        };
        let was = wrote.before.as_deref().map_or("", |before| text(before, "/status/state"));
        let is = text(order, "/status/state");
        if is == was || !matches!(is, "errored" | "invalid") {
            return Ok(());
        }
        let url = text(order, "/status/url");
        let number = url.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or(0);
        let ours = |directory: &Arc<str>| url.starts_with(base_of(directory));
        let valid = self.seen.iter().any(|((directory, id), status)| {
            *id == number && *status == Status::Valid && ours(directory)
        });
        // A chain that only a person can get at ends the Order.
        if valid && !text(order, "/status/reason").contains("finalize") {
            return Err(format!("{url} is valid, and given up"));
        }
        Ok(())
    }
}

impl Invariant for Finalize {
    fn id(&self) -> &'static str {
        "I22"
    }

    fn look(&mut self, _: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if let Event::Wrote(wrote) = event {
            if let Some(order) = wrote.after.as_deref().filter(|_| wrote.kind == Kind::Order) {
                let key = crate::world::project::identity(Kind::Order, order).key;
                self.stored.insert(key, text(order, "/status/state").to_owned());
            }
            return self.wasted(wrote);
        }
        let Event::Asked(asked) = event else { return Ok(()) };
        let order = match &asked.call {
            Call::Finalize { order, .. } | Call::Order { order, .. } => *order,
            _ => {
                self.note(asked);
                return Ok(());
            }
        };
        let last = self.seen.get(&(asked.directory.clone(), order)).copied();
        self.note(asked);
        let searching = matches!(&asked.order.effect.action, Do::Acme(Acme::Place(_)));
        match (asked.call.kind(), last) {
            (CallKind::Finalize, Some(Status::Ready)) => Ok(()),
            (CallKind::Finalize, last) => Err(format!("order {order} is finalized, seen {last:?}")),
            (_, Some(Status::Invalid)) if !searching && self.is_known_over(asked) => {
                Err(format!("order {order} is asked about again, though it is invalid"))
            }
            _ => Ok(()),
        }
    }
}

/// I21: a challenge is triggered only for a pending authorization, and after its self-check saw
/// what is there.
struct Authorizations;

impl Authorizations {
    fn triggered(world: &World, asked: &Asked) -> Result<(), String> {
        if asked.before.is_some_and(|before| before != Status::Pending) {
            return Err(format!("triggered, though it is {:?}", asked.before));
        }
        let Some(challenge) = world.peek(&asked.order.effect.subject) else { return Ok(()) };
        // What was seen as it was presented says no more than that.
        let presented = model::time(&challenge["status"]["presentedAt"]).unwrap_or(i64::MIN);
        let note = &challenge["metadata"]["annotations"]["everleaf.dev/acme-seen"];
        let note: Option<Value> = note.as_str().and_then(|text| serde_json::from_str(text).ok());
        let seen = note.and_then(|note| model::time(&note["at"]));
        if seen.is_some_and(|at| at >= presented) {
            return Ok(());
        }
        Err(format!(
            "{} is triggered, presented {presented}, seen {seen:?}",
            model::name(&challenge)
        ))
    }

    /// What the self-check says it saw is there.
    fn saw(world: &World, wrote: &Wrote) -> Result<(), String> {
        let (Some(order), Actor::Replica(at)) = (&wrote.order, wrote.actor) else { return Ok(()) };
        if !world.replicas[at].alive {
            return Ok(()); // What it answered with went with it.
        }
        let Do::Acme(Acme::SelfCheck(_) | Acme::Present(_)) = &order.effect.action else {
            return Ok(());
        };
        let seen =
            |object: &Value| object["metadata"]["annotations"]["everleaf.dev/acme-seen"].clone();
        let (Some(before), Some(after)) = (&wrote.before, &wrote.after) else { return Ok(()) };
        if seen(before) == seen(after) || world.is_seen(after) {
            return Ok(());
        }
        Err(format!("{} saw what is not there", model::name(after)))
    }
}

impl Invariant for Authorizations {
    fn id(&self) -> &'static str {
        "I21"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        match event {
            Event::Asked(asked) if matches!(asked.call, Call::Challenge { trigger: true, .. }) => {
                Self::triggered(world, asked)
            }
            Event::Wrote(wrote) if wrote.kind == Kind::Challenge => Self::saw(world, wrote),
            _ => Ok(()),
        }
    }
}

/// An order that a CA made for us.
struct Made {
    id: OrderId,
    /// For which Order.
    subject: ObjectKey<Kind>,
    uid: Uid,
    /// Whether somebody lost it on the way: its answer, the process, or the Order itself.
    lost: bool,
}

/// Whose orders, for which names.
type Set = (Arc<str>, AccountId, crate::acme::Identifiers);

/// Which replica wrote the claim of an Order, by its UID, and under which epoch.
type Claims = BTreeMap<String, (usize, Option<Epoch>)>;

/// I12: at most one order in flight for an account and names, but for those that were lost.
#[derive(Default)]
struct SingleFlight {
    made: BTreeMap<Set, Vec<Made>>,
    claims: Claims,
}

impl SingleFlight {
    fn note(&mut self, world: &World, asked: &Asked) -> Result<(), String> {
        let Call::NewOrder { account, .. } = &asked.call else { return Ok(()) };
        // A 500 after commit hides what was made: the CA's own list does not.
        let Some(ca) = world.outside().cas.get(&asked.directory) else { return Ok(()) };
        let open = ca.open_orders(world.now, *account);
        let Call::NewOrder { order: new, .. } = &asked.call else { return Ok(()) };
        let set = (asked.directory.clone(), *account, new.identifiers.clone());
        let open = open.into_iter().filter(|order| order.identifiers == new.identifiers);
        let open: Vec<OrderId> = open.map(|order| order.id).collect();
        let made = self.made.entry(set).or_default();
        made.retain(|made| open.contains(&made.id));
        let known: Vec<OrderId> = made.iter().map(|made| made.id).collect();
        let replied = heard(&asked.answer) && asked.answer.result.is_ok();
        for id in open.into_iter().filter(|id| !known.contains(id)) {
            let subject = asked.order.effect.subject.clone();
            let uid = asked.order.effect.base.uid.clone();
            made.push(Made { id, subject, uid, lost: !replied });
        }
        let live = |made: &&Made| !made.lost && is_followed(world, made);
        let live: Vec<&Made> = made.iter().filter(live).collect();
        if live.len() <= 1
            || (live.len() == 2 && are_twins(world, &self.claims, (live[0], live[1])))
        {
            return Ok(());
        }
        Err(format!("{} orders of one account and names are open", live.len()))
    }

    /// Notes who wrote a claim.
    fn note_claim(&mut self, wrote: &Wrote) {
        let (Actor::Replica(at), Kind::Order) = (wrote.actor, wrote.kind) else { return };
        let (Some(order), Some(after)) = (&wrote.order, &wrote.after) else { return };
        if matches!(&order.effect.action, Do::Acme(Acme::Claim(_))) {
            self.claims.insert(model::uid(after).to_owned(), (at, order.epoch));
        }
    }

    /// Effects that did not come to their end may have lost an order.
    fn lose(&mut self, subject: &ObjectKey<Kind>) {
        let all = self.made.values_mut().flatten();
        all.filter(|made| made.subject == *subject).for_each(|made| made.lost = true);
    }
}

/// When an Order claimed, in milliseconds since 1970.
fn claimed(world: &World, made: &Made) -> Option<i64> {
    let order = world.peek(&made.subject)?;
    let note = order["metadata"]["annotations"]["everleaf.dev/acme-claim"].as_str()?;
    model::time(&serde_json::from_str::<Value>(note).ok()?["at"])
}

/// Whether one of two Orders claimed as a leader fell, and the next one did not see it in time.
fn are_twins(world: &World, claims: &Claims, (one, two): (&Made, &Made)) -> bool {
    let (Some(a), Some(b)) = (claimed(world, one), claimed(world, two)) else { return false };
    let fell = claims.get(&*one.uid) != claims.get(&*two.uid);
    fell && one.subject != two.subject && (a - b).abs() <= super::lag(world)
}

/// Whether the Order that an order was made for still is there, and open.
fn is_followed(world: &World, made: &Made) -> bool {
    let Some(order) = world.peek(&made.subject) else { return false };
    let open =
        !matches!(text(&order, "/status/state"), "errored" | "invalid" | "expired" | "valid");
    open && !model::is_deleting(&order) && *model::uid(&order) == *made.uid
}

impl Invariant for SingleFlight {
    fn id(&self) -> &'static str {
        "I12"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        match event {
            Event::Asked(asked) => self.note(world, asked),
            Event::Wrote(wrote) => {
                self.note_claim(wrote);
                Ok(())
            }
            Event::Completed { order, outcome, .. } => {
                let placed = matches!(&order.effect.action, Do::Acme(Acme::Place(_)));
                if placed && !matches!(outcome, Outcome::Done { .. }) {
                    self.lose(&order.effect.subject);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Which replica performs which effect, and under which epoch.
type Performer = (usize, Option<Epoch>, String);

fn performer(replica: usize, order: &Order) -> Performer {
    (replica, order.epoch, order.id.to_string())
}

/// I16: nothing is asked for an object before its Retry-After, and no 429 or 503 ends it.
///
/// It holds from when the answer was written down: one that the API server did not take is lost.
#[derive(Default)]
struct RetryAfter {
    /// By object and kind of request: not before, by the replica's clock.
    rest: BTreeMap<(ObjectKey<Kind>, CallKind), i64>,
    /// By effect, under its replica and epoch: what its last answer asked for. A process that died
    /// took that with it, though the next one has effects of the same names.
    patient: BTreeMap<Performer, (CallKind, i64)>,
}

impl RetryAfter {
    fn asked(&mut self, world: &World, asked: &Asked) -> Result<(), String> {
        let subject = &asked.order.effect.subject;
        let key = (subject.clone(), asked.call.kind());
        let (id, clocks) = (performer(asked.replica, &asked.order), world.config.faults);
        let early = self.rest.remove(&key).map_or(0, |until| until - asked.clock);
        if early > 1000 && !clocks.clock_forward && !clocks.clock_backward {
            return Err(format!("{subject} asks {:?} {early} ms too early", key.1));
        }
        self.patient.remove(&id);
        let Some(after) = asked.answer.retry_after.filter(|_| heard(&asked.answer)) else {
            return Ok(());
        };
        let refused = asked.answer.result.as_ref().is_err_and(|p| matches!(p.status, 429 | 503));
        if refused && after.style != crate::acme::RetryStyle::Absent {
            self.patient.insert(id, (key.1, asked.clock + (after.at - world.now)));
        }
        Ok(())
    }

    fn wrote(&mut self, wrote: &Wrote) -> Result<(), String> {
        let (Some(order), Some(after)) = (&wrote.order, &wrote.after) else { return Ok(()) };
        let Actor::Replica(at) = wrote.actor else { return Ok(()) };
        let Some((kind, until)) = self.patient.get(&performer(at, order)) else { return Ok(()) };
        let ends = |object: &Value| matches!(text(object, "/status/state"), "errored" | "invalid");
        if ends(after) && !wrote.before.as_deref().is_some_and(ends) {
            return Err(format!("{} ended with a 429 or 503", model::name(after)));
        }
        let subject = order.effect.subject.clone();
        if subject.kind == wrote.kind && !wrote.status {
            self.rest.insert((subject, *kind), *until);
        }
        Ok(())
    }
}

impl Invariant for RetryAfter {
    fn id(&self) -> &'static str {
        "I16"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        match event {
            Event::Asked(asked) => self.asked(world, asked),
            Event::Wrote(wrote) if wrote.before.is_none() || wrote.after.is_none() => {
                // Another object of the same name was asked for nothing.
                let object = wrote.before.as_deref().or(wrote.after.as_deref());
                let key = object.map(|o| crate::world::project::identity(wrote.kind, o).key);
                self.rest.retain(|(subject, _), _| Some(subject) != key.as_ref());
                Ok(())
            }
            Event::Wrote(wrote) => self.wrote(wrote),
            _ => Ok(()),
        }
    }
}

/// I19, for ACME: one open Order of a request, one Challenge of an authorization.
struct OneOfEach;

impl Invariant for OneOfEach {
    fn id(&self) -> &'static str {
        "I19"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Wrote(Wrote { kind, before: None, after: Some(made), .. }) = event else {
            return Ok(());
        };
        let same: fn(&Value, &Value) -> bool = match kind {
            Kind::Order => |_, other| {
                !matches!(text(other, "/status/state"), "errored" | "invalid" | "expired" | "valid")
            },
            Kind::Challenge => |made, other| {
                let url = "/spec/authorizationURL";
                text(made, url) == text(other, url) && !model::is_deleting(other)
            },
            _ => return Ok(()),
        };
        let all = world.all(*kind);
        let owner = model::controller(made);
        let of_owner = all.iter().filter(|other| model::controller(other) == owner);
        let count =
            of_owner.filter(|other| !model::is_deleting(other) && same(made, other)).count();
        if count <= 1 {
            return Ok(());
        }
        Err(format!("{count} like {} are open", model::name(made)))
    }
}

/// I32: nothing that was presented stays once nobody needs it, and what was there before does.
#[derive(Default)]
struct Residue {
    /// Names of which something was told to be left behind.
    told: BTreeSet<String>,
    samples: u64,
}

/// How long after the last fault everything has to be cleaned up: a clean-up that failed is tried
/// again within ten minutes, and an order's challenges take a day at most.
const CLEAN_WITHIN: i64 = 26 * HOUR;

/// How long something may be there before its Challenge is, or stay after it, in milliseconds.
const GRACE: i64 = 20 * MINUTE;

impl Residue {
    fn check(&self, world: &World) -> Result<(), String> {
        let challenges = world.all(Kind::Challenge);
        let open: BTreeSet<_> = challenges.iter().map(|challenge| answer(challenge)).collect();
        let outside = world.outside();
        let mut strangers = 0;
        for record in outside.net.dns.texts(world.now - GRACE) {
            let Data::Txt(value) = &record.data else { continue };
            let name = record.name.strip_prefix("_acme-challenge.").unwrap_or(&record.name);
            if value == STRANGER {
                strangers += 1;
                continue;
            }
            let still = outside.net.dns.texts(world.now).contains(&record);
            if still
                && !open.contains(&("DNS-01", name, value.as_str()))
                && !self.told.contains(name)
            {
                return Err(format!("{value} stays at {}", record.name));
            }
        }
        if !outside.cas.is_empty() && strangers < 2 {
            return Err("a record of somebody else is gone".to_owned());
        }
        for (host, token) in outside.routes() {
            let needed = challenges.iter().any(|c| text(c, "/spec/token") == token);
            if !needed && !self.told.contains(host) {
                return Err(format!("the route of {host} stays"));
            }
        }
        Ok(())
    }
}

impl Invariant for Residue {
    fn id(&self) -> &'static str {
        "I32"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if let Event::Said { event, .. } = event
            && let Some((what, _)) = event.message.split_once(" may be left behind")
        {
            let name = what.rsplit(' ').next().unwrap_or_default();
            let name = name.strip_prefix("_acme-challenge.").unwrap_or(name);
            self.told.insert(name.to_owned());
        }
        self.samples += u64::from(matches!(event, Event::Sample));
        let sampled = matches!(event, Event::Sample) && self.samples.is_multiple_of(6);
        let well = world.healed_at.is_some_and(|at| world.now - at >= CLEAN_WITHIN);
        if well && (sampled || matches!(event, Event::End)) { self.check(world) } else { Ok(()) }
    }
}
