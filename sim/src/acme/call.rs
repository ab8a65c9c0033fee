//! Requests and answers, as values.

use std::net::IpAddr;

use super::fault::RetryStyle;
use super::identifier::{Identifier, Identifiers};
use super::issue::{Leaf, Serial};
use super::problem::{ErrorKind, Problem};

/// Number of an account.
pub type AccountId = u64;
/// Number of an order.
pub type OrderId = u64;
/// Number of an authorization.
pub type AuthorizationId = u64;

/// An account to be made, or found by its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewAccount {
    /// Which key it is: the fingerprint of its SubjectPublicKeyInfo, or any other text that is
    /// the same for equal keys only.
    pub key: String,
    /// The JWK thumbprint of the key (RFC 7638), which key authorizations end with.
    pub thumbprint: String,
    /// Contacts.
    pub contacts: Vec<String>,
    /// Whether the terms of service are agreed to.
    pub terms_agreed: bool,
    /// Whether it is only looked for.
    pub only_existing: bool,
    /// The key identifier of the external account it is bound to, the binding verified.
    pub external: Option<String>,
}

/// An order to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewOrder {
    /// What it is for.
    pub identifiers: Identifiers,
    /// The profile, or the CA's choice.
    pub profile: Option<String>,
    /// Start of validity asked for, in milliseconds since 1970.
    pub not_before: Option<i64>,
    /// End of validity asked for, in milliseconds since 1970.
    pub not_after: Option<i64>,
    /// The certificate it replaces (RFC 9773 section 5), by its ARI identifier.
    pub replaces: Option<String>,
}

impl NewOrder {
    /// An order for these DNS names.
    pub fn dns(names: &[&str]) -> Self {
        let identifiers = names.iter().map(|name| Identifier::dns(name)).collect();
        NewOrder { identifiers, ..NewOrder::default() }
    }

    /// An order for an IP address.
    pub fn ip(address: IpAddr) -> Self {
        let identifiers = Identifiers::from([Identifier::Ip(address)]);
        NewOrder { identifiers, ..NewOrder::default() }
    }
}

/// A certificate signing request, its signature verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Csr {
    /// The subject's common name, if it has one.
    pub common_name: Option<String>,
    /// The subject alternative names.
    pub identifiers: Identifiers,
    /// Which key it is for, as in [`NewAccount::key`].
    pub key: String,
    /// The DER SubjectPublicKeyInfo; without it no real certificate can be made.
    pub spki: Option<Vec<u8>>,
}

/// The types of challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChallengeKind {
    /// A file on the web server (RFC 8555 section 8.3).
    Http01,
    /// A TXT record (RFC 8555 section 8.4).
    Dns01,
    /// A TLS certificate (RFC 8737).
    TlsAlpn01,
}

impl ChallengeKind {
    /// All of them.
    pub const ALL: [ChallengeKind; 3] =
        [ChallengeKind::Http01, ChallengeKind::Dns01, ChallengeKind::TlsAlpn01];

    /// Its name: `http-01`, `dns-01` or `tls-alpn-01`.
    pub fn as_str(self) -> &'static str {
        match self {
            ChallengeKind::Http01 => "http-01",
            ChallengeKind::Dns01 => "dns-01",
            ChallengeKind::TlsAlpn01 => "tls-alpn-01",
        }
    }

    /// Whether it can prove control of that identifier.
    pub fn fits(self, identifier: &Identifier) -> bool {
        match identifier {
            Identifier::Ip(_) => self != ChallengeKind::Dns01,
            name if name.is_wildcard() => self == ChallengeKind::Dns01,
            Identifier::Dns(_) => true,
        }
    }
}

