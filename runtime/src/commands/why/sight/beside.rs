//! What is around an object and decides on nothing: the Orders and Challenges of its request, and
//! the Events that tell of it.

use super::super::around::controller;
use super::super::path::{self, KEPT, Passed};
use super::{Blind, Reading};
use crate::kube_api::{EVENTS, percent};
use everleaf_engine::ObjectKey;
use everleaf_nodes::facts::Signer;
use everleaf_nodes::{Facts, Kind};
use serde_json::Value;
use std::collections::BTreeSet;

/// The longest way from a Challenge to the Ingress that it is for.
const OWNERS: usize = 4;

impl Reading<'_> {
    /// Reads what was made for an object, and whose it is, where the state does not rest on it.
    pub(super) async fn around(
        &mut self,
        key: &ObjectKey<Kind>,
        facts: &Facts,
    ) -> Result<(), Blind> {
        let ordered = self.seen.iter().filter_map(|seen| seen.read.facts.issuer());
        let ordered = ordered.into_iter().any(|issuer| matches!(issuer.signer, Signer::Acme(_)));
        self.owners(key, facts).await?;
        match facts {
            Facts::Certificate(_) if ordered => {
                self.peek(Kind::Order, &key.namespace).await?;
                self.peek(Kind::Challenge, &key.namespace).await
            }
            Facts::Request(_) if ordered => self.peek(Kind::Challenge, &key.namespace).await,
            _ => Ok(()),
        }
    }

    /// Who controls it, who controls that, and so on.
    async fn owners(&mut self, key: &ObjectKey<Kind>, facts: &Facts) -> Result<(), Blind> {
        let mut next = controller(facts).cloned();
        for _ in 0..OWNERS {
            let Some(owner) = next.take() else { return Ok(()) };
            let Some(kind) = Kind::of_name(&owner.kind) else { return Ok(()) };
            let before = self.before();
            let found = self.get(kind, &key.namespace, &owner.name).await?;
            self.only_noted(before);
            next = found.and_then(|seen| controller(&seen.read.facts).cloned());
        }
        Ok(())
    }

    /// Lists what decides on nothing here: that it may not be is only noted.
    async fn peek(&mut self, kind: Kind, namespace: &str) -> Result<(), Blind> {
        let before = self.before();
        self.list(kind, namespace, "").await?;
        self.only_noted(before);
        Ok(())
    }

    fn before(&self) -> (usize, BTreeSet<Kind>) {
        (self.lacking.len(), self.refused.clone())
    }

    /// What was refused since then holds no decision up.
    fn only_noted(&mut self, (lacking, refused): (usize, BTreeSet<Kind>)) {
        self.blind.extend(std::mem::replace(&mut self.refused, refused));
        let noted = self.lacking.split_off(lacking);
        self.unseen.extend(noted.into_iter().map(|right| format!("not looked at without {right}")));
    }

    /// The Events that tell of an object, as far as they are kept and may be read.
    pub(super) async fn events(&mut self, key: &ObjectKey<Kind>, uid: &str) -> Vec<Passed> {
        // Events of what is in no namespace are kept in this one.
        let namespace = if key.namespace.is_empty() { "default" } else { &key.namespace };
        let about =
            format!("involvedObject.kind={},involvedObject.name={}", key.kind.name(), key.name);
        let path = format!(
            "{}?limit={KEPT}&fieldSelector={}",
            EVENTS.collection(namespace),
            percent(&about)
        );
        let request = http::Request::get(path).body(Vec::new());
        let answer = match request {
            Ok(request) => self.kube.client().request::<Value>(request).await.ok(),
            Err(_) => None,
        };
        let Some(answer) = answer else {
            self.unseen.push("Events could not be read".to_owned());
            return Vec::new();
        };
        let items = answer.get("items").and_then(Value::as_array).into_iter().flatten();
        let is_about = |event: &&Value| {
            event.pointer("/involvedObject/uid").and_then(Value::as_str).is_none_or(|of| of == uid)
        };
        items.filter(is_about).filter_map(path::of_event).collect()
    }
}
