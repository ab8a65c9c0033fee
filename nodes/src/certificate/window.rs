//! What the CA suggests (RFC 9773): when it is asked, what of its answers counts, and what is told
//! of a certificate that is to be replaced.

use super::Case;
use super::renewal::lifetime;
use crate::acme::account::Served;
use crate::acme::ari::{Bounds, Pauses};
use crate::acme::notes;
use crate::effect::{Acme, AskWindow, Strings};
use crate::facts::{AriStatus, Leaf, RenewalNote, Signer};
use crate::plan::certificate::Step;
use everleaf_api::names;
use everleaf_engine::{Timestamp, digest_of};
use std::sync::Arc;

impl<'a> Case<'a> {
    /// Whether renewal times are to come from the issuer's CA, where it offers that.
    fn heeds_its_ca(&self) -> bool {
        let wants = |signer: &Signer| matches!(signer, Signer::Acme(acme) if acme.ari);
        self.program.options.renewal_info && self.issuer.is_some_and(|i| wants(&i.signer))
    }

    /// What the CA said of the stored leaf, as far as the status tells.
    fn heard(&self, leaf: &Leaf) -> Option<&'a AriStatus> {
        let said = &self.cert.status.ari;
        let ahead = |at: &Timestamp| self.is_ahead(*at);
        let of_this = said.checked.filter(|at| *at >= self.stored_at(leaf) && !ahead(at));
        of_this.filter(|_| self.heeds_its_ca() || self.is_untold()).map(|_| said)
    }

    /// Whether the issuer is not there to tell if its CA is heeded: what was heard stays as it is,
    /// and with it the renewal time, for the issuer may be back in a moment.
    fn is_untold(&self) -> bool {
        self.issuer.is_none() && self.program.options.renewal_info
    }

    /// Whether what the status says of the CA's suggestion is to stay there.
    pub(super) fn keeps_window(&self) -> bool {
        self.is_untold() || self.leaf().is_some_and(|leaf| self.heard(leaf).is_some())
    }

    /// When the CA wants the stored leaf to be renewed, where it said so.
    pub(super) fn suggested(&self, leaf: &Leaf) -> Option<Timestamp> {
        let said = self.heard(leaf)?;
        let id = leaf.ari_id.as_ref()?;
        Some(self.bounds(leaf).renew_at(said, &self.view.object.uid, id))
    }

    /// Where the CA explains its suggestion, if the renewal time comes from there.
    pub(super) fn explanation(&self) -> Option<&'a Arc<str>> {
        let said = self.heard(self.leaf()?)?;
        said.window.and(said.explanation.as_ref())
    }

    fn bounds(&self, leaf: &Leaf) -> Bounds {
        let settings = &self.program.settings.certificate;
        let life = lifetime(leaf);
        let pace = settings.ari_pace.min(life / settings.renewal_floor_share.max(1));
        let kept = settings.ari_kept_least.min(life / settings.valid_share.max(1));
        let kept = kept.max(life / settings.ari_kept_share.max(1));
        let pace = settings.renewal_floor.max(pace);
        let hurried = if self.follows_closely(pace) { pace } else { settings.ari_hurry };
        Bounds {
            begin: leaf.not_before,
            end: leaf.not_after,
            earliest: self.earliest(leaf, pace),
            hurried: self.earliest(leaf, hurried),
            latest: leaf.not_after.plus_millis(-kept),
            own: self.own_time(leaf),
        }
    }

    /// Whether the certificate before the stored one was replaced after less than twice the pace:
    /// then haste has led to haste already.
    fn follows_closely(&self, pace: i64) -> bool {
        let Some(request) = self.current_request() else { return false };
        let before = request.facts.renewal.as_ref().and_then(|renewal| renewal.stored);
        before.is_some_and(|stored| request.facts.created.since(stored) < pace.saturating_mul(2))
    }

    fn pauses(&self) -> Pauses {
        let settings = &self.program.settings.certificate;
        Pauses {
            unnamed: settings.ari_unnamed,
            failed: settings.ari_failed,
            least: settings.ari_least,
            most: settings.ari_most,
        }
    }

    /// The leaf and the CA that may be asked about it.
    fn ask_about(&self) -> Option<(&'a Leaf, &'a Arc<str>, Served<'a>)> {
        if !self.heeds_its_ca() || self.cert.renewal.disabled {
            return None;
        }
        let leaf = self.leaf().filter(|leaf| leaf.not_after > self.view.now)?;
        let id = leaf.ari_id.as_ref()?;
        let served = Served::find(self.view, self.served).filter(Served::is_ready)?;
        Some((leaf, id, served))
    }

    /// When the CA is to be asked: at once of a leaf that was stored in this epoch; in the next
    /// slot of one of which something is known, whatever slots passed while nobody led; and of
    /// all others after the start, each at a time of its own.
    pub(super) fn look_time(&self) -> Option<Timestamp> {
        let (leaf, id, _) = self.ask_about()?;
        let (uid, since) = (&self.view.object.uid, self.view.since);
        let stored = self.stored_at(leaf);
        // Of the leaf before this one, if it was done before this one was there.
        let done = self.view.done_at(Step::AskWindow as usize, "");
        let done = done.filter(|at| *at >= stored.plus_millis(1000));
        if let Some(said) = self.heard(leaf) {
            let from = said.checked.unwrap_or(stored).max(since).max(done.unwrap_or(since));
            return self.pauses().next_slot(said, from);
        }
        match done {
            Some(done) => Some(self.pauses().after_silence(done, uid, id)),
            None if stored.plus_millis(1000) > since => Some(stored),
            None => {
                let room = self.own_time(leaf).since(since).max(0);
                let spread = self.program.settings.certificate.ari_first_spread;
                let spread =
                    spread.min(room / self.program.settings.certificate.valid_share.max(1));
                let seed = i64::try_from(digest_of(&(uid, id)).0 % 1000).unwrap_or(0);
                Some(since.plus_millis(spread * seed / 1000))
            }
        }
    }

    pub(super) fn ask_window(&self) -> Option<Acme> {
        let (leaf, id, served) = self.ask_about()?;
        let bounds = self.cert.renewal.windows.is_empty().then(|| self.bounds(leaf));
        Some(Acme::AskWindow(Box::new(AskWindow {
            account: served.account(self.program),
            certificate: id.clone(),
            known: self.heard(leaf).cloned().unwrap_or_default(),
            stored: self.stored_at(leaf),
            pauses: self.pauses(),
            bounds,
        })))
    }

    /// What a request to an ACME issuer is told of the certificate that it is to replace, and of
    /// the account that it is made for; annotations of another life are taken out.
    pub(super) fn tell_of_renewal(&self, annotations: &mut Strings) {
        annotations.remove(names::everleaf::RENEWAL);
        annotations.remove(names::everleaf::ACME_ACCOUNT_URL);
        let Some(served) = Served::find(self.view, self.turn) else { return };
        if !served.uri().is_empty() {
            annotations.insert(names::everleaf::ACME_ACCOUNT_URL.into(), served.uri().clone());
        }
        if let Some(note) = self.renewal_note(&served) {
            let text = notes::renewal_text(&note, &self.view.object.uid);
            annotations.insert(names::everleaf::RENEWAL.into(), text.into());
        }
    }

    fn renewal_note(&self, served: &Served<'_>) -> Option<RenewalNote> {
        let leaf = self.leaf().filter(|leaf| leaf.not_after > self.view.now)?;
        let said = self.heard(leaf);
        let may = self.heeds_its_ca() && self.is_of_account(said, served) && self.shares_name(leaf);
        let replaces = leaf.ari_id.clone().filter(|_| may).unwrap_or_default();
        let window = said.and_then(|said| said.window).filter(|_| !replaces.is_empty());
        let (stored, expires) = (Some(self.stored_at(leaf)), Some(leaf.not_after));
        Some(RenewalNote { replaces, window, stored, expires })
    }

    /// Whether the stored leaf came from the account that is used now: the request that got it
    /// says so; or nothing does, but the Secret names the issuer and its CA knows the leaf.
    fn is_of_account(&self, said: Option<&AriStatus>, served: &Served<'_>) -> bool {
        if !self.is_from_this_issuer() {
            return false;
        }
        match self.current_request().and_then(|request| request.facts.acme_account.as_ref()) {
            Some(account) => account == served.uri(),
            None => said.is_some_and(|said| said.window.is_some() && said.error.is_none()),
        }
    }

    /// CAs let an order replace only a certificate that it has a name in common with.
    fn shares_name(&self, leaf: &Leaf) -> bool {
        let (wish, given) = (&self.cert.wish.names, &leaf.names);
        wish.dns.iter().any(|name| given.dns.contains(name))
            || wish.ips.iter().any(|ip| given.ips.contains(ip))
    }
}
