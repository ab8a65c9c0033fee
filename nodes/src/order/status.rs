//! What the status of an Order has to say beyond what the CA said.

use super::{Case, is_trouble};
use crate::acme::check;
use crate::acme::solver::can_prove_wildcard;
use crate::effect::{Event, limit_name, limit_text, rfc3339};
use crate::facts::{AcmeState, Class};
use crate::status::Patch;
use everleaf_engine::Timestamp;
use serde_json::json;
use std::sync::Arc;

/// A cause that waits this long is worth a status write, in milliseconds.
const WORTH_TELLING: i64 = 10_000;

impl Case<'_> {
    /// The patch that brings the status up to date; `None` if it is.
    pub(super) fn status_patch(&self) -> Option<String> {
        if self.is_settled() {
            return None;
        }
        let was = Some(self.order.reason.clone()).filter(|reason| !reason.is_empty());
        let mut patch = Patch::default();
        if let Some(refusal) = self.refusal() {
            let now = Timestamp::from_seconds(self.view.now.as_seconds());
            patch.set("state", json!(AcmeState::Errored.text()));
            patch.set("reason", json!(refusal));
            patch.set("failureTime", json!(rfc3339(now)));
            return patch.into_text();
        }
        let is: Option<Arc<str>> = self.wanted_reason().map(Into::into);
        patch.field("reason", (&was, &is), |reason| json!(reason));
        patch.into_text()
    }

    /// The Events that go with the status as it will be.
    pub(super) fn status_events(&self) -> Vec<Event> {
        let said = |reason: &String| **reason == *self.order.reason;
        let trouble = self.solver_reason().or_else(|| self.refusal());
        let trouble = trouble.filter(|reason| !said(reason));
        trouble.map(|reason| Event::warning("Solver", reason)).into_iter().collect()
    }

    /// Why the order will not be placed: what the CA would refuse is refused before it costs a
    /// token.
    fn refusal(&self) -> Option<String> {
        let served = self.served.as_ref().filter(|_| !self.is_claimed())?;
        let order = self.order;
        let public = crate::budget::is_public(&served.acme.server);
        let names = check::names(&order.dns_names, &order.ip_addresses, &order.common_name, public);
        if let Err(error) = names {
            return Some(format!("Failed to create Order: {error}"));
        }
        let solvers = &served.acme.solvers;
        // Without solvers everything is authorized beforehand, or nothing can be.
        let mut wildcards = order.dns_names.iter().filter(|name| name.starts_with("*."));
        let unproven = wildcards.find(|name| {
            !solvers.is_empty() && !can_prove_wildcard(solvers, name, &order.labels)
        })?;
        let error = check::NameError::NoWildcardSolver(unproven.clone());
        Some(format!("Failed to create Order: {error}"))
    }

    fn solver_reason(&self) -> Option<String> {
        let asks = self.is_listed() && !self.is_authorized();
        if asks { Case::unsolvable(self) } else { None }
    }

    /// What holds the order up, without times that move.
    fn wanted_reason(&self) -> Option<String> {
        self.trouble().or_else(|| self.solver_reason()).or_else(|| self.budget_reason())
    }

    /// The last request, if it failed and the order rests for it.
    fn trouble(&self) -> Option<String> {
        let attempt = self.attempt().filter(|attempt| is_trouble(attempt))?;
        let worth = attempt.number > 1 || attempt.class == Class::RateLimited;
        let resting = attempt.not_before.is_none_or(|at| at > self.view.now);
        let told = *self.order.reason == *self.trouble_text(attempt);
        // While it is being tried again the old text may stay, for the next failure says the same.
        (worth && (resting || told)).then(|| self.trouble_text(attempt))
    }

    fn trouble_text(&self, attempt: &crate::facts::Attempt) -> String {
        let what = match &*attempt.step {
            "new_order" => "Failed to create Order",
            "fetch" => "Failed to fetch authorization",
            "finalize" => "Failed to finalize Order",
            _ => "Failed to retrieve Order resource",
        };
        let until = attempt.not_before.filter(|_| attempt.class == Class::RateLimited);
        let until = until.map(|at| format!("; the CA asks for patience until {}", rfc3339(at)));
        format!("{what}: {}{}", attempt.detail, until.unwrap_or_default())
    }

    fn budget_reason(&self) -> Option<String> {
        if self.is_claimed() || self.served.is_none() || self.is_rivalled() {
            return None;
        }
        let (charges, now) = (self.charges(), self.view.now);
        let ledger = self.ledger(&charges);
        let (charge, at) = ledger.short_of(&charges, now)?;
        let text = format!(
            "Waiting for a rate limit of the CA, so as not to meet it: {} ({})",
            limit_name(&charge.bucket),
            limit_text(charge.limit)
        );
        let told = *self.order.reason == *text;
        (told || at.since(now) > WORTH_TELLING).then_some(text)
    }
}
