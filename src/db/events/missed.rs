//! What was missed of a stream by who has heard all up to a position.

use super::{
    Portion, Result, StoredEvent, StreamPosition, Tx, events_after, number::MAX_STEP, position,
};
use crate::{
    params,
    stream::{Stream, WireEvent},
};

/// What came to a stream after a position.
#[derive(Clone, Debug)]
pub struct Missed {
    /// The number of the first event after it, whether or not there is one.
    pub next: i64,
    /// The events.
    pub events: Vec<StoredEvent>,
}

impl Missed {
    /// Bytes of the events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let wire_events = self.events.iter().flat_map(|event| &event.wire_events);
        wire_events.map(WireEvent::bytes).sum()
    }
}

/// Up to which position events have been given up for their age: from there on all is there that a
/// stream has not more than enough of.
///
/// # Errors
/// The store's.
pub async fn pruned(tx: &mut Tx<'_>) -> Result<i64> {
    const PRUNED: &str = "SELECT pruned FROM positions";
    tx.one(PRUNED, &[]).await?.get("pruned")
}

/// The events of a stream after a position that nothing was given up after for its age; none when that is
/// more than `most`, or some may have been given up since each stream keeps no more than `per_stream`.
///
/// # Errors
/// The store's.
pub async fn missed_after(
    tx: &mut Tx<'_>,
    stream: &Stream,
    after: i64,
    per_stream: i64,
    most: Portion,
) -> Result<Option<Missed>> {
    const BEFORE: &str = "
        SELECT seq FROM events WHERE stream = $1 AND position <= $2 ORDER BY seq DESC LIMIT 1";
    let Some(StreamPosition { seq, oldest, .. }) = position(tx, stream).await? else {
        return Ok(Some(Missed { next: 0, events: Vec::new() }));
    };
    let before = tx.optional(BEFORE, &params![stream, after]).await?;
    // What is shortened has about as many left as may be, or more.
    if before.is_none() && oldest > 1 && seq - oldest + 1 >= per_stream - 2 * MAX_STEP {
        return Ok(None);
    }
    let mut last = before.map_or(Ok(oldest - 1), |row| row.get("seq"))?;
    let next = last + 1;
    if seq - last > most.events.into() {
        return Ok(None);
    }
    let (mut events, mut bytes) = (Vec::new(), 0);
    while last < seq {
        let portion = Portion { bytes: most.bytes.saturating_sub(bytes), ..most };
        let some = events_after(tx, stream, last, portion).await?;
        let Some(end) = some.last() else { return Ok(None) };
        last = end.seq;
        let wire_events = some.iter().flat_map(|event| &event.wire_events);
        bytes += wire_events.map(WireEvent::bytes).sum::<usize>();
        if bytes > most.bytes {
            return Ok(None);
        }
        events.extend(some);
    }
    Ok(Some(Missed { next, events }))
}
