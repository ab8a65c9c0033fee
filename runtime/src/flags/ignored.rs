//! Flags of cert-manager that are accepted but do nothing here.

use std::borrow::Cow;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};

const GATEWAY: &str = "the Gateway API is not supported yet";
const PROFILING: &str = "there is no profiling server";
const TLS: &str = "where metrics are served over TLS, every suite has forward secrecy and an AEAD";
const LOGGING: &str = "logs go to standard error unbuffered, at one level (see -v)";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// `--name`, `--name=true` or `--name=false`.
    Bool,
    /// `--name=value` or `--name value`.
    Value,
}
use Takes::{Bool, Value};

const TABLE: &[(&str, Takes, &str)] = &[
    ("enable-gateway-api", Bool, GATEWAY),
    ("enable-gateway-api-listenerset", Bool, GATEWAY),
    ("gateway-api-extra-protocols", Value, GATEWAY),
    ("enable-profiling", Bool, PROFILING),
    ("profiler-address", Value, PROFILING),
    ("metrics-tls-cipher-suites", Value, TLS),
    ("log-flush-frequency", Value, LOGGING),
    ("vmodule", Value, LOGGING),
    ("add_dir_header", Bool, LOGGING),
    ("alsologtostderr", Bool, LOGGING),
    ("log_backtrace_at", Value, LOGGING),
    ("log_dir", Value, LOGGING),
    ("log_file", Value, LOGGING),
    ("log_file_max_size", Value, LOGGING),
    ("logtostderr", Bool, LOGGING),
    ("one_output", Bool, LOGGING),
    ("skip_headers", Bool, LOGGING),
    ("skip_log_headers", Bool, LOGGING),
    ("stderrthreshold", Value, LOGGING),
];

/// Those of cert-manager's flags without a meaning here that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredFlags(Vec<IgnoredFlag>);

/// A flag that was given, or a part of its value, and why it does nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{name} has no effect: {why}")]
pub struct IgnoredFlag {
    /// Its name, without dashes; with `=` and the part of the value that does nothing, where the
    /// rest does something.
    pub name: Cow<'static, str>,
    /// Why it does nothing, in a few words.
    pub why: &'static str,
}

impl IgnoredFlag {
    pub(super) fn new(name: impl Into<Cow<'static, str>>, why: &'static str) -> Self {
        Self { name: name.into(), why }
    }
}

impl IgnoredFlags {
    /// The flags that were given.
    #[must_use]
    pub fn given(&self) -> &[IgnoredFlag] {
        &self.0
    }
}

impl Args for IgnoredFlags {
    fn augment_args(command: Command) -> Command {
        command.args(TABLE.iter().map(|(name, takes, _)| argument(name, *takes)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn argument(name: &'static str, takes: Takes) -> Arg {
    let arg = Arg::new(name).long(name).action(ArgAction::Append).hide(true);
    match takes {
        Bool => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(super::values::go_bool),
        Value => arg.num_args(1).allow_hyphen_values(true),
    }
}

impl FromArgMatches for IgnoredFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
        let rows = TABLE.iter().filter(|(name, ..)| given(name));
        Ok(Self(rows.map(|(name, _, why)| IgnoredFlag::new(*name, why)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
