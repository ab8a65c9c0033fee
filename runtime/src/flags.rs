//! The operator's flags: cert-manager's controller flags by the same names and defaults.
//!
//! Flags that mean nothing here are accepted with a warning, so that a command line written for
//! cert-manager starts; unknown ones are errors. What the flags say together is in [`Options`].

mod acme;
mod controllers;
mod gates;
mod ignored;
mod metrics_tls;
mod values;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use everleaf_api::gates::{Component, FeatureGates, Gate, GateError};
use everleaf_api::names::CopiedAnnotations;

use crate::lease::{CONTROLLER_LEASE, LeaseConfig, LeaseConfigError};
use crate::ports::AcmeOptions;
pub use acme::{AcmeFlags, AcmeLimits};
pub use controllers::{Controller, Controllers};
use everleaf_nodes::Switches;
pub use ignored::{IgnoredFlag, IgnoredFlags};
pub use metrics_tls::{MetricsTls, MetricsTlsFlags, TlsVersion};
pub use values::ListenAddress;
use values::{gate, go_bool, go_duration, rate, size};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The flags of `everleaf operator`.
#[derive(Args, Clone, Debug)]
#[command(
    args_override_self = true,
    after_help = "Flags of cert-manager's controller that have no meaning here are accepted with \
                  a warning."
)]
pub struct OperatorFlags {
    /// A kubeconfig file; without it, the pod's service account or the usual places.
    #[arg(long, value_name = "FILE", help_heading = "Kubernetes")]
    pub kubeconfig: Option<PathBuf>,
    /// The API server's address, instead of the kubeconfig's.
    #[arg(long, value_name = "URL", help_heading = "Kubernetes")]
    pub master: Option<String>,
    /// Requests to the API server per second; -1 leaves it to the API server's own fairness.
    #[arg(long, default_value = "-1", value_parser = rate, allow_negative_numbers = true,
          value_name = "RATE", help_heading = "Kubernetes")]
    pub kube_api_qps: f32,
    /// Requests to the API server at once, where a rate is set; -1 is the larger of 50 and it.
    #[arg(long, default_value = "-1", value_parser = clap::value_parser!(i32).range(-1..),
          allow_negative_numbers = true, value_name = "COUNT", help_heading = "Kubernetes")]
    pub kube_api_burst: i32,
    /// Where Secrets of ClusterIssuers are.
    #[arg(
        long,
        default_value = "kube-system",
        value_name = "NAMESPACE",
        help_heading = "Kubernetes"
    )]
    pub cluster_resource_namespace: String,
    /// The only namespace to look after; empty for all.
    #[arg(long, default_value = "", value_name = "NAMESPACE", help_heading = "Kubernetes")]
    pub namespace: String,

    /// Whether to hold a Lease, so that one process acts at a time.
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL", help_heading = "Leader election")]
    pub leader_elect: bool,
    /// The Lease's namespace; what is left of the limits of ACME CAs is kept there too.
    #[arg(
        long,
        default_value = "kube-system",
        value_name = "NAMESPACE",
        help_heading = "Leader election"
    )]
    pub leader_election_namespace: String,
    /// How long others wait before they take over a Lease that is not renewed; whole seconds.
    #[arg(long, default_value = "60s", value_parser = go_duration, value_name = "DURATION",
          help_heading = "Leader election")]
    pub leader_election_lease_duration: Duration,
    /// How long the leader tries to renew before it stops acting.
    #[arg(long, default_value = "40s", value_parser = go_duration, value_name = "DURATION",
          help_heading = "Leader election")]
    pub leader_election_renew_deadline: Duration,
    /// The pause between two attempts.
    #[arg(long, default_value = "15s", value_parser = go_duration, value_name = "DURATION",
          help_heading = "Leader election")]
    pub leader_election_retry_period: Duration,

    /// Controllers to run: `*` for the default ones, a name to add, `-name` to leave out.
    #[arg(long, default_value = "*", value_delimiter = ',', value_parser = controllers::entry,
          allow_hyphen_values = true, value_name = "NAMES", help_heading = "Behaviour")]
    pub controllers: Vec<String>,
    /// Feature gates, as Name=true,Name=false.
    #[arg(long, value_delimiter = ',', value_parser = gate, value_name = "GATES",
          help_heading = "Behaviour")]
    pub feature_gates: Vec<String>,
    /// Whether a Certificate owns its Secret, so that they are deleted together.
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL", help_heading = "Behaviour")]
    pub enable_certificate_owner_ref: bool,
    /// Annotations that go from Certificates to their requests, by prefix: `*` all, `-p` not p.
    #[arg(
        long,
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_name = "PREFIXES",
        default_value = "*,-kubectl.kubernetes.io/,-fluxcd.io/,-argocd.argoproj.io/",
        help_heading = "Behaviour"
    )]
    pub copied_annotation_prefixes: Vec<String>,
    /// The wait after a first failed issuance; 0 is the default.
    #[arg(long, default_value = "1h", value_parser = go_duration, value_name = "DURATION",
          help_heading = "Behaviour")]
    pub certificate_request_minimum_backoff_duration: Duration,
    /// The longest wait after failed issuances; 0 is the default.
    #[arg(long, default_value = "32h", value_parser = go_duration, value_name = "DURATION",
          help_heading = "Behaviour")]
    pub certificate_request_maximum_backoff_duration: Duration,
    /// Workers; 32 requests to the API server may be under way for each.
    #[arg(long, default_value = "5", value_name = "COUNT", help_heading = "Behaviour")]
    pub concurrent_workers: NonZeroUsize,

    /// The issuer of an Ingress that names none.
    #[arg(long, default_value = "", value_name = "NAME", help_heading = "Ingress")]
    pub default_issuer_name: String,
    /// Its kind.
    #[arg(long, default_value = "Issuer", value_name = "KIND", help_heading = "Ingress")]
    pub default_issuer_kind: String,
    /// Its group.
    #[arg(long, default_value = "cert-manager.io", value_name = "GROUP", help_heading = "Ingress")]
    pub default_issuer_group: String,
    /// Annotations with a true value that ask for a certificate of the default issuer.
    #[arg(
        long,
        default_value = "kubernetes.io/tls-acme",
        value_delimiter = ',',
        value_name = "KEYS",
        help_heading = "Ingress"
    )]
    pub auto_certificate_annotations: Vec<String>,
    /// Annotations that go from an Ingress to its Certificates.
    #[arg(long, value_delimiter = ',', value_name = "KEYS", help_heading = "Ingress")]
    pub extra_certificate_annotations: Vec<String>,

    /// Flags about ACME.
    #[command(flatten)]
    pub acme: AcmeFlags,

    /// The longest PEM of one certificate, in bytes.
    #[arg(long, default_value = "36500", value_name = "BYTES", help_heading = "Limits")]
    pub max_certificate_size: NonZeroU32,
    /// The longest PEM of a private key, in bytes.
    #[arg(long, default_value = "13000", value_name = "BYTES", help_heading = "Limits")]
    pub max_private_key_size: NonZeroU32,
    /// The longest PEM of a chain, in bytes.
    #[arg(long, default_value = "95000", value_name = "BYTES", help_heading = "Limits")]
    pub max_certificate_chain_length: NonZeroU32,
    /// The longest PEM of a bundle of CAs, in bytes.
    #[arg(long, default_value = "330000", value_name = "BYTES", help_heading = "Limits")]
    pub max_certificate_bundle_size: NonZeroU32,

    /// Where metrics are served; 0 for nowhere.
    #[arg(
        long,
        default_value = "0.0.0.0:9402",
        value_name = "HOST:PORT",
        help_heading = "Observability"
    )]
    pub metrics_listen_address: ListenAddress,
    /// Where health is served, beside the metrics' address; 0 for nowhere.
    #[arg(
        long,
        default_value = "0.0.0.0:9403",
        value_name = "HOST:PORT",
        help_heading = "Observability"
    )]
    pub internal_healthz_listen_address: ListenAddress,
    /// How much longer than its duration a held Lease may go unrenewed before /livez fails.
    #[arg(long, default_value = "20s", value_parser = go_duration, value_name = "DURATION",
          help_heading = "Observability")]
    pub internal_healthz_leader_election_timeout: Duration,
    /// How much to log: 0 what matters, 4 every decision, 6 everything.
    #[arg(
        short = 'v',
        long = "v",
        default_value_t = 0,
        value_name = "LEVEL",
        allow_negative_numbers = true,
        help_heading = "Observability"
    )]
    pub verbosity: i32,
    /// How to log.
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Observability"
    )]
    pub logging_format: LogFormat,
    /// Record every input and decision in files under this directory, for `everleaf replay`.
    #[arg(long, value_name = "DIR", help_heading = "Observability")]
    pub record: Option<PathBuf>,
    /// How large those files may become together; the oldest are deleted.
    #[arg(long, default_value = "1Gi", value_parser = size, value_name = "BYTES",
          help_heading = "Observability")]
    pub record_max_size: u64,
    /// TLS for metrics.
    #[command(flatten)]
    pub metrics_tls: MetricsTlsFlags,

    /// cert-manager's configuration file. Not read yet: give its values as flags.
    #[arg(long, value_name = "FILE", hide = true)]
    pub config: Option<String>,
    /// What does nothing here.
    #[command(flatten)]
    pub ignored: IgnoredFlags,
}

