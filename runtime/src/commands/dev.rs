//! `everleaf dev`: a modelled API server, a CA and the operator in one process. It applies an
//! annotated Ingress, or the manifests that are named, shows how each object appears and why,
//! serves the result over TLS, fetches it and verifies it.

mod apply;
mod issuers;
mod outcome;
mod serve;

use super::input::{self, Manifest};
use super::{Failure, print};
use crate::edge::Projector;
use crate::operator::{self, Decision, Running, Setup};
use crate::{lease, ports};
use clap::Args;
use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::Config;
use everleaf_nodes::{Kind, Options};
use everleaf_pki::Limits;
use everleaf_sim::apiserver::{self, ApiServer};
use everleaf_sim::http::ApiService;
use outcome::{Trouble, is_ready};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

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
/// [`Failure::Usage`] for a manifest that cannot be applied; [`Failure::Failed`] if something did
/// not come of it: what, and why.
pub async fn run(args: &DevArgs) -> Result<(), Failure> {
    let mut manifests = manifests(&args.manifests)?;
    let acme = issuers::take_acme(&mut manifests);
    let undefined = issuers::undefined(&manifests);
    let undefined: BTreeSet<_> = undefined.difference(&acme).cloned().collect();
    manifests.splice(0..0, issuers::made(&undefined.union(&acme).cloned().collect()));
    let service = ApiService::collecting(model(&manifests)?, || ports::now().as_millis());
    let running = start(&service, args)?;
    let dev = Dev { service, running, started: Instant::now() };
    dev.say("a modelled API server is up, and the operator leads");
    for named in &undefined {
        dev.say(&format!("{} is not among the manifests: a CA issuer is made", named.told()));
    }
    for named in &acme {
        dev.say(&format!("{} would ask an ACME CA on the network: a CA stands in", named.told()));
    }
    let told = dev.running.decisions.subscribe();
    for manifest in &manifests {
        apply::apply(&dev.service, manifest)?;
        let text = |path| manifest.object.pointer(path).and_then(Value::as_str);
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        dev.say(&format!("applied  {}/{}", kind.unwrap_or_default(), name.unwrap_or_default()));
    }
    dev.show_until_it_rests(told).await;
    let troubles = outcome::troubles(&dev.service, &dev.running, client(&dev.service)).await;
    if troubles.iter().any(|trouble| trouble.fails) {
        return Err(dev.fail(&troubles).await);
    }
    dev.serve_and_fetch().await?;
    if args.keep {
        dev.say("it stays up until you press Ctrl-C");
        let _ = tokio::signal::ctrl_c().await;
    }
    dev.running.stop().await;
    Ok(())
}

fn manifests(paths: &[PathBuf]) -> Result<Vec<Manifest>, Failure> {
    if paths.is_empty() {
        return Ok(input::manifest(Path::new("the demonstration"), DEMONSTRATION)?);
    }
    let mut all = Vec::new();
    for path in paths {
        let found = input::manifest(path, &input::read(path)?)?;
        if found.is_empty() {
            let path = path.display();
            return Err(Failure::Usage(format!("{path}: there is no object in it; write one")));
        }
        all.extend(found);
    }
    Ok(all)
}

fn client(service: &ApiService) -> kube::Client {
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
    let config =
        apiserver::Config { crds, namespaces, now: ports::now().as_millis(), ..Default::default() };
    ApiServer::new(config).map_err(|error| Failure::Failed(error.to_string()))
}

fn start(service: &ApiService, args: &DevArgs) -> Result<Running, Failure> {
    let setup = Setup {
        client: client(service),
        pace: None,
        options: Options::default(),
        config: Config::default(),
        projector: Projector::new(CopiedAnnotations::default(), Limits::default()),
        namespace: String::new(),
        record: args.record.clone(),
        acme: ports::AcmeOptions::default(),
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

    /// Shows every decision until nothing more is to come of what was applied.
    async fn show_until_it_rests(&self, mut told: broadcast::Receiver<Decision>) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                Ok(decision) = told.recv() => self.say(&in_words(&decision)),
                _ = looks.tick() => {
                    let rests = outcome::rests(&self.service, &self.running).await;
                    if rests || self.started.elapsed() > PATIENCE {
                        break;
                    }
                }
            }
        }
        while let Ok(decision) = told.try_recv() {
            self.say(&in_words(&decision));
        }
    }

    /// Says what did not come to be; the operator is stopped before, so that its Events are there.
    async fn fail(self, troubles: &[Trouble]) -> Failure {
        let waited = match self.started.elapsed() {
            passed if passed > PATIENCE => format!("not everything rests after {PATIENCE:?}"),
            _ => "nothing more will come of it by itself".to_owned(),
        };
        self.running.stop().await;
        let told = outcome::told(&self.service, troubles);
        Failure::Failed(format!("{waited}, and this is not as it was asked for:\n{told}"))
    }

    /// Serves the last leaf certificate, and fetches it as a client that trusts only its CA.
    async fn serve_and_fetch(&self) -> Result<(), Failure> {
        let certificates = outcome::objects(&self.service, Kind::Certificate);
        let leaf = certificates.iter().rev().find_map(|object| Some((object, host_of(object)?)));
        let Some((leaf, host)) = leaf else {
            self.say("no Certificate of a server among them: nothing is served");
            return Ok(());
        };
        let namespace = leaf["metadata"]["namespace"].as_str().unwrap_or_default();
        let secret = leaf["spec"]["secretName"].as_str().unwrap_or_default();
        let secret = self.service.with(|server, _| server.peek("secrets", namespace, secret));
        let secret = secret.ok_or_else(|| Failure::Failed("the Secret is gone".to_owned()))?;
        let fetched = serve::serve_and_fetch(&secret, &host)
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

/// A host that a server may be called by with this Certificate; `None` if it is not a server's.
fn host_of(certificate: &Value) -> Option<String> {
    let spec = &certificate["spec"];
    let usages = spec["usages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let extended = |usage: &&Value| {
        let basic = [
            "signing",
            "digital signature",
            "content commitment",
            "key encipherment",
            "key agreement",
            "data encipherment",
            "cert sign",
            "crl sign",
            "encipher only",
            "decipher only",
        ];
        usage.as_str().is_some_and(|usage| !basic.contains(&usage))
    };
    let mut extended = usages.iter().filter(extended).peekable();
    let serves = extended.peek().is_none() || extended.any(|u| *u == "server auth" || *u == "any");
    if spec["isCA"] == json!(true) || !serves || !is_ready(certificate) {
        return None;
    }
    Some(spec["dnsNames"][0].as_str()?.replace('*', "www"))
}

fn in_words(decision: &Decision) -> String {
    let Decision { object, from, to, why } = decision;
    let why = why.as_deref().unwrap_or("the plan does not explain it");
    format!("{object}: {from} -> {to}: {why}")
}

#[cfg(test)]
mod tests;
