//! Looking up: zones, CNAMEs, propagation, CAA.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use jiff::{SignedDuration, Timestamp};

use crate::record::bare;
use crate::{Clock, Error, Http};

pub mod caa;
mod exchange;
mod nameserver;

pub use nameserver::{Nameserver, system_nameservers};

pub(crate) use exchange::{tcp, udp};
pub(crate) use nameserver::{address, host_port};

/// Longer chains than the CAs' own resolvers follow.
const MOST_CNAMES: usize = 16;
/// More than any delegation fits in.
const MOST_AUTHORITIES: usize = 32;
const MOST_CACHED: usize = 4096;

/// How to look up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For one question to one server, a second try over TCP included.
    pub timeout: Duration,
    /// The port of authoritative servers.
    pub authoritative_port: u16,
}

impl Default for Options {
    /// Ten seconds, port 53.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), authoritative_port: 53 }
    }
}

/// Whom to ask whether a record is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Every authoritative server of the record's zone.
    Authoritative,
    /// The recursive servers only.
    Recursive,
}

/// What one server knows of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It has the value.
    Seen,
    /// It answered without the value; the texts that it has instead, at most eight.
    Absent(Vec<String>),
    /// It did not answer properly, and how.
    Failed(String),
}

/// What the servers know of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// Where the record was looked for, after CNAMEs, with the last dot.
    pub fqdn: String,
    /// By the server's name.
    pub servers: BTreeMap<String, Sight>,
}

impl Propagation {
    /// Whether every server that was asked has the value.
    pub fn complete(&self) -> bool {
        !self.servers.is_empty() && self.servers.values().all(|sight| *sight == Sight::Seen)
    }
}

/// Looks names up through recursive servers, asked in order until one answers.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Arc<[Nameserver]>,
    http: Http,
    clock: Clock,
    options: Options,
    zones: Arc<Mutex<BTreeMap<(String, String), (Timestamp, String)>>>,
}

impl Resolver {
    /// Asks `servers`; where there are none, the two public ones that cert-manager falls back to.
    pub fn new(servers: Vec<Nameserver>, http: Http, clock: Clock, options: Options) -> Self {
        let servers = if servers.is_empty() { nameserver::fallback() } else { servers };
        Self { servers: servers.into(), http, clock, options, zones: Arc::default() }
    }

    /// The same with other recursive servers (a solver's `nameservers`), on the same cache; itself
    /// where there are none.
    pub fn with_servers(&self, servers: Vec<Nameserver>) -> Self {
        if servers.is_empty() {
            return self.clone();
        }
        Self { servers: servers.into(), ..self.clone() }
    }

    /// The zone that holds a name, with the last dot: the closest name upwards that has an SOA
    /// record of its own. Kept for the SOA's TTL.
    pub async fn zone_of(&self, fqdn: &str) -> Result<String, Error> {
        let name = parse(fqdn)?;
        let key = (self.label(), bare(fqdn));
        if let Some(zone) = self.cached(&key) {
            return Ok(zone);
        }
        for labels in (1..=usize::from(name.num_labels())).rev() {
            let candidate = name.trim_to(labels);
            let answer = self.ask(&candidate, RecordType::SOA).await?;
            if let Some(ttl) = zone_here(&answer, &candidate) {
                let zone = candidate.to_ascii().to_ascii_lowercase();
                self.keep(key, &zone, ttl);
                return Ok(zone);
            }
        }
        Err(Error::zone(format!("no zone found for {}", bare(fqdn))))
    }

    /// Where a name leads to by CNAMEs, with the last dot; the name itself where it has none.
    pub async fn follow_cname(&self, fqdn: &str) -> Result<String, Error> {
        let mut name = parse(fqdn)?;
        let mut seen = BTreeSet::from([name.to_lowercase()]);
        for _ in 0..MOST_CNAMES {
            let answer = self.ask(&name, RecordType::CNAME).await?;
            let Some(target) = cname(&answer, &name) else {
                return Ok(name.to_ascii().to_ascii_lowercase());
            };
            if !seen.insert(target.to_lowercase()) {
                return Err(Error::configuration(format!(
                    "{}: its CNAMEs form a loop",
                    bare(fqdn)
                )));
            }
            name = target;
        }
        Err(Error::configuration(format!("{}: more than {MOST_CNAMES} CNAMEs", bare(fqdn))))
    }

