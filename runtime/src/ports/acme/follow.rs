//! Orders on their way: looked at, finalized, downloaded.

use super::super::{Ports, undone};
use super::Told;
use super::fault::{Fault, Halt};
use super::orders::{lost, malformed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_acme::{Account as CaAccount, Answer, Class as CaClass, Order, OrderStatus};
use everleaf_nodes::Effect;
use everleaf_nodes::effect::{Event, FinalizeOrder, FollowOrder, Verdict};
use everleaf_nodes::facts::Class;
use everleaf_pki::CsrInfo;
use serde_json::{Value, json};
use std::sync::Arc;

/// What becomes of an order, depending on what the CA says.
struct Going<'a> {
    account: &'a CaAccount,
    if_pending: Option<&'a Verdict>,
    preferred_chain: &'a Arc<str>,
    complete: &'a Event,
    /// The step that a look which has to be repeated counts for.
    step: &'static str,
    /// How long the CA is given at most before that look, in milliseconds, if it names no time.
    look: Option<i64>,
}

/// Most CAs issue within a second or two of the request.
const FIRST_LOOK: i64 = 2_000;

impl Ports {
    pub(super) async fn follow(&self, effect: &Effect, it: &FollowOrder) -> Told {
        let account = self.ca_account(&it.account).await?;
        let answer = match account.order(&it.url).await {
            Ok(answer) => answer,
            Err(error) => {
                self.heed(&it.account, &error).await;
                return Err(lost(&error));
            }
        };
        let going = Going {
            account: &account,
            if_pending: it.if_pending.as_ref(),
            preferred_chain: &it.preferred_chain,
            complete: &it.complete,
            step: if *it.trial.step == *"download" { "download" } else { "refresh" },
            look: None,
        };
        self.go_on(effect, &going, &answer).await
    }

    pub(super) async fn finalize(&self, effect: &Effect, it: &FinalizeOrder) -> Told {
        let account = self.ca_account(&it.account).await?;
        let csr = self.csr_of(effect).await?;
        let going = Going {
            account: &account,
            if_pending: None,
            preferred_chain: &it.preferred_chain,
            complete: &it.complete,
            step: "refresh",
            look: Some(FIRST_LOOK),
        };
        match account.finalize(&it.finalize_url, &csr).await {
            Ok(answer) => self.go_on(effect, &going, &answer).await,
            Err(error) if error.class == CaClass::OutOfStep => {
                let answer = account.order(&it.url).await.map_err(|error| lost(&error))?;
                self.go_on(effect, &going, &answer).await
            }
            Err(error) => {
                self.heed(&it.account, &error).await;
                Err(error.into())
            }
        }
    }

    /// The request that the Order carries, as DER.
    async fn csr_of(&self, effect: &Effect) -> Result<Vec<u8>, Halt> {
        let subject = &effect.subject;
        let found = self.kube.get(subject.kind, &subject.namespace, &subject.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        let text = found.pointer("/spec/request").and_then(Value::as_str).unwrap_or_default();
        let Ok(pem) = STANDARD.decode(text) else {
            return Err(malformed("spec.request is not base64").into());
        };
        match CsrInfo::parse(&pem, &self.projector.limits) {
            Ok(csr) => Ok(csr.der),
            Err(error) => Err(Fault::new(Class::User, format!("spec.request: {error}")).into()),
        }
    }

    async fn go_on(&self, effect: &Effect, going: &Going<'_>, answer: &Answer<Order>) -> Told {
        let (order, after) = (&answer.value, answer.retry_after);
        let state = |state: &str| json!({ "state": state });
        match (order.status, going.if_pending) {
            (OrderStatus::Valid, _) => self.download(effect, going, order).await,
            (OrderStatus::Ready, _) => Ok(self.write_status(effect, state("ready")).await?),
            (OrderStatus::Invalid, _) => Ok(self.write_status(effect, ended(order)).await?),
            (OrderStatus::Processing, _) => {
                let fault = Fault::wait("refresh", after, Some(state("processing")));
                Err(Fault { rest_limit: going.look, ..fault }.into())
            }
            (OrderStatus::Pending, None) => {
                Err(Fault::wait(going.step, after, Some(state("pending"))).into())
            }
            (OrderStatus::Pending, Some(verdict)) => Err(judged(verdict).into()),
            (OrderStatus::Unknown, _) => {
                let detail = "the CA calls the order by a state that nobody knows";
                Err(Fault::new(Class::Transient, detail).into())
            }
        }
    }

    /// The chain and the state in one write. A chain that cannot be had yet is asked for again.
    async fn download(&self, effect: &Effect, going: &Going<'_>, order: &Order) -> Told {
        let valid = json!({ "state": "valid" });
        let again = |fault: Fault| {
            let status = fault.status.clone().or_else(|| {
                let retried = matches!(fault.class, Class::Transient | Class::RateLimited);
                retried.then(|| valid.clone())
            });
            Halt::from(Fault { step: Some("download"), status, ..fault })
        };
        let Some(url) = &order.certificate else {
            let detail = "the order is valid, and the CA does not say where its certificate is";
            return Err(again(Fault::new(Class::Transient, detail)));
        };
        let preferred = Some(&**going.preferred_chain);
        let chosen = going.account.preferred_certificate(url, preferred).await;
        let chosen = chosen.map_err(|error| again(Fault::of(&error)))?.value;
        let pem = STANDARD.encode(&chosen.chain.pem);
        let status = json!({ "state": "valid", "certificate": pem });
        let report = self.write_status(effect, status).await?;
        self.say(effect, going.complete);
        Ok(report)
    }
}

/// The CA's last word on an order.
fn ended(order: &Order) -> Value {
    let reason = match &order.error {
        Some(problem) => format!("the CA ended the order: {problem}"),
        None => "the CA ended the order without a reason".to_owned(),
    };
    json!({ "state": "invalid", "reason": reason, "failureTime": super::clock() })
}

/// The Order ends by our own word: a challenge of it was lost.
fn judged(verdict: &Verdict) -> Fault {
    let status = json!({
        "state": verdict.state.text(),
        "reason": verdict.reason,
        "failureTime": super::clock(),
    });
    Fault::new(verdict.class, verdict.reason.to_string()).with_status(status)
}
