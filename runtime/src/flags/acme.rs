//! Flags about ACME: cert-manager's, and where our responders are reached.

use super::values::{go_bool, go_duration};
use super::{FlagError, list};
use crate::ports::{AcmeOptions, SolverPods};
use clap::{ArgAction, Args};
use everleaf_dns::resolver::Nameserver;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

/// Flags about ACME.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "ACME")]
pub struct AcmeFlags {
    /// Challenges that are worked on at once.
    #[arg(long, default_value = "60", value_name = "COUNT")]
    pub max_concurrent_challenges: NonZeroU32,
    /// Whether DNS-01 solvers of ClusterIssuers may use the credentials of the operator's
    /// surroundings.
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL")]
    pub cluster_issuer_ambient_credentials: bool,
    /// Whether those of Issuers may.
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL")]
    pub issuer_ambient_credentials: bool,
    /// Whether CAs are asked when to renew (RFC 9773), where they offer that and issuers do not
    /// say otherwise.
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL")]
    pub acme_renewal_info: bool,
    /// Who is asked for zones and TXT records, as host:port or https:// URL; the system's if none
    /// is given.
    #[arg(long, value_delimiter = ',', value_parser = nameserver, value_name = "SERVERS")]
    pub dns01_recursive_nameservers: Vec<String>,
    /// Whether the self-check of DNS-01 asks those only, not the authoritative servers.
    #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL")]
    pub dns01_recursive_nameservers_only: bool,
    /// The pause between two looks at a challenge; from 1s up to 1m, as they go on, if none is
    /// given.
    #[arg(long, value_parser = go_duration, value_name = "DURATION")]
    pub dns01_check_retry_period: Option<Duration>,
    /// Who is asked for addresses in the self-check of HTTP-01, as host:port; the system if none
    /// is given.
    #[arg(long, value_delimiter = ',', value_parser = plain_nameserver, value_name = "SERVERS")]
    pub acme_http01_solver_nameservers: Vec<String>,
    /// Labels for the routes and Services of HTTP-01, as KEY=VALUE.
    #[arg(long, value_delimiter = ',', value_parser = label, value_name = "LABELS")]
    pub acme_http01_solver_extra_labels: Vec<String>,
    /// The addresses at which the cluster reaches this process for HTTP-01; those that POD_IPS or
    /// POD_IP name, or from which the API server is reached, if none is given.
    #[arg(long, value_delimiter = ',', value_parser = address, value_name = "ADDRESSES")]
    pub acme_http01_responder_ip: Vec<String>,
    /// The port at which it answers.
    #[arg(long, default_value = "8089", value_name = "PORT")]
    pub acme_http01_responder_port: NonZeroU16,
    /// Whether CAA records are looked at before an order is placed, where the CA tells its names.
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL")]
    pub acme_check_caa: bool,
    /// Whether names that HTTP-01 proves must have an address that takes connections at port 80
    /// before an order is placed; not asked of solvers with waitInsteadOfSelfCheck.
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL")]
    pub acme_check_reachability: bool,
    /// The Service of the operator's Pods, as NAMESPACE/NAME: CAs are led to every replica among
    /// its ready endpoints; to the leader alone, if none is given.
    #[arg(long, default_value = "", value_parser = service, value_name = "SERVICE")]
    pub acme_http01_responder_service: String,
    /// The port at which TLS-ALPN-01 is answered; 0 for none.
    #[arg(long, default_value = "0", value_name = "PORT")]
    pub acme_tls_alpn01_responder_port: u16,
    /// How Pods for HTTP-01 are made.
    #[command(flatten)]
    pub pods: PodFlags,
}

/// How Pods for HTTP-01 are made, where a solver has a podTemplate, and where the operator's own
/// answer is seen by nobody.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "ACME")]
pub struct PodFlags {
    /// The image of Pods for HTTP-01, which is the operator's own; without it none are made.
    #[arg(long, default_value = "", value_name = "IMAGE")]
    pub acme_http01_solver_image: String,
    /// The CPU that such a Pod asks for.
    #[arg(long, default_value = "10m", value_parser = quantity, value_name = "QUANTITY")]
    pub acme_http01_solver_resource_request_cpu: String,
    /// The memory that it asks for.
    #[arg(long, default_value = "64Mi", value_parser = quantity, value_name = "QUANTITY")]
    pub acme_http01_solver_resource_request_memory: String,
    /// The most CPU that it gets.
    #[arg(long, default_value = "100m", value_parser = quantity, value_name = "QUANTITY")]
    pub acme_http01_solver_resource_limits_cpu: String,
    /// The most memory that it gets.
    #[arg(long, default_value = "64Mi", value_parser = quantity, value_name = "QUANTITY")]
    pub acme_http01_solver_resource_limits_memory: String,
    /// Whether it may not run as root.
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool, action = ArgAction::Set,
          value_name = "BOOL")]
    pub acme_http01_solver_run_as_non_root: bool,
    /// Its RuntimeClass; the cluster's default if none is given.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub acme_http01_solver_runtime_class_name: String,
}

