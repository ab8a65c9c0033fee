//! A port that anybody may reach: bounded in connections, and each of them in age.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;
/// The pause after a connection could not be accepted: others have to end first.
const OUT_OF_BREATH: Duration = Duration::from_secs(1);

/// Handles connections until `stop`; those that are open then, or grow older than `age`, are
/// dropped.
pub(super) async fn listen<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    age: Duration,
    handle: impl Fn(TcpStream) -> F,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &room) => {
                if let Some((stream, place)) = accepted {
                    let handled = handle(stream);
                    connections.spawn(async move {
                        // One that is too old is closed by dropping it.
                        let _ = timeout(age, handled).await;
                        drop(place);
                    });
                }
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection of an ACME CA");
            tokio::time::sleep(OUT_OF_BREATH).await;
            None
        }
    }
}
