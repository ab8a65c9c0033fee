//! Response bodies: whole, late, or cut off.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Shared;

/// Why a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The connection broke in the middle.
    #[error("connection closed before message completed")]
    Truncated,
}

/// The body of an answer.
pub struct CaBody {
    bytes: Option<Bytes>,
    length: u64,
    truncated: bool,
    /// When it comes, and whose clock tells; and the number by which it is woken.
    late: Option<(Arc<Shared>, i64, u64)>,
}

impl CaBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        CaBody { bytes: Some(bytes), length, truncated: false, late: None }
    }

    /// The first half, and then the end of the connection.
    pub(super) fn truncated(bytes: Bytes) -> Self {
        let half = bytes.slice(..bytes.len() / 2);
        let length = bytes.len() as u64;
        CaBody { bytes: Some(half), length, truncated: true, late: None }
    }

    pub(super) fn late(bytes: Bytes, shared: Arc<Shared>, until: i64) -> Self {
        let ticket = shared.lock().ticket();
        let length = bytes.len() as u64;
        let late = Some((shared, until, ticket));
        CaBody { bytes: Some(bytes), length, truncated: false, late }
    }
}

impl Drop for CaBody {
    fn drop(&mut self) {
        if let Some((shared, _, ticket)) = &self.late {
            shared.lock().wakers.remove(ticket);
        }
    }
}

impl Body for CaBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = self.get_mut();
        if let Some((shared, until, ticket)) = &body.late {
            // Under the same lock as the look at the clock, so that no waking falls between.
            let mut state = shared.lock();
            if shared.now() < *until {
                state.wakers.insert(*ticket, context.waker().clone());
                return Poll::Pending;
            }
        }
        match body.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if std::mem::take(&mut body.truncated) => {
                Poll::Ready(Some(Err(BodyError::Truncated)))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.truncated
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
