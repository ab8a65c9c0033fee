//! What the ACME machines share: annotations, names, the choice of solvers, checks that need no
//! network, and how failures are paced.

pub mod account;
pub mod ari;
pub mod check;
pub mod naming;
pub mod notes;
pub mod showing;
pub mod solver;
pub(crate) mod trial;
pub mod turns;
