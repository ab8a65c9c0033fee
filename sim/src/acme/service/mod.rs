//! The modelled CA over HTTP, as a [`tower::Service`]: requests are JWS and verified as such.
//!
//! Time comes from a closure, so it may be virtual; a slow answer is woken by
//! [`CaService::wake`] when time has passed. There is no TLS; what `url` in a JWS must say is
//! decided by the configured base URL, wherever the service is put.

mod body;
mod jws;
mod render;
mod route;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{self, HeaderName};
use http::{HeaderValue, Method, StatusCode, request};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tower::BoxError;

use super::authority::Authority;
use super::call::{AccountId, Answer, Call, Delivery, NewAccount, Reply, RetryAfter};
use super::fault::RetryStyle;
use super::issue::{Leaf, Serial};
use super::problem::{ErrorKind, Problem};
use super::validation::Validation;
use super::{Ca, Config, internal};
pub use body::{BodyError, CaBody};
use jws::{Jwk, Jws, Signer};
use render::Urls;
use route::Target;

/// Largest request body, in bytes.
const MAX_BODY: usize = 128 << 10;
/// Certificates kept as they were written.
const MAX_WRITTEN: usize = 4096;
const NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// Why there is no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// Nobody is let through.
    #[error("connection refused")]
    Refused,
    /// The connection broke before the answer; whether the request was carried out is not known.
    #[error("connection reset by peer")]
    Lost,
}

type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

struct State {
    ca: Ca,
    authority: Authority,
    world: Box<dyn Validation + Send>,
    keys: BTreeMap<AccountId, Jwk>,
    /// Leaves as they were written, because each signature differs.
    written: BTreeMap<(Serial, usize), String>,
    wakers: BTreeMap<u64, Waker>,
    tickets: u64,
}

impl State {
    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    fn settle(&mut self, now: i64) {
        self.ca.settle(now, &mut *self.world);
    }

    /// A chain as PEM, the same each time it is downloaded.
    fn chain(&mut self, leaf: &Leaf, chain: usize) -> Result<String, Problem> {
        let leaf_pem = |pem: &str| pem.split_inclusive(END).next().unwrap_or_default().to_owned();
        let written = self.authority.chain_pem(leaf, chain);
        let written = written.map_err(|_| Problem::not_found("certificate"))?;
        if self.written.len() >= MAX_WRITTEN {
            self.written.pop_first();
        }
        let first = self.written.entry((leaf.serial, 0)).or_insert_with(|| leaf_pem(&written));
        let above = written.split_once(END).map_or("", |(_, above)| above);
        Ok(format!("{first}{above}"))
    }
}

const END: &str = "-----END CERTIFICATE-----";

struct Shared {
    state: Mutex<State>,
    clock: Clock,
}

impl Shared {
    fn now(&self) -> i64 {
        (self.clock)()
    }

    /// The state; a panic elsewhere leaves it as it was, which is still consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The modelled CA as a service. Clones share one CA.
#[derive(Clone)]
pub struct CaService {
    shared: Arc<Shared>,
    config: Arc<Config>,
    source: Arc<str>,
}

/// What was asked, and how it is answered.
struct Done {
    call: Call,
    answer: Answer,
}

impl CaService {
    /// A service over a new CA whose certificates `authority` writes and that validates against
    /// `world`; `clock` gives milliseconds since 1970.
    pub fn new(
        config: Config,
        authority: Authority,
        world: impl Validation + Send + 'static,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        let ca = Ca::new(config, authority.key_id());
        let config = ca.config.clone();
        let state = Mutex::new(State {
            ca,
            authority,
            world: Box::new(world),
            keys: BTreeMap::new(),
            written: BTreeMap::new(),
            wakers: BTreeMap::new(),
            tickets: 0,
        });
        let shared = Arc::new(Shared { state, clock: Box::new(clock) });
        CaService { shared, config, source: "192.0.2.1".into() }
    }

    /// The same CA, asked from another address.
    pub fn from_source(&self, source: &str) -> Self {
        CaService { source: source.into(), ..self.clone() }
    }

