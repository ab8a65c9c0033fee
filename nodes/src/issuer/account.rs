//! The ACME account of an issuer: whether it has to be seen to, and what to say of it.

use super::{Case, Unsound, Verdict, resource_namespace};
use crate::acme::account::{account, host, successor};
use crate::acme::trial::{Pace, heeded};
use crate::effect::{Base, Eab, Register, SecretKey, rfc3339};
use crate::facts::{AcmeFacts, Attempt, Class, Kind, SecretEntry, Signer, Verified};
use crate::plan::issuer::Step;
use crate::status::{Wanted, set, to_json};
use everleaf_engine::{Digest, ObjectKey, Timestamp, digest_of};
use std::sync::Arc;

/// cert-manager's reason and message for an account that can be ordered from.
const REGISTERED: (&str, &str) =
    ("ACMEAccountRegistered", "The ACME account was registered with the ACME server");

/// The reasons that a failed registration may have; any other counts as the second.
const REASONS: [&str; 5] = [
    "ErrVerifyACMEAccount",
    "ErrRegisterACMEAccount",
    "ErrUpdateACMEAccount",
    "InvalidURL",
    "InvalidSolver",
];

impl Case<'_> {
    pub(super) fn account_verdict(&self, acme: &AcmeFacts) -> Verdict {
        if let Some(unsound) = self.unusable(acme) {
            return unsound.into();
        }
        if self.issuer.account.verified == Some(self.inputs(acme))
            && !self.issuer.account.status.uri.is_empty()
        {
            return Verdict::Sound(REGISTERED.0, REGISTERED.1);
        }
        match self.attempt(acme) {
            Some(attempt) => failure(attempt).into(),
            None => Verdict::Unregistered,
        }
    }

    /// Why nothing is asked of the CA.
    fn unusable(&self, acme: &AcmeFacts) -> Option<Unsound> {
        let unsound = |reason, message| Some(Unsound { reason, message });
        if let Some(successor) = successor(&acme.server) {
            let server = &acme.server;
            let message = format!(
                "spec.acme.server: {server} speaks ACME version 1, which is gone; use {successor}"
            );
            return unsound("InvalidConfig", message);
        }
        if host(&acme.server).is_empty() {
            let message = format!("spec.acme.server: {:?} is no URL with a host", acme.server);
            return unsound("InvalidURL", message);
        }
        let missing = |name: &Arc<str>| self.version(name).is_none();
        if acme.keep_key && missing(&acme.key.secret) {
            let message = format!(
                "the account key's Secret {:?} does not exist, and disableAccountKeyGeneration is \
                 set; create it",
                acme.key.secret
            );
            return unsound("ErrVerifyACMEAccount", message);
        }
        let mut secrets = acme.solvers.iter().flat_map(|solver| &solver.secrets);
        let lacking: Vec<String> = secrets
            .by_ref()
            .filter(|name| missing(name))
            .map(|name| format!("the Secret {name:?} of a DNS-01 solver does not exist"))
            .collect();
        if !lacking.is_empty() {
            return unsound("InvalidSolver", lacking.join("; "));
        }
        let binding = acme.binding.as_ref().filter(|binding| missing(&binding.key.secret))?;
        let message = format!(
            "the Secret {:?} of the external account binding does not exist",
            binding.key.secret
        );
        unsound("ErrRegisterACMEAccount", message)
    }

    fn secret_key_of(&self, name: &Arc<str>) -> ObjectKey<Kind> {
        let namespace = resource_namespace(self.program, self.view.key);
        ObjectKey::new(Kind::Secret, namespace, name.clone())
    }

    fn version(&self, name: &Arc<str>) -> Option<(everleaf_engine::Uid, u64)> {
        let object = self.view.get(&self.secret_key_of(name))?;
        Some((object.uid.clone(), object.rv))
    }

    /// What the account has to be verified under.
    fn inputs(&self, acme: &AcmeFacts) -> Verified {
        let binding = acme.binding.as_ref();
        let bound = binding.and_then(|binding| self.version(&binding.key.secret));
        Verified {
            spec: digest_of(&(&acme.server, &acme.email, &acme.key, binding)),
            secrets: digest_of(&(self.version(&acme.key.secret), bound)),
        }
    }

    /// The last registration, if it failed under what stands now.
    fn attempt(&self, acme: &AcmeFacts) -> Option<&Attempt> {
        let inputs = digest_of(&self.inputs(acme));
        let skew = self.program.settings.certificate.skew;
        let attempt = heeded(self.issuer.account.attempt.as_ref(), self.view.now, skew);
        attempt.filter(|a| a.inputs == Some(inputs) && a.class != Class::Wait)
    }

    fn acme(&self) -> Option<&AcmeFacts> {
        if let Signer::Acme(acme) = &self.issuer.signer { Some(acme) } else { None }
    }

    pub(super) fn is_unregistered(&self) -> bool {
        let Some(acme) = self.acme().filter(|_| self.issuer.problems.is_empty()) else {
            return false;
        };
        self.unusable(acme).is_none() && !matches!(self.verdict(), Verdict::Sound(..))
    }

    pub(super) fn failed_registration(&self) -> Option<&Attempt> {
        let acme = self.acme().filter(|_| self.is_unregistered())?;
        self.attempt(acme)
    }

    /// When a registration that failed may be tried again.
    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        self.failed_registration()?.not_before
    }

    /// The account's key hash, if what stands in the status is still what the spec asks for.
    fn trusted_hash(&self, acme: &AcmeFacts, spec: Digest) -> Option<Arc<str>> {
        let memory = &self.issuer.account;
        let status = &memory.status;
        let same_spec = memory.verified.is_none_or(|verified| verified.spec == spec);
        let trusted = same_spec
            && !status.uri.is_empty()
            && !status.key_hash.is_empty()
            && host(&status.uri) == host(&acme.server)
            && status.email.eq_ignore_ascii_case(&acme.email);
        trusted.then(|| status.key_hash.clone())
    }

    pub(super) fn register(&self) -> Option<Register> {
        let acme = self.acme()?;
        let verified = self.inputs(acme);
        let trusted_hash = self.trusted_hash(acme, verified.spec);
        let base = Base { uid: self.view.object.uid.clone(), rv: self.view.object.rv };
        let mut account = account(self.program, (self.view.key, base), self.issuer, acme);
        if trusted_hash.is_none() {
            account.uri = "".into();
        }
        let key = |entry: &SecretEntry| SecretKey {
            secret: self.secret_key_of(&entry.secret),
            key: entry.key.clone(),
        };
        let eab = acme.binding.as_ref();
        Some(Register {
            account,
            email: acme.email.clone(),
            eab: eab.map(|b| Eab { key_id: b.key_id.clone(), key: key(&b.key) }),
            generate: !acme.keep_key,
            trusted_hash,
            verified,
            inputs: digest_of(&verified),
            trial: self.pace().trial(
                Step::Register.name(),
                self.attempt(acme),
                &self.view.object.uid,
            ),
            conditions: self.registered_conditions().into(),
        })
    }

    fn pace(&self) -> Pace {
        let settings = &self.program.settings.issuer;
        Pace {
            first: settings.retry_first,
            factor: settings.retry_factor,
            ceiling: settings.retry_ceiling,
        }
    }

    /// The conditions once the account is registered.
    fn registered_conditions(&self) -> String {
        let mut conditions = self.issuer.conditions.clone();
        let wanted = Wanted {
            kind: "Ready",
            status: "True",
            reason: REGISTERED.0.to_owned(),
            message: REGISTERED.1.to_owned(),
            generation: Some(self.issuer.generation),
        };
        set(&mut conditions, wanted, self.view.now);
        to_json(&conditions).to_string()
    }
}

/// What the condition says of a registration that failed.
fn failure(attempt: &Attempt) -> Unsound {
    let reason = REASONS.into_iter().find(|reason| *reason == &*attempt.reason);
    let next = attempt.not_before.map(rfc3339);
    let what_next = match (attempt.class, next) {
        (Class::RateLimited, Some(at)) => format!("the CA asks for patience until {at}"),
        (Class::Paused, _) => "the CA paused this account; what is said above mends it".to_owned(),
        (_, Some(at)) => format!("it is tried again at {at}"),
        (_, None) => {
            "it is tried again when the issuer, or a Secret that it names, changes".to_owned()
        }
    };
    let message = format!("{}; {what_next}", attempt.detail);
    Unsound { reason: reason.unwrap_or("ErrRegisterACMEAccount"), message }
}
