//! Transaction signatures (RFC 8945) with every algorithm that servers take.
//!
//! hickory has the record and the octets that are signed, and three of the algorithms. Here are the
//! MACs, since cert-manager's default is HMAC-MD5, and the check of answers.

use std::fmt;

use aws_lc_rs::{constant_time, hmac as hashed};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::tsig::{
    TSIG, TsigAlgorithm, TsigError, make_tsig_record, message_tbs,
};
use hickory_proto::rr::{Name, RData};
use hickory_proto::serialize::binary::BinEncoder;
use hmac::{Hmac, KeyInit, Mac as _};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{Error, Secret};

/// In seconds, as RFC 8945, section 10, recommends.
const FUDGE: u16 = 300;

/// A keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// By cert-manager's names, in any case; the empty one is HMACMD5.
    pub(crate) fn named(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "" | "HMACMD5" => Some(Self::Md5),
            "HMACSHA1" => Some(Self::Sha1),
            "HMACSHA224" => Some(Self::Sha224),
            "HMACSHA256" => Some(Self::Sha256),
            "HMACSHA384" => Some(Self::Sha384),
            "HMACSHA512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn wire(self) -> TsigAlgorithm {
        match self {
            Self::Md5 => TsigAlgorithm::HmacMd5,
            Self::Sha1 => TsigAlgorithm::HmacSha1,
            Self::Sha224 => TsigAlgorithm::HmacSha224,
            Self::Sha256 => TsigAlgorithm::HmacSha256,
            Self::Sha384 => TsigAlgorithm::HmacSha384,
            Self::Sha512 => TsigAlgorithm::HmacSha512,
        }
    }

    pub(crate) fn mac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let sign =
            |algorithm| hashed::sign(&hashed::Key::new(algorithm, key), text).as_ref().to_vec();
        match self {
            Self::Md5 => {
                let mut mac =
                    Hmac::<md5::Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
                mac.update(text);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Sha1 => sign(hashed::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha224 => sign(hashed::HMAC_SHA224),
            Self::Sha256 => sign(hashed::HMAC_SHA256),
            Self::Sha384 => sign(hashed::HMAC_SHA384),
            Self::Sha512 => sign(hashed::HMAC_SHA512),
        }
    }
}

/// The MAC of a request, which goes into that of its answer.
pub(crate) struct Mac(Vec<u8>);

/// A key that a server shares.
#[derive(Clone)]
pub(crate) struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {:?})", self.name, self.algorithm)
    }
}

/// Why an answer cannot be trusted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server says what is wrong with our signature.
    Refused(&'static str),
    /// It has none.
    Unsigned,
    /// It has a wrong one.
    Forged,
}

impl Key {
    /// The secret is in base64, as in BIND's configuration.
    pub(crate) fn new(name: &str, algorithm: &str, secret: &Secret) -> Result<Self, Error> {
        let algorithm = Algorithm::named(algorithm)
            .ok_or_else(|| Error::configuration(format!("no TSIG algorithm {algorithm:?}")))?;
        let mut name = Name::from_ascii(name)
            .map_err(|_| Error::configuration("the TSIG key's name is not a DNS name"))?;
        name.set_fqdn(true);
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let secret = GeneralPurpose::new(&STANDARD, lenient)
            .decode(secret.expose())
            .map_err(|_| Error::credentials("the TSIG secret is not base64"))?;
        Ok(Self { name, algorithm, secret: Zeroizing::new(secret) })
    }

    /// Adds the signature (RFC 8945, section 4.3).
    pub(crate) fn sign(
        &self,
        mut message: Message,
        now: Timestamp,
    ) -> Result<(Message, Mac), Error> {
        let unwritable = |_| Error::configuration("the update cannot be written");
        let time = u64::try_from(now.as_second()).unwrap_or(0);
        let (algorithm, id) = (self.algorithm.wire(), message.metadata.id);
        let unsigned = TSIG::new(algorithm, time, FUDGE, Vec::new(), id, None, Vec::new());
        let text = message_tbs(&message, &unsigned, &self.name).map_err(unwritable)?;
        let mac = self.algorithm.mac(&self.secret, &text);
        let signature = make_tsig_record(self.name.clone(), unsigned.set_mac(mac.clone()));
        message.signature = Some(Box::new(signature));
        Ok((message, Mac(mac)))
    }

