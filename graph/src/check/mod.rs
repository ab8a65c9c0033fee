//! What must hold of a plan. Every check reports all that it finds.

mod feeds;
mod graphs;
mod names;
mod order;
mod waits;

pub(crate) use feeds::{feeds, object};

use crate::draft::Draft;
use crate::fault::Report;

/// Checks one machine; `stem` is what its file is called.
pub(crate) fn machine(draft: &Draft, stem: &str, report: &mut Report) {
    names::check(draft, stem, report);
    names::used(draft, report);
    order::check(draft, report);
    waits::check(draft, report);
    graphs::check(draft, report);
}
