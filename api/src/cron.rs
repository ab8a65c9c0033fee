//! Cron expressions in cert-manager's dialect, in any time zone.
//!
//! Five fields (minute, hour, day of month, month, day of week), each a comma list of `*`, `?`,
//! numbers, names, ranges and steps; or `@yearly` and its kin, or `@every <duration>`. Days of the
//! week run from 0 (Sunday) to 6. If both day fields are restricted, either may match. A prefix
//! `TZ=<zone> ` or `CRON_TZ=<zone> ` overrides the time zone given.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::duration::{DurationError, GoDuration};
use crate::time::Time;

/// When something recurs.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Every { seconds: i64 },
    Calendar { fields: Fields, zone: TimeZone },
}

/// A text that is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// The expression has not five fields, or is longer than 1024 bytes.
    #[error("expected five fields (minute, hour, day of month, month, day of week), found {0}")]
    Fields(usize),
    /// A field cannot be read.
    #[error("{text:?} is no {field}: {why}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The word after `@` is unknown.
    #[error(
        "{0:?} is unknown: use @yearly, @monthly, @weekly, @daily, @hourly or @every <duration>"
    )]
    Descriptor(String),
    /// The duration after `@every` cannot be read.
    #[error(transparent)]
    Every(#[from] DurationError),
    /// The time zone is not in the IANA database.
    #[error("{0:?} is no IANA time zone: write it like Europe/Berlin")]
    Zone(String),
}

const MAX_TEXT: usize = 1024;
const DAY: i64 = 86_400;

impl Schedule {
    /// Reads an expression of at most 1024 bytes; `zone` is an IANA name, or empty for UTC.
    pub fn parse(text: &str, zone: &str) -> Result<Self, CronError> {
        if text.len() > MAX_TEXT {
            return Err(CronError::Fields(text.split_whitespace().count()));
        }
        let (zone, text) = match zone_prefix(text) {
            Some(prefixed) => prefixed,
            None => (zone, text),
        };
        let zone = time_zone(zone)?;
        if let Some(every) = text.strip_prefix("@every ") {
            let seconds = every.parse::<GoDuration>()?.seconds().max(1);
            return Ok(Self(Kind::Every { seconds }));
        }
        let fields = Fields::parse(text)?;
        Ok(Self(Kind::Calendar { fields, zone }))
    }

    /// The first time after `after`; `None` if there is none by the end of the fifth calendar year
    /// after it.
    ///
    /// Where clocks jump ahead, times that do not exist are left out; where they go back, times
    /// that exist twice count twice. `@every` counts from `after`.
    #[must_use]
    pub fn next_after(&self, after: Time) -> Option<Time> {
        match &self.0 {
            Kind::Every { seconds } => Time::from_unix(after.unix().checked_add(*seconds)?),
            Kind::Calendar { fields, zone } => next_in_zone(fields, zone, after),
        }
    }

    /// Whether the schedule has no fixed times: `@every`, which counts from wherever one stands.
    #[must_use]
    pub const fn is_unanchored(&self) -> bool {
        matches!(self.0, Kind::Every { .. })
    }
}

/// The time zone of an IANA name, from the bundled database; empty is UTC.
pub fn time_zone(name: &str) -> Result<TimeZone, CronError> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).map_err(|_| CronError::Zone(name.into()))
}

fn zone_prefix(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ="))?;
    let (zone, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((zone, rest.trim()))
}

/// Between two transitions of a zone its clock is a plain calendar, so each such stretch is
/// searched on its own, in order.
fn next_in_zone(fields: &Fields, zone: &TimeZone, after: Time) -> Option<Time> {
    let mut from = after.unix() + 1;
    let first = Timestamp::from_second(from).ok()?;
    let mut transitions = zone.following(first).map(|t| t.timestamp().as_second());
    let horizon = end_of_fifth_year(from)?;
    while from < horizon {
        let offset = i64::from(zone.to_offset(Timestamp::from_second(from).ok()?).seconds());
        let end = transitions.next().unwrap_or(horizon).min(horizon);
        if let Some(local) = fields.first_from(from + offset, end + offset) {
            return Time::from_unix(local - offset);
        }
        from = end;
    }
    None
}

fn end_of_fifth_year(from: i64) -> Option<i64> {
    let year = Time::from_unix(from)?.civil().year();
    let end = Date::new(year + 6, 1, 1).ok()?;
    Some(days_since_1970(end) * DAY)
}

fn days_since_1970(date: Date) -> i64 {
    date.duration_since(Date::constant(1970, 1, 1)).as_secs() / DAY
}

/// The values that match, one bit each.
#[derive(Clone, Debug, PartialEq)]
struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    any_day: bool,
    any_weekday: bool,
}

