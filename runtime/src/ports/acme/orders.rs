//! Orders: created, placed at the CA, read, and their certificates taken over.

use super::super::{Done, Ports, Report, Undone, owner_reference, rejected, undone};
use super::fault::{Fault, Halt};
use super::{Told, controller_uid, place};
use crate::edge::meta_of;
use everleaf_acme::{
    AcmeError, Answer, Authorization, Class as CaClass, Identifier, NewOrder as Wanted,
    OrderStatus, PlacedOrder,
};
use everleaf_engine::{Digest, FailureClass, ObjectKey};
use everleaf_nodes::effect::{Account, NewOrder, PlaceOrder, ReadAuthorizations, Trial};
use everleaf_nodes::facts::Class;
use everleaf_nodes::{Base, Effect, Facts, Kind};
use futures::StreamExt;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// So many pages of an account's orders are read in search of one that was claimed: the newest may
/// be on the last, and some CAs have three on a page.
const PAGES: usize = 32;
/// So many of these orders are looked at, the last ones first.
const LOOKS: usize = 16;
/// So many authorizations are read at once.
const AT_ONCE: usize = 4;
/// Not copied from a request to its Order: it is long, and of no use there.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Ports {
    pub(super) async fn create_order(&self, effect: &Effect, it: &NewOrder) -> Done {
        let Effect { subject, base, .. } = effect;
        let request = self.kube.get(subject.kind, &subject.namespace, &subject.name).await;
        let request = request.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        let mut meta = meta_of(&request);
        if *meta.uid != *base.uid {
            return Err(Report::stale(vec![subject.clone()]));
        }
        let mut spec: Value = serde_json::from_str(&it.spec).unwrap_or_default();
        spec["request"] = request.pointer("/spec/request").cloned().unwrap_or_default();
        meta.annotations.remove(LAST_APPLIED);
        let object = json!({
            "apiVersion": "acme.cert-manager.io/v1",
            "kind": "Order",
            "metadata": {
                "name": it.name,
                "namespace": subject.namespace,
                "labels": meta.labels,
                "annotations": meta.annotations,
                "ownerReferences": [owner_reference(effect)],
            },
            "spec": spec,
        });
        self.create_child(effect, Kind::Order, &it.name, &object).await
    }

    /// Creates an object that the effect's subject controls. A name that is taken is good if it is
    /// by a child of the same.
    pub(super) async fn create_child(
        &self,
        effect: &Effect,
        kind: Kind,
        name: &Arc<str>,
        object: &Value,
    ) -> Done {
        let namespace = &effect.subject.namespace;
        let at = ObjectKey::new(kind, namespace.clone(), name.clone());
        let made = self.kube.create(kind, namespace, object, super::super::events::MANAGER).await;
        let error = match made {
            Ok(made) => {
                self.keep(kind, &made);
                return Ok(self.saw(kind, &made, vec![at]));
            }
            Err(error) if error.is_taken() => error,
            Err(error) => return Err(undone(&error, &[at])),
        };
        let found =
            self.kube.get(kind, namespace, name).await.map_err(|_| undone(&error, &[at]))?;
        let report = self.saw(kind, &found, Vec::new());
        if controller_uid(&found).as_deref() == Some(&*effect.base.uid) {
            return Ok(report);
        }
        let message = format!("{} exists and is another's", place(kind, namespace, name));
        let mut taken = rejected("NameTaken", message);
        taken.seen = report.seen;
        Err(taken)
    }

    pub(super) async fn take_certificate(
        &self,
        effect: &Effect,
        (order, base, leaf): (&ObjectKey<Kind>, &Base, Digest),
        conditions: &str,
    ) -> Done {
        let Effect { subject, base: request, .. } = effect;
        // What the API server answered to our own write of that version need not be read again.
        let certificate = match self.cache.get(&base.uid, base.rv) {
            Some(kept) => json!(kept.certificate.as_deref()),
            None => self.read_certificate(order, base, leaf).await?,
        };
        let mut conditions: Vec<Value> = serde_json::from_str(conditions).unwrap_or_default();
        conditions.push(json!({
            "type": "Ready",
            "status": "True",
            "reason": "Issued",
            "message": "Certificate fetched from issuer successfully",
            "lastTransitionTime": super::clock(),
        }));
        let patch = json!({
            "metadata": { "uid": request.uid, "resourceVersion": request.rv.to_string() },
            "status": { "certificate": certificate, "conditions": conditions },
        });
        let at = (&*subject.namespace, &*subject.name);
        let answer = self.kube.patch_status(subject.kind, at, &patch).await;
        let object = answer.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        self.cache.put(&object);
        Ok(self.saw_subject(effect, &object))
    }

    /// The certificate of an Order as it is now, if it is the one decided on.
    async fn read_certificate(
        &self,
        order: &ObjectKey<Kind>,
        base: &Base,
        leaf: Digest,
    ) -> Result<Value, Undone> {
        let found = self.kube.get(order.kind, &order.namespace, &order.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(order)))?;
        let read = self.projector.read(Kind::Order, &found);
        let read = read.map_err(|error| rejected("OrderBadCertificate", error.to_string()))?;
        let same = matches!(&read.facts, Facts::Order(facts)
            if facts.certificate.good().is_some_and(|found| found.digest == leaf));
        if read.uid != base.uid || !same {
            return Err(Report::stale(vec![order.clone()]));
        }
        Ok(found.pointer("/status/certificate").cloned().unwrap_or_default())
    }

    pub(super) async fn place(&self, effect: &Effect, it: &PlaceOrder) -> Told {
        let account = self.ca_account(&it.account).await?;
        let new = wanted(it);
        // One that was written by another process, or that something was sent for, may stand.
        let fresh = self.acme.takes_claim(&effect.base.uid, it.claimed);
        let placed = match fresh {
            true => Ok(None),
            false => find(&account, &new).await,
        };
        let placed = match placed {
            Ok(Some(found)) => Ok(found),
            Ok(None) => send(&account, new).await.map(|answer| answer.value),
            Err(error) => Err(error),
        };
        match placed {
            Ok(placed) => self.write_order(effect, it, &account, &placed).await.map_err(Halt::from),
            Err(error) => Err(self.refused(it, &error).await),
        }
    }

    /// The CA did not take the order: what was claimed is given back, or corrected.
    async fn refused(&self, it: &PlaceOrder, error: &AcmeError) -> Halt {
        let fault = Fault::of(error);
        match (&error.class, fault.after) {
            (CaClass::AccountGone, _) => self.forget_account(&it.account).await,
            (CaClass::RateLimited, after) => {
                let rested = super::super::now().plus_millis(it.trial.rest_ms);
                let not_before = after.unwrap_or(rested).max(rested);
                let detail = error.detail();
                self.correct(&it.namespace, &it.charges, |ledger, charges, _| {
                    ledger.correct_by_answer(charges, detail, not_before);
                })
                .await;
            }
            _ if matches!(fault.class, Class::User) => {
                self.correct(&it.namespace, &it.charges, |ledger, charges, _| {
                    ledger.refund(charges);
                })
                .await;
            }
            _ => {}
        }
        fault.into()
    }

    /// Writes down where the order is, and its authorizations as far as they can be read; those
    /// that cannot are read later. Of one that is ready nobody needs them.
    async fn write_order(
        &self,
        effect: &Effect,
        it: &PlaceOrder,
        account: &everleaf_acme::Account,
        placed: &PlacedOrder,
    ) -> Result<Report, Undone> {
        let PlacedOrder { url, order } = placed;
        let bare = |url: &String| json!({ "url": url });
        let mut authorizations: Vec<Value> = order.authorizations.iter().map(bare).collect();
        if matches!(order.status, OrderStatus::Pending | OrderStatus::Unknown) {
            let reading = read_all(account, &order.authorizations).await;
            if let Some(error) = reading.error.filter(asks_for_patience) {
                self.note_patience(effect, it, &error).await;
            }
            reading.read.into_iter().for_each(|(at, read)| authorizations[at] = read);
        }
        let mut status = json!({
            "url": url,
            "finalizeURL": order.finalize,
            "authorizations": authorizations,
        });
        if let Some(state) = state_of(order.status) {
            status["state"] = json!(state);
        }
        match self.write_status(effect, status).await {
            Ok(report) => Ok(report),
            Err(undone) => {
                tracing::warn!(order = %effect.subject, url, "an order's URL was not written");
                Err(undone)
            }
        }
    }

    /// The CA wants authorizations to be read later. It is written before where the order is, for
    /// they are read as soon as that is seen; if it cannot be, the order must not be lost with it.
    async fn note_patience(&self, effect: &Effect, it: &PlaceOrder, error: &AcmeError) {
        let trial = Trial { step: "fetch".into(), number: 1, rest_ms: it.trial.rest_ms };
        let attempt = Fault::of(error).attempt(&trial, None, super::super::now());
        if let Err(undone) = self.note(effect, &attempt).await {
            let (order, outcome) = (&effect.subject, &undone.outcome);
            tracing::warn!(%order, ?outcome, "a CA's wish to be asked later was not written");
        }
    }

    pub(super) async fn read_authorizations(
        &self,
        effect: &Effect,
        it: &ReadAuthorizations,
    ) -> Told {
        let account = self.ca_account(&it.account).await?;
        let Effect { subject, .. } = effect;
        let found = self.kube.get(subject.kind, &subject.namespace, &subject.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(subject)))?;
        let mut listed: Vec<Value> = found
            .pointer("/status/authorizations")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if listed.is_empty() {
            let order = account.order(&it.order).await.map_err(|error| lost(&error))?.value;
            listed = order.authorizations.iter().map(|url| json!({ "url": url })).collect();
        }
        let unread = |one: &Value| one["identifier"].as_str().unwrap_or_default().is_empty();
        let all = listed.iter().enumerate().filter(|(_, one)| unread(one));
        let (places, urls): (Vec<usize>, Vec<String>) =
            all.map(|(place, one)| (place, url_of(one))).unzip();
        let reading = read_all(&account, &urls).await;
        reading.read.into_iter().for_each(|(at, read)| listed[places[at]] = read);
        let status = json!({ "authorizations": listed });
        match reading.error {
            Some(error) => Err(lost_but(&error, status)),
            None => Ok(self.write_status(effect, status).await?),
        }
    }

    /// Writes of an account that the CA does not know.
    pub(super) async fn heed(&self, account: &Account, error: &AcmeError) {
        if error.class == CaClass::AccountGone {
            self.forget_account(account).await;
        }
    }
}

