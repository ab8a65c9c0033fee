//! The driver: the one task that owns the engine. It hands inputs in, lets ports perform what
//! comes out, wakes the engine in time, records, and publishes what it sees.

use super::explain::{self, Decision};
use super::record::Recorder;
use super::watch::{Feed, Watcher, feeds};
use crate::edge::Projector;
use crate::kube_api::Kube;
use crate::lease::Leadership;
use crate::metrics;
use crate::ports::{KeyStore, Ports, Report, now};
use everleaf_engine::{
    Command, Delta, EffectId, Engine, Epoch, Input, ObjectKey, Outcome, Program as _, Record,
    Timestamp, Wake,
};
use everleaf_nodes::facts::Signer;
use everleaf_nodes::{Effect, Everleaf, Facts, Kind, feed};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

/// Batches of deltas that may wait for the driver, of each feed together.
const DELTAS_WAITING: usize = 256;
/// The driver looks at the clock at least so often, so that suspend and steps are seen.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);
/// A step of the wall clock against the monotonic one that is worth a question.
const STEP_MS: i64 = 3_600_000;

/// What came back from outside.
enum Back {
    Effect(EffectId, Report, Timestamp, &'static str),
    Read(Delta<Kind, Facts>),
    Date(Result<i64, String>),
}

/// What the driver publishes after each turn; cheap to make.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// Whether every feed has shown its first list in this epoch.
    pub synced: bool,
    /// The epoch that we lead.
    pub epoch: Option<Epoch>,
    /// Effects in flight, queued, and armed waits.
    pub queues: (usize, usize, usize),
    /// Moves that the plan did not explain.
    pub unexplained: u64,
    /// Counts turns.
    pub turns: u64,
}

/// What the driver is told to tell.
pub type Inspection = Box<dyn FnOnce(&Engine<Everleaf>) + Send>;

/// What a driver is made of.
pub struct Parts {
    /// The engine.
    pub engine: Engine<Everleaf>,
    /// The API server.
    pub kube: Kube,
    /// Where objects become facts.
    pub projector: Projector,
    /// The ports.
    pub ports: Ports,
    /// The keys that the ports hold.
    pub keys: KeyStore,
    /// The namespace that is watched; empty for all.
    pub namespace: String,
    /// The journal, if one is kept.
    pub recorder: Option<Recorder>,
    /// Where decisions are told.
    pub told: broadcast::Sender<Decision>,
}

/// Owns the engine.
pub struct Driver {
    parts: Parts,
    back: JoinSet<Back>,
    feeds: JoinSet<()>,
    deltas: Option<mpsc::Receiver<Vec<Delta<Kind, Facts>>>>,
    turn: watch::Sender<Turn>,
    underway: watch::Sender<usize>,
    clock: (Instant, Timestamp),
    turns: u64,
}

impl Driver {
    /// A driver that does not lead yet.
    pub fn new(parts: Parts) -> (Self, watch::Receiver<Turn>) {
        let (turn, seen) = watch::channel(Turn::default());
        let driver = Self {
            parts,
            back: JoinSet::new(),
            feeds: JoinSet::new(),
            deltas: None,
            turn,
            underway: watch::Sender::new(0),
            clock: (Instant::now(), now()),
            turns: 0,
        };
        (driver, seen)
    }

    /// How many effects are in flight or queued.
    pub fn underway(&self) -> watch::Receiver<usize> {
        self.underway.subscribe()
    }

