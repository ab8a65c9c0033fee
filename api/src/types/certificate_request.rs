//! `CertificateRequest`: one signing request on its way to a certificate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::certificate::KeyUsage;
use super::reference::IssuerRef;
use crate::condition::Condition;
use crate::duration::GoDuration;
use crate::time::Time;
use crate::wire::{Bytes, list, map, text};

/// A signing request. Cannot be changed once made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequestSpec {
    /// The validity to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// Further attributes of the requester; set by the webhook.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
    /// The groups of the requester; set by the webhook.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Asks for a certificate that may sign others.
    #[serde(rename = "isCA", default, skip_serializing_if = "Option::is_none")]
    pub is_ca: Option<bool>,
    /// The issuer that shall sign.
    #[serde(default)]
    pub issuer_ref: IssuerRef,
    /// The signing request, PEM.
    #[serde(default)]
    pub request: Bytes,
    /// The UID of the requester; set by the webhook.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The usages to ask for; digital signature and key encipherment where none is given.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<KeyUsage>,
    /// The name of the requester; set by the webhook.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// What became of a signing request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequestStatus {
    /// The certificate of the CA, PEM, if the issuer knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Bytes>,
    /// The issued chain, PEM, leaf first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Bytes>,
    /// `Approved`, `Denied`, `InvalidRequest` and `Ready`.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When the request failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_time: Option<Time>,
}
