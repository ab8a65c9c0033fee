//! The `certificate` machine: from the wish to a Secret that satisfies it.
//!
//! A [`Case`] is everything that decides on one Certificate, read once from a view: the Secret,
//! the requests, the next private key, the other Certificates that name the same Secret. The
//! facts of the plan and the effects of its states are functions of it.

mod act;
mod annotations;
mod fallback;
mod outputs;
mod policy;
mod renewal;
mod status;
mod window;

use crate::facts::{
    CertificateFacts, Condition, Content, Fingerprint, IssuerFacts, IssuerRef, KeyFacts, KeyKind,
    KeyWish, Kind, Leaf, Material, Parsed, RequestFacts, SecretFacts, Signer, condition,
};
use crate::plan::certificate as plan;
use crate::program::{Everleaf, Sight, children, issuer_key, naming_secret};
pub(crate) use act::act;
use everleaf_engine::{Look, ObjectKey, Timestamp};
pub use policy::Violation;
use std::sync::Arc;

/// A request of the Certificate, with the revision that it works towards.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub key: &'a ObjectKey<Kind>,
    pub uid: &'a everleaf_engine::Uid,
    pub rv: u64,
    pub facts: &'a RequestFacts,
}

impl Request<'_> {
    /// The leaf that it holds.
    fn leaf(&self) -> Option<&Leaf> {
        self.facts.certificate.good()
    }

    fn ready(&self) -> Option<&Condition> {
        condition(&self.facts.conditions, "Ready")
    }

    fn is_issued(&self) -> bool {
        self.ready().is_some_and(|ready| *ready.reason == *"Issued" && ready.is_true())
    }
}

/// A Secret, with what identifies the version that was decided on.
#[derive(Clone, Copy)]
pub(crate) struct SecretSight<'a> {
    pub name: &'a Arc<str>,
    pub uid: &'a everleaf_engine::Uid,
    pub rv: u64,
    pub facts: &'a SecretFacts,
}

/// A next private key that is at hand.
#[derive(Clone, Copy)]
pub(crate) struct NextKey<'a> {
    pub fingerprint: &'a Fingerprint,
    /// The Secret that holds it; `None` if this process does.
    pub secret: Option<SecretSight<'a>>,
}

