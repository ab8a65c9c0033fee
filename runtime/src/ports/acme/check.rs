//! The self-checks of HTTP-01 and TLS-ALPN-01: one request, as a CA would make it, and in words
//! what was seen instead of the answer.

use super::super::Ports;
use crate::http01::{self, path};
use everleaf_dns::resolver::{Nameserver, Options, Resolver};
use everleaf_dns::{Clock, Http};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// For the whole of it, redirections and all.
const TIMEOUT: Duration = Duration::from_secs(10);
const LATE: &str = "did not answer in time";
/// More redirections than CAs follow.
const REDIRECTS: usize = 10;
/// The most that is read: an answer is some ninety bytes.
const LONGEST: usize = 16 << 10;
/// So many requests are made in a row at most.
const MOST_LOOKS: usize = 5;
/// So many addresses are named.
const ADDRESSES: usize = 4;
/// So many characters of a header or of a body's start are told.
const TOLD: usize = 60;

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

/// Resolves every name to one place, its port included.
struct To(SocketAddr);

impl Resolve for To {
    fn resolve(&self, _: Name) -> Resolving {
        let found: Addrs = Box::new(std::iter::once(self.0));
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// What was seen instead of the answer.
pub(super) struct Missed {
    /// In words.
    pub detail: String,
    /// Whether the name has an address at all: without one, no other route helps.
    pub has_address: bool,
}

impl From<String> for Missed {
    fn from(detail: String) -> Self {
        Self { detail, has_address: true }
    }
}

/// A host as it stands in a URL.
fn authority(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    }
}

impl Ports {
    /// Looks so often that a proxy that takes turns leads to each replica once, within reason: a
    /// CA that meets one that is gone does not ask again.
    pub(super) async fn look_at_paths(
        &self,
        host: &str,
        token: &str,
        key: &str,
    ) -> Result<(), Missed> {
        for _ in 0..self.replicas().await.len().clamp(1, MOST_LOOKS) {
            self.look_at_path(host, token, key).await?;
        }
        Ok(())
    }

    /// Asks for the token's path at the name, and compares what comes.
    async fn look_at_path(&self, host: &str, token: &str, key: &str) -> Result<(), Missed> {
        let client = self.checker()?;
        let authority = authority(host);
        let url = format!("http://{authority}{}", path(token));
        // Tokens are public once they are presented, and of no use to readers.
        let told = format!("http://{authority}/.well-known/acme-challenge/…");
        let answer = match tokio::time::timeout(TIMEOUT, follow(client, &url, &authority)).await {
            Ok(Ok(answer)) => answer,
            late_or_none => {
                let why =
                    late_or_none.map_or(LATE.to_owned(), |none| none.err().unwrap_or_default());
                let found = self.addresses(host).await;
                let has_address = !matches!(&found, Ok(found) if found.is_empty());
                let detail = format!("{told} {why}; {}", in_words(host, &found));
                return Err(Missed { detail, has_address });
            }
        };
        let (whence, status) = (whence(&answer, &authority), answer.status());
        let asked = answer.url().as_str() == url;
        let body = body(answer).await;
        // White space at the end is allowed (RFC 8555, section 8.3).
        let right = |body: &Vec<u8>| body.trim_ascii_end() == key.as_bytes();
        if status.is_success() && body.as_ref().is_some_and(right) {
            return Ok(());
        }
        // Of where redirections led to nothing is told: it may be nobody's business.
        let start = body.as_deref().filter(|_| asked).map(|body| start(body, token));
        let start = start.filter(|start| !start.is_empty());
        let start = start.map(|start| format!(", which begins {start:?}")).unwrap_or_default();
        Err(match (status.is_success(), body.is_some()) {
            (true, true) => format!("{told} answered with another text{whence}{start}"),
            (true, false) => format!("{told} broke off in its answer{whence}"),
            (false, _) => format!("{told} answered {}{whence}{start}", status.as_u16()),
        }
        .into())
    }

