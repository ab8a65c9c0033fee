//! `everleaf graph`: pictures of the plan.

use super::{Failure, input, print};
use clap::{Args, ValueEnum};
use everleaf_graph::Plan;
use everleaf_graph::render::{self, Picture};
use std::path::{Path, PathBuf};

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
    /// Read and check the plan in this directory's `.yaml` files, instead of the one that the
    /// operator was compiled with.
    #[arg(long, value_name = "DIR")]
    pub specs: Option<PathBuf>,
}

/// Draws.
///
/// # Errors
/// [`Failure::Usage`] if there is no such machine, or the plan has faults, each with its file and
/// line; [`Failure::Failed`] if it cannot be laid out.
pub fn run(args: &GraphArgs) -> Result<(), Failure> {
    let plan = match &args.specs {
        Some(directory) => read(directory)?,
        None => everleaf_nodes::compiled_plan(),
    };
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

/// The plan in a directory.
fn read(directory: &Path) -> Result<Plan, Failure> {
    let named = directory.display();
    if !directory.is_dir() {
        return Err(Failure::Usage(format!("{named}: no such directory; give the specs' own")));
    }
    let mut files = Vec::new();
    for file in input::files(directory, &["yaml"])? {
        files.push((file.display().to_string(), input::read(&file)?));
    }
    let texts: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Plan::load(&texts).map_err(|faults| {
        let count = faults.list().len();
        Failure::Usage(format!("the plan in {named} has faults ({count}):\n{faults}"))
    })
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

#[cfg(test)]
mod tests;
