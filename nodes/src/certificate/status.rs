//! What the status of a Certificate has to say, and how a failed attempt is told from one that
//! goes on.

use super::{Case, Request};
use crate::acme::notes;
use crate::effect::{Event, Strings, rfc3339};
use crate::facts::{
    AriStatus, CertificateStatus, Class, Condition, FailureNote, Parsed, condition,
};
use crate::plan::certificate::{Facts as _, Step};
use crate::status::{Patch, Wanted, remove, set};
use everleaf_engine::{Failure, FailureClass, Timestamp};
use serde_json::{Value, json};

/// Why an attempt failed for good, or was given up for another issuer.
pub(super) struct Failed {
    pub reason: String,
    pub message: String,
    pub at: Option<Timestamp>,
    /// The class, and the instant that the CA named.
    pub note: FailureNote,
}

/// What a request tells of its failure's class; without a word, a person has to mend it.
fn note_of(request: &Request<'_>) -> FailureNote {
    let told = request.facts.failure_note.clone();
    told.unwrap_or(FailureNote { class: Class::User, not_before: None })
}

/// Why the answer to a request is none that can be stored, if it is a final answer.
pub(super) fn failure_of(case: &Case<'_>, request: &Request<'_>) -> Option<Failed> {
    let conditions = &request.facts.conditions;
    let at = request.facts.failure;
    let failed = |reason: &str, message: &str| {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        Some(Failed { reason, message, at, note: note_of(request) })
    };
    for kind in ["Denied", "InvalidRequest"] {
        if let Some(found) = condition(conditions, kind).filter(|c| c.is_true()) {
            return failed(&found.reason, &found.message);
        }
    }
    let ready = condition(conditions, "Ready")?;
    match &*ready.reason {
        "Failed" | "Denied" => failed(&ready.reason, &ready.message),
        "Issued" if ready.is_true() => {
            let message = unfit(case, request)?;
            failed("InvalidCertificate", &message)
        }
        _ => None,
    }
}

/// Why an issued certificate may not be stored.
fn unfit(case: &Case<'_>, request: &Request<'_>) -> Option<String> {
    let leaf = match &request.facts.certificate {
        Parsed::Good(leaf) => leaf,
        Parsed::Missing => return Some("the issuer returned no certificate".to_owned()),
        Parsed::Broken(why) => {
            return Some(format!("the issuer returned a certificate that cannot be read: {why}"));
        }
    };
    let csr = request.facts.csr.good()?;
    if leaf.fingerprint != csr.fingerprint {
        return Some(
            "the issuer returned a certificate for another key than the request's".to_owned(),
        );
    }
    let now = case.view.now;
    if leaf.not_after <= now {
        let end = rfc3339(leaf.not_after);
        return Some(format!("the issuer returned a certificate that expired at {end}"));
    }
    let skew = case.program.settings.certificate.skew;
    if leaf.not_before > now.plus_millis(skew) {
        let begin = rfc3339(leaf.not_before);
        return Some(format!("the issuer returned a certificate that is not valid before {begin}"));
    }
    let differing = super::policy::name_differences(case.cert, leaf);
    (!differing.is_empty()).then(|| {
        format!("the issuer returned a certificate with other names: [{}]", differing.join(" "))
    })
}

