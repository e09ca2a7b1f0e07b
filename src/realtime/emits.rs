//! Events from outside on their way through the store: what is not volatile is kept in the stream
//! of each of its rooms before anyone hears it (contract/events.md, "Missed events").
//!
//! The broadcast is the outlet's, [`Emitter::publish`], so that what sockets hear has the order of
//! the numbers; here its sockets are counted.

use super::emitter::{Emit, Emitter};
use crate::{db::Db, error::Result, stream::Rendering};

/// Sends events from outside. Cheap to clone.
#[derive(Clone)]
pub struct Emits {
    db: Db,
    emitter: Emitter,
}

impl Emits {
    /// By way of this store, whose outlet is [`Emitter::publish`].
    #[must_use]
    pub fn new(db: Db, emitter: Emitter) -> Self {
        Self { db, emitter }
    }

    /// Keeps an event, unless it is volatile, and sends it; how many sockets of this node it was
    /// written to.
    ///
    /// # Errors
    /// [`TooLarge`](crate::error::Code::TooLarge) when it is more than is kept at once;
    /// [`Unavailable`](crate::error::Code::Unavailable) while the store is away. Then nobody has
    /// heard it.
    pub async fn send(&self, emit: Emit) -> Result<usize> {
        if emit.volatile {
            return Ok(self.emitter.emit(emit).await);
        }
        let count = self.emitter.count(emit.id);
        let kept = Rendering::from(emit);
        self.db
            .write_sized(kept.data.get().len(), async move |tx| {
                tx.announce(kept);
                // Nobody has heard it yet.
                Ok(0_usize)
            })
            .await?;
        Ok(count.sockets().await)
    }
}
