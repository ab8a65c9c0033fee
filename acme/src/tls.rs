//! Whom to trust as a CA's server.

use std::fmt;
use std::sync::{Arc, OnceLock};

use everleaf_pki::{CertError, CertInfo, Limits};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use thiserror::Error;

/// Whose TLS certificates are accepted.
#[derive(Clone)]
pub enum ServerTrust {
    /// Those below the system's certificate authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// override where they are).
    System,
    /// Those below, or equal to, a certificate in this PEM, and no others.
    Bundle(Vec<u8>),
    /// Any, for any name, expired or not: the CA could be anybody.
    Anyone,
}

impl fmt::Debug for ServerTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerTrust::System => f.write_str("System"),
            ServerTrust::Bundle(pem) => write!(f, "Bundle({} bytes)", pem.len()),
            ServerTrust::Anyone => f.write_str("Anyone"),
        }
    }
}

/// Why there is no TLS configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TlsError {
    /// The bundle has no certificate, or one that cannot be read.
    #[error("caBundle: {0}")]
    Bundle(#[from] CertError),
    /// The bundle has certificates, but none that others can be verified with.
    #[error("caBundle: no certificate in it can be used to verify others")]
    NoAnchor,
    /// The system has no certificate authorities.
    #[error("the system has no trusted certificate authorities: {0}")]
    NoSystemRoots(String),
    /// The TLS or HTTP library refused its configuration.
    #[error("HTTP client: {0}")]
    Client(String),
}

/// A configuration for HTTP/2 and HTTP/1.1.
pub(crate) fn config(trust: &ServerTrust) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Client(error.to_string()))?;
    let mut config = match trust {
        ServerTrust::System => builder.with_root_certificates(system_roots()?),
        ServerTrust::Bundle(pem) => {
            let verifier = BundleVerifier::new(pem, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        ServerTrust::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerifier(provider)))
        }
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Read once in a process: there are some hundred of them, and a client for every issuer.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, TlsError>> = OnceLock::new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(TlsError::NoSystemRoots(reasons.join("; ")));
        }
        Ok(Arc::new(roots))
    };
    ROOTS.get_or_init(read).clone()
}

/// Trusts what is below a bundle's certificates and, because a server's own self-signed certificate
/// is often all that a bundle holds, those certificates themselves.
#[derive(Debug)]
struct BundleVerifier {
    below: Arc<WebPkiServerVerifier>,
    itself: Vec<CertInfo>,
}

impl BundleVerifier {
    fn new(pem: &[u8], provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let itself = CertInfo::parse_bundle(pem, &Limits::default())?;
        let mut roots = RootCertStore::empty();
        let certificates = itself.iter().map(|one| CertificateDer::from(one.der.clone()));
        roots.add_parsable_certificates(certificates);
        let below = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let below = below.build().map_err(|_| TlsError::NoAnchor)?;
        Ok(BundleVerifier { below, itself })
    }

    /// Whether a certificate is in the bundle, bears the name and is not expired.
    fn is_listed(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<bool, Error> {
        let listed = |one: &&CertInfo| one.der == certificate.as_ref();
        let Some(found) = self.itself.iter().find(listed) else { return Ok(false) };
        let parsed = ParsedCertificate::try_from(certificate)?;
        rustls::client::verify_server_name(&parsed, name)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match now {
            _ if now < found.not_before => Err(CertificateError::NotValidYet.into()),
            _ if now > found.not_after => Err(CertificateError::Expired.into()),
            _ => Ok(true),
        }
    }
}

impl ServerCertVerifier for BundleVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.is_listed(end_entity, server_name, now)? {
            return Ok(ServerCertVerified::assertion());
        }
        self.below.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.below.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.below.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.below.supported_verify_schemes()
    }
}

/// Checks only that the peer holds the key of the certificate it shows.
#[derive(Debug)]
struct NoVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
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
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
