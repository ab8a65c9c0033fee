//! The effects of the certificate machine's states.

use super::Request;
use super::{Case, NextKey};
use crate::effect::{
    Base, Do, Effect, Event, KeyPlace, KeySource, NewRequest, Store, Strings, Temporary,
};
use crate::facts::{Kind, Signer};
use crate::plan::certificate::{State, Step};
use crate::program::start;
use everleaf_api::names;
use everleaf_engine::{ObjectKey, Start, digest_of};
use std::sync::Arc;

/// How long Let's Encrypt remembers a set of names, in milliseconds: 120 days, less a day for what
/// lies between an issuance and its leaf's notBefore.
const SEEN_FOR: i64 = 119 * 86_400_000;

/// So many names are tried for the Secret of a next private key before somebody has to see to it.
const NAMES_TRIED: i64 = 8;

/// What a state wants done now.
pub(crate) fn act(case: &Case<'_>, state: State) -> Vec<Start<Effect>> {
    match state {
        State::Reading => case.read_secret().into_iter().collect(),
        State::Reporting => case.write_status().into_iter().collect(),
        State::Tidying => case.tidy(),
        State::Tending => case.tend().into_iter().collect(),
        State::Keying => case.ensure_key().into_iter().collect(),
        State::Requesting => case.create_request().into_iter().collect(),
        State::Storing => case.store().into_iter().collect(),
        State::Covering => case.cover().into_iter().collect(),
        State::Looking => case.look_at_window().into_iter().collect(),
        State::Retiring
        | State::Yielding
        | State::Fresh
        | State::Refused
        | State::BackingOff
        | State::Awaiting => Vec::new(),
    }
}

