//! The cluster of a laptop: the modelled API server on a socket, what leads to it, an ACME CA, and
//! the operator; kept in a folder, if one is named.

use super::authority::AcmeCa;
use super::data::{Data, DataError};
use super::guide::Guide;
use super::{DevArgs, edge, socket};
use crate::commands::Failure;
use crate::commands::input::Manifest;
use crate::edge::Projector;
use crate::operator::{self, Running, Setup};
use crate::{lease, ports};
use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::Config;
use everleaf_nodes::Options;
use everleaf_pki::Limits;
use everleaf_sim::acme::Authority;
use everleaf_sim::apiserver::{self, ApiServer};
use everleaf_sim::http::ApiService;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Changes of a kind that a watch may be behind; each holds two states of an object.
const LOG: usize = 1024;
/// How late a watch may end by its own time.
const TICK: Duration = Duration::from_secs(1);
/// How often a cluster is kept at most; and, of a large one, so many times the time that it took.
const KEPT_EVERY: Duration = Duration::from_secs(2);
const REST: u32 = 10;

/// A running cluster.
pub(super) struct Cluster {
    /// The API server.
    pub service: ApiService,
    /// The operator.
    pub running: Running,
    /// The ACME CA.
    pub ca: AcmeCa,
    /// Its kubeconfig.
    pub guide: Guide,
    /// What answers on sockets, and what keeps the cluster meanwhile.
    tasks: JoinSet<()>,
    keeper: Option<Arc<Keeper>>,
}

/// The open ports.
struct Ports {
    api: (TcpListener, SocketAddr),
    ca: (TcpListener, SocketAddr),
    edge: (TcpListener, SocketAddr),
    responder: (TcpListener, SocketAddr),
}

impl Ports {
    /// The API server's and the CA's are the ones they had, for kubeconfigs and issuers name them.
    async fn open(args: &DevArgs, saved: &Value) -> Result<Self, Failure> {
        let had = |name: &str| saved["ports"][name].as_u64().and_then(|p| u16::try_from(p).ok());
        let asked = Some(args.port).filter(|port| *port != 0);
        let api = asked.or(had("api")).unwrap_or_default();
        Ok(Self {
            api: open(api).await?,
            ca: open(had("ca").unwrap_or_default()).await?,
            edge: open(0).await?,
            responder: open(0).await?,
        })
    }
}

async fn open(port: u16) -> Result<(TcpListener, SocketAddr), Failure> {
    let opened = socket::open(port).await;
    opened.map_err(|error| Failure::Failed(format!("127.0.0.1:{port}: {error}")))
}

fn data(error: DataError) -> Failure {
    Failure::Usage(format!("--data: {error}"))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

impl Cluster {
    /// Starts it, with what was kept and the namespaces that the manifests name.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a folder that cannot be used; [`Failure::Failed`] if a port is taken.
    pub(super) async fn start(args: &DevArgs, manifests: &[Manifest]) -> Result<Self, Failure> {
        let kept = args.data.as_deref().map(Data::open).transpose().map_err(data)?;
        let saved = kept.as_ref().map(Data::read).transpose().map_err(data)?.flatten();
        let mut model = model(manifests)?;
        let authority = match (&saved, &kept) {
            (Some(saved), Some(kept)) => {
                let restored = model.restore(&saved["cluster"]);
                restored.map_err(|error| data(kept.damaged(&error.to_string())))?;
                Authority::restore(&saved["authority"])
                    .map_err(|error| data(kept.damaged(&error.to_string())))?
            }
            _ => Authority::generate(1, 1).map_err(failed)?,
        };
        let ports = Ports::open(args, saved.as_ref().unwrap_or(&Value::Null)).await?;
        let rest = json!({"authority": authority.save().map_err(failed)?,
            "ports": {"api": ports.api.1.port(), "ca": ports.ca.1.port()}});
        let service = ApiService::collecting(model, || ports::now().as_millis());
        let guide = Guide::write(args.data.as_deref(), ports.api.1).map_err(failed)?;
        let ca = AcmeCa::start(authority, ports.ca.0, ports.edge.1).map_err(failed)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(socket::serve(ports.api.0, service.clone()));
        tasks.spawn(edge::serve(ports.edge.0, service.clone()));
        tasks.spawn(tick(service.clone()));
        let running = operate(args, &service, ports.edge.1, ports.responder)?;
        let keeper = kept.map(|data| {
            let (service, writing) = (service.clone(), Mutex::default());
            Arc::new(Keeper { data, service, rest, writing })
        });
        if let Some(keeper) = &keeper {
            keeper.keep().map_err(data)?;
            tasks.spawn(keeper.clone().run());
        }
        Ok(Self { service, running, ca, guide, tasks, keeper })
    }

    /// Ends it; what was being done comes to its end first.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        self.running.stop().await;
        self.tasks.shutdown().await;
        match self.keeper.take() {
            Some(keeper) => keeper.keep().map_err(failed),
            None => Ok(()),
        }
    }
}