fn url_of(one: &Value) -> String {
    one["url"].as_str().unwrap_or_default().to_owned()
}

/// The fault of an order that is asked for. One that the CA dropped ends the Order; another one
/// may do better.
pub(super) fn lost(error: &AcmeError) -> Halt {
    let fault = Fault::of(error);
    if error.class != CaClass::OutOfStep {
        return fault.into();
    }
    let reason = format!("the CA does not know the order any more: {}", fault.detail);
    let status = json!({ "state": "errored", "reason": reason, "failureTime": super::clock() });
    fault.with_status(status).into()
}

/// The same where something was learned: it is written beside an attempt that is made again.
fn lost_but(error: &AcmeError, learned: Value) -> Halt {
    match lost(error) {
        Halt::Fault(fault) if fault.status.is_none() && error.class.is_retriable() => {
            fault.with_status(learned).into()
        }
        halt => halt,
    }
}

/// Whether the CA wants to be left alone for a while: nothing of the kind is sent before.
fn asks_for_patience(error: &AcmeError) -> bool {
    error.class == CaClass::RateLimited || error.retry_after().is_some()
}

/// What is sent to the CA.
fn wanted(it: &PlaceOrder) -> Wanted {
    let dns = it.dns.iter().map(|name| Identifier::dns(&**name));
    let ips = it.ips.iter().filter_map(|ip| ip.parse().ok()).map(Identifier::ip);
    let text = |text: &Arc<str>| (!text.is_empty()).then(|| text.to_string());
    let not_after = it.duration_ms.and_then(|ms| {
        jiff::Timestamp::from_millisecond(super::super::now().as_millis().saturating_add(ms)).ok()
    });
    Wanted {
        identifiers: dns.chain(ips).collect(),
        not_before: None,
        not_after,
        profile: text(&it.profile),
        replaces: text(&it.replaces),
    }
}

