//! The `issuer` and `clusterissuer` machines: whether an issuer can sign, and why not. Their
//! plans are alike, so one [`Case`] serves both.

mod account;

use crate::effect::{Acme, Do, Effect, Event, rfc3339};
use crate::facts::{Condition, Content, IssuerFacts, Kind, Leaf, Parsed, SecretFacts, Signer};
use crate::plan::{clusterissuer as cluster_plan, issuer as plan};
use crate::program::{Everleaf, Sight, start};
use crate::status::{Patch, Wanted, set};
use everleaf_engine::{Look, ObjectKey, Start, Timestamp};
use plan::{State, Step};
use std::sync::Arc;

/// Where an issuer's Secrets are.
pub(crate) fn resource_namespace(program: &Everleaf, issuer: &ObjectKey<Kind>) -> Arc<str> {
    match issuer.kind {
        Kind::ClusterIssuer => program.options.cluster_resource_namespace.clone(),
        _ => issuer.namespace.clone(),
    }
}

/// What an issuer cannot sign for.
pub(crate) struct Unsound {
    reason: &'static str,
    message: String,
}

impl Unsound {
    /// cert-manager's reason, and what is wrong for people.
    pub(crate) fn into_parts(self) -> (&'static str, String) {
        (self.reason, self.message)
    }
}

/// The leaf of a key pair that can sign now.
///
/// # Errors
/// Why it cannot, and what would mend it.
pub(crate) fn signing_pair<'a>(
    name: &str,
    secret: Option<&'a SecretFacts>,
    now: Timestamp,
) -> Result<&'a Leaf, Unsound> {
    let get = |message: String| Unsound { reason: "ErrGetKeyPair", message };
    let invalid = |message: String| Unsound { reason: "ErrInvalidKeyPair", message };
    let Some(secret) = secret else {
        return Err(get(format!("Error getting keypair for CA issuer: secret {name:?} not found")));
    };
    let Some(material) = secret.material() else {
        return Err(get(format!("Error getting keypair for CA issuer: secret {name:?} unread")));
    };
    let (key, leaf) = match (&material.key, &material.leaf) {
        (Parsed::Good(key), Parsed::Good(leaf)) => (key, leaf),
        (Parsed::Missing, _) | (_, Parsed::Missing) => {
            return Err(get(format!(
                "Error getting keypair for CA issuer: secret {name:?} lacks tls.crt or tls.key"
            )));
        }
        (Parsed::Broken(why), _) | (_, Parsed::Broken(why)) => {
            return Err(invalid(format!(
                "Error getting keypair for CA issuer: secret {name:?} cannot be read: {why}"
            )));
        }
    };
    if key.fingerprint != leaf.fingerprint {
        return Err(invalid(format!(
            "Error getting keypair for CA issuer: the key in secret {name:?} is not the \
             certificate's"
        )));
    }
    if !leaf.can_sign {
        return Err(invalid(
            "Error getting keypair for CA issuer: certificate is not a CA".to_owned(),
        ));
    }
    let (begin, end) = (rfc3339(leaf.not_before), rfc3339(leaf.not_after));
    if now >= leaf.not_after {
        return Err(invalid(format!("the CA's certificate expired at {end}; renew it")));
    }
    if now < leaf.not_before {
        return Err(invalid(format!("the CA's certificate is not valid before {begin}")));
    }
    Ok(leaf)
}

/// What was found of an issuer.
enum Verdict {
    /// It can sign: the condition's reason and message.
    Sound(&'static str, &'static str),
    /// It cannot.
    Unsound(Unsound),
    /// Its ACME account has to be seen to first; there is nothing to say yet.
    Unregistered,
}

impl From<Unsound> for Verdict {
    fn from(unsound: Unsound) -> Self {
        Self::Unsound(unsound)
    }
}

