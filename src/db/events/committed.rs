//! The kept events of all streams together, in the order of their positions: what the tail of a database
//! that others write to hands on, and what is told to backends.

use super::{
    AT_ONCE, Portion, Result, Row, Tx, read_wire,
    retell::{self, Told},
};
use crate::{
    params,
    stream::{CommittedEvent, WireEvent},
};

/// The rows of events, one for each stream; what several share is in one of them.
pub(in crate::db) const COMMITTED: &str = "
    SELECT e.position, e.stream, e.seq, e.created_at, e.wire, e.source, s.wire AS shared_wire
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
    let mut portion_left = portion.bytes;
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
    let rows = tx.all(COMMITTED, &params![after, last]).await?;
    let mut events = Vec::new();
    for some in portions(&rows) {
        let told = tell_again(tx, some).await?;
        for event in grouped(some, told)? {
            let bytes = event.wire_events.iter().map(WireEvent::bytes).sum();
            let fits = portion_left.checked_sub(bytes);
            if fits.is_none() && !events.is_empty() {
                return Ok(events);
            }
            portion_left = fits.unwrap_or(0);
            events.push(event);
        }
    }
    Ok(events)
}

/// The rows in portions of which each may be told again at once. What several streams have is in one.
pub(in crate::db) fn portions(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    let position = |row: &Row| row.get::<i64>("position").ok();
    let mut in_portion = 0;
    rows.chunk_by(move |one, next| {
        in_portion += 1;
        let goes_on = in_portion < AT_ONCE || position(one) == position(next);
        in_portion = if goes_on { in_portion } else { 0 };
        goes_on
    })
}

/// What is told again of these rows, whatever streams they are in.
pub(in crate::db) async fn tell_again(tx: &mut Tx<'_>, rows: &[Row]) -> Result<Told> {
    retell::told(tx, rows, |row| row.get("stream")).await
}

/// Events of their rows, in the order of their positions, with what is told again of them.
pub(in crate::db) fn grouped(rows: &[Row], mut told: Told) -> Result<Vec<CommittedEvent>> {
    let mut events: Vec<CommittedEvent> = Vec::new();
    for (row, place) in rows.iter().zip(0..) {
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
        if let Some(wire_events) = told.remove(&place) {
            event.wire_events = wire_events;
            continue;
        }
        let shared: Option<String> = row.get("shared_wire")?;
        let wire = shared.map_or_else(|| row.get("wire"), Ok)?;
        // The others of several streams have nothing.
        if !wire.is_empty() {
            event.wire_events = read_wire(&wire)?;
        }
    }
    Ok(events)
}