/// An order of these names that the CA lists and that can be gone on with. CAs that do not list
/// orders hand the same one out again, or one is lost.
async fn find(
    account: &everleaf_acme::Account,
    new: &Wanted,
) -> Result<Option<PlacedOrder>, AcmeError> {
    let Some(list) = account.get().await?.value.orders else { return Ok(None) };
    let listed = match account.orders(&list, PAGES).await {
        Ok(listed) => listed.value.orders,
        Err(error) if error.class.is_retriable() => return Err(error),
        Err(_) => return Ok(None),
    };
    for url in listed.into_iter().rev().take(LOOKS) {
        let order = match account.order(&url).await {
            Ok(answer) => answer.value,
            Err(error) if error.class.is_retriable() => return Err(error),
            Err(_) => continue,
        };
        let open = matches!(order.status, OrderStatus::Pending | OrderStatus::Ready);
        // Where none was asked for, the CA chose one, and may say which.
        let same_profile = new.profile.is_none() || order.profile == new.profile;
        if open && same_profile && same_names(&order.identifiers, new) {
            return Ok(Some(PlacedOrder { url, order }));
        }
    }
    Ok(None)
}

fn same_names(found: &[Identifier], new: &Wanted) -> bool {
    let sorted = |names: &[Identifier]| {
        let lower = |id: &Identifier| (id.kind.clone(), id.value.to_ascii_lowercase());
        let mut names: Vec<_> = names.iter().map(lower).collect();
        names.sort();
        names
    };
    sorted(found) == sorted(&new.identifiers)
}

