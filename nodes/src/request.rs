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
use everleaf_engine::{FailureClass, Look, ObjectKey, Start, Timestamp};
use ordering::{OrderSight, orders_of};
use plan::{State, Step};
use serde_json::{Value, json};

/// Why a request waits, or why it failed for good.
enum Holdup {
    Pending(String),
    Failed(Unmet),
}

/// Why a request failed for good.
struct Unmet {
    message: String,
    /// The class, where it is told to the Certificate by an annotation.
    note: Option<FailureNote>,
}

impl Unmet {
    /// Something that a person has to mend, told by an annotation.
    fn by_a_person(message: String) -> Self {
        let note = FailureNote { class: Class::User, not_before: None };
        Self { message, note: Some(note) }
    }
}

impl From<String> for Unmet {
    fn from(message: String) -> Self {
        Self { message, note: None }
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

    fn is_foreign(&self) -> bool {
        !self.request.issuer.is_ours()
    }

    /// Why the request cannot be signed now; `None` if it can.
    fn holdup(&self) -> Option<Holdup> {
        let pending = |message: String| Some(Holdup::Pending(message));
        let reference = &self.request.issuer;
        let Some(issuer) = self.issuer else {
            let (kind, name) = (reference.kind_or_default(), &reference.name);
            let resource = format!("{}.cert-manager.io", kind.to_lowercase());
            return pending(format!(
                "Referenced {kind:?} not found: {resource} {name:?} not found"
            ));
        };
        if let Signer::Other(kind) = &issuer.signer {
            return pending(format!("This build cannot sign with {kind} issuers yet"));
        }
        if !condition(&issuer.conditions, "Ready").is_some_and(Condition::is_true) {
            return pending("Referenced issuer does not have a Ready status condition".to_owned());
        }
        if let Parsed::Broken(why) = &self.request.csr {
            return Some(Holdup::Failed(format!("spec.request cannot be read: {why}").into()));
        }
        match &issuer.signer {
            Signer::Ca { secret, .. } => {
                let pair = signing_pair(secret, self.secret_facts(), self.view.now);
                pair.err().map(|unsound| Holdup::Pending(unsound.into_message()))
            }
            Signer::SelfSigned { .. } => self.self_signed_holdup(),
            Signer::Acme(acme) => self.order_holdup(acme),
            Signer::Other(_) | Signer::None => pending("The issuer has no type".to_owned()),
        }
    }

    fn self_signed_holdup(&self) -> Option<Holdup> {
        if self.holds_key {
            return None;
        }
        let Some(name) = &self.request.key_secret else {
            let message = "Annotation \"cert-manager.io/private-key-secret-name\" missing or \
                           reference empty: it has to name the Secret with the request's key";
            return Some(Holdup::Failed(message.to_owned().into()));
        };
        let Some(secret) = self.secret_facts() else {
            return Some(Holdup::Pending(format!("Referenced secret {name:?} not found")));
        };
        let Some(material) = secret.material() else {
            return Some(Holdup::Pending(format!("Referenced secret {name:?} is being read")));
        };
        let Some(key) = material.key.good() else {
            let message = format!("Failed to get key {:?} referenced in secret", "tls.key");
            return Some(Holdup::Pending(message));
        };
        let asked = self.request.csr.good().map(|csr| &csr.fingerprint);
        (asked != Some(&key.fingerprint)).then(|| {
            let message = format!("The key in secret {name:?} is not the request's");
            Holdup::Failed(message.into())
        })
    }

    /// A signature that failed, as far as the status has to tell of it.
    fn sign_failure(&self) -> Option<Holdup> {
        let failure = self.view.failure(Step::Sign as usize)?;
        match failure.class {
            FailureClass::Rejected => Some(Holdup::Failed(failure.message.clone().into())),
            FailureClass::Conflict => None,
            _ => Some(Holdup::Pending(failure.message.clone())),
        }
    }

    /// What the status has to tell of what holds the request up.
    fn news(&self) -> Option<Holdup> {
        if self.is_delivered() {
            return None;
        }
        let held_up = self.holdup().or_else(|| self.sign_failure());
        held_up.or_else(|| self.order_progress().map(Holdup::Pending))
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
        match self.news() {
            None => {}
            Some(Holdup::Pending(_)) if self.is_quiet() => {}
            Some(Holdup::Pending(message)) => {
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
        let quiet_for = self.program.settings.request.quiet_for;
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
                message: "Certificate request has been approved by cert-manager.io".to_owned(),
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
        let failed = condition(&conditions, "Ready").is_some_and(|r| *r.reason == *"Failed");
        let Some(Holdup::Failed(Unmet { note: Some(note), .. })) = self.news().filter(|_| failed)
        else {
            return Strings::new();
        };
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
        let is = condition(&conditions, "Ready").filter(|is| Some(*is) != told);
        let event = is.and_then(|ready| match &*ready.reason {
            "Failed" => Some(Event::warning(self.failed_reason(), ready.message.clone())),
            "Pending" if told.is_none_or(|told| *told.reason != *"Pending") => {
                Some(Event::normal(self.pending_reason(), ready.message.clone()))
            }
            _ => None,
        });
        event.into_iter().collect()
    }

    /// cert-manager's Event reason for a request that failed.
    fn failed_reason(&self) -> &'static str {
        match (self.acme(), self.order()) {
            (None, _) => "SigningError",
            (Some(_), None) => "InvalidOrder",
            (Some(_), Some(_)) => "OrderFailed",
        }
    }

    /// cert-manager's Event reason for what holds a request up.
    fn pending_reason(&self) -> &'static str {
        match self.issuer.map(|issuer| &issuer.signer) {
            None => "IssuerNotFound",
            Some(Signer::None) => "IssuerTypeMissing",
            Some(_) if self.issuer.is_some_and(|i| !is_ready(i)) => "IssuerNotReady",
            Some(Signer::SelfSigned { .. }) => "MissingSecret",
            Some(Signer::Acme(_)) => "OrderPending",
            Some(_) => "SecretMissing",
        }
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
                one(Step::Approve, (Do::PatchStatus { patch }, Vec::new()))
            }
            State::Signing => match self.sign() {
                Some(sign) => {
                    let message = "Certificate fetched from issuer successfully";
                    let event = Event::normal("CertificateIssued", message);
                    one(Step::Sign, (Do::Sign(Box::new(sign)), vec![event]))
                }
                None => Vec::new(),
            },
            State::Ordering => {
                let Some(order) = self.new_order() else { return Vec::new() };
                let message =
                    format!("Created Order resource {}/{}", self.view.key.namespace, order.name);
                let action = Do::Acme(Acme::CreateOrder(Box::new(order)));
                one(Step::CreateOrder, (action, vec![Event::normal("OrderCreated", message)]))
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
        self.unread() || self.status_patch().is_none()
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
        self.secret_facts().is_some_and(|secret| matches!(secret.content, Content::Unread))
    }
}
