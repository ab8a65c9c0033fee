//! Orders on their way: looked at, finalized, downloaded.

use super::super::cache::Texts;
use super::super::{Ports, undone};
use super::Told;
use super::fault::{Fault, Halt};
use super::orders::{lost, malformed};
use super::patience::Patience;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_acme::{Account as CaAccount, Answer, Class as CaClass, Order, OrderStatus};
use everleaf_nodes::Effect;
use everleaf_nodes::effect::{Account, Event, FinalizeOrder, FollowOrder, Verdict};
use everleaf_nodes::facts::Class;
use everleaf_pki::CsrInfo;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where the chain of an order is fetched from, and what is said of it.
struct Going<'a> {
    account: &'a CaAccount,
    preferred_chain: &'a Arc<str>,
    complete: &'a Event,
}

impl Ports {
    /// What became of an order of which a challenge was lost.
    pub(super) async fn follow(&self, effect: &Effect, it: &FollowOrder) -> Told {
        let account = self.ca_account(&it.account).await?;
        let answer = self.look_at_order(&account, &it.account, &it.url).await?;
        let going = Going {
            account: &account,
            preferred_chain: &it.preferred_chain,
            complete: &it.complete,
        };
        match (answer.value.status, &it.if_pending) {
            (OrderStatus::Valid, _) => self.download(effect, &going, &answer.value).await,
            (OrderStatus::Ready | OrderStatus::Processing, _) => {
                let state = json!({ "state": answer.value.status.as_str() });
                Ok(self.write_status(effect, state).await?)
            }
            (OrderStatus::Invalid, _) => self.end(effect, &answer.value).await,
            (OrderStatus::Pending, Some(verdict)) => Err(judged(verdict).into()),
            (OrderStatus::Pending, None) => {
                Err(Fault::wait("refresh", answer.retry_after, None).into())
            }
            (OrderStatus::Unknown, _) => Err(unheard_of()),
        }
    }

    /// Brings an order to its end. It is looked at first, for a request that was sent before may
    /// have been answered since; and again for as long as the CA is quick.
    pub(super) async fn finalize(&self, effect: &Effect, it: &FinalizeOrder) -> Told {
        let account = self.ca_account(&it.account).await?;
        let going = Going {
            account: &account,
            preferred_chain: &it.preferred_chain,
            complete: &it.complete,
        };
        let mut answer = self.look_at_order(&account, &it.account, &it.url).await?;
        let (mut patience, mut sent) = (Patience::with_a_ca(), false);
        loop {
            match answer.value.status {
                OrderStatus::Valid => return self.download(effect, &going, &answer.value).await,
                OrderStatus::Invalid => return self.end(effect, &answer.value).await,
                OrderStatus::Ready if !sent => {
                    sent = true;
                    answer = self.send_request(effect, &account, it).await?;
                    continue;
                }
                OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Pending => {}
                OrderStatus::Unknown => return Err(unheard_of()),
            }
            if !patience.rest(answer.retry_after).await {
                let state = json!({ "state": answer.value.status.as_str() });
                return Err(Fault::wait("finalize", answer.retry_after, Some(state)).into());
            }
            answer = self.look_at_order(&account, &it.account, &it.url).await?;
        }
    }

    async fn look_at_order(
        &self,
        account: &CaAccount,
        whose: &Account,
        url: &str,
    ) -> Result<Answer<Order>, Halt> {
        match account.order(url).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.heed(whose, &error).await;
                Err(lost(&error))
            }
        }
    }

    async fn send_request(
        &self,
        effect: &Effect,
        account: &CaAccount,
        it: &FinalizeOrder,
    ) -> Result<Answer<Order>, Halt> {
        let csr = self.csr_of(effect).await?;
        match account.finalize(&it.finalize_url, &csr).await {
            Ok(answer) => Ok(answer),
            Err(error) if error.class == CaClass::OutOfStep => {
                self.look_at_order(account, &it.account, &it.url).await
            }
            Err(error) => {
                self.heed(&it.account, &error).await;
                Err(error.into())
            }
        }
    }

    async fn end(&self, effect: &Effect, order: &Order) -> Told {
        Ok(self.write_status(effect, ended(order)).await?)
    }

    /// The request that the Order carries, as DER.
    async fn csr_of(&self, effect: &Effect) -> Result<Vec<u8>, Halt> {
        let Effect { subject, base, .. } = effect;
        let texts = match self.cache.get(&base.uid, base.rv) {
            Some(kept) => kept,
            None => {
                let found = self.kube.get(subject.kind, &subject.namespace, &subject.name).await;
                let found = found.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
                Arc::new(Texts::of(&found))
            }
        };
        let Ok(pem) = STANDARD.decode(&*texts.request) else {
            return Err(malformed("spec.request is not base64").into());
        };
        match CsrInfo::parse(&pem, &self.projector.limits) {
            Ok(csr) => Ok(csr.der),
            Err(error) => Err(Fault::new(Class::User, format!("spec.request: {error}")).into()),
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
            Halt::from(Fault { step: Some("finalize"), status, ..fault })
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

fn unheard_of() -> Halt {
    Fault::new(Class::Transient, "the CA calls the order by a state that nobody knows").into()
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
