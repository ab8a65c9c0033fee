//! Renewal information (RFC 9773): which certificate it is, when in the window to renew, when to
//! ask again. Draws are hashes, so a restart and a replica come to the same instant.

use crate::effect::{AskWindow, rfc3339};
use crate::facts::AriStatus;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use everleaf_engine::{Timestamp, digest_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

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
    /// certificate, told by the UID of its owner and by its identifier.
    pub fn draw(self, uid: &str, id: &str) -> Timestamp {
        let width = self.end.since(self.start).unsigned_abs().max(1);
        let seed = digest_of(&(uid, id, self.start, self.end)).0;
        self.start.plus_millis(i64::try_from(seed % width).unwrap_or(0))
    }
}

/// What the renewal of a certificate keeps to, whatever its CA suggests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// When it begins to be valid.
    pub begin: Timestamp,
    /// When it ceases to be.
    pub end: Timestamp,
    /// The pace: not before this, for a CA that calls for renewal may do so again at once.
    pub earliest: Timestamp,
    /// The same for a window that was over when it was told: the CA is in a hurry.
    pub hurried: Timestamp,
    /// The hard floor: no later than this, unless `earliest` is later.
    pub latest: Timestamp,
    /// When it would be renewed without a suggestion.
    pub own: Timestamp,
}

impl Bounds {
    /// When a certificate is renewed, in whole seconds: by the draw of the suggested window, if
    /// there is one. A window that was over before the certificate began speaks of another. While
    /// the CA cannot be asked, never later than without a suggestion.
    pub fn renew_at(&self, said: &AriStatus, uid: &str, id: &str) -> Timestamp {
        let window = said.window.and_then(|(start, end)| Window::new(start, end));
        let Some(window) = window.filter(|window| self.begin < window.end) else {
            return self.own;
        };
        let drawn = window.draw(uid, id);
        let drawn = if said.error.is_some() { drawn.min(self.own) } else { drawn };
        let last = self.end.plus_millis(-1000);
        let over = said.checked.is_some_and(|checked| window.end <= checked);
        let earliest = if over { self.hurried } else { self.earliest };
        let at = drawn.min(self.latest).max(earliest).min(last);
        Timestamp::from_seconds(at.as_seconds())
    }
}

/// How long to wait before a CA is asked again, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pauses {
    /// Where it names no time.
    pub unnamed: i64,
    /// Where it was not there, or not well.
    pub failed: i64,
    /// The shortest that it may ask for.
    pub least: i64,
    /// The longest.
    pub most: i64,
}

/// Lengths of slots, in minutes: a CA that jitters its Retry-After stays in one of them.
const SLOTS: [i64; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1440];

impl Pauses {
    /// What an answer asks for, within bounds.
    fn asked(&self, answer: &Answer) -> i64 {
        let usual = match answer.said {
            Said::Error { passing: true, .. } => self.failed,
            Said::Window { .. } | Said::Error { .. } | Said::Nothing => self.unnamed,
        };
        answer.retry_after_ms.unwrap_or(usual).clamp(self.least, self.most.max(self.least))
    }

    /// The length of a slot that is as long as was asked for, and up to a tenth longer, each
    /// certificate by its own measure.
    fn slot(&self, asked: i64, uid: &str, id: &str) -> i64 {
        let slots = SLOTS.iter().map(|minutes| minutes * 60_000);
        let slot = slots.into_iter().find(|slot| *slot >= asked).unwrap_or(asked);
        let slot = slot.clamp(self.least, self.most.max(self.least));
        slot + slot / 10_000 * i64::try_from(digest_of(&(uid, id)).0 % 1000).unwrap_or(0)
    }

    /// The slot after `asked` for a CA of which nothing is written: it has no renewal information,
    /// or what was written of it was taken away.
    pub fn after_silence(&self, asked: Timestamp, uid: &str, id: &str) -> Timestamp {
        asked.plus_millis(self.slot(self.unnamed, uid, id))
    }

