//! Failures, by what has to be done about them.

use std::fmt;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use thiserror::Error;

use crate::link;
use crate::observe::Action;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::retry_after::RetryAfter;
use crate::transport::TransportError;

/// What has to be done about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing: it may work the next time. No answer, half an answer, a 5xx, or one refused nonce
    /// after the other.
    Transient {
        /// What happened.
        why: String,
        /// Whether the CA may have carried the operation out all the same. Never set for
        /// operations that only read.
        may_have_acted: bool,
    },
    /// Wait: 429, 503 with `Retry-After`, or `rateLimited`. [`AcmeError::retry_after`] tells how
    /// long, [`AcmeError::links`] where the limits are described.
    RateLimited,
    /// The user, or whoever owns the DNS, must change something: `caa`, `unauthorized`,
    /// `rejectedIdentifier`, `malformed`, ... [`AcmeError::problem`] tells what, and for which
    /// names.
    NeedsMending,
    /// The CA paused the account for some names until the user visits a page (Let's Encrypt). Time
    /// does not heal it.
    Paused {
        /// The page. It carries a token that lets anybody unpause; it is meant to be shown.
        portal: String,
    },
    /// The CA does not know the account.
    AccountGone,
    /// The certificate named in `replaces` already has a successor (RFC 9773 section 5).
    AlreadyReplaced,
    /// The user must visit a page, to agree to new terms mostly (RFC 8555 section 7.3.3).
    UserActionRequired {
        /// The page, or else the terms of service.
        url: Option<String>,
    },
    /// The CA's object is gone, or not in the state that the operation presumes (`orderNotReady`,
    /// 404, 410): it has to be read again, or made anew.
    OutOfStep,
    /// The directory does not offer what was asked for: a resource, or a profile.
    NotOffered {
        /// What is missing.
        what: String,
    },
    /// The answer breaks the protocol, or is not an ACME server's at all.
    BadAnswer {
        /// In which way.
        why: String,
    },
    /// What the caller passed cannot be sent: a URL that is none, a key that cannot sign.
    Unusable {
        /// What is wrong with it.
        why: String,
    },
}

impl Class {
    /// Whether trying again later, with nothing changed, may succeed.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Class::Transient { .. } | Class::RateLimited | Class::BadAnswer { .. })
    }
}

/// What a server said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The problem document, if there is one.
    pub problem: Option<Problem>,
    /// `Retry-After`.
    pub retry_after: Option<RetryAfter>,
    /// Targets of `Link` headers with relation `help`, then URLs in the problem's detail.
    pub links: Vec<String>,
}

/// Why an operation failed. `Display` gives one line for conditions and events.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct AcmeError {
    /// The operation.
    pub action: Action,
    /// What has to be done.
    pub class: Class,
    /// What the server said, if it refused.
    pub refusal: Option<Box<Refusal>>,
}

impl AcmeError {
    pub(crate) fn new(action: Action, class: Class) -> Self {
        AcmeError { action, class, refusal: None }
    }

    pub(crate) fn bad_answer(action: Action, why: impl Into<String>) -> Self {
        Self::new(action, Class::BadAnswer { why: why.into() })
    }

    pub(crate) fn unusable(action: Action, why: impl fmt::Display) -> Self {
        Self::new(action, Class::Unusable { why: why.to_string() })
    }

    pub(crate) fn not_offered(action: Action, what: impl Into<String>) -> Self {
        Self::new(action, Class::NotOffered { what: what.into() })
    }

    /// `acts`: whether the request could change anything at the CA.
    pub(crate) fn transport(action: Action, error: &TransportError, acts: bool) -> Self {
        let why = error.to_string();
        Self::new(
            action,
            match error {
                TransportError::Connect(_) => Class::Transient { why, may_have_acted: false },
                TransportError::TooLarge(_) => Class::BadAnswer { why },
                _ => Class::Transient { why, may_have_acted: acts },
            },
        )
    }

