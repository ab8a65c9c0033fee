//! Certificate chains, and the choice between alternate ones.

use everleaf_pki::{CertInfo, Limits};

use crate::account::Account;
use crate::error::AcmeError;
use crate::link::MAX_LINKS;
use crate::reply::Answer;

/// Most alternate chains that are downloaded in search of a preferred one.
pub const MAX_ALTERNATES: usize = 8;

const _: () = assert!(MAX_ALTERNATES <= MAX_LINKS);

/// A certificate as downloaded (RFC 8555 section 7.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateChain {
    /// The PEM, byte for byte.
    pub pem: String,
    /// Its certificates, the leaf first. Whether each is signed by the next was not looked at.
    pub certificates: Vec<CertInfo>,
    /// URLs of the same certificate in other chains, in the CA's order.
    pub alternates: Vec<String>,
}

impl CertificateChain {
    /// Reads PEM with at least one certificate; `limits.chain` is the limit.
    pub(crate) fn parse(pem: &[u8], limits: &Limits) -> Result<Self, String> {
        let certificates = CertInfo::parse_chain(pem, limits).map_err(|error| error.to_string())?;
        let pem = std::str::from_utf8(pem).map_err(|_| "the chain is not text".to_owned())?;
        Ok(CertificateChain { pem: pem.to_owned(), certificates, alternates: Vec::new() })
    }

    /// Whether its last certificate's issuer has this common name: what `preferredChain` means to
    /// cert-manager.
    pub fn ends_below(&self, common_name: &str) -> bool {
        self.certificates.last().is_some_and(|last| last.issuer.common_name() == common_name)
    }

    /// Whether any certificate but the leaf has this common name, or any one's issuer has it.
    pub fn passes(&self, common_name: &str) -> bool {
        let issuers = self.certificates.iter().map(|one| &one.issuer);
        let subjects = self.certificates.iter().skip(1).map(|one| &one.subject);
        issuers.chain(subjects).any(|name| name.common_name() == common_name)
    }
}

/// Why a chain was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// There was no preference.
    Default,
    /// [`CertificateChain::ends_below`] the preferred name.
    EndsBelow,
    /// It only [`CertificateChain::passes`] the preferred name, and none ends below it.
    Passes,
    /// No chain has the preferred name; this is the default one.
    NotFound,
}

/// A chain and why it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenChain {
    /// The chain.
    pub chain: CertificateChain,
    /// Why.
    pub choice: Choice,
}

/// The first chain that ends below the name; else the first that passes it; else the first.
pub fn choose(mut chains: Vec<CertificateChain>, preferred: &str) -> Option<ChosenChain> {
    let ends = chains.iter().position(|chain| chain.ends_below(preferred));
    let passes = || chains.iter().position(|chain| chain.passes(preferred));
    let (at, choice) = match (ends, passes()) {
        (Some(at), _) => (at, Choice::EndsBelow),
        (None, Some(at)) => (at, Choice::Passes),
        (None, None) => (0, Choice::NotFound),
    };
    (at < chains.len()).then(|| ChosenChain { chain: chains.swap_remove(at), choice })
}

impl Account {
    /// Downloads the certificate at an order's `certificate` URL in the preferred chain: the first,
    /// the default one being first, whose last issuer has this common name, as cert-manager
    /// chooses; where there is none, the first that has the name anywhere above its leaf; else the
    /// default. One request, and one for each of at most [`MAX_ALTERNATES`] alternates until one
    /// ends below the name.
    pub async fn preferred_certificate(
        &self,
        url: &str,
        preferred: Option<&str>,
    ) -> Result<Answer<ChosenChain>, AcmeError> {
        let answer = self.certificate(url).await?;
        let Some(preferred) = preferred.filter(|name| !name.is_empty()) else {
            return Ok(answer.map(|chain| ChosenChain { chain, choice: Choice::Default }));
        };
        let mut chains = vec![answer.value.clone()];
        for alternate in answer.value.alternates.iter().take(MAX_ALTERNATES) {
            if chains.last().is_some_and(|chain| chain.ends_below(preferred)) {
                break;
            }
            chains.push(self.alternate(alternate).await?.value);
        }
        Ok(answer.map(|chain| {
            let default = || ChosenChain { chain, choice: Choice::NotFound };
            choose(chains, preferred).unwrap_or_else(default)
        }))
    }
}

#[cfg(test)]
mod tests;
