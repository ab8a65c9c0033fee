//! Anti-replay nonces (RFC 8555 section 6.5), kept for the next request.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::token::is_base64url;

/// Most unused nonces that are kept. CAs forget old ones, so the oldest is dropped first.
pub const MAX_NONCES: usize = 64;

/// How many nonces are remembered, so that one that comes a second time (from a cache on the way,
/// mostly) is not sent a second time.
const MEMORY: usize = 1024;

/// Longest nonce that is accepted, in octets.
const MAX_LENGTH: usize = 512;

/// A stock of nonces that were never sent.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<State>);

#[derive(Default)]
struct State {
    unused: VecDeque<String>,
    known: BTreeSet<String>,
    order: VecDeque<String>,
}

impl Nonces {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nonce, if it is one (RFC 8555 section 6.5.1) and was not seen before. It is the
    /// caller's from then on.
    pub(crate) fn admit(&self, nonce: &str) -> Option<String> {
        if !(1..=MAX_LENGTH).contains(&nonce.len()) || !is_base64url(nonce) {
            return None;
        }
        let mut state = self.lock();
        if !state.known.insert(nonce.to_owned()) {
            return None;
        }
        state.order.push_back(nonce.to_owned());
        if state.order.len() > MEMORY
            && let Some(oldest) = state.order.pop_front()
        {
            state.known.remove(&oldest);
        }
        Some(nonce.to_owned())
    }

    /// Keeps an admitted nonce for later.
    pub(crate) fn keep(&self, nonce: String) {
        let mut state = self.lock();
        state.unused.push_back(nonce);
        if state.unused.len() > MAX_NONCES {
            state.unused.pop_front();
        }
    }

    /// The newest nonce; nobody else gets it.
    pub(crate) fn take(&self) -> Option<String> {
        self.lock().unused.pop_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_that_comes_twice_is_taken_once() {
        let nonces = Nonces::default();
        assert_eq!(nonces.admit("abc").as_deref(), Some("abc"));
        assert_eq!(nonces.admit("abc"), None);
    }

    #[test]
    fn what_is_no_base64url_is_ignored_as_the_rfc_demands() {
        let nonces = Nonces::default();
        for bad in ["", "a b", "a+b", "a=", "ä", &"a".repeat(MAX_LENGTH + 1)] {
            assert_eq!(nonces.admit(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_stock_and_the_memory_are_bounded_and_the_newest_goes_first() {
        let nonces = Nonces::default();
        for n in 0..2 * MEMORY {
            let nonce = nonces.admit(&n.to_string()).unwrap();
            nonces.keep(nonce);
        }
        let state = nonces.lock();
        assert_eq!((state.known.len(), state.order.len()), (MEMORY, MEMORY));
        drop(state);
        let taken: Vec<String> = std::iter::from_fn(|| nonces.take()).collect();
        assert_eq!(taken.len(), MAX_NONCES);
        assert_eq!(taken[0], (2 * MEMORY - 1).to_string());
    }
}
