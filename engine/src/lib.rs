//! The deterministic engine: inputs in, effects out.
//!
//! The engine holds a *world* of projected facts, runs the machines of a compiled [`Plan`] over
//! it, and says which effects to start and when to look again. It performs nothing itself.
//!
//! It knows nothing of certificates, Kubernetes, tokio, clocks, randomness or files: time is a
//! parameter of [`Engine::handle`], jitter is a hash, and every collection that is iterated is
//! ordered. The same inputs give the same bytes out, which is what replay, simulation and the
//! property tests rest on.
//!
//! The API in the order of use:
//!
//! 1. [`Engine::handle`] takes one [`Input`] and returns the [`Record`] of what it decided;
//! 2. [`Engine::poll_effect`] hands out started effects until it returns `None`;
//! 3. [`Engine::poll_wake`] says when `handle` must be called again with [`Input::Tick`].
//!
//! What the machines mean is a [`Program`]: how facts are read ([`Program::look`]) and how
//! effects are built ([`Program::act`]). The plan decides the rest.

pub mod digest;
mod engine;
mod folding;
pub mod ids;
mod instance;
pub mod journal;
mod lanes;
pub mod program;
pub mod replay;
mod schedule;
mod step;
mod tags;
pub mod time;
mod view;
pub mod world;

pub use digest::{Digest, digest_of};
pub use engine::{Armed, Config, Engine, Snapshot, Status, StepStatus, Wake};
pub use everleaf_graph::Plan;
pub use ids::{EffectId, Epoch, Lane, ObjectKey, Tag, Uid};
pub use program::{
    Command, Delta, Feed, Input, Look, Move, Outcome, Program, Record, Start, Started, Written,
};
pub use step::{Failure, FailureClass};
pub use time::Timestamp;
pub use view::{Keyed, View};
