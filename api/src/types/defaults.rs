//! What holds where a field is absent. Never written back: cert-manager does not persist it either.

use super::acme::{AcmeIssuer, RenewalInformationSource};
use super::certificate::{
    CertificateSpec, PrivateKeyAlgorithm, PrivateKeyEncoding, RotationPolicy,
};
use super::issuer::IssuerSpec;
use super::order::AcmeState;
use super::reference::{IssuerRef, SecretKeySelector};
use crate::duration::GoDuration;
use crate::kinds::GROUP;

/// The validity of a certificate that asks for none: 90 days.
pub const DEFAULT_DURATION: GoDuration = GoDuration::from_hours(2160);
/// The shortest validity that may be asked for.
pub const MINIMUM_DURATION: GoDuration = GoDuration::from_hours(1);
/// The shortest `renewBefore` that may be asked for.
pub const MINIMUM_RENEW_BEFORE: GoDuration = GoDuration::from_seconds(300);

impl IssuerRef {
    /// The kind, `Issuer` where none is given.
    #[must_use]
    pub fn kind_or_default(&self) -> &str {
        self.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("Issuer")
    }

    /// The group, `cert-manager.io` where none is given.
    #[must_use]
    pub fn group_or_default(&self) -> &str {
        self.group.as_deref().filter(|group| !group.is_empty()).unwrap_or(GROUP)
    }

    /// Whether the issuer is one of this API's own kinds, or at least of its group.
    #[must_use]
    pub fn is_own_group(&self) -> bool {
        self.group_or_default() == GROUP
    }

    /// Whether both name the same issuer, defaults applied.
    #[must_use]
    pub fn refers_to_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.kind_or_default() == other.kind_or_default()
            && self.group_or_default() == other.group_or_default()
    }
}

impl SecretKeySelector {
    /// The key, or this one where none is given.
    #[must_use]
    pub fn key_or<'a>(&'a self, default: &'a str) -> &'a str {
        self.key.as_deref().filter(|key| !key.is_empty()).unwrap_or(default)
    }
}

impl CertificateSpec {
    /// The validity to ask for, 90 days where none is given.
    #[must_use]
    pub fn duration_or_default(&self) -> GoDuration {
        self.duration.clone().unwrap_or(DEFAULT_DURATION)
    }

    /// The kind of the private key, RSA where none is given.
    #[must_use]
    pub fn key_algorithm(&self) -> PrivateKeyAlgorithm {
        let key = self.private_key.as_ref();
        key.and_then(|key| key.algorithm).unwrap_or(PrivateKeyAlgorithm::Rsa)
    }

    /// The size of the private key in bits: RSA 2048 and ECDSA 256 where none is given; `None` for
    /// Ed25519, which has only one.
    #[must_use]
    pub fn key_size(&self) -> Option<i64> {
        let given = self.private_key.as_ref().and_then(|key| key.size).filter(|size| *size != 0);
        match self.key_algorithm() {
            PrivateKeyAlgorithm::Rsa => Some(given.unwrap_or(2048)),
            PrivateKeyAlgorithm::Ecdsa => Some(given.unwrap_or(256)),
            PrivateKeyAlgorithm::Ed25519 => None,
        }
    }

    /// The encoding of `tls.key`, PKCS#1 where none is given.
    #[must_use]
    pub fn key_encoding(&self) -> PrivateKeyEncoding {
        let key = self.private_key.as_ref();
        key.and_then(|key| key.encoding).unwrap_or(PrivateKeyEncoding::Pkcs1)
    }

    /// Whether each issuance has a new key, `Always` where nothing is said.
    #[must_use]
    pub fn rotation_policy(&self) -> RotationPolicy {
        let key = self.private_key.as_ref();
        key.and_then(|key| key.rotation_policy).unwrap_or(RotationPolicy::Always)
    }

    /// How many CertificateRequests to keep, 1 where none is given.
    #[must_use]
    pub fn revision_history_limit_or_default(&self) -> i32 {
        self.revision_history_limit.unwrap_or(1)
    }

    /// Whether the usages stand in the signing request, which they do unless told otherwise.
    #[must_use]
    pub fn encodes_usages(&self) -> bool {
        self.encode_usages_in_request.unwrap_or(true)
    }
}

impl AcmeIssuer {
    /// Where renewal times come from, the CA where nothing is said.
    #[must_use]
    pub fn renewal_information_source_or_default(&self) -> RenewalInformationSource {
        self.renewal_information_source.unwrap_or(RenewalInformationSource::Ari)
    }
}

/// Which of the five an issuer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IssuerType {
    /// An ACME server.
    Acme,
    /// A CA in a Secret.
    Ca,
    /// HashiCorp Vault.
    Vault,
    /// Self-signed.
    SelfSigned,
    /// A CyberArk certificate manager.
    Venafi,
}

impl IssuerSpec {
    /// Which of the five it is; `None` if none is set. If several are, which the webhook refuses,
    /// the first in the order of [`IssuerType`] counts, as with cert-manager.
    #[must_use]
    pub const fn issuer_type(&self) -> Option<IssuerType> {
        if self.acme.is_some() {
            Some(IssuerType::Acme)
        } else if self.ca.is_some() {
            Some(IssuerType::Ca)
        } else if self.vault.is_some() {
            Some(IssuerType::Vault)
        } else if self.self_signed.is_some() {
            Some(IssuerType::SelfSigned)
        } else if self.venafi.is_some() {
            Some(IssuerType::Venafi)
        } else {
            None
        }
    }
}

impl AcmeState {
    /// Whether the state is a failure: invalid, expired or errored.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Invalid | Self::Expired | Self::Errored)
    }

    /// Whether the state will not change any more: a failure, or valid.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.is_failure() || matches!(self, Self::Valid)
    }
}
