//! How many inputs a second one core takes, and how many records it replays:
//!
//! ```text
//! cargo run --release -p everleaf-engine --example throughput [objects] [inputs]
//! ```
//!
//! A machine here is as in life: an object, an issuer that all share, a Secret by name and children
//! by an index are looked up for every decision.

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use everleaf_engine::journal::{Header, JournalStep, Line, Reader, Writer};
use everleaf_engine::replay::replay;
use everleaf_engine::{
    Config, Delta, Engine, Feed, Input, Look, ObjectKey, Plan, Program, Record, Start, Tag,
    Timestamp, Uid, View,
};
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Kind {
    Leaf,
    Issuer,
    Secret,
}

/// About as much as is kept of a Certificate.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
struct Facts {
    generation: u64,
    observed: u64,
    not_after: Timestamp,
    secret: Arc<str>,
    issuer: Arc<str>,
    names: Vec<Arc<str>>,
    reason: Arc<str>,
    message: Arc<str>,
    owner: Option<Uid>,
}

const PLAN: &str = r#"
machine: leaf
object: Leaf
about: One leaf.
start: waiting
facts:
  served:   its issuer and its Secret are there
  observed: its status is of this generation
waits:
  renewal: {until: renew_at}
  retry:   {ladder: [1m, 10m, 100m]}
  answer:  {deadline: 1m}
effects:
  write_status: write the status
states:
  fresh:     {when: [served, observed, not due(renewal)], waits: [renewal], goal: true}
  reporting: {when: [served], does: [write_status], waits: [answer, retry]}
  waiting:   {waits: [renewal]}
edges:
  - {from: reporting, to: fresh, on: observed, name: told, why: told}
  - {from: fresh, to: reporting, on: not observed, name: news, why: news}
  - {from: fresh, to: reporting, on: due(renewal), name: due, why: due}
  - {from: reporting, to: waiting, on: not served, name: lost, why: lost}
  - {from: fresh, to: waiting, on: not served, name: gone, why: gone}
  - {from: waiting, to: reporting, on: served, name: served, why: served}
"#;

const FEEDS: &str = r#"
watches:
  Leaf: {group: toy, about: leaves}
  Issuer: {group: toy, about: issuers}
  Secret: {group: "", about: secrets}
feeds:
  leaf: {Issuer: by name, Secret: by name}
"#;

#[derive(Clone)]
struct Leaves(Arc<Plan>);

impl Program for Leaves {
    type Kind = Kind;
    type Facts = Facts;
    type Effect = u64;

    fn plan(&self) -> &Plan {
        &self.0
    }

    fn feeds(&self) -> &[Feed<Kind>] {
        &[
            Feed { name: "leaves", kind: Kind::Leaf },
            Feed { name: "issuers", kind: Kind::Issuer },
            Feed { name: "secrets", kind: Kind::Secret },
        ]
    }

    fn machine(&self, kind: Kind) -> Option<usize> {
        (kind == Kind::Leaf).then_some(0)
    }

    fn reads(&self, _: usize) -> &[Kind] {
        &[Kind::Leaf, Kind::Issuer, Kind::Secret]
    }

    fn tags(&self, key: &ObjectKey<Kind>, facts: &Facts, out: &mut Vec<Tag<Kind>>) {
        let tag = |index, value: &Arc<str>| Tag {
            kind: key.kind,
            index,
            namespace: key.namespace.clone(),
            value: value.clone(),
        };
        out.extend(facts.owner.as_ref().map(|owner| tag(1, owner)));
        if key.kind == Kind::Leaf {
            out.push(tag(2, &facts.secret));
        }
    }

