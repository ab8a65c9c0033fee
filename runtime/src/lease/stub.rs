//! An API server that knows one Lease, with the faults that matter to an election.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tower::Service;

/// The stored Lease, shared by the contenders.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    lease: Option<Lease>,
    version: u64,
    /// `METHOD status` of every request that was answered.
    log: Vec<String>,
}

/// What goes wrong on one contender's way to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// 500.
    Refuse,
    /// The request is lost.
    Hang,
    /// The request is carried out, its answer lost.
    LoseAnswer,
    /// Reads work, writes are lost.
    HangWrites,
}

/// One contender's connection.
#[derive(Clone)]
pub(super) struct Line {
    server: Server,
    fault: Arc<Mutex<Fault>>,
}

impl Server {
    pub(super) fn connect(&self) -> Line {
        Line { server: self.clone(), fault: Arc::default() }
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        self.0.lock().unwrap().lease.clone()
    }

    pub(super) fn holder(&self) -> Option<String> {
        self.lease()?.spec?.holder_identity
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.0.lock().unwrap().log.clone()
    }

    /// Somebody else's change, or deletion.
    pub(super) fn put(&self, lease: Option<Lease>) {
        let mut store = self.0.lock().unwrap();
        store.version += 1;
        let version = store.version.to_string();
        store.lease = lease.map(|mut lease| {
            lease.metadata.resource_version = Some(version);
            lease
        });
    }

    fn answer(&self, method: &Method, body: &[u8]) -> Response<Body> {
        let mut store = self.0.lock().unwrap();
        let (code, lease) = store.act(method, body);
        store.log.push(format!("{method} {}", code.as_u16()));
        let body = match lease {
            Some(lease) => serde_json::to_vec(&lease).unwrap(),
            None => failure(code),
        };
        Response::builder().status(code).body(Body::from(body)).unwrap()
    }
}

impl Store {
    fn act(&mut self, method: &Method, body: &[u8]) -> (StatusCode, Option<Lease>) {
        if method == Method::GET {
            return match &self.lease {
                Some(lease) => (StatusCode::OK, Some(lease.clone())),
                None => (StatusCode::NOT_FOUND, None),
            };
        }
        let mut sent: Lease = serde_json::from_slice(body).unwrap();
        let code = match (method == Method::POST, &self.lease) {
            (true, Some(_)) => return (StatusCode::CONFLICT, None),
            (true, None) => StatusCode::CREATED,
            (false, None) => return (StatusCode::NOT_FOUND, None),
            (false, Some(stored)) => {
                let (sent, stored) = (&sent.metadata, &stored.metadata);
                assert!(sent.resource_version.is_some(), "a write must be conditional");
                if sent.resource_version != stored.resource_version {
                    return (StatusCode::CONFLICT, None);
                }
                StatusCode::OK
            }
        };
        self.version += 1;
        sent.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(sent.clone());
        (code, Some(sent))
    }
}

fn failure(code: StatusCode) -> Vec<u8> {
    let reason = match code {
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::CONFLICT => "Conflict",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": reason, "message": reason, "code": code.as_u16(),
    });
    serde_json::to_vec(&status).unwrap()
}

impl Line {
    pub(super) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    pub(super) fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

impl Service<Request<Body>> for Line {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (server, fault) = (self.server.clone(), *self.fault.lock().unwrap());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            match fault {
                Fault::None => Ok(server.answer(&head.method, &body)),
                Fault::HangWrites if head.method == Method::GET => {
                    Ok(server.answer(&head.method, &body))
                }
                Fault::Refuse => {
                    let code = StatusCode::INTERNAL_SERVER_ERROR;
                    let answer = Response::builder().status(code);
                    Ok(answer.body(Body::from(failure(code))).unwrap())
                }
                Fault::LoseAnswer => {
                    server.answer(&head.method, &body);
                    pending().await
                }
                Fault::Hang | Fault::HangWrites => pending().await,
            }
        })
    }
}
