//! A TLS server with what is in a Secret, and a client that trusts nothing but the CA's root.

use crate::edge::decoded;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What was fetched, after the server's certificate was verified.
pub(super) struct Fetched {
    pub address: SocketAddr,
    pub body: String,
    pub protocol: String,
    /// What it was verified against.
    pub against: &'static str,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Serves a greeting with the Secret's chain and key on a free port of this machine, fetches it
/// under the name `host`, and verifies the chain against the Secret's `ca.crt`; where there is
/// none, as with public CAs, against `roots`.
pub(super) async fn serve_and_fetch(
    secret: &Value,
    host: &str,
    roots: &str,
) -> Result<Fetched, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let acceptor = TlsAcceptor::from(Arc::new(server(secret)?));
    let greeting = format!("hello from {host}");
    let served = tokio::spawn(serve_once(listener, acceptor, greeting));
    let fetched = fetch(secret, host, (address, roots)).await?;
    served.await??;
    Ok(fetched)
}

fn pem(secret: &Value, name: &str) -> Result<Vec<u8>, Error> {
    decoded(secret, name).ok_or_else(|| format!("the Secret has no {name}").into())
}

fn server(secret: &Value) -> Result<ServerConfig, Error> {
    let chain = pem(secret, "tls.crt")?;
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&pem(secret, "tls.key")?)?;
    Ok(ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

/// A client, and what it trusts in words.
fn client(secret: &Value, known: &str) -> Result<(ClientConfig, &'static str), Error> {
    let (trusted, against) = match decoded(secret, "ca.crt").filter(|pem| !pem.is_empty()) {
        Some(pem) => (pem, "ca.crt of the Secret alone"),
        None => (known.as_bytes().to_vec(), "the root of the ACME CA alone"),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&trusted) {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((config, against))
}

async fn serve_once(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    greeting: String,
) -> Result<(), Error> {
    let (stream, _) = listener.accept().await?;
    let mut stream = acceptor.accept(stream).await?;
    let mut request = [0; 1024];
    let _ = stream.read(&mut request).await?;
    let length = greeting.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{greeting}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

async fn fetch(
    secret: &Value,
    host: &str,
    (address, roots): (SocketAddr, &str),
) -> Result<Fetched, Error> {
    let (config, against) = client(secret, roots)?;
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(host.to_owned())?;
    let mut stream = connector.connect(name, TcpStream::connect(address).await?).await?;
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let protocol = stream.get_ref().1.protocol_version();
    let protocol = protocol.map(|version| format!("{version:?}")).unwrap_or_default();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
    Ok(Fetched { address, body, protocol, against })
}
