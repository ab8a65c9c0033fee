//! The machines as one program for the engine.

use crate::certificate::{self, Case};
use crate::effect::{Base, Do, Effect, Event};
use crate::facts::{Facts, IssuerRef, Kind};
use crate::options::Options;
use crate::plan;
use crate::{challenge, issuer, order, request, shim};
use everleaf_engine::{Digest, Feed, Look, ObjectKey, Program, Start, Tag, Timestamp, Uid, View};
use everleaf_graph::{Machine, Plan};
use std::sync::Arc;

/// The feeds, by number.
pub mod feed {
    use super::{Feed, Kind};

    /// Certificates.
    pub const CERTIFICATES: u8 = 0;
    /// CertificateRequests.
    pub const REQUESTS: u8 = 1;
    /// Issuers.
    pub const ISSUERS: u8 = 2;
    /// ClusterIssuers.
    pub const CLUSTER_ISSUERS: u8 = 3;
    /// Secrets with cert-manager's label, whole.
    pub const LABELLED_SECRETS: u8 = 4;
    /// All other Secrets, by metadata.
    pub const OTHER_SECRETS: u8 = 5;
    /// Ingresses.
    pub const INGRESSES: u8 = 6;
    /// Private keys in the memory of this process.
    pub const KEYS: u8 = 7;
    /// Orders.
    pub const ORDERS: u8 = 8;
    /// Challenges.
    pub const CHALLENGES: u8 = 9;
    /// ConfigMaps of ours that hold budgets.
    pub const BUDGETS: u8 = 10;

    pub(super) const ALL: [Feed<Kind>; 11] = [
        Feed { name: "certificates", kind: Kind::Certificate },
        Feed { name: "certificaterequests", kind: Kind::CertificateRequest },
        Feed { name: "issuers", kind: Kind::Issuer },
        Feed { name: "clusterissuers", kind: Kind::ClusterIssuer },
        Feed { name: "labelled secrets", kind: Kind::Secret },
        Feed { name: "other secrets", kind: Kind::Secret },
        Feed { name: "ingresses", kind: Kind::Ingress },
        Feed { name: "keys", kind: Kind::Key },
        Feed { name: "orders", kind: Kind::Order },
        Feed { name: "challenges", kind: Kind::Challenge },
        Feed { name: "budgets", kind: Kind::ConfigMap },
    ];
}

/// Children by the UID of their controller.
const OWNER: u8 = 1;
/// Certificates by spec.secretName.
const SECRET_NAME: u8 = 2;
/// Orders by their set of names, over all namespaces.
const NAME_SET: u8 = 3;
/// Challenges by the table at which they wait for a seat, over all namespaces.
const TABLE: u8 = 4;
/// Challenges by what they present, over all namespaces.
const ANSWER: u8 = 5;

/// The machines that this build has code for.
const BUILT: [&str; 7] =
    ["certificate", "request", "issuer", "clusterissuer", "shim", "order", "challenge"];

/// The timing of every machine, as the plan at hand says.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub certificate: plan::certificate::Settings,
    pub request: plan::request::Settings,
    pub issuer: plan::issuer::Settings,
    pub order: plan::order::Settings,
    pub challenge: plan::challenge::Settings,
}

