//! The webhook's rules, as pure functions from specs to violations, and advice about what breaks
//! none. Operator and `everleaf lint` judge by the same.
//!
//! Each returns every violation, not the first. What needs cryptography (the signature of a signing
//! request) or the API server (who may approve) is not here. Deviations from cert-manager:
//! `renewBeforePercentage` is checked against its meaning, and also where it stands alone; a
//! conflict of DNS providers is found whichever they are; every member of a conflicting group is
//! checked.

use std::fmt;

mod acme;
mod advice;
mod certificate;
mod certificate_request;
mod dns01;
mod format;
mod issuer;

pub use acme::{challenge_update, order_update};
pub use advice::{Warning, certificate_warnings, issuer_warnings};
pub use certificate::{certificate, certificate_gated};
pub use certificate_request::{
    CsrFacts, certificate_request, certificate_request_csr, certificate_request_update, csr_excerpt,
};
pub use issuer::issuer;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, such as `spec.solvers[0].dns01`.
    pub path: String,
    /// What kind of fault it is.
    pub kind: ViolationKind,
    /// The value at fault, if it helps to show it; never a secret.
    pub value: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

/// The kinds of faults that the Kubernetes API knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ViolationKind {
    /// A value is missing.
    Required,
    /// A value is malformed or out of bounds.
    Invalid,
    /// A value must not be there.
    Forbidden,
    /// A value appears twice.
    Duplicate,
    /// A value is none of those allowed.
    NotSupported,
    /// A value is too long.
    TooLong,
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "Required value",
            Self::Invalid => "Invalid value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::NotSupported => "Unsupported value",
            Self::TooLong => "Too long",
        })
    }
}

impl fmt::Display for Violation {
    /// As the API server words it: `spec.secretName: Required value: must be specified`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.kind)?;
        if let Some(value) = &self.value {
            write!(f, ": {value:?}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Joins violations into one message, in the order found.
#[must_use]
pub fn message(violations: &[Violation]) -> String {
    match violations {
        [] => String::new(),
        [only] => only.to_string(),
        many => {
            let all: Vec<String> = many.iter().map(ToString::to_string).collect();
            format!("[{}]", all.join(", "))
        }
    }
}

/// The path of a field.
#[derive(Clone, Debug)]
struct Path(String);

impl Path {
    fn new(root: &str) -> Self {
        Self(root.into())
    }

    fn child(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

/// The violations found so far.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, path: Path, kind: ViolationKind, value: Option<String>, message: String) {
        self.0.push(Violation { path: path.0, kind, value, message });
    }

    fn required(&mut self, path: Path, message: impl Into<String>) {
        self.add(path, ViolationKind::Required, None, message.into());
    }

    fn forbidden(&mut self, path: Path, message: impl Into<String>) {
        self.add(path, ViolationKind::Forbidden, None, message.into());
    }

    fn invalid(&mut self, path: Path, value: impl ToString, message: impl Into<String>) {
        self.add(path, ViolationKind::Invalid, Some(value.to_string()), message.into());
    }

    /// Requires a text that is not empty; returns whether it is there.
    fn text(&mut self, path: Path, text: &str) -> bool {
        if text.is_empty() {
            self.required(path, "must be specified");
        }
        !text.is_empty()
    }
}

#[cfg(test)]
mod tests;