/// A request. Those that name an account are taken to be signed by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The directory.
    Directory,
    /// A nonce.
    NewNonce,
    /// Makes or finds an account.
    NewAccount(NewAccount),
    /// Looks at an account, or changes it.
    Account {
        /// Which.
        account: AccountId,
        /// The contacts to set.
        contacts: Option<Vec<String>>,
        /// Whether to deactivate it.
        deactivate: bool,
    },
    /// Lists an account's orders.
    Orders {
        /// Whose.
        account: AccountId,
        /// Only those after this one.
        after: OrderId,
    },
    /// Makes an order.
    NewOrder {
        /// Whose.
        account: AccountId,
        /// What for.
        order: NewOrder,
    },
    /// Looks at an order.
    Order {
        /// Whose.
        account: AccountId,
        /// Which.
        order: OrderId,
    },
    /// Looks at an authorization, or deactivates it.
    Authorization {
        /// Whose.
        account: AccountId,
        /// Which.
        authorization: AuthorizationId,
        /// Whether to deactivate it.
        deactivate: bool,
    },
    /// Looks at a challenge, or asks for its validation.
    Challenge {
        /// Whose.
        account: AccountId,
        /// Of which authorization.
        authorization: AuthorizationId,
        /// Which.
        kind: ChallengeKind,
        /// Whether to validate it.
        trigger: bool,
    },
    /// Finalizes an order.
    Finalize {
        /// Whose.
        account: AccountId,
        /// Which.
        order: OrderId,
        /// With what.
        csr: Csr,
    },
    /// Downloads a certificate.
    Certificate {
        /// Whose.
        account: AccountId,
        /// Which.
        serial: Serial,
        /// Which chain: 0 is the first one, others are alternates.
        chain: usize,
    },
    /// Asks when to renew (RFC 9773).
    RenewalInfo {
        /// The certificate's ARI identifier.
        certificate: String,
    },
    /// Revokes a certificate.
    Revoke {
        /// Whose.
        account: AccountId,
        /// Which.
        serial: Serial,
    },
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is documented at the call of the same name")]
pub enum CallKind {
    Directory,
    NewNonce,
    NewAccount,
    Account,
    Orders,
    NewOrder,
    Order,
    Authorization,
    Challenge,
    Finalize,
    Certificate,
    RenewalInfo,
    Revoke,
}

impl CallKind {
    /// Whether such requests are signed, and so spend a nonce.
    pub fn is_signed(self) -> bool {
        !matches!(self, CallKind::Directory | CallKind::NewNonce | CallKind::RenewalInfo)
    }
}

impl Call {
    /// Its kind.
    pub fn kind(&self) -> CallKind {
        match self {
            Call::Directory => CallKind::Directory,
            Call::NewNonce => CallKind::NewNonce,
            Call::NewAccount(_) => CallKind::NewAccount,
            Call::Account { .. } => CallKind::Account,
            Call::Orders { .. } => CallKind::Orders,
            Call::NewOrder { .. } => CallKind::NewOrder,
            Call::Order { .. } => CallKind::Order,
            Call::Authorization { .. } => CallKind::Authorization,
            Call::Challenge { .. } => CallKind::Challenge,
            Call::Finalize { .. } => CallKind::Finalize,
            Call::Certificate { .. } => CallKind::Certificate,
            Call::RenewalInfo { .. } => CallKind::RenewalInfo,
            Call::Revoke { .. } => CallKind::Revoke,
        }
    }

    /// The account that signs it; none where it is not signed, or by a key that has none yet.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Call::Account { account, .. }
            | Call::Orders { account, .. }
            | Call::NewOrder { account, .. }
            | Call::Order { account, .. }
            | Call::Authorization { account, .. }
            | Call::Challenge { account, .. }
            | Call::Finalize { account, .. }
            | Call::Certificate { account, .. }
            | Call::Revoke { account, .. } => Some(*account),
            Call::Directory | Call::NewNonce | Call::NewAccount(_) | Call::RenewalInfo { .. } => {
                None
            }
        }
    }
}

/// The states of orders, authorizations, challenges and accounts, of which each has some (RFC 8555
/// section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are RFC 8555's")]
pub enum Status {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
    Deactivated,
    Expired,
}

impl Status {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Ready => "ready",
            Status::Processing => "processing",
            Status::Valid => "valid",
            Status::Invalid => "invalid",
            Status::Deactivated => "deactivated",
            Status::Expired => "expired",
        }
    }
}

