//! References to other objects.

use serde::{Deserialize, Deserializer, Serialize};

use crate::wire::{list, text};

/// A reference to an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// Its API group; `cert-manager.io` where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its kind; `Issuer` where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeySelector {
    /// The key; some fields have a default.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The Secret's name.
    #[serde(default)]
    pub name: String,
}

/// A service account to ask a token for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountRef {
    /// Further audiences of the token.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A Secret in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalReference {
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// An object in the same namespace (Kubernetes core/v1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalObjectReference {
    /// Its name; may be empty.
    #[serde(default)]
    pub name: String,
}

/// Reads an optional selector; one without a name and a key is absent.
///
/// Some of cert-manager's optional selectors are plain Go structs, which `omitempty` does not omit:
/// objects it wrote carry `{"name": ""}` there.
pub(crate) fn selector<'de, D>(de: D) -> Result<Option<SecretKeySelector>, D::Error>
where
    D: Deserializer<'de>,
{
    let read = Option::<SecretKeySelector>::deserialize(de)?;
    Ok(read.filter(|selector| *selector != SecretKeySelector::default()))
}