impl Case<'_> {
    /// The patch that brings the status up to date; `None` if it is.
    pub(super) fn status_patch(&self) -> Option<String> {
        let (was, is) = (&self.cert.status, &self.desired_status());
        let time = |at: &Timestamp| json!(rfc3339(*at));
        let mut patch = Patch::default();
        patch.conditions(&was.conditions, &is.conditions);
        patch.field("notBefore", (&was.not_before, &is.not_before), time);
        patch.field("notAfter", (&was.not_after, &is.not_after), time);
        patch.field("renewalTime", (&was.renewal, &is.renewal), time);
        if was.ari != is.ari {
            patch.set("acme", Value::Null);
        }
        patch.field("lastFailureTime", (&was.last_failure, &is.last_failure), time);
        let number = |n: &i64| json!(n);
        patch.field("failedIssuanceAttempts", (&was.failed_attempts, &is.failed_attempts), number);
        patch.field("revision", (&was.revision, &is.revision), number);
        patch.field(
            "nextPrivateKeySecretName",
            (&was.next_key_secret, &is.next_key_secret),
            |name| Value::String(name.to_string()),
        );
        patch.into_text()
    }

    /// The Events that go with the status as it will be.
    pub(super) fn status_events(&self) -> Vec<Event> {
        let is = self.desired_status();
        let mut events = Vec::new();
        if self.revision() > self.status_revision() {
            events.push(Event::normal("Issuing", "The certificate has been successfully issued"));
        }
        let issuing = condition(&is.conditions, "Issuing");
        let told = |issuing: &&Condition| {
            self.issuing().is_some_and(|was| {
                was.status == issuing.status
                    && before_trouble(&was.message) == before_trouble(&issuing.message)
            })
        };
        if let Some(issuing) = issuing.filter(|issuing| !told(issuing)) {
            let warning = !issuing.is_true();
            let reason = if warning { &*issuing.reason } else { "Issuing" };
            let message = before_trouble(&issuing.message).into();
            events.push(Event { warning, reason: reason.into(), message });
        }
        let ready = condition(&is.conditions, "Ready");
        let was = condition(&self.cert.status.conditions, "Ready");
        if self.contested() && ready.map(|r| &r.message) != was.map(|r| &r.message) {
            let message = ready.map_or_else(|| "".into(), |ready| ready.message.clone());
            events.push(Event::warning("IncorrectCertificate", message));
        }
        events.extend(self.fallback_event(&is));
        if let Some(error) = self.window_error().filter(|_| self.has_news()) {
            events.push(Event::warning("WindowError", error));
        }
        events
    }

    /// The status as it should be now.
    fn desired_status(&self) -> CertificateStatus {
        let mut status = self.cert.status.clone();
        let seconds = |at: Timestamp| Timestamp::from_seconds(at.as_seconds());
        if !self.known() {
            self.say_unread(&mut status);
            return status;
        }
        status.not_before = self.leaf().map(|leaf| seconds(leaf.not_before));
        status.not_after = self.leaf().map(|leaf| seconds(leaf.not_after));
        status.renewal = self.renew_at().map(seconds);
        if !self.keeps_window() {
            status.ari = AriStatus::default();
        }
        if self.has_news() {
            status.revision = Some(self.revision());
        }
        if self.contested() {
            self.say_contested(&mut status);
        } else if !self.wants_issuance() {
            self.say_satisfied(&mut status);
        } else {
            self.say_wanting(&mut status);
        }
        self.say_fallback(&mut status);
        self.mend_failure_time(&mut status);
        status
    }

    /// A failure cannot lie in the future: a clock that was wrong wrote it.
    fn mend_failure_time(&self, status: &mut CertificateStatus) {
        let Some(at) = status.last_failure.filter(|at| self.is_ahead(*at)) else { return };
        let now = Timestamp::from_seconds(self.view.now.as_seconds());
        status.last_failure = Some(now);
        let next = |failed| {
            let failures = status.failed_attempts.unwrap_or(1);
            self.attempt_after(failed, failures, &self.recorded_note()).map(rfc3339)
        };
        let (Some(told), Some(next)) = (next(at), next(now)) else { return };
        let Some(issuing) = status.conditions.iter_mut().find(|one| *one.kind == *"Issuing") else {
            return;
        };
        if let Some((before, said)) = issuing.message.rsplit_once(NEXT_ATTEMPT)
            && said == told
        {
            issuing.message = format!("{before}{NEXT_ATTEMPT}{next}").into();
        }
    }

    fn say_contested(&self, status: &mut CertificateStatus) {
        // cert-manager's text names whom the Secret was issued for, who may be gone by now.
        let owner = self.owner.as_deref().unwrap_or_default();
        let said = self.violation.as_ref().filter(|v| {
            v.reason == "IncorrectCertificate" && v.message.contains(&format!("{owner:?}"))
        });
        let message = said.map(|violation| violation.message.clone()).unwrap_or_else(|| {
            format!(
                "Certificate {owner:?} also names Secret {:?} and comes first; give one of them \
                 another secretName",
                self.cert.secret_name
            )
        });
        self.say(status, "Ready", "False", ("IncorrectCertificate", message));
    }

    fn say_satisfied(&self, status: &mut CertificateStatus) {
        self.say_ready(status);
        status.last_failure = None;
        status.failed_attempts = None;
        status.next_key_secret = None;
        if self.refused() {
            self.say_refused(status);
        } else {
            remove(&mut status.conditions, "Issuing");
        }
    }

    fn say_wanting(&self, status: &mut CertificateStatus) {
        if self.refused() {
            self.say_ready(status);
            return self.say_refused(status);
        }
        if let Some(failed) = self.unrecorded_failure() {
            self.say_ready(status);
            return self.say_failed(status, failed);
        }
        if self.is_quiet() {
            // Half of the news would be a write of its own, and say Ready of what is gone.
            let told = &self.cert.status;
            (status.not_before, status.not_after) = (told.not_before, told.not_after);
            (status.renewal, status.ari) = (told.renewal, told.ari.clone());
            return;
        }
        self.say_ready(status);
        if !self.is_waiting_out_a_failure() {
            self.say_issuing(status);
        }
    }

    /// Whether an issuance is in progress that will very likely be over in a moment.
    fn is_quiet(&self) -> bool {
        let pending = self.next_request().and_then(|request| request.ready().cloned());
        let held_up = pending.is_some_and(|ready| *ready.reason == *"Pending");
        (self.answers_ourselves() || self.issuer_may_come())
            && !held_up
            && self.trouble().is_none()
            && !self.failed()
            && self.quiet_until().is_none_or(|until| self.view.now < until)
    }

    /// The failure of the next revision's request that the status does not tell of yet.
    pub(super) fn unrecorded_failure(&self) -> Option<Failed> {
        let request = self.next_request().filter(|request| self.is_of_this_spec(request))?;
        if self.is_recorded(&request) {
            return None;
        }
        failure_of(self, &request).or_else(|| self.passed_over(&request))
    }

    /// What is known of the class of the failure that the status tells of.
    pub(super) fn recorded_note(&self) -> FailureNote {
        let request = self.next_request().filter(|request| self.is_of_this_spec(request));
        let failed = request.and_then(|request| failure_of(self, &request));
        let told = failed.map(|failed| failed.note).or_else(|| self.cert.failure_note.clone());
        told.unwrap_or(FailureNote { class: Class::User, not_before: None })
    }

    /// What is noted on the Certificate before a failure is recorded: its class, for the request
    /// that tells of it goes before the next attempt. The usual class needs no note.
    pub(super) fn status_notes(&self) -> Strings {
        use everleaf_api::names::everleaf::{FAILURE, ISSUER_FAILURES};
        let Some(failed) = self.unrecorded_failure() else { return Strings::new() };
        let mut all = Strings::new();
        let usual = failed.note.class == Class::User && self.cert.failure_note.is_none();
        if !usual && self.cert.failure_note.as_ref() != Some(&failed.note) {
            let text = notes::failure_text(&failed.note, &self.view.object.uid);
            all.insert(FAILURE.into(), text.into());
        }
        if self.has_fallbacks() {
            let failures = self.failures_to_be();
            let text = notes::issuer_failures_text(&failures, &self.view.object.uid);
            all.insert(ISSUER_FAILURES.into(), text.into());
        }
        all
    }

    fn say_failed(&self, status: &mut CertificateStatus, failed: Failed) {
        let attempt = self.next_request().and_then(|request| request.facts.attempt);
        let attempt = attempt.unwrap_or_else(|| self.attempt());
        let at = failed.at.unwrap_or(self.view.now).min(self.view.now);
        let at = Timestamp::from_seconds(at.as_seconds());
        let next = if self.has_fallbacks() {
            self.pick(&self.failures_to_be()).at
        } else {
            self.attempt_after(at, attempt, &failed.note)
        };
        status.failed_attempts = Some(attempt);
        status.last_failure = Some(at);
        if self.has_fallbacks() && next.is_some_and(|next| next <= self.view.now) {
            // Another issuer is asked at once; the condition FallbackIssuer says why.
            return self.say_issuing(status);
        }
        let next = next.map(rfc3339);
        let what_next = match (failed.note.class, next) {
            (Class::Paused, _) | (_, None) => format!(
                "Attempt {attempt} failed because the CA paused the account or a name; it is not \
                 tried again by itself"
            ),
            (Class::Transient | Class::Wait, Some(next)) => {
                format!("Attempt {attempt} failed on the other side{NEXT_ATTEMPT}{next}")
            }
            (Class::RateLimited, Some(next)) => {
                format!("Attempt {attempt} met a rate limit{NEXT_ATTEMPT}{next}")
            }
            (Class::User, Some(next)) => format!(
                "Attempt {attempt} failed in a way that somebody has to mend{NEXT_ATTEMPT}{next}"
            ),
        };
        let message = format!(
            "The certificate request has failed to complete and will be retried: {}. {what_next}",
            failed.message
        );
        self.say(status, "Issuing", "False", (&failed.reason, message));
    }

    fn say_issuing(&self, status: &mut CertificateStatus) {
        status.next_key_secret =
            self.next_key().and_then(|key| key.secret).map(|secret| secret.name.clone());
        let told = self.issuing().filter(|issuing| issuing.is_true());
        let (reason, message) = match (&self.violation, told) {
            (_, Some(told)) => (told.reason.to_string(), before_trouble(&told.message).to_owned()),
            (Some(violation), None) => (violation.reason.to_owned(), violation.message.clone()),
            (None, None) => self.renewing(),
        };
        let message = match self.what_holds_up() {
            Some(trouble) => format!("{message}{TROUBLE}{trouble}]"),
            None => message,
        };
        self.say(status, "Issuing", "True", (&reason, message));
    }

    /// What an issuance waits for that somebody may want to mend.
    fn what_holds_up(&self) -> Option<String> {
        if let Some(trouble) = self.trouble() {
            return Some(trouble.message.clone());
        }
        let request = self.next_request().filter(|request| !self.is_over(request))?;
        let pending = request.ready().filter(|ready| *ready.reason == *"Pending")?;
        Some(format!("CertificateRequest {:?}: {}", request.key.name, pending.message))
    }

    /// What is said of a Secret that cannot be read: what was known of it stays.
    fn say_unread(&self, status: &mut CertificateStatus) {
        let Some(failure) = self.view.failure(Step::ReadSecret as usize).filter(is_lasting) else {
            return;
        };
        let told = condition(&status.conditions, "Ready");
        let (reason, before) = told.map_or(("SecretUnread", "The Secret could not be read"), |t| {
            (&*t.reason, before_trouble(&t.message))
        });
        let truth = told.map_or("Unknown", |told| match &*told.status {
            "True" => "True",
            "False" => "False",
            _ => "Unknown",
        });
        let (reason, message) =
            (reason.to_owned(), format!("{before}{TROUBLE}{}]", failure.message));
        self.say(status, "Ready", truth, (&reason, message));
    }

    fn renewing(&self) -> (String, String) {
        let at = self.renew_at().map(rfc3339).unwrap_or_default();
        let mut message = format!("Renewing certificate as renewal was scheduled at {at}");
        if let Some(page) = self.explanation() {
            message += &format!("; the CA explains why at {page}");
        }
        ("Renewing".to_owned(), message)
    }

    /// The failure of a write or of key generation that holds the issuance up.
    fn trouble(&self) -> Option<&Failure> {
        let steps = [
            Step::EnsureKey,
            Step::CreateRequest,
            Step::Store,
            Step::Cover,
            Step::DeleteRequest,
            Step::DeleteKey,
        ];
        steps.into_iter().filter_map(|s| self.view.failure(s as usize)).find(is_lasting)
    }

    fn say_refused(&self, status: &mut CertificateStatus) {
        let problems = self.cert.problems.iter().map(|p| format!("{}: {}", p.path, p.message));
        let keys = self.unkeepable_key().into_iter().chain(self.unmakeable_key());
        let problems: Vec<String> = problems.chain(keys).collect();
        self.say(status, "Issuing", "False", ("InvalidSpec", problems.join("; ")));
    }

    fn say_ready(&self, status: &mut CertificateStatus) {
        let expired = self.leaf().filter(|leaf| leaf.not_after <= self.view.now);
        let (truth, reason, message) = match (&self.violation, expired) {
            (Some(violation), _) => ("False", violation.reason, violation.message.clone()),
            (None, Some(leaf)) => {
                let end = rfc3339(leaf.not_after);
                ("False", "Expired", format!("Certificate expired on {end}"))
            }
            (None, None) => {
                let message = "Certificate is up to date and has not expired".to_owned();
                ("True", "Ready", message + &self.ready_suffix())
            }
        };
        self.say(status, "Ready", truth, (reason, message));
    }

    /// What else a user wants to know of a good certificate.
    fn ready_suffix(&self) -> String {
        let Some(leaf) = self.leaf() else { return String::new() };
        if let Some(untended) = self.untended() {
            return untended;
        }
        if self.ends_with_its_ca(leaf) {
            let end = rfc3339(leaf.not_after);
            return format!("; it ends with its CA at {end} and is renewed when the CA is");
        }
        match self.material().and_then(|material| material.chain_fault.as_ref()) {
            Some(fault) => format!("; its chain does not hold together: {fault}"),
            None => String::new(),
        }
    }

    /// Why the Secret is not written again around its pair, where it should be.
    fn untended(&self) -> Option<String> {
        let failure = self.view.failure(Step::TendSecret as usize).filter(is_lasting)?;
        let reason = self.differs().unwrap_or("SecretManagedMetadataMismatch");
        let message = &failure.message;
        (!self.tended())
            .then(|| format!("; its Secret is not as it should be ({reason}): {message}"))
    }

    pub(super) fn say(
        &self,
        status: &mut CertificateStatus,
        kind: &'static str,
        truth: &'static str,
        (reason, message): (&str, String),
    ) {
        let generation = Some(self.cert.generation);
        let reason = reason.to_owned();
        let wanted = Wanted { kind, status: truth, reason, message, generation };
        set(&mut status.conditions, wanted, self.view.now);
    }
}

/// Stands before the time of the next attempt.
const NEXT_ATTEMPT: &str = "; the next is due at ";

/// Whether a failure is worth telling: a conflict is usually over in a moment.
fn is_lasting(failure: &&Failure) -> bool {
    !matches!(failure.class, FailureClass::Conflict) || failure.count > 3
}

/// Stands between what is being done and what holds it up.
const TROUBLE: &str = " [held up: ";

fn before_trouble(message: &str) -> &str {
    message.split(TROUBLE).next().unwrap_or(message)
}
