//! Validation: what the outside world shows, from several places, and what the CA makes of it.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Ca;
use super::account::per_account;
use super::authorization::Authorization;
use super::call::{AuthorizationId, ChallengeKind, Status};
use super::limiter::Limit;
use super::problem::{ErrorKind, Problem};

/// What a web server answers, redirects followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A CAA record (RFC 8659 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaRecord {
    /// Whether a CA that does not know the tag must refuse.
    pub critical: bool,
    /// Its tag.
    pub tag: String,
    /// Its value.
    pub value: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// No connection, or none in time.
    #[error("{0}")]
    Connection(String),
    /// A connection, but no TLS as it should be.
    #[error("{0}")]
    Tls(String),
    /// The name could not be resolved.
    #[error("DNS problem: {0}")]
    Dns(String),
}

impl From<Unreachable> for Problem {
    fn from(why: Unreachable) -> Self {
        let kind = match why {
            Unreachable::Connection(_) => ErrorKind::Connection,
            Unreachable::Tls(_) => ErrorKind::Tls,
            Unreachable::Dns(_) => ErrorKind::Dns,
        };
        Problem::new(kind, why.to_string())
    }
}

/// The outside world, as the CA sees it at `now` (milliseconds since 1970) from a place: 0 is its
/// own, others are remote perspectives.
pub trait Validation {
    /// What `http://host/path` answers.
    fn http(
        &mut self,
        now: i64,
        from: usize,
        host: &str,
        path: &str,
    ) -> Result<HttpAnswer, Unreachable>;

    /// The `acmeIdentifier` octets of the certificate that a host shows for `acme-tls/1`.
    fn tls_alpn(&mut self, now: i64, from: usize, host: &str) -> Result<Vec<u8>, Unreachable>;

    /// The TXT records of a name; empty if there are none.
    fn txt(&mut self, now: i64, from: usize, name: &str) -> Result<Vec<String>, Unreachable>;

    /// The CAA records of exactly this name; empty if there are none.
    fn caa(&mut self, now: i64, from: usize, name: &str) -> Result<Vec<CaaRecord>, Unreachable>;
}

/// What is to be proved.
struct Task<'a> {
    authorization: &'a Authorization,
    kind: ChallengeKind,
    token: &'a str,
    /// RFC 8555 section 8.1.
    key_authorization: String,
}

impl Task<'_> {
    fn digest(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, self.key_authorization.as_bytes()).as_ref().to_vec()
    }

    fn look(&self, at: i64, from: usize, world: &mut dyn Validation) -> Result<(), Problem> {
        let host = self.authorization.identifier.base();
        match self.kind {
            ChallengeKind::Http01 => {
                let path = format!("/.well-known/acme-challenge/{}", self.token);
                let seen = world.http(at, from, &host, &path)?;
                self.compare_file(&host, &path, &seen)
            }
            ChallengeKind::Dns01 => {
                let name = format!("_acme-challenge.{host}");
                let expected = URL_SAFE_NO_PAD.encode(self.digest());
                compare_texts(&name, &expected, &world.txt(at, from, &name)?)
            }
            ChallengeKind::TlsAlpn01 => {
                if world.tls_alpn(at, from, &host)? == self.digest() {
                    return Ok(());
                }
                let text = "Incorrect validation certificate for tls-alpn-01 challenge";
                Err(Problem::new(ErrorKind::Unauthorized, text))
            }
        }
    }

    fn compare_file(&self, host: &str, path: &str, seen: &HttpAnswer) -> Result<(), Problem> {
        let refused = |what: String| {
            let text = format!("Invalid response from http://{host}{path}: {what}");
            Err(Problem::new(ErrorKind::Unauthorized, text))
        };
        match seen.status {
            200 if seen.body.trim_end() == self.key_authorization => Ok(()),
            200 => refused("the key authorization file does not match this challenge".into()),
            status => refused(status.to_string()),
        }
    }
}

fn compare_texts(name: &str, expected: &str, seen: &[String]) -> Result<(), Problem> {
    let text = match seen {
        texts if texts.iter().any(|text| text == expected) => return Ok(()),
        [] => format!("No TXT record found at {name}"),
        [one] => format!("Incorrect TXT record {one:?} found at {name}"),
        [one, rest @ ..] => {
            format!("Incorrect TXT record {one:?} (and {} more) found at {name}", rest.len())
        }
    };
    Err(Problem::new(ErrorKind::Unauthorized, text))
}

impl Ca {
    /// Validates a challenge, and counts how it ended.
    pub(super) fn validate(
        &mut self,
        at: i64,
        id: AuthorizationId,
        kind: ChallengeKind,
        world: &mut dyn Validation,
    ) {
        let Some(authorization) = self.authorizations.get(id) else { return };
        if authorization.status(at) != Status::Pending {
            return;
        }
        let outcome = self.prove(at, authorization, kind, world);
        let (account, identifier) = (authorization.account, authorization.identifier.clone());
        let key = per_account(account, &identifier);
        match &outcome {
            Ok(()) => self.limiter.reset(Limit::ConsecutiveFailures, &key),
            Err(_) => {
                // With no token left, no order gets here again before there is one.
                let _ = self.limiter.spend(at, Limit::FailedAuthorizations, &key);
                let limit = Limit::ConsecutiveFailures;
                let _ = self.limiter.spend(at, limit, &key);
                if self.limiter.remaining(at, limit, &key) == Some(0) {
                    self.authorizations.paused.insert(key);
                }
            }
        }
        self.authorizations.conclude(at, id, kind, outcome);
    }

    /// The own place must see it, and of the others all but a few.
    fn prove(
        &self,
        at: i64,
        authorization: &Authorization,
        kind: ChallengeKind,
        world: &mut dyn Validation,
    ) -> Result<(), Problem> {
        let account = self.accounts.get(authorization.account);
        let challenge = authorization.challenges.iter().find(|challenge| challenge.kind == kind);
        let (Some(account), Some(challenge)) = (account, challenge) else {
            return Err(Problem::not_found("challenge"));
        };
        let key_authorization = format!("{}.{}", challenge.token, account.thumbprint);
        let task = Task { authorization, kind, token: &challenge.token, key_authorization };
        let mut dissenters = 0;
        for from in 0..self.config.perspectives.max(1) {
            let seen = task.look(at, from, world).and_then(|()| {
                let (account, identifier) = (authorization.account, &authorization.identifier);
                self.check_caa(at, from, account, identifier, kind, world)
            });
            let Err(problem) = seen else { continue };
            dissenters += usize::from(from > 0);
            if from == 0 {
                return Err(problem);
            }
            if dissenters > self.config.dissenters {
                let detail = format!("During secondary validation: {}", problem.detail);
                return Err(Problem { detail, ..problem });
            }
        }
        Ok(())
    }
}
