//! A model of the DNS on virtual time: zones, the servers that serve them, and a resolver.
//!
//! [`Dns`] is one value with no clock, no threads and no chance: [`Dns::query`] says what one
//! server answers at one instant, [`Dns::resolve`] what a resolver finds that asks the servers of
//! each zone in turn, and [`Resolver`] the same behind a cache. A change made through
//! [`Dns::apply`], or by a [`Provider`] that limits its callers, is seen by each server after that
//! server's lag. What goes wrong is put there by the caller: [`Dns::strike`].
//!
//! It knows nothing about: DNSSEC, the wire format, zone transfers, glue and the root, TTLs other
//! than in [`Resolver`], classes other than IN, and types other than those of [`RecordType`].

mod provider;
mod record;
mod resolver;
mod server;
mod zone;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use provider::{Provider, Refused};
pub use record::{Data, Record, RecordType, normal};
pub use resolver::{ResolveError, Resolver};
pub use server::{Answer, NoAnswer, Rcode, ServerFault};
pub use zone::{Change, ChangeError};

use server::Server;
use zone::Zone;

/// The longest lag of a server behind a change, in milliseconds: what is older is forgotten.
pub const MAX_LAG: i64 = 7 * 86_400_000;

/// Zones that one model holds at most.
pub const MAX_ZONES: usize = 10_000;

/// The model.
#[derive(Clone, Debug)]
pub struct Dns {
    seed: u64,
    zones: BTreeMap<String, Zone>,
    servers: BTreeMap<String, Server>,
}

impl Dns {
    /// A DNS without zones; `seed` decides the odd orders of [`ServerFault::Shuffled`].
    pub fn new(seed: u64) -> Self {
        Dns { seed, zones: BTreeMap::new(), servers: BTreeMap::new() }
    }

    /// Adds a zone that these servers serve, with its SOA and NS records. Servers are named like
    /// hosts and may serve many zones. A zone that exists is left as it is, as is a model that
    /// holds [`MAX_ZONES`]; the answer says whether it was added.
    pub fn add_zone(&mut self, name: &str, servers: &[&str]) -> bool {
        let name = normal(name);
        if self.zones.contains_key(&name) || self.zones.len() >= MAX_ZONES || servers.is_empty() {
            return false;
        }
        let servers: Vec<String> = servers.iter().map(|server| normal(server)).collect();
        for server in &servers {
            self.servers.entry(server.clone()).or_default();
        }
        self.zones.insert(name.clone(), Zone::new(name, servers));
        true
    }

    /// Makes a change at `now`, in milliseconds since 1970. Servers show it after their lag.
    pub fn apply(&mut self, now: i64, change: &Change) -> Result<(), ChangeError> {
        let name = normal(change.zone());
        let zone = self.zones.get_mut(&name).ok_or(ChangeError::NoZone(name))?;
        zone.apply(now, change)
    }

    /// Adds one value beside those that are there, in the closest zone.
    pub fn add(&mut self, now: i64, name: &str, data: Data) -> Result<(), ChangeError> {
        let name = normal(name);
        let zone = self.zone_of(&name).ok_or_else(|| ChangeError::NoZone(name.clone()))?.to_owned();
        self.apply(now, &Change::Add { zone, name, ttl: 60, data })
    }

    /// Removes exactly this value, from the closest zone.
    pub fn remove(&mut self, now: i64, name: &str, data: Data) -> Result<(), ChangeError> {
        let name = normal(name);
        let zone = self.zone_of(&name).ok_or_else(|| ChangeError::NoZone(name.clone()))?.to_owned();
        self.apply(now, &Change::Remove { zone, name, data })
    }

    /// Sets how far a server is behind changes, in milliseconds: from 0 to [`MAX_LAG`].
    pub fn set_lag(&mut self, server: &str, lag: i64) {
        self.servers.entry(normal(server)).or_default().lag = lag.clamp(0, MAX_LAG);
    }

    /// Lets a fault strike a server from `from` until just before `until`.
    pub fn strike(&mut self, server: &str, fault: ServerFault, from: i64, until: i64) {
        self.servers.entry(normal(server)).or_default().strike(fault, from, until);
    }

    /// Ends every fault of every server, and every lag.
    pub fn heal(&mut self) {
        self.servers.values_mut().for_each(|server| *server = Server::default());
    }

    /// The closest zone that a name is in.
    pub fn zone_of(&self, name: &str) -> Option<&str> {
        let name = normal(name);
        let found = record::ancestors(&name).find(|zone| self.zones.contains_key(*zone))?;
        self.zones.get_key_value(found).map(|(zone, _)| zone.as_str())
    }

    /// The servers of a zone, in the order given; empty if there is no such zone.
    pub fn servers_of(&self, zone: &str) -> &[String] {
        self.zones.get(&normal(zone)).map_or(&[], |zone| &zone.servers)
    }

    /// The values of one name and type as the zone's owner sees them at `now`, without any server.
    pub fn values(&self, now: i64, name: &str, kind: RecordType) -> Vec<Data> {
        let name = normal(name);
        let zone = self.zone_of(&name).and_then(|zone| self.zones.get(zone));
        let set = zone.map(|zone| zone.live(&name, kind, now)).unwrap_or_default();
        set.into_iter().map(|record| record.data).collect()
    }

    /// Every record whose value is a TXT and that is there at `now`: what clean-up must have
    /// removed when nothing is open any more.
    pub fn texts(&self, now: i64) -> Vec<Record> {
        self.zones.values().flat_map(|zone| zone.texts(now)).collect()
    }

    /// Whether every server of the zone shows, at `now`, what was changed at `since`: the signal
    /// that some providers give (Route53 `INSYNC`, Cloud DNS `done`).
    pub fn in_sync(&self, zone: &str, since: i64, now: i64) -> bool {
        let lag = |server: &String| self.servers.get(server).map_or(0, |server| server.lag);
        self.servers_of(zone).iter().all(|server| since.saturating_add(lag(server)) <= now)
    }
}
