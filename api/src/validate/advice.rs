//! What is allowed and unwise: warnings, as an admission webhook would send them along.
//!
//! A rule is here if what is written works, or half works, and its author would want to know. What
//! several objects together make unwise is not here: each function sees one.

use std::fmt;

use super::Path;

mod certificate;
mod issuer;
mod names;

pub use certificate::certificate_warnings;
pub use issuer::issuer_warnings;

/// Something allowed that will not do what its author expects, or will one day hurt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The field, such as `spec.renewBefore`.
    pub path: String,
    /// What comes of it, and what to do.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The warnings so far.
#[derive(Default)]
struct Warnings(Vec<Warning>);

impl Warnings {
    fn warn(&mut self, path: &Path, message: impl Into<String>) {
        self.0.push(Warning { path: path.0.clone(), message: message.into() });
    }
}

#[cfg(test)]
mod tests;
