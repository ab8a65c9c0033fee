//! Requests of the suite's own, over connections of their own.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Why there is no answer.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A server that requests go on to.
#[derive(Clone)]
pub struct Upstream {
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

impl Upstream {
    /// The server of a URL; the file `ca` is what its certificate is below.
    pub fn of(url: &str, ca: Option<&str>) -> Self {
        let uri: Uri = url.parse().expect("the server's address is a URL");
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = uri.host().expect("the server's URL has a host").to_owned();
        let tls = secure.then(|| Arc::new(trusting(ca.expect("a CA goes with https"))));
        Self { host, port, tls }
    }

    /// Sends a request as it is, with its own `Host`, and reads the answer whole.
    ///
    /// # Errors
    /// What kept an answer from coming.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            None => exchange(stream, request).await,
            Some(config) => {
                let name = ServerName::try_from(self.host.clone())?;
                let stream = TlsConnector::from(config.clone()).connect(name, stream).await?;
                exchange(stream, request).await
            }
        }
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// What kept an answer from coming.
    pub async fn get(&self, path: &str) -> Result<Response<Bytes>, Failure> {
        let mut request = Request::get(path).body(Bytes::new())?;
        let host = HeaderValue::from_str(&format!("{}:{}", self.host, self.port))?;
        request.headers_mut().insert(http::header::HOST, host);
        // Pebble wants to know who asks (RFC 8555, section 6.1).
        let agent = HeaderValue::from_static("everleaf-e2e");
        request.headers_mut().insert(http::header::USER_AGENT, agent);
        self.send(request).await
    }
}

async fn exchange<S>(stream: S, request: Request<Bytes>) -> Result<Response<Bytes>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer, which says what went wrong.
    tokio::spawn(connection);
    let answer = sender.send_request(request.map(Full::new)).await?;
    let (parts, body) = answer.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
}

fn trusting(file: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(file).expect("the CA's file is readable");
    for certificate in found {
        roots.add(certificate.expect("a certificate")).expect("a certificate of a CA");
    }
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}
