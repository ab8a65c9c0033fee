//! Response bodies: a text, or the lines of a watch.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::table::{Form, Printer};
use super::{BodyError, Shared};
use crate::apiserver::{EventType, ResourceDef, Watch, WatchEvent};

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
    form: Option<(Arc<ResourceDef>, Form)>,
    /// Whether an event has gone out with the headers of its Table.
    headed: bool,
}

impl ApiBody {
    pub(super) fn full(text: Bytes) -> Self {
        ApiBody(Kind::Full(Some(text)))
    }

    /// The events of a watch, as Tables if a form is given.
    pub(super) fn watch(
        shared: Arc<Shared>,
        watch: Watch,
        ticket: u64,
        form: Option<(Arc<ResourceDef>, Form)>,
    ) -> Self {
        let pending = VecDeque::new();
        ApiBody(Kind::Watch(Box::new(Lines {
            shared,
            watch,
            ticket,
            pending,
            form,
            headed: false,
        })))
    }
}

impl Lines {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.pending.is_empty() && !self.watch.ended() {
            let now = self.shared.now();
            let shared = self.shared.clone();
            let mut state = shared.lock();
            let events = state.server.poll_watch(now, &mut self.watch);
            for event in &events {
                let line = self.line(event, now);
                self.pending.push_back(line);
            }
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

impl Lines {
    fn line(&mut self, event: &WatchEvent, now: i64) -> Bytes {
        let mut told = event.to_value();
        if let Some((def, form)) = &self.form {
            let printer = Printer::new(def, *form, now);
            let headers = !std::mem::replace(&mut self.headed, true);
            told["object"] = match event.kind {
                EventType::Bookmark => printer.bookmark(&event.object, headers),
                _ => printer.table(&event.object, headers),
            };
        }
        Bytes::from(format!("{told}\n"))
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
