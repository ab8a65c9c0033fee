//! A proxy in front of Pebble, for what Pebble cannot be asked for.
//!
//! Pebble makes its URLs of the `Host` header and expects it in signatures, so requests go on as
//! they came, and everything that a client is led to leads through the proxy.

use crate::server::{Handler, Manner, Reply, Server};
use crate::upstream::Upstream;
use crate::{Authority, variable};
use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use http::{Request, Response};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// The directory.
    Directory,
    /// A nonce.
    Nonce,
    /// A new account, or the one that a key has.
    NewAccount,
    /// An account.
    Account,
    /// A new order.
    NewOrder,
    /// The orders of an account.
    Orders,
    /// An order.
    Order,
    /// An authorization.
    Authorization,
    /// A challenge: to be validated, or its state.
    Challenge,
    /// The certificate of an order.
    Finalize,
    /// A chain.
    Certificate,
    /// Renewal information and the rest.
    Other,
}

/// The first segments of Pebble's paths.
const PATHS: [(&str, Asked); 11] = [
    ("dir", Asked::Directory),
    ("nonce-plz", Asked::Nonce),
    ("sign-me-up", Asked::NewAccount),
    ("my-account", Asked::Account),
    ("order-plz", Asked::NewOrder),
    ("list-orderz", Asked::Orders),
    ("my-order", Asked::Order),
    ("authZ", Asked::Authorization),
    ("chalZ", Asked::Challenge),
    ("finalize-order", Asked::Finalize),
    ("certZ", Asked::Certificate),
];

fn asked(path: &str) -> Asked {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    PATHS.iter().find(|(known, _)| *known == first).map_or(Asked::Other, |(_, asked)| *asked)
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, `Retry-After` in seconds.
    LimitedFor(u32),
    /// 429, `Retry-After` as a date so many seconds from now.
    LimitedUntil(u32),
    /// 503, `Retry-After` in seconds if there are any.
    Unavailable(Option<u32>),
    /// The nonce is refused, whatever it is.
    BadNonce,
    /// The request is carried out, and the answer is 500.
    LostAnswer,
    /// The request is carried out, and the body of its answer is sent so.
    Body(Manner),
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When it came.
    pub at: SystemTime,
    /// What was asked for.
    pub asked: Asked,
    /// What Pebble answered; none if it was not asked.
    pub carried_out: Option<u16>,
    /// What the client was answered.
    pub answered: u16,
    /// Where Pebble said that the resource is.
    pub location: String,
}

#[derive(Default)]
struct State {
    /// What is refused for the time being.
    refused: BTreeSet<Asked>,
    plan: BTreeMap<Asked, VecDeque<Fault>>,
    log: Vec<Exchange>,
}

impl State {
    fn next(&mut self, asked: Asked) -> Option<Fault> {
        if self.refused.contains(&asked) {
            return Some(Fault::Unavailable(Some(1)));
        }
        self.plan.get_mut(&asked).and_then(VecDeque::pop_front)
    }
}

/// The proxy. It ends when dropped.
pub struct FaultProxy {
    server: Server,
    authority: Authority,
    host: String,
    state: Arc<Mutex<State>>,
}

impl FaultProxy {
    /// Starts one in front of the test bed's Pebble; `None` if the test bed names none.
    pub fn start() -> Option<Self> {
        let (pebble, ca) = (variable("TESTBED_PEBBLE")?, variable("TESTBED_CA")?);
        let host = variable("TESTBED_HOST")?;
        let authority = Authority::new("fault proxy");
        let (upstream, state) = (Upstream::of(&pebble, Some(&ca)), Arc::default());
        let handler = handler(upstream, Arc::clone(&state));
        let server = Server::start(&host, Some(authority.server(&[&host])), handler);
        Some(Self { server, authority, host, state })
    }