    /// Asks once who has a TXT record with this value. CNAMEs are followed, whatever the solver's
    /// strategy, since a CA follows them.
    pub async fn propagation(
        &self,
        fqdn: &str,
        value: &str,
        check: Check,
    ) -> Result<Propagation, Error> {
        let fqdn = self.follow_cname(fqdn).await?;
        let name = parse(&fqdn)?;
        let servers = match check {
            Check::Authoritative => self.at_authorities(&fqdn, &name, value).await?,
            Check::Recursive => self.at_recursive(&name, value).await,
        };
        Ok(Propagation { fqdn, servers })
    }

    /// The texts of a name's TXT records, each joined from its strings.
    pub async fn txt(&self, fqdn: &str) -> Result<Vec<String>, Error> {
        Ok(texts(&self.ask(&parse(fqdn)?, RecordType::TXT).await?))
    }

    /// A name's IPv4 and then its IPv6 addresses.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let name = parse(host)?;
        let (v4, v6) =
            futures::join!(self.ask(&name, RecordType::A), self.ask(&name, RecordType::AAAA));
        match (v4, v6) {
            (Err(error), Err(_)) => Err(error),
            (v4, v6) => {
                Ok([v4, v6].into_iter().flatten().flat_map(|answer| ips(&answer)).collect())
            }
        }
    }

    /// The CAA records that hold for a name (RFC 8659, section 3), found by climbing from it up to
    /// its top-level domain. An error says that they are not known, not that they forbid: a CA may
    /// see what this resolver does not.
    pub async fn caa(&self, domain: &str) -> Result<caa::Records, Error> {
        let name = parse(domain.strip_prefix("*.").unwrap_or(domain))?;
        for labels in (1..=usize::from(name.num_labels())).rev() {
            let owner = name.trim_to(labels);
            let answer = self.ask(&owner, RecordType::CAA).await?;
            let records = caa::records(&answer);
            if !records.is_empty() {
                return Ok(caa::Records { owner: bare(&owner.to_ascii()), records });
            }
        }
        Ok(caa::Records::default())
    }

    async fn at_recursive(&self, name: &Name, value: &str) -> BTreeMap<String, Sight> {
        let asked = self.servers.iter().map(|server| async move {
            let answer = self.ask_one(server, name, RecordType::TXT).await;
            (server.to_string(), sight(answer, value))
        });
        join_all(asked).await.into_iter().collect()
    }

    async fn at_authorities(
        &self,
        fqdn: &str,
        name: &Name,
        value: &str,
    ) -> Result<BTreeMap<String, Sight>, Error> {
        let zone = self.zone_of(fqdn).await?;
        let authorities = self.authorities(&zone).await?;
        let asked = authorities.into_iter().map(|authority| async move {
            let sight = self.at_authority(&authority, name, value).await;
            (bare(&authority), sight)
        });
        Ok(join_all(asked).await.into_iter().collect())
    }

    async fn authorities(&self, zone: &str) -> Result<BTreeSet<String>, Error> {
        let answer = self.ask(&parse(zone)?, RecordType::NS).await?;
        let names = answer.answers.iter().filter_map(|record| match &record.data {
            RData::NS(ns) => Some(ns.0.to_ascii().to_ascii_lowercase()),
            _ => None,
        });
        let names: BTreeSet<_> = names.take(MOST_AUTHORITIES).collect();
        if names.is_empty() {
            return Err(Error::zone(format!("the zone {} has no name servers", bare(zone))));
        }
        Ok(names)
    }

    /// One address that answers speaks for the server: a pod without IPv6 reaches only the rest.
    async fn at_authority(&self, authority: &str, name: &Name, value: &str) -> Sight {
        let addresses = match self.addresses(authority).await {
            Ok(addresses) => addresses,
            Err(error) => return Sight::Failed(error.to_string()),
        };
        let mut last = Sight::Failed("it has no address".to_owned());
        for address in addresses.into_iter().take(4) {
            let server = SocketAddr::new(address, self.options.authoritative_port);
            let answer = exchange::plain(server, name, RecordType::TXT, self.options.timeout).await;
            last = sight(answer.and_then(proper), value);
            if !matches!(last, Sight::Failed(_)) {
                break;
            }
        }
        last
    }

    /// Asks the servers in order until one answers with records or with their absence.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, Error> {
        let mut last = Error::configuration("no nameserver to ask");
        for server in self.servers.iter() {
            match self.ask_one(server, name, kind).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    last =
                        Error::transient(format!("{kind} of {}: {error}", bare(&name.to_ascii())))
                }
            }
        }
        Err(last)
    }

    async fn ask_one(
        &self,
        server: &Nameserver,
        name: &Name,
        kind: RecordType,
    ) -> Result<Message, Error> {
        let answer = match server {
            Nameserver::Https(url) => {
                exchange::https(&self.http, url, name, kind, self.options.timeout).await
            }
            Nameserver::Plain { host, port } => {
                let address = nameserver::address(host, *port).await?;
                exchange::plain(address, name, kind, self.options.timeout).await
            }
        };
        answer.and_then(proper)
    }

    fn label(&self) -> String {
        self.servers.iter().map(|server| format!("{server} ")).collect()
    }

    fn cached(&self, key: &(String, String)) -> Option<String> {
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, zone) = zones.get(key)?;
        (*until > self.clock.now()).then(|| zone.clone())
    }

    fn keep(&self, key: (String, String), zone: &str, ttl: u32) {
        let now = self.clock.now();
        let until =
            now.checked_add(SignedDuration::from_secs(i64::from(ttl.min(86_400)))).unwrap_or(now);
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if zones.len() >= MOST_CACHED {
            zones.retain(|_, (until, _)| *until > now);
        }
        if zones.len() < MOST_CACHED {
            zones.insert(key, (until, zone.to_owned()));
        }
    }
}

