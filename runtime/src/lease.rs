//! Leader election on cert-manager's own Lease, so that neither acts beside the other.
//!
//! The algorithm is client-go's (`tools/leaderelection`): the Lease is read and written with its
//! resourceVersion; a holder is taken for dead when the Lease did not change for its duration *as
//! watched from here*, on this machine's monotonic clock. Wall clocks of different machines are
//! never compared.
//!
//! `leaseTransitions` is the epoch. Unlike client-go it also rises when a process takes the Lease
//! again after losing it, so that two terms never share an epoch while the object lives. A deleted
//! Lease starts again from what this process saw last; a process that never saw it starts at 0.

mod election;
mod fence;
mod identity;
mod task;

use std::time::Duration;

use kube::{Api, Client};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use election::{Election, Step, Write};
pub use fence::Fence;
pub use identity::identity;

/// The name of the Lease that cert-manager's controller holds.
pub const CONTROLLER_LEASE: &str = "cert-manager-controller";

/// client-go's factor: a follower waits between one and 1 + this many retry periods.
const JITTER_PERCENT: u32 = 120;

/// Which Lease to hold, under which name, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// The API server's address, for the log.
    pub server: String,
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name, such as [`CONTROLLER_LEASE`].
    pub name: String,
    /// The holder's name; no other process may bear it.
    pub identity: String,
    /// How long the Lease is held after its last renewal. Whole seconds; a fraction is cut off.
    pub lease_duration: Duration,
    /// How long the holder goes on trying to renew before it gives up.
    pub renew_deadline: Duration,
    /// The pause between two attempts to take or renew.
    pub retry_period: Duration,
}

/// Timings under which an election cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseConfigError {
    /// The Lease counts whole seconds.
    #[error("the lease duration must be at least 1 s")]
    Duration,
    /// A holder must give up before others may take over.
    #[error("the renew deadline must be shorter than the lease duration")]
    Deadline,
    /// There must be time for a second attempt.
    #[error("the renew deadline must be longer than 1.2 retry periods, and those longer than 0 s")]
    Retry,
}

impl LeaseConfig {
    /// cert-manager's timings: held for 60 s, given up after 40 s, tried every 15 s.
    #[must_use]
    pub fn controller(namespace: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            server: String::new(),
            namespace: namespace.into(),
            name: CONTROLLER_LEASE.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(60),
            renew_deadline: Duration::from_secs(40),
            retry_period: Duration::from_secs(15),
        }
    }

    /// Checks the order of the timings, as client-go does.
    ///
    /// # Errors
    /// Says which timing is wrong.
    pub fn check(&self) -> Result<(), LeaseConfigError> {
        if self.lease_duration < Duration::from_secs(1) {
            return Err(LeaseConfigError::Duration);
        }
        if self.renew_deadline >= Duration::from_secs(self.lease_duration.as_secs()) {
            return Err(LeaseConfigError::Deadline);
        }
        let longest = self.retry_period * JITTER_PERCENT / 100;
        match self.retry_period > Duration::ZERO && self.renew_deadline > longest {
            true => Ok(()),
            false => Err(LeaseConfigError::Retry),
        }
    }
}

/// Who leads, as far as this process knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This process, under an epoch no earlier term of this Lease had.
    Leading {
        /// The Lease's `leaseTransitions`.
        epoch: u64,
    },
    /// Another process, or nobody yet.
    Following {
        /// The holder's identity, if there is one.
        holder: Option<String>,
    },
    /// This process led, and its term is over: nothing may start under its epoch any more. It goes
    /// on trying after a fifth of the retry period, so `Following` or `Leading` under a later epoch
    /// comes next.
    Lost,
}

/// A running election. Dropped, it stops renewing without letting go of the Lease.
#[derive(Debug)]
pub struct LeaseHandle {
    leadership: watch::Receiver<Leadership>,
    fence: Fence,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Starts to contend for the Lease in a task of its own; needs a tokio runtime.
///
/// # Errors
/// Fails if the timings are out of order, see [`LeaseConfig::check`].
pub fn start(client: Client, config: LeaseConfig) -> Result<LeaseHandle, LeaseConfigError> {
    config.check()?;
    let fence = Fence::new(config.renew_deadline);
    let (publish, leadership) = watch::channel(Leadership::Following { holder: None });
    let (stop, stopped) = oneshot::channel();
    let leases = Api::namespaced(client, &config.namespace);
    let task = task::Task::new(leases, config, fence.clone(), publish);
    let running = Some((stop, tokio::spawn(task.run(stopped))));
    Ok(LeaseHandle { leadership, fence, running })
}

/// A handle that always leads, under epoch 0: for `--leader-elect=false`.
#[must_use]
pub fn unelected() -> LeaseHandle {
    let (_, leadership) = watch::channel(Leadership::Leading { epoch: 0 });
    LeaseHandle { leadership, fence: Fence::always(0), running: None }
}

impl LeaseHandle {
    /// Who leads, as it changes. A slow reader may miss a `Lost`: compare epochs.
    ///
    /// The channel closes when the election stops; for [`unelected`] it is closed from the start,
    /// with its last value still readable.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// What to ask before each effect.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Stops contending and, if this process holds the Lease, empties it so that another need not
    /// wait. Takes at most 12 s, commonly two requests. Call it when no effect is in flight.
    pub async fn release(mut self) {
        let Some((stop, task)) = self.running.take() else { return };
        // A task that has ended already needs no stopping.
        let _ = stop.send(());
        if let Err(error) = task.await {
            tracing::warn!(%error, "the election's task failed");
        }
    }
}

impl Drop for LeaseHandle {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.running {
            task.abort();
            self.fence.close();
        }
    }
}

#[cfg(test)]
mod stub;
#[cfg(test)]
mod tests;
