//! `everleaf dev`: a modelled API server, a CA and the operator in one process. It applies an
//! annotated Ingress, or the manifests that are named, shows how each object appears and why,
//! serves the result over TLS, fetches it and verifies it.

mod serve;

use super::{Failure, input, print};
use crate::edge::Projector;
use crate::operator::{self, Decision, Running, Setup};
use crate::{lease, ports};
use clap::Args;
use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::Config;
use everleaf_nodes::Options;
use everleaf_pki::Limits;
use everleaf_sim::apiserver::{self, ApiServer, Request, ResourceDef};
use everleaf_sim::http::ApiService;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Arguments of `everleaf dev`.
#[derive(Args, Debug)]
pub struct DevArgs {
    /// Manifests to apply instead of the demonstration's.
    pub manifests: Vec<PathBuf>,
    /// Stay up after the demonstration and go on renewing, until interrupted.
    #[arg(long)]
    pub keep: bool,
    /// Record every input and decision in files under this directory, for `everleaf replay`.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

const DEMONSTRATION: &str = include_str!("dev/demonstration.yaml");

/// How long the demonstration may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

struct Dev {
    service: ApiService,
    running: Running,
    started: Instant,
}

/// Runs the demonstration.
///
/// # Errors
/// [`Failure::Usage`] for a manifest that cannot be applied; [`Failure::Failed`] if no certificate
/// came of it.
pub async fn run(args: &DevArgs) -> Result<(), Failure> {
    let manifests = manifests(args)?;
    let service = ApiService::collecting(model(&manifests)?, || ports::now().as_millis());
    let running = start(&service, args)?;
    let dev = Dev { service, running, started: Instant::now() };
    dev.say("a modelled API server is up, and the operator leads");
    let told = dev.running.decisions.subscribe();
    for (source, object) in &manifests {
        dev.apply(source, object)?;
    }
    let shown = dev.show_until_ready(told).await;
    if shown.is_ok() {
        dev.serve_and_fetch().await?;
    }
    if args.keep && shown.is_ok() {
        dev.say("it stays up until you press Ctrl-C");
        let _ = tokio::signal::ctrl_c().await;
    }
    dev.running.stop().await;
    shown
}

fn manifests(args: &DevArgs) -> Result<Vec<(String, Value)>, Failure> {
    let mut all = Vec::new();
    if args.manifests.is_empty() {
        let name = PathBuf::from("demonstration.yaml");
        let documents = input::manifest(&name, DEMONSTRATION)?;
        all.extend(documents.into_iter().map(|d| ("the demonstration".to_owned(), d)));
    }
    for path in &args.manifests {
        let documents = input::manifest(path, &input::read(path)?)?;
        all.extend(documents.into_iter().map(|d| (path.display().to_string(), d)));
    }
    Ok(all)
}

/// The model, with the namespaces that the manifests name.
fn model(manifests: &[(String, Value)]) -> Result<ApiServer, Failure> {
    let crds = everleaf_api::crds().iter().map(|(_, yaml)| (*yaml).to_owned()).collect();
    let mut namespaces = vec!["default".to_owned(), "kube-system".to_owned()];
    for (_, object) in manifests {
        let named = object.pointer("/metadata/namespace").and_then(Value::as_str);
        if let Some(named) = named.filter(|named| namespaces.iter().all(|n| n != named)) {
            namespaces.push(named.to_owned());
        }
    }
    let config =
        apiserver::Config { crds, namespaces, now: ports::now().as_millis(), ..Default::default() };
    ApiServer::new(config).map_err(|error| Failure::Failed(error.to_string()))
}

fn start(service: &ApiService, args: &DevArgs) -> Result<Running, Failure> {
    let setup = Setup {
        client: kube::Client::new(service.clone(), "default"),
        pace: None,
        options: Options::default(),
        config: Config::default(),
        projector: Projector::new(CopiedAnnotations::default(), Limits::default()),
        namespace: String::new(),
        record: args.record.clone(),
        fence: Arc::new(|| true),
    };
    operator::start(setup, lease::unelected().leadership())
        .map_err(|error| Failure::Usage(format!("--record: {error}")))
}

impl Dev {
    fn say(&self, text: &str) {
        let passed = self.started.elapsed();
        print(&format!("{:>3}.{:03} s  {text}\n", passed.as_secs(), passed.subsec_millis()));
    }