    /// Runs `f` on the CA at the present time, with what is due by then done.
    pub fn with<R>(&self, f: impl FnOnce(&mut Ca, i64) -> R) -> R {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.settle(now);
        f(&mut state.ca, now)
    }

    /// The roots as PEM, in the order of the chains.
    pub fn roots(&self) -> Vec<String> {
        self.shared.lock().authority.roots()
    }

    /// Lets every slow answer look at the clock again: call it when time has passed.
    pub fn wake(&self) {
        let wakers = std::mem::take(&mut self.shared.lock().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    /// Answers one request whose body has been read.
    fn answer(
        &self,
        parts: &request::Parts,
        body: &[u8],
    ) -> Result<http::Response<CaBody>, ServiceError> {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.settle(now);
        let done = self.done(&mut state, now, parts, body);
        state.settle(now);
        let out = match done {
            Ok(done) if done.answer.delivery == Delivery::Lost => {
                return Err(if state.ca.is_out(now) {
                    ServiceError::Refused
                } else {
                    ServiceError::Lost
                });
            }
            Ok(done) => self.render(&mut state, now, &done),
            Err(problem) => (self.refuse(&problem), Delivery::Whole),
        };
        let with_nonce = parts.method == Method::POST || parts.uri.path().ends_with("/new-nonce");
        let nonce = with_nonce.then(|| state.ca.fresh_nonce());
        drop(state);
        Ok(self.deliver(now, parts, out, nonce))
    }

    fn done(
        &self,
        state: &mut State,
        now: i64,
        parts: &request::Parts,
        body: &[u8],
    ) -> Result<Done, Problem> {
        let target = Target::of(parts.uri.path(), parts.uri.query());
        let target = target.ok_or_else(|| Problem::not_found("resource"))?;
        let open = matches!(target, Target::Directory | Target::NewNonce | Target::RenewalInfo(_));
        let read = matches!(parts.method, Method::GET | Method::HEAD);
        let call = match (open, read, &parts.method) {
            (true, true, _) => target.call(0, None)?,
            (false, false, &Method::POST) => {
                return self.signed(state, now, &target, parts, body);
            }
            _ => return Err(Problem::malformed("Method not allowed").with_status(405)),
        };
        let answer = state.ca.handle(now, &self.source, &call);
        Ok(Done { call, answer })
    }

    fn signed(
        &self,
        state: &mut State,
        now: i64,
        target: &Target,
        parts: &request::Parts,
        body: &[u8],
    ) -> Result<Done, Problem> {
        let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if kind != Some(b"application/jose+json") {
            let text = "Invalid Content-Type header on POST. It must be \"application/jose+json\"";
            return Err(Problem::malformed(text).with_status(415));
        }
        let jws = Jws::read(body)?;
        jws.algorithm()?;
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        if jws.url()? != format!("{}{path}", self.config.base_url) {
            let text = "JWS header parameter 'url' is not the URL that was asked";
            return Err(Problem::new(ErrorKind::Unauthorized, text));
        }
        let (call, key) = self.authenticated(state, target, &jws)?;
        if let Err(problem) = state.ca.redeem_nonce(jws.nonce()?) {
            let answer =
                Answer { result: Err(problem), retry_after: None, delivery: Delivery::Whole };
            state.ca.audit.record(now, &call, &answer);
            return Ok(Done { call, answer });
        }
        let answer = state.ca.handle(now, &self.source, &call);
        if let Some(key) = key
            && let Some(id) = state.ca.account_of(&key.fingerprint())
        {
            state.keys.entry(id).or_insert(key);
        }
        Ok(Done { call, answer })
    }

    /// The request, once its signature is verified; and the key, where it came along.
    fn authenticated(
        &self,
        state: &State,
        target: &Target,
        jws: &Jws,
    ) -> Result<(Call, Option<Jwk>), Problem> {
        let payload = || jws.payload();
        match (jws.signer()?, target) {
            (Signer::Key(key), Target::NewAccount) => {
                jws.verify(&key)?;
                let new = self.new_account(jws, &key, &payload()?.unwrap_or_default())?;
                Ok((Call::NewAccount(new), Some(*key)))
            }
            (Signer::Key(_), _) => Err(Problem::malformed("No Key ID in JWS header")),
            (Signer::Account(url), target) => {
                let unknown = || {
                    let text = format!("Account {url:?} not found");
                    Problem::new(ErrorKind::AccountDoesNotExist, text)
                };
                let prefix = format!("{}/acme/acct/", self.config.base_url);
                let id = url.strip_prefix(prefix.as_str()).and_then(|id| id.parse().ok());
                let id: AccountId = id.ok_or_else(unknown)?;
                jws.verify(state.keys.get(&id).ok_or_else(unknown)?)?;
                if matches!(target, Target::Account(it) | Target::Orders(it, _) if *it != id) {
                    let text = "Request signing key did not match account key";
                    return Err(Problem::new(ErrorKind::Unauthorized, text));
                }
                Ok((target.call(id, payload()?.as_ref())?, None))
            }
        }
    }

    fn new_account(&self, jws: &Jws, key: &Jwk, payload: &Value) -> Result<NewAccount, Problem> {
        let keys = |kid: &str| self.config.external_keys.get(kid).cloned();
        let binding = payload.get("externalAccountBinding");
        let external = binding.map(|it| jws::external(it, jws, keys)).transpose()?;
        let contacts = payload.get("contact").map(route::texts).transpose()?;
        Ok(NewAccount {
            key: key.fingerprint(),
            thumbprint: key.thumbprint(),
            contacts: contacts.unwrap_or_default(),
            terms_agreed: payload["termsOfServiceAgreed"] == true,
            only_existing: payload["onlyReturnExisting"] == true,
            external,
        })
    }

    fn render(&self, state: &mut State, now: i64, done: &Done) -> (Rendered, Delivery) {
        let mut out = match &done.answer.result {
            Err(problem) => self.refuse(problem),
            Ok(reply) => self.reply(state, &done.call, reply),
        };
        if let Some(retry) = done.answer.retry_after {
            out.header(header::RETRY_AFTER, &retry_after(now, retry));
        }
        (out, done.answer.delivery)
    }

    fn refuse(&self, problem: &Problem) -> Rendered {
        let body = render::problem(problem).to_string();
        let mut out = Rendered::new(problem.status, "application/problem+json", body);
        self.link(&mut out, &self.urls().directory(), "index");
        out
    }

    fn urls(&self) -> Urls<'_> {
        Urls(&self.config.base_url)
    }

    fn link(&self, out: &mut Rendered, url: &str, relation: &str) {
        out.header(header::LINK, &format!("<{url}>;rel=\"{relation}\""));
    }

    fn reply(&self, state: &mut State, call: &Call, reply: &Reply) -> Rendered {
        let urls = self.urls();
        let mut out = match reply {
            Reply::Plain => match call {
                Call::Directory => Rendered::json(200, &render::directory(state.ca.config())),
                Call::NewNonce => Rendered::new(204, "", String::new()),
                _ => Rendered::new(200, "", String::new()),
            },
            Reply::Account(account) => {
                let status = if account.created { 201 } else { 200 };
                let lists = self.config.lists_orders;
                let mut out = Rendered::json(status, &render::account(&urls, account, lists));
                out.header(header::LOCATION, &urls.account(account.id));
                out
            }
            Reply::Orders(ids, more) => self.orders(call, ids, *more),
            Reply::Order(order) => {
                let status = if matches!(call, Call::NewOrder { .. }) { 201 } else { 200 };
                let mut out = Rendered::json(status, &render::order(&urls, order));
                out.header(header::LOCATION, &urls.order(order.id));
                out
            }
            Reply::Authorization(it) => Rendered::json(200, &render::authorization(&urls, it)),
            Reply::Challenge(it) => {
                let mut out = Rendered::json(200, &render::challenge(&urls, it));
                self.link(&mut out, &urls.authorization(it.authorization), "up");
                out
            }
            Reply::Certificate(leaf, chain) => self.certificate(state, leaf, *chain),
            Reply::RenewalInfo(window) => Rendered::json(200, &render::renewal(window)),
        };
        if !matches!(call, Call::Directory) {
            self.link(&mut out, &urls.directory(), "index");
        }
        out
    }

    fn orders(&self, call: &Call, ids: &[u64], more: bool) -> Rendered {
        let urls = self.urls();
        let orders: Vec<String> = ids.iter().map(|id| urls.order(*id)).collect();
        let mut out = Rendered::json(200, &serde_json::json!({ "orders": orders }));
        if let (true, Some(last), Some(account)) = (more, ids.last(), call.account()) {
            let next = format!("{}?cursor={last}", urls.orders(account));
            self.link(&mut out, &next, "next");
        }
        out
    }

    fn certificate(&self, state: &mut State, leaf: &Leaf, chain: usize) -> Rendered {
        let pem = match state.chain(leaf, chain) {
            Ok(pem) => pem,
            Err(problem) => return self.refuse(&problem),
        };
        let mut out = Rendered::new(200, "application/pem-certificate-chain", pem);
        let url = self.urls().certificate(leaf.serial);
        for other in (0..state.authority.chains()).filter(|other| *other != chain) {
            let other = if other == 0 { url.clone() } else { format!("{url}/{other}") };
            self.link(&mut out, &other, "alternate");
        }
        out
    }

    fn deliver(
        &self,
        now: i64,
        parts: &request::Parts,
        (out, delivery): (Rendered, Delivery),
        nonce: Option<String>,
    ) -> http::Response<CaBody> {
        let head = parts.method == Method::HEAD;
        let bytes = Bytes::from(if head { String::new() } else { out.body });
        let body = match delivery {
            Delivery::Truncated => CaBody::truncated(bytes),
            Delivery::Slow(ms) => CaBody::late(bytes, self.shared.clone(), now + ms),
            Delivery::Whole | Delivery::Lost => CaBody::whole(bytes),
        };
        let mut response = http::Response::new(body);
        let status = if head && out.status == 204 { 200 } else { out.status };
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        let nonce = nonce.map(|nonce| (NONCE, nonce));
        let fixed = [
            (header::CACHE_CONTROL, "public, max-age=0, no-cache".to_owned()),
            (header::DATE, http_date(now)),
        ];
        for (name, value) in out.headers.into_iter().chain(fixed).chain(nonce) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(name, value);
            }
        }
        response
    }
}

