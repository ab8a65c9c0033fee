//! TLS with a certificate from two files, which are read again when they change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::flags::{MetricsTls, TlsVersion};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Files that nothing can be served with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file}: {source}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{file}: {why}")]
    Pem {
        /// Which.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The key is not the certificate's, or of a kind that cannot be served.
    #[error("{certificate} and {key}: {why}")]
    Pair {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// What is wrong.
        why: rustls::Error,
    },
}

/// A certificate and its key, as two files have them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pair(Arc<State>);

#[derive(Debug)]
struct State {
    certificate: PathBuf,
    key: PathBuf,
    oldest: TlsVersion,
    current: Mutex<Arc<CertifiedKey>>,
}

impl Pair {
    /// Reads both files.
    ///
    /// # Errors
    /// If they are no certificate and its key.
    pub fn read(flags: &MetricsTls) -> Result<Self, TlsError> {
        let current = Mutex::new(Arc::new(read(&flags.certificate, &flags.key)?));
        let (certificate, key) = (flags.certificate.clone(), flags.key.clone());
        Ok(Self(Arc::new(State { certificate, key, oldest: flags.oldest, current })))
    }

    /// Reads both files again; says whether they hold another certificate than before. What is
    /// served stays as it is if they cannot be used, as while they are being replaced.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let State { certificate, key, current, .. } = &*self.0;
        let found = Arc::new(read(certificate, key)?);
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = current.cert != found.cert;
        *current = found;
        Ok(changed)
    }

    /// What accepts connections, with whatever the files have at that time.
    ///
    /// # Errors
    /// If the library does not speak the versions that were asked for.
    pub fn acceptor(&self) -> Result<TlsAcceptor, rustls::Error> {
        let both: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        let versions = if self.0.oldest == TlsVersion::V13 { &both[..1] } else { both };
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Pair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let shown = |path: &Path| path.display().to_string();
    let pem = |path: &Path, why: String| TlsError::Pem { file: shown(path), why };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes(certificate)?).collect();
    let chain = chain.map_err(|error| pem(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(pem(certificate, "it holds no certificate in PEM".to_owned()));
    }
    // The library's message names the sections that it knows, and nothing of the key.
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?)
        .map_err(|_| pem(key, "it holds no private key in PEM".to_owned()))?;
    CertifiedKey::from_der(chain, private, &default_provider()).map_err(|why| TlsError::Pair {
        certificate: shown(certificate),
        key: shown(key),
        why,
    })
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let file = path.display().to_string();
    let longer = || io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB");
    let length = std::fs::metadata(path).map(|meta| meta.len());
    let found = length.and_then(|n| if n > LONGEST { Err(longer()) } else { std::fs::read(path) });
    found.map_err(|source| TlsError::Read { file, source })
}

#[cfg(test)]
mod tests;
