//! The modelled API server over HTTP, as a [`tower::Service`].
//!
//! [`ApiService`] answers `http` requests in process: give it to `kube::Client::new`, or put it
//! behind a socket. Time comes from a closure, so it may be virtual; open watches are woken by
//! writes through any clone, and by [`ApiService::wake`] when only time has passed.
//!
//! It answers in JSON and reads JSON and YAML (406 and 415 say so), has no TLS and asks nobody who
//! they are. Objects come whole, as metadata or as the Tables that `kubectl get` prints. It
//! serves discovery (the unaggregated form), `/version`, the health paths, and OpenAPI so far as
//! kubectl needs it. A path that is not served gets a `Status`, where upstream has a text.

mod body;
mod discovery;
mod media;
mod openapi;
mod route;
mod table;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tower::BoxError;

use crate::apiserver::{ApiError, ApiServer, Request, Response, Verb};
pub use body::ApiBody;
use media::Shown;
use route::Route;
use table::Printer;

/// Largest request body, in bytes, as upstream.
const MAX_BODY: usize = 3 << 20;

/// Why there is no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// A fault broke the connection; whether the request was carried out is not known.
    #[error("connection reset by peer")]
    Lost,
}

type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

pub(crate) struct State {
    pub(crate) server: ApiServer,
    pub(crate) wakers: BTreeMap<u64, Waker>,
    tickets: u64,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Clock,
    collects: bool,
}

impl Shared {
    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// The state; a panic elsewhere leaves it as it was, which is still a consistent store.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        std::mem::take(&mut self.wakers).into_values().for_each(Waker::wake);
    }

    pub(crate) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}

/// The modelled API server as a service. Clones share one server.
#[derive(Clone)]
pub struct ApiService {
    shared: Arc<Shared>,
}

impl ApiService {
    /// A service over `server`; `clock` gives milliseconds since 1970.
    pub fn new(server: ApiServer, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        ApiService::build(server, Box::new(clock), false)
    }

    /// The same, with garbage collected right after each write, as if a controller manager ran.
    pub fn collecting(server: ApiServer, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        ApiService::build(server, Box::new(clock), true)
    }

    fn build(server: ApiServer, clock: Clock, collects: bool) -> Self {
        let state = Mutex::new(State { server, wakers: BTreeMap::new(), tickets: 0 });
        ApiService { shared: Arc::new(Shared { state, clock, collects }) }
    }

    /// Runs `f` on the server at the present time, then wakes the watches.
    pub fn with<R>(&self, f: impl FnOnce(&mut ApiServer, i64) -> R) -> R {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let out = f(&mut state.server, now);
        state.wake();
        out
    }

    /// Looks at the server, which disturbs nobody.
    pub fn read<R>(&self, f: impl FnOnce(&ApiServer) -> R) -> R {
        f(&self.shared.lock().server)
    }

    /// Lets every open watch look again: call it when time has passed.
    pub fn wake(&self) {
        self.shared.lock().wake();
    }

    fn respond(
        &self,
        request: &Request,
        shown: Shown,
    ) -> Result<http::Response<ApiBody>, ServiceError> {
        if request.verb == Verb::Watch {
            return self.watch(request, shown);
        }
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let mut response = state.server.handle(now, request);
        if request.verb.writes() {
            if self.shared.collects {
                state.server.collect_garbage(now);
            }
            state.wake();
        }
        if let (Shown::Table(form), Ok(def)) = (shown, state.server.def(&request.resource)) {
            response.body = Arc::new(Printer::new(&def, form, now).table(&response.body, true));
        }
        drop(state);
        self.render(&response)
    }

    fn watch(
        &self,
        request: &Request,
        shown: Shown,
    ) -> Result<http::Response<ApiBody>, ServiceError> {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let opened = state.server.open_watch(now, request);
        let def = state.server.def(&request.resource).ok();
        let form = def.and_then(|def| match shown {
            Shown::Table(form) => Some((def, form)),
            _ => None,
        });
        let ticket = state.ticket();
        drop(state);
        match opened {
            Ok(watch) => {
                let body = ApiBody::watch(self.shared.clone(), watch, ticket, form);
                Ok(self.headed(200, "application/json", body))
            }
            Err(refused) => self.render(&refused),
        }
    }

    fn render(&self, response: &Response) -> Result<http::Response<ApiBody>, ServiceError> {
        if response.lost {
            return Err(ServiceError::Lost);
        }
        let mut out = self.json(response.code, &response.body);
        let headers = out.headers_mut();
        for warning in &response.warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                headers.append(header::WARNING, value);
            }
        }
        if let Some(seconds) = response.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(out)
    }

    fn json(&self, code: u16, body: &Value) -> http::Response<ApiBody> {
        self.headed(code, "application/json", ApiBody::full(Bytes::from(body.to_string())))
    }

    fn headed(&self, code: u16, kind: &'static str, body: ApiBody) -> http::Response<ApiBody> {
        let mut out = http::Response::new(body);
        *out.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
        let headers = out.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Ok(date) = HeaderValue::from_str(&discovery::http_date(self.shared.now())) {
            headers.insert(header::DATE, date);
        }
        out
    }

    fn refuse(&self, error: &ApiError) -> http::Response<ApiBody> {
        self.json(error.code, &error.to_value())
    }

    /// Answers one request whose body has been read.
    fn answer(
        &self,
        parts: &http::request::Parts,
        body: &[u8],
    ) -> Result<http::Response<ApiBody>, ServiceError> {
        let route = {
            let state = self.shared.lock();
            route::route(&state.server, parts, body)
        };
        match route {
            Ok(Route::Resource(request, shown)) => self.respond(&request, shown),
            Ok(Route::Document(document)) => Ok(self.json(200, &document)),
            Ok(Route::Text(code, text)) => {
                let body = ApiBody::full(Bytes::from_static(text.as_bytes()));
                Ok(self.headed(code, "text/plain; charset=utf-8", body))
            }
            Ok(Route::Bytes(kind, bytes)) => {
                Ok(self.headed(200, kind, ApiBody::full(Bytes::from(bytes))))
            }
            Err(error) => Ok(self.refuse(&error)),
        }
    }
}

impl<B> tower::Service<http::Request<B>> for ApiService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<ApiBody>;
    type Error = ServiceError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            match Limited::new(body, MAX_BODY).collect().await {
                Ok(read) => service.answer(&parts, &read.to_bytes()),
                Err(error) => Ok(service.refuse(&unread(&*error))),
            }
        })
    }
}

fn unread(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ApiError {
    if error.is::<LengthLimitError>() {
        let text = format!("Request entity is too large: limit is {MAX_BODY}");
        return ApiError::new(413, "RequestEntityTooLarge", text);
    }
    ApiError::bad_request(error.to_string())
}

/// The error of bodies: there is none.
pub type BodyError = Infallible;
