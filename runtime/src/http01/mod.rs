//! HTTP-01 (RFC 8555, section 8.3) and TLS-ALPN-01 (RFC 8737) without pods: every replica answers
//! for every Challenge.
//!
//! The answers come from the Challenges that a watch shows: the driver's where this replica leads,
//! its own where it does not. Whoever presents a challenge adds it at once.

mod alpn;
mod handshake;
mod listen;
mod responder;
mod standby;
mod tokens;

pub use alpn::{PROTOCOL, serve_proofs};
pub use handshake::{Instead, look};
pub use responder::serve;
pub use standby::stand_by;
pub use tokens::{Answered, MOST_TOKENS, Tokens, path};

use std::net::{IpAddr, UdpSocket};

/// Addresses at which the cluster reaches this process: those of `POD_IPS` or `POD_IP`, else the
/// one from which the API server is reached. Loopback is nobody else's, and left out.
pub async fn own_addresses(named: Option<&str>, api_server: (&str, u16)) -> Vec<IpAddr> {
    let named = named.into_iter().flat_map(|list| list.split(','));
    let named: Vec<IpAddr> = named.filter_map(|ip| ip.trim().parse().ok()).collect();
    if !named.is_empty() {
        return named;
    }
    let mut found = Vec::new();
    if let Ok(servers) = tokio::net::lookup_host(api_server).await {
        // Nothing is sent: connecting a datagram socket only chooses the way.
        found.extend(servers.filter_map(|server| {
            let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).ok()?;
            socket.connect(server).ok()?;
            Some(socket.local_addr().ok()?.ip())
        }));
    }
    found.retain(|ip| !ip.is_loopback() && !ip.is_unspecified());
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::own_addresses;

    #[tokio::test]
    async fn a_pods_own_addresses_count_and_loopback_never_does() {
        let found = own_addresses(Some("10.1.2.3, 2001:db8::7"), ("127.0.0.1", 443)).await;
        assert_eq!(
            found,
            ["10.1.2.3", "2001:db8::7"].map(|ip| ip.parse::<std::net::IpAddr>().unwrap())
        );
        assert!(own_addresses(None, ("127.0.0.1", 443)).await.is_empty());
    }
}