/// Everything that decides on one issuer.
pub(crate) struct Case<'a> {
    program: &'a Everleaf,
    view: &'a Sight<'a>,
    issuer: &'a IssuerFacts,
    secret_key: Option<ObjectKey<Kind>>,
    secret: Option<&'a SecretFacts>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(program: &'a Everleaf, view: &'a Sight<'a>, issuer: &'a IssuerFacts) -> Self {
        let secret_key = match &issuer.signer {
            Signer::Ca { secret, .. } => {
                let namespace = resource_namespace(program, view.key);
                Some(ObjectKey::new(Kind::Secret, namespace, secret.clone()))
            }
            Signer::SelfSigned { .. } | Signer::Acme(_) | Signer::Other(_) | Signer::None => None,
        };
        let secret = secret_key.as_ref().and_then(|key| view.get(key));
        let secret = secret.and_then(|object| object.facts.secret());
        Self { program, view, issuer, secret_key, secret }
    }

    pub(crate) fn look(&self) -> Look {
        let now = self.view.now;
        if self.view.key.kind == Kind::ClusterIssuer {
            let truth = cluster_plan::truth(self, now);
            return Look { state: cluster_plan::locate(truth) as usize, truth };
        }
        let truth = plan::truth(self, now);
        Look { state: plan::locate(truth) as usize, truth }
    }

    pub(crate) fn act(&self, state: State) -> Vec<Start<Effect>> {
        let lane =
            format!("{}/{:?}/{}", self.view.key.namespace, self.view.key.kind, self.view.key.name);
        let one = |step: Step, what| vec![start(self.view, step as usize, "", (0, &lane), what)];
        match state {
            State::Reading => {
                let Some(secret) = self.secret_key.clone() else { return Vec::new() };
                one(Step::ReadSecret, (Do::ReadSecret { secret }, Vec::new()))
            }
            State::Reporting => {
                let Some(patch) = self.status_patch() else { return Vec::new() };
                let action = Do::PatchStatus { patch: patch.into() };
                one(Step::WriteStatus, (action, self.events()))
            }
            State::Registering => {
                let Some(register) = self.register() else { return Vec::new() };
                let action = Do::Acme(Acme::Register(Box::new(register)));
                one(Step::Register, (action, Vec::new()))
            }
            State::Retiring | State::Ready | State::Resting | State::Unverified => Vec::new(),
        }
    }

    /// When the CA's own certificate ends.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        Some(self.secret?.material()?.leaf.good()?.not_after)
    }

    fn is_unread(&self) -> bool {
        self.secret.is_some_and(|secret| matches!(secret.content, Content::Unread))
    }

    /// Why the Secret cannot be read, once that was tried.
    fn read_failure(&self) -> Option<&everleaf_engine::Failure> {
        self.view.failure(Step::ReadSecret as usize)
    }

    fn verdict(&self) -> Verdict {
        if let [problem, ..] = self.issuer.problems.as_slice() {
            let message = format!("{}: {}", problem.path, problem.message);
            return Unsound { reason: "InvalidSpec", message }.into();
        }
        let unsound = |reason, message| Verdict::Unsound(Unsound { reason, message });
        if let Some(failure) = self.read_failure().filter(|_| self.is_unread()) {
            let message = format!("Error getting keypair for CA issuer: {}", failure.message);
            return unsound("ErrGetKeyPair", message);
        }
        match &self.issuer.signer {
            Signer::Ca { secret, .. } => match signing_pair(secret, self.secret, self.view.now) {
                Ok(_) => Verdict::Sound("KeyPairVerified", "Signing CA verified"),
                Err(unsound) => unsound.into(),
            },
            Signer::SelfSigned { .. } => Verdict::Sound("IsReady", ""),
            Signer::Acme(acme) => self.account_verdict(acme),
            Signer::Other(kind) => {
                let message =
                    format!("spec.{kind}: this build cannot sign with such an issuer yet");
                unsound("NotSupported", message)
            }
            Signer::None => {
                let message = "spec: name exactly one of acme, ca, selfSigned, vault, venafi";
                unsound("InvalidSpec", message.to_owned())
            }
        }
    }

    /// The Ready condition as it should be; `None` if there is nothing to say yet.
    fn wanted_ready(&self) -> Option<Wanted> {
        let (status, reason, message) = match self.verdict() {
            Verdict::Sound(reason, message) => ("True", reason, message.to_owned()),
            Verdict::Unsound(unsound) => ("False", unsound.reason, unsound.message),
            Verdict::Unregistered => return None,
        };
        let generation = Some(self.issuer.generation);
        Some(Wanted { kind: "Ready", status, reason: reason.to_owned(), message, generation })
    }

    fn desired_conditions(&self) -> Vec<Condition> {
        let mut conditions = self.issuer.conditions.clone();
        if let Some(wanted) = self.wanted_ready() {
            set(&mut conditions, wanted, self.view.now);
        }
        conditions
    }

    fn status_patch(&self) -> Option<String> {
        let mut patch = Patch::default();
        patch.conditions(&self.issuer.conditions, &self.desired_conditions());
        patch.into_text()
    }

    fn events(&self) -> Vec<Event> {
        let Some(Wanted { status, reason, message, .. }) = self.wanted_ready() else {
            return Vec::new();
        };
        let before = crate::facts::condition(&self.issuer.conditions, "Ready");
        let same = before.is_some_and(|before| *before.reason == *reason);
        let event = match status {
            _ if same => None,
            "True" if reason == "KeyPairVerified" => Some(Event::normal(&reason, message)),
            "True" => None,
            _ => Some(Event::warning(&reason, message)),
        };
        event.into_iter().collect()
    }
}

macro_rules! issuer_facts {
    ($plan:path) => {
        impl $plan for Case<'_> {
            fn deleting(&self) -> bool {
                self.issuer.deleting
            }

            fn unread(&self) -> bool {
                self.is_unread()
            }

            fn reported(&self) -> bool {
                self.is_unread() && self.read_failure().is_none() || self.status_patch().is_none()
            }

            fn sound(&self) -> bool {
                matches!(self.verdict(), Verdict::Sound(..))
            }

            fn unregistered(&self) -> bool {
                self.is_unregistered()
            }

            fn failed(&self) -> bool {
                self.failed_registration().is_some()
            }

            fn not_before(&self) -> Option<Timestamp> {
                Case::not_before(self)
            }

            fn expires_at(&self) -> Option<Timestamp> {
                Case::expires_at(self)
            }
        }
    };
}

issuer_facts!(plan::Facts);
issuer_facts!(cluster_plan::Facts);
