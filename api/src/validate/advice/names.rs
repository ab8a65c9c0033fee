//! Names that no client asks for, or that no CA signs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Path, Warnings};
use crate::types::certificate::CertificateSpec;

const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Why a text is no name that a TLS client looks for in a certificate (RFC 5280, 4.2.1.6; RFC 6125,
/// 6.4.3 for wildcards); `None` if it is one.
fn fault(name: &str) -> Option<&'static str> {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    if name.parse::<IpAddr>().is_ok() {
        return Some("is an IP address: put it into ipAddresses");
    }
    if name.contains("://") || name.contains('/') {
        return Some("is a URL: name the host alone, or put it into uris");
    }
    if name.contains(':') {
        return Some("has a port: certificates know none; name the host alone");
    }
    if !name.is_ascii() {
        return Some("is written in Unicode: write its ASCII form, which begins with xn--");
    }
    if rest.contains('*') {
        return Some("has a '*' that is not its whole first label: no client takes that");
    }
    if name.ends_with('.') {
        return Some("ends with a dot: clients leave that off");
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        return Some("has upper case letters: CAs and clients compare in lower case; write it so");
    }
    (!is_host(rest)).then_some("is no DNS name: clients and CAs will not take it")
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(plain)
    };
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

pub(super) fn looks_like_host(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    rest.contains('.') && is_host(rest) && rest.parse::<IpAddr>().is_err()
}

pub(super) fn check(found: &mut Warnings, spec: &CertificateSpec, root: &Path) {
    let names = root.child("dnsNames");
    for (i, name) in spec.dns_names.iter().enumerate() {
        if let Some(fault) = fault(name) {
            found.warn(&names.index(i), format!("{name:?} {fault}"));
        }
    }
    let lists = [
        ("dnsNames", &spec.dns_names),
        ("ipAddresses", &spec.ip_addresses),
        ("uris", &spec.uris),
        ("emailAddresses", &spec.email_addresses),
    ];
    for (field, list) in lists {
        let mut seen = BTreeSet::new();
        for (i, name) in list.iter().enumerate().filter(|(_, name)| !seen.insert(*name)) {
            found.warn(&root.child(field).index(i), format!("{name:?} is listed twice"));
        }
    }
    for (i, uri) in spec.uris.iter().enumerate().filter(|(_, uri)| !has_scheme(uri)) {
        let why = format!("{uri:?} has no scheme, as in spiffe://example.com/workload");
        found.warn(&root.child("uris").index(i), why);
    }
}

/// RFC 3986, 3.1.
fn has_scheme(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        let rest = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(rest)
    })
}
