//! What lies in a Secret beside the pair.

use super::decoded;
use everleaf_keystores::{combined_pem, key_der};
use everleaf_nodes::facts::{COMBINED_PEM, ENTRIES, KEY_DER};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which entries are there, and whether they are what the pair gives. Keystores are not opened.
pub(super) fn beside(
    object: &Value,
    crt: Option<&[u8]>,
    key: Option<&[u8]>,
) -> BTreeMap<Arc<str>, bool> {
    let (crt, key) = (crt.unwrap_or_default(), key.unwrap_or_default());
    let judged = |name: &str| {
        let found = decoded(object, name).filter(|found| !found.is_empty())?;
        let fits = match name {
            COMBINED_PEM => found == *combined_pem(key, crt),
            KEY_DER => key_der(key).is_ok_and(|der| found == *der),
            _ => true,
        };
        Some((name.into(), fits))
    };
    ENTRIES.into_iter().filter_map(judged).collect()
}
