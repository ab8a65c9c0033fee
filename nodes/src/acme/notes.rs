//! Our annotations on ACME objects: small JSON texts that carry their owner's UID and are void
//! under another.
//!
//! `everleaf.dev/acme-attempt` stands on Orders, Challenges and issuers; `everleaf.dev/acme-claim`
//! on Orders; `everleaf.dev/issuer-failures` on Certificates; `everleaf.dev/acme-account` on issuers; `everleaf.dev/acme-seen` on Challenges;
//! `everleaf.dev/failure` on CertificateRequests; `everleaf.dev/renewal` on CertificateRequests
//! and Orders.

use crate::effect::rfc3339;
use crate::facts::{
    Attempt, Claim, Class, FailureNote, IssuerFailure, IssuerRef, RenewalNote, Verified,
};
use everleaf_engine::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest text of a note, in bytes; a longer one is void.
pub const MAX_NOTE: usize = 4096;
/// The longest `detail`, in bytes; the rest is cut.
pub const MAX_DETAIL: usize = 1024;

/// An instant as notes have it: RFC 3339 in whole seconds.
mod instant {
    use super::{Timestamp, rfc3339};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, ser: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => ser.serialize_str(&rfc3339(*at)),
            None => ser.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(de)? else { return Ok(None) };
        let time: everleaf_api::Time = text.parse().map_err(D::Error::custom)?;
        Ok(Some(Timestamp::from_seconds(time.unix())))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttemptNote {
    #[serde(rename = "ownerUID")]
    owner_uid: String,
    step: String,
    number: i64,
    class: Class,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    problem: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(with = "instant")]
    at: Option<Timestamp>,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inputs: Option<Digest>,
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    (text.len() <= MAX_NOTE).then(|| serde_json::from_str(text).ok())?
}

fn write(note: &impl Serialize) -> String {
    serde_json::to_string(note).unwrap_or_default()
}

