//! Solvers that write a TXT record.

use serde::{Deserialize, Serialize};

use super::reference::{SecretKeySelector, ServiceAccountRef, selector};
use crate::wire::{closed_enum, list, text};

closed_enum! {
    /// What to do with a CNAME at the challenge's name.
    CnameStrategy {
        /// Write the record where the name says.
        None = "None",
        /// Write the record where the CNAME points.
        Follow = "Follow",
    }
}

closed_enum! {
    /// The kind of an Azure DNS zone.
    AzureZoneType {
        /// A public zone.
        Public = "AzurePublicZone",
        /// A private zone.
        Private = "AzurePrivateZone",
    }
}

closed_enum! {
    /// An Azure cloud.
    AzureEnvironment {
        /// The public cloud.
        Public = "AzurePublicCloud",
        /// The cloud in China.
        China = "AzureChinaCloud",
        /// The cloud in Germany, which is closed.
        German = "AzureGermanCloud",
        /// The cloud of the US government.
        UsGovernment = "AzureUSGovernmentCloud",
    }
}

closed_enum! {
    /// The transport of dynamic updates.
    Rfc2136Protocol {
        /// TCP.
        Tcp = "TCP",
        /// UDP.
        Udp = "UDP",
    }
}

/// Writes a TXT record: exactly one provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeSolverDns01 {
    /// acme-dns.
    #[serde(rename = "acmeDNS", default, skip_serializing_if = "Option::is_none")]
    pub acme_dns: Option<AcmeDnsProvider>,
    /// Akamai Edge DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub akamai: Option<AkamaiProvider>,
    /// Azure DNS.
    #[serde(rename = "azureDNS", default, skip_serializing_if = "Option::is_none")]
    pub azure_dns: Option<AzureDnsProvider>,
    /// Google Cloud DNS.
    #[serde(rename = "cloudDNS", default, skip_serializing_if = "Option::is_none")]
    pub cloud_dns: Option<CloudDnsProvider>,
    /// Cloudflare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudflare: Option<CloudflareProvider>,
    /// What to do with a CNAME at the challenge's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cname_strategy: Option<CnameStrategy>,
    /// DigitalOcean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digitalocean: Option<DigitalOceanProvider>,
    /// Nameservers to check the record at: `host:port`, or an `https://` URL (RFC 8484).
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// Dynamic updates (RFC 2136).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfc2136: Option<Rfc2136Provider>,
    /// AWS Route 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route53: Option<Route53Provider>,
    /// A solver behind an extension API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookProvider>,
}

/// acme-dns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeDnsProvider {
    /// Where the accounts lie, as JSON.
    #[serde(default)]
    pub account_secret_ref: SecretKeySelector,
    /// The server's address.
    #[serde(default)]
    pub host: String,
}

/// Akamai Edge DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AkamaiProvider {
    /// Where the access token lies.
    #[serde(default)]
    pub access_token_secret_ref: SecretKeySelector,
    /// Where the client secret lies.
    #[serde(default)]
    pub client_secret_secret_ref: SecretKeySelector,
    /// Where the client token lies.
    #[serde(default)]
    pub client_token_secret_ref: SecretKeySelector,
    /// The host of the API.
    #[serde(default)]
    pub service_consumer_domain: String,
}

/// Azure DNS. Without credentials here, the ambient ones are used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureDnsProvider {
    /// The client of a service principal; needs the secret and the tenant too.
    #[serde(
        rename = "clientID",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub client_id: Option<String>,
    /// Where the client's secret lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_secret_ref: Option<SecretKeySelector>,
    /// The cloud; the public one where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<AzureEnvironment>,
    /// The zone; found through DNS where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub hosted_zone_name: Option<String>,
    /// A managed identity. Excludes the service principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_identity: Option<AzureManagedIdentity>,
    /// The resource group of the zone.
    #[serde(default)]
    pub resource_group_name: String,
    /// The subscription.
    #[serde(rename = "subscriptionID", default)]
    pub subscription_id: String,
    /// The tenant of the service principal.
    #[serde(
        rename = "tenantID",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub tenant_id: Option<String>,
    /// Whether the zone is public (default) or private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_type: Option<AzureZoneType>,
}

/// A managed identity: by client or by resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureManagedIdentity {
    /// Its client. Excludes `resourceID`.
    #[serde(
        rename = "clientID",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub client_id: Option<String>,
    /// Its resource. Excludes `clientID`.
    #[serde(
        rename = "resourceID",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub resource_id: Option<String>,
    /// Its tenant; needs `clientID`.
    #[serde(
        rename = "tenantID",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub tenant_id: Option<String>,
}

/// Google Cloud DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudDnsProvider {
    /// The managed zone; found by name where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub hosted_zone_name: Option<String>,
    /// The project.
    #[serde(default)]
    pub project: String,
    /// Where the service account's key lies; ambient credentials where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_secret_ref: Option<SecretKeySelector>,
}

/// Cloudflare: an API token, or an API key and an e-mail address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudflareProvider {
    /// Where the API key lies; needs `email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_secret_ref: Option<SecretKeySelector>,
    /// Where the API token lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_token_secret_ref: Option<SecretKeySelector>,
    /// The account's address, for an API key.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// DigitalOcean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DigitalOceanProvider {
    /// Where the token lies.
    #[serde(default)]
    pub token_secret_ref: SecretKeySelector,
}

/// Dynamic updates (RFC 2136), signed with TSIG (RFC 8945) or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rfc2136Provider {
    /// The server, `host[:port]`, port 53 where none is given; IPv6 in brackets.
    #[serde(default)]
    pub nameserver: String,
    /// The transport; UDP where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Rfc2136Protocol>,
    /// HMACMD5 (default), HMACSHA1, HMACSHA256 or HMACSHA512.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub tsig_algorithm: Option<String>,
    /// The name of the key; needs the secret too.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub tsig_key_name: Option<String>,
    /// Where the key lies.
    #[serde(default, deserialize_with = "selector", skip_serializing_if = "Option::is_none")]
    pub tsig_secret_secret_ref: Option<SecretKeySelector>,
}

/// AWS Route 53. Without credentials here, the ambient ones are used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route53Provider {
    /// The access key's ID. Excludes `accessKeyIDSecretRef`.
    #[serde(
        rename = "accessKeyID",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub access_key_id: Option<String>,
    /// Where the access key's ID lies.
    #[serde(rename = "accessKeyIDSecretRef", default, skip_serializing_if = "Option::is_none")]
    pub access_key_id_secret_ref: Option<SecretKeySelector>,
    /// Credentials for a Kubernetes service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Route53Auth>,
    /// The hosted zone; found by name where none is given.
    #[serde(
        rename = "hostedZoneID",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub hosted_zone_id: Option<String>,
    /// The region of the API calls.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// A role to assume.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where the secret access key lies.
    #[serde(default, deserialize_with = "selector", skip_serializing_if = "Option::is_none")]
    pub secret_access_key_secret_ref: Option<SecretKeySelector>,
}

/// Credentials for a Kubernetes service account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route53Auth {
    /// By web identity.
    #[serde(default)]
    pub kubernetes: Route53KubernetesAuth,
}

/// By web identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route53KubernetesAuth {
    /// The service account to ask a token for.
    #[serde(default)]
    pub service_account_ref: ServiceAccountRef,
}

/// A solver behind an extension API server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookProvider {
    /// Handed to the solver as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
    /// The API group of the solver.
    #[serde(default)]
    pub group_name: String,
    /// The name of the solver.
    #[serde(default)]
    pub solver_name: String,
}
