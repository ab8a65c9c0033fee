//! Orders.

use std::collections::BTreeMap;

use super::account::per_account;
use super::call::{
    AccountId, AuthorizationId, Call, Csr, NewOrder, OrderId, OrderView, Reply, Status,
};
use super::config::Profile;
use super::fault::{Fault, Wrong};
use super::identifier::{Identifier, Identifiers, redundant, set_key};
use super::issue::Serial;
use super::limiter::Limit;
use super::problem::{ErrorKind, Problem};
use super::{Ca, Work, internal};

/// What an order is exempt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exemption {
    /// Nothing.
    None,
    /// The limits on new orders and per domain: the same set has had a certificate lately.
    Renewal,
    /// Every limit: it replaces a certificate within its window.
    Ari,
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) account: AccountId,
    pub(super) identifiers: Identifiers,
    pub(super) profile: String,
    status: Status,
    expires: i64,
    pub(super) not_before: Option<i64>,
    pub(super) not_after: Option<i64>,
    pub(super) authorizations: Vec<AuthorizationId>,
    error: Option<Problem>,
    certificate: Option<Serial>,
    pub(super) csr: Option<Csr>,
    pub(super) replaces: Option<String>,
    pub(super) exemption: Exemption,
    pub(super) wrong: Option<Wrong>,
}

#[derive(Default)]
pub(super) struct Orders {
    by_id: BTreeMap<OrderId, Order>,
    /// The last order of an account for a set of identifiers under a profile.
    last: BTreeMap<(AccountId, String, String), OrderId>,
    made: u64,
}

impl Orders {
    pub(super) fn get(&self, id: OrderId) -> Option<&Order> {
        self.by_id.get(&id)
    }

    pub(super) fn of(
        &self,
        account: AccountId,
        after: OrderId,
    ) -> impl Iterator<Item = OrderId> + '_ {
        let later = self.by_id.range(after.saturating_add(1)..);
        later.filter(move |(_, order)| order.account == account).map(|(id, _)| *id)
    }

    pub(super) fn forget(&mut self, before: i64) {
        self.by_id.retain(|_, order| order.expires >= before);
        let by_id = &self.by_id;
        self.last.retain(|_, id| by_id.contains_key(id));
    }

    pub(super) fn fail(&mut self, id: OrderId, error: Option<Problem>) {
        if let Some(order) = self.by_id.get_mut(&id) {
            (order.status, order.error) = (Status::Invalid, error);
        }
    }

    pub(super) fn complete(&mut self, id: OrderId, certificate: Serial) {
        if let Some(order) = self.by_id.get_mut(&id) {
            (order.status, order.certificate) = (Status::Valid, Some(certificate));
        }
    }
}

impl Ca {
    /// Orders made so far.
    pub fn orders_made(&self) -> u64 {
        self.orders.made
    }

    /// The state of the order or authorization that a request is about, as it is at `now`.
    pub fn standing(&self, now: i64, call: &Call) -> Option<Status> {
        match call {
            Call::Order { order, .. } | Call::Finalize { order, .. } => {
                self.orders.get(*order).map(|order| self.order_status(now, order))
            }
            Call::Authorization { authorization, .. } | Call::Challenge { authorization, .. } => {
                self.authorizations.get(*authorization).map(|it| it.status(now))
            }
            _ => None,
        }
    }

    /// Orders that an account has made or been given again, and that are not over at `now`.
    pub fn open_orders(&self, now: i64, account: AccountId) -> Vec<OrderView> {
        let ids = self.orders.of(account, 0);
        let views = ids.filter_map(|id| self.order_view(now, id, false));
        let open = |view: &OrderView| !matches!(view.status, Status::Valid | Status::Invalid);
        views.filter(open).collect()
    }

    pub(super) fn order_status(&self, now: i64, order: &Order) -> Status {
        if !matches!(order.status, Status::Pending | Status::Ready) {
            return order.status;
        }
        let status = |id| self.authorizations.get(id).map_or(Status::Expired, |it| it.status(now));
        let all: Vec<Status> = order.authorizations.iter().map(|id| status(*id)).collect();
        match () {
            () if now >= order.expires => Status::Invalid,
            () if all.iter().all(|it| *it == Status::Valid) => Status::Ready,
            () if all.iter().all(|it| matches!(it, Status::Valid | Status::Pending)) => {
                Status::Pending
            }
            () => Status::Invalid,
        }
    }

