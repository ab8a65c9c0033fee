//! A simulated world: the API server, clocks and faults.
//!
//! Everything here is a model on virtual time, to run the lifecycle engine against: nothing in it
//! is used in production, and it knows nothing about how production code does its work.
//!
//! - [`apiserver`]: the Kubernetes API server as a pure value.
//! - [`http`]: the same over HTTP, in process or behind a socket.

pub mod apiserver;
pub mod http;
pub mod invariants;
pub mod world;
