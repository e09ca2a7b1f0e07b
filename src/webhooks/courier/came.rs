//! What came of a delivery.

use std::time::Duration;

use crate::webhooks::{delivery::Delivery, endpoint::Outcome};

/// What came of an event, by its position.
pub(super) struct Came {
    pub(super) position: i64,
    pub(super) of: Of,
}

/// What that is.
pub(super) enum Of {
    /// Calls were made: so many of the event's have been answered, and how the last went.
    Calls { sent: usize, outcome: Outcome, took: Duration },
    /// There is nothing to tell of it any more.
    Nothing,
    /// It was given up meanwhile.
    Gone,
    /// The store could not say.
    Store,
}

/// An event that is to be told again.
pub(super) enum Found {
    Delivery(Box<Delivery>),
    /// It was taken back, or its patterns do not take it any more.
    Nothing,
    /// It is not kept any more.
    Gone,
}
