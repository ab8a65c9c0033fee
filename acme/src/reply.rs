//! An answer, before it is known whether it is a good one.

use bytes::Bytes;
use http::header::{DATE, HeaderMap, LOCATION};
use http::{HeaderName, Response, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::{AcmeError, Class};
use crate::link;
use crate::observe::Action;
use crate::problem::Problem;
use crate::retry_after::{RetryAfter, http_date};

pub(crate) const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// Longest text about unreadable JSON, in octets: it may quote some of it.
const MAX_WHY: usize = 256;

/// What a server answered, whatever the operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The resource.
    pub value: T,
    /// When to ask again, if the server said so.
    pub retry_after: Option<RetryAfter>,
    /// The server's clock, if it told.
    pub date: Option<Timestamp>,
}

impl<T> Answer<T> {
    /// Makes something else of the resource.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: make(self.value), retry_after: self.retry_after, date: self.date }
    }
}

pub(crate) struct Reply {
    pub(crate) action: Action,
    /// What was asked.
    pub(crate) url: Url,
    /// Whether the request could change anything at the CA.
    pub(crate) acts: bool,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn new(action: Action, url: &Url, acts: bool, answer: Response<Bytes>) -> Self {
        let (parts, body) = answer.into_parts();
        let (status, headers) = (parts.status, parts.headers);
        Reply { action, url: url.clone(), acts, status, headers, body }
    }

    pub(crate) fn nonce(&self) -> Option<&str> {
        self.headers.get(REPLAY_NONCE)?.to_str().ok()
    }

    pub(crate) fn retry_after(&self) -> Option<RetryAfter> {
        RetryAfter::from_headers(&self.headers)
    }

    pub(crate) fn location(&self) -> Option<Url> {
        link::follow(&self.url, self.headers.get(LOCATION)?.to_str().ok()?)
    }

    pub(crate) fn links(&self, rel: &str) -> Vec<String> {
        link::targets(&self.headers, rel, &self.url)
    }

    /// The body as a problem: any JSON object with a type or a detail, whatever its content type.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let problem: Problem = serde_json::from_slice(&self.body).ok()?;
        (!problem.kind.is_empty() || !problem.detail.is_empty()).then_some(problem)
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, AcmeError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let mut why = format!("the answer cannot be read: {error}");
            why.truncate(why.floor_char_boundary(MAX_WHY));
            let class = match error.is_eof() {
                true => Class::Transient { why, may_have_acted: self.acts },
                false => Class::BadAnswer { why },
            };
            AcmeError::new(self.action, class)
        })
    }

    pub(crate) fn answer<T>(&self, value: T) -> Answer<T> {
        let date = http_date(&self.headers, DATE);
        Answer { value, retry_after: self.retry_after(), date }
    }
}
