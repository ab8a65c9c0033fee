//! The structures of RFC 7292, RFC 8018 and RFC 5958, as far as they are written here.

use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Encode, EncodeValue, Sequence, Tagged, ValueOrd};

/// Object identifiers, by their names in the RFCs.
pub(crate) mod oid {
    use der::asn1::ObjectIdentifier as Oid;

    const fn known(text: &str) -> Oid {
        Oid::new_unwrap(text)
    }

    pub const DATA: Oid = known("1.2.840.113549.1.7.1");
    pub const ENCRYPTED_DATA: Oid = known("1.2.840.113549.1.7.6");

    pub const PKCS_8_SHROUDED_KEY_BAG: Oid = known("1.2.840.113549.1.12.10.1.2");
    pub const CERT_BAG: Oid = known("1.2.840.113549.1.12.10.1.3");
    pub const X509_CERTIFICATE: Oid = known("1.2.840.113549.1.9.22.1");

    pub const FRIENDLY_NAME: Oid = known("1.2.840.113549.1.9.20");
    pub const LOCAL_KEY_ID: Oid = known("1.2.840.113549.1.9.21");
    /// Java's mark of a certificate that is trusted, for the usages given as values.
    pub const TRUSTED_KEY_USAGE: Oid = known("2.16.840.1.113894.746875.1.1");
    pub const ANY_EXTENDED_KEY_USAGE: Oid = known("2.5.29.37.0");

    pub const PBE_SHA1_3DES: Oid = known("1.2.840.113549.1.12.1.3");
    pub const PBE_SHA1_RC2_40: Oid = known("1.2.840.113549.1.12.1.6");
    pub const PBES2: Oid = known("1.2.840.113549.1.5.13");
    pub const PBMAC1: Oid = known("1.2.840.113549.1.5.14");
    pub const PBKDF2: Oid = known("1.2.840.113549.1.5.12");
    pub const HMAC_SHA256: Oid = known("1.2.840.113549.2.9");
    pub const AES_256_CBC: Oid = known("2.16.840.1.101.3.4.1.42");
    pub const SHA1: Oid = known("1.3.14.3.2.26");
    pub const SHA256: Oid = known("2.16.840.1.101.3.4.2.1");
    /// Sun's key protector of Java keystores.
    pub const JAVA_KEY_PROTECTOR: Oid = known("1.3.6.1.4.1.42.2.17.1.1");
}

/// PFX (RFC 7292 section 4).
#[derive(Debug, Sequence)]
pub(crate) struct Pfx {
    pub version: u8,
    pub auth_safe: ContentInfo,
    pub mac: MacData,
}

/// MacData (RFC 7292 section 4). `None` stands for the default of one iteration.
#[derive(Debug, Sequence)]
pub(crate) struct MacData {
    pub digest: DigestInfo,
    pub salt: OctetString,
    #[asn1(optional = "true")]
    pub iterations: Option<u32>,
}

#[derive(Debug, Sequence)]
pub(crate) struct DigestInfo {
    pub algorithm: AlgorithmIdentifier,
    pub digest: OctetString,
}

#[derive(Debug, Sequence)]
pub(crate) struct ContentInfo {
    pub kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub content: Any,
}

/// EncryptedData (RFC 2315 section 13).
#[derive(Debug, Sequence)]
pub(crate) struct EncryptedData {
    pub version: u8,
    pub content: EncryptedContentInfo,
}

#[derive(Debug, Sequence)]
pub(crate) struct EncryptedContentInfo {
    pub kind: ObjectIdentifier,
    pub algorithm: AlgorithmIdentifier,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    pub content: OctetString,
}

/// SafeBag (RFC 7292 section 4.2). The attributes are written even where there are none, as
/// go-pkcs12 does.
#[derive(Debug, Sequence)]
pub(crate) struct SafeBag {
    pub kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub value: Any,
    pub attributes: SetOfVec<Attribute>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence, ValueOrd)]
pub(crate) struct Attribute {
    pub kind: ObjectIdentifier,
    pub values: SetOfVec<Any>,
}

/// CertBag (RFC 7292 section 4.2.3).
#[derive(Debug, Sequence)]
pub(crate) struct CertBag {
    pub kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub certificate: OctetString,
}

/// EncryptedPrivateKeyInfo (RFC 5958 section 3), and what Java wraps its own keys in.
#[derive(Debug, Sequence)]
pub(crate) struct EncryptedPrivateKeyInfo {
    pub algorithm: AlgorithmIdentifier,
    pub data: OctetString,
}

#[derive(Debug, Sequence)]
pub(crate) struct AlgorithmIdentifier {
    pub algorithm: ObjectIdentifier,
    #[asn1(optional = "true")]
    pub parameters: Option<Any>,
}

impl AlgorithmIdentifier {
    /// An algorithm without parameters: absent, not NULL.
    pub fn plain(algorithm: ObjectIdentifier) -> Self {
        AlgorithmIdentifier { algorithm, parameters: None }
    }

    pub fn with(algorithm: ObjectIdentifier, parameters: &(impl EncodeValue + Tagged)) -> Self {
        AlgorithmIdentifier { algorithm, parameters: Some(element(parameters)) }
    }
}

/// pkcs-12PbeParams (RFC 7292 appendix C).
#[derive(Debug, Sequence)]
pub(crate) struct PbeParameters {
    pub salt: OctetString,
    pub iterations: u32,
}

/// PBES2-params and PBMAC1-params (RFC 8018 appendix A): a derivation, and what takes its key.
#[derive(Debug, Sequence)]
pub(crate) struct DerivedParameters {
    pub derivation: AlgorithmIdentifier,
    pub scheme: AlgorithmIdentifier,
}

/// PBKDF2-params (RFC 8018 appendix A.2).
#[derive(Debug, Sequence)]
pub(crate) struct Pbkdf2Parameters {
    pub salt: OctetString,
    pub iterations: u32,
    #[asn1(optional = "true")]
    pub key_length: Option<u32>,
    pub prf: AlgorithmIdentifier,
}

const FITS: &str = "MAX_CONTENT is far below the lengths that DER cannot express";

pub(crate) fn der(value: &impl Encode) -> Vec<u8> {
    value.to_der().expect(FITS)
}

pub(crate) fn element(value: &(impl EncodeValue + Tagged)) -> Any {
    Any::encode_from(value).expect("a value's own encoding is one element")
}

pub(crate) fn octets(bytes: &[u8]) -> OctetString {
    OctetString::new(bytes).expect(FITS)
}

/// SET OF, sorted as DER wants it.
pub(crate) fn set<T: der::DerOrd>(items: impl IntoIterator<Item = T>) -> SetOfVec<T> {
    SetOfVec::from_iter(items).expect("encodings of different attributes can be compared")
}