    /// Runs until `stop` names a time by which everything has to have ended, and lets what is in
    /// flight come to its end until then.
    pub async fn run(
        mut self,
        mut leadership: watch::Receiver<Leadership>,
        mut stop: watch::Receiver<Option<tokio::time::Instant>>,
        mut inspections: mpsc::Receiver<Inspection>,
    ) {
        self.follow(&leadership.borrow_and_update().clone());
        let until = loop {
            if let Some(until) = *stop.borrow() {
                break until;
            }
            let wake = self.next_wake();
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                Ok(()) = leadership.changed() => {
                    let now_is = leadership.borrow_and_update().clone();
                    self.follow(&now_is);
                }
                Some(Ok(back)) = self.back.join_next() => self.came_back(back),
                Some(deltas) = next_deltas(&mut self.deltas) => self.observe(deltas),
                Some(inspect) = inspections.recv() => inspect(&self.parts.engine),
                () = tokio::time::sleep(wake) => self.tick(),
            }
            self.publish();
        };
        self.drain(until).await;
    }

    fn next_wake(&mut self) -> Duration {
        match self.parts.engine.poll_wake() {
            Wake::Now => Duration::ZERO,
            Wake::At(at) => {
                let ms = u64::try_from(at.since(now()).max(0)).unwrap_or(0);
                Duration::from_millis(ms).min(LOOK_AT_CLOCK)
            }
            Wake::OnlyWhenTold => LOOK_AT_CLOCK,
        }
    }

    /// Time passed. A wake with nothing due is no input.
    fn tick(&mut self) {
        self.watch_the_clock();
        let due = match self.parts.engine.poll_wake() {
            Wake::Now => true,
            Wake::At(at) => at <= now(),
            Wake::OnlyWhenTold => false,
        };
        if due {
            self.handle(Input::Tick);
        }
        if let Some(recorder) = &mut self.parts.recorder
            && let Err(error) = recorder.flush()
        {
            self.give_up_recording(&error);
        }
    }

    fn watch_the_clock(&mut self) {
        let (monotonic, wall) = (Instant::now(), now());
        let passed = i64::try_from((monotonic - self.clock.0).as_millis()).unwrap_or(i64::MAX);
        let stepped = wall.since(self.clock.1).saturating_sub(passed);
        self.clock = (monotonic, wall);
        if stepped.abs() > STEP_MS {
            tracing::warn!(
                step_ms = stepped,
                "the wall clock stepped; nothing is spent before \
                the API server's clock confirms it"
            );
            self.handle(Input::ClockStepped);
        }
    }

    fn follow(&mut self, leadership: &Leadership) {
        let epoch = match leadership {
            Leadership::Leading { epoch } => Some(*epoch),
            Leadership::Following { .. } | Leadership::Lost => None,
        };
        if epoch == self.parts.engine.epoch() {
            return;
        }
        self.feeds.abort_all();
        self.deltas = None;
        self.handle(Input::Leadership(epoch));
        if epoch.is_some() {
            self.start_feeds();
        }
    }

    /// Every feed begins with a list in each epoch.
    fn start_feeds(&mut self) {
        let (sender, receiver) = mpsc::channel(DELTAS_WAITING);
        let namespace = &self.parts.namespace;
        let watched = |feed: &Feed| namespace.is_empty() || feed.kind != Kind::ClusterIssuer;
        let own = &self.parts.engine.program().options.operator_namespace;
        for feed in feeds(namespace, own).into_iter().filter(watched) {
            let (kube, projector) = (self.parts.kube.clone(), self.parts.projector.clone());
            let watcher = Watcher::new(kube, projector, feed, sender.clone());
            self.feeds.spawn(watcher.run());
        }
        self.deltas = Some(receiver);
        if !self.parts.namespace.is_empty() {
            self.observe(no_cluster_issuers());
        }
        self.observe(self.parts.keys.list());
    }

    fn observe(&mut self, deltas: Vec<Delta<Kind, Facts>>) {
        for delta in deltas {
            self.forget_key_of(&delta);
            self.parts.ports.tokens().observe(&delta);
            self.handle(Input::Observed(delta));
        }
    }

    /// The key of a Certificate that is gone is of no use any more.
    fn forget_key_of(&mut self, delta: &Delta<Kind, Facts>) {
        if let Delta::Deleted { key, uid, .. } = delta
            && key.kind == Kind::Certificate
            && let Some(forgotten) = self.parts.keys.forget(uid)
        {
            self.handle(Input::Observed(forgotten));
        }
    }

    fn came_back(&mut self, back: Back) {
        match back {
            Back::Effect(id, report, since, controller) => {
                self.observe(report.seen);
                self.count_effect(&id, &report.outcome, (since, controller));
                log_failure(&id, &report.outcome);
                self.handle(Input::Completed(id, report.outcome));
            }
            Back::Read(delta) => self.observe(vec![delta]),
            Back::Date(Ok(seconds)) => {
                self.handle(Input::Clock(Timestamp::from_seconds(seconds)));
            }
            Back::Date(Err(error)) => tracing::warn!(%error, "the API server's clock is unknown"),
        }
    }

    fn handle(&mut self, input: Input<Kind, Facts>) {
        let at = now();
        let recorded = self.parts.recorder.is_some().then(|| input.clone());
        let record = self.parts.engine.handle(at, input);
        while let Some(command) = self.parts.engine.poll_effect() {
            self.start(command);
        }
        self.tell(&record);
        if let Some(input) = recorded {
            self.record(at, input, record);
        }
    }

    fn count_effect(
        &self,
        id: &EffectId,
        outcome: &Outcome<Kind>,
        (since, controller): (Timestamp, &'static str),
    ) {
        let ended = match outcome {
            Outcome::Done { .. } => "done",
            Outcome::Stale { .. } => "stale",
            Outcome::Failed { .. } => "failed",
        };
        let (_, step) = self.names_of(id);
        let took = u64::try_from(now().since(since).max(0)).unwrap_or(0);
        metrics::effect(step, ended, Duration::from_millis(took));
        metrics::sync_call(controller);
        if ended == "failed" {
            metrics::sync_error(controller);
        }
    }

    /// The machine and the effect, as the plan names them.
    fn names_of(&self, id: &EffectId) -> (String, String) {
        let engine = &self.parts.engine;
        let kind = engine.subject(&id.uid).map(|key| key.kind);
        let machine = kind.and_then(|kind| engine.program().machine(kind));
        match machine.map(|machine| &engine.program().plan().machines[machine]) {
            Some(machine) => {
                let step = machine.effects.get(usize::from(id.step));
                let step = step.map(|effect| effect.name.clone()).unwrap_or_default();
                (machine.name.clone(), step)
            }
            None => ("gone".to_owned(), "gone".to_owned()),
        }
    }

    /// cert-manager's name of the controller that would do this.
    fn controller_of(&self, id: &EffectId, effect: &Effect) -> &'static str {
        let (machine, step) = self.names_of(id);
        match (&*machine, &*step) {
            ("request", "approve") => "certificaterequests-approver",
            ("request", _) => signing_controller(&self.parts.engine, &effect.subject),
            (machine, step) => controller(machine, step),
        }
    }

    /// Says what was decided and why.
    fn tell(&mut self, record: &Record) {
        let decisions = explain::decisions(&self.parts.engine, record);
        explain::log(&self.parts.engine, record, &decisions);
        for decision in decisions {
            // Nobody has to listen.
            let _ = self.parts.told.send(decision);
        }
    }

    fn record(&mut self, at: Timestamp, input: Input<Kind, Facts>, record: Record) {
        let Some(recorder) = &mut self.parts.recorder else { return };
        if let Err(error) = recorder.record(&self.parts.engine, at, input, record) {
            self.give_up_recording(&error);
        }
    }

    fn give_up_recording(&mut self, error: &std::io::Error) {
        tracing::error!(%error, "recording ends here; the operator goes on");
        self.parts.recorder = None;
    }

    fn start(&mut self, command: Command<Kind, Effect>) {
        let ports = self.parts.ports.clone();
        match command {
            Command::Perform(id, effect) => {
                let since = now();
                let controller = self.controller_of(&id, &effect);
                self.back.spawn(async move {
                    let report = ports.perform(&id, &effect).await;
                    Back::Effect(id, report, since, controller)
                });
            }
            Command::Read(key) => {
                self.back.spawn(async move { Back::Read(ports.read(&key).await) });
            }
            Command::ConfirmClock => {
                let kube = self.parts.kube.clone();
                self.back.spawn(async move {
                    Back::Date(kube.date().await.map_err(|error| error.to_string()))
                });
            }
        }
    }

    fn publish(&mut self) {
        self.turns += 1;
        let engine = &self.parts.engine;
        let turn = Turn {
            synced: engine.is_fully_synced(),
            epoch: engine.epoch(),
            queues: engine.queue_sizes(),
            unexplained: engine.unexplained_moves(),
            turns: self.turns,
        };
        let (in_flight, queued, _) = turn.queues;
        self.underway.send_replace(in_flight + queued);
        self.turn.send_replace(turn);
    }

    /// Starts nothing more and lets what is in flight come to its end.
    async fn drain(mut self, until: tokio::time::Instant) {
        self.feeds.abort_all();
        let in_flight = self.back.len();
        tracing::info!(in_flight, "stopping");
        let finish = async { while self.back.join_next().await.is_some() {} };
        if tokio::time::timeout_at(until, finish).await.is_err() {
            tracing::warn!("effects in flight did not end in time; they are found again");
        }
        if let Some(recorder) = &mut self.parts.recorder
            && let Err(error) = recorder.flush()
        {
            tracing::error!(%error, "the end of the journal is lost");
        }
    }
}

