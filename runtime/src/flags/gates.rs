//! Which feature gates make a difference here.

use everleaf_api::gates::{Component, FeatureGates, Gate, Stage};

use super::IgnoredFlag;

/// The gates that are honoured, whichever way they are set.
const HONOURED: [Gate; 6] = [
    // What it turns on is on anyway; --acme-renewal-info turns it off.
    Gate::AcmeUseAri,
    Gate::AcmeHttp01IngressPathTypeExact,
    Gate::LiteralCertificateSubject,
    Gate::NameConstraints,
    Gate::OtherNames,
    Gate::UseCertificateRequestBasicConstraints,
];

/// The gates that are set to other than their default and make no difference.
pub(super) fn unheeded(gates: &FeatureGates) -> impl Iterator<Item = IgnoredFlag> + '_ {
    let defaults = FeatureGates::defaults(Component::Controller);
    let set = gates.iter().filter(move |(gate, on)| *on != defaults.enabled(*gate));
    set.filter(|(gate, _)| !HONOURED.contains(gate)).map(|(gate, on)| {
        let why = match (gate.stage(), on) {
            (Stage::Alpha, true) => "this build has nothing that it would turn on",
            _ => "this build cannot do without what it would turn off, or has no such thing",
        };
        IgnoredFlag::new(format!("feature-gates={}={on}", gate.as_str()), why)
    })
}
