//! Draining: every client is told, then the transports are closed a few at a time, so that a
//! thousand clients do not come back in the same moment. They do come back: an official client
//! reconnects after its transport closed.

use std::time::Duration;

use rand::seq::SliceRandom;

use super::{
    Realtime,
    events::{ClosingReason, SessionClosing},
    frame::Outgoing,
};

/// The time between two slices.
const SLICE: Duration = Duration::from_millis(50);

/// The least number of connections closed in a slice.
const LEAST: usize = 100;

impl Realtime {
    /// Waits until no connection is open.
    pub async fn empty(&self) {
        let mut open = self.lifecycle.open.subscribe();
        // The sender is ours: it does not go away.
        let _ = open.wait_for(|open| *open == 0).await.is_ok();
    }

    /// Lets nobody new in, has nobody listen any more, tells everyone, and closes all transports within `time`.
    pub async fn drain(&self, time: Duration) {
        self.door.drain();
        self.emitter.live.end();
        let told = SessionClosing {
            retry_after_ms: Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            ..SessionClosing::because(ClosingReason::Draining)
        };
        let mut connections = self.sockets.close_all(&Outgoing::of(&told)).await;
        connections.shuffle(&mut rand::rng());
        let slices = usize::try_from(time.as_millis() / SLICE.as_millis()).unwrap_or(1).max(1);
        let size = connections.len().div_ceil(slices).max(LEAST);
        let mut every = tokio::time::interval(SLICE);
        for slice in connections.chunks(size) {
            every.tick().await;
            for connection in slice {
                connection.close_transport();
            }
        }
    }
}
