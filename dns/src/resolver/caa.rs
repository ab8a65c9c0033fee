//! CAA: who may issue (RFC 8659), by which methods and for which account (RFC 8657).

use std::fmt;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::CAA;

/// Tags that need no obedience from who issues web certificates: where to report, whom to ask, and
/// who may issue for mail (RFC 9495) and for logos.
const HARMLESS: [&str; 5] = ["iodef", "contactemail", "contactphone", "issuemail", "issuevmc"];

/// The relevant set of a name: of the closest name upwards that has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The name that has them, without the last dot; empty where none has.
    pub owner: String,
    /// The records.
    pub records: Vec<Record>,
}

/// A CAA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whether who does not know the tag must not issue.
    pub critical: bool,
    /// The tag, in lower case.
    pub tag: String,
    /// The value; bytes outside UTF-8 are replaced.
    pub value: String,
}

impl fmt::Display for Record {
    /// As in a zone file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.critical { 128 } else { 0 };
        write!(f, "CAA {flags} {} {:?}", self.tag, self.value)
    }
}

/// Who wants to issue.
#[derive(Clone, Copy, Debug)]
pub struct Issuance<'a> {
    /// The CA's names (`caaIdentities` of its directory).
    pub identities: &'a [String],
    /// The account's URL; an `accounturi` that is not it forbids.
    pub account: &'a str,
    /// The challenge's type, `dns-01` for instance.
    pub method: &'a str,
    /// Whether it is for a wildcard name.
    pub wildcard: bool,
}

/// Why a set forbids an issuance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The name that has the record.
    pub owner: String,
    /// The record that blocks; where several fail to allow, the one that comes closest.
    pub record: Record,
    /// What it would need.
    pub reason: Reason,
}

/// What a record that blocks would need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It names another CA, or none.
    Issuer,
    /// It names another account of this CA (RFC 8657, section 3).
    Account,
    /// It names other methods (RFC 8657, section 4).
    Method,
    /// It is critical, and its tag is not known.
    UnknownCritical,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            Reason::Issuer => "does not name this CA",
            Reason::Account => "names another account",
            Reason::Method => "allows other validation methods only",
            Reason::UnknownCritical => "is critical and not understood",
        };
        write!(f, "{} has {}, which {why}", self.owner, self.record)
    }
}

impl Records {
    /// The record that forbids the issuance, if any does.
    pub fn block(&self, wanted: &Issuance<'_>) -> Option<Block> {
        let block = |(record, reason): (&Record, Reason)| Block {
            owner: self.owner.clone(),
            record: record.clone(),
            reason,
        };
        if let Some(unknown) = self.records.iter().find(|record| record.is_unknown_critical()) {
            return Some(block((unknown, Reason::UnknownCritical)));
        }
        let mut refusals = Vec::new();
        for record in self.restrictions(wanted.wildcard) {
            match record.refuses(wanted) {
                None => return None,
                Some(reason) => refusals.push((record, reason)),
            }
        }
        // The first of those that come closest: same CA, then same account.
        let closest = refusals.iter().map(|(_, reason)| *reason).max()?;
        refusals.into_iter().find(|(_, reason)| *reason == closest).map(block)
    }

    /// For a wildcard, `issue` counts only where there is no `issuewild` (RFC 8659, section 4.3).
    fn restrictions(&self, wildcard: bool) -> Vec<&Record> {
        let tagged =
            |tag: &str| self.records.iter().filter(|record| record.tag == tag).collect::<Vec<_>>();
        let wild = if wildcard { tagged("issuewild") } else { Vec::new() };
        if wild.is_empty() { tagged("issue") } else { wild }
    }
}

impl Record {
    fn is_unknown_critical(&self) -> bool {
        let known = matches!(self.tag.as_str(), "issue" | "issuewild");
        self.critical && !known && !HARMLESS.contains(&self.tag.as_str())
    }

    /// Why this `issue` or `issuewild` record does not allow it. A malformed one allows nobody.
    fn refuses(&self, wanted: &Issuance<'_>) -> Option<Reason> {
        let Some((issuer, parameters)) = parse(&self.value) else { return Some(Reason::Issuer) };
        if !wanted.identities.iter().any(|name| same_name(name, issuer)) {
            return Some(Reason::Issuer);
        }
        let of = |tag: &str| {
            let tagged = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(tag));
            tagged.map(|(_, value)| *value).collect::<Vec<_>>()
        };
        // Given twice, no account matches (RFC 8657, section 3).
        match of("accounturi")[..] {
            [] => {}
            [account] if account == wanted.account => {}
            _ => return Some(Reason::Account),
        }
        match of("validationmethods")[..] {
            [] => None,
            [methods] if methods.split(',').any(|method| method.trim() == wanted.method) => None,
            _ => Some(Reason::Method),
        }
    }
}

fn same_name(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    bare(one) == bare(other)
}

/// The issuer's name and the parameters of a value (RFC 8659, section 4.2).
fn parse(value: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let (issuer, rest) = value.split_once(';').unwrap_or((value, ""));
    let issuer = issuer.trim_matches([' ', '\t']);
    let is_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !issuer.chars().all(is_label) {
        return None;
    }
    let parameters = rest.split(';').map(str::trim).filter(|parameter| !parameter.is_empty());
    let pairs = parameters.map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        Some((name.trim(), value.trim()))
    });
    Some((issuer, pairs.collect::<Option<_>>()?))
}

/// The CAA records of an answer, those at the end of a chain of CNAMEs too.
pub(super) fn records(answer: &Message) -> Vec<Record> {
    let caa = answer.answers.iter().filter_map(|record| match &record.data {
        RData::CAA(caa) => Some(record_of(caa)),
        _ => None,
    });
    caa.collect()
}

fn record_of(caa: &CAA) -> Record {
    Record {
        critical: caa.issuer_critical,
        tag: caa.tag.to_ascii_lowercase(),
        value: String::from_utf8_lossy(&caa.value).into_owned(),
    }
}

#[cfg(test)]
mod tests;
