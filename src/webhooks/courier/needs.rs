//! Which events some webhook is still to be told: they are kept until it has been, or they are too old.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::db::Db;

/// After which position each webhook needs the events.
pub(in crate::webhooks) struct Needs {
    db: Db,
    after: Vec<AtomicI64>,
}

impl Needs {
    /// Those of so many webhooks, which need everything until they say otherwise.
    pub(in crate::webhooks) fn new(db: Db, webhooks: usize) -> Self {
        Self { db, after: (0..webhooks).map(|_| AtomicI64::new(i64::MIN)).collect() }
    }

    /// A webhook has been told up to a position, but for what has a row, whose lowest that is.
    pub(in crate::webhooks) fn set(&self, place: usize, position: i64, lowest: Option<i64>) {
        let after = lowest.map_or(position, |lowest| position.min(lowest - 1));
        if let Some(own) = self.after.get(place) {
            own.store(after, Ordering::Relaxed);
        }
        let each = self.after.iter().map(|after| after.load(Ordering::Relaxed));
        if let Some(after) = each.min() {
            self.db.need_after(after);
        }
    }
}