impl PodFlags {
    fn pods(&self) -> Option<SolverPods> {
        let image = super::present(&self.acme_http01_solver_image)?;
        let amounts = |cpu: &String, memory: &String| {
            let both = [("cpu", cpu), ("memory", memory)].into_iter();
            let told = both.filter(|(_, amount)| !amount.is_empty());
            told.map(|(resource, amount)| (resource.to_owned(), amount.clone())).collect()
        };
        Some(SolverPods {
            image,
            requests: amounts(
                &self.acme_http01_solver_resource_request_cpu,
                &self.acme_http01_solver_resource_request_memory,
            ),
            limits: amounts(
                &self.acme_http01_solver_resource_limits_cpu,
                &self.acme_http01_solver_resource_limits_memory,
            ),
            non_root: self.acme_http01_solver_run_as_non_root,
            runtime_class: super::present(&self.acme_http01_solver_runtime_class_name),
        })
    }
}

/// What the flags about ACME mean for decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeLimits {
    /// `--max-concurrent-challenges`.
    pub concurrent_challenges: u32,
    /// `--issuer-ambient-credentials`.
    pub issuer_ambient: bool,
    /// `--cluster-issuer-ambient-credentials`.
    pub cluster_issuer_ambient: bool,
    /// `--acme-renewal-info`.
    pub renewal_info: bool,
    /// `--dns01-check-retry-period`; `None` is the plan's.
    pub check_retry: Option<Duration>,
}

impl AcmeFlags {
    pub(super) fn limits(&self) -> AcmeLimits {
        AcmeLimits {
            concurrent_challenges: self.max_concurrent_challenges.get(),
            issuer_ambient: self.issuer_ambient_credentials,
            cluster_issuer_ambient: self.cluster_issuer_ambient_credentials,
            renewal_info: self.acme_renewal_info,
            check_retry: self.dns01_check_retry_period.filter(|period| !period.is_zero()),
        }
    }

    /// What the ports are told.
    pub(super) fn options(&self, exact_path: bool) -> Result<AcmeOptions, FlagError> {
        let wrong = |text: &String| FlagError::Acme(text.clone());
        let servers = |texts: &[String]| {
            let one = |text: &String| text.parse::<Nameserver>().map_err(|_| wrong(text));
            list(texts).iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        let ip = |text: &String| text.parse::<IpAddr>().map_err(|_| wrong(text));
        let labels = list(&self.acme_http01_solver_extra_labels);
        let labels = labels.iter().filter_map(|label| label.split_once('='));
        let labels: BTreeMap<String, String> =
            labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(AcmeOptions {
            edge: None,
            responder_ips: list(&self.acme_http01_responder_ip)
                .iter()
                .map(ip)
                .collect::<Result<_, _>>()?,
            responder_port: self.acme_http01_responder_port.get(),
            responder_service: self
                .acme_http01_responder_service
                .split_once('/')
                .map(|(namespace, name)| (namespace.to_owned(), name.to_owned())),
            tls_alpn_port: Some(self.acme_tls_alpn01_responder_port).filter(|port| *port != 0),
            solver_pods: self.pods.pods(),
            extra_labels: labels,
            exact_path,
            http01_nameservers: servers(&self.acme_http01_solver_nameservers)?,
            dns01_nameservers: servers(&self.dns01_recursive_nameservers)?,
            recursive_only: self.dns01_recursive_nameservers_only,
            check_caa: self.acme_check_caa,
            check_reachability: self.acme_check_reachability,
        })
    }
}

// Lists may be empty as Go's may: `--flag=`. So entries are checked here and kept as text.

fn nameserver(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let read = text.parse::<Nameserver>().map_err(|_| "write host:port, or an https:// URL")?;
    match read {
        Nameserver::Plain { host, .. } if host.is_empty() => Err("the host is missing".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

fn plain_nameserver(text: &str) -> Result<String, String> {
    match nameserver(text) {
        Ok(text) if text.starts_with("https://") => Err("write host:port".to_owned()),
        read => read,
    }
}

fn label(text: &str) -> Result<String, String> {
    let named = text.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    if text.is_empty() || named { Ok(text.to_owned()) } else { Err("write KEY=VALUE".to_owned()) }
}

fn address(text: &str) -> Result<String, String> {
    let read = text.is_empty() || text.parse::<IpAddr>().is_ok();
    if read { Ok(text.to_owned()) } else { Err("write an IP address".to_owned()) }
}

fn service(text: &str) -> Result<String, String> {
    let parts = text.split_once('/').map(|(namespace, name)| (namespace, name.contains('/'), name));
    let named = matches!(parts, Some((namespace, false, name)) if !namespace.is_empty() && !name.is_empty());
    if text.is_empty() || named {
        Ok(text.to_owned())
    } else {
        Err("write NAMESPACE/NAME".to_owned())
    }
}

/// A quantity as Kubernetes writes it, roughly: the API server judges.
fn quantity(text: &str) -> Result<String, String> {
    let written = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if text.is_empty() || written {
        Ok(text.to_owned())
    } else {
        Err("write a quantity, as 100m".to_owned())
    }
}
