//! How effects are started, answered, paced and shared out: rules 3, 4 and 11.

mod toy;

use everleaf_engine::{Config, FailureClass, Input, Outcome, Timestamp, Wake};
use toy::hand::{Hand, MINUTE};
use toy::{
    Effect, Facts, JOBS, Job, ODD_RESULTS, RESULTS, TOKENS, Toy, job, job_key, result_key, state,
    step, token_key, toy,
};

fn result(owner: &str, part: u8) -> Facts {
    Facts::Result { owner: format!("uid-{owner}").into(), input: 1, part }
}

/// The time from now to the next attempt, once it is made.
fn time_to_next(hand: &mut Hand) -> i64 {
    let from = hand.now;
    assert!(hand.started().is_empty(), "it waits");
    while hand.performs.is_empty() {
        hand.pass_to_wake();
        for key in hand.asked_to_read() {
            hand.absent(&key);
        }
    }
    hand.now.since(from)
}

fn assert_rung(waited: i64, minutes: i64) {
    let ms = minutes * MINUTE;
    assert!((ms * 9 / 10..=ms).contains(&waited), "{waited} ms is no rung of {minutes} min");
}

#[test]
fn an_effect_is_named_by_object_revision_step_item_and_attempt() {
    let mut hand = Hand::with_job("a", Job { input: 7, ..job("t") });
    assert_eq!(hand.only_start().0.to_string(), "uid-a/7/1/0#1");
}

#[test]
fn one_attempt_at_a_time() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.show_job("a", Job { input: 2, ..job("t") });
    assert!(hand.started().is_empty());
    hand.done(&id, &[]);
    assert_eq!(hand.only_start().0.attempt, 2);
}

#[test]
fn an_effect_that_nobody_answers_is_given_up_at_its_deadline() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.only_start();
    hand.pass(2 * MINUTE - 1);
    assert_eq!(hand.status("a").steps[0].phase, "inFlight");
    hand.pass(1);
    let failure = hand.status("a").steps[0].failure.clone().expect("it failed");
    assert_eq!(
        (failure.class, failure.reason.as_str()),
        (FailureClass::Unknown, "DeadlineExceeded")
    );
    assert_eq!(hand.asked_to_read(), [job_key("a")], "nobody knows what it did");
    assert_eq!(hand.engine.queue_sizes().0, 0, "its slot is free");
    let rv = hand.last_rv();
    hand.apply_live(JOBS, &job_key("a"), "uid-a", rv, Facts::Job(job("t")));
    assert_rung(time_to_next(&mut hand), 1);
    assert_eq!(hand.only_start().0.attempt, 2);
}

#[test]
fn a_deadline_survives_a_change_of_state_and_a_barrier() {
    let mut hand = Hand::with_job("a", Job { parts: 2, ..job("t") });
    let started = hand.started();
    let rv = hand.next_rv();
    hand.done(&started[0].0, &[(&result_key("a", 0), Some(rv))]);
    hand.delete(TOKENS, &token_key("t"), "uid-t");
    assert_eq!((hand.state("a"), hand.status("a").held), (state::WAITING, true));
    hand.pass(2 * MINUTE);
    let phases: Vec<_> = hand.status("a").steps.iter().map(|step| step.phase).collect();
    assert_eq!(phases, ["done", "resting"]);
}

#[test]
fn an_answer_at_the_deadline_is_an_answer() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.now = hand.now.plus_millis(2 * MINUTE);
    hand.done(&id, &[]);
    assert_eq!(hand.status("a").steps[0].failure, None);
}

#[test]
fn an_answer_after_the_deadline_is_still_an_answer() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.pass(2 * MINUTE + 1);
    hand.fail(&id, FailureClass::Rejected);
    assert!(hand.status("a").steps[0].failure.is_some());
    let rv = hand.next_rv();
    hand.done(&id, &[(&result_key("a", 0), Some(rv))]);
    assert_eq!(hand.status("a").steps[0].failure, None);
    assert!(hand.engine.writes_awaited() > 0, "what it wrote has to be seen");
}

#[test]
fn an_answer_of_an_attempt_that_was_given_up_does_not_answer_the_next() {
    let mut hand = Hand::with_job("a", job("t"));
    let (first, _) = hand.only_start();
    hand.pass(2 * MINUTE);
    let rv = hand.last_rv();
    hand.apply_live(JOBS, &job_key("a"), "uid-a", rv, Facts::Job(job("t")));
    time_to_next(&mut hand);
    hand.started();
    hand.done(&first, &[]);
    assert_eq!(hand.status("a").steps[0].phase, "inFlight");
}

