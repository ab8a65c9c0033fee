//! The machines: what the facts are, and which effects follow from them.
//!
//! `specs/*.yaml` says which states there are and which facts put an object into them; the
//! compiled form is [`plan`]. Each module here reads the facts of one machine off a
//! [`View`](everleaf_engine::View) of the world, and builds the effects that its states list.
//! All of it is pure: no clock, no randomness, no I/O, no Kubernetes client.

pub mod acme;
pub mod budget;
pub mod certificate;
pub(crate) mod challenge;
pub mod effect;
pub mod facts;
pub mod issuer;
mod options;
pub(crate) mod order;
mod program;
pub mod project;
pub mod request;
pub mod shim;
mod status;

pub use effect::{Base, Do, Effect, Event};
pub use facts::{Facts, Kind};
pub use options::{Options, Switches};
pub use program::{Everleaf, feed};

/// The compiled plan: one module a machine, made from `specs/*.yaml`.
#[allow(missing_docs)]
pub mod plan {
    include!(concat!(env!("OUT_DIR"), "/plan.rs"));
}

/// The plan's files, name and text, as they were compiled in.
pub const SPECS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/specs.rs"));

/// The plan that this build was compiled with.
pub fn compiled_plan() -> everleaf_graph::Plan {
    everleaf_graph::Plan::load(SPECS).expect("the build script compiled these very files")
}
