//! One question, one answer: UDP, TCP and HTTPS.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsRequestSender, FirstAnswer};
use hickory_proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Message, MessageType, OpCode, Query,
};
use hickory_proto::rr::{Name, RecordType};
use http::Method;
use http::header::ACCEPT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::Error;
use crate::http::{Call, Http};

/// Asks over UDP, and over TCP where the answer does not fit or does not come.
pub(super) async fn plain(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    timeout: Duration,
) -> Result<Message, Error> {
    let request = question(name, kind);
    match udp(server, request.clone(), timeout / 2).await {
        Ok(answer) if !answer.metadata.truncation => Ok(answer.into_message()),
        _ => Ok(tcp(server, request, timeout / 2).await?.into_message()),
    }
}

fn question(name: &Name, kind: RecordType) -> DnsRequest {
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    // Asked of authoritative servers too: some hidden behind a load balancer only answer so.
    options.recursion_desired = true;
    DnsRequest::from_query(Query::query(name.clone(), kind), options)
}

/// Sends a message in a datagram; answers from elsewhere or to other questions are passed over.
pub(crate) async fn udp(
    server: SocketAddr,
    request: DnsRequest,
    timeout: Duration,
) -> Result<DnsResponse, Error> {
    let builder = UdpClientStream::builder(server, TokioRuntimeProvider::new());
    let mut stream = builder.with_timeout(Some(timeout)).build();
    stream.send_message(request).first_answer().await.map_err(|error| unanswered(server, &error))
}

/// Sends a message over a connection of its own (RFC 1035, section 4.2.2). hickory's client for TCP
/// gives messages other identifiers, and is made for many at once.
pub(crate) async fn tcp(
    server: SocketAddr,
    request: DnsRequest,
    timeout: Duration,
) -> Result<DnsResponse, Error> {
    let octets = request.to_vec().map_err(|error| unanswered(server, &error.into()))?;
    let exchange = tokio::time::timeout(timeout, framed(server, &octets));
    let answer = match exchange.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unanswered(server, &error.into())),
        Err(_) => return Err(unanswered(server, &NetError::Timeout)),
    };
    let answer =
        DnsResponse::from_buffer(answer).map_err(|error| unanswered(server, &error.into()))?;
    let is_ours = answer.metadata.id == request.metadata.id && answer.queries == request.queries;
    // Who refuses a message may leave its question out.
    let is_refusal = answer.metadata.id == request.metadata.id && answer.queries.is_empty();
    if is_ours || is_refusal {
        Ok(answer)
    } else {
        Err(unanswered(server, &NetError::Message("another's")))
    }
}

async fn framed(server: SocketAddr, octets: &[u8]) -> std::io::Result<Vec<u8>> {
    let length = u16::try_from(octets.len()).map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    // In one write, since some servers read the length and the message at once.
    stream.write_all(&[&length.to_be_bytes()[..], octets].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn unanswered(server: SocketAddr, error: &NetError) -> Error {
    let what = match error {
        NetError::Timeout => "did not answer in time",
        NetError::Io(_) => "cannot be reached",
        _ => "did not answer properly",
    };
    Error::transient(format!("{server} {what}"))
}

/// The longest DNS message.
const LONGEST: usize = 65_535;

/// Asks over HTTPS (RFC 8484, section 4.1): POST, and the identifier 0.
pub(super) async fn https(
    http: &Http,
    url: &Url,
    name: &Name,
    kind: RecordType,
    timeout: Duration,
) -> Result<Message, Error> {
    let query = Query::query(name.clone(), kind);
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    let body = message.to_vec().map_err(|_| Error::configuration("a name is too long"))?;
    let call = Call::new(Method::POST, url.clone()).content("application/dns-message", body);
    let call = call.header(ACCEPT, "application/dns-message")?;
    let host = url.host_str().unwrap_or_default();
    let late = |_| Error::transient(format!("{host} did not answer in time"));
    let answer = tokio::time::timeout(timeout, http.send(call)).await.map_err(late)??;
    if !answer.is_ok() {
        return Err(Error::transient(format!(
            "{host} answered with status {}",
            answer.status.as_u16()
        )));
    }
    let wrong =
        || Error::transient(format!("{host} did not answer with the DNS message asked for"));
    if answer.body.len() > LONGEST {
        return Err(wrong());
    }
    let message = Message::from_vec(&answer.body).map_err(|_| wrong())?;
    let is_answer = message.metadata.message_type == MessageType::Response;
    if is_answer && message.queries == [query] { Ok(message) } else { Err(wrong()) }
}
