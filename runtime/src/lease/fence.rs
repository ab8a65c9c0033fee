//! The check to make right before an effect is sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Says whether this process may still act. Cheap to clone; all clones see the same.
///
/// It is closed by the passing of time, not by the election's task: a task that is starved, or a
/// process that was stopped and goes on, finds it closed. What it cannot see is a pause between the
/// check and the request, nor a suspended machine whose monotonic clock stood still; so what spends
/// is fenced by claims as well.
#[derive(Clone, Debug)]
pub struct Fence {
    term: Arc<Mutex<Option<Term>>>,
    /// How long a renewal lasts; `None` means for ever.
    lasts: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    epoch: u64,
    renewed: Instant,
}

impl Fence {
    pub(crate) fn new(lasts: Duration) -> Self {
        Self { term: Arc::default(), lasts: Some(lasts) }
    }

    pub(super) fn always(epoch: u64) -> Self {
        let term = Term { epoch, renewed: Instant::now() };
        Self { term: Arc::new(Mutex::new(Some(term))), lasts: None }
    }

    /// Opens it, or keeps it open: the renewal was *sent* at `renewed`.
    pub(crate) fn open(&self, epoch: u64, renewed: Instant) {
        *self.lock() = Some(Term { epoch, renewed });
    }

    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    /// Whether this process leads at `now`: false once the renew deadline has passed since the
    /// last renewal was sent.
    #[must_use]
    pub fn may_act(&self, now: Instant) -> bool {
        self.open_term(now).is_some()
    }

    /// Whether this process leads at `now` under this very epoch.
    #[must_use]
    pub fn may_act_under(&self, epoch: u64, now: Instant) -> bool {
        self.open_term(now).is_some_and(|term| term.epoch == epoch)
    }

    /// How long ago the Lease was renewed, if this process believes to lead and runs an election.
    /// More than the renew deadline means that the election's task hangs.
    #[must_use]
    pub fn since_renewal(&self, now: Instant) -> Option<Duration> {
        let term = (*self.lock())?;
        self.lasts.map(|_| now.saturating_duration_since(term.renewed))
    }

    fn open_term(&self, now: Instant) -> Option<Term> {
        let age = |term: &Term| now.saturating_duration_since(term.renewed);
        self.lock().filter(|term| self.lasts.is_none_or(|lasts| age(term) < lasts))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Term>> {
        // The lock guards one assignment, so a panic elsewhere cannot leave it half done.
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(40);

    #[test]
    fn it_closes_by_itself_when_nobody_renews() {
        let (fence, start) = (Fence::new(DEADLINE), Instant::now());
        assert!(!fence.may_act(start));
        fence.open(3, start);
        assert!(fence.may_act(start + DEADLINE - Duration::from_millis(1)));
        assert!(!fence.may_act(start + DEADLINE));
        assert_eq!(fence.since_renewal(start + DEADLINE * 3), Some(DEADLINE * 3));
    }

    #[test]
    fn an_old_epoch_does_not_pass_while_a_new_one_does() {
        let (fence, start) = (Fence::new(DEADLINE), Instant::now());
        fence.open(4, start);
        assert!(fence.may_act_under(4, start));
        assert!(!fence.may_act_under(3, start));
        fence.close();
        assert!(!fence.may_act_under(4, start));
        assert_eq!(fence.since_renewal(start), None);
    }

    #[test]
    fn without_an_election_it_stays_open() {
        let fence = Fence::always(0);
        let later = Instant::now() + Duration::from_secs(86_400);
        assert!(fence.may_act_under(0, later));
        assert_eq!(fence.since_renewal(later), None);
    }
}