/// Everything that decides on one Certificate.
pub(crate) struct Case<'a> {
    pub program: &'a Everleaf,
    pub view: &'a Sight<'a>,
    pub cert: &'a CertificateFacts,
    pub secret_key: ObjectKey<Kind>,
    pub secret: Option<SecretSight<'a>>,
    /// Every request that it controls, by revision, newest last.
    pub requests: Vec<Request<'a>>,
    /// Every Secret of a next private key that it controls.
    pub key_secrets: Vec<SecretSight<'a>>,
    pub memory_key: Option<&'a KeyFacts>,
    /// The name of the Certificate that owns the Secret, if it is another one.
    pub owner: Option<Arc<str>>,
    /// The issuer that the stored leaf came from; the first where that is none of those listed.
    pub served: &'a IssuerRef,
    pub issuer: Option<&'a IssuerFacts>,
    /// What that issuer signs with, if it is a CA.
    pub ca: Option<&'a Leaf>,
    /// The issuer whose turn it is to answer the request of the next revision.
    pub turn: &'a IssuerRef,
    pub signer: Option<&'a IssuerFacts>,
    pub violation: Option<Violation>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        program: &'a Everleaf,
        view: &'a Sight<'a>,
        cert: &'a CertificateFacts,
    ) -> Self {
        let namespace = &view.key.namespace;
        let secret_key = ObjectKey::new(Kind::Secret, namespace.clone(), cert.secret_name.clone());
        let secret = secret_at(view, &secret_key, &cert.secret_name);
        let served = fallback::served(cert, secret.map(|s| s.facts));
        let issuer = issuer_of(view, served);
        let mut case = Self {
            program,
            view,
            cert,
            requests: requests_of(view),
            key_secrets: key_secrets_of(view),
            memory_key: memory_key_of(view),
            owner: owner_of(view, cert, secret.map(|s| s.facts)),
            ca: issuer.and_then(|facts| ca_of(program, view, served, facts)),
            served,
            issuer,
            turn: &cert.issuer,
            signer: None,
            secret,
            secret_key,
            violation: None,
        };
        case.turn = case.find_turn();
        case.signer = issuer_of(view, case.turn);
        case.violation = case.find_violation();
        case
    }

    pub(crate) fn look(&self) -> Look {
        let truth = plan::truth(self, self.view.now);
        Look { state: plan::locate(truth) as usize, truth }
    }

    pub(crate) fn material(&self) -> Option<&'a Material> {
        self.secret.and_then(|secret| secret.facts.material())
    }

    pub(crate) fn leaf(&self) -> Option<&'a Leaf> {
        self.material().and_then(|material| material.leaf.good())
    }

    /// The key in the Secret, if it belongs to the leaf there.
    pub(crate) fn stored_key(&self) -> Option<&'a KeyFacts> {
        let key = self.material()?.key.good()?;
        self.leaf().filter(|leaf| leaf.fingerprint == key.fingerprint).map(|_| key)
    }

    fn status_revision(&self) -> i64 {
        self.cert.status.revision.unwrap_or(0)
    }

    /// The request whose certificate is in the Secret, or else that of the status' revision.
    pub(crate) fn current_request(&self) -> Option<Request<'a>> {
        let stored = |request: &&Request<'a>| {
            let leaf = request.leaf();
            leaf.is_some() && leaf.map(|l| l.digest) == self.leaf().map(|l| l.digest)
        };
        let revision = |request: &&Request<'a>| {
            request.facts.revision.is_some() && request.facts.revision == self.cert.status.revision
        };
        let newest = self.requests.iter().rev();
        newest.clone().find(stored).or_else(|| newest.clone().find(revision)).copied()
    }

    /// The revision that the Secret really holds.
    pub(crate) fn revision(&self) -> i64 {
        let held = self.current_request().and_then(|request| request.facts.revision);
        held.unwrap_or(0).max(self.status_revision())
    }

    /// Whether a revision was stored that the status does not tell of yet.
    fn has_news(&self) -> bool {
        self.revision() > self.status_revision()
    }

    /// The request of the next revision, whether or not it fits.
    pub(crate) fn next_request(&self) -> Option<Request<'a>> {
        let next = Some(self.revision() + 1);
        self.requests.iter().find(|request| request.facts.revision == next).copied()
    }

    /// `Issuing=True` for a reason of somebody else, unless what it asks for was just done.
    pub(crate) fn is_forced(&self) -> bool {
        let others = |issuing: &Condition| !policy::OUR_REASONS.contains(&&*issuing.reason);
        !self.has_news() && self.issuing().is_some_and(|c| c.is_true() && others(c))
    }

    pub(crate) fn issuing(&self) -> Option<&'a Condition> {
        condition(&self.cert.status.conditions, "Issuing")
    }

    /// Whether the key would be kept in the memory of this process until it is stored: where the
    /// answer comes from ourselves and at once, a Secret for it would be two writes for nothing.
    pub(crate) fn keeps_key_in_memory(&self) -> bool {
        let signer = self.signer.map(|issuer| &issuer.signer);
        self.answers_ourselves()
            && matches!(signer, Some(Signer::Ca { .. } | Signer::SelfSigned { .. }))
    }

    /// Whether the request is approved and answered here, so that it is very likely soon over.
    pub(crate) fn answers_ourselves(&self) -> bool {
        let signer = self.signer.map(|issuer| &issuer.signer);
        let signs =
            matches!(signer, Some(Signer::Ca { .. } | Signer::SelfSigned { .. } | Signer::Acme(_)));
        signs && self.program.options.approve && self.program.options.runs.answers(signer)
    }

    /// Whether the issuer is missing, but the Certificate is so young that it may be on its way:
    /// manifests are applied in any order.
    pub(crate) fn issuer_may_come(&self) -> bool {
        let young = self.cert.created.plus_millis(self.program.settings.certificate.issuer_grace);
        self.signer.is_none() && self.turn.is_ours() && self.view.now < young
    }

    /// The key to use again, where a new revision is to keep its key.
    pub(crate) fn kept_key(&self) -> Option<&'a KeyFacts> {
        let kept = self.material().filter(|_| !self.cert.key.rotate)?;
        kept.key.good()
    }

    /// The next private key: the one that the request of the next revision was made with, if it
    /// is still at hand; else any that fits.
    pub(crate) fn next_key(&self) -> Option<NextKey<'a>> {
        let fits = |facts: &KeyFacts| {
            let kept = self.kept_key().is_none_or(|kept| kept.fingerprint == facts.fingerprint);
            kept && key_fits(facts, &self.cert.key)
                && !(self.cert.key.rotate && self.is_used(facts))
        };
        let asked = self.next_request().and_then(|r| r.facts.csr.good()).map(|c| &c.fingerprint);
        // A key that was kept for an issuer that answers at once may be too short-lived for the
        // next one on the list.
        let lasts = |facts: &KeyFacts| {
            let kept = !self.has_fallbacks() || self.keeps_key_in_memory();
            kept || asked == Some(&facts.fingerprint)
        };
        let memory = self.memory_key.filter(|facts| fits(facts) && lasts(facts));
        let memory = memory.map(|facts| NextKey { fingerprint: &facts.fingerprint, secret: None });
        let stored = self.key_secrets.iter().filter_map(|secret| {
            let facts = secret.facts.material()?.key.good().filter(|facts| fits(facts))?;
            Some(NextKey { fingerprint: &facts.fingerprint, secret: Some(*secret) })
        });
        let all: Vec<NextKey<'a>> = memory.into_iter().chain(stored).collect();
        let used = all.iter().find(|key| Some(key.fingerprint) == asked);
        used.or(all.first()).copied()
    }

    /// Whether a key is that of a revision that was stored: a port that lost the answer to its
    /// store still holds it. A temporary certificate has the key of the one to come.
    fn is_used(&self, key: &KeyFacts) -> bool {
        let stored = self.material().filter(|_| !self.is_temporary());
        let stored = stored.and_then(|material| material.key.good());
        let current = self.revision();
        let past = self
            .requests
            .iter()
            .filter(|request| request.facts.revision.is_some_and(|revision| revision <= current));
        let asked = past.filter_map(|request| request.facts.csr.good().map(|csr| &csr.fingerprint));
        let mut used = stored.map(|stored| &stored.fingerprint).into_iter().chain(asked);
        used.any(|fingerprint| *fingerprint == key.fingerprint)
    }

    /// The attempt that is being made, counted from 1.
    pub(crate) fn attempt(&self) -> i64 {
        self.cert.status.failed_attempts.unwrap_or(0).max(0) + 1
    }

    /// Whether a request's failure is in the status.
    fn is_recorded(&self, request: &Request<'_>) -> bool {
        match request.facts.attempt {
            Some(attempt) => self.cert.status.failed_attempts.unwrap_or(0) >= attempt,
            None => {
                let told = self.cert.status.last_failure;
                let failed = request.facts.failure.or(request.ready().and_then(|r| r.at));
                told.is_some() && told >= failed
            }
        }
    }

    /// Whether the request of the next revision fits the spec, whatever became of it.
    pub(crate) fn is_of_this_spec(&self, request: &Request<'_>) -> bool {
        let ours = request.facts.owner_uid.as_ref().is_none_or(|uid| *uid == self.view.object.uid);
        ours && policy::request_differences(self.cert, request.facts).is_ok_and(|d| d.is_empty())
    }

    /// Requests that nothing needs any more, or that fit no longer.
    pub(crate) fn spare_requests(&self) -> Vec<Request<'a>> {
        let doomed = |request: &&Request<'a>| !request.facts.deleting && self.is_spare(request);
        self.requests.iter().filter(doomed).copied().collect()
    }

    fn is_spare(&self, request: &Request<'a>) -> bool {
        let Some(revision) = request.facts.revision else { return true };
        let next = self.revision() + 1;
        if revision > next {
            return true;
        }
        if revision == next {
            return self.wants_issuance() && self.next_is_spare(request);
        }
        let keep = usize::try_from(self.cert.history.unwrap_or(1)).unwrap_or(1).max(1);
        let newer = |r: &&Request<'a>| {
            r.facts.revision.is_some_and(|other| revision < other && other < next)
        };
        self.requests.iter().filter(newer).count() >= keep
    }

    fn next_is_spare(&self, request: &Request<'a>) -> bool {
        let terminal = status::failure_of(self, request).is_some() || self.is_given_up(request);
        if terminal && self.is_of_this_spec(request) {
            let again =
                self.is_forced() || self.next_attempt_at().is_some_and(|at| at <= self.view.now);
            return self.is_recorded(request) && again;
        }
        if !self.is_of_this_spec(request) {
            return true;
        }
        let asked = request.facts.csr.good().map(|csr| &csr.fingerprint);
        match (self.next_key(), self.kept_key()) {
            (Some(key), _) => Some(key.fingerprint) != asked,
            // The kept key is loaded again; the request made with it stays good.
            (None, Some(kept)) => Some(&kept.fingerprint) != asked,
            (None, None) => true,
        }
    }

    /// Secrets of next private keys that nothing needs any more.
    pub(crate) fn spare_keys(&self) -> Vec<SecretSight<'a>> {
        let used = self.next_key().and_then(|key| key.secret).map(|secret| secret.name);
        let waiting = self.is_waiting_out_a_failure();
        let wanted = self.wants_issuance();
        let doomed = |secret: &&SecretSight<'a>| {
            let in_use = wanted && used == Some(secret.name);
            !(secret.facts.deleting || waiting || in_use)
        };
        self.key_secrets.iter().filter(doomed).copied().collect()
    }

    /// Whether an issuance is wanted now, for whatever reason.
    pub(crate) fn wants_issuance(&self) -> bool {
        use plan::Facts as _;
        self.wanted() || self.renew_at().is_some_and(|at| at <= self.view.now)
    }

    /// Whether the next attempt lies ahead, or none follows by itself.
    fn is_waiting_out_a_failure(&self) -> bool {
        use plan::Facts as _;
        self.failed() && self.next_attempt_at().is_none_or(|at| at > self.view.now)
    }

    /// Why the key in use cannot be kept, where it is to be kept.
    pub(crate) fn unkeepable_key(&self) -> Option<String> {
        let kept = self.kept_key().filter(|kept| !key_fits(kept, &self.cert.key))?;
        Some(format!(
            "spec.privateKey.rotationPolicy is Never, but the private key in Secret {:?} is {} and \
             the spec asks for {}; set rotationPolicy: Always or delete the Secret",
            self.cert.secret_name,
            policy::key_text(kept.kind),
            policy::key_text(self.cert.key.kind),
        ))
    }
}

