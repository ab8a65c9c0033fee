//! Mistakes, built in on purpose. A run with one must be found out.
//!
//! The machines themselves are production code and stay as they are; a mistake is made in the
//! plan's numbers, in what the edge reads out of objects, or in the ports.

use super::config::{Config, HOUR, Mutant};
use everleaf_engine::{Plan, Program as _};
use everleaf_graph::{SettingValue, WaitKind};
use everleaf_nodes::facts::{Facts, Parsed};
use everleaf_nodes::{Everleaf, Options};
use std::sync::OnceLock;

/// The namespace in which the Secrets of ClusterIssuers are.
pub const OPERATOR_NAMESPACE: &str = "everleaf";

/// The program of a run, with the plan that its mutant has.
pub(super) fn program(config: &Config) -> Everleaf {
    static BASE: OnceLock<Everleaf> = OnceLock::new();
    let mut program = BASE.get_or_init(|| Everleaf::new(Options::default())).clone();
    if let Some(plan) = altered(config.mutant, program.plan())
        && let Ok(altered) = Everleaf::with_plan(plan, Options::default())
    {
        program = altered;
    }
    program.options.approve = config.approve;
    program.options.certificate_owner_ref = config.owner_ref;
    program.options.cluster_resource_namespace = OPERATOR_NAMESPACE.into();
    program.options.operator_namespace = OPERATOR_NAMESPACE.into();
    program
}

fn altered(mutant: Mutant, plan: &Plan) -> Option<Plan> {
    let mut plan = plan.clone();
    let machine = plan.machines.iter_mut().find(|machine| machine.name == "certificate")?;
    let mut set = |name: &str, value: SettingValue| {
        machine.settings.iter_mut().filter(|s| s.name == name).for_each(|s| s.value = value);
    };
    match mutant {
        Mutant::NoBackoff => set("user_error_first", SettingValue::Duration { ms: 1000 }),
        Mutant::RenewsByWish => {
            set("renewal_floor", SettingValue::Duration { ms: 1000 });
            set("renewal_floor_share", SettingValue::Count(1 << 40));
        }
        Mutant::ForgetsWaits => {
            let waits = machine.waits.iter_mut().filter(|wait| wait.name == "recheck");
            waits.for_each(|wait| wait.kind = WaitKind::Every { ms: 1 << 50 });
        }
        Mutant::LacksEdges => {
            let state = machine.state("keying")?;
            machine.edges.retain(|edge| edge.from != state);
        }
        _ => return None,
    }
    Some(plan)
}

/// What a port that makes the mistake reads out of an object.
pub(super) fn distort(mutant: Mutant, facts: &mut Facts) {
    match (mutant, facts) {
        (Mutant::TrustsAnyKey, Facts::Request(request)) => {
            if let (Parsed::Good(csr), Parsed::Good(leaf)) =
                (&request.csr, &mut request.certificate)
            {
                leaf.fingerprint = csr.fingerprint.clone();
            }
        }
        (Mutant::TrustsAnyNames, Facts::Request(request)) => {
            if let (Parsed::Good(csr), Parsed::Good(leaf)) =
                (&request.csr, &mut request.certificate)
            {
                leaf.names = csr.names.clone();
            }
        }
        (Mutant::TrustsAnyDates | Mutant::WorsensSecret, Facts::Request(request)) => {
            if let Parsed::Good(leaf) = &mut request.certificate {
                leaf.not_before = leaf.not_before.min(request.created);
                leaf.not_after = leaf.not_after.max(leaf.not_before.plus_millis(1000 * HOUR));
            }
        }
        (Mutant::KeepsRequests, Facts::Certificate(certificate)) => {
            certificate.history = Some(i32::MAX);
        }
        (Mutant::KeepsKeys, Facts::Certificate(certificate)) => certificate.key.rotate = false,
        (Mutant::NeverAsks, Facts::Secret(secret)) => {
            if let everleaf_nodes::facts::Content::Read(material) = &mut secret.content
                && let Parsed::Good(leaf) = &mut material.leaf
            {
                leaf.ari_id = None;
            }
        }
        (Mutant::NeverRenews, Facts::Certificate(certificate)) => {
            certificate.renewal.disabled = true;
        }
        (Mutant::RenewsByWish, Facts::Secret(secret)) => {
            if let everleaf_nodes::facts::Content::Read(material) = &mut secret.content
                && let Parsed::Good(leaf) = &mut material.leaf
            {
                leaf.not_before = leaf.not_after.plus_millis(-100_000 * HOUR);
            }
        }
        (Mutant::IgnoresContest, Facts::Certificate(certificate))
            if certificate.spec.0 % 2 == 1 =>
        {
            // One Secret, spelled in two ways.
            certificate.secret_name = format!("./{}", certificate.secret_name).into();
        }
        _ => {}
    }
}
