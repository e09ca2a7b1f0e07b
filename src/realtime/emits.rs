//! Events from outside on their way through the store: what is not volatile is kept in the stream
//! of each of its rooms before anyone hears it (contract/events.md, "Missed events").
//!
//! The broadcast is the outlet's, [`Emitter::publish`], so that what sockets hear has the order of
//! the numbers; here its sockets are counted.

use super::emitter::{Emit, Emitter, Target};
use crate::{
    db::Db,
    error::{Code, Error, Result},
    stream::Rendering,
};

/// Bytes that one event for several streams may take in all of them.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// Sends events from outside. Cheap to clone.
#[derive(Clone)]
pub struct Emits {
    db: Db,
    emitter: Emitter,
}

/// What is kept of an event from outside.
///
/// # Errors
/// [`Code::TooLarge`] when it is too much to be kept for so many.
fn kept(emit: Emit) -> Result<Rendering> {
    let rendering = Rendering::from(emit);
    let except = match &rendering.to {
        Target::Rooms { except, .. } => except.iter().map(|room| room.to_string().len()).sum(),
        Target::Everyone => 0,
    };
    let streams = rendering.streams().len();
    let bytes = streams * (rendering.data.get().len() + except);
    if streams > 1 && bytes > MAX_KEPT_BYTES {
        return Err(Error::new(
            Code::TooLarge,
            "This is too much to be kept for so many; send it to fewer, or volatile.",
        ));
    }
    Ok(rendering)
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
    /// [`Code::TooLarge`] when it is too much to be kept for so many; [`Code::Unavailable`] while
    /// the store is away. Then nobody has heard it.
    pub async fn send(&self, emit: Emit) -> Result<usize> {
        if emit.volatile {
            return Ok(self.emitter.emit(emit).await);
        }
        let count = self.emitter.count(emit.id);
        let kept = kept(emit)?;
        self.db
            .write_sized(kept.data.get().len(), async move |tx| {
                tx.announce(kept);
                Ok(())
            })
            .await?;
        Ok(count.sockets().await)
    }
}
