//! Java's own keystore format, in its second version, as `keytool -storetype JKS` writes it.
//!
//! The format is that of `sun.security.provider.JavaKeyStore`: big-endian numbers, texts as
//! `DataOutput.writeUTF` writes them, and a SHA-1 digest over the password and everything else. Keys
//! are protected by Sun's own scheme.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY as SHA1};
use der::asn1::{Any, Null};
use everleaf_pki::CertInfo;

use crate::asn1::{AlgorithmIdentifier, EncryptedPrivateKeyInfo, der, octets, oid};
use crate::identity::check_size;
use crate::{Identity, Password, Salts, StoreError};

/// The alias of the key where `spec.keystores.jks.alias` names none.
pub const DEFAULT_ALIAS: &str = "certificate";

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
const PRIVATE_KEY: u32 = 1;
const TRUSTED_CERTIFICATE: u32 = 2;
/// What Java mixes into the digest of every store.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// The type of every certificate, by its standard name.
const X509: &str = "X.509";

/// A keystore: the key with its chain under `alias`, and `authorities` as trusted certificates under
/// `ca`, `ca-1`, `ca-2` and so on.
///
/// The alias is written in lower case, for Java lowers what it is asked for and not what it read. A
/// name of the CAs that is taken by the alias is left out, and the next one used.
///
/// Both the store and the key are under `password`; `created` is in milliseconds since the Unix
/// epoch.
pub fn keystore(
    alias: &str,
    identity: &Identity<'_>,
    authorities: &[CertInfo],
    password: &Password,
    created: i64,
    mut salts: Salts,
) -> Result<Vec<u8>, StoreError> {
    check_size(Some(identity), authorities)?;
    let alias = alias.to_lowercase();
    let password = password.utf_16();
    let mut store = Writer::of(1 + authorities.len());
    store.number(PRIVATE_KEY);
    store.text(&alias)?;
    store.time(created);
    store.block(&protected(identity.key(), &password, &mut salts));
    store.number(count(identity.chain().len()));
    for certificate in identity.chain() {
        store.certificate(certificate)?;
    }
    store.trusted(&alias, authorities, created)?;
    Ok(store.finish(&password))
}

/// A truststore: `authorities` as trusted certificates under `ca`, `ca-1`, `ca-2` and so on.
///
/// `created` is in milliseconds since the Unix epoch.
pub fn truststore(
    authorities: &[CertInfo],
    password: &Password,
    created: i64,
) -> Result<Vec<u8>, StoreError> {
    if authorities.is_empty() {
        return Err(StoreError::NothingToTrust);
    }
    check_size(None, authorities)?;
    let mut store = Writer::of(authorities.len());
    store.trusted("", authorities, created)?;
    Ok(store.finish(&password.utf_16()))
}

struct Writer(Vec<u8>);

impl Writer {
    fn of(entries: usize) -> Self {
        let mut store = Writer(Vec::new());
        [MAGIC, VERSION, count(entries)].into_iter().for_each(|number| store.number(number));
        store
    }

    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn time(&mut self, milliseconds: i64) {
        self.0.extend_from_slice(&milliseconds.to_be_bytes());
    }

    fn block(&mut self, bytes: &[u8]) {
        self.number(count(bytes.len()));
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) -> Result<(), StoreError> {
        let encoded = modified_utf_8(text);
        let length = encoded.len();
        let short = u16::try_from(length).map_err(|_| StoreError::LongAlias { length })?;
        self.0.extend_from_slice(&short.to_be_bytes());
        self.0.extend_from_slice(&encoded);
        Ok(())
    }

    fn certificate(&mut self, certificate: &CertInfo) -> Result<(), StoreError> {
        self.text(X509)?;
        self.block(&certificate.der);
        Ok(())
    }

    fn trusted(
        &mut self,
        taken: &str,
        authorities: &[CertInfo],
        created: i64,
    ) -> Result<(), StoreError> {
        let names = (0..).map(|number: u32| match number {
            0 => "ca".to_owned(),
            number => format!("ca-{number}"),
        });
        let free = names.filter(|name| name != taken);
        for (authority, name) in authorities.iter().zip(free) {
            self.number(TRUSTED_CERTIFICATE);
            self.text(&name)?;
            self.time(created);
            self.certificate(authority)?;
        }
        Ok(())
    }

    fn finish(self, password: &[u8]) -> Vec<u8> {
        let digest = sha1(&[password, WHITENER, &self.0]);
        [&self.0, digest.as_ref()].concat()
    }
}

/// Counts and lengths are of parts of what `check_size` let through.
fn count(length: usize) -> u32 {
    u32::try_from(length).expect("MAX_CONTENT fits 32 bits")
}

/// `DataOutput.writeUTF`: each UTF-16 unit by itself in one to three bytes, and the null character in
/// two.
fn modified_utf_8(text: &str) -> Vec<u8> {
    let encode = |unit: u16| {
        let bits = |shift: u32, mask: u16, lead: u8| lead | ((unit >> shift) & mask) as u8;
        match unit {
            0x01..0x80 => vec![unit as u8],
            0x00 | 0x80..0x800 => vec![bits(6, 0x1f, 0xc0), bits(0, 0x3f, 0x80)],
            0x800.. => vec![bits(12, 0x0f, 0xe0), bits(6, 0x3f, 0x80), bits(0, 0x3f, 0x80)],
        }
    };
    text.encode_utf16().flat_map(encode).collect()
}

/// Sun's key protector: the key XORed with a chain of digests that begins with a salt, between that
/// salt and a digest of password and key.
fn protected(key: &[u8], password: &[u8], salts: &mut Salts) -> Vec<u8> {
    let salt = salts.take::<20>();
    let mut data = Vec::with_capacity(salt.len() + key.len() + SHA1.output_len());
    data.extend_from_slice(&salt);
    let mut pad = sha1(&[password, &salt]);
    for part in key.chunks(SHA1.output_len()) {
        data.extend(part.iter().zip(pad.as_ref()).map(|(key, pad)| key ^ pad));
        pad = sha1(&[password, pad.as_ref()]);
    }
    data.extend_from_slice(sha1(&[password, key]).as_ref());
    let parameters = Some(Any::from(Null));
    let algorithm = AlgorithmIdentifier { algorithm: oid::JAVA_KEY_PROTECTOR, parameters };
    der(&EncryptedPrivateKeyInfo { algorithm, data: octets(&data) })
}

fn sha1(parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(&SHA1);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

#[cfg(test)]
mod tests;
