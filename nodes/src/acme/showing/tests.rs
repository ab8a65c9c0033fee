use super::*;

fn at(uid: &str, rv: u64) -> Base {
    Base { uid: uid.into(), rv }
}

const NOW: Timestamp = Timestamp::from_seconds(1_000);

#[test]
fn a_presentation_that_arrives_after_the_clean_up_shows_nothing_for_nobody_would_remove_it() {
    let mut showings = Showings::default();
    assert!(showings.clean_up(&at("a", 8), NOW));
    assert!(!showings.begin(&at("a", 7), NOW), "it was decided before the clean-up");
    assert!(showings.begin(&at("b", 7), NOW), "another Challenge");
}

#[test]
fn a_clean_up_waits_for_what_is_being_shown_for_it_would_find_nothing_yet() {
    let mut showings = Showings::default();
    assert!(showings.begin(&at("a", 7), NOW));
    assert!(!showings.clean_up(&at("a", 8), NOW));
    assert!(!showings.begin(&at("a", 7), NOW), "once it was asked for, nothing more begins");
    showings.end(&at("a", 7));
    assert!(showings.clean_up(&at("a", 8), NOW));
}

#[test]
fn a_challenge_whose_state_was_taken_back_is_shown_again() {
    let mut showings = Showings::default();
    assert!(showings.clean_up(&at("a", 8), NOW));
    assert!(showings.begin(&at("a", 9), NOW), "decided after the clean-up");
}

#[test]
fn what_hangs_holds_no_clean_up_up_for_ever() {
    let mut showings = Showings::default();
    assert!(showings.begin(&at("a", 7), NOW));
    assert!(!showings.clean_up(&at("a", 8), NOW.plus_millis(SHOWING - 1)));
    assert!(showings.clean_up(&at("a", 8), NOW.plus_millis(SHOWING)));
}

#[test]
fn each_of_two_at_once_is_waited_for() {
    let mut showings = Showings::default();
    assert!(showings.begin(&at("a", 6), NOW));
    assert!(showings.begin(&at("a", 7), NOW));
    showings.end(&at("a", 6));
    assert!(!showings.clean_up(&at("a", 8), NOW));
    showings.end(&at("a", 7));
    showings.end(&at("a", 7));
    assert!(showings.clean_up(&at("a", 8), NOW));
}

#[test]
fn the_oldest_are_forgotten_and_what_is_being_shown_is_not() {
    let mut showings = Showings::default();
    assert!(showings.begin(&at("shown", 1), NOW));
    for number in 0..KEPT * 2 {
        assert!(showings.clean_up(&at(&format!("u{number}"), 1), NOW));
    }
    assert_eq!(showings.stages.len(), KEPT);
    assert!(!showings.clean_up(&at("shown", 2), NOW));
}
