use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::lease;
use crate::metrics::{IssuerSample, Ready, Snapshot};

use super::*;

const S: fn(u64) -> Duration = Duration::from_secs;

fn started() -> Now {
    let wall = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    Now { instant: Instant::now(), wall }
}

fn after(start: Now, real: Duration, wall: Duration) -> Now {
    Now { instant: start.instant + real, wall: start.wall + wall }
}

/// Metrics that are longer than what fits between client and server.
fn metrics() -> Metrics {
    let issuer = IssuerSample { name: "a".into(), namespace: None, ready: Ready::True };
    let snapshot = Snapshot { issuers: vec![issuer; 100], ..Snapshot::default() };
    let (_, samples) = watch::channel(Arc::new(snapshot));
    Metrics::build(samples).unwrap().1
}

/// Health with an API server that may be silent for 60 s.
fn health(fence: lease::Fence, start: Now) -> (Health, Contact) {
    let contact = Contact::default();
    (Health::new(fence, S(80), (contact.clone(), S(60)), start), contact)
}

fn site(started: Now) -> Site {
    let (health, _) = health(lease::unelected().fence(), started);
    Site { health, metrics: Some(metrics()) }
}

fn get(site: &Site, uri: &'static str, now: Now) -> (u16, String) {
    let answer = site.answer(&Method::GET, &Uri::from_static(uri), now);
    let status = answer.status().as_u16();
    let body = futures::executor::block_on(answer.into_body().collect()).unwrap();
    (status, String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

#[test]
fn live_fails_when_a_held_lease_is_not_renewed_for_lease_and_tolerance() {
    let start = started();
    let fence = lease::Fence::new(S(40));
    let (health, _) = health(fence.clone(), start);
    let at = |seconds| health.live(after(start, S(seconds), S(seconds)));
    assert!(at(1000).is_good(), "a follower renews nothing");
    fence.open(1, start.instant);
    assert!(at(80).is_good());
    assert!(!at(81).is_good());
    let verdict = at(81).to_string();
    let expected = "[-]leaderElection failed: the lease was last renewed 81s ago\n\
                    [+]clockHealth ok\n";
    assert_eq!(verdict, expected);
    fence.close();
    assert!(at(81).is_good(), "it gave up, as it should");
}

#[test]
fn live_fails_when_the_clocks_drift_apart_either_way() {
    let start = started();
    let (health, _) = health(lease::unelected().fence(), start);
    let live = |real, wall| health.live(after(start, S(real), S(wall))).is_good();
    assert!(live(10_000, 10_000));
    assert!(live(10_000, 10_300));
    assert!(!live(10_000, 10_301));
    assert!(live(10_000, 9_700));
    assert!(!live(10_000, 9_699));
}

#[test]
fn ready_waits_for_the_api_server_and_a_leader_for_its_feeds() {
    let start = started();
    let fence = lease::Fence::new(S(40));
    let (health, contact) = health(fence.clone(), start);
    let verdict = health.ready(start).to_string();
    let expected = "[-]apiServer failed: the API server has not answered yet\n[+]feeds ok\n";
    assert_eq!(verdict, expected);
    contact.heard(start.instant);
    assert!(health.ready(start).is_good(), "a follower stands by");
    fence.open(1, start.instant);
    assert!(!health.ready(start).is_good());
    health.set_feeds_synced(true);
    assert!(health.ready(start).is_good());
}

#[test]
fn ready_ends_when_the_api_server_falls_silent_also_for_a_leader_that_had_seen_everything() {
    let start = started();
    let (health, contact) = health(lease::unelected().fence(), start);
    health.set_feeds_synced(true);
    contact.heard(start.instant);
    let at = |seconds| health.ready(after(start, S(seconds), S(seconds)));
    assert!(at(60).is_good());
    let expected = "[-]apiServer failed: the API server last answered 61s ago\n[+]feeds ok\n";
    assert_eq!(at(61).to_string(), expected);
    contact.heard(start.instant + S(61));
    assert!(at(61).is_good());
}

#[tokio::test]
async fn only_an_answer_of_the_api_server_itself_counts_as_contact() {
    use tower::{Layer, ServiceExt};
    let contact = Contact::default();
    let answering = |code: u16| {
        let inner = tower::service_fn(move |()| async move {
            Ok::<_, Infallible>(Response::builder().status(code).body(()).unwrap())
        });
        contact.layer().layer(inner).oneshot(())
    };
    answering(503).await.unwrap();
    assert_eq!(contact.age(Instant::now()), None, "a proxy may say so with nobody behind");
    answering(403).await.unwrap();
    assert!(contact.age(Instant::now()).is_some());
}

#[test]
fn each_path_answers_its_own_question() {
    let (site, now) = (site(started()), started());
    assert_eq!(get(&site, "/livez", now), (200, "ok".into()));
    assert_eq!(get(&site, "/healthz?verbose", now).1, "[+]leaderElection ok\n[+]clockHealth ok\n");
    assert_eq!(get(&site, "/readyz", now).0, 500);
    assert_eq!(get(&site, "/", now).0, 404);
    let (status, text) = get(&site, "/metrics", now);
    assert_eq!(status, 200);
    assert!(text.contains("certmanager_clock_time_seconds 1700000000\n"), "{text}");
    let health_only = Site { metrics: None, ..site };
    assert_eq!(get(&health_only, "/metrics", now).0, 404);
}

#[test]
fn only_reading_is_allowed() {
    let answer = site(started()).answer(&Method::POST, &Uri::from_static("/metrics"), started());
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()[header::ALLOW], "GET, HEAD");
}

#[test]
fn prometheus_is_told_the_format() {
    let answer = site(started()).answer(&Method::GET, &Uri::from_static("/metrics"), started());
    let content_type = &answer.headers()[header::CONTENT_TYPE];
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
}

/// A connection in virtual time; the sender closes it.
fn connect() -> (DuplexStream, watch::Sender<bool>) {
    let (ours, theirs) = duplex(1024);
    let (closing, closed) = watch::channel(false);
    tokio::spawn(connection(theirs, site(Now::read()), closed));
    (ours, closing)
}

async fn rest(stream: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_head_is_cut_off() {
    let (mut stream, _closing) = connect();
    let start = Instant::now();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost:").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(start.elapsed() <= HEAD_TIMEOUT + S(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_head_too_large_or_with_too_many_headers_is_refused() {
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(MAX_HEAD));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(MAX_HEADERS + 1));
    for head in [large, many] {
        let (mut stream, _closing) = connect();
        // The server may hang up before it has read all.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_off_at_the_age_limit() {
    let (mut stream, closing) = connect();
    let start = Instant::now();
    // The answer does not fit the 1024 bytes between them.
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    closing.closed().await;
    assert!(start.elapsed() >= MAX_AGE && start.elapsed() <= MAX_AGE + GRACE + S(1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_under_way_is_finished_when_the_server_stops() {
    let (mut stream, closing) = connect();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.unwrap();
    closing.send(true).unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    assert!(answer.contains("certmanager_clock_time_seconds_gauge "), "{answer}");
}

#[tokio::test]
async fn it_serves_over_tcp_until_told_to_stop() {
    let address: ListenAddress = "127.0.0.1:0".parse().unwrap();
    let listener = bind(&address).await.unwrap().unwrap();
    let local = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async { stopped.await.unwrap_or(()) };
    let server = tokio::spawn(serve(Door::plain(listener), site(Now::read()), stopping));
    let mut stream = TcpStream::connect(local).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stop.send(()).unwrap();
    server.await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"ok"));
    assert!(TcpStream::connect(local).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn an_address_in_use_is_named_in_the_error_and_none_is_no_error() {
    let first = bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap().unwrap();
    let taken: ListenAddress = first.local_addr().unwrap().to_string().parse().unwrap();
    let error = bind(&taken).await.unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()), "{error}");
    assert!(bind(&ListenAddress::Off).await.unwrap().is_none());
    assert!(bind(&":0".parse().unwrap()).await.unwrap().is_some());
}
