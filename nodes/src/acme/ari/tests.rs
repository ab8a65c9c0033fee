use super::*;
use crate::effect::{Account, Base, SecretKey};
use crate::facts::Kind;
use everleaf_engine::ObjectKey;
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const PAUSES: Pauses = Pauses { unnamed: 6 * HOUR, failed: HOUR, least: MINUTE, most: 24 * HOUR };

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn ask(known: AriStatus) -> AskWindow {
    let issuer = ObjectKey::new(Kind::Issuer, "shop", "acme");
    let secret = ObjectKey::new(Kind::Secret, "shop", "key");
    AskWindow {
        account: Account {
            issuer,
            base: Base { uid: "i".into(), rv: 1 },
            directory: "https://ca.test/dir".into(),
            uri: "https://ca.test/acct/1".into(),
            key: SecretKey { secret, key: "tls.key".into() },
            skip_tls_verify: false,
            ca_bundle: None,
        },
        certificate: "a.b".into(),
        known,
        stored: at(0),
        pauses: PAUSES,
        bounds: None,
    }
}

fn window(start: i64, end: i64) -> Said {
    Said::Window { window: (at(start), at(end)), explanation: None }
}

fn answer(said: Said, retry_after_ms: Option<i64>) -> Answer {
    Answer { said, retry_after_ms }
}

#[test]
fn the_identifier_is_that_of_the_rfcs_example() {
    let key = [
        0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae,
        0x2c, 0xde, 0x01, 0xc8, 0xd4,
    ];
    let id = certificate_id(&key, &[0x00, 0x87, 0x65, 0x43, 0x21]);
    assert_eq!(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
}

#[test]
fn an_answer_that_says_the_same_is_not_written_however_the_ca_jitters() {
    let first = answer(window(10 * HOUR, 11 * HOUR), Some(6 * HOUR));
    let mut known = learned(&ask(AriStatus::default()), "u", &first, at(0)).expect("news");
    let mut writes = 0;
    for turn in 1..200 {
        let pause = (48 + turn * 7 % 25) * HOUR / 10; // 4.8 h to 7.2 h, as Let's Encrypt does
        let again = answer(window(10 * HOUR, 11 * HOUR), Some(pause));
        if let Some(said) = learned(&ask(known.clone()), "u", &again, at(turn * 7 * HOUR)) {
            (known, writes) = (said, writes + 1);
        }
    }
    assert!(writes <= 1, "{writes} writes");
}

#[test]
fn an_error_is_written_once_and_leaves_the_window_as_it_was() {
    let first = answer(window(10 * HOUR, 11 * HOUR), None);
    let known = learned(&ask(AriStatus::default()), "u", &first, at(0)).expect("news");
    let down = answer(Said::Error { text: "no answer".into(), passing: true }, None);
    let failed = learned(&ask(known.clone()), "u", &down, at(HOUR)).expect("news");
    assert_eq!((failed.window, failed.error.as_deref()), (known.window, Some("no answer")));
    assert_eq!(learned(&ask(failed.clone()), "u", &down, at(2 * HOUR)), None);
    let mended = learned(&ask(failed), "u", &first, at(3 * HOUR)).expect("news");
    assert_eq!((mended.window, mended.error), (known.window, None));
}

#[test]
fn a_ca_that_has_no_renewal_information_any_more_is_not_quoted() {
    let nothing = answer(Said::Nothing, None);
    assert_eq!(learned(&ask(AriStatus::default()), "u", &nothing, at(0)), None);
    let known = AriStatus { window: Some((at(0), at(1))), ..AriStatus::default() };
    let ask = ask(known);
    let said = learned(&ask, "u", &nothing, at(0)).expect("news");
    assert_eq!(status(&ask, "u", &said), json!({ "acme": null }));
}

#[test]
fn a_clock_behind_the_certificates_counts_as_a_look_at_it_all_the_same() {
    let ask = AskWindow { stored: at(5 * MINUTE), ..ask(AriStatus::default()) };
    let said = learned(&ask, "u", &answer(window(HOUR, 2 * HOUR), None), at(MINUTE));
    assert_eq!(said.expect("news").checked, Some(at(5 * MINUTE)));
}

proptest! {
    #[test]
    fn a_draw_lies_in_its_window_and_stays(
        start in 0_i64..4_000_000_000_000, width in 1_i64..10_000_000_000, uid in "[a-z]{1,8}",
    ) {
        let window = Window::new(at(start), at(start + width)).expect("it has an inside");
        let drawn = window.draw(&uid, "01");
        prop_assert!(window.start <= drawn && drawn < window.end);
        prop_assert_eq!(drawn, window.draw(&uid, "01"));
    }

    #[test]
    fn draws_of_many_certificates_spread_over_the_whole_window(
        start in 0_i64..4_000_000_000_000, width in 1_000_000_i64..10_000_000_000,
    ) {
        let window = Window::new(at(start), at(start + width)).expect("it has an inside");
        let mut tenths = [0_u32; 10];
        for number in 0..1000 {
            let drawn = window.draw("u", &number.to_string()).since(window.start);
            tenths[usize::try_from(drawn * 10 / width).expect("within")] += 1;
        }
        prop_assert!(tenths.iter().all(|count| (50..=150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn no_window_moves_a_renewal_over_its_pace_or_its_floor(
        life in 10 * MINUTE..400 * 24 * HOUR, start in -50 * 24 * HOUR..800 * 24 * HOUR,
        width in 1_i64..40 * 24 * HOUR, failing in any::<bool>(),
    ) {
        let bounds = Bounds {
            begin: at(0), end: at(life), earliest: at(life / 20), hurried: at(life / 40),
            latest: at(life - life / 10), own: at(life / 3 * 2 / 1000 * 1000),
        };
        let error = failing.then(|| "down".into());
        let window = Some((at(start), at(start + width)));
        let said = AriStatus { window, error, ..AriStatus::default() };
        let when = bounds.renew_at(&said, "u", "a.b");
        prop_assert!(when.plus_millis(999) >= bounds.earliest && when <= bounds.latest);
        if failing {
            prop_assert!(when <= bounds.own.max(bounds.earliest));
        }
        if start + width <= 0 {
            prop_assert_eq!(when, bounds.own, "it speaks of another certificate");
        }
    }

    #[test]
    fn slots_keep_retry_after_within_a_minute_and_a_day(
        retry in proptest::option::of(0_i64..10 * 24 * HOUR), uid in "[a-z]{1,8}",
    ) {
        let said = learned(
            &ask(AriStatus::default()), &uid, &answer(window(HOUR, 2 * HOUR), retry), at(0),
        ).expect("news");
        let next = said.next.expect("there is a next look").as_millis();
        let most = 24 * HOUR;
        prop_assert!(next >= retry.unwrap_or(0).min(most).max(MINUTE));
        prop_assert!(next <= most + most / 10 + 1000);
    }

    #[test]
    fn a_restart_comes_to_the_next_slot_and_to_none_that_has_passed(
        retry in MINUTE..24 * HOUR, from in 0_i64..100 * 24 * HOUR,
    ) {
        let first = answer(window(HOUR, 2 * HOUR), Some(retry));
        let said = learned(&ask(AriStatus::default()), "u", &first, at(0)).expect("news");
        let next = PAUSES.next_slot(&said, at(from)).expect("one follows");
        let period = said.next.expect("written").as_millis();
        prop_assert!(next > at(from) && next <= at(from.max(0) + period));
        prop_assert_eq!(next.as_millis() % period, 0, "the slots stay where they are");
        prop_assert_eq!(PAUSES.next_slot(&said, next.plus_millis(-1)), Some(next));
    }
}