struct Bounds {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const MINUTE: Bounds = Bounds { name: "minute", min: 0, max: 59, names: &[] };
const HOUR: Bounds = Bounds { name: "hour", min: 0, max: 23, names: &[] };
const DAY_OF_MONTH: Bounds = Bounds { name: "day of month", min: 1, max: 31, names: &[] };
const MONTH: Bounds = Bounds { name: "month", min: 1, max: 12, names: &MONTHS };
const WEEKDAY: Bounds = Bounds { name: "day of week", min: 0, max: 6, names: &WEEKDAYS };

impl Fields {
    fn parse(text: &str) -> Result<Self, CronError> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            _ if text.starts_with('@') => return Err(CronError::Descriptor(text.into())),
            _ => text,
        };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            return Err(CronError::Fields(parts.len()));
        };
        let (day, any_day) = DAY_OF_MONTH.parse(day)?;
        let (weekday, any_weekday) = WEEKDAY.parse(weekday)?;
        Ok(Self {
            minute: MINUTE.parse(minute)?.0,
            hour: HOUR.parse(hour)?.0,
            day,
            month: MONTH.parse(month)?.0,
            weekday,
            any_day,
            any_weekday,
        })
    }

    /// The first match at or after `from` and before `end`, in seconds since 1970 of a plain
    /// calendar.
    fn first_from(&self, from: i64, end: i64) -> Option<i64> {
        let minutes = from.div_euclid(60) + i64::from(from.rem_euclid(60) > 0);
        let (mut day, mut minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
        let mut date = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().days(day)).ok()?;
        while day * DAY < end {
            let time = self.matches_day(date).then(|| self.first_minute(minute)).flatten();
            if let Some(time) = time {
                return Some(day * DAY + time * 60).filter(|at| *at < end);
            }
            (day, minute) = (day + 1, 0);
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn matches_day(&self, date: Date) -> bool {
        let weekday = has(self.weekday, date.weekday().to_sunday_zero_offset());
        let day = has(self.day, date.day());
        let either = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        has(self.month, date.month()) && either
    }

    /// The first match of the day at or after a minute of it.
    fn first_minute(&self, from: i64) -> Option<i64> {
        let (hour, minute) = (from / 60, from % 60);
        let later = |bits: u64, from: i64| {
            let left = bits.checked_shr(u32::try_from(from).ok()?)?;
            (left != 0).then(|| from + i64::from(left.trailing_zeros()))
        };
        if has(self.hour, i8::try_from(hour).ok()?)
            && let Some(minute) = later(self.minute, minute)
        {
            return Some(hour * 60 + minute);
        }
        Some(later(self.hour, hour + 1)? * 60 + later(self.minute, 0)?)
    }
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits >> value & 1 == 1)
}

impl Bounds {
    /// The bits of a comma list, and whether it holds a bare star.
    fn parse(&self, text: &str) -> Result<(u64, bool), CronError> {
        let entries = text.split(',').filter(|entry| !entry.is_empty());
        let (mut bits, mut star) = (0, false);
        for entry in entries {
            let (more, starred) = self.entry(entry).map_err(|why| self.error(text, why))?;
            bits |= more;
            star |= starred;
        }
        if bits == 0 { Err(self.error(text, "it is empty".into())) } else { Ok((bits, star)) }
    }

    fn error(&self, text: &str, why: String) -> CronError {
        CronError::Field { field: self.name, text: text.into(), why }
    }

    /// One of `*`, `n`, `n-m`, each with `/step` or without. `n/step` means `n-max/step`.
    fn entry(&self, entry: &str) -> Result<(u64, bool), String> {
        let (range, step) = match entry.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (entry, None),
        };
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (low, Some(high)),
            None => (range, None),
        };
        let star = matches!(low, "*" | "?");
        let first = if star { self.min } else { self.value(low)? };
        let last = match high {
            _ if star => self.max,
            Some(high) => self.value(high)?,
            None if step.is_some() => self.max,
            None => first,
        };
        let step = step.unwrap_or(1);
        self.check(first, last, step)?;
        let bits = (first..=last).step_by(step as usize).fold(0, |bits, n| bits | 1u64 << n);
        Ok((bits, star && step == 1))
    }

    fn check(&self, first: u32, last: u32, step: u32) -> Result<(), String> {
        if first < self.min || last > self.max {
            return Err(format!("it goes from {} to {}", self.min, self.max));
        }
        if first > last {
            return Err(format!("{first} comes after {last}"));
        }
        if step == 0 {
            return Err("a step must not be 0".into());
        }
        Ok(())
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        match named.and_then(|n| u32::try_from(n).ok()) {
            Some(n) => Ok(n + self.min),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

#[cfg(test)]
mod tests;
