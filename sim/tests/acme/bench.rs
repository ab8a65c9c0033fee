//! A CA, an outside world and an account, called directly.

use std::net::IpAddr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use everleaf_sim::acme::*;
use everleaf_sim::dns::Data;

/// 2026-01-01T00:00:00Z, in milliseconds since 1970.
pub const NEW_YEAR: i64 = 1_767_225_600_000;
pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// What a key authorization ends with.
pub const THUMBPRINT: &str = "thumbprint-of-the-account-key";

pub struct Bench {
    pub ca: Ca,
    pub net: Internet,
    pub now: i64,
    pub account: AccountId,
    keys: u64,
}

impl Bench {
    pub fn new(config: Config) -> Self {
        let (ca, net) = (Ca::new(config, b"issuer"), Internet::new(1));
        let mut out = Bench { ca, net, now: NEW_YEAR, account: 0, keys: 0 };
        out.account = out.new_account("account-key");
        out
    }

    pub fn lenient() -> Self {
        Bench::new(Config::lenient(1))
    }

    /// Let's Encrypt, but for the durations.
    pub fn lets_encrypt() -> Self {
        let config = Config { validation: (0, 0), issuance: (0, 0), ..Config::lets_encrypt(1) };
        Bench::new(config)
    }

    pub fn new_account(&mut self, key: &str) -> AccountId {
        let new = NewAccount {
            key: key.into(),
            thumbprint: THUMBPRINT.into(),
            terms_agreed: true,
            ..NewAccount::default()
        };
        match self.ok(Call::NewAccount(new)) {
            Reply::Account(account) => account.id,
            other => panic!("an account was expected: {other:?}"),
        }
    }

    /// Sends a request, with what is due before and after it done.
    pub fn call(&mut self, call: Call) -> Answer {
        self.ca.settle(self.now, &mut self.net);
        let answer = self.ca.handle(self.now, "192.0.2.1", &call);
        self.ca.settle(self.now, &mut self.net);
        answer
    }

    #[track_caller]
    pub fn ok(&mut self, call: Call) -> Reply {
        let kind = call.kind();
        self.call(call).seen().unwrap_or_else(|why| panic!("{kind:?}: {why:?}"))
    }

    #[track_caller]
    pub fn refused(&mut self, call: Call) -> Problem {
        self.call(call).result.expect_err("it should have been refused")
    }

    pub fn pass(&mut self, ms: i64) {
        self.now += ms;
        self.ca.settle(self.now, &mut self.net);
    }

    pub fn order_call(&self, order: NewOrder) -> Call {
        Call::NewOrder { account: self.account, order }
    }

    #[track_caller]
    pub fn new_order(&mut self, order: NewOrder) -> OrderView {
        let call = self.order_call(order);
        as_order(self.ok(call))
    }

    #[track_caller]
    pub fn order(&mut self, names: &[&str]) -> OrderView {
        self.new_order(NewOrder::dns(names))
    }

    #[track_caller]
    pub fn order_refused(&mut self, order: NewOrder) -> Problem {
        let call = self.order_call(order);
        self.refused(call)
    }

    #[track_caller]
    pub fn look(&mut self, order: OrderId) -> OrderView {
        as_order(self.ok(Call::Order { account: self.account, order }))
    }

    #[track_caller]
    pub fn authorization(&mut self, authorization: AuthorizationId) -> AuthorizationView {
        let account = self.account;
        match self.ok(Call::Authorization { account, authorization, deactivate: false }) {
            Reply::Authorization(view) => view,
            other => panic!("an authorization was expected: {other:?}"),
        }
    }

    pub fn challenge_call(&self, authorization: AuthorizationId, kind: ChallengeKind) -> Call {
        Call::Challenge { account: self.account, authorization, kind, trigger: true }
    }

    #[track_caller]
    pub fn trigger(&mut self, authorization: AuthorizationId, kind: ChallengeKind) {
        let call = self.challenge_call(authorization, kind);
        self.ok(call);
    }

    /// Puts what a challenge asks for where it belongs.
    pub fn present(&mut self, authorization: &AuthorizationView, kind: ChallengeKind) {
        let host = authorization.identifier.base();
        let token = &authorization.challenges[0].token;
        let key_authorization = format!("{token}.{THUMBPRINT}");
        let hash = digest::digest(&digest::SHA256, key_authorization.as_bytes());
        match kind {
            ChallengeKind::Http01 => {
                if self.net.dns.zone_of(&host).is_some() {
                    let address = Data::A("192.0.2.80".parse().unwrap());
                    self.net.dns.add(self.now, &host, address).unwrap();
                }
                self.net.serve(&host, token, &key_authorization);
            }
            ChallengeKind::TlsAlpn01 => {
                self.net.site(&host).tls_alpn = Some(hash.as_ref().to_vec());
            }
            ChallengeKind::Dns01 => {
                let name = format!("_acme-challenge.{host}");
                let value = Data::Txt(URL_SAFE_NO_PAD.encode(hash));
                if self.net.dns.zone_of(&host).is_none() {
                    self.net.dns.add_zone(&host, &["ns1.test", "ns2.test"]);
                }
                self.net.dns.add(self.now, &name, value).unwrap();
            }
        }
    }

    /// Proves what is not proved yet: by DNS where it must be, else by HTTP.
    #[track_caller]
    pub fn prove(&mut self, order: &OrderView) {
        for id in order.authorizations.clone() {
            let view = self.authorization(id);
            if view.status != Status::Pending {
                continue;
            }
            let kind = match view.identifier.is_wildcard() {
                true => ChallengeKind::Dns01,
                false => ChallengeKind::Http01,
            };
            self.present(&view, kind);
            self.trigger(id, kind);
        }
        self.pass(MINUTE);
    }

    /// Fails an order's first challenge.
    #[track_caller]
    pub fn flunk(&mut self, order: &OrderView) {
        self.trigger(order.authorizations[0], ChallengeKind::Http01);
        self.pass(0);
    }

    pub fn csr(&mut self, order: &OrderView) -> Csr {
        self.keys += 1;
        let key = format!("certificate-key-{}", self.keys);
        Csr { identifiers: order.identifiers.clone(), key, ..Csr::default() }
    }

    pub fn finalize_call(&mut self, order: &OrderView) -> Call {
        let csr = self.csr(order);
        Call::Finalize { account: self.account, order: order.id, csr }
    }

    /// Proves, finalizes and downloads.
    #[track_caller]
    pub fn complete(&mut self, order: &OrderView) -> Leaf {
        self.prove(order);
        let call = self.finalize_call(order);
        self.ok(call);
        self.pass(MINUTE);
        self.download(order.id)
    }

    #[track_caller]
    pub fn download(&mut self, order: OrderId) -> Leaf {
        let serial = self.look(order).certificate.expect("the order is valid");
        match self.ok(Call::Certificate { account: self.account, serial, chain: 0 }) {
            Reply::Certificate(leaf, 0) => *leaf,
            other => panic!("a certificate was expected: {other:?}"),
        }
    }

    #[track_caller]
    pub fn issue(&mut self, names: &[&str]) -> Leaf {
        let order = self.order(names);
        self.complete(&order)
    }

    pub fn issue_ip(&mut self, address: IpAddr) -> Leaf {
        let order = self.new_order(NewOrder::ip(address));
        self.complete(&order)
    }
}

#[track_caller]
pub fn as_order(reply: Reply) -> OrderView {
    match reply {
        Reply::Order(order) => order,
        other => panic!("an order was expected: {other:?}"),
    }
}
