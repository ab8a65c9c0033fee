//! The operator, the replayer and the command line.
//!
//! Data flows one way: watches project objects to facts ([`edge`]), the [`operator`]'s driver
//! hands them to the engine, ports ([`ports`]) perform the effects that the engine starts, and
//! their outcomes go back to the driver. Nothing here knows the rules of the lifecycle; those
//! are in `everleaf-nodes` and `specs/`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod commands;
pub mod edge;
pub mod flags;
pub mod http01;
pub mod kube_api;
pub mod lease;
pub mod logging;
pub mod metrics;
pub mod operator;
pub mod ports;
pub mod serve;