/// Places the order; once more without `replaces` if that certificate has a successor already.
async fn send(
    account: &everleaf_acme::Account,
    mut new: Wanted,
) -> Result<Answer<PlacedOrder>, AcmeError> {
    match account.new_order(&new).await {
        Err(error) if new.replaces.is_some() && about_replaces(&error) => {
            new.replaces = None;
            account.new_order(&new).await
        }
        answer => answer,
    }
}

fn about_replaces(error: &AcmeError) -> bool {
    // Let's Encrypt's words for what it does not know, or did not issue to this account.
    let refused = |problem: &everleaf_acme::Problem| {
        ["malformed", "unauthorized"].into_iter().any(|kind| problem.is(kind))
    };
    let refused = error.problem().is_some_and(refused);
    // Pebble's, for a certificate that it cannot find an order of.
    let lost = error.problem().is_some_and(|problem| problem.is("serverInternal"));
    error.class == CaClass::AlreadyReplaced
        || (refused && error.detail().contains("replac"))
        || (lost && error.detail().contains("given certificate"))
}

/// What came of reading authorizations.
#[derive(Default)]
struct Reading {
    /// Those that were read, as the status has them, each with its place among the URLs.
    read: Vec<(usize, Value)>,
    /// Why others were not; the wish to be asked later goes first.
    error: Option<AcmeError>,
}

/// Reads authorizations. Once the CA asks for patience, no further one is asked for.
async fn read_all(account: &everleaf_acme::Account, urls: &[String]) -> Reading {
    let enough = &AtomicBool::new(false);
    let read = |(at, url): (usize, String)| async move {
        if enough.load(Ordering::Relaxed) {
            return None;
        }
        let answer = account.authorization(&url).await;
        if answer.as_ref().is_err_and(asks_for_patience) {
            enough.store(true, Ordering::Relaxed);
        }
        Some(answer.map(|answer| (at, authorization_json(&url, &answer.value))))
    };
    let urls: Vec<(usize, String)> = urls.iter().cloned().enumerate().collect();
    let answers = futures::stream::iter(urls).map(read).buffered(AT_ONCE);
    let answers: Vec<_> = answers.filter_map(std::future::ready).collect().await;
    let mut reading = Reading::default();
    for answer in answers {
        match answer {
            Ok(read) => reading.read.push(read),
            Err(error) if reading.error.is_none() || asks_for_patience(&error) => {
                reading.error = Some(error);
            }
            Err(_) => {}
        }
    }
    reading
}

fn authorization_json(url: &str, authorization: &Authorization) -> Value {
    let offers = authorization.challenges.iter().filter_map(|offer| {
        let token = offer.token.as_ref()?;
        Some(json!({ "type": offer.kind, "url": offer.url, "token": token.as_str() }))
    });
    let mut out = Map::new();
    out.insert("url".into(), json!(url));
    out.insert("identifier".into(), json!(authorization.identifier.value));
    out.insert("wildcard".into(), json!(authorization.wildcard));
    if let Some(state) = known(authorization.status.as_str()) {
        out.insert("initialState".into(), json!(state));
    }
    out.insert("challenges".into(), offers.collect());
    out.into()
}

/// A state that the API has a word for; what the CA took back is as good as expired.
pub(super) fn known(state: &str) -> Option<&str> {
    match state {
        "unknown" => None,
        "deactivated" | "revoked" => Some("expired"),
        state => Some(state),
    }
}

/// The state of an order in the API's word.
pub(super) fn state_of(status: OrderStatus) -> Option<&'static str> {
    (status != OrderStatus::Unknown).then(|| status.as_str())
}

/// An effect that rests on something that is not there.
pub(super) fn malformed(what: &str) -> Undone {
    Report::failed(FailureClass::Invalid, "Malformed", what)
}

#[cfg(test)]
mod tests;
