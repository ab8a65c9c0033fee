//! What a Certificate wants in and on its Secret besides the pair, and what of that is there.

use super::{CertificateFacts, SecretFacts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The Secret's entry for the PKCS#12 keystore.
pub const KEYSTORE_P12: &str = "keystore.p12";
/// The Secret's entry for the PKCS#12 truststore.
pub const TRUSTSTORE_P12: &str = "truststore.p12";
/// The Secret's entry for the Java keystore.
pub const KEYSTORE_JKS: &str = "keystore.jks";
/// The Secret's entry for the Java truststore.
pub const TRUSTSTORE_JKS: &str = "truststore.jks";
/// The Secret's entry for the key as DER.
pub const KEY_DER: &str = "key.der";
/// The Secret's entry for key and chain in one PEM text.
pub const COMBINED_PEM: &str = "tls-combined.pem";

/// Every such entry.
pub const ENTRIES: [&str; 6] =
    [KEYSTORE_P12, TRUSTSTORE_P12, KEYSTORE_JKS, TRUSTSTORE_JKS, KEY_DER, COMBINED_PEM];

/// Where the password of a keystore is. The password itself is in no fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PasswordFrom {
    /// In the Certificate's spec.
    Literal,
    /// In a Secret of the namespace.
    Secret {
        /// Its name.
        name: Arc<str>,
        /// The entry in its data; empty if none was named.
        key: Arc<str>,
    },
}

/// The algorithms of a PKCS#12 keystore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StoreProfile {
    /// `LegacyRC2`, the default.
    LegacyRc2,
    /// `LegacyDES`.
    LegacyDes,
    /// `Modern2023`.
    Modern2023,
    /// `Modern2026`.
    Modern2026,
}

/// The entries that a Certificate wants beside the pair: `spec.keystores` and
/// `spec.additionalOutputFormats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outputs {
    /// A PKCS#12 keystore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkcs12: Option<(StoreProfile, PasswordFrom)>,
    /// A Java keystore, by the alias of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jks: Option<(Arc<str>, PasswordFrom)>,
    /// Key and chain in one PEM text.
    pub combined_pem: bool,
    /// The key as DER.
    pub der: bool,
}

impl Outputs {
    /// The keystores wanted; truststores are among them only where there is a CA to trust.
    pub fn stores(&self, has_ca: bool) -> Vec<&'static str> {
        let wanted = [
            (KEYSTORE_P12, self.pkcs12.is_some()),
            (TRUSTSTORE_P12, self.pkcs12.is_some() && has_ca),
            (KEYSTORE_JKS, self.jks.is_some()),
            (TRUSTSTORE_JKS, self.jks.is_some() && has_ca),
        ];
        wanted.into_iter().filter_map(|(name, wanted)| wanted.then_some(name)).collect()
    }

    /// The other formats wanted.
    pub fn formats(&self) -> Vec<&'static str> {
        let wanted = [(COMBINED_PEM, self.combined_pem), (KEY_DER, self.der)];
        wanted.into_iter().filter_map(|(name, wanted)| wanted.then_some(name)).collect()
    }

    /// The Secrets of the namespace that hold passwords, each once.
    pub fn password_secrets(&self) -> Vec<&Arc<str>> {
        let pkcs12 = self.pkcs12.as_ref().map(|(_, password)| password);
        let all = pkcs12.into_iter().chain(self.jks.as_ref().map(|(_, password)| password));
        let mut names: Vec<_> = all.filter_map(PasswordFrom::secret).collect();
        names.dedup();
        names
    }
}

impl PasswordFrom {
    fn secret(&self) -> Option<&Arc<str>> {
        if let Self::Secret { name, .. } = self { Some(name) } else { None }
    }
}

/// Labels and annotations that tell us nothing: `spec.secretTemplate`, or what of a Secret we
/// applied from one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Template {
    /// The labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// The annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
}

/// What `managedFields` of a Secret say is ours: applied by us, and changed by nobody since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Managed {
    /// Labels and annotations, but for those that tell of the certificate.
    pub template: Template,
    /// Which of [`ENTRIES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Arc<str>>,
}

static NO_OUTPUTS: Outputs = Outputs { pkcs12: None, jks: None, combined_pem: false, der: false };
static NO_TEMPLATE: Template = Template { labels: BTreeMap::new(), annotations: BTreeMap::new() };
static NOTHING: Managed = Managed {
    template: Template { labels: BTreeMap::new(), annotations: BTreeMap::new() },
    entries: Vec::new(),
};

impl CertificateFacts {
    /// The entries wanted beside the pair.
    pub fn outputs(&self) -> &Outputs {
        self.outputs.as_deref().unwrap_or(&NO_OUTPUTS)
    }

    /// The labels and annotations wanted on the Secret.
    pub fn template(&self) -> &Template {
        self.template.as_deref().unwrap_or(&NO_TEMPLATE)
    }
}

impl SecretFacts {
    /// What of the Secret is ours besides the pair and what tells of it.
    pub fn managed(&self) -> &Managed {
        self.managed.as_deref().unwrap_or(&NOTHING)
    }
}
