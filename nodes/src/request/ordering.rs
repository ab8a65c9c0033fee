//! Requests that an ACME issuer answers: by an Order, whose certificate is taken over.

use super::{Case, Holdup, Unmet};
use crate::acme::trial::heeded;
use crate::acme::{check, naming};
use crate::effect::{Acme, Base, NewOrder, rfc3339};
use crate::facts::{
    AcmeFacts, AcmeState, Attempt, Class, Csr, FailureNote, Kind, OrderFacts, Signer,
};
use crate::program::{Sight, children};
use crate::status::{remove, to_json};
use everleaf_api::GoDuration;
use everleaf_engine::{ObjectKey, Uid};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The Order of a request.
#[derive(Clone, Copy)]
pub(super) struct OrderSight<'a> {
    pub key: &'a ObjectKey<Kind>,
    pub uid: &'a Uid,
    pub rv: u64,
    pub facts: &'a OrderFacts,
}

impl OrderSight<'_> {
    /// Whether its last request failed, or it waits with a reason; both are worth telling at once.
    pub fn is_in_trouble(&self) -> bool {
        let attempt = self.facts.attempt.as_ref();
        !self.facts.reason.is_empty() || attempt.is_some_and(|one| one.class != Class::Wait)
    }
}

/// The Orders that the request controls and that are not being deleted.
pub(super) fn orders_of<'a>(view: &Sight<'a>) -> Vec<OrderSight<'a>> {
    let tag = children(Kind::Order, &view.key.namespace, &view.object.uid);
    let orders = view.tagged(tag).into_iter().filter_map(|(key, object)| {
        let facts = object.facts.order().filter(|facts| !facts.deleting)?;
        Some(OrderSight { key, uid: &object.uid, rv: object.rv, facts })
    });
    orders.collect()
}

