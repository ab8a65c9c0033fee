//! Which buckets an order takes from.

use super::{Charge, Limit, Limits};
use everleaf_engine::{Digest, digest_of};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Why a certificate is ordered; the CA exempts renewals from some limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is the first of its names, as far as is known.
    New,
    /// The same set of names was certified before: exempt from the limits of account and domain.
    SameSet,
    /// It replaces a certificate in its suggested window (RFC 9773): exempt from all.
    Replaces,
}

/// An order, as limits see it.
#[derive(Clone, Copy, Debug)]
pub struct Spend<'a> {
    /// The URL of the directory.
    pub directory: &'a str,
    /// The URL of the account.
    pub account: &'a str,
    /// DNS names.
    pub dns: &'a [Arc<str>],
    /// IP addresses.
    pub ips: &'a [Arc<str>],
    /// Why.
    pub purpose: Purpose,
}

/// The digest of a set of names, in which neither order nor case matters.
pub fn same_set(dns: &[Arc<str>], ips: &[Arc<str>]) -> Digest {
    let names: BTreeSet<String> =
        dns.iter().chain(ips).map(|name| name.to_ascii_lowercase()).collect();
    digest_of(&names)
}

/// The domain that a limit counts a name under: one label below its public suffix; an IPv4 address
/// whole, and the first 64 bits of an IPv6 address.
pub fn registered_domain(name: &str) -> String {
    match name.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => return address.to_string(),
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            return format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0));
        }
        Err(_) => {}
    }
    let lower = name.to_ascii_lowercase();
    let bare = lower.strip_prefix("*.").unwrap_or(&lower);
    psl::domain_str(bare).unwrap_or(bare).to_owned()
}

fn charge(bucket: String, limit: Option<Limit>, cost: i64) -> Option<Charge> {
    Some(Charge { bucket: bucket.into(), limit: limit?, cost })
}

/// Short names for long URLs: what has no collision that anybody would notice.
fn tag(of: &str) -> Digest {
    digest_of(of)
}

/// The bucket of an account's new orders.
pub(crate) fn account_bucket(account: &str) -> String {
    format!("o:{}", tag(account))
}

/// The bucket of a registered domain.
pub(crate) fn domain_bucket(directory: &str, domain: &str) -> String {
    format!("d:{}:{domain}", tag(directory))
}

/// What an order takes: a token of its account, of each registered domain and of its exact set,
/// and for each name one has to be there of the failed authorizations. Sorted by bucket.
pub fn charges(limits: &Limits, spend: &Spend<'_>) -> Vec<Charge> {
    let (directory, account) = (tag(spend.directory), tag(spend.account));
    let mut all: Vec<Option<Charge>> = Vec::new();
    if spend.purpose == Purpose::New {
        all.push(charge(account_bucket(spend.account), limits.orders, 1));
        let names = spend.dns.iter().chain(spend.ips);
        let domains: BTreeSet<String> = names.map(|name| registered_domain(name)).collect();
        for domain in domains {
            all.push(charge(domain_bucket(spend.directory, &domain), limits.domain, 1));
        }
    }
    if spend.purpose != Purpose::Replaces {
        let set = same_set(spend.dns, spend.ips);
        all.push(charge(format!("s:{directory}:{set}"), limits.set, 1));
    }
    let names: BTreeSet<String> = spend.dns.iter().chain(spend.ips).map(|n| bare(n)).collect();
    for name in names {
        all.push(charge(format!("f:{account}:{name}"), limits.failures, 0));
    }
    let mut all: Vec<Charge> = all.into_iter().flatten().collect();
    all.sort();
    all
}

fn bare(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower.strip_prefix("*.").unwrap_or(&lower).to_owned()
}

/// What a failed authorization takes.
pub fn failure_charge(limits: &Limits, account: &str, identifier: &str) -> Option<Charge> {
    charge(format!("f:{}:{}", tag(account), bare(identifier)), limits.failures, 1)
}
