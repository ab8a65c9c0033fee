//! The self-check of HTTP-01: one request, as a CA would make it.

use super::super::Ports;
use super::fault::{Fault, Halt};
use crate::http01::path;
use everleaf_dns::resolver::{Options, Resolver};
use everleaf_dns::{Clock, Http};
use everleaf_nodes::facts::Class;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// For the whole of it, redirections and all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// More redirections than CAs follow.
const REDIRECTS: usize = 10;
/// The most that is read: an answer is some ninety bytes.
const LONGEST: usize = 16 << 10;
/// So many addresses are named.
const ADDRESSES: usize = 4;

/// Resolves names by other servers than the system's.
struct By(Resolver);

impl Resolve for By {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            let found: Vec<SocketAddr> =
                found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn seen_instead(detail: impl Into<String>) -> Halt {
    Fault::new(Class::Transient, detail).into()
}

impl Ports {
    /// Asks for the token's path at the name, and compares what comes.
    pub(super) async fn look_at_path(
        &self,
        host: &str,
        token: &str,
        key: &str,
    ) -> Result<(), Halt> {
        let client = self.checker().map_err(seen_instead)?;
        let authority = match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => host.to_owned(),
        };
        let url = format!("http://{authority}{}", path(token));
        // Tokens are public once they are presented, and of no use to readers.
        let told = format!("http://{authority}/.well-known/acme-challenge/…");
        let answer = match client.get(&url).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let addresses = self.addresses_told(host).await;
                return Err(seen_instead(format!("{told} {}; {addresses}", unsent(&error))));
            }
        };
        let whence = whence(&answer, &authority);
        let status = answer.status();
        if !status.is_success() {
            let detail = format!("{told} answered {}{whence}", status.as_u16());
            return Err(seen_instead(detail));
        }
        match body(answer).await {
            // White space at the end is allowed (RFC 8555, section 8.3).
            Some(body) if body.trim_ascii_end() == key.as_bytes() => Ok(()),
            Some(_) => Err(seen_instead(format!("{told} answered with another text{whence}"))),
            None => Err(seen_instead(format!("{told} broke off in its answer{whence}"))),
        }
    }

    /// Made once; nothing is kept between checks, for each has to look anew.
    fn checker(&self) -> Result<&reqwest::Client, String> {
        let servers = self.acme.options().http01_nameservers.clone();
        let made = self.acme.0.checker.get_or_init(|| {
            let mut builder = reqwest::Client::builder()
                .user_agent(concat!("everleaf-challenges/", env!("CARGO_PKG_VERSION")))
                .timeout(TIMEOUT)
                .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
                .pool_max_idle_per_host(0)
                // CAs follow redirections to hosts whose certificates nobody would trust.
                .tls_danger_accept_invalid_certs(true);
            if !servers.is_empty() {
                let http = Http::new().map_err(|error| error.to_string())?;
                let clock = Clock::new(jiff::Timestamp::now);
                let resolver = Resolver::new(servers, http, clock, Options::default());
                builder = builder.dns_resolver(Arc::new(By(resolver)));
            }
            builder.build().map_err(|error| error.without_url().to_string())
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// What the name resolves to, for a failure's text.
    async fn addresses_told(&self, host: &str) -> String {
        if host.parse::<IpAddr>().is_ok() {
            return "it is an address".to_owned();
        }
        match self.addresses(host).await {
            Err(error) => format!("DNS: {error}"),
            Ok(found) if found.is_empty() => "DNS has no address of the name".to_owned(),
            Ok(mut found) => {
                found.sort();
                found.dedup();
                let texts: Vec<String> =
                    found.iter().take(ADDRESSES).map(ToString::to_string).collect();
                format!("DNS says {}", texts.join(", "))
            }
        }
    }

    /// The addresses of a name, as HTTP-01 looks them up; none if DNS has none.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let servers = self.acme.options().http01_nameservers.clone();
        if servers.is_empty() {
            let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, 80))).await;
            return match found {
                Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
                Ok(Err(_)) => Ok(Vec::new()),
                Err(_) => Err("the resolver did not answer in time".to_owned()),
            };
        }
        let http = Http::new().map_err(|error| error.to_string())?;
        let clock = Clock::new(jiff::Timestamp::now);
        let resolver = Resolver::new(servers, http, clock, Options::default());
        resolver.addresses(host).await.map_err(|error| error.to_string())
    }
}

/// Who answered, and where redirections led to.
fn whence(answer: &reqwest::Response, authority: &str) -> String {
    let mut text = String::new();
    let url = answer.url();
    let asked = url.scheme() == "http" && url.host_str() == Some(authority);
    if !asked {
        let host = url.host_str().unwrap_or_default();
        text = format!(" after a redirection to {}://{host}", url.scheme());
    }
    match answer.remote_addr() {
        Some(address) => format!("{text} (from {})", address.ip()),
        None => text,
    }
}

/// By class, without ports and numbers that change.
fn unsent(error: &reqwest::Error) -> String {
    let causes = crate::kube_api::with_causes(error);
    let refused = causes.contains("refused");
    let at = error.url().map(|url| url.scheme().to_owned()).unwrap_or_default();
    match error {
        e if e.is_timeout() => "did not answer in time".to_owned(),
        e if e.is_redirect() => "redirects without end".to_owned(),
        e if e.is_connect() && refused => format!("refused the connection ({at})"),
        e if e.is_connect() => format!("cannot be reached ({at})"),
        _ => "did not answer properly".to_owned(),
    }
}

async fn body(mut answer: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        if body.len() + chunk.len() > LONGEST {
            return Some(Vec::new());
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
