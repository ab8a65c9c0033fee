//! Servers to ask.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use url::Url;

use crate::Error;

/// A recursive server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nameserver {
    /// Over UDP, and TCP where an answer does not fit.
    Plain {
        /// An address, or a name that the system resolves.
        host: String,
        /// Usually 53.
        port: u16,
    },
    /// Over HTTPS (RFC 8484).
    Https(Url),
}

impl FromStr for Nameserver {
    type Err = Error;

    /// Reads `host`, `host:port`, `[v6]:port`, a bare IPv6 address, or an `https://` URL.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.starts_with("https://") {
            let wrong = |_| Error::configuration(format!("{text:?} is not a URL"));
            return Url::parse(text).map(Self::Https).map_err(wrong);
        }
        let (host, port) = host_port(text, 53)?;
        Ok(Self::Plain { host, port })
    }
}

impl fmt::Display for Nameserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Plain { host, port } => write!(f, "{host}:{port}"),
            Self::Https(url) => write!(f, "{url}"),
        }
    }
}

/// The servers of a resolv.conf(5), at most the three that a resolver takes.
pub fn system_nameservers(resolv_conf: &str) -> Vec<Nameserver> {
    let named = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    let plain = |host: &str| Nameserver::Plain { host: host.to_owned(), port: 53 };
    named.take(3).map(plain).collect()
}

pub(super) fn fallback() -> Vec<Nameserver> {
    let plain = |host: &str| Nameserver::Plain { host: host.to_owned(), port: 53 };
    ["8.8.8.8", "8.8.4.4"].map(plain).to_vec()
}

/// Splits an address; IPv6 stands in brackets where a port follows.
pub(crate) fn host_port(text: &str, default: u16) -> Result<(String, u16), Error> {
    let wrong = || Error::configuration(format!("{text:?} is not a host, or a host and a port"));
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if text.matches(':').count() > 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse().map_err(|_| wrong())?,
        None => default,
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        Err(wrong())
    } else {
        Ok((host.to_owned(), port))
    }
}

/// The first address of a host; the system resolves a name.
pub(crate) async fn address(host: &str, port: u16) -> Result<SocketAddr, Error> {
    let unknown = || Error::transient(format!("the name server {host} has no address"));
    let mut found = tokio::net::lookup_host((host, port)).await.map_err(|_| unknown())?;
    found.next().ok_or_else(unknown)
}
