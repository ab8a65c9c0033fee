//! How the limits of a CA stand, for people: what is left, and when the next token comes.

use super::{
    Charge, Ledger, Limit, Purpose, Spend, account_bucket, charges, domain_bucket, published,
    shards,
};
use crate::facts::{AcmeFacts, IssuerFacts, Kind, OrderFacts, Signer};
use crate::program::{Everleaf, Sight, issuer_key};
use everleaf_engine::world::World;
use everleaf_engine::{ObjectKey, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How one limit stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// The limit, as the annotation `everleaf.dev/acme-limits` names it.
    pub limit: &'static str,
    /// Whom it counts for: a name, a registered domain; empty for the account and for the exact
    /// set of names.
    pub subject: Arc<str>,
    /// The tokens that are left.
    pub left: i64,
    /// The most that there are.
    pub capacity: i64,
    /// When the next request will have its token; past if it has one now.
    pub next: Timestamp,
}

/// The limit that a bucket is of, and whom it counts for, by how buckets are named.
fn named(bucket: &str) -> Option<(&'static str, &str)> {
    let (kind, rest) = bucket.split_once(':')?;
    let subject = rest.split_once(':').map_or("", |(_, subject)| subject);
    // A set is named by its digest, which tells nobody anything.
    match kind {
        "o" => Some(("newOrders", "")),
        "d" => Some(("registeredDomain", subject)),
        "s" => Some(("identifierSet", "")),
        "f" => Some(("failedAuthorizations", subject)),
        _ => None,
    }
}

fn standing(charge: &Charge, tat: Timestamp, now: Timestamp) -> Option<Standing> {
    let Charge { bucket, limit, cost } = charge;
    let (name, subject) = named(bucket)?;
    Some(Standing {
        limit: name,
        subject: subject.into(),
        left: limit.left(tat, now),
        capacity: limit.capacity,
        next: limit.free_at(tat, *cost),
    })
}

/// Every bucket that is known not to be full, of the ConfigMaps in the operator's own namespace.
pub fn ledger(world: &World<Everleaf>, operator_namespace: &Arc<str>) -> Ledger {
    let mut buckets = BTreeMap::new();
    for shard in shards() {
        let key = ObjectKey::new(Kind::ConfigMap, operator_namespace.clone(), shard);
        if let Some(facts) = world.get(&key).and_then(|object| object.facts.budget()) {
            buckets.extend(facts.buckets.iter().map(|(name, tat)| (name.clone(), *tat)));
        }
    }
    Ledger::new(buckets)
}

/// What is known of the buckets that the charges name.
pub(crate) fn known_of(program: &Everleaf, view: &Sight<'_>, charges: &[Charge]) -> Ledger {
    let mut buckets = BTreeMap::new();
    for charge in charges {
        let namespace = program.options.operator_namespace.clone();
        let key = ObjectKey::new(Kind::ConfigMap, namespace, charge.shard());
        let facts = view.get(&key).and_then(|object| object.facts.budget());
        if let Some(tat) = facts.and_then(|facts| facts.buckets.get(&charge.bucket)) {
            buckets.insert(charge.bucket.clone(), *tat);
        }
    }
    Ledger::new(buckets)
}

/// The limits of an issuer: those that it names, else those that its directory publishes.
pub(crate) fn limits_of(acme: &AcmeFacts) -> super::Limits {
    acme.limits.unwrap_or_else(|| published(&acme.server))
}

/// Whether the CA counts an Order as a replacement in its suggested window (RFC 9773, section 5);
/// what was claimed stays as it was then.
fn replaces_in_window(order: &OrderFacts, now: Timestamp) -> bool {
    let at = order.claim.as_ref().map_or(now, |claim| claim.at);
    let window = order.renewal.as_ref().and_then(|renewal| renewal.window);
    !order.replaces.is_empty() && window.is_some_and(|(start, end)| start <= at && at < end)
}

/// What an Order takes of the limits of its issuer.
pub(crate) fn charges_of(order: &OrderFacts, issuer: &IssuerFacts, now: Timestamp) -> Vec<Charge> {
    let Signer::Acme(acme) = &issuer.signer else { return Vec::new() };
    let purpose = match (replaces_in_window(order, now), order.renews) {
        (true, _) => Purpose::Replaces,
        (false, true) => Purpose::SameSet,
        (false, false) => Purpose::New,
    };
    let spend = Spend {
        directory: &acme.server,
        account: &issuer.account.status.uri,
        dns: &order.dns_names,
        ips: &order.ip_addresses,
        purpose,
    };
    charges(&limits_of(acme), &spend)
}

/// How the limits stand that an Order takes from; empty if its issuer has none that are known.
pub fn of_order(
    (world, operator_namespace): (&World<Everleaf>, &Arc<str>),
    key: &ObjectKey<Kind>,
    now: Timestamp,
) -> Vec<Standing> {
    let order = world.get(key).and_then(|object| object.facts.order());
    let charged = order.and_then(|order| {
        let issuer = issuer_key(&key.namespace, &order.issuer)?;
        Some(charges_of(order, world.get(&issuer)?.facts.issuer()?, now))
    });
    let ledger = ledger(world, operator_namespace);
    charged
        .unwrap_or_default()
        .iter()
        .filter_map(|charge| {
            standing(charge, ledger.buckets().get(&charge.bucket).copied().unwrap_or_default(), now)
        })
        .collect()
}

/// How the limits of an issuer stand that other orders than one told of may need: its account's,
/// and those of its directory's domains that are not full, at most `most` of them, the emptiest
/// first.
pub fn of_issuer(
    issuer: &IssuerFacts,
    ledger: &Ledger,
    now: Timestamp,
    most: usize,
) -> Vec<Standing> {
    let Signer::Acme(acme) = &issuer.signer else { return Vec::new() };
    let limits = limits_of(acme);
    let stands = |bucket: &Arc<str>, limit: Option<Limit>| {
        let tat = ledger.buckets().get(bucket).copied().unwrap_or_default();
        standing(&Charge { bucket: bucket.clone(), limit: limit?, cost: 1 }, tat, now)
    };
    let account = account_bucket(&issuer.account.status.uri).into();
    let own = stands(&account, limits.orders);
    let of_directory = domain_bucket(&acme.server, "");
    let buckets = ledger.buckets().keys().filter(|bucket| bucket.starts_with(&of_directory));
    let domains = buckets.filter_map(|bucket| stands(bucket, limits.domain));
    let mut domains: Vec<Standing> = domains.filter(|one| one.left < one.capacity).collect();
    domains.sort_by(|a, b| (a.left, &a.subject).cmp(&(b.left, &b.subject)));
    domains.truncate(most);
    own.into_iter().chain(domains).collect()
}

#[cfg(test)]
mod tests;
