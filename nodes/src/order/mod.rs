//! The `order` machine: one ACME order, from the budget to a stored chain.
//!
//! What the CA said stands in the Order's status, where cert-manager has it; our claim and the last
//! attempt that failed stand in annotations. Nothing is remembered.

mod act;
mod ahead;
mod status;

use crate::acme::account::Served;
use crate::acme::solver;
use crate::acme::trial::{Pace, heeded};
use crate::acme::turns::is_under_way;
use crate::budget::standing::{charges_of, known_of};
use crate::budget::{self, Charge, Ledger};
use crate::effect::Base;
use crate::facts::{
    AcmeState, Attempt, Authorization, ChallengeFacts, Class, Condition, Kind, OrderFacts,
    condition,
};
use crate::plan::order as plan;
use crate::program::{Everleaf, Sight, children, issuer_key, of_names};
use everleaf_engine::{Digest, Look, ObjectKey, Timestamp, Uid};
use plan::{State, Step};
use std::sync::Arc;

/// The set of names that an Order is for.
pub(crate) fn name_set(order: &OrderFacts) -> Digest {
    budget::same_set(&order.dns_names, &order.ip_addresses)
}

/// A Challenge of the Order.
#[derive(Clone)]
struct Child<'a> {
    key: &'a ObjectKey<Kind>,
    base: Base,
    facts: &'a ChallengeFacts,
}