    fn order_view(&self, now: i64, id: OrderId, created: bool) -> Option<OrderView> {
        let order = self.orders.get(id)?;
        Some(OrderView {
            id,
            status: self.order_status(now, order),
            expires: order.expires,
            identifiers: order.identifiers.clone(),
            profile: order.profile.clone(),
            not_before: order.not_before,
            not_after: order.not_after,
            replaces: order.replaces.clone(),
            authorizations: order.authorizations.clone(),
            error: order.error.clone(),
            certificate: order.certificate,
            created,
        })
    }

    fn order_reply(&self, now: i64, id: OrderId, created: bool) -> Result<Reply, Problem> {
        let view = self.order_view(now, id, created);
        view.map(Reply::Order).ok_or_else(|| Problem::not_found("order"))
    }

    fn owned_order(&self, account: AccountId, id: OrderId) -> Result<&Order, Problem> {
        let found = self.orders.get(id).filter(|order| order.account == account);
        found.ok_or_else(|| Problem::not_found("order"))
    }

    pub(super) fn new_order(
        &mut self,
        now: i64,
        account: AccountId,
        new: &NewOrder,
        fault: Fault,
    ) -> Result<Reply, Problem> {
        let (name, profile) = self.profile_of(new)?;
        self.check_shape(now, new, &profile)?;
        self.check_paused(account, &new.identifiers)?;
        let exemption = self.exemption(now, account, new)?;
        self.spend_on_order(now, account, &new.identifiers, exemption)?;
        let admitted = self.check_policy(&new.identifiers).and_then(|()| {
            self.room(self.orders.by_id.len())?;
            self.room(self.authorizations.len() + new.identifiers.len() - 1)
        });
        if let Err(problem) = admitted {
            if exemption == Exemption::None {
                self.limiter.refund(Limit::NewOrders, &account.to_string());
            }
            return Err(problem);
        }
        let key = (account, set_key(&new.identifiers), name.clone());
        if let Some(id) = self.reusable(now, &key, new, fault) {
            return self.order_reply(now, id, false);
        }
        let id = self.make_order(now, account, new, (&name, &profile), exemption, fault);
        self.orders.last.insert(key, id);
        self.order_reply(now, id, true)
    }

    fn make_order(
        &mut self,
        now: i64,
        account: AccountId,
        new: &NewOrder,
        (name, profile): (&str, &Profile),
        exemption: Exemption,
        fault: Fault,
    ) -> OrderId {
        let mut authorizations = Vec::new();
        for identifier in &new.identifiers {
            let id = self.authorize(now, account, identifier, (name, profile), fault);
            authorizations.push(id);
        }
        let ends = authorizations.iter().filter_map(|id| self.authorizations.get(*id));
        let ends = ends.map(|authorization| authorization.expires);
        let expires = ends.chain([now + profile.order_life]).min().unwrap_or(now);
        self.orders.made += 1;
        let id = self.orders.made;
        let order = Order {
            id,
            account,
            identifiers: new.identifiers.clone(),
            profile: name.to_owned(),
            status: Status::Pending,
            expires,
            not_before: new.not_before,
            not_after: new.not_after,
            authorizations,
            error: None,
            certificate: None,
            csr: None,
            replaces: new.replaces.clone(),
            exemption,
            wrong: None,
        };
        self.orders.by_id.insert(id, order);
        id
    }

    /// An old order that this request turns out to be: pending or ready, and for the same.
    fn reusable(
        &self,
        now: i64,
        key: &(AccountId, String, String),
        new: &NewOrder,
        fault: Fault,
    ) -> Option<OrderId> {
        if !self.config.reuses_orders && fault != Fault::ReuseOrder {
            return None;
        }
        let order = self.orders.get(*self.orders.last.get(key)?)?;
        let open = matches!(self.order_status(now, order), Status::Pending | Status::Ready);
        let same = (order.not_before, order.not_after) == (new.not_before, new.not_after)
            && order.replaces == new.replaces;
        (open && same).then_some(order.id)
    }