impl Case<'_> {
    fn start(&self, step: Step, item: &str, what: (Do, Vec<Event>)) -> Start<Effect> {
        let (kind, name) = (self.turn.kind_or_default(), &self.turn.name);
        let lane = format!("{}/{kind}/{name}", self.view.key.namespace);
        let revision = u64::try_from(self.revision() + 1).unwrap_or(0);
        start(self.view, step as usize, item, (revision, &lane), what)
    }

    fn read_secret(&self) -> Option<Start<Effect>> {
        self.secret?;
        let secret = self.secret_key.clone();
        Some(self.start(Step::ReadSecret, "", (Do::ReadSecret { secret }, Vec::new())))
    }

    fn write_status(&self) -> Option<Start<Effect>> {
        let patch = self.status_patch()?.into();
        let (annotations, events) = (self.status_notes(), self.status_events());
        let action = if annotations.is_empty() {
            Do::PatchStatus { patch }
        } else {
            Do::Settle { annotations, patch }
        };
        Some(self.start(Step::WriteStatus, "", (action, events)))
    }

    fn look_at_window(&self) -> Option<Start<Effect>> {
        let ask = Do::Acme(self.ask_window()?);
        let start = self.start(Step::AskWindow, "", (ask, Vec::new()));
        // A CA that lets its questioners wait holds up no issuance.
        Some(Start { lane: format!("{}/looks", start.lane).into(), ..start })
    }

    fn tidy(&self) -> Vec<Start<Effect>> {
        let requests = self.spare_requests().into_iter().map(|request| {
            let base = Base { uid: request.uid.clone(), rv: request.rv };
            let action = Do::Delete { key: request.key.clone(), base };
            self.start(Step::DeleteRequest, &request.key.name, (action, Vec::new()))
        });
        let keys = self.spare_keys().into_iter().map(|secret| {
            let base = Base { uid: secret.uid.clone(), rv: secret.rv };
            let namespace = self.view.key.namespace.clone();
            let key = ObjectKey::new(Kind::Secret, namespace, secret.name.clone());
            self.start(Step::DeleteKey, secret.name, (Do::Delete { key, base }, Vec::new()))
        });
        requests.chain(keys).collect()
    }

    fn tend(&self) -> Option<Start<Effect>> {
        let secret = self.secret?;
        let action = Do::TendSecret {
            secret: self.cert.secret_name.clone(),
            base: Base { uid: secret.uid.clone(), rv: secret.rv },
            annotations: self.with_template(self.tended_annotations()?),
            labels: self.template_labels(),
            beside: self.beside(),
            owned: self.program.options.certificate_owner_ref,
        };
        Some(self.start(Step::TendSecret, "", (action, Vec::new())))
    }

    fn ensure_key(&self) -> Option<Start<Effect>> {
        if self.issuer_may_come() {
            return None;
        }
        let source = match self.kept_key() {
            Some(kept) => KeySource::Reuse {
                secret: self.cert.secret_name.clone(),
                fingerprint: kept.fingerprint.clone(),
            },
            None => KeySource::Generate(self.cert.key.kind),
        };
        let place = if self.keeps_key_in_memory() {
            KeyPlace::Memory
        } else {
            KeyPlace::Secret(self.key_secret_name())
        };
        Some(self.start(Step::EnsureKey, "", (Do::EnsureKey { source, place }, Vec::new())))
    }

    /// The name of the next private key's Secret: the one that the status names already, else
    /// the one that this revision always gets.
    fn key_secret_name(&self) -> Arc<str> {
        let free = |name: &&Arc<str>| self.key_secrets.iter().all(|s| s.name != *name);
        let told = self.cert.status.next_key_secret.as_ref().filter(free);
        if let Some(told) = told.filter(|told| !self.is_taken(told)) {
            return told.clone();
        }
        let (name, uid) = (&self.view.key.name, &self.view.object.uid);
        let revision = self.revision() + 1;
        let of = |turn: i64| -> Arc<str> {
            // Revisions count up from 1, so those below name nothing else.
            let number = if turn == 0 { revision } else { -(revision * NAMES_TRIED + turn) };
            names::next_private_key_secret(name, uid, number).into()
        };
        let taken = |name: &Arc<str>| self.is_taken(name);
        (0..NAMES_TRIED).map(of).find(|name| !taken(name)).unwrap_or_else(|| of(0))
    }

    /// Whether a Secret of that name is there that holds no key of ours.
    fn is_taken(&self, name: &Arc<str>) -> bool {
        let namespace = self.view.key.namespace.clone();
        let there = self.view.get(&ObjectKey::new(Kind::Secret, namespace, name.clone()));
        there.is_some() && self.key_secrets.iter().all(|ours| ours.name != name)
    }

    fn place(&self, key: &NextKey<'_>) -> KeyPlace {
        key.secret.map_or(KeyPlace::Memory, |secret| KeyPlace::Secret(secret.name.clone()))
    }

    fn create_request(&self) -> Option<Start<Effect>> {
        let key = self.next_key()?;
        let revision = self.revision() + 1;
        let request = NewRequest {
            name: names::certificate_request(&self.view.key.name, revision).into(),
            labels: self.cert.labels.clone(),
            annotations: self.request_annotations(&key, revision),
            wish: self.cert.wish.clone(),
            issuer: self.turn.clone(),
            duration: self.cert.duration.as_ref().map(|(text, _)| text.clone()),
            key: self.place(&key),
            fingerprint: key.fingerprint.clone(),
            missing: (self.secret.is_none() && self.revision() > 0)
                .then(|| self.cert.secret_name.clone()),
        };
        let action = Do::CreateRequest(Box::new(request));
        Some(self.start(Step::CreateRequest, "", (action, Vec::new())))
    }

    fn request_annotations(&self, key: &NextKey<'_>, revision: i64) -> Strings {
        let uid = &self.view.object.uid;
        let secret = key.secret.map_or_else(|| self.key_secret_name(), |s| s.name.clone());
        let input = digest_of(&(uid, key.fingerprint, &self.cert.wish, self.turn));
        let mut all = self.cert.annotations.clone();
        all.extend([
            (names::CERTIFICATE_NAME.into(), self.view.key.name.clone()),
            (names::CERTIFICATE_REVISION.into(), revision.to_string().into()),
            (names::PRIVATE_KEY_SECRET_NAME.into(), secret),
            (names::everleaf::ATTEMPT.into(), self.attempt().to_string().into()),
            (names::everleaf::INPUT_DIGEST.into(), input.to_string().into()),
            (names::everleaf::OWNER_UID.into(), uid.clone()),
        ]);
        self.tell_of_fallbacks(&mut all);
        self.tell_of_renewal(&mut all);
        if self.renews_at_an_acme_ca() {
            all.insert(names::everleaf::RENEWS.into(), "true".into());
        }
        all
    }

    /// Whether the CA, an ACME one, issued what is stored for the very same names not too long
    /// ago: it exempts such a renewal from some of its limits.
    fn renews_at_an_acme_ca(&self) -> bool {
        let acme = self.signer.is_some_and(|i| matches!(i.signer, Signer::Acme(_)));
        let Some(leaf) = self.leaf().filter(|_| acme) else { return false };
        self.is_from_this_issuer()
            && super::policy::name_differences(self.cert, leaf).is_empty()
            && self.view.now.since(leaf.not_before) < SEEN_FOR
    }

    /// Whether the Secret says that what is in it came from the issuer whose turn it is.
    pub(super) fn is_from_this_issuer(&self) -> bool {
        let Some(secret) = self.secret else { return false };
        let same = |name: &str, wanted: &str| secret.facts.annotation(name) == Some(wanted);
        let issuer = self.turn;
        let kind = secret.facts.annotation("issuer-kind").filter(|kind| !kind.is_empty());
        same("issuer-name", &issuer.name) && kind.unwrap_or("Issuer") == issuer.kind_or_default()
    }

    fn store(&self) -> Option<Start<Effect>> {
        let (request, key) = (self.next_request()?, self.next_key()?);
        let annotations = self.secret_annotations(request.leaf()?, &request.facts.issuer);
        let store = self.pair(&request, &key, annotations);
        Some(self.start(Step::Store, "", (Do::Store(Box::new(store)), Vec::new())))
    }

    /// A pair to be served until the issuer answers. Its Secret names no issuer, which tells it from
    /// one that was issued.
    fn cover(&self) -> Option<Start<Effect>> {
        let (request, key) = (self.next_request()?, self.next_key()?);
        let annotations = self.temporary_annotations(request.facts.csr.good()?);
        let asked = request.facts.duration_ms.filter(|asked| *asked > 0);
        let temporary = Temporary {
            duration_ms: asked.unwrap_or(self.program.settings.certificate.default_duration),
            is_ca: request.facts.is_ca,
            usages: request.facts.usages.clone(),
        };
        let store = Store { temporary: Some(temporary), ..self.pair(&request, &key, annotations) };
        let event = Event::normal("Issuing", "Issued temporary certificate");
        Some(self.start(Step::Cover, "", (Do::Store(Box::new(store)), vec![event])))
    }

    fn pair(&self, request: &Request<'_>, key: &NextKey<'_>, annotations: Strings) -> Store {
        let base = |uid: &Arc<str>, rv| Base { uid: uid.clone(), rv };
        Store {
            secret: self.cert.secret_name.clone(),
            secret_base: self.secret.map(|secret| base(secret.uid, secret.rv)),
            request: request.key.name.clone(),
            request_base: base(request.uid, request.rv),
            temporary: None,
            key: self.place(key),
            fingerprint: key.fingerprint.clone(),
            wish: self.cert.key,
            annotations: self.with_template(annotations),
            labels: self.template_labels(),
            beside: self.beside(),
            owned: self.program.options.certificate_owner_ref,
        }
    }
}
