//! The task that carries out what [`Election`] decides.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::election::{Election, Step, Write};
use crate::kube_api::with_causes;

use super::{Fence, JITTER_PERCENT, Leadership, LeaseConfig};

/// A round is at most: write or read, read after a failed write, write again.
const MAX_STEPS: usize = 4;

/// No single request may use up the time in which a second one could still succeed.
const MAX_REQUEST: Duration = Duration::from_secs(10);
const MAX_RELEASE_REQUEST: Duration = Duration::from_secs(3);

/// Why a request came to nothing. All of them are worth another attempt later.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("no answer in time")]
    Timeout,
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

pub(super) struct Task {
    leases: Api<Lease>,
    config: LeaseConfig,
    election: Election,
    fence: Fence,
    publish: watch::Sender<Leadership>,
    started: Instant,
    /// Rounds so far, which spread the waits of the contenders.
    rounds: u64,
}

impl Task {
    pub(super) fn new(
        leases: Api<Lease>,
        config: LeaseConfig,
        fence: Fence,
        publish: watch::Sender<Leadership>,
    ) -> Self {
        let election = Election::new(config.clone());
        let started = Instant::now();
        Self { leases, config, election, fence, publish, started, rounds: 0 }
    }

    /// Contends until told to stop; lets go only if told in words, not if the handle is dropped.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let asked = loop {
            tokio::select! {
                biased;
                asked = &mut stopped => break asked.is_ok(),
                () = self.round_and_wait() => {}
            }
        };
        self.fence.close();
        self.publish(Leadership::Following { holder: None });
        if asked {
            self.release().await;
        }
    }

    async fn round_and_wait(&mut self) {
        let until = self.election.deadline().map(|deadline| self.started + deadline);
        let done = match until {
            // A hanging request must not keep a lost term unannounced.
            Some(until) => timeout_at(until, self.round()).await.ok(),
            None => Some(self.round().await),
        };
        match done {
            Some(pause) => sleep(pause).await,
            None => self.election.doubt(),
        }
    }

    /// One attempt to take or renew; returns how long to wait for the next.
    async fn round(&mut self) -> Duration {
        self.rounds += 1;
        if self.election.epoch().is_none() {
            self.election.doubt();
        }
        for _ in 0..MAX_STEPS {
            match self.election.decide(self.now()) {
                Step::Lose => {
                    self.lose();
                    // Let it be seen before the next term.
                    return self.config.retry_period / 5;
                }
                Step::Follow { holder, free_in } => {
                    self.publish(Leadership::Following { holder: Some(holder) });
                    return self.follower_pause().min(free_in.max(Duration::from_secs(1)));
                }
                Step::Read if self.read().await => {}
                Step::Read => break,
                Step::Write(write) if self.write(write).await => break,
                Step::Write(_) => {}
            }
        }
        self.pause()
    }

    fn lose(&mut self) {
        self.election.lose();
        self.fence.close();
        self.publish(Leadership::Lost);
    }

    async fn read(&mut self) -> bool {
        match self.get(self.request_limit()).await {
            Ok(lease) => {
                self.election.observe(self.now(), lease);
                true
            }
            Err(error) => {
                self.complain("read", &error);
                false
            }
        }
    }

    async fn write(&mut self, write: Write) -> bool {
        // In doubt until answered, also if this future is dropped half way.
        let body = self.election.body(write, Timestamp::now());
        self.election.doubt();
        let sent = self.now();
        match self.put(write, &body, self.request_limit()).await {
            Ok(lease) => {
                self.election.written(sent, write, lease);
                self.lead(sent);
                true
            }
            Err(error) => {
                self.complain("write", &error);
                false
            }
        }
    }

    /// Announces our term, unless the answer came so late that the term is over already.
    fn lead(&mut self, sent: Duration) {
        let Some(epoch) = self.election.epoch() else { return };
        if self.election.deadline().is_some_and(|deadline| self.now() < deadline) {
            self.fence.open(epoch, self.started + sent);
            self.publish(Leadership::Leading { epoch });
        }
    }

    /// Twice at most: a write of ours that was cut off may still land in between.
    async fn release(&mut self) {
        for _ in 0..2 {
            match self.try_release().await {
                Ok(()) => return,
                Err(error) => self.complain("release", &error),
            }
        }
    }

    async fn try_release(&mut self) -> Result<(), RequestError> {
        let lease = self.get(MAX_RELEASE_REQUEST).await?;
        self.election.observe(self.now(), lease);
        if let Some(write) = self.election.release() {
            let body = self.election.body(write, Timestamp::now());
            self.put(write, &body, MAX_RELEASE_REQUEST).await?;
            tracing::info!(lease = self.config.name, "let go of the lease");
        }
        Ok(())
    }

    async fn get(&self, limit: Duration) -> Result<Option<Lease>, RequestError> {
        let answer = timeout(limit, self.leases.get_opt(&self.config.name)).await;
        Ok(answer.map_err(|_| RequestError::Timeout)??)
    }

    async fn put(
        &self,
        write: Write,
        lease: &Lease,
        limit: Duration,
    ) -> Result<Lease, RequestError> {
        let params = PostParams { field_manager: Some("everleaf".into()), dry_run: false };
        let answer = match write {
            Write::Create(_) => timeout(limit, self.leases.create(&params, lease)).await,
            _ => timeout(limit, self.leases.replace(&self.config.name, &params, lease)).await,
        };
        Ok(answer.map_err(|_| RequestError::Timeout)??)
    }

    fn request_limit(&self) -> Duration {
        MAX_REQUEST.min(self.config.renew_deadline / 2)
    }

    /// The wait of a leader, or after a failure: never past the end of our own term, and shorter
    /// while a renewal is overdue.
    fn pause(&self) -> Duration {
        let Some(end) = self.election.deadline() else { return self.follower_pause() };
        let overdue = !self.election.is_certain();
        let pause = if overdue { self.config.retry_period / 5 } else { self.config.retry_period };
        pause.min(end.saturating_sub(self.now()))
    }

    /// Between one and 2.2 retry periods, different for each contender and each time.
    fn follower_pause(&self) -> Duration {
        let mut hasher = DefaultHasher::new();
        (&self.config.identity, self.rounds).hash(&mut hasher);
        let spread = self.config.retry_period * JITTER_PERCENT / 100;
        let share = (hasher.finish() % 1000) as u32;
        self.config.retry_period + spread * share / 1000
    }

    fn publish(&self, leadership: Leadership) {
        self.publish.send_if_modified(|current| {
            let changed = *current != leadership;
            if changed {
                tracing::info!(lease = self.config.name, now = ?leadership, "leadership changed");
                *current = leadership;
            }
            changed
        });
    }

    fn complain(&self, what: &str, error: &RequestError) {
        match error {
            RequestError::Kube(kube::Error::Api(status)) if status.code == 409 => {
                tracing::debug!(lease = self.config.name, "somebody was faster");
            }
            _ => {
                let (server, error) = (&self.config.server, with_causes(error));
                tracing::warn!(lease = self.config.name, server, error, "cannot {what} the lease");
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
