//! What is presented for challenges: shown, looked for, removed.

use super::super::{Done, Ports, undone};
use super::fault::{Fault, Halt};
use super::patience::Patience;
use super::{Told, clock};
use everleaf_api::names::everleaf as ours;
use everleaf_api::types::acme::AcmeSolver;
use everleaf_engine::{FailureClass, Outcome, Timestamp};
use everleaf_nodes::Effect;
use everleaf_nodes::acme::notes;
use everleaf_nodes::effect::{Answer, CleanUp, Event, Present, SelfCheck, Solver};
use everleaf_nodes::facts::{Class, Method};
use serde_json::json;

/// So many self-checks look for a while; those that follow look once.
const FRESH: i64 = 2;

/// A failure of a solver is tried again whatever its class: nobody tells when a zone, a credential
/// or a route was mended.
fn again(fault: Fault) -> Fault {
    Fault { again: true, ..fault }
}

/// The solver of a challenge, as its Challenge carries it.
pub(super) fn solver(config: &str) -> Result<AcmeSolver, Halt> {
    let broken = |error: serde_json::Error| {
        Fault::new(Class::User, format!("spec.solver cannot be read: {error}")).into()
    };
    serde_json::from_str(config).map_err(broken)
}

impl Ports {
    pub(super) async fn present(&self, effect: &Effect, it: &Present) -> Told {
        let Answer { solver, dns_name, .. } = &it.answer;
        let presented = match solver {
            Solver::Http01 { token, key, config } => {
                self.acme.tokens().put(token, dns_name, key);
                self.route(effect, (dns_name, token), config).await
            }
            Solver::Dns01 { value, config } => {
                self.write_record(effect, &it.answer, value, config).await
            }
        };
        match presented {
            Ok(()) => {}
            Err(Halt::Fault(fault)) => return Err(again(*fault).into()),
            Err(undone) => return Err(undone),
        }
        let mut status = json!({ "presented": true, "presentedAt": clock(), "processing": true });
        let found = if it.check {
            Some(self.look_out(&it.answer, Patience::with_a_solver()).await)
        } else {
            None
        };
        match found {
            Some(Ok(())) => return self.note_seen(effect, super::super::now()).await,
            Some(Err(Halt::Fault(fault))) => {
                status["reason"] = waiting(&it.answer, &fault.detail).into();
            }
            Some(Err(Halt::Undone(_))) | None => {}
        }
        Ok(self.write_status(effect, status).await?)
    }

    /// Looks from outside for what was presented, for a while.
    async fn look_out(&self, answer: &Answer, mut patience: Patience) -> Result<(), Halt> {
        loop {
            let found = match &answer.solver {
                Solver::Http01 { token, key, .. } => {
                    self.look_at_path(&answer.dns_name, token, key).await
                }
                Solver::Dns01 { value, config } => {
                    self.look_at_record(&answer.dns_name, value, config).await
                }
            };
            if !matches!(found, Err(Halt::Fault(_))) || !patience.rest(None).await {
                return found;
            }
        }
    }

    /// Writes down when it was seen.
    async fn note_seen(&self, effect: &Effect, at: Timestamp) -> Told {
        let text = notes::seen_text(at, &effect.base.uid);
        let noted = self.annotate(effect, ours::ACME_SEEN, &text).await?;
        Ok(self.saw_subject(effect, &noted))
    }

    pub(super) async fn self_check(&self, effect: &Effect, it: &SelfCheck) -> Told {
        if let Solver::Http01 { token, key, .. } = &it.answer.solver {
            self.acme.tokens().put(token, &it.answer.dns_name, key);
        }
        // What was not there a few times is not worth standing there for.
        let fresh = it.trial.number <= FRESH;
        let patience = || if fresh { Patience::with_a_solver() } else { Patience::spent() };
        let mut found = self.look_out(&it.answer, patience()).await;
        if let (Solver::Http01 { token, config, .. }, Err(_)) = (&it.answer.solver, &found) {
            // Whoever presented it may be gone, with its address.
            if self.move_route(effect, (&it.answer.dns_name, token), config).await? {
                found = self.look_out(&it.answer, patience()).await;
            }
        }
        if let Err(Halt::Fault(fault)) = found {
            // To look again costs nothing, and only that tells.
            return Err(Fault { class: Class::Transient, ..*fault }.into());
        }
        found?;
        self.note_seen(effect, super::super::now().max(it.presented_at)).await
    }

    /// Removes exactly what was presented, then our finalizer.
    pub(super) async fn clean_up(&self, effect: &Effect, it: &CleanUp) -> Done {
        if it.answer.is_none() {
            self.leave_gates(effect).await;
        }
        if let Some(answer) = &it.answer
            && let Err(halt) = self.withdraw(effect, answer).await
        {
            let message = match halt {
                Halt::Undone(undone) if !it.give_up => return Err(undone),
                Halt::Undone(undone) => format!("{:?}", undone.outcome),
                Halt::Fault(fault) => fault.detail,
            };
            let what = left_behind(answer);
            if !it.give_up {
                let event = Event::warning("CleanUpError", format!("{what}: {message}"));
                self.say(effect, &event);
                return Err(failed(message));
            }
            let text = format!("{what} may be left behind, for it cannot be removed: {message}");
            self.say(effect, &Event::warning("CleanUpError", text));
        }
        let (rv, mut finalizers) = self.finalizers(effect).await?;
        let ours = [everleaf_api::names::FINALIZER, everleaf_api::names::LEGACY_FINALIZER];
        finalizers.retain(|name| !ours.contains(&name.as_str()));
        self.put_finalizers(effect, rv, &finalizers).await
    }

    async fn withdraw(&self, effect: &Effect, answer: &Answer) -> Result<(), Halt> {
        match &answer.solver {
            Solver::Http01 { token, config, .. } => {
                self.unroute(effect, (&answer.dns_name, token), config).await?;
                self.acme.tokens().remove(token, &answer.dns_name);
                Ok(())
            }
            Solver::Dns01 { value, config } => {
                self.remove_record(effect, answer, value, config).await
            }
        }
    }

    /// A request to the API server that failed, for an object of the solver's.
    pub(super) fn unsolved(&self, error: &crate::kube_api::ApiError) -> Halt {
        match error.class {
            // Somebody has to mend these, and it has to be told whose they are.
            FailureClass::Forbidden | FailureClass::Invalid | FailureClass::Rejected => {
                Fault::new(Class::User, error.to_string()).into()
            }
            _ => undone(error, &[]).into(),
        }
    }
}

/// What a Challenge says that is not seen yet; as decisions have it.
fn waiting(answer: &Answer, detail: &str) -> String {
    let method = match &answer.solver {
        Solver::Http01 { .. } => Method::Http01,
        Solver::Dns01 { .. } => Method::Dns01,
    };
    format!("Waiting for {} challenge propagation: {detail}", method.text())
}

fn failed(message: String) -> super::super::Undone {
    let outcome = Outcome::Failed {
        class: FailureClass::Transient,
        reason: "CleanUpError".to_owned(),
        message,
        not_before: None,
        reread: Vec::new(),
    };
    Box::new(super::super::Report { seen: Vec::new(), outcome })
}

/// What was presented, for people.
fn left_behind(answer: &Answer) -> String {
    let name = &answer.dns_name;
    match &answer.solver {
        Solver::Http01 { .. } => format!("the route to the HTTP-01 challenge of {name}"),
        Solver::Dns01 { .. } => format!("the TXT record of _acme-challenge.{name}"),
    }
}
