//! An issuer's ACME account: which one it is, and whether it can be ordered from.

use crate::effect::{Account, Base, SecretKey};
use crate::facts::{AcmeFacts, Condition, IssuerFacts, IssuerRef, Kind, Signer, condition};
use crate::issuer::resource_namespace;
use crate::program::{Everleaf, Sight, issuer_key};
use everleaf_engine::ObjectKey;
use std::sync::Arc;

/// The directories of Let's Encrypt's first protocol, which is gone, and what took their places.
const GONE: [(&str, &str); 2] = [
    ("https://acme-v01.api.letsencrypt.org/directory", crate::budget::LETS_ENCRYPT),
    ("https://acme-staging.api.letsencrypt.org/directory", crate::budget::LETS_ENCRYPT_STAGING),
];

/// The directory to use in place of one that is gone.
pub fn successor(server: &str) -> Option<&'static str> {
    let server = server.trim_end_matches('/');
    GONE.iter().find(|(gone, _)| *gone == server).map(|(_, successor)| *successor)
}

/// The host of a URL, with its port, in lowercase; empty if it has none.
pub fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    host.to_ascii_lowercase()
}

/// An ACME issuer that a reference leads to.
pub(crate) struct Served<'a> {
    pub key: ObjectKey<Kind>,
    pub base: Base,
    pub issuer: &'a IssuerFacts,
    pub acme: &'a AcmeFacts,
}

impl<'a> Served<'a> {
    /// The ACME issuer of a reference, Ready or not.
    pub(crate) fn find(view: &Sight<'a>, reference: &IssuerRef) -> Option<Self> {
        let key = issuer_key(&view.key.namespace, reference)?;
        let object = view.get(&key)?;
        let issuer = object.facts.issuer()?;
        let Signer::Acme(acme) = &issuer.signer else { return None };
        let base = Base { uid: object.uid.clone(), rv: object.rv };
        Some(Self { key, base, issuer, acme })
    }

    /// Whether it is Ready and has an account.
    pub(crate) fn is_ready(&self) -> bool {
        let ready = condition(&self.issuer.conditions, "Ready").is_some_and(Condition::is_true);
        ready && !self.uri().is_empty()
    }

    /// The account's URL; empty if there is none.
    pub(crate) fn uri(&self) -> &'a Arc<str> {
        &self.issuer.account.status.uri
    }

    /// The account as effects carry it.
    pub(crate) fn account(&self, program: &Everleaf) -> Account {
        account(program, (&self.key, self.base.clone()), self.issuer, self.acme)
    }
}

/// The account of an issuer as effects carry it.
pub(crate) fn account(
    program: &Everleaf,
    (key, base): (&ObjectKey<Kind>, Base),
    issuer: &IssuerFacts,
    acme: &AcmeFacts,
) -> Account {
    let namespace = resource_namespace(program, key);
    Account {
        issuer: key.clone(),
        base,
        directory: acme.server.clone(),
        uri: issuer.account.status.uri.clone(),
        key: SecretKey {
            secret: ObjectKey::new(Kind::Secret, namespace, acme.key.secret.clone()),
            key: acme.key.key.clone(),
        },
        skip_tls_verify: acme.skip_tls_verify,
        ca_bundle: acme.ca_bundle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_path_user_and_case() {
        assert_eq!(host("https://CA.test:14000/dir?x"), "ca.test:14000");
        assert_eq!(host("https://u:p@ca.test"), "ca.test");
        assert_eq!((host("ca.test/dir"), host("")), (String::new(), String::new()));
    }

    #[test]
    fn the_first_protocols_directories_have_successors() {
        let found = successor("https://acme-v01.api.letsencrypt.org/directory/");
        assert_eq!(found, Some("https://acme-v02.api.letsencrypt.org/directory"));
        assert_eq!(successor("https://acme-v02.api.letsencrypt.org/directory"), None);
    }
}
