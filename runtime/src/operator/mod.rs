//! The operator: an engine between the API server's watches and the ports.

mod driver;
mod explain;
mod record;
mod samples;
mod watch;

use crate::edge::Projector;
use crate::flags::ListenAddress;
use crate::http01;
use crate::kube_api::{Kube, Pace};
use crate::lease::Leadership;
use crate::ports::{AcmeOptions, AcmeShared, Events, Fence, KeyStore, Ports};
pub use driver::{Driver, Inspection, Parts, Turn};
use everleaf_engine::journal::Header;
use everleaf_engine::{Config, Engine, Program};
use everleaf_nodes::{Everleaf, Options};
pub use explain::{Decision, effect_name, moved, step_name};
pub use record::{RECORD_TOTAL, Recorder, SMALLEST_TOTAL};
pub use samples::sample;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch as tokio_watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
pub use watch::{Deltas, Feed, Watcher, budget_label, feeds};

/// What an operator is made of.
pub struct Setup {
    /// The API server.
    pub client: kube::Client,
    /// What decisions depend on.
    pub options: Options,
    /// A bound on requests to the API server, if there is one.
    pub pace: Option<Pace>,
    /// The engine's bounds.
    pub config: Config,
    /// Where objects become facts.
    pub projector: Projector,
    /// The namespace that is watched; empty for all.
    pub namespace: String,
    /// Where a journal is kept, if one is.
    pub record: Option<PathBuf>,
    /// How ACME challenges are answered and looked for.
    pub acme: AcmeOptions,
    /// Whether effects may be performed.
    pub fence: Fence,
}

/// A running operator.
pub struct Running {
    /// What the driver publishes after each turn.
    pub turn: tokio_watch::Receiver<Turn>,
    /// Questions to the engine, answered between two turns.
    pub inspections: mpsc::Sender<Inspection>,
    /// Every decision, in words; who is slow misses some.
    pub decisions: broadcast::Sender<Decision>,
    stop: tokio_watch::Sender<Option<Instant>>,
    driver: JoinHandle<()>,
    events: JoinHandle<()>,
    responder: JoinHandle<()>,
}

/// Questions that may wait for the driver.
const INSPECTIONS_WAITING: usize = 16;
/// Decisions that a listener may be behind.
const DECISIONS_KEPT: usize = 1024;

/// How long effects in flight and Events to be written may take, together, after the end was asked
/// for: Kubernetes kills after 30 s, and the Lease has to be let go before.
pub const LAST_WORDS: Duration = Duration::from_secs(20);

/// Starts an operator; it acts whenever it leads. A journal is kept within [`RECORD_TOTAL`].
///
/// # Errors
/// If a journal is wanted and cannot be written.
pub fn start(
    setup: Setup,
    leadership: tokio_watch::Receiver<Leadership>,
) -> std::io::Result<Running> {
    start_recording(setup, leadership, RECORD_TOTAL)
}

/// Starts an operator whose journal's files have at most `total` bytes together.
///
/// # Errors
/// As [`start`].
pub fn start_recording(
    setup: Setup,
    leadership: tokio_watch::Receiver<Leadership>,
    total: u64,
) -> std::io::Result<Running> {
    begin(setup, leadership, total, None)
}

/// Starts an operator that answers HTTP-01 at a port that is open already, which its options
/// name.
///
/// # Errors
/// As [`start`].
pub fn start_answering(
    setup: Setup,
    leadership: tokio_watch::Receiver<Leadership>,
    responder: tokio::net::TcpListener,
) -> std::io::Result<Running> {
    begin(setup, leadership, RECORD_TOTAL, Some(responder))
}

