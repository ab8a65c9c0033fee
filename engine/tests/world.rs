//! What the engine believes of the world, and when it may act on it: rules 2, 6 and 7.

mod toy;

use everleaf_engine::{Config, Delta, Input, Timestamp};
use toy::hand::{Hand, MINUTE};
use toy::{
    Effect, Facts, JOBS, Job, ODD_RESULTS, RESULTS, TOKENS, Toy, job, job_key, result_key, state,
    token_key, toy,
};

fn result(owner: &str, part: u8) -> Facts {
    Facts::Result { owner: format!("uid-{owner}").into(), input: 1, part }
}

fn some_job() -> (toy::Key, &'static str, u64, Facts) {
    (job_key("a"), "uid-a", 5, Facts::Job(job("t")))
}

#[test]
fn nothing_is_done_before_every_feed_that_a_machine_reads_was_listed() {
    let mut hand = Hand::new(toy(), Config::default());
    hand.lead(1);
    hand.list(JOBS, &[some_job()]);
    hand.list(TOKENS, &[(token_key("t"), "uid-t", 4, Facts::Token)]);
    hand.list(RESULTS, &[]);
    assert!(hand.started().is_empty(), "a Result may still be shown by the last feed");
    assert_eq!(hand.engine.status(&job_key("a")), None);
    hand.list(ODD_RESULTS, &[]);
    assert!(matches!(hand.only_start().1, Effect::Make { .. }));
}

#[test]
fn a_machine_waits_for_the_feed_of_its_own_kind_though_it_does_not_name_it() {
    let mut hand = Hand::new(toy(), Config::default());
    hand.lead(1);
    for feed in [TOKENS, RESULTS, ODD_RESULTS] {
        hand.list(feed, &[]);
    }
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("a", job("t"));
    assert!(hand.started().is_empty());
    hand.list(JOBS, &[some_job()]);
    assert_eq!(hand.started().len(), 1);
}

#[test]
fn a_list_in_the_middle_of_an_epoch_stops_nobody() {
    let mut hand = Hand::leading(toy(), Config::default());
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.tell(Input::Observed(Delta::ListBegin { feed: RESULTS }));
    hand.show_job("a", job("t"));
    assert_eq!(hand.started().len(), 1);
}

#[test]
fn without_leadership_one_looks_but_does_not_act() {
    let mut hand = Hand::new(toy(), Config::default());
    hand.sync();
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("a", job("t"));
    assert_eq!(hand.state("a"), state::MAKING);
    assert!(hand.started().is_empty());
}

#[test]
fn a_new_epoch_lists_everything_again_before_it_acts() {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    hand.lead(2);
    hand.show_job("a", job("t"));
    assert!(hand.started().is_empty());
    hand.list(JOBS, &[(job_key("a"), "uid-a", hand.last_rv(), Facts::Job(job("t")))]);
    hand.list(TOKENS, &[(token_key("t"), "uid-t", 4, Facts::Token)]);
    hand.list(RESULTS, &[]);
    assert!(hand.started().is_empty());
    hand.list(ODD_RESULTS, &[]);
    assert_eq!(hand.started().len(), 1);
}

#[test]
fn the_epoch_that_we_are_in_announced_again_changes_nothing() {
    let mut hand = Hand::with_job("a", job("t"));
    let before = hand.engine.state_digest();
    hand.now = Timestamp::from_seconds(1);
    hand.lead(1);
    assert_eq!(hand.engine.state_digest(), before);
    assert_eq!(hand.engine.now(), Timestamp::from_seconds(1_000_000), "now falls in no epoch");
    assert!(hand.engine.is_fully_synced());
}

#[test]
fn what_was_lost_with_the_leadership_is_not_started_under_the_old_epoch() {
    let config = Config { effects_in_flight: 1, ..Config::default() };
    let mut hand = Hand::leading(toy(), config);
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("a", Job { parts: 2, ..job("t") });
    let (first, _) = hand.only_start();
    hand.tell(Input::Leadership(None));
    hand.done(&first, &[]);
    assert!(hand.started().is_empty(), "the second part was queued only");
    assert_eq!(hand.engine.queue_sizes().1, 0);
}

