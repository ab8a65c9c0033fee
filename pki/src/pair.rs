//! A certificate and its key as a TLS Secret holds them.

use crate::cert::CertInfo;
use crate::chain::MAX_CHAIN_LENGTH;
use crate::key::{KeyKind, PrivateKey};
use crate::pem::{self, Limits, PemError};

/// Which half of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairPart {
    /// `tls.crt`.
    Certificate,
    /// `tls.key`.
    Key,
}

/// What can be said about `tls.crt` and `tls.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairReport {
    /// One or both are absent or empty.
    Missing {
        /// `tls.crt` is.
        certificate: bool,
        /// `tls.key` is.
        key: bool,
    },
    /// One cannot be decoded; if both cannot, this names the key.
    Undecodable {
        /// Which.
        part: PairPart,
        /// Why; never quotes a key.
        why: String,
    },
    /// Both decode, but the key is not that of the first certificate.
    Mismatch {
        /// The key fits this certificate instead, counting from 1: the chain is out of order.
        fits: Option<usize>,
    },
    /// The key is that of the first certificate.
    Ok(Box<Pair>),
}

/// A pair that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The first certificate.
    pub leaf: CertInfo,
    /// The key's kind.
    pub key_kind: KeyKind,
    /// How many certificates were read.
    pub chain_length: usize,
    /// What seems wrong with the chain above the leaf; clients may still be content with it.
    pub hints: Vec<ChainHint>,
}

/// Something odd about a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainHint {
    /// After the certificates that were read comes a PEM block that is cut off or not PEM.
    CutOff(PemError),
    /// The certificate at this position, counting from 1, was not issued by the next.
    NotIssuedByNext(usize),
    /// The chain is longer than this crate verifies ([`MAX_CHAIN_LENGTH`]).
    TooLong(usize),
}

/// Says what `tls.crt` and `tls.key` hold. Work is bounded by the limits; nothing panics.
pub fn inspect_pair(tls_crt: &[u8], tls_key: &[u8], limits: &Limits) -> PairReport {
    if tls_crt.is_empty() || tls_key.is_empty() {
        return PairReport::Missing { certificate: tls_crt.is_empty(), key: tls_key.is_empty() };
    }
    let key = match PrivateKey::from_pem(tls_key, limits) {
        Ok(key) => key,
        Err(error) => {
            return PairReport::Undecodable { part: PairPart::Key, why: error.to_string() };
        }
    };
    match read_chain(tls_crt, limits) {
        Ok((chain, cut_off)) => compare(&key, chain, cut_off),
        Err(why) => PairReport::Undecodable { part: PairPart::Certificate, why },
    }
}

fn read_chain(
    tls_crt: &[u8],
    limits: &Limits,
) -> Result<(Vec<CertInfo>, Option<PemError>), String> {
    const WHAT: &str = "certificate chain";
    pem::check_size(tls_crt, WHAT, limits.chain).map_err(|error| error.to_string())?;
    let (ders, error) = pem::readable_certificates(tls_crt, WHAT);
    if ders.is_empty() {
        let length = tls_crt.len();
        return Err(error.unwrap_or(PemError::NotFound { what: WHAT, length }).to_string());
    }
    let chain = CertInfo::parse_all(&ders).map_err(|error| error.to_string())?;
    Ok((chain, error))
}

fn compare(key: &PrivateKey, chain: Vec<CertInfo>, cut_off: Option<PemError>) -> PairReport {
    let fits = |certificate: &CertInfo| &certificate.public_key == key.public_key();
    match chain.iter().position(fits) {
        Some(0) => {
            let hints = hints(&chain, cut_off);
            let (chain_length, key_kind) = (chain.len(), key.kind());
            let leaf = chain.into_iter().next().expect("position 0 was found in it");
            PairReport::Ok(Box::new(Pair { leaf, key_kind, chain_length, hints }))
        }
        found => PairReport::Mismatch { fits: found.map(|position| position + 1) },
    }
}

fn hints(chain: &[CertInfo], cut_off: Option<PemError>) -> Vec<ChainHint> {
    let broken = chain
        .windows(2)
        .take(MAX_CHAIN_LENGTH)
        .zip(1..)
        .filter(|(pair, _)| pair[0].verify_issued_by(&pair[1]).is_err())
        .map(|(_, position)| ChainHint::NotIssuedByNext(position));
    let too_long = (chain.len() > MAX_CHAIN_LENGTH).then_some(ChainHint::TooLong(chain.len()));
    cut_off.map(ChainHint::CutOff).into_iter().chain(broken).chain(too_long).collect()
}