    fn apply(&self, source: &str, object: &Value) -> Result<(), Failure> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind").to_owned(), text("/metadata/name").to_owned());
        let usage = |message: &str| Failure::Usage(format!("{source}: {kind}/{name}: {message}"));
        let version = text("/apiVersion").to_owned();
        let answer = self.service.with(|server, now| {
            let found = server.resources().find(|r| serves(r, &version, &kind));
            let (key, namespaced) = found.map(|r| (r.key(), r.namespaced))?;
            let namespace = match text("/metadata/namespace") {
                "" if namespaced => "default",
                given => given,
            };
            let request = Request::apply(&key, namespace, &name, "everleaf-dev", object.clone());
            Some(server.handle(now, &request))
        });
        let answer = answer.ok_or_else(|| {
            usage(&format!("apiVersion {version:?} and this kind are not served here"))
        })?;
        if !answer.is_success() {
            let message = answer.body["message"].as_str().unwrap_or("refused").to_owned();
            return Err(usage(&message));
        }
        self.say(&format!("applied  {kind}/{name}"));
        Ok(())
    }

    /// Shows every decision until all Certificates are Ready.
    async fn show_until_ready(
        &self,
        mut told: tokio::sync::broadcast::Receiver<Decision>,
    ) -> Result<(), Failure> {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                Ok(decision) = told.recv() => self.say(&in_words(&decision)),
                _ = looks.tick() => {
                    if self.all_ready() {
                        return Ok(());
                    }
                    if self.started.elapsed() > PATIENCE {
                        let waiting = self.unready().join("\n  ");
                        let message = format!("not Ready after {PATIENCE:?}:\n  {waiting}");
                        return Err(Failure::Failed(message));
                    }
                }
            }
        }
    }

    fn certificates(&self) -> Vec<Arc<Value>> {
        self.service.with(|server, _| {
            let found =
                server.objects("certificates.cert-manager.io", &apiserver::Selector::all(None));
            found.into_iter().collect()
        })
    }

    fn all_ready(&self) -> bool {
        let certificates = self.certificates();
        !certificates.is_empty() && certificates.iter().all(|object| is_ready(object))
    }

    fn unready(&self) -> Vec<String> {
        let all = self.certificates();
        let unready = all.iter().filter(|object| !is_ready(object)).map(|object| {
            let conditions = &object["status"]["conditions"];
            format!("Certificate {}: {conditions}", object["metadata"]["name"])
        });
        unready.collect()
    }

    /// Serves the last leaf certificate, and fetches it as a client that trusts only its CA.
    async fn serve_and_fetch(&self) -> Result<(), Failure> {
        let certificates = self.certificates();
        let leaf = certificates.iter().rev().find(|object| object["spec"]["isCA"] != json!(true));
        let Some(leaf) = leaf else { return Ok(()) };
        let namespace = leaf["metadata"]["namespace"].as_str().unwrap_or_default();
        let secret = leaf["spec"]["secretName"].as_str().unwrap_or_default();
        let Some(host) = leaf["spec"]["dnsNames"][0].as_str() else { return Ok(()) };
        let secret = self.service.with(|server, _| server.peek("secrets", namespace, secret));
        let secret = secret.ok_or_else(|| Failure::Failed("the Secret is gone".to_owned()))?;
        let fetched = serve::serve_and_fetch(&secret, host)
            .await
            .map_err(|error| Failure::Failed(format!("https://{host}: {error}")))?;
        self.say(&format!("served   https://{host} on {}", fetched.address));
        self.say(&format!("fetched  {:?}, over {}", fetched.body, fetched.protocol));
        self.say(&format!("verified {host} against ca.crt of the Secret alone"));
        let end = leaf["status"]["notAfter"].as_str().unwrap_or_default();
        let renewal = leaf["status"]["renewalTime"].as_str().unwrap_or_default();
        self.say(&format!(
            "valid    until {end}; {}",
            match renewal {
                "" => "renewed when its CA is".to_owned(),
                renewal => format!("renewed at {renewal}"),
            }
        ));
        Ok(())
    }
}

fn serves(resource: &ResourceDef, api_version: &str, kind: &str) -> bool {
    let version = match resource.group.as_str() {
        "" => resource.version.clone(),
        group => format!("{group}/{}", resource.version),
    };
    version == api_version && resource.kind == kind
}

fn is_ready(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn in_words(decision: &Decision) -> String {
    let Decision { object, from, to, why } = decision;
    let why = why.as_deref().unwrap_or("the plan does not explain it");
    format!("{object}: {from} -> {to}: {why}")
}
