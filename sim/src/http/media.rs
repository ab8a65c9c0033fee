//! Media types: what is understood, and what is refused with a reason.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use crate::apiserver::{ApiError, PatchType};

/// How the client wants objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    Metadata,
    MetadataList,
}

/// The first acceptable form in `Accept`.
pub(super) fn accepted(headers: &HeaderMap) -> Result<Shown, ApiError> {
    let text = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    text.split(',').find_map(one).ok_or_else(|| ApiError::not_acceptable("application/json"))
}

fn one(part: &str) -> Option<Shown> {
    let mut words = part.split(';').map(str::trim);
    if !matches!(words.next()?, "application/json" | "application/*" | "*/*" | "") {
        return None;
    }
    let wanted = words.find_map(|w| w.strip_prefix("as="));
    match wanted {
        None => Some(Shown::Whole),
        Some("PartialObjectMetadata") => Some(Shown::Metadata),
        Some("PartialObjectMetadataList") => Some(Shown::MetadataList),
        Some(_) => None,
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// The type of a patch by its content type.
pub(super) fn patch_type(headers: &HeaderMap) -> Result<PatchType, ApiError> {
    match content_type(headers) {
        "application/merge-patch+json" => Ok(PatchType::Merge),
        "application/json-patch+json" => Ok(PatchType::Json),
        "application/strategic-merge-patch+json" => Ok(PatchType::Strategic),
        "application/apply-patch+yaml" => Ok(PatchType::Apply),
        _ => Err(ApiError::unsupported_media_type(
            "application/json-patch+json, application/merge-patch+json, \
             application/apply-patch+yaml",
        )),
    }
}

/// An object or `DeleteOptions`.
pub(super) fn read_object(headers: &HeaderMap, body: &[u8], kind: &str) -> Result<Value, ApiError> {
    if !matches!(content_type(headers), "" | "application/json") {
        return Err(ApiError::unsupported_media_type("application/json"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let shown: String = String::from_utf8_lossy(body).chars().take(100).collect();
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get \
             version/kind; json parse error: {error} ({shown})"
        ))
    })
}

/// A patch body. Of YAML only the part that is JSON is read.
pub(super) fn read_patch(kind: PatchType, body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| match kind {
        PatchType::Apply => {
            let accepted = format!("application/apply-patch+yaml written as JSON ({error})");
            ApiError::unsupported_media_type(&accepted)
        }
        _ => ApiError::bad_request("invalid JSON patch"),
    })
}