#[test]
fn the_first_look_in_an_epoch_is_no_move() {
    let mut hand = Hand::with_job("a", job("t"));
    assert!(hand.records.iter().all(|record| record.moves.is_empty()));
    hand.lead(2);
    hand.list(JOBS, &[(job_key("a"), "uid-a", 150, Facts::Job(Job { reported: 1, ..job("t") }))]);
    for feed in [TOKENS, RESULTS, ODD_RESULTS] {
        hand.list(feed, &[]);
    }
    assert_eq!(hand.state("a"), state::REPORTING);
    assert!(hand.records.iter().all(|record| record.moves.is_empty()));
}

#[test]
fn a_move_names_the_edges_whose_triggers_turned() {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    let record = hand.show_job("a", job("t"));
    let [moved] = record.moves.as_slice() else { panic!("{record:?}") };
    assert_eq!((usize::from(moved.from), usize::from(moved.to)), (state::WAITING, state::MAKING));
    let plan = &toy::toy();
    let plan = &everleaf_engine::Program::plan(plan).machines[0];
    let path = moved.path.as_deref().expect("the plan explains it");
    let names: Vec<_> = path.iter().map(|e| plan.edges[usize::from(*e)].name.as_str()).collect();
    assert_eq!(names, ["started"]);
    assert_eq!(hand.engine.unexplained_moves(), 0);
}

#[test]
fn a_move_that_no_edge_explains_is_counted() {
    let plan = include_str!("toy/job.yaml");
    let plan = plan.replace("{from: any, to: gone,", "{from: [reporting, waiting], to: gone,");
    let mut hand = Hand::leading(toy::toy_with(&plan), Config::default());
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show_job("a", job("t"));
    let record = hand.show_job("a", Job { deleting: true, ..job("t") });
    assert_eq!(record.moves[0].path, None);
    assert_eq!(hand.engine.unexplained_moves(), 1);
}

#[test]
fn an_effect_that_the_state_does_not_list_is_not_started() {
    let mut hand = Hand::leading(Toy { cheats: true, ..toy() }, Config::default());
    hand.show_job("a", Job { reported: 7, ..job("t") });
    assert!(matches!(hand.only_start().1, Effect::WriteStatus { .. }));
    assert_eq!(hand.engine.unexplained_moves(), 1);
}

#[test]
fn a_machine_looks_again_only_if_what_it_reads_changed_or_a_wait_fell_due() {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    let looks = hand.engine.program().looks.clone();
    looks.set(0);
    hand.show_job("a", Job { start_at: None, ..job("t") });
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.show(TOKENS, &token_key("other"), "uid-o", Facts::Token);
    hand.show(RESULTS, &result_key("b", 0), "uid-b0", result("b", 0));
    hand.pass(MINUTE);
    assert_eq!(looks.get(), 0, "new versions, and objects that it did not look up");
    hand.delete(TOKENS, &token_key("t"), "uid-t");
    assert_eq!(looks.get(), 1);
    hand.show(TOKENS, &token_key("t"), "uid-t2", Facts::Token);
    assert_eq!(looks.get(), 2, "it looked for the name where nothing was");
    hand.show(RESULTS, &result_key("a", 0), "uid-a0", result("a", 0));
    assert_eq!(looks.get(), 3, "it looked under the index where nothing was");
    hand.pass(2 * 60 * MINUTE);
    assert_eq!(looks.get(), 4, "the recheck fell due");
}

#[test]
fn a_version_older_than_the_known_one_is_not_believed() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.apply(JOBS, &job_key("a"), "uid-a", 1, Facts::Job(Job { deleting: true, ..job("t") }));
    assert_eq!(hand.state("a"), state::MAKING);
}

