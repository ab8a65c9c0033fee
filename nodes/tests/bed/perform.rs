//! What ports do, against the bed.

use super::{Bed, Key, Reply, Thing, csr, key, merge, name_of, time, unread};
use everleaf_api::names::everleaf as ours;
use everleaf_engine::{FailureClass, Outcome, Timestamp, digest_of};
use everleaf_nodes::acme::ari::{self, Answer, Said};
use everleaf_nodes::acme::notes;
use everleaf_nodes::acme::turns::{Claimant, End, is_under_way};
use everleaf_nodes::budget::Ledger;
use everleaf_nodes::effect::{Acme, KeyPlace, KeySource, Trial};
use everleaf_nodes::facts::{Attempt, BudgetFacts, Content, Facts, Leaf, Material, Parsed};
use everleaf_nodes::{Do, Effect, Kind};
use serde_json::{Value, json};
use std::sync::Arc;

type Performed = Result<(), Outcome<Kind>>;

fn failed() -> Performed {
    Err(Outcome::Failed {
        class: FailureClass::Transient,
        reason: "Down".to_owned(),
        message: "it is down".to_owned(),
        not_before: None,
        reread: Vec::new(),
    })
}

fn base64(text: &str) -> Value {
    serde_json::to_value(everleaf_api::Bytes::from(text)).unwrap()
}

impl Bed {
    pub(super) fn perform(&mut self, effect: &Effect) -> Performed {
        let subject = &effect.subject;
        let entry = (self.seconds(), subject.name.to_string(), name_of(&effect.action));
        self.log.push(entry);
        match &effect.action {
            Do::PatchStatus { patch } => self.patch_status(subject, patch),
            Do::Settle { annotations, patch } => {
                for (key, value) in annotations {
                    self.annotate(subject, key, value);
                }
                self.patch_status(subject, patch);
            }
            Do::Delete { key, .. } => {
                self.delete(key);
                self.writes += 1;
            }
            Do::EnsureKey { source, place } => {
                let KeySource::Generate(_) = source else { panic!("keys are always new here") };
                let KeyPlace::Secret(name) = place else { panic!("ACME keys lie in Secrets") };
                let made = self.new_key();
                let mut secret = unread();
                secret.next_key = true;
                let owner = self.objects[subject].uid.as_str().into();
                secret.controller = Some(everleaf_nodes::facts::Controller {
                    kind: "Certificate".into(),
                    name: subject.name.clone(),
                    uid: owner,
                });
                secret.content = Content::Read(Box::new(Material {
                    key: Parsed::Good(made),
                    leaf: Parsed::Missing,
                    chain_fault: None,
                    has_ca: false,
                    beside: Default::default(),
                }));
                self.put(&key(Kind::Secret, name), Thing::Facts(Facts::Secret(Box::new(secret))));
            }
            Do::CreateRequest(new) => {
                self.csrs
                    .insert(new.name.clone(), csr(new.fingerprint.clone(), new.wish.names.clone()));
                let mut object = json!({
                    "metadata": {"annotations": new.annotations, "labels": new.labels},
                    "spec": {"issuerRef": {"name": new.issuer.name}, "request": "Y3Ny"},
                });
                self.own(&mut object, subject, "Certificate");
                self.put(&key(Kind::CertificateRequest, &new.name), Thing::Json(object));
            }
            Do::Store(store) => {
                let request = self.json(&key(Kind::CertificateRequest, &store.request)).clone();
                let leaf = match &store.temporary {
                    Some(temporary) => self.temporary(&store.request, temporary.duration_ms),
                    None => self.leaf(&request),
                };
                let Parsed::Good(leaf) = leaf else { panic!("nothing to store") };
                let kind = everleaf_nodes::facts::KeyKind::Rsa(2048);
                let fingerprint = store.fingerprint.clone();
                let mut secret = unread();
                secret.label = Some("true".into());
                secret.annotations = store.annotations.clone();
                secret.content = Content::Read(Box::new(Material {
                    key: Parsed::Good(everleaf_nodes::facts::KeyFacts { fingerprint, kind }),
                    leaf: Parsed::Good(leaf),
                    chain_fault: None,
                    has_ca: false,
                    beside: Default::default(),
                }));
                let place = key(Kind::Secret, &store.secret);
                self.put(&place, Thing::Facts(Facts::Secret(Box::new(secret))));
            }
            Do::Acme(acme) => return self.acme(subject, acme),
            Do::Say => {}
            other => panic!("nobody performs {other:?} here"),
        }
        Ok(())
    }

