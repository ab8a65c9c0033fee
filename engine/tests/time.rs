//! Waits, the wall clock and what is doubted of it: rules 8 and 9.

mod toy;

use everleaf_engine::{Config, Input, Timestamp, Wake};
use toy::hand::{HOUR, Hand, MINUTE};
use toy::{Effect, Facts, Job, TOKENS, job, state, token_key, toy, wait};

fn at_start_of(hand: &Hand, ms: i64) -> Option<Timestamp> {
    Some(hand.now.plus_millis(ms))
}

fn waiting_until(ms: i64) -> Hand {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    let start_at = at_start_of(&hand, ms);
    hand.show_job("a", Job { start_at, ..job("t") });
    hand
}

#[test]
fn an_instant_that_a_state_waits_for_is_armed_and_fires_once() {
    let mut hand = waiting_until(10 * MINUTE);
    assert_eq!(hand.engine.poll_wake(), Wake::At(hand.now.plus_millis(10 * MINUTE)));
    assert_eq!(hand.status("a").armed[0].wait, Some(wait::START));
    hand.pass(10 * MINUTE - 1);
    assert!(hand.started().is_empty());
    let record = hand.pass(1);
    assert_eq!(record.moves.len(), 1);
    assert_eq!(hand.started().len(), 1);
    assert!(hand.status("a").armed.iter().all(|armed| armed.wait != Some(wait::START)));
}

#[test]
fn an_instant_that_moved_is_not_waited_for_any_more() {
    let mut hand = waiting_until(10 * MINUTE);
    hand.show_job("a", Job { start_at: at_start_of(&hand, 30 * MINUTE), ..job("t") });
    assert_eq!(hand.engine.poll_wake(), Wake::At(hand.now.plus_millis(30 * MINUTE)));
    hand.show_job("a", Job { start_at: None, ..job("t") });
    assert_eq!(hand.engine.poll_wake(), Wake::At(hand.now.plus_millis(60 * MINUTE)));
}

#[test]
fn a_wait_that_decides_the_state_is_armed_even_where_the_state_does_not_list_it() {
    let plan = include_str!("toy/job.yaml")
        .replace("waits: [start, recheck]", "waits: [recheck]")
        .replace("waits: [recheck], goal: true", "waits: [recheck, start], goal: true");
    let mut hand = Hand::leading(toy::toy_with(&plan), Config::default());
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    let start_at = at_start_of(&hand, 5 * MINUTE);
    hand.show_job("a", Job { start_at, ..job("t") });
    hand.pass_to_wake();
    assert_eq!((hand.state("a"), Some(hand.now)), (state::MAKING, start_at));
}

#[test]
fn a_period_starts_at_the_entry_and_goes_on_however_often_it_is_looked_at() {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    let entered = hand.now;
    hand.pass(40 * MINUTE);
    hand.show_job("a", Job { start_at: None, input: 2, ..job("t") });
    assert_eq!(hand.engine.poll_wake(), Wake::At(entered.plus_millis(HOUR)));
    hand.pass_to_wake();
    assert_eq!(hand.engine.poll_wake(), Wake::At(entered.plus_millis(2 * HOUR)));
    hand.pass(10 * MINUTE);
    hand.show_job("a", Job { deleting: true, ..job("t") });
    assert_eq!(hand.engine.poll_wake(), Wake::OnlyWhenTold);
    hand.show_job("a", Job { start_at: None, ..job("t") });
    assert_eq!(hand.engine.poll_wake(), Wake::At(hand.now.plus_millis(HOUR)), "entered again");
}

#[test]
fn all_that_is_overdue_after_a_suspend_is_looked_at_in_one_input() {
    let mut hand = Hand::leading(toy(), Config::default());
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    for (name, ms) in [("a", 3), ("b", 1), ("c", 2)] {
        let start_at = at_start_of(&hand, ms * MINUTE);
        hand.show_job(name, Job { start_at, ..job("t") });
    }
    hand.pass(3 * HOUR);
    let names: Vec<_> = hand.started().iter().map(|(id, _)| id.uid.to_string()).collect();
    assert_eq!(names, ["uid-a", "uid-b", "uid-c"], "in the order of keys");
    assert!(matches!(hand.engine.poll_wake(), Wake::At(at) if at > hand.now));
}

#[test]
fn a_tick_with_nothing_due_changes_nothing() {
    let mut hand = waiting_until(10 * MINUTE);
    let before = serde_json::to_value(hand.engine.snapshot()).expect("it is JSON");
    let record = hand.tell(Input::Tick);
    assert!(record.effects.is_empty() && record.moves.is_empty());
    assert_eq!(serde_json::to_value(hand.engine.snapshot()).expect("it is JSON"), before);
}

#[test]
fn now_never_falls_within_an_epoch_and_may_in_the_next() {
    let mut hand = waiting_until(10 * MINUTE);
    let before = hand.engine.now();
    hand.pass(-HOUR);
    assert_eq!(hand.engine.now(), before);
    hand.tell(Input::Leadership(None));
    assert_eq!(hand.engine.now(), before, "the loss of an epoch begins none");
    hand.lead(2);
    assert_eq!(hand.engine.now(), before.plus_millis(-HOUR));
}

#[test]
fn a_step_of_the_clock_forbids_spending_until_the_api_servers_date_agrees() {
    let mut hand = waiting_until(2 * HOUR);
    hand.now = hand.now.plus_millis(2 * HOUR);
    hand.tell(Input::ClockStepped);
    assert_eq!((hand.state("a"), hand.asked_for_time), (state::MAKING, 1));
    assert!(hand.started().is_empty());
    let off = hand.now.plus_millis(-301_000);
    hand.tell(Input::Clock(off));
    assert!(hand.started().is_empty(), "the server's clock says otherwise");
    hand.tell(Input::Clock(hand.now.plus_millis(299_000)));
    assert!(matches!(hand.only_start().1, Effect::Make { .. }));
}

#[test]
fn under_a_doubted_clock_what_does_not_spend_goes_on() {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    hand.tell(Input::ClockStepped);
    hand.show_job("a", Job { start_at: None, reported: 4, ..job("t") });
    assert!(matches!(hand.only_start().1, Effect::WriteStatus { .. }));
}

#[test]
fn what_was_queued_before_the_step_is_not_spent_after_it() {
    let config = Config { effects_in_flight: 1, ..Config::default() };
    let mut hand = Hand::leading(toy(), config);
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("a", Job { parts: 2, ..job("t") });
    let (first, _) = hand.only_start();
    hand.tell(Input::ClockStepped);
    hand.done(&first, &[]);
    assert!(hand.started().is_empty());
    hand.tell(Input::Clock(hand.now));
    assert!(!hand.started().is_empty());
}

#[test]
fn the_time_is_asked_for_again_until_it_is_told_and_a_new_epoch_does_not_settle_it() {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    hand.tell(Input::ClockStepped);
    hand.pass_to_wake();
    hand.lead(2);
    hand.sync();
    hand.pass(5_000);
    assert_eq!(hand.asked_for_time, 3);
    hand.show(TOKENS, &token_key("t"), "uid-t2", Facts::Token);
    hand.show_job("b", job("t"));
    assert!(hand.started().is_empty(), "it is the same clock");
    hand.tell(Input::Clock(hand.now));
    assert_eq!(hand.started().len(), 1);
    hand.pass(5_000);
    assert_eq!(hand.asked_for_time, 3);
}
