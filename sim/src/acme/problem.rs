//! Problem documents (RFC 8555 section 6.7), with the status codes that Boulder gives them.

use super::identifier::Identifier;

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $variant:ident $text:literal $status:literal,)*) => {
        /// The `type` of a problem, below `urn:ietf:params:acme:error:`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ErrorKind {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorKind {
            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ErrorKind::$variant => $text,)*
                }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self {
                    $(ErrorKind::$variant => $status,)*
                }
            }
        }
    };
}

error_kinds! {
    /// The account does not exist.
    AccountDoesNotExist "accountDoesNotExist" 400,
    /// Another order has replaced that certificate (RFC 9773 section 5).
    AlreadyReplaced "alreadyReplaced" 409,
    /// The certificate is revoked already.
    AlreadyRevoked "alreadyRevoked" 400,
    /// The certificate signing request is not acceptable.
    BadCsr "badCSR" 400,
    /// The nonce is not, or no longer, known.
    BadNonce "badNonce" 400,
    /// The public key is not acceptable.
    BadPublicKey "badPublicKey" 400,
    /// The JWS is signed with an algorithm that is not supported.
    BadSignatureAlgorithm "badSignatureAlgorithm" 400,
    /// CAA records forbid this CA to issue.
    Caa "caa" 403,
    /// The server could not connect to the validation target.
    Connection "connection" 400,
    /// A DNS query failed.
    Dns "dns" 400,
    /// The account must be bound to an external one.
    ExternalAccountRequired "externalAccountRequired" 400,
    /// A contact is not valid.
    InvalidContact "invalidContact" 400,
    /// There is no such profile.
    InvalidProfile "invalidProfile" 400,
    /// The request makes no sense.
    Malformed "malformed" 400,
    /// The order cannot be finalized now.
    OrderNotReady "orderNotReady" 403,
    /// A limit is reached, or the identifier is paused.
    RateLimited "rateLimited" 429,
    /// The CA does not issue for that identifier.
    RejectedIdentifier "rejectedIdentifier" 400,
    /// The server failed.
    ServerInternal "serverInternal" 500,
    /// TLS with the validation target failed.
    Tls "tls" 400,
    /// Not authorized; also: what the validation target showed was not what it should.
    Unauthorized "unauthorized" 403,
    /// Contacts of that scheme are not supported.
    UnsupportedContact "unsupportedContact" 400,
    /// Identifiers of that type are not supported.
    UnsupportedIdentifier "unsupportedIdentifier" 400,
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", kind.as_str())]
pub struct Problem {
    /// Its type.
    pub kind: ErrorKind,
    /// The HTTP status.
    pub status: u16,
    /// A text for people.
    pub detail: String,
    /// When to try again at the earliest, in milliseconds since 1970.
    pub retry_at: Option<i64>,
    /// What is wrong with single identifiers.
    pub subproblems: Vec<(Identifier, ErrorKind, String)>,
}

impl Problem {
    /// A problem with the usual status.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (status, subproblems) = (kind.status(), Vec::new());
        Problem { kind, status, detail, retry_at: None, subproblems }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Problem::new(ErrorKind::Malformed, detail)
    }

    /// Boulder's: malformed, with 404.
    pub(super) fn not_found(what: &str) -> Self {
        Problem::new(ErrorKind::Malformed, format!("No such {what}")).with_status(404)
    }

    pub(super) fn with_status(self, status: u16) -> Self {
        Problem { status, ..self }
    }

    pub(super) fn retry_at(self, at: i64) -> Self {
        Problem { retry_at: Some(at), ..self }
    }
}
