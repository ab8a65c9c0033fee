//! `Challenge`: one ACME challenge being met (RFC 8555, 8).

use serde::{Deserialize, Serialize};

use super::acme::AcmeSolver;
use super::order::AcmeState;
use super::reference::IssuerRef;
use crate::time::Time;
use crate::wire::{closed_enum, text};

closed_enum! {
    /// The type of a challenge.
    #[derive(Default)]
    ChallengeType {
        /// A file served over HTTP (RFC 8555, 8.3).
        #[default]
        Http01 = "HTTP-01",
        /// A TXT record (RFC 8555, 8.4).
        Dns01 = "DNS-01",
        /// A TLS handshake (RFC 8737); ours, cert-manager has none.
        TlsAlpn01 = "TLS-ALPN-01",
    }
}

/// A challenge to meet. Cannot be changed once made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeSpec {
    /// The URL of its authorization.
    #[serde(rename = "authorizationURL", default)]
    pub authorization_url: String,
    /// The name to prove, without `*.`.
    #[serde(default)]
    pub dns_name: String,
    /// The ACME issuer.
    #[serde(default)]
    pub issuer_ref: IssuerRef,
    /// What is to be presented: the TXT value for DNS-01, else the key authorization.
    #[serde(default)]
    pub key: String,
    /// The solver chosen for it.
    #[serde(default)]
    pub solver: AcmeSolver,
    /// The challenge's token.
    #[serde(default)]
    pub token: String,
    /// The challenge's type.
    pub type_: ChallengeType,
    /// The challenge's URL.
    #[serde(default)]
    pub url: String,
    /// Whether it is for the wildcard of the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcard: Option<bool>,
}

/// What became of a challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeStatus {
    /// Whether the answer is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented: Option<bool>,
    /// When the answer was put in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented_at: Option<Time>,
    /// Whether it has been scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing: Option<bool>,
    /// Why the challenge is in its state.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The state of the challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AcmeState>,
}
