//! The kept events: numbered without holes in commit order, read back by number, and given up when
//! they are old (contract/events.md, "Missed events").

use std::{collections::BTreeMap, time::Duration};

use serde_json::value::to_raw_value;

use super::{Db, Error, Kind, Result, Tx};
use crate::{
    error,
    id::{Id, Ids},
    params,
    stream::{Announced, Rendering, Stream},
};

/// Rows that one unit of pruning removes, so that it holds nobody up.
const PRUNE_ROWS: i64 = 500;

/// Streams that one unit of pruning looks at.
const PRUNE_STREAMS: i64 = 100;

/// Where a stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
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
    /// The wire events that it became.
    pub renderings: Vec<Rendering>,
}

/// Where a stream stands; none when nothing was ever announced in it.
///
/// # Errors
/// The store's.
pub async fn position(tx: &mut Tx<'_>, stream: &Stream) -> Result<Option<Position>> {
    const POSITION: &str = "
        SELECT seq, epoch, (SELECT MIN(seq) FROM events WHERE stream = $1) AS oldest
        FROM streams WHERE stream = $1";
    let Some(row) = tx.optional(POSITION, &params![stream]).await? else { return Ok(None) };
    let seq = row.get("seq")?;
    let oldest = row.get::<Option<i64>>("oldest")?.unwrap_or(seq + 1);
    Ok(Some(Position { seq, epoch: row.get("epoch")?, oldest }))
}

/// The events of a stream after number `since`, oldest first, at most `limit`.
///
/// # Errors
/// The store's.
pub async fn events_after(
    tx: &mut Tx<'_>,
    stream: &Stream,
    since: i64,
    limit: u32,
) -> Result<Vec<StoredEvent>> {
    const AFTER: &str = "
        SELECT seq, wire FROM events WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let rows = tx.all(AFTER, &params![stream, since, i64::from(limit)]).await?;
    rows.iter()
        .map(|row| {
            let renderings = serde_json::from_str(&row.get::<String>("wire")?)
                .map_err(|error| Error::new(Kind::Other, error))?;
            Ok(StoredEvent { seq: row.get("seq")?, renderings })
        })
        .collect()
}

/// Numbers what the unit announced and keeps it. Streams are taken in one order everywhere, so
/// units never wait for each other in a circle; the row of a stream is held until the commit, so
/// numbers rise in commit order.
pub(super) async fn number(tx: &mut Tx<'_>) -> Result<Vec<Announced>> {
    const NEXT: &str = "
        INSERT INTO streams (stream, seq, epoch) VALUES ($1, $2, $3)
        ON CONFLICT (stream) DO UPDATE SET seq = streams.seq + $2
        RETURNING seq";
    let events = std::mem::take(&mut tx.announced);
    let mut kept: BTreeMap<String, i64> = BTreeMap::new();
    for stream in events.iter().filter(|event| event.kept()).flat_map(|event| event.streams()) {
        *kept.entry(stream.to_string()).or_default() += 1;
    }
    let mut next = BTreeMap::new();
    for (stream, count) in kept {
        let row = tx.one(NEXT, &params![&stream, count, Ids.next()]).await?;
        next.insert(stream, row.get::<i64>("seq")? - count + 1);
    }
    let mut announced = Vec::with_capacity(events.len());
    for event in events {
        let streams = if event.kept() { event.streams() } else { Vec::new() };
        let mut numbers = Vec::with_capacity(streams.len());
        for stream in streams {
            if let Some(seq) = next.get_mut(&stream.to_string()) {
                numbers.push((stream, *seq));
                *seq += 1;
            }
        }
        let mut renderings = event.render(numbers.first().map_or(0, |(_, seq)| *seq));
        if numbers.len() > 1 {
            // Each share has the same name, so that who is sent several of them can tell.
            for rendering in &mut renderings {
                rendering.id.get_or_insert_with(|| Ids.next());
            }
        }
        keep(tx, &numbers, &renderings).await?;
        announced.push(Announced { numbers, renderings });
    }
    Ok(announced)
}

/// Keeps an event in its streams: whole in its only one, in several of them what is theirs.
async fn keep(tx: &mut Tx<'_>, numbers: &[(Stream, i64)], renderings: &[Rendering]) -> Result<()> {
    const KEEP: &str = "INSERT INTO events (stream, seq, wire, created_at) VALUES ($1, $2, $3, $4)";
    let mut shares: BTreeMap<Stream, Vec<Rendering>> = BTreeMap::new();
    if numbers.len() > 1 {
        for (stream, share) in renderings.iter().flat_map(Rendering::shares) {
            shares.entry(stream).or_default().push(share);
        }
    }
    for (stream, seq) in numbers {
        let share = shares.get(stream).map(Vec::as_slice);
        let wire = match (numbers.len(), share) {
            (1, _) => to_raw_value(renderings),
            (_, share) => to_raw_value(share.unwrap_or_default()),
        };
        let wire = wire.map_err(|error| Error::new(Kind::Other, error))?;
        tx.execute(KEEP, &params![stream, *seq, wire, tx.now()]).await?;
    }
    Ok(())
}

/// Gives up the events that are both older than `keep_for` and not among the last `keep_count` of
/// their stream; how many. In small units of work, so that others come in between.
///
/// # Errors
/// The store's.
pub async fn prune_events(db: &Db, keep_for: Duration, keep_count: i64) -> error::Result<u64> {
    const LONG: &str = "
        SELECT stream, seq FROM streams WHERE stream > $1 AND seq > $2 ORDER BY stream LIMIT $3";
    let mut after = String::new();
    let mut pruned = 0;
    loop {
        let from = after.clone();
        let read = async move |tx: &mut Tx<'_>| {
            Ok(tx.all(LONG, &params![from, keep_count, PRUNE_STREAMS]).await?)
        };
        let streams = db.read(read).await?;
        let Some(last) = streams.last() else { return Ok(pruned) };
        after = last.get("stream")?;
        for row in streams {
            let (stream, seq): (String, i64) = (row.get("stream")?, row.get("seq")?);
            pruned += prune_stream(db, stream, seq - keep_count, keep_for).await?;
        }
    }
}

/// Gives up a stream's old events up to number `up_to`, oldest first and without a hole.
async fn prune_stream(
    db: &Db,
    stream: String,
    up_to: i64,
    keep_for: Duration,
) -> error::Result<u64> {
    const OLDEST: &str = "
        SELECT seq, created_at FROM events WHERE stream = $1 AND seq <= $2
        ORDER BY seq LIMIT $3";
    const REMOVE: &str = "DELETE FROM events WHERE stream = $1 AND seq <= $2";
    let mut pruned = 0;
    loop {
        let stream = stream.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let mut last = None;
            for row in tx.all(OLDEST, &params![&stream, up_to, PRUNE_ROWS]).await? {
                let created_at: crate::clock::Timestamp = row.get("created_at")?;
                if created_at + keep_for > tx.now() {
                    break;
                }
                last = Some(row.get::<i64>("seq")?);
            }
            match last {
                Some(last) => Ok(tx.execute(REMOVE, &params![&stream, last]).await?),
                None => Ok(0),
            }
        };
        match db.write(unit).await? {
            0 => return Ok(pruned),
            removed => pruned += removed,
        }
    }
}
