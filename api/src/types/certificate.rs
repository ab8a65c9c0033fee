//! `Certificate`: what a user asks for, and what became of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reference::{IssuerRef, SecretKeySelector, selector};
use crate::condition::Condition;
use crate::duration::GoDuration;
use crate::time::Time;
use crate::wire::{closed_enum, list, map, text};

closed_enum! {
    /// Another encoding of the issued pair, stored beside `tls.crt` and `tls.key`.
    #[derive(Default)]
    OutputFormat {
        /// The private key as DER, under `key.der`.
        #[default]
        Der = "DER",
        /// Key and chain in one PEM file, under `tls-combined.pem`.
        CombinedPem = "CombinedPEM",
    }
}

closed_enum! {
    /// Whether and when a Certificate is renewed.
    RenewalPolicy {
        /// Renewed ahead of its expiry, inside the windows if there are any.
        RenewBefore = "RenewBefore",
        /// Never renewed because of its age.
        Disabled = "Disabled",
    }
}

closed_enum! {
    /// The algorithms of a PKCS#12 file.
    Pkcs12Profile {
        /// RC2-40 and 3DES with SHA-1: readable by everything, protects nothing.
        LegacyRc2 = "LegacyRC2",
        /// 3DES with SHA-1.
        LegacyDes = "LegacyDES",
        /// AES-256-CBC with PBKDF2 and SHA-256.
        Modern2023 = "Modern2023",
        /// As `Modern2023`, with a PBMAC1 integrity check (RFC 9579).
        Modern2026 = "Modern2026",
    }
}

closed_enum! {
    /// The kind of a private key.
    PrivateKeyAlgorithm {
        /// RSA, 2048 to 8192 bits.
        Rsa = "RSA",
        /// ECDSA on P-256, P-384 or P-521.
        Ecdsa = "ECDSA",
        /// Ed25519 (RFC 8032).
        Ed25519 = "Ed25519",
    }
}

closed_enum! {
    /// How `tls.key` is encoded.
    PrivateKeyEncoding {
        /// The algorithm's own form: PKCS#1 for RSA, SEC 1 for ECDSA.
        Pkcs1 = "PKCS1",
        /// PKCS#8 (RFC 5958).
        Pkcs8 = "PKCS8",
    }
}

closed_enum! {
    /// What happens to the private key when a Certificate is issued again.
    RotationPolicy {
        /// The key is kept while it fits the spec.
        Never = "Never",
        /// Each issuance has a new key.
        Always = "Always",
    }
}

closed_enum! {
    /// The algorithm that signs the certificate signing request.
    SignatureAlgorithm {
        /// RSA PKCS#1 v1.5 with SHA-256.
        Sha256WithRsa = "SHA256WithRSA",
        /// RSA PKCS#1 v1.5 with SHA-384.
        Sha384WithRsa = "SHA384WithRSA",
        /// RSA PKCS#1 v1.5 with SHA-512.
        Sha512WithRsa = "SHA512WithRSA",
        /// ECDSA with SHA-256.
        EcdsaWithSha256 = "ECDSAWithSHA256",
        /// ECDSA with SHA-384.
        EcdsaWithSha384 = "ECDSAWithSHA384",
        /// ECDSA with SHA-512.
        EcdsaWithSha512 = "ECDSAWithSHA512",
        /// Ed25519 without a prehash.
        PureEd25519 = "PureEd25519",
    }
}

closed_enum! {
    /// A key usage (RFC 5280, 4.2.1.3) or an extended key usage (4.2.1.12), by cert-manager's name.
    KeyUsage {
        /// Digital signature, by its older name.
        Signing = "signing",
        /// Digital signature.
        DigitalSignature = "digital signature",
        /// Non-repudiation.
        ContentCommitment = "content commitment",
        /// Enciphering of keys.
        KeyEncipherment = "key encipherment",
        /// Key agreement.
        KeyAgreement = "key agreement",
        /// Enciphering of data.
        DataEncipherment = "data encipherment",
        /// Signing certificates.
        CertSign = "cert sign",
        /// Signing revocation lists.
        CrlSign = "crl sign",
        /// Enciphering during key agreement only.
        EncipherOnly = "encipher only",
        /// Deciphering during key agreement only.
        DecipherOnly = "decipher only",
        /// Any extended usage.
        Any = "any",
        /// TLS server.
        ServerAuth = "server auth",
        /// TLS client.
        ClientAuth = "client auth",
        /// Signing code.
        CodeSigning = "code signing",
        /// E-mail.
        EmailProtection = "email protection",
        /// E-mail, by its older name.
        SMime = "s/mime",
        /// IPsec end system.
        IpsecEndSystem = "ipsec end system",
        /// IPsec tunnel.
        IpsecTunnel = "ipsec tunnel",
        /// IPsec user.
        IpsecUser = "ipsec user",
        /// Time stamping.
        Timestamping = "timestamping",
        /// Signing OCSP answers.
        OcspSigning = "ocsp signing",
        /// Microsoft server gated crypto.
        MicrosoftSgc = "microsoft sgc",
        /// Netscape server gated crypto.
        NetscapeSgc = "netscape sgc",
    }
}

