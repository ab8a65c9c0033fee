//! Problem documents (RFC 9457, formerly RFC 7807; RFC 8555 section 6.7).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resource::{Identifier, or_default};

/// Namespace of ACME's problem types.
pub const NAMESPACE: &str = "urn:ietf:params:acme:error:";

/// What a CA says is wrong. Every member may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// A URI; ACME's own start with [`NAMESPACE`]. Empty stands for `about:blank`.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// What is wrong in this case, for a human.
    #[serde(deserialize_with = "or_default")]
    pub detail: String,
    /// The HTTP status, repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A URL about this case; with `userActionRequired` the page that the user has to visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// In a subproblem, the name it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
    /// Problems with single names (RFC 8555 section 6.7.1).
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<Problem>,
}

impl Problem {
    /// The type without [`NAMESPACE`]: `rateLimited`, `caa`, ...; `None` for a type outside of it.
    pub fn acme_type(&self) -> Option<&str> {
        self.kind.strip_prefix(NAMESPACE)
    }

    /// Whether it is of this ACME type, given without [`NAMESPACE`].
    pub fn is(&self, acme_type: &str) -> bool {
        self.acme_type() == Some(acme_type)
    }

    /// The first `http` or `https` URL in `detail`.
    pub(crate) fn first_url(&self) -> Option<&str> {
        self.urls().next()
    }

    /// Every `http` or `https` URL in `detail`, without the punctuation behind it.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        let words = self.detail.split(|c: char| c.is_whitespace() || "<>\"()".contains(c));
        let urls = words.filter(|word| word.starts_with("https://") || word.starts_with("http://"));
        urls.map(|word| word.trim_end_matches(['.', ',', ';', ':']))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind.is_empty() { "about:blank" } else { &self.kind };
        write!(f, "{kind}: {}", self.detail)?;
        for sub in &self.subproblems {
            let name = sub.identifier.as_ref().map_or("?", |identifier| &identifier.value);
            write!(f, "; {name}: {}: {}", sub.kind, sub.detail)?;
        }
        Ok(())
    }
}
