//! CAs, zones, hosts and ACME issuers at the start of a run.

use super::super::World;
use super::super::config::Config as RunConfig;
use super::super::rng::Rng;
use super::super::setup::NAMESPACES;
use super::Outside;
use super::faults::{SERVERS, server, unlimited};
use crate::acme::{Ca, Config, Internet};
use crate::dns::Data;
use everleaf_nodes::budget::LETS_ENCRYPT;
use everleaf_nodes::facts::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The directory of a CA without limits that lists orders and issues for days.
pub const PRIVATE_CA: &str = "https://ca.private.test/directory";

/// How many registered domains there are; those of odd numbers are proved by records.
pub const DOMAINS: u64 = 12;

/// Hosts of each domain.
const HOSTS: u64 = 8;

/// A registered domain.
fn domain(at: u64) -> String {
    format!("d{at}-sim.com")
}

impl Outside {
    /// CAs, zones and hosts of a run; nothing if it has no ACME issuers.
    pub(in super::super) fn new(run: &RunConfig) -> Self {
        let mut outside = Self {
            cas: BTreeMap::new(),
            net: Internet::new(run.seed),
            provider: unlimited(),
            routes: BTreeMap::new(),
            handshakes: BTreeMap::new(),
            kinds: BTreeMap::new(),
        };
        if run.acme > 0 {
            outside.set_up(run.seed);
        }
        outside
    }

    fn set_up(&mut self, seed: u64) {
        let mut rng = Rng::new(seed, "outside");
        let public = Config {
            base_url: super::base_of(LETS_ENCRYPT).into(),
            log_capacity: 0,
            ..Config::lets_encrypt(seed)
        };
        let lists = rng.chance(500);
        let private = Config {
            base_url: super::base_of(PRIVATE_CA).into(),
            default_profile: "shortlived".into(),
            lists_orders: lists,
            reuses_orders: !lists && rng.chance(500),
            validation: (0, 3000),
            issuance: (0, 3000),
            retry_style: None,
            log_capacity: 0,
            ..Config::lenient(seed ^ 1)
        };
        self.cas.insert(LETS_ENCRYPT.into(), Ca::new(public, b"public"));
        self.cas.insert(PRIVATE_CA.into(), Ca::new(private, b"private"));
        for at in 0..DOMAINS {
            let hosts: Vec<String> = (0..HOSTS).map(|host| format!("h{host}")).collect();
            self.add_domain(&domain(at), usize::try_from(at).unwrap_or(0), &hosts);
        }
        self.leave_strangers();
    }

    /// A zone with its hosts, served by two of the servers.
    pub fn add_domain(&mut self, zone: &str, at: usize, hosts: &[String]) {
        let (one, two) = (server(at % SERVERS), server((at + 1) % SERVERS));
        self.net.dns.add_zone(zone, &[&one, &two]);
        let names = hosts.iter().map(|host| format!("{host}.{zone}"));
        for name in names.chain([zone.to_owned()]) {
            // The zone was just made, and holds as many.
            let _ = self.net.dns.add(0, &name, Data::A(Ipv4Addr::new(192, 0, 2, 9)));
            self.net.site(&name);
        }
    }

    /// Records that somebody else put where ours go.
    fn leave_strangers(&mut self) {
        for at in [1, 3] {
            let name = format!("_acme-challenge.{}", domain(at));
            let _ = self.net.dns.add(0, &name, Data::Txt(STRANGER.into()));
        }
    }
}

/// The value of records that are not ours.
pub(crate) const STRANGER: &str = "somebody-elses-record";

/// The solvers of an issuer: routes for all, records for the domains of odd numbers.
fn solvers() -> Value {
    let zones: Vec<String> = (0..DOMAINS).filter(|at| at % 2 == 1).map(domain).collect();
    json!([
        { "http01": { "ingress": { "ingressClassName": "sim" } } },
        { "selector": { "dnsZones": zones },
            "dns01": { "webhook": { "groupName": "sim.test", "solverName": "sim" } } },
    ])
}

/// The spec of an ACME issuer.
pub(in super::super) fn acme_spec(directory: &str, key: &str) -> Value {
    json!({ "acme": { "server": directory, "email": "ops@d0-sim.com",
        "privateKeySecretRef": { "name": key }, "solvers": solvers() } })
}

impl World {
    /// ACME issuers, if the run has any.
    pub(in super::super) fn set_up_acme(&mut self) {
        if self.config.acme == 0 {
            return;
        }
        for namespace in NAMESPACES {
            let spec = acme_spec(LETS_ENCRYPT, "public-account");
            self.create_issuer(Kind::Issuer, namespace, "public", &spec);
        }
        let spec = acme_spec(PRIVATE_CA, "private-account");
        self.create_issuer(Kind::ClusterIssuer, "", "private", &spec);
        self.arm_outside();
    }

    /// The reference to an ACME issuer.
    pub(in super::super) fn some_acme_issuer(&mut self) -> Value {
        match self.users.below(2) {
            0 => json!({ "name": "public", "kind": "Issuer" }),
            _ => json!({ "name": "private", "kind": "ClusterIssuer" }),
        }
    }

    /// Names that the ACME issuers can prove: one to several, a wildcard and its apex, or a set
    /// that others have too.
    pub(in super::super) fn some_acme_names(&mut self) -> Vec<Arc<str>> {
        let drawn = self.users.below(DOMAINS);
        match self.users.below(10) {
            0 | 1 => {
                let zone = domain(drawn | 1);
                vec![zone.as_str().into(), format!("*.{zone}").into()]
            }
            2 => vec![format!("h0.{}", domain(0)).into()],
            _ => {
                let first = self.users.below(HOSTS);
                let count = self.users.between(1, 3).unsigned_abs();
                let host = |n| format!("h{}.{}", (first + n) % HOSTS, domain(drawn)).into();
                (0..count).map(host).collect()
            }
        }
    }
}

/// Whether a name is one that ACME issuers of a run can prove.
pub(in super::super) fn is_acme_name(name: &str) -> bool {
    name.ends_with("-sim.com")
}
