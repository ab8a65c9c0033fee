//! Certificate chains: from a heap of certificates to leaf, intermediates and root.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::cert::{CertError, CertInfo};
use crate::pem::Limits;

/// The longest chain that is built; a longer one is refused before any signature is verified.
pub const MAX_CHAIN_LENGTH: usize = 10;

/// Why certificates are not one chain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainError {
    /// They cannot be read.
    #[error(transparent)]
    Certificates(#[from] CertError),
    /// There is none.
    #[error("the chain has no certificate")]
    Empty,
    /// There are too many.
    #[error("the chain has {0} certificates, more than {MAX_CHAIN_LENGTH}")]
    TooLong(usize),
    /// More than one of them issued none of the others.
    #[error("the chain has several leaves: {first:?} and {second:?}")]
    SeveralLeaves {
        /// Subject of one leaf.
        first: String,
        /// Subject of another.
        second: String,
    },
    /// Each is issued by another, in a circle.
    #[error("the chain has no leaf: its certificates issue each other in a circle")]
    NoLeaf,
    /// A certificate belongs to no issuer on the way from the leaf.
    #[error("{0:?} is not on the way from the leaf to its root")]
    Unrelated(String),
}

/// A chain in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The leaf first, each verified by the next; without the root, unless it is all there is.
    pub certificates: Vec<CertInfo>,
    /// The self-signed certificate at the end, if it is known.
    pub root: Option<CertInfo>,
}

impl Chain {
    /// Reads and arranges every certificate in `pem`.
    pub fn from_pem(pem: &[u8], limits: &Limits) -> Result<Self, ChainError> {
        arrange_chain(CertInfo::parse_chain(pem, limits)?)
    }

    /// A path from leaf to top, the root, if any, last.
    fn of_path(mut path: Vec<CertInfo>) -> Self {
        let root = path.pop_if(|last| last.self_signed);
        match path.is_empty() {
            true => Chain { certificates: root.iter().cloned().collect(), root },
            false => Chain { certificates: path, root },
        }
    }

    /// The PEM for `tls.crt`: leaf first, without the root.
    pub fn chain_pem(&self) -> String {
        self.certificates.iter().map(CertInfo::to_pem).collect()
    }

    /// The certificate for `ca.crt`: the root, or without one the topmost issuer; `None` where only
    /// the leaf is known.
    pub fn ca(&self) -> Option<&CertInfo> {
        let topmost = self.certificates.get(1..).and_then(<[_]>::last);
        self.root.as_ref().or(topmost)
    }
}

/// Arranges certificates that are one chain, in whatever order they come: duplicates are dropped,
/// each certificate is verified by the next, and the root is set apart. At most
/// [`MAX_CHAIN_LENGTH`] different ones are accepted, and all of them must be on the way.
pub fn arrange_chain(certificates: Vec<CertInfo>) -> Result<Chain, ChainError> {
    let pool = distinct(certificates);
    if pool.len() > MAX_CHAIN_LENGTH {
        return Err(ChainError::TooLong(pool.len()));
    }
    let leaf = leaf_of(&pool)?;
    let (path, left) = climb(leaf, &pool);
    match left.first() {
        Some(unrelated) => Err(ChainError::Unrelated(unrelated.subject.to_string())),
        None => Ok(Chain::of_path(path)),
    }
}

/// The chain that starts at `leaf`; certificates of `pool` that are not on it are left out, and
/// those beyond the first [`MAX_CHAIN_LENGTH`] different ones are not looked at.
pub(crate) fn chain_from(leaf: &CertInfo, pool: Vec<CertInfo>) -> Chain {
    let mut pool = distinct(pool);
    pool.truncate(MAX_CHAIN_LENGTH);
    Chain::of_path(climb(leaf, &pool).0)
}

fn distinct(certificates: Vec<CertInfo>) -> Vec<CertInfo> {
    let mut seen = BTreeSet::new();
    certificates.into_iter().filter(|certificate| seen.insert(certificate.der.clone())).collect()
}

/// Whether `issuer` stands directly above `certificate` in a chain.
fn is_above(issuer: &CertInfo, certificate: &CertInfo) -> bool {
    !certificate.self_signed
        && issuer.der != certificate.der
        && certificate.verify_issued_by(issuer).is_ok()
}

/// The one certificate that issued no other.
fn leaf_of(pool: &[CertInfo]) -> Result<&CertInfo, ChainError> {
    let issues_none = |candidate: &&CertInfo| pool.iter().all(|other| !is_above(candidate, other));
    let mut leaves = pool.iter().filter(issues_none);
    match (leaves.next(), leaves.next()) {
        (Some(leaf), None) => Ok(leaf),
        (Some(first), Some(second)) => Err(ChainError::SeveralLeaves {
            first: first.subject.to_string(),
            second: second.subject.to_string(),
        }),
        (None, _) if pool.is_empty() => Err(ChainError::Empty),
        (None, _) => Err(ChainError::NoLeaf),
    }
}

/// From the leaf to its issuer and on, until none is found; and what is left of the pool. Of two
/// issuers (a cross-signed CA) one with a further issuer to come is taken before a root.
fn climb(leaf: &CertInfo, pool: &[CertInfo]) -> (Vec<CertInfo>, Vec<CertInfo>) {
    let mut path = vec![leaf.clone()];
    let mut left: Vec<CertInfo> = pool.iter().filter(|c| c.der != leaf.der).cloned().collect();
    while let Some(top) = path.last() {
        let above =
            |wanted: bool| left.iter().position(|c| c.self_signed == wanted && is_above(c, top));
        let Some(next) = above(false).or_else(|| above(true)) else { break };
        path.push(left.remove(next));
    }
    (path, left)
}