/// Lets watches look at the clock: some end by it.
async fn tick(service: ApiService) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        service.wake();
    }
}

/// Keeps a cluster in its folder.
struct Keeper {
    data: Data,
    service: ApiService,
    /// What does not change: the CA's key, the ports.
    rest: Value,
    /// Held from the look at the cluster until it is written: the last look is written last.
    writing: Mutex<()>,
}

impl Keeper {
    fn keep(&self) -> Result<(), DataError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.rest.clone();
        content["cluster"] = self.service.read(|server| server.save());
        self.data.write(&content)
    }

    /// Keeps what changed, now and then.
    async fn run(self: Arc<Self>) {
        let version = || self.service.read(|server| server.version());
        let (mut kept, mut told, mut pause) = (version(), false, KEPT_EVERY);
        loop {
            tokio::time::sleep(pause).await;
            let now = version();
            if now == kept {
                continue;
            }
            kept = now;
            let (keeper, begun) = (self.clone(), Instant::now());
            let written = tokio::task::spawn_blocking(move || keeper.keep()).await;
            pause = KEPT_EVERY.max(begun.elapsed() * REST);
            if let Ok(Err(error)) = written
                && !std::mem::replace(&mut told, true)
            {
                eprintln!("everleaf: --data: {error}");
            }
        }
    }
}

/// A client of the model, in process.
pub(super) fn client(service: &ApiService) -> kube::Client {
    kube::Client::new(service.clone(), "default")
}

/// The model, with the namespaces that the manifests name.
fn model(manifests: &[Manifest]) -> Result<ApiServer, Failure> {
    let crds = everleaf_api::crds().iter().map(|(_, yaml)| (*yaml).to_owned()).collect();
    let mut namespaces = vec!["default".to_owned(), "kube-system".to_owned()];
    for manifest in manifests {
        let named = manifest.object.pointer("/metadata/namespace").and_then(Value::as_str);
        if let Some(named) = named.filter(|named| namespaces.iter().all(|n| n != named)) {
            namespaces.push(named.to_owned());
        }
    }
    let now = ports::now().as_millis();
    // Of two runs on one folder, the second must not draw the UIDs of the first again.
    let seed = u64::try_from(now).unwrap_or_default();
    let log_capacity = LOG;
    let config =
        apiserver::Config { crds, namespaces, now, seed, log_capacity, ..Default::default() };
    ApiServer::new(config).map_err(failed)
}

fn operate(
    args: &DevArgs,
    service: &ApiService,
    edge: SocketAddr,
    (responder, at): (TcpListener, SocketAddr),
) -> Result<Running, Failure> {
    let acme = ports::AcmeOptions {
        responder_ips: vec![edge::NODE.into()],
        responder_port: at.port(),
        edge: Some(edge),
        ..ports::AcmeOptions::default()
    };
    let setup = Setup {
        client: client(service),
        pace: None,
        options: Options::default(),
        config: Config::default(),
        projector: Projector::new(CopiedAnnotations::default(), Limits::default()),
        namespace: String::new(),
        record: args.record.clone(),
        acme,
        fence: Arc::new(|| true),
    };
    operator::start_answering(setup, lease::unelected().leadership(), responder)
        .map_err(|error| Failure::Usage(format!("--record: {error}")))
}
