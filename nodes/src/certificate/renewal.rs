//! When a certificate is renewed, and when a failed attempt is made again.

use super::{Case, Condition};
use crate::facts::{Class, FailureNote, Leaf};
use everleaf_api::renewal::within_windows;
use everleaf_api::types::certificate::{CertificateRenewal, CertificateRenewalWindow};
use everleaf_api::{GoDuration, Time};
use everleaf_engine::{Timestamp, digest_of};

impl Case<'_> {
    /// When the stored certificate is to be renewed; `None` for never.
    pub(super) fn renewal_time(&self) -> Option<Timestamp> {
        self.renewal_plan().0
    }

    /// Why no renewal window fits, where there are windows and none does.
    pub(super) fn window_error(&self) -> Option<String> {
        self.renewal_plan().1
    }

    fn renewal_plan(&self) -> (Option<Timestamp>, Option<String>) {
        let Some(leaf) = self.leaf().filter(|_| !self.cert.renewal.disabled) else {
            return (None, None);
        };
        if self.ends_with_its_ca(leaf) {
            return (None, None);
        }
        let desired = self.suggested(leaf).unwrap_or_else(|| self.own_time(leaf));
        if self.cert.renewal.windows.is_empty() {
            return (Some(desired), None);
        }
        let time = |at: Timestamp| Time::clamped(at.as_seconds());
        let (begin, end) = (time(leaf.not_before), time(leaf.not_after));
        match within_windows(time(desired), begin, end, &self.windows()) {
            Ok(at) => (at.map(|at| Timestamp::from_seconds(at.unix())), None),
            Err(error) => (Some(desired), Some(error.to_string())),
        }
    }

    fn windows(&self) -> CertificateRenewal {
        let windows =
            self.cert.renewal.windows.iter().map(|(cron, zone, ms)| CertificateRenewalWindow {
                cron: cron.to_string(),
                timezone: (!zone.is_empty()).then(|| zone.to_string()),
                window_duration: Some(GoDuration::from_nanos(ms.saturating_mul(1_000_000))),
            });
        CertificateRenewal { policy: None, windows: windows.collect() }
    }

    /// When it is renewed without a suggestion of its CA.
    pub(super) fn own_time(&self, leaf: &Leaf) -> Timestamp {
        self.paced(leaf, self.desired(leaf).max(self.turn_after_ca(leaf)))
    }

    /// renewBefore, else its percentage of the issued lifetime, else a share of it, before the end.
    fn desired(&self, leaf: &Leaf) -> Timestamp {
        let lifetime = lifetime(leaf);
        let wish = &self.cert.renewal;
        let before = wish.renew_before_ms.filter(|ms| 0 < *ms && *ms < lifetime);
        let share = wish.percentage.filter(|percent| 0 < *percent && *percent < 100);
        let share = share.map(|percent| lifetime / 100 * i64::from(percent));
        let divisor = self.program.settings.certificate.renewal_divisor.max(1);
        let before = before.or(share).unwrap_or(lifetime / divisor);
        Timestamp::from_seconds(leaf.not_after.plus_millis(-before).as_seconds())
    }

    /// No sooner after it was stored than the floor, but before its end in any case.
    fn paced(&self, leaf: &Leaf, desired: Timestamp) -> Timestamp {
        let settings = &self.program.settings.certificate;
        let share = lifetime(leaf) / settings.renewal_floor_share.max(1);
        let before_the_end = leaf.not_after.plus_millis(-1000);
        desired.max(self.earliest(leaf, settings.renewal_floor.max(share))).min(before_the_end)
    }

    /// So long after it was stored, or when a third of what is left then is left.
    pub(super) fn earliest(&self, leaf: &Leaf, floor: i64) -> Timestamp {
        let stored = self.stored_at(leaf);
        let late = leaf.not_after.plus_millis(-(leaf.not_after.since(stored).max(0) / 3));
        stored.plus_millis(floor).min(late)
    }

    /// When the stored leaf was got, as far as is known.
    pub(super) fn stored_at(&self, leaf: &Leaf) -> Timestamp {
        let skew = self.program.settings.certificate.skew;
        let request = self.current_request();
        let answered = request.and_then(|r| r.ready().and_then(|ready: &Condition| ready.at));
        // An answer in the future was written by a clock that was wrong.
        let answered = answered.filter(|at| *at <= self.view.now.plus_millis(skew));
        answered.unwrap_or(leaf.not_before).max(leaf.not_before)
    }

    /// A CA that was renewed makes every leaf due that had been clamped to its end; each gets a
    /// moment of its own after the CA's beginning.
    fn turn_after_ca(&self, leaf: &Leaf) -> Timestamp {
        let settings = &self.program.settings.certificate;
        let after = |ca: &&Leaf| ca.not_before > leaf.not_before && ca.not_after > leaf.not_after;
        let Some(ca) = self.ca.filter(|ca| after(ca) && self.is_short(leaf)) else {
            return leaf.not_before;
        };
        let left = leaf.not_after.since(ca.not_before).max(0) / settings.valid_share.max(1);
        let spread = left.min(settings.ca_change_spread);
        let seed = i64::try_from(digest_of(&self.view.object.uid).0 % 1000).unwrap_or(0);
        ca.not_before.plus_millis(spread / 1000 * seed)
    }

    /// Whether a leaf lives less long than was asked for, by more than a moment.
    fn is_short(&self, leaf: &Leaf) -> bool {
        let settings = &self.program.settings.certificate;
        let asked = self.cert.duration.as_ref().map_or(settings.default_duration, |(_, ms)| *ms);
        let tolerated = i64::from(settings.clamp_tolerance);
        leaf.not_after.since(leaf.not_before) < asked - asked / 100 * tolerated
    }

    /// Whether the certificate was clamped to the end of its CA, and the CA is still the same: it
    /// is renewed when the CA is, not in ever shorter steps.
    pub(super) fn ends_with_its_ca(&self, leaf: &Leaf) -> bool {
        // A leaf asked for in the same moment as its CA loses a second and is renewed as any other.
        let short = self.is_short(leaf);
        let clamped = |ca: &Leaf| ca.not_after == leaf.not_after && short;
        // A CA that renews itself is not its own leaf.
        self.ca.is_some_and(|ca| clamped(ca) && ca.digest != leaf.digest)
    }

    /// The next attempt after the failure that the status tells of.
    pub(super) fn backoff_end(&self) -> Option<Timestamp> {
        // A time in the future was written by a clock that was wrong; the status is put right, and
        // the ladder is waited out from now.
        let failed = self.cert.status.last_failure?;
        let failed = if self.is_ahead(failed) { self.view.now } else { failed };
        if self.has_fallbacks() {
            return self.pick(&self.failures()).at.map(|at| at.max(failed));
        }
        let failures = self.cert.status.failed_attempts.unwrap_or(1);
        self.attempt_after(failed, failures, &self.recorded_note())
    }

    /// Whether a time of the past lies in the future.
    pub(super) fn is_ahead(&self, at: Timestamp) -> bool {
        at > self.view.now.plus_millis(self.program.settings.certificate.skew)
    }

    /// The attempt after the `failures`th failure in a row, which was at `failed`; `None` if none
    /// follows by itself.
    pub(super) fn attempt_after(
        &self,
        failed: Timestamp,
        failures: i64,
        note: &FailureNote,
    ) -> Option<Timestamp> {
        let settings = &self.program.settings.certificate;
        let ladder = match (note.class, note.not_before) {
            (Class::Paused, _) => return None,
            // What the CA said, exactly; it is no rung of a ladder.
            (Class::RateLimited, Some(at)) => return Some(at.max(failed)),
            (Class::Transient | Class::Wait | Class::RateLimited, _) => transient_ladder(
                (settings.transient_first, settings.transient_factor, settings.transient_ceiling),
                failures,
            ),
            (Class::User, _) => {
                let doublings = u32::try_from(failures.clamp(1, 40) - 1).unwrap_or(0);
                let gap = settings.user_error_first.saturating_mul(1_i64 << doublings.min(30));
                gap.min(settings.user_error_ceiling)
            }
        };
        let gap = ladder.min(self.longest_rest(failed, note.class));
        let seed = digest_of(&(&self.view.object.uid, failures)).0 % 1000;
        let jitter = gap / 100 * i64::from(settings.backoff_jitter) / 1000;
        Some(failed.plus_millis(gap - jitter * i64::try_from(seed).unwrap_or(0)))
    }

    /// The longest back-off after a failure at that time. While a leaf is valid it leaves room for
    /// more attempts in the time left; once a leaf has expired it is no longer than a share of the
    /// life that is missed, for a ladder that was climbed in minutes is not waited out in days.
    fn longest_rest(&self, failed: Timestamp, class: Class) -> i64 {
        let settings = &self.program.settings.certificate;
        let Some(leaf) = self.leaf() else { return i64::MAX };
        let life = lifetime(leaf);
        let left = leaf.not_after.since(failed);
        if left <= 0 {
            let first = match class {
                Class::User => settings.user_error_first,
                _ => settings.transient_first,
            };
            return (life / settings.valid_share.max(1)).max(first);
        }
        let short = (life / settings.life_share.max(1)).max(settings.life_share_floor);
        let floor = settings.valid_share_floor.max(settings.user_error_first).min(short);
        (left / settings.valid_share.max(1)).max(floor)
    }

    /// Until when an issuance in progress is not worth a status write.
    pub(super) fn quiet_end(&self) -> Option<Timestamp> {
        let settings = &self.program.settings.certificate;
        let request = self.next_request().map(|request| request.facts.created);
        let answer = request.map(|since| since.plus_millis(settings.quiet_for));
        let coming = self.issuer_may_come().then_some(self.cert.created);
        answer.or(coming.map(|since| since.plus_millis(settings.issuer_grace)))
    }
}

/// How long a leaf lives, in milliseconds.
pub(super) fn lifetime(leaf: &Leaf) -> i64 {
    leaf.not_after.since(leaf.not_before).max(0)
}

/// The gap after the `failures`th failure of the other side in a row: first, times a factor each
/// time, at most the ceiling.
fn transient_ladder((first, factor, ceiling): (i64, i64, i64), failures: i64) -> i64 {
    let steps = u32::try_from(failures.clamp(1, 40) - 1).unwrap_or(0);
    factor.max(1).saturating_pow(steps).saturating_mul(first).min(ceiling)
}