/// What a Certificate asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// Further encodings of the pair to keep in the Secret.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub additional_output_formats: Vec<AdditionalOutputFormat>,
    /// The subject's common name, at most 64 bytes. Clients match the names below, not this one.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// DNS names the certificate is good for.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// The validity to ask for, at least 1h; 2160h where none is given. The issuer may grant
    /// another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// E-mail addresses the certificate is good for.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub email_addresses: Vec<String>,
    /// False leaves the usages out of the signing request, for issuers that refuse them there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encode_usages_in_request: Option<bool>,
    /// Issuers that are asked, in this order, when those before cannot issue; at most 8. Everleaf's
    /// own; the annotation `everleaf.dev/issuer-fallbacks` says the same where the field is not
    /// served.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub fallback_issuer_refs: Vec<IssuerRef>,
    /// IP addresses the certificate is good for.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// Asks for a certificate that may sign others; adds the usage `cert sign`.
    #[serde(rename = "isCA", default, skip_serializing_if = "Option::is_none")]
    pub is_ca: Option<bool>,
    /// The issuer that shall sign.
    #[serde(default)]
    pub issuer_ref: IssuerRef,
    /// Java and PKCS#12 keystores to keep in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keystores: Option<CertificateKeystores>,
    /// The subject as an RFC 4514 string, for what `subject` and `commonName` cannot say. Excludes
    /// both.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub literal_subject: Option<String>,
    /// The name constraints of a CA certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_constraints: Option<NameConstraints>,
    /// Subject alternative names of the kind otherName.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub other_names: Vec<OtherName>,
    /// How the private key is made, encoded and rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<CertificatePrivateKey>,
    /// How long before its expiry the certificate is renewed, at least 5m. Excludes
    /// `renewBeforePercentage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<GoDuration>,
    /// How much of its lifetime, in percent, is left when the certificate is renewed: 1 to 99.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before_percentage: Option<i32>,
    /// Whether to renew, and in which windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<CertificateRenewal>,
    /// How many CertificateRequests to keep, at least 1; 1 where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    /// The Secret that holds the pair, in the namespace of the Certificate.
    #[serde(default)]
    pub secret_name: String,
    /// Labels and annotations for that Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_template: Option<CertificateSecretTemplate>,
    /// The algorithm that signs the signing request; must fit the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_algorithm: Option<SignatureAlgorithm>,
    /// The subject's further attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<X509Subject>,
    /// URIs the certificate is good for.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// The usages to ask for; digital signature and key encipherment where none is given.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<KeyUsage>,
}

/// A further encoding of the issued pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdditionalOutputFormat {
    /// The encoding.
    pub type_: OutputFormat,
}

/// The keystores to keep beside the PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateKeystores {
    /// A Java keystore, under `keystore.jks` and `truststore.jks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jks: Option<JksKeystore>,
    /// A PKCS#12 keystore, under `keystore.p12` and `truststore.p12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkcs12: Option<Pkcs12Keystore>,
}

/// A Java keystore. Give exactly one of `password` and `passwordSecretRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JksKeystore {
    /// The alias of the key entry; `certificate` where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Whether to write it.
    #[serde(default)]
    pub create: bool,
    /// The password itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Where the password lies, in the namespace of the Certificate.
    #[serde(default, deserialize_with = "selector", skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeySelector>,
}

