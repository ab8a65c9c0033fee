//! Services on sockets of this machine, for this machine alone.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::{BoxError, Service, ServiceExt};

/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 512;
/// Time to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after a connection could not be accepted.
const OUT_OF_BREATH: Duration = Duration::from_millis(200);

/// Opens a port of 127.0.0.1; 0 takes a free one.
///
/// # Errors
/// If it is taken.
pub(super) async fn open(port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Answers connections until it is dropped; those that are open then end with it.
pub(super) async fn serve<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let place = Arc::clone(&room).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let answered = connection(stream, service.clone());
                connections.spawn(async move {
                    answered.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(OUT_OF_BREATH).await;
            }
        }
    }
}

async fn connection<S, B>(stream: TcpStream, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move {
            if !is_ours(request.headers()) {
                return Ok(elsewhere().map(Either::Right));
            }
            service.oneshot(request).await.map(|answer| answer.map(Either::Left))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Whether this machine is asked under its own name. A page in a browser that made another name
/// lead here is not answered.
fn is_ours(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost")
}

fn elsewhere() -> Response<Full<Bytes>> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": "Forbidden", "code": 403,
        "message": "this server answers under the names 127.0.0.1 and localhost alone"});
    let mut answer = Response::new(Full::new(Bytes::from(status.to_string())));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_made_lead_here_is_not_answered() {
        let asked = |host: &'static str| {
            is_ours(&HeaderMap::from_iter([(header::HOST, http::HeaderValue::from_static(host))]))
        };
        assert!(asked("127.0.0.1:6443") && asked("localhost") && asked("localhost:80"));
        assert!(!asked("evil.example:6443") && !asked("") && !is_ours(&HeaderMap::new()));
    }
}
