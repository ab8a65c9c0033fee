//! Names of things: objects, tags that link them, lanes and effects.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An object's UID: it tells two objects apart that had one name after the other.
pub type Uid = Arc<str>;

/// The number of leaderships so far, as the Lease counts its transitions.
pub type Epoch = u64;

/// What effects are queued by, so that one tenant or issuer cannot hold everybody's slots. What
/// stands before its first `/`, or all of it, is the tenant: `namespace/Issuer/name` for example.
pub type Lane = Arc<str>;

/// Where an object is found: kind, namespace (empty for cluster-scoped kinds) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey<K> {
    /// The kind.
    pub kind: K,
    /// The namespace; empty for cluster-scoped kinds.
    #[serde(rename = "ns")]
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl<K> ObjectKey<K> {
    /// The key of an object.
    pub fn new(kind: K, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl<K: fmt::Debug> fmt::Display for ObjectKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{:?}/{}", self.kind, self.name)
        } else {
            write!(f, "{:?}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A way by which objects of one kind are found: by name, or by an index of the program's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag<K> {
    /// The kind of the objects that are found.
    pub kind: K,
    /// 0 is the name; every other number is an index that the program defines.
    pub index: u8,
    /// The namespace of the objects; empty for cluster-scoped kinds.
    pub namespace: Arc<str>,
    /// The value looked for.
    pub value: Arc<str>,
}

impl<K: Copy> Tag<K> {
    /// The index of names.
    pub const NAME: u8 = 0;

    /// The tag under which exactly the object `key` is found.
    pub fn name(key: &ObjectKey<K>) -> Self {
        Self {
            kind: key.kind,
            index: Self::NAME,
            namespace: key.namespace.clone(),
            value: key.name.clone(),
        }
    }
}

/// The name of one effect: the log's key, and the seed of its jitter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectId {
    /// The UID of the object whose machine started it.
    pub uid: Uid,
    /// The revision that it works towards, as the program counts.
    #[serde(rename = "rev")]
    pub revision: u64,
    /// The effect's number in the machine's plan.
    pub step: u8,
    /// Tells effects of one step apart, such as the children that are created; often empty.
    pub item: Arc<str>,
    /// Counts from 1; starts afresh in every epoch.
    pub attempt: u32,
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uid, revision, step, item, attempt } = self;
        write!(f, "{uid}/{revision}/{step}")?;
        if !item.is_empty() {
            write!(f, "/{item}")?;
        }
        write!(f, "#{attempt}")
    }
}