    fn profile_of(&self, new: &NewOrder) -> Result<(String, Profile), Problem> {
        let name = new.profile.as_ref().unwrap_or(&self.config.default_profile);
        let offered = new.profile.is_none() || self.config.offers_profiles;
        let profile = self.config.profiles.get(name).filter(|_| offered);
        let unknown = || {
            let text = format!("Profile {name:?} is not one of those in the directory");
            Problem::new(ErrorKind::InvalidProfile, text)
        };
        Ok((name.clone(), profile.ok_or_else(unknown)?.clone()))
    }

    fn check_shape(&self, now: i64, new: &NewOrder, profile: &Profile) -> Result<(), Problem> {
        if new.identifiers.is_empty() {
            return Err(Problem::malformed("NewOrder request did not specify any identifiers"));
        }
        if new.identifiers.len() > profile.max_identifiers {
            let most = profile.max_identifiers;
            return Err(Problem::malformed(format!(
                "Order cannot contain more than {most} identifiers"
            )));
        }
        let ip = new.identifiers.iter().any(|id| matches!(id, Identifier::Ip(_)));
        if ip && !profile.ip {
            let text = "This profile does not permit ip type identifiers";
            return Err(Problem::new(ErrorKind::UnsupportedIdentifier, text));
        }
        if let Some((name, wildcard)) = redundant(&new.identifiers) {
            return Err(Problem::malformed(format!(
                "Domain name {name:?} is redundant with a wildcard domain in the same request: \
                 {wildcard:?}"
            )));
        }
        self.check_validity(now, new)
    }

    fn check_validity(&self, now: i64, new: &NewOrder) -> Result<(), Problem> {
        if new.not_before.is_none() && new.not_after.is_none() {
            return Ok(());
        }
        let Some(most) = self.config.validity else {
            return Err(Problem::malformed("NotBefore and NotAfter are not supported"));
        };
        let start = new.not_before.unwrap_or(now);
        let end = new.not_after.unwrap_or(start + most);
        if start < end && end - start <= most && now < end {
            return Ok(());
        }
        Err(Problem::malformed("The validity asked for is empty, over, or longer than allowed"))
    }

    fn check_paused(&self, account: AccountId, identifiers: &Identifiers) -> Result<(), Problem> {
        let paused = identifiers.iter().find(|id| self.is_paused(account, id));
        let Some(paused) = paused else { return Ok(()) };
        let portal = format!("{}/sfe/v1/unpause?account={account}", self.config.base_url);
        let text = format!(
            "Your account is temporarily prevented from requesting certificates for {} and \
             possibly others. Please visit: {portal}",
            paused.base()
        );
        Err(Problem::new(ErrorKind::RateLimited, text))
    }

    /// What this CA does not issue for, all of it at once.
    fn check_policy(&self, identifiers: &Identifiers) -> Result<(), Problem> {
        let forbidden = |id: &Identifier| {
            let base = id.base();
            let under = |it: &String| base == *it || base.ends_with(&format!(".{it}"));
            let text = "The ACME server refuses to issue a certificate for this domain name, \
                        because it is forbidden by policy";
            self.config.forbidden.iter().any(under).then(|| text.to_owned())
        };
        let fault = |id: &Identifier| Some((id.clone(), id.fault().or_else(|| forbidden(id))?));
        let found: Vec<(Identifier, String)> = identifiers.iter().filter_map(fault).collect();
        let Some((first, why)) = found.first() else { return Ok(()) };
        let mut text = format!("Cannot issue for \"{first}\": {why}");
        let kind = ErrorKind::RejectedIdentifier;
        if found.len() == 1 {
            return Err(Problem::new(kind, text));
        }
        let more = found.len() - 1;
        text.push_str(&format!(" (and {more} more problems. Refer to sub-problems.)"));
        let mut problem = Problem::new(kind, text);
        problem.subproblems = found.into_iter().map(|(id, why)| (id, kind, why)).collect();
        Err(problem)
    }

