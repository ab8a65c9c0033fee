//! `Order`: one ACME order (RFC 8555, 7.1.3).

use serde::{Deserialize, Serialize};

use super::reference::IssuerRef;
use crate::duration::GoDuration;
use crate::time::Time;
use crate::wire::{Bytes, list, open_enum, text};

open_enum! {
    /// The state of an order, an authorization or a challenge (RFC 8555, 7.1.6).
    AcmeState {
        /// Done, with success.
        Valid = "valid",
        /// An order that waits to be finalized.
        Ready = "ready",
        /// Waiting for its challenges.
        Pending = "pending",
        /// In the hands of the CA.
        Processing = "processing",
        /// Failed; the CA's last word.
        Invalid = "invalid",
        /// Too old; the CA dropped it.
        Expired = "expired",
        /// Failed on our side of the conversation.
        Errored = "errored",
    }
}

/// What to order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderSpec {
    /// The common name of the request, which must be among the names below.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// The DNS names to order.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// The validity to ask for, where the issuer allows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// The IP addresses to order.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// The ACME issuer.
    #[serde(default)]
    pub issuer_ref: IssuerRef,
    /// The certificate profile to ask for.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The ARI identifier of the certificate that this one replaces (RFC 9773, 4.1).
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The signing request.
    #[serde(default)]
    pub request: Bytes,
}

/// What became of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderStatus {
    /// The authorizations the CA wants.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub authorizations: Vec<AcmeAuthorization>,
    /// The issued chain, PEM, leaf first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Bytes>,
    /// When the order failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_time: Option<Time>,
    /// Where the signing request is to be posted.
    #[serde(
        rename = "finalizeURL",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub finalize_url: Option<String>,
    /// Why the order is in its state.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The state of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AcmeState>,
    /// The URL of the order.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// An authorization of an order (RFC 8555, 7.1.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeAuthorization {
    /// The challenges on offer.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<AcmeChallenge>,
    /// The name to prove, without `*.`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// Its state when it was first read; `valid` needs no challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_state: Option<AcmeState>,
    /// Its URL.
    #[serde(default)]
    pub url: String,
    /// Whether it is for the wildcard of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcard: Option<bool>,
}

/// A challenge on offer (RFC 8555, 8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeChallenge {
    /// Its token.
    #[serde(default)]
    pub token: String,
    /// Its type, such as `http-01` or `dns-01`.
    #[serde(default)]
    pub type_: String,
    /// Its URL.
    #[serde(default)]
    pub url: String,
}
