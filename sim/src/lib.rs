//! A simulated world: the API server, clocks and faults.
//!
//! Everything here is a model on virtual time, to run the lifecycle engine against: nothing in it
//! is used in production, and it knows nothing about how production code does its work.
//!
//! - [`apiserver`]: the Kubernetes API server as a pure value.
//! - [`http`]: the same over HTTP, in process or behind a socket.
//! - [`acme`]: an ACME CA with Let's Encrypt's limits, as a pure value and over HTTP.
//! - [`dns`]: zones, their servers, and what goes wrong with both.

pub mod acme;
pub mod apiserver;
pub mod dns;
pub mod http;
pub mod invariants;
pub mod world;
