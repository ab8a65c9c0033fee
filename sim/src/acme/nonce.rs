//! Nonces: each good once, and only so many remembered.

use std::collections::{BTreeSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::world::rng::Rng;

pub(super) struct Nonces {
    rng: Rng,
    capacity: usize,
    good: BTreeSet<String>,
    in_order: VecDeque<String>,
}

impl Nonces {
    pub(super) fn new(seed: u64, capacity: usize) -> Self {
        Nonces {
            rng: Rng::new(seed, "acme nonces"),
            capacity: capacity.max(1),
            good: BTreeSet::new(),
            in_order: VecDeque::new(),
        }
    }

    pub(super) fn fresh(&mut self) -> String {
        let octets = [self.rng.draw().to_be_bytes(), self.rng.draw().to_be_bytes()].concat();
        let nonce = URL_SAFE_NO_PAD.encode(octets);
        if self.in_order.len() >= self.capacity
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.good.remove(&oldest);
        }
        self.in_order.push_back(nonce.clone());
        self.good.insert(nonce.clone());
        nonce
    }

    /// Whether it was good; it is not any more.
    pub(super) fn redeem(&mut self, nonce: &str) -> bool {
        self.good.remove(nonce)
    }
}
