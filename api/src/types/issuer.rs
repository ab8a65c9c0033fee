//! `Issuer` and `ClusterIssuer`: who signs, and how to reach it.

use serde::{Deserialize, Serialize};

use super::acme::AcmeIssuer;
use super::vault::VaultIssuer;
use super::venafi::VenafiIssuer;
use crate::condition::Condition;
use crate::wire::{list, text};

/// Who signs: exactly one of the five.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerSpec {
    /// An ACME server (RFC 8555).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<AcmeIssuer>,
    /// A CA whose key lies in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaIssuer>,
    /// Each certificate signs itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<SelfSignedIssuer>,
    /// HashiCorp Vault's PKI engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<VaultIssuer>,
    /// A CyberArk certificate manager, formerly Venafi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venafi: Option<VenafiIssuer>,
}

/// A CA whose key lies in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaIssuer {
    /// Where revocation lists are published; goes into each certificate.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub crl_distribution_points: Vec<String>,
    /// Where the CA's certificate is published; goes into each certificate.
    #[serde(
        rename = "issuingCertificateURLs",
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub issuing_certificate_urls: Vec<String>,
    /// OCSP responders; go into each certificate.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub ocsp_servers: Vec<String>,
    /// The Secret with `tls.crt` and `tls.key` of the CA.
    #[serde(default)]
    pub secret_name: String,
}

/// Each certificate signs itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelfSignedIssuer {
    /// Where revocation lists are published; goes into each certificate.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub crl_distribution_points: Vec<String>,
}

/// Whether an issuer can sign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerStatus {
    /// The ACME account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<AcmeIssuerStatus>,
    /// `Ready`.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The ACME account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeIssuerStatus {
    /// The SHA-256 of the account key (PKCS#1 DER), base64, at the last registration.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub last_private_key_hash: Option<String>,
    /// The e-mail address at the last registration.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub last_registered_email: Option<String>,
    /// The URL of the account.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}
