//! The kept events: numbered without holes in commit order, read back by number, changed with what
//! they show, and given up when they are old (docs/contract/events.md#missed-events).

mod budget;
mod committed;
mod kept;
mod missed;
mod moved;
mod number;
mod prune;
mod restored;
mod retell;
mod since;
mod subject;

pub use self::{
    budget::Budget,
    committed::committed_after,
    kept::{KeptAt, KeptWire, empty_after, kept_after, kept_at, set_kept},
    missed::{Absence, Missed, missed_by},
    moved::{continue_stream, streams_after},
    prune::prune_events,
    restored::{Beginning, beginning},
    since::{number_at, position_before},
    subject::{KeptEvent, events_about, rewrite, take_back},
};
pub(super) use self::{
    budget::KeepLimits,
    committed::{COMMITTED, grouped, portions, tell_again},
    number::number,
    restored::start_anew,
    retell::{AT_ONCE, Told, is_named},
};
use super::{Error, Kind, Result, Row, Tx};
use crate::{
    id::Id,
    params,
    stream::{Stream, WireEvent},
};

/// How far a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    /// The number of its last event.
    pub seq: i64,
    /// Its life; another one means that it started anew.
    pub epoch: Id,
    /// The number of the oldest event that is still kept; `seq + 1` when none is.
    pub oldest: i64,
}

/// A kept event.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its number in the stream.
    pub seq: i64,
    /// Where it stands in the order of all kept events.
    pub position: i64,
    /// The wire events that it became.
    pub wire_events: Vec<WireEvent>,
}

/// How much to read at once.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// Events, at most.
    pub events: u32,
    /// Bytes after which no more are read. One event is read whatever its size.
    pub bytes: usize,
}

/// How far a stream is; none when nothing was ever announced in it.
///
/// # Errors
/// The store's.
pub async fn position(tx: &mut Tx<'_>, stream: &Stream) -> Result<Option<StreamPosition>> {
    const POSITION: &str = "
        SELECT s.seq + COALESCE(r.after_seq, 0) AS seq, COALESCE(r.epoch, s.epoch) AS epoch,
            (SELECT MIN(seq) FROM events WHERE stream = $1) AS oldest
        FROM streams s
        LEFT JOIN restores r ON r.after_seq = (SELECT MAX(after_seq) FROM restores)
        WHERE s.stream = $1";
    let Some(row) = tx.optional(POSITION, &params![stream]).await? else { return Ok(None) };
    let seq = row.get("seq")?;
    let oldest = row.get::<Option<i64>>("oldest")?.unwrap_or(seq + 1);
    Ok(Some(StreamPosition { seq, epoch: row.get("epoch")?, oldest }))
}

/// The events of a stream after number `since`, oldest first, as many as a portion takes. They end
/// before a number that is not there any more, so that there is never a hole in them.
///
/// # Errors
/// The store's.
pub async fn events_after(
    tx: &mut Tx<'_>,
    stream: &Stream,
    since: i64,
    portion: Portion,
) -> Result<Vec<StoredEvent>> {
    // Their sizes first, so that no more is read than is wanted.
    const SIZES: &str = "
        SELECT e.seq, OCTET_LENGTH(e.wire) + COALESCE(OCTET_LENGTH(s.wire), 0) AS bytes
        FROM events e LEFT JOIN shared_events s ON s.id = e.shared
        WHERE e.stream = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3";
    const AFTER: &str = "
        SELECT e.seq, e.position, e.wire, e.source, e.created_at, s.wire AS shared_wire
        FROM events e LEFT JOIN shared_events s ON s.id = e.shared
        WHERE e.stream = $1 AND e.seq > $2 AND e.seq <= $3 ORDER BY e.seq";
    let mut upto = since;
    let mut left = portion.bytes;
    for row in tx.all(SIZES, &params![stream, since, portion.events]).await? {
        let (seq, bytes): (i64, u64) = (row.get("seq")?, row.get("bytes")?);
        let fits = usize::try_from(bytes).ok().and_then(|bytes| left.checked_sub(bytes));
        if seq != upto + 1 || (fits.is_none() && upto > since) {
            break;
        }
        (upto, left) = (seq, fits.unwrap_or(0));
    }
    if upto == since {
        return Ok(Vec::new());
    }
    let rows = tx.all(AFTER, &params![stream, since, upto]).await?;
    let mut events = Vec::with_capacity(rows.len());
    for some in rows.chunks(AT_ONCE) {
        let mut told = retell::told(tx, some, |_| Ok(stream.clone())).await?;
        for (row, at) in some.iter().zip(0..) {
            let event = match told.remove(&at) {
                Some(wire_events) => {
                    let fits = left.checked_sub(wire_events.iter().map(WireEvent::bytes).sum());
                    if fits.is_none() && !events.is_empty() {
                        return Ok(events);
                    }
                    left = fits.unwrap_or(0);
                    StoredEvent {
                        seq: row.get("seq")?,
                        position: row.get("position")?,
                        wire_events,
                    }
                }
                None => stored(row, stream)?,
            };
            events.push(event);
        }
    }
    Ok(events)
}

/// The number of a stream's last event; 0 when nothing was ever announced in it.
///
/// # Errors
/// The store's.
pub async fn last_seq(tx: &mut Tx<'_>, stream: &Stream) -> Result<i64> {
    const LAST: &str = "
        SELECT seq + COALESCE((SELECT MAX(after_seq) FROM restores), 0) AS seq
        FROM streams WHERE stream = $1";
    let row = tx.optional(LAST, &params![stream]).await?;
    row.map_or(Ok(0), |row| row.get("seq"))
}

fn stored(row: &Row, stream: &Stream) -> Result<StoredEvent> {
    let wire_events = match row.get::<Option<String>>("shared_wire")? {
        None => read_wire(&row.get::<String>("wire")?)?,
        Some(shared) => {
            let whole = read_wire(&shared)?;
            whole.into_iter().filter_map(|wire_event| wire_event.for_stream(stream)).collect()
        }
    };
    Ok(StoredEvent { seq: row.get("seq")?, position: row.get("position")?, wire_events })
}

fn read_wire(wire: &str) -> Result<Vec<WireEvent>> {
    serde_json::from_str(wire).map_err(|error| Error::new(Kind::Other, error))
}
