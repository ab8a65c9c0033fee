//! What metrics are made of: one pass over the world.

use crate::metrics::{CertificateSample, IssuerSample, Ready, Snapshot};
use everleaf_engine::{Engine, ObjectKey, Timestamp};
use everleaf_nodes::facts::{CertificateFacts, Condition, IssuerFacts, condition};
use everleaf_nodes::{Everleaf, Facts, Kind};

/// A sample of every Certificate and issuer.
pub fn sample(engine: &Engine<Everleaf>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (key, object) in engine.world().iter() {
        match &object.facts {
            Facts::Certificate(facts) => snapshot.certificates.push(certificate(key, facts)),
            Facts::Issuer(facts) => snapshot.issuers.push(issuer(key, facts)),
            Facts::Request(_)
            | Facts::Secret(_)
            | Facts::Ingress(_)
            | Facts::Key(_)
            | Facts::Order(_)
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
