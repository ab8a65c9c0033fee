//! Elections against a stubbed API server, in virtual time.

use tokio::time::{Instant, advance, timeout};

use super::stub::{Fault, Line, Server};
use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Contender {
    handle: LeaseHandle,
    line: Line,
}

fn contender(server: &Server, name: &str) -> Contender {
    let line = server.connect();
    let config = LeaseConfig::controller("kube-system", name);
    let handle = start(line.client(), config).unwrap();
    Contender { handle, line }
}

impl Contender {
    /// Waits, in virtual time, for a leadership that `wanted` accepts; fails after an hour.
    async fn wait(&self, wanted: impl Fn(&Leadership) -> bool) -> Leadership {
        let mut leadership = self.handle.leadership();
        let found = timeout(s(3600), leadership.wait_for(|now| wanted(now))).await;
        found.expect("an hour passed").unwrap().clone()
    }

    async fn leads(&self) -> u64 {
        match self.wait(|now| matches!(now, Leadership::Leading { .. })).await {
            Leadership::Leading { epoch } => epoch,
            other => panic!("{other:?}"),
        }
    }

    fn may_act(&self) -> bool {
        self.handle.fence().may_act(Instant::now())
    }
}

/// Lets virtual time pass second by second, and says whether anybody could act beside another.
async fn pass(seconds: u64, contenders: &[&Contender]) -> bool {
    let mut overlap = false;
    for _ in 0..seconds {
        advance(s(1)).await;
        settle().await;
        overlap |= contenders.iter().filter(|contender| contender.may_act()).count() > 1;
    }
    overlap
}

