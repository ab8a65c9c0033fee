//! Which of the listed issuers is asked: the first, unless it failed in a way that another need
//! not share; and what the status says of one that stands in.
//!
//! Each issuer climbs a ladder of its own, by the class of its last failure, so the list adds no
//! attempt that one of them alone would not be worth. What failed where stands in an annotation of
//! the Certificate, written before the attempt is counted; the issuer of an attempt in progress is
//! that of its request.

use super::status::{Failed, failure_of};
use super::{Case, Request, issuer_of};
use crate::acme::notes;
use crate::effect::{Event, Strings, rfc3339};
use crate::facts::{
    CertificateFacts, CertificateStatus, Class, Condition, FailureNote, IssuerFacts, IssuerFailure,
    IssuerRef, SecretFacts, condition,
};
use crate::status::remove;
use everleaf_api::names;
use everleaf_engine::Timestamp;

/// The condition that says that another issuer than the first one serves.
const CONDITION: &str = "FallbackIssuer";
/// Stands before the time at which the first issuer is asked again.
const AGAIN: &str = "; the first is asked again ";
/// The longest part of a failure's message that is kept, in bytes.
const MAX_DETAIL: usize = 256;
/// An issuer that is not well is asked so often before the next one is.
const TRANSIENT_TRIES: i64 = 2;

/// The issuer to ask, and when; `None` if only somebody's change can help.
pub(super) struct Pick<'a> {
    pub issuer: &'a IssuerRef,
    pub at: Option<Timestamp>,
}

/// What an issuer's last failure means for it.
enum Standing {
    /// It may be asked.
    Free,
    /// It rests; if it `holds`, those after it are not asked meanwhile.
    Rests { until: Option<Timestamp>, holds: bool },
}

/// What keeps a request from its answer, and since when that is reason enough to ask another.
struct Holdup {
    since: Timestamp,
    note: FailureNote,
    reason: &'static str,
    message: String,
}

/// The listed issuer that a Secret says it came from; the first if it names none of them.
pub(super) fn served<'a>(
    cert: &'a CertificateFacts,
    secret: Option<&SecretFacts>,
) -> &'a IssuerRef {
    let Some(secret) = secret.filter(|_| !cert.fallbacks.is_empty()) else { return &cert.issuer };
    let said = |name: &str| secret.annotation(name).unwrap_or_default().into();
    let (name, kind, group) = (said("issuer-name"), said("issuer-kind"), said("issuer-group"));
    cert.listed(&IssuerRef { name, kind, group }).unwrap_or(&cert.issuer)
}

/// An issuer as people say it.
fn text(issuer: &IssuerRef) -> String {
    let (kind, name) = (issuer.kind_or_default(), &issuer.name);
    if issuer.is_ours() {
        format!("{kind} {name:?}")
    } else {
        format!("{kind}.{} {name:?}", issuer.group_or_default())
    }
}

/// An issuer as lists have it, defaults applied.
fn entry(issuer: &IssuerRef) -> String {
    format!("{}/{}/{}", issuer.group_or_default(), issuer.kind_or_default(), issuer.name)
}

fn is_ready(issuer: &IssuerFacts) -> bool {
    condition(&issuer.conditions, "Ready").is_some_and(Condition::is_true)
}

fn find<'f>(failures: &'f [IssuerFailure], issuer: &IssuerRef) -> Option<&'f IssuerFailure> {
    failures.iter().find(|failure| failure.issuer.same(issuer))
}

/// Whether an issuer that failed so is asked again before the next one is.
fn holds(failure: &IssuerFailure) -> bool {
    let passing = match failure.class {
        Class::Transient => true,
        Class::RateLimited => failure.not_before.is_none(),
        Class::Wait | Class::User | Class::Paused => false,
    };
    passing && failure.failures < TRANSIENT_TRIES
}

impl<'a> Case<'a> {
    pub(super) fn has_fallbacks(&self) -> bool {
        !self.cert.fallbacks.is_empty()
    }

