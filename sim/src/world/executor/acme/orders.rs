//! Orders: created, found or placed at the CA, their authorizations read, their certificates
//! taken over.

use super::super::super::World;
use super::super::super::acme::{Ailment, Ill, base_of, identifiers, ill};
use super::super::super::config::Mutant;
use super::super::super::material::{self, SymKey};
use super::super::super::project;
use super::super::{Done, Job, stale};
use super::{Fault, Halt, Told, number};
use crate::acme::{
    AccountId, AuthorizationId, Call, ErrorKind, NewOrder as Wanted, OrderView, Reply, Status,
};
use crate::apiserver::Request;
use everleaf_engine::{Digest, ObjectKey};
use everleaf_nodes::Base;
use everleaf_nodes::effect::{Account, NewOrder, PlaceOrder, ReadAuthorizations};
use everleaf_nodes::facts::{Class, Kind};
use serde_json::{Value, json};

/// Pages of an account's orders, and orders on them, that are looked at: the newest may be on the
/// last page.
const PAGES: usize = 32;
const LOOKS: usize = 16;

impl World {
    pub(super) fn create_order(&mut self, job: &mut Job, it: &NewOrder) -> Done {
        let subject = job.subject().clone();
        let request = self.fetch(job, &subject)?.ok_or_else(|| stale(subject.clone()))?;
        if project::text(&request, "/metadata/uid") != &*job.order.effect.base.uid {
            return Err(stale(subject));
        }
        let mut spec: Value = serde_json::from_str(&it.spec).unwrap_or_default();
        spec["request"] = request["spec"]["request"].clone();
        let object = json!({ "apiVersion": "acme.cert-manager.io/v1", "kind": "Order",
            "metadata": { "name": *it.name, "namespace": job.namespace(),
                "labels": request["metadata"]["labels"],
                "annotations": request["metadata"]["annotations"],
                "ownerReferences": [self.owner_reference(job)] },
            "spec": spec });
        self.create_acme_child(job, Kind::Order, &it.name, object)
    }

    pub(super) fn take_certificate(
        &mut self,
        job: &mut Job,
        (order, base, leaf): (&ObjectKey<Kind>, &Base, Digest),
        conditions: &str,
    ) -> Done {
        let found = self.fetch(job, order)?.ok_or_else(|| stale(order.clone()))?;
        let chain = material::decode(&found["status"]["certificate"]);
        let given = material::leaf_facts(&chain);
        let same = given.good().is_some_and(|given| given.digest == leaf);
        if project::text(&found, "/metadata/uid") != &*base.uid || !same {
            return Err(stale(order.clone()));
        }
        let mut conditions: Value = serde_json::from_str(conditions).unwrap_or_default();
        if let Some(all) = conditions.as_array_mut() {
            all.push(json!({ "type": "Ready", "status": "True", "reason": "Issued",
                "message": "Certificate fetched from issuer successfully",
                "lastTransitionTime": self.clock_text(job) }));
        }
        let certificate = found["status"]["certificate"].clone();
        let status = json!({ "certificate": certificate, "conditions": conditions });
        let request = job.order.effect.base.clone();
        let meta = json!({ "uid": *request.uid, "resourceVersion": request.rv.to_string() });
        let subject = job.subject().clone();
        let patch = json!({ "metadata": meta, "status": status });
        let resource = project::resource(subject.kind);
        let request = Request::merge(resource, &subject.namespace, &subject.name, patch);
        self.write(job, subject, request.on_status())
    }

    /// Finds the order that was claimed, or places it.
    pub(super) fn place(&mut self, job: &mut Job, it: &PlaceOrder) -> Told {
        let (key, id) = self.account(job, &it.account)?;
        let clock = self.replicas[job.at].clock(self.now).as_millis();
        let new = Wanted {
            identifiers: identifiers(&it.dns, &it.ips),
            profile: Some(it.profile.to_string()).filter(|name| !name.is_empty()),
            not_after: it.duration_ms.map(|ms| clock + ms),
            replaces: Some(it.replaces.to_string()).filter(|name| !name.is_empty()),
            not_before: None,
        };
        let uid = job.order.effect.base.uid.clone();
        let claimed = self.replicas[job.at].claims.remove(&uid);
        let fresh = claimed == Some(it.claimed.as_seconds());
        let found = if fresh { Ok(None) } else { self.find(job, &it.account, (&key, id), &new) };
        let placed = match found {
            Ok(Some(order)) => Ok(order),
            Ok(None) => self.send_order(job, &it.account, (&key, id), new),
            Err(ailment) => Err(ailment),
        };
        match placed {
            Ok(order) => self.write_order(job, &it.account, (&key, id), &order),
            Err(ailment) => Err(self.refused_order(job, it, &ailment)),
        }
    }