/// Lets every task that can run do so.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_creates_the_lease_and_the_second_follows_it() {
    let server = Server::default();
    let one = contender(&server, "one");
    assert_eq!(one.leads().await, 0);
    assert!(one.may_act());

    let two = contender(&server, "two");
    let held = Leadership::Following { holder: Some("one".into()) };
    two.wait(|now| *now == held).await;
    assert!(!pass(600, &[&one, &two]).await);
    assert!(one.may_act() && !two.may_act());
    assert_eq!(server.lease().unwrap().spec.unwrap().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_at_rest_sends_one_write_each_retry_period_and_no_read() {
    let server = Server::default();
    let one = contender(&server, "one");
    one.leads().await;
    let before = server.log().len();
    pass(150, &[&one]).await;
    assert_eq!(server.log()[before..].to_vec(), vec!["PUT 200"; 10]);
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_passes_on_within_two_retry_periods_under_the_next_epoch() {
    let server = Server::default();
    let (one, two) = (contender(&server, "one"), contender(&server, "two"));
    one.leads().await;
    one.handle.release().await;
    assert_eq!(server.holder().as_deref(), Some(""));
    let released = Instant::now();
    assert_eq!(two.leads().await, 1);
    assert!(released.elapsed() <= s(33), "{:?}", released.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_closes_its_fence_and_the_lease_runs_out() {
    let server = Server::default();
    let one = contender(&server, "one");
    one.leads().await;
    let fence = one.handle.fence();
    drop(one);
    assert!(!fence.may_act(Instant::now()));
    assert_eq!(server.holder().as_deref(), Some("one"), "nothing was written");
    let two = contender(&server, "two");
    let since = Instant::now();
    assert_eq!(two.leads().await, 1);
    assert!(since.elapsed() >= s(60) && since.elapsed() <= s(62), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whatever_cuts_the_leader_off_it_stops_before_another_starts() {
    for fault in [Fault::Refuse, Fault::Hang, Fault::LoseAnswer, Fault::HangWrites] {
        let server = Server::default();
        let one = contender(&server, "one");
        one.leads().await;
        let two = contender(&server, "two");
        one.line.fail(fault);
        let cut = Instant::now();
        one.wait(|now| *now == Leadership::Lost).await;
        assert!(!one.may_act(), "{fault:?}");
        let took = cut.elapsed();
        assert!(took >= s(25) && took <= s(40), "{fault:?} after {took:?}");
        assert!(!pass(300, &[&one, &two]).await, "{fault:?}: two could act at once");
        assert_eq!(server.holder().as_deref(), Some("two"), "{fault:?}");
        assert!(!one.may_act());
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_cut_off_and_comes_back_in_time_keeps_its_term() {
    let server = Server::default();
    let one = contender(&server, "one");
    assert_eq!(one.leads().await, 0);
    one.line.fail(Fault::Hang);
    pass(30, &[&one]).await;
    one.line.fail(Fault::None);
    pass(300, &[&one]).await;
    assert!(one.handle.fence().may_act_under(0, Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_comes_back_too_late_leads_again_only_under_a_new_epoch() {
    let server = Server::default();
    let one = contender(&server, "one");
    assert_eq!(one.leads().await, 0);
    one.line.fail(Fault::Hang);
    one.wait(|now| *now == Leadership::Lost).await;
    one.line.fail(Fault::None);
    assert_eq!(one.leads().await, 1);
    assert!(!one.handle.fence().may_act_under(0, Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_process_may_not_act_when_it_goes_on_and_says_lost_first() {
    let server = Server::default();
    let one = contender(&server, "one");
    one.leads().await;
    settle().await;
    let mut leadership = one.handle.leadership();
    leadership.mark_unchanged();
    // Nobody polls anything for ten minutes, as under SIGSTOP; then another has taken over.
    advance(s(600)).await;
    assert!(!one.may_act());
    let mut lease = server.lease().unwrap();
    lease.spec.as_mut().unwrap().holder_identity = Some("two".into());
    lease.spec.as_mut().unwrap().lease_transitions = Some(1);
    server.put(Some(lease));
    leadership.changed().await.unwrap();
    assert_eq!(*leadership.borrow_and_update(), Leadership::Lost);
    leadership.changed().await.unwrap();
    let followed = Leadership::Following { holder: Some("two".into()) };
    assert_eq!(*leadership.borrow_and_update(), followed);
    assert_eq!(server.holder().as_deref(), Some("two"), "and did not overwrite it");
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_or_deleted_behind_our_back_ends_the_term() {
    let server = Server::default();
    let one = contender(&server, "one");
    one.leads().await;
    server.put(None);
    one.wait(|now| *now == Leadership::Lost).await;
    assert_eq!(one.leads().await, 1, "the epoch does not fall back to 0");
}

#[tokio::test(start_paused = true)]
async fn of_two_that_create_at_once_one_leads() {
    let server = Server::default();
    let (one, two) = (contender(&server, "one"), contender(&server, "two"));
    assert!(!pass(120, &[&one, &two]).await);
    assert!(one.may_act() ^ two.may_act());
    assert!(server.log().contains(&"POST 409".to_owned()), "{:?}", server.log());
}

#[tokio::test(start_paused = true)]
async fn releasing_while_the_server_hangs_ends_in_bounded_time() {
    let server = Server::default();
    let one = contender(&server, "one");
    one.leads().await;
    one.line.fail(Fault::Hang);
    let since = Instant::now();
    one.handle.release().await;
    assert!(since.elapsed() <= s(12), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_follower_releases_nothing() {
    let server = Server::default();
    let (one, two) = (contender(&server, "one"), contender(&server, "two"));
    one.leads().await;
    two.handle.release().await;
    assert_eq!(server.holder().as_deref(), Some("one"));
    assert!(one.may_act());
}

#[tokio::test(start_paused = true)]
async fn without_election_it_leads_at_once_and_for_ever() {
    let handle = unelected();
    assert_eq!(*handle.leadership().borrow(), Leadership::Leading { epoch: 0 });
    assert!(handle.fence().may_act(Instant::now() + s(100_000)));
    handle.release().await;
}

#[test]
fn timings_that_cannot_work_are_refused() {
    let config = LeaseConfig::controller("kube-system", "me");
    assert_eq!(config.check(), Ok(()));
    let zero = LeaseConfig { lease_duration: Duration::from_millis(900), ..config.clone() };
    assert_eq!(zero.check(), Err(LeaseConfigError::Duration));
    let late = LeaseConfig { renew_deadline: s(60), ..config.clone() };
    assert_eq!(late.check(), Err(LeaseConfigError::Deadline));
    let cut = LeaseConfig { lease_duration: Duration::from_millis(40_900), ..config.clone() };
    assert_eq!(cut.check(), Err(LeaseConfigError::Deadline), "a fraction is cut off");
    let slow = LeaseConfig { retry_period: s(34), ..config.clone() };
    assert_eq!(slow.check(), Err(LeaseConfigError::Retry));
    let never = LeaseConfig { retry_period: Duration::ZERO, ..config };
    assert_eq!(never.check(), Err(LeaseConfigError::Retry));
}
