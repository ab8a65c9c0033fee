//! The `request` machine: from a CertificateRequest to its answer.

mod ordering;

use crate::acme::notes;
use crate::effect::{Acme, Base, Do, Effect, Event, KeyPlace, Sign, SignWith, Strings};
use crate::facts::{
    Class, Condition, Content, FailureNote, IssuerFacts, Kind, Parsed, RequestFacts, SecretFacts,
    Signer, condition,
};
use crate::issuer::{resource_namespace, signing_pair};
use crate::plan::request as plan;
use crate::program::{Everleaf, Sight, issuer_key, start};
use crate::status::{Patch, Wanted, remove, set, to_json};
use everleaf_engine::world::Object;
use everleaf_engine::{FailureClass, Look, ObjectKey, Start, Timestamp, digest_of};
use ordering::{OrderSight, orders_of};
use plan::{State, Step};
use serde_json::{Value, json};

/// Why a request waits, or why it failed for good: cert-manager's reason for the Event, and what
/// is wrong for people.
enum Holdup {
    Pending(&'static str, String),
    Failed(Unmet),
}

/// Why a request failed for good.
struct Unmet {
    reason: &'static str,
    message: String,
    /// The class, where it is told to the Certificate by an annotation.
    note: Option<FailureNote>,
}

impl Unmet {
    /// Something that a person has to mend, told by an annotation.
    fn by_a_person(reason: &'static str, message: String) -> Self {
        let note = FailureNote { class: Class::User, not_before: None };
        Self { reason, message, note: Some(note) }
    }
}

impl Holdup {
    /// A failure of which only the message tells.
    fn failed(reason: &'static str, message: String) -> Self {
        Self::Failed(Unmet { reason, message, note: None })
    }
}

/// Everything that decides on one CertificateRequest.
pub(crate) struct Case<'a> {
    program: &'a Everleaf,
    view: &'a Sight<'a>,
    request: &'a RequestFacts,
    issuer: Option<&'a IssuerFacts>,
    issuer_key: Option<ObjectKey<Kind>>,
    /// The Secret that the answer depends on: the CA's, or the request's own key.
    secret: Option<(ObjectKey<Kind>, Option<&'a Object<crate::Facts>>)>,
    /// Whether the process holds the request's own key.
    holds_key: bool,
    /// Its Orders.
    orders: Vec<OrderSight<'a>>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        program: &'a Everleaf,
        view: &'a Sight<'a>,
        request: &'a RequestFacts,
    ) -> Self {
        let issuer_key = issuer_key(&view.key.namespace, &request.issuer);
        let issuer = issuer_key.as_ref().and_then(|key| view.get(key));
        let issuer = issuer.and_then(|object| object.facts.issuer());
        let mut case = Self {
            program,
            view,
            request,
            issuer,
            issuer_key,
            secret: None,
            holds_key: false,
            orders: orders_of(view),
        };
        case.holds_key = case.finds_key_in_memory();
        case.secret = case.find_secret();
        case
    }

    pub(crate) fn look(&self) -> Look {
        let truth = plan::truth(self, self.view.now);
        Look { state: plan::locate(truth) as usize, truth }
    }

    fn finds_key_in_memory(&self) -> bool {
        let Some(owner) = &self.request.controller else { return false };
        let namespace = self.view.key.namespace.clone();
        let key = self.view.get(&ObjectKey::new(Kind::Key, namespace, owner.uid.clone()));
        let held = key.and_then(|object| object.facts.key()).map(|key| &key.fingerprint);
        held.is_some() && held == self.request.csr.good().map(|csr| &csr.fingerprint)
    }

    fn find_secret(&self) -> Option<(ObjectKey<Kind>, Option<&'a Object<crate::Facts>>)> {
        if self.is_foreign() {
            return None;
        }
        let key = match &self.issuer?.signer {
            Signer::Ca { secret, .. } => {
                let namespace = resource_namespace(self.program, self.issuer_key.as_ref()?);
                ObjectKey::new(Kind::Secret, namespace, secret.clone())
            }
            Signer::SelfSigned { .. } if !self.holds_key => {
                let name = self.request.key_secret.clone()?;
                ObjectKey::new(Kind::Secret, self.view.key.namespace.clone(), name)
            }
            Signer::SelfSigned { .. } | Signer::Acme(_) | Signer::Other(_) | Signer::None => {
                return None;
            }
        };
        let object = self.view.get(&key);
        Some((key, object))
    }

