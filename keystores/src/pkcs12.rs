//! PKCS#12 (RFC 7292), byte for byte as go-pkcs12 writes it, whose files clients have met.

use aws_lc_rs::{digest, hmac};
use der::Tag;
use der::asn1::{Any, SetOfVec};
use everleaf_pki::CertInfo;

use crate::asn1::{
    AlgorithmIdentifier, Attribute, CertBag, ContentInfo, DerivedParameters, DigestInfo,
    EncryptedContentInfo, EncryptedData, EncryptedPrivateKeyInfo, MacData, Pfx, SafeBag, der,
    element, octets, oid, set,
};
use crate::encryption::{Encoded, ITERATIONS, Scheme, pbkdf2_with};
use crate::friendly_name::friendly_names;
use crate::identity::check_size;
use crate::kdf::{Derivation, Purpose};
use crate::{Identity, Password, Salts, StoreError};

/// Which algorithms protect the file: the values of `spec.keystores.pkcs12.profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// RC2 with 40 bits over certificates, triple DES over keys, HMAC-SHA-1 over all: what the
    /// oldest clients read. OpenSSL 3 reads it with its legacy provider alone.
    LegacyRc2,
    /// Triple DES over certificates and keys, HMAC-SHA-1 over all: what most clients read.
    LegacyDes,
    /// AES-256 with PBKDF2 over certificates and keys, HMAC-SHA-256 over all: OpenSSL 1.1.1,
    /// Java 12, Windows Server 2019 and later.
    Modern2023,
    /// As [`Profile::Modern2023`], with PBMAC1 (RFC 9879) over all: OpenSSL 3.4, Java 26 and later.
    Modern2026,
}

impl Profile {
    fn of_certificates(self) -> Scheme {
        match self {
            Profile::LegacyRc2 => Scheme::Rc2,
            Profile::LegacyDes => Scheme::TripleDes,
            Profile::Modern2023 | Profile::Modern2026 => Scheme::Aes,
        }
    }

    fn of_keys(self) -> Scheme {
        match self {
            Profile::LegacyRc2 | Profile::LegacyDes => Scheme::TripleDes,
            Profile::Modern2023 | Profile::Modern2026 => Scheme::Aes,
        }
    }
}

/// A keystore: the key, its chain, then `authorities`, in one encrypted safe of certificates and one
/// of the key.
///
/// Key and leaf are tied by a local key ID and have no friendly name, so Java calls the entry `1`.
pub fn keystore(
    profile: Profile,
    identity: &Identity<'_>,
    authorities: &[CertInfo],
    password: &Password,
    mut salts: Salts,
) -> Result<Vec<u8>, StoreError> {
    check_size(Some(identity), authorities)?;
    let password = Encoded::new(password)?;
    let tie = local_key_id(identity.leaf());
    let key = profile.of_keys().seal(identity.key(), &password, &mut salts)?;
    let key = EncryptedPrivateKeyInfo { algorithm: key.algorithm, data: key.data };
    let key = SafeBag {
        kind: oid::PKCS_8_SHROUDED_KEY_BAG,
        value: element(&key),
        attributes: set([tie.clone()]),
    };
    let mut bags = vec![certificate_bag(identity.leaf(), set([tie]))];
    let others = identity.chain()[1..].iter().chain(authorities);
    bags.extend(others.map(|certificate| certificate_bag(certificate, SetOfVec::new())));
    let certificates = encrypted(profile, &bags, &password, &mut salts)?;
    let safes = [certificates, data(&der(&vec![key]))];
    Ok(sealed(profile, &safes.into(), &password, &mut salts))
}

/// A truststore: every certificate marked as trusted by Java for every usage, in one encrypted safe.
///
/// A certificate's friendly name, which Java takes for its alias, is its subject as Go writes it. A
/// second certificate of one subject gets a number behind it: Java keeps one entry an alias.
pub fn truststore(
    profile: Profile,
    authorities: &[CertInfo],
    password: &Password,
    mut salts: Salts,
) -> Result<Vec<u8>, StoreError> {
    if authorities.is_empty() {
        return Err(StoreError::NothingToTrust);
    }
    check_size(None, authorities)?;
    let password = Encoded::new(password)?;
    let names = friendly_names(authorities.iter().map(|authority| &authority.subject));
    let trusted = |(authority, name): (&CertInfo, String)| {
        certificate_bag(authority, set([trusted_by_java(), friendly_name(&name)]))
    };
    let bags: Vec<_> = authorities.iter().zip(names).map(trusted).collect();
    let safe = encrypted(profile, &bags, &password, &mut salts)?;
    Ok(sealed(profile, &vec![safe], &password, &mut salts))
}

