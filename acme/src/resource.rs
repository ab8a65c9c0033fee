//! ACME's resources as JSON (RFC 8555 section 7.1, RFC 9773, draft-ietf-acme-profiles).
//!
//! Members that a server leaves out or sets to null take their default, unless nothing can be done
//! without them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::problem::Problem;
use crate::token::Token;

pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Certificates have no fractions of seconds, and some CAs read none.
fn whole_seconds<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    let whole = time.map(|time| Timestamp::from_second(time.as_second()).unwrap_or(time));
    whole.serialize(to)
}

/// Where a CA's resources are (RFC 8555 section 7.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Hands out nonces.
    pub new_nonce: String,
    /// Registers and finds accounts.
    pub new_account: String,
    /// Takes orders.
    pub new_order: String,
    /// Revokes certificates.
    pub revoke_cert: Option<String>,
    /// Changes an account's key.
    pub key_change: Option<String>,
    /// Suggests when to renew (RFC 9773).
    pub renewal_info: Option<String>,
    /// About the CA.
    #[serde(default, deserialize_with = "or_default")]
    pub meta: Meta,
}

/// About a CA (RFC 8555 section 7.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// The current terms of service.
    pub terms_of_service: Option<String>,
    /// The CA's website.
    pub website: Option<String>,
    /// What the CA calls itself in CAA records.
    #[serde(deserialize_with = "or_default")]
    pub caa_identities: Vec<String>,
    /// Whether new accounts must be bound to an external one.
    #[serde(deserialize_with = "or_default")]
    pub external_account_required: bool,
    /// Certificate profiles: name and description.
    #[serde(deserialize_with = "or_default")]
    pub profiles: BTreeMap<String, String>,
}

/// Something that a certificate is for (RFC 8555 section 9.7.7, RFC 8738).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identifier {
    /// `dns` or `ip`; CAs may know more.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name or address; in an authorization for a wildcard, without the `*.`.
    pub value: String,
}

impl Identifier {
    /// A DNS name, possibly with `*.` in front, in ASCII.
    pub fn dns(name: impl Into<String>) -> Self {
        Identifier { kind: "dns".to_owned(), value: name.into() }
    }

    /// An address, written as RFC 8738 section 3 demands.
    pub fn ip(address: IpAddr) -> Self {
        Identifier { kind: "ip".to_owned(), value: address.to_string() }
    }
}

macro_rules! status {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
            /// A word that RFC 8555 does not have here, or none.
            #[default]
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl $name {
            /// The word in the protocol; `unknown` for one that is not in it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                    $name::Unknown => "unknown",
                }
            }
        }
    };
}

status! {
    /// State of an account (RFC 8555 section 7.1.6).
    AccountStatus {
        /// Usable.
        Valid = "valid",
        /// Ended by its owner.
        Deactivated = "deactivated",
        /// Ended by the CA.
        Revoked = "revoked",
    }
}

status! {
    /// State of an order (RFC 8555 section 7.1.6).
    OrderStatus {
        /// Authorizations are missing.
        Pending = "pending",
        /// It can be finalized.
        Ready = "ready",
        /// The CA is issuing.
        Processing = "processing",
        /// The certificate can be fetched.
        Valid = "valid",
        /// It failed; nothing will come of it.
        Invalid = "invalid",
    }
}

status! {
    /// State of an authorization (RFC 8555 section 7.1.6).
    AuthorizationStatus {
        /// A challenge can be taken up.
        Pending = "pending",
        /// Proved.
        Valid = "valid",
        /// A challenge failed.
        Invalid = "invalid",
        /// Given up by the account.
        Deactivated = "deactivated",
        /// Too old.
        Expired = "expired",
        /// Withdrawn by the CA.
        Revoked = "revoked",
    }
}

status! {
    /// State of a challenge (RFC 8555 section 7.1.6).
    ChallengeStatus {
        /// Not taken up.
        Pending = "pending",
        /// The CA is looking.
        Processing = "processing",
        /// Proved.
        Valid = "valid",
        /// Failed.
        Invalid = "invalid",
    }
}

/// An account as the CA has it (RFC 8555 section 7.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountObject {
    /// Its state.
    pub status: AccountStatus,
    /// Contacts, as URLs (`mailto:`). Some CAs keep them to themselves.
    #[serde(deserialize_with = "or_default")]
    pub contact: Vec<String>,
    /// Where its orders are listed, if the CA lists them.
    pub orders: Option<String>,
}

/// An order (RFC 8555 section 7.1.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Its state.
    pub status: OrderStatus,
    /// When the CA forgets it.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// What the certificate is for.
    #[serde(default, deserialize_with = "or_default")]
    pub identifiers: Vec<Identifier>,
    /// Start of validity that was asked for.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// End of validity that was asked for.
    #[serde(default)]
    pub not_after: Option<Timestamp>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<Problem>,
    /// Its authorizations' URLs.
    #[serde(default, deserialize_with = "or_default")]
    pub authorizations: Vec<String>,
    /// Where the certificate signing request goes.
    #[serde(default, deserialize_with = "or_default")]
    pub finalize: String,
    /// Where the certificate is, once the order is valid.
    #[serde(default)]
    pub certificate: Option<String>,
    /// The certificate profile.
    #[serde(default)]
    pub profile: Option<String>,
    /// The certificate it replaces (RFC 9773 section 5).
    #[serde(default)]
    pub replaces: Option<String>,
}

/// An authorization (RFC 8555 section 7.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// What it is for, without `*.`.
    pub identifier: Identifier,
    /// Its state.
    pub status: AuthorizationStatus,
    /// When it ends.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// Ways to prove it; once it is valid or invalid, those that were tried.
    #[serde(default, deserialize_with = "or_default")]
    pub challenges: Vec<Challenge>,
    /// Whether it is for the wildcard of the name.
    #[serde(default, deserialize_with = "or_default")]
    pub wildcard: bool,
}

/// A challenge (RFC 8555 section 7.1.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    /// `http-01`, `dns-01`, `tls-alpn-01`; CAs may know more.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its URL.
    pub url: String,
    /// Its state.
    #[serde(default)]
    pub status: ChallengeStatus,
    /// When it was proved.
    #[serde(default)]
    pub validated: Option<Timestamp>,
    /// Why it failed; may be there while the CA tries again.
    #[serde(default)]
    pub error: Option<Problem>,
    /// What has to be shown, in the three types above.
    #[serde(default)]
    pub token: Option<Token>,
}

/// What an order should be for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// Names and addresses, at least one.
    pub identifiers: Vec<Identifier>,
    /// Start of validity, in whole seconds; many CAs refuse it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "whole_seconds")]
    pub not_before: Option<Timestamp>,
    /// End of validity, in whole seconds; many CAs refuse it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "whole_seconds")]
    pub not_after: Option<Timestamp>,
    /// One of [`Meta::profiles`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// [`crate::CertId`] of the certificate to be replaced. It is left out where the CA has no
    /// renewal information (RFC 9773 section 5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}
