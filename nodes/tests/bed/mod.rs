//! A test bed: the engine with our machines, objects as JSON, and a CA that does as it is told. It
//! stands for watches and ports, and does of each effect what the effect's text asks for.

#![allow(dead_code, reason = "every test file uses another part of it")]
#![allow(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

pub mod perform;

use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::{
    Command, Config, Delta, EffectId, Engine, Input, ObjectKey, Outcome, Timestamp, Wake, Written,
    digest_of,
};
use everleaf_nodes::acme::ari::{Answer, certificate_id};
use everleaf_nodes::acme::turns::Turns;
use everleaf_nodes::facts::{
    Class, Csr, Facts, KeyFacts, KeyKind, Leaf, Names, Parsed, SecretFacts, Subject,
};
use everleaf_nodes::{Do, Effect, Everleaf, Kind, Options, feed, project};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub type Key = ObjectKey<Kind>;

/// When every test begins.
pub const BEGIN: i64 = 1_800_000_000;

/// What the CA, or whoever is asked, answers to a step.
#[derive(Clone, Debug)]
pub enum Reply {
    /// What was hoped for.
    Well,
    /// Something else: class, detail, and the seconds until it may be asked again.
    Ill(Class, &'static str, Option<i64>),
    /// The order, or the challenge, is in this state now.
    State(&'static str),
    /// The request fails, and nothing can be written.
    Fail,
}

/// An object of the bed.
#[derive(Clone, Debug)]
pub enum Thing {
    /// As the API has it.
    Json(Value),
    /// As decisions see it.
    Facts(Facts),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub uid: String,
    pub rv: u64,
    pub thing: Thing,
}

pub struct Bed {
    pub engine: Engine<Everleaf>,
    pub objects: BTreeMap<Key, Entry>,
    pub ledgers: BTreeMap<Arc<str>, String>,
    pub now: i64,
    pub rv: u64,
    /// The names in each request's CSR, and its key.
    pub csrs: BTreeMap<Arc<str>, Csr>,
    /// What is answered to a step; what is not told is well.
    pub replies: BTreeMap<&'static str, VecDeque<Reply>>,
    /// How long the CA's certificates live, in seconds.
    pub life: i64,
    /// What the CA answers of a renewal; without one it has no renewal information.
    pub window: Option<Answer>,
    /// Whether names are authorized beforehand.
    pub pre_authorized: bool,
    /// Each effect that was performed: when, of whom, which.
    pub log: Vec<(i64, String, String)>,
    pub events: Vec<(String, String)>,
    /// Requests to the CA.
    pub asked: Vec<String>,
    /// Effects in full.
    pub effects: Vec<Effect>,
    /// API writes.
    pub writes: u32,
    /// Effects that are not performed but kept, if any are to be: those of a kind, in their order.
    pub held: Option<(fn(&Do) -> bool, Vec<(EffectId, Effect)>)>,
    /// Who claimed last.
    turns: Turns,
    /// Writes that the engine does not know of yet.
    unseen: VecDeque<Key>,
    keys_made: u32,
}

pub fn key(kind: Kind, name: &str) -> Key {
    Key::new(kind, if kind == Kind::ClusterIssuer { "" } else { "shop" }, name)
}

fn feed_of(kind: Kind) -> u8 {
    match kind {
        Kind::Certificate => feed::CERTIFICATES,
        Kind::CertificateRequest => feed::REQUESTS,
        Kind::Issuer => feed::ISSUERS,
        Kind::ClusterIssuer => feed::CLUSTER_ISSUERS,
        Kind::Secret => feed::LABELLED_SECRETS,
        Kind::Ingress => feed::INGRESSES,
        Kind::Key => feed::KEYS,
        Kind::Order => feed::ORDERS,
        Kind::Challenge => feed::CHALLENGES,
        Kind::ConfigMap => feed::BUDGETS,
    }
}

/// Merges a patch (RFC 7396).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

pub fn time(seconds: i64) -> String {
    everleaf_api::Time::clamped(seconds).to_string()
}

impl Bed {
    pub fn new() -> Self {
        Self::with_options(Options::default())
    }

    pub fn with_options(options: Options) -> Self {
        let program = Everleaf::new(options);
        let mut bed = Self {
            engine: Engine::new(program, Config::default()),
            objects: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            now: BEGIN * 1000,
            rv: 1,
            csrs: BTreeMap::new(),
            replies: BTreeMap::new(),
            life: 90 * 86_400,
            window: None,
            pre_authorized: false,
            log: Vec::new(),
            events: Vec::new(),
            asked: Vec::new(),
            effects: Vec::new(),
            writes: 0,
            held: None,
            turns: Turns::default(),
            unseen: VecDeque::new(),
            keys_made: 0,
        };
        bed.input(Input::Leadership(Some(1)));
        for number in 0..=feed::BUDGETS {
            bed.input(Input::Observed(Delta::ListBegin { feed: number }));
            bed.input(Input::Observed(Delta::ListEnd { feed: number, rv: 1 }));
        }
        bed
    }

    /// The bed after a restart: the same objects, nothing remembered.
    pub fn restarted(mut self) -> Self {
        let options = self.engine.program().options.clone();
        self.engine = Engine::new(Everleaf::new(options), Config::default());
        self.turns = Turns::default();
        self.input(Input::Leadership(Some(2)));
        let keys: Vec<Key> = self.objects.keys().cloned().collect();
        for number in 0..=feed::BUDGETS {
            self.input(Input::Observed(Delta::ListBegin { feed: number }));
            for key in keys.iter().filter(|key| feed_of(key.kind) == number) {
                self.show(key);
            }
            let rv = self.rv;
            self.input(Input::Observed(Delta::ListEnd { feed: number, rv }));
        }
        self.log.clear();
        self.asked.clear();
        self
    }

    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub fn seconds(&self) -> i64 {
        self.now / 1000
    }

    fn input(&mut self, input: Input<Kind, Facts>) {
        let now = self.timestamp();
        self.engine.handle(now, input);
    }

    fn show(&mut self, key: &Key) {
        self.show_as(key, false);
    }

    fn show_as(&mut self, key: &Key, live: bool) {
        let feed = feed_of(key.kind);
        let delta = match self.objects.get(key) {
            Some(entry) => Delta::Applied {
                feed,
                key: key.clone(),
                uid: entry.uid.as_str().into(),
                rv: entry.rv,
                live,
                facts: self.facts(key, entry),
            },
            None => return,
        };
        self.input(Input::Observed(delta));
    }

    /// The facts of an object.
    fn facts(&self, key: &Key, entry: &Entry) -> Facts {
        let value = match &entry.thing {
            Thing::Facts(facts) => return facts.clone(),
            Thing::Json(value) => value.clone(),
        };
        let leaf = |value: &Value| self.leaf(value);
        match key.kind {
            Kind::Issuer | Kind::ClusterIssuer => {
                let issuer: everleaf_api::Issuer = serde_json::from_value(value).unwrap();
                let facts = project::issuer(&issuer.metadata, &issuer.spec, &issuer.status);
                Facts::Issuer(Box::new(facts))
            }
            Kind::Certificate => {
                let object = serde_json::from_value(value).unwrap();
                let copied = CopiedAnnotations::default();
                Facts::Certificate(Box::new(project::certificate(&object, &copied, None)))
            }
            Kind::CertificateRequest => {
                let leaf = leaf(&value);
                let object = serde_json::from_value(value).unwrap();
                let csr = Parsed::Good(self.csrs[&key.name].clone());
                Facts::Request(Box::new(project::request(&object, csr, leaf)))
            }
            Kind::Order => {
                let leaf = leaf(&value);
                let object = serde_json::from_value(value).unwrap();
                Facts::Order(Box::new(project::order(&object, leaf)))
            }
            Kind::Challenge => {
                let object = serde_json::from_value(value).unwrap();
                Facts::Challenge(Box::new(project::challenge(&object)))
            }
            other => panic!("{other:?} has no JSON here"),
        }
    }

    /// The leaf in a status: base64 of `fingerprint notBefore names`.
    fn leaf(&self, value: &Value) -> Parsed<Leaf> {
        let Some(text) = value["status"]["certificate"].as_str() else { return Parsed::Missing };
        let bytes: everleaf_api::Bytes = serde_json::from_value(json!(text)).unwrap();
        let text = String::from_utf8(bytes.0).unwrap();
        let mut words = text.split(' ');
        let fingerprint = words.next().unwrap().into();
        let begin: i64 = words.next().unwrap().parse().unwrap();
        let names: Vec<Arc<str>> = words.map(Into::into).collect();
        Parsed::Good(Leaf {
            digest: digest_of(&text),
            fingerprint,
            not_before: Timestamp::from_seconds(begin),
            not_after: Timestamp::from_seconds(begin + self.life),
            common_name: "".into(),
            subject: Subject::default(),
            names: Names { dns: names, ..Names::default() },
            can_sign: false,
            chain: 2,
            ari_id: Some(certificate_id(b"ca", begin.to_string().as_bytes()).into()),
        })
    }

    /// Puts an object in, or replaces it.
    pub fn put(&mut self, key: &Key, thing: Thing) {
        self.rv += 1;
        let known = self.objects.get(key).map(|entry| entry.uid.clone());
        let uid = known.unwrap_or_else(|| format!("uid-{}-{}", key.name, self.rv));
        let thing = match thing {
            Thing::Json(mut value) => {
                value["metadata"]["name"] = json!(key.name);
                value["metadata"]["namespace"] = json!(key.namespace);
                value["metadata"]["uid"] = json!(uid);
                value["metadata"]["resourceVersion"] = json!(self.rv.to_string());
                if value["metadata"]["creationTimestamp"].is_null() {
                    value["metadata"]["creationTimestamp"] = json!(time(self.seconds()));
                }
                Thing::Json(value)
            }
            other => other,
        };
        self.objects.insert(key.clone(), Entry { uid, rv: self.rv, thing });
        self.unseen.push_back(key.clone());
    }

    pub fn json(&self, key: &Key) -> &Value {
        match &self.objects.get(key).unwrap_or_else(|| panic!("no {key}")).thing {
            Thing::Json(value) => value,
            Thing::Facts(_) => panic!("{key} is not JSON"),
        }
    }

    pub fn status(&self, key: &Key) -> &Value {
        &self.json(key)["status"]
    }

    /// Changes an object as a user or a port would.
    pub fn change(&mut self, key: &Key, change: impl FnOnce(&mut Value)) {
        let mut value = self.json(key).clone();
        change(&mut value);
        self.put(key, Thing::Json(value));
    }

    /// Deletes an object: at once, or when its finalizers are gone.
    pub fn delete(&mut self, key: &Key) {
        let Some(entry) = self.objects.get(key) else { return };
        if let Thing::Json(value) = &entry.thing
            && value["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
        {
            let now = time(self.seconds());
            return self.change(key, |value| value["metadata"]["deletionTimestamp"] = json!(now));
        }
        let uid = entry.uid.as_str().into();
        self.objects.remove(key);
        self.input(Input::Observed(Delta::Deleted {
            feed: feed_of(key.kind),
            key: key.clone(),
            uid,
        }));
    }

    pub fn secret(&mut self, name: &str) {
        self.put(&key(Kind::Secret, name), Thing::Facts(Facts::Secret(Box::new(unread()))));
    }

    fn catch_up(&mut self) {
        while let Some(key) = self.unseen.pop_front() {
            self.show(&key);
        }
    }

    /// Runs until nothing happens by itself before `seconds` have passed.
    pub fn run(&mut self, seconds: i64) {
        let end = self.now + seconds * 1000;
        for _ in 0..20_000 {
            self.catch_up();
            if let Some(command) = self.engine.poll_effect() {
                self.obey(command);
                continue;
            }
            match self.engine.poll_wake() {
                Wake::Now => {}
                Wake::At(at) if at.as_millis() <= end => self.now = self.now.max(at.as_millis()),
                Wake::At(_) | Wake::OnlyWhenTold => {
                    self.now = end;
                    self.input(Input::Tick);
                    assert_eq!(self.engine.unexplained_moves(), 0, "every move is explained");
                    return;
                }
            }
            self.input(Input::Tick);
        }
        panic!("it never comes to rest; the last of {}: {:?}", self.log.len(), self.log.last());
    }

    fn obey(&mut self, command: Command<Kind, Effect>) {
        match command {
            Command::Perform(id, effect) => {
                self.effects.push(effect.clone());
                if let Some((kept, held)) = &mut self.held
                    && kept(&effect.action)
                {
                    return held.push((id, effect));
                }
                let outcome = self.attempted(&effect);
                self.answered(&id, outcome);
            }
            Command::Read(key) => {
                let delta = match self.objects.get(&key) {
                    Some(_) => {
                        self.show_as(&key, true);
                        return;
                    }
                    None => Delta::Absent { key },
                };
                self.input(Input::Observed(delta));
            }
            Command::ConfirmClock => {
                let now = self.timestamp();
                self.input(Input::Clock(now));
            }
        }
    }

    /// Performs an effect; the engine does not know how it ended.
    pub fn attempted(&mut self, effect: &Effect) -> Outcome<Kind> {
        let before = self.rv;
        if let Err(outcome) = self.perform(effect) {
            return outcome;
        }
        let wrote = self.unseen.iter().filter_map(|key| {
            let entry = self.objects.get(key)?;
            let rv = Some(entry.rv).filter(|rv| *rv > before);
            rv.map(|rv| Written { key: key.clone(), rv: Some(rv) })
        });
        let wrote = wrote.collect();
        self.writes += (self.rv - before) as u32;
        for event in &effect.events {
            self.events.push((event.reason.to_string(), event.message.to_string()));
        }
        Outcome::Done { wrote }
    }

    /// Tells the engine how an effect ended.
    pub fn answered(&mut self, id: &EffectId, outcome: Outcome<Kind>) {
        self.input(Input::Completed(id.clone(), outcome));
    }

    /// The steps of an object, as they were performed.
    pub fn steps(&self, name: &str) -> Vec<&str> {
        let own = self.log.iter().filter(|(_, subject, _)| subject == name);
        own.map(|(_, _, step)| step.as_str()).collect()
    }

    pub fn said(&self, reason: &str) -> usize {
        self.events.iter().filter(|(said, _)| said == reason).count()
    }

    pub fn only(&self, kind: Kind) -> Key {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    pub fn all(&self, kind: Kind) -> Vec<Key> {
        self.objects.keys().filter(|key| key.kind == kind).cloned().collect()
    }

    /// An answer that was told, or that all is well.
    fn reply(&mut self, step: &'static str) -> Reply {
        let told = self.replies.get_mut(step).and_then(VecDeque::pop_front);
        told.unwrap_or(Reply::Well)
    }

    /// Whether nothing is told for a step, so that all is well.
    fn nothing_told(&self, step: &'static str) -> bool {
        self.replies.get(step).is_none_or(VecDeque::is_empty)
    }

    pub fn tell(&mut self, step: &'static str, reply: Reply) {
        self.replies.entry(step).or_default().push_back(reply);
    }

    /// A new fingerprint.
    fn new_key(&mut self) -> KeyFacts {
        self.keys_made += 1;
        let fingerprint = format!("key-{}", self.keys_made).into();
        KeyFacts { fingerprint, kind: KeyKind::Rsa(2048) }
    }

    /// A registered ACME issuer of cert-manager's, with this in its spec.
    pub fn issuer(&mut self, name: &str, server: &str, acme: Value) {
        let mut spec = json!({ "acme": {
            "server": server, "email": "a@shop.test",
            "privateKeySecretRef": {"name": format!("{name}-key")},
            "solvers": [{"http01": {"ingress": {"ingressClassName": "traefik"}}}],
        }});
        merge(&mut spec["acme"], &acme);
        self.put(&key(Kind::Issuer, name), Thing::Json(json!({ "spec": spec })));
    }

    /// An approved request for these names.
    pub fn request(&mut self, name: &str, issuer: &str, dns: &[&str]) {
        let fingerprint = self.new_key().fingerprint;
        let names = Names { dns: dns.iter().map(|n| (*n).into()).collect(), ..Names::default() };
        self.csrs.insert(name.into(), csr(fingerprint, names));
        self.put(
            &key(Kind::CertificateRequest, name),
            Thing::Json(json!({
                "metadata": {"labels": {"solve": "dns"}},
                "spec": {"issuerRef": {"name": issuer}, "request": "Y3Ny"},
            })),
        );
    }
}

pub fn csr(fingerprint: Arc<str>, names: Names) -> Csr {
    let subject = Subject::default();
    let subject_der = digest_of(&0);
    Csr { fingerprint, common_name: "".into(), subject, subject_der, names }
}

pub fn unread() -> SecretFacts {
    SecretFacts {
        controller: None,
        label: None,
        next_key: false,
        deleting: false,
        annotations: BTreeMap::new(),
        managed: None,
        content: everleaf_nodes::facts::Content::Unread,
    }
}

/// The name of what is done, for logs.
pub fn name_of(action: &Do) -> String {
    let value = serde_json::to_value(action).unwrap();
    let name = |value: &Value| match value {
        Value::String(name) => name.clone(),
        Value::Object(map) => map.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    match value.get("acme") {
        Some(acme) => name(acme),
        None => name(&value),
    }
}
