//! Servers on this machine that stand in for the real ones, and what tests are set up with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use everleaf_api::types::reference::SecretKeySelector;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record as ResourceRecord, RecordType};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::{Clock, Context, Http, Record, Secret, Secrets};

/// A request as a server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(crate) fn query(&self, name: &str) -> Option<String> {
        pairs(self.target.split_once('?').map_or("", |(_, query)| query)).remove(name)
    }

    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        pairs(&self.body)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The method and the path, to match on.
    pub(crate) fn call(&self) -> (&str, &str) {
        (&self.method, self.path())
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// What a server answers.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, body.to_string())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An HTTP server that answers each request by a function.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(Mutex::new(answer)), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let service = service_fn(move |request| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move { serve(request, &answer, &log).await }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests of a method there were.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method == method).count()
    }
}

async fn serve<F: FnMut(&Seen) -> Reply>(
    request: hyper::Request<Incoming>,
    answer: &Mutex<F>,
    log: &Mutex<Vec<Seen>>,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let headers = parts.headers.iter().map(|(name, value)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let seen = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = (answer.lock().unwrap())(&seen);
    log.lock().unwrap().push(seen);
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(reply.body))).unwrap())
}

/// What a name server answers.
pub(crate) struct Answer {
    pub(crate) code: ResponseCode,
    pub(crate) records: Vec<ResourceRecord>,
    pub(crate) truncated: bool,
}

impl Answer {
    pub(crate) fn of(records: Vec<ResourceRecord>) -> Self {
        Self { code: ResponseCode::NoError, records, truncated: false }
    }

    pub(crate) fn code(code: ResponseCode) -> Self {
        Self { code, records: Vec::new(), truncated: false }
    }
}

pub(crate) fn rr(name: &str, data: RData) -> ResourceRecord {
    ResourceRecord::from_rdata(Name::from_ascii(name).unwrap(), 60, data)
}

/// A name server over UDP and TCP on one port; the function gets name, type, and whether by TCP.
pub(crate) async fn name_server(
    answer: impl Fn(&str, RecordType, bool) -> Answer + Send + Sync + 'static,
) -> std::net::SocketAddr {
    let (tcp, udp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // The same port may be taken for UDP.
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            break (tcp, udp);
        }
    };
    let address = tcp.local_addr().unwrap();
    let answer = Arc::new(answer);
    let by_udp = Arc::clone(&answer);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            let reply = respond(&buffer[..length], &*by_udp, false);
            udp.send_to(&reply, from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut buffer = vec![0; usize::from(length)];
            stream.read_exact(&mut buffer).await.unwrap();
            let reply = respond(&buffer, &*answer, true);
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    address
}

/// The answer to a query in wire format.
pub(crate) fn respond(
    query: &[u8],
    answer: &(impl Fn(&str, RecordType, bool) -> Answer + ?Sized),
    tcp: bool,
) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let asked = query.queries[0].clone();
    let found = answer(&asked.name().to_ascii().to_ascii_lowercase(), asked.query_type(), tcp);
    let mut message = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    message.metadata.response_code = found.code;
    message.metadata.truncation = found.truncated;
    message.add_query(asked);
    message.answers = found.records;
    message.to_vec().unwrap()
}

pub(crate) const NOW: &str = "2026-11-22T20:00:00Z";

pub(crate) fn clock() -> Clock {
    Clock::new(|| NOW.parse().unwrap())
}

/// One client, since each reads the platform's certificates; servers differ by port.
pub(crate) fn http() -> Http {
    static HTTP: OnceLock<Http> = OnceLock::new();
    HTTP.get_or_init(|| Http::new().unwrap()).clone()
}

/// A context at [`NOW`] without ambient credentials.
pub(crate) fn context() -> Context {
    Context::new(http(), clock())
}

/// A context whose pod has these environment variables, which may be used.
pub(crate) fn ambient(variables: &[(&str, &str)]) -> Context {
    let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Context { environment: Arc::new(owned.collect()), ambient: true, ..context() }
}

pub(crate) fn selector(key: &str) -> SecretKeySelector {
    SecretKeySelector { name: "dns".to_owned(), key: Some(key.to_owned()) }
}

pub(crate) fn secrets(values: &[(&str, &str)]) -> Secrets {
    let mut secrets = Secrets::default();
    for (key, value) in values {
        secrets.insert("dns", *key, Secret::new(*value));
    }
    secrets
}

pub(crate) fn record(value: &str) -> Record {
    Record {
        domain: "www.example.com".to_owned(),
        fqdn: "_acme-challenge.www.example.com.".to_owned(),
        zone: "example.com.".to_owned(),
        value: value.to_owned(),
        ttl: 60,
    }
}