    fn send_order(
        &mut self,
        job: &mut Job,
        account: &Account,
        (key, id): (&SymKey, AccountId),
        order: Wanted,
    ) -> Result<OrderView, Ailment> {
        let call = Call::NewOrder { account: id, order };
        if self.config.mutant == Mutant::PlacesTwice {
            self.ask_for(job, account, key, call.clone())?;
        }
        let said = match (self.ask_for(job, account, key, call.clone()), call) {
            // Once more without `replaces`, if that certificate has a successor already.
            (Err(ailment), Call::NewOrder { order, .. })
                if order.replaces.is_some() && is_about_replaces(&ailment) =>
            {
                let order = Wanted { replaces: None, ..order };
                self.ask_for(job, account, key, Call::NewOrder { account: id, order })?
            }
            (said, _) => said?,
        };
        match said.reply {
            Reply::Order(order) => Ok(order),
            _ => Err(Ailment { failure: crate::acme::Failure::Truncated, after: None }),
        }
    }

    /// An open order of these names that the CA lists; CAs that list none hand it out again.
    fn find(
        &mut self,
        job: &mut Job,
        account: &Account,
        (key, id): (&SymKey, AccountId),
        new: &Wanted,
    ) -> Result<Option<OrderView>, Ailment> {
        let call = Call::Account { account: id, contacts: None, deactivate: false };
        self.ask_for(job, account, key, call)?;
        let ca = self.outside().cas.get(&account.directory);
        if !ca.is_some_and(|ca| ca.config().lists_orders) {
            return Ok(None);
        }
        let mut listed = Vec::new();
        for _ in 0..PAGES {
            let after = listed.last().copied().unwrap_or(0);
            let said = self.ask_for(job, account, key, Call::Orders { account: id, after })?;
            let Reply::Orders(page, more) = said.reply else { break };
            listed.extend(page);
            if !more {
                break;
            }
        }
        for order in listed.into_iter().rev().take(LOOKS) {
            let said = self.ask_for(job, account, key, Call::Order { account: id, order });
            let view = match said {
                Ok(said) => said.reply,
                Err(ailment) if ill(&ailment) == Ill::OutOfStep => continue,
                Err(ailment) => return Err(ailment),
            };
            let Reply::Order(view) = view else { continue };
            let open = matches!(view.status, Status::Pending | Status::Ready);
            let same = new.profile.as_ref().is_none_or(|profile| *profile == view.profile);
            if open && same && view.identifiers == new.identifiers {
                return Ok(Some(view));
            }
        }
        Ok(None)
    }

    /// The CA did not take the order: what was claimed is given back, or corrected.
    fn refused_order(&mut self, job: &mut Job, it: &PlaceOrder, ailment: &Ailment) -> Halt {
        let fault = Fault::of(ailment);
        let now = self.replicas[job.at].clock(self.now);
        match (ill(ailment), fault.after) {
            (Ill::RateLimited, after) => {
                let rested = now.plus_millis(it.trial.rest_ms);
                let told = after.map(everleaf_engine::Timestamp::from_millis);
                let not_before = told.unwrap_or(rested).max(rested);
                let detail = fault.detail.clone();
                self.correct(job, &it.namespace, &it.charges, |ledger, charges, _| {
                    ledger.correct_by_answer(charges, &detail, not_before);
                });
            }
            (Ill::Mend, _) => {
                self.correct(job, &it.namespace, &it.charges, |ledger, charges, _| {
                    ledger.refund(charges);
                });
            }
            _ => {}
        }
        fault.into()
    }

    /// Writes where the order is, and its authorizations as far as they can be read.
    fn write_order(
        &mut self,
        job: &mut Job,
        account: &Account,
        signer: (&SymKey, AccountId),
        order: &OrderView,
    ) -> Told {
        let base = base_of(&account.directory);
        let bare = |id: &AuthorizationId| json!({ "url": format!("{base}/authz/{id}") });
        let mut authorizations: Vec<Value> = order.authorizations.iter().map(bare).collect();
        // Of one that is ready nobody needs them.
        let unread = if order.status == Status::Pending { &order.authorizations[..] } else { &[] };
        let unread: Vec<_> = unread.iter().copied().enumerate().collect();
        let reading = self.read_all(job, account, signer, &unread);
        reading.read.into_iter().for_each(|(at, read)| authorizations[at] = read);
        let patience = reading.ailment.filter(asks_for_patience);
        let early = self.config.mutant == Mutant::FinalizesEarly;
        let state = if early { "ready" } else { order.status.as_str() };
        let status = json!({ "url": format!("{base}/order/{}", order.id),
            "finalizeURL": format!("{base}/finalize/{}", order.id),
            "state": state, "authorizations": authorizations });
        match patience {
            Some(ailment) => {
                let fault = Fault::of(&ailment);
                Err(Fault { step: Some("fetch"), status: Some(status), ..fault }.into())
            }
            None => Ok(self.write_acme_status(job, status)?),
        }
    }

