//! When the API server was last heard.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Response;
use tokio::time::Instant;
use tower::util::MapResponseLayer;

/// When the API server last answered anything. Cheap to clone; all clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Contact(Arc<Mutex<Option<Instant>>>);

impl Contact {
    /// A layer for a client that notes every answer. An error of the server's own (5xx) is none:
    /// it may be a proxy's, with nobody behind.
    pub fn layer<B>(
        &self,
    ) -> MapResponseLayer<impl Fn(Response<B>) -> Response<B> + Clone + Send + Sync + use<B>> {
        let contact = self.clone();
        MapResponseLayer::new(move |response: Response<B>| {
            if !response.status().is_server_error() {
                contact.heard(Instant::now());
            }
            response
        })
    }

    /// Notes an answer.
    pub fn heard(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// How long ago the last answer came; `None` before the first.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| now.saturating_duration_since(last))
    }
}