/// The sizes that keys are generated in (aws-lc-rs); a key of another size can be kept.
const RSA_BITS: [u32; 4] = [2048, 3072, 4096, 8192];

impl Case<'_> {
    /// Why no key of the kind that the spec asks for can be made, where one would have to be.
    pub(crate) fn unmakeable_key(&self) -> Option<String> {
        let KeyKind::Rsa(bits) = self.cert.key.kind else { return None };
        if RSA_BITS.contains(&bits) || self.kept_key().is_some() {
            return None;
        }
        Some(format!(
            "spec.privateKey.size: this build generates RSA keys of 2048, 3072, 4096 and 8192 bits, \
             not of {bits}; use one of these, or ECDSA"
        ))
    }
}

impl plan::Facts for Case<'_> {
    fn deleting(&self) -> bool {
        self.cert.deleting
    }

    fn known(&self) -> bool {
        self.secret.is_none_or(|secret| !matches!(secret.facts.content, Content::Unread))
    }

    fn reported(&self) -> bool {
        self.status_patch().is_none()
    }

    fn contested(&self) -> bool {
        self.owner.is_some()
    }

    fn wanted(&self) -> bool {
        self.violation.is_some() || self.is_forced()
    }

    fn refused(&self) -> bool {
        !self.cert.problems.is_empty()
            || self.unkeepable_key().is_some()
            || self.unmakeable_key().is_some()
    }

    fn spare(&self) -> bool {
        !self.spare_requests().is_empty() || !self.spare_keys().is_empty()
    }

    fn tended(&self) -> bool {
        // A spec that cannot be honoured whole is not honoured in part: an apply without what
        // the refused fields put into the Secret would take it away.
        self.refused() || (self.is_tended() && self.differs().is_none())
    }

    fn failed(&self) -> bool {
        if self.cert.status.last_failure.is_none() || self.is_forced() {
            return false;
        }
        match self.next_request() {
            // Another than the one that failed was made for a spec that was edited meanwhile.
            Some(request) => self.is_of_this_spec(&request) && self.is_recorded(&request),
            // Once the status says that another attempt is under way, its request may be gone because
            // the spec changed; the failure was of the one before.
            None => self.issuing().is_none_or(|issuing| {
                let told = issuing.generation;
                !issuing.is_true() && told.is_none_or(|told| told == self.cert.generation)
            }),
        }
    }

    fn keyed(&self) -> bool {
        self.next_key().is_some()
    }

    fn requested(&self) -> bool {
        let Some(request) = self.next_request() else { return false };
        let asked = request.facts.csr.good().map(|csr| &csr.fingerprint);
        !request.facts.deleting
            && self.is_of_this_spec(&request)
            && self.next_key().is_some_and(|key| Some(key.fingerprint) == asked)
    }

    fn issued(&self) -> bool {
        let Some(request) = self.next_request().filter(Request::is_issued) else { return false };
        status::failure_of(self, &request).is_none() && request.leaf().is_some()
    }

    fn covered(&self) -> bool {
        let unanswered = || self.next_request().is_some_and(|request| request.ready().is_none());
        !self.cert.temporary
            || self.stored_key().is_some()
            || (self.keeps_key_in_memory() && unanswered())
    }

    fn renew_at(&self) -> Option<Timestamp> {
        self.renewal_time()
    }

    fn look_at(&self) -> Option<Timestamp> {
        self.look_time()
    }

    fn next_attempt_at(&self) -> Option<Timestamp> {
        self.backoff_end()
    }

    fn quiet_until(&self) -> Option<Timestamp> {
        self.quiet_end()
    }

    fn passed_over_at(&self) -> Option<Timestamp> {
        self.end_of_turn()
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.leaf().map(|leaf| leaf.not_after)
    }
}