#[test]
fn what_is_in_flight_when_an_epoch_ends_is_not_started_again_beside_itself() {
    let mut hand = Hand::with_job("a", job("t"));
    let (old, _) = hand.only_start();
    hand.lead(2);
    relist(&mut hand);
    assert!(hand.started().is_empty(), "it is in flight still");
    hand.done(&old, &[]);
    assert_eq!(hand.only_start().0.attempt, 2, "and no answer is mistaken for another");
}

#[test]
fn what_is_in_flight_when_an_epoch_ends_has_its_deadline_in_the_next() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.only_start();
    hand.lead(2);
    hand.pass(MINUTE);
    relist(&mut hand);
    hand.pass(MINUTE);
    assert_eq!(hand.status("a").steps[0].phase, "resting");
}

fn relist(hand: &mut Hand) {
    let rv = hand.next_rv();
    hand.list(JOBS, &[(job_key("a"), "uid-a", rv, Facts::Job(job("t")))]);
    hand.list(TOKENS, &[(token_key("t"), "uid-t", rv, Facts::Token)]);
    hand.list(RESULTS, &[]);
    hand.list(ODD_RESULTS, &[]);
}

#[test]
fn the_slot_of_an_effect_whose_object_is_gone_is_free_when_it_ends_and_not_before() {
    let config = Config { effects_in_flight_per_lane: 1, ..Config::default() };
    for answered in [true, false] {
        let mut hand = Hand::leading(toy(), config);
        hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
        hand.show_job("a", job("t"));
        hand.show_job("b", job("t"));
        let (id, _) = hand.only_start();
        hand.delete(JOBS, &job_key("a"), "uid-a");
        assert!(hand.started().is_empty());
        if answered {
            hand.done(&id, &[])
        } else {
            hand.pass(2 * MINUTE)
        };
        assert_eq!(&*hand.only_start().0.uid, "uid-b");
        assert_eq!(hand.engine.queue_sizes().0, 1);
        hand.delete(JOBS, &job_key("b"), "uid-b");
        hand.pass(2 * MINUTE);
        assert_eq!(
            (hand.engine.queue_sizes(), hand.engine.poll_wake()),
            ((0, 0, 0), Wake::OnlyWhenTold)
        );
    }
}

#[test]
fn failures_climb_the_ladder_with_at_most_the_jitter() {
    let mut hand = Hand::with_job("a", job("t"));
    for minutes in [1, 10, 100, 100] {
        let (id, _) = hand.only_start();
        hand.fail(&id, FailureClass::Transient);
        assert_rung(time_to_next(&mut hand), minutes);
    }
}

#[test]
fn jitter_tells_objects_apart() {
    let waits: std::collections::BTreeSet<_> = (0..20)
        .map(|n| {
            let mut hand = Hand::with_job(&format!("job-{n}"), job("t"));
            let (id, _) = hand.only_start();
            hand.fail(&id, FailureClass::Transient);
            time_to_next(&mut hand)
        })
        .collect();
    assert!(waits.len() > 15, "{waits:?}");
}

#[test]
fn a_success_brings_the_ladder_down() {
    let mut hand = Hand::with_job("a", job("t"));
    for _ in 0..3 {
        let (id, _) = hand.only_start();
        hand.fail(&id, FailureClass::Transient);
        time_to_next(&mut hand);
    }
    let (id, _) = hand.only_start();
    hand.done(&id, &[]);
    let (id, _) = hand.only_start();
    hand.fail(&id, FailureClass::Transient);
    assert_rung(time_to_next(&mut hand), 1);
}

#[test]
fn the_first_conflict_is_free_and_so_is_stale_then_the_ladder() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.fail(&id, FailureClass::Conflict);
    let (id, _) = hand.only_start();
    hand.tell(Input::Completed(id, Outcome::Stale { reread: vec![] }));
    assert_rung(time_to_next(&mut hand), 10);
}

#[test]
fn conflicts_between_successes_do_not_undo_the_pace() {
    let mut hand = Hand::with_job("a", job("t"));
    let begun = hand.now;
    for _ in 0..12 {
        while hand.performs.is_empty() {
            hand.pass_to_wake();
        }
        let (id, _) = hand.only_start();
        hand.fail(&id, FailureClass::Conflict);
        let (id, _) = hand.only_start();
        hand.done(&id, &[]);
    }
    assert!(hand.now.since(begun) > 300 * MINUTE, "it would loop as fast as it is answered");
}

#[test]
fn nothing_is_sent_before_the_instant_that_the_other_side_named() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    let not_before = hand.now.plus_millis(7 * 60 * MINUTE);
    hand.fail_with(&id, FailureClass::Throttled, Some(not_before), &[]);
    time_to_next(&mut hand);
    assert_eq!(hand.now, not_before);
}

