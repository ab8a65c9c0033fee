//! Symbolic keys, requests and certificates: JSON texts where PEM would be, so that a run costs
//! no cryptography and everything can be read in a log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_engine::{Timestamp, digest_of};
use everleaf_nodes::facts::{
    COMBINED_PEM, Csr, ENTRIES, Fingerprint, KEY_DER, KeyFacts, KeyKind, Leaf, Material, Names,
    Parsed,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Occurs in every private key; it must occur nowhere else.
pub const CANARY: &str = "canary-of-a-private-key";

/// The longest chain that is ever stored.
pub const MAX_CHAIN: usize = 10;

/// A private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymKey {
    /// Of its public key.
    pub fp: Fingerprint,
    /// Its kind.
    pub kind: KeyKind,
    /// What must never leave.
    pub canary: String,
    /// Whether it was taken from a Secret to be used again; said in memory only.
    #[serde(skip)]
    pub reused: bool,
}

impl SymKey {
    /// A key; the fingerprint is whatever the caller counts.
    pub fn new(fp: &str, kind: KeyKind) -> Self {
        Self { fp: fp.into(), kind, canary: format!("{CANARY}-{fp}"), reused: false }
    }

    /// What may be told of it.
    pub fn facts(&self) -> KeyFacts {
        KeyFacts { fingerprint: self.fp.clone(), kind: self.kind }
    }
}

/// A certificate signing request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymCsr {
    /// Of the public key.
    pub fp: Fingerprint,
    /// The key's kind.
    pub kind: KeyKind,
    /// commonName.
    pub common_name: Arc<str>,
    /// Subject alternative names.
    pub names: Names,
}

impl SymCsr {
    /// What decisions read of it.
    pub fn facts(&self) -> Csr {
        Csr {
            fingerprint: self.fp.clone(),
            common_name: self.common_name.clone(),
            subject: Default::default(),
            subject_der: digest_of(&self.common_name),
            names: self.names.clone(),
        }
    }
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymCert {
    /// Counted over the run.
    pub serial: u64,
    /// Of its public key.
    pub fp: Fingerprint,
    /// The key's kind.
    pub kind: KeyKind,
    /// Of the public key that verifies its signature.
    pub signer: Fingerprint,
    /// commonName.
    pub common_name: Arc<str>,
    /// Subject alternative names.
    pub names: Names,
    /// In seconds since 1970.
    pub not_before: i64,
    /// In seconds since 1970.
    pub not_after: i64,
    /// Whether it is a CA's.
    pub is_ca: bool,
    /// Usages as asked for.
    pub usages: Vec<Arc<str>>,
    /// What its CA knows it by, where that tells when to renew (RFC 9773, section 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari: Option<Arc<str>>,
}

impl SymCert {
    fn facts(&self, chain: usize) -> Leaf {
        Leaf {
            digest: digest_of(&serde_json::to_string(self).unwrap_or_default()),
            fingerprint: self.fp.clone(),
            not_before: Timestamp::from_seconds(self.not_before),
            not_after: Timestamp::from_seconds(self.not_after),
            common_name: self.common_name.clone(),
            subject: Default::default(),
            names: self.names.clone(),
            can_sign: self.is_ca,
            chain: u8::try_from(chain).unwrap_or(u8::MAX),
            ari_id: self.ari.clone(),
        }
    }

    /// Whether it is valid at that instant, in milliseconds since 1970.
    pub fn is_valid_at(&self, now: i64) -> bool {
        self.not_before * 1000 <= now && now < self.not_after * 1000
    }
}

/// Writes something as the bytes of an API field.
pub fn encode<T: Serialize + ?Sized>(what: &T) -> String {
    STANDARD.encode(serde_json::to_vec(what).unwrap_or_default())
}

/// Reads such a field.
pub fn decode<T: DeserializeOwned>(field: &Value) -> Parsed<T> {
    let Some(text) = field.as_str().filter(|text| !text.is_empty()) else {
        return Parsed::Missing;
    };
    let bytes = STANDARD.decode(text).map_err(|error| error.to_string());
    match bytes.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string())) {
        Ok(good) => Parsed::Good(good),
        Err(_) => Parsed::Broken("not in the notation of the simulation".into()),
    }
}

/// The leaf of a chain.
pub fn leaf_facts(chain: &Parsed<Vec<SymCert>>) -> Parsed<Leaf> {
    match chain {
        Parsed::Missing => Parsed::Missing,
        Parsed::Broken(why) => Parsed::Broken(why.clone()),
        Parsed::Good(chain) => match chain.first() {
            Some(leaf) => Parsed::Good(leaf.facts(chain.len())),
            None => Parsed::Broken("an empty chain".into()),
        },
    }
}

/// Why a chain does not hold together, leaf first.
pub fn chain_fault(chain: &[SymCert]) -> Option<&'static str> {
    let linked = chain.windows(2).all(|pair| pair[0].signer == pair[1].fp);
    let twice = (1..chain.len()).any(|at| chain[..at].contains(&chain[at]));
    match () {
        () if chain.len() > MAX_CHAIN => Some("longer than ten certificates"),
        () if twice => Some("a certificate occurs twice"),
        () if !linked => Some("a link does not verify the one before"),
        () => None,
    }
}

/// A chain as it may be stored: from the leaf upwards, what does not belong left out.
pub fn straighten(chain: &[SymCert]) -> Vec<SymCert> {
    let Some(leaf) = chain.first() else { return Vec::new() };
    let mut out = vec![leaf.clone()];
    while out.len() < MAX_CHAIN {
        let last = &out[out.len() - 1];
        let signs = |c: &&SymCert| c.fp == last.signer && !out.contains(c);
        let Some(next) = chain.iter().find(signs) else { break };
        out.push(next.clone());
    }
    out
}

/// The pair in a Secret's `data`.
pub fn material(data: &Value) -> Material {
    let chain: Parsed<Vec<SymCert>> = decode(&data["tls.crt"]);
    let key = match decode::<SymKey>(&data["tls.key"]) {
        Parsed::Good(key) => Parsed::Good(key.facts()),
        Parsed::Missing => Parsed::Missing,
        Parsed::Broken(why) => Parsed::Broken(why),
    };
    Material {
        key,
        leaf: leaf_facts(&chain),
        chain_fault: chain.good().and_then(|chain| chain_fault(chain)).map(Into::into),
        has_ca: data["ca.crt"].is_string(),
        beside: beside(data),
    }
}

/// An entry beside the pair, told by what it is made of; a keystore is only there or not.
pub fn entry_beside(data: &Value) -> Value {
    let pair = (data["tls.key"].as_str(), data["tls.crt"].as_str());
    json!(encode(&digest_of(&pair).to_string()))
}

fn beside(data: &Value) -> BTreeMap<Arc<str>, bool> {
    let judged = |name: &str| {
        let found = data.get(name)?;
        let format = [COMBINED_PEM, KEY_DER].contains(&name);
        Some((name.into(), !format || *found == entry_beside(data)))
    };
    ENTRIES.into_iter().filter_map(judged).collect()
}

/// The key in a Secret.
pub fn key_of(secret: &Value) -> Option<SymKey> {
    decode::<SymKey>(&secret["data"]["tls.key"]).good().cloned()
}

/// The chain in a Secret; empty if there is none.
pub fn chain_of(secret: &Value) -> Vec<SymCert> {
    decode::<Vec<SymCert>>(&secret["data"]["tls.crt"]).good().cloned().unwrap_or_default()
}

/// The leaf in a Secret.
pub fn leaf_of(secret: &Value) -> Option<SymCert> {
    chain_of(secret).into_iter().next()
}