impl Case<'_> {
    pub(crate) fn renew_at(&self) -> Option<Timestamp> {
        plan::Facts::renew_at(self)
    }

    pub(crate) fn look_at(&self) -> Option<Timestamp> {
        plan::Facts::look_at(self)
    }

    pub(crate) fn next_attempt_at(&self) -> Option<Timestamp> {
        plan::Facts::next_attempt_at(self)
    }

    pub(crate) fn quiet_until(&self) -> Option<Timestamp> {
        plan::Facts::quiet_until(self)
    }

    pub(crate) fn passed_over_at(&self) -> Option<Timestamp> {
        plan::Facts::passed_over_at(self)
    }
}

fn secret_at<'a>(
    view: &Sight<'a>,
    key: &ObjectKey<Kind>,
    name: &'a Arc<str>,
) -> Option<SecretSight<'a>> {
    let object = view.get(key)?;
    let facts = object.facts.secret()?;
    Some(SecretSight { name, uid: &object.uid, rv: object.rv, facts })
}

/// When the stored leaf ends, without whatever else decides.
pub(crate) fn expires_at(view: &Sight<'_>, cert: &CertificateFacts) -> Option<Timestamp> {
    let namespace = view.key.namespace.clone();
    let key = ObjectKey::new(Kind::Secret, namespace, cert.secret_name.clone());
    let secret = view.get(&key)?.facts.secret()?;
    secret.material()?.leaf.good().map(|leaf| leaf.not_after)
}

