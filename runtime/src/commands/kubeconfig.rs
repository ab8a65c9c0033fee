//! The API server that a kubeconfig, or what is around us, names.

use super::Failure;
use crate::kube_api::with_causes;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use std::path::Path;
use std::time::Duration;

/// An API server that can be asked.
pub struct Cluster {
    /// The client.
    pub client: kube::Client,
    /// The API server's address, for messages.
    pub url: String,
}

/// A client of the API server that [`read`] names. Nothing is sent yet.
///
/// # Errors
/// As [`read`].
pub async fn connect(kubeconfig: Option<&Path>, master: Option<&str>) -> Result<Cluster, Failure> {
    let config = read(kubeconfig, master).await?;
    let url = config.cluster_url.to_string();
    let client = kube::Client::try_from(config);
    let client = client.map_err(|error| {
        Failure::Usage(format!("{}: {}", source(kubeconfig), with_causes(&error)))
    })?;
    Ok(Cluster { client, url })
}

/// Reads a kubeconfig, or what is around us if none is named; `master` is the address instead of
/// the one found.
///
/// # Errors
/// [`Failure::Usage`] for a configuration that cannot be used: the file, what is wrong with it,
/// and what to do.
pub async fn read(
    kubeconfig: Option<&Path>,
    master: Option<&str>,
) -> Result<kube::Config, Failure> {
    let mut config = match kubeconfig {
        Some(path) => from_file(path).await?,
        None => kube::Config::infer().await.map_err(|error| {
            let error = with_causes(&error);
            Failure::Usage(format!(
                "no API server is known: {error}; give --kubeconfig FILE, or set KUBECONFIG"
            ))
        })?,
    };
    if let Some(master) = master {
        config.cluster_url = master
            .parse()
            .map_err(|error| Failure::Usage(format!("--master {master:?}: {error}; give a URL")))?;
    }
    check_authority(&config)
        .map_err(|fault| Failure::Usage(format!("{}: {fault}", source(kubeconfig))))?;
    // Watches are silent for minutes; each call has its own bound.
    config.read_timeout = Some(Duration::from_secs(300));
    Ok(config)
}

fn source(kubeconfig: Option<&Path>) -> String {
    kubeconfig.map_or_else(
        || "the configuration of the API server".to_owned(),
        |path| path.display().to_string(),
    )
}

async fn from_file(path: &Path) -> Result<kube::Config, Failure> {
    let named = |error: KubeconfigError| {
        Failure::Usage(format!("{}: {}; {}", path.display(), fault(&error), remedy(&error)))
    };
    let read = Kubeconfig::read_from(path).map_err(named)?;
    let options = KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(read, &options).await.map_err(named)
}

/// What is wrong, without the path.
fn fault(error: &KubeconfigError) -> String {
    match error {
        error if is_unset(error) => "current-context is not set".to_owned(),
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        other => with_causes(other),
    }
}

fn is_unset(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::CurrentContextNotSet => true,
        KubeconfigError::LoadContext(name) => name.is_empty(),
        _ => false,
    }
}

fn remedy(error: &KubeconfigError) -> &'static str {
    match error {
        error if is_unset(error) => {
            "name one of its contexts there, as `kubectl config use-context NAME` does"
        }
        KubeconfigError::LoadContext(_) => {
            "list that context under `contexts`, or set current-context to one that is there"
        }
        KubeconfigError::LoadClusterOfContext(_) => {
            "list that cluster under `clusters`, or name one that is there in the context"
        }
        KubeconfigError::MissingClusterUrl | KubeconfigError::ParseClusterUrl(_) => {
            "give the cluster's `server` as https://HOST:PORT"
        }
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            AUTHORITY
        }
        KubeconfigError::Parse(_) => "it has to be a kubeconfig in YAML",
        _ => "give a kubeconfig that kubectl can use",
    }
}

const AUTHORITY: &str = "give certificate-authority-data as the base64 of PEM certificates, or \
                         their file as certificate-authority";

/// Without this, an authority that is none is only found out by TLS, which then calls the API
/// server's certificate untrusted.
fn check_authority(config: &kube::Config) -> Result<(), String> {
    let Some(roots) = &config.root_cert else { return Ok(()) };
    if roots.is_empty() {
        return Err(format!("the cluster's certificate authority holds no PEM; {AUTHORITY}"));
    }
    for (index, der) in roots.iter().enumerate() {
        let added = RootCertStore::empty().add(CertificateDer::from(der.as_slice()));
        added.map_err(|error| {
            let number = index + 1;
            format!(
                "certificate {number} of the cluster's certificate authority cannot be read: \
                 {error}; {AUTHORITY}"
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
