use super::*;
use crate::effect::{Account, Ahead, Base, SecretKey, Trial};
use everleaf_engine::digest_of;

const MINUTE: i64 = 60;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_000_000 + seconds)
}

fn order(name: &str) -> Claimant {
    Claimant { key: ObjectKey::new(Kind::Order, "shop", name), uid: name.into() }
}

fn claim(set: u64) -> ClaimOrder {
    let issuer = ObjectKey::new(Kind::Issuer, "shop", "acme");
    let secret = ObjectKey::new(Kind::Secret, "shop", "key");
    let account = Account {
        issuer,
        base: Base { uid: "issuer".into(), rv: 1 },
        directory: "https://ca.test/directory".into(),
        uri: "https://ca.test/acct/1".into(),
        key: SecretKey { secret, key: "tls.key".into() },
        skip_tls_verify: false,
        ca_bundle: None,
    };
    let trial = Trial { step: "new_order".into(), number: 1, rest_ms: 0 };
    ClaimOrder {
        account: account.uri.clone(),
        set: digest_of(&set),
        beside: Vec::new(),
        ahead: Ahead { account, caa_identities: Vec::new(), proofs: Vec::new(), trial },
        namespace: "cert-manager".into(),
        charges: Vec::new(),
    }
}

#[test]
fn a_claim_that_is_being_written_bars_every_other_of_its_set_although_none_is_seen() {
    let (mut turns, it, (a, b)) = (Turns::default(), claim(1), (order("a"), order("b")));
    assert_eq!(turns.ask(&it, &a, at(0)), None);
    assert_eq!(turns.ask(&it, &b, at(1)), Some(a.clone()));
    assert!(!turns.pass(&it, &a, &b, at(1)), "it may be written a moment after the look");
    assert_eq!(turns.ask(&claim(2), &b, at(1)), None, "another set has its own turn");
    let other = ClaimOrder { account: "https://ca.test/acct/2".into(), ..claim(1) };
    assert_eq!(turns.ask(&other, &b, at(1)), None, "and so has another account");
    assert_eq!(turns.ask(&it, &a, at(2)), None, "its own next attempt is not barred");
}

#[test]
fn the_turn_passes_when_the_last_one_was_looked_at_or_was_known() {
    let (a, b) = (order("a"), order("b"));
    let written = || {
        let mut turns = Turns::default();
        assert_eq!(turns.ask(&claim(1), &a, at(0)), None);
        turns.end(&claim(1), &a, End::Written, at(1));
        turns
    };
    let mut turns = written();
    assert_eq!(turns.ask(&claim(1), &b, at(1)), Some(a.clone()));
    assert!(turns.pass(&claim(1), &a, &b, at(1)), "it is final, or gone");
    assert_eq!(turns.ask(&claim(1), &a, at(1)), Some(b.clone()));
    let known = ClaimOrder { beside: vec![a.uid.clone()], ..claim(1) };
    assert_eq!(written().ask(&known, &b, at(1)), None, "it was known, and no rival");
}

#[test]
fn a_claim_that_surely_failed_bars_nobody() {
    let (mut turns, it) = (Turns::default(), claim(1));
    assert_eq!(turns.ask(&it, &order("a"), at(0)), None);
    turns.end(&it, &order("a"), End::Failed, at(1));
    assert_eq!(turns.ask(&it, &order("b"), at(1)), None);
}

#[test]
fn a_claim_without_an_answer_bars_others_until_it_cannot_come_any_more() {
    let (mut turns, it, (a, b)) = (Turns::default(), claim(1), (order("a"), order("b")));
    assert_eq!(turns.ask(&it, &a, at(0)), None);
    turns.end(&it, &a, End::Unknown, at(MINUTE));
    assert!(!turns.pass(&it, &a, &b, at(2 * MINUTE)), "it may be applied yet");
    assert!(turns.pass(&it, &a, &b, at(3 * MINUTE)));
}

#[test]
fn one_that_was_never_ended_does_not_bar_for_ever() {
    let (mut turns, it, (a, b)) = (Turns::default(), claim(1), (order("a"), order("b")));
    assert_eq!(turns.ask(&it, &a, at(0)), None);
    assert!(!turns.pass(&it, &a, &b, at(10 * MINUTE)), "its effect may still be at it");
    assert!(turns.pass(&it, &a, &b, at(11 * MINUTE)));
}

#[test]
fn of_two_that_looked_at_the_same_order_one_passes() {
    let (mut turns, it, (a, b)) = (Turns::default(), claim(1), (order("a"), order("b")));
    assert_eq!(turns.ask(&it, &a, at(0)), None);
    turns.end(&it, &a, End::Written, at(1));
    assert!(turns.pass(&it, &a, &b, at(2)));
    assert!(!turns.pass(&it, &a, &order("c"), at(2)));
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_being_written_stays() {
    let mut turns = Turns::default();
    assert_eq!(turns.ask(&claim(0), &order("a"), at(0)), None);
    for set in 1..=KEPT as u64 {
        assert_eq!(turns.ask(&claim(set), &order("a"), at(0)), None);
        turns.end(&claim(set), &order("a"), End::Written, at(0));
    }
    assert_eq!(turns.last.len(), KEPT);
    assert_eq!(turns.ask(&claim(0), &order("b"), at(0)), Some(order("a")));
    assert_eq!(turns.ask(&claim(1), &order("b"), at(0)), None, "the oldest was forgotten");
}