    fn secret_facts(&self) -> Option<&'a SecretFacts> {
        self.secret.as_ref()?.1?.facts.secret()
    }

    fn condition(&self, kind: &str) -> Option<&'a Condition> {
        condition(&self.request.conditions, kind)
    }

    fn holds(&self, kind: &str) -> bool {
        self.condition(kind).is_some_and(Condition::is_true)
    }

    fn is_unread(&self) -> bool {
        self.secret_facts().is_some_and(|secret| matches!(secret.content, Content::Unread))
    }

    /// Whether somebody else answers: the issuer is of another group, or of a type that this
    /// operator was told to leave alone.
    fn is_foreign(&self) -> bool {
        let signer = self.issuer.map(|issuer| &issuer.signer);
        !self.request.issuer.is_ours() || !self.program.options.runs.answers(signer)
    }

    /// Why the request cannot be signed now; `None` if it can.
    fn holdup(&self) -> Option<Holdup> {
        let pending = |reason, message: String| Some(Holdup::Pending(reason, message));
        let reference = &self.request.issuer;
        let Some(issuer) = self.issuer else {
            let (kind, name) = (reference.kind_or_default(), &reference.name);
            let resource = format!("{}.cert-manager.io", kind.to_lowercase());
            let message = format!("Referenced {kind:?} not found: {resource} {name:?} not found");
            return pending("IssuerNotFound", message);
        };
        if let Signer::Other(kind) = &issuer.signer {
            let message = format!("This build cannot sign with {kind} issuers yet");
            return pending("IssuerNotReady", message);
        }
        if matches!(issuer.signer, Signer::None) {
            return pending("IssuerTypeMissing", "The issuer has no type".to_owned());
        }
        if !is_ready(issuer) {
            let message = "Referenced issuer does not have a Ready status condition".to_owned();
            return pending("IssuerNotReady", message);
        }
        if let Some(broken) = self.broken_request() {
            return Some(Holdup::failed(self.signing_error(), broken));
        }
        if let Some(failure) = self.view.failure(Step::ReadSecret as usize)
            && self.is_unread()
        {
            let own = matches!(issuer.signer, Signer::SelfSigned { .. });
            let reason = if own { "ErrorGettingSecret" } else { "SecretGetError" };
            return pending(reason, failure.message.clone());
        }
        match &issuer.signer {
            Signer::Ca { secret, .. } => self.ca_holdup(secret),
            Signer::SelfSigned { .. } => self.self_signed_holdup(),
            Signer::Acme(acme) => self.order_holdup(acme),
            Signer::Other(_) | Signer::None => None,
        }
    }

    /// What an admission webhook would not have let through.
    fn broken_request(&self) -> Option<String> {
        if let Parsed::Broken(why) = &self.request.csr {
            return Some(format!("spec.request cannot be read: {why}"));
        }
        let problems = self.request.problems.iter().map(|p| format!("{}: {}", p.path, p.message));
        let problems: Vec<String> = problems.collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// cert-manager's reason for a signature that cannot be made.
    fn signing_error(&self) -> &'static str {
        match self.issuer.map(|issuer| &issuer.signer) {
            Some(Signer::SelfSigned { .. }) => "ErrorSigning",
            Some(Signer::Acme(_)) => "RequestParsingError",
            _ => "SigningError",
        }
    }

    fn ca_holdup(&self, secret: &str) -> Option<Holdup> {
        let unsound = signing_pair(secret, self.secret_facts(), self.view.now).err()?;
        let (reason, message) = unsound.into_parts();
        let missing = reason == "ErrGetKeyPair";
        let reason = if missing { "SecretMissing" } else { "SecretInvalidData" };
        Some(Holdup::Pending(reason, message))
    }

    fn self_signed_holdup(&self) -> Option<Holdup> {
        if self.holds_key {
            return None;
        }
        let pending = |reason, message| Some(Holdup::Pending(reason, message));
        let Some(name) = &self.request.key_secret else {
            let message = "Annotation \"cert-manager.io/private-key-secret-name\" missing or \
                           reference empty: it has to name the Secret with the request's key";
            return Some(Holdup::failed("MissingAnnotation", message.to_owned()));
        };
        let Some(secret) = self.secret_facts() else {
            return pending("MissingSecret", format!("Referenced secret {name:?} not found"));
        };
        let Some(material) = secret.material() else {
            return pending("MissingSecret", format!("Referenced secret {name:?} is being read"));
        };
        let Some(key) = material.key.good() else {
            let message = format!("Failed to get key {:?} referenced in secret", "tls.key");
            return pending("ErrorParsingKey", message);
        };
        let asked = self.request.csr.good().map(|csr| &csr.fingerprint);
        (asked != Some(&key.fingerprint)).then(|| {
            let message = format!("The key in secret {name:?} is not the request's");
            Holdup::failed("ErrorKeyMatch", message)
        })
    }

    /// A certificate without a subject that signs itself has no issuer's name either.
    fn nameless(&self, with: &SignWith) -> Option<Event> {
        let csr = self.request.csr.good()?;
        let nameless = csr.subject_der == digest_of(&EMPTY_NAME[..]);
        let message = "The certificate is signed with its own key and has no subject, so that its \
                       issuer has no name: RFC 5280 (4.1.2.4) forbids that, and strict clients \
                       refuse it; set commonName or subject";
        let own = matches!(with, SignWith::Own { .. });
        (own && nameless).then(|| Event::warning("BadConfig", message))
    }

    /// A signature that failed, as far as the status has to tell of it.
    fn sign_failure(&self) -> Option<Holdup> {
        let failure = self.view.failure(Step::Sign as usize)?;
        let (reason, message) = (self.signing_error(), failure.message.clone());
        match failure.class {
            FailureClass::Rejected => Some(Holdup::failed(reason, message)),
            FailureClass::Conflict => None,
            _ => Some(Holdup::Pending(reason, message)),
        }
    }

    /// What holds the request up, as far as it is time to tell.
    fn told_holdup(&self) -> Option<Holdup> {
        if self.is_delivered() {
            return None;
        }
        let held_up = self.holdup().or_else(|| self.sign_failure());
        let waits = || Some(Holdup::Pending("OrderPending", self.order_progress()?));
        let holdup = held_up.or_else(waits)?;
        let early = matches!(holdup, Holdup::Pending(..)) && self.is_quiet();
        (!early).then_some(holdup)
    }

    fn desired(&self) -> (Vec<Condition>, Option<Timestamp>) {
        let mut conditions = self.request.conditions.clone();
        let mut failure = self.request.failure;
        let now = Timestamp::from_seconds(self.view.now.as_seconds());
        if self.is_foreign() || self.holds("InvalidRequest") {
            return (conditions, failure);
        }
        if let Some(denied) = self.condition("Denied").filter(|c| c.is_true()) {
            let message = format!(
                "The CertificateRequest was denied by an approval controller: {}",
                denied.message
            );
            set(&mut conditions, ready("Denied", message), now);
            failure = failure.or(Some(now));
            return (conditions, failure);
        }
        if !self.is_approved() {
            return (conditions, failure);
        }
        match self.told_holdup() {
            None => {}
            Some(Holdup::Pending(_, message)) => {
                self.approve(&mut conditions);
                set(&mut conditions, ready("Pending", message), now);
            }
            Some(Holdup::Failed(unmet)) => {
                self.approve(&mut conditions);
                set(&mut conditions, ready("Failed", unmet.message), now);
                failure = failure.or(Some(now));
            }
        }
        (conditions, failure)
    }

    /// Whether the request is so young that what it waits for may be on its way.
    fn is_quiet(&self) -> bool {
        let quiet = self.quiet_until().is_some_and(|until| self.view.now < until);
        quiet && self.condition("Ready").is_none()
    }

    /// Until when a young request is not worth a status write.
    pub(crate) fn quiet_until(&self) -> Option<Timestamp> {
        let settings = &self.program.settings.request;
        let works = self.orders.iter().any(|order| !order.is_in_trouble());
        let quiet_for = if works { settings.order_quiet_for } else { settings.quiet_for };
        Some(self.request.created.plus_millis(quiet_for))
    }

    fn is_approved(&self) -> bool {
        self.holds("Approved") || (self.program.options.approve && !self.holds("Denied"))
    }

    /// Adds the approval, if it is not there yet.
    fn approve(&self, conditions: &mut Vec<Condition>) {
        if condition(conditions, "Approved").is_none_or(|c| !c.is_true()) {
            let wanted = Wanted {
                kind: "Approved",
                status: "True",
                reason: "cert-manager.io".to_owned(),
                message: APPROVED.to_owned(),
                generation: None,
            };
            set(conditions, wanted, self.view.now);
        }
    }

    fn status_patch(&self) -> Option<String> {
        let (conditions, failure) = self.desired();
        let mut patch = Patch::default();
        patch.conditions(&self.request.conditions, &conditions);
        patch.field("failureTime", (&self.request.failure, &failure), |at| {
            json!(crate::effect::rfc3339(*at))
        });
        patch.into_text()
    }

    /// What is written to the request's annotations before its status: the failure's class.
    fn status_notes(&self) -> Strings {
        let (conditions, _) = self.desired();
        let ready = condition(&conditions, "Ready").map(|ready| &*ready.reason);
        if let Some(note) = self.rest_of_order().filter(|_| ready == Some("Pending")) {
            let text = notes::failure_text(&note, &self.view.object.uid);
            return [(everleaf_api::names::everleaf::FAILURE.into(), text.into())].into();
        }
        let failed = ready == Some("Failed");
        let Some(Holdup::Failed(Unmet { note: Some(note), .. })) =
            self.told_holdup().filter(|_| failed)
        else {
            return Strings::new();
        };
        // One whose status was not written after it stands already.
        if self.request.failure_note.as_ref() == Some(&note) {
            return Strings::new();
        }
        let text = notes::failure_text(&note, &self.view.object.uid);
        [(everleaf_api::names::everleaf::FAILURE.into(), text.into())].into()
    }

    fn status_action(&self) -> Option<Do> {
        let patch = self.status_patch()?.into();
        let annotations = self.status_notes();
        if annotations.is_empty() {
            return Some(Do::PatchStatus { patch });
        }
        Some(Do::Settle { annotations, patch })
    }

    fn status_events(&self) -> Vec<Event> {
        let (conditions, _) = self.desired();
        let told = self.condition("Ready");
        let Some(ready) = condition(&conditions, "Ready").filter(|is| Some(*is) != told) else {
            return Vec::new();
        };
        let first = told.is_none_or(|told| *told.reason != *"Pending");
        let event = match self.told_holdup() {
            Some(Holdup::Failed(unmet)) => {
                Some(Event::warning(unmet.reason, ready.message.clone()))
            }
            Some(Holdup::Pending(reason, _)) if first => {
                Some(Event::normal(reason, ready.message.clone()))
            }
            Some(Holdup::Pending(..)) | None => None,
        };
        event.into_iter().collect()
    }

    pub(crate) fn act(&self, state: State) -> Vec<Start<Effect>> {
        let issuer = &self.request.issuer;
        let lane =
            format!("{}/{}/{}", self.view.key.namespace, issuer.kind_or_default(), issuer.name);
        let one = |step: Step, what| vec![start(self.view, step as usize, "", (0, &lane), what)];
        match state {
            State::Reading => {
                let Some((secret, _)) = self.secret.clone() else { return Vec::new() };
                one(Step::ReadSecret, (Do::ReadSecret { secret }, Vec::new()))
            }
            State::Reporting => {
                let Some(action) = self.status_action() else { return Vec::new() };
                one(Step::WriteStatus, (action, self.status_events()))
            }
            State::Approving => {
                let mut conditions = self.request.conditions.clone();
                self.approve(&mut conditions);
                let patch = json!({ "status": { "conditions": to_json(&conditions) } });
                let patch = patch.to_string().into();
                let event = Event::normal("cert-manager.io", APPROVED);
                one(Step::Approve, (Do::PatchStatus { patch }, vec![event]))
            }
            State::Signing => match self.sign() {
                Some(sign) => {
                    let message = "Certificate fetched from issuer successfully";
                    let issued = Event::normal("CertificateIssued", message);
                    let events = self.nameless(&sign.with).into_iter().chain([issued]).collect();
                    one(Step::Sign, (Do::Sign(Box::new(sign)), events))
                }
                None => Vec::new(),
            },
            State::Ordering => {
                let Some(order) = self.new_order() else { return Vec::new() };
                let action = Do::Acme(Acme::CreateOrder(Box::new(order)));
                one(Step::CreateOrder, (action, Vec::new()))
            }
            State::Taking => {
                let Some(take) = self.take() else { return Vec::new() };
                let message = "Certificate fetched from issuer successfully";
                let event = Event::normal("CertificateIssued", message);
                one(Step::Take, (Do::Acme(take), vec![event]))
            }
            State::Retiring
            | State::Following
            | State::Settled
            | State::Invalid
            | State::Denied
            | State::Foreign
            | State::WaitingForIssuer
            | State::Unapproved => Vec::new(),
        }
    }

    fn sign(&self) -> Option<Sign> {
        let (crl, ocsp, urls) = match &self.issuer?.signer {
            Signer::Ca { crl, ocsp, urls, .. } => (crl.clone(), ocsp.clone(), urls.clone()),
            Signer::SelfSigned { crl } => (crl.clone(), Vec::new(), Vec::new()),
            Signer::Acme(_) | Signer::Other(_) | Signer::None => return None,
        };
        let default = self.program.settings.request.default_duration;
        let mut conditions = self.request.conditions.clone();
        self.approve(&mut conditions);
        remove(&mut conditions, "Ready");
        Some(Sign {
            with: self.sign_with()?,
            duration_ms: self.request.duration_ms.unwrap_or(default),
            is_ca: self.request.is_ca,
            usages: self.request.usages.clone(),
            crl,
            ocsp,
            urls,
            conditions: Value::to_string(&to_json(&conditions)).into(),
        })
    }

    fn sign_with(&self) -> Option<SignWith> {
        if matches!(self.issuer?.signer, Signer::Ca { .. }) {
            let (secret, object) = self.secret.clone()?;
            let object = object?;
            let base = Base { uid: object.uid.clone(), rv: object.rv };
            return Some(SignWith::Ca { secret, base });
        }
        let owner = self.request.controller.as_ref().map(|owner| owner.uid.clone());
        let key = if self.holds_key {
            KeyPlace::Memory
        } else {
            KeyPlace::Secret(self.request.key_secret.clone()?)
        };
        Some(SignWith::Own { key, owner })
    }
}

