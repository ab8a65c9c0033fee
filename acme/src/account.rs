//! What an account can do (RFC 8555 section 7).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use crate::chain::CertificateChain;
use crate::client::{Call, Client, MAX_CHAIN_BODY, of};
use crate::error::AcmeError;
use crate::jws::{self, KeyId};
use crate::key::{AccountKey, base64url};
use crate::observe::Action;
use crate::reply::{Answer, Reply};
use crate::resource::{
    AccountObject, Authorization, Challenge, Directory, NewOrder, Order, or_default,
};

/// An order and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedOrder {
    /// Its URL.
    pub url: String,
    /// The order.
    pub order: Order,
}

/// One page of an account's orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrdersPage {
    /// URLs of orders.
    pub orders: Vec<String>,
    /// The next page.
    pub next: Option<String>,
}

/// An account's orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrdersList {
    /// URLs of orders, as the CA orders them.
    pub orders: Vec<String>,
    /// Whether there are no further pages.
    pub complete: bool,
}

/// An account: a key and the URL that the CA gave to it.
#[derive(Clone, Debug)]
pub struct Account {
    client: Client,
    key: Arc<AccountKey>,
    url: String,
}

impl Account {
    pub(crate) fn new(client: Client, key: Arc<AccountKey>, url: String) -> Self {
        Account { client, key, url }
    }

    /// The CA.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its key.
    pub fn key(&self) -> &Arc<AccountKey> {
        &self.key
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn call<'a>(&'a self, action: Action, url: &'a str) -> Call<'a> {
        Call::new(action, url, &self.key, KeyId::Account(&self.url))
    }

    async fn read(&self, action: Action, url: &str) -> Result<Reply, AcmeError> {
        self.client.post(self.call(action, url)).await
    }

    async fn directory(&self, action: Action) -> Result<Arc<Directory>, AcmeError> {
        self.client.directory().await.map_err(of(action))
    }

    /// Reads the account.
    pub async fn get(&self) -> Result<Answer<AccountObject>, AcmeError> {
        let reply = self.read(Action::GetRegistration, &self.url).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// Replaces the contacts, which are URLs; none clears them (RFC 8555 section 7.3.2).
    pub async fn update_contact(
        &self,
        contact: &[String],
    ) -> Result<Answer<AccountObject>, AcmeError> {
        let call = self.call(Action::UpdateRegistration, &self.url);
        let reply = self.client.post(call.with(&json!({ "contact": contact }))).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// Ends the account for good (RFC 8555 section 7.3.6).
    pub async fn deactivate(&self) -> Result<Answer<AccountObject>, AcmeError> {
        let call = self.call(Action::DeactivateRegistration, &self.url);
        let reply = self.client.post(call.with(&json!({ "status": "deactivated" }))).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// Gives the account another key (RFC 8555 section 7.3.5). This handle's key is of no use
    /// afterwards; the result has the new one.
    pub async fn change_key(&self, new: &Arc<AccountKey>) -> Result<Answer<Account>, AcmeError> {
        let action = Action::ChangeKey;
        let directory = self.directory(action).await?;
        let Some(url) = &directory.key_change else {
            return Err(AcmeError::not_offered(action, "key changes"));
        };
        let payload = json!({ "account": self.url, "oldKey": self.key.jwk() }).to_string();
        let inner = jws::sign(new, KeyId::Jwk, None, url, payload.as_bytes());
        let inner = inner.map_err(|error| AcmeError::unusable(action, error))?;
        let reply = self.client.post(self.call(action, url).with(&inner)).await?;
        Ok(reply.answer(self.client.account(new.clone(), self.url.clone())))
    }

    /// One page of the list at [`AccountObject::orders`] (RFC 8555 section 7.1.2.1).
    pub async fn orders_page(&self, url: &str) -> Result<Answer<OrdersPage>, AcmeError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default, deserialize_with = "or_default")]
            orders: Vec<String>,
        }
        let reply = self.read(Action::ListOrders, url).await?;
        let page: Page = reply.json()?;
        let next = reply.links("next").into_iter().next();
        Ok(reply.answer(OrdersPage { orders: page.orders, next }))
    }

    /// The list's first pages, at most `max_pages` of them: one request for each.
    pub async fn orders(
        &self,
        first: &str,
        max_pages: usize,
    ) -> Result<Answer<OrdersList>, AcmeError> {
        let mut visited = vec![first.to_owned()];
        let mut answer = self.orders_page(first).await?;
        let mut orders = std::mem::take(&mut answer.value.orders);
        while let Some(next) = answer.value.next.take_if(|_| visited.len() < max_pages) {
            if visited.contains(&next) {
                let why = "the list of orders leads back to one of its pages";
                return Err(AcmeError::bad_answer(Action::ListOrders, why));
            }
            answer = self.orders_page(&next).await?;
            orders.append(&mut answer.value.orders);
            visited.push(next);
        }
        Ok(answer.map(|last| OrdersList { orders, complete: last.next.is_none() }))
    }

