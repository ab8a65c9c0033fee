//! What is presented for challenges: shown, looked for, removed.

use super::super::{Done, Ports, Report, Undone, rejected, undone};
use super::check::Missed;
use super::fault::{Fault, Halt};
use super::patience::Patience;
use super::{Showing, Told, clock};
use crate::http01::Answered;
use everleaf_api::names::everleaf as ours;
use everleaf_api::types::acme::AcmeSolver;
use everleaf_engine::{FailureClass, ObjectKey, Outcome, Timestamp};
use everleaf_nodes::acme::notes;
use everleaf_nodes::acme::showing::is_wanted;
use everleaf_nodes::effect::{Answer, CleanUp, Event, Present, SelfCheck, Solver};
use everleaf_nodes::facts::{Class, Method};
use everleaf_nodes::{Effect, Facts};
use serde_json::json;

/// So many self-checks look for a while; those that follow look once.
const FRESH: i64 = 2;

/// A failure of a solver is tried again whatever its class: nobody tells when a zone, a credential
/// or a route was mended.
fn again(fault: Fault) -> Fault {
    Fault { again: true, ..fault }
}

/// Why what was presented was not seen from outside.
struct Unseen {
    halt: Halt,
    /// Whether the name has an address, for an answer that is led to one.
    has_address: bool,
}

impl Unseen {
    /// The same with what is wrong beside it.
    fn with(mut self, note: Option<String>) -> Self {
        if let (Halt::Fault(fault), Some(note)) = (&mut self.halt, note) {
            fault.detail = format!("{}; {note}", fault.detail);
        }
        self
    }
}

impl From<Missed> for Unseen {
    fn from(missed: Missed) -> Self {
        let halt = Fault::new(Class::Transient, missed.detail).into();
        Self { halt, has_address: missed.has_address }
    }
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
        let showing = self.show(effect).await?;
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
        drop(showing);
        match presented {
            Ok(()) => {}
            Err(Halt::Fault(fault)) => return Err(again(*fault).into()),
            Err(undone) => return Err(undone),
        }
        let mut status = json!({ "presented": true, "presentedAt": clock(), "processing": true });
        let found = if it.check {
            Some(self.look_out(effect, &it.answer, Patience::with_a_solver()).await)
        } else {
            None
        };
        match found {
            Some(Ok(())) => return self.note_seen(effect, super::super::now()).await,
            Some(Err(Unseen { halt: Halt::Fault(fault), .. })) => {
                status["reason"] = waiting(&it.answer, &fault.detail).into();
            }
            Some(Err(_)) | None => {}
        }
        Ok(self.write_status(effect, status).await?)
    }

    /// Looks from outside for what was presented, for a while.
    async fn look_out(
        &self,
        effect: &Effect,
        answer: &Answer,
        mut patience: Patience,
    ) -> Result<(), Unseen> {
        loop {
            let found = self.look(effect, answer).await;
            let missed = matches!(found, Err(Unseen { halt: Halt::Fault(_), .. }));
            if !missed || !patience.rest(None).await {
                return found;
            }
        }
    }

    async fn look(&self, effect: &Effect, answer: &Answer) -> Result<(), Unseen> {
        let host = &answer.dns_name;
        match &answer.solver {
            Solver::Http01 { token, key, .. } => Ok(self.look_at_paths(host, token, key).await?),
            Solver::TlsAlpn01 { key, .. } => Ok(self.look_at_handshake(host, key).await?),
            Solver::Dns01 { value, config } => {
                let seen = self.look_at_record(effect, answer, value, config).await;
                seen.map_err(|halt| Unseen { halt, has_address: false })
            }
        }
    }

    /// Writes down when it was seen.
    async fn note_seen(&self, effect: &Effect, at: Timestamp) -> Told {
        self.acme.sighted(&effect.base.uid);
        let text = notes::seen_text(at, &effect.base.uid);
        let noted = self.annotate(effect, ours::ACME_SEEN, &text).await?;
        Ok(self.saw_subject(effect, &noted))
    }

    pub(super) async fn self_check(&self, effect: &Effect, it: &SelfCheck) -> Told {
        let stale = || Report::stale(vec![effect.subject.clone()]);
        let showing = self.acme.show(&effect.base).ok_or_else(stale)?;
        self.answer_for(effect, &it.answer);
        drop(showing);
        // What was not there a few times is not worth standing there for.
        let fresh = it.trial.number <= FRESH;
        let patience = || if fresh { Patience::with_a_solver() } else { Patience::spent() };
        let mut found = self.look_out(effect, &it.answer, patience()).await;
        if let (Solver::Http01 { token, key, config, fall_back }, Err(unseen)) =
            (&it.answer.solver, &found)
        {
            // Whoever presented it may be gone, with its address.
            let (at, by) = ((&*it.answer.dns_name, &**token), *fall_back && unseen.has_address);
            let showing = self.show(effect).await?;
            let moved = self.move_route(effect, at, (key, config, by)).await?;
            drop(showing);
            if moved.changed {
                found = self.look_out(effect, &it.answer, patience()).await;
            }
            found = found.map_err(|unseen| unseen.with(moved.note));
        }
        match found {
            Ok(()) => self.note_seen(effect, super::super::now().max(it.presented_at)).await,
            // To look again costs nothing, and only that tells.
            Err(Unseen { halt: Halt::Fault(fault), .. }) => {
                Err(Fault { class: Class::Transient, ..*fault }.into())
            }
            Err(Unseen { halt, .. }) => Err(halt),
        }
    }

    /// Whatever shows something for a Challenge asks here first: once its clean-up was asked for,
    /// nobody would remove that any more. It is read live too, for a process that was suspended is
    /// the last to learn that another one cleaned up.
    async fn show<'a>(&'a self, effect: &'a Effect) -> Result<Showing<'a>, Undone> {
        let ObjectKey { kind, namespace, name } = &effect.subject;
        let stale = || Report::stale(vec![effect.subject.clone()]);
        let showing = self.acme.show(&effect.base).ok_or_else(stale)?;
        let found = self.kube.get(*kind, namespace, name).await;
        let found = found.map_err(|error| match error.is_absent() {
            true => stale(),
            false => undone(&error, &[]),
        })?;
        let read = self.projector.read(*kind, &found);
        let read = read.map_err(|error| rejected("ChallengeUnreadable", error.to_string()))?;
        let wanted = matches!(&read.facts, Facts::Challenge(it) if is_wanted(it));
        if wanted && read.uid == effect.base.uid { Ok(showing) } else { Err(stale()) }
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
        if !self.acme.showings().clean_up(&effect.base, super::super::now()) {
            return Err(failed(
                "it is still being presented, and cleaned up after that".to_owned(),
            ));
        }
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
        if !finalizers.iter().any(|name| ours.contains(&name.as_str())) {
            return Err(Report::stale(vec![effect.subject.clone()])); // Another process was first.
        }
        finalizers.retain(|name| !ours.contains(&name.as_str()));
        self.put_finalizers(effect, rv, &finalizers).await
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

/// What a Challenge says that is not seen yet; as decisions have it.
fn waiting(answer: &Answer, detail: &str) -> String {
    let method = match &answer.solver {
        Solver::Http01 { .. } => Method::Http01,
        Solver::TlsAlpn01 { .. } => Method::TlsAlpn01,
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
        Solver::TlsAlpn01 { .. } => format!("the answer to the TLS-ALPN-01 challenge of {name}"),
        Solver::Dns01 { .. } => format!("the TXT record of _acme-challenge.{name}"),
    }
}