/// What the flags say, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--master`.
    pub master: Option<String>,
    /// `--kube-api-qps` and `--kube-api-burst`; `None` is no limit.
    pub request_rate: Option<RequestRate>,
    /// `--cluster-resource-namespace`.
    pub cluster_resource_namespace: String,
    /// `--namespace`; `None` is all of them.
    pub namespace: Option<String>,
    /// `--leader-election-namespace`: the Lease's, and that of the budgets of ACME CAs.
    pub own_namespace: String,
    /// The `--leader-election-*` flags; `None` under `--leader-elect=false`.
    pub election: Option<ElectionOptions>,
    /// `--internal-healthz-leader-election-timeout`.
    pub election_health_timeout: Duration,
    /// `--controllers`.
    pub controllers: Controllers,
    /// What `--controllers` means for machines and requests.
    pub runs: Switches,
    /// `--feature-gates`.
    pub feature_gates: FeatureGates,
    /// `--enable-certificate-owner-ref`.
    pub certificate_owner_ref: bool,
    /// `--copied-annotation-prefixes`.
    pub copied_annotations: CopiedAnnotations,
    /// `--certificate-request-minimum-backoff-duration`.
    pub minimum_backoff: Duration,
    /// `--certificate-request-maximum-backoff-duration`.
    pub maximum_backoff: Duration,
    /// `--concurrent-workers`.
    pub concurrent_workers: usize,
    /// `--default-issuer-name`; may be empty.
    pub default_issuer_name: String,
    /// `--default-issuer-kind`.
    pub default_issuer_kind: String,
    /// `--default-issuer-group`.
    pub default_issuer_group: String,
    /// `--auto-certificate-annotations`.
    pub auto_certificate_annotations: Vec<String>,
    /// `--extra-certificate-annotations`.
    pub extra_certificate_annotations: Vec<String>,
    /// What the flags about ACME mean for decisions.
    pub acme_limits: AcmeLimits,
    /// What they mean for the ports.
    pub acme: AcmeOptions,
    /// The four limits on PEM.
    pub pem_limits: PemLimits,
    /// `--metrics-listen-address`.
    pub metrics_address: ListenAddress,
    /// `--internal-healthz-listen-address`.
    pub healthz_address: ListenAddress,
    /// `-v`.
    pub verbosity: i32,
    /// `--logging-format`.
    pub log_format: LogFormat,
    /// `--record`.
    pub record: Option<PathBuf>,
    /// `--record-max-size`, in bytes.
    pub record_total: u64,
    /// The `--metrics-tls-*` flags; `None` is no TLS.
    pub metrics_tls: Option<MetricsTls>,
}

