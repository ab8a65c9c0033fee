//! Logs: to standard error, as text or JSON, at a level chosen as klog's `-v`.

use std::fmt;

use jiff::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::flags::LogFormat;

/// Logging was set up before, here or by a library.
#[derive(Debug, thiserror::Error)]
#[error("logging is set up already")]
pub struct LoggingError;

/// Sets up logging for the process; `verbosity` is klog's `-v`, see [`level`].
///
/// # Errors
/// Fails if it was set up before.
pub fn init(format: LogFormat, verbosity: i32) -> Result<(), LoggingError> {
    let layer = layer(format, verbosity, std::io::stderr);
    tracing_subscriber::registry().with(layer).try_init().map_err(|_| LoggingError)
}

/// The level of a verbosity: up to 3 info, 4 and 5 debug, from 6 trace.
#[must_use]
pub fn level(verbosity: i32) -> Level {
    match verbosity {
        ..=3 => Level::INFO,
        4..=5 => Level::DEBUG,
        6.. => Level::TRACE,
    }
}

/// The level of what libraries log: one less, and never trace, where HTTP libraries show headers
/// and bodies.
fn library_level(verbosity: i32) -> Level {
    match verbosity {
        ..=3 => Level::WARN,
        4..=5 => Level::INFO,
        6.. => Level::DEBUG,
    }
}

fn layer<S, W>(format: LogFormat, verbosity: i32, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let base = tracing_subscriber::fmt::layer().with_timer(Utc).with_ansi(false);
    let layer = base.with_writer(writer);
    match format {
        LogFormat::Text => layer.with_filter(filter(verbosity)).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_filter(filter(verbosity))
            .boxed(),
    }
}

fn filter(verbosity: i32) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Clone> {
    let (ours, theirs) = (level(verbosity), library_level(verbosity));
    let shows = move |metadata: &Metadata<'_>| {
        let limit = if metadata.target().starts_with(OURS) { ours } else { theirs };
        *metadata.level() <= limit
    };
    FilterFn::new(shows).with_max_level_hint(LevelFilter::from_level(ours))
}

/// What the targets of all our crates begin with.
const OURS: &str = "everleaf";

/// RFC 3339 in UTC, to the microsecond.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.6}", Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, verbosity: i32, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = layer(format, verbosity, move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_json_line_is_an_object_with_a_utc_time_whatever_is_logged() {
        let text = logged(LogFormat::Json, 0, || {
            tracing::info!(target: "everleaf::test", certificate = "a/b", "said \"so\"\nand so");
            tracing::warn!(target: "everleaf::test", count = 3, "twice");
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["message"], "said \"so\"\nand so");
        assert_eq!(lines[0]["certificate"], "a/b");
        assert_eq!((&lines[1]["level"], &lines[1]["count"]), (&"WARN".into(), &3.into()));
        let time = lines[0]["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.parse::<Timestamp>().is_ok(), "{time}");
    }

    #[test]
    fn text_is_one_line_an_event_without_colours() {
        let text = logged(LogFormat::Text, 0, || {
            tracing::info!(target: "everleaf::test", epoch = 4, "leads");
        });
        assert!(text.contains("INFO everleaf::test: leads epoch=4\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn verbosity_is_klogs() {
        let all = || {
            tracing::info!(target: "everleaf", "one");
            tracing::debug!(target: "everleaf", "two");
            tracing::trace!(target: "everleaf_engine", "three");
        };
        let lines = |verbosity| logged(LogFormat::Text, verbosity, all).lines().count();
        assert_eq!([-1, 0, 2, 4, 5, 6, 10].map(lines), [1, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn libraries_speak_lower_and_never_in_full() {
        let all = || {
            tracing::warn!(target: "kube_client", "one");
            tracing::info!(target: "hyper", "two");
            tracing::debug!(target: "rustls", "three");
            tracing::trace!(target: "h2", "headers, bodies");
        };
        let lines = |verbosity| logged(LogFormat::Text, verbosity, all).lines().count();
        assert_eq!([0, 4, 6, 100].map(lines), [1, 2, 3, 3]);
    }
}
