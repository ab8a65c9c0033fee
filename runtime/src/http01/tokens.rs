//! What is answered: key authorizations by token.

use everleaf_engine::Delta;
use everleaf_nodes::facts::{ChallengeFacts, Method};
use everleaf_nodes::{Facts, Kind};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

/// So many tokens are kept; the oldest go first. Many times what is validated at once.
pub const MOST_TOKENS: usize = 20_000;

/// Where a CA looks for a token's answer.
pub fn path(token: &str) -> String {
    format!("/.well-known/acme-challenge/{token}")
}

struct Entry {
    host: Box<str>,
    key: Arc<str>,
}

#[derive(Default)]
struct Held {
    /// By token; one may be shared by Challenges of several names.
    by_token: BTreeMap<Arc<str>, Vec<Entry>>,
    order: VecDeque<(Arc<str>, Box<str>)>,
}

/// Key authorizations by token and host. Clones share them; bounded by [`MOST_TOKENS`].
#[derive(Clone, Default)]
pub struct Tokens(Arc<RwLock<Held>>);

impl Tokens {
    /// Answers for a token at a host, a name or an address without a port, from now on.
    pub fn put(&self, token: &Arc<str>, host: &str, key: &Arc<str>) {
        let host: Box<str> = host.to_ascii_lowercase().into();
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entries = held.by_token.entry(token.clone()).or_default();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.host == host) {
            entry.key = key.clone();
            return;
        }
        entries.push(Entry { host: host.clone(), key: key.clone() });
        held.order.push_back((token.clone(), host));
        while held.order.len() > MOST_TOKENS {
            if let Some((token, host)) = held.order.pop_front() {
                held.drop_entry(&token, &host);
            }
        }
    }

    /// Answers no more for a token at a host.
    pub fn remove(&self, token: &str, host: &str) {
        let host = host.to_ascii_lowercase();
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.drop_entry(token, &host) {
            held.order.retain(|(t, h)| **t != *token || **h != *host);
        }
    }

    /// The key authorization for a token, asked for under this Host header.
    pub fn get(&self, token: &str, host: &str) -> Option<Arc<str>> {
        let host = bare(host).to_ascii_lowercase();
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = held.by_token.get(token)?.iter().find(|entry| *entry.host == *host)?;
        Some(entry.key.clone())
    }

    /// Takes over what a watch shows of Challenges; everything else is passed by.
    pub fn observe(&self, delta: &Delta<Kind, Facts>) {
        if let Delta::Applied { facts, .. } = delta
            && let Some(challenge) = facts.challenge()
            && challenge.method == Method::Http01
        {
            self.follow(challenge);
        }
    }

    fn follow(&self, challenge: &ChallengeFacts) {
        let ChallengeFacts { token, dns_name, key, .. } = challenge;
        // It may be presented before its status says so.
        if challenge.guarded && !challenge.state.is_final() {
            self.put(token, dns_name, key);
        } else {
            self.remove(token, dns_name);
        }
    }
}

impl Held {
    fn drop_entry(&mut self, token: &str, host: &str) -> bool {
        let Some(entries) = self.by_token.get_mut(token) else { return false };
        let before = entries.len();
        entries.retain(|entry| *entry.host != *host);
        let dropped = entries.len() < before;
        if entries.is_empty() {
            self.by_token.remove(token);
        }
        dropped
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
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_port_brackets_case_and_last_dot() {
        let tokens = Tokens::default();
        tokens.put(&"t".into(), "Shop.example.test", &"t.k".into());
        tokens.put(&"six".into(), "2001:db8::1", &"six.k".into());
        for host in ["shop.example.test", "SHOP.example.test:80", "shop.example.test."] {
            assert_eq!(tokens.get("t", host).as_deref(), Some("t.k"), "{host}");
        }
        for host in ["[2001:db8::1]:80", "[2001:DB8::1]", "2001:db8::1"] {
            assert_eq!(tokens.get("six", host).as_deref(), Some("six.k"), "{host}");
        }
        for host in ["other.example.test", "", "shop.example.test.evil.test"] {
            assert_eq!(tokens.get("t", host), None, "{host}");
        }
    }

    #[test]
    fn two_names_of_one_token_are_two_answers_and_go_one_by_one() {
        let tokens = Tokens::default();
        tokens.put(&"t".into(), "a.test", &"k1".into());
        tokens.put(&"t".into(), "b.test", &"k2".into());
        tokens.remove("t", "A.test");
        assert_eq!(tokens.get("t", "a.test"), None);
        assert_eq!(tokens.get("t", "b.test").as_deref(), Some("k2"));
    }

    #[test]
    fn it_never_holds_more_than_its_bound_and_forgets_the_oldest() {
        let tokens = Tokens::default();
        for number in 0..=MOST_TOKENS {
            tokens.put(&format!("{number}").into(), "a.test", &"k".into());
        }
        assert_eq!(tokens.get("0", "a.test"), None);
        assert!(tokens.get(&MOST_TOKENS.to_string(), "a.test").is_some());
        assert_eq!(tokens.0.read().unwrap().by_token.len(), MOST_TOKENS);
    }
}
