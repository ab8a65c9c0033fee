//! The transport over sockets: HTTP/1.1 and HTTP/2, TLS, the environment's proxy.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use reqwest::redirect;

use crate::tls::{self, ServerTrust, TlsError};
use crate::transport::{Transport, TransportError, chain, read};

/// How CAs are reached.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Whose TLS certificates are accepted.
    pub trust: ServerTrust,
    /// `User-Agent`, which RFC 8555 section 6.1 demands.
    pub user_agent: String,
    /// Longest time from the first byte of a request to the last of its answer.
    pub total_timeout: Duration,
    /// Longest time for a connection, TLS included.
    pub dial_timeout: Duration,
}

impl HttpOptions {
    /// The system's certificate authorities, 90 s for all and 30 s to dial.
    pub fn new(user_agent: impl Into<String>) -> Self {
        HttpOptions {
            trust: ServerTrust::System,
            user_agent: user_agent.into(),
            total_timeout: Duration::from_secs(90),
            dial_timeout: Duration::from_secs(30),
        }
    }
}

/// Sends requests over sockets, in a tokio runtime. Connections are kept and shared by clones.
///
/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read when it is made.
#[derive(Clone, Debug)]
pub struct HttpTransport(reqwest::Client);

impl HttpTransport {
    /// Reads the environment and the trusted certificates.
    pub fn new(options: &HttpOptions) -> Result<Self, TlsError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&options.trust)?)
            .user_agent(&options.user_agent)
            .timeout(options.total_timeout)
            .connect_timeout(options.dial_timeout)
            .redirect(redirect::Policy::none())
            // A request sent again carries the same nonce again.
            .retry(reqwest::retry::never())
            // Less than the idle time after which common front ends close.
            .pool_idle_timeout(Duration::from_secs(30))
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_timeout(Duration::from_secs(15))
            .build();
        Ok(HttpTransport(client.map_err(|error| TlsError::Client(chain(&error)))?))
    }
}

impl Transport for HttpTransport {
    fn exchange(
        &self,
        request: Request<Bytes>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        async move {
            let request = reqwest::Request::try_from(request).map_err(failed)?;
            let answer = self.0.execute(request).await.map_err(failed)?;
            let too_large = |length| length > limit as u64;
            if answer.content_length().is_some_and(too_large) {
                return Err(TransportError::TooLarge(limit));
            }
            let answer = Response::<reqwest::Body>::from(answer);
            read(answer.map(|body| BodyExt::map_err(body, failed)), limit).await
        }
        .boxed()
    }
}

fn failed(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let text = chain(&error);
    match () {
        () if error.is_connect() || error.is_builder() => TransportError::Connect(text),
        () if error.is_timeout() => TransportError::TimedOut(text),
        () => TransportError::Lost(text),
    }
}