fn begin(
    setup: Setup,
    leadership: tokio_watch::Receiver<Leadership>,
    total: u64,
    listener: Option<tokio::net::TcpListener>,
) -> std::io::Result<Running> {
    let kube = Kube::new(setup.client).paced(setup.pace);
    let keys = KeyStore::default();
    let (events, writer) = Events::new(kube.clone());
    let acme = AcmeShared::new(setup.acme);
    let (stop, stopped) = tokio_watch::channel(None);
    let challenges = Follow::challenges(&kube, &setup.projector, &setup.namespace);
    let responder =
        answer((acme.clone(), listener), stopped.clone(), leadership.clone(), challenges);
    let responder = tokio::spawn(responder);
    let parts = (kube.clone(), setup.projector.clone(), keys.clone());
    let ports = Ports::new(parts.0, parts.1, parts.2, events, acme, setup.fence);
    let program = Everleaf::new(setup.options.clone());
    let header = Header::new(
        program.plan(),
        setup.config,
        serde_json::to_value(&setup.options).unwrap_or_default(),
    );
    let engine = Engine::new(program, setup.config);
    let recorder = setup.record.map(|at| Recorder::new(&at, total, header, &engine)).transpose()?;
    let (projector, namespace) = (setup.projector, setup.namespace);
    let (decisions, _) = broadcast::channel(DECISIONS_KEPT);
    let told = decisions.clone();
    let parts = Parts { engine, kube, projector, ports, keys, namespace, recorder, told };
    let (driver, turn) = Driver::new(parts);
    let underway = driver.underway();
    let (inspections, asked) = mpsc::channel(INSPECTIONS_WAITING);
    let driver = tokio::spawn(driver.run(leadership, stopped, asked));
    let events = tokio::spawn(writer.run(underway));
    Ok(Running { turn, inspections, decisions, stop, driver, events, responder })
}

/// A feed of Challenges for a replica that does not lead.
struct Follow {
    kube: Kube,
    projector: Projector,
    feed: Feed,
}

impl Follow {
    fn challenges(kube: &Kube, projector: &Projector, namespace: &str) -> Self {
        let feed = Feed::challenges(namespace);
        Self { kube: kube.clone(), projector: projector.clone(), feed }
    }

    fn watcher(&self, deltas: Deltas) -> Watcher {
        Watcher::new(self.kube.clone(), self.projector.clone(), self.feed.clone(), deltas)
    }
}

/// Answers HTTP-01 and TLS-ALPN-01 challenges until the end was asked for, leading or not.
async fn answer(
    (acme, listener): (AcmeShared, Option<tokio::net::TcpListener>),
    stopped: tokio_watch::Receiver<Option<Instant>>,
    leadership: tokio_watch::Receiver<Leadership>,
    challenges: Follow,
) {
    let ports = acme.responder_ports();
    if ports == (None, None) {
        return;
    }
    let ended = || {
        let mut stopped = stopped.clone();
        async move {
            // An operator that is gone ends it too.
            let _ = stopped.wait_for(Option::is_some).await;
        }
    };
    let files = async {
        let listener = match listener {
            Some(open) => Some(open),
            None => open(ports.0, "HTTP-01").await,
        };
        if let Some(listener) = listener {
            http01::serve(listener, acme.tokens().clone(), ended()).await;
        }
    };
    let proofs = async {
        if let Some(listener) = open(ports.1, "TLS-ALPN-01").await {
            http01::serve_proofs(listener, acme.tokens().clone(), ended()).await;
        }
    };
    let watcher = |deltas| challenges.watcher(deltas);
    let following = http01::stand_by(acme.tokens().clone(), leadership, watcher);
    tokio::select! {
        ((), ()) = async { tokio::join!(files, proofs) } => {}
        () = async { tokio::join!(following, ended()); } => {}
    }
}

async fn open(port: Option<u16>, what: &str) -> Option<tokio::net::TcpListener> {
    let address = ListenAddress::On { host: String::new(), port: port? };
    match crate::serve::bind(&address).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "{what} challenges cannot be answered");
            None
        }
    }
}

impl Running {
    /// Starts nothing more, lets what is in flight come to its end, and writes what is left to
    /// be said; for [`LAST_WORDS`] in all.
    pub async fn stop(self) {
        let until = Instant::now() + LAST_WORDS;
        self.stop.send_replace(Some(until));
        let _ = self.driver.await;
        let _ = self.responder.await;
        if tokio::time::timeout_at(until, self.events).await.is_err() {
            tracing::warn!("some Events were not written in time");
        }
    }

    /// Asks the engine; `None` if the driver has ended.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine<Everleaf>) -> T + Send + 'static,
    ) -> Option<T> {
        ask(&self.inspections, question).await
    }
}

/// Asks the engine behind a queue of questions; `None` if the driver has ended.
pub async fn ask<T: Send + 'static>(
    inspections: &mpsc::Sender<Inspection>,
    question: impl FnOnce(&Engine<Everleaf>) -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let inspection: Inspection = Box::new(move |engine| {
        let _ = answer.send(question(engine));
    });
    inspections.send(inspection).await.ok()?;
    answered.await.ok()
}

#[cfg(test)]
mod tests;