    /// Reads authorizations, each with its place. Once the CA asks for patience, no further one is
    /// asked for.
    fn read_all(
        &mut self,
        job: &mut Job,
        account: &Account,
        signer: (&SymKey, AccountId),
        wanted: &[(usize, AuthorizationId)],
    ) -> Reading {
        let mut reading = Reading::default();
        for (at, id) in wanted {
            match self.read_one(job, account, signer, *id) {
                Ok(read) => reading.read.push((*at, read)),
                Err(ailment) if asks_for_patience(&ailment) => {
                    reading.ailment = Some(ailment);
                    break;
                }
                Err(ailment) => {
                    reading.ailment.get_or_insert(ailment);
                }
            }
        }
        reading
    }

    /// An authorization as the status has it.
    fn read_one(
        &mut self,
        job: &mut Job,
        account: &Account,
        (key, id): (&SymKey, AccountId),
        authorization: AuthorizationId,
    ) -> Result<Value, Ailment> {
        let call = Call::Authorization { account: id, authorization, deactivate: false };
        let Reply::Authorization(view) = self.ask_for(job, account, key, call)?.reply else {
            return Ok(json!({}));
        };
        let base = base_of(&account.directory);
        let offers = view.challenges.iter().map(|offer| {
            json!({ "type": offer.kind.as_str(), "token": offer.token,
                "url": format!("{base}/chall/{authorization}/{}", offer.kind.as_str()) })
        });
        let state = match view.status {
            Status::Deactivated => "expired",
            status => status.as_str(),
        };
        Ok(json!({ "url": format!("{base}/authz/{authorization}"),
            "identifier": view.identifier.base(), "wildcard": view.identifier.is_wildcard(),
            "initialState": state, "challenges": offers.collect::<Vec<_>>() }))
    }

    pub(super) fn read_authorizations(&mut self, job: &mut Job, it: &ReadAuthorizations) -> Told {
        let (key, id) = self.account(job, &it.account)?;
        let subject = job.subject().clone();
        let found = self.fetch(job, &subject)?.ok_or_else(|| stale(subject))?;
        let mut listed = found["status"]["authorizations"].as_array().cloned().unwrap_or_default();
        if listed.is_empty() {
            let call = Call::Order { account: id, order: number(&it.order) };
            let said = self.ask_for(job, &it.account, &key, call);
            let Reply::Order(order) = said.map_err(|a| self.lost_order(job, &a))?.reply else {
                return Err(Fault::new(Class::Transient, "that is no order").into());
            };
            let base = base_of(&it.account.directory);
            let url = |id: &u64| json!({ "url": format!("{base}/authz/{id}") });
            listed = order.authorizations.iter().map(url).collect();
        }
        let unread = |one: &Value| one["identifier"].as_str().unwrap_or_default().is_empty();
        let wanted: Vec<(usize, AuthorizationId)> = (listed.iter().enumerate())
            .filter(|(_, one)| unread(one))
            .map(|(at, one)| (at, number(one["url"].as_str().unwrap_or_default())))
            .collect();
        let reading = self.read_all(job, &it.account, (&key, id), &wanted);
        reading.read.into_iter().for_each(|(at, read)| listed[at] = read);
        let status = json!({ "authorizations": listed });
        match reading.ailment {
            Some(ailment) => Err(self.lost_but(job, &ailment, status)),
            None => Ok(self.write_acme_status(job, status)?),
        }
    }

    /// What is learned is written beside an attempt that is made again.
    fn lost_but(&self, job: &Job, ailment: &Ailment, learned: Value) -> Halt {
        let again = matches!(ill(ailment), Ill::RateLimited | Ill::Transient);
        match self.lost_order(job, ailment) {
            Halt::Fault(fault) if again && fault.status.is_none() => {
                Fault { status: Some(learned), ..*fault }.into()
            }
            halt => halt,
        }
    }

    /// An order that the CA dropped ends the Order; another one may do better.
    pub(super) fn lost_order(&self, job: &Job, ailment: &Ailment) -> Halt {
        let fault = Fault::of(ailment);
        if ill(ailment) != Ill::OutOfStep {
            return fault.into();
        }
        let reason = format!("the CA does not know the order any more: {}", fault.detail);
        let status =
            json!({ "state": "errored", "reason": reason, "failureTime": self.clock_text(job) });
        Fault { status: Some(status), ..fault }.into()
    }
}

/// What came of reading authorizations.
#[derive(Default)]
struct Reading {
    /// Those that were read, as the status has them, each with its place.
    read: Vec<(usize, Value)>,
    /// Why others were not; the wish to be asked later goes first.
    ailment: Option<Ailment>,
}

/// Whether the CA wants to be left alone for a while.
fn asks_for_patience(ailment: &Ailment) -> bool {
    ill(ailment) == Ill::RateLimited || ailment.after.is_some()
}

/// Whether an order was refused for the certificate that it says it replaces.
fn is_about_replaces(ailment: &Ailment) -> bool {
    let crate::acme::Failure::Problem(problem) = &ailment.failure else { return false };
    let refused = matches!(problem.kind, ErrorKind::Malformed | ErrorKind::Unauthorized);
    problem.kind == ErrorKind::AlreadyReplaced || (refused && problem.detail.contains("replac"))
}
