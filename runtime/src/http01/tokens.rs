//! What is answered: the key authorizations of open Challenges, by token and host for HTTP-01, by
//! host for TLS-ALPN-01.

use super::alpn::Proof;
use everleaf_engine::{Delta, ObjectKey};
use everleaf_nodes::facts::{ChallengeFacts, Method};
use everleaf_nodes::{Facts, Kind, feed};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// So many Challenges are answered; the oldest go first. Many times what is validated at once.
pub const MOST_TOKENS: usize = 20_000;

/// Where a CA looks for a token's answer.
pub fn path(token: &str) -> String {
    format!("/.well-known/acme-challenge/{token}")
}

/// What a Challenge is answered with.
#[derive(Clone)]
pub struct Answered {
    /// How it is met; by DNS-01, nothing is answered here.
    pub method: Method,
    /// The name or address that is proved.
    pub host: Arc<str>,
    /// The token.
    pub token: Arc<str>,
    /// The key authorization.
    pub key: Arc<str>,
}

impl Answered {
    /// What it is looked up by.
    fn index(&self) -> (Method, Arc<str>) {
        match self.method {
            Method::TlsAlpn01 => (self.method, self.host.clone()),
            Method::Http01 | Method::Dns01 => (self.method, self.token.clone()),
        }
    }
}

struct Entry {
    answered: Answered,
    proof: Proof,
    number: u64,
}

#[derive(Default)]
struct Held {
    by_challenge: BTreeMap<ObjectKey<Kind>, Entry>,
    /// The Challenges that are met so, the newest last.
    index: BTreeMap<(Method, Arc<str>), Vec<ObjectKey<Kind>>>,
    by_age: BTreeMap<u64, ObjectKey<Kind>>,
    /// How many were ever held.
    number: u64,
    /// The list under way: what it showed, and the number at which it began.
    list: Option<(BTreeSet<ObjectKey<Kind>>, u64)>,
}

/// The answers of this process. Clones share them; bounded by [`MOST_TOKENS`].
#[derive(Clone, Default)]
pub struct Tokens(Arc<RwLock<Held>>);

impl Tokens {
    /// Answers for a Challenge from now on.
    pub fn put(&self, challenge: &ObjectKey<Kind>, answered: &Answered) {
        let answered = Answered { host: canonical(&answered.host), ..answered.clone() };
        self.0.write().unwrap_or_else(PoisonError::into_inner).put(challenge, answered);
    }

    /// Answers no more for a Challenge.
    pub fn remove(&self, challenge: &ObjectKey<Kind>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(challenge);
    }

    /// The key authorization for a token, asked for under this Host header.
    pub fn get(&self, token: &str, host: &str) -> Option<Arc<str>> {
        let host = canonical(bare(host));
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = held.found(Method::Http01, token);
        found.find(|entry| entry.answered.host == host).map(|entry| entry.answered.key.clone())
    }

    /// The proof by TLS-ALPN-01 for a host. Where two accounts prove one host at once, that of
    /// the newer Challenge: a handshake names the host alone.
    pub fn proof(&self, host: &str) -> Option<(Answered, Proof)> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = held.found(Method::TlsAlpn01, &canonical(host)).next()?;
        Some((entry.answered.clone(), entry.proof.clone()))
    }

    /// Takes over what a watch shows of Challenges; everything else is passed by.
    pub fn observe(&self, delta: &Delta<Kind, Facts>) {
        match delta {
            Delta::Applied { key, facts, .. } => {
                if let Some(challenge) = facts.challenge() {
                    self.follow(key, challenge);
                }
            }
            Delta::Deleted { key, .. } | Delta::Absent { key } if key.kind == Kind::Challenge => {
                self.remove(key);
            }
            Delta::ListBegin { feed: feed::CHALLENGES } => {
                let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
                held.list = Some((BTreeSet::new(), held.number));
            }
            Delta::ListEnd { feed: feed::CHALLENGES, .. } => {
                self.0.write().unwrap_or_else(PoisonError::into_inner).sweep();
            }
            _ => {}
        }
    }

    fn follow(&self, key: &ObjectKey<Kind>, challenge: &ChallengeFacts) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // From its creation on: whoever presents it may reach any replica the moment after.
        if challenge.method == Method::Dns01 || challenge.deleting() || challenge.state.is_final() {
            return held.remove(key);
        }
        if let Some((shown, _)) = &mut held.list {
            shown.insert(key.clone());
        }
        let answered = Answered {
            method: challenge.method,
            host: canonical(&challenge.dns_name),
            token: challenge.token.clone(),
            key: challenge.key.clone(),
        };
        held.put(key, answered);
    }
}

impl Held {
    fn found(&self, method: Method, by: &str) -> impl Iterator<Item = &Entry> {
        let keys = self.index.get(&(method, by.into()));
        keys.into_iter().flatten().rev().filter_map(|key| self.by_challenge.get(key))
    }

    fn put(&mut self, challenge: &ObjectKey<Kind>, answered: Answered) {
        let same = |was: &Answered| {
            (was.method, &was.host, &was.token, &was.key)
                == (answered.method, &answered.host, &answered.token, &answered.key)
        };
        if self.by_challenge.get(challenge).is_some_and(|entry| same(&entry.answered)) {
            return;
        }
        self.remove(challenge);
        self.number += 1;
        let number = self.number;
        self.index.entry(answered.index()).or_default().push(challenge.clone());
        self.by_age.insert(number, challenge.clone());
        let entry = Entry { answered, proof: Proof::default(), number };
        self.by_challenge.insert(challenge.clone(), entry);
        while self.by_challenge.len() > MOST_TOKENS {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, challenge: &ObjectKey<Kind>) {
        let Some(entry) = self.by_challenge.remove(challenge) else { return };
        self.by_age.remove(&entry.number);
        let index = entry.answered.index();
        if let Some(keys) = self.index.get_mut(&index) {
            keys.retain(|key| key != challenge);
            if keys.is_empty() {
                self.index.remove(&index);
            }
        }
    }

    /// Forgets what a complete list did not show, but for what came after it began.
    fn sweep(&mut self) {
        let Some((shown, began)) = self.list.take() else { return };
        let old = self.by_challenge.iter().filter(|(_, entry)| entry.number <= began);
        let gone: Vec<_> =
            old.map(|(key, _)| key).filter(|key| !shown.contains(key)).cloned().collect();
        gone.iter().for_each(|key| self.remove(key));
    }
}

/// A name in lower case, an address as it is written shortest.
fn canonical(host: &str) -> Arc<str> {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_string().into(),
        Err(_) => host.to_ascii_lowercase().into(),
    }
}

/// A Host header without port, brackets and last dot.
fn bare(host: &str) -> &str {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None if host.matches(':').count() > 1 => host,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
pub(super) mod tests;
