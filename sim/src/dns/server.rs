//! What one server answers.

use super::Dns;
use super::record::{Data, Record, RecordType, ancestors, is_within, normal};
use super::zone::Zone;
use crate::world::rng::Rng;

/// Aliases that one answer follows at most.
pub(super) const MAX_ALIASES: usize = 16;
/// Faults of one server at most; the oldest gives way.
const MAX_FAULTS: usize = 64;

/// What goes wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFault {
    /// It does not know its zones: it answers REFUSED.
    Lame,
    /// It answers SERVFAIL.
    ServFail,
    /// It does not answer.
    Silent,
    /// It gives the records of an answer in an order of its own, another one each millisecond.
    Shuffled,
}

/// The code of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    /// The name exists, or somebody else knows; there may be no record of that type.
    NoError,
    /// The name does not exist.
    NxDomain,
    /// The server failed.
    ServFail,
    /// The server does not serve that name.
    Refused,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its code.
    pub rcode: Rcode,
    /// Whether the server speaks for the zone.
    pub authoritative: bool,
    /// The records asked for, behind the aliases that lead to them. Aliases that lead back to one
    /// of them end where they do.
    pub answers: Vec<Record>,
    /// With no answer: the SOA of the zone, or the NS records of the one below that knows.
    pub authority: Vec<Record>,
}

impl Answer {
    fn empty(rcode: Rcode) -> Self {
        Answer { rcode, authoritative: false, answers: Vec::new(), authority: Vec::new() }
    }
}

/// Why there is no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The server does not answer.
    #[error("the server did not answer in time")]
    Timeout,
    /// There is no such server.
    #[error("there is no such server")]
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) lag: i64,
    faults: Vec<(ServerFault, i64, i64)>,
}

impl Server {
    pub(super) fn strike(&mut self, fault: ServerFault, from: i64, until: i64) {
        if self.faults.len() >= MAX_FAULTS {
            self.faults.remove(0);
        }
        self.faults.push((fault, from, until));
    }

    fn suffers(&self, fault: ServerFault, now: i64) -> bool {
        self.faults.iter().any(|(it, from, until)| *it == fault && (*from..*until).contains(&now))
    }
}

impl Dns {
    /// What a server answers at `now`, in milliseconds since 1970: with records as of its lag ago.
    pub fn query(
        &self,
        server: &str,
        name: &str,
        kind: RecordType,
        now: i64,
    ) -> Result<Answer, NoAnswer> {
        let (server, name) = (normal(server), normal(name));
        let state = self.servers.get(&server).ok_or(NoAnswer::Unknown)?;
        if state.suffers(ServerFault::Silent, now) {
            return Err(NoAnswer::Timeout);
        }
        if state.suffers(ServerFault::ServFail, now) {
            return Ok(Answer::empty(Rcode::ServFail));
        }
        let zone = self.served_zone(&server, &name);
        let Some(zone) = zone.filter(|_| !state.suffers(ServerFault::Lame, now)) else {
            return Ok(Answer::empty(Rcode::Refused));
        };
        let at = now.saturating_sub(state.lag);
        let mut answer = match self.delegated(zone, &server, &name, at) {
            Some(referral) => referral,
            None => answer_from(zone, name, kind, at),
        };
        if state.suffers(ServerFault::Shuffled, now) {
            shuffle(&mut answer.answers, self.seed ^ now.unsigned_abs(), &server);
        }
        Ok(answer)
    }

    fn served_zone(&self, server: &str, name: &str) -> Option<&Zone> {
        let mut zones = ancestors(name).filter_map(|up| self.zones.get(up));
        zones.find(|zone| zone.servers.iter().any(|it| it == server))
    }

    /// Where a zone further down, which this server does not serve, knows about the name.
    fn delegated(&self, zone: &Zone, server: &str, name: &str, at: i64) -> Option<Answer> {
        let below = ancestors(name).take_while(|up| *up != zone.name);
        let below: Vec<&Zone> = below.filter_map(|up| self.zones.get(up)).collect();
        let child = below.into_iter().rfind(|it| !it.servers.iter().any(|s| s == server))?;
        let authority = child.live(&child.name, RecordType::Ns, at);
        Some(Answer { authority, ..Answer::empty(Rcode::NoError) })
    }
}

fn answer_from(zone: &Zone, mut name: String, kind: RecordType, at: i64) -> Answer {
    let mut out = Answer { authoritative: true, ..Answer::empty(Rcode::NoError) };
    for _ in 0..MAX_ALIASES {
        let found = zone.answer(&name, kind, at);
        if !found.is_empty() {
            out.answers.extend(found);
            return out;
        }
        let alias = zone.answer(&name, RecordType::Cname, at).into_iter().next();
        let Some(alias) = alias.filter(|_| kind != RecordType::Cname) else { break };
        if out.answers.contains(&alias) {
            return out;
        }
        if let Data::Cname(target) = &alias.data {
            name = normal(target);
        }
        out.answers.push(alias);
        if !is_within(&name, &zone.name) {
            return out;
        }
    }
    if !zone.exists(&name, at) && !zone.wildcard_covers(&name, at) {
        out.rcode = Rcode::NxDomain;
    }
    out.authority.push(zone.soa(at));
    out
}

fn shuffle(records: &mut [Record], seed: u64, server: &str) {
    let mut rng = Rng::new(seed, server);
    for last in (1..records.len()).rev() {
        let other = usize::try_from(rng.below(last as u64 + 1)).unwrap_or(0);
        records.swap(last, other);
    }
}