    /// The first slot after `from`: they begin with the next look that is written, and go on in
    /// steps of the time between that and the look before it.
    pub fn next_slot(&self, said: &AriStatus, from: Timestamp) -> Option<Timestamp> {
        let checked = said.checked?;
        let most = self.most.max(self.least);
        let period = said.next.map_or(self.unnamed, |next| next.since(checked));
        let period = period.clamp(self.least, most + most / 10);
        let first = checked.plus_millis(period);
        let passed = from.since(first);
        let slots = if passed < 0 { 0 } else { passed / period + 1 };
        Some(first.plus_millis(slots.saturating_mul(period)))
    }
}

/// What a CA said of a certificate's renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What.
    pub said: Said,
    /// When it wants to be asked again, in milliseconds from now.
    pub retry_after_ms: Option<i64>,
}

/// See [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A window, in whole seconds and with an inside, and a page that tells why.
    Window {
        /// The window.
        window: (Timestamp, Timestamp),
        /// The page.
        explanation: Option<Arc<str>>,
    },
    /// It has no renewal information.
    Nothing,
    /// It had no answer.
    Error {
        /// Why.
        text: Arc<str>,
        /// Whether it may have one in a while.
        passing: bool,
    },
}

/// What is to be written after an answer; `None` if all of it is written already.
///
/// A window outlives the errors after it. The time of the look is no news; but slots that are
/// shorter than the CA asks for are made longer, and those more than four times as long shorter.
pub fn learned(ask: &AskWindow, uid: &str, answer: &Answer, now: Timestamp) -> Option<AriStatus> {
    let known = &ask.known;
    let (window, explanation, error) = match &answer.said {
        Said::Nothing => {
            return (*known != AriStatus::default()).then(AriStatus::default);
        }
        Said::Window { window, explanation } => (Some(*window), explanation.clone(), None),
        Said::Error { text, .. } => (known.window, known.explanation.clone(), Some(bounded(text))),
    };
    let asked = ask.pauses.asked(answer);
    let slot = ask.pauses.slot(asked, uid, &ask.certificate);
    let period = known.checked.zip(known.next).map(|(checked, next)| next.since(checked));
    let fits = period.is_some_and(|period| asked <= period && period / 4 <= slot);
    if fits && (window, &explanation, &error) == (known.window, &known.explanation, &known.error) {
        return None;
    }
    // A clock that is behind that of the one who stored the certificate looks as it was stored.
    let at = Timestamp::from_seconds(now.max(ask.stored).as_seconds());
    let next = Timestamp::from_seconds(at.plus_millis(slot + 999).as_seconds());
    Some(AriStatus { window, explanation, checked: Some(at), next: Some(next), error })
}

/// The longest text of an error, in bytes; the rest is cut.
const MAX_ERROR: usize = 512;

fn bounded(text: &Arc<str>) -> Arc<str> {
    crate::acme::notes::bounded(text, MAX_ERROR).into()
}

/// The fields of a Certificate's status that tell of it, for a merge patch (RFC 7396).
pub fn status(ask: &AskWindow, uid: &str, said: &AriStatus) -> Value {
    let time = |at: Option<Timestamp>| at.map_or(Value::Null, |at| json!(rfc3339(at)));
    let text = |text: &Option<Arc<str>>| text.as_ref().map_or(Value::Null, |text| json!(text));
    let window = said.window.map_or(
        Value::Null,
        |(start, end)| json!({ "start": rfc3339(start), "end": rfc3339(end) }),
    );
    let mut status = json!({ "acme": { "ari": {
        "suggestedWindow": window,
        "explanationURL": text(&said.explanation),
        "lastChecked": time(said.checked),
        "nextCheck": time(said.next),
        "lastError": text(&said.error),
    } } });
    if *said == AriStatus::default() {
        status["acme"] = Value::Null;
    }
    if let Some(bounds) = &ask.bounds {
        status["renewalTime"] = json!(rfc3339(bounds.renew_at(said, uid, &ask.certificate)));
    }
    status
}

#[cfg(test)]
mod tests;