    /// The URL of the directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.server.address())
    }

    /// What its certificate is below, as PEM.
    pub fn bundle(&self) -> String {
        self.authority.pem()
    }

    /// The next requests of a kind meet these faults, each one of them.
    pub fn plan(&self, asked: Asked, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.state).plan.entry(asked).or_default().extend(faults);
    }

    /// Answers requests of a kind with 503 from now on, or no longer.
    pub fn refuse(&self, asked: Asked, refused: bool) {
        let mut state = lock(&self.state);
        match refused {
            true => state.refused.insert(asked),
            false => state.refused.remove(&asked),
        };
    }

    /// How long ago Pebble last carried out a request of a kind.
    pub fn quiet(&self, asked: Asked) -> Duration {
        let log = self.log(asked);
        let last = log.iter().rfind(|exchange| exchange.carried_out.is_some());
        last.and_then(|last| last.at.elapsed().ok()).unwrap_or(Duration::MAX)
    }

    /// How many planned faults no request has met yet.
    pub fn left(&self) -> usize {
        lock(&self.state).plan.values().map(VecDeque::len).sum()
    }

    /// Shows a certificate that nobody trusts; or again the right one.
    pub fn show_wrong_certificate(&self, wrong: bool) {
        let other = Authority::new("somebody else");
        let by = if wrong { &other } else { &self.authority };
        self.server.show(by.server(&[&self.host]));
    }

    /// All requests up to now, of a kind.
    pub fn log(&self, asked: Asked) -> Vec<Exchange> {
        let state = lock(&self.state);
        state.log.iter().filter(|exchange| exchange.asked == asked).cloned().collect()
    }

    /// How many requests there were, by kind.
    pub fn counts(&self) -> BTreeMap<Asked, usize> {
        let mut counts = BTreeMap::new();
        for exchange in &lock(&self.state).log {
            *counts.entry(exchange.asked).or_default() += 1;
        }
        counts
    }

    /// The orders that Pebble has placed, each once.
    pub fn orders(&self) -> BTreeSet<String> {
        let placed = self.log(Asked::NewOrder).into_iter();
        let placed = placed.filter(|exchange| exchange.carried_out == Some(201));
        placed.map(|exchange| exchange.location).collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn handler(upstream: Upstream, state: Arc<Mutex<State>>) -> Handler {
    Arc::new(move |request| {
        let (upstream, state) = (upstream.clone(), Arc::clone(&state));
        async move {
            let (at, asked) = (SystemTime::now(), asked(request.uri().path()));
            let fault = lock(&state).next(asked);
            let (reply, pebbles) = answer(&upstream, request, fault).await;
            let said = |answer: &Response<Bytes>| answer.headers().get(LOCATION).cloned();
            let location = pebbles.as_ref().and_then(said);
            let location = location.and_then(|at| at.to_str().map(str::to_owned).ok());
            lock(&state).log.push(Exchange {
                at,
                asked,
                carried_out: pebbles.map(|answer| answer.status().as_u16()),
                answered: reply.status.as_u16(),
                location: location.unwrap_or_default(),
            });
            reply
        }
        .boxed()
    })
}

/// The answer, and Pebble's if it was asked.
async fn answer(
    upstream: &Upstream,
    request: Request<Bytes>,
    fault: Option<Fault>,
) -> (Reply, Option<Response<Bytes>>) {
    match fault {
        Some(Fault::LimitedFor(seconds)) => (limited(&seconds.to_string()), None),
        Some(Fault::LimitedUntil(seconds)) => {
            let until = SystemTime::now() + Duration::from_secs(seconds.into());
            (limited(&httpdate::fmt_http_date(until)), None)
        }
        Some(Fault::Unavailable(seconds)) => (
            refusal(503, "serverInternal", "down, by the proxy", seconds.map(|s| s.to_string())),
            None,
        ),
        Some(Fault::BadNonce) => (bad_nonce(upstream, &request).await, None),
        Some(Fault::LostAnswer) => {
            let pebbles = upstream.send(request).await.ok();
            (refusal(500, "serverInternal", "the answer was lost", None), pebbles)
        }
        Some(Fault::Body(manner)) => passed(upstream, request, manner).await,
        None => passed(upstream, request, Manner::Whole).await,
    }
}

async fn passed(
    upstream: &Upstream,
    request: Request<Bytes>,
    manner: Manner,
) -> (Reply, Option<Response<Bytes>>) {
    match upstream.send(request).await {
        Ok(answer) => {
            let (status, headers) = (answer.status(), answer.headers().clone());
            (Reply { status, headers, body: answer.body().clone(), manner }, Some(answer))
        }
        Err(error) => (Reply::new(502, "text/plain", error.to_string()), None),
    }
}

fn limited(retry_after: &str) -> Reply {
    refusal(429, "rateLimited", "too many, by the proxy", Some(retry_after.to_owned()))
}

fn refusal(status: u16, kind: &str, detail: &str, retry_after: Option<String>) -> Reply {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    let problem = json!({ "type": kind, "detail": detail, "status": status });
    let mut reply = Reply::new(status, "application/problem+json", problem.to_string());
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
        reply.headers.insert(RETRY_AFTER, value);
    }
    reply
}

/// Refused, with a nonce that is good.
async fn bad_nonce(upstream: &Upstream, request: &Request<Bytes>) -> Reply {
    let mut reply = refusal(400, "badNonce", "refused by the proxy", None);
    let mut fresh = Request::head("/nonce-plz");
    if let Some(host) = request.headers().get(http::header::HOST) {
        fresh = fresh.header(http::header::HOST, host);
    }
    let Ok(fresh) = fresh.body(Bytes::new()) else { return reply };
    if let Ok(answer) = upstream.send(fresh).await {
        let nonce = answer.headers().get("replay-nonce").cloned();
        nonce.into_iter().for_each(|nonce| drop(reply.headers.insert("replay-nonce", nonce)));
    }
    reply
}
