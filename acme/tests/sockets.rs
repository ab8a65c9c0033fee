//! The transport against servers that behave badly.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use everleaf_acme::{
    AcmeError, Class, Client, Directory, HttpOptions, HttpTransport, InProcess, Limits, MAX_BODY,
    ServerTrust, TlsError, Transport, TransportError,
};
use http::{Request, Response};
use http_body_util::Full;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Writes `answer` to each connection after a request's headers; then closes, or leaves it open.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Bytes, closes: bool) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    // The client may hang up in the middle, which is part of some tests.
    let _ = stream.write_all(&answer).await;
    let _ = stream.flush().await;
    match closes {
        true => drop(stream.shutdown().await),
        false => std::future::pending().await,
    }
}

async fn server(answer: impl Into<Bytes>, closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/dir", listener.local_addr().unwrap());
    let answer = answer.into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, answer.clone(), closes));
        }
    });
    url
}

fn options() -> HttpOptions {
    let total_timeout = Duration::from_secs(20);
    HttpOptions { trust: ServerTrust::Anyone, total_timeout, ..HttpOptions::new("everleaf-test") }
}

async fn directory(url: &str, options: &HttpOptions) -> Result<Arc<Directory>, AcmeError> {
    let transport = HttpTransport::new(options).unwrap();
    Client::new(url, transport, (), Limits::default()).unwrap().directory().await
}

const GOOD: &str = r#"{"newNonce": "https://ca.test/n", "newAccount": "https://ca.test/a",
    "newOrder": "https://ca.test/o"}"#;

fn whole(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_body_cut_short_of_its_length_is_transient() {
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{GOOD}", GOOD.len() + 1);
    let error = directory(&server(cut, true).await, &options()).await.unwrap_err();
    assert!(matches!(error.class, Class::Transient { .. }), "{error}");
}

#[tokio::test]
async fn chunks_without_an_end_are_transient_though_the_json_is_whole() {
    let chunk = format!("{:x}\r\n{GOOD}\r\n", GOOD.len());
    let cut = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}");
    let error = directory(&server(cut, true).await, &options()).await.unwrap_err();
    assert!(matches!(error.class, Class::Transient { .. }), "{error}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up_in_time() {
    let options = HttpOptions { total_timeout: Duration::from_millis(300), ..options() };
    let slow = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let error = directory(&server(slow, false).await, &options).await.unwrap_err();
    let Class::Transient { why, .. } = &error.class else { panic!("{error}") };
    assert!(why.starts_with("no whole answer in time"), "{why}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let options = HttpOptions { total_timeout: Duration::from_millis(300), ..options() };
    let error = directory(&server("", false).await, &options).await.unwrap_err();
    assert!(matches!(error.class, Class::Transient { .. }), "{error}");
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused_whether_or_not_its_length_is_told() {
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MAX_BODY + 1);
    let filler = " ".repeat(MAX_BODY + 1);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{filler}\r\n0\r\n\r\n",
        filler.len()
    );
    for answer in [announced, chunked] {
        let error = directory(&server(answer, false).await, &options()).await.unwrap_err();
        assert!(matches!(error.class, Class::BadAnswer { .. }), "{error}");
    }
    let padded = whole(&format!("{GOOD}{}", " ".repeat(MAX_BODY - GOOD.len())));
    assert!(directory(&server(padded, true).await, &options()).await.is_ok(), "just at the bound");
}

#[tokio::test]
async fn a_refused_connection_is_known_to_have_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/dir", listener.local_addr().unwrap());
    drop(listener);
    let transport = HttpTransport::new(&options()).unwrap();
    let request = Request::get(url).body(Bytes::new()).unwrap();
    let error = transport.exchange(request, 1).await.unwrap_err();
    assert!(matches!(error, TransportError::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_page_that_is_no_directory_is_a_bad_answer_that_names_what_came() {
    let page = "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n";
    let error = directory(&server(page, true).await, &options()).await.unwrap_err();
    let text = "discover: HTTP status 404 without a problem document (text/html)";
    assert_eq!(error.to_string(), text);
}

struct Identity {
    pem: String,
    acceptor: TlsAcceptor,
}

/// A self-signed certificate, as a CA's or as a server's.
fn identity(name: &str, is_ca: bool) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    Identity { pem: certificate.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
}

async fn tls_server(acceptor: TlsAcceptor) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(talk(stream, whole(GOOD).into(), true));
            }
        }
    });
    format!("https://localhost:{port}/dir")
}

