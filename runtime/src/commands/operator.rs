//! `everleaf operator`: the controller in a cluster, or beside one.

use super::Failure;
use super::kubeconfig;
use super::observe::Observability;
use crate::edge::Projector;
use crate::flags::{Controller, OperatorFlags, Options as Flags};
use crate::kube_api::{Pace, with_causes};
use crate::lease::{self, Fence, LeaseHandle};
use crate::operator::{self, Setup};
use crate::serve::Contact;
use everleaf_engine::Config;
use everleaf_nodes::Options;
use everleaf_pki::Limits;
use std::sync::Arc;
use std::time::Duration;

/// Effects in flight for each of cert-manager's workers: an effect mostly waits for the API
/// server, where a worker of cert-manager's also decides.
const EFFECTS_A_WORKER: u32 = 32;
/// How long letting go of the Lease may take at the end: with [`operator::LAST_WORDS`] before it,
/// less than the 30 s after which Kubernetes kills.
const LETTING_GO: Duration = Duration::from_secs(8);

/// A client that notes when the API server answers.
fn noting(config: kube::Config, contact: &Contact) -> Result<kube::Client, Failure> {
    let builder = kube::client::ClientBuilder::try_from(config);
    let builder = builder.map_err(|error| Failure::Usage(with_causes(&error)))?;
    Ok(builder.with_layer(&contact.layer()).build())
}

/// What decisions depend on, as the flags say.
pub(super) fn options(flags: &Flags) -> Options {
    let arcs = |values: &[String]| values.iter().map(|value| value.as_str().into()).collect();
    Options {
        cluster_resource_namespace: flags.cluster_resource_namespace.as_str().into(),
        approve: flags.controllers.has(Controller::RequestsApprover),
        certificate_owner_ref: flags.certificate_owner_ref,
        auto_certificate_annotations: arcs(&flags.auto_certificate_annotations),
        extra_certificate_annotations: arcs(&flags.extra_certificate_annotations),
        default_issuer_name: flags.default_issuer_name.as_str().into(),
        default_issuer_kind: flags.default_issuer_kind.as_str().into(),
        default_issuer_group: flags.default_issuer_group.as_str().into(),
        minimum_backoff_ms: Some(millis(flags.minimum_backoff)),
        maximum_backoff_ms: Some(millis(flags.maximum_backoff)),
        check_retry_ms: flags.acme_limits.check_retry.map(millis),
        operator_namespace: flags.own_namespace.as_str().into(),
        max_concurrent_challenges: flags.acme_limits.concurrent_challenges,
        issuer_ambient_credentials: flags.acme_limits.issuer_ambient,
        cluster_issuer_ambient_credentials: flags.acme_limits.cluster_issuer_ambient,
        renewal_info: flags.acme_limits.renewal_info,
        runs: flags.runs,
        ..Options::default()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The bounds of PEM texts, as the flags say.
pub(super) fn limits(flags: &Flags) -> Limits {
    let bytes = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    Limits {
        certificate: bytes(flags.pem_limits.certificate),
        key: bytes(flags.pem_limits.private_key),
        chain: bytes(flags.pem_limits.chain),
        bundle: bytes(flags.pem_limits.bundle),
    }
}

fn engine_config(flags: &Flags) -> Config {
    let workers = u32::try_from(flags.concurrent_workers).unwrap_or(u32::MAX);
    let effects = workers.saturating_mul(EFFECTS_A_WORKER);
    Config {
        effects_in_flight: effects,
        effects_in_flight_per_lane: (effects / 2).max(1),
        ..Config::default()
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`Failure::Usage`] for flags that cannot be used; [`Failure::Failed`] if it cannot start.
pub async fn run(flags: &OperatorFlags) -> Result<(), Failure> {
    let mut checked = flags.options().map_err(|error| Failure::Usage(error.to_string()))?;
    crate::logging::init(checked.log_format, checked.verbosity)
        .map_err(|error| Failure::Failed(error.to_string()))?;
    for ignored in flags.ignored() {
        tracing::warn!(flag = &*ignored.name, "{ignored}");
    }
    let config = kubeconfig::read(checked.kubeconfig.as_deref(), checked.master.as_deref()).await?;
    if checked.acme.responder_ips.is_empty() {
        checked.acme.responder_ips = own_addresses(&config.cluster_url).await;
    }
    let (server, contact) = (config.cluster_url.to_string(), Contact::default());
    let client = noting(config, &contact)?;
    let lease = elect(&checked, client.clone(), server)?;
    let fence = lease.fence();
    let served = Observability::start(&checked, &fence, (client.clone(), contact)).await?;
    let setup = setup(&checked, client, fence);
    let running = operator::start_recording(setup, lease.leadership(), checked.record_total)
        .map_err(|error| Failure::Usage(format!("--record: {error}")))?;
    let observing = served.observe(&running);
    stopped().await;
    observing.abort();
    running.stop().await;
    let released = tokio::time::timeout(LETTING_GO, lease.release());
    if tokio::join!(released, served.stop()).0.is_err() {
        tracing::warn!("the Lease was not let go of in time; it runs out");
    }
    Ok(())
}

/// Where the cluster reaches this process for HTTP-01.
async fn own_addresses(api_server: &http::Uri) -> Vec<std::net::IpAddr> {
    let told = ["POD_IPS", "POD_IP"].into_iter().find_map(|name| std::env::var(name).ok());
    let https = api_server.scheme_str() == Some("https");
    let port = api_server.port_u16().unwrap_or(if https { 443 } else { 80 });
    let host = api_server.host().unwrap_or_default().trim_matches(['[', ']']);
    crate::http01::own_addresses(told.as_deref(), (host, port)).await
}

fn setup(flags: &Flags, client: kube::Client, fence: Fence) -> Setup {
    let projector = Projector::new(flags.copied_annotations.clone(), limits(flags));
    Setup {
        client,
        pace: flags.request_rate.map(|rate| Pace::new(rate.per_second, rate.burst)),
        options: options(flags),
        config: engine_config(flags),
        projector: projector.gated(flags.feature_gates.clone()),
        namespace: flags.namespace.clone().unwrap_or_default(),
        record: flags.record.clone(),
        acme: flags.acme.clone(),
        fence: Arc::new(move || fence.may_act(tokio::time::Instant::now())),
    }
}

fn elect(flags: &Flags, client: kube::Client, server: String) -> Result<LeaseHandle, Failure> {
    match &flags.election {
        None => Ok(lease::unelected()),
        Some(election) => lease::start(client, election.lease(lease::identity(), server))
            .map_err(|error| Failure::Usage(error.to_string())),
    }
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