    /// Checks that an answer is the server's, to this request, and of now (section 5.3).
    pub(crate) fn verify(
        &self,
        octets: &[u8],
        answer: &Message,
        request: &Mac,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let (owner, tsig) = signature(answer).ok_or(Fault::Unsigned)?;
        match tsig.error {
            Some(TsigError::BadKey) => {
                return Err(Fault::Refused("the key is not known there (BADKEY)"));
            }
            Some(TsigError::BadSig) => return Err(Fault::Refused("it is not right (BADSIG)")),
            Some(TsigError::BadTrunc) => return Err(Fault::Refused("it is too short (BADTRUNC)")),
            Some(TsigError::BadTime) => return Err(Fault::Refused("the clocks differ (BADTIME)")),
            Some(TsigError::Unknown(code)) if code != 0 => {
                return Err(Fault::Refused("an unknown error"));
            }
            _ => {}
        }
        if owner.to_lowercase() != self.name.to_lowercase() {
            return Err(Fault::Forged);
        }
        let text = answered_text(octets, tsig, &self.name, request).ok_or(Fault::Forged)?;
        let mac = self.algorithm.mac(&self.secret, &text);
        constant_time::verify_slices_are_equal(&mac, &tsig.mac).map_err(|_| Fault::Forged)?;
        let now = u64::try_from(now.as_second()).unwrap_or(0);
        if now.abs_diff(tsig.time) > u64::from(tsig.fudge) { Err(Fault::Forged) } else { Ok(()) }
    }
}

/// hickory sets a TSIG record apart only where it is built with DNSSEC.
fn signature(answer: &Message) -> Option<(&Name, &TSIG)> {
    let apart = answer.signature().map(|record| (&record.name, &record.data));
    let last = answer.additionals.last().and_then(|record| match &record.data {
        RData::TSIG(tsig) => Some((&record.name, tsig)),
        _ => None,
    });
    apart.or(last)
}

/// What an answer's MAC covers: the request's MAC, the message before its last record with the
/// original identifier and one record less, and the variables (section 5.3.1).
fn answered_text(octets: &[u8], tsig: &TSIG, key: &Name, request: &Mac) -> Option<Vec<u8>> {
    let end = last_record(octets)?;
    let mut text = Vec::with_capacity(octets.len() + request.0.len() + 64);
    text.extend_from_slice(&u16::try_from(request.0.len()).ok()?.to_be_bytes());
    text.extend_from_slice(&request.0);
    text.extend_from_slice(&tsig.oid.to_be_bytes());
    text.extend_from_slice(octets.get(2..10)?);
    text.extend_from_slice(&number(octets, 10)?.checked_sub(1)?.to_be_bytes());
    text.extend_from_slice(octets.get(12..end)?);
    let mut variables = Vec::new();
    tsig.emit_tsig_for_mac(&mut BinEncoder::new(&mut variables), key).ok()?;
    text.extend_from_slice(&variables);
    Some(text)
}

/// Where the last record of a message begins.
fn last_record(octets: &[u8]) -> Option<usize> {
    let count = |at| number(octets, at).map(usize::from);
    let mut at = 12;
    for _ in 0..count(4)? {
        at = name_end(octets, at)? + 4;
    }
    let records = count(6)? + count(8)? + count(10)?;
    for _ in 1..records {
        let fixed = name_end(octets, at)?;
        at = fixed + 10 + count(fixed + 8)?;
    }
    (records > 0 && at < octets.len()).then_some(at)
}

fn name_end(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn number(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]))
}

#[cfg(test)]
mod tests;
