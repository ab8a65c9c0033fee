//! Servers of the suite's own: what the operator talks to besides a cluster.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 1 << 20;
/// Into so many pieces a slow body is cut.
const PIECES: u32 = 8;

/// How the body of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once.
    Whole,
    /// Its first half; then the connection breaks.
    BrokenOff,
    /// In pieces, over this time.
    Slow(Duration),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How the body is sent.
    pub manner: Manner,
}

impl Reply {
    /// An answer with that body, sent at once.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status of HTTP");
        let content_type = http::HeaderValue::from_static(content_type);
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type)]);
        Self { status, headers, body: body.into(), manner: Manner::Whole }
    }

    fn into_response(self) -> Response<UnsyncBoxBody<Bytes, io::Error>> {
        let Self { status, mut headers, body, manner } = self;
        headers.remove(http::header::TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, body.len().into());
        let mut response = Response::new(sent(body, manner));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

fn sent(body: Bytes, manner: Manner) -> UnsyncBoxBody<Bytes, io::Error> {
    match manner {
        Manner::Whole => Full::new(body).map_err(|never| match never {}).boxed_unsync(),
        Manner::BrokenOff => {
            let half = Frame::data(body.slice(..body.len() / 2));
            let pieces = [Ok(half), Err(io::ErrorKind::ConnectionReset.into())];
            StreamBody::new(stream::iter(pieces)).boxed_unsync()
        }
        Manner::Slow(time) => {
            let size = body.len().div_ceil(PIECES as usize).max(1);
            let pieces = stream::unfold(body, move |mut rest| async move {
                let piece = rest.split_to(size.min(rest.len()));
                if piece.is_empty() {
                    return None;
                }
                tokio::time::sleep(time / PIECES).await;
                Some((Ok(Frame::data(piece)), rest))
            });
            StreamBody::new(pieces).boxed_unsync()
        }
    }
}

/// Answers requests.
pub type Handler = Arc<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Reply> + Send + Sync>;

type Tls = Option<Arc<ServerConfig>>;

/// A server on a thread of its own. It ends when dropped.
pub struct Server {
    address: SocketAddr,
    tls: watch::Sender<Tls>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one at a free port of `host`; with TLS if there is a configuration of it.
    pub fn start(host: &str, tls: Tls, handler: Handler) -> Self {
        let host: IpAddr = host.parse().expect("the server's host is an address");
        let (tls, shown) = watch::channel(tls);
        let (end, ended) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = runtime();
            runtime.block_on(async {
                let listener = TcpListener::bind((host, 0)).await.expect("a free port");
                bound.send(listener.local_addr().expect("it is bound")).expect("it is awaited");
                tokio::select! {
                    () = accept(listener, shown, handler) => {}
                    _ = ended => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = address.recv().expect("the server is bound");
        Self { address, tls, end: Some(end), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows another certificate from now on; connections that are open are closed.
    pub fn show(&self, tls: Arc<ServerConfig>) {
        self.tls.send_replace(Some(tls));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.end.take().map(|end| end.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime")
}

async fn accept(listener: TcpListener, shown: watch::Receiver<Tls>, handler: Handler) {
    while let Ok((stream, _)) = listener.accept().await {
        let (mut shown, handler) = (shown.clone(), handler.clone());
        tokio::spawn(async move {
            let tls = shown.borrow_and_update().clone();
            tokio::select! {
                () = talk(stream, tls, handler) => {}
                _ = shown.changed() => {}
            }
        });
    }
}

async fn talk(stream: TcpStream, tls: Tls, handler: Handler) {
    match tls {
        None => serve(stream, handler).await,
        Some(config) => {
            // A client that does not like the certificate hangs up.
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
            serve(stream, handler).await;
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, handler: Handler) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            // To the end, though the client may be killed meanwhile.
            let answered = tokio::spawn(async move {
                let (parts, body) = request.into_parts();
                let body = Limited::new(body, LONGEST_BODY).collect().await;
                let body = body.map(|body| body.to_bytes()).unwrap_or_default();
                handler(Request::from_parts(parts, body)).await
            });
            let reply = answered.await;
            let reply = reply.unwrap_or_else(|_| Reply::new(500, "text/plain", "a panic"));
            Ok::<_, Infallible>(reply.into_response())
        }
    });
    // It ends with an error where a body was to break off.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
