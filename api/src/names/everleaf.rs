//! Our own keys, for what cert-manager's schema has no field for.
//!
//! A value counts only if [`OWNER_UID`] beside it is the UID of the object that it speaks of: a
//! copy or a restored backup carries the annotations of another life.

/// The prefix of all our keys.
pub const PREFIX: &str = "everleaf.dev/";
/// Annotation: the number of the attempt, from 1.
pub const ATTEMPT: &str = "everleaf.dev/attempt";
/// Annotation: the digest of the inputs that an object was made from.
pub const INPUT_DIGEST: &str = "everleaf.dev/input-digest";
/// Annotation: the UID of the object that our other annotations speak of.
pub const OWNER_UID: &str = "everleaf.dev/owner-uid";
