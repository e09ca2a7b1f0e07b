//! The last hour of this node: every ten seconds each figure is read from the metrics, so that nothing is
//! added where events go. And what of it is wrong now, in words.

mod figures;
mod reading;
mod ring;
mod troubles;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::{
    figures::{FIRST_STEP, STEP},
    ring::Ring,
};
use super::documents::{History as Told, Trouble};
use crate::{
    clock::{Clock, Timestamp},
    metrics,
    rest::health::Readiness,
};

/// The last hour. Cheap to clone.
#[derive(Clone)]
pub(super) struct History(Arc<Inner>);

struct Inner {
    metrics: metrics::Handle,
    readiness: Readiness,
    clock: Clock,
    ring: Mutex<Ring>,
}

impl History {
    /// Of a node that starts now.
    pub(super) fn new(metrics: metrics::Handle, readiness: Readiness, clock: Clock) -> Self {
        Self(Arc::new(Inner { metrics, readiness, clock, ring: Mutex::default() }))
    }

    /// Goes on reading, for ever. The first step is a short one, so that there is something to see.
    pub(super) async fn keep_up(self) {
        self.read();
        sleep(FIRST_STEP).await;
        let mut every = interval(STEP);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.read();
        }
    }

    /// Reads the figures as they are now.
    pub(super) fn read(&self) {
        let text = self.0.metrics.render();
        let reading = reading::read(&text);
        self.0.ring.lock().push(self.0.clock.now(), reading);
    }

    /// What was read after that moment; all there is without one.
    pub(super) fn since(&self, after: Option<Timestamp>) -> Told {
        self.0.ring.lock().tell(after)
    }

    /// The connections as they were read last, and how long events took to them, in seconds: of 99 in 100.
    pub(super) fn now(&self) -> (u64, Option<f64>) {
        let ring = self.0.ring.lock();
        let last = |name: &str| ring.last(name, 1);
        let connections =
            last("connections").into_iter().filter_map(|(_, values)| values.last().copied());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "so many connections are exact in a float, and none are less than none"
        )]
        let connections = connections.map(|value| value as u64).sum();
        let lag = last("tail").into_iter().find(|(name, _)| name.ends_with("p99"));
        (connections, lag.and_then(|(_, values)| values.last().copied()).map(f64::from))
    }

    /// What is wrong now, the worst first.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        troubles::find(&self.0.ring.lock(), &self.0.readiness.state())
    }
}
