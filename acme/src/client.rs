//! A CA: its directory, its nonces, and what can be done without an account.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use everleaf_pki::Limits;
use futures::lock::Mutex;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use serde::Serialize;
use serde_json::json;
use url::{Position, Url};

use crate::account::Account;
use crate::ari::{CertId, RenewalInfo};
use crate::error::{AcmeError, Class};
use crate::jws::{self, ExternalAccount, KeyId};
use crate::key::{AccountKey, base64url};
use crate::link;
use crate::nonce::Nonces;
use crate::observe::{Action, Endpoint, Exchange, NO_ANSWER, Observer};
use crate::reply::{Answer, Reply};
use crate::resource::{AccountObject, Directory};
use crate::transport::Transport;

/// How often one operation is sent again because its nonce was refused.
pub const BAD_NONCE_RETRIES: usize = 5;

/// Largest body of a certificate chain, in bytes.
pub const MAX_CHAIN_BODY: usize = 16 << 20;

/// Largest body of everything else, in bytes.
pub const MAX_BODY: usize = 64 << 10;

/// Most redirections of a GET that are followed. A POST's never are: its signature names its URL.
const MAX_REDIRECTS: usize = 3;

const JOSE: &str = "application/jose+json";
const JSON: &str = "application/json";

/// A CA, by its directory. Clones share its nonces and the directory once fetched.
///
/// Every method is one operation: one signed request, and before it a nonce and the directory where
/// they are missing. Nothing is polled, nothing waits, and nothing is sent again but after
/// `badNonce`. Dropping a future gives the operation up; the CA may carry it out all the same.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    directory_url: Url,
    transport: Box<dyn Transport>,
    observer: Box<dyn Observer>,
    limits: Limits,
    nonces: Nonces,
    directory: Mutex<Option<Arc<Directory>>>,
}

/// What a new account should be.
#[derive(Debug, Default)]
pub struct NewAccount<'a> {
    /// Contacts as URLs, such as `mailto:someone@example.com`.
    pub contact: Vec<String>,
    /// Whether the user agreed to the terms that [`crate::Meta::terms_of_service`] names.
    pub terms_of_service_agreed: bool,
    /// The account it is bound to, where the CA wants that.
    pub external_account: Option<&'a ExternalAccount>,
}

/// An account that was registered or found.
#[derive(Debug)]
pub struct Registered {
    /// The account.
    pub account: Account,
    /// What the CA has of it.
    pub object: AccountObject,
    /// Whether it was there before.
    pub existed: bool,
}

/// A signed request.
pub(crate) struct Call<'a> {
    pub(crate) action: Action,
    pub(crate) url: &'a str,
    pub(crate) key: &'a AccountKey,
    pub(crate) by: KeyId<'a>,
    /// Empty for a POST-as-GET.
    pub(crate) payload: Bytes,
    pub(crate) accept: &'static str,
    pub(crate) limit: usize,
}

impl<'a> Call<'a> {
    pub(crate) fn new(action: Action, url: &'a str, key: &'a AccountKey, by: KeyId<'a>) -> Self {
        let (payload, accept, limit) = (Bytes::new(), JSON, MAX_BODY);
        Call { action, url, key, by, payload, accept, limit }
    }

    pub(crate) fn with(mut self, payload: &impl Serialize) -> Self {
        let payload = serde_json::to_vec(payload).expect("payloads have string keys only");
        self.payload = payload.into();
        self
    }
}

impl Client {
    /// A CA by the URL of its directory. Nothing is sent yet. `limits.chain` bounds the PEM of
    /// certificate chains.
    pub fn new(
        directory_url: &str,
        transport: impl Transport + 'static,
        observer: impl Observer + 'static,
        limits: Limits,
    ) -> Result<Self, AcmeError> {
        Ok(Client(Arc::new(Inner {
            directory_url: http_url(Action::Discover, directory_url)?,
            transport: Box::new(transport),
            observer: Box::new(observer),
            limits,
            nonces: Nonces::default(),
            directory: Mutex::new(None),
        })))
    }

