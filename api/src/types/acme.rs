//! The ACME issuer and the choice of solvers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dns01::AcmeSolverDns01;
use super::http01::AcmeSolverHttp01;
use super::reference::SecretKeySelector;
use crate::duration::GoDuration;
use crate::wire::{Bytes, closed_enum, list, map, text};

closed_enum! {
    /// The MAC algorithm of an external account binding. Ignored: HS256 is used.
    HmacAlgorithm {
        /// HMAC with SHA-256.
        Hs256 = "HS256",
        /// HMAC with SHA-384.
        Hs384 = "HS384",
        /// HMAC with SHA-512.
        Hs512 = "HS512",
    }
}

closed_enum! {
    /// Where renewal times come from.
    RenewalInformationSource {
        /// From the CA, where it offers that (RFC 9773).
        Ari = "ARI",
        /// From the Certificate alone.
        None = "None",
    }
}

/// An ACME server and an account there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeIssuer {
    /// PEM certificates to trust when talking to the server. Excludes `skipTLSVerify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<Bytes>,
    /// Whether a missing account key is an error, not a reason to make one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_account_key_generation: Option<bool>,
    /// The contact address of the account.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether to ask the server for the Certificate's duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_duration_feature: Option<bool>,
    /// Binds the account to one the CA knows already (RFC 8555, 7.3.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<AcmeExternalAccountBinding>,
    /// The issuer common name of the topmost certificate of the chain to choose.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub preferred_chain: Option<String>,
    /// Where the account key lies; key `tls.key` where none is given.
    #[serde(default)]
    pub private_key_secret_ref: SecretKeySelector,
    /// The certificate profile to ask for.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Where renewal times come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_information_source: Option<RenewalInformationSource>,
    /// The URL of the server's directory.
    #[serde(default)]
    pub server: String,
    /// Whether to trust any server certificate. Excludes `caBundle`.
    #[serde(rename = "skipTLSVerify", default, skip_serializing_if = "Option::is_none")]
    pub skip_tls_verify: Option<bool>,
    /// How challenges may be met. The best match wins.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub solvers: Vec<AcmeSolver>,
}

/// Binds an account to one the CA knows already (RFC 8555, 7.3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeExternalAccountBinding {
    /// Deprecated and ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_algorithm: Option<HmacAlgorithm>,
    /// The identifier of the MAC key, from the CA.
    #[serde(rename = "keyID", default)]
    pub key_id: String,
    /// Where the MAC key lies, base64url without padding.
    #[serde(default)]
    pub key_secret_ref: SecretKeySelector,
}

/// Meets challenges by TLS handshakes (RFC 8737) that something in front of the operator passes
/// through to it. There is nothing to set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeSolverTlsAlpn01 {}

/// A way to meet challenges: exactly one of `http01`, `dns01` and `tlsALPN01`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeSolver {
    /// By a TXT record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns01: Option<AcmeSolverDns01>,
    /// By a file over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http01: Option<AcmeSolverHttp01>,
    /// Which names it is for; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<CertificateDnsNameSelector>,
    /// By a TLS handshake; ours, cert-manager has none.
    #[serde(rename = "tlsALPN01", default, skip_serializing_if = "Option::is_none")]
    pub tls_alpn01: Option<AcmeSolverTlsAlpn01>,
    /// How long to wait before the CA is called, instead of checking ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_instead_of_self_check: Option<GoDuration>,
}

/// Which names a solver is for. All parts that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateDnsNameSelector {
    /// These names exactly.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// Names in these zones; the longest match wins.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub dns_zones: Vec<String>,
    /// Certificates with these labels.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}
