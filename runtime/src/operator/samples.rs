//! What metrics are made of: one pass over the world.

use crate::metrics::{BudgetSample, CertificateSample, IssuerSample, Ready, Snapshot};
use everleaf_engine::{Engine, ObjectKey, Timestamp};
use everleaf_nodes::budget::{Ledger, standing};
use everleaf_nodes::facts::{CertificateFacts, Condition, IssuerFacts, condition};
use everleaf_nodes::plan::order;
use everleaf_nodes::{Everleaf, Facts, Kind};

/// So many domains of an issuer's directory are told of, those with the least left.
const DOMAINS: usize = 50;

/// A sample of every Certificate and issuer, and of what is left of the limits of ACME CAs.
pub fn sample(engine: &Engine<Everleaf>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let own = &engine.program().options.operator_namespace;
    let (ledger, now) = (standing::ledger(engine.world(), own), engine.now());
    for (key, object) in engine.world().iter() {
        match &object.facts {
            Facts::Certificate(facts) => snapshot.certificates.push(certificate(key, facts)),
            Facts::Issuer(facts) => {
                snapshot.issuers.push(issuer(key, facts));
                snapshot.budgets.extend(budgets(key, facts, &ledger, now));
            }
            Facts::Order(_) => {
                let status = engine.status(key);
                let waits = status.is_some_and(|at| at.state == order::State::Budgeting as usize);
                *snapshot.waiting_orders.get_or_insert(0) += usize::from(waits);
            }
            Facts::Request(_)
            | Facts::Secret(_)
            | Facts::Ingress(_)
            | Facts::Key(_)
            | Facts::Challenge(_)
            | Facts::Budget(_) => {}
        }
    }
    snapshot
}

fn ready(conditions: &[Condition]) -> Ready {
    match condition(conditions, "Ready").map(|ready| &*ready.status) {
        Some("True") => Ready::True,
        Some("False") => Ready::False,
        _ => Ready::Unknown,
    }
}

fn certificate(key: &ObjectKey<Kind>, facts: &CertificateFacts) -> CertificateSample {
    let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_seconds);
    CertificateSample {
        name: key.name.clone(),
        namespace: key.namespace.clone(),
        issuer_name: facts.issuer.name.clone(),
        issuer_kind: facts.issuer.kind.clone(),
        issuer_group: facts.issuer.group.clone(),
        ready: ready(&facts.status.conditions),
        not_before: seconds(facts.status.not_before),
        not_after: seconds(facts.status.not_after),
        renewal: seconds(facts.status.renewal),
    }
}

fn issuer(key: &ObjectKey<Kind>, facts: &IssuerFacts) -> IssuerSample {
    IssuerSample {
        name: key.name.clone(),
        namespace: (key.kind == Kind::Issuer).then(|| key.namespace.clone()),
        ready: ready(&facts.conditions),
    }
}

/// An issuer's limits, in the order of their names.
fn budgets(
    key: &ObjectKey<Kind>,
    facts: &IssuerFacts,
    ledger: &Ledger,
    now: Timestamp,
) -> Vec<BudgetSample> {
    let kind = if key.kind == Kind::Issuer { "Issuer" } else { "ClusterIssuer" };
    let all = standing::of_issuer(facts, ledger, now, DOMAINS).into_iter();
    let sample = |one: standing::Standing| BudgetSample {
        issuer: key.name.clone(),
        kind,
        namespace: key.namespace.clone(),
        limit: one.limit,
        subject: one.subject,
        left: one.left,
        next: if one.next > now { one.next.as_seconds() } else { 0 },
    };
    all.map(sample).collect()
}
