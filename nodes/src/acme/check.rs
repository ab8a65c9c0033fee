//! What can be told of a set of names before a token of any limit is spent.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// The most names that Let's Encrypt puts into one certificate.
const MOST_NAMES: usize = 100;

/// Why a set of names will be refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing to certify.
    #[error("the request names no DNS name and no IP address, and ACME certifies nothing else")]
    Empty,
    /// A name that is no host name.
    #[error("{0:?} is no DNS name: {1}")]
    NoName(Arc<str>, &'static str),
    /// An address that cannot be read.
    #[error("{0:?} is no IP address")]
    NoAddress(Arc<str>),
    /// The common name is not among the names.
    #[error(
        "the common name {0:?} is not among the DNS names and IP addresses; ACME asks for that: \
         add it to dnsNames, or remove commonName"
    )]
    CommonName(Arc<str>),
    /// A wildcard that no solver can prove.
    #[error(
        "{0:?} is a wildcard, which only DNS-01 proves, and no dns01 solver of the issuer fits it; \
         add one"
    )]
    NoWildcardSolver(Arc<str>),
    /// More than the CA takes.
    #[error("{0} names are more than the {MOST_NAMES} that the CA takes")]
    TooMany(usize),
    /// A name that a public CA may not certify.
    #[error("{0:?} does not end in a public suffix, and a public CA may not certify it")]
    NotPublic(Arc<str>),
    /// A public suffix itself.
    #[error("{0:?} is a public suffix, and the CA does not certify it")]
    PublicSuffix(Arc<str>),
    /// A name that a wildcard of the set covers.
    #[error("{0:?} is covered by {1:?}, and the CA refuses both in one order; remove one")]
    Covered(Arc<str>, Arc<str>),
}

/// Checks a set of names; `public` if the CA is known to follow Let's Encrypt's rules.
///
/// # Errors
/// The first rule that is broken.
pub fn names(
    dns: &[Arc<str>],
    ips: &[Arc<str>],
    common_name: &Arc<str>,
    public: bool,
) -> Result<(), NameError> {
    if dns.is_empty() && ips.is_empty() {
        return Err(NameError::Empty);
    }
    dns.iter().try_for_each(host_name)?;
    if let Some(ip) = ips.iter().find(|ip| ip.parse::<IpAddr>().is_err()) {
        return Err(NameError::NoAddress(ip.clone()));
    }
    let named = |name: &Arc<str>| name.eq_ignore_ascii_case(common_name);
    if !common_name.is_empty() && !dns.iter().chain(ips).any(named) {
        return Err(NameError::CommonName(common_name.clone()));
    }
    if public { public_names(dns, ips) } else { Ok(()) }
}

fn host_name(name: &Arc<str>) -> Result<(), NameError> {
    let wrong = |why| Err(NameError::NoName(name.clone(), why));
    let bare = name.strip_prefix("*.").unwrap_or(name);
    if bare.is_empty() || bare.len() > 253 {
        return wrong("it is empty or longer than 253 characters");
    }
    for label in bare.split('.') {
        if label.is_empty() || label.len() > 63 {
            return wrong("a label is empty or longer than 63 characters");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return wrong("a label begins or ends with a hyphen");
        }
        if label == "*" {
            return wrong("a wildcard stands for the first label alone, and once");
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !label.bytes().all(fits) {
            return wrong("only letters, digits and hyphens are allowed; write others as Punycode");
        }
    }
    Ok(())
}

fn public_names(dns: &[Arc<str>], ips: &[Arc<str>]) -> Result<(), NameError> {
    let all: BTreeSet<String> = dns.iter().map(|name| name.to_ascii_lowercase()).collect();
    let count = all.len() + ips.len();
    if count > MOST_NAMES {
        return Err(NameError::TooMany(count));
    }
    for name in dns {
        let lower = name.to_ascii_lowercase();
        let bare = lower.strip_prefix("*.").unwrap_or(&lower);
        match psl::suffix(bare.as_bytes()).filter(psl::Suffix::is_known) {
            None => return Err(NameError::NotPublic(name.clone())),
            Some(suffix) if suffix == bare.as_bytes() => {
                return Err(NameError::PublicSuffix(name.clone()));
            }
            Some(_) => {}
        }
        let covering = lower.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        if let Some(star) = covering.filter(|star| *star != lower && all.contains(star)) {
            return Err(NameError::Covered(name.clone(), star.into()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(dns: &[&str], ips: &[&str], common_name: &str, public: bool) -> Result<(), NameError> {
        let arcs = |list: &[&str]| list.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>();
        names(&arcs(dns), &arcs(ips), &common_name.into(), public)
    }

    #[test]
    fn what_a_private_ca_may_certify_is_left_to_it() {
        assert_eq!(check(&["localhost", "*.a.test", "x.a.test"], &["::1"], "", false), Ok(()));
        assert_eq!(check(&["a_b.test"], &[], "A_B.test", false), Ok(()));
    }

    #[test]
    fn broken_names_are_refused_for_every_ca() {
        assert_eq!(check(&[], &[], "", false), Err(NameError::Empty));
        for name in ["", "*.", "a..test", "-a.test", "a.*.test", "*.*.test", "ü.test", "a b"] {
            assert!(matches!(check(&[name], &[], "", false), Err(NameError::NoName(..))), "{name}");
        }
        assert!(matches!(check(&[], &["1.2.3"], "", false), Err(NameError::NoAddress(_))));
        let other = check(&["a.test"], &[], "b.test", false);
        assert_eq!(other, Err(NameError::CommonName("b.test".into())));
    }

    #[test]
    fn a_public_ca_refuses_what_lets_encrypt_refuses() {
        assert_eq!(check(&["*.example.com", "example.com"], &[], "", true), Ok(()));
        let public = |dns: &[&str]| check(dns, &[], "", true);
        assert!(matches!(public(&["shop.internal"]), Err(NameError::NotPublic(_))));
        assert!(matches!(public(&["co.uk"]), Err(NameError::PublicSuffix(_))));
        assert!(matches!(public(&["*.co.uk"]), Err(NameError::PublicSuffix(_))));
        let covered = public(&["A.example.com", "*.example.com"]);
        assert!(matches!(covered, Err(NameError::Covered(..))));
        let many: Vec<String> = (0..101).map(|n| format!("n{n}.example.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(public(&many), Err(NameError::TooMany(101)));
    }

    proptest! {
        #[test]
        fn no_name_makes_the_check_panic(name in any::<String>(), public: bool) {
            let _ = check(&[&name], &[&name], &name, public);
        }
    }
}
