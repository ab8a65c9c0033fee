//! The flags that put TLS on the port of metrics.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{FlagError, IgnoredFlag};

/// The oldest version of TLS that is spoken. Those before 1.2 are never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TlsVersion {
    /// TLS 1.2; also what the names of older versions mean here.
    #[default]
    #[value(name = "VersionTLS12", aliases = ["VersionTLS10", "VersionTLS11", ""])]
    V12,
    /// TLS 1.3.
    #[value(name = "VersionTLS13")]
    V13,
}

/// The `--metrics-tls-*` and `--metrics-dynamic-serving-*` flags.
#[derive(Args, Clone, Debug, Default)]
pub struct MetricsTlsFlags {
    /// A PEM file with the certificate, and those up to its CA, that metrics are served with.
    #[arg(long, value_name = "FILE", help_heading = "Observability")]
    pub metrics_tls_cert_file: Option<String>,
    /// A PEM file with its private key. Both files are read again when they change.
    #[arg(long, value_name = "FILE", help_heading = "Observability")]
    pub metrics_tls_private_key_file: Option<String>,
    /// The oldest version of TLS that metrics are served with.
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "Observability")]
    pub metrics_tls_min_version: Option<TlsVersion>,

    /// Not supported: would be passed over in silence otherwise.
    #[arg(long, hide = true)]
    pub metrics_dynamic_serving_ca_secret_namespace: Option<String>,
    /// Not supported.
    #[arg(long, hide = true)]
    pub metrics_dynamic_serving_ca_secret_name: Option<String>,
    /// Not supported.
    #[arg(long, hide = true)]
    pub metrics_dynamic_serving_dns_names: Vec<String>,
    /// Not supported.
    #[arg(long, hide = true)]
    pub metrics_dynamic_serving_leaf_duration: Option<String>,
}

/// What metrics are served over TLS with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsTls {
    /// The PEM file of the certificate and its chain.
    pub certificate: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
    /// The oldest version of TLS.
    pub oldest: TlsVersion,
}

impl MetricsTlsFlags {
    /// What the flags say together; `None` is no TLS.
    pub(super) fn checked(&self) -> Result<Option<MetricsTls>, FlagError> {
        if let Some(name) = self.dynamic() {
            return Err(FlagError::DynamicServing(name));
        }
        let file = |file: &Option<String>| {
            let given = file.as_ref().filter(|file| !file.is_empty());
            given.map(PathBuf::from)
        };
        let oldest = self.metrics_tls_min_version.unwrap_or_default();
        match (file(&self.metrics_tls_cert_file), file(&self.metrics_tls_private_key_file)) {
            (Some(certificate), Some(key)) => Ok(Some(MetricsTls { certificate, key, oldest })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(FlagError::HalfOfTls("metrics-tls-private-key-file")),
            (None, Some(_)) => Err(FlagError::HalfOfTls("metrics-tls-cert-file")),
        }
    }

    /// A flag that asks for a certificate of the operator's own making.
    fn dynamic(&self) -> Option<&'static str> {
        let given = |value: &Option<String>| value.as_ref().is_some_and(|v| !v.is_empty());
        let names = &self.metrics_dynamic_serving_dns_names;
        let flags = [
            (
                "metrics-dynamic-serving-ca-secret-namespace",
                given(&self.metrics_dynamic_serving_ca_secret_namespace),
            ),
            (
                "metrics-dynamic-serving-ca-secret-name",
                given(&self.metrics_dynamic_serving_ca_secret_name),
            ),
            ("metrics-dynamic-serving-dns-names", names.iter().any(|name| !name.is_empty())),
            (
                "metrics-dynamic-serving-leaf-duration",
                given(&self.metrics_dynamic_serving_leaf_duration),
            ),
        ];
        flags.into_iter().find_map(|(name, given)| given.then_some(name))
    }

    /// A bound on versions without any TLS to bound.
    pub(super) fn ignored(&self) -> Option<IgnoredFlag> {
        let unused = self.metrics_tls_min_version.is_some() && self.metrics_tls_cert_file.is_none();
        unused.then(|| {
            IgnoredFlag::new("metrics-tls-min-version", "no --metrics-tls-cert-file is given")
        })
    }
}