/// Everything that decides on one Order.
pub(crate) struct Case<'a> {
    program: &'a Everleaf,
    view: &'a Sight<'a>,
    order: &'a OrderFacts,
    served: Option<Served<'a>>,
    /// Its Challenges that are not being deleted.
    children: Vec<Child<'a>>,
    /// The authorizations of those that are: another of the same name cannot be made before they
    /// are gone.
    leaving: Vec<&'a Arc<str>>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(program: &'a Everleaf, view: &'a Sight<'a>, order: &'a OrderFacts) -> Self {
        let served = Served::find(view, &order.issuer);
        let (leaving, children) = children_of(view);
        Self { program, view, order, served, children, leaving }
    }

    pub(crate) fn look(&self) -> Look {
        let truth = plan::truth(self, self.view.now);
        Look { state: plan::locate(truth) as usize, truth }
    }

    /// The issuer, if it can be ordered from.
    fn ready(&self) -> Option<&Served<'a>> {
        self.served.as_ref().filter(|served| served.is_ready())
    }

    fn is_settled(&self) -> bool {
        let chained = !crate::certificate::is_missing(&self.order.certificate);
        self.order.state.is_failure() || (self.order.state == AcmeState::Valid && chained)
    }

    fn is_claimed(&self) -> bool {
        if !self.order.url.is_empty() {
            return true;
        }
        let account = self.served.as_ref().map(Served::uri);
        let claim = self.order.claim.as_ref();
        claim.is_some_and(|claim| account.is_some_and(|account| *account == claim.account))
    }

    /// Whether the CA said so of the order.
    fn is_authorized(&self) -> bool {
        !self.order.url.is_empty()
            && matches!(
                self.order.state,
                AcmeState::Ready | AcmeState::Processing | AcmeState::Valid
            )
    }

    fn is_listed(&self) -> bool {
        let all = &self.order.authorizations;
        let read = || !all.is_empty() && all.iter().all(|one| !one.identifier.is_empty());
        !self.order.url.is_empty() && (self.is_authorized() || read())
    }

    /// Authorizations that were not valid when they were read.
    fn pending(&self) -> impl Iterator<Item = &'a Authorization> {
        self.order.authorizations.iter().filter(|one| one.initial != AcmeState::Valid)
    }

    fn child_of(&self, authorization: &Authorization) -> Option<&Child<'a>> {
        let mut children = self.children.iter();
        children.find(|child| child.facts.authorization_url == authorization.url)
    }

    fn is_solved(&self) -> bool {
        let valid = |authorization: &Authorization| {
            let child = self.child_of(authorization);
            child.is_some_and(|child| child.facts.state == AcmeState::Valid)
        };
        self.is_authorized() || (self.is_listed() && self.pending().all(valid))
    }

    /// The Challenge that ended without success.
    fn lost_child(&self) -> Option<&Child<'a>> {
        self.children.iter().find(|child| child.facts.state.is_failure())
    }

    fn is_lost(&self) -> bool {
        let late = self.limit_at().is_some_and(|limit| limit <= self.view.now);
        let dead = self.pending().any(|one| one.initial.is_failure());
        self.is_listed() && !self.is_solved() && (self.lost_child().is_some() || dead || late)
    }

    /// Until when the Challenges may take.
    pub(crate) fn limit_at(&self) -> Option<Timestamp> {
        // What was claimed last counts: an Order may have waited for its budget for days.
        let begun = self.order.claim.as_ref().map_or(self.order.created, |claim| claim.at);
        Some(begun.plus_millis(self.program.settings.order.solving_limit))
    }

    /// Why no solver fits an authorization that still needs one.
    fn unsolvable(&self) -> Option<String> {
        let served = self.served.as_ref()?;
        let mut open = self.pending().filter(|one| self.child_of(one).is_none());
        open.find_map(|one| self.solver_trouble(served, one))
    }

    fn solver_trouble(&self, served: &Served<'_>, one: &Authorization) -> Option<String> {
        let domain = solver::domain(one);
        let Some(choice) = solver::choose(&served.acme.solvers, one, &self.order.labels) else {
            let offers: Vec<&str> = one.offers.iter().map(|offer| &*offer.kind).collect();
            return Some(format!(
                "Failed to determine a valid solver configuration for the set of domains on the \
                 Order: no configured challenge solvers can be used for {domain:?}; the CA offers \
                 {}",
                offers.join(", ")
            ));
        };
        let (annotations, namespace) = (&self.order.annotations, &self.view.key.namespace);
        let made = solver::overridden(choice.solver, annotations, namespace);
        made.err().map(|error| format!("{domain}: {error}"))
    }

    /// The step that the order is at: what its state would do.
    fn step(&self) -> Step {
        if self.is_solved() {
            Step::Finalize
        } else if self.is_lost() {
            Step::Refresh
        } else if self.is_listed() {
            Step::CreateChallenge
        } else if !self.order.url.is_empty() {
            Step::Fetch
        } else {
            Step::NewOrder
        }
    }

    /// The last request of the present step, if it failed or its CA asked for patience.
    fn attempt(&self) -> Option<&'a Attempt> {
        let skew = self.program.settings.certificate.skew;
        let attempt = heeded(self.order.attempt.as_ref(), self.view.now, skew);
        let step = self.step();
        attempt.filter(|attempt| {
            // An order is placed and its authorizations are read in one go. If these were refused,
            // and where the order is was not written then, to place it again would ask for them.
            let comes_next = step == Step::NewOrder && *attempt.step == *Step::Fetch.name();
            comes_next || *attempt.step == *step.name()
        })
    }

    /// When the present step may be tried again.
    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        self.attempt()?.not_before
    }

    fn pace(&self) -> Pace {
        let settings = &self.program.settings.order;
        Pace {
            first: settings.retry_first,
            factor: settings.retry_factor,
            ceiling: settings.retry_ceiling.min(self.longest_rest()),
        }
    }

    /// A rest leaves room for more attempts before the certificate expires that is renewed.
    fn longest_rest(&self) -> i64 {
        let settings = &self.program.settings.certificate;
        let expires = self.order.renewal.as_ref().and_then(|renewal| renewal.expires);
        let left = expires.map(|at| at.since(self.view.now)).filter(|left| *left > 0);
        let share = left.map(|left| left / settings.valid_share.max(1));
        share.map_or(i64::MAX, |share| share.max(settings.life_share_floor))
    }

    /// What the order takes of the CA's limits.
    fn charges(&self) -> Vec<Charge> {
        let issuer = self.served.as_ref().map(|served| served.issuer);
        issuer.map_or_else(Vec::new, |issuer| charges_of(self.order, issuer, self.view.now))
    }

    fn ledger(&self, charges: &[Charge]) -> Ledger {
        known_of(self.program, self.view, charges)
    }

    /// When every limit has a token. The budget of one that was claimed is paid.
    pub(crate) fn budget_free_at(&self) -> Option<Timestamp> {
        if self.is_claimed() {
            return Some(Timestamp::default());
        }
        let charges = self.charges();
        Some(self.ledger(&charges).free_at(&charges))
    }

    /// Whether another Order of the same account and names is in flight, or comes before this one.
    fn is_rivalled(&self) -> bool {
        let Some(served) = self.ready().filter(|_| !self.is_claimed()) else { return false };
        self.namesakes().any(|(key, _, rival)| {
            let open = !rival.deleting && !rival.state.is_final();
            let first = (rival.created, key) < (self.order.created, self.view.key);
            let Some((account, ready)) = self.account_of(key, rival) else { return false };
            (is_under_way(rival) || (open && first && ready)) && account == *served.uri()
        })
    }

    /// The other Orders of the same names.
    fn namesakes(&self) -> impl Iterator<Item = (&'a ObjectKey<Kind>, &'a Uid, &'a OrderFacts)> {
        let own = self.view.key;
        let all = self.view.tagged(of_names(name_set(self.order))).into_iter();
        let others = all.filter(move |(key, _)| *key != own);
        others.filter_map(|(key, object)| Some((key, &object.uid, object.facts.order()?)))
    }

    /// The others that are under way; asked of one that has no rivals, so these are none.
    fn beside(&self) -> Vec<Uid> {
        let others = self.namesakes().filter(|(.., order)| is_under_way(order));
        others.map(|(_, uid, _)| uid.clone()).collect()
    }

    /// The account that another Order uses, and whether its issuer is Ready.
    fn account_of(&self, key: &ObjectKey<Kind>, order: &OrderFacts) -> Option<(Arc<str>, bool)> {
        let issuer = issuer_key(&key.namespace, &order.issuer)?;
        let facts = self.view.get(&issuer)?.facts.issuer()?;
        let ready = condition(&facts.conditions, "Ready").is_some_and(Condition::is_true);
        let uri = facts.account.status.uri.clone();
        (!uri.is_empty()).then_some((uri, ready))
    }
}