    /// Takes what a new order costs, and refuses it where a limit is reached: of several, the one
    /// that lasts longest is named. What an issued certificate costs is looked at and not taken.
    fn spend_on_order(
        &mut self,
        now: i64,
        account: AccountId,
        identifiers: &Identifiers,
        exemption: Exemption,
    ) -> Result<(), Problem> {
        if exemption == Exemption::Ari {
            return Ok(());
        }
        let orders = (Limit::NewOrders, account.to_string(), String::new());
        let mut asked = vec![(Limit::PerSet, set_key(identifiers), String::new())];
        for id in identifiers {
            let key = per_account(account, id);
            asked.push((Limit::FailedAuthorizations, key, id.base()));
        }
        if exemption == Exemption::None {
            asked.push(orders.clone());
            let domains = identifiers.iter().map(Identifier::registered_domain);
            asked.extend(domains.map(|domain| (Limit::PerDomain, domain.clone(), domain)));
        }
        let refused = |(limit, key, shown): &(Limit, String, String)| {
            let at = self.limiter.check(now, *limit, key).err()?;
            Some((at, self.limiter.refusal(*limit, key, shown, at)))
        };
        if let Some((at, text)) = asked.iter().filter_map(refused).max_by_key(|(at, _)| *at) {
            return Err(Problem::new(ErrorKind::RateLimited, text).retry_at(at));
        }
        if exemption == Exemption::None {
            // Checked right above, so it is there.
            let _ = self.limiter.spend(now, orders.0, &orders.1);
        }
        Ok(())
    }

    pub(super) fn look_at_order(
        &mut self,
        now: i64,
        account: AccountId,
        id: OrderId,
        fault: Fault,
    ) -> Result<Reply, Problem> {
        let order = self.owned_order(account, id)?;
        let over = matches!(self.order_status(now, order), Status::Valid | Status::Invalid);
        if !over {
            self.disturb(now, id, fault);
        }
        self.order_reply(now, id, false)
    }

    /// Orders that change their state by themselves.
    fn disturb(&mut self, now: i64, id: OrderId, fault: Fault) {
        match fault {
            Fault::OrderInvalid => self.orders.fail(id, Some(internal())),
            Fault::OrderValid => self.issue(now, id),
            _ => {}
        }
    }

    pub(super) fn finalize(
        &mut self,
        now: i64,
        account: AccountId,
        id: OrderId,
        csr: &Csr,
        fault: Fault,
    ) -> Result<Reply, Problem> {
        let order = self.owned_order(account, id)?;
        let status = self.order_status(now, order);
        if status != Status::Ready {
            let text = format!(
                "Order's status ({:?}) is not acceptable for finalization",
                status.as_str()
            );
            return Err(Problem::new(ErrorKind::OrderNotReady, text));
        }
        self.check_csr(order, csr)?;
        if let Some(order) = self.orders.by_id.get_mut(&id) {
            order.status = Status::Processing;
            order.csr = Some(csr.clone());
            order.wrong = match fault {
                Fault::Wrong(wrong) => Some(wrong),
                _ => None,
            };
        }
        match fault {
            Fault::OrderInvalid | Fault::OrderValid => self.disturb(now, id, fault),
            _ => self.begin(now, self.config.issuance, Work::Issue(id)),
        }
        self.order_reply(now, id, false)
    }

    fn check_csr(&self, order: &Order, csr: &Csr) -> Result<(), Problem> {
        if self.accounts.get(order.account).is_some_and(|account| account.key == csr.key) {
            let text = "certificate public key must be different than account key";
            return Err(Problem::malformed(text));
        }
        let mut named = csr.identifiers.clone();
        named.extend(csr.common_name.as_deref().map(as_identifier));
        if named == order.identifiers {
            return Ok(());
        }
        Err(Problem::new(ErrorKind::BadCsr, "CSR does not specify same identifiers as Order"))
    }
}

fn as_identifier(common_name: &str) -> Identifier {
    common_name.parse().map_or_else(|_| Identifier::dns(common_name), Identifier::Ip)
}
