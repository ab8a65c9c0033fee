//! Seeing what the state of one object rests on: the object, and what its machine reads of
//! others. What else is read, to tell of what is around it, decides on nothing: where the right to
//! that is lacking, it is left out and said.

mod beside;

use super::path::Passed;
use super::suggest::{Source, meant, near};
use crate::edge::{Projector, Read, key_kind, meta_of};
use crate::kube_api::{ApiError, Kube, Selection};
use everleaf_api::{CertificateRequest, names};
use everleaf_engine::{
    Command, Config, Delta, Engine, FailureClass, Input, ObjectKey, Outcome, Program, Timestamp,
};
use everleaf_nodes::facts::{IssuerFacts, IssuerRef, KeyFacts, RequestFacts, Signer};
use everleaf_nodes::{Do, Everleaf, Facts, Kind, Options, feed};
use everleaf_pki::CsrInfo;
use serde::Deserialize as _;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// An engine that has seen what one object rests on.
pub struct Sight {
    /// The engine.
    pub engine: Engine<Everleaf>,
    /// What could not be read, and why. The object has no state if its machine reads that.
    pub lacking: Vec<String>,
    /// What was taken for granted, for nobody can read it.
    pub assumed: Vec<String>,
    /// What the operator says of the object in Events, and nowhere else.
    pub problems: Vec<String>,
    /// The instant of what was seen.
    pub(super) at: Timestamp,
    /// What could not be looked at and decides on nothing.
    pub(super) unseen: Vec<String>,
    /// The kinds of which not everything was seen.
    pub(super) blind: BTreeSet<Kind>,
    /// What happened to the object, oldest first, as far as somebody kept it.
    pub(super) path: Vec<Passed>,
    /// How much of that was left out before.
    pub(super) earlier: usize,
    /// Whether the path holds its moves, and so needs nothing of its times and conditions.
    pub(super) moves: bool,
    /// Where all this is from.
    pub(super) source: Source,
}

/// Why nothing can be said at all.
#[derive(Debug)]
pub enum Blind {
    /// The API server did not answer.
    Unreachable(ApiError),
    /// It did not show the object; names that were perhaps meant.
    Unseen(ObjectKey<Kind>, Box<ApiError>, Vec<String>),
    /// The object cannot be told in facts.
    Unreadable(String),
}

impl Blind {
    /// For people; `url` is where the API server was looked for.
    pub fn told_of(&self, url: &str) -> String {
        match self {
            Self::Unreachable(error) => format!("the API server at {url}: {error}"),
            Self::Unseen(key, error, near) if error.is_absent() => {
                format!("there is no {key}: {}{}", error.message, meant(near))
            }
            Self::Unseen(key, error, _) if error.class == FailureClass::Forbidden => {
                format!("you may not read {key}: {}", error.message)
            }
            Self::Unseen(key, error, _) => format!("{key} cannot be read: {error}"),
            Self::Unreadable(message) => message.clone(),
        }
    }
}

/// Looks at an object and at what its state rests on, as an operator with these options would at
/// `now`.
///
/// # Errors
/// If the object cannot be read, or the API server cannot be reached.
pub async fn look(
    kube: &Kube,
    (projector, options): (&Projector, Options),
    key: &ObjectKey<Kind>,
    now: Timestamp,
) -> Result<Sight, Blind> {
    let mut reading = Reading {
        kube,
        projector,
        options,
        seen: Vec::new(),
        refused: BTreeSet::new(),
        lacking: Vec::new(),
        unseen: Vec::new(),
        blind: BTreeSet::new(),
        assumed: Vec::new(),
    };
    let (uid, facts) = reading.subject(key).await?;
    match &facts {
        Facts::Certificate(facts) => {
            let requests = reading.beside_certificate(key, &facts.secret_name).await?;
            let open = open_request(&requests, &uid, facts.status.revision);
            let asked = open.as_ref().and_then(|open| facts.listed(&open.issuer));
            let (turn, mut signer) = (asked.unwrap_or(&facts.issuer), None);
            for issuer in facts.issuers() {
                let found = reading.issuer(&key.namespace, issuer).await?;
                signer = if issuer.same(turn) { found } else { signer };
            }
            reading.assume_key(open, turn, signer.as_ref());
        }
        Facts::Request(facts) => {
            let issuer = reading.issuer(&key.namespace, &facts.issuer).await?;
            if let Some(secret) = &facts.key_secret {
                reading.get(Kind::Secret, &key.namespace, secret).await?;
            }
            // A CA signs without the request's own key.
            let own =
                issuer.as_ref().is_some_and(|i| matches!(i.signer, Signer::SelfSigned { .. }));
            if issuer.as_ref().is_some_and(|i| matches!(i.signer, Signer::Acme(_))) {
                reading.list(Kind::Order, &key.namespace, "").await?;
            }
            let asked = reading.seen.first().filter(|_| own).and_then(|seen| asked(seen, facts));
            reading.assume_key(asked, &facts.issuer, issuer.as_ref());
        }
        Facts::Issuer(facts) => {
            reading.authority(key, facts).await?;
            reading.account(key, facts).await?;
        }
        Facts::Order(facts) => {
            reading.issuer(&key.namespace, &facts.issuer).await?;
            reading.beside_order(key).await?;
        }
        Facts::Challenge(facts) => {
            reading.issuer(&key.namespace, &facts.issuer).await?;
            // Seats are taken by all of them, in every namespace.
            reading.list(Kind::Challenge, "", "").await?;
        }
        Facts::Ingress(_) => {
            reading.list(Kind::Certificate, &key.namespace, "").await?;
        }
        Facts::Secret(_) | Facts::Key(_) | Facts::Budget(_) => {}
    }
    reading.around(key, &facts).await?;
    let path = reading.events(key, &uid).await;
    Ok(Sight { path, ..reading.into_sight(key, now) })
}