/// An answer, before it is delivered.
struct Rendered {
    status: u16,
    headers: Vec<(HeaderName, String)>,
    body: String,
}

impl Rendered {
    fn new(status: u16, kind: &str, body: String) -> Self {
        let headers = match kind {
            "" => Vec::new(),
            kind => vec![(header::CONTENT_TYPE, kind.to_owned())],
        };
        Rendered { status, headers, body }
    }

    fn json(status: u16, body: &Value) -> Self {
        Rendered::new(status, "application/json", body.to_string())
    }

    fn header(&mut self, name: HeaderName, value: &str) {
        self.headers.push((name, value.to_owned()));
    }
}

fn retry_after(now: i64, retry: RetryAfter) -> String {
    match retry.style {
        // Rounded up to a whole second, which is what a date says.
        RetryStyle::Date => http_date(retry.at + 999),
        _ => ((retry.at - now).max(0) + 999).div_euclid(1000).to_string(),
    }
}

fn http_date(ms: i64) -> String {
    let seconds = u64::try_from(ms.div_euclid(1000)).unwrap_or(0);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    let malformed = |_| Problem::malformed("not base64url without padding");
    URL_SAFE_NO_PAD.decode(text).map_err(malformed)
}

impl<B> tower::Service<http::Request<B>> for CaService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<CaBody>;
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
                Err(_) => {
                    let out = service.refuse(&internal().with_status(413));
                    let now = service.shared.now();
                    Ok(service.deliver(now, &parts, (out, Delivery::Whole), None))
                }
            }
        })
    }
}