/// A name without attributes, in DER.
const EMPTY_NAME: [u8; 2] = [0x30, 0x00];
const APPROVED: &str = "Certificate request has been approved by cert-manager.io";

fn is_ready(issuer: &IssuerFacts) -> bool {
    condition(&issuer.conditions, "Ready").is_some_and(Condition::is_true)
}

fn ready(reason: &str, message: String) -> Wanted {
    let reason = reason.to_owned();
    Wanted { kind: "Ready", status: "False", reason, message, generation: None }
}

impl plan::Facts for Case<'_> {
    fn deleting(&self) -> bool {
        self.request.deleting
    }

    fn settled(&self) -> bool {
        let reason = self.condition("Ready").map(|ready| &*ready.reason);
        matches!(reason, Some("Issued" | "Failed"))
            || (reason == Some("Denied") && self.holds("Denied"))
    }

    fn invalid(&self) -> bool {
        self.holds("InvalidRequest")
    }

    fn denied(&self) -> bool {
        self.holds("Denied")
    }

    fn approved(&self) -> bool {
        self.is_approved()
    }

    fn automatic(&self) -> bool {
        self.program.options.approve
            && self.is_foreign()
            && !self.holds("Approved")
            && !self.holds("Denied")
    }

    fn foreign(&self) -> bool {
        self.is_foreign()
    }

    fn reported(&self) -> bool {
        let reading = self.is_unread() && self.view.failure(Step::ReadSecret as usize).is_none();
        reading || self.status_patch().is_none()
    }

    fn served(&self) -> bool {
        self.holdup().is_none()
    }

    fn orderly(&self) -> bool {
        self.acme().is_some()
    }

    fn ordered(&self) -> bool {
        self.acme().is_some() && self.order().is_some()
    }

    fn delivered(&self) -> bool {
        self.is_delivered()
    }

    fn quiet_until(&self) -> Option<Timestamp> {
        Case::quiet_until(self)
    }

    fn unread(&self) -> bool {
        self.is_unread()
    }
}
