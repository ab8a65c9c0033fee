//! The metadata every object has, and what every kind knows of itself.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::time::Time;
use crate::wire::{list, map};

/// The parts of an object's metadata that are used here; the rest is dropped when reading.
///
/// An object read and written back through this type loses `managedFields` and the like, so write
/// by patch or server-side apply, not by replacing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMeta {
    /// Its name.
    #[serde(default, deserialize_with = "plain", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its namespace; empty for cluster-scoped objects.
    #[serde(default, deserialize_with = "plain", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its UID; empty for an object that is not stored yet.
    #[serde(default, deserialize_with = "plain", skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The version of the stored object, an opaque text.
    #[serde(default, deserialize_with = "plain", skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// Counts changes of the spec; 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: i64,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Time>,
    /// When its deletion was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Time>,
    /// Its labels.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its owners.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub owner_references: Vec<OwnerReference>,
    /// Who must agree before it goes.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
}

fn plain<'de, D: Deserializer<'de>>(de: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(de)?.unwrap_or_default())
}

// serde hands the field over by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

impl ObjectMeta {
    /// The owner that controls it, if any.
    #[must_use]
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }

    /// Whether the object with this UID controls it.
    #[must_use]
    pub fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller().is_some_and(|owner| owner.uid == uid)
    }

    /// Whether its deletion was asked for.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

/// An owner of an object. When its last owner goes, so does the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// The owner's group and version.
    #[serde(default)]
    pub api_version: String,
    /// The owner's kind.
    #[serde(default)]
    pub kind: String,
    /// The owner's name.
    #[serde(default)]
    pub name: String,
    /// The owner's UID.
    #[serde(default)]
    pub uid: String,
    /// Whether this owner is the one that controls the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether the owner's foreground deletion waits for the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

impl OwnerReference {
    /// A reference to the object that shall control another, and that waits for it when deleted.
    #[must_use]
    pub fn controlled_by<O: Object>(owner: &O) -> Self {
        Self {
            api_version: O::api_version(),
            kind: O::KIND.into(),
            name: owner.meta().name.clone(),
            uid: owner.meta().uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// What every kind of this API knows of itself.
pub trait Object: Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned {
    /// The API group.
    const GROUP: &'static str;
    /// The version within the group.
    const VERSION: &'static str;
    /// The kind.
    const KIND: &'static str;
    /// The resource's name in URLs.
    const PLURAL: &'static str;
    /// The resource's singular name.
    const SINGULAR: &'static str;
    /// Short names for `kubectl`.
    const SHORT_NAMES: &'static [&'static str];
    /// Groups of resources for `kubectl`.
    const CATEGORIES: &'static [&'static str];
    /// Whether objects live in namespaces.
    const NAMESPACED: bool;

    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;

    /// The object's metadata, to change.
    fn meta_mut(&mut self) -> &mut ObjectMeta;

    /// Group and version, as `apiVersion` has them.
    #[must_use]
    fn api_version() -> String {
        format!("{}/{}", Self::GROUP, Self::VERSION)
    }
}
