//! The `everleaf` command. Exit codes: 0 done; 1 tried and failed, or a replay diverged; 2 what
//! was given cannot be used.

use clap::{Parser, Subcommand};
use everleaf::commands::{self, Failure};
use everleaf::flags::OperatorFlags;
use std::process::ExitCode;

/// Keeps TLS certificates in Kubernetes valid.
#[derive(Parser)]
#[command(name = "everleaf", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller, in a cluster or beside one.
    Operator(Box<OperatorFlags>),
    /// See it work: a modelled API server, a CA and the operator in one process.
    Dev(commands::dev::DevArgs),
    /// Run the engine again over a recorded log; or tell the history of saved watch streams.
    Replay(commands::replay::ReplayArgs),
    /// Say where an object is, what it waits for, and what would change it.
    Why(commands::why::WhyArgs),
    /// Say what is wrong or unwise in manifests.
    Lint(commands::lint::LintArgs),
    /// Draw the plan.
    Graph(commands::graph::GraphArgs),
    /// Print the CustomResourceDefinitions.
    Crds,
    /// Answer one HTTP-01 challenge, in a Pod that the operator makes.
    Acmesolver(commands::acmesolver::SolverArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("everleaf: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Operator(flags) => block_on(commands::operator::run(&flags)),
        Command::Dev(args) => block_on(commands::dev::run(&args)),
        Command::Replay(args) => commands::replay::run(&args),
        Command::Why(args) => block_on(commands::why::run(&args)),
        Command::Lint(args) => commands::lint::run(&args),
        Command::Graph(args) => commands::graph::run(&args),
        Command::Acmesolver(args) => block_on(commands::acmesolver::run(&args)),
        Command::Crds => {
            commands::crds::run();
            Ok(())
        }
    }
}

fn block_on(future: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    runtime.block_on(future)
}
