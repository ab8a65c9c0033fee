//! Points in time, to the second, as Kubernetes writes them.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
///
/// On the wire it is RFC 3339 in UTC without a fraction (`2026-11-22T16:23:53Z`), as Kubernetes'
/// `metav1.Time`. Offsets and fractions are read; a fraction is cut off.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// A text that is no RFC 3339 time within the years 1 to 9999.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time: write it like 2026-11-22T16:23:53Z (RFC 3339)")]
pub struct TimeError(String);

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
const MAX_TEXT: usize = 64;

impl Time {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800);
    /// 9999-12-31T23:59:59Z, which X.509 uses for "no end" (RFC 5280, 4.1.2.5).
    pub const MAX: Self = Self(253_402_300_799);

    /// The time so many seconds after (or before) 1970; `None` outside the years 1 to 9999.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Option<Self> {
        if seconds < Self::MIN.0 || seconds > Self::MAX.0 { None } else { Some(Self(seconds)) }
    }

    /// The time so many seconds after (or before) 1970, brought into the years 1 to 9999.
    #[must_use]
    pub const fn clamped(seconds: i64) -> Self {
        if seconds < Self::MIN.0 {
            Self::MIN
        } else if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The time so many seconds later (or earlier), at most [`Time::MAX`] and at least
    /// [`Time::MIN`].
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self::clamped(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this time; negative if `earlier` is later.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// The date and time of day in UTC.
    #[must_use]
    pub fn civil(self) -> DateTime {
        EPOCH
            .checked_add(SignedDuration::from_secs(self.0))
            .expect("every Time lies within the years 1 to 9999")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.civil();
        let (year, month, day) = (at.year(), at.month(), at.day());
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = TimeError;

    /// Reads RFC 3339; at most 64 bytes.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse(text).ok_or_else(|| TimeError(text.chars().take(MAX_TEXT).collect()))
    }
}

fn parse(text: &str) -> Option<Time> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let (stamp, rest) = text.split_at_checked(19)?;
    let local = stamp_seconds(stamp.as_bytes())?;
    let offset = offset_seconds(skip_fraction(rest)?)?;
    Time::from_unix(local - offset)
}

/// Seconds since 1970 of `2026-11-22T16:23:53`.
fn stamp_seconds(stamp: &[u8]) -> Option<i64> {
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| stamp[at] != mark) {
        return None;
    }
    let two = |at: usize| number(&stamp[at..at + 2]).and_then(|n| i8::try_from(n).ok());
    let year = number(&stamp[..4]).and_then(|n| i16::try_from(n).ok())?;
    let at = DateTime::new(year, two(5)?, two(8)?, two(11)?, two(14)?, two(17)?, 0).ok()?;
    Some(at.duration_since(EPOCH).as_secs())
}

fn skip_fraction(rest: &str) -> Option<&str> {
    let Some(fraction) = rest.strip_prefix('.') else { return Some(rest) };
    let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < fraction.len()).then_some(after)
}

fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, digits) = match text.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let [h1, h2, b':', m1, m2] = *digits else { return None };
    let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
    (hours <= 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        String::deserialize(de)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unix(text: &str) -> Option<i64> {
        text.parse::<Time>().ok().map(Time::unix)
    }

    #[test]
    fn offsets_and_fractions_are_read_because_users_write_them() {
        assert_eq!(unix("2026-11-22T16:23:53Z"), Some(1_795_364_633));
        assert_eq!(unix("2026-11-22T17:23:53+01:00"), Some(1_795_364_633));
        assert_eq!(unix("2026-11-22T15:53:53-00:30"), Some(1_795_364_633));
        assert_eq!(unix("2026-11-22T16:23:53.999999999Z"), Some(1_795_364_633));
        assert_eq!(unix("1969-12-31T23:59:59.5Z"), Some(-1));
    }

    #[test]
    fn the_ends_of_the_range_survive_because_certificates_without_an_end_use_them() {
        for end in [Time::MIN, Time::MAX] {
            assert_eq!(end.to_string().parse(), Ok(end));
        }
        assert_eq!(Time::MAX.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(unix("0000-12-31T23:59:59Z"), None);
        assert_eq!(unix("9999-12-31T23:59:59-01:00"), None);
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22 16:23:53Z",
            "2026-11-22T16:23:53",
            "2026-11-22T16:23:53.Z",
            "2026-02-30T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T16:23:60Z",
            "2026-11-22T16:23:53+0100",
            "2026-11-22T16:23:53+01:60",
            "2026-11-22T16:23:5\u{e9}Z",
        ] {
            assert_eq!(unix(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(s in Time::MIN.0..=Time::MAX.0) {
            let time = Time::clamped(s);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<Time>();
        }

        #[test]
        fn no_near_miss_makes_the_parser_panic(text in "[0-9T:.+Z -]{15,40}") {
            let _ = text.parse::<Time>();
        }
    }
}
