//! The notation of the lifecycle, its checks, and its pictures.
//!
//! A plan is read from texts with [`Plan::load`], which returns either a [`Plan`] in which every
//! name is an index, or all [`Faults`] at once, each with file and line. From a plan come the
//! Rust types that the machines are written against ([`codegen::rust`]) and the pictures and
//! tables of the documentation ([`render`]).
//!
//! Nothing here knows of certificates, of Kubernetes or of the time of day.

mod canonical;
mod check;
pub mod codegen;
mod draft;
mod explain;
mod fault;
mod fields;
mod load;
mod model;
mod raw;
pub mod render;
pub mod units;
mod yaml;

pub use fault::{Fault, Faults};
pub use model::{
    Bit, Edge, Effect, Fact, Feed, Feeds, Literal, Machine, MustPass, Plan, Reader, Setting,
    SettingError, SettingValue, State, Wait, WaitKind, Watch,
};
