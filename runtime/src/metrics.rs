//! Metrics: cert-manager's by their own names, and ours under `everleaf_`.
//!
//! Process-wide counters and histograms go through the `metrics` crate; they live as long as the
//! process. Series of single objects are rendered from an immutable [`Snapshot`] at each scrape, so
//! that they end with the object.

mod process;
mod samples;
mod text;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use metrics::{SharedString, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusRecorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;

pub use samples::{BudgetSample, CertificateSample, IssuerSample, Ready, Snapshot};
pub use text::CONTENT_TYPE;

const SYNC_CALLS: &str = "certmanager_controller_sync_call_count";
const SYNC_ERRORS: &str = "certmanager_controller_sync_error_count";
const EFFECTS: &str = "everleaf_effects_total";
const EFFECT_DURATION: &str = "everleaf_effect_duration_seconds";
const QUEUE_LENGTH: &str = "everleaf_engine_queue_length";
const UNEXPLAINED_MOVES: &str = "everleaf_unexplained_moves_total";
const EVENTS_DROPPED: &str = "everleaf_events_dropped_total";
const API_REQUESTS: &str = "everleaf_api_requests_total";
const ACME_REQUESTS: &str = "certmanager_http_acme_client_request_count";
const ACME_DURATION: &str = "certmanager_http_acme_client_request_duration_seconds";
const LEADER: &str = "everleaf_leader";

/// Upper bounds in seconds: from a local signature to an effect's deadline.
const DURATIONS: [f64; 12] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The recorder could not be made.
    #[error("cannot set up metrics: {0}")]
    Build(#[from] BuildError),
    /// The process has a recorder already.
    #[error("metrics are set up already")]
    Installed,
}

/// Everything there is to scrape. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    process: PrometheusHandle,
    samples: watch::Receiver<Arc<Snapshot>>,
}

impl Metrics {
    /// Sets up recording for the whole process.
    ///
    /// # Errors
    /// Fails if that was done before.
    pub fn install(samples: watch::Receiver<Arc<Snapshot>>) -> Result<Self, MetricsError> {
        let (recorder, metrics) = Self::build(samples)?;
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Installed)?;
        describe();
        Ok(metrics)
    }

    /// The recorder, not installed, and what renders it.
    pub(crate) fn build(
        samples: watch::Receiver<Arc<Snapshot>>,
    ) -> Result<(PrometheusRecorder, Self), MetricsError> {
        let durations = Matcher::Full(EFFECT_DURATION.into());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(durations, &DURATIONS)?;
        // What has no buckets is a summary, as cert-manager's are.
        let recorder = builder.set_quantiles(&[0.5, 0.9, 0.99])?.build_recorder();
        let process = recorder.handle();
        Ok((recorder, Self { process, samples }))
    }

    /// All metrics at `now` in the text format ([`CONTENT_TYPE`]), in pieces that end at line ends.
    pub fn render(&self, now: Timestamp) -> impl Iterator<Item = Bytes> + Send + Sync + 'static {
        let mut head = self.process.render();
        clock(&mut head, now);
        process::write(&mut head);
        // The exporter leaves a blank line after each family.
        let snapshot = Arc::clone(&self.samples.borrow());
        std::iter::once(Bytes::from(head)).chain(samples::Chunks::new(snapshot))
    }

    /// Folds recorded durations into their histogram. Needed every minute or so when nobody
    /// scrapes, or they pile up; the metrics server does it.
    pub fn upkeep(&self) {
        self.process.run_upkeep();
    }
}

/// The time of the process's clock, so that one that is off can be seen.
fn clock(out: &mut String, now: Timestamp) {
    let families = [
        ("certmanager_clock_time_seconds", "counter", "Deprecated: use the gauge."),
        ("certmanager_clock_time_seconds_gauge", "gauge", "The clock, in seconds since 1970."),
    ];
    for (name, kind, help) in families {
        text::family(out, name, kind, help);
        text::series(out, name, &[], now.as_second());
    }
}

