//! Instants of a recording, as people write them.

use super::Recording;
use crate::commands::Failure;
use everleaf_api::GoDuration;
use everleaf_engine::Timestamp;
use std::str::FromStr;

/// An instant of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// An RFC 3339 time.
    Time(Timestamp),
    /// So many milliseconds after its first input: `90s`, `+1h30m`.
    AfterBegin(i64),
    /// So many milliseconds before its last: `-5m`.
    BeforeEnd(i64),
}

impl At {
    /// The instant that is meant.
    ///
    /// # Errors
    /// If the recording cannot be read, and an offset needs that.
    pub fn resolve(self, recording: &Recording) -> Result<Timestamp, Failure> {
        Ok(match self {
            Self::Time(at) => at,
            Self::AfterBegin(ms) => recording.span()?.0.plus_millis(ms),
            Self::BeforeEnd(ms) => recording.span()?.1.plus_millis(-ms),
        })
    }
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let neither = || {
            format!(
                "{text:?} is neither an RFC 3339 time, such as 2026-11-23T02:00:00Z, nor an offset, \
                 such as 90s after the begin of the recording or -5m before its end"
            )
        };
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::Time(Timestamp::from_millis(at.as_millisecond())));
        }
        let (from_end, offset) = match text.strip_prefix('-') {
            Some(offset) => (true, offset),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let signed = offset.starts_with(['-', '+']);
        let span: GoDuration = offset.parse().map_err(|_| neither())?;
        let ms = span.nanos() / 1_000_000;
        match (signed, from_end) {
            (true, _) => Err(neither()),
            (false, true) => Ok(Self::BeforeEnd(ms)),
            (false, false) => Ok(Self::AfterBegin(ms)),
        }
    }
}