    /// The issuer of the attempt in progress, else that of the next one.
    pub(super) fn find_turn(&self) -> &'a IssuerRef {
        let first = &self.cert.issuer;
        if !self.has_fallbacks() {
            return first;
        }
        let asked = self.next_request();
        let asked = asked.filter(|it| self.is_of_this_spec(it) && !self.is_over(it));
        if let Some(issuer) = asked.and_then(|it| self.cert.listed(&it.facts.issuer)) {
            return issuer;
        }
        let forced = self.is_forced();
        let pick = self.pick(&self.failures_to_be());
        let due = pick.at.is_some_and(|at| at <= self.view.now);
        if due || !forced { pick.issuer } else { first }
    }

    /// The failures in a row on the way to the next revision.
    fn counted(&self) -> i64 {
        if self.has_news() { 0 } else { self.cert.status.failed_attempts.unwrap_or(0) }
    }

    /// Whether the annotation knows the failure that the status counted last. One more than is
    /// counted is what was about to be counted when a process ended.
    fn knows_its_failures(&self) -> bool {
        let (next, counted) = (self.revision() + 1, self.counted());
        let last = |failure: &IssuerFailure| {
            failure.revision == next && (0..=1).contains(&(failure.attempt - counted))
        };
        counted == 0 || self.cert.issuer_failures.iter().any(last)
    }

    /// What failed where. Entries that are not of the attempts that the status counts have
    /// revision 0: of them only a rate limit still tells anything.
    pub(super) fn failures(&self) -> Vec<IssuerFailure> {
        let (next, counted) = (self.revision() + 1, self.counted());
        let told = &self.cert.issuer_failures;
        let listed = told.iter().filter(|failure| self.cert.listed(&failure.issuer).is_some());
        let of_run = |failure: &IssuerFailure| {
            failure.revision == next && (1..=counted).contains(&failure.attempt)
        };
        let mut all: Vec<_> = listed.cloned().collect();
        for failure in all.iter_mut().filter(|failure| !of_run(failure)) {
            failure.revision = 0;
        }
        if !self.knows_its_failures() {
            self.guess(&mut all);
        }
        all
    }

    /// What to go by where the status counts a failure that the annotation does not know: it was
    /// taken away, or issuers were listed only then. If others were asked already, all rest, so
    /// that whoever takes annotations away cannot make attempts follow each other unpaced.
    fn guess(&self, all: &mut Vec<IssuerFailure>) {
        let (counted, note) = (self.counted(), self.recorded_note());
        let others = condition(&self.cert.status.conditions, CONDITION).is_some();
        for issuer in self.cert.issuers().take(if others { usize::MAX } else { 1 }) {
            all.retain(|failure| !failure.issuer.same(issuer));
            all.push(IssuerFailure {
                issuer: issuer.clone(),
                revision: self.revision() + 1,
                attempt: counted,
                failures: counted,
                class: note.class,
                at: self.cert.status.last_failure.unwrap_or(self.view.now),
                not_before: note.not_before,
                detail: "".into(),
            });
        }
    }

    /// The same with the failure that is not written down yet, if there is one.
    pub(super) fn failures_to_be(&self) -> Vec<IssuerFailure> {
        let mut all = self.failures();
        if let (Some(request), Some(failed)) = (self.next_request(), self.unrecorded_failure()) {
            self.add(&mut all, &request, &failed);
        }
        all
    }

    fn add(&self, all: &mut Vec<IssuerFailure>, request: &Request<'_>, failed: &Failed) {
        let Some(issuer) = self.cert.listed(&request.facts.issuer) else { return };
        let revision = self.revision() + 1;
        let attempt = request.facts.attempt.unwrap_or_else(|| self.attempt());
        let before = find(all, issuer).filter(|f| f.revision == revision).map_or(0, |f| f.failures);
        let same = |f: &&IssuerFailure| f.revision == revision && f.attempt == attempt;
        let written = find(&self.cert.issuer_failures, issuer).filter(same).map(|f| f.failures);
        let failures = written.unwrap_or(before + 1);
        let given_up = failure_of(self, request).is_none() && failed.note.class == Class::Transient;
        let at = failed.at.unwrap_or(self.view.now).min(self.view.now);
        let failure = IssuerFailure {
            issuer: issuer.clone(),
            revision,
            attempt,
            // An Order that was in vain has been tried several times.
            failures: if given_up { failures.max(TRANSIENT_TRIES) } else { failures },
            class: failed.note.class,
            at: Timestamp::from_seconds(at.as_seconds()),
            not_before: failed.note.not_before,
            detail: notes::bounded(&failed.message, MAX_DETAIL).into(),
        };
        all.retain(|failure| !failure.issuer.same(issuer));
        all.push(failure);
    }

    fn standing(&self, issuer: &IssuerRef, failures: &[IssuerFailure]) -> Standing {
        let Some(failure) = find(failures, issuer) else { return Standing::Free };
        let note = FailureNote { class: failure.class, not_before: failure.not_before };
        // A time in the future was written by a clock that was wrong.
        let ahead = self.is_ahead(failure.at);
        if failure.revision != self.revision() + 1 {
            let limited = failure.class == Class::RateLimited && note.not_before.is_some();
            if !limited || ahead || self.is_forced() {
                return Standing::Free;
            }
            return Standing::Rests { until: note.not_before, holds: false };
        }
        let now = self.view.now;
        let told = self.cert.status.last_failure.unwrap_or(now).min(now);
        let at = if ahead { told } else { failure.at };
        let until = self.attempt_after(at, failure.failures, &note);
        Standing::Rests { until, holds: holds(failure) }
    }

    /// The first issuer that may be asked now, else the one that may be asked soonest.
    pub(super) fn pick(&self, failures: &[IssuerFailure]) -> Pick<'a> {
        let mut soonest = Pick { issuer: &self.cert.issuer, at: None };
        for issuer in self.cert.issuers() {
            let (until, holds) = match self.standing(issuer, failures) {
                Standing::Free => (Some(Timestamp::default()), true),
                Standing::Rests { until, holds } => (until, holds),
            };
            if let Some(at) = until {
                if at <= self.view.now {
                    return Pick { issuer, at: until };
                }
                if soonest.at.is_none_or(|other| at < other) {
                    soonest = Pick { issuer, at: until };
                }
            }
            if holds {
                break;
            }
        }
        soonest
    }

    /// Whether a request was given up for another issuer, and that is written down. An answer
    /// that came all the same is taken.
    pub(super) fn is_given_up(&self, request: &Request<'_>) -> bool {
        let told = request.facts.attempt.is_some_and(|attempt| self.counted() >= attempt);
        self.has_fallbacks() && told && !request.is_issued()
    }

    /// Whether nothing is expected of a request any more, where another issuer may be asked.
    pub(super) fn is_over(&self, request: &Request<'_>) -> bool {
        self.has_fallbacks()
            && (self.is_given_up(request)
                || failure_of(self, request).is_some()
                || self.passed_over(request).is_some())
    }

    /// When the attempt in progress is given up for another issuer, as things stand.
    pub(super) fn end_of_turn(&self) -> Option<Timestamp> {
        let request = self.next_request().filter(|_| self.has_fallbacks())?;
        let open = self.is_of_this_spec(&request) && !self.is_given_up(&request);
        Some(self.turn_of(&request).filter(|_| open)?.0)
    }

    /// Why a request without an answer is given up now, if it is.
    pub(super) fn passed_over(&self, request: &Request<'_>) -> Option<Failed> {
        self.turn_of(request).filter(|(at, _)| *at <= self.view.now).map(|(_, failed)| failed)
    }

    fn turn_of(&self, request: &Request<'_>) -> Option<(Timestamp, Failed)> {
        if !self.has_fallbacks() || request.is_issued() || failure_of(self, request).is_some() {
            return None;
        }
        let Holdup { since, note, reason, message } = self.holdup(request)?;
        let failed = Failed { reason: reason.to_owned(), message, at: Some(since), note };
        let mut failures = self.failures();
        self.add(&mut failures, request, &failed);
        let next = self.pick(&failures);
        if next.issuer.same(&request.facts.issuer) {
            return None;
        }
        let at = next.at?.max(since);
        let patience = self.program.settings.certificate.fallback_patience;
        let worth = failed.note.not_before.is_none_or(|over| over.since(at) > patience);
        worth.then_some((at, failed))
    }

    fn holdup(&self, request: &Request<'_>) -> Option<Holdup> {
        self.resting_order(request).or_else(|| self.unready_issuer(request))
    }

    /// The request's Order rests: it met a rate limit, or a CA that is not well.
    fn resting_order(&self, request: &Request<'_>) -> Option<Holdup> {
        let pending = request.ready().filter(|ready| *ready.reason == *"Pending")?;
        let note = request.facts.failure_note.clone()?;
        let rests = note.not_before.is_some_and(|at| at > self.view.now);
        let reason = match note.class {
            Class::RateLimited => "RateLimited",
            Class::Transient => "Unavailable",
            Class::Wait | Class::User | Class::Paused => return None,
        };
        let (since, message) = (request.facts.created, pending.message.to_string());
        rests.then_some(Holdup { since, note, reason, message })
    }

    /// The request's issuer is missing or not Ready.
    fn unready_issuer(&self, request: &Request<'_>) -> Option<Holdup> {
        let reference =
            self.cert.listed(&request.facts.issuer).filter(|issuer| issuer.is_ours())?;
        let issuer = issuer_of(self.view, reference);
        if issuer.is_some_and(is_ready) {
            return None;
        }
        let ready = issuer.and_then(|issuer| condition(&issuer.conditions, "Ready"));
        let since = ready.and_then(|ready| ready.at).unwrap_or_default().max(request.facts.created);
        let message = match (issuer, ready) {
            (None, _) => "there is no such issuer".to_owned(),
            (Some(_), Some(ready)) => format!("it is not Ready: {}", ready.message),
            (Some(_), None) => "it is not Ready".to_owned(),
        };
        Some(Holdup {
            since: since.plus_millis(self.grace(since)),
            note: FailureNote { class: Class::Wait, not_before: None },
            reason: "NotReady",
            message,
        })
    }

    fn grace(&self, since: Timestamp) -> i64 {
        let settings = &self.program.settings.certificate;
        let Some(leaf) = self.leaf() else { return settings.fallback_grace };
        let share = leaf.not_after.since(since).max(0) / settings.valid_share.max(1);
        settings.fallback_grace.min(share).max(settings.issuer_grace)
    }

    /// Tells a request that its Certificate lists other issuers.
    pub(super) fn tell_of_fallbacks(&self, annotations: &mut Strings) {
        let key = names::everleaf::ISSUER_FALLBACKS;
        annotations.remove(key);
        if self.has_fallbacks() {
            let all: Vec<String> = self.cert.fallbacks.iter().map(entry).collect();
            annotations.insert(key.into(), all.join(",").into());
        }
    }

    /// Says which issuer serves, or is asked, instead of the first.
    pub(super) fn say_fallback(&self, status: &mut CertificateStatus) {
        let failures = if self.has_fallbacks() { self.failures_to_be() } else { Vec::new() };
        let first = &self.cert.issuer;
        let next = self.revision() + 1;
        let failed = find(&failures, first).is_some_and(|failure| failure.revision == next);
        let trying = failed && self.wants_issuance();
        if trying && !self.knows_its_failures() {
            // What is guessed is not told.
            return;
        }
        let other = if trying { self.turn } else { self.served };
        let nobody = !trying && self.leaf().is_none();
        if !other.same(first) && !nobody {
            let (reason, message) = self.stand_in(other, find(&failures, first), trying);
            self.say(status, CONDITION, "True", (reason, message));
        } else if !trying {
            remove(&mut status.conditions, CONDITION);
        }
    }

    fn stand_in(
        &self,
        other: &IssuerRef,
        failure: Option<&IssuerFailure>,
        trying: bool,
    ) -> (&'static str, String) {
        let first = &self.cert.issuer;
        let (reason, why) = failure.map_or_else(
            || ("NotFirst", "which was not asked for this certificate".to_owned()),
            why,
        );
        let failures: Vec<IssuerFailure> = failure.cloned().into_iter().collect();
        let again = match self.standing(first, &failures) {
            _ if !trying => "at the next renewal".to_owned(),
            Standing::Rests { until: Some(until), .. } => {
                format!("at {} if no certificate was issued by then", rfc3339(until))
            }
            Standing::Rests { until: None, .. } | Standing::Free => {
                "at the next renewal".to_owned()
            }
        };
        let (other, first) = (text(other), text(first));
        (reason, format!("{other} stands in for {first}, {why}{AGAIN}{again}"))
    }

    /// Tells once that another issuer stands in, and why.
    pub(super) fn fallback_event(&self, is: &CertificateStatus) -> Option<Event> {
        let stem = |condition: &Condition| {
            condition.message.split(AGAIN).next().unwrap_or_default().to_owned()
        };
        let said = condition(&is.conditions, CONDITION)?;
        let told = condition(&self.cert.status.conditions, CONDITION).map(stem);
        (told.as_ref() != Some(&stem(said))).then(|| Event::warning(CONDITION, stem(said)))
    }
}

/// The condition's reason, and what the first issuer did.
fn why(failure: &IssuerFailure) -> (&'static str, String) {
    let until = failure.not_before.map(|at| format!(" until {}", rfc3339(at))).unwrap_or_default();
    let (reason, what) = match failure.class {
        Class::RateLimited => ("RateLimited", format!("which met a rate limit{until}")),
        Class::Paused => ("Paused", "whose CA paused the account or a name".to_owned()),
        Class::Transient => ("Unavailable", "which failed on the other side".to_owned()),
        Class::User => ("Rejected", "which failed in a way that somebody has to mend".to_owned()),
        Class::Wait => ("NotReady", "which cannot be asked".to_owned()),
    };
    if failure.detail.is_empty() {
        return (reason, what);
    }
    (reason, format!("{what}: {}", failure.detail))
}
