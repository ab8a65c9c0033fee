//! Pictures and tables of a plan.
//!
//! A [`Picture`] is what there is to draw; [`mermaid`], [`dot`] and [`svg`] draw it.

mod dot;
mod markdown;
mod mermaid;
mod picture;
mod svg;

pub use dot::dot;
pub use markdown::lifecycle_markdown;
pub use mermaid::mermaid;
pub use picture::{Arrow, Node, Picture, Shape};
pub use svg::{SvgError, svg};
