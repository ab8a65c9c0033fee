//! Response bodies: a text, or the lines of a watch.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{BodyError, Shared};
use crate::apiserver::Watch;

/// The body of an answer.
pub struct ApiBody(Kind);

enum Kind {
    Full(Option<Bytes>),
    Watch(Box<Lines>),
}

struct Lines {
    shared: Arc<Shared>,
    watch: Watch,
    ticket: u64,
    pending: VecDeque<Bytes>,
}

impl ApiBody {
    pub(super) fn full(text: Bytes) -> Self {
        ApiBody(Kind::Full(Some(text)))
    }

    pub(super) fn watch(shared: Arc<Shared>, watch: Watch, ticket: u64) -> Self {
        ApiBody(Kind::Watch(Box::new(Lines { shared, watch, ticket, pending: VecDeque::new() })))
    }
}

impl Lines {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.pending.is_empty() && !self.watch.ended() {
            let now = self.shared.now();
            let mut state = self.shared.lock();
            let events = state.server.poll_watch(now, &mut self.watch);
            let lines = events.iter().map(|e| Bytes::from(format!("{}\n", e.to_value())));
            self.pending.extend(lines);
            // Under the same lock as the look, so that no write can fall between the two.
            state.wakers.insert(self.ticket, context.waker().clone());
        }
        match self.pending.pop_front() {
            Some(line) => Poll::Ready(Some(line)),
            None if self.watch.ended() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.shared.lock().wakers.remove(&self.ticket);
    }
}

impl Body for ApiBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let data = match &mut self.get_mut().0 {
            Kind::Full(text) => Poll::Ready(text.take()),
            Kind::Watch(lines) => lines.poll(context),
        };
        data.map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Watch(_) => SizeHint::default(),
        }
    }
}
