//! Read your writes: rule 5.

mod toy;

use everleaf_engine::{Config, Delta, FailureClass, Input};
use toy::hand::{Hand, MINUTE};
use toy::{Effect, Facts, JOBS, Job, RESULTS, TOKENS, job, job_key, result_key, token_key, toy};

const SECOND: i64 = 1_000;

fn result(owner: &str, part: u8) -> Facts {
    Facts::Result { owner: format!("uid-{owner}").into(), input: 1, part }
}

/// A Job whose one Result was made at the version that is returned, and not seen yet.
fn made_unseen() -> (Hand, u64) {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    let rv = hand.next_rv();
    hand.done(&id, &[(&result_key("a", 0), Some(rv))]);
    (hand, rv)
}

#[test]
fn a_writer_waits_until_what_it_made_is_seen() {
    let (mut hand, rv) = made_unseen();
    assert!(hand.status("a").held);
    hand.show_job("a", Job { parts: 2, ..job("t") });
    assert!(hand.started().is_empty());
    hand.apply(RESULTS, &result_key("a", 0), "uid-r", rv, result("a", 0));
    assert!(!hand.status("a").held);
    assert!(matches!(hand.only_start().1, Effect::WriteStatus { reported: 1, .. }));
}

#[test]
fn whoever_reads_what_we_wrote_waits_too() {
    let mut hand = Hand::with_job("a", Job { reported: 3, ..job("t") });
    let (id, _) = hand.only_start();
    // The Token of both is written by the effect of one.
    let rv = hand.next_rv();
    hand.done(&id, &[(&token_key("t"), Some(rv))]);
    hand.started();
    hand.show_job("b", job("t"));
    hand.show_job("c", Job { reported: 1, ..job("other") });
    let started: Vec<_> = hand.started().iter().map(|(id, _)| id.uid.to_string()).collect();
    assert_eq!(started, ["uid-c"], "b reads the Token, c does not");
    hand.apply(TOKENS, &token_key("t"), "uid-t", rv, Facts::Token);
    let started: Vec<_> = hand.started().iter().map(|(id, _)| id.uid.to_string()).collect();
    assert_eq!(started, ["uid-a", "uid-b"], "though no fact of it changed");
}

#[test]
fn a_write_that_was_seen_before_its_answer_holds_nobody() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.show(RESULTS, &result_key("a", 0), "uid-r", result("a", 0));
    let rv = hand.last_rv();
    hand.done(&id, &[(&result_key("a", 0), Some(rv))]);
    assert_eq!(hand.engine.writes_awaited(), 0);
}

#[test]
fn a_version_before_the_write_is_not_the_write() {
    let mut hand = Hand::with_job("a", Job { reported: 3, ..job("t") });
    let (id, _) = hand.only_start();
    let (older, written) = (hand.next_rv(), hand.next_rv());
    hand.done(&id, &[(&job_key("a"), Some(written))]);
    let facts = Facts::Job(Job { reported: 4, ..job("t") });
    hand.apply(JOBS, &job_key("a"), "uid-a", older, facts.clone());
    hand.apply_live(JOBS, &job_key("a"), "uid-a", older, facts);
    assert!(hand.started().is_empty(), "not even if a live read, asked before, shows it");
    hand.apply(JOBS, &job_key("a"), "uid-a", written, Facts::Job(job("t")));
    assert_eq!(hand.started().len(), 1);
}

#[test]
fn two_writes_of_one_object_have_both_to_be_seen_by_both_writers() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.show_job("b", job("t"));
    let started = hand.started();
    let (first, second) = (hand.next_rv(), hand.next_rv());
    hand.done(&started[0].0, &[(&result_key("x", 0), Some(second))]);
    hand.done(&started[1].0, &[(&result_key("x", 0), Some(first))]);
    hand.apply(RESULTS, &result_key("x", 0), "uid-x", first, result("x", 0));
    assert!(hand.status("a").held && hand.status("b").held);
    hand.apply(RESULTS, &result_key("x", 0), "uid-x", second, result("x", 0));
    assert!(!hand.status("a").held && !hand.status("b").held);
}