    /// Sorts an answer that is not a success.
    pub(crate) fn refused(reply: &Reply) -> Self {
        let problem = reply.problem();
        let mut links = link::targets(&reply.headers, "help", &reply.url);
        links.extend(problem.iter().flat_map(|p| p.urls().map(str::to_owned)));
        links.dedup();
        let refusal = Refusal {
            status: reply.status.as_u16(),
            retry_after: reply.retry_after(),
            problem,
            links,
        };
        let class = classify(reply, &refusal);
        AcmeError { action: reply.action, class, refusal: Some(Box::new(refusal)) }
    }

    /// When the server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        self.refusal.as_ref()?.retry_after
    }

    /// The server's problem document.
    pub fn problem(&self) -> Option<&Problem> {
        self.refusal.as_ref()?.problem.as_ref()
    }

    /// The problem's detail; empty without one.
    pub fn detail(&self) -> &str {
        self.problem().map_or("", |problem| &problem.detail)
    }

    /// Pages about the problem.
    pub fn links(&self) -> &[String] {
        self.refusal.as_ref().map_or(&[], |refusal| &refusal.links)
    }
}

impl fmt::Display for AcmeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.action)?;
        match (&self.class, &self.refusal) {
            (Class::Transient { why, .. }, None)
            | (Class::BadAnswer { why } | Class::Unusable { why }, _) => f.write_str(why),
            (Class::NotOffered { what }, _) => write!(f, "the CA does not offer {what}"),
            (_, Some(refusal)) => match &refusal.problem {
                Some(problem) => write!(f, "{} {problem}", refusal.status),
                None => write!(f, "HTTP status {}", refusal.status),
            },
            (class, None) => write!(f, "{class:?}"),
        }
    }
}

fn classify(reply: &Reply, refusal: &Refusal) -> Class {
    let status = reply.status;
    let problem = refusal.problem.clone().unwrap_or_default();
    if let Some(portal) = portal(&problem) {
        return Class::Paused { portal };
    }
    let waits = status == StatusCode::SERVICE_UNAVAILABLE && refusal.retry_after.is_some();
    if status == StatusCode::TOO_MANY_REQUESTS || problem.is("rateLimited") || waits {
        return Class::RateLimited;
    }
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        let why = format!("HTTP status {}", status.as_u16());
        return Class::Transient { why, may_have_acted: reply.acts };
    }
    match problem.acme_type() {
        Some("accountDoesNotExist") => Class::AccountGone,
        Some("alreadyReplaced") => Class::AlreadyReplaced,
        Some("userActionRequired") => {
            let terms = || link::targets(&reply.headers, "terms-of-service", &reply.url);
            let url = problem.instance.clone().or_else(|| terms().into_iter().next());
            Class::UserActionRequired { url }
        }
        Some("serverInternal") => {
            Class::Transient { why: "serverInternal".to_owned(), may_have_acted: reply.acts }
        }
        // The request was not looked at (RFC 8555 section 6.5).
        Some("badNonce") => Class::Transient { why: "badNonce".to_owned(), may_have_acted: false },
        Some("orderNotReady") => Class::OutOfStep,
        _ if refusal.problem.is_none() => Class::BadAnswer { why: not_acme(reply) },
        _ if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) => Class::OutOfStep,
        _ => Class::NeedsMending,
    }
}

/// Let's Encrypt says that it paused an account in words, under the type `rateLimited`.
fn portal(problem: &Problem) -> Option<String> {
    let paused = problem.detail.contains("temporarily prevented from requesting certificates");
    let unpause = problem.urls().find(|url| url.contains("/unpause"));
    let url = unpause.or_else(|| if paused { problem.first_url() } else { None });
    url.map(str::to_owned)
}

fn not_acme(reply: &Reply) -> String {
    let kind = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let status = reply.status.as_u16();
    match reply.location() {
        Some(target) if reply.status.is_redirection() => {
            format!("HTTP status {status}, a redirection to {target}, which is not followed")
        }
        _ => format!(
            "HTTP status {status} without a problem document ({})",
            kind.unwrap_or("no content type")
        ),
    }
}

#[cfg(test)]
mod tests;
