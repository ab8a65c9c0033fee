//! Clients of CAs and the keys of accounts, kept while nothing that they rest on changes.

use super::super::{Ports, Report, undone};
use super::fault::{Fault, Halt};
use super::place;
use crate::edge::{decoded, meta_of, version};
use everleaf_acme::{
    AccountKey, Client, Exchange, HttpOptions, HttpTransport, Limits, Observer, ServerTrust,
};
use everleaf_engine::{Digest, ObjectKey, digest_of};
use everleaf_nodes::effect::Account;
use everleaf_nodes::facts::Class;
use everleaf_nodes::{Base, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many clients are kept, each with its connections, nonces and directory.
const CLIENTS_KEPT: usize = 128;
/// So many account keys are kept.
const KEYS_KEPT: usize = 1024;

/// By directory, whether anybody is trusted, and the digest of a bundle.
type ClientKey = (Arc<str>, bool, Option<Digest>);

/// Clients by directory and trust.
#[derive(Default)]
pub(super) struct Clients(Mutex<BTreeMap<ClientKey, Client>>);

/// An account key, and the versions of issuer and Secret that it was read under.
struct Kept {
    issuer: Base,
    secret: Base,
    key: Arc<AccountKey>,
}

/// Account keys by issuer. While the issuer's version stands, its account is the one that was
/// verified with that key, so the Secret need not be read; a Secret that changes makes the issuer
/// verify its account anew, which changes the issuer.
#[derive(Default)]
pub(super) struct Keys(Mutex<BTreeMap<ObjectKey<Kind>, Kept>>);

impl Clients {
    fn get(&self, key: &ClientKey) -> Option<Client> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: ClientKey, client: Client) -> Client {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while clients.len() >= CLIENTS_KEPT && !clients.contains_key(&key) {
            clients.pop_first();
        }
        // Two may have made one at once; the first has the nonces.
        clients.entry(key).or_insert(client).clone()
    }
}

impl Keys {
    fn of_issuer(&self, issuer: &ObjectKey<Kind>, base: &Base) -> Option<Arc<AccountKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(issuer).filter(|kept| kept.issuer == *base).map(|kept| kept.key.clone())
    }

    fn of_secret(&self, issuer: &ObjectKey<Kind>, base: &Base) -> Option<Arc<AccountKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(issuer).filter(|kept| kept.secret == *base).map(|kept| kept.key.clone())
    }

    fn put(&self, account: &Account, secret: Base, key: &Arc<AccountKey>) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while keys.len() >= KEYS_KEPT && !keys.contains_key(&account.issuer) {
            keys.pop_first();
        }
        let kept = Kept { issuer: account.base.clone(), secret, key: key.clone() };
        keys.insert(account.issuer.clone(), kept);
    }
}

/// Counts requests under cert-manager's names of the metrics.
struct Counted;

impl Observer for Counted {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        let Exchange { action, scheme, host, method, status, elapsed, .. } = exchange;
        tracing::debug!(%action, host, method, status, ?elapsed, "asked a CA");
        crate::metrics::acme_request((scheme, host, action.as_str(), method), *status, *elapsed);
    }
}

impl Ports {
    /// The account as the CA has it; nothing is sent.
    pub(super) async fn ca_account(
        &self,
        account: &Account,
    ) -> Result<everleaf_acme::Account, Halt> {
        let client = self.ca_client(account).await?;
        let key = match self.acme.0.keys.of_issuer(&account.issuer, &account.base) {
            Some(key) => key,
            None => self.account_key(account).await?.ok_or_else(|| {
                Report::stale(vec![account.key.secret.clone(), account.issuer.clone()])
            })?,
        };
        Ok(client.account(key, account.uri.to_string()))
    }