fn certificate_bag(certificate: &CertInfo, attributes: SetOfVec<Attribute>) -> SafeBag {
    let bag = CertBag { kind: oid::X509_CERTIFICATE, certificate: octets(&certificate.der) };
    SafeBag { kind: oid::CERT_BAG, value: element(&bag), attributes }
}

fn attribute(kind: der::asn1::ObjectIdentifier, value: Any) -> Attribute {
    Attribute { kind, values: set([value]) }
}

fn local_key_id(leaf: &CertInfo) -> Attribute {
    let id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &leaf.der);
    attribute(oid::LOCAL_KEY_ID, element(&octets(id.as_ref())))
}

fn trusted_by_java() -> Attribute {
    attribute(oid::TRUSTED_KEY_USAGE, element(&oid::ANY_EXTENDED_KEY_USAGE))
}

/// Characters above the basic plane are written in two units, against X.680 and as everybody reads
/// them: without them a CA's name could stop its truststore.
fn friendly_name(name: &str) -> Attribute {
    let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let text = Any::new(Tag::BmpString, units).expect("a subject is shorter than its certificate");
    attribute(oid::FRIENDLY_NAME, text)
}

fn data(content: &[u8]) -> ContentInfo {
    ContentInfo { kind: oid::DATA, content: element(&octets(content)) }
}

fn encrypted(
    profile: Profile,
    bags: &Vec<SafeBag>,
    password: &Encoded<'_>,
    salts: &mut Salts,
) -> Result<ContentInfo, StoreError> {
    let sealed = profile.of_certificates().seal(&der(bags), password, salts)?;
    let content =
        EncryptedContentInfo { kind: oid::DATA, algorithm: sealed.algorithm, content: sealed.data };
    let content = element(&EncryptedData { version: 0, content });
    Ok(ContentInfo { kind: oid::ENCRYPTED_DATA, content })
}

/// The whole file: the safes, and a MAC over them.
fn sealed(
    profile: Profile,
    safes: &Vec<ContentInfo>,
    password: &Encoded<'_>,
    salts: &mut Salts,
) -> Vec<u8> {
    let safes = der(safes);
    let mac = match profile {
        Profile::LegacyRc2 | Profile::LegacyDes => sha1_mac(&safes, password, salts),
        Profile::Modern2023 => sha256_mac(&safes, password, salts),
        Profile::Modern2026 => pbmac1(&safes, password, salts),
    };
    der(&Pfx { version: 3, auth_safe: data(&safes), mac })
}

fn sha1_mac(message: &[u8], password: &Encoded<'_>, salts: &mut Salts) -> MacData {
    let salt = salts.take::<8>();
    let key = Derivation {
        hash: &digest::SHA1_FOR_LEGACY_USE_ONLY,
        password: &password.bmp,
        salt: &salt,
        iterations: 1,
    };
    let key = key.derive::<20>(Purpose::Mac);
    let digest = mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_ref(), message);
    let digest = DigestInfo { algorithm: AlgorithmIdentifier::plain(oid::SHA1), digest };
    MacData { digest, salt: octets(&salt), iterations: None }
}

fn sha256_mac(message: &[u8], password: &Encoded<'_>, salts: &mut Salts) -> MacData {
    let salt = salts.take::<16>();
    let key = Derivation {
        hash: &digest::SHA256,
        password: &password.bmp,
        salt: &salt,
        iterations: ITERATIONS,
    };
    let key = key.derive::<32>(Purpose::Mac);
    let digest = mac(hmac::HMAC_SHA256, key.as_ref(), message);
    let digest = DigestInfo { algorithm: AlgorithmIdentifier::plain(oid::SHA256), digest };
    MacData { digest, salt: octets(&salt), iterations: Some(ITERATIONS) }
}

/// Salt and iterations stand in the parameters; the fields for them are left empty and 0, as
/// go-pkcs12 leaves them, and nobody looks at them (RFC 9879).
fn pbmac1(message: &[u8], password: &Encoded<'_>, salts: &mut Salts) -> MacData {
    let salt = salts.take::<16>();
    let parameters = DerivedParameters {
        derivation: pbkdf2_with(&salt, Some(32)),
        scheme: AlgorithmIdentifier::plain(oid::HMAC_SHA256),
    };
    let key = password.pbkdf2(&salt);
    let digest = mac(hmac::HMAC_SHA256, key.as_ref(), message);
    let algorithm = AlgorithmIdentifier::with(oid::PBMAC1, &parameters);
    MacData { digest: DigestInfo { algorithm, digest }, salt: octets(&[]), iterations: Some(0) }
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], message: &[u8]) -> der::asn1::OctetString {
    octets(hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref())
}

#[cfg(test)]
mod tests;
