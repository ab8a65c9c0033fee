//! The HTTP client of all providers and of DoH: no redirects, bounded bodies, bounded time.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::scrub::scrub;
use crate::{Error, Mend, Secret};

/// More than the longest page of any provider's API.
const LONGEST_BODY: usize = 4 << 20;
const WHOLE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);
/// Nobody means more by Retry-After.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// An HTTP client, cheap to clone. One for the whole process keeps connections open.
#[derive(Clone, Debug)]
pub struct Http {
    proxied: reqwest::Client,
    /// For metadata servers: what they answer is for this machine only, not for a proxy.
    direct: reqwest::Client,
}

impl Http {
    /// A client that trusts the platform's certificate authorities and uses the proxy that the
    /// environment names.
    pub fn new() -> Result<Self, Error> {
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| {
                Error::configuration(format!(
                    "the HTTP client cannot be set up: {}",
                    error.without_url()
                ))
            })
        };
        Ok(Self { proxied: build(builder())?, direct: build(builder().no_proxy())? })
    }

    /// Sends a request once. An answer of any status is an answer.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, Error> {
        let client = if call.direct { &self.direct } else { &self.proxied };
        let host = call.url.host_str().unwrap_or_default().to_owned();
        let request = client.request(call.method, call.url).headers(call.headers).body(call.body);
        let response = request.send().await.map_err(|error| unsent(&host, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(&host, response).await?;
        Ok(Answer { status, headers, body, hidden: call.hidden })
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("everleaf/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(WHOLE)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(Duration::from_secs(60))
}

async fn body(host: &str, mut response: reqwest::Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unsent(host, &error))? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(Error::transient(format!("{host} sent more than {LONGEST_BODY} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// By class, without the library's text: that has addresses and ports, which change.
fn unsent(host: &str, error: &reqwest::Error) -> Error {
    let what = match error {
        e if e.is_timeout() => "did not answer in time",
        e if e.is_connect() => "cannot be reached",
        e if e.is_body() || e.is_decode() => "broke off in its answer",
        _ => "did not answer properly",
    };
    Error::transient(format!("{host} {what}"))
}

/// A request.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    direct: bool,
    hidden: Vec<Secret>,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        let (headers, body) = (HeaderMap::new(), Vec::new());
        Self { method, url, headers, body, direct: false, hidden: Vec::new() }
    }

    /// Past any proxy.
    pub(crate) fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            Error::configuration(format!("{name} would have characters no header takes"))
        })?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// A header that holds a credential: kept out of logs, and out of what errors repeat.
    pub(crate) fn secret_header(mut self, name: HeaderName, value: &Secret) -> Result<Self, Error> {
        let mut header = HeaderValue::from_str(value.expose()).map_err(|_| {
            Error::credentials("the credential has characters that no header takes")
        })?;
        header.set_sensitive(true);
        self.headers.insert(name, header);
        Ok(self.hide(value))
    }

    pub(crate) fn bearer(self, token: &Secret) -> Result<Self, Error> {
        let value = Secret::new(format!("Bearer {}", token.expose()));
        Ok(self.secret_header(AUTHORIZATION, &value)?.hide(token))
    }

    /// Keeps a credential of the body or the signature out of what errors repeat.
    pub(crate) fn hide(mut self, secret: &Secret) -> Self {
        self.hidden.push(secret.clone());
        self
    }

    pub(crate) fn json(self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body)
            .map_err(|_| Error::configuration("a request cannot be written as JSON"))?;
        Ok(self.content("application/json", body))
    }

    pub(crate) fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.content("application/x-www-form-urlencoded", body.into_bytes())
    }

    pub(crate) fn content(mut self, kind: &'static str, body: Vec<u8>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = body;
        self
    }
}

/// An answer, its body whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    hidden: Vec<Secret>,
}

impl Answer {
    pub(crate) fn is_ok(&self) -> bool {
        self.status.is_success()
    }

    /// The body; what is wrong with it is not told, since it might be a token.
    pub(crate) fn json<T: DeserializeOwned>(&self, who: &str) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| {
            Error::transient(format!("{who} sent an answer that is not as its API says"))
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The error behind a status, and what the body says of it.
    pub(crate) fn refusal(&self, who: &str, detail: &str, now: Timestamp) -> Error {
        let message = self.message(who, detail);
        match self.status.as_u16() {
            401 => Error::Mend { what: Mend::Credentials, message },
            403 => Error::Mend { what: Mend::Denied, message },
            429 => self.limited(message, now),
            503 if self.headers.contains_key(RETRY_AFTER) => self.limited(message, now),
            // 409 and 412: somebody else changed the same thing.
            408 | 409 | 412 | 425 | 500..=599 => Error::Transient(message),
            300..=399 => Error::configuration(format!("{who} is not at this address")),
            _ => Error::Mend { what: Mend::Configuration, message },
        }
    }

    pub(crate) fn mend(&self, what: Mend, who: &str, detail: &str) -> Error {
        Error::Mend { what, message: self.message(who, detail) }
    }

    pub(crate) fn limited(&self, message: String, now: Timestamp) -> Error {
        let retry_after = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Error::RateLimited { message, retry_after: retry_after.and_then(|text| wait(text, now)) }
    }

    pub(crate) fn message(&self, who: &str, detail: &str) -> String {
        match scrub(detail, &self.hidden) {
            said if said.is_empty() => {
                format!("{who} answered with status {}", self.status.as_u16())
            }
            said => format!("{who}: {said} (status {})", self.status.as_u16()),
        }
    }
}

/// Retry-After: seconds or a date (RFC 9110, section 10.2.3).
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let seconds = match text.trim().parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let then =
                jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
            u64::try_from(then.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The address of an API below its base, each part encoded.
pub(crate) fn address(base: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Error> {
    let mut url = Url::parse(base)
        .map_err(|_| Error::configuration("the address of the API is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::configuration("the address of the API is not an http or https URL"));
    }
    if path.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(Error::configuration("a name that is empty or made of dots has no address"));
    }
    url.path_segments_mut()
        .map_err(|()| Error::configuration("the address of the API takes no path"))?
        .pop_if_empty()
        .extend(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = "1994-11-06T08:49:07Z".parse().unwrap();
        assert_eq!(wait(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:48:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait("soon", now), None);
        assert_eq!(wait("99999999999", now), Some(LONGEST_WAIT));
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_a_path() {
        let url = address("http://api/v1", &["zones", "a/../b?c"], &[("q", "x&y")]).unwrap();
        assert_eq!(url.as_str(), "http://api/v1/zones/a%2F..%2Fb%3Fc?q=x%26y");
        assert!(address("http://api/", &[".."], &[]).is_err());
        assert!(address("file:///etc", &["x"], &[]).is_err());
    }
}
