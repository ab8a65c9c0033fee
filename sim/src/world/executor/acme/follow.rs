//! Orders on their way: looked at, finalized, downloaded.

use super::super::super::World;
use super::super::super::acme::{Ill, Said, ill};
use super::super::super::config::Mutant;
use super::super::super::material::{self, SymCsr, SymKey};
use super::super::{Job, failed, stale};
use super::{Fault, Halt, Told, number};
use crate::acme::{AccountId, Call, OrderView, Reply, Status};
use everleaf_engine::FailureClass;
use everleaf_nodes::effect::{Account, Event, FinalizeOrder, FollowOrder, Verdict};
use everleaf_nodes::facts::Class;
use serde_json::json;

/// How long the CA is given to issue before the first look, in milliseconds.
const FIRST_LOOK: i64 = 2_000;

/// What becomes of an order, depending on what the CA says.
struct Going<'a> {
    account: &'a Account,
    signer: (&'a SymKey, AccountId),
    if_pending: Option<&'a Verdict>,
    complete: &'a Event,
    /// The step that a look which has to be repeated counts for.
    step: &'static str,
    /// How long it rests at most before that look, in milliseconds.
    look: Option<i64>,
}

impl World {
    pub(super) fn follow(&mut self, job: &mut Job, it: &FollowOrder) -> Told {
        let (key, id) = self.account(job, &it.account)?;
        let call = Call::Order { account: id, order: number(&it.url) };
        let said = self.ask_for(job, &it.account, &key, call);
        let said = said.map_err(|ailment| self.lost_order(job, &ailment))?;
        let going = Going {
            account: &it.account,
            signer: (&key, id),
            if_pending: it.if_pending.as_ref(),
            complete: &it.complete,
            step: if *it.trial.step == *"download" { "download" } else { "refresh" },
            look: None,
        };
        self.go_on(job, &going, said)
    }

    pub(super) fn finalize(&mut self, job: &mut Job, it: &FinalizeOrder) -> Told {
        let (key, id) = self.account(job, &it.account)?;
        let subject = job.subject().clone();
        let found = self.fetch(job, &subject)?.ok_or_else(|| stale(subject))?;
        let csr = material::decode::<SymCsr>(&found["spec"]["request"]);
        let broken = || failed(FailureClass::Invalid, "Malformed", "spec.request cannot be read");
        let csr = csr.good().ok_or_else(broken)?;
        let csr = self.outside_mut().request(csr);
        let going = Going {
            account: &it.account,
            signer: (&key, id),
            if_pending: None,
            complete: &it.complete,
            step: "refresh",
            look: Some(FIRST_LOOK),
        };
        let order = number(&it.finalize_url);
        let sent = self.ask_for(job, &it.account, &key, Call::Finalize { account: id, order, csr });
        match sent {
            Ok(said) => self.go_on(job, &going, said),
            Err(ailment) if ill(&ailment) == Ill::OutOfStep => {
                let call = Call::Order { account: id, order: number(&it.url) };
                let said = self.ask_for(job, &it.account, &key, call);
                let said = said.map_err(|ailment| self.lost_order(job, &ailment))?;
                self.go_on(job, &going, said)
            }
            Err(ailment) => Err(ailment.into()),
        }
    }

    fn go_on(&mut self, job: &mut Job, going: &Going<'_>, said: Said) -> Told {
        let Reply::Order(order) = said.reply else {
            return Err(Fault::new(Class::Transient, "that is no order").into());
        };
        let state = |state: &str| json!({ "state": state });
        match (order.status, going.if_pending) {
            (Status::Valid, _) if self.config.mutant == Mutant::RejectsValid => {
                let status = json!({ "state": "errored", "reason": "valid already",
                    "failureTime": self.clock_text(job) });
                Ok(self.write_acme_status(job, status)?)
            }
            (Status::Valid, _) => self.download(job, going, &order),
            (Status::Ready, _) => Ok(self.write_acme_status(job, state("ready"))?),
            (Status::Processing, _) => {
                let fault = Fault::wait("refresh", said.after, Some(state("processing")));
                Err(Fault { rest_limit: going.look, ..fault }.into())
            }
            (Status::Pending, None) => {
                Err(Fault::wait(going.step, said.after, Some(state("pending"))).into())
            }
            (Status::Pending, Some(verdict)) => Err(self.judged(job, verdict).into()),
            _ => {
                let why = order.error.map_or_else(String::new, |problem| problem.to_string());
                let status = json!({ "state": "invalid",
                    "reason": format!("the CA ended the order: {why}"),
                    "failureTime": self.clock_text(job) });
                Ok(self.write_acme_status(job, status)?)
            }
        }
    }

    /// The chain and the state in one write.
    fn download(&mut self, job: &mut Job, going: &Going<'_>, order: &OrderView) -> Told {
        let again = |fault: Fault| {
            let retried = matches!(fault.class, Class::Transient | Class::RateLimited);
            let status = retried.then(|| json!({ "state": "valid" }));
            Halt::from(Fault { step: Some("download"), status, ..fault })
        };
        let Some(serial) = order.certificate else {
            return Err(again(Fault::new(Class::Transient, "nobody says where it is")));
        };
        let (key, account) = going.signer;
        let call = Call::Certificate { account, serial, chain: 0 };
        let said = self.ask_for(job, going.account, key, call);
        let said = said.map_err(|ailment| again(Fault::of(&ailment)))?;
        let Reply::Certificate(leaf, _) = said.reply else {
            return Err(again(Fault::new(Class::Transient, "that is no certificate")));
        };
        let chain = self.outside().chain(&going.account.directory, &leaf);
        let status = json!({ "state": "valid", "certificate": material::encode(&chain) });
        let wrote = self.write_acme_status(job, status)?;
        self.say(job.at, &job.subject().clone(), std::slice::from_ref(going.complete));
        Ok(wrote)
    }

    /// The Order ends by our own word: a challenge of it was lost.
    fn judged(&self, job: &Job, verdict: &Verdict) -> Fault {
        let status = json!({ "state": verdict.state.text(), "reason": *verdict.reason,
            "failureTime": self.clock_text(job) });
        let detail = verdict.reason.to_string();
        Fault { status: Some(status), ..Fault::new(verdict.class, detail) }
    }
}
