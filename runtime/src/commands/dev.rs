//! `everleaf dev`: a cluster on a laptop, in one process and with nothing installed: the modelled
//! API server on a socket, an ACME CA, and the operator. It applies an annotated Ingress, or the
//! manifests that are named, shows how each object appears and why, serves the result over TLS,
//! fetches it and verifies it; then it stays up, for kubectl.

mod apply;
mod authority;
mod cluster;
mod data;
mod edge;
mod guide;
mod issuers;
mod outcome;
mod serve;
mod show;
mod socket;

use super::input::{self, Manifest};
use super::{Failure, operator};
use crate::operator::Decision;
use clap::Args;
use cluster::{Cluster, client};
use everleaf_nodes::Kind;
use outcome::{Trouble, is_ready};
use serde_json::{Value, json};
use show::Show;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Arguments of `everleaf dev`.
#[derive(Args, Debug, Default)]
pub struct DevArgs {
    /// Manifests to apply instead of the demonstration's.
    pub manifests: Vec<PathBuf>,
    /// Stay up after the demonstration until Ctrl-C: what it does at a terminal.
    #[arg(long, conflicts_with = "once")]
    pub keep: bool,
    /// End after the demonstration: what it does where its output goes elsewhere.
    #[arg(long)]
    pub once: bool,
    /// Keep the cluster in this folder, and go on with what is there.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The API server's port on 127.0.0.1; without one a free port, or the one it had in --data.
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Record every input and decision in files under this directory, for `everleaf replay`.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

const DEMONSTRATION: &str = include_str!("dev/demonstration.yaml");

/// How long the demonstration may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

struct Dev {
    cluster: Cluster,
    show: Show,
}

/// Runs the demonstration, and stays up if that is wanted.
///
/// # Errors
/// [`Failure::Usage`] for a manifest that cannot be applied or a folder that cannot be used;
/// [`Failure::Failed`] if something did not come of it: what, and why.
pub async fn run(args: &DevArgs) -> Result<(), Failure> {
    let stays = args.keep || (!args.once && std::io::stdout().is_terminal());
    let show = Show::begin();
    let manifests = manifests(&args.manifests)?;
    let cluster = Cluster::start(args, &manifests).await?;
    let dev = Dev { cluster, show };
    let told = dev.cluster.running.decisions.subscribe();
    let shown = tokio::select! {
        shown = dev.demonstrate(manifests, told, stays) => shown,
        () = operator::stopped() => return dev.cluster.stop().await,
    };
    if stays && shown.is_ok() {
        dev.stay().await;
    }
    match shown {
        Ok(()) => dev.cluster.stop().await,
        Err(Shown::Refused(failure)) => Err(failure),
        Err(Shown::Troubled(troubles)) => Err(dev.fail(&troubles, stays).await),
    }
}

/// Why the demonstration did not come to its end.
enum Shown {
    /// Something could not be done.
    Refused(Failure),
    /// Something is not as it was asked for.
    Troubled(Vec<Trouble>),
}

impl From<Failure> for Shown {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// The manifests, with the issuers that are missing and those that lead elsewhere made our own.
fn prepared(mut manifests: Vec<Manifest>, directory: &str) -> (Vec<Manifest>, Vec<String>) {
    let acme = issuers::lead_acme(&mut manifests, directory);
    let undefined = issuers::undefined(&manifests);
    let undefined: BTreeSet<_> = undefined.difference(&acme.replaced).cloned().collect();
    let made = undefined.union(&acme.replaced).cloned().collect();
    manifests.splice(0..0, issuers::made(&made));
    let mut words = Vec::new();
    for (of, what) in [
        (&undefined, "is not among the manifests: a CA issuer is made"),
        (&acme.replaced, "needs a solver that is not here: a CA issuer stands in"),
        (&acme.led, "asks the ACME CA of this process, and nobody on the network"),
    ] {
        words.extend(of.iter().map(|named| format!("{} {what}", named.told())));
    }
    (manifests, words)
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

impl Dev {
    fn say(&self, text: &str) {
        self.show.say(text);
    }

    async fn demonstrate(
        &self,
        manifests: Vec<Manifest>,
        told: broadcast::Receiver<Decision>,
        stays: bool,
    ) -> Result<(), Shown> {
        let Cluster { service, running, ca, .. } = &self.cluster;
        self.say("a modelled API server and an ACME CA are up, and the operator leads");
        let (manifests, words) = prepared(manifests, &ca.directory);
        words.iter().for_each(|line| self.say(line));
        for manifest in &manifests {
            apply::apply(service, manifest)?;
            let text = |path| manifest.object.pointer(path).and_then(Value::as_str);
            let (kind, name) = (text("/kind"), text("/metadata/name"));
            self.say(&format!(
                "applied  {}/{}",
                kind.unwrap_or_default(),
                name.unwrap_or_default()
            ));
        }
        self.show_until_it_rests(told).await;
        let troubles = outcome::troubles(service, running, client(service)).await;
        if troubles.iter().any(|trouble| trouble.fails) {
            return Err(Shown::Troubled(troubles));
        }
        let leaf = self.serve_and_fetch().await?;
        if stays {
            self.invite(leaf.as_deref())?;
        }
        Ok(())
    }

    /// What may be tried now.
    fn invite(&self, leaf: Option<&Value>) -> Result<(), Failure> {
        self.show.settle();
        let guide = &self.cluster.guide;
        match leaf {
            Some(leaf) => {
                let text =
                    guide.to_try(leaf).map_err(|error| Failure::Failed(error.to_string()))?;
                self.show.print(&text);
            }
            None => self.say(&format!("the cluster is at {}", guide.kubeconfig().display())),
        }
        self.say("it stays up until you press Ctrl-C");
        Ok(())
    }

    /// Tells what is decided until the end is asked for.
    async fn stay(&self) {
        let mut told = self.cluster.running.decisions.subscribe();
        let mut stopped = std::pin::pin!(operator::stopped());
        loop {
            tokio::select! {
                () = &mut stopped => return,
                told = told.recv() => match told {
                    Ok(decision) => self.show.decided(&decision),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        }
    }

    /// Shows every decision until nothing more is to come of what was applied.
    async fn show_until_it_rests(&self, mut told: broadcast::Receiver<Decision>) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                Ok(decision) = told.recv() => self.show.decided(&decision),
                _ = looks.tick() => {
                    let Cluster { service, running, .. } = &self.cluster;
                    let rests = outcome::rests(service, running).await;
                    if rests || self.show.elapsed() > PATIENCE {
                        break;
                    }
                }
            }
        }
        while let Ok(decision) = told.try_recv() {
            self.show.decided(&decision);
        }
    }

    /// Says what did not come to be; the operator is stopped before, so that its Events are there.
    async fn fail(self, troubles: &[Trouble], stays: bool) -> Failure {
        let waited = match self.show.elapsed() {
            passed if passed > PATIENCE => format!("not everything rests after {PATIENCE:?}"),
            _ => "nothing more will come of it by itself".to_owned(),
        };
        let service = self.cluster.service.clone();
        let told = |service: &_| outcome::told(service, troubles);
        if stays {
            self.show.settle();
            self.say(&format!("{waited}:\n{}", told(&service)));
            self.say(&format!("the cluster is at {}", self.cluster.guide.kubeconfig().display()));
            self.say("it stays up until you press Ctrl-C");
            self.stay().await;
        }
        if let Err(failure) = self.cluster.stop().await {
            return failure;
        }
        let told = told(&service);
        Failure::Failed(format!("{waited}, and this is not as it was asked for:\n{told}"))
    }

    /// Serves the last leaf certificate, and fetches it as a client that trusts only its CA. The
    /// Certificate; none if there is no server's.
    async fn serve_and_fetch(&self) -> Result<Option<Arc<Value>>, Failure> {
        let Cluster { service, ca, .. } = &self.cluster;
        let certificates = outcome::objects(service, Kind::Certificate);
        let leaf = certificates.iter().rev().find_map(|object| Some((object, host_of(object)?)));
        let Some((leaf, host)) = leaf else {
            self.say("no Certificate of a server among them: nothing is served");
            return Ok(None);
        };
        let namespace = leaf["metadata"]["namespace"].as_str().unwrap_or_default();
        let secret = leaf["spec"]["secretName"].as_str().unwrap_or_default();
        let secret = service.read(|server| server.peek("secrets", namespace, secret));
        let secret = secret.ok_or_else(|| Failure::Failed("the Secret is gone".to_owned()))?;
        let fetched = serve::serve_and_fetch(&secret, &host, &ca.roots)
            .await
            .map_err(|error| Failure::Failed(format!("https://{host}: {error}")))?;
        self.say(&format!("served   https://{host} on {}", fetched.address));
        self.say(&format!("fetched  {:?}, over {}", fetched.body, fetched.protocol));
        self.say(&format!("verified {host} against {}", fetched.against));
        let end = leaf["status"]["notAfter"].as_str().unwrap_or_default();
        let renewal = leaf["status"]["renewalTime"].as_str().unwrap_or_default();
        self.say(&format!(
            "valid    until {end}; {}",
            match renewal {
                "" => "renewed when its CA is".to_owned(),
                renewal => format!("renewed at {renewal}"),
            }
        ));
        Ok(Some(leaf.clone()))
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

#[cfg(test)]
mod tests;
