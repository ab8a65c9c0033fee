//! What each usage is in X.509.

use super::certificate::{CertificateSpec, KeyUsage};
use super::certificate_request::CertificateRequestSpec;

impl KeyUsage {
    /// The bit of the key usage extension (RFC 5280, 4.2.1.3: 0 digitalSignature to 8
    /// decipherOnly); `None` for an extended usage.
    #[must_use]
    pub const fn key_usage_bit(self) -> Option<u8> {
        Some(match self {
            Self::Signing | Self::DigitalSignature => 0,
            Self::ContentCommitment => 1,
            Self::KeyEncipherment => 2,
            Self::DataEncipherment => 3,
            Self::KeyAgreement => 4,
            Self::CertSign => 5,
            Self::CrlSign => 6,
            Self::EncipherOnly => 7,
            Self::DecipherOnly => 8,
            _ => return None,
        })
    }

    /// The object identifier of an extended usage (RFC 5280, 4.2.1.12, and two of Microsoft and
    /// Netscape); `None` for a plain key usage.
    #[must_use]
    pub const fn extended_key_usage_oid(self) -> Option<&'static str> {
        Some(match self {
            Self::Any => "2.5.29.37.0",
            Self::ServerAuth => "1.3.6.1.5.5.7.3.1",
            Self::ClientAuth => "1.3.6.1.5.5.7.3.2",
            Self::CodeSigning => "1.3.6.1.5.5.7.3.3",
            Self::EmailProtection | Self::SMime => "1.3.6.1.5.5.7.3.4",
            Self::IpsecEndSystem => "1.3.6.1.5.5.7.3.5",
            Self::IpsecTunnel => "1.3.6.1.5.5.7.3.6",
            Self::IpsecUser => "1.3.6.1.5.5.7.3.7",
            Self::Timestamping => "1.3.6.1.5.5.7.3.8",
            Self::OcspSigning => "1.3.6.1.5.5.7.3.9",
            Self::MicrosoftSgc => "1.3.6.1.4.1.311.10.3.3",
            Self::NetscapeSgc => "2.16.840.1.113730.4.1",
            _ => return None,
        })
    }
}

/// The usages in effect: those given, or digital signature and key encipherment if there are none;
/// and `cert sign` for a CA. In the order given, `cert sign` last if it was not given.
#[must_use]
pub fn effective_usages(given: &[KeyUsage], is_ca: bool) -> Vec<KeyUsage> {
    let default = [KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment];
    let mut usages = if given.is_empty() { default.to_vec() } else { given.to_vec() };
    if is_ca && !usages.contains(&KeyUsage::CertSign) {
        usages.push(KeyUsage::CertSign);
    }
    usages
}

impl CertificateSpec {
    /// The usages in effect; see [`effective_usages`].
    #[must_use]
    pub fn effective_usages(&self) -> Vec<KeyUsage> {
        effective_usages(&self.usages, self.is_ca.unwrap_or(false))
    }
}

impl CertificateRequestSpec {
    /// The usages in effect; see [`effective_usages`].
    #[must_use]
    pub fn effective_usages(&self) -> Vec<KeyUsage> {
        effective_usages(&self.usages, self.is_ca.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usage_is_either_a_bit_or_an_extended_usage() {
        for usage in KeyUsage::ALL {
            let (bit, oid) = (usage.key_usage_bit(), usage.extended_key_usage_oid());
            assert!(bit.is_some() != oid.is_some(), "{usage}");
        }
        assert_eq!(KeyUsage::ALL.len(), 23);
    }

    #[test]
    fn a_ca_signs_certificates_without_being_told_to() {
        use KeyUsage::{CertSign, DigitalSignature, KeyEncipherment, ServerAuth};
        assert_eq!(effective_usages(&[], true), [DigitalSignature, KeyEncipherment, CertSign]);
        assert_eq!(effective_usages(&[CertSign, ServerAuth], true), [CertSign, ServerAuth]);
        assert_eq!(effective_usages(&[], false), [DigitalSignature, KeyEncipherment]);
    }
}
