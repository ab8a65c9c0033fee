//! The issuers that stand in for a Certificate's first one, as an annotation lists them:
//! `name`, `Issuer/name`, `ClusterIssuer/name` or `group/Kind/name`, separated by commas.

use crate::types::reference::IssuerRef;

/// The most issuers beside the first.
pub const MAX: usize = 8;
/// The longest annotation that is read, in bytes.
const MAX_TEXT: usize = 8192;

/// Why a list of issuers cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FallbackError {
    /// It is longer than any list can be.
    #[error("longer than {MAX_TEXT} bytes")]
    TooLong,
    /// It names more than [`MAX`] issuers.
    #[error("names {0} issuers; at most {MAX} are asked")]
    TooMany(usize),
    /// An entry is none of the four forms.
    #[error(
        "{0:?} names no issuer; write name, Issuer/name, ClusterIssuer/name or group/Kind/name"
    )]
    Malformed(String),
    /// An entry names an issuer again, or the first one.
    #[error("names {0:?} twice; the first issuer is that of spec.issuerRef")]
    Twice(String),
}

/// Reads a list beside its first issuer. Spaces around entries do not count, and an empty text
/// lists nothing.
///
/// # Errors
/// The first fault of the list.
pub fn parse(text: &str, first: &IssuerRef) -> Result<Vec<IssuerRef>, FallbackError> {
    if text.len() > MAX_TEXT {
        return Err(FallbackError::TooLong);
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let entries = text.split(',').count();
    if entries > MAX {
        return Err(FallbackError::TooMany(entries));
    }
    let mut all: Vec<IssuerRef> = Vec::new();
    for entry in text.split(',').map(str::trim) {
        let issuer = one(entry).ok_or_else(|| FallbackError::Malformed(entry.to_owned()))?;
        if std::iter::once(first).chain(&all).any(|other| other.refers_to_same(&issuer)) {
            return Err(FallbackError::Twice(entry.to_owned()));
        }
        all.push(issuer);
    }
    Ok(all)
}

/// One entry; `None` if it is of no form that is known.
#[must_use]
pub fn one(entry: &str) -> Option<IssuerRef> {
    let parts: Vec<&str> = entry.split('/').collect();
    let odd = |part: &&str| part.is_empty() || part.chars().any(char::is_whitespace);
    if parts.iter().any(odd) {
        return None;
    }
    let (group, kind, name) = match parts.as_slice() {
        [name] => (None, None, *name),
        [kind @ ("Issuer" | "ClusterIssuer"), name] => (None, Some(*kind), *name),
        [group, kind, name] => (Some(*group), Some(*kind), *name),
        _ => return None,
    };
    let issuer = IssuerRef {
        group: group.map(str::to_owned),
        kind: kind.map(str::to_owned),
        name: name.to_owned(),
    };
    let known = matches!(issuer.kind_or_default(), "Issuer" | "ClusterIssuer");
    (known || !issuer.is_own_group()).then_some(issuer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first() -> IssuerRef {
        IssuerRef { name: "first".into(), ..IssuerRef::default() }
    }

    fn read(text: &str) -> Result<Vec<IssuerRef>, FallbackError> {
        parse(text, &first())
    }

    #[test]
    fn every_form_is_read_in_order() {
        let listed =
            read("second, ClusterIssuer/third,Issuer/fourth , aws.dev/Pool/fifth").unwrap();
        let told: Vec<_> = listed
            .iter()
            .map(|one| (one.group_or_default(), one.kind_or_default(), &*one.name))
            .collect();
        let ours = "cert-manager.io";
        let wanted = [
            (ours, "Issuer", "second"),
            (ours, "ClusterIssuer", "third"),
            (ours, "Issuer", "fourth"),
            ("aws.dev", "Pool", "fifth"),
        ];
        assert_eq!(told, wanted);
        assert_eq!(read(" "), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_entry_at_fault() {
        for wrong in ["a,,b", "a b", "Pool/a", "cert-manager.io/Pool/a", "a/b/c/d", "Issuer/"] {
            assert!(matches!(read(wrong), Err(FallbackError::Malformed(_))), "{wrong}");
        }
        assert_eq!(read("a,Issuer/a"), Err(FallbackError::Twice("Issuer/a".into())));
        assert_eq!(read("first"), Err(FallbackError::Twice("first".into())));
        assert_eq!(read("a,b,c,d,e,f,g,h,i"), Err(FallbackError::TooMany(9)));
        assert_eq!(read(&"x".repeat(9000)), Err(FallbackError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = read(&text);
        }
    }
}