/// A plan that this build cannot run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It lacks a machine.
    #[error("the plan has no machine {0:?}")]
    NoMachine(&'static str),
    /// A machine is not the one that this build was compiled for.
    #[error("machine {0:?} has other facts, waits, effects or states than this build knows")]
    OtherShape(&'static str),
    /// A setting is missing.
    #[error(transparent)]
    Setting(#[from] everleaf_graph::SettingError),
}

/// The machines of Everleaf.
#[derive(Clone)]
pub struct Everleaf {
    plan: Arc<Plan>,
    reads: Arc<[Vec<Kind>]>,
    by_kind: [Option<usize>; Kind::ALL.len()],
    pub(crate) settings: Settings,
    /// What the operator was told.
    pub options: Options,
}

impl Everleaf {
    /// The machines under the compiled plan.
    pub fn new(options: Options) -> Self {
        Self::with_plan(crate::compiled_plan(), options)
            .expect("the compiled plan is the one the code was compiled for")
    }

    /// The machines under another plan of the same shape, such as one with other timing.
    ///
    /// # Errors
    /// If the plan is not of the shape that this build was compiled for.
    pub fn with_plan(plan: Plan, options: Options) -> Result<Self, PlanError> {
        let compiled = crate::compiled_plan();
        for machine in BUILT {
            let given = plan.machine(machine).ok_or(PlanError::NoMachine(machine))?;
            if compiled.machine(machine).map(shape) != Some(shape(given)) {
                return Err(PlanError::OtherShape(machine));
            }
        }
        let machine = |name| plan.machine(name).ok_or(PlanError::NoMachine(name));
        let mut settings = Settings {
            certificate: plan::certificate::Settings::from_machine(machine("certificate")?)?,
            request: plan::request::Settings::from_machine(machine("request")?)?,
            issuer: plan::issuer::Settings::from_machine(machine("issuer")?)?,
            order: plan::order::Settings::from_machine(machine("order")?)?,
            challenge: plan::challenge::Settings::from_machine(machine("challenge")?)?,
        };
        let certificate = &mut settings.certificate;
        let told = |ms: Option<i64>, plan: i64| ms.filter(|ms| *ms > 0).unwrap_or(plan);
        certificate.user_error_first =
            told(options.minimum_backoff_ms, certificate.user_error_first);
        certificate.user_error_ceiling =
            told(options.maximum_backoff_ms, certificate.user_error_ceiling);
        let challenge = &mut settings.challenge;
        challenge.look_first = told(options.check_retry_ms, challenge.look_first);
        challenge.look_ceiling = told(options.check_retry_ms, challenge.look_ceiling);
        let reads = plan.machines.iter().map(|machine| reads_of(&plan, machine)).collect();
        let by_kind = Kind::ALL.map(|kind| {
            let runs = |m: &Machine| m.object == kind.name() && BUILT.contains(&m.name.as_str());
            plan.machines.iter().position(runs).filter(|_| options.runs.runs(kind))
        });
        Ok(Self { plan: Arc::new(plan), reads, by_kind, settings, options })
    }

    /// The name of a machine, by its number.
    pub fn machine_name(&self, machine: usize) -> &str {
        &self.plan.machines[machine].name
    }
}

/// What the generated code relies on: everything but texts and durations.
fn shape(machine: &Machine) -> impl PartialEq + use<> {
    let names = |list: Vec<&String>| list.into_iter().cloned().collect::<Vec<_>>();
    let states: Vec<_> = machine
        .states
        .iter()
        .map(|s| (s.name.clone(), s.required, s.forbidden, s.does.clone(), s.waits.clone()))
        .collect();
    (
        names(machine.facts.iter().map(|f| &f.name).collect()),
        names(machine.waits.iter().map(|w| &w.name).collect()),
        names(machine.effects.iter().map(|e| &e.name).collect()),
        states,
    )
}

fn reads_of(plan: &Plan, machine: &Machine) -> Vec<Kind> {
    let at = plan.machines.iter().position(|other| other.name == machine.name);
    let feeds = at.map_or(&[][..], |at| plan.feeds.of(at));
    let kinds = feeds.iter().map(|feed| plan.feeds.watches[feed.watch].kind.as_str());
    let mut kinds: Vec<Kind> =
        kinds.chain([machine.object.as_str()]).filter_map(Kind::of_name).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

pub(crate) type Sight<'a> = View<'a, Everleaf>;

/// The tag of an owner's children of one kind.
pub(crate) fn children(kind: Kind, namespace: &Arc<str>, owner: &Uid) -> Tag<Kind> {
    Tag { kind, index: OWNER, namespace: namespace.clone(), value: owner.clone() }
}

/// The tag of the Certificates that name one Secret.
pub(crate) fn naming_secret(namespace: &Arc<str>, secret: &Arc<str>) -> Tag<Kind> {
    Tag {
        kind: Kind::Certificate,
        index: SECRET_NAME,
        namespace: namespace.clone(),
        value: secret.clone(),
    }
}

/// The tag of the objects that share something over all namespaces.
fn everywhere(kind: Kind, index: u8, value: Arc<str>) -> Tag<Kind> {
    Tag { kind, index, namespace: "".into(), value }
}

/// The tag of the Orders of one set of names.
pub(crate) fn of_names(set: Digest) -> Tag<Kind> {
    everywhere(Kind::Order, NAME_SET, set.to_string().into())
}

/// The tag of the Challenges at one table.
pub(crate) fn of_table(number: u32) -> Tag<Kind> {
    everywhere(Kind::Challenge, TABLE, number.to_string().into())
}

/// The tag of the Challenges that present the same.
pub(crate) fn of_answer(answer: Digest) -> Tag<Kind> {
    everywhere(Kind::Challenge, ANSWER, answer.to_string().into())
}

/// The key of the issuer that a reference names, if it is of our group.
pub(crate) fn issuer_key(namespace: &Arc<str>, issuer: &IssuerRef) -> Option<ObjectKey<Kind>> {
    match issuer.is_ours().then(|| issuer.kind_or_default())? {
        "Issuer" => Some(ObjectKey::new(Kind::Issuer, namespace.clone(), issuer.name.clone())),
        _ => Some(ObjectKey::new(Kind::ClusterIssuer, "", issuer.name.clone())),
    }
}

/// An effect of one object, queued by the lane that its issuer and namespace make.
pub(crate) fn start(
    view: &Sight<'_>,
    step: usize,
    item: &str,
    (revision, lane): (u64, &str),
    (action, events): (Do, Vec<Event>),
) -> Start<Effect> {
    let base = Base { uid: view.object.uid.clone(), rv: view.object.rv };
    Start {
        step,
        item: item.into(),
        revision,
        lane: lane.into(),
        effect: Effect { subject: view.key.clone(), base, action, events },
    }
}

impl Program for Everleaf {
    type Kind = Kind;
    type Facts = Facts;
    type Effect = Effect;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn feeds(&self) -> &[Feed<Kind>] {
        &feed::ALL
    }

    fn machine(&self, kind: Kind) -> Option<usize> {
        self.by_kind[kind as usize]
    }

    fn reads(&self, machine: usize) -> &[Kind] {
        &self.reads[machine]
    }

    fn tags(&self, key: &ObjectKey<Kind>, facts: &Facts, out: &mut Vec<Tag<Kind>>) {
        let controller = match facts {
            Facts::Certificate(certificate) => {
                out.push(naming_secret(&key.namespace, &certificate.secret_name));
                &certificate.controller
            }
            Facts::Request(request) => &request.controller,
            Facts::Secret(secret) => &secret.controller,
            Facts::Order(order) => {
                out.push(of_names(order::name_set(order)));
                &order.controller
            }
            Facts::Challenge(facts) => {
                out.push(of_table(challenge::turn::table(&self.options, key).0));
                out.push(of_answer(challenge::answer_of(facts)));
                &facts.controller
            }
            Facts::Issuer(_) | Facts::Ingress(_) | Facts::Key(_) | Facts::Budget(_) => return,
        };
        if let Some(controller) = controller {
            out.push(children(key.kind, &key.namespace, &controller.uid));
        }
    }

    fn look(&self, view: &Sight<'_>) -> Look {
        match &view.object.facts {
            Facts::Certificate(facts) => Case::new(self, view, facts).look(),
            Facts::Request(facts) => request::Case::new(self, view, facts).look(),
            Facts::Issuer(facts) => issuer::Case::new(self, view, facts).look(),
            Facts::Ingress(facts) => shim::Case::new(self, view, facts).look(),
            Facts::Order(facts) => order::Case::new(self, view, facts).look(),
            Facts::Challenge(facts) => challenge::Case::new(self, view, facts).look(),
            Facts::Secret(_) | Facts::Key(_) | Facts::Budget(_) => Look { state: 0, truth: 0 },
        }
    }

    fn wait_at(&self, view: &Sight<'_>, wait: usize) -> Option<Timestamp> {
        match &view.object.facts {
            Facts::Certificate(facts) => {
                use plan::certificate::Wait;
                let case = || Case::new(self, view, facts);
                match Wait::from_index(wait as u8)? {
                    Wait::Renewal => case().renew_at(),
                    Wait::Look => case().look_at(),
                    Wait::Backoff => case().next_attempt_at(),
                    Wait::Quiet => case().quiet_until(),
                    Wait::Turn => case().passed_over_at(),
                    Wait::Expiry => certificate::expires_at(view, facts),
                    Wait::Retry | Wait::Answer | Wait::Recheck => None,
                }
            }
            Facts::Issuer(facts) => {
                use plan::issuer::Wait;
                let case = issuer::Case::new(self, view, facts);
                match Wait::from_index(wait as u8)? {
                    Wait::Expiry => case.expires_at(),
                    Wait::Patience => case.not_before(),
                    Wait::Retry | Wait::Answer | Wait::Recheck => None,
                }
            }
            Facts::Order(facts) => {
                use plan::order::Wait;
                let case = order::Case::new(self, view, facts);
                match Wait::from_index(wait as u8)? {
                    Wait::Budget => case.budget_free_at(),
                    Wait::Patience => case.not_before(),
                    Wait::Limit => case.limit_at(),
                    Wait::Retry | Wait::Poll | Wait::Answer | Wait::Recheck => None,
                }
            }
            Facts::Challenge(facts) => {
                use plan::challenge::Wait;
                let case = challenge::Case::new(self, view, facts);
                match Wait::from_index(wait as u8)? {
                    Wait::Patience => case.not_before(),
                    Wait::Hold => case.hold_until(),
                    Wait::Retry | Wait::Look | Wait::Answer | Wait::Recheck => None,
                }
            }
            Facts::Request(facts) => match plan::request::Wait::from_index(wait as u8)? {
                plan::request::Wait::Quiet => request::Case::new(self, view, facts).quiet_until(),
                _ => None,
            },
            Facts::Ingress(_) | Facts::Secret(_) | Facts::Key(_) | Facts::Budget(_) => None,
        }
    }

    /// What was begun is finished before more is begun, so that certificates in the making stay
    /// few however many wait.
    fn rank(&self, machine: usize, step: usize) -> u8 {
        let effect = self.plan.machines.get(machine).and_then(|machine| machine.effects.get(step));
        match effect.map(|effect| effect.name.as_str()) {
            Some("write_status" | "delete_request" | "delete_key") => 4,
            Some("store") => 3,
            Some("sign" | "approve") => 2,
            Some("create_request") => 1,
            _ => 0,
        }
    }

    fn act(&self, view: &Sight<'_>, state: usize) -> Vec<Start<Effect>> {
        match &view.object.facts {
            Facts::Certificate(facts) => {
                let state = plan::certificate::State::from_index(state as u8);
                state.map_or_else(Vec::new, |s| certificate::act(&Case::new(self, view, facts), s))
            }
            Facts::Request(facts) => {
                let state = plan::request::State::from_index(state as u8);
                state.map_or_else(Vec::new, |s| request::Case::new(self, view, facts).act(s))
            }
            Facts::Issuer(facts) => {
                let state = plan::issuer::State::from_index(state as u8);
                state.map_or_else(Vec::new, |s| issuer::Case::new(self, view, facts).act(s))
            }
            Facts::Ingress(facts) => {
                let state = plan::shim::State::from_index(state as u8);
                state.map_or_else(Vec::new, |s| shim::Case::new(self, view, facts).act(s))
            }
            Facts::Order(facts) => {
                let state = plan::order::State::from_index(state as u8);
                state.map_or_else(Vec::new, |s| order::Case::new(self, view, facts).act(s))
            }
            Facts::Challenge(facts) => {
                let state = plan::challenge::State::from_index(state as u8);
                state.map_or_else(Vec::new, |s| challenge::Case::new(self, view, facts).act(s))
            }
            Facts::Secret(_) | Facts::Key(_) | Facts::Budget(_) => Vec::new(),
        }
    }
}
