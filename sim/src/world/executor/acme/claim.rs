//! Tokens of the CAs' limits, in ConfigMaps, by compare-and-swap.

use super::super::super::World;
use super::super::super::config::Mutant;
use super::super::super::project;
use super::super::{Done, Job, stale, written};
use super::Told;
use crate::apiserver::Request;
use everleaf_api::names::everleaf as ours;
use everleaf_engine::{FailureClass, ObjectKey, Outcome, Timestamp, Written};
use everleaf_nodes::acme::notes;
use everleaf_nodes::acme::turns::{Claimant, End, is_under_way};
use everleaf_nodes::budget::{Charge, DATA_KEY, LABEL, Ledger};
use everleaf_nodes::effect::ClaimOrder;
use everleaf_nodes::facts::{Claim, Facts, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often a correction is written again at once when another was first.
const CORRECTIONS: usize = 3;

/// A ConfigMap as it was read.
struct Shelf {
    key: ObjectKey<Kind>,
    object: Option<Arc<Value>>,
    ledger: Ledger,
}

fn by_shard(charges: &[Charge]) -> BTreeMap<Arc<str>, Vec<Charge>> {
    let mut shards: BTreeMap<Arc<str>, Vec<Charge>> = BTreeMap::new();
    for charge in charges {
        shards.entry(charge.shard()).or_default().push(charge.clone());
    }
    shards
}

impl World {
    /// Looks at the names, takes the turn and the tokens, then writes the claim.
    pub(super) fn claim(&mut self, job: &mut Job, it: &ClaimOrder) -> Told {
        self.look_ahead(job, &it.ahead)?;
        let who = Claimant { key: job.subject().clone(), uid: job.order.effect.base.uid.clone() };
        self.take_turn(job, it, &who)?;
        let done = self.take_and_claim(job, it);
        let end = match &done {
            Ok(_) => End::Written,
            Err(outcome) if is_unknown(outcome) => End::Unknown,
            Err(_) => End::Failed,
        };
        let replica = &mut self.replicas[job.at];
        let clock = replica.clock(self.now);
        replica.turns.end(it, &who, end, clock);
        Ok(done?)
    }

    /// Goes on if nobody else claimed for these names, unseen by whoever decided; else it is
    /// stale.
    fn take_turn(
        &mut self,
        job: &mut Job,
        it: &ClaimOrder,
        who: &Claimant,
    ) -> Result<(), Outcome<Kind>> {
        if self.config.mutant == Mutant::TakesNoTurns {
            return Ok(());
        }
        let clock = self.replicas[job.at].clock(self.now);
        let Some(last) = self.replicas[job.at].turns.ask(it, who, clock) else { return Ok(()) };
        let found = self.fetch(job, &last.key)?;
        let facts = found.and_then(|found| project::facts(last.key.kind, &found, true));
        let under_way = matches!(&facts, Some(Facts::Order(order)) if is_under_way(order));
        if !under_way && self.replicas[job.at].turns.pass(it, &last, who, clock) {
            return Ok(());
        }
        Err(stale(last.key))
    }

    fn take_and_claim(&mut self, job: &mut Job, it: &ClaimOrder) -> Done {
        let now = self.replicas[job.at].clock(self.now);
        let (mut wrote, mut taken) = (Vec::new(), Vec::new());
        for (shard, charges) in by_shard(&it.charges) {
            match self.take_tokens(job, (&it.namespace, &shard), &charges, now) {
                Ok(more) => {
                    wrote.extend(more);
                    taken.push(charges);
                }
                Err(outcome) => {
                    self.give_back(job, &it.namespace, &taken);
                    return Err(outcome);
                }
            }
        }
        let claim = Claim { account: it.account.clone(), at: now };
        let base = job.order.effect.base.clone();
        let text = notes::claim_text(&claim, &base.uid);
        let annotations = serde_json::Map::from_iter([(ours::ACME_CLAIM.to_owned(), json!(text))]);
        let meta = json!({ "resourceVersion": base.rv.to_string(), "annotations": annotations });
        match self.patch_meta(job, meta) {
            Ok((_, claimed)) => {
                self.replicas[job.at].claims.insert(base.uid, now.as_seconds());
                wrote.extend(claimed);
                Ok(wrote)
            }
            Err(outcome) => {
                // A claim that may stand has its price.
                if !is_unknown(&outcome) {
                    self.give_back(job, &it.namespace, &taken);
                }
                Err(outcome)
            }
        }
    }

    fn take_tokens(
        &mut self,
        job: &mut Job,
        place: (&Arc<str>, &Arc<str>),
        charges: &[Charge],
        now: Timestamp,
    ) -> Done {
        let mut shelf = self.shelf(job, place)?;
        if self.config.mutant == Mutant::ForgetsBudget {
            return Ok(Vec::new());
        }
        if shelf.ledger.consume(charges, now).is_err() {
            return Err(stale(shelf.key));
        }
        if charges.iter().all(|charge| charge.cost == 0) {
            return Ok(Vec::new());
        }
        let key = shelf.key.clone();
        self.put_shelf(job, shelf, now).map_err(|lost| lost.unwrap_or_else(|| stale(key)))
    }

    fn give_back(&mut self, job: &mut Job, namespace: &Arc<str>, taken: &[Vec<Charge>]) {
        for charges in taken {
            self.correct(job, namespace, charges, |ledger, charges, _| ledger.refund(charges));
        }
    }

    /// Changes what is left of limits, after the fact; if it fails, the CA will say so again.
    pub(super) fn correct(
        &mut self,
        job: &mut Job,
        namespace: &Arc<str>,
        charges: &[Charge],
        change: impl Fn(&mut Ledger, &[Charge], Timestamp),
    ) {
        let now = self.replicas[job.at].clock(self.now);
        for (shard, charges) in by_shard(charges) {
            for _ in 0..CORRECTIONS {
                let Ok(mut shelf) = self.shelf(job, (namespace, &shard)) else { break };
                let before = shelf.ledger.clone();
                change(&mut shelf.ledger, &charges, now);
                if shelf.ledger == before || !matches!(self.put_shelf(job, shelf, now), Err(None)) {
                    break;
                }
            }
        }
    }

    fn shelf(
        &mut self,
        job: &mut Job,
        (namespace, shard): (&Arc<str>, &Arc<str>),
    ) -> Result<Shelf, Outcome<Kind>> {
        let key = ObjectKey::new(Kind::ConfigMap, namespace.clone(), shard.clone());
        let object = self.fetch(job, &key)?;
        let text = object.as_deref().and_then(|object| object["data"][DATA_KEY].as_str());
        let ledger = text.and_then(|text| Ledger::parse(text).ok()).unwrap_or_default();
        Ok(Shelf { key, object, ledger })
    }

    /// `Err(None)` if another was first.
    fn put_shelf(
        &mut self,
        job: &mut Job,
        shelf: Shelf,
        now: Timestamp,
    ) -> Result<Vec<Written<Kind>>, Option<Outcome<Kind>>> {
        let Shelf { key, object, ledger } = shelf;
        let resource = project::resource(Kind::ConfigMap);
        let mut wanted = json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": *key.name, "namespace": *key.namespace,
                "labels": { LABEL: "acme-budget" } },
            "data": { DATA_KEY: ledger.to_text(now) } });
        let request = match &object {
            Some(object) => {
                let version = object["metadata"]["resourceVersion"].clone();
                wanted["metadata"]["resourceVersion"] = version;
                Request::update(resource, &key.namespace, &key.name, wanted)
            }
            None => Request::create(resource, &key.namespace, wanted),
        };
        match self.send(job, &key, request) {
            Ok(response) => {
                self.echo(job, Kind::ConfigMap, &response.body);
                Ok(vec![written(key, &response.body)])
            }
            Err(refusal) if matches!(refusal.code, 404 | 409) => Err(None),
            Err(refusal) => Err(Some(refusal.outcome)),
        }
    }
}

fn is_unknown(outcome: &Outcome<Kind>) -> bool {
    matches!(outcome, Outcome::Failed { class: FailureClass::Unknown, .. })
}
