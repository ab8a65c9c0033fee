//! What goes wrong with CAs and the DNS, drawn from the seed, until everything is well again.

use super::super::World;
use super::super::config::{DAY, Faults as On, HOUR, MINUTE};
use crate::acme::{Config, Drawn, Fault, RetryStyle, Wrong};
use crate::dns::{Provider, ServerFault};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many servers serve the zones.
pub(super) const SERVERS: usize = 4;

/// The name of one of them.
pub(super) fn server(at: usize) -> String {
    format!("ns{at}.dns.test")
}

/// How often in a thousand requests each kind of fault strikes.
fn rates(on: On, rate: u64) -> BTreeMap<Fault, u64> {
    let limited = |seconds, style| Fault::TooManyRequests { seconds, style };
    let busy = |seconds, style| Fault::Unavailable { seconds, style };
    let seldom = (rate / 4).max(1);
    let kinds: [(bool, &[(Fault, u64)]); 9] = [
        (
            on.ca_limited,
            &[
                (limited(40, RetryStyle::Seconds), rate),
                (limited(1800, RetryStyle::Date), seldom),
                (limited(7200, RetryStyle::Seconds), 1),
            ],
        ),
        (
            on.ca_busy,
            &[
                (busy(60, RetryStyle::Date), rate),
                (busy(600, RetryStyle::Seconds), seldom),
                (busy(5, RetryStyle::Absent), seldom),
            ],
        ),
        (on.ca_internal, &[(Fault::Internal, rate), (Fault::InternalAfterCommit, rate)]),
        (
            on.ca_lost,
            &[
                (Fault::Lost { applied: true }, rate),
                (Fault::Lost { applied: false }, seldom),
                (Fault::Truncated, seldom),
            ],
        ),
        (on.bad_nonce, &[(Fault::BadNonce, rate * 5)]),
        (on.ca_slow, &[(Fault::Slow(9_000), rate), (Fault::Slow(60_000), seldom)]),
        (on.ca_reuse, &[(Fault::ReuseAuthorizations, 300), (Fault::ReuseOrder, 100)]),
        (on.order_ends, &[(Fault::OrderInvalid, seldom), (Fault::OrderValid, seldom)]),
        (
            on.wrong_certificate,
            &[
                (Fault::Wrong(Wrong::OtherKey), rate),
                (Fault::Wrong(Wrong::OtherNames), rate),
                (Fault::Wrong(Wrong::Expired), rate),
                (Fault::Wrong(Wrong::NotYetValid), rate),
                (Fault::Wrong(Wrong::Shorter), rate),
                (Fault::Wrong(Wrong::Backdated), rate),
            ],
        ),
    ];
    kinds.into_iter().filter(|(on, _)| *on).flat_map(|(_, faults)| faults.iter().copied()).collect()
}

impl World {
    fn faults_end(&self) -> i64 {
        super::super::START + self.config.faulty_ms
    }

    /// Puts the faults of the run into CAs and the DNS.
    pub(super) fn arm_outside(&mut self) {
        let on = self.config.faults;
        if !self.faulty || on == On::default() {
            return;
        }
        let (rate, end) = ((self.config.fault_per_mille / 2).clamp(3, 40), self.faults_end());
        let slow = if on.ca_slow { Some((MINUTE, 30 * MINUTE)) } else { None };
        for (at, ca) in (1..).zip(self.outside.cas.values_mut()) {
            ca.set_faults(Some(Box::new(Drawn::new(self.config.seed ^ at, rates(on, rate), end))));
            ca.reconfigure(|config| config.validation = slow.unwrap_or(config.validation));
        }
        if on.dns_provider {
            self.outside.provider = Provider::new(2, 20_000);
        }
    }

    /// No CA and no server is ill any more.
    pub(in super::super) fn heal_outside(&mut self) {
        let now = self.now;
        self.outside.settle(now);
        for ca in self.outside.cas.values_mut() {
            ca.set_faults(None);
            ca.reconfigure(|config| config.validation = Config::lets_encrypt(0).validation);
        }
        self.outside.net.dns.heal();
        self.outside.provider = unlimited();
    }

    /// A CA lets nobody through for a while.
    pub(in super::super) fn lose_acme_ca(&mut self) {
        let all: Vec<Arc<str>> = self.outside.cas.keys().cloned().collect();
        let Some(which) = self.faults.pick(&all).cloned() else { return };
        let longest = (self.config.faulty_ms / 4).clamp(HOUR, 7 * DAY);
        let until = self.now + self.faults.between(10 * MINUTE, longest);
        let (now, until) = (self.now, until.min(self.faults_end()));
        self.note(format_args!("{which} is out of order until {until}"));
        if let Some(ca) = self.outside.cas.get_mut(&which) {
            ca.outage(now, until);
        }
    }

    /// A CA wants everything that it issued to be renewed now, as after it issued something wrong.
    pub(in super::super) fn call_for_renewals(&mut self) {
        let all: Vec<Arc<str>> = self.outside.cas.keys().cloned().collect();
        let Some(which) = self.faults.pick(&all).cloned() else { return };
        let now = self.now;
        self.outside.settle(now);
        let ca = self.outside.cas.get_mut(&which);
        let page = "https://ca.test/incident";
        let called = ca.map_or(0, |ca| ca.renew_all_early(now, page));
        self.note(format_args!("{which} calls for {called} renewals"));
    }

    /// A server of the zones falls ill, or behind.
    pub(in super::super) fn strike_dns(&mut self) {
        let (on, now) = (self.config.faults, self.now);
        let at = usize::try_from(self.faults.below(SERVERS as u64)).unwrap_or(0);
        let until = now + self.faults.between(MINUTE, 6 * HOUR);
        let lag = self.faults.between(0, 15 * MINUTE);
        let kinds = [
            (on.dns_lag, None),
            (on.dns_lame, Some(ServerFault::Lame)),
            (on.dns_servfail, Some(ServerFault::ServFail)),
            (on.dns_servfail, Some(ServerFault::Silent)),
            (on.dns_shuffled, Some(ServerFault::Shuffled)),
        ];
        let on: Vec<_> = kinds.into_iter().filter(|k| k.0).map(|k| k.1).collect();
        let Some(struck) = self.faults.pick(&on).copied() else { return };
        self.outside.settle(now);
        self.note(format_args!("{} suffers {struck:?} (lag {lag})", server(at)));
        let dns = &mut self.outside.net.dns;
        match struck {
            Some(fault) => dns.strike(&server(at), fault, now, until),
            None => dns.set_lag(&server(at), lag),
        }
    }
}

/// A provider that nobody can ask too often.
pub(super) fn unlimited() -> Provider {
    Provider::new(1000, 1)
}
