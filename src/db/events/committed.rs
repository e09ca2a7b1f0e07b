//! The kept events of all streams together, in the order of their positions: what the tail of a database
//! that others write to hands on, and what is told to backends.

use super::{Portion, Result, Row, Tx, read_wire};
use crate::{params, stream::CommittedEvent};

/// The rows of events, one for each stream; what several share is in one of them.
pub(in crate::db) const COMMITTED: &str = "
    SELECT e.position, e.stream, e.seq, e.created_at, e.wire, s.wire AS shared_wire
    FROM events e LEFT JOIN shared_events s ON s.id = e.shared
        AND e.stream = (SELECT MIN(o.stream) FROM events o WHERE o.position = e.position)
    WHERE e.position > $1 AND e.position <= $2 ORDER BY e.position";

/// The events after position `after` and up to `upto`, as many as a portion takes. What was taken back
/// has no wire events any more.
///
/// # Errors
/// The store's.
pub async fn committed_after(
    tx: &mut Tx<'_>,
    after: i64,
    upto: i64,
    portion: Portion,
) -> Result<Vec<CommittedEvent>> {
    // Their sizes first, so that no more is read than is wanted.
    const SIZES: &str = "
        SELECT e.position, OCTET_LENGTH(e.wire) + COALESCE(OCTET_LENGTH(s.wire), 0) AS bytes
        FROM events e LEFT JOIN shared_events s ON s.id = e.shared
        WHERE e.position > $1 AND e.position <= $2 ORDER BY e.position LIMIT $3";
    let mut last = None;
    let mut left = portion.bytes;
    for row in tx.all(SIZES, &params![after, upto, portion.events]).await? {
        let (position, bytes): (i64, u64) = (row.get("position")?, row.get("bytes")?);
        // In several streams it is one event, which is counted in the first.
        if last == Some(position) {
            continue;
        }
        let fits = usize::try_from(bytes).ok().and_then(|bytes| left.checked_sub(bytes));
        if fits.is_none() && last.is_some() {
            break;
        }
        (last, left) = (Some(position), fits.unwrap_or(0));
    }
    let Some(last) = last else { return Ok(Vec::new()) };
    grouped(&tx.all(COMMITTED, &params![after, last]).await?)
}

/// Events of their rows, in the order of their positions.
pub(in crate::db) fn grouped(rows: &[Row]) -> Result<Vec<CommittedEvent>> {
    let mut events: Vec<CommittedEvent> = Vec::new();
    for row in rows {
        let position: i64 = row.get("position")?;
        if events.last().is_none_or(|event| event.position != position) {
            events.push(CommittedEvent {
                position,
                created_at: row.get("created_at")?,
                numbers: Vec::new(),
                wire_events: Vec::new(),
            });
        }
        let Some(event) = events.last_mut() else { continue };
        event.numbers.push((row.get("stream")?, row.get("seq")?));
        let shared: Option<String> = row.get("shared_wire")?;
        let wire = shared.map_or_else(|| row.get("wire"), Ok)?;
        // The others of several streams have nothing.
        if !wire.is_empty() {
            event.wire_events = read_wire(&wire)?;
        }
    }
    Ok(events)
}
