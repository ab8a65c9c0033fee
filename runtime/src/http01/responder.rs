//! The server that CAs meet behind an Ingress controller or a Gateway.
//!
//! Whoever reaches the port may ask, so everything is bounded, and nothing is told but what a
//! token's own path asks for under its own name.

use super::Tokens;
use super::listen::listen;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// Time to send a request's head, and to stay idle between two requests: proxies keep connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The age at which a connection is closed.
const MAX_AGE: Duration = Duration::from_secs(120);

const PREFIX: &str = "/.well-known/acme-challenge/";

/// Answers until `stop`; connections that are open then are dropped.
pub async fn serve(listener: TcpListener, tokens: Tokens, stop: impl Future<Output = ()>) {
    listen(listener, stop, MAX_AGE, |stream| connection(stream, tokens.clone())).await;
}

async fn connection(stream: TcpStream, tokens: Tokens) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().host().or(host).unwrap_or_default();
        let answer = answer(&tokens, request.method(), request.uri().path(), host);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "an HTTP-01 connection ended badly");
    }
}

fn answer(tokens: &Tokens, method: &Method, path: &str, host: &str) -> Response<Full<Bytes>> {
    let asked = matches!(*method, Method::GET | Method::HEAD);
    let token = path.strip_prefix(PREFIX).filter(|_| asked);
    let key = token.and_then(|token| tokens.get(token, host));
    let (status, text) = match key {
        Some(key) => (StatusCode::OK, Bytes::copy_from_slice(key.as_bytes())),
        None if asked && matches!(path, "/" | "/healthz") => (StatusCode::OK, Bytes::new()),
        None => (StatusCode::NOT_FOUND, Bytes::from_static(b"not found\n")),
    };
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tests::{answered, challenge};
    use super::*;
    use everleaf_nodes::facts::Method as Way;

    #[test]
    fn only_the_tokens_own_path_under_its_own_name_is_answered() {
        let tokens = Tokens::default();
        tokens.put(&challenge("c"), &answered(Way::Http01, "tok", "shop.test"));
        let status = |method, path, host| answer(&tokens, &method, path, host).status();
        let path = "/.well-known/acme-challenge/tok";
        assert_eq!(status(Method::GET, path, "shop.test:80"), StatusCode::OK);
        assert_eq!(status(Method::HEAD, path, "shop.test"), StatusCode::OK);
        assert_eq!(status(Method::POST, path, "shop.test"), StatusCode::NOT_FOUND);
        assert_eq!(status(Method::GET, path, "other.test"), StatusCode::NOT_FOUND);
        let slashed = "/.well-known/acme-challenge/tok/";
        for other in [slashed, "/.well-known/acme-challenge/", "/tok", "/.well-known/../tok"] {
            assert_eq!(status(Method::GET, other, "shop.test"), StatusCode::NOT_FOUND, "{other}");
        }
        assert_eq!(status(Method::GET, "/healthz", ""), StatusCode::OK);
    }
}
