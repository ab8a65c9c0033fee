//! What the crates must not depend on, asked of cargo itself.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut command = MetadataCommand::new();
    let options = ["--offline", "--filter-platform=x86_64-unknown-linux-gnu"];
    command.manifest_path(manifest).other_options(options.map(str::to_owned));
    command.exec().expect("cargo can describe this workspace")
}

/// The names of all packages that are compiled into one, without build scripts and tests.
fn closure(metadata: &Metadata, roots: &[&str]) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("dependencies were resolved");
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|n| (&n.id, n)).collect();
    let is_root = |name: &str| roots.contains(&name);
    let packages = metadata.packages.iter().filter(|p| is_root(p.name.as_str()));
    let mut queue: Vec<&PackageId> = packages.map(|package| &package.id).collect();
    assert_eq!(queue.len(), roots.len(), "every root is a package of the workspace");
    let mut seen: BTreeSet<&PackageId> = queue.iter().copied().collect();
    while let Some(id) = queue.pop() {
        for dependency in &nodes[id].deps {
            let normal = |kind: &cargo_metadata::DepKindInfo| kind.kind == DependencyKind::Normal;
            if dependency.dep_kinds.iter().any(normal) && seen.insert(&dependency.pkg) {
                queue.push(&dependency.pkg);
            }
        }
    }
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

fn offenders(found: &BTreeSet<String>, banned: &[&str]) -> Vec<String> {
    let hit = |name: &&String| banned.contains(&name.as_str());
    found.iter().filter(hit).cloned().collect()
}

#[test]
fn the_core_knows_no_runtime_no_client_no_clock_and_no_chance() {
    let core = ["everleaf-api", "everleaf-graph", "everleaf-engine", "everleaf-nodes"];
    let found = closure(&metadata(), &core);
    let banned = [
        "tokio",
        "hyper",
        "hyper-util",
        "kube",
        "kube-client",
        "kube-runtime",
        "k8s-openapi",
        "rand",
        "rand_core",
        "getrandom",
        "fastrand",
        "chrono",
        "time",
        "aws-lc-rs",
        "aws-lc-sys",
        "ring",
        "openssl",
        "openssl-sys",
        "reqwest",
        "async-std",
        "smol",
        "uuid",
        "rayon",
        "crossbeam-channel",
        "everleaf",
        "everleaf-sim",
        "everleaf-pki",
    ];
    assert_eq!(offenders(&found, &banned), Vec::<String>::new());
}

/// What cargo would really build: its metadata joins the features of all targets and tests.
fn built() -> BTreeSet<String> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let tree = ["tree", "--offline", "--workspace", "--edges=normal", "--prefix=none"];
    let output = Command::new(env!("CARGO"))
        .args(tree)
        .args(["--format={p}", "--manifest-path", manifest])
        .output()
        .expect("cargo can be run by its own tests");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn nothing_links_ring_or_openssl() {
    let found = built();
    assert!(found.contains("everleaf-engine"), "the tree was read");
    let banned = ["ring", "openssl", "openssl-sys", "native-tls"];
    assert_eq!(offenders(&found, &banned), Vec::<String>::new());
}
