//! CyberArk's certificate managers, formerly Venafi.

use serde::{Deserialize, Serialize};

use super::reference::{LocalReference, SecretKeySelector};
use crate::wire::{Bytes, text};

/// A CyberArk certificate manager: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VenafiIssuer {
    /// Certificate Manager, SaaS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<VenafiCloud>,
    /// Next-Gen Trust Security.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngts: Option<VenafiNgts>,
    /// Certificate Manager, Self-Hosted (Trust Protection Platform).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpp: Option<VenafiTpp>,
    /// The policy zone.
    #[serde(default)]
    pub zone: String,
}

/// Certificate Manager, SaaS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VenafiCloud {
    /// Where the API key lies; key `api-key` where none is given.
    #[serde(default)]
    pub api_token_secret_ref: SecretKeySelector,
    /// The API's URL; `https://api.venafi.cloud/` where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Next-Gen Trust Security.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VenafiNgts {
    /// The Secret with `client-id` and `client-secret`.
    #[serde(default)]
    pub credentials_ref: LocalReference,
    /// Where tokens come from; `https://auth.apps.paloaltonetworks.com/oauth2/access_token` where
    /// none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// The tenant service group.
    #[serde(rename = "tsgID", default)]
    pub tsg_id: String,
    /// The API's URL; `https://api.strata.paloaltonetworks.com/ngts` where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Certificate Manager, Self-Hosted (Trust Protection Platform).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VenafiTpp {
    /// PEM certificates to trust when talking to it. Excludes `caBundleSecretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<Bytes>,
    /// Where those certificates lie; key `ca.crt` where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_secret_ref: Option<SecretKeySelector>,
    /// The Secret with `username` and `password`, or with `access-token`.
    #[serde(default)]
    pub credentials_ref: LocalReference,
    /// Its URL.
    #[serde(default)]
    pub url: String,
}
