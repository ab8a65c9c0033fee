//! Durations in Go's syntax, as Kubernetes' `metav1.Duration` has them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in nanoseconds that reads and prints as Go's `time.Duration` does.
///
/// It remembers the text it was read from, so that writing an object back does not turn `90m` into
/// `1h30m0s`. Two durations are equal if they are equally long, whatever their texts.
#[derive(Clone, Default)]
pub struct GoDuration {
    nanos: i64,
    text: Option<Box<str>>,
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text does not follow the syntax, or is longer than 1024 bytes.
    #[error("{0:?} is not a duration: write it like 2160h, 1h30m or 1.5h")]
    Syntax(String),
    /// A number has no unit.
    #[error("{0:?} lacks a unit: use h, m, s, ms, us or ns")]
    NoUnit(String),
    /// A unit is unknown.
    #[error("{text:?} has the unknown unit {unit:?}: use h, m, s, ms, us or ns")]
    Unit {
        /// The whole text.
        text: String,
        /// The unit.
        unit: String,
    },
    /// The duration does not fit 64 bits of nanoseconds, about 292 years.
    #[error("{0:?} is too long: a duration ends at about 292 years")]
    Overflow(String),
}

const MAX_TEXT: usize = 1024;
const SECOND: u64 = 1_000_000_000;
const LIMIT: u64 = 1 << 63;

impl GoDuration {
    /// A duration of so many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { nanos, text: None }
    }

    /// A duration of so many seconds, at most about 292 years either way.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_nanos(seconds.saturating_mul(1_000_000_000))
    }

    /// A duration of so many hours, at most about 292 years either way.
    #[must_use]
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_seconds(hours.saturating_mul(3600))
    }

    /// Its length in nanoseconds.
    #[must_use]
    pub const fn nanos(&self) -> i64 {
        self.nanos
    }

    /// Its length in whole seconds, a fraction cut off (towards zero).
    #[must_use]
    pub const fn seconds(&self) -> i64 {
        self.nanos / 1_000_000_000
    }

    /// The text Go's `Duration.String` prints, whatever the duration was read from: `2160h0m0s`.
    #[must_use]
    pub fn canonical(&self) -> String {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let length = self.nanos.unsigned_abs();
        if length < SECOND {
            return format!("{sign}{}", below_a_second(length));
        }
        let (seconds, minutes) = (length / SECOND, length / SECOND / 60);
        let tail = format!("{}s", decimal(seconds % 60, length % SECOND, 9));
        match (minutes / 60, minutes % 60) {
            (0, 0) => format!("{sign}{tail}"),
            (0, m) => format!("{sign}{m}m{tail}"),
            (h, m) => format!("{sign}{h}h{m}m{tail}"),
        }
    }
}

fn below_a_second(nanos: u64) -> String {
    match nanos {
        0 => "0s".into(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", decimal(nanos / 1_000, nanos % 1_000, 3)),
        _ => format!("{}ms", decimal(nanos / 1_000_000, nanos % 1_000_000, 6)),
    }
}

/// A number with a fraction of so many digits, without trailing zeros.
fn decimal(whole: u64, fraction: u64, digits: usize) -> String {
    let text = format!("{whole}.{fraction:0digits$}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

impl FromStr for GoDuration {
    type Err = DurationError;

    /// Reads what Go's `time.ParseDuration` reads, up to 1024 bytes.
    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text.len() > MAX_TEXT {
            return Err(DurationError::Syntax(text.chars().take(40).collect()));
        }
        let nanos = parse(text)?;
        let canonical = Self::from_nanos(nanos).canonical();
        Ok(Self { nanos, text: (canonical != text).then(|| text.into()) })
    }
}

fn parse(text: &str) -> Result<i64, DurationError> {
    let (negative, mut rest) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(DurationError::Syntax(text.into()));
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let (part, after) = parse_part(rest, text)?;
        total = total.checked_add(part).filter(|t| *t <= LIMIT).ok_or_else(|| overflow(text))?;
        rest = after;
    }
    if negative { 0i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
        .ok_or_else(|| overflow(text))
}

fn overflow(text: &str) -> DurationError {
    DurationError::Overflow(text.into())
}

/// One number with its unit; returns its nanoseconds (at most 2^63) and the rest.
fn parse_part<'a>(part: &'a str, text: &str) -> Result<(u64, &'a str), DurationError> {
    let (digits, rest) = split_while(part, |c| c.is_ascii_digit());
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_while(rest, |c| c.is_ascii_digit()),
        None => ("", rest),
    };
    if digits.is_empty() && fraction.is_empty() {
        return Err(DurationError::Syntax(text.into()));
    }
    let (name, rest) = split_while(rest, |c| c != '.' && !c.is_ascii_digit());
    if name.is_empty() {
        return Err(DurationError::NoUnit(text.into()));
    }
    let unit = unit_nanos(name)
        .ok_or_else(|| DurationError::Unit { text: text.into(), unit: name.into() })?;
    let nanos = whole(digits)
        .and_then(|n| n.checked_mul(unit))
        .and_then(|n| n.checked_add(fraction_nanos(fraction, unit)))
        .filter(|n| *n <= LIMIT)
        .ok_or_else(|| overflow(text))?;
    Ok((nanos, rest))
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

fn unit_nanos(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        // The micro sign and the Greek letter mu: both are in use.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

fn whole(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0u64, |n, d| {
        n.checked_mul(10)?.checked_add(u64::from(d - b'0')).filter(|n| *n <= LIMIT)
    })
}

/// The nanoseconds of a fraction of a unit.
///
/// Go computes this one product in doubles, and its rounding is part of the syntax: exact integers
/// would differ by a nanosecond on long fractions. IEEE 754 makes the result the same everywhere.
fn fraction_nanos(digits: &str, unit: u64) -> u64 {
    let (mut number, mut scale) = (0u64, 1u64);
    for digit in digits.bytes() {
        let next = number.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0')));
        // As in Go, digits beyond 63 bits are dropped.
        match next.filter(|n| *n <= LIMIT && number <= (LIMIT - 1) / 10) {
            Some(n) => (number, scale) = (n, scale.saturating_mul(10)),
            None => break,
        }
    }
    (number as f64 * (unit as f64 / scale as f64)) as u64
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => f.write_str(&self.canonical()),
        }
    }
}

impl fmt::Debug for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for GoDuration {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for GoDuration {}

impl PartialOrd for GoDuration {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GoDuration {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Hash for GoDuration {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        String::deserialize(de)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
