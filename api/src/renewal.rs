//! When a certificate is to be renewed.

use crate::cron::Schedule;
use crate::time::Time;
use crate::types::certificate::{
    CertificateRenewal, CertificateRenewalWindow, CertificateSpec, RenewalPolicy,
};

/// The windows of a Certificate could not be kept. The certificate is to be renewed all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// No window opens between the desired time and the certificate's expiry.
    #[error(
        "no renewal window opens between {desired} and the expiry at {not_after}; renewing at \
        {desired}: widen a window, or renew earlier"
    )]
    NoneFits {
        /// When it is to be renewed.
        desired: Time,
        /// When the certificate expires.
        not_after: Time,
    },
    /// A window cannot be read.
    #[error("spec.renewal.windows[{index}] cannot be used ({reason}); renewing at {desired}")]
    Unusable {
        /// When it is to be renewed.
        desired: Time,
        /// Which window, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl WindowError {
    /// When the certificate is to be renewed in spite of the error.
    #[must_use]
    pub const fn desired(&self) -> Time {
        match self {
            Self::NoneFits { desired, .. } | Self::Unusable { desired, .. } => *desired,
        }
    }
}

/// When a certificate of this validity is to be renewed; `None` if never.
///
/// `renewBefore` counts if it is positive and shorter than the validity, else
/// `renewBeforePercentage` if it is between 1 and 99, else a third of the validity remains. Windows
/// can put the renewal off, but, unlike cert-manager's, never to the expiry or beyond.
pub fn renewal_time(
    not_before: Time,
    not_after: Time,
    spec: &CertificateSpec,
) -> Result<Option<Time>, WindowError> {
    let desired = desired_time(not_before, not_after, spec);
    match &spec.renewal {
        None => Ok(Some(desired)),
        Some(renewal) => within_windows(desired, not_before, not_after, renewal),
    }
}

/// The time at which renewal is due by the spec alone, windows aside, cut to the second.
#[must_use]
pub fn desired_time(not_before: Time, not_after: Time, spec: &CertificateSpec) -> Time {
    const SECOND: i128 = 1_000_000_000;
    let lifetime = i128::from(not_after.seconds_since(not_before)) * SECOND;
    let before = spec.renew_before.as_ref().map(|d| i128::from(d.nanos()));
    let before = before.filter(|before| *before > 0 && *before < lifetime);
    let percent = spec.renew_before_percentage.filter(|percent| (1..100).contains(percent));
    let remaining = match (before, percent) {
        (Some(before), _) => before,
        (None, Some(percent)) => lifetime * i128::from(percent) / 100,
        (None, None) => lifetime / 3,
    };
    let at = (i128::from(not_after.unix()) * SECOND - remaining).div_euclid(SECOND);
    Time::clamped(i64::try_from(at).unwrap_or(not_after.unix()))
}

/// A desired renewal time (from the spec, or from the CA) brought into the windows.
///
/// `None` if the policy is `Disabled`. A desired time inside any window stays; otherwise the first
/// window that opens after it and before `not_after` counts.
pub fn within_windows(
    desired: Time,
    not_before: Time,
    not_after: Time,
    renewal: &CertificateRenewal,
) -> Result<Option<Time>, WindowError> {
    if renewal.policy == Some(RenewalPolicy::Disabled) {
        return Ok(None);
    }
    if renewal.windows.is_empty() {
        return Ok(Some(desired));
    }
    let mut best: Option<Time> = None;
    for (index, window) in renewal.windows.iter().enumerate() {
        let unusable = |reason| WindowError::Unusable { desired, index, reason };
        let found = Window::read(window).map_err(unusable)?.earliest(desired, not_before);
        best = best.into_iter().chain(found).min();
    }
    match best.filter(|at| *at < not_after || *at == desired) {
        Some(at) => Ok(Some(at)),
        None => Err(WindowError::NoneFits { desired, not_after }),
    }
}

struct Window {
    opens: Schedule,
    seconds: i64,
}

impl Window {
    fn read(window: &CertificateRenewalWindow) -> Result<Self, String> {
        let zone = window.timezone.as_deref().unwrap_or_default();
        let opens = Schedule::parse(&window.cron, zone).map_err(|e| e.to_string())?;
        let seconds = window.window_duration.as_ref().map_or(0, |d| d.seconds());
        if seconds <= 0 {
            return Err("windowDuration must be at least 1s".into());
        }
        Ok(Self { opens, seconds })
    }

    /// The desired time if the window is open then, else when it opens next.
    fn earliest(&self, desired: Time, not_before: Time) -> Option<Time> {
        // A window that closes at the very second still counts, as it does for cert-manager.
        let since = if self.opens.is_unanchored() {
            not_before.plus_seconds(-self.seconds)
        } else {
            desired.plus_seconds(-self.seconds)
        };
        let opened = self.opens.next_after(since.plus_seconds(-1));
        if opened.is_some_and(|opened| opened <= desired) {
            return Some(desired);
        }
        self.opens.next_after(desired.plus_seconds(-1))
    }
}

#[cfg(test)]
mod tests;