fn describe() {
    describe_counter!(SYNC_CALLS, "Decisions taken, by cert-manager's name of the controller.");
    describe_counter!(
        SYNC_ERRORS,
        "Effects that failed, by cert-manager's name of the controller."
    );
    describe_counter!(EFFECTS, "Effects ended, by step and outcome.");
    describe_histogram!(EFFECT_DURATION, "Seconds from an effect's start to its end.");
    describe_gauge!(QUEUE_LENGTH, "What waits in the engine, by queue.");
    describe_counter!(UNEXPLAINED_MOVES, "Moves that no path of edges explains: each is a bug.");
    describe_counter!(EVENTS_DROPPED, "Events not written because too many waited.");
    // Both are of interest only when they rise, and a series that is not there cannot be watched.
    unexplained_moves(0);
    counter!(EVENTS_DROPPED).absolute(0);
    describe_counter!(API_REQUESTS, "Requests to the API server, by verb, resource and answer.");
    describe_counter!(ACME_REQUESTS, "Requests to ACME CAs; status 999 stands for no answer.");
    describe_histogram!(ACME_DURATION, "Seconds from a request to an ACME CA to its answer.");
    describe_gauge!(LEADER, "1 while this process leads.");
}

/// Counts a decision under cert-manager's name of the controller.
pub fn sync_call(controller: impl Into<SharedString>) {
    counter!(SYNC_CALLS, "controller" => word(controller)).increment(1);
}

/// Counts a failure under cert-manager's name of the controller.
pub fn sync_error(controller: impl Into<SharedString>) {
    counter!(SYNC_ERRORS, "controller" => word(controller)).increment(1);
}

/// Counts an effect that ended, and how long it took.
pub fn effect(step: impl Into<SharedString>, outcome: impl Into<SharedString>, duration: Duration) {
    let step = word(step);
    counter!(EFFECTS, "step" => step.clone(), "outcome" => word(outcome)).increment(1);
    histogram!(EFFECT_DURATION, "step" => step).record(duration.as_secs_f64());
}

/// Sets the length of one of the engine's queues.
pub fn queue_length(queue: impl Into<SharedString>, length: usize) {
    gauge!(QUEUE_LENGTH, "queue" => word(queue)).set(length as f64);
}

/// Sets how many moves no path of edges explained, and effects that their state does not list, since
/// the process began.
pub fn unexplained_moves(total: u64) {
    counter!(UNEXPLAINED_MOVES).absolute(total);
}

/// Counts an Event that is not written because too many wait.
pub fn event_dropped() {
    counter!(EVENTS_DROPPED).increment(1);
}

/// Counts a request to the API server; `code` is `None` if no answer came.
pub fn api_request(
    verb: impl Into<SharedString>,
    resource: impl Into<SharedString>,
    code: Option<u16>,
) {
    let code = code.map_or_else(|| SharedString::from("none"), |code| code.to_string().into());
    let labels = [("verb", word(verb)), ("resource", word(resource)), ("code", code)];
    counter!(API_REQUESTS, &labels).increment(1);
}

/// Counts a request to an ACME CA, and how long it took: scheme, host, action and method, the
/// status of the answer, 999 for none.
pub fn acme_request(what: (&str, &str, &str, &str), status: u16, duration: Duration) {
    let (scheme, host, action, method) = what;
    let labels = [
        ("scheme", word(scheme.to_owned())),
        ("host", word(host.to_owned())),
        ("action", word(action.to_owned())),
        ("method", word(method.to_owned())),
        ("status", status.to_string().into()),
    ];
    counter!(ACME_REQUESTS, &labels).increment(1);
    histogram!(ACME_DURATION, &labels).record(duration.as_secs_f64());
}

/// Sets whether this process leads.
pub fn leading(leads: bool) {
    gauge!(LEADER).set(f64::from(u8::from(leads)));
}

/// The exporter takes `\` and `"` in a label for an escape of the caller's. The values above are
/// words, and stay so whatever is passed.
fn word(value: impl Into<SharedString>) -> SharedString {
    let value = value.into();
    match value.contains(['\\', '"', '\n']) {
        true => value.replace(['\\', '"', '\n'], "_").into(),
        false => value,
    }
}

/// All of it in one text.
#[cfg(test)]
fn whole(metrics: &Metrics, now: Timestamp) -> String {
    let bytes = metrics.render(now).collect::<Vec<_>>().concat();
    String::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests;