/// A PKCS#12 keystore. Give exactly one of `password` and `passwordSecretRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pkcs12Keystore {
    /// Whether to write it.
    #[serde(default)]
    pub create: bool,
    /// The password itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Where the password lies, in the namespace of the Certificate.
    #[serde(default, deserialize_with = "selector", skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeySelector>,
    /// The algorithms to use; `LegacyRC2` where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Pkcs12Profile>,
}

/// Which names a CA may certify (RFC 5280, 4.2.1.10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameConstraints {
    /// Whether a reader that does not know the extension must refuse the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<bool>,
    /// Names that must not be certified, even if permitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<NameConstraintItem>,
    /// Names that may be certified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted: Option<NameConstraintItem>,
}

/// Subtrees of names, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameConstraintItem {
    /// DNS domains.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub dns_domains: Vec<String>,
    /// E-mail addresses, hosts or domains.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub email_addresses: Vec<String>,
    /// IP ranges in CIDR notation.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub ip_ranges: Vec<String>,
    /// Domains of URIs.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub uri_domains: Vec<String>,
}

/// A subject alternative name of the kind otherName, with a UTF-8 value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherName {
    /// The object identifier of its type, dotted.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub oid: Option<String>,
    /// Its value, encoded as a UTF8String.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub utf8_value: Option<String>,
}

/// How the private key is made, encoded and rotated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificatePrivateKey {
    /// The kind of key; RSA where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<PrivateKeyAlgorithm>,
    /// The encoding of `tls.key`; PKCS1 where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<PrivateKeyEncoding>,
    /// Whether each issuance has a new key; Always where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_policy: Option<RotationPolicy>,
    /// The key's size in bits: RSA 2048 (default) to 8192, ECDSA 256 (default), 384 or 521; no
    /// meaning for Ed25519.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
}

/// Whether to renew, and in which windows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRenewal {
    /// Whether and when to renew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RenewalPolicy>,
    /// The windows to renew in. A window that comes too late does not keep a certificate from being
    /// renewed.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<CertificateRenewalWindow>,
}

/// A recurring window of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRenewalWindow {
    /// When it opens: five cron fields, or a descriptor like `@daily`.
    #[serde(default)]
    pub cron: String,
    /// The IANA time zone of `cron`; UTC where none is given.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// How long it stays open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_duration: Option<GoDuration>,
}

/// Labels and annotations for the issued Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSecretTemplate {
    /// Annotations to set; keys of cert-manager are not allowed, but for
    /// `cert-manager.io/allow-direct-injection`.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels to set.
    #[serde(default, deserialize_with = "map", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Attributes of a subject, besides the common name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509Subject {
    /// Countries (C), two letters each.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// Localities (L).
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub localities: Vec<String>,
    /// Organizational units (OU).
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub organizational_units: Vec<String>,
    /// Organizations (O).
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// Postal codes.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub postal_codes: Vec<String>,
    /// States or provinces (ST).
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub provinces: Vec<String>,
    /// The subject's serial number, not the certificate's.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Street addresses (STREET).
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub street_addresses: Vec<String>,
}

/// What became of a Certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// What the ACME server said about its renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<CertificateAcmeStatus>,
    /// `Ready` and `Issuing`.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Failed attempts in a row; absent after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_issuance_attempts: Option<i64>,
    /// When the last attempt failed; absent after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure_time: Option<Time>,
    /// The Secret with the key of the issuance under way.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub next_private_key_secret_name: Option<String>,
    /// When the stored certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    /// When the stored certificate became valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// When the certificate is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_time: Option<Time>,
    /// The number of the stored issuance, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
}

/// The ACME side of a Certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateAcmeStatus {
    /// The CA's renewal information (RFC 9773).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari: Option<AcmeRenewalInfo>,
}

/// The CA's renewal information (RFC 9773).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeRenewalInfo {
    /// A page that explains the suggestion.
    #[serde(
        rename = "explanationURL",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub explanation_url: Option<String>,
    /// When the CA was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checked: Option<Time>,
    /// Why the last question had no answer.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When to ask again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<Time>,
    /// When the CA would like the renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested_window: Option<AcmeRenewalWindow>,
}

/// A window the CA suggests (RFC 9773, 4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcmeRenewalWindow {
    /// Its end.
    pub end: Time,
    /// Its start.
    pub start: Time,
}
