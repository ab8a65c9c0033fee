//! Media types: what is understood, and what is refused with a reason.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use super::table::{Form, Include};
use crate::apiserver::{ApiError, PatchType};

/// How the client wants objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    Metadata,
    MetadataList,
    Table(Form),
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
    let parameters: Vec<&str> = words.collect();
    let given = |name: &str| parameters.iter().find_map(|word| word.strip_prefix(name));
    match given("as=") {
        None => Some(Shown::Whole),
        Some("PartialObjectMetadata") => Some(Shown::Metadata),
        Some("PartialObjectMetadataList") => Some(Shown::MetadataList),
        Some("Table") => {
            let version = ["v1", "v1beta1"].into_iter().find(|v| Some(*v) == given("v="))?;
            Some(Shown::Table(Form { version, include: Include::default() }))
        }
        Some(_) => None,
    }
}

/// Whether one other type is accepted.
pub(super) fn accepts(headers: &HeaderMap, kind: &str) -> Result<(), ApiError> {
    let text = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    let mut named = text.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
    match named.any(|name| name == kind || name == "*/*") {
        true => Ok(()),
        false => Err(ApiError::not_acceptable(kind)),
    }
}

/// What rows of a Table have of their objects (`includeObject`).
pub(super) fn include(text: &str) -> Result<Include, ApiError> {
    match text {
        "" | "Metadata" => Ok(Include::Metadata),
        "Object" => Ok(Include::Object),
        "None" => Ok(Include::Nothing),
        other => Err(ApiError::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: \"{other}\": \
             must be 'Metadata', 'Object', 'None', or empty"
        ))),
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
    match content_type(headers) {
        "" | "application/json" => {}
        "application/yaml" => return read_yaml(body),
        _ => return Err(ApiError::unsupported_media_type("application/json, application/yaml")),
    }
    serde_json::from_slice(body).map_err(|error| {
        let shown: String = String::from_utf8_lossy(body).chars().take(100).collect();
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get \
             version/kind; json parse error: {error} ({shown})"
        ))
    })
}

/// A patch body.
pub(super) fn read_patch(kind: PatchType, body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).or_else(|_| match kind {
        PatchType::Apply => read_yaml(body),
        _ => Err(ApiError::bad_request("invalid JSON patch")),
    })
}

/// One document of YAML. Depth and the repetition of aliases are bounded by the parser.
fn read_yaml(body: &[u8]) -> Result<Value, ApiError> {
    serde_yaml::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
}
