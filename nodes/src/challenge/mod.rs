//! The `challenge` machine: one ACME challenge, from its turn to its clean-up.

mod act;
pub(crate) mod turn;

use crate::acme::account::Served;
use crate::acme::trial::{Pace, heeded};
use crate::facts::{AcmeState, Attempt, ChallengeFacts, Class};
use crate::plan::challenge as plan;
use crate::program::{Everleaf, Sight, of_answer, of_table};
use crate::status::Patch;
use everleaf_engine::{Digest, Look, Timestamp, digest_of};
use plan::{State, Step};
use serde_json::json;
use std::sync::Arc;

/// What a Challenge presents: two with the same share it.
pub(crate) fn answer_of(facts: &ChallengeFacts) -> Digest {
    digest_of(&(facts.method, &facts.dns_name, &facts.token, &facts.key))
}

/// Everything that decides on one Challenge.
pub(crate) struct Case<'a> {
    program: &'a Everleaf,
    view: &'a Sight<'a>,
    challenge: &'a ChallengeFacts,
    served: Option<Served<'a>>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        program: &'a Everleaf,
        view: &'a Sight<'a>,
        challenge: &'a ChallengeFacts,
    ) -> Self {
        let served = Served::find(view, &challenge.issuer);
        Self { program, view, challenge, served }
    }

    pub(crate) fn look(&self) -> Look {
        let truth = plan::truth(self, self.view.now);
        Look { state: plan::locate(truth) as usize, truth }
    }

    fn ready(&self) -> Option<&Served<'a>> {
        self.served.as_ref().filter(|served| served.is_ready())
    }

    /// Whether the CA was told to validate: it calls the challenge processing, or more.
    fn is_accepted(&self) -> bool {
        self.is_presented() && self.challenge.state == AcmeState::Processing
    }

    fn is_presented(&self) -> bool {
        let shown = self.challenge.presented || self.challenge.seen.is_some();
        shown && self.challenge.guarded
    }

    /// Whether what was presented was seen, or needs not be. What was seen before it was presented
    /// again does not count.
    fn is_seen(&self) -> bool {
        let since = self.challenge.presented_at.unwrap_or_default();
        let seen = self.challenge.seen.is_some_and(|at| at >= since);
        let held = self.hold_until().is_some_and(|until| until <= self.view.now);
        self.is_accepted() || (self.is_presented() && (seen || held))
    }

    /// When the wait is over that stands for the self-check.
    pub(crate) fn hold_until(&self) -> Option<Timestamp> {
        let wait = self.challenge.wait_ms.filter(|_| self.is_presented())?;
        Some(self.challenge.presented_at?.plus_millis(wait.max(0)))
    }

    /// Whether it was presented so long ago that a Pod may answer, or has been answering.
    pub(crate) fn falls_back(&self) -> bool {
        let after = self.program.settings.challenge.pod_after;
        let since = self.challenge.presented_at;
        since.is_some_and(|since| since.plus_millis(after) <= self.view.now)
    }

    fn is_admitted(&self) -> bool {
        let parked_after = self.program.settings.challenge.parked_after;
        if self.challenge.at_work() || turn::is_parked(self.challenge, parked_after) {
            return true;
        }
        let options = &self.program.options;
        let at_table = self.view.tagged(of_table(turn::table(options, self.view.key).0));
        let at_table = at_table.into_iter();
        let at_table = at_table.filter_map(|(key, o)| Some((key, o.facts.challenge()?)));
        turn::has_turn(options, self.view.key, at_table, parked_after)
    }

    /// The step that the Challenge is at: what its state would do.
    fn step(&self) -> Step {
        if self.challenge.deleting() || self.challenge.state.is_final() {
            Step::CleanUp
        } else if self.is_accepted() {
            Step::Poll
        } else if self.is_seen() {
            Step::Accept
        } else if self.is_presented() {
            Step::SelfCheck
        } else {
            Step::Present
        }
    }

    fn attempt(&self) -> Option<&'a Attempt> {
        let skew = self.program.settings.certificate.skew;
        let attempt = heeded(self.challenge.attempt.as_ref(), self.view.now, skew);
        attempt.filter(|attempt| *attempt.step == *self.step().name())
    }

    /// When the present step may be tried again.
    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        self.attempt()?.not_before
    }

    fn pace(&self, step: Step) -> Pace {
        let settings = &self.program.settings.challenge;
        let (first, ceiling) = match step {
            Step::SelfCheck | Step::Poll => (settings.look_first, settings.look_ceiling),
            _ => (settings.retry_first, settings.retry_ceiling),
        };
        Pace { first, factor: settings.retry_factor, ceiling }
    }

    /// Whether another open Challenge presents the very same, so that it has to stay.
    fn is_shared(&self) -> bool {
        let others = self.view.tagged(of_answer(answer_of(self.challenge)));
        others.into_iter().filter(|(key, _)| *key != self.view.key).any(|(key, object)| {
            let Some(other) = object.facts.challenge() else { return false };
            // HTTP-01 routes lie in the namespace, records in the zone.
            let near = other.method == crate::facts::Method::Dns01
                || key.namespace == self.view.key.namespace;
            // One that was not presented yet may be about to be: whoever is last takes it away.
            near && other.guarded && !other.deleting() && !other.state.is_final()
        })
    }

    /// What the status says of why the Challenge is where it is.
    fn wanted_reason(&self) -> Option<Arc<str>> {
        let method = self.challenge.method.text();
        if let Some(attempt) = self.attempt().filter(|attempt| attempt.class != Class::Wait) {
            let text = match self.step() {
                Step::SelfCheck => {
                    format!("Waiting for {method} challenge propagation: {}", attempt.detail)
                }
                _ => attempt.detail.to_string(),
            };
            return Some(text.into());
        }
        let wait = self.challenge.wait_ms.filter(|_| self.step() == Step::SelfCheck)?;
        // A short wait is over before anybody reads of it.
        (wait > 10_000).then(|| {
            let wait = everleaf_api::GoDuration::from_nanos(wait.saturating_mul(1_000_000));
            format!("Waiting {wait} before accepting the challenge, instead of a self-check").into()
        })
    }

    /// The patch that brings the status up to date; `None` if it is. What the CA said is written
    /// with the answer, and stays.
    fn status_patch(&self) -> Option<String> {
        if self.challenge.state.is_final() || self.challenge.deleting() {
            return None;
        }
        let was = Some(self.challenge.reason.clone()).filter(|reason| !reason.is_empty());
        // A text that has had its time is replaced by the next one, not taken back.
        let is = self.wanted_reason()?;
        let mut patch = Patch::default();
        patch.field("reason", (&was, &Some(is)), |reason| json!(reason));
        patch.into_text()
    }
}

impl plan::Facts for Case<'_> {
    fn deleting(&self) -> bool {
        self.challenge.deleting()
    }

    fn clean(&self) -> bool {
        !self.challenge.guarded
    }

    fn r#final(&self) -> bool {
        self.challenge.state.is_final()
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

    fn admitted(&self) -> bool {
        self.is_admitted()
    }

    fn guarded(&self) -> bool {
        self.is_presented() || (self.challenge.guarded && self.is_admitted())
    }

    fn presented(&self) -> bool {
        self.is_presented()
    }

    fn seen(&self) -> bool {
        self.is_seen()
    }

    fn accepted(&self) -> bool {
        self.is_accepted()
    }

    fn not_before(&self) -> Option<Timestamp> {
        Case::not_before(self)
    }

    fn hold_until(&self) -> Option<Timestamp> {
        Case::hold_until(self)
    }
}

/// The state of a Challenge's machine, to be matched on where effects are built.
pub(crate) type ChallengeState = State;