#[test]
fn a_late_echo_does_not_revive_what_was_deleted() {
    let mut hand = Hand::with_job("a", job("t"));
    let rv = hand.last_rv();
    hand.delete(JOBS, &job_key("a"), "uid-a");
    hand.apply_live(JOBS, &job_key("a"), "uid-a", rv, Facts::Job(job("t")));
    assert!(hand.engine.world().get(&job_key("a")).is_none());
}

#[test]
fn an_object_that_enters_another_feeds_selection_lives_on_in_either_order() {
    let (key, facts) = (result_key("a", 0), result("a", 0));
    let mut hand = Hand::with_job("a", job("t"));
    hand.show(RESULTS, &key, "uid-r", facts.clone());
    hand.delete(RESULTS, &key, "uid-r");
    hand.show(ODD_RESULTS, &key, "uid-r", facts.clone());
    assert!(hand.engine.world().get(&key).is_some(), "left, then entered");
    hand.show(RESULTS, &key, "uid-r", facts);
    hand.delete(ODD_RESULTS, &key, "uid-r");
    assert!(hand.engine.world().get(&key).is_some(), "entered, then left");
    hand.delete(RESULTS, &key, "uid-r");
    assert!(hand.engine.world().get(&key).is_none());
}

#[test]
fn a_deletion_of_an_object_whose_name_is_taken_again_is_old_news() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.show(TOKENS, &token_key("t"), "uid-t2", Facts::Token);
    hand.delete(TOKENS, &token_key("t"), "uid-t");
    assert!(hand.engine.world().get(&token_key("t")).is_some());
}

#[test]
fn what_a_list_does_not_show_is_gone() {
    let mut hand = Hand::with_job("a", job("t"));
    let list_rv = hand.last_rv();
    hand.tell(Input::Observed(Delta::ListBegin { feed: TOKENS }));
    hand.tell(Input::Observed(Delta::ListEnd { feed: TOKENS, rv: list_rv }));
    assert!(hand.engine.world().get(&token_key("t")).is_none());
    assert!(hand.asked_to_read().is_empty());
}

/// Found by simulation (seeds 140 and 232): a Secret that had lost its label was missing from the
/// list of labelled ones before the other feed showed it, and was issued anew.
#[test]
fn what_a_list_does_not_show_of_a_kind_with_two_feeds_is_looked_for() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.show(RESULTS, &result_key("x", 0), "uid-x", result("x", 0));
    let list_rv = hand.last_rv();
    hand.tell(Input::Observed(Delta::ListBegin { feed: RESULTS }));
    hand.tell(Input::Observed(Delta::ListEnd { feed: RESULTS, rv: list_rv }));
    assert!(hand.engine.world().get(&result_key("x", 0)).is_some());
    assert_eq!(hand.asked_to_read(), [result_key("x", 0)]);
    hand.absent(&result_key("x", 0));
    assert!(hand.engine.world().get(&result_key("x", 0)).is_none());
}

#[test]
fn what_is_newer_than_a_list_that_does_not_show_it_stays() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.show(RESULTS, &result_key("x", 0), "uid-old", result("x", 0));
    hand.show(ODD_RESULTS, &result_key("x", 2), "uid-odd", result("x", 2));
    let list_rv = hand.last_rv();
    // Made by us, and seen in the answer; the list comes from a cache that is behind.
    let rv = hand.next_rv();
    hand.apply_live(RESULTS, &result_key("x", 3), "uid-before", rv, result("x", 3));
    hand.tell(Input::Observed(Delta::ListBegin { feed: RESULTS }));
    let rv = hand.next_rv();
    hand.apply_live(RESULTS, &result_key("x", 1), "uid-during", rv, result("x", 1));
    hand.tell(Input::Observed(Delta::ListEnd { feed: RESULTS, rv: list_rv }));
    let there = |part| hand.engine.world().get(&result_key("x", part)).is_some();
    assert_eq!([there(1), there(2), there(3)], [true, true, true]);
    assert_eq!(hand.asked_to_read(), [result_key("x", 0)], "nothing but what is older");
}