    /// Shakes hands with the name as a CA does for TLS-ALPN-01.
    pub(super) async fn look_at_handshake(&self, host: &str, key: &str) -> Result<(), Missed> {
        let told = format!("{}:443", authority(host));
        let found = self.addresses(host).await;
        let has_address = !matches!(&found, Ok(found) if found.is_empty());
        let mut seen = String::new();
        // IPv6 first, and the next only where nobody answers, as CAs do; the list is sorted.
        for address in found.iter().flatten().rev().take(ADDRESSES) {
            match http01::look((*address, 443).into(), host, key).await {
                Ok(()) => return Ok(()),
                Err(instead) => {
                    let goes_on = instead.is_silence();
                    seen = format!(" {instead}");
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Err(Missed { detail: format!("{told}{seen}; {}", in_words(host, &found)), has_address })
    }

    /// Made once; nothing is kept between checks, for each has to look anew.
    fn checker(&self) -> Result<&reqwest::Client, String> {
        let servers = self.acme.options().http01_nameservers.clone();
        let made = self.acme.0.checker.get_or_init(|| {
            let mut builder = reqwest::Client::builder()
                .user_agent(concat!("everleaf-challenges/", env!("CARGO_PKG_VERSION")))
                .timeout(TIMEOUT)
                // They are followed here, so that it can be told where they lead.
                .redirect(reqwest::redirect::Policy::none())
                .pool_max_idle_per_host(0)
                // CAs follow redirections to hosts whose certificates nobody would trust.
                .tls_danger_accept_invalid_certs(true);
            if let Some(edge) = self.acme.options().edge {
                builder = builder.dns_resolver(Arc::new(To(edge)));
            } else if !servers.is_empty() {
                builder = builder.dns_resolver(Arc::new(By(asking(servers)?)));
            }
            builder.build().map_err(|error| error.without_url().to_string())
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// What the name resolves to; an address is its own.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if let Some(edge) = self.acme.options().edge {
            return Ok(vec![edge.ip()]);
        }
        let servers = self.acme.options().http01_nameservers.clone();
        let mut found: Vec<IpAddr> = if servers.is_empty() {
            let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, 80))).await;
            match found {
                Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
                Ok(Err(_)) => Vec::new(),
                Err(_) => return Err("the resolver did not answer in time".to_owned()),
            }
        } else {
            let found = asking(servers)?.addresses(host).await;
            found.map_err(|error| error.to_string())?
        };
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// A resolver that asks these servers.
fn asking(servers: Vec<Nameserver>) -> Result<Resolver, String> {
    let http = Http::new().map_err(|error| error.to_string())?;
    Ok(Resolver::new(servers, http, Clock::new(jiff::Timestamp::now), Options::default()))
}

/// What the name resolves to, for a failure's text.
fn in_words(host: &str, found: &Result<Vec<IpAddr>, String>) -> String {
    match found {
        _ if host.parse::<IpAddr>().is_ok() => "it is an address".to_owned(),
        Err(error) => format!("DNS: {error}"),
        Ok(found) if found.is_empty() => "DNS has no address of the name".to_owned(),
        Ok(found) => {
            let texts: Vec<String> =
                found.iter().take(ADDRESSES).map(ToString::to_string).collect();
            format!("DNS says {}", texts.join(", "))
        }
    }
}

/// Whether this is the URL that was asked for, and no redirection led to it.
fn is_asked(url: &reqwest::Url, authority: &str) -> bool {
    url.scheme() == "http" && url.host_str() == Some(authority)
}

/// A text of somebody else's: its start, in one line of printable characters.
fn printable(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let words: Vec<&str> = plain.split_whitespace().take(TOLD).collect();
    words.join(" ").chars().take(TOLD).collect()
}

/// The start of a body, without the token, which some pages repeat.
fn start(body: &[u8], token: &str) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(TOLD * 8)]);
    printable(&text.replace(token, "…"))
}

/// Who answered, and where redirections led to.
fn whence(answer: &reqwest::Response, authority: &str) -> String {
    let url = answer.url();
    let mut text = String::new();
    if !is_asked(url, authority) {
        let host = url.host_str().unwrap_or_default();
        text = format!(" after a redirection to {}://{host}", url.scheme());
    }
    let address = answer.remote_addr().map(|address| format!("from {}", address.ip()));
    let server = answer.headers().get(reqwest::header::SERVER);
    let server = server.map(|server| printable(&String::from_utf8_lossy(server.as_bytes())));
    let server = server.filter(|server| !server.is_empty());
    let who: Vec<String> =
        address.into_iter().chain(server.map(|server| format!("Server: {server}"))).collect();
    if who.is_empty() { text } else { format!("{text} ({})", who.join(", ")) }
}

/// Asks, and goes where redirections lead; what was seen instead of an answer, in words.
async fn follow(
    client: &reqwest::Client,
    url: &str,
    authority: &str,
) -> Result<reqwest::Response, String> {
    let mut url = url.parse::<reqwest::Url>().map_err(|_| "is no URL".to_owned())?;
    for _ in 0..=REDIRECTS {
        let answer = client.get(url.clone()).send().await;
        let answer = answer.map_err(|error| unsent(&error, &url, authority))?;
        let place = answer.headers().get(reqwest::header::LOCATION);
        let place = place.filter(|_| answer.status().is_redirection());
        let next = place.and_then(|place| url.join(place.to_str().ok()?).ok());
        let Some(next) = next else { return Ok(answer) };
        url = next;
    }
    Err("redirects without end".to_owned())
}

/// By class, without ports and numbers that change; and whether a redirection led there.
fn unsent(error: &reqwest::Error, url: &reqwest::Url, authority: &str) -> String {
    let refused = crate::kube_api::with_causes(error).contains("refused");
    let what = match error {
        e if e.is_timeout() => LATE,
        e if e.is_connect() && refused => "refused the connection",
        e if e.is_connect() => "cannot be reached",
        _ => "did not answer properly",
    };
    if is_asked(url, authority) {
        return what.to_owned();
    }
    let host = url.host_str().unwrap_or_default();
    format!("redirects to {}://{host}, which {what}", url.scheme())
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

#[cfg(test)]
mod tests;
