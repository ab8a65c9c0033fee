//! Names, types and values.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The types of records there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Text.
    Txt,
    /// Alias.
    Cname,
    /// Which CAs may issue (RFC 8659).
    Caa,
    /// Server of a zone.
    Ns,
    /// Start of a zone.
    Soa,
}

/// The value of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A text, its strings joined.
    Txt(String),
    /// The name that this one stands for.
    Cname(String),
    /// A property (RFC 8659 section 4.1).
    Caa {
        /// Whether a CA that does not know the tag must refuse.
        critical: bool,
        /// `issue`, `issuewild`, `iodef`, or another.
        tag: String,
        /// Its value.
        value: String,
    },
    /// A server of the zone, or of the zone that begins here.
    Ns(String),
    /// The zone's own record.
    Soa {
        /// The first server.
        primary: String,
        /// Rises with each change.
        serial: u32,
        /// How long a negative answer may be kept, in seconds (RFC 2308 section 4).
        minimum: u32,
    },
}

impl Data {
    /// The type that a value is of.
    pub fn kind(&self) -> RecordType {
        match self {
            Data::A(_) => RecordType::A,
            Data::Aaaa(_) => RecordType::Aaaa,
            Data::Txt(_) => RecordType::Txt,
            Data::Cname(_) => RecordType::Cname,
            Data::Caa { .. } => RecordType::Caa,
            Data::Ns(_) => RecordType::Ns,
            Data::Soa { .. } => RecordType::Soa,
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is, as [`normal`] writes it.
    pub name: String,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// A name as it is kept here: lower case, without the dot at its end.
pub fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A name and those above it, longest first; the root is not among them.
pub(super) fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    let first = (!name.is_empty()).then_some(name);
    std::iter::successors(first, |at| Some(at.split_once('.')?.1))
}

/// Whether a name is that of the zone or below it.
pub(super) fn is_within(name: &str, zone: &str) -> bool {
    match name.strip_suffix(zone) {
        Some(rest) => rest.is_empty() || rest.ends_with('.') || zone.is_empty(),
        None => false,
    }
}
