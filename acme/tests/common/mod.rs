//! A CA that answers as a test tells it to.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use everleaf_acme::{Account, AccountKey, Client, Limits, Tally, Transport, TransportError};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use serde_json::{Value, json};

pub const KEY: &[u8] = include_bytes!("../data/rfc7515-a2.pem");

/// A request, opened.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: Method,
    pub path: String,
    /// `null` for unsigned requests.
    pub protected: Value,
    /// `null` for POST-as-GET and unsigned requests.
    pub payload: Value,
}

impl Sent {
    pub fn nonce(&self) -> &str {
        self.protected["nonce"].as_str().unwrap()
    }
}

pub type Reply = Result<Response<Bytes>, TransportError>;
type Handler = Box<dyn FnMut(&Sent) -> Reply + Send>;

/// The directory and newNonce answer by themselves, everything else through the handler. Every
/// answer to a signed request carries a nonce, unless it has one.
#[derive(Clone)]
pub struct Script(Arc<Mutex<State>>);

struct State {
    handler: Handler,
    directory: Value,
    sent: Vec<Sent>,
    nonces: u32,
}

pub fn directory() -> Value {
    json!({
        "newNonce": "https://ca.test/nonce", "newAccount": "https://ca.test/new-account",
        "newOrder": "https://ca.test/new-order", "revokeCert": "https://ca.test/revoke",
        "keyChange": "https://ca.test/key-change", "renewalInfo": "https://ca.test/ari",
        "meta": {"profiles": {"classic": "90 days"}, "externalAccountRequired": false},
    })
}

impl Script {
    pub fn new(handler: impl FnMut(&Sent) -> Reply + Send + 'static) -> Self {
        let (handler, directory) = (Box::new(handler), directory());
        Script(Arc::new(Mutex::new(State { handler, directory, sent: Vec::new(), nonces: 0 })))
    }

    pub fn set_directory(&self, directory: Value) {
        self.0.lock().unwrap().directory = directory;
    }

    /// Every request so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.0.lock().unwrap().sent.clone()
    }

    pub fn paths(&self) -> Vec<String> {
        self.sent().iter().map(|sent| format!("{} {}", sent.method, sent.path)).collect()
    }

    /// The signed requests so far.
    pub fn signed(&self) -> Vec<Sent> {
        self.sent().into_iter().filter(|sent| sent.method == Method::POST).collect()
    }

    pub fn client(&self) -> Client {
        self.watched(Arc::new(Tally::default()))
    }

    pub fn watched(&self, tally: Arc<Tally>) -> Client {
        Client::new("https://ca.test/dir", self.clone(), tally, Limits::default()).unwrap()
    }

    pub fn account(&self) -> Account {
        let key = Arc::new(AccountKey::from_pem(KEY).unwrap());
        self.client().account(key, "https://ca.test/acct/1".to_owned())
    }
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Reply {
        let sent = opened(request);
        self.sent.push(sent.clone());
        let mut answer = match (sent.method.as_str(), sent.path.as_str()) {
            ("GET", "/dir") => return Ok(json_answer(200, &self.directory)),
            ("HEAD", "/nonce") => json_answer(200, &Value::Null),
            _ => (self.handler)(&sent)?,
        };
        self.nonces += 1;
        let nonce = format!("nonce-{}", self.nonces).parse().unwrap();
        answer.headers_mut().entry("replay-nonce").or_insert(nonce);
        Ok(answer)
    }
}

impl Transport for Script {
    fn exchange(&self, request: Request<Bytes>, limit: usize) -> BoxFuture<'_, Reply> {
        let reply = self.0.lock().unwrap().answer(&request);
        let bounded = reply.and_then(|answer| match answer.body().len() > limit {
            true => Err(TransportError::TooLarge(limit)),
            false => Ok(answer),
        });
        async move { bounded }.boxed()
    }
}

fn opened(request: &Request<Bytes>) -> Sent {
    let jws: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let part = |name: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(jws[name].as_str().unwrap_or_default()).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    Sent {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        protected: part("protected"),
        payload: part("payload"),
    }
}

pub fn json_answer(status: u16, body: &Value) -> Response<Bytes> {
    with(status, &[], body)
}

pub fn with(status: u16, headers: &[(&str, &str)], body: &Value) -> Response<Bytes> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    text(status, headers, body)
}

pub fn text(status: u16, headers: &[(&str, &str)], body: String) -> Response<Bytes> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Bytes::from(body)).unwrap()
}

pub fn problem(status: u16, kind: &str) -> Response<Bytes> {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    json_answer(status, &json!({"type": kind, "detail": "scripted"}))
}

pub fn order(status: &str) -> Value {
    json!({
        "status": status, "identifiers": [{"type": "dns", "value": "a.test"}],
        "authorizations": ["https://ca.test/authz/1"], "finalize": "https://ca.test/finalize/1",
    })
}
