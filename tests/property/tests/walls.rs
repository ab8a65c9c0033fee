//! What the crates must not depend on, asked of cargo itself.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use spdx::{Expression, ParseMode};
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
        "everleaf-keystores",
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

/// What the licences of our dependencies have to be among: each lets everybody use, change and pass
/// on what is linked with it.
const LICENCES: [&str; 7] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

fn is_allowed(licence: &str) -> bool {
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else { return false };
    expression.evaluate(|asked| LICENCES.contains(&asked.to_string().as_str()))
}

#[test]
fn every_licence_allows_what_ours_allows() {
    let metadata = metadata();
    let fault =
        |package: &&cargo_metadata::Package| !package.license.as_deref().is_some_and(is_allowed);
    let faults = metadata.packages.iter().filter(fault);
    let faults: Vec<_> = faults.map(|p| format!("{} {:?}", p.name, p.license)).collect();
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn a_licence_is_judged_by_all_of_its_terms() {
    assert!(is_allowed("MIT/Apache-2.0"));
    assert!(is_allowed("GPL-3.0-only OR MIT"));
    assert!(is_allowed("ISC AND (Apache-2.0 OR GPL-2.0-only)"));
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception"));
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "ISC WITH LLVM-exception", "", "ours"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

#[test]
fn every_dependency_comes_from_the_registry_in_a_version_that_is_named() {
    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let metadata = metadata();
    let ours: BTreeSet<_> = metadata.workspace_members.iter().collect();
    for package in &metadata.packages {
        let source = package.source.as_ref().map(ToString::to_string);
        let expected = (!ours.contains(&package.id)).then(|| REGISTRY.to_owned());
        assert_eq!(source, expected, "{}", package.name);
    }
    let all = metadata.workspace_packages().into_iter().flat_map(|package| &package.dependencies);
    let any = |d: &&cargo_metadata::Dependency| d.path.is_none() && d.req.to_string() == "*";
    let any: Vec<_> = all.filter(any).map(|dependency| &dependency.name).collect();
    assert!(any.is_empty(), "{any:?} take any version");
}