/// Within one namespace there are none, as in cert-manager: their Secrets are elsewhere and not
/// watched, and what is not seen must not be judged.
fn no_cluster_issuers() -> Vec<Delta<Kind, Facts>> {
    let feed = feed::CLUSTER_ISSUERS;
    vec![Delta::ListBegin { feed }, Delta::ListEnd { feed, rv: u64::MAX }]
}

async fn next_deltas(
    deltas: &mut Option<mpsc::Receiver<Vec<Delta<Kind, Facts>>>>,
) -> Option<Vec<Delta<Kind, Facts>>> {
    match deltas {
        Some(deltas) => deltas.recv().await,
        None => std::future::pending().await,
    }
}

/// cert-manager's name of the controller that would do such a thing, for its dashboards.
fn controller(machine: &str, step: &str) -> &'static str {
    match (machine, step) {
        ("shim", _) => "ingress-shim",
        ("issuer", _) => "issuers",
        ("clusterissuer", _) => "clusterissuers",
        ("order", _) => "orders",
        ("challenge", _) => "challenges",
        (_, "ensure_key" | "delete_key") => "certificates-key-manager",
        (_, "create_request") => "certificates-request-manager",
        (_, "delete_request") => "certificates-revision-manager",
        (_, "write_status") => "certificates-readiness",
        (_, "read_secret") => "certificates-trigger",
        _ => "certificates-issuing",
    }
}

