//! What providers share: a client, a clock, and what the pod's surroundings say.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

use crate::aws::Credentials;
use crate::{Error, Http, Secret};

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Other addresses of the providers' APIs than the usual ones, for tests and private gateways.
/// Each is a URL to which the API's own paths are appended.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// Akamai; the usual one is the solver's `serviceConsumerDomain`.
    pub akamai: Option<String>,
    /// Azure's login, `https://login.microsoftonline.com` in the public cloud.
    pub azure_login: Option<String>,
    /// Azure Resource Manager, `https://management.azure.com` in the public cloud.
    pub azure_manager: Option<String>,
    /// Azure's instance metadata, `http://169.254.169.254`.
    pub azure_metadata: Option<String>,
    /// AWS's instance metadata, `http://169.254.169.254`.
    pub aws_metadata: Option<String>,
    /// Cloudflare, `https://api.cloudflare.com/client/v4`.
    pub cloudflare: Option<String>,
    /// DigitalOcean, `https://api.digitalocean.com`.
    pub digital_ocean: Option<String>,
    /// Google Cloud DNS, `https://dns.googleapis.com/dns/v1`.
    pub google_dns: Option<String>,
    /// Google's metadata server, `http://metadata.google.internal`.
    pub google_metadata: Option<String>,
    /// Route 53, `https://route53.amazonaws.com` in the usual partition.
    pub route53: Option<String>,
    /// AWS STS, `https://sts.<region>.amazonaws.com` in the usual partition.
    pub sts: Option<String>,
}

/// What all providers are built with. Clones share the cache of tokens.
#[derive(Clone, Debug)]
pub struct Context {
    /// The HTTP client.
    pub http: Http,
    /// The clock that signatures and lifetimes of tokens go by.
    pub clock: Clock,
    /// Other addresses than the usual ones.
    pub endpoints: Endpoints,
    /// The process's environment variables: `AWS_*`, `AZURE_*`, `GOOGLE_*` and `GCE_*` are read.
    pub environment: Arc<BTreeMap<String, String>>,
    /// Whether the pod's own identity may be used where an issuer gives no credentials.
    pub ambient: bool,
    pub(crate) bearers: Cache<Secret>,
    pub(crate) aws: Cache<Credentials>,
}

impl Context {
    /// A context with the usual addresses.
    pub fn new(http: Http, clock: Clock) -> Self {
        Self {
            http,
            clock,
            endpoints: Endpoints::default(),
            environment: Arc::default(),
            ambient: false,
            bearers: Cache::default(),
            aws: Cache::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An environment variable that is not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Fails where only the pod's own identity is left, and an issuer may not use that.
    pub(crate) fn ambient(&self, who: &str) -> Result<(), Error> {
        if self.ambient {
            return Ok(());
        }
        Err(Error::credentials(format!(
            "{who}: the solver gives no credentials, and ambient ones are not allowed for this issuer"
        )))
    }
}

/// The longest token or key file that is read.
const LONGEST_FILE: u64 = 64 << 10;

/// Reads a file that the environment names, without the white space around.
pub(crate) async fn file(path: &str) -> Result<Secret, Error> {
    use tokio::io::AsyncReadExt;
    let unreadable = |_| Error::credentials(format!("{path} cannot be read"));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut text = String::new();
    file.take(LONGEST_FILE).read_to_string(&mut text).await.map_err(unreadable)?;
    Ok(Secret::new(text).trimmed())
}

/// More identities than one cluster's issuers have.
const MOST_CACHED: usize = 256;
/// A token this close to its end is not used any more.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// Tokens by the identity that got them, until shortly before they expire.
#[derive(Clone)]
pub(crate) struct Cache<T>(Arc<Mutex<BTreeMap<[u8; 32], (Timestamp, T)>>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache(…)")
    }
}

impl<T: Clone + PartialEq> Cache<T> {
    pub(crate) fn get(&self, identity: &[&str], now: Timestamp) -> Option<T> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (expires, token) = held.get(&key(identity))?;
        (now.duration_until(*expires) > MARGIN).then(|| token.clone())
    }

    /// Forgets a token that was refused before its time.
    pub(crate) fn forget(&self, refused: &T) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, (_, token)| token != refused);
    }

    pub(crate) fn put(&self, identity: &[&str], token: T, expires: Timestamp, now: Timestamp) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, (expires, _)| *expires > now);
        if held.len() >= MOST_CACHED {
            held.pop_first();
        }
        held.insert(key(identity), (expires, token));
    }
}

/// A digest, so that the cache's keys are no credentials.
fn key(identity: &[&str]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in identity {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(hash.finish().as_ref());
    key
}