/// A limit on requests to the API server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestRate {
    /// Requests per second, more than 0.
    pub per_second: f32,
    /// Requests at once, at least as many as per second.
    pub burst: u32,
}

/// Where and how to be elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionOptions {
    /// The Lease's namespace.
    pub namespace: String,
    /// See [`LeaseConfig::lease_duration`].
    pub lease_duration: Duration,
    /// See [`LeaseConfig::renew_deadline`].
    pub renew_deadline: Duration,
    /// See [`LeaseConfig::retry_period`].
    pub retry_period: Duration,
}

/// The longest PEM texts that are read, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PemLimits {
    /// One certificate.
    pub certificate: u32,
    /// A private key.
    pub private_key: u32,
    /// A chain of certificates.
    pub chain: u32,
    /// A bundle of CAs.
    pub bundle: u32,
}

/// Flags that contradict each other; a usage error, exit code 2.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FlagError {
    /// A configuration file was given.
    #[error("--config is not supported yet: give the values of {0:?} as flags")]
    Config(String),
    /// See the field names.
    #[error("--kube-api-burst={burst} must not be less than --kube-api-qps={qps}")]
    Burst {
        /// `--kube-api-burst`.
        burst: i32,
        /// `--kube-api-qps`.
        qps: f32,
    },
    /// The election's timings are out of order.
    #[error("--leader-election-*: {0}")]
    Election(#[from] LeaseConfigError),
    /// The default issuer has no kind.
    #[error("--default-issuer-kind must not be empty")]
    IssuerKind,
    /// A part may be longer than the whole.
    #[error("--{0} must not be more than --max-certificate-bundle-size")]
    PemLimits(&'static str),
    /// The longest wait is shorter than the first.
    #[error(
        "--certificate-request-maximum-backoff-duration must not be shorter than \
         --certificate-request-minimum-backoff-duration"
    )]
    Backoff,
    /// Some of what is one machine is on, and some is off.
    #[error(
        "--controllers: {on} is on and {off} is off, but the certificates-* controllers (without \
         certificates-metrics) are one machine here: turn all of them on, or all off"
    )]
    OneMachine {
        /// A controller that is on.
        on: &'static str,
        /// One that is off.
        off: &'static str,
    },
    /// The operator was asked to make a certificate for its own port.
    #[error(
        "--{0} is not supported: give --metrics-tls-cert-file and --metrics-tls-private-key-file, \
         or none of them for plain HTTP"
    )]
    DynamicServing(&'static str),
    /// One of two files is missing.
    #[error("--{0} is missing: metrics are served over TLS with a certificate and its key")]
    HalfOfTls(&'static str),
    /// An address, nameserver or URL cannot be read.
    #[error("{0:?} is no address of a server")]
    Acme(String),
    /// A feature gate is wrong.
    #[error("--feature-gates: {0}")]
    Gates(#[from] GateError),
}

const DEFAULT_BURST: u32 = 50;
const HOUR: Duration = Duration::from_secs(3600);

impl OperatorFlags {
    /// What the flags say together.
    ///
    /// # Errors
    /// Says which flags contradict each other.
    pub fn options(&self) -> Result<Options, FlagError> {
        if let Some(file) = self.config.as_ref().filter(|file| !file.is_empty()) {
            return Err(FlagError::Config(file.clone()));
        }
        if self.default_issuer_kind.is_empty() {
            return Err(FlagError::IssuerKind);
        }
        let (minimum_backoff, maximum_backoff) = self.backoff()?;
        let namespace = present(&self.namespace);
        let controllers = self.controllers(namespace.is_some());
        let feature_gates = self.gates()?;
        let exact_path = feature_gates.enabled(Gate::AcmeHttp01IngressPathTypeExact);
        Ok(Options {
            kubeconfig: self.kubeconfig.clone().filter(|file| !file.as_os_str().is_empty()),
            master: self.master.as_deref().and_then(present),
            request_rate: self.request_rate()?,
            cluster_resource_namespace: self.cluster_resource_namespace.clone(),
            runs: controllers.switches()?,
            controllers,
            namespace,
            own_namespace: self.leader_election_namespace.clone(),
            election: self.election()?,
            election_health_timeout: self.internal_healthz_leader_election_timeout,
            feature_gates,
            certificate_owner_ref: self.enable_certificate_owner_ref,
            copied_annotations: CopiedAnnotations::new(list(&self.copied_annotation_prefixes)),
            minimum_backoff,
            maximum_backoff,
            concurrent_workers: self.concurrent_workers.get(),
            default_issuer_name: self.default_issuer_name.clone(),
            default_issuer_kind: self.default_issuer_kind.clone(),
            default_issuer_group: self.default_issuer_group.clone(),
            auto_certificate_annotations: list(&self.auto_certificate_annotations),
            extra_certificate_annotations: list(&self.extra_certificate_annotations),
            acme_limits: self.acme.limits(),
            acme: self.acme.options(exact_path)?,
            pem_limits: self.pem_limits()?,
            metrics_address: self.metrics_listen_address.clone(),
            healthz_address: self.internal_healthz_listen_address.clone(),
            verbosity: self.verbosity,
            log_format: self.logging_format,
            record: self.record.clone(),
            record_total: self.record_max_size,
            metrics_tls: self.metrics_tls.checked()?,
        })
    }

    /// What to warn of at start: flags that were given and do nothing, controllers that were named
    /// and are not built, and feature gates that make no difference.
    #[must_use]
    pub fn ignored(&self) -> Vec<IgnoredFlag> {
        let mut all = self.ignored.given().to_vec();
        all.extend(self.metrics_tls.ignored());
        all.extend(controllers::unbuilt(&self.controllers));
        // A wrong gate is an error of `options`.
        all.extend(self.gates().iter().flat_map(gates::unheeded));
        all
    }

    fn controllers(&self, in_one_namespace: bool) -> Controllers {
        Controllers::new(self.controllers.iter().map(String::as_str), in_one_namespace)
    }

    fn gates(&self) -> Result<FeatureGates, GateError> {
        FeatureGates::parse(Component::Controller, &self.feature_gates.join(","))
    }

    fn request_rate(&self) -> Result<Option<RequestRate>, FlagError> {
        let (qps, burst) = (self.kube_api_qps, self.kube_api_burst);
        if qps <= 0.0 {
            return Ok(None);
        }
        let burst = match u32::try_from(burst) {
            Ok(given) if (given as f32) < qps => return Err(FlagError::Burst { burst, qps }),
            Ok(given) => given,
            Err(_) => DEFAULT_BURST.max(qps.ceil() as u32),
        };
        Ok(Some(RequestRate { per_second: qps, burst }))
    }

    fn election(&self) -> Result<Option<ElectionOptions>, LeaseConfigError> {
        if !self.leader_elect {
            return Ok(None);
        }
        let election = ElectionOptions {
            namespace: self.leader_election_namespace.clone(),
            lease_duration: self.leader_election_lease_duration,
            renew_deadline: self.leader_election_renew_deadline,
            retry_period: self.leader_election_retry_period,
        };
        election.lease(String::new(), String::new()).check()?;
        Ok(Some(election))
    }

    fn backoff(&self) -> Result<(Duration, Duration), FlagError> {
        let or = |given: Duration, default| if given.is_zero() { default } else { given };
        let minimum = or(self.certificate_request_minimum_backoff_duration, HOUR);
        let maximum = or(self.certificate_request_maximum_backoff_duration, HOUR * 32);
        if maximum < minimum { Err(FlagError::Backoff) } else { Ok((minimum, maximum)) }
    }

    fn pem_limits(&self) -> Result<PemLimits, FlagError> {
        let limits = PemLimits {
            certificate: self.max_certificate_size.get(),
            private_key: self.max_private_key_size.get(),
            chain: self.max_certificate_chain_length.get(),
            bundle: self.max_certificate_bundle_size.get(),
        };
        if limits.certificate > limits.bundle {
            return Err(FlagError::PemLimits("max-certificate-size"));
        }
        if limits.chain > limits.bundle {
            return Err(FlagError::PemLimits("max-certificate-chain-length"));
        }
        Ok(limits)
    }
}

impl ElectionOptions {
    /// The election on cert-manager's own Lease under this identity, at the API server of this
    /// address.
    #[must_use]
    pub fn lease(&self, identity: String, server: String) -> LeaseConfig {
        LeaseConfig {
            server,
            namespace: self.namespace.clone(),
            name: CONTROLLER_LEASE.into(),
            identity,
            lease_duration: self.lease_duration,
            renew_deadline: self.renew_deadline,
            retry_period: self.retry_period,
        }
    }
}

/// Go's flags know no absence but the empty text.
fn present(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn list(entries: &[String]) -> Vec<String> {
    entries.iter().filter(|entry| !entry.is_empty()).cloned().collect()
}

#[cfg(test)]
mod tests;
