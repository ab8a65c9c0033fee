use std::fs;
use std::path::PathBuf;

use everleaf_pki::{CsrInfo, CsrSpec, Curve, Encoding, Issue, KeyKind, Limits, PrivateKey};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsConnector;

use super::*;

/// A certificate of `metrics.example.test` that signs for itself, and its key.
fn pair() -> (String, String) {
    let key = PrivateKey::generate(KeyKind::Ecdsa(Curve::P256)).unwrap();
    let dns_names = vec!["metrics.example.test".to_owned()];
    let csr = CsrSpec { dns_names, ..CsrSpec::default() }.build_pem(&key).unwrap();
    let csr = CsrInfo::parse(csr.as_bytes(), &Limits::default()).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let issue = Issue {
        not_before: now - 60,
        not_after: now + 3600,
        is_ca: false,
        usages: Vec::new(),
        crl_distribution_points: Vec::new(),
        ocsp_servers: Vec::new(),
        issuing_certificate_urls: Vec::new(),
        serial: None,
    };
    let issued = everleaf_pki::self_sign(&key, &csr, &issue).unwrap();
    (issued.leaf_pem, key.to_pem(Encoding::Pkcs8).unwrap().to_string())
}

/// Two files in a folder of their own, which is removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, (certificate, key): &(String, String)) -> Self {
        let name = format!("everleaf-tls-{name}-{}", std::process::id());
        let files = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&files.0).unwrap();
        files.put("tls.crt", certificate);
        files.put("tls.key", key);
        files
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn flags(&self, oldest: TlsVersion) -> MetricsTls {
        MetricsTls { certificate: self.0.join("tls.crt"), key: self.0.join("tls.key"), oldest }
    }

    fn read(&self) -> Result<Pair, TlsError> {
        Pair::read(&self.flags(TlsVersion::V12))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Shakes hands as a client that trusts this certificate only and speaks one version.
async fn greets(
    pair: &Pair,
    trusted: &str,
    version: &'static SupportedProtocolVersion,
) -> Result<(), std::io::Error> {
    let (near, far) = duplex(64 * 1024);
    let acceptor = pair.acceptor().unwrap();
    let server = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await
    });
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("metrics.example.test").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let greeted = async {
        let mut stream = connector.connect(name, near).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        assert_eq!(text, "hello");
        Ok(())
    };
    let greeted = greeted.await;
    let served = server.await.unwrap();
    greeted.and(served)
}

#[tokio::test]
async fn what_the_files_hold_is_served_and_a_new_pair_from_the_next_look_on() {
    let (one, two) = (pair(), pair());
    let files = Files::new("reload", &one);
    let served = files.read().unwrap();
    greets(&served, &one.0, &TLS13).await.unwrap();
    assert!(!served.refresh().unwrap(), "nothing changed");

    files.put("tls.crt", &two.0);
    let torn = served.refresh().unwrap_err().to_string();
    assert!(torn.contains("tls.crt and ") && torn.contains("tls.key: "), "{torn}");
    greets(&served, &one.0, &TLS13).await.expect("half of a change is not served");

    files.put("tls.key", &two.1);
    assert!(served.refresh().unwrap());
    greets(&served, &two.0, &TLS13).await.unwrap();
    greets(&served, &one.0, &TLS13).await.expect_err("the old one is gone");
}

#[tokio::test]
async fn an_older_version_than_asked_for_is_refused() {
    let one = pair();
    let files = Files::new("versions", &one);
    greets(&files.read().unwrap(), &one.0, &TLS12).await.unwrap();
    let newest = Pair::read(&files.flags(TlsVersion::V13)).unwrap();
    greets(&newest, &one.0, &TLS13).await.unwrap();
    greets(&newest, &one.0, &TLS12).await.expect_err("TLS 1.2 is too old");
}

#[test]
fn files_that_nothing_can_be_served_with_are_named_and_no_key_is_told() {
    let one = pair();
    let files = Files::new("broken", &one);
    let fault = || files.read().unwrap_err().to_string();
    files.put("tls.crt", "no certificate");
    assert!(fault().ends_with("tls.crt: it holds no certificate in PEM"), "{}", fault());
    files.put("tls.crt", &one.0);
    files.put("tls.key", &one.1[..60]);
    assert!(fault().ends_with("tls.key: it holds no private key in PEM"), "{}", fault());
    let secret = one.1.lines().nth(1).unwrap();
    assert!(!fault().contains(&secret[..20]));
    files.put("tls.key", &"x".repeat(LONGEST as usize + 1));
    assert!(fault().contains("longer than 1 MiB"), "{}", fault());
    fs::remove_file(files.0.join("tls.key")).unwrap();
    assert!(fault().contains("tls.key: "), "{}", fault());
    files.put("tls.key", &one.1);
    let shown = format!("{:?}", files.read().unwrap());
    assert!(!shown.contains(&secret[..20]), "{shown}");
}
