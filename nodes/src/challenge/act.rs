//! The effects of the challenge machine's states.

use super::{Case, ChallengeState as State};
use crate::budget::failure_charge;
use crate::budget::standing::limits_of;
use crate::effect::{
    Acme, Answer, CleanUp, Do, Effect, Event, Present, SelfCheck, Solver, Trial, Validate,
};
use crate::facts::{AcmeState, Kind, Method};
use crate::plan::challenge::Step;
use crate::program::{issuer_key, start};
use everleaf_engine::Start;

/// So often in a row a clean-up fails before it is given up, however long ago it began.
const GIVES_UP_AFTER: u32 = 3;

impl Case<'_> {
    pub(crate) fn act(&self, state: State) -> Vec<Start<Effect>> {
        let one = |step: Step, action: Option<Acme>, events: Vec<Event>| -> Vec<Start<Effect>> {
            let action = action.map(Do::Acme);
            action.map(|action| self.start(step, (action, events))).into_iter().collect()
        };
        match state {
            State::Cleaning | State::Sweeping => {
                one(Step::CleanUp, Some(self.clean_up()), self.last_words())
            }
            State::Reporting => {
                let Some(patch) = self.status_patch() else { return Vec::new() };
                let patch = patch.into();
                vec![self.start(Step::WriteStatus, (Do::PatchStatus { patch }, self.complaint()))]
            }
            State::Validating => one(Step::Poll, self.validate(Step::Poll), Vec::new()),
            State::Accepting => one(Step::Accept, self.validate(Step::Accept), Vec::new()),
            State::Propagating => one(Step::SelfCheck, self.self_check(), Vec::new()),
            State::Presenting => one(Step::Present, Some(self.present()), Vec::new()),
            State::Guarding => one(Step::Guard, Some(Acme::Guard), Vec::new()),
            State::Gone | State::Settled | State::Unserved | State::Resting | State::Queued => {
                Vec::new()
            }
        }
    }

    fn start(&self, step: Step, what: (Do, Vec<Event>)) -> Start<Effect> {
        let issuer = &self.challenge.issuer;
        let (kind, name) = (issuer.kind_or_default(), &issuer.name);
        let lane = format!("{}/{kind}/{name}/{}", self.view.key.namespace, step.name());
        start(self.view, step as usize, "", (0, &lane), what)
    }

    fn trial(&self, step: Step) -> Trial {
        let past = self.challenge.attempt.as_ref();
        self.pace(step).trial(step.name(), past, &self.view.object.uid)
    }

    fn answer(&self) -> Answer {
        let challenge = self.challenge;
        let config = challenge.solver.clone();
        let solver = match challenge.method {
            Method::Http01 => {
                let (token, key) = (challenge.token.clone(), challenge.key.clone());
                Solver::Http01 { token, key, config, fall_back: self.falls_back() }
            }
            Method::TlsAlpn01 => {
                let (token, key) = (challenge.token.clone(), challenge.key.clone());
                Solver::TlsAlpn01 { token, key }
            }
            Method::Dns01 => Solver::Dns01 { value: challenge.key.clone(), config },
        };
        // Neither needs the issuer itself, which may be gone when it comes to cleaning up.
        let options = &self.program.options;
        let of_cluster = issuer_key(&self.view.key.namespace, &challenge.issuer)
            .is_some_and(|key| key.kind == Kind::ClusterIssuer);
        let (namespace, ambient) = if of_cluster {
            (&options.cluster_resource_namespace, options.cluster_issuer_ambient_credentials)
        } else {
            (&self.view.key.namespace, options.issuer_ambient_credentials)
        };
        let (dns_name, namespace) = (challenge.dns_name.clone(), namespace.clone());
        Answer { solver, dns_name, namespace, ambient }
    }

    fn present(&self) -> Acme {
        let (answer, trial) = (self.answer(), self.trial(Step::Present));
        let check = self.challenge.wait_ms.is_none();
        Acme::Present(Box::new(Present { answer, check, trial }))
    }

    fn self_check(&self) -> Option<Acme> {
        if self.challenge.wait_ms.is_some() {
            return None; // The wait stands for it.
        }
        Some(Acme::SelfCheck(Box::new(SelfCheck {
            answer: self.answer(),
            presented_at: self.challenge.presented_at.unwrap_or_default(),
            trial: self.trial(Step::SelfCheck),
        })))
    }

    fn validate(&self, step: Step) -> Option<Acme> {
        let served = self.ready()?;
        let (challenge, acme) = (self.challenge, served.acme);
        let limits = limits_of(acme);
        let (name, method) = (&challenge.dns_name, challenge.method.text());
        let message = format!("Domain {name:?} verified with {method:?} validation");
        let validate = Box::new(Validate {
            account: served.account(self.program),
            authorization_url: challenge.authorization_url.clone(),
            url: challenge.url.clone(),
            failure: failure_charge(&limits, served.uri(), name),
            namespace: self.program.options.operator_namespace.clone(),
            verified: Event::normal("DomainVerified", message),
            trial: self.trial(step),
        });
        Some(if step == Step::Poll { Acme::Poll(validate) } else { Acme::Accept(validate) })
    }

    fn clean_up(&self) -> Acme {
        let challenge = self.challenge;
        // A Present that is lost or that failed may have left something behind too.
        let began = challenge.at_work()
            || challenge.attempt.as_ref().is_some_and(|a| *a.step == *Step::Present.name())
            || !challenge.state.is_final();
        let answer = (began && !self.is_shared()).then(|| self.answer());
        let limit = self.program.settings.challenge.clean_up_limit;
        let due = challenge.deleted.is_some_and(|at| at.plus_millis(limit) <= self.view.now);
        // By a clock that is ahead it is due at once: the first failures are never the last.
        let failures = self.view.failure(Step::CleanUp as usize).map_or(0, |failure| failure.count);
        let give_up = due && failures >= GIVES_UP_AFTER;
        Acme::CleanUp(Box::new(CleanUp { answer, give_up }))
    }

    /// The Event that goes with a challenge that was lost.
    fn last_words(&self) -> Vec<Event> {
        let lost = matches!(self.challenge.state, AcmeState::Invalid | AcmeState::Errored)
            && !self.challenge.deleting();
        let event = lost.then(|| Event::warning("Failed", self.challenge.reason.clone()));
        event.into_iter().collect()
    }

    /// The Event that goes with a reason that is written.
    fn complaint(&self) -> Vec<Event> {
        let reason = self.wanted_reason().filter(|_| self.step() == Step::Present);
        reason.map(|reason| Event::warning("PresentError", reason)).into_iter().collect()
    }
}