#[test]
fn what_no_feed_shows_within_30_seconds_is_read_live_and_then_ever_more_rarely() {
    let (mut hand, _) = made_unseen();
    hand.pass(30 * SECOND - 1);
    assert!(hand.asked_to_read().is_empty());
    hand.pass(1);
    assert_eq!(hand.asked_to_read(), [result_key("a", 0)]);
    for seconds in [5, 10, 20, 40] {
        hand.pass(seconds * SECOND - 1);
        assert!(hand.asked_to_read().is_empty());
        hand.pass(1);
        assert_eq!(hand.asked_to_read().len(), 1, "after {seconds} s without an answer");
    }
    assert!(hand.status("a").held);
    hand.absent(&result_key("a", 0));
    assert!(!hand.status("a").held, "it was deleted meanwhile");
}

#[test]
fn after_the_30_seconds_whatever_a_live_read_shows_is_believed() {
    let (mut hand, rv) = made_unseen();
    hand.pass(30 * SECOND);
    hand.apply_live(RESULTS, &result_key("a", 0), "uid-r", rv - 1, result("a", 0));
    assert!(!hand.status("a").held, "a delay is in order, to be stranded is not");
}

#[test]
fn a_write_after_the_30_seconds_has_to_be_seen_itself() {
    let mut hand = Hand::with_job("a", Job { parts: 2, ..job("t") });
    let started = hand.started();
    let key = result_key("a", 0);
    let (first, second) = (hand.next_rv(), hand.next_rv());
    hand.done(&started[0].0, &[(&key, Some(first))]);
    hand.pass(30 * SECOND);
    hand.done(&started[1].0, &[(&key, Some(second))]);
    hand.apply_live(RESULTS, &key, "uid-r", first, result("a", 0));
    assert!(hand.status("a").held, "the read was asked for before that write");
    hand.apply(RESULTS, &key, "uid-r", second, result("a", 0));
    assert!(!hand.status("a").held);
}

#[test]
fn an_unreadable_object_is_asked_for_again() {
    let (mut hand, _) = made_unseen();
    hand.pass(30 * SECOND);
    let (key, message) = (result_key("a", 0), "refused".to_owned());
    hand.tell(Input::Observed(Delta::Unreadable { key, message }));
    assert!(hand.status("a").held);
    hand.asked_to_read();
    hand.pass(5 * SECOND);
    assert_eq!(hand.asked_to_read().len(), 1);
}

#[test]
fn after_an_unknown_outcome_only_a_live_read_counts() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    let key = result_key("a", 0);
    hand.fail_with(&id, FailureClass::Unknown, None, std::slice::from_ref(&key));
    assert_eq!(hand.asked_to_read(), std::slice::from_ref(&key));
    hand.show(RESULTS, &key, "uid-r", result("a", 0));
    assert!(hand.status("a").held, "the watch may be behind");
    assert!(hand.started().is_empty());
    let rv = hand.last_rv();
    hand.apply_live(RESULTS, &key, "uid-r", rv, result("a", 0));
    assert_eq!(hand.started().len(), 1);
}

#[test]
fn a_write_during_a_live_read_has_to_be_seen_as_well() {
    let mut hand = Hand::with_job("a", Job { parts: 2, ..job("t") });
    let started = hand.started();
    let key = result_key("a", 0);
    hand.fail_with(&started[0].0, FailureClass::Unknown, None, std::slice::from_ref(&key));
    let (before, written) = (hand.next_rv(), hand.next_rv());
    hand.done(&started[1].0, &[(&key, Some(written))]);
    hand.apply_live(RESULTS, &key, "uid-r", before, result("a", 0));
    assert!(hand.status("a").held, "the read was asked for before the write");
    hand.apply_live(RESULTS, &key, "uid-r", written, result("a", 0));
    assert!(!hand.status("a").held);
}

#[test]
fn a_deletion_is_awaited_like_any_write() {
    let mut hand = Hand::with_job("a", Job { reported: 3, ..job("t") });
    let (id, _) = hand.only_start();
    hand.done(&id, &[(&token_key("t"), None)]);
    assert!(hand.status("a").held);
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    assert!(hand.status("a").held, "it is the same one");
    hand.delete(TOKENS, &token_key("t"), "uid-t");
    assert!(!hand.status("a").held);
    assert!(hand.engine.world().get(&token_key("t")).is_none());
}

#[test]
fn the_name_taken_by_another_object_shows_that_the_deleted_one_is_gone() {
    let mut hand = Hand::with_job("a", Job { reported: 3, ..job("t") });
    let (id, _) = hand.only_start();
    hand.done(&id, &[(&token_key("t"), None)]);
    hand.show(TOKENS, &token_key("t"), "uid-t2", Facts::Token);
    assert!(!hand.status("a").held);
}