fn trusting(pem: &str) -> HttpOptions {
    HttpOptions { trust: ServerTrust::Bundle(pem.as_bytes().to_vec()), ..options() }
}

#[tokio::test]
async fn a_bundle_replaces_the_systems_authorities_and_may_hold_the_servers_own_certificate() {
    for is_ca in [false, true] {
        let (own, other) = (identity("localhost", is_ca), identity("localhost", is_ca));
        let url = tls_server(own.acceptor).await;
        assert!(directory(&url, &trusting(&own.pem)).await.is_ok());
        let both = format!("{}{}", other.pem, own.pem);
        assert!(directory(&url, &trusting(&both)).await.is_ok());
        let error = directory(&url, &trusting(&other.pem)).await.unwrap_err();
        assert!(matches!(error.class, Class::Transient { may_have_acted: false, .. }), "{error}");
        assert!(error.to_string().contains("invalid peer certificate"), "it tells why: {error}");
    }
}

#[tokio::test]
async fn a_bundles_certificate_is_not_accepted_for_another_name_but_by_asking_for_nothing() {
    let other = identity("other.test", false);
    let url = tls_server(other.acceptor).await;
    assert!(directory(&url, &trusting(&other.pem)).await.is_err());
    assert!(directory(&url, &options()).await.is_ok());
}

#[test]
fn a_bundle_without_a_certificate_is_an_error_and_not_the_systems_authorities() {
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = HttpTransport::new(&trusting(pem)).unwrap_err();
        assert!(matches!(error, TlsError::Bundle(_)), "{pem:?}: {error}");
    }
}

const PROXIED: &str = "EVERLEAF_TEST_PROXIED";

/// The environment is a process's own, so each case is a process.
async fn in_environment(variables: &[(&str, &str)]) -> bool {
    let test = "in_a_process_of_its_own_the_directory_comes_if_it_can";
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    for inherited in ["http_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"] {
        child.env_remove(inherited).env_remove(inherited.to_uppercase());
    }
    child.args(["--exact", test]).env(PROXIED, "1").envs(variables.iter().copied());
    child.output().await.unwrap().status.success()
}

#[tokio::test]
async fn in_a_process_of_its_own_the_directory_comes_if_it_can() {
    if std::env::var_os(PROXIED).is_some() {
        let found = directory("http://ca.invalid/dir", &options()).await;
        assert_eq!(found.unwrap().new_nonce, "https://ca.test/n");
    }
}

#[tokio::test]
async fn the_environments_proxy_is_used_but_not_for_what_no_proxy_names() {
    let proxy = server(whole(GOOD), true).await;
    let proxy = proxy.trim_end_matches("/dir");
    assert!(in_environment(&[("HTTP_PROXY", proxy), ("NO_PROXY", "")]).await);
    assert!(in_environment(&[("ALL_PROXY", proxy), ("NO_PROXY", "other.invalid")]).await);
    assert!(!in_environment(&[("HTTP_PROXY", proxy), ("NO_PROXY", "ca.invalid")]).await);
}

#[tokio::test]
async fn a_service_in_process_takes_the_place_of_a_socket() {
    let service = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        assert_eq!(request.uri().path(), "/dir");
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(
            GOOD.as_bytes(),
        ))))
    });
    let client = Client::new("https://ca.test/dir", InProcess(service), (), Limits::default());
    assert_eq!(client.unwrap().directory().await.unwrap().new_order, "https://ca.test/o");
}

#[tokio::test]
async fn a_service_may_say_that_nothing_was_sent() {
    let service = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>(TransportError::Connect("refused".to_owned()))
    });
    let request = Request::get("https://ca.test/").body(Bytes::new()).unwrap();
    let error = InProcess(service).exchange(request, 1).await.unwrap_err();
    assert_eq!(error, TransportError::Connect("refused".to_owned()));
}
