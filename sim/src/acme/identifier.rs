//! Identifiers and sets of them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identifier {
    /// A DNS name in lower case, which may begin with `*.`.
    Dns(String),
    /// An IP address (RFC 8738).
    Ip(IpAddr),
}

/// A set of identifiers.
pub type Identifiers = BTreeSet<Identifier>;

impl Identifier {
    /// The identifier of a DNS name.
    pub fn dns(name: &str) -> Self {
        Identifier::Dns(name.to_ascii_lowercase())
    }

    /// The `type` in JSON: `dns` or `ip`.
    pub fn kind(&self) -> &'static str {
        match self {
            Identifier::Dns(_) => "dns",
            Identifier::Ip(_) => "ip",
        }
    }

    /// Whether it is a wildcard name.
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Identifier::Dns(name) if name.starts_with("*."))
    }

    /// The value that an authorization shows: a wildcard without its asterisk (RFC 8555 section
    /// 7.1.4).
    pub fn base(&self) -> String {
        match self {
            Identifier::Dns(name) => name.strip_prefix("*.").unwrap_or(name).to_owned(),
            Identifier::Ip(address) => address.to_string(),
        }
    }

    /// What the limit per registered domain counts: the name below the public suffix, an IPv4
    /// address itself, the /64 of an IPv6 address. A name that is a public suffix counts as itself.
    pub fn registered_domain(&self) -> String {
        match self {
            Identifier::Dns(_) => {
                let base = self.base();
                psl::domain_str(&base).map_or_else(|| base.clone(), str::to_owned)
            }
            Identifier::Ip(IpAddr::V4(address)) => address.to_string(),
            Identifier::Ip(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }

    /// Why it is none that a certificate can be for.
    pub fn fault(&self) -> Option<String> {
        let Identifier::Dns(name) = self else { return None };
        let base = name.strip_prefix("*.").unwrap_or(name);
        let label = |label: &str| {
            let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            let edged = !label.starts_with('-') && !label.ends_with('-');
            (1..=63).contains(&label.len()) && label.bytes().all(fits) && edged
        };
        match () {
            () if name.len() > 253 => Some("Domain name is longer than 253 bytes".into()),
            () if base.contains('*') => {
                Some("Domain name has more than one wildcard character".into())
            }
            () if !base.contains('.') => Some("Domain name needs at least one dot".into()),
            () if !base.split('.').all(label) => {
                Some("Domain name contains an invalid character or label".into())
            }
            () if is_tld(base) => Some("Domain name is an ICANN TLD".into()),
            () => None,
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::Dns(name) => f.write_str(name),
            Identifier::Ip(address) => write!(f, "{address}"),
        }
    }
}

fn is_tld(name: &str) -> bool {
    let suffix = psl::suffix(name.as_bytes());
    let icann = |suffix: &psl::Suffix<'_>| suffix.typ() == Some(psl::Type::Icann);
    suffix.is_some_and(|suffix| icann(&suffix) && suffix.as_bytes() == name.as_bytes())
}

/// One text for a set; equal for equal sets only.
pub(super) fn set_key(set: &Identifiers) -> String {
    let texts: Vec<String> = set.iter().map(|id| format!("{}:{id}", id.kind())).collect();
    texts.join(",")
}

/// A name of the set that a wildcard of the same set covers, and that wildcard.
pub(super) fn redundant(set: &Identifiers) -> Option<(String, String)> {
    let names = set.iter().filter(|id| !id.is_wildcard()).map(Identifier::base);
    names.into_iter().find_map(|name| {
        let wildcard = format!("*.{}", name.split_once('.')?.1);
        set.contains(&Identifier::Dns(wildcard.clone())).then_some((name, wildcard))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn registered_domains_follow_the_public_suffix_list() {
        for (id, domain) in [
            (Identifier::dns("www.example.com"), "example.com"),
            (Identifier::dns("*.new.blog.example.co.uk"), "example.co.uk"),
            (Identifier::dns("me.github.io"), "me.github.io"),
            (Identifier::dns("github.io"), "github.io"),
            (Identifier::Ip("192.0.2.7".parse().unwrap()), "192.0.2.7"),
            (Identifier::Ip("2001:db8:1:2:3::4".parse().unwrap()), "2001:db8:1:2::/64"),
        ] {
            assert_eq!(id.registered_domain(), domain);
        }
    }

    #[test]
    fn names_that_no_certificate_can_be_for_have_a_fault() {
        for bad in ["com", "co.uk", "a..test", "-a.test", "a_b.test", "*.*.test", "a.*.test", "*."]
        {
            assert!(Identifier::dns(bad).fault().is_some(), "{bad}");
        }
        for good in ["example.com", "*.example.com", "xn--bcher-kva.example", "A.example"] {
            assert_eq!(Identifier::dns(good).fault(), None, "{good}");
        }
    }

    #[test]
    fn a_wildcard_makes_the_names_right_below_it_redundant_and_no_others() {
        let set = |names: &[&str]| names.iter().map(|n| Identifier::dns(n)).collect();
        assert!(redundant(&set(&["*.a.test", "x.a.test"])).is_some());
        assert_eq!(redundant(&set(&["*.a.test", "a.test", "x.y.a.test"])), None);
    }
}
