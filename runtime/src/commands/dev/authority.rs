//! The ACME CA of the laptop: the modelled one over HTTP, validating what the edge answers.
//!
//! It has a thread of its own, for it waits for an answer while it validates.

use super::socket;
use crate::ports;
use everleaf_sim::acme::{
    Authority, CaService, CaaRecord, Config, HttpAnswer, Unreachable, Validation,
};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// For each part of a validation.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are looked at.
const LARGEST: u64 = 16 << 10;

/// A running CA; it ends when this is dropped.
pub(super) struct AcmeCa {
    /// The URL of its directory.
    pub directory: String,
    /// Its roots as PEM.
    pub roots: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl AcmeCa {
    /// Starts it at a port that is open, with every name at `edge`.
    ///
    /// # Errors
    /// If there can be no thread, or no socket in it.
    pub(super) fn start(
        authority: Authority,
        listener: TcpListener,
        edge: SocketAddr,
    ) -> std::io::Result<Self> {
        let base_url = format!("http://{}", listener.local_addr()?);
        let listener = listener.into_std()?;
        let directory = format!("{base_url}/directory");
        let seed = u64::try_from(ports::now().as_millis()).unwrap_or_default();
        let config = Config {
            base_url,
            caa_identities: Vec::new(),
            // It issues at once: nobody has to wait before looking.
            order_poll: 0,
            ..Config::lenient(seed)
        };
        let service =
            CaService::new(config, authority, Laptop { edge }, || ports::now().as_millis());
        let roots = service.roots().concat();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("acme-ca".into()).spawn(move || {
            runtime.block_on(async {
                let listener = match TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!(%error, "the ACME CA has no socket"),
                };
                tokio::select! {
                    () = socket::serve(listener, service) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { directory, roots, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for AcmeCa {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell but that it ended.
            let _ = thread.join();
        }
    }
}

/// The outside world: every name has one web server, at the edge of the cluster. DNS has no
/// records that anybody could write, and nobody speaks TLS-ALPN-01.
struct Laptop {
    edge: SocketAddr,
}

impl Laptop {
    fn ask(&self, host: &str, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.edge, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(LARGEST).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Validation for Laptop {
    fn http(
        &mut self,
        _: i64,
        _: usize,
        host: &str,
        path: &str,
    ) -> Result<HttpAnswer, Unreachable> {
        let broken = |why: String| Unreachable::Connection(format!("{host}: {why}"));
        let answer = self.ask(host, path).map_err(|error| broken(error.to_string()))?;
        let (head, body) =
            answer.split_once("\r\n\r\n").ok_or_else(|| broken("no answer".to_owned()))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| broken("no status".to_owned()))?;
        Ok(HttpAnswer { status, body: body.to_owned() })
    }

    fn tls_alpn(&mut self, _: i64, _: usize, host: &str) -> Result<Vec<u8>, Unreachable> {
        Err(Unreachable::Connection(format!("{host}: nobody answers TLS-ALPN-01 in everleaf dev")))
    }

    fn txt(&mut self, _: i64, _: usize, _: &str) -> Result<Vec<String>, Unreachable> {
        Ok(Vec::new())
    }

    fn caa(&mut self, _: i64, _: usize, _: &str) -> Result<Vec<CaaRecord>, Unreachable> {
        Ok(Vec::new())
    }
}
