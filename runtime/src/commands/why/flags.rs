//! The operator's own flags, so that `why` decides as that operator does.

use crate::commands::Failure;
use crate::flags::{OperatorFlags, Options};
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// The flags that decide what is made of an object, or how it is read. The others of the
/// operator are accepted, so that its command line can be given as it is, and not shown.
const SHOWN: [&str; 22] = [
    "kubeconfig",
    "master",
    "namespace",
    "cluster_resource_namespace",
    "leader_election_namespace",
    "controllers",
    "feature_gates",
    "enable_certificate_owner_ref",
    "copied_annotation_prefixes",
    "certificate_request_minimum_backoff_duration",
    "certificate_request_maximum_backoff_duration",
    "max_concurrent_challenges",
    "dns01_check_retry_period",
    "default_issuer_name",
    "default_issuer_kind",
    "default_issuer_group",
    "auto_certificate_annotations",
    "extra_certificate_annotations",
    "max_certificate_size",
    "max_private_key_size",
    "max_certificate_chain_length",
    "max_certificate_bundle_size",
];

/// What the operator was started with. `--namespace` is the object's here.
#[derive(Clone, Debug)]
pub struct AsOperator(Box<OperatorFlags>);

impl AsOperator {
    /// What the flags say together.
    ///
    /// # Errors
    /// [`Failure::Usage`] if they contradict each other.
    pub fn checked(&self) -> Result<Options, Failure> {
        let everywhere = OperatorFlags { namespace: String::new(), ..(*self.0).clone() };
        everywhere.options().map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The object's namespace, if one was given.
    pub fn namespace(&self) -> Option<&str> {
        Some(self.0.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }
}

fn augment(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let shown = SHOWN.contains(&arg.get_id().as_str());
            arg.hide(!shown)
        })
        .mut_arg("namespace", |arg| {
            arg.short('n')
                .hide_default_value(true)
                .help("The object's namespace; the kubeconfig's if none is given")
        })
        .after_help(
            "Decisions depend on what the operator was started with: give the same flags here. \
             Those that are not shown are accepted too, and change nothing.",
        )
}

impl FromArgMatches for AsOperator {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        OperatorFlags::from_arg_matches(matches).map(|flags| Self(Box::new(flags)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Args for AsOperator {
    fn augment_args(command: Command) -> Command {
        // The arguments that are here already are not the operator's.
        let flags = augment(OperatorFlags::augment_args(Command::new("operator")));
        let after = flags.get_after_help().cloned().unwrap_or_default();
        let arguments: Vec<_> = flags.get_arguments().cloned().collect();
        command.args(arguments).args_override_self(true).after_help(after)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