#[test]
fn what_only_a_person_can_mend_is_tried_slowly() {
    for class in [FailureClass::Forbidden, FailureClass::Invalid, FailureClass::Rejected] {
        let mut hand = Hand::with_job("a", job("t"));
        let (id, _) = hand.only_start();
        hand.fail(&id, class);
        assert_rung(time_to_next(&mut hand), 100);
    }
}

#[test]
fn what_was_rejected_for_its_content_is_tried_at_once_with_another() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.fail(&id, FailureClass::Rejected);
    hand.show_job("a", Job { input: 2, ..job("t") });
    let (id, _) = hand.only_start();
    hand.fail(&id, FailureClass::Transient);
    assert_rung(time_to_next(&mut hand), 1);
    let (id, _) = hand.only_start();
    hand.fail(&id, FailureClass::Forbidden);
    hand.show_job("a", Job { input: 3, ..job("t") });
    assert!(hand.started().is_empty(), "no content is allowed what we are not");
}

#[test]
fn a_state_without_a_ladder_is_paced_all_the_same() {
    let plan = include_str!("toy/job.yaml")
        .replace("does: [make], waits: [answer, retry]", "does: [make], waits: [answer, recheck]");
    let mut hand = Hand::leading(toy::toy_with(&plan), Config::default());
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.fail(&id, FailureClass::Transient);
    assert!(time_to_next(&mut hand) >= 900);
}

#[test]
fn the_same_content_again_is_free_once_then_by_the_ladder_until_it_is_left_alone() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.done(&id, &[]);
    // What it did is not to be seen, as if somebody undid it.
    let (id, _) = hand.only_start();
    hand.done(&id, &[]);
    for minutes in [1, 10, 100, 100] {
        assert_rung(time_to_next(&mut hand), minutes);
        let (id, _) = hand.only_start();
        hand.done(&id, &[]);
    }
    hand.show(RESULTS, &result_key("a", 0), "uid-r", result("a", 0));
    let (status, _) = hand.only_start();
    hand.show_job("a", Job { reported: 1, ..job("t") });
    hand.done(&status, &[]);
    hand.pass(101 * MINUTE);
    hand.show_job("a", Job { reported: 0, start_at: None, ..job("t") });
    hand.started();
    hand.delete(RESULTS, &result_key("a", 0), "uid-r");
    hand.show_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.done(&id, &[]);
    assert_eq!(hand.started().len(), 1, "and the first repetition is free again");
}

#[test]
fn a_machine_that_changes_its_mind_all_the_time_is_paced_too() {
    let mut hand = Hand::leading(Toy { stamps: true, ..toy() }, Config::default());
    hand.show_job("a", Job { reported: 3, ..job("t") });
    let begun = hand.now;
    for _ in 0..20 {
        hand.now = hand.now.plus_millis(1);
        while hand.performs.is_empty() {
            hand.pass_to_wake();
        }
        let (id, _) = hand.only_start();
        hand.done(&id, &[]);
    }
    assert!(hand.now.since(begun) > 300 * MINUTE);
}

#[test]
fn what_was_withdrawn_from_its_queue_keeps_its_past() {
    let config = Config { effects_in_flight_per_lane: 1, ..Config::default() };
    let mut hand = Hand::leading(toy(), config);
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("b", job("t"));
    let (b, _) = hand.only_start();
    hand.fail(&b, FailureClass::Transient);
    hand.show_job("a", job("t"));
    hand.only_start();
    time_to_next_tick(&mut hand, "b");
    assert_eq!(hand.status("b").steps[0].phase, "queued", "a has the slot");
    hand.show_job("b", Job { start_at: None, ..job("t") });
    let step = hand.status("b").steps[0].clone();
    assert_eq!((step.phase, step.attempts, hand.engine.queue_sizes().1), ("resting", 1, 0));
    assert_eq!(step.failure.map(|failure| failure.count), Some(1));
}

fn time_to_next_tick(hand: &mut Hand, name: &str) {
    while hand.status(name).steps[0].phase == "resting" {
        hand.pass_to_wake();
    }
}

#[test]
fn a_queued_effect_is_sent_as_it_is_when_its_turn_comes() {
    let config = Config { effects_in_flight: 1, ..Config::default() };
    let mut hand = Hand::leading(toy(), config);
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show(TOKENS, &token_key("u"), "uid-u", Facts::Token);
    hand.show_job("a", job("t"));
    hand.show_job("b", job("t"));
    let (first, _) = hand.only_start();
    hand.show_job("b", Job { input: 2, ..job("t") });
    hand.show_job("b", Job { input: 3, ..job("u") });
    assert_eq!(hand.engine.queue_sizes().1, 1, "once, though its lane is another");
    hand.done(&first, &[]);
    assert!(matches!(hand.only_start().1, Effect::Make { input: 3, .. }));
}

