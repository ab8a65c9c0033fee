//! The record of a challenge, and what writes it.

use async_trait::async_trait;

use crate::Error;

/// The TXT record that answers a challenge (RFC 8555, section 8.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The identifier of the authorization, without `*.`.
    pub domain: String,
    /// Where the record goes: `_acme-challenge.<domain>`, or where a CNAME there leads to. With or
    /// without the last dot.
    pub fqdn: String,
    /// The zone of `fqdn`, found by [`crate::Resolver::zone_of`]. With or without the last dot.
    pub zone: String,
    /// The text of the record: a digest in base64url.
    pub value: String,
    /// In seconds; [`crate::ttl`] has each provider's usual one.
    pub ttl: u32,
}

impl Record {
    /// The record's name without the last dot, in lower case.
    pub(crate) fn name(&self) -> String {
        bare(&self.fqdn)
    }

    /// The zone's name without the last dot, in lower case.
    pub(crate) fn zone_name(&self) -> String {
        bare(&self.zone)
    }

    /// The record's name without the zone's; `@` for the zone's own.
    pub(crate) fn relative_to(&self, zone: &str) -> Result<String, Error> {
        let (name, zone) = (self.name(), bare(zone));
        if name == zone {
            return Ok("@".to_owned());
        }
        let below = name.strip_suffix(&zone).and_then(|rest| rest.strip_suffix('.'));
        match below {
            Some(rest) if !rest.is_empty() => Ok(rest.to_owned()),
            _ => Err(Error::configuration(format!("{name} is not in the zone {zone}"))),
        }
    }

    /// The value as a character string of a zone file (RFC 1035, section 5.1).
    pub(crate) fn quoted(&self) -> String {
        quoted(&self.value)
    }
}

pub(crate) fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The value as a character string of a zone file.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The value behind a character string of a zone file; some providers leave the quotes out.
pub(crate) fn unquoted(text: &str) -> String {
    let inner = text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text).replace("\" \"", "").replace("\\\"", "\"").replace("\\\\", "\\")
}

/// What is known after a record was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presented {
    /// What to ask [`Provider::in_sync`] with, where the provider tells when all of its servers
    /// have the change. Safe to store and to show.
    pub sync: Option<String>,
}

/// Writes and removes challenge records at one place.
///
/// No call waits for anything but its own requests: when to ask again is the caller's.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Adds the record beside the other values of its name. Doing it twice is doing it once.
    async fn present(&self, record: &Record) -> Result<Presented, Error>;

    /// Removes exactly this value of the record's name. One that is not there is no error.
    async fn clean_up(&self, record: &Record) -> Result<(), Error>;

    /// Asks once whether all of the provider's servers have the change that [`Presented::sync`]
    /// names. `true` where the provider has no such signal.
    async fn in_sync(&self, sync: &str) -> Result<bool, Error> {
        let _ = sync;
        Ok(true)
    }
}
