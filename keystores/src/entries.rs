//! What a Secret holds beside `tls.key`, `tls.crt` and `ca.crt`.

use std::collections::BTreeMap;

use everleaf_pki::CertInfo;
use zeroize::Zeroizing;

use crate::pkcs12::{self, Profile};
use crate::{Identity, Password, Salts, StoreError, combined_pem, jks, key_der};

/// The data of a Secret by key.
pub type Entries = BTreeMap<&'static str, Zeroizing<Vec<u8>>>;

/// Which further entries a Certificate asks for: `spec.keystores` and
/// `spec.additionalOutputFormats`.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// `keystore.p12` and `truststore.p12`.
    pub pkcs12: Option<(Profile, &'a Password)>,
    /// `keystore.jks`, with the alias of its key, and `truststore.jks`.
    pub jks: Option<(&'a str, &'a Password)>,
    /// `tls-combined.pem`.
    pub combined_pem: bool,
    /// `key.der`.
    pub der: bool,
}

/// What the entries are made of.
#[derive(Clone, Copy)]
pub struct Material<'a> {
    /// `tls.key`, to the byte.
    pub key_pem: &'a [u8],
    /// `tls.crt`, to the byte.
    pub certificates_pem: &'a [u8],
    /// The same key and certificates, read.
    pub identity: Identity<'a>,
    /// The certificates of `ca.crt`; empty where there is none.
    pub authorities: &'a [CertInfo],
}

impl Wanted<'_> {
    /// The entries. Truststores are among them only where there is a CA to trust.
    ///
    /// `created`, in milliseconds since the Unix epoch, is when the entries of Java keystores were
    /// made. Three of the stores take salts.
    pub fn entries(
        &self,
        material: &Material<'_>,
        [of_keystore, of_truststore, of_java]: [Salts; 3],
        created: i64,
    ) -> Result<Entries, StoreError> {
        let Material { key_pem, certificates_pem, identity, authorities } = *material;
        let trusts = !authorities.is_empty();
        let mut entries = Entries::new();
        let mut add = |key, content| drop(entries.insert(key, Zeroizing::new(content)));
        if let Some((profile, password)) = self.pkcs12 {
            let store = pkcs12::keystore(profile, &identity, authorities, password, of_keystore)?;
            add("keystore.p12", store);
            if trusts {
                let store = pkcs12::truststore(profile, authorities, password, of_truststore)?;
                add("truststore.p12", store);
            }
        }
        if let Some((alias, password)) = self.jks {
            let store = jks::keystore(alias, &identity, authorities, password, created, of_java)?;
            add("keystore.jks", store);
            if trusts {
                add("truststore.jks", jks::truststore(authorities, password, created)?);
            }
        }
        if self.combined_pem {
            entries.insert("tls-combined.pem", combined_pem(key_pem, certificates_pem));
        }
        if self.der {
            entries.insert("key.der", key_der(key_pem)?);
        }
        Ok(entries)
    }
}
