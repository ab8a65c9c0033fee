//! X.509 times (RFC 5280 section 4.1.2.5) as seconds since the Unix epoch.

use thiserror::Error;

use crate::tlv::{self, Element, Malformed, tag};

/// A time outside the years 0000 to 9999, which X.509 cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} seconds since 1970 is outside the years 0000 to 9999")]
pub struct OutOfRange(pub i64);

const DAY: i64 = 86_400;

/// Reads a UTCTime or GeneralizedTime in the form RFC 5280 requires: seconds present, `Z` last.
pub(crate) fn parse(element: Element<'_>) -> Result<i64, Malformed> {
    let wrong = || Malformed::new("Time", "not a UTC time to the second");
    let digits = element.value.strip_suffix(b"Z").ok_or_else(wrong)?;
    let numbers = pairs(digits).ok_or_else(wrong)?;
    let (year, rest) = match (element.tag, numbers.as_slice()) {
        (tag::UTC_TIME, [yy, rest @ ..]) => (if *yy < 50 { 2000 } else { 1900 } + yy, rest),
        (tag::GENERALIZED_TIME, [century, yy, rest @ ..]) => (century * 100 + yy, rest),
        _ => return Err(wrong()),
    };
    let &[month, day, hour, minute, second] = rest else { return Err(wrong()) };
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return Err(wrong());
    }
    Ok(days_since_epoch(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

fn pairs(digits: &[u8]) -> Option<Vec<i64>> {
    let number = |pair: &[u8]| match pair {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i64::from((a - b'0') * 10 + (b - b'0'))),
        _ => None,
    };
    digits.chunks(2).map(number).collect()
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1 January 1970 in the proleptic Gregorian calendar. Years begin in March here, so
/// that the leap day is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day counted from 1 January 1970: the inverse of [`days_since_epoch`].
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Encodes as UTCTime for the years 1950 to 2049 and as GeneralizedTime otherwise.
pub(crate) fn encode(seconds: i64) -> Result<Vec<u8>, OutOfRange> {
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    if !(0..=9999).contains(&year) {
        return Err(OutOfRange(seconds));
    }
    let clock = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    Ok(if (1950..2050).contains(&year) {
        tlv::element(tag::UTC_TIME, &[format!("{:02}{rest}", year % 100).as_bytes()])
    } else {
        tlv::element(tag::GENERALIZED_TIME, &[format!("{year:04}{rest}").as_bytes()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<i64, Malformed> {
        parse(tlv::Elements::new(bytes, "test").next()?.unwrap())
    }

    #[test]
    fn every_form_round_trips_around_its_borders() {
        // 1949-12-31T23:59:59Z, 1950-01-01, epoch, 2000-02-29, 2049-12-31T23:59:59Z, 2050-01-01,
        // 9999-12-31T23:59:59Z, 0000-01-01.
        for seconds in [
            -631_152_001,
            -631_152_000,
            0,
            951_782_400,
            2_524_607_999,
            2_524_608_000,
            253_402_300_799,
            -62_167_219_200,
        ] {
            assert_eq!(read(&encode(seconds).unwrap()).unwrap(), seconds);
        }
    }

    #[test]
    fn the_border_between_the_two_forms_is_2050() {
        assert_eq!(encode(2_524_607_999).unwrap(), *b"\x17\x0d491231235959Z");
        assert_eq!(encode(2_524_608_000).unwrap(), *b"\x18\x0f20500101000000Z");
    }

    #[test]
    fn impossible_dates_and_offsets_are_refused() {
        for text in [
            &b"\x17\x0d250229000000Z"[..],
            b"\x17\x0d251301000000Z",
            b"\x17\x0d250101240000Z",
            b"\x17\x11250101000000+0100",
            b"\x17\x0b2501010000Z",
            b"\x18\x11202501010000.00Z",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert_eq!(encode(i64::MAX), Err(OutOfRange(i64::MAX)));
        assert_eq!(encode(i64::MIN), Err(OutOfRange(i64::MIN)));
    }
}
