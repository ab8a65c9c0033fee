//! A scenario: a namespace of its own, a report if it fails, and nothing left behind.

use crate::{Cluster, World};
use futures::FutureExt as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, resume_unwind};
use tokio::sync::{OnceCell, RwLock};

/// What a scenario's operators look after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The scenario's namespace; others run at the same time.
    Namespace,
    /// The whole cluster; it runs alone.
    Cluster,
}

static ALONE: RwLock<()> = RwLock::const_new(());
static CRDS: OnceCell<()> = OnceCell::const_new();

/// Says aloud, past the test harness' capturing, that something was not tested and why.
pub fn skip(what: &str, remedy: &str) {
    tell(&format!("SKIPPED: {what}: {remedy}"));
}

/// Says a figure aloud, past the test harness' capturing.
pub fn tell(figure: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "{figure}");
}

/// An environment variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs a test in a namespace of its own on the cluster that `KUBECONFIG` names; without one, it
/// skips aloud. A failure prints the objects of the namespace and the end of every operator's log.
pub fn scenario(name: &str, scope: Scope, test: impl AsyncFnOnce(&World)) {
    if variable("KUBECONFIG").is_none() {
        return skip(name, "set KUBECONFIG to a cluster whose contents may change");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (mut shared, mut alone) = (None, None);
        match scope {
            Scope::Namespace => shared = Some(ALONE.read().await),
            Scope::Cluster => alone = Some(ALONE.write().await),
        }
        run(name, scope, test).await;
        drop((shared.take(), alone.take()));
    });
}

async fn run(name: &str, scope: Scope, test: impl AsyncFnOnce(&World)) {
    let cluster = Cluster::connect().await;
    CRDS.get_or_init(async || install_crds(&cluster).await).await;
    let world = World::new(cluster, name, scope).await;
    let ended = AssertUnwindSafe(test(&world)).catch_unwind().await;
    if ended.is_err() {
        eprintln!("{}", world.report().await);
    }
    world.clean_up().await;
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// Installs the definitions under `deploy/crds` and waits until they are served.
async fn install_crds(cluster: &Cluster) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/crds");
    let files = std::fs::read_dir(folder).expect("deploy/crds is there");
    for file in files {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a text");
        let definition = serde_yaml::from_str(&text).expect("YAML");
        let applied = cluster.apply(&definition).await;
        let name = crate::name_of(&applied);
        crate::eventually(&format!("{name} is served"), 30, async || {
            let found = cluster.find("CustomResourceDefinition", ("", name)).await;
            let found = found.map_err(|error| error.to_string())?.ok_or("it is gone")?;
            let served = crate::has_condition(&found, "Established", "True");
            if served { Ok(()) } else { Err(found["status"].to_string()) }
        })
        .await;
    }
}