fn issuer_of<'a>(view: &Sight<'a>, issuer: &IssuerRef) -> Option<&'a IssuerFacts> {
    let key = issuer_key(&view.key.namespace, issuer)?;
    view.get(&key)?.facts.issuer()
}

/// The leaf that a CA issuer signs with.
fn ca_of<'a>(
    program: &Everleaf,
    view: &Sight<'a>,
    reference: &IssuerRef,
    issuer: &IssuerFacts,
) -> Option<&'a Leaf> {
    let Signer::Ca { secret, .. } = &issuer.signer else { return None };
    let namespace = match reference.kind_or_default() {
        "ClusterIssuer" => program.options.cluster_resource_namespace.clone(),
        _ => view.key.namespace.clone(),
    };
    let key = ObjectKey::new(Kind::Secret, namespace, secret.clone());
    view.get(&key)?.facts.secret()?.material()?.leaf.good()
}

fn requests_of<'a>(view: &Sight<'a>) -> Vec<Request<'a>> {
    let tag = children(Kind::CertificateRequest, &view.key.namespace, &view.object.uid);
    let requests = view.tagged(tag).into_iter().filter_map(|(key, object)| {
        let facts = object.facts.request()?;
        Some(Request { key, uid: &object.uid, rv: object.rv, facts })
    });
    let mut requests: Vec<_> = requests.collect();
    requests.sort_by(|a, b| (a.facts.revision, a.key).cmp(&(b.facts.revision, b.key)));
    requests
}