/// The first `max` bytes of a text, cut between characters.
pub fn bounded(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Reads `everleaf.dev/acme-attempt`; `None` if it is broken, too long or another object's.
pub fn attempt(text: &str, uid: &str) -> Option<Attempt> {
    let note: AttemptNote = read(text)?;
    (note.owner_uid == uid).then(|| Attempt {
        step: note.step.into(),
        number: note.number.clamp(1, 1_000_000),
        class: note.class,
        reason: note.reason.into(),
        problem: note.problem.into(),
        detail: bounded(&note.detail, MAX_DETAIL).into(),
        at: note.at.unwrap_or_default(),
        not_before: note.not_before,
        inputs: note.inputs,
    })
}

/// Writes `everleaf.dev/acme-attempt` for the object with that UID.
pub fn attempt_text(attempt: &Attempt, uid: &str) -> String {
    let mut detail = bounded(&attempt.detail, MAX_DETAIL).to_owned();
    loop {
        let text = write(&AttemptNote {
            owner_uid: uid.to_owned(),
            step: attempt.step.to_string(),
            number: attempt.number,
            class: attempt.class,
            reason: bounded(&attempt.reason, 64).to_owned(),
            problem: bounded(&attempt.problem, 128).to_owned(),
            detail: detail.clone(),
            at: Some(attempt.at),
            not_before: attempt.not_before,
            inputs: attempt.inputs,
        });
        if text.len() <= MAX_NOTE || detail.is_empty() {
            return text;
        }
        // Escapes made it too long: control characters take six bytes each.
        detail.truncate(detail.floor_char_boundary(detail.len() / 2));
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimNote {
    #[serde(rename = "ownerUID")]
    owner_uid: String,
    account: String,
    #[serde(with = "instant")]
    at: Option<Timestamp>,
}

/// Reads `everleaf.dev/acme-claim`.
pub fn claim(text: &str, uid: &str) -> Option<Claim> {
    let note: ClaimNote = read(text)?;
    let at = note.at.unwrap_or_default();
    (note.owner_uid == uid).then(|| Claim { account: note.account.into(), at })
}

/// Writes `everleaf.dev/acme-claim`.
pub fn claim_text(claim: &Claim, uid: &str) -> String {
    let (owner_uid, account) = (uid.to_owned(), claim.account.to_string());
    write(&ClaimNote { owner_uid, account, at: Some(claim.at) })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifiedNote {
    #[serde(rename = "ownerUID")]
    owner_uid: String,
    spec: Digest,
    secrets: Digest,
}

/// Reads `everleaf.dev/acme-account`: what the account was verified under.
pub fn verified(text: &str, uid: &str) -> Option<Verified> {
    let note: VerifiedNote = read(text)?;
    let VerifiedNote { owner_uid, spec, secrets } = note;
    (owner_uid == uid).then_some(Verified { spec, secrets })
}

/// Writes `everleaf.dev/acme-account`.
pub fn verified_text(verified: Verified, uid: &str) -> String {
    let Verified { spec, secrets } = verified;
    write(&VerifiedNote { owner_uid: uid.to_owned(), spec, secrets })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenNote {
    #[serde(rename = "ownerUID")]
    owner_uid: String,
    #[serde(with = "instant")]
    at: Option<Timestamp>,
}

/// Reads `everleaf.dev/acme-seen`: when the self-check saw what was presented.
pub fn seen(text: &str, uid: &str) -> Option<Timestamp> {
    let note: SeenNote = read(text)?;
    if note.owner_uid == uid { note.at } else { None }
}

/// Writes `everleaf.dev/acme-seen`.
pub fn seen_text(at: Timestamp, uid: &str) -> String {
    write(&SeenNote { owner_uid: uid.to_owned(), at: Some(at) })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailedNote {
    #[serde(rename = "ownerUID")]
    owner_uid: String,
    class: Class,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
}

/// Reads `everleaf.dev/failure`.
pub fn failure(text: &str, uid: &str) -> Option<FailureNote> {
    let note: FailedNote = read(text)?;
    let FailedNote { owner_uid, class, not_before } = note;
    (owner_uid == uid).then_some(FailureNote { class, not_before })
}

/// Writes `everleaf.dev/failure`.
pub fn failure_text(note: &FailureNote, uid: &str) -> String {
    let owner_uid = uid.to_owned();
    write(&FailedNote { owner_uid, class: note.class, not_before: note.not_before })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenewalText {
    #[serde(rename = "ownerUID")]
    owner_uid: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    replaces: String,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    stored: Option<Timestamp>,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

/// Reads `everleaf.dev/renewal` of a request that the Certificate with that UID controls.
pub fn renewal(text: &str, uid: &str) -> Option<RenewalNote> {
    let note: RenewalText = read(text)?;
    (note.owner_uid == uid).then(|| renewal_of(note))
}

/// Reads `everleaf.dev/renewal` of an Order, which has it from its request: it decides only on
/// what is counted and how long failures rest.
pub fn copied_renewal(text: &str) -> Option<RenewalNote> {
    read(text).map(renewal_of)
}

fn renewal_of(note: RenewalText) -> RenewalNote {
    let window = note.start.zip(note.end).filter(|(start, end)| start < end);
    let RenewalText { replaces, stored, expires, .. } = note;
    RenewalNote { replaces: replaces.into(), window, stored, expires }
}

/// Writes `everleaf.dev/renewal` for the Certificate with that UID.
pub fn renewal_text(note: &RenewalNote, uid: &str) -> String {
    write(&RenewalText {
        owner_uid: uid.to_owned(),
        replaces: note.replaces.to_string(),
        start: note.window.map(|(start, _)| start),
        end: note.window.map(|(_, end)| end),
        stored: note.stored,
        expires: note.expires,
    })
}

/// The longest text of the failures of issuers, in bytes; a longer one is void.
const MAX_FAILURES: usize = 32_768;
/// The longest `detail` of one, in bytes; the rest is cut.
const MAX_FAILURE_DETAIL: usize = 256;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailuresText {
    #[serde(rename = "ownerUID")]
    owner_uid: String,
    failures: Vec<IssuerFailureText>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IssuerFailureText {
    issuer: String,
    revision: i64,
    attempt: i64,
    failures: i64,
    class: Class,
    #[serde(with = "instant")]
    at: Option<Timestamp>,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    detail: String,
}

/// Reads `everleaf.dev/issuer-failures` of the Certificate with that UID; nothing if it is broken,
/// too long or another object's.
pub fn issuer_failures(text: &str, uid: &str) -> Vec<IssuerFailure> {
    let note = (text.len() <= MAX_FAILURES).then(|| serde_json::from_str::<FailuresText>(text));
    let Some(Ok(note)) = note.filter(|n| n.as_ref().is_ok_and(|n| n.owner_uid == uid)) else {
        return Vec::new();
    };
    let most = everleaf_api::fallback::MAX + 1;
    note.failures.into_iter().take(most).filter_map(issuer_failure).collect()
}

fn issuer_failure(text: IssuerFailureText) -> Option<IssuerFailure> {
    let issuer = everleaf_api::fallback::one(&text.issuer)?;
    Some(IssuerFailure {
        issuer: IssuerRef {
            name: issuer.name.as_str().into(),
            kind: issuer.kind_or_default().into(),
            group: issuer.group_or_default().into(),
        },
        revision: text.revision,
        attempt: text.attempt,
        failures: text.failures.clamp(1, 1_000_000),
        class: text.class,
        at: text.at.unwrap_or_default(),
        not_before: text.not_before,
        detail: bounded(&text.detail, MAX_FAILURE_DETAIL).into(),
    })
}

/// Writes `everleaf.dev/issuer-failures` for the Certificate with that UID.
pub fn issuer_failures_text(failures: &[IssuerFailure], uid: &str) -> String {
    let one = |failure: &IssuerFailure| {
        let IssuerRef { name, .. } = &failure.issuer;
        let (group, kind) = (failure.issuer.group_or_default(), failure.issuer.kind_or_default());
        IssuerFailureText {
            issuer: format!("{group}/{kind}/{name}"),
            revision: failure.revision,
            attempt: failure.attempt,
            failures: failure.failures,
            class: failure.class,
            at: Some(failure.at),
            not_before: failure.not_before,
            detail: bounded(&failure.detail, MAX_FAILURE_DETAIL).to_owned(),
        }
    };
    let failures = failures.iter().map(one).collect();
    write(&FailuresText { owner_uid: uid.to_owned(), failures })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_note_is_void_under_another_uid_because_copies_carry_annotations() {
        let note = claim_text(&Claim { account: "a".into(), at: Timestamp::default() }, "u1");
        assert!(claim(&note, "u1").is_some());
        assert_eq!(claim(&note, "u2"), None);
        assert_eq!(seen(&seen_text(Timestamp::default(), "u1"), "u2"), None);
        let under = Verified { spec: Digest(7), secrets: Digest(8) };
        assert_eq!(verified(&verified_text(under, "u1"), "u1"), Some(under));
        assert_eq!(verified(&verified_text(under, "u1"), "u2"), None);
    }

    #[test]
    fn failures_of_issuers_are_read_as_written_and_void_under_another_uid() {
        let issuer = |name: &str| IssuerRef {
            name: name.into(),
            kind: "Issuer".into(),
            group: "cert-manager.io".into(),
        };
        let failure = |name: &str| IssuerFailure {
            issuer: issuer(name),
            revision: 2,
            attempt: 3,
            failures: 1,
            class: Class::RateLimited,
            at: Timestamp::from_seconds(5),
            not_before: Some(Timestamp::from_seconds(9)),
            detail: "\u{1}".repeat(256).into(),
        };
        let written: Vec<_> = (0..9).map(|i| failure(&format!("{}{i}", "n".repeat(250)))).collect();
        let text = issuer_failures_text(&written, "u1");
        assert_eq!(issuer_failures(&text, "u1"), written);
        assert_eq!(issuer_failures(&text, "u2"), []);
    }

    proptest! {
        #[test]
        fn an_attempt_is_read_as_written_and_never_too_long(
            detail in any::<String>(), number in 1_i64..1000, at in 0_i64..4_000_000_000,
            wait in proptest::option::of(0_i64..1_000_000),
        ) {
            let at = Timestamp::from_seconds(at);
            let written = Attempt {
                step: "new_order".into(),
                number,
                class: Class::RateLimited,
                reason: "RateLimited".into(),
                problem: "urn:ietf:params:acme:error:rateLimited".into(),
                detail: detail.as_str().into(),
                at,
                not_before: wait.map(|wait| at.plus_millis(wait * 1000)),
                inputs: Some(Digest(3)),
            };
            let text = attempt_text(&written, "uid");
            prop_assert!(text.len() <= MAX_NOTE);
            let read = attempt(&text, "uid").expect("it is as it was written");
            prop_assert!(detail.starts_with(&*read.detail));
            prop_assert_eq!(Attempt { detail: written.detail.clone(), ..read }, written);
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in any::<String>()) {
            let _ = (attempt(&text, ""), claim(&text, ""), seen(&text, ""), failure(&text, ""));
            let _ = issuer_failures(&text, "");
        }
    }
}
