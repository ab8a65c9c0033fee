//! Metrics and health of a running operator.

use super::Failure;
use crate::flags::{Controller, ListenAddress, Options};
use crate::kube_api::{Kube, with_causes};
use crate::lease::Fence;
use crate::metrics::{self, Metrics, Snapshot};
use crate::operator::{Running, ask, sample};
use crate::serve::{self, Contact, Door, Health, Now, Pair, Site};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How old samples of objects may be. Taking one is a pass over the world.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// How often the API server is asked for something where no Lease is renewed or looked at, and how
/// long that may take.
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// How long the API server may be silent where no Lease says so.
const SILENCE: Duration = Duration::from_secs(60);

/// The servers of metrics and health.
pub(super) struct Observability {
    health: Health,
    samples: watch::Sender<Arc<Snapshot>>,
    /// Whether Certificates have series of their own.
    certificates: bool,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
}

impl Observability {
    /// Starts serving before there is anything to tell. The client is one that notes in `contact`
    /// when it is answered.
    pub(super) async fn start(
        flags: &Options,
        fence: &Fence,
        (client, contact): (kube::Client, Contact),
    ) -> Result<Self, Failure> {
        let (samples, seen) = watch::channel(Arc::new(Snapshot::default()));
        let metrics = Metrics::install(seen).map_err(|error| Failure::Failed(error.to_string()))?;
        let health = health(flags, fence, contact);
        let certificates = flags.controllers.has(Controller::CertificatesMetrics);
        let (stop, _) = watch::channel(false);
        let mut all = Self { health, samples, certificates, stop, servers: JoinSet::new() };
        let pair = flags.metrics_tls.as_ref().map(Pair::read).transpose();
        let pair = pair.map_err(|error| Failure::Usage(format!("--metrics-tls-*: {error}")))?;
        all.serve(&flags.metrics_address, Some(metrics), pair).await?;
        if flags.healthz_address != flags.metrics_address {
            all.serve(&flags.healthz_address, None, None).await?;
        }
        if flags.election.is_none() {
            let stopped = all.stopped();
            all.servers.spawn(probe(Kube::new(client), stopped));
        }
        Ok(all)
    }

    async fn serve(
        &mut self,
        address: &ListenAddress,
        metrics: Option<Metrics>,
        pair: Option<Pair>,
    ) -> Result<(), Failure> {
        let bound = serve::bind(address).await;
        let bound = bound.map_err(|error| Failure::Failed(error.to_string()))?;
        let Some(listener) = bound else { return Ok(()) };
        let site = Site { health: self.health.clone(), metrics };
        let door = match pair {
            None => Door::plain(listener),
            Some(pair) => Door::tls(listener, pair)
                .map_err(|error| Failure::Failed(format!("--metrics-tls-*: {error}")))?,
        };
        self.servers.spawn(serve::serve(door, site, self.stopped()));
        Ok(())
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopped = self.stop.subscribe();
        async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    }

    /// Follows what the driver publishes.
    pub(super) fn observe(&self, running: &Running) -> JoinHandle<()> {
        let (health, samples) = (self.health.clone(), self.samples.clone());
        let (turn, inspections) = (running.turn.clone(), running.inspections.clone());
        let certificates = self.certificates;
        tokio::spawn(async move {
            let mut seen = u64::MAX;
            loop {
                let now = turn.borrow().clone();
                let (in_flight, queued, armed) = now.queues;
                metrics::queue_length("in flight", in_flight);
                metrics::queue_length("queued", queued);
                metrics::queue_length("armed", armed);
                metrics::leading(now.epoch.is_some());
                metrics::unexplained_moves(now.unexplained);
                health.set_feeds_synced(now.synced);
                if now.turns != seen {
                    seen = now.turns;
                    let Some(mut sampled) = ask(&inspections, sample).await else { return };
                    if !certificates {
                        sampled.certificates.clear();
                    }
                    samples.send_replace(Arc::new(sampled));
                }
                tokio::time::sleep(SAMPLE_EVERY).await;
            }
        })
    }

    /// Lets answers under way come to their end.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.servers.join_next().await.is_some() {}
    }
}

fn health(flags: &Options, fence: &Fence, contact: Contact) -> Health {
    let election = flags.election.as_ref();
    let lasts = election.map_or(Duration::MAX, |election| election.lease_duration);
    let unrenewed = lasts.saturating_add(flags.election_health_timeout);
    // Who follows looks at the Lease within its duration and one more period.
    let silence = election.map_or(SILENCE, |e| e.lease_duration.saturating_add(e.retry_period));
    Health::new(fence.clone(), unrenewed, (contact, silence), Now::read())
}

/// Asks the API server for its version again and again: watches may be silent for minutes.
async fn probe(kube: Kube, stopped: impl Future<Output = ()>) {
    let asking = async {
        loop {
            // The client notes the answer, and what goes wrong is told by whoever needs more.
            if let Ok(Err(error)) = tokio::time::timeout(PROBE_LIMIT, kube.date()).await {
                tracing::debug!(error = with_causes(&error), "a probe of the API server failed");
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    };
    tokio::select! {
        () = stopped => {}
        () = asking => {}
    }
}
