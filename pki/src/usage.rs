//! Key usages and extended key usages, by the API's names.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::extension::{self, Extension};
use crate::oid::{Oid, id};
use crate::tlv::{self, Malformed, tag};

macro_rules! usages {
    ($($variant:ident $text:literal $meaning:expr;)*) => {
        /// An entry of `spec.usages`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Usage {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl Usage {
            /// Every usage, in the API's order.
            pub const ALL: [Usage; 23] = [$(Usage::$variant,)*];

            /// The API's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Usage::$variant => $text,)* }
            }

            fn meaning(self) -> Meaning {
                match self { $(Usage::$variant => $meaning,)* }
            }
        }
    };
}

/// What a usage turns into: a named bit (RFC 5280 section 4.2.1.3) or a purpose (4.2.1.12).
enum Meaning {
    Bit(u16),
    Purpose(&'static [u8]),
}

use Meaning::{Bit, Purpose};

const fn pkix(purpose: u8) -> [u8; 8] {
    [0x2b, 6, 1, 5, 5, 7, 3, purpose]
}

usages! {
    Signing "signing" Bit(0);
    DigitalSignature "digital signature" Bit(0);
    ContentCommitment "content commitment" Bit(1);
    KeyEncipherment "key encipherment" Bit(2);
    KeyAgreement "key agreement" Bit(4);
    DataEncipherment "data encipherment" Bit(3);
    CertSign "cert sign" Bit(CERT_SIGN);
    CrlSign "crl sign" Bit(6);
    EncipherOnly "encipher only" Bit(7);
    DecipherOnly "decipher only" Bit(8);
    Any "any" Purpose(&[0x55, 0x1d, 37, 0]);
    ServerAuth "server auth" Purpose(const { &pkix(1) });
    ClientAuth "client auth" Purpose(const { &pkix(2) });
    CodeSigning "code signing" Purpose(const { &pkix(3) });
    EmailProtection "email protection" Purpose(const { &pkix(4) });
    SMime "s/mime" Purpose(const { &pkix(4) });
    IpsecEndSystem "ipsec end system" Purpose(const { &pkix(5) });
    IpsecTunnel "ipsec tunnel" Purpose(const { &pkix(6) });
    IpsecUser "ipsec user" Purpose(const { &pkix(7) });
    Timestamping "timestamping" Purpose(const { &pkix(8) });
    OcspSigning "ocsp signing" Purpose(const { &pkix(9) });
    MicrosoftSgc "microsoft sgc" Purpose(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 10, 3, 3]);
    NetscapeSgc "netscape sgc" Purpose(&[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 4, 1]);
}

const CERT_SIGN: u16 = 5;

/// A text that is none of the API's usages.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a key usage")]
pub struct UnknownUsage(pub String);

impl FromStr for Usage {
    type Err = UnknownUsage;

