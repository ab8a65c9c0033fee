//! A small HTTP server for metrics and health.
//!
//! It faces whatever can reach the port, so everything is bounded: connections, the size and number
//! of headers, the time for a request's head, and the age of a connection.

mod contact;
mod health;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::flags::ListenAddress;
use crate::metrics::{CONTENT_TYPE, Metrics};
pub use contact::Contact;
pub use health::{Health, Now, Verdict};
pub use tls::{Pair, TlsError};

/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 64;
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// Time to send a request's head, and to stay idle between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The age at which a connection is closed, so that nobody holds one by reading slowly.
const MAX_AGE: Duration = Duration::from_secs(120);
/// Time for an answer under way when a connection is to be closed.
const GRACE: Duration = Duration::from_secs(5);
const UPKEEP: Duration = Duration::from_secs(30);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    address: ListenAddress,
    source: io::Error,
}

/// Opens the port; `None` if the address says to serve nothing.
///
/// # Errors
/// Fails if the address is unknown, taken or forbidden.
pub async fn bind(address: &ListenAddress) -> Result<Option<TcpListener>, BindError> {
    let ListenAddress::On { host, port } = address else { return Ok(None) };
    let listener = match host.as_str() {
        // All addresses of both families, or, where there is no IPv6, of IPv4.
        "" => match TcpListener::bind(("::", *port)).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind(("0.0.0.0", *port)).await,
        },
        host => TcpListener::bind((host, *port)).await,
    };
    listener.map(Some).map_err(|source| BindError { address: address.clone(), source })
}

/// What is served: `/healthz`, `/livez`, `/readyz` and, where there are metrics, `/metrics`.
#[derive(Clone, Debug)]
pub struct Site {
    /// Answers the health questions.
    pub health: Health,
    /// Answers `/metrics`; `None` on the port for health only.
    pub metrics: Option<Metrics>,
}

/// A port that is open, and how it speaks.
pub struct Door {
    listener: TcpListener,
    tls: Option<(TlsAcceptor, Pair)>,
}

impl Door {
    /// Plain HTTP.
    #[must_use]
    pub fn plain(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }

    /// TLS; the files are looked at again every 30 s.
    ///
    /// # Errors
    /// As [`Pair::acceptor`].
    pub fn tls(listener: TcpListener, pair: Pair) -> Result<Self, rustls::Error> {
        Ok(Self { listener, tls: Some((pair.acceptor()?, pair)) })
    }

    async fn upkeep(&self) {
        let Some((_, pair)) = self.tls.clone() else { return };
        match tokio::task::spawn_blocking(move || pair.refresh()).await {
            Ok(Ok(false)) | Err(_) => {}
            Ok(Ok(true)) => tracing::info!("metrics are served with the new certificate"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "metrics are still served with the old certificate");
            }
        }
    }
}

/// Serves until `stop`, then lets answers under way end for at most 5 s.
pub async fn serve(door: Door, site: Site, stop: impl Future<Output = ()>) {
    let (closing, closed) = watch::channel(false);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut upkeep = tokio::time::interval(UPKEEP);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = upkeep.tick() => {
                site.metrics.iter().for_each(Metrics::upkeep);
                door.upkeep().await;
            }
            Some(_) = connections.join_next() => {}
            stream = accept(&door.listener, &room) => {
                if let Some((stream, place)) = stream {
                    let (site, closed) = (site.clone(), closed.clone());
                    let acceptor = door.tls.as_ref().map(|(acceptor, _)| acceptor.clone());
                    connections.spawn(async move {
                        welcome(stream, acceptor, site, closed).await;
                        drop(place);
                    });
                }
            }
        }
    }
    drop(door);
    // Without connections nobody listens.
    let _ = closing.send(true);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            // Out of file descriptors, most likely: others have to end first.
            sleep(Duration::from_secs(1)).await;
            None
        }
    }
}

/// Shakes hands where TLS is spoken, within the time for a request's head.
async fn welcome(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    site: Site,
    closed: watch::Receiver<bool>,
) {
    let Some(acceptor) = acceptor else { return connection(stream, site, closed).await };
    let mut leaving = closed.clone();
    let greeted = tokio::select! {
        greeted = timeout(HEAD_TIMEOUT, acceptor.accept(stream)) => greeted,
        () = old_or_closed(&mut leaving) => return,
    };
    match greeted {
        Ok(Ok(stream)) => connection(stream, site, closed).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn connection<I>(io: I, site: Site, mut closed: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let answer = site.answer(request.method(), request.uri(), Now::read());
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = old_or_closed(&mut closed) => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Waits until the connection is to be closed.
async fn old_or_closed(closed: &mut watch::Receiver<bool>) {
    // A server that is gone closes its connections too.
    let _ = timeout(MAX_AGE, closed.wait_for(|closed| *closed)).await;
}

type Body = BoxBody<Bytes, Infallible>;

impl Site {
    fn answer(&self, method: &Method, uri: &Uri, now: Now) -> Response<Body> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".into());
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match (uri.path(), &self.metrics) {
            ("/healthz" | "/livez", _) => verdict(&self.health.live(now), uri),
            ("/readyz", _) => verdict(&self.health.ready(now), uri),
            ("/metrics", Some(metrics)) => scrape(metrics, now),
            _ => plain(StatusCode::NOT_FOUND, "not found\n".into()),
        }
    }
}

/// `ok`, or each check; those also for `?verbose`.
fn verdict(verdict: &Verdict, uri: &Uri) -> Response<Body> {
    let verbose = uri.query().is_some_and(|query| query.split('&').any(|q| q == "verbose"));
    match (verdict.is_good(), verbose) {
        (true, false) => plain(StatusCode::OK, "ok".into()),
        (true, true) => plain(StatusCode::OK, verdict.to_string()),
        (false, _) => plain(StatusCode::INTERNAL_SERVER_ERROR, verdict.to_string()),
    }
}

fn scrape(metrics: &Metrics, now: Now) -> Response<Body> {
    let frames = metrics.render(now.wall).map(|chunk| Ok(Frame::data(chunk)));
    let body = StreamBody::new(futures::stream::iter(frames)).boxed();
    typed(StatusCode::OK, CONTENT_TYPE, body)
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", Full::from(text).boxed())
}

fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

#[cfg(test)]
mod tests;
