//! I15: the CA's own limiter never has to speak.

use super::model;
use super::{Invariant, Watcher};
use crate::acme::Call;
use crate::world::World;
use crate::world::acme::identifiers;
use crate::world::config::{Faults, HOUR, Habits};
use crate::world::event::{Asked, Event};
use crate::world::project::text;
use everleaf_nodes::facts::Kind;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![Box::new(Foreseen)]
}

/// A CA counts a certificate when it issues it, we when we claim: its token may come back later
/// than ours by as long as validation and retries took, in milliseconds.
const COUNTED_LATE: i64 = 3 * HOUR;

/// I15: no order is refused for a limit that could be foreseen.
struct Foreseen;

/// Whether a limit's state may have been lost, so that a refusal could not be foreseen: clocks that
/// were wrong, and failures of authorizations whose outcome nobody saw.
fn may_be_news(world: &World, detail: &str) -> bool {
    let Faults { clock_forward, clock_backward, .. } = world.config.faults;
    let troubled = world.config.faults != Faults::default();
    let unseen = troubled || world.config.habits != Habits::default();
    clock_forward || clock_backward || (detail.contains("failed authorizations") && unseen)
}

impl Foreseen {
    fn refused(world: &World, asked: &Asked) -> Result<(), String> {
        let Err(problem) = &asked.answer.result else { return Ok(()) };
        // Refusals that were drawn name no limit.
        let named = problem.status == 429 && problem.detail.contains("rate-limits");
        let soon = problem.retry_at.is_some_and(|at| at - world.now <= COUNTED_LATE);
        let counted_late = soon && problem.detail.contains("already issued");
        if !named || counted_late || may_be_news(world, &problem.detail) {
            return Ok(());
        }
        Err(format!("{} was refused: {}", asked.order.effect.subject, problem.detail))
    }
}

impl Invariant for Foreseen {
    fn id(&self) -> &'static str {
        "I15"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        match event {
            Event::Asked(asked) if matches!(asked.call, Call::NewOrder { .. }) => {
                Self::refused(world, asked)
            }
            _ => Ok(()),
        }
    }
}

/// Whether a Certificate is held up by nothing but a limit of its CA: its Order says so, and the
/// CA's own limiter has no more than a day's worth of tokens for its names either.
pub(super) fn waits_for_a_limit(world: &World, certificate: &Value) -> bool {
    let requests =
        model::requests_of(world, model::namespace(certificate), model::uid(certificate));
    let orders = world.all(Kind::Order);
    let mut open = orders.iter().filter(|order| {
        let owner = model::controller(order);
        requests.iter().any(|request| Some(model::uid(request)) == owner)
    });
    open.any(|order| {
        let waits = text(order, "/status/reason").starts_with("Waiting for a rate limit");
        waits && is_short(world, order)
    })
}

fn is_short(world: &World, order: &Value) -> bool {
    use crate::acme::Limit;
    let names = order["spec"]["dnsNames"].as_array().into_iter().flatten();
    let names: Vec<Arc<str>> = names.filter_map(Value::as_str).map(Arc::from).collect();
    let set = identifiers(&names, []);
    let key: Vec<String> = set.iter().map(|id| format!("{}:{id}", id.kind())).collect();
    let mut cas = world.outside().cas.values();
    cas.any(|ca| {
        let left = |limit, key: &str| ca.limiter().remaining(world.now, limit, key);
        let spent = |limit, key: &str, full: u32| left(limit, key).is_some_and(|left| left < full);
        spent(Limit::PerSet, &key.join(","), 3)
            || set.iter().any(|id| spent(Limit::PerDomain, &id.registered_domain(), 25))
    })
}
