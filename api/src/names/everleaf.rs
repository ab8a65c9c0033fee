//! Our own keys, for what cert-manager's schema has no field for.
//!
//! A value counts only if [`OWNER_UID`] beside it is the UID of the object that it speaks of: a
//! copy or a restored backup carries the annotations of another life.

/// The prefix of all our keys.
pub const PREFIX: &str = "everleaf.dev/";
/// Annotation: the number of the attempt, from 1.
pub const ATTEMPT: &str = "everleaf.dev/attempt";
/// Annotation: the digest of the inputs that an object was made from.
pub const INPUT_DIGEST: &str = "everleaf.dev/input-digest";
/// Annotation: the UID of the object that our other annotations speak of.
pub const OWNER_UID: &str = "everleaf.dev/owner-uid";
/// Annotation of Orders, Challenges and ACME issuers: the last request that the CA, or whoever was
/// asked, did not answer as hoped; JSON.
pub const ACME_ATTEMPT: &str = "everleaf.dev/acme-attempt";
/// Annotation of an Order: a newOrder is about to be sent; JSON.
pub const ACME_CLAIM: &str = "everleaf.dev/acme-claim";
/// Annotation of an ACME issuer: what its account was last verified under; JSON.
pub const ACME_ACCOUNT: &str = "everleaf.dev/acme-account";
/// Annotation of a Challenge: the self-check saw what was presented; JSON.
pub const ACME_SEEN: &str = "everleaf.dev/acme-seen";
/// Annotation of an ACME issuer: rate limits that replace those the directory is known for; JSON.
pub const ACME_LIMITS: &str = "everleaf.dev/acme-limits";
/// Annotation of an ACME issuer: the CA's names in CAA records, separated by commas, where its
/// directory does not tell them (`meta.caaIdentities`).
pub const CAA_IDENTITIES: &str = "everleaf.dev/caa-identities";
/// Annotation of a CertificateRequest: the class of its failure; JSON.
pub const FAILURE: &str = "everleaf.dev/failure";
/// Annotation of a CertificateRequest: the URL of the ACME account that it was made for.
pub const ACME_ACCOUNT_URL: &str = "everleaf.dev/acme-account-url";
/// Annotation of a CertificateRequest and its Order: the certificate of an ACME CA that is to be
/// replaced, its window and its end; JSON.
pub const RENEWAL: &str = "everleaf.dev/renewal";
/// Annotation of a CertificateRequest and its Order: `true` if it renews a certificate of exactly
/// the same names, by the same issuer.
pub const RENEWS: &str = "everleaf.dev/renews";
/// Annotation of a Certificate, or of an Ingress for its Certificates: the issuers that are asked
/// when `spec.issuerRef` cannot issue, in order, separated by commas; see [`crate::fallback`].
pub const ISSUER_FALLBACKS: &str = "everleaf.dev/issuer-fallbacks";
/// Annotation of a Certificate with several issuers: what failed at each of them last; JSON.
pub const ISSUER_FAILURES: &str = "everleaf.dev/issuer-failures";

/// Every key of ours.
pub const ALL: [&str; 15] = [
    ATTEMPT,
    INPUT_DIGEST,
    OWNER_UID,
    ACME_ATTEMPT,
    ACME_CLAIM,
    ACME_ACCOUNT,
    ACME_SEEN,
    ACME_LIMITS,
    CAA_IDENTITIES,
    FAILURE,
    ACME_ACCOUNT_URL,
    RENEWAL,
    RENEWS,
    ISSUER_FALLBACKS,
    ISSUER_FAILURES,
];
