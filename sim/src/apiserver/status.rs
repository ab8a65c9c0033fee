//! Refusals, worded and numbered as the real API server's `Status` objects.

use serde_json::{Value, json};

use super::resource::ResourceDef;

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldManagerConflict` and so on.
    pub reason: &'static str,
    /// The text without the field's name.
    pub message: String,
    /// The field's path, or empty.
    pub field: String,
}

impl Cause {
    pub(crate) fn new(reason: &'static str, field: &str, message: impl Into<String>) -> Self {
        Cause { reason, message: message.into(), field: field.to_owned() }
    }

    pub(crate) fn required(field: &str, text: &str) -> Self {
        let colon = if text.is_empty() { "" } else { ": " };
        Cause::new("FieldValueRequired", field, format!("Required value{colon}{text}"))
    }

    pub(crate) fn invalid(field: &str, value: &Value, text: &str) -> Self {
        Cause::new("FieldValueInvalid", field, format!("Invalid value: {value}: {text}"))
    }

    pub(crate) fn forbidden(field: &str, text: &str) -> Self {
        Cause::new("FieldValueForbidden", field, format!("Forbidden: {text}"))
    }

    fn line(&self) -> String {
        if self.field.is_empty() {
            return self.message.clone();
        }
        format!("{}: {}", self.field, self.message)
    }

    fn to_value(&self) -> Value {
        let mut out = json!({"reason": self.reason, "message": self.message});
        if !self.field.is_empty() {
            out["field"] = json!(self.field);
        }
        out
    }
}

/// What a failed request is about (`Status.details`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The API group.
    pub group: String,
    /// The resource (or, for `Invalid`, the kind).
    pub kind: String,
    /// One cause per fault.
    pub causes: Vec<Cause>,
    /// Seconds after which trying again is welcome; 0 means unsaid.
    pub retry_after_seconds: u32,
}

impl Details {
    fn to_value(&self) -> Value {
        let mut out = json!({});
        for (key, text) in [("name", &self.name), ("group", &self.group), ("kind", &self.kind)] {
            if !text.is_empty() {
                out[key] = json!(text);
            }
        }
        if !self.causes.is_empty() {
            out["causes"] = self.causes.iter().map(Cause::to_value).collect();
        }
        if self.retry_after_seconds > 0 {
            out["retryAfterSeconds"] = json!(self.retry_after_seconds);
        }
        out
    }
}

/// A refused request. It renders as a `Status` of `meta/v1`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status code.
    pub code: u16,
    /// `NotFound`, `Conflict`, ...; empty where the real server gives none.
    pub reason: &'static str,
    /// The text for people.
    pub message: String,
    /// What it is about, if anything.
    pub details: Option<Box<Details>>,
}

impl ApiError {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        ApiError { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, def: &ResourceDef, name: &str) -> Self {
        self.details = Some(Box::new(Details {
            name: name.to_owned(),
            group: def.group.clone(),
            kind: def.plural.clone(),
            ..Details::default()
        }));
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    pub(crate) fn not_found(def: &ResourceDef, name: &str) -> Self {
        let text = format!("{} \"{name}\" not found", def.key());
        ApiError::new(404, "NotFound", text).about(def, name)
    }

    pub(crate) fn no_namespace(name: &str) -> Self {
        let mut out = ApiError::new(404, "NotFound", format!("namespaces \"{name}\" not found"));
        let kind = "namespaces".into();
        out.details = Some(Box::new(Details { name: name.into(), kind, ..Details::default() }));
        out
    }

    pub(crate) fn unknown_path() -> Self {
        let mut out =
            ApiError::new(404, "NotFound", "the server could not find the requested resource");
        out.details = Some(Box::default());
        out
    }

    pub(crate) fn already_exists(def: &ResourceDef, name: &str) -> Self {
        let text = format!("{} \"{name}\" already exists", def.key());
        ApiError::new(409, "AlreadyExists", text).about(def, name)
    }

    pub(crate) fn conflict(def: &ResourceDef, name: &str, why: &str) -> Self {
        let text = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", def.key());
        ApiError::new(409, "Conflict", text).about(def, name)
    }

    pub(crate) fn modified(def: &ResourceDef, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest \
                   version and try again";
        ApiError::conflict(def, name, why)
    }

    /// A delete precondition that fails names the kind where others name the resource.
    pub(crate) fn precondition(def: &ResourceDef, name: &str, why: &str) -> Self {
        let kind = def.qualified_kind();
        let text = format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}");
        let mut out = ApiError::new(409, "Conflict", text).about(def, name);
        if let Some(details) = &mut out.details {
            details.kind = def.kind.clone();
        }
        out
    }

    pub(crate) fn forbidden(def: &ResourceDef, name: &str, why: &str) -> Self {
        let quoted = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let text = format!("{}{quoted} is forbidden: {why}", def.key());
        ApiError::new(403, "Forbidden", text).about(def, name)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        ApiError::new(400, "BadRequest", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let text = "the server does not allow this method on the requested resource";
        let mut out = ApiError::new(405, "MethodNotAllowed", text);
        out.details = Some(Box::default());
        out
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let text = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {accepted}"
        );
        ApiError::new(415, "UnsupportedMediaType", text)
    }

    pub(crate) fn not_acceptable(accepted: &str) -> Self {
        let text = format!("only the following media types are accepted: {accepted}");
        ApiError::new(406, "NotAcceptable", text)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        ApiError::new(410, "Expired", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        ApiError::new(500, "", message)
    }

    pub(crate) fn too_large_version(asked: u64, current: u64) -> Self {
        let text = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut out = ApiError::new(504, "Timeout", text).retry_after(1);
        let cause = Cause::new("ResourceVersionTooLarge", "", "Too large resource version");
        out.details.get_or_insert_default().causes.push(cause);
        out
    }

    pub(crate) fn invalid(def: &ResourceDef, name: &str, causes: Vec<Cause>) -> Self {
        ApiError::invalid_as(&def.group, &def.kind, name, causes)
    }

    pub(crate) fn invalid_options(kind: &str, cause: Cause) -> Self {
        ApiError::invalid_as("meta.k8s.io", kind, "", vec![cause])
    }

    pub(crate) fn invalid_as(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let dot = if group.is_empty() { "" } else { "." };
        let mut lines: Vec<String> = Vec::new();
        for line in causes.iter().map(Cause::line) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let listed = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let text = format!("{kind}{dot}{group} \"{name}\" is invalid: {listed}");
        let mut out = ApiError::new(422, "Invalid", text);
        out.details = Some(Box::new(Details {
            name: name.into(),
            group: group.into(),
            kind: kind.into(),
            causes,
            retry_after_seconds: 0,
        }));
        out
    }

    /// The `Status` object a client receives.
    pub fn to_value(&self) -> Value {
        let mut out = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            out["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            out["details"] = details.to_value();
        }
        out
    }
}
