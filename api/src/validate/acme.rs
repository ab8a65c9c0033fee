//! Rules for changes of Orders and Challenges. Their creation is not checked.

use super::{Found, Path, Violation};
use crate::kinds::{Challenge, Order};
use crate::types::order::{AcmeAuthorization, OrderStatus};

/// The violations of a change to an Order: its request, and what the server said once, stay.
#[must_use]
pub fn order_update(old: &Order, new: &Order) -> Vec<Violation> {
    let mut found = Found::default();
    if old.spec.request != new.spec.request {
        found.forbidden(Path::new("spec.request"), "cannot be changed: make another Order");
    }
    order_status(&mut found, &old.status, &new.status);
    found.0
}

fn order_status(found: &mut Found, old: &OrderStatus, new: &OrderStatus) {
    let path = Path::new("status");
    once(found, &old.url, &new.url, &path, "url");
    once(found, &old.finalize_url, &new.finalize_url, &path, "finalizeURL");
    once(found, &old.certificate, &new.certificate, &path, "certificate");
    let path = path.child("authorizations");
    if old.authorizations.is_empty() {
        return;
    }
    if old.authorizations.len() != new.authorizations.len() {
        found.forbidden(path, "their number cannot change once they are set");
        return;
    }
    let pairs = old.authorizations.iter().zip(&new.authorizations);
    for (i, (old, new)) in pairs.enumerate() {
        authorization(found, old, new, &path.index(i));
    }
}

fn authorization(found: &mut Found, old: &AcmeAuthorization, new: &AcmeAuthorization, path: &Path) {
    once(found, &Some(&old.url), &Some(&new.url), path, "url");
    once(found, &old.identifier, &new.identifier, path, "identifier");
    once(found, &old.wildcard, &new.wildcard, path, "wildcard");
    once(found, &old.initial_state, &new.initial_state, path, "initialState");
    if !old.challenges.is_empty() && old.challenges != new.challenges {
        found.forbidden(path.child("challenges"), "cannot change once they are set");
    }
}

fn once<T: PartialEq>(found: &mut Found, old: &Option<T>, new: &Option<T>, at: &Path, name: &str) {
    if old.is_some() && old != new {
        found.forbidden(at.child(name), "cannot change once it is set");
    }
}

/// The violations of a change to a Challenge: its spec stays.
#[must_use]
pub fn challenge_update(old: &Challenge, new: &Challenge) -> Vec<Violation> {
    let mut found = Found::default();
    if old.spec != new.spec {
        let why = "cannot be changed: delete the Challenge, and its Order makes another";
        found.forbidden(Path::new("spec"), why);
    }
    found.0
}