/// A name as an absolute one.
fn parse(text: &str) -> Result<Name, Error> {
    let wrong = || Error::configuration(format!("{text:?} is not a DNS name"));
    let mut name = Name::from_ascii(text).map_err(|_| wrong())?;
    name.set_fqdn(true);
    if name.is_root() { Err(wrong()) } else { Ok(name) }
}

/// Absence is an answer; refusals and failures are not.
fn proper(answer: Message) -> Result<Message, Error> {
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
        code => Err(Error::transient(format!("the server answered {code}"))),
    }
}

/// The TTL of the SOA record of this very name. A CNAME in the answer speaks of another name.
fn zone_here(answer: &Message, name: &Name) -> Option<u32> {
    let is_alias = answer.answers.iter().any(|record| record.record_type() == RecordType::CNAME);
    let soa = answer.answers.iter().find(|record| {
        record.record_type() == RecordType::SOA && record.name.to_lowercase() == name.to_lowercase()
    })?;
    (!is_alias).then_some(soa.ttl)
}

fn cname(answer: &Message, name: &Name) -> Option<Name> {
    answer.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name.to_lowercase() == name.to_lowercase() => {
            Some(target.0.clone())
        }
        _ => None,
    })
}

fn texts(answer: &Message) -> Vec<String> {
    let joined = |strings: &[Box<[u8]>]| String::from_utf8_lossy(&strings.concat()).into_owned();
    let texts = answer.answers.iter().filter_map(|record| match &record.data {
        RData::TXT(txt) => Some(joined(&txt.txt_data)),
        _ => None,
    });
    texts.collect()
}

fn ips(answer: &Message) -> Vec<IpAddr> {
    let ips = answer.answers.iter().filter_map(|record| match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    });
    ips.collect()
}

fn sight(answer: Result<Message, Error>, value: &str) -> Sight {
    match answer.map(|answer| texts(&answer)) {
        Ok(texts) if texts.iter().any(|text| text == value) => Sight::Seen,
        Ok(mut texts) => {
            texts.truncate(8);
            Sight::Absent(texts.iter().map(|text| text.chars().take(80).collect()).collect())
        }
        Err(error) => Sight::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
