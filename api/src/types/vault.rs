//! HashiCorp Vault's PKI engine.

use serde::{Deserialize, Serialize};

use super::reference::{SecretKeySelector, ServiceAccountRef, selector};
use crate::wire::{Bytes, text};

/// HashiCorp Vault's PKI engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultIssuer {
    /// How to log in.
    #[serde(default)]
    pub auth: VaultAuth,
    /// PEM certificates to trust when talking to Vault. Excludes `caBundleSecretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<Bytes>,
    /// Where those certificates lie; key `ca.crt` where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_secret_ref: Option<SecretKeySelector>,
    /// Where a client certificate lies; key `tls.crt` where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_secret_ref: Option<SecretKeySelector>,
    /// Where its key lies; key `tls.key` where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_secret_ref: Option<SecretKeySelector>,
    /// The Vault namespace.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The path of the signing endpoint, such as `pki/sign/role`.
    #[serde(default)]
    pub path: String,
    /// The URL of Vault.
    #[serde(default)]
    pub server: String,
    /// The name to expect in Vault's certificate.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// How to log in. The first that is set counts: token, appRole, clientCertificate, kubernetes, aws.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultAuth {
    /// By AppRole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_role: Option<VaultAppRole>,
    /// By AWS IAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<VaultAwsAuth>,
    /// By client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<VaultClientCertificateAuth>,
    /// By a Kubernetes service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<VaultKubernetesAuth>,
    /// By a token; key `token` where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeySelector>,
}

/// Vault's AppRole login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultAppRole {
    /// Where it is mounted; `approle` where empty.
    #[serde(default)]
    pub path: String,
    /// The role's ID.
    #[serde(default)]
    pub role_id: String,
    /// Where the secret ID lies.
    #[serde(default)]
    pub secret_ref: SecretKeySelector,
}

/// Vault's AWS login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultAwsAuth {
    /// The IAM role of the service account; needed with `serviceAccountRef`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub iam_role_arn: Option<String>,
    /// Where it is mounted; `/v1/auth/aws` where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    /// The AWS region.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Vault's role.
    #[serde(default)]
    pub role: String,
    /// The service account to use; ambient credentials where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountRef>,
    /// The value of the header `X-Vault-AWS-IAM-Server-ID`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub vault_header_value: Option<String>,
}

/// Vault's login by client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultClientCertificateAuth {
    /// Where it is mounted; `/v1/auth/cert` where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    /// The role; any that matches where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The Secret with the pair; the connection's own where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
}

/// Vault's Kubernetes login: exactly one of `secretRef` and `serviceAccountRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultKubernetesAuth {
    /// Where it is mounted; `/v1/auth/kubernetes` where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    /// Vault's role.
    #[serde(default)]
    pub role: String,
    /// Where a service account token lies.
    #[serde(default, deserialize_with = "selector", skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
    /// The service account to ask a token for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountRef>,
}
