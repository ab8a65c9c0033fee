//! A client of ACME (RFC 8555) for a program that does its own waiting.
//!
//! Each method is one operation and makes one signed request. What the CA said comes back whole:
//! the resource or the problem, `Retry-After` in either form with every answer, and for failures
//! what has to be done about them ([`Class`]). The only thing sent again is a request whose nonce
//! was refused. URLs are followed, never built, but for RFC 9773's, which leaves that to the
//! client.
//!
//! Accounts sign with RSA (2048 to 8192 bits), P-256, P-384, P-521 or Ed25519 keys.
//!
//! ```no_run
//! use std::sync::Arc;
//! use everleaf_acme::{AccountKey, Client, HttpOptions, HttpTransport, Limits};
//! use everleaf_acme::{Identifier, NewOrder};
//!
//! # async fn example(pem: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let transport = HttpTransport::new(&HttpOptions::new("everleaf/0.1"))?;
//! let url = "https://acme-staging-v02.api.letsencrypt.org/directory";
//! let client = Client::new(url, transport, (), Limits::default())?;
//! let account = client.find_account(&Arc::new(AccountKey::from_pem(pem)?)).await?.value.account;
//! let identifiers = vec![Identifier::dns("example.com")];
//! let placed = account.new_order(&NewOrder { identifiers, ..NewOrder::default() }).await?.value;
//! println!("{} is {}", placed.url, placed.order.status.as_str());
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod ari;
mod chain;
mod client;
mod error;
mod jws;
mod key;
mod link;
mod nonce;
mod observe;
mod problem;
mod reply;
mod resource;
mod retry_after;
mod socket;
mod tls;
mod token;
mod transport;

pub use account::{Account, OrdersList, OrdersPage, PlacedOrder};
pub use ari::{CertId, RenewalInfo, Window};
pub use chain::{CertificateChain, Choice, ChosenChain, MAX_ALTERNATES, choose};
pub use client::{BAD_NONCE_RETRIES, Client, MAX_BODY, MAX_CHAIN_BODY, NewAccount, Registered};
pub use error::{AcmeError, Class, Refusal};
pub use everleaf_pki::Limits;
pub use jws::{ExternalAccount, ExternalAccountError};
pub use key::{AccountKey, AccountKeyError, Jwk};
pub use nonce::MAX_NONCES;
pub use observe::{Action, Endpoint, Exchange, NO_ANSWER, Observer, Tally};
pub use problem::{NAMESPACE, Problem};
pub use reply::Answer;
pub use resource::{
    AccountObject, AccountStatus, Authorization, AuthorizationStatus, Challenge, ChallengeStatus,
    Directory, Identifier, Meta, NewOrder, Order, OrderStatus,
};
pub use retry_after::RetryAfter;
pub use socket::{HttpOptions, HttpTransport};
pub use tls::{ServerTrust, TlsError};
pub use token::{KeyAuthorization, MAX_TOKEN, Token};
pub use transport::{InProcess, Transport, TransportError, read};
