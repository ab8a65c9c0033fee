//! A replica that does not lead answers too: it watches Challenges, and nothing else.

use super::Tokens;
use crate::lease::Leadership;
use crate::operator::{Deltas, Watcher};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Batches of deltas that may wait.
const DELTAS_WAITING: usize = 16;

fn leads(leadership: &Leadership) -> bool {
    matches!(leadership, Leadership::Leading { .. })
}

/// Follows Challenges while this replica does not lead, until the operator is gone; while it leads
/// the driver shows them. `watcher` makes a watcher of Challenges.
pub async fn stand_by(
    tokens: Tokens,
    mut leadership: watch::Receiver<Leadership>,
    watcher: impl Fn(Deltas) -> Watcher,
) {
    while leadership.wait_for(|now| !leads(now)).await.is_ok() {
        let (sender, mut deltas) = mpsc::channel(DELTAS_WAITING);
        let mut watching = JoinSet::new();
        watching.spawn(watcher(sender).run());
        loop {
            tokio::select! {
                biased;
                led = leadership.wait_for(leads) => match led {
                    Ok(_) => break,
                    Err(_) => return,
                },
                Some(batch) = deltas.recv() => {
                    batch.iter().for_each(|delta| tokens.observe(delta));
                }
            }
        }
    }
}