/// An object that was read, and the key that it asks a certificate for.
#[derive(Clone)]
struct Seen {
    read: Read,
    asks: Option<KeyFacts>,
}

/// A request whose key is at hand somewhere.
struct Asked {
    name: Arc<str>,
    namespace: Arc<str>,
    owner: Arc<str>,
    secret: Option<Arc<str>>,
    issuer: IssuerRef,
    key: KeyFacts,
}

fn asked(seen: &Seen, facts: &RequestFacts) -> Option<Asked> {
    Some(Asked {
        name: seen.read.key.name.clone(),
        namespace: seen.read.key.namespace.clone(),
        owner: facts.controller.as_ref()?.uid.clone(),
        secret: facts.key_secret.clone(),
        issuer: facts.issuer.clone(),
        key: seen.asks.clone()?,
    })
}

/// The newest request of a Certificate, if its revision is not stored yet.
fn open_request(requests: &[Seen], owner: &str, stored: Option<i64>) -> Option<Asked> {
    let own = requests.iter().filter_map(|seen| {
        let facts = seen.read.facts.request()?;
        let ours = facts.controller.as_ref().is_some_and(|c| *c.uid == *owner);
        (ours && facts.revision > Some(stored.unwrap_or(0))).then_some((seen, facts))
    });
    let (seen, facts) = own.max_by_key(|(_, facts)| facts.revision)?;
    asked(seen, facts)
}

struct Reading<'a> {
    kube: &'a Kube,
    projector: &'a Projector,
    options: Options,
    seen: Vec<Seen>,
    /// Kinds of which not everything that is needed could be read.
    refused: BTreeSet<Kind>,
    lacking: Vec<String>,
    /// What could not be looked at and decides on nothing.
    unseen: Vec<String>,
    /// The kinds of that.
    blind: BTreeSet<Kind>,
    assumed: Vec<(String, Delta<Kind, Facts>)>,
}

