//! What is told about every request, for metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// The word used in metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a request is made for: label `action` of `certmanager_http_acme_client_request_count`
    /// and `certmanager_http_acme_client_request_duration_seconds`. The last four are not among
    /// cert-manager's values, which has no such requests. A nonce fetched for an operation counts
    /// as that operation's, with method HEAD.
    Action {
        /// Fetching the directory.
        Discover = "discover",
        /// Registering an account.
        RegisterAccount = "register_account",
        /// Finding or reading an account.
        GetRegistration = "get_registration",
        /// Changing an account's contacts.
        UpdateRegistration = "update_registration",
        /// Creating an order.
        AuthorizeOrder = "authorize_order",
        /// Reading an order.
        GetOrder = "get_order",
        /// Finalizing an order.
        CreateOrderCert = "create_order_cert",
        /// Downloading a certificate.
        FetchCert = "fetch_cert",
        /// Downloading an alternate chain.
        ListCertAlternates = "list_cert_alternates",
        /// Reading an authorization.
        GetAuthorization = "get_authorization",
        /// Accepting a challenge.
        AcceptChallenge = "accept_challenge",
        /// Reading a challenge.
        GetChallenge = "get_challenge",
        /// Reading renewal information.
        GetRenewalInfo = "get_renewal_info",
        /// Ending an account.
        DeactivateRegistration = "deactivate_registration",
        /// Listing an account's orders.
        ListOrders = "list_orders",
        /// Revoking a certificate.
        RevokeCert = "revoke_cert",
        /// Changing an account's key.
        ChangeKey = "change_key",
    }
}

words! {
    /// The class of resource a request goes to, as CAs limit them.
    Endpoint {
        /// The directory.
        Directory = "directory",
        /// newNonce.
        NewNonce = "new-nonce",
        /// newAccount.
        NewAccount = "new-account",
        /// newOrder.
        NewOrder = "new-order",
        /// revokeCert.
        RevokeCert = "revoke-cert",
        /// renewalInfo.
        RenewalInfo = "renewal-info",
        /// Accounts, orders, authorizations, challenges, certificates.
        Other = "other",
    }
}

impl Action {
    /// The class of resource that the operation's own request goes to.
    pub fn endpoint(self) -> Endpoint {
        match self {
            Action::Discover => Endpoint::Directory,
            Action::RegisterAccount => Endpoint::NewAccount,
            Action::AuthorizeOrder => Endpoint::NewOrder,
            Action::RevokeCert => Endpoint::RevokeCert,
            Action::GetRenewalInfo => Endpoint::RenewalInfo,
            _ => Endpoint::Other,
        }
    }
}

/// Status that is reported where no answer came, as cert-manager does.
pub const NO_ANSWER: u16 = 999;

/// One HTTP request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// What it was made for.
    pub action: Action,
    /// Where it went.
    pub endpoint: Endpoint,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The CA's host, with the port if it is not the scheme's own.
    pub host: &'a str,
    /// `GET`, `HEAD` or `POST`.
    pub method: &'a str,
    /// The answer's status; [`NO_ANSWER`] for none.
    pub status: u16,
    /// Time from before the request to after the body.
    pub elapsed: Duration,
}

/// Is told of every request, in the task that makes it; must not block.
pub trait Observer: Send + Sync {
    /// A request ended.
    fn exchanged(&self, exchange: &Exchange<'_>);
}

/// Tells nobody.
impl Observer for () {
    fn exchanged(&self, _: &Exchange<'_>) {}
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        (**self).exchanged(exchange);
    }
}

/// Counts requests. Its size is bounded by what there is of actions, endpoints and statuses.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<(Action, Endpoint, u16), u64>>);

impl Tally {
    /// Requests so far, by action, endpoint and status.
    pub fn counts(&self) -> BTreeMap<(Action, Endpoint, u16), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests so far.
    pub fn total(&self) -> u64 {
        self.counts().values().sum()
    }
}

impl Observer for Tally {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        let key = (exchange.action, exchange.endpoint, exchange.status);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }
}