impl<'a> Case<'a> {
    pub(super) fn acme(&self) -> Option<&'a AcmeFacts> {
        if let Signer::Acme(acme) = &self.issuer?.signer { Some(acme) } else { None }
    }

    /// The Order that is followed: the one of the name that it should have, else the newest.
    pub(super) fn order(&self) -> Option<OrderSight<'a>> {
        let wanted = self.new_order().map(|order| order.name);
        let named = self.orders.iter().find(|order| Some(&order.key.name) == wanted.as_ref());
        named.or(self.orders.iter().max_by_key(|o| (o.facts.created, &o.key.name))).copied()
    }

    /// The Order that should be created.
    pub(super) fn new_order(&self) -> Option<NewOrder> {
        let (acme, csr) = (self.acme()?, self.request.csr.good()?);
        let spec = self.order_spec(acme, csr);
        let name = naming::order(&self.view.key.name, &spec).into();
        Some(NewOrder { name, spec: spec.to_string().into() })
    }

    fn order_spec(&self, acme: &AcmeFacts, csr: &Csr) -> Value {
        let mut spec = Map::new();
        let mut reference = Map::new();
        let issuer = &self.request.issuer;
        reference.insert("name".into(), json!(issuer.name));
        for (field, value) in [("kind", &issuer.kind), ("group", &issuer.group)] {
            if !value.is_empty() {
                reference.insert(field.into(), json!(value));
            }
        }
        spec.insert("issuerRef".into(), reference.into());
        let mut put = |field: &str, value: Value| {
            if value != json!("") && value != json!([]) {
                spec.insert(field.into(), value);
            }
        };
        put("commonName", json!(csr.common_name));
        put("dnsNames", json!(csr.names.dns));
        put("ipAddresses", json!(csr.names.ips));
        put("profile", json!(acme.profile));
        put("replaces", json!(self.request.renewal.as_ref().map_or("", |it| &*it.replaces)));
        if let Some(ms) = self.request.duration_ms.filter(|_| acme.sends_duration) {
            let duration = GoDuration::from_nanos(ms.saturating_mul(1_000_000));
            put("duration", json!(duration.canonical()));
        }
        spec.into()
    }

    /// Why no Order can be made, or what became of it.
    pub(super) fn order_holdup(&self, acme: &AcmeFacts) -> Option<Holdup> {
        if let Some(order) = self.order() {
            return self.order_failure(order);
        }
        let csr = self.request.csr.good()?;
        let public = crate::budget::is_public(&acme.server);
        let wrong = check::names(&csr.names.dns, &csr.names.ips, &csr.common_name, public).err()?;
        Some(Holdup::Failed(Unmet::by_a_person("InvalidOrder", wrong.to_string())))
    }

    fn order_failure(&self, order: OrderSight<'_>) -> Option<Holdup> {
        let facts = order.facts;
        let place = || format!("{}/{}", order.key.namespace, order.key.name);
        if facts.state == AcmeState::Valid {
            return self.unfit_certificate(order);
        }
        if !facts.state.is_failure() {
            return None;
        }
        let attempt = facts.attempt.as_ref().filter(|attempt| attempt.class != Class::Wait);
        let class = match (attempt, facts.state) {
            (Some(attempt), AcmeState::Errored) => attempt.class,
            (_, AcmeState::Expired) => Class::Transient,
            (Some(attempt), _) if attempt.class == Class::Paused => Class::Paused,
            _ => Class::User,
        };
        let not_before = attempt.and_then(|attempt| attempt.not_before);
        let message = format!(
            "Failed to wait for order resource {:?} to become ready: order is in {:?} state: {}",
            place(),
            facts.state.text(),
            facts.reason
        );
        let note = Some(FailureNote { class, not_before });
        Some(Holdup::Failed(Unmet { reason: "OrderFailed", message, note }))
    }

    fn unfit_certificate(&self, order: OrderSight<'_>) -> Option<Holdup> {
        use crate::facts::Parsed;
        let asked = self.request.csr.good().map(|csr| &csr.fingerprint);
        let message = match &order.facts.certificate {
            Parsed::Missing => return None,
            Parsed::Broken(why) => {
                format!("the certificate of order {:?} cannot be read: {why}", order.key.name)
            }
            Parsed::Good(leaf) if Some(&leaf.fingerprint) == asked => return None,
            Parsed::Good(_) => format!(
                "the certificate of order {:?} is for another key than the request's",
                order.key.name
            ),
        };
        Some(Holdup::Failed(Unmet::by_a_person("OrderBadCertificate", message)))
    }

    /// What a request with an Order at work says of it.
    pub(super) fn order_progress(&self) -> Option<String> {
        let order = self.order().filter(|_| self.acme().is_some())?;
        let place = format!("{}/{}", order.key.namespace, order.key.name);
        let mut message =
            format!("Waiting on certificate issuance from order {place}: \"pending\"");
        if let Some(attempt) = self.resting(order) {
            let next = attempt.not_before.map(rfc3339).unwrap_or_default();
            message += &format!("; {}, tried again at {next}", attempt.detail);
        }
        Some(message)
    }

    /// What an Order rests for, if that is worth telling.
    fn resting(&self, order: OrderSight<'a>) -> Option<&'a Attempt> {
        let skew = self.program.settings.certificate.skew;
        heeded(order.facts.attempt.as_ref(), self.view.now, skew).filter(|attempt| {
            let trouble = attempt.class == Class::RateLimited || attempt.number > 2;
            trouble && attempt.class != Class::Wait && attempt.not_before > Some(self.view.now)
        })
    }

    /// The same for the Certificate, where it could ask another issuer.
    pub(super) fn rest_of_order(&self) -> Option<FailureNote> {
        let order = self.order().filter(|_| self.acme().is_some() && self.request.has_fallback)?;
        let attempt = self.resting(order)?;
        Some(FailureNote { class: attempt.class, not_before: attempt.not_before })
    }

    /// Whether the Order holds a certificate that can be taken over.
    pub(super) fn is_delivered(&self) -> bool {
        let Some(order) = self.order() else { return false };
        order.facts.state == AcmeState::Valid
            && order.facts.certificate.good().is_some()
            && self.unfit_certificate(order).is_none()
    }

    pub(super) fn take(&self) -> Option<Acme> {
        let order = self.order()?;
        let leaf = order.facts.certificate.good()?;
        let mut conditions = self.request.conditions.clone();
        self.approve(&mut conditions);
        remove(&mut conditions, "Ready");
        let conditions: Arc<str> = to_json(&conditions).to_string().into();
        let base = Base { uid: order.uid.clone(), rv: order.rv };
        Some(Acme::TakeCertificate {
            order: order.key.clone(),
            base,
            leaf: leaf.digest,
            conditions,
        })
    }
}
