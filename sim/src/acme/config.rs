//! What a CA is configured with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::fault::RetryStyle;
use super::limiter::Limits;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The secret that a binding to an external account is signed with. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalKey(pub Vec<u8>);

impl fmt::Debug for ExternalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalKey(..)")
    }
}

/// A certificate profile (draft-ietf-acme-profiles). Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What the directory says about it.
    pub description: String,
    /// Validity of its certificates.
    pub lifetime: i64,
    /// Life of an order.
    pub order_life: i64,
    /// Life of an authorization that is pending.
    pub pending_life: i64,
    /// How long a valid authorization can be used again.
    pub reuse: i64,
    /// Identifiers at most.
    pub max_identifiers: usize,
    /// Whether IP addresses are allowed.
    pub ip: bool,
}

impl Profile {
    fn new(description: &str, lifetime: i64) -> Self {
        Profile {
            description: description.to_owned(),
            lifetime,
            order_life: 7 * DAY,
            pending_life: 7 * DAY,
            reuse: 30 * DAY,
            max_identifiers: 100,
            ip: false,
        }
    }

    /// Let's Encrypt's `classic`: 90 days.
    pub fn classic() -> Self {
        Profile::new("https://letsencrypt.org/docs/profiles#classic", 90 * DAY)
    }

    /// Let's Encrypt's `tlsserver`: 45 days.
    pub fn tlsserver() -> Self {
        Profile {
            order_life: 8 * HOUR,
            pending_life: HOUR,
            reuse: 7 * HOUR,
            max_identifiers: 25,
            ..Profile::new("https://letsencrypt.org/docs/profiles#tlsserver", 45 * DAY)
        }
    }

    /// Let's Encrypt's `shortlived`: 160 hours, IP addresses too.
    pub fn shortlived() -> Self {
        Profile {
            description: "https://letsencrypt.org/docs/profiles#shortlived".to_owned(),
            lifetime: 160 * HOUR,
            ip: true,
            ..Profile::tlsserver()
        }
    }

    /// Ten minutes, which no public CA issues.
    pub fn fleeting() -> Self {
        let text = "Ten minutes, to see renewals";
        Profile { ip: true, reuse: 0, ..Profile::new(text, 10 * MINUTE) }
    }
}

/// The configuration. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Seeds nonces and their rejection, tokens, serial numbers, jitter and durations.
    pub seed: u64,
    /// What every URL begins with.
    pub base_url: String,
    /// The profiles by name.
    pub profiles: BTreeMap<String, Profile>,
    /// The profile of orders that name none.
    pub default_profile: String,
    /// Whether the directory shows profiles, and orders may name one.
    pub offers_profiles: bool,
    /// How many good nonces in a thousand are rejected.
    pub nonce_rejection: u64,
    /// Nonces that are remembered; older ones get badNonce.
    pub nonce_capacity: usize,
    /// Whether a new order may be an old one with the same identifiers that is pending or ready.
    pub reuses_orders: bool,
    /// Whether a new order may have an authorization that is pending.
    pub reuses_pending: bool,
    /// How long validation takes: at least, and at most.
    pub validation: (i64, i64),
    /// How long issuance takes: at least, and at most.
    pub issuance: (i64, i64),
    /// Places validated from, the first of them the CA's own.
    pub perspectives: usize,
    /// How many of the others may see something else (Baseline Requirements 3.2.2.9).
    pub dissenters: usize,
    /// The domains by which CAA records know this CA; none, and CAA records are not looked at.
    pub caa_identities: Vec<String>,
    /// Age of a validation from which on CAA is looked at again when issuing.
    pub caa_age: i64,
    /// Keys of external accounts, by key identifier.
    pub external_keys: BTreeMap<String, ExternalKey>,
    /// Whether an account must be bound to an external one.
    pub external_required: bool,
    /// Names under which it does not issue.
    pub forbidden: BTreeSet<String>,
    /// Whether accounts have a list of orders. (Boulder's have none.)
    pub lists_orders: bool,
    /// The longest validity that may be asked for; without one, asking is malformed.
    pub validity: Option<i64>,
    /// How far notBefore lies in the past.
    pub backdate: i64,
    /// Whether it answers renewalInfo requests.
    pub ari: bool,
    /// How long renewal information is good for, varied by a fifth.
    pub ari_poll: i64,
    /// When to look at a processing order again.
    pub order_poll: i64,
    /// The limits.
    pub limits: Limits,
    /// How `Retry-After` is said; none draws between seconds and date.
    pub retry_style: Option<RetryStyle>,
    /// How long orders and authorizations are kept when they are over.
    pub retention: i64,
    /// Objects of each sort at most; a request that would make more gets 503.
    pub capacity: usize,
    /// Requests kept in the log; all are counted.
    pub log_capacity: usize,
}

impl Config {
    /// A CA like Pebble, but for its chances: no limits, nothing reused but valid authorizations
    /// for an hour, answers at once, one perspective, the fleeting profile beside the others.
    pub fn lenient(seed: u64) -> Self {
        let mut profiles = profiles();
        profiles.insert("fleeting".into(), Profile::fleeting());
        for profile in profiles.values_mut() {
            (profile.ip, profile.reuse) = (true, profile.reuse.min(HOUR));
        }
        Config {
            seed,
            base_url: "https://acme.test".into(),
            profiles,
            default_profile: "classic".into(),
            offers_profiles: true,
            nonce_rejection: 0,
            nonce_capacity: 4096,
            reuses_orders: false,
            reuses_pending: false,
            validation: (0, 0),
            issuance: (0, 0),
            perspectives: 1,
            dissenters: 0,
            caa_identities: vec!["acme.test".into()],
            caa_age: 8 * HOUR,
            external_keys: BTreeMap::new(),
            external_required: false,
            forbidden: BTreeSet::new(),
            lists_orders: false,
            validity: None,
            backdate: 0,
            ari: true,
            ari_poll: 6 * HOUR,
            order_poll: 3000,
            limits: Limits::none(),
            retry_style: Some(RetryStyle::Seconds),
            retention: 30 * DAY,
            capacity: 1 << 20,
            log_capacity: 4096,
        }
    }

    /// A CA like Let's Encrypt: its limits, profiles, reuse, perspectives and durations.
    pub fn lets_encrypt(seed: u64) -> Self {
        Config {
            profiles: profiles(),
            reuses_orders: true,
            reuses_pending: true,
            validation: (500, 4000),
            issuance: (500, 3000),
            perspectives: 5,
            dissenters: 1,
            caa_identities: vec!["letsencrypt.org".into()],
            backdate: HOUR,
            limits: Limits::lets_encrypt(),
            ..Config::lenient(seed)
        }
    }
}

fn profiles() -> BTreeMap<String, Profile> {
    BTreeMap::from([
        ("classic".to_owned(), Profile::classic()),
        ("tlsserver".to_owned(), Profile::tlsserver()),
        ("shortlived".to_owned(), Profile::shortlived()),
    ])
}