    /// A client of the account's CA, as the issuer trusts it.
    pub(super) async fn ca_client(&self, account: &Account) -> Result<Client, Halt> {
        let Account { directory, skip_tls_verify, ca_bundle, .. } = account;
        let key = (directory.clone(), *skip_tls_verify, *ca_bundle);
        if let Some(client) = self.acme.0.clients.get(&key) {
            return Ok(client);
        }
        let trust = match ca_bundle {
            _ if *skip_tls_verify => ServerTrust::Anyone,
            Some(digest) => ServerTrust::Bundle(self.ca_bundle(account, *digest).await?),
            None => ServerTrust::System,
        };
        let agent = concat!("everleaf/", env!("CARGO_PKG_VERSION"));
        let options = HttpOptions { trust, ..HttpOptions::new(agent) };
        let mend = |why: String| Fault::new(Class::User, why).because("ErrRegisterACMEAccount");
        let transport = HttpTransport::new(&options).map_err(|error| mend(error.to_string()))?;
        let limits = Limits { ..self.projector.limits };
        let client = Client::new(directory, transport, Counted, limits)
            .map_err(|error| mend(error.to_string()).because("InvalidURL"))?;
        Ok(self.acme.0.clients.put(key, client))
    }

    /// The certificates that the issuer trusts, if they are still the ones decided on.
    async fn ca_bundle(&self, account: &Account, digest: Digest) -> Result<Vec<u8>, Halt> {
        let issuer = &account.issuer;
        let found = self.kube.get(issuer.kind, &issuer.namespace, &issuer.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(issuer)))?;
        let bundle = found.pointer("/spec/acme/caBundle").cloned().unwrap_or_default();
        let bundle: everleaf_api::Bytes = serde_json::from_value(bundle).unwrap_or_default();
        if digest_of(&bundle.0) != digest {
            return Err(Report::stale(vec![issuer.clone()]).into());
        }
        Ok(bundle.0)
    }

    /// The account's key, read now; `None` if there is no such Secret.
    pub(super) async fn account_key(
        &self,
        account: &Account,
    ) -> Result<Option<Arc<AccountKey>>, Halt> {
        let at = &account.key.secret;
        let found = match self.kube.get(Kind::Secret, &at.namespace, &at.name).await {
            Ok(found) => found,
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(undone(&error, &[]).into()),
        };
        let meta = meta_of(&found);
        let secret = Base { uid: meta.uid.as_str().into(), rv: version(&meta) };
        let key = match self.acme.0.keys.of_secret(&account.issuer, &secret) {
            Some(key) => key,
            None => Arc::new(parsed(account, &found)?),
        };
        self.acme.0.keys.put(account, secret, &key);
        Ok(Some(key))
    }

    /// The CA does not know the account: the issuer has to register it anew, with the same key.
    pub(super) async fn forget_account(&self, account: &Account) {
        let issuer = &account.issuer;
        let at = (&*issuer.namespace, &*issuer.name);
        let meta =
            json!({ "uid": account.base.uid, "resourceVersion": account.base.rv.to_string() });
        let patch = json!({ "metadata": meta, "status": { "acme": { "uri": "" } } });
        match self.kube.patch_status(issuer.kind, at, &patch).await {
            Ok(_) => {
                tracing::warn!(%issuer, uri = %account.uri, "the CA does not know the account")
            }
            Err(error) => tracing::warn!(%issuer, %error, "an account that is gone is still told"),
        }
    }
}

fn parsed(account: &Account, secret: &Value) -> Result<AccountKey, Halt> {
    let (at, entry) = (&account.key.secret, &account.key.key);
    let wrong = |why: &str| {
        let secret = place(Kind::Secret, &at.namespace, &at.name);
        let detail = format!("{secret}: {entry:?} cannot be used as an account key: {why}");
        Halt::from(Fault::new(Class::User, detail).because("ErrVerifyACMEAccount"))
    };
    let pem = decoded(secret, entry).ok_or_else(|| wrong("it is not there"))?;
    AccountKey::from_pem(&pem).map_err(|error| wrong(&error.to_string()))
}
