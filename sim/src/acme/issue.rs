//! Certificates: issued, found again, revoked.

use std::collections::{BTreeMap, BTreeSet};

use super::account::per_account;
use super::call::{AccountId, Csr, OrderId, RenewalWindow, Reply, Status};
use super::fault::Wrong;
use super::identifier::{Identifier, Identifiers, set_key};
use super::limiter::Limit;
use super::order::{Exemption, Order};
use super::problem::{ErrorKind, Problem};
use super::validation::Validation;
use super::{Ca, internal};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// How long a set of identifiers that had a certificate counts as being renewed.
const RENEWAL_MEMORY: i64 = 120 * DAY;

/// A serial number: always 16 octets of a positive number.
pub type Serial = u128;

/// A certificate, as a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its serial number.
    pub serial: Serial,
    /// Whose it is.
    pub account: AccountId,
    /// The order it was issued for.
    pub order: OrderId,
    /// The subject's common name, if it has one.
    pub common_name: Option<String>,
    /// The subject alternative names.
    pub identifiers: Identifiers,
    /// Which key it is for, as in the request; empty if it is one that nobody asked for.
    pub key: String,
    /// The DER SubjectPublicKeyInfo, if the request had it.
    pub spki: Option<Vec<u8>>,
    /// First second of validity, since 1970.
    pub not_before: i64,
    /// Last second of validity, since 1970.
    pub not_after: i64,
    /// The profile it was issued under.
    pub profile: String,
    /// When it was issued, in milliseconds since 1970.
    pub issued: i64,
    /// When it was revoked, in milliseconds since 1970.
    pub revoked: Option<i64>,
    /// The order that has replaced it.
    pub replaced_by: Option<OrderId>,
    /// A renewal window set in place of the usual one.
    pub forced: Option<RenewalWindow>,
    /// What is wrong with it.
    pub wrong: Option<Wrong>,
}

impl Leaf {
    /// Its validity, in milliseconds.
    pub fn lifetime(&self) -> i64 {
        (self.not_after + 1 - self.not_before) * SECOND
    }

    /// The octets of the serial number.
    pub fn serial_octets(&self) -> [u8; 16] {
        self.serial.to_be_bytes()
    }
}

pub(super) struct Certificates {
    pub(super) key_id: Vec<u8>,
    by_serial: BTreeMap<Serial, Leaf>,
    /// By the last second of validity.
    by_end: BTreeSet<(i64, Serial)>,
    /// When each set of identifiers had its last certificate.
    sets: BTreeMap<String, i64>,
    issued: u64,
}

impl Certificates {
    pub(super) fn new(key_id: &[u8]) -> Self {
        Certificates {
            key_id: key_id.to_vec(),
            by_serial: BTreeMap::new(),
            by_end: BTreeSet::new(),
            sets: BTreeMap::new(),
            issued: 0,
        }
    }

    pub(super) fn get(&self, serial: Serial) -> Result<&Leaf, Problem> {
        self.by_serial.get(&serial).ok_or_else(|| Problem::not_found("certificate"))
    }

    pub(super) fn of(&self, account: AccountId, serial: Serial) -> Result<&Leaf, Problem> {
        let leaf = self.get(serial)?;
        let text = "Account in use did not issue specified certificate";
        let other = || Problem::new(ErrorKind::Unauthorized, text);
        Some(leaf).filter(|leaf| leaf.account == account).ok_or_else(other)
    }

    pub(super) fn get_mut(&mut self, serial: Serial) -> Option<&mut Leaf> {
        self.by_serial.get_mut(&serial)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Leaf> {
        self.by_serial.values_mut()
    }

    /// Whether exactly these identifiers have had a certificate lately.
    pub(super) fn is_known(&self, now: i64, identifiers: &Identifiers) -> bool {
        let last = self.sets.get(&set_key(identifiers));
        last.is_some_and(|at| now < at + RENEWAL_MEMORY)
    }

    fn keep(&mut self, leaf: Leaf) {
        self.by_end.insert((leaf.not_after, leaf.serial));
        self.by_serial.insert(leaf.serial, leaf);
    }

    /// Drops what has been over for a month.
    pub(super) fn forget(&mut self, now: i64) {
        let before = (now - 30 * DAY) / SECOND;
        while let Some((end, serial)) = self.by_end.first().copied().filter(|it| it.0 < before) {
            self.by_end.remove(&(end, serial));
            self.by_serial.remove(&serial);
        }
        self.sets.retain(|_, at| now < *at + RENEWAL_MEMORY);
    }
}

impl Ca {
    /// Certificates issued so far.
    pub fn issued(&self) -> u64 {
        self.certificates.issued
    }

    /// A certificate, until a month after its end.
    pub fn certificate(&self, serial: Serial) -> Option<&Leaf> {
        self.certificates.by_serial.get(&serial)
    }

    /// The certificates it remembers, by serial number.
    pub fn certificates(&self) -> impl Iterator<Item = &Leaf> {
        self.certificates.by_serial.values()
    }

    /// The end of a finalized order: issued, or refused for CAA records that appeared meanwhile.
    pub(super) fn finish(&mut self, at: i64, id: OrderId, world: &mut dyn Validation) {
        let Some(order) = self.orders.get(id) else { return };
        if self.order_status(at, order) != Status::Processing {
            return;
        }
        match self.recheck(at, order, world) {
            Ok(()) => self.issue(at, id),
            Err(problem) => self.orders.fail(id, Some(problem)),
        }
    }