#[test]
fn a_lane_with_much_to_do_does_not_hold_the_others_up() {
    let config =
        Config { effects_in_flight: 4, effects_in_flight_per_lane: 3, ..Config::default() };
    let mut hand = Hand::leading(toy(), config);
    for token in ["big", "small"] {
        hand.show(TOKENS, &token_key(token), &format!("uid-{token}"), Facts::Token);
    }
    hand.show_job("a", Job { parts: 50, ..job("big") });
    assert_eq!(hand.started().len(), 2, "no lane has more than its share");
    hand.show_job("b", Job { parts: 50, ..job("small") });
    let (small, _) = hand.only_start();
    let mut of_a = 0;
    let mut next = small;
    for _ in 0..10 {
        hand.done(&next, &[]);
        let (id, _) = hand.only_start();
        of_a += u32::from(&*id.uid == "uid-a");
        next = id;
    }
    assert!(of_a <= 5, "{of_a} of 10 slots went to the lane that has two already");
}

#[test]
fn a_tenant_that_hangs_in_all_its_lanes_does_not_hold_everybodys_slots() {
    let config = Config { effects_in_flight: 16, ..Config::default() };
    let mut hand = Hand::leading(toy(), config);
    for token in ["hung/1", "hung/2", "hung/3", "fine/1"] {
        hand.show(TOKENS, &token_key(token), &format!("uid-{token}"), Facts::Token);
    }
    for n in 1..=3 {
        hand.show_job(&format!("h{n}"), Job { parts: 50, ..job(&format!("hung/{n}")) });
    }
    assert_eq!(hand.started().len(), 8, "half of the slots, in however many lanes");
    hand.show_job("f", Job { parts: 20, ..job("fine/1") });
    let mut next = hand.started();
    for turn in 0..20 {
        let (id, _) = next.pop().unwrap_or_else(|| panic!("no slot in turn {turn}"));
        assert_eq!(&*id.uid, "uid-f");
        hand.done(&id, &[]);
        next.extend(hand.started());
    }
}

#[test]
fn what_ends_the_work_on_one_object_goes_out_before_what_begins_it_on_others() {
    let config = Config { effects_in_flight: 1, ..Config::default() };
    let mut hand = Hand::leading(toy(), config);
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    for name in ["a", "b", "c"] {
        hand.show_job(name, job("t"));
    }
    let (make, _) = hand.only_start();
    hand.show(RESULTS, &result_key("a", 0), "uid-r", result("a", 0));
    hand.done(&make, &[]);
    let (next, _) = hand.only_start();
    assert_eq!((&*next.uid, next.step), ("uid-a", step::WRITE_STATUS));
    hand.show_job("a", Job { reported: 1, ..job("t") });
    hand.done(&next, &[]);
    assert_eq!(hand.only_start().0.step, step::MAKE);
}

#[test]
fn many_failures_of_one_object_are_all_remembered() {
    let mut hand = Hand::with_job("a", Job { parts: 90, ..job("t") });
    for (id, _) in hand.started() {
        hand.fail(&id, FailureClass::Transient);
    }
    assert!(hand.started().is_empty(), "none is forgotten and tried at once");
    hand.pass(MINUTE * 9 / 10 - 1);
    assert!(hand.started().is_empty());
    hand.pass(MINUTE / 10 + 1);
    assert_eq!(hand.started().len(), 90);
}

#[test]
fn an_answer_to_nothing_does_no_harm() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.done(&id, &[]);
    let (again, _) = hand.only_start();
    let before = hand.engine.state_digest();
    for attempt in [0, 1, 3, u32::MAX] {
        let id = everleaf_engine::EffectId { attempt, ..again.clone() };
        hand.done(&id, &[]);
        hand.fail(&id, FailureClass::Rejected);
    }
    hand.done(&everleaf_engine::EffectId { uid: "nobody".into(), ..again }, &[]);
    assert_eq!(hand.engine.state_digest(), before);
}

#[test]
fn a_reason_and_the_next_attempt_stand_in_the_status() {
    let mut hand = Hand::with_job("a", job("t"));
    let (id, _) = hand.only_start();
    hand.fail(&id, FailureClass::Transient);
    let status = hand.status("a");
    let failure = status.steps[0].failure.clone().expect("it failed");
    assert_eq!((failure.reason.as_str(), failure.at), ("Why", hand.now));
    assert_eq!(status.armed.iter().map(|armed| armed.at).min(), Some(failure.next));
    assert!(Timestamp::default() < failure.next);
}