    /// URL of the directory.
    pub fn directory_url(&self) -> &str {
        self.0.directory_url.as_str()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The directory; fetched the first time, and after a resource was not where it said.
    pub async fn directory(&self) -> Result<Arc<Directory>, AcmeError> {
        let mut kept = self.0.directory.lock().await;
        if let Some(directory) = &*kept {
            return Ok(directory.clone());
        }
        let fetched = self.fetch_directory().await?.value;
        Ok(kept.insert(fetched).clone())
    }

    /// Fetches the directory again; the old one is kept if that fails.
    pub async fn refresh_directory(&self) -> Result<Answer<Arc<Directory>>, AcmeError> {
        let mut kept = self.0.directory.lock().await;
        let answer = self.fetch_directory().await?;
        *kept = Some(answer.value.clone());
        Ok(answer)
    }

    async fn fetch_directory(&self) -> Result<Answer<Arc<Directory>>, AcmeError> {
        let action = Action::Discover;
        let reply = self.get(action, self.0.directory_url.clone()).await?;
        let directory: Directory = reply.json()?;
        for url in [&directory.new_nonce, &directory.new_account, &directory.new_order] {
            if http_url(action, url).is_err() {
                return Err(AcmeError::bad_answer(action, format!("{url:?} is no HTTP URL")));
            }
        }
        Ok(reply.answer(Arc::new(directory)))
    }

    /// Registers an account, or finds the one that the key has (RFC 8555 section 7.3).
    pub async fn new_account(
        &self,
        key: &Arc<AccountKey>,
        new: &NewAccount<'_>,
    ) -> Result<Answer<Registered>, AcmeError> {
        let directory = self.directory().await.map_err(of(Action::RegisterAccount))?;
        let mut payload = json!({ "termsOfServiceAgreed": new.terms_of_service_agreed });
        if !new.contact.is_empty() {
            payload["contact"] = json!(new.contact);
        }
        if let Some(external) = new.external_account {
            let url = http_url(Action::RegisterAccount, &directory.new_account)?;
            payload["externalAccountBinding"] = json!(external.bind(key.jwk(), url.as_str()));
        }
        self.account_by_key(Action::RegisterAccount, key, &directory.new_account, &payload).await
    }

    /// Finds the account that the key has; [`Class::AccountGone`] if it has none (RFC 8555 section
    /// 7.3.1).
    pub async fn find_account(
        &self,
        key: &Arc<AccountKey>,
    ) -> Result<Answer<Registered>, AcmeError> {
        let directory = self.directory().await.map_err(of(Action::GetRegistration))?;
        let payload = json!({ "onlyReturnExisting": true });
        self.account_by_key(Action::GetRegistration, key, &directory.new_account, &payload).await
    }

    async fn account_by_key(
        &self,
        action: Action,
        key: &Arc<AccountKey>,
        url: &str,
        payload: &serde_json::Value,
    ) -> Result<Answer<Registered>, AcmeError> {
        let call = Call::new(action, url, key, KeyId::Jwk).with(payload);
        let reply = self.post_to(call, Endpoint::NewAccount).await?;
        let Some(location) = reply.location() else {
            return Err(AcmeError::bad_answer(action, "the account has no Location"));
        };
        let existed = reply.status != StatusCode::CREATED;
        let account = self.account(key.clone(), String::from(location));
        Ok(reply.answer(Registered { account, object: reply.json()?, existed }))
    }

    /// An account whose URL is known. Nothing is sent.
    pub fn account(&self, key: Arc<AccountKey>, url: String) -> Account {
        Account::new(self.clone(), key, url)
    }

    /// When the CA would like a certificate to be renewed (RFC 9773 section 4). This is the one URL
    /// that a client has to put together itself. [`Class::NotOffered`] if the CA does not say.
    pub async fn renewal_info(&self, id: &CertId) -> Result<Answer<RenewalInfo>, AcmeError> {
        let action = Action::GetRenewalInfo;
        let directory = self.directory().await.map_err(of(action))?;
        let Some(base) = &directory.renewal_info else {
            return Err(AcmeError::not_offered(action, "renewal information"));
        };
        let url = http_url(action, &format!("{}/{id}", base.trim_end_matches('/')))?;
        let reply = self.get(action, url).await?;
        let info: RenewalInfo = reply.json()?;
        if info.suggested_window.start >= info.suggested_window.end {
            return Err(AcmeError::bad_answer(
                action,
                "the suggested window ends before it starts",
            ));
        }
        Ok(reply.answer(info))
    }

    /// Revokes a certificate (DER) as the holder of its key, without an account. `reason` is one of
    /// RFC 5280 section 5.3.1.
    pub async fn revoke_as_holder(
        &self,
        certificate_key: &AccountKey,
        certificate: &[u8],
        reason: Option<u8>,
    ) -> Result<Answer<()>, AcmeError> {
        self.revoke(certificate_key, KeyId::Jwk, certificate, reason).await
    }

    pub(crate) async fn revoke(
        &self,
        key: &AccountKey,
        by: KeyId<'_>,
        certificate: &[u8],
        reason: Option<u8>,
    ) -> Result<Answer<()>, AcmeError> {
        let action = Action::RevokeCert;
        let directory = self.directory().await.map_err(of(action))?;
        let Some(url) = &directory.revoke_cert else {
            return Err(AcmeError::not_offered(action, "revocation"));
        };
        let mut payload = json!({ "certificate": base64url(certificate) });
        if let Some(reason) = reason {
            payload["reason"] = json!(reason);
        }
        let reply = self.post(Call::new(action, url, key, by).with(&payload)).await?;
        Ok(reply.answer(()))
    }

    pub(crate) async fn post(&self, call: Call<'_>) -> Result<Reply, AcmeError> {
        let endpoint = call.action.endpoint();
        self.post_to(call, endpoint).await
    }

    /// Signs and sends, again where the nonce was refused: the same payload under another nonce.
    async fn post_to(&self, call: Call<'_>, endpoint: Endpoint) -> Result<Reply, AcmeError> {
        let url = http_url(call.action, call.url)?;
        let mut fresh = None;
        let mut left = BAD_NONCE_RETRIES;
        loop {
            let nonce = match fresh.take() {
                Some(nonce) => nonce,
                None => self.nonce(call.action).await?,
            };
            let request = signed(&call, &url, &nonce)?;
            let acts = !call.payload.is_empty();
            let sent = self.send(call.action, endpoint, &url, acts, request, call.limit);
            let reply = sent.await?;
            fresh = reply.nonce().and_then(|nonce| self.0.nonces.admit(nonce));
            if left > 0 && refused_nonce(&reply) {
                left -= 1;
                continue;
            }
            fresh.into_iter().for_each(|nonce| self.0.nonces.keep(nonce));
            return self.successful(endpoint, reply).await;
        }
    }

    /// A nonce that nobody has sent.
    async fn nonce(&self, action: Action) -> Result<String, AcmeError> {
        if let Some(nonce) = self.0.nonces.take() {
            return Ok(nonce);
        }
        let directory = self.directory().await.map_err(of(action))?;
        let url = http_url(action, &directory.new_nonce)?;
        let request = bare(Method::HEAD, &url)?;
        let reply = self.send(action, Endpoint::NewNonce, &url, false, request, MAX_BODY).await?;
        let reply = self.successful(Endpoint::NewNonce, reply).await?;
        let nonce = reply.nonce().and_then(|nonce| self.0.nonces.admit(nonce));
        nonce.ok_or_else(|| AcmeError::bad_answer(action, "no fresh nonce in the newNonce answer"))
    }

    /// An unsigned GET; follows a few redirections.
    async fn get(&self, action: Action, mut url: Url) -> Result<Reply, AcmeError> {
        let mut left = MAX_REDIRECTS;
        loop {
            let request = bare(Method::GET, &url)?;
            let sent = self.send(action, action.endpoint(), &url, false, request, MAX_BODY);
            let reply = sent.await?;
            match reply.location() {
                Some(target) if reply.status.is_redirection() && left > 0 => {
                    left -= 1;
                    url = target;
                }
                _ => return self.successful(action.endpoint(), reply).await,
            }
        }
    }

    /// Forgets the directory where a resource is not where it said: CAs move.
    async fn successful(&self, endpoint: Endpoint, reply: Reply) -> Result<Reply, AcmeError> {
        if reply.status.is_success() {
            return Ok(reply);
        }
        let error = AcmeError::refused(&reply);
        // Not the directory's own: that one is asked for with the lock held.
        let listed = matches!(
            endpoint,
            Endpoint::NewNonce | Endpoint::NewAccount | Endpoint::NewOrder | Endpoint::RevokeCert
        );
        if listed && matches!(error.class, Class::BadAnswer { .. } | Class::OutOfStep) {
            *self.0.directory.lock().await = None;
        }
        Err(error)
    }

    async fn send(
        &self,
        action: Action,
        endpoint: Endpoint,
        url: &Url,
        acts: bool,
        request: Request<Bytes>,
        limit: usize,
    ) -> Result<Reply, AcmeError> {
        let method = request.method().clone();
        let started = Instant::now();
        let result = self.0.transport.exchange(request, limit).await;
        self.0.observer.exchanged(&Exchange {
            action,
            endpoint,
            scheme: url.scheme(),
            host: &url[Position::BeforeHost..Position::AfterPort],
            method: method.as_str(),
            status: result.as_ref().map_or(NO_ANSWER, |answer| answer.status().as_u16()),
            elapsed: started.elapsed(),
        });
        match result {
            Ok(answer) => Ok(Reply::new(action, url, acts, answer)),
            Err(error) => Err(AcmeError::transport(action, &error, acts)),
        }
    }
}

/// What failed underneath failed the operation that needed it; nothing of that one was sent.
pub(crate) fn of(action: Action) -> impl Fn(AcmeError) -> AcmeError {
    move |error| AcmeError { action, ..error }
}

pub(crate) fn http_url(action: Action, text: &str) -> Result<Url, AcmeError> {
    let url = Url::parse(text).ok().and_then(|url| link::follow(&url, ""));
    url.ok_or_else(|| AcmeError::unusable(action, format!("{text:?} is no HTTP URL")))
}

fn signed(call: &Call<'_>, url: &Url, nonce: &str) -> Result<Request<Bytes>, AcmeError> {
    let jws = jws::sign(call.key, call.by, Some(nonce), url.as_str(), &call.payload);
    let jws = jws.map_err(|error| AcmeError::unusable(call.action, error))?;
    let request = Request::post(url.as_str())
        .header(CONTENT_TYPE, JOSE)
        .header(ACCEPT, call.accept)
        .header(ACCEPT_LANGUAGE, "en");
    let request = request.body(Bytes::from(jws.to_bytes()));
    request.map_err(|error| AcmeError::unusable(call.action, error))
}

fn bare(method: Method, url: &Url) -> Result<Request<Bytes>, AcmeError> {
    let request = Request::builder().method(method).uri(url.as_str());
    let request = request.header(ACCEPT, JSON).header(ACCEPT_LANGUAGE, "en").body(Bytes::new());
    request.map_err(|error| AcmeError::unusable(Action::Discover, error))
}

fn refused_nonce(reply: &Reply) -> bool {
    reply.status.is_client_error() && reply.problem().is_some_and(|p| p.is("badNonce"))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.0.directory_url)
    }
}
