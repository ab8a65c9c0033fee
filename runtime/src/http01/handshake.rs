//! A handshake as a CA makes it for TLS-ALPN-01, to see what it would see.

use super::alpn::{PROTOCOL, asked_as, proves};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For the whole of it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What was seen instead of the proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Instead {
    /// Nobody listens.
    #[error("refused the connection")]
    Refused,
    /// No connection, of another cause.
    #[error("cannot be reached")]
    Unreachable,
    /// No handshake in time.
    #[error("did not answer in time")]
    Late,
    /// No handshake.
    #[error("did not shake hands: {0}")]
    Handshake(String),
    /// A handshake without the protocol: somebody ends TLS there who knows nothing of ACME.
    #[error("does not speak acme-tls/1; something in front of the operator ends TLS itself")]
    OtherProtocol,
    /// A certificate without the proof.
    #[error("shows a certificate without the proof for this challenge")]
    OtherProof,
    /// The host cannot be asked for.
    #[error("cannot be asked for: {0}")]
    Name(String),
}

impl Instead {
    /// Whether nobody answered at all.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Refused | Self::Unreachable | Self::Late)
    }
}

/// Shakes hands at an address as a CA that validates the host, and looks for the proof.
///
/// # Errors
/// What was seen instead.
pub async fn look(address: SocketAddr, host: &str, key: &str) -> Result<(), Instead> {
    let shaken = tokio::time::timeout(TIMEOUT, shake(address, host)).await;
    let (certificate, protocol) = shaken.map_err(|_| Instead::Late)??;
    if protocol != PROTOCOL {
        return Err(Instead::OtherProtocol);
    }
    if proves(&certificate, key) { Ok(()) } else { Err(Instead::OtherProof) }
}

/// The certificate that is shown, and the protocol that was agreed on.
async fn shake(address: SocketAddr, host: &str) -> Result<(Vec<u8>, Vec<u8>), Instead> {
    let unnamed = |error: &dyn std::error::Error| Instead::Name(error.to_string());
    let name = ServerName::try_from(asked_as(host)).map_err(|error| unnamed(&error))?;
    let mut config = trusting().map_err(|error| Instead::Handshake(error.to_string()))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    let stream = TcpStream::connect(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => Instead::Refused,
        _ => Instead::Unreachable,
    })?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = shaken.map_err(|error| Instead::Handshake(error.to_string()))?;
    let connection = stream.get_ref().1;
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.map(|certificate| certificate.to_vec()).unwrap_or_default();
    Ok((certificate, connection.alpn_protocol().unwrap_or_default().to_vec()))
}

/// A client that trusts whatever certificate it is shown: here it is looked at, not relied on.
pub(super) fn trusting() -> Result<ClientConfig, Error> {
    let provider = Arc::new(default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone());
    let config = config.with_safe_default_protocol_versions()?.dangerous();
    let verifier = Arc::new(Anybody(provider));
    Ok(config.with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Checks nothing. Verifiers that read certificates refuse the proof's critical extension, which
/// they do not know, and so could not even check the handshake's signature.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
