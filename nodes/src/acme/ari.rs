//! Renewal information (RFC 9773): which certificate it is, when in the window to renew, when to
//! ask again. Draws are hashes, so a restart and a replica come to the same instant.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use everleaf_engine::{Timestamp, digest_of};
use serde::{Deserialize, Serialize};

/// The identifier of a certificate (RFC 9773, section 4.1): the keyIdentifier of its authority key
/// identifier and the content of its serial number's DER, both base64url without padding.
pub fn certificate_id(key_identifier: &[u8], serial: &[u8]) -> String {
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}", encode(key_identifier), encode(serial))
}

/// A suggested window: renew at or after `start` and before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its first instant.
    pub start: Timestamp,
    /// The instant after it.
    pub end: Timestamp,
}

impl Window {
    /// A window, if it has an inside.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// The instant to renew at: a draw over the whole window that is the same each time for one
    /// certificate, told by the UID of its owner and by its serial number or digest.
    pub fn draw(self, uid: &str, serial: &str) -> Timestamp {
        let width = self.end.since(self.start).unsigned_abs().max(1);
        let seed = digest_of(&(uid, serial, self.start, self.end)).0;
        self.start.plus_millis(i64::try_from(seed % width).unwrap_or(0))
    }

    /// The instant to renew a certificate at, valid from `begin` to `end`: the draw; but no later
    /// than when a tenth of the lifetime is left, whatever the CA suggests, and in the past only
    /// if the whole window is.
    ///
    /// `None` if the window begins before the certificate does, for then it speaks of another.
    pub fn renew_at(
        self,
        (begin, end): (Timestamp, Timestamp),
        uid: &str,
        serial: &str,
    ) -> Option<Timestamp> {
        let lifetime = end.since(begin).max(0);
        let floor = end.plus_millis(-(lifetime / 10));
        (begin < self.start).then(|| self.draw(uid, serial).min(floor))
    }
}

/// The least and the most time between two looks, in milliseconds; and the one where the CA names
/// none.
const LOOK_LEAST: i64 = 3_600_000;
const LOOK_MOST: i64 = 12 * 3_600_000;
const LOOK_DEFAULT: i64 = 6 * 3_600_000;

/// When to ask again after a look at `asked`: after `retry_after_ms`, within bounds of an hour and
/// twelve, so that it is twice a day at least; then spread over a tenth of that by uid and serial.
/// Never sooner than Retry-After says.
pub fn next_look(
    asked: Timestamp,
    retry_after_ms: Option<i64>,
    uid: &str,
    serial: &str,
) -> Timestamp {
    let pause = retry_after_ms.unwrap_or(LOOK_DEFAULT).clamp(LOOK_LEAST, LOOK_MOST);
    let seed = i64::try_from(digest_of(&(uid, serial)).0 % 1000).unwrap_or(0);
    let spread = (pause / 10).min(LOOK_MOST - pause) * seed / 1000;
    let at = asked.plus_millis(pause + spread);
    at.max(asked.plus_millis(retry_after_ms.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_identifier_is_that_of_the_rfcs_example() {
        let key = [
            0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0,
            0xae, 0x2c, 0xde, 0x01, 0xc8, 0xd4,
        ];
        let id = certificate_id(&key, &[0x00, 0x87, 0x65, 0x43, 0x21]);
        assert_eq!(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    }

    proptest! {
        #[test]
        fn a_draw_lies_in_its_window_and_stays(
            start in 0_i64..4_000_000_000_000, width in 1_i64..10_000_000_000, uid in "[a-z]{1,8}",
        ) {
            let at = Timestamp::from_millis;
            let window = Window::new(at(start), at(start + width)).expect("it has an inside");
            let drawn = window.draw(&uid, "01");
            prop_assert!(window.start <= drawn && drawn < window.end);
            prop_assert_eq!(drawn, window.draw(&uid, "01"));
        }

        #[test]
        fn renewal_never_waits_for_the_last_tenth(
            life in 1_000_i64..10_000_000_000, start in 1_i64..20_000_000_000,
            width in 1_i64..10_000_000_000,
        ) {
            let at = Timestamp::from_millis;
            let window = Window::new(at(start), at(start + width)).expect("it has an inside");
            let renew = window.renew_at((at(0), at(life)), "u", "s").expect("it begins later");
            prop_assert!(renew <= at(life - life / 10));
        }

        #[test]
        fn looks_keep_retry_after_and_come_twice_a_day_without_one(
            retry in proptest::option::of(0_i64..100_000_000), uid in "[a-z]{1,8}",
        ) {
            let next = next_look(Timestamp::default(), retry, &uid, "s").as_millis();
            prop_assert!(next >= LOOK_LEAST && next >= retry.unwrap_or(0));
            prop_assert!(next <= LOOK_MOST.max(retry.unwrap_or(0)));
        }
    }
}
