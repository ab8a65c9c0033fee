use super::fault::Fault;
use super::*;
use everleaf_nodes::facts::Class;

fn trial() -> Trial {
    Trial { step: "new_order".into(), number: 3, rest_ms: 5_000 }
}

#[test]
fn retry_after_is_kept_and_never_shortens_the_rest() {
    let now = Timestamp::from_seconds(1_000);
    let attempt = |after| {
        let fault = Fault { after, ..Fault::new(Class::RateLimited, "") };
        fault.attempt(&trial(), None, now).not_before.unwrap().as_seconds()
    };
    assert_eq!(attempt(Some(Timestamp::from_seconds(9_000))), 9_000);
    assert_eq!(attempt(Some(Timestamp::from_seconds(1_001))), 1_005);
    assert_eq!(attempt(None), 1_005);
}

#[test]
fn only_what_a_person_mends_ends_an_order_and_it_has_no_time() {
    let now = Timestamp::from_seconds(1_000);
    for class in [Class::User, Class::Paused] {
        let fault = Fault::new(class, "no");
        let attempt = fault.attempt(&trial(), None, now);
        assert_eq!(attempt.not_before, None);
        let status = fault.status(Kind::Order, &attempt).unwrap();
        assert_eq!(status["state"], "errored");
        assert_eq!(status["reason"], "Failed to create Order: no");
        assert_eq!(fault.status(Kind::Challenge, &attempt), None);
    }
    for class in [Class::Wait, Class::Transient, Class::RateLimited] {
        let fault = Fault::new(class, "later");
        let attempt = fault.attempt(&trial(), None, now);
        assert!(attempt.not_before.is_some());
        assert_eq!(fault.status(Kind::Order, &attempt), None);
    }
}

#[test]
fn a_claim_counts_as_unsent_once_and_only_as_it_was_written() {
    let shared = AcmeShared::default();
    let (uid, at): (Uid, _) = ("u".into(), Timestamp::from_millis(5_400));
    shared.claimed(&uid, at);
    assert!(shared.takes_claim(&uid, Timestamp::from_seconds(5)), "notes have whole seconds");
    assert!(!shared.takes_claim(&uid, at), "something may have been sent since");
    shared.claimed(&uid, at);
    assert!(!shared.takes_claim(&uid, Timestamp::from_seconds(6)), "another process's claim");
}

#[test]
fn a_challenge_was_looked_for_by_this_process_only_if_it_says_so() {
    let shared = AcmeShared::default();
    assert!(!shared.sighted(&"u".into()), "another process may have seen it, and be gone");
    assert!(shared.sighted(&"u".into()));
    assert!(!shared.sighted(&"v".into()));
}

#[test]
fn what_is_remembered_of_challenges_is_bounded() {
    let shared = AcmeShared::default();
    let (sights, syncs) = (&shared.0.sights, &shared.0.syncs);
    for number in 0..=SIGHTS_KEPT {
        shared.sighted(&format!("u{number:05}").as_str().into());
        syncs.put(&format!("u{number:05}").as_str().into(), number.to_string());
    }
    assert_eq!(sights.lock().unwrap().len(), SIGHTS_KEPT);
    assert_eq!(syncs.get(&"u00000".into()), None);
    let last: Uid = format!("u{SIGHTS_KEPT:05}").as_str().into();
    assert_eq!(syncs.get(&last), Some(SIGHTS_KEPT.to_string()));
    syncs.forget(&last);
    assert_eq!(syncs.get(&last), None);
}

#[test]
fn what_is_shown_late_is_not_shown_and_a_clean_up_waits_for_what_is_being_shown() {
    let shared = AcmeShared::default();
    let at = |rv| Base { uid: "u".into(), rv };
    let (early, late) = (at(7), at(8));
    let showing = shared.show(&early).expect("nothing else is asked for");
    assert!(!shared.showings().clean_up(&late, crate::ports::now()));
    drop(showing);
    assert!(shared.showings().clean_up(&late, crate::ports::now()));
    assert!(shared.show(&early).is_none(), "nobody would remove it any more");
}
