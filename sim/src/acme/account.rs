//! Accounts.

use std::collections::BTreeMap;

use super::Ca;
use super::call::{AccountId, AccountView, NewAccount, OrderId, Reply, Status};
use super::identifier::Identifier;
use super::limiter::Limit;
use super::problem::{ErrorKind, Problem};

/// Contacts of one account at most.
const MAX_CONTACTS: usize = 10;
/// Orders of one page of the list.
const PAGE: usize = 50;

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) key: String,
    pub(super) thumbprint: String,
    contacts: Vec<String>,
    status: Status,
}

#[derive(Default)]
pub(super) struct Accounts {
    by_id: BTreeMap<AccountId, Account>,
    by_key: BTreeMap<String, AccountId>,
}

impl Accounts {
    pub(super) fn get(&self, id: AccountId) -> Option<&Account> {
        self.by_id.get(&id)
    }

    pub(super) fn valid(&self, id: AccountId) -> Result<&Account, Problem> {
        let none =
            || Problem::new(ErrorKind::AccountDoesNotExist, format!("Account {id} not found"));
        let account = self.by_id.get(&id).ok_or_else(none)?;
        if account.status == Status::Valid {
            return Ok(account);
        }
        let text = format!("Account is not valid, has status \"{}\"", account.status.as_str());
        Err(Problem::new(ErrorKind::Unauthorized, text))
    }

    fn view(&self, id: AccountId, created: bool) -> Reply {
        let account = &self.by_id[&id];
        let (status, contacts) = (account.status, account.contacts.clone());
        Reply::Account(AccountView { id, status, contacts, created })
    }
}

impl Ca {
    /// The URL of an account, which CAA records can name (RFC 8657 section 3).
    pub fn account_url(&self, account: AccountId) -> String {
        format!("{}/acme/acct/{account}", self.config.base_url)
    }

    /// The account of a key.
    pub fn account_of(&self, key: &str) -> Option<AccountId> {
        self.accounts.by_key.get(key).copied()
    }

    pub(super) fn new_account(
        &mut self,
        now: i64,
        source: &str,
        new: &NewAccount,
    ) -> Result<Reply, Problem> {
        if let Some(id) = self.account_of(&new.key) {
            self.accounts.valid(id)?;
            return Ok(self.accounts.view(id, false));
        }
        if new.only_existing {
            let text = "No account exists with the provided key";
            return Err(Problem::new(ErrorKind::AccountDoesNotExist, text));
        }
        check_contacts(&new.contacts)?;
        if !new.terms_agreed {
            return Err(Problem::malformed("must agree to terms of service"));
        }
        self.check_external(new.external.as_deref())?;
        self.room(self.accounts.by_id.len())?;
        let limit = Limit::NewAccounts;
        if let Err(at) = self.limiter.spend(now, limit, source) {
            let text = self.limiter.refusal(limit, source, source, at);
            return Err(Problem::new(ErrorKind::RateLimited, text).retry_at(at));
        }
        let id = self.accounts.by_id.len() as AccountId + 1;
        let account = Account {
            key: new.key.clone(),
            thumbprint: new.thumbprint.clone(),
            contacts: new.contacts.clone(),
            status: Status::Valid,
        };
        self.accounts.by_id.insert(id, account);
        self.accounts.by_key.insert(new.key.clone(), id);
        Ok(self.accounts.view(id, true))
    }

    fn check_external(&self, external: Option<&str>) -> Result<(), Problem> {
        match external {
            None if self.config.external_required => {
                let text = "No externalAccountBinding was given, and this server requires one";
                Err(Problem::new(ErrorKind::ExternalAccountRequired, text))
            }
            Some(kid) if !self.config.external_keys.contains_key(kid) => {
                Err(Problem::new(ErrorKind::Unauthorized, "The external account is not known"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn update_account(
        &mut self,
        id: AccountId,
        contacts: Option<&[String]>,
        deactivate: bool,
    ) -> Result<Reply, Problem> {
        check_contacts(contacts.unwrap_or_default())?;
        if let Some(account) = self.accounts.by_id.get_mut(&id) {
            if let Some(contacts) = contacts {
                account.contacts = contacts.to_vec();
            }
            if deactivate {
                account.status = Status::Deactivated;
            }
        }
        Ok(self.accounts.view(id, false))
    }

    pub(super) fn list_orders(&self, id: AccountId, after: OrderId) -> Result<Reply, Problem> {
        if !self.config.lists_orders {
            return Err(Problem::not_found("list of orders"));
        }
        let mut page: Vec<OrderId> = self.orders.of(id, after).take(PAGE + 1).collect();
        let more = page.len() > PAGE;
        page.truncate(PAGE);
        Ok(Reply::Orders(page, more))
    }

    /// Lifts every pause of an account's identifiers, as its holder can do in the portal.
    pub fn unpause(&mut self, account: AccountId, identifier: &Identifier) {
        let key = per_account(account, identifier);
        self.limiter.reset(Limit::ConsecutiveFailures, &key);
        self.authorizations.paused.remove(&key);
    }

    /// Whether an identifier is paused for an account.
    pub fn is_paused(&self, account: AccountId, identifier: &Identifier) -> bool {
        self.authorizations.paused.contains(&per_account(account, identifier))
    }
}

/// What is counted per identifier of an account. A wildcard counts like the name it is below.
pub(super) fn per_account(account: AccountId, identifier: &Identifier) -> String {
    format!("{account}:{}", identifier.base())
}

fn check_contacts(contacts: &[String]) -> Result<(), Problem> {
    if contacts.len() > MAX_CONTACTS {
        return Err(Problem::malformed("too many contacts provided"));
    }
    for contact in contacts {
        let Some(address) = contact.strip_prefix("mailto:") else {
            let text = "only contact scheme 'mailto:' is supported";
            return Err(Problem::new(ErrorKind::UnsupportedContact, text));
        };
        let parts = address.split_once('@');
        if !parts.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.')) {
            let text = "unable to parse email address";
            return Err(Problem::new(ErrorKind::InvalidContact, text));
        }
    }
    Ok(())
}
