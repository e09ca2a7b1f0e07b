//! What the threads and tasks of a store have in common: its time, who hears of its commits, and
//! whether it does what it is asked.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use parking_lot::RwLock;
use tokio::sync::watch;

use super::events::KeepLimits;
use crate::{clock::Clock, stream::CommittedEvent, tasks::Tasks};

/// Who is given the events of committed units, in commit order.
pub type CommitListener = Arc<dyn Fn(Vec<CommittedEvent>) + Send + Sync>;

/// What the threads and tasks of a store have in common.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) listener: RwLock<Option<CommitListener>>,
    pub(super) available: watch::Sender<bool>,
    /// Its own, which end when it is closed.
    pub(super) tasks: Tasks,
    pub(super) keep: KeepLimits,
    /// The number after which streams begin.
    pub(super) after: AtomicI64,
}

impl Shared {
    pub(super) fn after(&self) -> i64 {
        self.after.load(Ordering::Relaxed)
    }

    /// Hands committed events on.
    pub(super) fn send(&self, announced: Vec<CommittedEvent>) {
        let listener = self.listener.read().clone();
        if announced.is_empty() {
            return;
        }
        if let Some(listener) = listener
            && catch_unwind(AssertUnwindSafe(|| listener(announced))).is_err()
        {
            tracing::error!("committed events were not sent: the listener panicked");
        }
    }

    /// Notes whether the store does what it is asked.
    pub(super) fn report(&self, available: bool) {
        self.note(available, None);
    }

    /// Notes that it does not, and why.
    pub(super) fn lose(&self, why: &str) {
        self.note(false, Some(why));
    }

    fn note(&self, available: bool, why: Option<&str>) {
        self.available.send_if_modified(|before| {
            let changed = *before != available;
            if changed && available {
                tracing::info!("the store is available again");
            } else if changed {
                tracing::error!(why, "the store is not available");
            }
            *before = available;
            changed
        });
    }
}
