//! Metrics and health of a running operator.

use super::Failure;
use crate::flags::{ListenAddress, Options};
use crate::lease::Fence;
use crate::metrics::{self, Metrics, Snapshot};
use crate::operator::{Running, ask, sample};
use crate::serve::{self, Health, Now, Site};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How old samples of objects may be. Taking one is a pass over the world.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// The servers of metrics and health.
pub(super) struct Observability {
    health: Health,
    samples: watch::Sender<Arc<Snapshot>>,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
}

impl Observability {
    /// Starts serving before there is anything to tell.
    pub(super) async fn start(flags: &Options, fence: &Fence) -> Result<Self, Failure> {
        let (samples, seen) = watch::channel(Arc::new(Snapshot::default()));
        let metrics = Metrics::install(seen).map_err(|error| Failure::Failed(error.to_string()))?;
        let lasts = flags.election.as_ref().map_or(Duration::MAX, |e| e.lease_duration);
        let unrenewed = lasts.saturating_add(flags.election_health_timeout);
        let health = Health::new(fence.clone(), unrenewed, Now::read());
        let (stop, _) = watch::channel(false);
        let mut all = Self { health, samples, stop, servers: JoinSet::new() };
        all.serve(&flags.metrics_address, Some(metrics)).await?;
        if flags.healthz_address != flags.metrics_address {
            all.serve(&flags.healthz_address, None).await?;
        }
        Ok(all)
    }

    async fn serve(
        &mut self,
        address: &ListenAddress,
        metrics: Option<Metrics>,
    ) -> Result<(), Failure> {
        let bound = serve::bind(address).await;
        let bound = bound.map_err(|error| Failure::Failed(error.to_string()))?;
        let Some(listener) = bound else { return Ok(()) };
        let site = Site { health: self.health.clone(), metrics };
        let mut stopped = self.stop.subscribe();
        let stop = async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        self.servers.spawn(serve::serve(listener, site, stop));
        Ok(())
    }

    /// Follows what the driver publishes.
    pub(super) fn observe(&self, running: &Running) -> JoinHandle<()> {
        let (health, samples) = (self.health.clone(), self.samples.clone());
        let (turn, inspections) = (running.turn.clone(), running.inspections.clone());
        tokio::spawn(async move {
            let mut seen = u64::MAX;
            loop {
                let now = turn.borrow().clone();
                let (in_flight, queued, armed) = now.queues;
                metrics::queue_length("in flight", in_flight);
                metrics::queue_length("queued", queued);
                metrics::queue_length("armed", armed);
                metrics::leading(now.epoch.is_some());
                health.set_feeds_synced(now.synced);
                health.set_api_server_reached(now.synced || now.epoch.is_none());
                if now.turns != seen {
                    seen = now.turns;
                    let Some(sampled) = ask(&inspections, sample).await else { return };
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