/// The Challenges of an Order: the authorizations of those that are being deleted, and the others.
fn children_of<'a>(view: &Sight<'a>) -> (Vec<&'a Arc<str>>, Vec<Child<'a>>) {
    let tag = children(Kind::Challenge, &view.key.namespace, &view.object.uid);
    let (mut leaving, mut staying) = (Vec::new(), Vec::new());
    for (key, object) in view.tagged(tag) {
        let Some(facts) = object.facts.challenge() else { continue };
        if facts.deleting() {
            leaving.push(&facts.authorization_url);
        } else {
            let base = Base { uid: object.uid.clone(), rv: object.rv };
            staying.push(Child { key, base, facts });
        }
    }
    (leaving, staying)
}

impl plan::Facts for Case<'_> {
    fn deleting(&self) -> bool {
        self.order.deleting
    }

    fn settled(&self) -> bool {
        self.is_settled()
    }

    fn littered(&self) -> bool {
        !self.children.is_empty()
    }

    fn reported(&self) -> bool {
        self.status_patch().is_none()
    }

    fn served(&self) -> bool {
        self.ready().is_some()
    }

    fn failed(&self) -> bool {
        self.attempt().is_some()
    }

    fn rivalled(&self) -> bool {
        self.is_rivalled()
    }

    fn claimed(&self) -> bool {
        self.is_claimed()
    }

    fn placed(&self) -> bool {
        !self.order.url.is_empty()
    }

    fn listed(&self) -> bool {
        self.is_listed()
    }

    fn unsolvable(&self) -> bool {
        self.is_listed() && !self.is_authorized() && Case::unsolvable(self).is_some()
    }

    fn challenged(&self) -> bool {
        self.is_listed() && self.pending().all(|one| self.child_of(one).is_some())
    }

    fn lost(&self) -> bool {
        self.is_lost()
    }

    fn solved(&self) -> bool {
        self.is_solved()
    }

    fn budget_free_at(&self) -> Option<Timestamp> {
        Case::budget_free_at(self)
    }

    fn not_before(&self) -> Option<Timestamp> {
        Case::not_before(self)
    }

    fn limit_at(&self) -> Option<Timestamp> {
        Case::limit_at(self)
    }
}

/// Whether an attempt is a failure, and not only a look that comes later.
fn is_trouble(attempt: &Attempt) -> bool {
    attempt.class != Class::Wait
}

/// The state of an order, to be matched on where effects are built.
pub(crate) type OrderState = State;
