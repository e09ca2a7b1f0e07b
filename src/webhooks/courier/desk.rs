//! What a courier and those who ask about its webhook have in common.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

use crate::clock::Timestamp;

/// Failures in a row after which no other events are begun until one of those that failed is delivered.
const MOST_FAILURES: u32 = 5;

/// When it is tried again what the store refused, and how often it is looked what is due at least.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// What a courier and those who ask about its webhook have in common.
#[derive(Default)]
pub(in crate::webhooks) struct Desk {
    /// Whether the courier of this process delivers, and not another's.
    pub(in crate::webhooks) is_here: AtomicBool,
    /// Tells the courier that something else has changed what is kept of the webhook.
    pub(in crate::webhooks) wake: Notify,
    /// Who wants it written down how far it is, before they change something.
    asking: Mutex<Vec<oneshot::Sender<()>>>,
    /// How it goes.
    pub(in crate::webhooks) health: Mutex<Health>,
}

impl Desk {
    /// Who wants it written down now; they hear that it is when this is dropped.
    pub(in crate::webhooks) fn asking(&self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut *self.asking.lock())
    }

    /// Has the courier write down how far it is, and waits a moment for that. Where another process
    /// delivers, something may be told once more.
    pub(in crate::webhooks) async fn written(&self) {
        if !self.is_here.load(Ordering::Acquire) {
            return;
        }
        let (done, written) = oneshot::channel();
        self.asking.lock().push(done);
        self.wake.notify_one();
        // Where it can't, something is told once more.
        let _ = timeout(PAUSE, written).await;
    }
}

/// How it goes with a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::webhooks) struct Health {
    pub(in crate::webhooks) off_at: Option<Timestamp>,
    pub(in crate::webhooks) failures_in_a_row: u32,
    pub(in crate::webhooks) delivered_at: Option<Timestamp>,
    pub(in crate::webhooks) failed_at: Option<Timestamp>,
    pub(in crate::webhooks) reason: Option<String>,
    /// Events after its position, at most, and when the oldest of them was announced that is in hand.
    pub(in crate::webhooks) behind: u64,
    pub(in crate::webhooks) oldest_at: Option<Timestamp>,
    /// Events that failed and are tried again.
    pub(in crate::webhooks) retried: usize,
}

impl Health {
    /// Whether it fails as a whole.
    pub(in crate::webhooks) fn is_failing(&self) -> bool {
        self.failures_in_a_row >= MOST_FAILURES
    }

    /// Whether it does since the last failure.
    pub(in crate::webhooks) fn begins_to_fail(&self) -> bool {
        self.failures_in_a_row == MOST_FAILURES
    }
}