fn key_secrets_of<'a>(view: &Sight<'a>) -> Vec<SecretSight<'a>> {
    let tag = children(Kind::Secret, &view.key.namespace, &view.object.uid);
    let secrets = view.tagged(tag).into_iter().filter_map(|(key, object)| {
        let facts = object.facts.secret().filter(|facts| facts.next_key)?;
        Some(SecretSight { name: &key.name, uid: &object.uid, rv: object.rv, facts })
    });
    secrets.collect()
}

fn memory_key_of<'a>(view: &Sight<'a>) -> Option<&'a KeyFacts> {
    let key = ObjectKey::new(Kind::Key, view.key.namespace.clone(), view.object.uid.clone());
    view.get(&key)?.facts.key()
}

/// The other Certificate that owns the Secret: the one that the Secret names, else the oldest,
/// ties by name.
fn owner_of(
    view: &Sight<'_>,
    cert: &CertificateFacts,
    secret: Option<&SecretFacts>,
) -> Option<Arc<str>> {
    let naming = view.tagged(naming_secret(&view.key.namespace, &cert.secret_name));
    let rivals: Vec<_> = naming
        .into_iter()
        .filter_map(|(key, object)| Some((key, object.facts.certificate()?)))
        .filter(|(key, facts)| !facts.deleting || key.name == view.key.name)
        .collect();
    let named = secret.and_then(|secret| secret.annotation("certificate-name"));
    let named = rivals.iter().find(|(key, _)| Some(&*key.name) == named);
    let oldest = || rivals.iter().min_by_key(|(key, facts)| (facts.created, &key.name));
    let (owner, _) = named.or_else(oldest)?;
    (owner.name != view.key.name).then(|| owner.name.clone())
}

/// Whether a key is of the kind that the spec asks for.
pub(crate) fn key_fits(key: &KeyFacts, wish: &KeyWish) -> bool {
    key.kind == wish.kind
}

/// Whether anything of a pair is missing.
pub(crate) fn is_missing<T>(parsed: &Parsed<T>) -> bool {
    matches!(parsed, Parsed::Missing)
}
