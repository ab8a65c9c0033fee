//! Orders on their way: looked at, finalized, their chains fetched.

use super::super::super::World;
use super::super::super::acme::{Ill, Said, ill};
use super::super::super::config::Mutant;
use super::super::super::material::{self, SymCsr, SymKey};
use super::super::patience::WITH_A_CA;
use super::super::{Job, failed, stale};
use super::{Fault, Halt, Told, number};
use crate::acme::{AccountId, Call, OrderView, Reply, Status};
use everleaf_engine::FailureClass;
use everleaf_nodes::effect::{Account, Event, FinalizeOrder, FollowOrder, Verdict};
use everleaf_nodes::facts::Class;
use serde_json::json;

/// Where the chain of an order comes from, and what is said of it.
struct Going<'a> {
    account: &'a Account,
    signer: (&'a SymKey, AccountId),
    complete: &'a Event,
}

impl World {
    /// What became of an order of which a challenge was lost.
    pub(super) fn follow(&mut self, job: &mut Job, it: &FollowOrder) -> Told {
        let (key, id) = self.account(job, &it.account)?;
        let (order, after) = self.look_at_order(job, &it.account, (&key, id), &it.url)?;
        let going = Going { account: &it.account, signer: (&key, id), complete: &it.complete };
        match (order.status, &it.if_pending) {
            (Status::Valid, _) => self.download(job, &going, &order),
            (Status::Ready | Status::Processing, _) => {
                Ok(self.write_acme_status(job, json!({ "state": order.status.as_str() }))?)
            }
            (Status::Pending, Some(verdict)) => Err(self.judged(job, verdict).into()),
            (Status::Pending, None) => Err(Fault::wait("refresh", after, None).into()),
            _ => self.end(job, &order),
        }
    }

    /// Brings an order to its end. It is looked at first, for a request that was sent before may
    /// have been answered since; and again for as long as the CA is quick.
    pub(super) fn finalize(&mut self, job: &mut Job, it: &FinalizeOrder) -> Told {
        let (key, id) = self.account(job, &it.account)?;
        let signer = (&key, id);
        let going = Going { account: &it.account, signer, complete: &it.complete };
        let hasty = self.config.mutant == Mutant::FinalizesEarly;
        let mut looked = match hasty && !self.rest_of(job, WITH_A_CA).sent {
            true => self.send_request(job, it, signer)?,
            false => self.look_at_order(job, &it.account, signer, &it.url)?,
        };
        if looked.0.status == Status::Ready && !self.rest_of(job, WITH_A_CA).sent {
            looked = self.send_request(job, it, signer)?;
        }
        let (order, after) = looked;
        match order.status {
            Status::Valid => self.download(job, &going, &order),
            Status::Ready | Status::Processing | Status::Pending => {
                if self.rests(job, WITH_A_CA, after) {
                    return Ok(Vec::new());
                }
                let state = json!({ "state": order.status.as_str() });
                Err(Fault::wait("finalize", after, Some(state)).into())
            }
            _ => self.end(job, &order),
        }
    }

    fn send_request(
        &mut self,
        job: &mut Job,
        it: &FinalizeOrder,
        signer: (&SymKey, AccountId),
    ) -> Result<(OrderView, Option<i64>), Halt> {
        self.rest_of(job, WITH_A_CA).sent = true;
        let subject = job.subject().clone();
        let found = self.fetch(job, &subject)?.ok_or_else(|| stale(subject))?;
        let csr = material::decode::<SymCsr>(&found["spec"]["request"]);
        let broken = || failed(FailureClass::Invalid, "Malformed", "spec.request cannot be read");
        let csr = csr.good().ok_or_else(broken)?;
        let csr = self.outside_mut().request(csr);
        let (key, account) = signer;
        let call = Call::Finalize { account, order: number(&it.finalize_url), csr };
        match self.ask_for(job, &it.account, key, call) {
            Ok(said) => order_of(said),
            Err(ailment) if ill(&ailment) == Ill::OutOfStep => {
                self.look_at_order(job, &it.account, signer, &it.url)
            }
            Err(ailment) => Err(ailment.into()),
        }
    }

    fn look_at_order(
        &mut self,
        job: &mut Job,
        account: &Account,
        (key, id): (&SymKey, AccountId),
        url: &str,
    ) -> Result<(OrderView, Option<i64>), Halt> {
        let call = Call::Order { account: id, order: number(url) };
        let said = self.ask_for(job, account, key, call);
        order_of(said.map_err(|ailment| self.lost_order(job, &ailment))?)
    }

    /// The CA's last word on an order.
    fn end(&mut self, job: &mut Job, order: &OrderView) -> Told {
        let why = order.error.as_ref().map_or_else(String::new, ToString::to_string);
        let status = json!({ "state": "invalid",
            "reason": format!("the CA ended the order: {why}"),
            "failureTime": self.clock_text(job) });
        Ok(self.write_acme_status(job, status)?)
    }

    /// The chain and the state in one write.
    fn download(&mut self, job: &mut Job, going: &Going<'_>, order: &OrderView) -> Told {
        if self.config.mutant == Mutant::RejectsValid {
            let status = json!({ "state": "errored", "reason": "valid already",
                "failureTime": self.clock_text(job) });
            return Ok(self.write_acme_status(job, status)?);
        }
        let again = |fault: Fault| {
            let retried = matches!(fault.class, Class::Transient | Class::RateLimited);
            let status = retried.then(|| json!({ "state": "valid" }));
            Halt::from(Fault { step: Some("finalize"), status, ..fault })
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

fn order_of(said: Said) -> Result<(OrderView, Option<i64>), Halt> {
    match said.reply {
        Reply::Order(order) => Ok((order, said.after)),
        _ => Err(Fault::new(Class::Transient, "that is no order").into()),
    }
}
