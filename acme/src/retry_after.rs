//! `Retry-After` (RFC 9110 section 10.2.3), in both of its forms.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};

/// When a server wants to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So many seconds after its answer.
    Seconds(u64),
    /// At an instant of the server's clock.
    At {
        /// The instant.
        at: Timestamp,
        /// The server's clock when it answered (`Date`), if it told.
        answered: Option<Timestamp>,
    },
}

impl RetryAfter {
    /// Reads the header, or `None` where there is none or none that can be understood.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
            // More digits than a number holds mean a time that never comes.
            return Some(RetryAfter::Seconds(value.parse().unwrap_or(u64::MAX)));
        }
        let answered = http_date(headers, DATE);
        http_date(headers, RETRY_AFTER).map(|at| RetryAfter::At { at, answered })
    }

    /// How long to wait from `now`, when the answer arrived. A date is compared with the server's
    /// own clock where it told that, so that a wrong clock here does no harm. Zero for the past.
    pub fn delay(&self, now: Timestamp) -> Duration {
        match *self {
            RetryAfter::Seconds(seconds) => Duration::from_secs(seconds),
            RetryAfter::At { at, answered } => {
                let delay = at.duration_since(answered.unwrap_or(now));
                Duration::try_from(delay).unwrap_or(Duration::ZERO)
            }
        }
    }

    /// [`RetryAfter::delay`] as an instant of the clock that `now` is of; the end of time where it
    /// would be later than that.
    pub fn instant(&self, now: Timestamp) -> Timestamp {
        let delay = SignedDuration::try_from(self.delay(now)).unwrap_or(SignedDuration::MAX);
        now.checked_add(delay).unwrap_or(Timestamp::MAX)
    }
}

/// A header's date in any of the three forms of RFC 9110 section 5.6.7.
pub(crate) fn http_date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(HeaderName, &str)]) -> Option<RetryAfter> {
        let headers = pairs.iter().map(|(n, v)| (n.clone(), v.parse().unwrap())).collect();
        RetryAfter::from_headers(&headers)
    }

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn seconds_count_from_the_answer() {
        let after = read(&[(RETRY_AFTER, " 90 ")]).unwrap();
        assert_eq!(after.delay(now()), Duration::from_secs(90));
        assert_eq!(after.instant(now()).to_string(), "2026-11-22T12:01:30Z");
    }

    #[test]
    fn a_date_counts_from_the_servers_clock_even_if_ours_is_wrong() {
        for form in [
            "Sun, 22 Nov 2026 09:00:10 GMT",
            "Sunday, 22-Nov-26 09:00:10 GMT",
            "Sun Nov 22 09:00:10 2026",
        ] {
            let date = (DATE, "Sun, 22 Nov 2026 09:00:00 GMT");
            let after = read(&[(RETRY_AFTER, form), date]).unwrap();
            assert_eq!(after.delay(now()), Duration::from_secs(10), "{form}");
        }
    }

    #[test]
    fn a_date_without_a_server_clock_counts_from_ours_and_the_past_is_now() {
        let after = read(&[(RETRY_AFTER, "Sun, 22 Nov 2026 12:00:05 GMT")]).unwrap();
        assert_eq!(after.delay(now()), Duration::from_secs(5));
        let past = read(&[(RETRY_AFTER, "Sun, 22 Nov 2026 11:00:00 GMT")]).unwrap();
        assert_eq!(past.delay(now()), Duration::ZERO);
    }

    #[test]
    fn nonsense_is_no_header_and_huge_numbers_do_not_overflow() {
        for bad in ["", "-1", "1.5", "soon", "Sun, 32 Nov 2026 12:00:00 GMT"] {
            assert_eq!(read(&[(RETRY_AFTER, bad)]), None, "{bad}");
        }
        let never = read(&[(RETRY_AFTER, "99999999999999999999999999")]).unwrap();
        assert_eq!(never.instant(now()), Timestamp::MAX);
    }
}
