//! Claims: the turn among Orders of the same names, tokens of the CAs' limits, which stand in
//! ConfigMaps and are taken by compare-and-swap, and the claim itself.

use super::super::{Done, Ports, Report, Undone, rejected, undone};
use super::Told;
use crate::edge::{meta_of, version};
use everleaf_api::names::everleaf as ours;
use everleaf_engine::{Delta, FailureClass, ObjectKey, Outcome, Timestamp};
use everleaf_nodes::acme::notes;
use everleaf_nodes::acme::turns::{Claimant, End, is_under_way};
use everleaf_nodes::budget::{Charge, DATA_KEY, LABEL, Ledger};
use everleaf_nodes::effect::ClaimOrder;
use everleaf_nodes::facts::Claim;
use everleaf_nodes::{Effect, Facts, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often a correction is written again at once when another was first.
const CORRECTIONS: usize = 3;

/// A ConfigMap as it was read; `object` is none if there was none.
struct Shelf {
    key: ObjectKey<Kind>,
    object: Option<Value>,
    ledger: Ledger,
}

/// Why a shelf was not written.
enum Lost {
    /// Another was first.
    Race,
    Failed(Undone),
}

fn by_shard(charges: &[Charge]) -> BTreeMap<Arc<str>, Vec<Charge>> {
    let mut shards: BTreeMap<Arc<str>, Vec<Charge>> = BTreeMap::new();
    for charge in charges {
        shards.entry(charge.shard()).or_default().push(charge.clone());
    }
    shards
}

/// Whether a write that was not acknowledged may have been done all the same.
fn may_stand(undone: &Undone) -> bool {
    matches!(&undone.outcome, Outcome::Failed { class: FailureClass::Unknown, .. })
}

impl Ports {
    /// Looks at the names, takes the turn and the tokens, then writes the claim.
    pub(super) async fn claim(&self, effect: &Effect, it: &ClaimOrder) -> Told {
        self.look_ahead(&it.ahead).await?;
        let who = Claimant { key: effect.subject.clone(), uid: effect.base.uid.clone() };
        self.take_turn(it, &who).await?;
        let done = self.take_and_claim(effect, it).await;
        let end = match &done {
            Ok(_) => End::Written,
            Err(undone) if may_stand(undone) => End::Unknown,
            Err(_) => End::Failed,
        };
        self.acme.turns().end(it, &who, end, super::super::now());
        Ok(done?)
    }

    /// Goes on if no other Order of the account and names may have claimed, unseen by whoever
    /// decided; else it is stale, with what was seen.
    async fn take_turn(&self, it: &ClaimOrder, who: &Claimant) -> Result<(), Undone> {
        let Some(last) = self.acme.turns().ask(it, who, super::super::now()) else { return Ok(()) };
        let ObjectKey { kind, namespace, name } = &last.key;
        let (seen, under_way) = match self.kube.get(*kind, namespace, name).await {
            Ok(object) => {
                let read = self.projector.read_own(*kind, &object);
                let read = read.map_err(|error| rejected("OrderUnreadable", error.to_string()))?;
                let under_way = matches!(&read.facts, Facts::Order(order) if is_under_way(order));
                (read.live(), under_way)
            }
            Err(error) if error.is_absent() => (Delta::Absent { key: last.key.clone() }, false),
            Err(error) => return Err(undone(&error, &[])),
        };
        if !under_way && self.acme.turns().pass(it, &last, who, super::super::now()) {
            return Ok(());
        }
        let mut stale = Report::stale(vec![last.key.clone()]);
        stale.seen.push(seen);
        Err(stale)
    }

    async fn take_and_claim(&self, effect: &Effect, it: &ClaimOrder) -> Done {
        let now = super::super::now();
        let mut seen = Vec::new();
        let mut taken: Vec<(Arc<str>, Vec<Charge>)> = Vec::new();
        for (shard, charges) in by_shard(&it.charges) {
            match self.take(&it.namespace, &shard, &charges, now).await {
                Ok(report) => {
                    seen.extend(report.seen);
                    taken.push((shard, charges));
                }
                Err(undone) => {
                    self.give_back(&it.namespace, &taken).await;
                    return Err(undone);
                }
            }
        }
        let claim = Claim { account: it.account.clone(), at: now };
        let text = notes::claim_text(&claim, &effect.base.uid);
        let meta = json!({
            "uid": effect.base.uid,
            "resourceVersion": effect.base.rv.to_string(),
            "annotations": { ours::ACME_CLAIM: text },
        });
        match self.patch_meta(effect, meta).await {
            Ok(object) => {
                self.acme.claimed(&effect.base.uid, now);
                let mut report = self.saw_subject(effect, &object);
                report.seen.extend(seen);
                Ok(report)
            }
            Err(mut undone) => {
                // A claim that may stand has its price.
                if !may_stand(&undone) {
                    self.give_back(&it.namespace, &taken).await;
                }
                undone.seen.extend(seen);
                Err(undone)
            }
        }
    }

    /// Takes every charge of one ConfigMap. Where only a token of nothing is needed, nothing is
    /// written.
    async fn take(
        &self,
        namespace: &Arc<str>,
        shard: &Arc<str>,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<Report, Undone> {
        let mut shelf = self.shelf(namespace, shard).await?;
        if shelf.ledger.consume(charges, now).is_err() {
            let mut stale = Report::stale(vec![shelf.key.clone()]);
            if let Some(object) = &shelf.object {
                stale.seen = self.saw(Kind::ConfigMap, object, Vec::new()).seen;
            }
            return Err(stale);
        }
        if charges.iter().all(|charge| charge.cost == 0) {
            return Ok(Report::done(Vec::new(), Vec::new()));
        }
        let key = shelf.key.clone();
        self.put_shelf(shelf, now).await.map_err(|lost| match lost {
            Lost::Race => Report::stale(vec![key]),
            Lost::Failed(undone) => undone,
        })
    }

    async fn give_back(&self, namespace: &Arc<str>, taken: &[(Arc<str>, Vec<Charge>)]) {
        for (_, charges) in taken {
            self.correct(namespace, charges, |ledger, charges, _| ledger.refund(charges)).await;
        }
    }

    /// Changes what the buckets of these charges hold. What cannot be written is told in the log:
    /// the CA corrects it.
    pub(super) async fn correct(
        &self,
        namespace: &Arc<str>,
        charges: &[Charge],
        change: impl Fn(&mut Ledger, &[Charge], Timestamp),
    ) {
        for (shard, charges) in by_shard(charges) {
            let mut error = "another was first each time".to_owned();
            let mut written = false;
            for _ in 0..CORRECTIONS {
                match self.correct_once(namespace, &shard, &charges, &change).await {
                    Ok(()) => {
                        written = true;
                        break;
                    }
                    Err(Lost::Race) => {}
                    Err(Lost::Failed(undone)) => {
                        error = format!("{:?}", undone.outcome);
                        break;
                    }
                }
            }
            if !written {
                tracing::warn!(%shard, error, "a rate limit's ledger was not corrected");
            }
        }
    }

    async fn correct_once(
        &self,
        namespace: &Arc<str>,
        shard: &Arc<str>,
        charges: &[Charge],
        change: &impl Fn(&mut Ledger, &[Charge], Timestamp),
    ) -> Result<(), Lost> {
        let now = super::super::now();
        let mut shelf = self.shelf(namespace, shard).await.map_err(Lost::Failed)?;
        let before = shelf.ledger.clone();
        change(&mut shelf.ledger, charges, now);
        if shelf.ledger == before {
            return Ok(());
        }
        self.put_shelf(shelf, now).await.map(|_| ())
    }

    async fn shelf(&self, namespace: &Arc<str>, shard: &Arc<str>) -> Result<Shelf, Undone> {
        let key = ObjectKey::new(Kind::ConfigMap, namespace.clone(), shard.clone());
        let object = match self.kube.get(Kind::ConfigMap, namespace, shard).await {
            Ok(object) => Some(object),
            Err(error) if error.is_absent() => None,
            Err(error) => return Err(undone(&error, &[])),
        };
        let data = object.as_ref().and_then(|object| object.get("data"));
        let text = data.and_then(|data| data.get(DATA_KEY)).and_then(Value::as_str);
        // One that cannot be read counts as empty: the CA corrects what was forgotten.
        let ledger = text.and_then(|text| Ledger::parse(text).ok()).unwrap_or_default();
        Ok(Shelf { key, object, ledger })
    }

    async fn put_shelf(&self, shelf: Shelf, now: Timestamp) -> Result<Report, Lost> {
        let Shelf { key, object, ledger } = shelf;
        let at = (&*key.namespace, &*key.name);
        let mut metadata = json!({
            "name": key.name,
            "namespace": key.namespace,
            "labels": { LABEL: "acme-budget" },
        });
        if let Some(object) = &object {
            metadata["resourceVersion"] = json!(version(&meta_of(object)).to_string());
        }
        let wanted = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": { DATA_KEY: ledger.to_text(now) },
        });
        let written = match &object {
            Some(_) => self.kube.replace(Kind::ConfigMap, at, &wanted).await,
            None => {
                let manager = super::super::events::MANAGER;
                self.kube.create(Kind::ConfigMap, at.0, &wanted, manager).await
            }
        };
        match written {
            Ok(written) => Ok(self.saw(Kind::ConfigMap, &written, vec![key])),
            Err(error) if error.code == 409 || error.is_absent() => Err(Lost::Race),
            Err(error) => Err(Lost::Failed(undone(&error, &[key]))),
        }
    }
}

#[cfg(test)]
mod tests;
