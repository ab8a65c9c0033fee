//! Why the API server did not do what was asked, by the class that decides on the next attempt.

use everleaf_engine::FailureClass;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One object.
    Get,
    /// Many objects.
    List,
    /// Changes.
    Watch,
    /// A new object.
    Create,
    /// Another version of an object.
    Update,
    /// A merge patch.
    Patch,
    /// A merge patch of the status.
    PatchStatus,
    /// A server-side apply.
    Apply,
    /// An object's end.
    Delete,
}

impl Verb {
    /// The verb as RBAC has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch | Self::PatchStatus | Self::Apply => "patch",
            Self::Delete => "delete",
        }
    }

    /// The method that HTTP has for it.
    pub(super) const fn method(self) -> http::Method {
        match self {
            Self::Get | Self::List | Self::Watch => http::Method::GET,
            Self::Create => http::Method::POST,
            Self::Update => http::Method::PUT,
            Self::Patch | Self::PatchStatus | Self::Apply => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }

    /// What the body of such a request is.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Patch | Self::PatchStatus => "application/merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
            _ => "application/json",
        }
    }

    /// Whether something may have been written though no answer came.
    const fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// An error and its causes, outermost first. A cause that is told already is not told again.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

/// Why the API server did not do what was asked. Every class but `Invalid` and `Rejected` may be
/// tried again as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} {resource}: {message}", verb.name())]
pub struct ApiError {
    /// What was asked for.
    pub verb: Verb,
    /// Of which resource.
    pub resource: String,
    /// The HTTP status; 0 if none came.
    pub code: u16,
    /// The API server's reason, in CamelCase.
    pub reason: String,
    /// What the API server said.
    pub message: String,
    /// The class.
    pub class: FailureClass,
    /// For how many seconds the API server does not want to be asked again.
    pub retry_after_seconds: u32,
}

impl ApiError {
    pub(super) fn from_kube(verb: Verb, resource: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from_status(verb, resource, &status),
            other => Self::from_transport(verb, resource, &other),
        }
    }

    /// From a `Status` that the API server answered with.
    pub fn from_status(verb: Verb, resource: &str, status: &kube::core::Status) -> Self {
        let class = match status.code {
            401 | 403 => FailureClass::Forbidden,
            409 => FailureClass::Conflict,
            429 => FailureClass::Throttled,
            504 if verb.writes() => FailureClass::Unknown,
            400 | 404 | 405 | 413 | 415 | 422 => FailureClass::Invalid,
            _ => FailureClass::Transient,
        };
        let resource = match verb {
            Verb::PatchStatus => format!("{resource}/status"),
            _ => resource.to_owned(),
        };
        Self {
            verb,
            resource,
            code: status.code,
            reason: status.reason.clone(),
            message: status.message.clone(),
            class,
            retry_after_seconds: status.details.as_ref().map_or(0, |d| d.retry_after_seconds),
        }
    }

    fn from_transport(verb: Verb, resource: &str, error: &kube::Error) -> Self {
        let message = with_causes(error);
        let class = if verb.writes() { FailureClass::Unknown } else { FailureClass::Transient };
        let reason = "Unreachable".to_owned();
        let resource = resource.to_owned();
        Self { verb, resource, code: 0, reason, message, class, retry_after_seconds: 0 }
    }

    pub(super) fn unbuildable(verb: Verb, resource: &str, error: &http::Error) -> Self {
        Self { class: FailureClass::Invalid, ..Self::other(verb, resource, &error.to_string()) }
    }

    /// Anything else.
    pub fn other(verb: Verb, resource: &str, message: &str) -> Self {
        Self {
            verb,
            resource: resource.to_owned(),
            code: 0,
            reason: "Unexpected".to_owned(),
            message: message.to_owned(),
            class: FailureClass::Transient,
            retry_after_seconds: 0,
        }
    }

    /// Whether there is no such object, or the kind is not served.
    pub fn is_absent(&self) -> bool {
        self.code == 404
    }

    /// Whether the name is taken.
    pub fn is_taken(&self) -> bool {
        self.code == 409 && self.reason == "AlreadyExists"
    }

    /// Whether a watch has to begin anew with a list.
    pub fn is_gone(&self) -> bool {
        self.code == 410
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn an_error_tells_its_innermost_cause_and_nothing_twice() {
        let inner = Layer { text: "Connection refused (os error 111)", source: None };
        let middle = Layer { text: "client error (Connect)", source: Some(Box::new(inner)) };
        let outer =
            Layer { text: "ServiceError: client error (Connect)", source: Some(Box::new(middle)) };
        let expected = "ServiceError: client error (Connect): Connection refused (os error 111)";
        assert_eq!(with_causes(&outer), expected);
    }
}