/// cert-manager has a controller of requests for each type of issuer.
fn signing_controller(engine: &Engine<Everleaf>, request: &ObjectKey<Kind>) -> &'static str {
    let facts = engine.world().get(request).and_then(|object| object.facts.request());
    let issuer = facts.map(|facts| &facts.issuer).and_then(|issuer| {
        let key = match issuer.kind_or_default() {
            "ClusterIssuer" => ObjectKey::new(Kind::ClusterIssuer, "", issuer.name.clone()),
            _ => ObjectKey::new(Kind::Issuer, request.namespace.clone(), issuer.name.clone()),
        };
        engine.world().get(&key)?.facts.issuer()
    });
    match issuer.map(|issuer| &issuer.signer) {
        Some(Signer::SelfSigned { .. }) => "certificaterequests-issuer-selfsigned",
        Some(Signer::Acme(_)) => "certificaterequests-issuer-acme",
        Some(Signer::Other(name)) if **name == *"vault" => "certificaterequests-issuer-vault",
        Some(Signer::Other(name)) if **name == *"venafi" => "certificaterequests-issuer-venafi",
        _ => "certificaterequests-issuer-ca",
    }
}

fn log_failure(id: &EffectId, outcome: &Outcome<Kind>) {
    if let Outcome::Failed { class, reason, message, .. } = outcome {
        tracing::warn!(effect = %id, ?class, reason, message, "an effect failed");
    }
}
