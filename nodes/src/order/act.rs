//! The effects of the order machine's states.

use super::{Case, Child, OrderState as State};
use crate::acme::account::Served;
use crate::acme::{naming, solver};
use crate::effect::{
    Account, Acme, ClaimOrder, Do, Effect, Event, FinalizeOrder, FollowOrder, NewChallenge,
    PlaceOrder, ReadAuthorizations, Trial, Verdict,
};
use crate::facts::{AcmeState, Authorization, Class};
use crate::plan::order::Step;
use crate::program::start;
use everleaf_engine::Start;
use serde_json::{Value, json};
use std::sync::Arc;

impl Case<'_> {
    pub(crate) fn act(&self, state: State) -> Vec<Start<Effect>> {
        let one = |step: Step, action: Option<Do>| -> Vec<Start<Effect>> {
            action.map(|action| self.start(step, "", (action, Vec::new()))).into_iter().collect()
        };
        let acme = |step: Step, action: Option<Acme>| one(step, action.map(Do::Acme));
        match state {
            State::Sweeping => self.children.iter().map(|child| self.delete(child)).collect(),
            State::Reporting => self.write_status().into_iter().collect(),
            State::Judging => acme(Step::Refresh, self.follow(Step::Refresh)),
            State::Finalizing => acme(Step::Finalize, self.finalize()),
            State::Authorizing => self.create_challenges(),
            State::Listing => acme(Step::Fetch, self.fetch()),
            State::Placing => acme(Step::NewOrder, self.place()),
            State::Claiming => acme(Step::Claim, self.claim()),
            State::Retiring
            | State::Settled
            | State::Unserved
            | State::Resting
            | State::Unsolvable
            | State::Solving
            | State::Yielding
            | State::Budgeting => Vec::new(),
        }
    }

    fn start(&self, step: Step, item: &str, what: (Do, Vec<Event>)) -> Start<Effect> {
        let issuer = &self.order.issuer;
        let (kind, name) = (issuer.kind_or_default(), &issuer.name);
        let lane = format!("{}/{kind}/{name}/{}", self.view.key.namespace, step.name());
        start(self.view, step as usize, item, (0, &lane), what)
    }

    fn delete(&self, child: &Child<'_>) -> Start<Effect> {
        let action = Do::Delete { key: child.key.clone(), base: child.base.clone() };
        self.start(Step::DeleteChallenge, &child.key.name, (action, Vec::new()))
    }

    fn write_status(&self) -> Option<Start<Effect>> {
        let patch = self.status_patch()?.into();
        let what = (Do::PatchStatus { patch }, self.status_events());
        Some(self.start(Step::WriteStatus, "", what))
    }

    pub(super) fn account(&self) -> Option<Account> {
        self.ready().map(|served| served.account(self.program))
    }

    pub(super) fn trial(&self, step: Step) -> Trial {
        self.pace().trial(step.name(), self.order.attempt.as_ref(), &self.view.object.uid)
    }

    fn claim(&self) -> Option<Acme> {
        Some(Acme::Claim(Box::new(ClaimOrder {
            account: self.ready()?.uri().clone(),
            set: super::name_set(self.order),
            beside: self.beside(),
            ahead: self.ahead()?,
            namespace: self.program.options.operator_namespace.clone(),
            charges: self.charges(),
        })))
    }

    fn place(&self) -> Option<Acme> {
        let (dns, ips) = self.identifiers();
        Some(Acme::Place(Box::new(PlaceOrder {
            account: self.account()?,
            dns,
            ips,
            duration_ms: self.order.duration_ms,
            profile: self.order.profile.clone(),
            replaces: self.order.replaces.clone(),
            claimed: self.order.claim.as_ref()?.at,
            charges: self.charges(),
            namespace: self.program.options.operator_namespace.clone(),
            trial: self.trial(Step::NewOrder),
        })))
    }

    fn fetch(&self) -> Option<Acme> {
        let unread = self.order.authorizations.iter().filter(|one| one.identifier.is_empty());
        Some(Acme::ReadAuthorizations(Box::new(ReadAuthorizations {
            account: self.account()?,
            order: self.order.url.clone(),
            urls: unread.map(|one| one.url.clone()).collect(),
            trial: self.trial(Step::Fetch),
        })))
    }

    fn complete() -> Event {
        Event::normal("Complete", "Order completed successfully")
    }

    fn follow(&self, step: Step) -> Option<Acme> {
        let served = self.ready()?;
        Some(Acme::Follow(Box::new(FollowOrder {
            account: served.account(self.program),
            url: self.order.url.clone(),
            if_pending: self.verdict(),
            preferred_chain: served.acme.preferred_chain.clone(),
            complete: Self::complete(),
            trial: self.trial(step),
        })))
    }

    /// What becomes of an order that the CA still calls pending although a Challenge was lost.
    fn verdict(&self) -> Option<Verdict> {
        if !self.is_lost() {
            return None;
        }
        let (reason, class) = match self.lost_child() {
            Some(child) => {
                let own = child.facts.attempt.as_ref().map(|attempt| attempt.class);
                let class = match child.facts.state {
                    AcmeState::Expired => Class::Transient,
                    AcmeState::Errored => own.unwrap_or(Class::User),
                    _ => Class::User,
                };
                let (name, reason) = (&child.facts.dns_name, &child.facts.reason);
                (format!("the challenge for {name:?} failed: {reason}"), class)
            }
            None => {
                let text = "the challenges were not completed in time, or an authorization was \
                            invalid from the start";
                (text.to_owned(), Class::Transient)
            }
        };
        Some(Verdict { state: AcmeState::Errored, reason: reason.into(), class })
    }

    fn finalize(&self) -> Option<Acme> {
        let served = self.ready()?;
        Some(Acme::Finalize(Box::new(FinalizeOrder {
            account: served.account(self.program),
            url: self.order.url.clone(),
            finalize_url: self.order.finalize_url.clone(),
            preferred_chain: served.acme.preferred_chain.clone(),
            complete: Self::complete(),
            trial: self.trial(Step::Finalize),
        })))
    }

    fn create_challenges(&self) -> Vec<Start<Effect>> {
        let Some(served) = self.ready() else { return Vec::new() };
        let missing = self.pending().filter(|one| self.child_of(one).is_none());
        let missing = missing.filter(|one| !self.leaving.contains(&&one.url));
        missing.filter_map(|one| self.create_challenge(served, one)).collect()
    }

    fn create_challenge(&self, served: &Served<'_>, one: &Authorization) -> Option<Start<Effect>> {
        let choice = solver::choose(&served.acme.solvers, one, &self.order.labels)?;
        let (annotations, namespace) = (&self.order.annotations, &self.view.key.namespace);
        let config = solver::overridden(choice.solver, annotations, namespace).ok()?;
        let method = choice.solver.method;
        let spec = json!({
            "url": choice.offer.url,
            "authorizationURL": one.url,
            "dnsName": one.identifier,
            "wildcard": one.wildcard,
            "type": method.text(),
            "token": choice.offer.token,
            "solver": config,
            "issuerRef": self.issuer_json(),
        });
        let name: Arc<str> = naming::challenge(&self.view.key.name, &spec).into();
        let action = Do::Acme(Acme::CreateChallenge(Box::new(NewChallenge {
            account: served.account(self.program),
            name,
            spec: spec.to_string().into(),
            method,
            token: choice.offer.token.clone(),
        })));
        Some(self.start(Step::CreateChallenge, &one.url, (action, Vec::new())))
    }

    fn issuer_json(&self) -> Value {
        let issuer = &self.order.issuer;
        let mut reference = json!({ "name": issuer.name });
        for (field, value) in [("kind", &issuer.kind), ("group", &issuer.group)] {
            if !value.is_empty() {
                reference[field] = json!(value);
            }
        }
        reference
    }
}
