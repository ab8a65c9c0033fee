//! How single values are read: as Go's flag packages read them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use everleaf_api::GoDuration;
use everleaf_api::gates::{Component, FeatureGates};

use crate::operator::SMALLEST_TOTAL;

/// A boolean, as Go's `strconv.ParseBool` reads it.
pub(super) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".into()),
    }
}

/// A duration that is not negative, as Go's `time.ParseDuration` reads it.
pub(super) fn go_duration(text: &str) -> Result<Duration, String> {
    let duration: GoDuration = text.parse().map_err(|error| format!("{error}"))?;
    let nanos = u64::try_from(duration.nanos()).map_err(|_| "it must not be negative")?;
    Ok(Duration::from_nanos(nanos))
}

/// A number of requests per second; -1 or 0 is no limit.
pub(super) fn rate(text: &str) -> Result<f32, String> {
    let rate: f32 = text.parse().map_err(|_| "write a number, or -1 for no limit")?;
    match rate.is_finite() && rate >= -1.0 {
        true => Ok(rate),
        false => Err("write a number of at least -1".into()),
    }
}

/// A size in bytes: a number, perhaps with `Ki`, `Mi`, `Gi` or `Ti`, as Kubernetes writes them.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40)];
    let with = |(unit, shift)| text.strip_suffix(unit).map(|number| (number, shift));
    let (number, shift) = units.into_iter().find_map(with).unwrap_or((text, 0));
    let error = "write a number of bytes, such as 268435456 or 256Mi";
    let number: u64 = number.parse().map_err(|_| error)?;
    let bytes = number.checked_mul(1 << shift).ok_or(error)?;
    match bytes < SMALLEST_TOTAL {
        true => Err(format!("write at least {}Mi: two files", SMALLEST_TOTAL >> 20)),
        false => Ok(bytes),
    }
}

/// One entry of `--feature-gates`, checked but kept as text, since entries influence each other.
pub(super) fn gate(text: &str) -> Result<String, String> {
    match FeatureGates::parse(Component::Controller, text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Where a server listens: a port on one host, on all of them, or nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `0` or nothing: no server.
    Off,
    /// `host:port`; an empty host is every address of the machine.
    On {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 lets the system choose.
        port: u16,
    },
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text, "" | "0") {
            return Ok(Self::Off);
        }
        let error = "write host:port, such as 0.0.0.0:9402, or 0 for none";
        let (host, port) = text.rsplit_once(':').ok_or(error)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains([':', '[', ']']) {
            return Err("put an IPv6 address in brackets, such as [::]:9402".into());
        }
        let port = port.parse().map_err(|_| error)?;
        Ok(Self::On { host: bare.unwrap_or(host).into(), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("0"),
            Self::On { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::On { host, port } => write!(f, "{host}:{port}"),
        }
    }
}