    fn look(&self, view: &View<'_, Self>) -> Look {
        let facts = &view.object.facts;
        let key =
            |kind, name: &Arc<str>| ObjectKey::new(kind, view.key.namespace.clone(), name.clone());
        let issuer = view.get(&key(Kind::Issuer, &facts.issuer));
        let secret = view.get(&key(Kind::Secret, &facts.secret));
        let children = view.tagged(Tag {
            kind: Kind::Secret,
            index: 1,
            namespace: view.key.namespace.clone(),
            value: view.object.uid.clone(),
        });
        let served = issuer.is_some() && secret.is_some() && children.len() < 2;
        let observed = facts.generation == facts.observed;
        let due = self.wait_at(view, 0).is_some_and(|at| at <= view.now);
        let truth = u64::from(served) | u64::from(observed) << 1 | u64::from(due) << 2;
        Look { state: self.0.machines[0].locate(truth), truth }
    }

    fn wait_at(&self, view: &View<'_, Self>, _: usize) -> Option<Timestamp> {
        Some(view.object.facts.not_after.plus_millis(-30 * 86_400_000))
    }

    fn act(&self, view: &View<'_, Self>, _: usize) -> Vec<Start<u64>> {
        let effect = view.object.facts.generation;
        vec![Start { step: 0, item: "".into(), revision: 1, lane: "lane".into(), effect }]
    }
}

type Told = Input<Kind, Facts>;

fn facts(n: usize) -> Facts {
    Facts {
        generation: 1,
        observed: 1,
        not_after: Timestamp::from_seconds(1_800_000_000 + n as i64 % 1000),
        secret: format!("certificate-{n}-tls").into(),
        issuer: format!("issuer-{}", n % 10).into(),
        names: vec![
            format!("www.host-{n}.example.org").into(),
            format!("host-{n}.example.org").into(),
        ],
        reason: "Ready".into(),
        message: "Certificate is up to date and has not expired".into(),
        owner: None,
    }
}

fn applied(feed: u8, kind: Kind, name: String, rv: u64, facts: Facts) -> Told {
    let uid = format!("0b6b0f2c-{name}-4e5f").into();
    let key = ObjectKey::new(kind, "some-namespace", name);
    Input::Observed(Delta::Applied { feed, key, uid, rv, live: false, facts })
}

fn leaf(n: usize, rv: u64, facts: Facts) -> Told {
    applied(0, Kind::Leaf, format!("certificate-{n}"), rv, facts)
}

/// Everything up to the point at which the engine is synced and at rest.
fn beginning(objects: usize) -> impl Iterator<Item = Told> {
    let begins = (0..3).map(|feed| Input::Observed(Delta::ListBegin { feed }));
    let issuer = |n| applied(1, Kind::Issuer, format!("issuer-{n}"), 1, facts(n));
    let secret = |n| applied(2, Kind::Secret, format!("certificate-{n}-tls"), 1, facts(n));
    std::iter::once(Input::Leadership(Some(1)))
        .chain(begins)
        .chain((0..objects).map(|n| leaf(n, 1, facts(n))))
        .chain((0..10).map(issuer))
        .chain((0..objects).map(secret))
        .chain((0..3).map(|feed| Input::Observed(Delta::ListEnd { feed, rv: 1 })))
}

/// A change of status: the machine is looked at and stays where it is.
fn change(n: usize, rv: u64) -> Told {
    leaf(n, rv, Facts { message: format!("checked at {rv}").into(), ..facts(n) })
}

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn tell(engine: &mut Engine<Leaves>, input: Told) -> Record {
    let record = engine.handle(NOW, input);
    while engine.poll_effect().is_some() {}
    record
}

/// The time that this thread spent on a core, where the system tells it, so that whatever else the
/// machine does counts little; the time that passed elsewhere.
struct Clock {
    begun: Instant,
    on_core: Option<Duration>,
}

impl Clock {
    fn start() -> Self {
        Self { on_core: on_core(), begun: Instant::now() }
    }

    fn elapsed(&self) -> Duration {
        match (self.on_core, on_core()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => self.begun.elapsed(),
        }
    }
}

/// See proc(5), /proc/pid/schedstat: the first number is nanoseconds.
fn on_core() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The bytes of this process that are in memory, where the system tells it: see proc(5),
/// /proc/pid/status.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok().map(|kib: u64| kib * 1024)
}