#[test]
fn the_end_of_an_older_object_of_that_name_does_not_show_what_we_made() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    let key = result_key("a", 0);
    hand.show(RESULTS, &key, "uid-old", result("b", 0));
    let rv = hand.next_rv();
    hand.done(&id, &[(&key, Some(rv))]);
    hand.delete(RESULTS, &key, "uid-old");
    assert!(hand.status("a").held);
    assert_eq!(hand.asked_to_read(), std::slice::from_ref(&key), "it may as well be ours");
    hand.apply(RESULTS, &key, "uid-new", rv, result("a", 0));
    assert!(!hand.status("a").held);
}

#[test]
fn a_list_that_is_newer_than_the_write_and_does_not_show_it_is_enough() {
    let mut hand = Hand::with_job("a", Job { reported: 3, ..job("t") });
    let (id, _) = hand.only_start();
    let rv = hand.next_rv();
    hand.done(&id, &[(&token_key("t"), Some(rv))]);
    hand.next_rv();
    hand.list(TOKENS, &[]);
    assert!(!hand.status("a").held);
    assert!(hand.engine.world().get(&token_key("t")).is_none());
}

#[test]
fn what_is_queued_when_something_it_reads_is_written_is_not_sent_before_that_is_seen() {
    let config = Config { effects_in_flight: 1, ..Config::default() };
    let mut hand = Hand::leading(toy(), config);
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("a", job("t"));
    hand.show_job("b", job("t"));
    let (first, _) = hand.only_start();
    let rv = hand.next_rv();
    hand.done(&first, &[(&token_key("t"), Some(rv))]);
    assert!(hand.started().is_empty(), "b's effect rests on the Token as it was");
    hand.apply(TOKENS, &token_key("t"), "uid-t", rv, Facts::Token);
    assert_eq!(hand.started().len(), 1);
}

#[test]
fn a_write_outlives_the_epoch_in_which_it_was_made() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.lead(2);
    let rv = hand.next_rv();
    hand.done(&id, &[(&result_key("a", 0), Some(rv))]);
    hand.list(JOBS, &[(job_key("a"), "uid-a", 102, Facts::Job(job("t")))]);
    hand.list(TOKENS, &[(token_key("t"), "uid-t", 101, Facts::Token)]);
    // A list from a cache that is behind, as the first list may be.
    hand.tell(Input::Observed(Delta::ListBegin { feed: RESULTS }));
    hand.tell(Input::Observed(Delta::ListEnd { feed: RESULTS, rv: rv - 1 }));
    hand.list(toy::ODD_RESULTS, &[]);
    assert!(hand.status("a").held && hand.started().is_empty());
    hand.apply(RESULTS, &result_key("a", 0), "uid-r", rv, result("a", 0));
    assert!(matches!(hand.only_start().1, Effect::WriteStatus { .. }));
}

#[test]
fn what_an_object_wrote_that_is_gone_by_then_is_awaited_all_the_same() {
    for late in [0, 3 * MINUTE] {
        let mut hand = Hand::with_job("a", job("t"));
        let (id, _) = hand.only_start();
        hand.delete(JOBS, &job_key("a"), "uid-a");
        hand.pass(late);
        hand.show_job("b", Job { reported: 3, ..job("t") });
        let rv = hand.next_rv();
        hand.done(&id, &[(&token_key("t"), Some(rv))]);
        assert!(hand.status("b").held, "{late} ms later");
        hand.pass(30 * SECOND);
        assert_eq!(hand.asked_to_read(), [token_key("t")]);
    }
}

#[test]
fn many_barriers_come_down_one_by_one() {
    let mut hand = Hand::leading(toy(), Config::default());
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("a", Job { parts: 5, ..job("t") });
    let started = hand.started();
    let first = hand.last_rv() + 1;
    for (n, (id, _)) in started.iter().enumerate() {
        let rv = hand.next_rv();
        hand.done(id, &[(&result_key("a", n as u8), Some(rv))]);
    }
    for part in 0..5 {
        assert!(hand.status("a").held);
        let key = result_key("a", part);
        hand.apply(RESULTS, &key, "uid-r", first + u64::from(part), result("a", part));
        hand.pass(MINUTE / 60);
    }
    assert_eq!((hand.engine.writes_awaited(), hand.status("a").held), (0, false));
}