/// An account as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Its number.
    pub id: AccountId,
    /// Valid or deactivated.
    pub status: Status,
    /// Its contacts.
    pub contacts: Vec<String>,
    /// Whether it was made by this request.
    pub created: bool,
}

/// An order as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Its number.
    pub id: OrderId,
    /// Pending, ready, processing, valid or invalid.
    pub status: Status,
    /// When it expires, in milliseconds since 1970.
    pub expires: i64,
    /// What it is for.
    pub identifiers: Identifiers,
    /// The profile.
    pub profile: String,
    /// Start of validity asked for, in milliseconds since 1970.
    pub not_before: Option<i64>,
    /// End of validity asked for, in milliseconds since 1970.
    pub not_after: Option<i64>,
    /// The ARI identifier of the certificate it replaces.
    pub replaces: Option<String>,
    /// Its authorizations.
    pub authorizations: Vec<AuthorizationId>,
    /// Why it is invalid.
    pub error: Option<Problem>,
    /// The certificate, once it is valid.
    pub certificate: Option<Serial>,
    /// Whether it was made by this request, rather than found.
    pub created: bool,
}

/// A challenge as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeView {
    /// Of which authorization.
    pub authorization: AuthorizationId,
    /// Its type.
    pub kind: ChallengeKind,
    /// Pending, processing, valid or invalid.
    pub status: Status,
    /// Its token.
    pub token: String,
    /// When it was validated, in milliseconds since 1970.
    pub validated: Option<i64>,
    /// Why it is invalid.
    pub error: Option<Problem>,
}

/// An authorization as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationView {
    /// Its number.
    pub id: AuthorizationId,
    /// What for; a wildcard name keeps its asterisk here.
    pub identifier: Identifier,
    /// Pending, valid, invalid, deactivated or expired.
    pub status: Status,
    /// When it expires, in milliseconds since 1970.
    pub expires: i64,
    /// Its challenges; once one is valid, that one alone.
    pub challenges: Vec<ChallengeView>,
}

/// When to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalWindow {
    /// Start of the window, in milliseconds since 1970.
    pub start: i64,
    /// End of the window, in milliseconds since 1970.
    pub end: i64,
    /// Where people read why.
    pub explanation: Option<String>,
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To a directory or nonce request: there is nothing in it that differs.
    Plain,
    /// An account.
    Account(AccountView),
    /// Orders of an account, and whether there are more.
    Orders(Vec<OrderId>, bool),
    /// An order.
    Order(OrderView),
    /// An authorization.
    Authorization(AuthorizationView),
    /// A challenge.
    Challenge(ChallengeView),
    /// A certificate, and which chain is asked for.
    Certificate(Box<Leaf>, usize),
    /// When to renew.
    RenewalInfo(RenewalWindow),
}

/// When to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// The time, in milliseconds since 1970.
    pub at: i64,
    /// How it is said.
    pub style: RetryStyle,
}

/// How an answer gets to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Whole and at once.
    Whole,
    /// Whole, after so many milliseconds.
    Slow(i64),
    /// In part.
    Truncated,
    /// Not at all.
    Lost,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the CA decided. The client does not see it where it is lost or truncated.
    pub result: Result<Reply, Problem>,
    /// When the client is asked to come back.
    pub retry_after: Option<RetryAfter>,
    /// How it gets to the client.
    pub delivery: Delivery,
}

/// Why a client has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The CA refuses.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The connection broke.
    #[error("connection reset by peer")]
    Lost,
    /// The answer ended in its middle.
    #[error("the body ended too early")]
    Truncated,
}

impl Answer {
    /// What the client sees.
    pub fn seen(self) -> Result<Reply, Failure> {
        match self.delivery {
            Delivery::Lost => Err(Failure::Lost),
            Delivery::Truncated => Err(Failure::Truncated),
            Delivery::Whole | Delivery::Slow(_) => Ok(self.result?),
        }
    }

    /// The type of the problem, if it is one.
    pub fn error(&self) -> Option<ErrorKind> {
        self.result.as_ref().err().map(|problem| problem.kind)
    }
}