/// Feeds inputs a thousand at a time, for they are fresh in the cache when they come in life too.
fn measure(what: &str, engine: &mut Engine<Leaves>, inputs: impl Iterator<Item = Told>) {
    let mut inputs = inputs.peekable();
    let (mut count, mut spent) = (0, Duration::ZERO);
    let mut some = Vec::with_capacity(1000);
    while inputs.peek().is_some() {
        some.extend(inputs.by_ref().take(1000));
        count += some.len();
        let begun = Clock::start();
        for input in some.drain(..) {
            tell(engine, input);
        }
        spent += begun.elapsed();
    }
    report(what, count, spent);
}

fn report(what: &str, count: usize, spent: Duration) {
    let seconds = spent.as_secs_f64();
    println!("{what:<44} {:>10.0}/s  ({count} in {seconds:.3} s)", count as f64 / seconds);
}

/// The order in which objects change: every one in turn, but not as they were made.
fn scattered(objects: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |n| n.wrapping_mul(7919) % objects)
}

fn journal(program: &Leaves, inputs: Vec<Told>) -> Vec<u8> {
    let header = Header::new(program.plan(), Config::default(), serde_json::Value::Null);
    let mut writer = Writer::new(Vec::new(), &header).expect("memory is no file");
    let mut engine = Engine::new(program.clone(), Config::default());
    for (seq, input) in (0..).zip(inputs) {
        let record = tell(&mut engine, input.clone());
        let step = JournalStep { seq, at: NOW, input, record };
        writer.write(&Line::<Leaves>::Step(Box::new(step))).expect("memory is no file");
    }
    writer.into_inner()
}

fn main() {
    let objects = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let plan = Plan::load(&[("leaf.yaml", PLAN), ("feeds.yaml", FEEDS)]);
    let program = Leaves(Arc::new(plan.unwrap_or_else(|faults| panic!("{faults}"))));
    let mut engine = Engine::new(program.clone(), Config::default());
    let before = resident();
    measure("first lists", &mut engine, beginning(objects));
    assert_eq!(engine.queue_sizes().0, 0, "everything is at rest");
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / objects.max(1) as u64;
        println!("{:<44} {each:>10}", "bytes resident for a leaf and its Secret");
    }

    let count = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let rv = |round: usize, n: usize| (round * count + n) as u64;
    for round in 1..=2 {
        let changes = scattered(objects, count).zip(1..).map(|(n, at)| change(n, rv(round, at)));
        measure(&format!("changes that touch a machine each ({round})"), &mut engine, changes);
    }
    for n in 0..objects {
        tell(&mut engine, leaf(n, rv(3, 1), facts(n)));
    }
    for round in 3..=4 {
        let seen = scattered(objects, count).zip(1..);
        let seen = seen.map(|(n, at)| leaf(n, rv(round, at), facts(n)));
        measure(&format!("observations that change nothing ({})", round - 2), &mut engine, seen);
    }

    if count < objects {
        return;
    }
    let inputs: Vec<_> = beginning(objects)
        .chain(scattered(objects, count / 5).map(|n| change(n, 2 + n as u64)))
        .collect();
    let count = inputs.len();
    let begun = Clock::start();
    let bytes = journal(&program, inputs);
    report("inputs handled and written to a journal", count, begun.elapsed());
    println!("{:<44} {:>10}", "bytes a record", bytes.len() / count);
    let begun = Clock::start();
    let mut reader = Reader::new(Cursor::new(&bytes)).expect("it was just written");
    while reader.read::<Leaves>().expect("it was just written").is_some() {}
    report("records read", count, begun.elapsed());
    let begun = Clock::start();
    let mut reader = Reader::new(Cursor::new(&bytes)).expect("it was just written");
    let found = replay(&mut reader, program, |_, _, _| {}).expect("it was just written");
    assert_eq!((found.divergence, found.inputs), (None, count as u64));
    report("records replayed", count, begun.elapsed());
}
