//! Field ownership: who set what, as `metadata.managedFields` records it, and server-side apply.
//!
//! The rules are those of Kubernetes' structured merge: objects are walked along their schema;
//! lists are owned whole, by value or by key, as `x-kubernetes-list-type` says.

mod owners;
mod set;
mod typed;

pub(crate) use owners::{Writer, apply, forget_times, merge_update};