impl Reading<'_> {
    async fn subject(&mut self, key: &ObjectKey<Kind>) -> Result<(Arc<str>, Facts), Blind> {
        let object = self.kube.get(key.kind, &key.namespace, &key.name).await;
        let object = match object {
            Ok(object) => object,
            Err(error) if error.code == 0 => return Err(Blind::Unreachable(error)),
            Err(error) => {
                let near = if error.is_absent() { self.near(key).await } else { Vec::new() };
                return Err(Blind::Unseen(key.clone(), Box::new(error), near));
            }
        };
        let seen = self.read(key.kind, &object).map_err(Blind::Unreadable)?;
        let (uid, facts) = (seen.read.uid.clone(), seen.read.facts.clone());
        self.seen.push(seen);
        Ok((uid, facts))
    }

    /// Names that were perhaps meant, in all namespaces if those may be listed.
    async fn near(&self, key: &ObjectKey<Kind>) -> Vec<String> {
        let mut there = Vec::new();
        for namespace in ["", &*key.namespace] {
            let selection = Selection { namespace: namespace.to_owned(), ..Selection::default() };
            if let Ok(page) = self.kube.list(key.kind, &selection, (PAGE, "")).await {
                let items = page.items.iter().map(meta_of);
                there.extend(items.map(|m| ObjectKey::new(key.kind, &*m.namespace, &*m.name)));
                break;
            }
        }
        near(key, there.into_iter())
    }

    fn read(&self, kind: Kind, object: &Value) -> Result<Seen, String> {
        let read = self.projector.read(kind, object).map_err(|error| error.to_string())?;
        let asks = match kind {
            Kind::CertificateRequest => self.key_asked_for(object),
            _ => None,
        };
        Ok(Seen { read, asks })
    }

    fn key_asked_for(&self, object: &Value) -> Option<KeyFacts> {
        let request = CertificateRequest::deserialize(object).ok()?;
        let csr = CsrInfo::parse(&request.spec.request.0, &self.projector.limits).ok()?;
        let fingerprint = csr.public_key.fingerprint().into();
        Some(KeyFacts { fingerprint, kind: key_kind(csr.public_key.kind()?) })
    }

    /// What a Certificate shares its namespace with: others that may name its Secret, its
    /// requests, the Secret, and next private keys.
    async fn beside_certificate(
        &mut self,
        key: &ObjectKey<Kind>,
        secret: &Arc<str>,
    ) -> Result<Vec<Seen>, Blind> {
        self.list(Kind::Certificate, &key.namespace, "").await?;
        let requests = self.list(Kind::CertificateRequest, &key.namespace, "").await?;
        let label = format!("{}=true", names::NEXT_PRIVATE_KEY);
        self.list(Kind::Secret, &key.namespace, &label).await?;
        self.get(Kind::Secret, &key.namespace, secret).await?;
        Ok(requests)
    }

    /// The issuer that a reference names, and what it signs with.
    async fn issuer(
        &mut self,
        namespace: &Arc<str>,
        reference: &IssuerRef,
    ) -> Result<Option<IssuerFacts>, Blind> {
        if !reference.is_ours() {
            return Ok(None);
        }
        let key = match reference.kind_or_default() {
            "Issuer" => ObjectKey::new(Kind::Issuer, namespace.clone(), reference.name.clone()),
            _ => ObjectKey::new(Kind::ClusterIssuer, "", reference.name.clone()),
        };
        let found = self.get(key.kind, &key.namespace, &key.name).await?;
        let Some(facts) = found.as_ref().and_then(|seen| seen.read.facts.issuer()) else {
            return Ok(None);
        };
        self.authority(&key, facts).await?;
        Ok(Some(facts.clone()))
    }

    /// The Secret that a CA issuer signs with.
    async fn authority(
        &mut self,
        issuer: &ObjectKey<Kind>,
        facts: &IssuerFacts,
    ) -> Result<(), Blind> {
        let Signer::Ca { secret, .. } = &facts.signer else { return Ok(()) };
        let namespace = self.namespace_of_secrets(issuer);
        self.get(Kind::Secret, &namespace, secret).await.map(drop)
    }

    fn namespace_of_secrets(&self, issuer: &ObjectKey<Kind>) -> Arc<str> {
        match issuer.kind {
            Kind::ClusterIssuer => self.options.cluster_resource_namespace.clone(),
            _ => issuer.namespace.clone(),
        }
    }

    /// The Secrets that an ACME issuer names, and what is left of its CA's limits.
    async fn account(
        &mut self,
        issuer: &ObjectKey<Kind>,
        facts: &IssuerFacts,
    ) -> Result<(), Blind> {
        let Signer::Acme(acme) = &facts.signer else { return Ok(()) };
        let namespace = self.namespace_of_secrets(issuer);
        let binding = acme.binding.iter().map(|binding| &binding.key.secret);
        let solvers = acme.solvers.iter().flat_map(|solver| &solver.secrets);
        let named: BTreeSet<&Arc<str>> =
            [&acme.key.secret].into_iter().chain(binding).chain(solvers).collect();
        for secret in named {
            self.get(Kind::Secret, &namespace, secret).await?;
        }
        self.budgets().await
    }

    /// What an Order depends on besides its issuer: its Challenges, the orders of the same names
    /// anywhere, and what is left of the CA's limits.
    async fn beside_order(&mut self, key: &ObjectKey<Kind>) -> Result<(), Blind> {
        self.list(Kind::Challenge, &key.namespace, "").await?;
        self.list(Kind::Order, "", "").await?;
        self.budgets().await
    }

    async fn budgets(&mut self) -> Result<(), Blind> {
        let own = self.options.operator_namespace.clone();
        self.list(Kind::ConfigMap, &own, &crate::operator::budget_label()).await?;
        Ok(())
    }

    /// Reads an object that need not be there.
    async fn get(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Seen>, Blind> {
        if name.is_empty() {
            return Ok(None);
        }
        match self.kube.get(kind, namespace, name).await {
            Ok(object) => Ok(self.take(kind, &object)),
            Err(error) => self.lack(kind, namespace, error).map(|()| None),
        }
    }

    /// Reads every object that a selector selects.
    async fn list(
        &mut self,
        kind: Kind,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Seen>, Blind> {
        let (namespace, labels) = (namespace.to_owned(), labels.to_owned());
        let selection = Selection { namespace, labels, metadata_only: false };
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = match self.kube.list(kind, &selection, (PAGE, &token)).await {
                Ok(page) => page,
                Err(error) => {
                    self.lack(kind, &selection.namespace, error)?;
                    return Ok(all);
                }
            };
            all.extend(page.items.iter().filter_map(|object| self.take(kind, object)));
            if page.next.is_empty() {
                return Ok(all);
            }
            token = page.next;
        }
    }

    /// Takes an object in. One that cannot be read is left alone by the operator too.
    fn take(&mut self, kind: Kind, object: &Value) -> Option<Seen> {
        let seen = self.read(kind, object).ok()?;
        self.seen.push(seen.clone());
        Some(seen)
    }

    /// Notes that something could not be read; what is absent was.
    fn lack(&mut self, kind: Kind, namespace: &str, error: ApiError) -> Result<(), Blind> {
        if error.is_absent() {
            return Ok(());
        }
        if error.code == 0 {
            return Err(Blind::Unreachable(error));
        }
        let right = format!("`{} {}`", error.verb.name(), error.resource);
        let right = match namespace {
            "" => right,
            namespace => format!("{right} in namespace {namespace:?}"),
        };
        let lacking = match error.class {
            FailureClass::Forbidden => right,
            _ => format!("{right} ({})", error.message),
        };
        if !self.lacking.contains(&lacking) {
            self.lacking.push(lacking);
        }
        self.refused.insert(kind);
        Ok(())
    }

    /// Where the answer comes from the operator itself, it keeps the key in its memory, where
    /// nobody else can see it. It deletes a request whose key it lost at once, so a request that
    /// is there has its key.
    fn assume_key(
        &mut self,
        asked: Option<Asked>,
        reference: &IssuerRef,
        issuer: Option<&IssuerFacts>,
    ) {
        let signs = |facts: &IssuerFacts| {
            matches!(facts.signer, Signer::Ca { .. } | Signer::SelfSigned { .. })
        };
        let in_memory = self.options.approve && reference.is_ours() && issuer.is_none_or(signs);
        let Some(asked) = asked.filter(|_| in_memory) else { return };
        let is_there = |seen: &Seen| {
            seen.read.key.kind == Kind::Secret && Some(&seen.read.key.name) == asked.secret.as_ref()
        };
        if self.seen.iter().any(is_there) {
            return;
        }
        let said = format!("the operator holds the private key of request {:?}", &*asked.name);
        let key = ObjectKey::new(Kind::Key, asked.namespace, asked.owner.clone());
        let (uid, facts) = (format!("{}/key", asked.owner).into(), Facts::Key(asked.key));
        let shown = Delta::Applied { feed: feed::KEYS, key, uid, rv: 1, live: false, facts };
        self.assumed.push((said, shown));
    }

    /// Shows an engine what was read. Feeds of which something is lacking never end, so that no
    /// machine decides on what it cannot see.
    fn into_sight(self, key: &ObjectKey<Kind>, now: Timestamp) -> Sight {
        let mut engine = Engine::new(Everleaf::new(self.options), Config::default());
        if key.kind == Kind::Ingress {
            engine.handle(now, Input::Leadership(Some(0)));
        }
        let feeds: Vec<Kind> = engine.program().feeds().iter().map(|feed| feed.kind).collect();
        let mut see = |delta| drop(engine.handle(now, Input::Observed(delta)));
        (0..feeds.len()).for_each(|feed| see(Delta::ListBegin { feed: feed as u8 }));
        let (assumed, keys): (Vec<_>, Vec<_>) = self.assumed.into_iter().unzip();
        self.seen.into_iter().map(|seen| seen.read.watched()).chain(keys).for_each(&mut see);
        for (feed, kind) in feeds.iter().enumerate() {
            if !self.refused.contains(kind) {
                see(Delta::ListEnd { feed: feed as u8, rv: 0 });
            }
        }
        let problems = said_of(&mut engine, key, now);
        Sight {
            engine,
            lacking: self.lacking,
            assumed,
            problems,
            at: now,
            unseen: self.unseen,
            blind: self.blind.union(&self.refused).copied().collect(),
            path: Vec::new(),
            earlier: 0,
            moves: false,
            source: Source::Cluster,
        }
    }
}

/// What the operator says in Events before it goes on: it was said once, and no trace of that is
/// in the object. Nothing else that the engine wants done is done.
fn said_of(engine: &mut Engine<Everleaf>, key: &ObjectKey<Kind>, now: Timestamp) -> Vec<String> {
    let mut said = Vec::new();
    while let Some(command) = engine.poll_effect() {
        let Command::Perform(id, effect) = command else { continue };
        if effect.subject == *key && effect.action == Do::Say {
            let events = effect.events.iter();
            said.extend(events.map(|event| format!("{}: {}", event.reason, event.message)));
            engine.handle(now, Input::Completed(id, Outcome::done()));
        }
    }
    said
}
