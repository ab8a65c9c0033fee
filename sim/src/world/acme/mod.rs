//! ACME CAs, the DNS and the hosts that certificates are for, as a cluster meets them.
//!
//! What falls due at a CA is done before anything that it could see is changed, so a validation
//! sees the world as it was when it fell due.

mod ask;
mod faults;
mod setup;

pub(super) use ask::{Ailment, Ill, Said, ill};
pub(crate) use setup::STRANGER;
pub(super) use setup::is_acme_name;
pub use setup::{DOMAINS, PRIVATE_CA};

use super::World;
use super::material::{SymCert, SymKey};
use crate::acme::{Ca, Csr, Identifier, Identifiers, Internet, Leaf};
use crate::dns::Provider;
use aws_lc_rs::digest;
use everleaf_nodes::facts::{KeyKind, Names};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything outside that ACME needs.
pub struct Outside {
    /// CAs by the URL of their directory.
    pub cas: BTreeMap<Arc<str>, Ca>,
    /// The DNS and the hosts.
    pub net: Internet,
    /// The API by which records are written.
    pub(super) provider: Provider,
    /// Who answers on a host under a token: nobody else can, once that process is gone.
    routes: BTreeMap<(String, String), usize>,
    /// The token whose handshake a host answers.
    handshakes: BTreeMap<String, String>,
    /// The kinds of the keys that certificates were asked for.
    kinds: BTreeMap<String, KeyKind>,
}

/// What every URL of a CA begins with.
pub fn base_of(directory: &str) -> &str {
    directory.strip_suffix("/directory").unwrap_or(directory)
}

/// What the CA knows an account key by.
pub(super) fn account_key_name(key: &SymKey) -> String {
    format!("account-{}", key.fp)
}

/// What the key authorizations of an account end with.
pub(super) fn thumbprint(key: &SymKey) -> String {
    format!("thumbprint-{}", key.fp)
}

/// Who answers when a Pod does, which lives on when a process ends.
pub(super) const POD: usize = usize::MAX;

/// Names as a CA has them.
pub fn identifiers<'a>(
    dns: impl IntoIterator<Item = &'a Arc<str>>,
    ips: impl IntoIterator<Item = &'a Arc<str>>,
) -> Identifiers {
    let dns = dns.into_iter().map(|name| Identifier::dns(name));
    let ips = ips.into_iter().filter_map(|ip| ip.parse().ok()).map(Identifier::Ip);
    dns.chain(ips).collect()
}

fn names_of(identifiers: &Identifiers) -> Names {
    let mut names = Names::default();
    for identifier in identifiers {
        match identifier {
            Identifier::Dns(name) => names.dns.push(name.as_str().into()),
            Identifier::Ip(address) => names.ips.push(address.to_string().into()),
        }
    }
    names
}

impl Outside {
    /// Does what fell due at every CA.
    pub fn settle(&mut self, now: i64) {
        let Self { cas, net, .. } = self;
        cas.values_mut().for_each(|ca| ca.settle(now, net));
    }

    /// Notes what a certificate is asked for, and says it in the CA's words.
    pub(super) fn request(&mut self, csr: &super::material::SymCsr) -> Csr {
        self.kinds.insert(csr.fp.to_string(), csr.kind);
        let name = Some(csr.common_name.to_string()).filter(|name| !name.is_empty());
        Csr {
            common_name: name,
            identifiers: identifiers(&csr.names.dns, &csr.names.ips),
            key: csr.fp.to_string(),
            spki: None,
        }
    }

    /// A certificate and the one above it.
    pub(super) fn chain(&self, directory: &str, leaf: &Leaf) -> Vec<SymCert> {
        let at = self.cas.keys().position(|key| **key == *directory).unwrap_or(0) as u64 + 1;
        let low = u64::try_from(leaf.serial & 0xffff_ffff).unwrap_or(0);
        let ca = self.cas.get(directory);
        let key = if leaf.key.is_empty() { "nobodys-key" } else { &leaf.key };
        let above = format!("acme-intermediate-{at}");
        let own = SymCert {
            serial: at << 40 | low,
            fp: key.into(),
            kind: self.kinds.get(key).copied().unwrap_or(KeyKind::Ecdsa(256)),
            signer: above.as_str().into(),
            common_name: leaf.common_name.as_deref().unwrap_or_default().into(),
            names: names_of(&leaf.identifiers),
            not_before: leaf.not_before,
            not_after: leaf.not_after + 1,
            is_ca: false,
            usages: Vec::new(),
            ari: ca.filter(|ca| ca.config().ari).map(|ca| ca.ari_id(leaf.serial).into()),
        };
        vec![own, super::issuers::ca_certificate(&above, "acme-root", 0)]
    }

    /// A replica answers on a host under a token.
    pub(super) fn serve(&mut self, now: i64, at: usize, host: &str, (token, key): (&str, &str)) {
        self.settle(now);
        self.net.serve(host, token, key);
        self.routes.insert((host.to_owned(), token.to_owned()), at);
    }

    /// A replica answers handshakes for a host (RFC 8737), with the digest of what it was given.
    pub(super) fn shake(&mut self, now: i64, at: usize, host: &str, (token, key): (&str, &str)) {
        self.settle(now);
        let digest = digest::digest(&digest::SHA256, key.as_bytes());
        self.net.site(host).tls_alpn = Some(digest.as_ref().to_vec());
        self.handshakes.insert(host.to_owned(), token.to_owned());
        self.routes.insert((host.to_owned(), token.to_owned()), at);
    }

    /// Who answers on a host under a token.
    pub(super) fn server_of(&self, host: &str, token: &str) -> Option<usize> {
        self.routes.get(&(host.to_owned(), token.to_owned())).copied()
    }

    /// Nobody answers under a token any more.
    pub(super) fn unserve(&mut self, now: i64, host: &str, token: &str) {
        self.settle(now);
        self.net.site(host).pages.remove(&path(token));
        if self.handshakes.get(host).is_some_and(|held| held == token) {
            self.handshakes.remove(host);
            self.net.site(host).tls_alpn = None;
        }
        self.routes.remove(&(host.to_owned(), token.to_owned()));
    }

    /// A process is gone, and what it answered with: so many routes.
    pub(super) fn die(&mut self, now: i64, at: usize) -> usize {
        let gone: Vec<_> = self.routes.iter().filter(|(_, by)| **by == at).collect();
        let gone: Vec<_> = gone.into_iter().map(|(place, _)| place.clone()).collect();
        gone.iter().for_each(|(host, token)| self.unserve(now, host, token));
        gone.len()
    }

    /// What is answered on hosts: host and token.
    pub fn routes(&self) -> impl Iterator<Item = &(String, String)> {
        self.routes.keys()
    }
}

/// The path of a token on a host (RFC 8555, section 8.3).
pub(super) fn path(token: &str) -> String {
    format!("/.well-known/acme-challenge/{token}")
}

impl World {
    /// What is outside of the cluster.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// What is outside of the cluster, to be changed by a scenario.
    pub fn outside_mut(&mut self) -> &mut Outside {
        let now = self.now;
        self.outside.settle(now);
        &mut self.outside
    }

    /// The number of orders that CAs made, and of certificates that they issued.
    pub fn orders_and_certificates(&self) -> (u64, u64) {
        let all = self.outside.cas.values();
        all.fold((0, 0), |(orders, leaves), ca| (orders + ca.orders_made(), leaves + ca.issued()))
    }
}