    /// Places an order (RFC 8555 section 7.4). A profile that the directory does not name is
    /// refused here, after a second look at the directory.
    pub async fn new_order(&self, new: &NewOrder) -> Result<Answer<PlacedOrder>, AcmeError> {
        let action = Action::AuthorizeOrder;
        let mut directory = self.directory(action).await?;
        if let Some(profile) = &new.profile
            && !directory.meta.profiles.contains_key(profile)
        {
            directory = self.client.refresh_directory().await.map_err(of(action))?.value;
            if !directory.meta.profiles.contains_key(profile) {
                return Err(AcmeError::not_offered(action, unknown(profile, &directory)));
            }
        }
        let mut new = new.clone();
        if directory.renewal_info.is_none() {
            new.replaces = None;
        }
        let call = self.call(action, &directory.new_order);
        let reply = self.client.post(call.with(&new)).await?;
        let Some(location) = reply.location() else {
            return Err(AcmeError::bad_answer(action, "the order has no Location"));
        };
        let order = order_of(&reply)?;
        Ok(reply.answer(PlacedOrder { url: String::from(location), order }))
    }

    /// Reads an order.
    pub async fn order(&self, url: &str) -> Result<Answer<Order>, AcmeError> {
        let reply = self.read(Action::GetOrder, url).await?;
        Ok(reply.answer(order_of(&reply)?))
    }

    /// Reads an authorization.
    pub async fn authorization(&self, url: &str) -> Result<Answer<Authorization>, AcmeError> {
        let reply = self.read(Action::GetAuthorization, url).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// Reads a challenge.
    pub async fn challenge(&self, url: &str) -> Result<Answer<Challenge>, AcmeError> {
        let reply = self.read(Action::GetChallenge, url).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// Tells the CA that a challenge is ready to be looked at (RFC 8555 section 7.5.1).
    pub async fn accept_challenge(&self, url: &str) -> Result<Answer<Challenge>, AcmeError> {
        let call = self.call(Action::AcceptChallenge, url);
        let reply = self.client.post(call.with(&json!({}))).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// Sends the certificate signing request (DER) to an order's `finalize` URL. The order may
    /// stay `processing` for a while.
    pub async fn finalize(&self, url: &str, csr: &[u8]) -> Result<Answer<Order>, AcmeError> {
        let call = self.call(Action::CreateOrderCert, url);
        let reply = self.client.post(call.with(&json!({ "csr": base64url(csr) }))).await?;
        Ok(reply.answer(order_of(&reply)?))
    }

    /// Downloads the certificate at an order's `certificate` URL, in the CA's default chain.
    pub async fn certificate(&self, url: &str) -> Result<Answer<CertificateChain>, AcmeError> {
        self.download(Action::FetchCert, url).await
    }

    /// Downloads one of [`CertificateChain::alternates`].
    pub async fn alternate(&self, url: &str) -> Result<Answer<CertificateChain>, AcmeError> {
        self.download(Action::ListCertAlternates, url).await
    }

    async fn download(
        &self,
        action: Action,
        url: &str,
    ) -> Result<Answer<CertificateChain>, AcmeError> {
        let mut call = self.call(action, url);
        (call.accept, call.limit) = ("application/pem-certificate-chain", MAX_CHAIN_BODY);
        let reply = self.client.post(call).await?;
        let chain = CertificateChain::parse(&reply.body, self.client.limits());
        let mut chain = chain.map_err(|why| AcmeError::bad_answer(action, why))?;
        chain.alternates = reply.links("alternate");
        Ok(reply.answer(chain))
    }

    /// Revokes a certificate (DER) that the account got or has authorizations for. `reason` is one
    /// of RFC 5280 section 5.3.1.
    pub async fn revoke(
        &self,
        certificate: &[u8],
        reason: Option<u8>,
    ) -> Result<Answer<()>, AcmeError> {
        let by = KeyId::Account(&self.url);
        self.client.revoke(&self.key, by, certificate, reason).await
    }
}

fn unknown(profile: &str, directory: &Directory) -> String {
    let known: Vec<&str> = directory.meta.profiles.keys().map(String::as_str).collect();
    match known.is_empty() {
        true => format!("the profile {profile:?}, nor any other"),
        false => format!("the profile {profile:?}, but {}", known.join(", ")),
    }
}

/// An order that can be gone on with.
fn order_of(reply: &Reply) -> Result<Order, AcmeError> {
    let order: Order = reply.json()?;
    if order.finalize.is_empty() {
        return Err(AcmeError::bad_answer(reply.action, "the order has no finalize URL"));
    }
    Ok(order)
}