#[test]
fn a_live_read_during_a_list_does_not_hide_a_deletion_before_its_end() {
    let mut hand = Hand::leading(toy(), Config::default());
    hand.tell(Input::Observed(Delta::ListBegin { feed: RESULTS }));
    let rv = hand.next_rv();
    hand.apply_live(RESULTS, &result_key("x", 0), "uid-x", rv, result("x", 0));
    let list_rv = hand.next_rv();
    hand.tell(Input::Observed(Delta::ListEnd { feed: RESULTS, rv: list_rv }));
    assert_eq!(hand.asked_to_read(), [result_key("x", 0)], "the list is newer");
    hand.absent(&result_key("x", 0));
    assert!(hand.engine.world().is_empty());
}

#[test]
fn an_object_that_changes_feeds_during_a_list_of_the_old_one_is_not_lost() {
    let (key, facts) = (result_key("a", 0), result("a", 0));
    let mut hand = Hand::with_job("a", job("t"));
    hand.show(RESULTS, &key, "uid-r", facts.clone());
    let rv = hand.next_rv();
    hand.next_rv();
    hand.list(RESULTS, &[]);
    hand.apply(ODD_RESULTS, &key, "uid-r", rv, facts);
    assert!(hand.engine.world().get(&key).is_some(), "the other feed was only behind");
}

#[test]
fn a_kind_that_is_no_longer_served_is_an_empty_list() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.tell(Input::Observed(Delta::ListBegin { feed: TOKENS }));
    hand.tell(Input::Observed(Delta::ListEnd { feed: TOKENS, rv: u64::MAX }));
    assert!(hand.engine.world().get(&token_key("t")).is_none());
}

#[test]
fn an_object_made_again_under_its_name_starts_afresh() {
    let mut hand = Hand::with_job("a", job("t"));
    let (old, _) = hand.only_start();
    let record = hand.show(JOBS, &job_key("a"), "uid-a2", Facts::Job(job("t")));
    assert!(record.moves.is_empty(), "another object has no past");
    let (new, _) = hand.only_start();
    assert_eq!((&*old.uid, &*new.uid, new.attempt), ("uid-a", "uid-a2", 1));
    hand.done(&old, &[]);
    assert_eq!(hand.status("a").steps[0].phase, "inFlight", "the old answer is not the new one's");
}

#[test]
fn an_absence_that_answers_no_question_is_asked_for() {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    hand.absent(&token_key("t"));
    assert!(hand.engine.world().get(&token_key("t")).is_some(), "it may have come since");
    assert_eq!(hand.asked_to_read(), [token_key("t")]);
    hand.absent(&token_key("t"));
    assert!(hand.engine.world().get(&token_key("t")).is_none());
    assert_eq!(hand.engine.writes_awaited(), 0);
}

#[test]
fn an_absence_older_than_the_object_is_asked_for_again() {
    let mut hand = Hand::with_job("a", Job { start_at: None, ..job("t") });
    hand.absent(&token_key("t"));
    hand.show(TOKENS, &token_key("t"), "uid-t", Facts::Token);
    hand.absent(&token_key("t"));
    assert!(hand.engine.world().get(&token_key("t")).is_some());
    assert_eq!(hand.asked_to_read().len(), 2);
}

#[test]
fn observations_that_make_no_sense_do_no_harm() {
    let mut hand = Hand::with_job("a", job("t"));
    hand.apply(200, &token_key("z"), "uid-z", 3, Facts::Token);
    hand.delete(200, &token_key("z"), "uid-q");
    hand.absent(&token_key("nowhere"));
    for feed in [200, JOBS] {
        hand.tell(Input::Observed(Delta::ListEnd { feed, rv: 7 }));
        let (key, message) = (token_key("z"), "refused".to_owned());
        hand.tell(Input::Observed(Delta::Unreadable { key, message }));
    }
    hand.apply(JOBS, &token_key("t"), "uid-a", u64::MAX, Facts::Job(job("t")));
    hand.tell(Input::Clock(Timestamp::from_millis(i64::MIN)));
    hand.now = Timestamp::from_millis(i64::MAX);
    hand.tell(Input::Tick);
}
