//! `everleaf acmesolver`: answers one HTTP-01 challenge, in a Pod that the operator makes where
//! nobody outside reaches itself. The flags are those of cert-manager's solver.

use super::Failure;
use crate::flags::ListenAddress;
use crate::http01::{Answered, Tokens, serve};
use clap::Args;
use everleaf_engine::ObjectKey;
use everleaf_nodes::Kind;
use everleaf_nodes::facts::Method;
use std::num::NonZeroU16;

/// What it answers, and where.
#[derive(Args, Clone)]
pub struct SolverArgs {
    /// The port to listen at.
    #[arg(long, default_value = "8089", value_name = "PORT")]
    listen_port: NonZeroU16,
    /// The name or address that is proved.
    #[arg(long)]
    domain: String,
    /// The challenge's token.
    #[arg(long)]
    token: String,
    /// The key authorization.
    #[arg(long)]
    key: String,
}

/// Answers until SIGTERM or SIGINT. Says nothing of what it answers with.
///
/// # Errors
/// [`Failure::Failed`] if the port cannot be opened.
pub async fn run(args: &SolverArgs) -> Result<(), Failure> {
    let address = ListenAddress::On { host: String::new(), port: args.listen_port.get() };
    let listener = crate::serve::bind(&address).await;
    let listener = listener.map_err(|error| Failure::Failed(error.to_string()))?;
    let Some(listener) = listener else { return Ok(()) };
    let tokens = Tokens::default();
    let answered = Answered {
        method: Method::Http01,
        host: args.domain.as_str().into(),
        token: args.token.as_str().into(),
        key: args.key.as_str().into(),
    };
    tokens.put(&ObjectKey::new(Kind::Challenge, "", ""), &answered);
    serve(listener, tokens, super::operator::stopped()).await;
    Ok(())
}
