//! TLS-ALPN-01 (RFC 8737; for addresses, RFC 8738): a handshake that proves a name.
//!
//! Nothing is served behind it: a CA looks at the certificate, and both close.

use super::Tokens;
use super::listen::listen;
use super::tokens::Answered;
use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The protocol that CAs ask for (RFC 8737, section 6.2).
pub const PROTOCOL: &[u8] = b"acme-tls/1";
/// The identifier of the extension that holds the proof, id-pe-acmeIdentifier, in DER.
const ACME_IDENTIFIER: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f";
/// The time for a handshake and its end.
const MAX_AGE: Duration = Duration::from_secs(15);

/// The certificate of a Challenge, made when the first CA asks. Every replica makes its own: what
/// is compared is what it says, not its key.
#[derive(Clone, Default)]
pub struct Proof(Arc<OnceLock<Option<Arc<CertifiedKey>>>>);

impl Proof {
    fn certificate(&self, answered: &Answered) -> Option<Arc<CertifiedKey>> {
        let made = self.0.get_or_init(|| match certificate(answered) {
            Ok(made) => Some(Arc::new(made)),
            Err(error) => {
                tracing::warn!(host = &*answered.host, %error, "no TLS-ALPN-01 certificate");
                None
            }
        });
        made.clone()
    }
}

#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Key(#[from] rustls::Error),
}

/// Names or addresses exactly the one that is proved, and carries the digest of the key
/// authorization in a critical extension (RFC 8737, section 3).
fn certificate(answered: &Answered) -> Result<CertifiedKey, Unmade> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![answered.host.to_string()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ACME challenge");
    let digest = digest(&SHA256, answered.key.as_bytes());
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let made = params.self_signed(&key)?;
    let key = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    Ok(CertifiedKey::new(vec![made.der().clone()], key))
}

/// Whether a certificate carries the proof for a key authorization.
pub fn proves(certificate: &[u8], key: &str) -> bool {
    let digest = digest(&SHA256, key.as_bytes());
    // critical TRUE, then an OCTET STRING of the OCTET STRING of 32 bytes.
    let mut extension = ACME_IDENTIFIER.to_vec();
    extension.extend_from_slice(b"\x01\x01\xff\x04\x22\x04\x20");
    extension.extend_from_slice(digest.as_ref());
    certificate.windows(extension.len()).any(|part| part == extension)
}

/// The name under which a handshake asks for a name or an address (RFC 8738, section 6).
pub fn asked_as(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Err(_) => host.to_owned(),
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let nibbles =
                address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

/// What a handshake asks for: the reverse of [`asked_as`].
fn asked_for(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let address = lower.strip_suffix(".in-addr.arpa").and_then(v4);
    let address = address.or_else(|| lower.strip_suffix(".ip6.arpa").and_then(v6));
    address.map_or(lower, |address| address.to_string())
}

fn v4(labels: &str) -> Option<IpAddr> {
    let labels: Vec<u8> =
        labels.split('.').map(|label| label.parse().ok()).collect::<Option<_>>()?;
    let [d, c, b, a] = labels.try_into().ok()?;
    Some(Ipv4Addr::new(a, b, c, d).into())
}

fn v6(labels: &str) -> Option<IpAddr> {
    let nibble = |label: &str| {
        let one = label.len() == 1;
        one.then(|| u8::from_str_radix(label, 16).ok()).flatten()
    };
    let nibbles: Vec<u8> = labels.rsplit('.').map(nibble).collect::<Option<_>>()?;
    let nibbles: [u8; 32] = nibbles.try_into().ok()?;
    let mut octets = [0; 16];
    for (octet, pair) in octets.iter_mut().zip(nibbles.chunks(2)) {
        *octet = pair.iter().fold(0, |octet, nibble| octet << 4 | nibble);
    }
    Some(Ipv6Addr::from(octets).into())
}

/// Certificates for handshakes of CAs, and for no others.
struct Proofs(Tokens);

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proofs")
    }
}

impl ResolvesServerCert for Proofs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if !hello.alpn()?.any(|protocol| protocol == PROTOCOL) {
            return None;
        }
        let (answered, proof) = self.0.proof(&asked_for(hello.server_name()?))?;
        proof.certificate(&answered)
    }
}

/// Proves names until `stop`; connections that are open then are dropped.
pub async fn serve_proofs(listener: TcpListener, tokens: Tokens, stop: impl Future<Output = ()>) {
    let acceptor = match acceptor(tokens) {
        Ok(acceptor) => acceptor,
        Err(error) => return tracing::error!(%error, "TLS-ALPN-01 challenges cannot be answered"),
    };
    listen(listener, stop, MAX_AGE, |stream| shake_hands(acceptor.clone(), stream)).await;
}

fn acceptor(tokens: Tokens) -> Result<TlsAcceptor, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = config.with_cert_resolver(Arc::new(Proofs(tokens)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn shake_hands(acceptor: TlsAcceptor, stream: TcpStream) {
    match acceptor.accept(stream).await {
        // The proof was in the handshake.
        Ok(mut stream) => drop(stream.shutdown().await),
        Err(error) => tracing::debug!(%error, "a TLS-ALPN-01 handshake failed"),
    }
}

#[cfg(test)]
mod tests;
