//! The commands, beside the operator itself.

pub mod acmesolver;
pub mod crds;
pub mod dev;
pub mod graph;
mod input;
mod kubeconfig;
pub mod lint;
mod observe;
pub mod operator;
pub mod recording;
pub mod replay;
pub mod why;

pub use input::InputError;

/// Why a command failed, and with which exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was given cannot be used: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It was tried and did not work: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The process' exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Writes to standard output; a closed pipe is no failure of ours.
pub fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