    fn from_str(text: &str) -> Result<Self, UnknownUsage> {
        let mut all = Usage::ALL.into_iter();
        all.find(|known| known.as_str() == text).ok_or_else(|| UnknownUsage(text.to_owned()))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The two usage extensions of a request or certificate. Equality counts the order of purposes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usages {
    /// Bit `n` is the named bit `n` of KeyUsage; 0 for no extension.
    bits: u16,
    /// The purposes of ExtendedKeyUsage, in order; empty for no extension.
    purposes: Vec<Oid>,
}

impl Usages {
    /// What `spec.usages` and `spec.isCA` mean: no usages stand for `digital signature` and `key
    /// encipherment`, and a CA gets `cert sign` too.
    pub fn from_api(usages: &[Usage], is_ca: bool) -> Self {
        let default = [Usage::DigitalSignature, Usage::KeyEncipherment];
        let given = if usages.is_empty() { &default[..] } else { usages };
        let mut found = Usages::default();
        for usage in given {
            match usage.meaning() {
                Bit(bit) => found.bits |= 1 << bit,
                Purpose(oid) => found.purposes.push(Oid::known(oid)),
            }
        }
        found.bits |= u16::from(is_ca) << CERT_SIGN;
        found
    }

    /// The usages by the API's names, bits first; purposes the API has no name for are left out.
    /// Of two names for one thing it is `digital signature` and `email protection`.
    pub fn to_api(&self) -> Vec<Usage> {
        let canonical = |usage: &Usage| !matches!(usage, Usage::Signing | Usage::SMime);
        let named = Usage::ALL.into_iter().filter(canonical);
        let mut bits: Vec<(u16, Usage)> = named
            .clone()
            .filter_map(|usage| match usage.meaning() {
                Bit(bit) if self.bits & (1 << bit) != 0 => Some((bit, usage)),
                _ => None,
            })
            .collect();
        bits.sort();
        let purpose = |oid: &Oid| {
            let means =
                |usage: &Usage| matches!(usage.meaning(), Purpose(p) if p == oid.as_bytes());
            named.clone().find(means)
        };
        let bits = bits.into_iter().map(|(_, usage)| usage);
        bits.chain(self.purposes.iter().filter_map(purpose)).collect()
    }

    /// The named bits of KeyUsage, bit 0 for digitalSignature; `None` for no extension.
    pub fn key_usage(&self) -> Option<u16> {
        (self.bits != 0).then_some(self.bits)
    }

    /// The purposes of ExtendedKeyUsage, in order, with those the API has no name for.
    pub fn purposes(&self) -> &[Oid] {
        &self.purposes
    }

    /// Whether neither extension is there.
    pub fn is_empty(&self) -> bool {
        self.bits == 0 && self.purposes.is_empty()
    }

    /// Whether the key may sign certificates: `cert sign` is set, or no KeyUsage restricts it.
    pub fn allows_cert_sign(&self) -> bool {
        self.bits == 0 || self.bits & (1 << CERT_SIGN) != 0
    }

    pub(crate) fn parse(extensions: &[Extension]) -> Result<Self, Malformed> {
        let bits = extension::find(extensions, id::KEY_USAGE);
        let purposes = extension::find(extensions, id::EXT_KEY_USAGE);
        Ok(Usages {
            bits: bits.map_or(Ok(0), |found| parse_bits(&found.value))?,
            purposes: purposes.map_or(Ok(Vec::new()), |found| parse_purposes(&found.value))?,
        })
    }

    /// The extensions: KeyUsage, critical, and ExtendedKeyUsage, not critical; each if not empty.
    pub(crate) fn encode(&self) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        if self.bits != 0 {
            found.push(extension::encode(id::KEY_USAGE, true, &encode_bits(self.bits)));
        }
        if !self.purposes.is_empty() {
            let purposes: Vec<_> = self.purposes.iter().map(Oid::to_der).collect();
            let value = tlv::sequence_of(&purposes);
            found.push(extension::encode(id::EXT_KEY_USAGE, false, &value));
        }
        found
    }
}

/// A named bit list: bit 0 is the most significant of the first octet, zeros at the end are cut.
fn encode_bits(bits: u16) -> Vec<u8> {
    let [first, second] = bits.reverse_bits().to_be_bytes();
    let octets = if second == 0 { &[first][..] } else { &[first, second] };
    let unused = octets[octets.len() - 1].trailing_zeros() as u8;
    tlv::element(tag::BIT_STRING, &[&[unused], octets])
}

fn parse_bits(value: &[u8]) -> Result<u16, Malformed> {
    const FIELD: &str = "KeyUsage";
    match tlv::only(value, tag::BIT_STRING, FIELD)?.value {
        [0..=7] => Ok(0),
        [0..=7, first] => Ok(u16::from_be_bytes([*first, 0]).reverse_bits()),
        [0..=7, first, second, ..] => Ok(u16::from_be_bytes([*first, *second]).reverse_bits()),
        _ => Err(Malformed::new(FIELD, "not a bit string")),
    }
}

fn parse_purposes(value: &[u8]) -> Result<Vec<Oid>, Malformed> {
    const FIELD: &str = "ExtKeyUsageSyntax";
    let mut elements = tlv::only(value, tag::SEQUENCE, FIELD)?.children(FIELD);
    let mut purposes = Vec::new();
    while let Some(element) = elements.optional(tag::OID)? {
        purposes.push(Oid::from_content(element.value)?);
    }
    elements.finish()?;
    Ok(purposes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_name_parses_to_itself_and_others_are_refused() {
        for usage in Usage::ALL {
            assert_eq!(usage.as_str().parse(), Ok(usage));
        }
        assert_eq!("Server Auth".parse::<Usage>(), Err(UnknownUsage("Server Auth".into())));
    }

    #[test]
    fn every_usage_survives_its_extension_under_its_canonical_name() {
        for usage in Usage::ALL {
            let canonical = match usage {
                Usage::Signing => Usage::DigitalSignature,
                Usage::SMime => Usage::EmailProtection,
                other => other,
            };
            let written = Usages::from_api(&[usage], false).encode();
            let bytes = tlv::sequence_of(&written);
            let sequence = tlv::only(&bytes, tag::SEQUENCE, "test").unwrap();
            let read = Usages::parse(&extension::parse(sequence).unwrap()).unwrap();
            assert_eq!(read.to_api(), [canonical]);
        }
    }

    #[test]
    fn no_usages_mean_signature_and_encipherment_and_a_ca_signs_certificates() {
        let names =
            |usages: &Usages| usages.to_api().iter().map(|u| u.as_str()).collect::<Vec<_>>();
        assert_eq!(
            names(&Usages::from_api(&[], true)),
            ["digital signature", "key encipherment", "cert sign"]
        );
        assert_eq!(names(&Usages::from_api(&[Usage::Any], false)), ["any"]);
    }

    #[test]
    fn named_bits_are_cut_after_the_last_one() {
        assert_eq!(encode_bits(1), [3, 2, 7, 0x80]);
        assert_eq!(encode_bits(0b101), [3, 2, 5, 0xa0]);
        assert_eq!(encode_bits(1 << 8), [3, 3, 7, 0, 0x80]);
        assert_eq!(parse_bits(&[3, 3, 7, 0, 0x80]).unwrap(), 1 << 8);
    }
}