    fn recheck(&self, at: i64, order: &Order, world: &mut dyn Validation) -> Result<(), Problem> {
        for id in &order.authorizations {
            let Some(authorization) = self.authorizations.get(*id) else { continue };
            let old = authorization.validated.is_none_or(|it| at - it >= self.config.caa_age);
            let Some(kind) = authorization.proof().filter(|_| old) else { continue };
            self.check_caa(at, 0, order.account, &authorization.identifier, kind, world)?;
        }
        Ok(())
    }

    /// Issues for an order, whatever its state, and takes the tokens that this costs.
    pub(super) fn issue(&mut self, at: i64, id: OrderId) {
        let Some(order) = self.orders.get(id).cloned() else { return };
        if self.room(self.certificates.by_serial.len()).is_err() {
            self.orders.fail(id, Some(internal()));
            return;
        }
        self.certificates.issued += 1;
        let top = u128::from(self.rng.draw() & 0x3fff_ffff_ffff_ffff | 0x4000_0000_0000_0000);
        let serial = top << 64 | u128::from(self.certificates.issued);
        let leaf = self.write(at, serial, &order);
        if leaf.wrong != Some(Wrong::OtherNames) {
            self.certificates.sets.insert(set_key(&order.identifiers), at);
        }
        self.certificates.keep(leaf);
        self.orders.complete(id, serial);
        self.count_issued(at, &order);
        if let Some(replaced) = order.replaces.as_deref().and_then(|it| self.serial_of(it).ok())
            && let Some(leaf) = self.certificates.get_mut(replaced)
        {
            leaf.replaced_by.get_or_insert(id);
        }
    }

    fn count_issued(&mut self, at: i64, order: &Order) {
        // What is issued is counted though it may be over the limit: other orders may have been
        // let through before it.
        if order.exemption == Exemption::None {
            let domains = order.identifiers.iter().map(Identifier::registered_domain);
            for domain in domains.collect::<BTreeSet<_>>() {
                let _ = self.limiter.spend(at, Limit::PerDomain, &domain);
            }
        }
        if order.exemption != Exemption::Ari || self.limiter.limits().ari_counts {
            let _ = self.limiter.spend(at, Limit::PerSet, &set_key(&order.identifiers));
        }
        for identifier in &order.identifiers {
            let key = per_account(order.account, identifier);
            self.limiter.reset(Limit::ConsecutiveFailures, &key);
        }
    }

    fn write(&self, at: i64, serial: Serial, order: &Order) -> Leaf {
        let wrong = match order.csr {
            Some(_) => order.wrong,
            None => Some(Wrong::OtherKey),
        };
        let csr = order
            .csr
            .clone()
            .unwrap_or_else(|| Csr { identifiers: order.identifiers.clone(), ..Csr::default() });
        let (start, lifetime) = self.validity(at, order, wrong);
        let other_key = wrong == Some(Wrong::OtherKey);
        let other_names = wrong == Some(Wrong::OtherNames);
        let identifiers = order.identifiers.clone();
        Leaf {
            serial,
            account: order.account,
            order: order.id,
            common_name: csr.common_name.filter(|_| !other_names),
            identifiers: if other_names { others(&identifiers) } else { identifiers },
            key: if other_key { String::new() } else { csr.key },
            spki: csr.spki.filter(|_| !other_key),
            not_before: start.div_euclid(SECOND),
            not_after: (start + lifetime).div_euclid(SECOND) - 1,
            profile: order.profile.clone(),
            issued: at,
            revoked: None,
            replaced_by: None,
            forced: None,
            wrong,
        }
    }

    /// Start and length, in milliseconds.
    fn validity(&self, at: i64, order: &Order, wrong: Option<Wrong>) -> (i64, i64) {
        let profile = self.config.profiles.get(&order.profile);
        let usual = profile.map_or(90 * DAY, |profile| profile.lifetime);
        let start = order.not_before.unwrap_or(at - self.config.backdate);
        let lifetime = order.not_after.map_or(usual, |end| end - start);
        match wrong {
            Some(Wrong::Expired) => (at - DAY - lifetime, lifetime),
            Some(Wrong::NotYetValid) => (at + DAY, lifetime),
            Some(Wrong::Shorter) => (start, (lifetime / 10).max(2 * SECOND)),
            Some(Wrong::Backdated) => (start - HOUR, lifetime),
            _ => (start, lifetime),
        }
    }

    pub(super) fn revoke(
        &mut self,
        now: i64,
        account: AccountId,
        serial: Serial,
    ) -> Result<Reply, Problem> {
        self.certificates.of(account, serial)?;
        let Some(leaf) = self.certificates.get_mut(serial) else { return Ok(Reply::Plain) };
        if leaf.revoked.is_some() {
            return Err(Problem::new(ErrorKind::AlreadyRevoked, "Certificate already revoked"));
        }
        leaf.revoked = Some(now);
        self.renew_early(now, serial, "https://acme.test/revoked");
        Ok(Reply::Plain)
    }
}

/// Names that were not asked for.
fn others(identifiers: &Identifiers) -> Identifiers {
    let first = identifiers.first().map(Identifier::registered_domain).unwrap_or_default();
    Identifiers::from([Identifier::Dns(format!("not-asked-for.{first}"))])
}
