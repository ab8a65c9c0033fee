//! What can go wrong, by what has to happen next.

use std::time::Duration;

use thiserror::Error;

/// Why a look-up or a change of a record did not succeed.
///
/// The messages are made for a status: they hold no credential and no identifier that is new with
/// each request, so the same fault has the same message each time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Passes by itself: a server did not answer, was busy, or somebody else changed the record.
    #[error("{0}")]
    Transient(String),
    /// The other side asks for fewer requests.
    #[error("{message}")]
    RateLimited {
        /// What it said.
        message: String,
        /// How long to wait, where it said so (RFC 9110, section 10.2.3); at most seven days.
        retry_after: Option<Duration>,
    },
    /// Somebody has to mend something before another try makes sense.
    #[error("{message}")]
    Mend {
        /// What has to be mended.
        what: Mend,
        /// What is wrong with it.
        message: String,
    },
}

/// What has to be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mend {
    /// The solver's configuration, or the records in the zone that it relies on.
    Configuration,
    /// The credentials: missing, malformed or not accepted.
    Credentials,
    /// The rights of the credentials, which were accepted.
    Denied,
    /// The zone: there is none for the name, or the provider does not have it.
    ZoneNotFound,
}

impl Error {
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self::Transient(message.into())
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::Mend { what: Mend::Configuration, message: message.into() }
    }

    pub(crate) fn credentials(message: impl Into<String>) -> Self {
        Self::Mend { what: Mend::Credentials, message: message.into() }
    }

    pub(crate) fn zone(message: impl Into<String>) -> Self {
        Self::Mend { what: Mend::ZoneNotFound, message: message.into() }
    }

    /// Whether somebody has to mend something first.
    pub fn needs_mending(&self) -> bool {
        matches!(self, Self::Mend { .. })
    }
}
