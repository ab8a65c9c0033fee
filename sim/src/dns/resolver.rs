//! Finding a name: through the servers of each zone, and behind a cache.

use std::collections::BTreeMap;

use super::Dns;
use super::record::{Data, Record, RecordType, normal};
use super::server::{Answer, MAX_ALIASES, Rcode};

/// Why a name was not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist.
    #[error("NXDOMAIN")]
    NxDomain,
    /// No server of the zone gave a usable answer, or there is no zone.
    #[error("SERVFAIL")]
    ServFail,
    /// No server of the zone answered.
    #[error("query timed out")]
    Timeout,
    /// The aliases lead in a circle, or further than resolvers follow.
    #[error("too many aliases")]
    CnameLoop,
}

impl Dns {
    /// What a resolver without a cache finds at `now`: the records of that type, behind the
    /// aliases that led to them; empty if the name has none of that type. `vantage` decides which
    /// server of a zone is asked first; the others are asked where it gives no usable answer.
    pub fn resolve(
        &self,
        vantage: usize,
        name: &str,
        kind: RecordType,
        now: i64,
    ) -> Result<Vec<Record>, ResolveError> {
        let mut name = normal(name);
        let mut out: Vec<Record> = Vec::new();
        while out.len() <= MAX_ALIASES {
            let answer = self.ask_zone(vantage, &name, kind, now)?;
            let found = answer.answers.iter().any(|record| record.data.kind() == kind);
            let aliases = |record: &&Record| matches!(record.data, Data::Cname(_));
            let last = alias_end(&name, &answer.answers);
            let again = answer.answers.iter().filter(aliases).any(|record| out.contains(record));
            out.extend(answer.answers);
            match (found, last) {
                (true, _) => return Ok(out),
                (false, _) if again => return Err(ResolveError::CnameLoop),
                (false, Some(target)) => name = target,
                (false, None) if answer.rcode == Rcode::NxDomain => {
                    return Err(ResolveError::NxDomain);
                }
                (false, None) => return Ok(Vec::new()),
            }
        }
        Err(ResolveError::CnameLoop)
    }

    /// The texts of a name, without the aliases.
    pub fn resolve_txt(
        &self,
        vantage: usize,
        name: &str,
        now: i64,
    ) -> Result<Vec<String>, ResolveError> {
        Ok(texts(&self.resolve(vantage, name, RecordType::Txt, now)?))
    }

    fn ask_zone(
        &self,
        vantage: usize,
        name: &str,
        kind: RecordType,
        now: i64,
    ) -> Result<Answer, ResolveError> {
        let zone = self.zone_of(name).ok_or(ResolveError::NxDomain)?;
        let servers = self.servers_of(zone);
        let mut answered = false;
        for at in 0..servers.len() {
            let server = &servers[vantage.wrapping_add(at) % servers.len()];
            let Ok(answer) = self.query(server, name, kind, now) else { continue };
            answered = true;
            if answer.authoritative {
                return Ok(answer);
            }
        }
        Err(if answered { ResolveError::ServFail } else { ResolveError::Timeout })
    }
}

/// Where the aliases of an answer lead: to a name that it says nothing more about.
fn alias_end(name: &str, answers: &[Record]) -> Option<String> {
    let next = |at: &str| {
        answers.iter().find(|record| record.name == at).and_then(|record| match &record.data {
            Data::Cname(target) => Some(normal(target)),
            _ => None,
        })
    };
    let mut at = next(name)?;
    for _ in 0..answers.len() {
        match next(&at) {
            Some(further) => at = further,
            None => break,
        }
    }
    Some(at)
}

pub(super) fn texts(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| match &record.data {
        Data::Txt(text) => Some(text.clone()),
        _ => None,
    };
    records.iter().filter_map(text).collect()
}

/// What is cached: the answer, and when it is to be forgotten.
type Cached = (i64, Result<Vec<Record>, ResolveError>);

/// A recursive resolver with a cache: it shows old answers until their TTL is over, negative ones
/// included. What failed is not cached.
#[derive(Clone, Debug)]
pub struct Resolver {
    vantage: usize,
    capacity: usize,
    cache: BTreeMap<(String, RecordType), Cached>,
}

impl Resolver {
    /// A resolver that asks the servers of a zone from `vantage` on and keeps at most `capacity`
    /// answers.
    pub fn new(vantage: usize, capacity: usize) -> Self {
        Resolver { vantage, capacity, cache: BTreeMap::new() }
    }

    /// As [`Dns::resolve`], from the cache where it can.
    pub fn resolve(
        &mut self,
        dns: &Dns,
        name: &str,
        kind: RecordType,
        now: i64,
    ) -> Result<Vec<Record>, ResolveError> {
        let key = (normal(name), kind);
        if let Some((until, answer)) = self.cache.get(&key)
            && now < *until
        {
            return answer.clone();
        }
        let answer = dns.resolve(self.vantage, name, kind, now);
        let ttl = self.ttl(dns, &key.0, &answer, now);
        self.cache.remove(&key);
        if let Some(ttl) = ttl {
            self.make_room(now);
            if self.cache.len() < self.capacity {
                self.cache.insert(key, (now + i64::from(ttl) * 1000, answer.clone()));
            }
        }
        answer
    }

    /// The texts of a name, without the aliases.
    pub fn resolve_txt(
        &mut self,
        dns: &Dns,
        name: &str,
        now: i64,
    ) -> Result<Vec<String>, ResolveError> {
        Ok(texts(&self.resolve(dns, name, RecordType::Txt, now)?))
    }

    fn ttl(
        &self,
        dns: &Dns,
        name: &str,
        answer: &Result<Vec<Record>, ResolveError>,
        now: i64,
    ) -> Option<u32> {
        match answer {
            Ok(records) if !records.is_empty() => records.iter().map(|record| record.ttl).min(),
            Ok(_) | Err(ResolveError::NxDomain) => {
                let zone = dns.zone_of(name)?;
                let soa = dns.resolve(self.vantage, zone, RecordType::Soa, now).ok()?;
                soa.iter().find_map(|record| match record.data {
                    Data::Soa { minimum, .. } => Some(minimum.min(record.ttl)),
                    _ => None,
                })
            }
            Err(_) => None,
        }
    }

    fn make_room(&mut self, now: i64) {
        if self.cache.len() >= self.capacity {
            self.cache.retain(|_, (until, _)| now < *until);
        }
        if self.cache.len() >= self.capacity {
            let soonest = self.cache.iter().min_by_key(|(_, (until, _))| *until);
            if let Some(key) = soonest.map(|(key, _)| key.clone()) {
                self.cache.remove(&key);
            }
        }
    }
}
