//! The seam under the client: one request in, one whole answer out.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use thiserror::Error;
use tower::{BoxError, Service, ServiceExt};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransportError {
    /// There was no connection, so nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The time was up. The request may have been carried out.
    #[error("no whole answer in time: {0}")]
    TimedOut(String),
    /// The connection broke, or ended in the middle of the body. The request may have been carried
    /// out.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The body is larger than what was to be read. The request was carried out.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Sends requests.
pub trait Transport: Send + Sync {
    /// Sends a request and reads its answer whole, but no more than `limit` bytes of its body.
    /// Follows no redirection and sends nothing twice. Time limits are the transport's.
    fn exchange(
        &self,
        request: Request<Bytes>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn exchange(
        &self,
        request: Request<Bytes>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        (**self).exchange(request, limit)
    }
}

/// A [`tower::Service`] in the same process as the CA; without time limits. An error of its that is
/// a [`TransportError`] is passed on; any other is [`TransportError::Lost`].
#[derive(Clone, Debug)]
pub struct InProcess<S>(pub S);

impl<S, B> Transport for InProcess<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    fn exchange(
        &self,
        request: Request<Bytes>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let answer = self.0.clone().oneshot(request.map(Full::new));
        async move {
            let answer = answer.await.map_err(|error| or_lost(error.into()))?;
            read(answer, limit).await
        }
        .boxed()
    }
}

/// Reads a body of at most `limit` bytes. A body that fails with a [`TransportError`] fails with
/// just that.
pub async fn read<B>(answer: Response<B>, limit: usize) -> Result<Response<Bytes>, TransportError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return TransportError::TooLarge(limit);
        }
        or_lost(error)
    })?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

fn or_lost(error: BoxError) -> TransportError {
    match error.downcast::<TransportError>() {
        Ok(error) => *error,
        Err(error) => TransportError::Lost(chain(&*error)),
    }
}

/// An error with its causes, none of which repeats what its effect said.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
