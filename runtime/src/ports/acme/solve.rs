//! What is presented for challenges: shown, looked for, removed.

use super::super::{Done, Ports, undone};
use super::check::Missed;
use super::fault::{Fault, Halt};
use super::{Told, clock};
use crate::http01::Answered;
use everleaf_api::names::everleaf as ours;
use everleaf_api::types::acme::AcmeSolver;
use everleaf_engine::{FailureClass, Outcome};
use everleaf_nodes::Effect;
use everleaf_nodes::acme::notes;
use everleaf_nodes::effect::{Answer, CleanUp, Event, Present, SelfCheck, Solver};
use everleaf_nodes::facts::{Class, Method};
use serde_json::json;

/// A failure of a solver is tried again whatever its class: nobody tells when a zone, a credential
/// or a route was mended.
fn again(fault: Fault) -> Fault {
    Fault { again: true, ..fault }
}

/// What was seen instead of the answer, and what is wrong beside it.
fn told(missed: Missed, note: Option<String>) -> Halt {
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    Fault::new(Class::Transient, missed.detail + &note).into()
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
        self.answer_for(effect, &it.answer);
        let presented = match solver {
            Solver::Http01 { token, key, config, .. } => {
                self.route(effect, (dns_name, token), (key, config)).await
            }
            Solver::TlsAlpn01 { .. } => self.has_handshakes(),
            Solver::Dns01 { value, config } => {
                self.write_record(effect, &it.answer, value, config).await
            }
        };
        match presented {
            Ok(()) => {
                let status =
                    json!({ "presented": true, "presentedAt": clock(), "processing": true });
                Ok(self.write_status(effect, status).await?)
            }
            Err(Halt::Fault(fault)) => Err(again(*fault).into()),
            Err(undone) => Err(undone),
        }
    }

    pub(super) async fn self_check(&self, effect: &Effect, it: &SelfCheck) -> Told {
        let host = &it.answer.dns_name;
        self.answer_for(effect, &it.answer);
        let found = match &it.answer.solver {
            Solver::Http01 { token, key, config, fall_back } => {
                match self.look_at_paths(host, token, key).await {
                    Ok(()) => Ok(()),
                    Err(missed) => {
                        // Whoever presented it may be gone, with its address.
                        let (at, by) = ((&**host, &**token), *fall_back && missed.has_address);
                        let note = self.move_route(effect, at, (key, config, by)).await?;
                        Err(told(missed, note))
                    }
                }
            }
            Solver::Dns01 { value, config } => {
                self.look_at_record(effect, &it.answer, value, config).await
            }
            Solver::TlsAlpn01 { key, .. } => {
                let seen = self.look_at_handshake(host, key).await;
                seen.map_err(|missed| told(missed, None))
            }
        };
        if let Err(Halt::Fault(fault)) = found {
            // To look again costs nothing, and only that tells.
            return Err(Fault { class: Class::Transient, ..*fault }.into());
        }
        found?;
        self.acme.sighted(&effect.base.uid);
        let at = super::super::now().max(it.presented_at);
        let text = notes::seen_text(at, &effect.base.uid);
        let noted = self.annotate(effect, ours::ACME_SEEN, &text).await?;
        Ok(self.saw_subject(effect, &noted))
    }

    /// Answers for the Challenge, before anybody is led here.
    fn answer_for(&self, effect: &Effect, answer: &Answer) {
        let (method, token, key) = match &answer.solver {
            Solver::Http01 { token, key, .. } => (Method::Http01, token, key),
            Solver::TlsAlpn01 { token, key } => (Method::TlsAlpn01, token, key),
            Solver::Dns01 { .. } => return,
        };
        let (host, token, key) = (answer.dns_name.clone(), token.clone(), key.clone());
        self.acme.tokens().put(&effect.subject, &Answered { method, host, token, key });
    }

    /// Whether handshakes are answered: nothing is made for them, for what passes TLS through to
    /// the operator was set up by its users.
    fn has_handshakes(&self) -> Result<(), Halt> {
        if self.acme.options().tls_alpn_port.is_some() {
            return Ok(());
        }
        let detail = "this operator answers no TLS-ALPN-01 challenges; set \
                      --acme-tls-alpn01-responder-port";
        Err(Fault::new(Class::User, detail).into())
    }

    /// Removes exactly what was presented, then our finalizer.
    pub(super) async fn clean_up(&self, effect: &Effect, it: &CleanUp) -> Done {
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
        let (object, mut finalizers) = match self.finalizers(effect).await {
            Ok(found) => found,
            Err(undone) => return Err(undone),
        };
        let ours = [everleaf_api::names::FINALIZER, everleaf_api::names::LEGACY_FINALIZER];
        finalizers.retain(|name| !ours.contains(&name.as_str()));
        self.put_finalizers(effect, &object, &finalizers).await
    }

    async fn withdraw(&self, effect: &Effect, answer: &Answer) -> Result<(), Halt> {
        match &answer.solver {
            Solver::Http01 { token, config, fall_back, .. } => {
                let at = (&*answer.dns_name, &**token);
                self.unroute(effect, at, (config, *fall_back)).await?;
                self.acme.tokens().remove(&effect.subject);
                Ok(())
            }
            Solver::TlsAlpn01 { .. } => {
                self.acme.tokens().remove(&effect.subject);
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
        Solver::TlsAlpn01 { .. } => format!("the answer to the TLS-ALPN-01 challenge of {name}"),
        Solver::Dns01 { .. } => format!("the TXT record of _acme-challenge.{name}"),
    }
}
