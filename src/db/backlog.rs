//! How many bytes wait to be written. Units are counted by the queues; what matters to memory is
//! what the large ones carry, and only their callers know that.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{Error, Kind, Result};

/// Counts bytes up to a limit. Cheap to clone.
#[derive(Clone)]
pub(super) struct Backlog {
    bytes: Arc<AtomicUsize>,
    limit: usize,
}

/// Bytes that are counted as long as this lives.
pub(super) struct Counted {
    backlog: Backlog,
    bytes: usize,
}

impl Backlog {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Arc::default(), limit }
    }

    /// Counts a unit's bytes, when there is space for them. A unit alone has space, whatever its
    /// size.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]
    pub(super) fn count(&self, bytes: usize) -> Result<Counted> {
        let room = |waiting: usize| {
            let sum = waiting.saturating_add(bytes);
            (waiting == 0 || sum <= self.limit).then_some(sum)
        };
        let counted = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        match counted {
            Ok(_) => Ok(Counted { backlog: self.clone(), bytes }),
            Err(_) => Err(Error::new(Kind::Unavailable, "too much is waiting for it")),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.backlog.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
