//! ACME Renewal Information (RFC 9773).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Ca;
use super::call::{AccountId, NewOrder, RenewalWindow, Reply};
use super::issue::{Leaf, Serial};
use super::order::Exemption;
use super::problem::{ErrorKind, Problem};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

impl Ca {
    /// The ARI identifier of a certificate: key identifier of its issuer, and serial number (RFC
    /// 9773 section 4.1).
    pub fn ari_id(&self, serial: Serial) -> String {
        let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        format!("{}.{}", encode(&self.certificates.key_id), encode(&serial.to_be_bytes()))
    }

    pub(super) fn serial_of(&self, ari_id: &str) -> Result<Serial, Problem> {
        let malformed = || Problem::malformed("path contained an invalid certificate identifier");
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let (key_id, serial) = ari_id.split_once('.').ok_or_else(malformed)?;
        let serial: [u8; 16] = decode(serial)?.try_into().map_err(|_| malformed())?;
        if decode(key_id)? != self.certificates.key_id {
            return Err(Problem::not_found("issuer"));
        }
        Ok(Serial::from_be_bytes(serial))
    }

    /// When a certificate should be renewed: around two thirds of its life, half if it lives
    /// shorter than ten days, in a window of a fiftieth of it; or as [`Ca::renew_early`] says.
    pub fn window(&self, leaf: &Leaf) -> RenewalWindow {
        if let Some(forced) = &leaf.forced {
            return forced.clone();
        }
        let life = leaf.lifetime();
        let middle = if life < 10 * DAY { life / 2 } else { life / 3 * 2 };
        let middle = leaf.not_before * 1000 + middle;
        RenewalWindow { start: middle - life / 100, end: middle + life / 100, explanation: None }
    }

    /// An incident: from now on this certificate should have been renewed an hour ago.
    pub fn renew_early(&mut self, now: i64, serial: Serial, explanation: &str) {
        if let Some(leaf) = self.certificates.get_mut(serial) {
            leaf.forced = Some(early(now, explanation));
        }
    }

    /// The same for every certificate that is not over; says how many.
    pub fn renew_all_early(&mut self, now: i64, explanation: &str) -> usize {
        let mut count = 0;
        let current = self.certificates.values_mut();
        for leaf in current.filter(|leaf| now < (leaf.not_after + 1) * 1000) {
            leaf.forced = Some(early(now, explanation));
            count += 1;
        }
        count
    }

    pub(super) fn renewal_info(&self, _now: i64, ari_id: &str) -> Result<Reply, Problem> {
        if !self.config.ari {
            return Err(Problem::not_found("resource"));
        }
        let leaf = self.certificates.get(self.serial_of(ari_id)?)?;
        Ok(Reply::RenewalInfo(self.window(leaf)))
    }

    pub(super) fn ari_poll(&mut self) -> i64 {
        let (poll, fifth) = (self.config.ari_poll, self.config.ari_poll / 5);
        (poll + self.rng.between(-fifth, fifth)).max(1000)
    }

    /// What a new order is exempt from. A certificate that it claims to replace must be the same
    /// account's, share an identifier, and not have been replaced already (RFC 9773 section 5).
    pub(super) fn exemption(
        &self,
        now: i64,
        account: AccountId,
        new: &NewOrder,
    ) -> Result<Exemption, Problem> {
        let usual = match self.certificates.is_known(now, &new.identifiers) {
            true => Exemption::Renewal,
            false => Exemption::None,
        };
        let Some(replaces) = new.replaces.as_deref().filter(|_| self.config.ari) else {
            return Ok(usual);
        };
        let leaf = self.certificates.of(account, self.serial_of(replaces)?)?;
        if leaf.identifiers.is_disjoint(&new.identifiers) {
            let text = "Certificate replaced by this order does not have matching identifiers";
            return Err(Problem::malformed(text));
        }
        if let Some(order) = leaf.replaced_by {
            let text = format!(
                "cannot indicate an order replaces certificate {replaces}, which \
                already has a replacement order, {order}"
            );
            return Err(Problem::new(ErrorKind::AlreadyReplaced, text));
        }
        let window = self.window(leaf);
        Ok(if (window.start..window.end).contains(&now) { Exemption::Ari } else { usual })
    }
}

fn early(now: i64, explanation: &str) -> RenewalWindow {
    RenewalWindow {
        start: now - 60 * MINUTE,
        end: now - 30 * MINUTE,
        explanation: Some(explanation.to_owned()),
    }
}
