//! What the end-to-end suite in `tests/` is written with: a namespace of a real cluster for each
//! scenario, operators as real processes, waits on conditions, and `openssl` as a second opinion.
//!
//! Nothing here knows how the operator works; it sees the API server, processes and files. Being
//! test code, it panics with what it saw where something is not as it should be.

// A test's expectation that does not hold is a panic with a reason.
#![allow(clippy::missing_panics_doc)]

mod account;
pub mod acme;
mod audit;
mod authority;
mod cluster;
mod dev;
mod fault_proxy;
mod history;
mod jws;
mod objects;
mod openssl;
mod operator;
mod scenario;
mod server;
mod upstream;
mod wait;
mod world;

pub use account::{ServiceAccount, deployed_rules, everything, namespace_rules, rule};
pub use audit::{Audit, Write};
pub use authority::Authority;
pub use cluster::{Cluster, TEST_MANAGER};
pub use dev::{Dev, has_kubectl};
pub use fault_proxy::{Asked, Exchange, Fault, FaultProxy};
pub use history::History;
pub use jws::RsaAccount;
pub use objects::{condition, data, has_condition, name_of, rfc3339, text, uid_of};
pub use openssl::OpenSsl;
pub use operator::{Operator, binary};
pub use scenario::{Scope, scenario, skip, tell, variable};
pub use server::{Handler, Manner, Reply, Server};
pub use upstream::{Failure, Upstream};
pub use wait::eventually;
pub use world::{World, issuer};