    /// What a request asks for, signed by nobody.
    fn temporary(&self, request: &str, duration_ms: i64) -> Parsed<Leaf> {
        let csr = &self.csrs[request];
        Parsed::Good(Leaf {
            digest: digest_of(&("temporary", &csr.fingerprint)),
            fingerprint: csr.fingerprint.clone(),
            not_before: self.timestamp(),
            not_after: self.timestamp().plus_millis(duration_ms),
            common_name: csr.common_name.clone(),
            subject: csr.subject.clone(),
            names: csr.names.clone(),
            can_sign: false,
            chain: 1,
            ari_id: None,
        })
    }

    fn own(&self, object: &mut Value, owner: &Key, kind: &str) {
        let uid = &self.objects[owner].uid;
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "x/v1", "kind": kind, "name": owner.name, "uid": uid, "controller": true,
        }]);
    }

    fn patch_status(&mut self, key: &Key, patch: &str) {
        let patch: Value = serde_json::from_str(patch).unwrap();
        self.change(key, |value| merge(value, &patch));
    }

    fn annotate(&mut self, key: &Key, name: &str, text: &str) {
        self.change(key, |value| value["metadata"]["annotations"][name] = json!(text));
    }

    fn uid(&self, key: &Key) -> String {
        self.objects[key].uid.clone()
    }

    /// Writes an attempt that was not answered as hoped.
    fn attempt(
        &mut self,
        subject: &Key,
        trial: &Trial,
        reply: &Reply,
        inputs: Option<everleaf_engine::Digest>,
    ) {
        let Reply::Ill(class, detail, after) = reply else { return };
        use everleaf_nodes::facts::Class;
        let now = self.timestamp();
        let told = after.map(|seconds| now.plus_millis(seconds * 1000));
        let retried = matches!(class, Class::Wait | Class::Transient | Class::RateLimited);
        let rest = now.plus_millis(trial.rest_ms + 999);
        let not_before = retried.then(|| told.unwrap_or(rest).max(rest));
        let attempt = Attempt {
            step: trial.step.clone(),
            number: trial.number,
            class: *class,
            reason: "".into(),
            problem: "".into(),
            detail: (*detail).into(),
            at: now,
            not_before: not_before.map(|at| Timestamp::from_seconds(at.as_seconds())),
            inputs,
        };
        let text = notes::attempt_text(&attempt, &self.uid(subject));
        self.annotate(subject, ours::ACME_ATTEMPT, &text);
        // What only a person can mend ends an Order.
        if !retried && subject.kind == Kind::Order {
            let patch = json!({ "status": {
                "state": "errored", "reason": detail, "failureTime": time(self.seconds()),
            }});
            self.patch_status(subject, &patch.to_string());
        }
    }

    fn acme(&mut self, subject: &Key, acme: &Acme) -> Performed {
        let (step, trial): (&'static str, Option<Trial>) = match acme {
            Acme::Register(it) => ("register", Some(it.trial.clone())),
            Acme::Place(it) => ("place", Some(it.trial.clone())),
            Acme::ReadAuthorizations(it) => ("fetch", Some(it.trial.clone())),
            Acme::Follow(it) => ("follow", Some(it.trial.clone())),
            Acme::Finalize(it) => ("finalize", Some(it.trial.clone())),
            Acme::Present(it) => ("present", Some(it.trial.clone())),
            Acme::SelfCheck(it) => ("self_check", Some(it.trial.clone())),
            Acme::Accept(it) => ("accept", Some(it.trial.clone())),
            Acme::Poll(it) => ("poll", Some(it.trial.clone())),
            Acme::CleanUp(_) => ("clean_up", None),
            Acme::AskWindow(_) => ("ask_window", None),
            _ => ("", None),
        };
        let ca =
            ["ask_window", "register", "place", "fetch", "follow", "finalize", "accept", "poll"];
        if ca.contains(&step) {
            self.asked.push(format!("{step} {}", subject.name));
        }
        let reply = self.reply(step);
        if let Acme::CleanUp(it) = acme {
            if matches!(reply, Reply::Fail) && !it.give_up {
                return failed();
            }
        } else if matches!(reply, Reply::Fail) {
            return failed();
        }
        if let (Reply::Ill(..), Some(trial)) = (&reply, &trial) {
            let inputs = if let Acme::Register(it) = acme { Some(it.inputs) } else { None };
            self.attempt(subject, trial, &reply, inputs);
            return Ok(());
        }
        self.well(subject, acme, &reply)
    }

    fn well(&mut self, subject: &Key, acme: &Acme, reply: &Reply) -> Performed {
        match acme {
            Acme::Register(it) => {
                let secret = it.account.key.secret.clone();
                if !self.objects.contains_key(&secret) {
                    self.put(&secret, Thing::Facts(Facts::Secret(Box::new(unread()))));
                }
                if it.trusted_hash.is_some() {
                    self.asked.pop(); // The hash was the same: nothing was asked.
                } else {
                    let conditions: Value = serde_json::from_str(&it.conditions).unwrap();
                    let host = it.account.directory.trim_end_matches("/directory");
                    let patch = json!({ "status": {
                        "acme": {
                            "uri": format!("{host}/acct/1"), "lastRegisteredEmail": it.email,
                            "lastPrivateKeyHash": "hash",
                        },
                        "conditions": conditions,
                    }});
                    self.patch_status(subject, &patch.to_string());
                }
                let text = notes::verified_text(it.verified, &self.uid(subject));
                self.annotate(subject, ours::ACME_ACCOUNT, &text);
            }
            Acme::CreateOrder(it) => {
                let request = self.json(subject).clone();
                let mut spec: Value = serde_json::from_str(&it.spec).unwrap();
                spec["request"] = request["spec"]["request"].clone();
                let mut object = json!({ "spec": spec, "metadata": {
                    "labels": request["metadata"]["labels"],
                    "annotations": request["metadata"]["annotations"],
                }});
                self.own(&mut object, subject, "CertificateRequest");
                self.put(&key(Kind::Order, &it.name), Thing::Json(object));
            }
            Acme::TakeCertificate { order, conditions, .. } => {
                let certificate = self.status(order)["certificate"].clone();
                let mut conditions: Value = serde_json::from_str(conditions).unwrap();
                conditions.as_array_mut().unwrap().push(json!({
                    "type": "Ready", "status": "True", "reason": "Issued", "message": "",
                    "lastTransitionTime": time(self.seconds()),
                }));
                let status = json!({"certificate": certificate, "conditions": conditions});
                self.patch_status(subject, &json!({ "status": status }).to_string());
            }
            Acme::Claim(it) => return self.claim(subject, it),
            Acme::Place(it) => {
                let state = if self.pre_authorized { "ready" } else { "pending" };
                let initial = if self.pre_authorized { "valid" } else { "pending" };
                let authorization = |name: &Arc<str>| {
                    let bare = name.trim_start_matches("*.");
                    let wildcard = bare.len() != name.len();
                    let url = format!("{}/authz/{name}", it.account.directory);
                    let mut offers = vec![json!({
                        "type": "dns-01", "url": format!("{url}/dns"), "token": format!("d-{name}"),
                    })];
                    if !wildcard {
                        offers.push(json!({
                            "type": "http-01", "url": format!("{url}/http"),
                            "token": format!("h-{name}"),
                        }));
                    }
                    json!({
                        "url": url, "identifier": bare, "wildcard": wildcard,
                        "initialState": initial, "challenges": offers,
                    })
                };
                let url = format!("{}/order/{}", it.account.directory, subject.name);
                let patch = json!({ "status": {
                    "url": url, "finalizeURL": format!("{url}/finalize"), "state": state,
                    "authorizations": it.dns.iter().map(authorization).collect::<Vec<_>>(),
                }});
                self.patch_status(subject, &patch.to_string());
            }
            Acme::ReadAuthorizations(_) => panic!("place reads them all"),
            Acme::CreateChallenge(it) => {
                let mut spec: Value = serde_json::from_str(&it.spec).unwrap();
                spec["key"] = json!(format!("{}.thumbprint", it.token));
                let finalizers = json!(["acme.cert-manager.io/finalizer"]);
                let mut object = json!({"spec": spec, "metadata": {"finalizers": finalizers}});
                self.own(&mut object, subject, "Order");
                assert!(!self.objects.contains_key(&key(Kind::Challenge, &it.name)));
                self.put(&key(Kind::Challenge, &it.name), Thing::Json(object));
            }
            Acme::Follow(it) => self.follow(subject, it, reply),
            Acme::Finalize(it) => {
                if let Reply::State(state) = reply {
                    let wait = Reply::Ill(everleaf_nodes::facts::Class::Wait, "", Some(3));
                    let trial = it.trial.clone();
                    let patch = json!({ "status": { "state": state } }).to_string();
                    self.patch_status(subject, &patch);
                    self.attempt(subject, &trial, &wait, None);
                } else {
                    self.deliver(subject);
                }
            }
            Acme::Guard => self.change(subject, |value| {
                value["metadata"]["finalizers"] = json!(["acme.cert-manager.io/finalizer"]);
            }),
            // What is answered to a self-check is answered to the one that goes with it.
            Acme::Present(it) if it.check && self.nothing_told("self_check") => {
                let text = notes::seen_text(self.timestamp(), &self.uid(subject));
                self.annotate(subject, ours::ACME_SEEN, &text);
            }
            Acme::Present(_) => {
                let now = time(self.seconds());
                let status = json!({"presented": true, "presentedAt": now, "processing": true});
                self.patch_status(subject, &json!({ "status": status }).to_string());
            }
            Acme::SelfCheck(_) => {
                let text = notes::seen_text(self.timestamp(), &self.uid(subject));
                self.annotate(subject, ours::ACME_SEEN, &text);
            }
            Acme::Accept(it) | Acme::Poll(it) => {
                let status = match reply {
                    Reply::State(state) => {
                        json!({"state": state, "reason": "Error accepting authorization: no"})
                    }
                    _ => json!({"state": "valid", "reason": "Successfully authorized domain"}),
                };
                if status["state"] == "valid" {
                    let said = (it.verified.reason.to_string(), it.verified.message.to_string());
                    self.events.push(said);
                }
                self.patch_status(subject, &json!({ "status": status }).to_string());
            }
            Acme::AskWindow(it) => {
                let nothing = Answer { said: Said::Nothing, retry_after_ms: None };
                let answer = self.window.clone().unwrap_or(nothing);
                let uid = self.uid(subject);
                if let Some(said) = ari::learned(it, &uid, &answer, self.timestamp()) {
                    let patch = json!({ "status": ari::status(it, &uid, &said) });
                    self.patch_status(subject, &patch.to_string());
                }
            }
            Acme::CleanUp(_) => {
                self.change(subject, |value| value["metadata"]["finalizers"] = json!([]));
                if !self.json(subject)["metadata"]["deletionTimestamp"].is_null() {
                    self.delete(subject);
                }
            }
        }
        Ok(())
    }

    fn claim(&mut self, subject: &Key, it: &everleaf_nodes::effect::ClaimOrder) -> Performed {
        let now = self.timestamp();
        let who = Claimant { key: subject.clone(), uid: self.uid(subject).as_str().into() };
        if let Some(last) = self.turns.ask(it, &who, now) {
            let facts = self.objects.get(&last.key).map(|entry| self.facts(&last.key, entry));
            let under_way = matches!(facts, Some(Facts::Order(order)) if is_under_way(&order));
            if under_way || !self.turns.pass(it, &last, &who, now) {
                return Err(Outcome::Stale { reread: vec![last.key] });
            }
        }
        let mut all = std::collections::BTreeMap::new();
        for text in self.ledgers.values() {
            all.extend(Ledger::parse(text).unwrap().buckets().clone());
        }
        if Ledger::new(all).consume(&it.charges, now).is_err() {
            self.turns.end(it, &who, End::Failed, now);
            return Err(Outcome::Stale { reread: Vec::new() }); // Another was first.
        }
        for charge in &it.charges {
            let shard = charge.shard();
            let text = self.ledgers.get(&shard).cloned().unwrap_or_default();
            let mut ledger = Ledger::parse(&text).unwrap();
            ledger.consume(std::slice::from_ref(charge), now).expect("it was free to be taken");
            self.ledgers.insert(shard.clone(), ledger.to_text(now));
            self.show_ledger(&shard);
        }
        let claim = everleaf_nodes::facts::Claim { account: it.account.clone(), at: now };
        let text = notes::claim_text(&claim, &self.uid(subject));
        self.annotate(subject, ours::ACME_CLAIM, &text);
        self.turns.end(it, &who, End::Written, now);
        Ok(())
    }

    pub fn show_ledger(&mut self, shard: &Arc<str>) {
        let ledger = Ledger::parse(&self.ledgers[shard]).unwrap();
        let facts = Facts::Budget(BudgetFacts { buckets: ledger.buckets().clone() });
        let place = Key::new(Kind::ConfigMap, "cert-manager", shard.clone());
        self.put(&place, Thing::Facts(facts));
    }

    fn follow(&mut self, subject: &Key, it: &everleaf_nodes::effect::FollowOrder, reply: &Reply) {
        let state = self.status(subject)["state"].as_str().unwrap_or("").to_owned();
        let lost = it.if_pending.as_ref();
        let status = match (reply, lost, state.as_str()) {
            (Reply::State(state), ..) => {
                json!({"state": state, "reason": "the CA said so", "failureTime": time(self.seconds())})
            }
            (_, Some(verdict), _) => json!({
                "state": verdict.state.text(), "reason": verdict.reason,
                "failureTime": time(self.seconds()),
            }),
            (_, None, "processing" | "valid") => return self.deliver(subject),
            _ => json!({"state": "ready"}),
        };
        self.patch_status(subject, &json!({ "status": status }).to_string());
    }

    fn deliver(&mut self, order: &Key) {
        let owner = &self.json(order)["metadata"]["ownerReferences"][0]["name"];
        let csr = &self.csrs[owner.as_str().unwrap()];
        let names: Vec<&str> = csr.names.dns.iter().map(|name| &**name).collect();
        let text = format!("{} {} {}", csr.fingerprint, self.seconds(), names.join(" "));
        let patch = json!({"status": {"state": "valid", "certificate": base64(&text)}});
        self.patch_status(order, &patch.to_string());
        self.events.push(("Complete".to_owned(), String::new()));
    }
}
