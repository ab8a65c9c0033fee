//! `everleaf graph`: pictures of the plan.

use super::{Failure, print};
use clap::{Args, ValueEnum};
use everleaf_graph::Plan;
use everleaf_graph::render::{self, Picture};

/// What to draw it as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Mermaid, as GitHub shows it.
    Mermaid,
    /// Graphviz.
    Dot,
    /// A picture.
    Svg,
    /// The whole plan as a document.
    Markdown,
}

/// Arguments of `everleaf graph`.
#[derive(Args, Debug)]
pub struct GraphArgs {
    /// The machine to draw: certificate, request, issuer, clusterissuer, shim, order, challenge;
    /// or `feeds` for what wakes what.
    #[arg(default_value = "certificate")]
    pub machine: String,
    /// What to draw it as.
    #[arg(long, short, value_enum, default_value = "mermaid")]
    pub format: Format,
}

/// Draws.
///
/// # Errors
/// If there is no such machine, or it cannot be laid out.
pub fn run(args: &GraphArgs) -> Result<(), Failure> {
    let plan = everleaf_nodes::compiled_plan();
    if args.format == Format::Markdown {
        print(&render::lifecycle_markdown(&plan));
        return Ok(());
    }
    let picture = picture(&plan, &args.machine)?;
    let drawn = match args.format {
        Format::Mermaid => render::mermaid(&picture),
        Format::Dot => render::dot(&picture),
        Format::Svg | Format::Markdown => {
            render::svg(&picture).map_err(|error| Failure::Failed(error.to_string()))?
        }
    };
    print(&drawn);
    Ok(())
}

fn picture(plan: &Plan, name: &str) -> Result<Picture, Failure> {
    if name == "feeds" {
        return Ok(Picture::feeds(plan));
    }
    let machine = plan.machine(name).ok_or_else(|| {
        let known: Vec<&str> = plan.machines.iter().map(|m| m.name.as_str()).collect();
        Failure::Usage(format!(
            "there is no machine {name:?}; there are {}, and `feeds`",
            known.join(", ")
        ))
    })?;
    Ok(Picture::lifecycle(machine))
}
