//! Compiles `specs/*.yaml` into the types that the machines are written against; a fault in the
//! plan is a build error that names its file and line.

#![allow(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=../specs");
    // Asked for when it runs: a build directory may serve several copies of this repository.
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    let specs = Path::new(&here).join("../specs");
    let mut files: Vec<(String, String)> = fs::read_dir(&specs)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", specs.display()))
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "yaml"))
        .map(|entry| {
            let name = format!("specs/{}", entry.file_name().to_string_lossy());
            let text = fs::read_to_string(entry.path());
            (name.clone(), text.unwrap_or_else(|error| panic!("cannot read {name}: {error}")))
        })
        .collect();
    files.sort();
    let texts: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let plan = match everleaf_graph::Plan::load(&texts) {
        Ok(plan) => plan,
        Err(faults) => panic!("the plan has faults:\n{faults}"),
    };
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let out = Path::new(&out);
    let rust = everleaf_graph::codegen::rust(&plan, "::everleaf_engine");
    fs::write(out.join("plan.rs"), rust).expect("cargo's OUT_DIR can be written");
    let list: String = files
        .iter()
        .map(|(name, _)| {
            let path = Path::new(&here).join("..").join(name);
            format!("    ({name:?}, include_str!({:?})),\n", path.display().to_string())
        })
        .collect();
    fs::write(out.join("specs.rs"), format!("&[\n{list}]\n"))
        .expect("cargo's OUT_DIR can be written");
}
